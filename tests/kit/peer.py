"""A peer that says exactly what a test wants, byte by byte, over a real socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

from dicom_actors.dimse import (
    Command,
    CommandElement,
    CommandField,
    decode_command,
    encode_command,
    fragment,
)
from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRq,
    PDataTf,
    Pdu,
    Pdv,
    PresentationContextRq,
    ReleaseRp,
    ReleaseRq,
    UserInformation,
    decode_pdu,
    encode_pdu,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXTS = (
    PresentationContextRq(1, VERIFICATION, (IMPLICIT,)),
    PresentationContextRq(3, CT_IMAGE, (IMPLICIT, EXPLICIT)),
)
LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


class Peer:
    """An association requestor made of bare bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transcript = bytearray()
        self._unread = b""

    @classmethod
    def associated(cls, port: int, called: str = "TEST", calling: str = "PEER") -> Self:
        """Connect and associate; fails unless that is accepted."""
        peer = cls(port)
        try:
            answer = peer.associate(called, calling)
            assert isinstance(answer, AssociateAc), answer
        except BaseException:
            peer.close()
            raise
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def reset(self) -> None:
        """Close the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    # --- sending -----------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self.socket.sendall(data)

    def send(self, *pdus: Pdu) -> None:
        """Send PDUs in one write."""
        self.send_bytes(b"".join(encode_pdu(pdu) for pdu in pdus))

    def associate(
        self,
        called: str = "TEST",
        calling: str = "PEER",
        contexts: tuple[PresentationContextRq, ...] = CONTEXTS,
    ) -> Pdu | None:
        """Ask for an association; returns the answer."""
        self.send(associate_rq(called, calling, contexts))
        return self.receive()

    def send_command(self, values: dict[int, int | str], context_id: int = 1) -> None:
        """Send a command without data set."""
        self.send(*command_pdus(values, context_id))

    def echo(self, message_id: int = 1) -> int | None:
        """Ask for a C-ECHO; returns its status."""
        self.send(*echo_pdus(message_id))
        return self.status()

    def store(self, data: bytes, message_id: int = 1, uid: str = "1.2.3") -> int | None:
        """Send a C-STORE; returns its status."""
        self.send(*store_pdus(data, message_id, uid))
        return self.status()

    def release(self) -> Pdu | None:
        """Ask for the release; returns the answer."""
        self.send(ReleaseRq())
        return self.receive()

    # --- receiving ---------------------------------------------------------------------------

    def receive(self) -> Pdu | None:
        """Receive a PDU; None at the end of the stream."""
        data = self.receive_bytes()
        return decode_pdu(memoryview(data)) if data else None

    def receive_bytes(self) -> bytes:
        """Receive the bytes of a PDU; none at the end of the stream."""
        header = self._exactly(6)
        if not header:
            return b""
        pdu = header + self._exactly(int.from_bytes(header[2:], "big"))
        self.transcript += pdu
        return pdu

    def _exactly(self, length: int) -> bytes:
        while len(self._unread) < length:
            part = self.socket.recv(65536)
            if not part:
                assert not self._unread, "the stream ends in the middle of a PDU"
                return b""
            self._unread += part
        data, self._unread = self._unread[:length], self._unread[length:]
        return data

    def response(self) -> Command:
        """Receive a message without data set; returns its command."""
        pdu = self.receive()
        assert isinstance(pdu, PDataTf), pdu
        (pdv,) = pdu.pdvs
        assert pdv.is_command
        assert pdv.is_last
        return decode_command(bytes(pdv.data))

    def status(self) -> int | None:
        """Receive a response; returns its status."""
        return self.response().status

    def expect_abort(self, source: int, reason: int) -> None:
        """Fail unless an A-ABORT comes, and then the end of the stream."""
        assert self.receive() == Abort(source, reason)
        assert self.receive() is None

    def expect_end(self) -> None:
        """Fail unless the stream ends here."""
        try:
            assert self.receive() is None
        except ConnectionResetError:
            return

    def expect_released(self) -> None:
        """Release, and fail unless the answer is a release and nothing else."""
        assert self.release() == ReleaseRp()
        self.close()


def associate_rq(
    called: str = "TEST",
    calling: str = "PEER",
    contexts: tuple[PresentationContextRq, ...] = CONTEXTS,
    max_pdu_length: int = 16384,
) -> AssociateRq:
    """An ordinary A-ASSOCIATE-RQ."""
    return AssociateRq(called, calling, contexts, UserInformation(max_pdu_length, "1.2.3.4", "KIT"))


def command_pdus(
    values: dict[int, int | str], context_id: int = 1, *, has_data_set: bool = False
) -> list[Pdu]:
    """The PDUs of a command set."""
    data = encode_command(values, has_data_set=has_data_set)
    return _pdus(fragment(context_id, data, 16384, is_command=True))


def echo_pdus(message_id: int = 1) -> list[Pdu]:
    """The PDUs of a C-ECHO-RQ."""
    return command_pdus(
        {
            CommandElement.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            CommandElement.COMMAND_FIELD: CommandField.C_ECHO_RQ,
            CommandElement.MESSAGE_ID: message_id,
        }
    )


def store_pdus(
    data: bytes,
    message_id: int = 1,
    uid: str = "1.2.3",
    max_pdu_length: int = 16384,
    context_id: int = 3,
) -> list[Pdu]:
    """The PDUs of a C-STORE-RQ; without data, its data set is the smallest that it may have."""
    data = data or smallest_data_set(uid)
    return [
        *command_pdus(
            {
                CommandElement.AFFECTED_SOP_CLASS_UID: CT_IMAGE,
                CommandElement.COMMAND_FIELD: CommandField.C_STORE_RQ,
                CommandElement.MESSAGE_ID: message_id,
                CommandElement.PRIORITY: 0,
                CommandElement.AFFECTED_SOP_INSTANCE_UID: uid,
            },
            context_id,
            has_data_set=True,
        ),
        *_pdus(fragment(context_id, data, max_pdu_length, is_command=False)),
    ]


def smallest_data_set(uid: str = "1.2.3") -> bytes:
    """SOP Class and Instance UID in Explicit VR Little Endian."""
    data = b""
    for element, value in ((0x16, CT_IMAGE), (0x18, uid)):
        raw = value.encode()
        raw += b"\0" * (len(raw) % 2)
        data += b"\x08\0" + bytes([element]) + b"\0UI" + len(raw).to_bytes(2, "little") + raw
    return data


def _pdus(pdvs: Iterable[Pdv]) -> list[Pdu]:
    return [PDataTf((pdv,)) for pdv in pdvs]
