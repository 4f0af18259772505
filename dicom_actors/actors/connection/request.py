"""What is known of a request from its last byte to its answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.dimse import Command
    from dicom_actors.pdu import Reject
    from dicom_actors.supervision import SupervisedRef
    from dicom_actors.upper_layer import AcceptedContext

__all__ = ["Outcome", "Request", "Stage"]


class Stage(IntEnum):
    """How far a request has come."""

    QUEUED = 1
    """Nobody has begun with it."""
    RUNNING = 2
    """Its handler runs; it is never begun again."""
    FINISHED = 3
    """Its outcome is known, and is to be sent."""


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


class Request:
    """A complete request that is not answered yet.

    Only the connection record changes it, under its lock; whoever else has it only reads.

    Attributes:
        serial: its number on this connection; never used twice, unlike Message IDs.
        service: the name of its handler, as ``"cstore"``.
        context: its presentation context; None for an association request.
        command: its command set; None for an association request.
        received: its data set; None if it has none.
        began: monotonic seconds at which it was complete.
        stage: how far it has come.
        outcome: what to answer, from stage FINISHED on.
        handler: the actor whose thread runs its handler, from stage RUNNING on.
        due: monotonic seconds at which its handler must have returned; None: whenever. A handler
            that sends many responses moves it with each of them.
        is_warned: whether that time has passed once, and the handler was told.
    """

    __slots__ = (
        "began",
        "command",
        "context",
        "due",
        "handler",
        "is_warned",
        "outcome",
        "received",
        "serial",
        "service",
        "stage",
    )

    def __init__(
        self,
        serial: int,
        service: str,
        context: AcceptedContext | None,
        command: Command | None,
        received: ReceivedObject | None,
        began: float,
    ) -> None:
        self.serial = serial
        self.service = service
        self.context = context
        self.command = command
        self.received = received
        self.began = began
        self.stage = Stage.QUEUED
        self.outcome: Outcome | None = None
        self.handler: SupervisedRef[Any] | None = None
        self.due: float | None = None
        self.is_warned = False
