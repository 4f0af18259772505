"""The way of a request through an association: received, handled, answered.

Belongs to one incarnation of an Association and runs in its thread, the handlers included: most
return before it would be worth to tell anybody. One that does not is left alone with its thread:
the Association is relieved, and the next incarnation finds its request running. What must survive
an incarnation stands in the connection record. PS3.7 chapters 6 and 9.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dicom_actors import events
from dicom_actors.actors.connection.incarnation import Phase
from dicom_actors.actors.connection.record import StaleIncarnation
from dicom_actors.actors.connection.request import Outcome, Request, Stage
from dicom_actors.actors.handlers.handler import Handler
from dicom_actors.actors.handlers.outcomes import TOO_LATE
from dicom_actors.actors.kernel.handler_table import ASSOCIATION_VALIDATOR, SERVICES
from dicom_actors.actors.storing.receiver import NO_ROOM
from dicom_actors.data.files.part10 import FileMetaHeaders
from dicom_actors.dimse import (
    Command,
    CommandField,
    CommandReceived,
    DataReceived,
    MessageAssembler,
    ResponseEncoder,
    Status,
    StatusCategory,
    category_of,
    context_mismatch,
    fragment,
    operation_mismatch,
)
from dicom_actors.dimse.command import RESPONSE
from dicom_actors.errors import UnexpectedPduError
from dicom_actors.pdu import Reject, p_data_buffers
from dicom_actors.supervision import kill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.actors.connection.incarnation import Incarnation
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.kernel.handler_table import HandlerTable
    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.config import EndpointConfig
    from dicom_actors.pdu import Pdv
    from dicom_actors.supervision import SupervisedRef
    from dicom_actors.upper_layer import AcceptedContext, Negotiated, Values

__all__ = ["RequestFlow"]

_WITH_DATA_SET = frozenset({"cstore", "cfind", "cget", "cmove", "nset"})
_OF_INSTANCES = frozenset({"cstore", "nset", "nget", "ndelete", "naction", "nevent_report"})


_C_CANCEL_RQ = int(CommandField.C_CANCEL_RQ)
_BEFORE_VALUE = 12
"""Bytes of a P-DATA-TF with one value before that (PS3.8 9.3.5)."""

_AHEAD_OF_RESPONSES = 16
"""Requests beyond the window that are taken while a response of the peer may be behind them."""


class _Kind(NamedTuple):
    """What requests of one operation and SOP class on one presentation context have in common.

    Attributes:
        command_field: the operation.
        sop_class_uid: the SOP class.
        handlers: those of the endpoint, when this was found.
        service: the name of the handler; empty if there is no such operation.
        context: the presentation context.
        refusal: what all of them are answered with, whatever they bring; None: nothing is against
            them.
        needs_data_set: whether there must be one.
        needs_instance: whether there must be a SOP Instance UID.
        outcome: what those are answered with that are in order; None: that is for the handler.
    """

    command_field: int
    sop_class_uid: str
    handlers: HandlerTable
    service: str
    context: AcceptedContext
    refusal: Outcome | None
    needs_data_set: bool
    needs_instance: bool
    outcome: Outcome | None


class Owner(Protocol):
    """What a flow needs of the Association that it belongs to."""

    @property
    def actor_ref(self) -> SupervisedRef[Any]:
        """Its ref."""

    def send_message(self, pdus: Sequence[bytes | memoryview], serial: int) -> None:
        """Send the PDUs that answer the request `serial`."""

    def answer_association(self, outcome: Outcome, serial: int) -> None:
        """Accept or reject the association."""


def window_of(record: ConnectionRecord, config: EndpointConfig) -> int:
    """Return how many handlers of a connection may run: its negotiated window (PS3.7 D.3.3.3)."""
    if record.negotiated is None:
        return 1
    return min(record.negotiated.max_performed or config.async_window, config.async_window)


class RequestFlow:
    """See the module.

    Args:
        owner: the Association.
        incarnation: the Association's.
        kernel: the endpoint's tables.
        record: the connection's record.
    """

    def __init__(
        self,
        owner: Owner,
        incarnation: Incarnation,
        kernel: EndpointKernel,
        record: ConnectionRecord,
    ) -> None:
        self._owner: Owner = weakref.proxy(owner)  # who holds this
        self._handler = owner.actor_ref  # for as long as a handler runs here
        self._incarnation = incarnation
        self._epoch = incarnation.epoch
        self._kernel = kernel
        self._record = record
        self._assembler = MessageAssembler(())
        self._negotiated: Negotiated | None = None
        self._contexts: dict[int, AcceptedContext] = {}
        self._responses = ResponseEncoder(0, kernel.response_templates)
        self._kinds: dict[int, _Kind] = {}
        self._headers: dict[int, FileMetaHeaders] = {}
        self._window = 1
        self._doomed = False
        self._next_progress = 0

    def open(self, negotiated: Negotiated) -> None:
        """Take messages from now on."""
        self._negotiated = negotiated
        self._contexts = {context.context_id: context for context in negotiated.contexts}
        kernel = self._kernel
        self._assembler = MessageAssembler(
            self._contexts, self._record.partial, shapes=kernel.command_shapes
        )
        self._responses = ResponseEncoder(negotiated.peer_max_pdu_length, kernel.response_templates)
        self._window = window_of(self._record, kernel.config)

    def resume(self, negotiated: Negotiated) -> None:
        """Go on where an incarnation was relieved, or parked."""
        self.open(negotiated)
        step = self._kernel.config.dimse_progress_bytes
        self._next_progress = self._incarnation.received_length + step
        self.await_handlers()

    def recover(self, negotiated: Negotiated) -> None:
        """Go on where an incarnation crashed: settle what cannot go on, keep what can.

        A data set that was being received is lost: its fragments are dropped up to the last, then
        the request fails. So does a request whose handler was about to begin, since it may be
        what caused the crash, or whose handler died with the incarnation. One that runs elsewhere
        is waited for, one with an outcome is answered.
        """
        record = self._record
        phase, self._incarnation.phase = self._incarnation.phase, Phase.WAITING
        self.open(negotiated)
        partial = record.partial
        command = None if partial is None else partial.command
        self._doomed = command is not None and not command.is_response
        receiver = self._incarnation.receiver
        if receiver is not None and all(r.received is not receiver.result for r in record.requests):
            self.abandon()
        self._incarnation.receiver = None
        failed = Outcome(Status.PROCESSING_FAILURE, "the association was restarted")
        for request in record.requests:
            is_cause = phase is Phase.DISPATCH and request.serial == self._incarnation.dispatching
            is_lost = request.stage is Stage.RUNNING and not _is_alive(request.handler)
            if is_lost or (is_cause and request.stage is Stage.QUEUED):
                record.settle(self._epoch, request.serial, failed)
        self.await_handlers()

    @property
    def most_waiting(self) -> int:
        """How many requests may wait, 1 or more; beyond that nothing is taken from the peer."""
        limit = self._kernel.config.async_window
        return limit + _AHEAD_OF_RESPONSES if self._record.awaits_response else limit

    def has_room_for(self, length: int) -> bool:
        """Take room for bytes that have come of a data set; False: they wait, and we are poked."""
        incarnation = self._incarnation
        receiver = incarnation.receiver
        if receiver is None:
            return True
        if receiver.admit(length, self._record.poke):
            incarnation.deadlines.room = None
            return True
        self._kernel.limit_reached("memory_bytes, spool_total_bytes", "a data set waits")
        if incarnation.deadlines.room is None:
            config = self._kernel.config
            incarnation.deadlines.room = self._kernel.clock.monotonic() + config.room_timeout
        incarnation.deadlines.message = incarnation.deadlines.pdu = None
        return False

    def refuse(self) -> None:
        """Wait for room no longer: what comes of the data set is dropped, and A700H answered."""
        self._incarnation.deadlines.room = None
        if self._incarnation.receiver is not None:
            self._incarnation.receiver.refuse(NO_ROOM)
        self._expect_progress()

    def receive(self, pdvs: Sequence[Pdv], consumed: int) -> None:
        """Take the values of one P-DATA-TF.

        Args:
            pdvs: all of them; those that were handled before a restart are skipped.
            consumed: the length of the PDU.

        Raises:
            RemoteProtocolError: the peer's fault.
        """
        record = self._record
        last = len(pdvs) - 1
        if last < 0:
            record.advance(self._epoch, consumed, 0, record.partial)
            return
        for index in range(min(record.pdvs_done, last + 1), last + 1):
            self._incarnation.phase = Phase.CORE
            event = self._assembler.receive(pdvs[index])
            self._incarnation.phase = Phase.WAITING
            done, pdvs_done = (consumed, 0) if index == last else (0, index + 1)
            if type(event) is DataReceived:
                self._receive_data([event.data], done, pdvs_done, is_last=event.is_last)
            elif type(event) is CommandReceived:
                self._receive_command(event.context_id, event.command, done, pdvs_done)
            else:
                if self._incarnation.deadlines.message is None:
                    self._expect_progress()
                record.advance(self._epoch, done, pdvs_done, self._assembler.partial)

    def receive_values(self, values: Values) -> None:
        """Take a message, or a part of one, in PDUs of one value each.

        The data set is left alone if there is no room for it now, or if none was to follow.

        Raises:
            RemoteProtocolError: the peer's fault.
        """
        consumed, context_id, command_set, data, is_last = values
        incarnation, assembler = self._incarnation, self._assembler
        if command_set is not None:
            incarnation.phase = Phase.CORE
            command = assembler.receive_command(context_id, command_set, is_last=True)
            incarnation.phase = Phase.WAITING
            assert command is not None
            length = _BEFORE_VALUE + len(command_set)
            self._receive_command(context_id, command, length, 0)
            consumed -= length
            if not data or assembler.partial is None:
                return
            if not self.has_room_for(consumed - _BEFORE_VALUE * len(data)):
                return
        incarnation.phase = Phase.CORE
        assembler.pass_data(context_id, is_last=is_last)
        incarnation.phase = Phase.WAITING
        self._receive_data(data, consumed, 0, is_last=is_last)

    def abandon(self) -> None:
        """Drop what is being received; nobody is left who would be answered."""
        if self._incarnation.receiver is not None:
            self._incarnation.receiver.abandon()
            self._incarnation.receiver = None

    def flush(self) -> None:
        """Let go of all views of received bytes."""
        receiver = self._incarnation.receiver
        if receiver is not None and receiver.is_writing:
            with self._kernel.watch.while_writing(self._record, self._epoch):
                receiver.flush()

    def _receive_command(
        self, context_id: int, command: Command, consumed: int, pdvs_done: int
    ) -> None:
        record = self._record
        self._incarnation.deadlines.message = None
        if command.command_field & RESPONSE:
            self._receive_response(command)
            if command.has_data_set:
                self._incarnation.received_length = 0
                self._expect_progress()
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
        elif command.command_field == _C_CANCEL_RQ:
            self._cancel(command)
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
        elif command.has_data_set:
            self._begin_data(context_id, command)
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
        else:
            self._complete(context_id, command, None, consumed, pdvs_done)

    def _receive_response(self, command: Command) -> None:
        """Take the answer to a request of ours: a sub-operation of a C-GET, or an event report.

        What is in the Event Reply, nobody wants to know.
        """
        is_report = command.command_field == CommandField.N_EVENT_REPORT_RQ | RESPONSE
        if (command.has_data_set and not is_report) or not self._record.outgoing.answer(
            self._epoch, command
        ):
            raise UnexpectedPduError(
                f"a response {command.command_field:04X}H to a request that was never made"
            )

    def _begin_data(self, context_id: int, command: Command) -> None:
        self._doomed = False
        self._incarnation.received_length = 0
        self._expect_progress()
        assert self._negotiated is not None
        headers = self._headers.get(context_id)
        if headers is None or headers.sop_class_uid != command.sop_class_uid:
            headers = self._headers[context_id] = FileMetaHeaders(
                command.sop_class_uid,
                self._contexts[context_id].transfer_syntax,
                self._negotiated.calling_ae_title,
            )
        self._incarnation.receiver = self._kernel.storage.receiver(
            headers.of(command.sop_instance_uid)
        )

    def _receive_data(
        self,
        fragments: Sequence[bytes | memoryview],
        consumed: int,
        pdvs_done: int,
        *,
        is_last: bool,
    ) -> None:
        record, incarnation = self._record, self._incarnation
        receiver = incarnation.receiver
        if receiver is not None:
            receiver.write(*fragments)
        if not is_last:
            incarnation.received_length += sum(map(len, fragments))
            if incarnation.received_length >= self._next_progress:
                self._expect_progress()
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
            return
        partial = record.partial
        assert partial is not None
        assert partial.command is not None
        if partial.command.command_field & RESPONSE:
            incarnation.deadlines.message = None
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
            return
        if receiver is None:
            received = None
        elif not receiver.is_writing:
            received = receiver.finish()
        else:
            with self._kernel.watch.while_writing(record, self._epoch):
                received = receiver.finish()
        incarnation.deadlines.message = None
        self._complete(partial.context_id, partial.command, received, consumed, pdvs_done)

    def _expect_progress(self) -> None:
        kernel, incarnation = self._kernel, self._incarnation
        timeout = kernel.config.dimse_timeout
        self._next_progress = incarnation.received_length + kernel.config.dimse_progress_bytes
        incarnation.deadlines.message = (
            None if timeout is None else kernel.clock.monotonic() + timeout
        )

    def _cancel(self, command: Command) -> None:
        for request in self._record.requests:
            if request.command is not None and request.command.message_id == command.message_id:
                self._record.cancel(request.serial)
                return
        self._record.ignored_cancels += 1

    def _complete(
        self,
        context_id: int,
        command: Command,
        received: ReceivedObject | None,
        consumed: int,
        pdvs_done: int,
    ) -> None:
        record, kernel = self._record, self._kernel
        handlers, kind = kernel.handlers, self._kinds.get(context_id)
        if (
            kind is None
            or kind.command_field != command.command_field
            or kind.sop_class_uid != command.sop_class_uid
            or kind.handlers is not handlers
        ):
            kind = _kind_of(self._contexts[context_id], command, handlers)
            self._kinds[context_id] = kind
        request = Request(
            next(record.serials),
            kind.service,
            kind.context,
            command,
            received,
            kernel.clock.monotonic(),
        )
        outcome = self._settled_already(kind, command, received)
        if outcome is not None:
            request.stage, request.outcome = Stage.FINISHED, outcome
        record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial, request)
        self._incarnation.receiver = None  # what it received is the request's from now on
        if kernel.is_subscribed and kernel.wants(events.RequestReceived):
            kernel.publish(_received_event(record.id, request))
        self.progress()

    def _settled_already(
        self, kind: _Kind, command: Command, received: ReceivedObject | None
    ) -> Outcome | None:
        """What is answered without a handler; None if there is one to ask."""
        if self._doomed:
            self._doomed = False
            return Outcome(Status.PROCESSING_FAILURE, "the association was restarted")
        if kind.refusal is not None:
            return kind.refusal
        if received is None:
            if kind.needs_data_set:
                return Outcome(Status.MISTYPED_ARGUMENT, "no data set")
        elif received.failure:
            is_large = received.failure.startswith("more than")
            name = "max_object_bytes" if is_large else "storage"
            self._kernel.limit_reached(name, received.failure)
            return Outcome(Status.OUT_OF_RESOURCES, received.failure)
        if kind.needs_instance and not command.sop_instance_uid:
            return Outcome(Status.INVALID_SOP_INSTANCE, "no SOP Instance UID")
        return kind.outcome

    def validate(self) -> None:
        """Ask the ``association_validator``; the answer comes to `Owner.answer_association`."""
        record = self._record
        now = self._kernel.clock.monotonic()
        request = Request(next(record.serials), ASSOCIATION_VALIDATOR, None, None, None, now)
        record.advance(self._epoch, 0, 0, None, request)
        self.progress()

    def progress(self) -> None:
        """Answer what has an outcome, and run the handlers that may.

        In the order of arrival, unless the peer may have several operations outstanding: then
        they are answered as they finish (PS3.7 D.3.3.3).

        Raises:
            StaleIncarnation: the Association was relieved while a handler ran.
        """
        running = 0
        for request in self._record.requests:
            if self._incarnation.is_ending:
                return
            if request.stage is Stage.QUEUED and running < self._window:
                self._dispatch(request)
            if self._record.wanted_abort is not None:
                return  # perhaps by the handler that has just returned: then that is the answer
            if request.stage is Stage.FINISHED:
                self._take_outcome(request)
            else:
                running += 1
                if self._window == 1:
                    return

    def _dispatch(self, request: Request) -> None:
        """Run the handler of a request, once there is room for one more."""
        kernel, incarnation = self._kernel, self._incarnation
        incarnation.dispatching = request.serial
        incarnation.phase = Phase.DISPATCH
        if kernel.handler_slots.take(self._record):
            self._run(request)
            self._dispatched(request)
        else:
            self._wait_for_slot(request)
        incarnation.phase = Phase.WAITING

    def _wait_for_slot(self, request: Request) -> None:
        self._kernel.limit_reached("max_handlers", "requests wait")
        if request.due is None:
            request.due = self._due()
            self.await_handlers()

    def send_posted(self) -> None:
        """Send what others than the handlers of this association have for the peer."""
        if not self._record.awaits_response:
            return
        while (pdus := self._record.outgoing.take_posted(self._epoch)) is not None:
            self._owner.send_message(pdus, serial=0)

    def _due(self) -> float | None:
        timeout = self._kernel.config.handler_timeout
        return None if timeout is None else self._kernel.clock.monotonic() + timeout

    def _run(self, request: Request) -> None:
        kernel, record, epoch = self._kernel, self._record, self._epoch
        watch = kernel.watch
        record.begin(epoch, request, self._handler, self._due())
        watch.begin(record, epoch)
        begun = watch.turns.begin_handler(record, epoch)
        try:
            outcome = Handler(kernel, record, request).run()
            watch.turns.end_handler(record, begun)
            is_owner = record.finish(epoch, request, outcome)
        finally:
            watch.end(record, epoch)
            kernel.handler_slots.give_back()
            if request.received is not None:
                request.received.discard()  # nobody needs it any more: what was kept was renamed
        if not is_owner:
            raise StaleIncarnation("relieved")

    def _dispatched(self, request: Request) -> None:
        """Note that a handler has returned, and its outcome is in the record."""
        request.handler = None

    def await_handlers(self) -> None:
        """Await the first deadline of the handlers that run, and of those that wait for a slot."""
        first = None
        for request in self._record.requests:
            due = request.due
            if due is None or request.stage is Stage.FINISHED:
                continue
            if first is None or due < first:
                first = due
        self._incarnation.deadlines.handler = first

    def late(self) -> None:
        """A deadline has passed: first the handler is warned, then it is given up."""
        record, now = self._record, self._kernel.clock.monotonic()
        for request in record.requests:
            if request.stage is Stage.FINISHED or request.due is None or request.due > now:
                continue
            if request.stage is Stage.QUEUED:
                self._fail(request, "no handler was free in time", Reject.TEMPORARY_CONGESTION)
            elif not request.is_warned:
                grace = now + self._kernel.config.handler_grace
                record.warn(self._epoch, request.serial, grace)
            else:
                self._give_up(request)
        self.await_handlers()

    def _give_up(self, request: Request) -> None:
        self._kernel.limit_reached("handler_timeout", "a handler was given up")
        handler = request.handler
        self._fail(request, TOO_LATE)
        if handler is not None:
            kill(handler)

    def _fail(
        self, request: Request, why: str, reject: Reject = Reject.ACSE_NO_REASON_TRANSIENT
    ) -> None:
        rejected = reject if request.command is None else None
        outcome = Outcome(Status.PROCESSING_FAILURE, why, rejected)
        self._record.settle(self._epoch, request.serial, outcome)

    def _take_outcome(self, request: Request) -> None:
        assert request.outcome is not None
        self._incarnation.phase = Phase.REPLY
        self._answer(request, request.outcome)
        self._replied(request, request.outcome)
        if self._incarnation.deadlines.handler is not None:
            self.await_handlers()
        self._incarnation.phase = Phase.WAITING

    def _answer(self, request: Request, outcome: Outcome) -> None:
        if request.received is not None:
            request.received.discard()
        if request.command is None:
            self._owner.answer_association(outcome, request.serial)
            return
        assert self._negotiated is not None
        assert request.context is not None
        data, context_id = outcome.data, request.context.context_id
        pdus: list[bytes | memoryview] = [
            self._responses.encode(
                context_id,
                request.command,
                outcome.status,
                outcome.comment,
                has_data_set=data is not None,
                more=outcome.more,
            )
        ]
        if data is not None:
            length = self._negotiated.peer_max_pdu_length
            for pdv in fragment(context_id, data, length, is_command=False):
                pdus += p_data_buffers((pdv,))
        self._owner.send_message(pdus, request.serial)

    def _replied(self, request: Request, outcome: Outcome) -> None:
        if request.command is None:
            return
        kernel = self._kernel
        if not kernel.is_subscribed:
            return
        if kernel.wants(events.RequestCompleted):
            self._tell_of(events.RequestCompleted, request, outcome)
        if (
            outcome.status
            and kernel.wants(events.RequestFailed)
            and category_of(outcome.status) is StatusCategory.FAILURE
        ):
            self._tell_of(events.RequestFailed, request, outcome)

    def _tell_of(
        self,
        kind: type[events.RequestCompleted | events.RequestFailed],
        request: Request,
        outcome: Outcome,
    ) -> None:
        assert request.command is not None
        event = kind(
            association_id=self._record.id,
            service=request.service,
            message_id=request.command.message_id,
            status=outcome.status,
            comment=outcome.comment,
            bytes=0 if request.received is None else request.received.length,
            seconds=self._kernel.clock.monotonic() - request.began,
        )
        self._kernel.publish(event)


def _kind_of(context: AcceptedContext, command: Command, handlers: HandlerTable) -> _Kind:
    """Find what there is to know of requests like this one without what they bring."""
    service = SERVICES.get(command.command_field, "")
    refusal = None
    if not service or not command.sop_class_uid:
        refusal = Outcome(Status.UNRECOGNIZED_OPERATION)
    elif (misfit := _misfit(context, command)) is not None:
        refusal = Outcome(misfit, "not of the presentation context")
    return _Kind(
        command.command_field,
        command.sop_class_uid,
        handlers,
        service,
        context,
        refusal,
        service in _WITH_DATA_SET,
        service in _OF_INSTANCES,
        _outcome_without_handler(service, context, handlers),
    )


def _misfit(context: AcceptedContext, command: Command) -> int | None:
    """Return what refuses a request that is not for its presentation context."""
    syntax = context.abstract_syntax
    mismatch = context_mismatch(command, syntax)
    if mismatch is not None:
        return mismatch
    # A handler need not be able to refuse these two: some keep whatever comes, and an echo has
    # none. Another service that the class has not is for its handler to refuse.
    if command.command_field == CommandField.C_STORE_RQ:
        return operation_mismatch(command.command_field, syntax)
    if command.command_field == CommandField.C_ECHO_RQ:
        is_for_it = operation_mismatch(command.command_field, syntax) is None
        return None if is_for_it else Status.SOP_CLASS_NOT_SUPPORTED
    return None


def _outcome_without_handler(
    service: str, context: AcceptedContext, handlers: HandlerTable
) -> Outcome | None:
    """Return what answers a request that is in order and has no handler; None if it has one."""
    if service not in handlers:
        # Verification needs no handler: to answer it is all there is to it (PS3.4 A.4).
        if service == "cecho":
            return Outcome()
        if service.startswith("n"):
            # The SOP class is, by another of its services.
            return Outcome(Status.UNRECOGNIZED_OPERATION, "no handler")
        return Outcome(Status.SOP_CLASS_NOT_SUPPORTED, "no handler")
    if service == "cstore" and not context.as_scp:
        return Outcome(Status.SOP_CLASS_NOT_SUPPORTED, "accepted for C-GET alone")
    return None


def _is_alive(handler: SupervisedRef[Any] | None) -> bool:
    return handler is not None and handler.is_alive()


def _received_event(association_id: int, request: Request) -> events.RequestReceived:
    assert request.command is not None
    return events.RequestReceived(
        association_id=association_id,
        service=request.service,
        message_id=request.command.message_id,
        sop_class_uid=request.command.sop_class_uid,
        sop_instance_uid=request.command.sop_instance_uid,
        bytes=0 if request.received is None else request.received.length,
    )
