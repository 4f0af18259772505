"""Who serves which connection: gives each that has something to do an Association, and a thread.

Passive, and safe from any thread; part of the kernel. Only so many are served at a time, the others
wait in a queue for their turn, which comes soon, since no Association waits for anything: one whose
handler takes long is relieved, and one that has nothing to do while others wait is parked at once.
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
    DisownedError,
    NoProcError,
    Restart,
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
    association_supervisor: SupervisedRef[Any] | None

    @property
    def config(self) -> EndpointConfig: ...

    def remove_connection(self, record: ConnectionRecord) -> None: ...


class Attendance:
    """See the module.

    Args:
        kernel: the endpoint's tables.

    Attributes:
        spec_of: how an Association of a connection is started, restarted and stopped; set by who
            supervises them.
    """

    def __init__(self, kernel: _Tables) -> None:
        self._kernel = kernel
        self.spec_of: Callable[[ConnectionRecord], ChildSpec]
        self._lock = Lock()
        self._served: set[ConnectionRecord] = set()
        self._queue: deque[ConnectionRecord] = deque()
        self._lost: deque[ConnectionRecord] = deque()

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
            self._served.add(record)
        self._start(record)

    def leave(self, record: ConnectionRecord) -> None:
        """Note that a connection needs no Association any more, or none for now."""
        with self._lock:
            self._served.discard(record)
            following = self._next()
        if following is not None:
            self._start(following)

    def _next(self) -> ConnectionRecord | None:
        while self._queue and len(self._served) < MAX_SERVED:
            record = self._queue.popleft()
            if not record.is_closed:
                self._served.add(record)
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
        supervisor = kernel.association_supervisor
        if supervisor is not None:
            spec = replace(
                self.spec_of(record),
                id=f"handler of connection {record.id}",
                restart=Restart.TEMPORARY,
                shutdown=kernel.config.handler_grace,
            )
            respecify_child(supervisor, actor, spec)
        monitor(actor, functools.partial(self._handler_ended, record, request))
        with self._lock:
            self._served.discard(record)
        self.attend(record)

    @staticmethod
    def _handler_ended(record: ConnectionRecord, request: Request, _: Any) -> None:
        outcome = Outcome(Status.PROCESSING_FAILURE, "the handler ended")
        record.handler_ended(request.serial, outcome)

    def attend_if_lost(self, record: ConnectionRecord) -> None:
        """Give a connection an Association if nobody is about to."""
        with self._lock:
            is_known = record in self._served or record in self._queue
        if not is_known:
            self.attend(record)

    def retry(self) -> None:
        """Serve those for whom there was no thread."""
        for _ in range(len(self._lost)):
            self._start(self._lost.popleft())

    def _start(self, record: ConnectionRecord) -> None:
        kernel = self._kernel
        supervisor = kernel.association_supervisor
        if supervisor is None or record.is_closed:
            self.leave(record)
            return
        try:
            spawn_child(supervisor, self.spec_of(record))
        except (NoProcError, DisownedError):
            # The next AssociationSupervisor ends what has begun; what has not waits for it.
            self._put_back(record)
        except BaseException as error:  # noqa: BLE001 - no thread, no memory: not the caller's fault
            kernel.system.log.write(
                _logger, logging.ERROR, "connection %d cannot start", record.id, exc_info=error
            )
            if record.requests:
                self._lost.append(record)  # its handler runs: tried again
                return
            kernel.remove_connection(record)

    def _put_back(self, record: ConnectionRecord) -> None:
        self.leave(record)
        if not record.is_handed_over:
            record.wait_for_first_byte(self.attend)
