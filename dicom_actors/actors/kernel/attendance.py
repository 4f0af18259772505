"""Who serves which connection: gives each that has something to do an Association, and a thread.

Passive, and safe from any thread, that of a killed actor included; part of the kernel. Only so many
are served at a time, the others wait in a queue for their turn, which comes soon, since no
Association waits for anything: one whose handler takes long is relieved, and one that has nothing
to do while others wait is parked at once.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors.actors.connection.request import Outcome
from dicom_actors.dimse import Status
from dicom_actors.supervision import (
    NoProcError,
    Restart,
    as_nobody,
    monitor,
    respecify_child,
    spawn_child,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Request
    from dicom_actors.actors.kernel.watch import Watch
    from dicom_actors.config import EndpointConfig
    from dicom_actors.supervision import ChildSpec, SupervisedRef, System

__all__ = ["Attendance"]

_logger = logging.getLogger(__name__)

MAX_SERVED: Final = 64
MAX_LINGERING: Final = 32
PATIENCE_SECONDS: Final = 2.0
"""Real time for which an Association that has nothing to do keeps its thread."""


class _Tables(Protocol):
    """What it needs of the endpoint's kernel."""

    system: System
    watch: Watch

    @property
    def config(self) -> EndpointConfig: ...

    def remove_connection(self, record: ConnectionRecord) -> None: ...


class Attendance:
    """See the module.

    Args:
        kernel: the endpoint's tables.

    Attributes:
        supervisor: who supervises the Associations; None: nobody yet.
    """

    def __init__(self, kernel: _Tables) -> None:
        self._kernel = kernel
        self.supervisor: SupervisedRef[Any] | None = None
        self._spec_of: Callable[[ConnectionRecord], ChildSpec]
        self._lock = Lock()
        # By whom; None: somebody is about to have it done.
        self._served: dict[ConnectionRecord, SupervisedRef[Any] | None] = {}
        self._waiting: deque[ConnectionRecord] = deque()  # for the next supervisor
        self._queue: deque[ConnectionRecord] = deque()
        self._lost: deque[ConnectionRecord] = deque()

    def be_supervised(
        self, supervisor: SupervisedRef[Any], spec_of: Callable[[ConnectionRecord], ChildSpec]
    ) -> None:
        """Have Associations started under `supervisor`, and no other, from now on.

        Connections whose Association ended with a predecessor, before it took them, get another.

        Args:
            supervisor: who supervises them.
            spec_of: how an Association of a connection is started, restarted and stopped.
        """
        with self._lock:
            self.supervisor, self._spec_of = supervisor, spec_of
            left = [r for r, by in self._served.items() if by not in {None, supervisor}]
            for record in left:
                del self._served[record]
            left += self._waiting
            self._waiting.clear()
        for record in left:
            self.attend(record)

    @property
    def patience(self) -> float:
        """Seconds of real time after which an Association that has nothing to do is parked."""
        return PATIENCE_SECONDS if len(self._served) <= MAX_LINGERING else 0.0

    def attend(self, record: ConnectionRecord) -> None:
        """Give a connection an Association; whoever has unparked or relieved it must do so."""
        with self._lock:
            if len(self._served) >= MAX_SERVED:
                self._queue.append(record)
                return
            self._served[record] = None
        self._start(record)

    def leave(self, record: ConnectionRecord) -> None:
        """Note that a connection needs no Association any more, or none for now."""
        with self._lock:
            self._served.pop(record, None)
            following = self._next()
        if following is not None:
            self._start(following)

    def _next(self) -> ConnectionRecord | None:
        while self._queue and len(self._served) < MAX_SERVED:
            record = self._queue.popleft()
            if not record.is_closed:
                self._served[record] = None
                return record
        return None

    def relieve(self, record: ConnectionRecord) -> None:
        """Take a connection from an Association that runs a handler, and give it a fresh one."""
        actor = record.association
        request = record.relieve()
        kernel = self._kernel
        if request is None or actor is None:
            return
        kernel.watch.end(record, record.incarnation.epoch - 1)
        with self._lock:
            self._served.pop(record, None)
            supervisor = self.supervisor
        with as_nobody():
            if supervisor is not None:
                spec = replace(
                    self._spec_of(record),
                    id=f"handler of connection {record.id}",
                    restart=Restart.TEMPORARY,
                    shutdown=kernel.config.handler_grace,
                )
                respecify_child(supervisor, actor, spec)
            monitor(actor, functools.partial(self._handler_ended, record, request))
        self.attend(record)

    @staticmethod
    def _handler_ended(record: ConnectionRecord, request: Request, _: Any) -> None:
        outcome = Outcome(Status.PROCESSING_FAILURE, "the handler ended")
        record.handler_ended(request.serial, outcome)

    def attend_if_lost(self, record: ConnectionRecord) -> None:
        """Give a connection an Association if nobody is about to."""
        with self._lock:
            is_known = any(record in those for those in (self._served, self._queue, self._waiting))
        if not is_known:
            self.attend(record)

    def retry(self) -> None:
        """Serve those for whom there was no thread."""
        for _ in range(len(self._lost)):
            self._start(self._lost.popleft())

    def _start(self, record: ConnectionRecord) -> None:
        kernel = self._kernel
        if record.is_closed:
            self.leave(record)
            return
        with self._lock:
            supervisor = self.supervisor
            if record in self._served:
                self._served[record] = supervisor
        if supervisor is None:
            self._put_back(record, None)
            return
        try:
            with as_nobody():
                spawn_child(supervisor, self._spec_of(record))
        except NoProcError:
            self._put_back(record, supervisor)
        except BaseException as error:  # noqa: BLE001 - no thread, no memory: not the caller's fault
            kernel.system.log.write(
                _logger, logging.ERROR, "connection %d cannot start", record.id, exc_info=error
            )
            if record.requests:
                self._lost.append(record)  # its handler runs: tried again
                return
            kernel.remove_connection(record)

    def _put_back(self, record: ConnectionRecord, supervisor: SupervisedRef[Any] | None) -> None:
        """Let a connection wait until somebody else supervises Associations, if nobody does now."""
        with self._lock:
            if self._served.get(record) is not supervisor:
                return  # the next supervisor was faster, and has taken care of it
            del self._served[record]
            if self.supervisor is supervisor:
                self._waiting.append(record)
                return
        self.attend(record)
