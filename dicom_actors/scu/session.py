"""An association that is asked for anew when other presentation contexts are wanted.

Below the services of `association` and above the messages of `channel`: presentation contexts,
Message IDs, requests and their responses, and what a peer asks of us. PS3.7 7.5, 8.1.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Final, Self

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary import uid_entry
from dicom_actors.dimse import (
    Command,
    CommandField,
    Status,
    encode_cancel,
    encode_request,
    encode_response,
)
from dicom_actors.errors import (
    AssociationError,
    DicomError,
    LocalProtocolError,
    TransportError,
    UnexpectedPduError,
)
from dicom_actors.pdu import AssociateRq, AsyncWindow, UserInformation
from dicom_actors.scu.channel import Channel
from dicom_actors.scu.event_reports import EventReport, event_report_of
from dicom_actors.scu.running import service_name
from dicom_actors.scu.tcp import connect_tcp
from dicom_actors.storage.contexts import Proposals, default_contexts
from dicom_actors.transport.plain import SocketTransport
from dicom_actors.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dicom_actors.dimse.pieces import Piece
    from dicom_actors.pdu import AssociateAc
    from dicom_actors.scu.channel import Message
    from dicom_actors.scu.running import Running
    from dicom_actors.scu.settings import Deadline, Settings
    from dicom_actors.storage.contexts import ProposedContext
    from dicom_actors.transport.plain import Transport
    from dicom_actors.upper_layer import AcceptedContext

__all__ = ["Session"]

_logger = logging.getLogger(__name__)

_RESPONSE: Final = 0x8000
_PENDING: Final = frozenset({Status.PENDING, Status.PENDING_WITH_WARNING})


class Session:
    """See the module.

    Args:
        settings: whom to connect to, and how.
        contexts: what to propose; None: what is needed, when it is needed.
        on_event_report: answers what the peer reports; None: there is nobody to ask.
        is_automatic: whether the association is asked for anew with what else is needed; None: if
            no contexts are given.
    """

    def __init__(
        self,
        settings: Settings,
        contexts: Iterable[ProposedContext] | None,
        on_event_report: Callable[[EventReport], int | None] | None = None,
        *,
        is_automatic: bool | None = None,
    ) -> None:
        self.settings = settings
        self.acceptance: AssociateAc | None = None
        self.running: Running | None = None
        self.is_automatic = contexts is None if is_automatic is None else is_automatic
        self._is_interrupted = False
        self._gives_up = threading.Event()
        self._connecting: socket.socket | None = None
        self._proposals = Proposals(default_contexts() if contexts is None else contexts)
        self._on_event_report = on_event_report
        self._last_message_id = 0
        self._event_reports = 0
        self.channel = Channel(settings, self._open_transport)

    def open(self) -> Self:
        """Connect and associate.

        Raises:
            AssociationError: it did not come about.
        """
        self._associate()
        return self

    @property
    def is_open(self) -> bool:
        """Whether the association is established, as far as is known."""
        return self.channel.is_open

    def release(self) -> None:
        """Release the association; an operation that runs is cancelled before.

        Raises:
            AssociationError: the peer did not agree to it.
        """
        self.give_up()
        if self.channel.is_open:
            self.finish_running()
            self.channel.release()

    def abort(self) -> None:
        """End the association at once."""
        self.give_up()
        self.channel.abort()

    def interrupt(self) -> None:
        """Make whoever waits for the peer, in another thread, find the connection lost."""
        self._is_interrupted = True
        self.give_up()
        self.channel.interrupt()
        connecting = self._connecting
        if connecting is not None:
            with contextlib.suppress(OSError):
                # Of the socket itself: that of SSL would take its state away.
                socket.socket.shutdown(connecting, socket.SHUT_RDWR)

    def reopen(self) -> None:
        """Ask anew for the association that was lost, with the same contexts.

        Raises:
            AssociationError: it did not come about.
        """
        self.running = None
        self.channel = Channel(self.settings, self._open_transport)
        self._associate()

    def give_up(self) -> None:
        """Ask for no other association, and end a `pause`. May be called from any thread."""
        self._gives_up.set()

    def take_up(self) -> None:
        """Take `give_up` back."""
        self._gives_up.clear()

    @property
    def is_given_up(self) -> bool:
        """Whether a lost association is not to be asked for anew: it was ended on our side."""
        return self._gives_up.is_set()

    def pause(self, seconds: float) -> None:
        """Wait before another attempt, until the time is over or nobody wants it any more."""
        pause = self.settings.pause or self._gives_up.wait
        pause(seconds)

    def another(self) -> Session:
        """Make one for one more association with the same settings and contexts."""
        return Session(
            self.settings,
            self._proposals.contexts,
            self._on_event_report,
            is_automatic=self.is_automatic,
        )

    def covers(self, contexts: Iterable[ProposedContext]) -> bool:
        """Whether no other association is needed for these; never where the user chose them."""
        return not self.is_automatic or self._proposals.covers(contexts)

    def cover(self, contexts: Iterable[ProposedContext]) -> None:
        """Make sure that these were proposed, with a new association if need be.

        Raises:
            AssociationError: the new association did not come about.
        """
        wanted = tuple(contexts)
        if not self.covers(wanted):
            self.channel.check_open()
            self._proposals.put_first(wanted)
            self._associate_anew()

    def serves_only(self, contexts: Iterable[ProposedContext]) -> bool:
        """Whether these, and no others, are proposed for what the peer is to store here."""
        proposed = self._proposals.contexts
        return {context for context in proposed if context.scp} == set(contexts)

    def propose_only(self, contexts: Iterable[ProposedContext]) -> None:
        """Ask for a new association with these contexts alone. Raises AssociationError."""
        self.channel.check_open()
        self._proposals = Proposals(contexts)
        self._associate_anew()

    def _associate_anew(self) -> None:
        try:
            self.channel.release()
        except AssociationError as error:
            # Nothing is lost by it: all that was asked for is answered.
            _logger.warning("not released in good order: %s", error)
        self.reopen()

    def accepted(self, abstract_syntax: str) -> tuple[AcceptedContext, ...]:
        """Return the accepted contexts of a SOP class."""
        return self._accepted.get(abstract_syntax, ())

    def context_for(self, abstract_syntax: str, *, as_scp: bool = False) -> AcceptedContext:
        """Return an accepted context for our own requests on a SOP class.

        Args:
            abstract_syntax: the SOP class.
            as_scp: whether we ask as its provider. Where the peer says nothing about roles, a
                context without that role will do, since many leave them out.

        Raises:
            AssociationError: there is none.
        """
        found = self.accepted(abstract_syntax)
        usable = [context for context in found if (context.as_scp if as_scp else context.as_scu)]
        if usable or (as_scp and found):
            return (usable or found)[0]
        entry = uid_entry(abstract_syntax)
        name = abstract_syntax if entry is None else f"{entry.name} ({abstract_syntax})"
        raise AssociationError(
            f"{self.settings.peer}: no presentation context for {name}:"
            f" {self._refusal(abstract_syntax)}"
        )

    def _refusal(self, abstract_syntax: str) -> str:
        """Say why there is no presentation context of a SOP class."""
        assert self.acceptance is not None
        ids = {
            context.context_id
            for context in self._proposals.presentation_contexts()
            if context.abstract_syntax == abstract_syntax
        }
        results = {
            answer.result.name.replace("_", " ").lower()
            for answer in self.acceptance.presentation_contexts
            if answer.context_id in ids
        }
        if not ids:
            return "it was not proposed"
        return "the peer answers " + (", ".join(sorted(results)) or "nothing")

    def _associate(self) -> None:
        settings = self.settings
        window = settings.async_window
        self.acceptance = self.channel.associate(
            AssociateRq(
                settings.called,
                settings.calling,
                self._proposals.presentation_contexts(),
                UserInformation(
                    settings.max_pdu_length,
                    IMPLEMENTATION_CLASS_UID,
                    IMPLEMENTATION_VERSION_NAME,
                    async_window=None if window == 1 else AsyncWindow(window, 1),
                    roles=self._proposals.role_selections(),
                    extended=settings.extended,
                    user_identity=settings.user_identity,
                ),
            )
        )
        self._accepted: dict[str, tuple[AcceptedContext, ...]] = {}
        for context in self.channel.terms.contexts:
            uid = context.abstract_syntax
            self._accepted[uid] = (*self._accepted.get(uid, ()), context)

    def _open_transport(self) -> Transport:
        settings = self.settings
        if settings.open_transport is not None:
            return settings.open_transport(settings)
        clock, watch = settings.clock, self._watch
        deadline = clock.monotonic() + settings.timeout
        if settings.tls is None:
            return SocketTransport(connect_tcp(settings, deadline, watch))
        # These load ssl.
        from dicom_actors.scu.tls_handshake import client_context, negotiate_tls  # noqa: PLC0415
        from dicom_actors.transport.tls import TlsTransport  # noqa: PLC0415

        tls = client_context(settings.tls)
        connection = connect_tcp(settings, deadline, watch)
        return TlsTransport(negotiate_tls(connection, tls, settings, deadline, watch=watch))

    def _watch(self, connecting: socket.socket) -> None:
        """Note what `interrupt` is to end as long as there is no association."""
        self._connecting = connecting
        if self._is_interrupted:
            raise TransportError(f"{self.settings.peer}: interrupted")

    def begin(self) -> None:
        """Make sure that no other operation runs.

        Raises:
            LocalProtocolError: one does.
        """
        running = self.running
        if running is None:
            return
        if not running.is_abandoned:
            raise LocalProtocolError(
                f"a {running.name} is running on this association: take all that it gives, or"
                " close it, before anything else is asked for"
            )
        self.finish_running()

    def request(
        self,
        context: AcceptedContext,
        command_field: CommandField,
        sop_class_uid: str,
        sop_instance_uid: str = "",
        *,
        pieces: Sequence[Piece] | None = None,
        more: Mapping[int, int | str | bytes] | None = None,
        message_id: int | None = None,
    ) -> int:
        """Send a request; returns its Message ID. Arguments as for `encode_request`.

        Raises:
            AssociationError: the association is over.
        """
        if message_id is None:
            message_id = self.next_message_id()
        command = encode_request(
            command_field,
            message_id,
            sop_class_uid,
            sop_instance_uid,
            has_data_set=pieces is not None,
            more=more,
        )
        self.channel.send(context.context_id, command, pieces)
        return message_id

    def next_message_id(self) -> int:
        """A Message ID that no operation had for long."""
        self._last_message_id = self._last_message_id % 0xFFFF + 1
        return self._last_message_id

    def response(self, command_field: CommandField, message_id: int) -> Message:
        """Receive the response to a request; pending ones before give it no more time.

        Raises:
            AssociationError: it did not come, or something else came in its place.
        """
        what = f"the {service_name(command_field)} request"
        deadline = self.deadline()
        while True:
            message = self.receive(what, deadline=deadline)
            self.check(message.command, command_field, {message_id})
            if message.command.status not in _PENDING:
                return message
            self.channel.check_time(what, deadline)

    def deadline(self) -> Deadline:
        """When a response that is waited for from now on must have come."""
        return self.channel.deadline(self.settings.response_timeout)

    def receive(
        self, what: str, *, stores: bool = False, deadline: Deadline | None = None
    ) -> Message:
        """Receive a response; what the peer asks meanwhile is answered, and gives it no time.

        Args:
            what: what it is to answer, for the error message.
            stores: whether a C-STORE request is given back, too; its object may take longer.
            deadline: when it must have come; None: that of responses.
        """
        if deadline is None:
            deadline = self.deadline()
        while True:
            message = self.channel.receive(what, deadline, stores=stores)
            command = message.command
            if command.is_response:
                return message
            if stores and command.command_field == CommandField.C_STORE_RQ:
                return message
            self._serve(message)
            self.channel.check_time(what, deadline)

    def check(
        self, command: Command, command_field: CommandField, message_ids: Iterable[int]
    ) -> None:
        """Abort unless a response answers one of our requests.

        Raises:
            AssociationError: it does not.
        """
        if command.command_field != command_field | _RESPONSE or command.message_id not in (
            message_ids
        ):
            raise self.channel.fail(
                UnexpectedPduError(
                    f"expected a response {command_field | _RESPONSE:04X}H to message"
                    f" {', '.join(map(str, message_ids))}, got {command.command_field:04X}H to"
                    f" message {command.message_id}"
                )
            )
        if command.status is None:
            raise self.channel.fail(UnexpectedPduError("expected a Status in a response"))

    def cancel_running(self) -> None:
        """Ask the peer, once, to give up the operation that runs, if it can be."""
        running = self.running
        if running is None or running.context is None or running.is_cancelled:
            return
        if self.channel.is_open:
            running.is_cancelled = True
            for message_id in running.outstanding:
                self.channel.send(running.context.context_id, encode_cancel(message_id))

    def finish_running(self) -> None:
        """Cancel the operation that runs and drop what still comes of it.

        Raises:
            AssociationError: the peer did not finish it in time.
        """
        running, self.running = self.running, None
        if running is None or not self.channel.is_open:
            return
        self.running = running
        self.cancel_running()
        deadline = self.channel.deadline(self.settings.timeout)
        what = f"the cancellation of the {running.name}"
        stores = running.command_field == CommandField.C_GET_RQ
        while running.outstanding:
            message = self.receive(what, stores=stores, deadline=deadline)
            command = message.command
            if command.is_response:
                self.check(command, running.command_field, running.outstanding)
                if command.status not in _PENDING:
                    running.outstanding.discard(command.message_id)
                    continue
            else:
                self.respond(message, Status.PROCESSING_FAILURE, "cancelled")
            self.channel.check_time(what, deadline)
        self.running = None

    def respond(self, message: Message, status: int, comment: str = "") -> None:
        """Answer a request of the peer."""
        self.channel.send(message.context_id, encode_response(message.command, status, comment))

    def listen(self, seconds: float) -> bool:
        """Answer what the peer asks until there was an event report, or the time is over."""
        clock = self.settings.clock
        deadline = clock.monotonic() + seconds
        seen = self._event_reports
        while self._event_reports == seen:
            message = self.channel.poll(max(0.0, deadline - clock.monotonic()))
            if message is None:
                return False
            if message.command.is_response:
                self.check(message.command, CommandField.C_ECHO_RQ, ())
            self._serve(message)
        return True

    def _serve(self, message: Message) -> None:
        command = message.command
        if command.command_field == CommandField.C_CANCEL_RQ:
            return
        if command.command_field != CommandField.N_EVENT_REPORT_RQ or not self._on_event_report:
            self.respond(message, Status.UNRECOGNIZED_OPERATION)
            return
        self._event_reports += 1
        try:
            report = self._reported(message)
        except DicomError as error:
            self.respond(message, Status.MISTYPED_ARGUMENT, str(error))
            return
        try:
            status = self._on_event_report(report)
        except Exception:
            self.respond(message, Status.PROCESSING_FAILURE)
            raise
        self.respond(message, Status.SUCCESS if status is None else int(status))

    def _reported(self, message: Message) -> EventReport:
        return event_report_of(
            message.command, None if message.data is None else self.data_set_of(message)
        )

    def data_set_of(self, message: Message) -> DataSet:
        """Return the data set of a message that has one: an index over the received bytes.

        Raises:
            DecodeError: it cannot be read.
        """
        assert message.data is not None
        syntax = next(
            context.transfer_syntax
            for context in self.channel.terms.contexts
            if context.context_id == message.context_id
        )
        return DataSet.from_bytes(memoryview(message.data), syntax)
