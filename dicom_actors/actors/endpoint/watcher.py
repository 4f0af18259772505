"""The Watcher: wakes parked connections, and relieves Associations whose thread is at work.

It decodes nothing, and waits for nobody. A connection before its first byte is a parked one, too,
so that a peer that only connects (a health check, a port scan) costs a socket and no actor.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.connection.signals import LOOK
from dicom_actors.actors.kernel.watch import TICK_SECONDS
from dicom_actors.supervision import SocketInbox, SocketReady, SupervisedActor, kill

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.kernel.watch import Engagement

__all__ = ["Watcher"]

_PARKED: Final = "parked"


class Watcher(SupervisedActor):
    """See the module."""

    def __init__(self, kernel: EndpointKernel) -> None:
        self._sockets = SocketInbox(many=True)
        super().__init__()
        self._kernel = kernel
        self._watch = kernel.watch
        self._next_tick = 0.0

    def create_inbox(self) -> SocketInbox:
        """Give the inbox that is the parked sockets, too."""
        return self._sockets

    def init(self) -> None:
        """Take over what a predecessor watched. Runs in the Watcher's thread."""
        kernel, watch = self._kernel, self._watch
        if watch.sockets.is_watchable:
            self._sockets.register(watch.sockets, token=_PARKED)  # type: ignore[arg-type]
        watch.be_watcher(self.actor_ref)
        for record in kernel.connections:
            if record.is_parked:
                watch.arm(record, read=not record.has_output, write=record.has_output)
            elif record.association is None:
                kernel.attendance.attend_if_lost(record)
        self._stay_awake()

    def handle_info(self, message: Any) -> None:
        """Wake those whose peer has said something."""
        if not isinstance(message, SocketReady):
            super().handle_info(message)
            return
        self._wake_ready()
        if self._sockets.patience is not None:
            self._tick_in_time()

    def handle_cast(self, message: Any) -> None:
        """Begin to look at those who are at work."""
        if message is LOOK:
            self._stay_awake()
        else:
            super().handle_cast(message)

    def handle_idle(self) -> None:
        """Look at those who are at work."""
        if not self._watch.sockets.is_watchable:
            self._wake_ready()
        self._tick()

    def _stay_awake(self) -> None:
        self._sockets.patience = TICK_SECONDS
        self._next_tick = self._now() + TICK_SECONDS

    def _now(self) -> float:
        # Real time, whatever the clock of the tree: this is about threads and not about peers.
        return self._kernel.real_time()

    def _tick_in_time(self) -> None:
        """Look although there is always something else to do."""
        if self._now() >= self._next_tick:
            self._tick()

    def _tick(self) -> None:
        self._next_tick = self._now() + TICK_SECONDS
        for record, epoch, engagement in self._watch.tick():
            self._look_at(record, epoch, engagement)
        self._kernel.attendance.retry()
        if self._watch.may_sleep():
            self._sockets.patience = None

    def _look_at(self, record: ConnectionRecord, epoch: int, engagement: Engagement) -> None:
        if epoch != record.incarnation.epoch:
            self._watch.end(record, epoch)
        elif not engagement.is_writing:
            self._kernel.attendance.relieve(record)
        elif self._is_needed(record):
            # A disk that hangs: its thread is left to itself, the connection gets another one.
            self._watch.end(record, epoch)
            association = record.association
            if association is not None:
                kill(association)

    def _is_needed(self, record: ConnectionRecord) -> bool:
        """Whether there is something to do that cannot wait for a disk."""
        now = self._kernel.clock.monotonic()
        return record.wanted_abort is not None or record.incarnation.deadlines.due(now) is not None

    def _wake_ready(self) -> None:
        for record in self._watch.sockets.collect():
            if record.unpark():
                self._wake(record)

    def _wake(self, record: ConnectionRecord) -> None:
        if record.is_handed_over or _has_begun(record):
            self._kernel.attendance.attend(record)
        else:
            self._kernel.remove_connection(record)


def _has_begun(record: ConnectionRecord) -> bool:
    """Whether a new peer has said anything, or has just gone."""
    try:
        return bool(record.transport.socket.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True  # it was woken for nothing, which its Association finds out
    except OSError:
        return False
