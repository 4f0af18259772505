"""The actors of an endpoint.

They own sockets, time and failure; what goes over the wire is decided in `upper_layer` and
`dimse`. Data flows one way: socket, connection record, Association, Handler, connection record,
Association, socket.
"""

from dicom_actors.actors.admission import describe_acceptance
from dicom_actors.actors.endpoint import Endpoint
from dicom_actors.actors.handler_events import (
    Accept,
    AssociationRequest,
    EchoEvent,
    FindEvent,
    RequestEvent,
    StoreEvent,
)
from dicom_actors.actors.object_file import file_name_for

__all__ = [
    "Accept",
    "AssociationRequest",
    "EchoEvent",
    "Endpoint",
    "FindEvent",
    "RequestEvent",
    "StoreEvent",
    "describe_acceptance",
    "file_name_for",
]
