"""What an endpoint tells its subscribers (`dicom_actors.messages.Subscribe`).

Each event is a message of its own to the subscribing actor. A subscriber that is slow loses
events, one that is dead is forgotten; neither costs the endpoint anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_actors.messages import AssociationInfo

__all__ = [
    "ActorCrashed",
    "ActorRestarted",
    "AssociationClosed",
    "AssociationOpened",
    "LimitReached",
    "PduTraced",
    "RequestCompleted",
    "RequestFailed",
    "RequestReceived",
]


@dataclass(frozen=True, slots=True)
class AssociationOpened:
    """A peer's association was accepted."""

    association: AssociationInfo


@dataclass(frozen=True, slots=True)
class AssociationClosed:
    """A connection is over.

    Attributes:
        association: as it last was.
        reason: ``"released"``, ``"aborted by peer"``, ``"aborted"``, ``"rejected"``,
            ``"connection lost"``, ``"timed out"``.
        detail: one sentence more, where there is one.
        requests: requests that were answered.
        was_open: whether `AssociationOpened` was told of it; False for one that was rejected.
    """

    association: AssociationInfo
    reason: str
    detail: str
    requests: int
    was_open: bool


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request is complete and goes to its handler.

    Attributes:
        association_id: the association's number.
        service: its name in ``event_handlers``, as ``"cstore"``.
        message_id: its Message ID.
        sop_class_uid: Affected or Requested SOP Class UID.
        sop_instance_uid: Affected or Requested SOP Instance UID, if any.
        bytes: length of its data set.
    """

    association_id: int
    service: str
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RequestCompleted:
    """A request was answered.

    Attributes:
        association_id: the association's number.
        service: its name in ``event_handlers``.
        message_id: its Message ID.
        status: the status sent.
        comment: the Error Comment sent.
        bytes: length of its data set.
        seconds: from the complete request to its answer.
    """

    association_id: int
    service: str
    message_id: int
    status: int
    comment: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request was answered with a failure; only for those who subscribe to this kind by name.

    For whoever wants to know of nothing else: all answers come as `RequestCompleted`, these
    included, and cost more than an answer itself where there are many.

    Attributes:
        association_id: see `RequestCompleted`, as for the rest.
        service: likewise.
        message_id: likewise.
        status: likewise.
        comment: likewise.
        bytes: likewise.
        seconds: likewise.
    """

    association_id: int
    service: str
    message_id: int
    status: int
    comment: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PduTraced:
    """A PDU came or went; only for those who subscribe to this kind by name.

    Attributes:
        association_id: the association's number.
        is_received: whether it came from the peer.
        text: the PDU in a line, payloads as lengths.
    """

    association_id: int
    is_received: bool
    text: str


@dataclass(frozen=True, slots=True)
class ActorCrashed:
    """An actor ended abnormally.

    Attributes:
        name: which one, as ``"association 7"``.
        reason: the exception's class and where it was raised, without its arguments.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ActorRestarted:
    """An actor runs again after a crash."""

    name: str
    restarts: int


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A limit of the configuration was met; `name` is the setting."""

    name: str
    detail: str
