"""The way of a request through an association: received, dispatched, answered.

Belongs to one incarnation of an Association and runs in its thread. What must survive it stands
in the connection record. PS3.7 chapters 6 and 9.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from dicom_actors import events
from dicom_actors.actors.association.handler_pool import HandlerPool
from dicom_actors.actors.connection.request import Outcome, Request, Stage
from dicom_actors.actors.connection.tenure import Phase
from dicom_actors.actors.handlers.table import ASSOCIATION_VALIDATOR, SERVICES
from dicom_actors.data.file_meta import file_meta_header
from dicom_actors.dimse import (
    Command,
    CommandField,
    CommandReceived,
    DataReceived,
    MessageAssembler,
    Status,
    encode_response,
    fragment_message,
)
from dicom_actors.dimse.command import RESPONSE
from dicom_actors.errors import UnexpectedPduError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pykka import ActorRef

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.tenure import Tenure
    from dicom_actors.actors.endpoint.kernel import EndpointKernel
    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.pdu import Pdv
    from dicom_actors.upper_layer import Negotiated

__all__ = ["RequestFlow"]

_WITH_DATA_SET = frozenset({"cstore", "cfind", "cget", "cmove", "nset"})
_OF_INSTANCES = frozenset({"cstore", "nset", "nget", "ndelete", "naction", "nevent_report"})

_PROGRESS_BYTES = 1 << 20
"""A message that is being received must grow by this much within the DIMSE time-out."""


_AHEAD_OF_RESPONSES = 16
"""Requests beyond the window that are taken while a response of the peer may be behind them."""


class Owner(Protocol):
    """What a flow needs of the Association that it belongs to."""

    @property
    def actor_ref(self) -> ActorRef[Any]:
        """Its ref."""

    def send_message(self, pdvs: Iterable[Pdv], serial: int) -> None:
        """Send the message that answers the request `serial`."""

    def answer_association(self, outcome: Outcome, serial: int) -> None:
        """Accept or reject the association."""


class RequestFlow:
    """See the module.

    Args:
        owner: the Association.
        tenure: the Association's.
        kernel: the endpoint's tables.
        record: the connection's record.

    Attributes:
        pool: the connection's Handlers.
    """

    def __init__(
        self, owner: Owner, tenure: Tenure, kernel: EndpointKernel, record: ConnectionRecord
    ) -> None:
        self._owner = owner
        self._tenure = tenure
        self._epoch = tenure.epoch
        self._kernel = kernel
        self._record = record
        self._assembler = MessageAssembler(())
        self._negotiated: Negotiated | None = None
        self._syntaxes: dict[int, str] = {}
        self.pool = HandlerPool(owner.actor_ref, tenure, kernel, record)
        self._doomed = False
        self._next_progress = 0

    def open(self, negotiated: Negotiated) -> None:
        """Take messages from now on."""
        self._negotiated = negotiated
        self._syntaxes = {c.context_id: c.transfer_syntax for c in negotiated.contexts}
        self._assembler = MessageAssembler(self._syntaxes, self._record.partial)

    def take_over(self, negotiated: Negotiated) -> None:
        """Go on where an incarnation crashed: settle what cannot go on, keep what can.

        A data set that was being received is lost: its fragments are dropped up to the last, then
        the request fails. A request that was being handed over fails, since it may be what caused
        the crash. One that a live Handler has is waited for, one with an outcome is answered.
        """
        record = self._record
        phase, self._tenure.phase = self._tenure.phase, Phase.WAITING
        self.open(negotiated)
        partial = record.partial
        self._doomed = partial is not None and partial.command is not None
        receiver = self._tenure.receiver
        if receiver is not None and all(r.received is not receiver.result for r in record.requests):
            self.abandon()
        self._tenure.receiver = None
        self.pool.take_over(phase)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be taken from the peer for now."""
        limit = self._kernel.config.async_window
        if self._record.invocations:
            limit += _AHEAD_OF_RESPONSES
        return len(self._record.requests) > limit

    @property
    def is_idle(self) -> bool:
        """Whether no request waits for its answer."""
        return not self._record.requests

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
            self._tenure.phase = Phase.CORE
            event = self._assembler.receive(pdvs[index])
            self._tenure.phase = Phase.WAITING
            done, pdvs_done = (consumed, 0) if index == last else (0, index + 1)
            if type(event) is DataReceived:
                self._receive_data(event, done, pdvs_done)
            elif type(event) is CommandReceived:
                self._receive_command(event, done, pdvs_done)
            else:
                if self._tenure.deadlines.message is None:
                    self._expect_progress()
                record.advance(self._epoch, done, pdvs_done, self._assembler.partial)

    def abandon(self) -> None:
        """Drop what is being received; nobody is left who would be answered."""
        if self._tenure.receiver is not None:
            self._tenure.receiver.abandon()
            self._tenure.receiver = None

    def flush(self) -> None:
        """Let go of all views of received bytes."""
        if self._tenure.receiver is not None:
            self._tenure.receiver.flush()

    def _receive_command(self, event: CommandReceived, consumed: int, pdvs_done: int) -> None:
        record, command = self._record, event.command
        self._tenure.deadlines.message = None
        if self._kernel.faults is not None:
            self._kernel.faults.hit("association.command")
        if command.is_response:
            self._receive_response(command)
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
        elif command.command_field == CommandField.C_CANCEL_RQ:
            self._cancel(command)
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
        elif command.has_data_set:
            self._begin_data(event.context_id, command)
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
        else:
            self._complete(event.context_id, command, None, consumed, pdvs_done)

    def _receive_response(self, command: Command) -> None:
        """Take the answer to a sub-operation of a C-GET, the one request that we make."""
        is_store = command.command_field == CommandField.C_STORE_RQ | RESPONSE
        if (
            not is_store
            or command.has_data_set
            or not self._record.invocations.answer(self._epoch, command)
        ):
            raise UnexpectedPduError(
                f"a response {command.command_field:04X}H to a request that was never made"
            )

    def _begin_data(self, context_id: int, command: Command) -> None:
        self._doomed = False
        self._tenure.received_length = 0
        self._expect_progress()
        assert self._negotiated is not None
        self._tenure.receiver = self._kernel.storage.receiver(
            file_meta_header(
                command.sop_class_uid,
                command.sop_instance_uid,
                self._syntaxes[context_id],
                source_ae_title=self._negotiated.calling_ae_title,
            )
        )

    def _receive_data(self, event: DataReceived, consumed: int, pdvs_done: int) -> None:
        record = self._record
        if self._kernel.faults is not None:
            self._kernel.faults.hit("association.fragment")
        self._tenure.received_length += len(event.data)
        if self._tenure.receiver is not None:
            self._tenure.receiver.write(event.data)
        if not event.is_last:
            if self._tenure.received_length >= self._next_progress:
                self._expect_progress()
            record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial)
            return
        partial, receiver = record.partial, self._tenure.receiver
        assert partial is not None
        assert partial.command is not None
        received = None if receiver is None else receiver.finish()
        self._tenure.deadlines.message = None
        self._complete(partial.context_id, partial.command, received, consumed, pdvs_done)

    def _expect_progress(self) -> None:
        timeout = self._kernel.config.dimse_timeout
        self._next_progress = self._tenure.received_length + _PROGRESS_BYTES
        self._tenure.deadlines.message = (
            None if timeout is None else self._kernel.clock.monotonic() + timeout
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
        record = self._record
        if self._kernel.faults is not None:
            self._kernel.faults.hit("association.complete")
        request = Request(
            serial=record.next_serial(),
            service=SERVICES.get(command.command_field, ""),
            context_id=context_id,
            command=command,
            received=received,
            began=self._kernel.clock.monotonic(),
        )
        outcome = self._settled_already(request)
        if outcome is not None:
            request = replace(request, stage=Stage.FINISHED, outcome=outcome)
        record.advance(self._epoch, consumed, pdvs_done, self._assembler.partial, request)
        self._tenure.receiver = None  # what it received is the request's from now on
        if self._kernel.has_subscribers:
            self._kernel.publish(_received_event(record.id, request))
        self.progress()

    def _settled_already(self, request: Request) -> Outcome | None:
        """What is answered without a handler; None if there is one to ask."""
        if self._doomed:
            self._doomed = False
            return Outcome(Status.PROCESSING_FAILURE, "the association was restarted")
        assert request.command is not None
        if not request.service or not request.command.sop_class_uid:
            return Outcome(Status.UNRECOGNIZED_OPERATION)
        if request.received is not None and request.received.failure:
            self._kernel.limit_reached("max_object_bytes", request.received.failure)
            return Outcome(Status.OUT_OF_RESOURCES, request.received.failure)
        if request.service in _WITH_DATA_SET and request.received is None:
            return Outcome(Status.MISTYPED_ARGUMENT, "no data set")
        if request.service in _OF_INSTANCES and not request.command.sop_instance_uid:
            return Outcome(Status.INVALID_SOP_INSTANCE, "no SOP Instance UID")
        if request.service not in self._kernel.handlers:
            # Verification needs no handler: to answer it is all there is to it (PS3.4 A.4).
            if request.service == "cecho":
                return Outcome()
            if request.service.startswith("n"):
                # The SOP class is, by another of its services.
                return Outcome(Status.UNRECOGNIZED_OPERATION, "no handler")
            return Outcome(Status.SOP_CLASS_NOT_SUPPORTED, "no handler")
        if request.service == "cstore" and not self._may_perform(request.context_id):
            return Outcome(Status.SOP_CLASS_NOT_SUPPORTED, "accepted for C-GET alone")
        return None

    def _may_perform(self, context_id: int) -> bool:
        """Whether the peer was accepted as a user of that presentation context."""
        assert self._negotiated is not None
        return any(c.as_scp for c in self._negotiated.contexts if c.context_id == context_id)

    def validate(self) -> None:
        """Ask the ``association_validator``; the answer comes to `Owner.answer_association`."""
        record = self._record
        request = Request(
            serial=record.next_serial(),
            service=ASSOCIATION_VALIDATOR,
            context_id=0,
            command=None,
            received=None,
            began=self._kernel.clock.monotonic(),
        )
        record.advance(self._epoch, 0, 0, None, request)
        self.progress()

    def progress(self) -> None:
        """Answer what has an outcome, and hand over what may be.

        In the order of arrival, unless the peer may have several operations outstanding: then
        they are answered as they finish (PS3.7 D.3.3.3).
        """
        in_order = self.pool.capacity == 1
        for request in self._record.requests:
            if self._tenure.is_ending:
                return
            if request.stage is Stage.FINISHED:
                self._answer(request)
                continue
            if request.stage is Stage.QUEUED:
                self.pool.dispatch(request)
            if in_order:
                return

    def _answer(self, request: Request) -> None:
        record, outcome = self._record, request.outcome
        assert outcome is not None
        self._tenure.phase = Phase.REPLY
        if self._kernel.faults is not None:
            self._kernel.faults.hit("association.reply")
        if request.received is not None:
            # Nobody needs it any more: what was kept was renamed.
            request.received.discard()
        if request.command is None:
            self._owner.answer_association(outcome, request.serial)
        else:
            assert self._negotiated is not None
            pdvs = fragment_message(
                request.context_id,
                encode_response(
                    request.command,
                    outcome.status,
                    outcome.comment,
                    has_data_set=outcome.data is not None,
                    more=outcome.more,
                ),
                outcome.data,
                self._negotiated.peer_max_pdu_length,
            )
            self._owner.send_message(pdvs, request.serial)
            if self._kernel.faults is not None:
                self._kernel.faults.hit("association.replied")
            if self._kernel.has_subscribers:
                now = self._kernel.clock.monotonic()
                self._kernel.publish(_completed_event(record.id, request, outcome, now))
        self.pool.await_handlers()
        self._tenure.phase = Phase.WAITING


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


def _completed_event(
    association_id: int, request: Request, outcome: Outcome, now: float
) -> events.RequestCompleted:
    assert request.command is not None
    return events.RequestCompleted(
        association_id=association_id,
        service=request.service,
        message_id=request.command.message_id,
        status=outcome.status,
        comment=outcome.comment,
        bytes=0 if request.received is None else request.received.length,
        seconds=now - request.began,
    )
