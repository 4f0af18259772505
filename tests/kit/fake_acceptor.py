"""An association acceptor in memory: no sockets, no threads, and a clock that a test moves.

It is a transport for `connect(open_transport=...)`, answers each PDU as it is told, and when
nothing is left to receive, waiting for it moves the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.dimse import (
    Command,
    CommandElement,
    CommandField,
    MessageAssembler,
    Status,
    encode_command,
    encode_response,
    fragment,
)
from dicom_actors.dimse.assembler import CommandReceived, DataReceived
from dicom_actors.pdu import (
    Abort,
    AssociateRq,
    AsyncWindow,
    PDataTf,
    Pdv,
    ReleaseRp,
    ReleaseRq,
    decode_pdu,
    encode_pdu,
)
from dicom_actors.scu import connect
from dicom_actors.supervision import ManualClock
from dicom_actors.upper_layer import NegotiationPolicy, RolePolicy, negotiate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.pdu import Pdu
    from dicom_actors.scu import Association

CLOSE = object()
"""Sent by a peer, it is the end of the stream; after it, nothing."""

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


class FakeAcceptor:
    """A peer that accepts everything, unless told otherwise, and answers with `on_message`.

    Attributes:
        clock: tells the time to both sides.
        pdus: what it received.
        messages: the messages among that, as (context id, command, data set or None).
        associations: how many were asked for.
    """

    def __init__(self, **policy: Any) -> None:
        self.clock = ManualClock()
        self.pdus: list[Pdu] = []
        self.messages: list[tuple[int, Command, bytes | None]] = []
        self.associations = 0
        self.is_closed = False
        self.has_stopped = False
        self.chunk = 1 << 30
        self.room = 1 << 30
        self.send_error: OSError | None = None
        self.receive_error: OSError | None = None
        self._policy = policy
        self._received = b""
        self._to_send = b""
        self._ends = False
        self._assembler = MessageAssembler(range(256))
        self._data = b""
        self._command: tuple[int, Command] | None = None

    # --- what a test overrides ---------------------------------------------------------------

    def on_associate(self, rq: AssociateRq) -> Iterable[Any]:
        """Answer an association request."""
        policy = NegotiationPolicy(
            **{
                "abstract_syntaxes": lambda _: (EXPLICIT, IMPLICIT),
                "max_pdu_length": 16384,
                "implementation_class_uid": "1.2.3",
                "roles": {
                    context.abstract_syntax: RolePolicy(scu=True, scp=True)
                    for context in rq.presentation_contexts
                },
                "async_window": AsyncWindow(1, 1),
                **self._policy,
            }
        )
        answer = negotiate(rq, policy)
        yield answer

    def on_message(self, context_id: int, command: Command, data: bytes | None) -> Iterable[Any]:
        """Answer a message; by default every request with Success."""
        del data
        if not command.is_response and command.command_field != CommandField.C_CANCEL_RQ:
            yield response(context_id, command)

    def on_release(self) -> Iterable[Any]:
        """Answer a release request."""
        yield ReleaseRp()
        yield CLOSE

    def on_abort(self) -> Iterable[Any]:
        """Answer an A-ABORT."""
        yield CLOSE

    # --- the transport -----------------------------------------------------------------------

    def send(self, buffers: Any) -> int:
        if self.send_error is not None:
            raise self.send_error
        data = b"".join(buffers)[: self.room]
        self._received += data
        self._read()
        return len(data)

    def receive_into(self, room: memoryview) -> int | None:
        if self._to_send:
            data = self._to_send[: min(len(room), self.chunk)]
            self._to_send = self._to_send[len(data) :]
            room[: len(data)] = data
            return len(data)
        if self.receive_error is not None:
            raise self.receive_error
        return 0 if self._ends else None

    def wait(self, seconds: float, *, for_writing: bool) -> None:
        if self._to_send or self._ends or (for_writing and self.room):
            return
        self.clock.advance(seconds)

    def stop_sending(self) -> None:
        self.has_stopped = True

    def interrupt(self) -> None:
        self._ends = True

    def close(self) -> None:
        self.is_closed = True

    @property
    def unsent(self) -> bytes:
        """What it has said and nobody received."""
        return self._to_send

    # --- the peer ----------------------------------------------------------------------------

    def say(self, *things: Any) -> None:
        """Send PDUs, bytes or messages (lists of PDUs), or `CLOSE`."""
        for thing in things:
            if thing is CLOSE:
                self._ends = True
            elif isinstance(thing, bytes):
                self._to_send += thing
            elif isinstance(thing, list):
                self.say(*thing)
            else:
                self._to_send += encode_pdu(thing)

    def _read(self) -> None:
        while len(self._received) >= 6:
            end = 6 + int.from_bytes(self._received[2:6], "big")
            if len(self._received) < end:
                return
            pdu = decode_pdu(memoryview(self._received[:end]))
            self._received = self._received[end:]
            self.pdus.append(pdu)
            self.say(*self._answers(pdu))

    def _answers(self, pdu: Pdu) -> Iterable[Any]:
        match pdu:
            case AssociateRq():
                return self.on_associate(pdu)
            case ReleaseRq():
                return self.on_release()
            case Abort():
                return self.on_abort()
            case PDataTf(pdvs):
                return [answer for pdv in pdvs for answer in self._take(pdv)]
        return ()

    def _take(self, pdv: Pdv) -> Iterable[Any]:
        event = self._assembler.receive(pdv)
        if isinstance(event, CommandReceived):
            self._command = (event.context_id, event.command)
            self._data = b""
            if event.command.has_data_set:
                return ()
            return self._complete(None)
        if isinstance(event, DataReceived):
            self._data += bytes(event.data)
            if event.is_last:
                return self._complete(self._data)
        return ()

    def _complete(self, data: bytes | None) -> Iterable[Any]:
        assert self._command is not None
        context_id, command = self._command
        self.messages.append((context_id, command, data))
        return self.on_message(context_id, command, data)

    # --- the user's side ---------------------------------------------------------------------

    def connect(self, **settings: Any) -> Association:
        """Associate with it."""
        return connect("fake", 104, clock=self.clock, open_transport=self._open, **settings)

    def _open(self, _: Any) -> FakeAcceptor:
        self.associations += 1
        self.is_closed = self._ends = self.has_stopped = False
        self._received = self._to_send = b""
        return self


def message(context_id: int, command: bytes, data: bytes | None = None) -> list[Pdu]:
    """The PDUs of a message."""
    pdvs = list(fragment(context_id, command, 16384, is_command=True))
    if data is not None:
        pdvs += fragment(context_id, data, 16384, is_command=False)
    return [PDataTf((pdv,)) for pdv in pdvs]


def response(
    context_id: int,
    command: Command,
    status: int = Status.SUCCESS,
    comment: str = "",
    data: bytes | None = None,
) -> list[Pdu]:
    """The PDUs of a response."""
    answer = encode_response(command, status, comment, has_data_set=data is not None)
    return message(context_id, answer, data)


def store_request(context_id: int, message_id: int, uid: str, data: bytes) -> list[Pdu]:
    """The PDUs of a C-STORE request of a CT image, as a C-GET's provider sends them."""
    command = encode_command(
        {
            CommandElement.AFFECTED_SOP_CLASS_UID: "1.2.840.10008.5.1.4.1.1.2",
            CommandElement.COMMAND_FIELD: CommandField.C_STORE_RQ,
            CommandElement.MESSAGE_ID: message_id,
            CommandElement.PRIORITY: 0,
            CommandElement.AFFECTED_SOP_INSTANCE_UID: uid,
        },
        has_data_set=True,
    )
    return message(context_id, command, data)
