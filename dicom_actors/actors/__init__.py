"""The actors of an endpoint.

They own sockets, time and failure; what goes over the wire is decided in `upper_layer` and
`dimse`. Data flows one way: socket, connection record, Association, Handler, connection record,
Association, socket.
"""

from dicom_actors.actors.association.admission import describe_acceptance
from dicom_actors.actors.endpoint.endpoint import Endpoint
from dicom_actors.actors.handlers.events import (
    Accept,
    AssociationRequest,
    DataSetEvent,
    RequestEvent,
    StoreEvent,
)
from dicom_actors.actors.handlers.operation_events import (
    ActionEvent,
    CreateEvent,
    DeleteEvent,
    EchoEvent,
    EventReportEvent,
    FindEvent,
    GetAttributesEvent,
    GetEvent,
    MoveEvent,
    SetEvent,
)
from dicom_actors.actors.responding.destinations import MoveTo
from dicom_actors.actors.storing.storage import file_name_for

__all__ = [
    "Accept",
    "ActionEvent",
    "AssociationRequest",
    "CreateEvent",
    "DataSetEvent",
    "DeleteEvent",
    "EchoEvent",
    "Endpoint",
    "EventReportEvent",
    "FindEvent",
    "GetAttributesEvent",
    "GetEvent",
    "MoveEvent",
    "MoveTo",
    "RequestEvent",
    "SetEvent",
    "StoreEvent",
    "describe_acceptance",
    "file_name_for",
]
