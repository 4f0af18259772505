"""The Handlers of one connection: one, or as many as the peer may have operations outstanding.

Belongs to one incarnation of an Association and runs in its thread. Handlers are started when
there is something for them to do, and replaced when they have died.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.actors.connection.request import Outcome, Stage
from dicom_actors.actors.connection.signals import Dispatch, EndHandler, StartHandler
from dicom_actors.actors.connection.tenure import Phase
from dicom_actors.actors.handlers.outcomes import TOO_LATE
from dicom_actors.dimse import Status
from dicom_actors.pdu import Reject
from dicom_actors.supervision import cast, monitor

if TYPE_CHECKING:
    from pykka import ActorRef

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Request
    from dicom_actors.actors.connection.tenure import Tenure
    from dicom_actors.actors.endpoint.kernel import EndpointKernel
    from dicom_actors.config import EndpointConfig
    from dicom_actors.supervision import Down, SupervisedRef

__all__ = ["HandlerPool", "capacity_of"]

_HANDED_OVER = frozenset({Stage.DISPATCHED, Stage.RUNNING})


def capacity_of(record: ConnectionRecord, config: EndpointConfig) -> int:
    """Return how many Handlers a connection may have: its negotiated window (PS3.7 D.3.3.3)."""
    if record.negotiated is None:
        return 1
    return min(record.negotiated.max_performed or config.async_window, config.async_window)


class HandlerPool:
    """See the module.

    Args:
        owner: the Association.
        tenure: the Association's.
        kernel: the endpoint's tables.
        record: the connection's record.
    """

    def __init__(
        self,
        owner: ActorRef[Any],
        tenure: Tenure,
        kernel: EndpointKernel,
        record: ConnectionRecord,
    ) -> None:
        self._owner = owner
        self._tenure = tenure
        self._kernel = kernel
        self._record = record
        self._wanted = 0
        self._watched: set[SupervisedRef[Any]] = set()

    @property
    def capacity(self) -> int:
        """How many requests may be with Handlers at a time."""
        return capacity_of(self._record, self._kernel.config)

    def take_over(self, phase: Phase) -> None:
        """Settle what a crash interrupted; what live Handlers have is waited for.

        Args:
            phase: what the last incarnation was doing.
        """
        record = self._record
        self._watch()
        failed = Outcome(Status.PROCESSING_FAILURE, "the association was restarted")
        for request in record.requests:
            # What was being handed over may be what caused the crash, so it never is again.
            is_cause = phase is Phase.DISPATCH and request.serial == self._tenure.dispatching
            is_lost = request.stage in _HANDED_OVER and request.handler not in record.handlers
            if (is_cause and request.stage is Stage.QUEUED) or is_lost:
                record.settle(self._tenure.epoch, request.serial, failed)
            elif request.stage is Stage.DISPATCHED and request.handler is not None:
                cast(request.handler, Dispatch(request.serial))

    def dispatch(self, request: Request) -> None:
        """Hand a request to a Handler that has nothing to do, or get one."""
        record, tenure, kernel = self._record, self._tenure, self._kernel
        busy = {r.handler for r in record.requests if r.stage in _HANDED_OVER}
        handler = next((one for one in record.handlers if one not in busy), None)
        if handler is None:
            self._want_one()
            return
        tenure.dispatching = request.serial
        tenure.phase = Phase.DISPATCH
        if kernel.faults is not None:
            kernel.faults.hit("association.dispatch")
        timeout = kernel.config.handler_timeout
        deadline = None if timeout is None else kernel.clock.monotonic() + timeout
        record.dispatch(tenure.epoch, request.serial, handler, deadline)
        self.await_handlers()
        cast(handler, Dispatch(request.serial))
        if kernel.faults is not None:
            kernel.faults.hit("association.dispatched")
        tenure.phase = Phase.WAITING

    def _want_one(self) -> None:
        supervisor = self._kernel.association_supervisor
        if supervisor is not None and self._wanted + len(self._record.handlers) < self.capacity:
            self._wanted += 1
            cast(supervisor, StartHandler(self._record))

    def await_handlers(self) -> None:
        """Await the first deadline of those that run."""
        deadlines = [r.due.at for r in self._record.requests if r.stage in _HANDED_OVER]
        self._tenure.deadlines.handler = min(
            (deadline for deadline in deadlines if deadline is not None), default=None
        )

    def ready(self) -> None:
        """A Handler was started, or could not be."""
        self._wanted = max(0, self._wanted - 1)
        if self._record.handlers:
            self._watch()
            return
        for request in self._record.requests:
            if request.stage is Stage.QUEUED:
                self._fail(request, "no handler could be started", Reject.TEMPORARY_CONGESTION)
                return

    def down(self, down: Down) -> None:
        """A Handler ended; a request that it had not begun goes to another one."""
        self._watched.discard(down.ref)
        if down.ref not in self._record.handlers:
            return
        self._record.forget_handler(self._tenure.epoch, down.ref)
        for request in self._record.requests:
            if request.handler is not down.ref:
                continue
            if request.stage is Stage.DISPATCHED:
                self._record.requeue(self._tenure.epoch, request.serial)
            elif request.stage is Stage.RUNNING:
                self._fail(request, "the handler ended")

    def late(self) -> None:
        """A deadline has passed: first the handler is warned, then it is given up."""
        record, now = self._record, self._kernel.clock.monotonic()
        for request in record.requests:
            due = request.due.at
            if request.stage not in _HANDED_OVER or due is None or due > now:
                continue
            if not request.is_warned:
                grace = now + self._kernel.config.handler_grace
                record.warn(self._tenure.epoch, request.serial, grace)
            else:
                self._give_up(request)
        self.await_handlers()

    def _give_up(self, request: Request) -> None:
        supervisor = self._kernel.association_supervisor
        if request.handler is not None and supervisor is not None:
            cast(supervisor, EndHandler(request.handler, is_hung=True))
            self._record.forget_handler(self._tenure.epoch, request.handler)
        self._fail(request, TOO_LATE)

    def _fail(
        self, request: Request, why: str, reject: Reject = Reject.ACSE_NO_REASON_TRANSIENT
    ) -> None:
        rejected = reject if request.command is None else None
        outcome = Outcome(Status.PROCESSING_FAILURE, why, rejected)
        self._record.settle(self._tenure.epoch, request.serial, outcome)

    def _watch(self) -> None:
        for handler in self._record.handlers:
            if handler not in self._watched:
                self._watched.add(handler)
                monitor(handler, self._owner)
