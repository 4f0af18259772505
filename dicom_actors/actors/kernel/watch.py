"""What is watched although no thread waits for it. Passive; the Watcher does the waiting.

Two things: connections that are parked, for their next byte, and actors that run a handler or
write to a disk, for how long they do. Any thread adds to either at next to no cost; what is due is
taken by the Watcher. It is part of the kernel, so that a Watcher that crashed finds it again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.actors.connection.signals import LOOK
from dicom_actors.actors.kernel.parked_sockets import parked_sockets
from dicom_actors.actors.kernel.turns import Turns
from dicom_actors.supervision import announce

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.supervision import SupervisedRef

__all__ = ["MOST_EXTENDED", "Engagement", "Watch"]

TICK_SECONDS: Final = 0.005
"""Real time between two looks at those who run handlers: the quick phase is one to two of these."""

MOST_EXTENDED: Final = 0.25
"""Seconds from its beginning until which one that is at work may ask not to be relieved."""

_TICKS_UNTIL_ASLEEP: Final = 40


class Engagement(NamedTuple):
    """An actor is at work where nobody can interrupt it.

    Attributes:
        since: the tick from which on it counts.
        began: the tick at which it began.
        is_writing: whether it writes what comes to a disk; else it runs a handler.
    """

    since: int
    began: int
    is_writing: bool


class Watch:
    """See the module.

    Attributes:
        sockets: the parked connections'.
        turns: of those who work; who does for long has none any more.
    """

    def __init__(self) -> None:
        self.sockets = parked_sockets()
        self.turns = Turns()
        self._watcher: SupervisedRef[Any] | None = None
        self._engaged: dict[tuple[ConnectionRecord, int], Engagement] = {}
        self._ticks = 0
        self._note_tick()
        self._quiet_ticks = 0
        self._is_asleep = True

    def be_watcher(self, watcher: SupervisedRef[Any]) -> None:
        """Let `watcher`, and no other, be told from now on."""
        self._watcher = watcher
        self._is_asleep = True
        if self._engaged:
            self._wake()

    # --- parked connections --------------------------------------------------------------------

    def arm(self, record: ConnectionRecord, *, read: bool = True, write: bool = False) -> None:
        """Have the Watcher wake a parked connection, once.

        Args:
            record: the connection's.
            read: when its peer has said something.
            write: when its peer reads again.
        """
        self.sockets.arm(record, read=read, write=write)

    # --- those who are at work -----------------------------------------------------------------

    def begin(self, record: ConnectionRecord, epoch: int, *, is_writing: bool = False) -> None:
        """Note that the Association of that epoch begins what may take long."""
        self._engaged[record, epoch] = self._writing if is_writing else self._handling
        if self._is_asleep:
            self._wake()

    def extend(self, record: ConnectionRecord, epoch: int, seconds: float) -> None:
        """Let what has begun take so much longer before anybody minds; not if it is over.

        However often that is asked for, it is `MOST_EXTENDED` seconds after the beginning at most:
        until then nobody hears the peer, the host application or a deadline.
        """
        engagement = self._engaged.get((record, epoch))
        if engagement is not None:
            wanted = self._ticks + round(seconds / TICK_SECONDS)
            most = engagement.began + round(MOST_EXTENDED / TICK_SECONDS)
            since = max(engagement.since, min(wanted, most))
            self._engaged[record, epoch] = engagement._replace(since=since)
            self.turns.give_back(record, epoch)

    def end(self, record: ConnectionRecord, epoch: int) -> None:
        """Note that the Association of that epoch is done with it."""
        self._engaged.pop((record, epoch), None)

    @contextmanager
    def while_writing(self, record: ConnectionRecord, epoch: int) -> Iterator[None]:
        """Note, for the length of the block, that an Association writes to a disk."""
        self.begin(record, epoch, is_writing=True)
        try:
            yield
        finally:
            self.end(record, epoch)

    def _note_tick(self) -> None:
        # Whatever begins within one tick is as old.
        self._handling = Engagement(self._ticks, self._ticks, is_writing=False)
        self._writing = Engagement(self._ticks, self._ticks, is_writing=True)

    def tick(self) -> list[tuple[ConnectionRecord, int, Engagement]]:
        """Let time pass; returns who has been at work for longer than a tick, with the epoch."""
        self._ticks += 1
        self._note_tick()
        if not self._engaged:
            self._quiet_ticks += 1
            return []
        self._quiet_ticks = 0
        before = self._ticks - 1
        late = [(*who, one) for who, one in list(self._engaged.items()) if one.since < before]
        for record, epoch, _ in late:
            self.turns.give_back(record, epoch)
        return late

    def may_sleep(self) -> bool:
        """Whether nobody has been at work for a while; then `begin` wakes the Watcher."""
        if self._quiet_ticks < _TICKS_UNTIL_ASLEEP or not self.sockets.is_watchable:
            return False
        self._is_asleep = True
        return not self._engaged  # else somebody began in between, and has not told

    def _wake(self) -> None:
        self._is_asleep = False
        self._quiet_ticks = 0
        if self._watcher is not None:
            announce(self._watcher, LOOK)

    def close(self) -> None:
        """Give back what it holds."""
        self.sockets.close()
