"""Flow: what an archive receives goes on, by routes, and exactly once in effect.

::

    from dicom_actors.archive import Peer
    from dicom_actors.flow import DimsePeer, Flow, Folder, Route, Send, Transcode

    flow = Flow.start(
        archive,
        [
            Route("ct", [Send("pacs"), Transcode("JPEGLSLossless"), Folder("small")],
                  when={"Modality": "CT", "calling_ae_title": "SCANNER*"}),
        ],
        peers={"pacs": DimsePeer("PACS", Peer("pacs.example.org", 104))},
    )

**Where it goes** is decided when an object is kept (`routes`, `conditions`): a row for it and each
destination is written in the transaction of its own row in the index, so either both are there
after whatever happens, or none, and then its sender was not told of Success.

**How it goes**: each destination has an actor (`destination`), under a supervisor of the archive's
tree::

    ArchiveSupervisor
    └── flow              one_for_one
        ├── pacs          Destination: takes what is next from the queue, and sends it
        └── small

which owns its connection (`senders`). Rows of one study go one after the other, in the order in
which they came; one that fails holds up its study, by a pause that grows, and nothing else; one
that is refused again and again, or cannot be made, is set aside, and the rest goes on. Somebody
who is not there is tried now and then, and costs no object an attempt (`pacing`).

A row is done when the destination has said Success, or confirmed by storage commitment that it
keeps the object. What was sent in the moment of a crash is sent again.

Way down: `flow` > `destination` > `kernel` > `senders` > `parcels` > `failures`; `routes` >
`conditions`, `steps`; `pacing` > `settings`.
"""

from __future__ import annotations

from dicom_actors.flow.conditions import Conditions
from dicom_actors.flow.failures import NotTaken
from dicom_actors.flow.flow import DestinationStatus, Flow, queue_only
from dicom_actors.flow.parcels import Delivery
from dicom_actors.flow.route_work import RouteWork
from dicom_actors.flow.routes import Call, Command, Folder, Route, Send
from dicom_actors.flow.senders import DimsePeer, WebPeer
from dicom_actors.flow.settings import DestinationSettings
from dicom_actors.flow.steps import Deidentify, Edit, Transcode

__all__ = [
    "Call",
    "Command",
    "Conditions",
    "Deidentify",
    "Delivery",
    "DestinationSettings",
    "DestinationStatus",
    "DimsePeer",
    "Edit",
    "Flow",
    "Folder",
    "NotTaken",
    "Route",
    "RouteWork",
    "Send",
    "Transcode",
    "WebPeer",
    "queue_only",
]
