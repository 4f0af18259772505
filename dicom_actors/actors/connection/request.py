"""What is known of a request from its last byte to its answer. Frozen; replaced as a whole.

But for one thing: a Handler that sends many responses moves its deadline with each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.dimse import Command
    from dicom_actors.pdu import Reject
    from dicom_actors.supervision import SupervisedRef

__all__ = ["Due", "Outcome", "Request", "Stage"]


class Stage(IntEnum):
    """How far a request has come."""

    QUEUED = 1
    DISPATCHED = 2
    RUNNING = 3
    FINISHED = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request is to be answered with.

    Attributes:
        status: the status code.
        comment: the Error Comment.
        reject: for an association request: the rejection, None to accept.
        identity_response: for an association request: what the user identity is answered with,
            if the peer asks for an answer; None: it was not looked at.
        more: further elements of the response, by their numbers in group 0000.
        data: the data set of the response, encoded; None if it has none.
    """

    status: int = 0
    comment: str = ""
    reject: Reject | None = None
    identity_response: bytes | None = None
    more: Mapping[int, int | str | bytes] | None = None
    data: bytes | None = None


class Due:
    """When a handler must have returned.

    Attributes:
        at: monotonic seconds; None: whenever.
    """

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request that is not answered yet.

    Attributes:
        serial: its number on this connection; never used twice, unlike Message IDs.
        service: the name of its handler, as ``"cstore"``.
        context_id: its presentation context; 0 for an association request.
        command: its command set; None for an association request.
        received: its data set; None if it has none.
        stage: how far it has come.
        began: monotonic seconds at which it was complete.
        outcome: what to answer, from stage FINISHED on.
        handler: the Handler that has it, from stage DISPATCHED on.
        due: when that must have returned.
        is_warned: whether that time has passed once, and the handler was told.
    """

    serial: int
    service: str
    context_id: int
    command: Command | None
    received: ReceivedObject | None
    began: float
    stage: Stage = Stage.QUEUED
    outcome: Outcome | None = None
    handler: SupervisedRef[Any] | None = None
    due: Due = field(default_factory=Due)
    is_warned: bool = False
