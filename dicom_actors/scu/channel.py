"""One association from its request to its end, as a series of messages.

The protocol is `UpperLayer`'s; this carries out its effects on a transport, in the thread of
whoever calls, and gives every step a deadline. When a method raises an `AssociationError`, the
association is over and its connection is closed. Standard: PS3.8 9.2, PS3.7 6.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.dimse import (
    CommandField,
    CommandReceived,
    DataReceived,
    MessageAssembler,
    fragment,
)
from dicom_actors.dimse.pieces import fragment_pieces
from dicom_actors.errors import (
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationTimeout,
    FileChangedError,
    LocalProtocolError,
    RemoteProtocolError,
    TransportError,
    UnexpectedPduError,
)
from dicom_actors.pdu import describe_abort, describe_reject
from dicom_actors.scu.incoming import IncomingData
from dicom_actors.scu.settings import Deadline
from dicom_actors.scu.wire import Wire
from dicom_actors.upper_layer import (
    Aborted,
    AbortRequest,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequest,
    CloseTransport,
    DataIndication,
    DataRequest,
    Indicate,
    OpenTransport,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    Send,
    State,
    UpperLayer,
    UpperLayerLimits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from mmap import mmap

    from dicom_actors.dimse import Command
    from dicom_actors.dimse.pieces import Piece
    from dicom_actors.pdu import AssociateAc, AssociateRq, Pdv
    from dicom_actors.scu.settings import Settings
    from dicom_actors.transport.plain import Transport
    from dicom_actors.upper_layer import Effects, Indication, Negotiated

__all__ = ["Channel", "Message"]

_MAX_QUEUED_BUFFERS: Final = 2048
_MAX_UNREAD_MESSAGES: Final = 65_536
"""Messages that a peer may have sent before the first of them is wanted."""

_PART_LENGTH: Final = 4096
"""Bytes of a long object that give its sender or receiver new time; fewer are a stall."""

_FAREWELL_SECONDS: Final = 1.0
"""How long after our A-ABORT the peer may take to close, before we do."""


class Message(NamedTuple):
    """A message of the peer.

    Attributes:
        context_id: its presentation context.
        command: its command set.
        data: its data set; None if it has none.
        failure: why the data set could not be kept; empty if it was.
    """

    context_id: int
    command: Command
    data: memoryview | mmap | None = None
    failure: str = ""


class Channel:
    """An association as its requestor.

    Args:
        settings: how long the peer may take, and how much it may send.
        open_transport: opens the connection.
    """

    def __init__(self, settings: Settings, open_transport: Callable[[], Transport]) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._on_pdu = settings.on_pdu
        self._machine = UpperLayer(
            Role.REQUESTOR, UpperLayerLimits(max_pdu_length=settings.max_pdu_length)
        )
        self._open_transport = open_transport
        self._wire: Wire | None = None
        self._is_instance = False
        self._instance_bytes = 0
        self._assembler = MessageAssembler(())
        self._incoming: IncomingData | None = None
        self._messages: deque[Message] = deque()
        self._acceptance: AssociateAc | None = None
        self._is_released = False
        self._is_interrupted = False
        self._over: AssociationError | None = None

    @property
    def is_open(self) -> bool:
        """Whether the association is established and nothing that ends it is known."""
        return self._acceptance is not None and self._over is None and not self._is_released

    @property
    def terms(self) -> Negotiated:
        """What was negotiated."""
        assert self._machine.negotiated is not None
        return self._machine.negotiated

    # --- beginning and end -------------------------------------------------------------------

    def associate(self, rq: AssociateRq) -> AssociateAc:
        """Connect, and ask for the association; it is established when this returns.

        Raises:
            AssociationRejected: the peer refuses; in words.
            AssociationError: anything else that went wrong.
            LocalProtocolError: there is no such request.
        """
        self._perform(self._machine.request(AssociateRequest(rq)))
        try:
            self._perform(self._machine.connected())
            self._flush()
            self._pump(
                lambda: self._acceptance is not None,
                "the association request",
                self.deadline(self._settings.timeout),
            )
        except BaseException:
            self.abort()
            raise
        assert self._acceptance is not None
        return self._acceptance

    def release(self) -> None:
        """Release the association; what still comes is dropped."""
        self.check_open()
        self._perform(self._machine.request(ReleaseRequest()))
        self._flush()
        deadline = self.deadline(self._settings.timeout)
        self._pump(lambda: self._is_released, "the release request", deadline)

    def abort(self) -> None:
        """End the association at once; does nothing if it is over."""
        if self._wire is None:
            return
        with contextlib.suppress(LocalProtocolError):
            self._perform(self._machine.request(AbortRequest()))
        self._over = self._over or AssociationAborted("aborted by us", source=0, reason=0)
        self.close()

    def interrupt(self) -> None:
        """End the connection, from any thread, for whoever waits for it."""
        self._is_interrupted = True
        wire = self._wire
        if wire is not None:
            wire.transport.interrupt()

    def fail(self, error: RemoteProtocolError) -> AssociationError:
        """Abort for a fault of the peer's; returns what to raise."""
        if self._over is None:
            self._perform(self._machine.fail(error))
        self.close()
        return self._ending()

    # --- messages ----------------------------------------------------------------------------

    def send(self, context_id: int, command: bytes, pieces: Sequence[Piece] | None = None) -> None:
        """Send a message.

        Args:
            context_id: an accepted presentation context.
            command: the command set.
            pieces: the data set in pieces, which are not copied; None for none. What is not read
                yet is read as it is sent.

        Raises:
            AssociationError: the association is over; its cause is a FileChangedError if `pieces`
                could not be read to their end.
        """
        self.check_open()
        limit = self.terms.peer_max_pdu_length
        self._send_values(fragment(context_id, command, limit, is_command=True))
        if pieces is not None:
            self._send_values(fragment_pieces(context_id, pieces, limit))
        self._flush()

    def receive(self, what: str, deadline: Deadline, *, stores: bool = False) -> Message:
        """Receive the next message.

        Args:
            what: what it is to answer, for the error message.
            deadline: when it must have come, all of it.
            stores: whether it may be an object that is stored here. That may take longer, as
                long as it goes on coming.

        Raises:
            AssociationError: it did not come.
        """
        if not self._messages:
            self.check_open()
            self._pump(lambda: bool(self._messages), what, deadline, stores=stores)
        return self._messages.popleft()

    def poll(self, seconds: float) -> Message | None:
        """Receive the next message if one comes in time; None if not.

        Raises:
            AssociationError: the association is over.
        """
        if not self._messages:
            self.check_open()
            deadline = self._clock.monotonic() + seconds
            while not self._messages and self._wait(deadline, for_writing=False):
                self.check_open()
        return self._messages.popleft() if self._messages else None

    def _send_values(self, pdvs: Iterable[Pdv]) -> None:
        assert self._wire is not None
        request, wire, on_pdu = self._machine.request, self._wire, self._on_pdu
        for pdv in pdvs:
            for effect in request(DataRequest((pdv,))):
                buffers = effect.buffers  # type: ignore[union-attr]  # DT-1 sends, no more
                wire.queue(buffers)
                if on_pdu is not None:
                    on_pdu(id(self), False, _shown(buffers))
            if wire.queued > _MAX_QUEUED_BUFFERS:
                self._flush()

    def deadline(self, seconds: float) -> Deadline:
        """The end of a time that begins now."""
        return Deadline(self._clock.monotonic() + seconds, seconds)

    def check_time(self, what: str, deadline: Deadline) -> None:
        """Abort if the time is over, whatever the peer sends in place of `what`.

        Raises:
            AssociationTimeout: it is.
        """
        if self._clock.monotonic() > deadline.at:
            raise self._timed_out(f"no answer to {what} within {deadline.seconds:g} s")

    def _pump(
        self, is_done: Callable[[], bool], what: str, deadline: Deadline, *, stores: bool = False
    ) -> None:
        """Receive until something has come; parts of an object that is wanted give new time."""
        end, seconds = deadline
        seen = self._instance_bytes
        while not is_done():
            self._raise_if_over()
            if stores and self._instance_bytes - seen >= _PART_LENGTH:
                seen = self._instance_bytes
                end = max(end, self._clock.monotonic() + seconds)
            if not self._wait(end, for_writing=False):
                raise self._timed_out(f"no answer to {what} within {seconds:g} s")
            self._flush()

    def _flush(self) -> None:
        """Send what is queued; parts that go out give the peer new time."""
        seconds = self._settings.timeout
        deadline = None
        gone = 0
        while self._wire is not None and self._wire.queued:
            self._raise_if_over()
            sent = self._send(self._wire)
            gone += sent
            if gone >= _PART_LENGTH:
                deadline, gone = None, 0
            if sent:
                continue
            if deadline is None:
                deadline = self._clock.monotonic() + seconds
            if self._over is None and not self._wait(deadline, for_writing=True):
                raise self._timed_out(f"the peer read nothing for {seconds:g} s")
        self._raise_if_over()

    def _wait(self, deadline: float, *, for_writing: bool) -> bool:
        """Wait for the peer and take in what it sent; False when the time is over."""
        left = deadline - self._clock.monotonic()
        if left <= 0 or self._wire is None:
            return False
        self._wire.transport.wait(left, for_writing=for_writing)
        self._take_in(self._wire)
        return True

    def _timed_out(self, message: str) -> AssociationTimeout:
        error = AssociationTimeout(f"{self._settings.peer}: {message}")
        self._over = self._over or error
        self.abort()
        return error

    # --- the connection ----------------------------------------------------------------------

    def _send(self, wire: Wire) -> int:
        """Send once; returns how many bytes went out."""
        try:
            return wire.send()
        except FileChangedError as error:
            # Of a message that has begun nobody can say that it will not end.
            self._over = AssociationError(f"{self._settings.peer}: ended by us: {error}")
            self._over.__cause__ = error
            self._disconnect()
            return 0
        except OSError as error:
            # What the peer said before it went away is still to be read.
            while self._over is None and self._take_in(wire):
                pass
            if self._over is None:
                self._lose(error)
            return 0

    def _take_in(self, wire: Wire) -> bool:
        """Receive once, and do what follows from it; whether there may be more."""
        try:
            length = wire.receive()
        except OSError as error:
            self._lose(error)
            return False
        if not length:
            if length == 0:
                self._lose(None)
            return False
        while len(unread := wire.unread):
            consumed, effects = self._machine.receive_data(unread)
            if not consumed:
                break
            wire.consume(consumed)
            if self._on_pdu is not None:
                self._on_pdu(id(self), True, (unread[:consumed],))
            self._perform(effects)
        return True

    def _lose(self, error: OSError | None) -> None:
        """The connection is closed by the peer, or lost."""
        if self._machine.state is not State.STA1:
            self._perform(self._machine.receive_eof())
        if error is not None and isinstance(self._over, TransportError):
            self._over = TransportError(f"{self._settings.peer}: {error.strerror or error}")
            self._over.__cause__ = error
        self._disconnect()

    def close(self) -> None:
        """Close the connection; after an A-ABORT so that it arrives.

        Where it is unknown what went out, an A-ABORT could not be told from the rest of a PDU.
        """
        wire = self._wire
        if wire is not None and self._machine.state is State.STA13 and not wire.is_torn:
            self._say_farewell(wire)
        self._disconnect()

    def _say_farewell(self, wire: Wire) -> None:
        """Let the A-ABORT arrive: a socket closed with unread bytes would destroy it."""
        limit = min(_FAREWELL_SECONDS, self._settings.timeout)
        deadline = self._clock.monotonic() + limit
        while self._wire is not None and wire.queued:
            if not self._send(wire) and not self._wait(deadline, for_writing=True):
                break
        wire.transport.stop_sending()
        while self._wait(deadline, for_writing=False):
            pass

    def _disconnect(self) -> None:
        wire, self._wire = self._wire, None
        self._incoming = None
        if wire is not None:
            wire.close()

    # --- effects -----------------------------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Indicate(indication):
                    self._heed(indication)
                case Send(buffers):
                    if self._wire is not None:
                        self._wire.queue(buffers)
                    if self._on_pdu is not None:
                        self._on_pdu(id(self), False, buffers)
                case CloseTransport():
                    self._disconnect()
                case OpenTransport():
                    transport = self._open_transport()
                    self._wire = Wire(transport, self._settings.max_pdu_length)
                    if self._is_interrupted:
                        transport.interrupt()
                case _:
                    # ARTIM: `close` waits no longer than it would run.
                    continue

    def _heed(self, indication: Indication) -> None:
        match indication:
            case DataIndication(pdvs):
                self._assemble(pdvs)
            case AssociateAccepted(ac):
                self._acceptance = ac
                self._assembler = MessageAssembler(
                    frozenset(context.context_id for context in self.terms.contexts)
                )
            case AssociateRejected(rj):
                self._over = AssociationRejected(
                    f"{self._settings.peer}: {describe_reject(*rj)}",
                    result=rj.result,
                    source=rj.source,
                    reason=rj.reason,
                )
            case ReleaseConfirmation():
                self._is_released = True
            case ReleaseIndication() | ReleaseCollision():
                self._perform(self._machine.request(ReleaseResponse()))
                if isinstance(indication, ReleaseIndication):
                    self._over = AssociationError(f"{self._settings.peer}: the peer released it")
            case Aborted():
                self._over = self._over or self._why(indication)

    def _why(self, aborted: Aborted) -> AssociationError:
        if aborted.connection_lost:
            return TransportError(f"{self._settings.peer}: the peer closed the connection")
        words = describe_abort(aborted.source, aborted.reason)
        if aborted.error is not None:
            words = f"aborted by us, since the peer broke the protocol: {aborted.error}"
        error = AssociationAborted(
            f"{self._settings.peer}: {words}", source=aborted.source, reason=aborted.reason
        )
        error.__cause__ = aborted.error
        return error

    def _assemble(self, pdvs: Sequence[Pdv]) -> None:
        for pdv in pdvs:
            partial = self._assembler.partial
            try:
                event = self._assembler.receive(pdv)
            except RemoteProtocolError as error:
                self._perform(self._machine.fail(error))
                return
            if type(event) is CommandReceived:
                self._is_instance = event.command.command_field == CommandField.C_STORE_RQ
                if event.command.has_data_set:
                    self._incoming = IncomingData(self._settings)
                else:
                    self._keep(Message(event.context_id, event.command))
            elif type(event) is DataReceived and self._incoming is not None:
                self._incoming.write(event.data)
                if self._is_instance:
                    self._instance_bytes += len(event.data)
                if event.is_last and partial is not None and partial.command is not None:
                    incoming, self._incoming = self._incoming, None
                    data = incoming.finish()
                    self._keep(Message(partial.context_id, partial.command, data, incoming.failure))

    def _keep(self, message: Message) -> None:
        if len(self._messages) >= _MAX_UNREAD_MESSAGES:
            error = UnexpectedPduError(
                f"more than {_MAX_UNREAD_MESSAGES} messages nobody asked for"
            )
            self._perform(self._machine.fail(error))
            return
        self._messages.append(message)

    # --- the end -----------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise what ended the association, if it is over.

        Raises:
            AssociationError: it is.
        """
        self._raise_if_over()
        if not self.is_open:
            raise self._ending()

    def _raise_if_over(self) -> None:
        if self._over is not None:
            self.close()
            # Each time anew, or it would gather the frames of all who asked.
            raise self._over.with_traceback(None)

    def _ending(self) -> AssociationError:
        if self._over is None:
            return AssociationError(f"{self._settings.peer}: the association is released")
        return self._over


def _shown(buffers: Sequence[bytes | memoryview]) -> tuple[bytes | memoryview, ...]:
    """Buffers for who looks at what goes; zeros for what is not read before it does."""
    shown = (bytes, memoryview)
    return tuple(one if isinstance(one, shown) else bytes(len(one)) for one in buffers)
