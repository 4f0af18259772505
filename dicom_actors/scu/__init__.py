"""The user side: associations that we ask for, and the services of the peer.

`connect` runs in the thread of whoever calls it; no actor is needed. Standard: PS3.4, PS3.7.
"""

from __future__ import annotations

from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.data.files.large_value import spooled
from dicom_actors.data.values.unread import UnreadBytes
from dicom_actors.scu.association import Association, connect
from dicom_actors.scu.event_reports import EventReport
from dicom_actors.scu.normalized import NormalizedResult
from dicom_actors.scu.query_models import MODELS
from dicom_actors.scu.querying import MoveProgress, Operation
from dicom_actors.scu.storing import MoveOriginator
from dicom_actors.storage.contexts import UNCOMPRESSED, ProposedContext
from dicom_actors.storage.outgoing import OutgoingObject
from dicom_actors.storage.plan import contexts_for
from dicom_actors.storage.results import StoreResult

__all__ = [
    "MODELS",
    "UNCOMPRESSED",
    "Association",
    "EventReport",
    "FileBytes",
    "MoveOriginator",
    "MoveProgress",
    "NormalizedResult",
    "Operation",
    "OutgoingObject",
    "ProposedContext",
    "StoreResult",
    "UnreadBytes",
    "connect",
    "contexts_for",
    "spooled",
]
