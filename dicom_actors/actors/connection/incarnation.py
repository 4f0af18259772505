"""What one incarnation of an Association writes about its connection.

Each incarnation gets a copy of its predecessor's. An old one whose thread still runs therefore
writes where nobody looks any more: it is fenced off without a check. What is worth a check, the
socket and the requests, stands in the connection record.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from dicom_actors.actors.connection.deadlines import Deadlines

if TYPE_CHECKING:
    from dicom_actors.actors.storing.receiver import Receiver
    from dicom_actors.pdu import AssociateAc, AssociateRq

__all__ = ["Incarnation", "Phase"]


class Phase(Enum):
    """What an incarnation is doing; set before each step, read after a crash."""

    WAITING = "waiting"
    CORE = "core"
    DISPATCH = "dispatch"
    REPLY = "reply"


class Incarnation:
    """The time of one incarnation.

    Attributes:
        epoch: its number, which the connection record wants to see; 0 before the first.
        phase: what it is doing.
        deadlines: what it awaits.
        is_restart: whether the predecessor crashed.
        association_rq: what the peer asked for; None before that.
        acceptance: what it will be answered with if the validator has nothing against it.
        dispatching: the serial of the request that is, or was last, handed to a Handler.
        receiver: where the data set goes that is being received.
        received_length: how much of that has come, bytes.
        is_ending: nothing more is sent; the peer is to close.
        end_reason: why the connection ends; empty as long as it does not.
        end_detail: one sentence more, where there is one.
    """

    __slots__ = (
        "acceptance",
        "association_rq",
        "deadlines",
        "dispatching",
        "end_detail",
        "end_reason",
        "epoch",
        "is_ending",
        "is_restart",
        "phase",
        "received_length",
        "receiver",
    )

    def __init__(self) -> None:
        self.epoch = 0
        self.is_restart = False
        self.acceptance: AssociateAc | None = None
        self.phase = Phase.WAITING
        self.deadlines = Deadlines()
        self.association_rq: AssociateRq | None = None
        self.dispatching = 0
        self.receiver: Receiver | None = None
        self.received_length = 0
        self.is_ending = False
        self.end_reason = ""
        self.end_detail = ""

    def next(self, *, is_restart: bool = False) -> Incarnation:
        """Return that of the next incarnation."""
        successor = Incarnation.__new__(Incarnation)
        successor.epoch = self.epoch + 1
        successor.is_restart = is_restart
        successor.acceptance = self.acceptance
        successor.phase = self.phase
        successor.deadlines = self.deadlines.copy()
        successor.association_rq = self.association_rq
        successor.dispatching = self.dispatching
        successor.receiver = self.receiver
        successor.received_length = self.received_length
        successor.is_ending = self.is_ending
        successor.end_reason = self.end_reason
        successor.end_detail = self.end_detail
        return successor

    def note_end(self, reason: str, detail: str) -> None:
        """Note why the connection ends; the first reason counts."""
        if not self.end_reason:
            self.end_reason, self.end_detail = reason, detail
