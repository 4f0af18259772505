"""The actors of an endpoint.

They own sockets, time and failure; what goes over the wire is decided in `upper_layer` and
`dimse`. One way down through the rooms: `endpoint` (root, front door, Listener, Watcher) over
`association` over `handlers` over `responding` (C-FIND, C-GET, C-MOVE) over `kernel` (the tables
that outlive every actor) over `connection` and `storing`.

The way of one stored object:

1. `endpoint.listener` accepts, `kernel.attendance` gives the connection an Association, a thread.
2. `association.association` waits for its turn (`kernel.turns`), and reads once into
   `connection.input_buffer`, a megabyte if there is one.
3. `upper_layer.machine` cuts it into PDUs, `dimse.assembler` into a command and fragments.
4. `association.requests` hands the fragments to `storing.receiver`: memory, or a file as they come.
5. With the last one the request stands in `connection.record`, and whatever crashes now, it counts.
6. `handlers.handler` calls your handler, here; of a long one `endpoint.watcher` relieves us.
7. `event.save`: `storing.storage` writes, synchronizes, renames, synchronizes the folder.
8. Its outcome goes into the record, its answer out by `connection.transport` in one write.
9. `endpoint.event_bus` tells who wants to know.
10. Nothing to do for a while: the connection is parked in `kernel.watch`, without a thread.
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
