"""One timer for all the deadlines of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.actors.connection.signals import DeadlineReached

if TYPE_CHECKING:
    from pykka import ActorRef

    from dicom_actors.actors.connection.deadlines import Deadlines
    from dicom_actors.supervision import Timer, TimerService

__all__ = ["Alarm"]


class Alarm:
    """Sends `DeadlineReached` to an actor when the earliest of its deadlines may have come.

    Deadlines move with every message. A timer that is too early costs a look at the clock once
    in a while; moving the timer each time would cost more.

    Args:
        timers: the tree's.
        deadlines: what is awaited.
        recipient: the actor.
    """

    def __init__(
        self, timers: TimerService, deadlines: Deadlines, recipient: ActorRef[Any]
    ) -> None:
        self._timers = timers
        self._deadlines = deadlines
        self._recipient = recipient
        self._timer: Timer | None = None

    def set(self) -> None:
        """Make sure that it goes off in time."""
        earliest = self._deadlines.earliest()
        if earliest is None or (self._timer is not None and self._timer.due <= earliest):
            return
        self.cancel()
        self._timer = self._timers.send_at(earliest, self._recipient, DeadlineReached())

    def went_off(self) -> None:
        """Note that its message came."""
        self._timer = None

    def cancel(self) -> None:
        """Never go off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
