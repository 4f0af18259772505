"""The Association: feeds the protocol core of one connection and carries out its effects.

Its inbox is its mailbox and its socket at once: whichever is ready comes out as the next message.
It decides nothing about the protocol (`upper_layer` does), and owns nothing that a crash must not
lose (the connection record does). It runs handlers in its own thread; when one of them takes long,
the next incarnation of the Association has the connection already, and this one ends with it. When
there is nothing to do for a while it ends, too, and the connection is parked with the Watcher.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dicom_actors import events
from dicom_actors.actors.association.aborting import abort_at_once, farewell_to
from dicom_actors.actors.association.opening import Opening, cause_of
from dicom_actors.actors.association.requests import RequestFlow
from dicom_actors.actors.connection.incarnation import Phase
from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.connection.record import StaleIncarnation
from dicom_actors.actors.connection.signals import LOOK
from dicom_actors.actors.connection.soundness import why_not_adoptable
from dicom_actors.errors import LocalProtocolError, RemoteProtocolError
from dicom_actors.pdu import describe_abort
from dicom_actors.supervision import (
    Continue,
    ExitReason,
    SocketInbox,
    SocketReady,
    SupervisedActor,
)
from dicom_actors.upper_layer import (
    Aborted,
    AbortRequest,
    AssociateAccept,
    AssociateIndication,
    AssociateReject,
    CloseTransport,
    DataIndication,
    Indicate,
    ReleaseIndication,
    ReleaseResponse,
    Role,
    Send,
    StartArtim,
    State,
    StopArtim,
    UpperLayer,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

    from dicom_actors.actors.connection.incarnation import Incarnation
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Outcome
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.pdu import AssociateRq
    from dicom_actors.upper_layer import Effect, Effects, Negotiated

__all__ = ["Association"]

_logger = logging.getLogger(__name__)


class Association(SupervisedActor):
    """One incarnation of the association on the connection of `record`."""

    def __init__(self, kernel: EndpointKernel, record: ConnectionRecord) -> None:
        self._sockets = SocketInbox()
        super().__init__()
        self._kernel = kernel
        self._record = record
        self._incarnation: Incarnation
        self._epoch = 0
        self._limits = kernel.upper_layer_limits
        self._machine = UpperLayer(Role.ACCEPTOR, self._limits, kernel.known_requests)
        self._flow: RequestFlow
        self._opening: Opening
        self._release_length = 0
        self._is_discarding = self._is_over = self._wants_write = False
        self._watched = (True, False)
        self._patience: float | None = None

    def create_inbox(self) -> SocketInbox:
        """Give the inbox that is the socket, too."""
        return self._sockets

    def init(self) -> Any:
        """Become the owner of the connection. Runs in the Association's thread."""
        self._incarnation = self._record.adopt(self.actor_ref)
        self._epoch = self._incarnation.epoch
        self._flow = RequestFlow(self, self._incarnation, self._kernel, self._record)
        self._opening = Opening(self._incarnation, self._kernel, self._record)
        return Continue(None)

    def handle_continue(self, term: Any) -> None:  # noqa: ARG002 - the hook's signature
        """Begin, or go on where the last incarnation ended."""
        try:
            self._take_charge()
            if not self._is_over:
                self._look()
        except StaleIncarnation:
            self._step_down()

    def _take_charge(self) -> None:
        record, incarnation = self._record, self._incarnation
        if record.is_closed:
            self._over("connection lost")
        elif self._kernel.tls is not None and self._opening.wants_tls:
            self._begin_tls(self._kernel.tls)
        else:
            self._sockets.register(record.transport.socket, token=record.id)
            if incarnation.is_restart:
                self._recover()
            elif incarnation.is_ending:
                self._is_discarding = True
            elif record.negotiated is not None:
                self._machine = UpperLayer.resume(record.negotiated, self._limits)
                self._flow.resume(record.negotiated)
            elif incarnation.association_rq is not None:
                self._machine = UpperLayer.asked(
                    incarnation.association_rq, self._limits, self._kernel.known_requests
                )
            else:
                self._machine.connected()  # ARTIM runs since the connection was accepted
            if self._is_discarding or not self._is_paused:
                self._read()

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        try:
            self._opening.begin_tls(context)
        except OSError as error:
            self._over("connection lost", f"TLS: {cause_of(error)}")
            return
        self._sockets.register(self._record.transport.socket, token=self._record.id)
        self._go_on_with_tls()

    def _go_on_with_tls(self) -> None:
        try:
            waits_for = self._opening.go_on_with_tls()
        except OSError as error:
            self._over("connection lost", f"TLS: {cause_of(error)}")
            return
        write = self._wants_write = waits_for == "write"
        self._sockets.modify(self._record.transport.socket, read=not write, write=write)
        if waits_for == "done":
            self._carry_out(self._machine.connected())
            self._read()  # what came with the last message of the handshake

    def _recover(self) -> None:
        record = self._record
        reason = why_not_adoptable(record)
        if reason or record.negotiated is None:
            self._say_goodbye(reason)
            return
        self._machine = UpperLayer.resume(record.negotiated, self._limits)
        self._flow.recover(record.negotiated)

    def terminate(self, reason: ExitReason) -> None:
        """Abort the association if the whole endpoint ends; a crash leaves all to the record."""
        if not self._is_over and reason.kind == "shutdown":
            kernel = self._kernel
            abort_at_once(self._record, self._epoch, self._machine, kernel.abort_source)
            self._end("aborted", "the endpoint stopped")

    def handle_info(self, message: Any) -> None:
        """Take a ready socket."""
        if self._is_over:
            return
        record, turns = self._record, self._kernel.watch.turns
        turns.take(record, self._epoch)
        try:
            self._on_socket(message)
            if not self._is_over:
                self._settle()
        except StaleIncarnation:
            self._step_down()
        finally:
            turns.give_back(record, self._epoch)

    def handle_cast(self, message: Any) -> None:
        """Take that there is something to look at in the record."""
        if message is not LOOK:
            super().handle_cast(message)
        elif not self._is_over:
            try:
                self._look()
            except StaleIncarnation:
                self._step_down()

    def handle_idle(self) -> None:
        """Give up the thread: nothing came for a while."""
        record, kernel = self._record, self._kernel
        try:
            if (
                self._is_over
                or self._wants_write
                or not record.park(self._epoch, kernel.attendance.attend)
            ):
                return
        except StaleIncarnation:
            self._step_down()
            return
        read = self._is_discarding or not self._is_paused
        self._let_go()
        kernel.attendance.leave(record)
        kernel.watch.arm(record, read=read, write=record.has_output)
        self.exit(ExitReason.NORMAL)

    def _look(self) -> None:
        """Take what others have noted in the record."""
        record = self._record
        record.looked()
        wanted = record.wanted_abort
        if wanted is not None and not self._incarnation.is_ending:
            self._abort(wanted.source, 0, wanted.detail)
        if not self._is_over:
            self._on_deadline()
        if not self._is_over:
            if record.has_output:
                self._send_more()
            self._flow.send_posted()
        if not self._is_over:
            self._flow.await_handlers()
            self._flow.progress()
            self._consume()
        if not self._is_over:
            self._settle()

    def _settle(self) -> None:
        """See, after everything that has happened, what is awaited now."""
        if self._release_length:
            self._try_release()
        if self._is_over:
            return
        self._kernel.set_timer(self._record)
        patience = self._kernel.attendance.patience
        if patience != self._patience:
            self._sockets.patience = self._patience = patience

    def _on_socket(self, ready: SocketReady) -> None:
        if self._incarnation.deadlines.handshake is not None:
            self._go_on_with_tls()
            return
        if ready.hangup and self._is_paused:
            # Whoever is gone wants no answers to what he sent ahead.
            self._end_of_stream(None)
            return
        if ready.writable:
            self._send_more()
        if ready.readable or ready.hangup:
            self._read()

    def _read(self) -> None:
        record = self._record
        try:
            length = record.receive(self._epoch)
        except OSError as error:
            self._end_of_stream(error)
            return
        if length is None:
            return
        if length == 0:
            self._end_of_stream(None)
        elif self._is_discarding:
            record.discard_input(self._epoch)
        else:
            self._consume()

    def _end_of_stream(self, error: OSError | None) -> None:
        if self._is_over:
            return
        if not self._is_discarding:
            self._carry_out(self._machine.receive_eof())
        self._over("connection lost", "" if error is None else cause_of(error))

    def _consume(self) -> None:
        """Handle the whole PDUs that are there, as far as requests may be taken."""
        record, machine, incarnation = self._record, self._machine, self._incarnation
        received = record.input
        while received.unread_length and not (
            self._is_over or self._is_discarding or self._is_paused
        ):
            view = received.unread
            incarnation.phase = Phase.CORE
            values = machine.receive_values(view)
            effects: Effects = ()
            if values is not None:
                consumed = values.consumed
            else:
                consumed, effects = machine.receive_data(view)
                if not consumed:
                    incarnation.phase = Phase.WAITING
                    self._flow.has_room_for(machine.awaited_data(view))
                    break  # and be paused until there is room for the rest
            if incarnation.receiver is not None:
                length = _data_length_of(effects) if values is None else sum(map(len, values.data))
                if not self._flow.has_room_for(length):
                    incarnation.phase = Phase.WAITING
                    break  # and be paused until there is
            record.pdu_log.received(view, consumed, self._kernel)
            self._leave_core()
            if values is None:
                self._take_effects(effects, consumed)
                continue
            try:
                self._flow.receive_values(values)
            except RemoteProtocolError as error:
                self._carry_out(machine.fail(error))
        if not self._is_over:
            if incarnation.receiver is not None:
                self._flow.flush()
            if not received.pool.is_plentiful:
                record.settle_input(self._epoch)
            self._await_more()

    @property
    def _is_paused(self) -> bool:
        """Whether nothing more is to be taken from the peer for now: requests, or data for them."""
        if self._incarnation.is_ending:
            return False
        record = self._record
        if self._release_length or record.transport.unsent:
            return True
        receiver, waiting = self._incarnation.receiver, len(record.requests)
        if receiver is not None and receiver.is_waiting:
            return True
        return waiting > 1 and waiting > self._flow.most_waiting

    def _await_more(self) -> None:
        record, kernel, is_paused = self._record, self._kernel, self._is_paused
        self._watch(read=self._is_discarding or not is_paused)
        has_begun, is_within = record.input.unread_length > 0, record.partial is not None
        self._incarnation.deadlines.await_input(
            kernel.clock.monotonic(),
            kernel.config,
            has_begun=has_begun and not is_paused,
            is_idle=not is_within and not record.requests,
        )
        if has_begun or is_within:
            # Else our response has told that all of it came.
            record.transport.acknowledge_quickly()

    def _leave_core(self) -> None:
        self._incarnation.phase = Phase.WAITING
        self._incarnation.deadlines.pdu = None

    def _take_effects(self, effects: Effects, consumed: int) -> None:
        """Take what one PDU came to."""
        first = effects[0] if effects else None
        indication = first.indication if type(first) is Indicate else None
        if type(indication) is DataIndication:
            try:
                self._flow.receive(indication.pdvs, consumed)
            except RemoteProtocolError as error:
                self._carry_out(self._machine.fail(error))
            return
        if type(indication) is ReleaseIndication:
            self._release_length = consumed
            self._record.expect_no_answers()  # whoever asked for the release answers nothing more
            self._try_release()
            return
        self._record.advance(self._epoch, consumed, 0, self._record.partial)
        self._carry_out(effects)

    def _carry_out(self, effects: Iterable[Effect], serial: int = 0) -> None:
        if self._machine.state is State.STA13 and not self._incarnation.is_ending:
            self._record.mute(self._epoch)
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect.buffers, serial)
            elif isinstance(effect, Indicate):
                self._on_indication(effect.indication)
            elif isinstance(effect, StartArtim):
                self._start_artim()
            elif isinstance(effect, StopArtim):
                self._incarnation.deadlines.artim = None
            elif isinstance(effect, CloseTransport):
                self._over("aborted by peer")
        if (
            self._machine.state is State.STA13
            and not self._incarnation.is_ending
            and not self._is_over
        ):
            error = self._machine.error
            self._incarnation.note_end("refused", "" if error is None else str(error))
            self._begin_ending()

    def _on_indication(self, indication: Any) -> None:
        if isinstance(indication, AssociateIndication):
            self._on_request(indication.rq)
        elif isinstance(indication, Aborted):
            if indication.connection_lost:
                self._incarnation.note_end("connection lost", "")
            elif indication.error is None:
                self._incarnation.note_end("aborted by peer", describe_abort(*indication[:2]))
            else:
                self._incarnation.note_end("aborted", str(indication.error))

    def _on_request(self, rq: AssociateRq) -> None:
        answer = self._opening.decide(rq)
        if answer is None:
            self._flow.validate()
        else:
            self._answer_request(answer, serial=0)

    def answer_association(self, outcome: Outcome, serial: int) -> None:
        """Accept or reject the association, as the validator said."""
        self._answer_request(self._opening.conclude(outcome), serial)

    def _answer_request(self, answer: AssociateAccept | AssociateReject, serial: int) -> None:
        if isinstance(answer, AssociateReject):
            self._incarnation.note_end("rejected", answer.reject.sentence)
            self._carry_out(self._machine.request(answer), serial)
            return
        effects = self._machine.request(answer)
        agreement = self._machine.negotiated
        assert agreement is not None
        self._flow.open(agreement)
        for effect in effects:
            assert isinstance(effect, Send)
            self._send(effect.buffers, serial, agreement=agreement)
        if self._kernel.wants(events.AssociationOpened):
            self._kernel.publish(events.AssociationOpened(association_info(self._record)))

    def _try_release(self) -> None:
        if not self._release_length or self._record.requests or self._is_over:
            return
        self._release()

    def _release(self) -> None:
        consumed, self._release_length = self._release_length, 0
        self._incarnation.note_end("released", "")
        for effect in self._machine.request(ReleaseResponse()):
            if isinstance(effect, Send):
                self._send(effect.buffers, consumed=consumed)
            else:
                self._carry_out((effect,))
        self._begin_ending()

    def _abort(self, source: int, reason: int, detail: str) -> None:
        self._incarnation.note_end("aborted", detail)
        try:
            effects = self._machine.request(AbortRequest(source=source, reason=reason))
        except LocalProtocolError:
            self._over("aborted", detail)  # nothing was asked yet, so there is nobody to tell
            return
        self._carry_out(effects)

    def send_message(self, pdus: Sequence[bytes | memoryview], serial: int) -> None:
        """Send the message that answers the request `serial`, in one write."""
        if not self._machine.may_send_data:
            raise LocalProtocolError(f"a response in {self._machine.state}")
        self._send(pdus, serial)

    def _send(
        self,
        buffers: Sequence[bytes | memoryview],
        serial: int = 0,
        *,
        consumed: int = 0,
        agreement: Negotiated | None = None,
    ) -> None:
        """Send whole PDUs; what the socket does not take waits in the record."""
        record = self._record
        record.pdu_log.sent(buffers, self._kernel)
        try:
            done = record.send(self._epoch, buffers, serial, consumed, agreement)
        except OSError as error:
            self._end_of_stream(error)
            return
        if not done:
            self._await_writable()

    def _await_writable(self) -> None:
        now, unsent = self._kernel.clock.monotonic(), self._record.transport.unsent
        self._incarnation.deadlines.await_output(now, self._kernel.config, unsent)
        self._watch(read=self._is_discarding or not self._is_paused)

    def _send_more(self) -> None:
        record = self._record
        try:
            done = record.flush(self._epoch)
        except OSError as error:
            self._end_of_stream(error)
            return
        if done:
            self._incarnation.deadlines.write = None
            if self._incarnation.is_ending and self._incarnation.end_reason != "released":
                record.stop_sending(self._epoch)
            self._consume()  # which was held back while the peer did not read
        else:
            self._await_writable()

    def _watch(self, *, read: bool) -> None:
        """Ask for what this association waits for: a peer that oversends is not read."""
        transport = self._record.transport
        wish = (read, transport.unsent > 0)
        if wish != self._watched:
            self._watched = wish
            self._sockets.modify(transport.socket, read=read, write=wish[1])

    def _start_artim(self) -> None:
        timeout = self._kernel.config.artim_timeout
        self._incarnation.deadlines.artim = self._kernel.clock.monotonic() + timeout

    def _on_deadline(self) -> None:
        due = self._incarnation.deadlines.due(self._kernel.clock.monotonic())
        if due == "handler":
            self._flow.late()
            self._flow.progress()
        elif due == "room":
            self._flow.refuse()
        elif due in {"pdu", "message", "idle"}:
            self._abort(source=2, reason=0, detail=f"{due}_timeout")
        elif due is not None:
            self._over("timed out", f"{due}_timeout")

    def _begin_ending(self) -> None:
        """Nothing more is sent; wait for the peer to close, or for ARTIM."""
        record, incarnation = self._record, self._incarnation
        incarnation.is_ending = True
        record.expect_no_answers()
        self._kernel.callers.leave(record)
        incarnation.deadlines.await_end()
        if self._incarnation.end_reason != "released":
            # Else closing, with unread input, would send a reset and destroy what we said last.
            self._flow.abandon()
            if not record.has_output:
                record.stop_sending(self._epoch)
        self._watch(read=self._is_discarding or not self._is_paused)

    def _say_goodbye(self, why: str) -> None:
        """End what cannot go on after a crash: A-ABORT, or A-ASSOCIATE-RJ before acceptance."""
        record = self._record
        record.mute(self._epoch)
        report = record.pdu_log.report(record.input.unread)
        text = "connection %d ends: %s; its last PDUs:\n%s"
        self._kernel.system.log.write(_logger, logging.ERROR, text, record.id, why, report)
        self._incarnation.note_end("aborted", why)
        self._incarnation.deadlines.clear()
        self._start_artim()
        self._is_discarding = True
        record.discard_input(self._epoch)
        if not self._incarnation.is_ending:
            self._send((farewell_to(record),))
        if not self._is_over:
            self._begin_ending()

    def _over(self, reason: str, detail: str = "") -> None:
        if not self._is_over:
            self._end(reason, detail)
            self.exit(ExitReason.NORMAL)

    def _end(self, reason: str, detail: str) -> None:
        self._incarnation.note_end(reason, detail)
        self._let_go()
        self._kernel.remove_connection(self._record, self._epoch)

    def _step_down(self) -> None:
        """Leave the connection to whoever has it now, or has closed it."""
        self._let_go()
        if self._record.is_closed:
            self._kernel.remove_connection(self._record)
        self.exit(ExitReason.NORMAL)

    def _let_go(self) -> None:
        self._is_over = True
        self._sockets.unregister(self._record.transport.socket)


def _data_length_of(effects: Effects) -> int:
    """Return how many bytes of a data set a PDU has brought."""
    first = effects[0] if effects else None
    indication = first.indication if type(first) is Indicate else None
    if type(indication) is not DataIndication:
        return 0
    return sum([len(pdv.data) for pdv in indication.pdvs if not pdv.is_command])
