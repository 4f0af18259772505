"""A peer that says exactly what a test wants it to say, over a real connection.

It frames what it receives into PDUs, so that a test can compare them; beyond that it knows no
rules, and keeps none.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, Self

from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    PDataTf,
    PresentationContextRq,
    UserInformation,
    decode_pdu,
    encode_pdu,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_actors.pdu import Pdu

__all__ = ["HostilePeer"]

_VERIFICATION: Final = PresentationContextRq(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
_HEADER_LENGTH: Final = 6
_RESET_ON_CLOSE: Final = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds


class HostilePeer:
    """One end of a connection.

    Args:
        connection: a connected socket, which this peer closes at its end.
        timeout: seconds that any receiving or sending may take before it fails.

    Attributes:
        socket: the connection.
        transcript: the bytes of all PDUs that were received.
    """

    def __init__(self, connection: socket.socket, *, timeout: float = 60.0) -> None:
        self.socket = connection
        self.transcript = b""
        self._unread = bytearray()
        connection.settimeout(timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(
        cls,
        port: int,
        host: str = "127.0.0.1",
        *,
        receive_buffer: int | None = None,
        timeout: float = 60.0,
    ) -> Self:
        """Connect, and say nothing.

        Args:
            port: the server's port.
            host: the server's address.
            receive_buffer: bytes that the system may keep for us; a small number soon stops a
                server whose answers are not read. None: as usual.
            timeout: as for the class.

        Raises:
            OSError: the connection is refused.
        """
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        connection = socket.socket(address[0], socket.SOCK_STREAM)
        try:
            if receive_buffer is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(timeout)
            connection.connect(address[4])
        except BaseException:
            connection.close()
            raise
        return cls(connection, timeout=timeout)

    @classmethod
    def associated(
        cls,
        port: int,
        host: str = "127.0.0.1",
        *,
        called: str = "ANY-SCP",
        calling: str = "HOSTILE",
        contexts: Sequence[PresentationContextRq] = (_VERIFICATION,),
        receive_buffer: int | None = None,
        timeout: float = 60.0,
    ) -> Self:
        """Connect and associate.

        Raises:
            AssertionError: the association is not accepted.
        """
        peer = cls.connect(port, host, receive_buffer=receive_buffer, timeout=timeout)
        answer = peer.associate(called=called, calling=calling, contexts=contexts)
        if not isinstance(answer, AssociateAc):
            peer.close()
            raise AssertionError(  # noqa: TRY004 - what came is wrong, not what was passed
                f"expected an A-ASSOCIATE-AC, got {answer}"
            )
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- saying ------------------------------------------------------------------------------

    def send(self, *parts: bytes | Pdu) -> None:
        """Send bytes, whatever they are, and PDUs, all in one write."""
        self.socket.sendall(b"".join(p if isinstance(p, bytes) else encode_pdu(p) for p in parts))

    def send_slowly(
        self,
        data: bytes,
        between: Callable[[], object],
        *,
        piece: int = 1,
    ) -> None:
        """Send bytes in pieces.

        Args:
            data: the bytes.
            between: called before each piece but the first: to let time pass, or to look.
            piece: the length of a piece.

        Raises:
            OSError: the server has closed meanwhile.
        """
        for start in range(0, len(data), piece):
            if start:
                between()
            self.socket.sendall(data[start : start + piece])

    def associate(
        self,
        *,
        called: str = "ANY-SCP",
        calling: str = "HOSTILE",
        contexts: Sequence[PresentationContextRq] = (_VERIFICATION,),
    ) -> Pdu | None:
        """Ask for an association as one should; returns the answer, None if there is none."""
        user = UserInformation(16384, "1.2.826.0.1.3680043.8.498.1", "HOSTILE")
        self.send(AssociateRq(called, calling, tuple(contexts), user))
        return self.receive()

    def stop_sending(self) -> None:
        """Close our direction of the connection alone."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.socket.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    # --- hearing -----------------------------------------------------------------------------

    def receive_bytes(self) -> bytes:
        """Receive the bytes of a whole PDU; none if the stream ends before one begins.

        Raises:
            TimeoutError: nothing came.
            AssertionError: the stream ends within a PDU.
        """
        if not self._fill(_HEADER_LENGTH):
            return b""
        length = _HEADER_LENGTH + int.from_bytes(self._unread[2:_HEADER_LENGTH], "big")
        self._fill(length)
        pdu = bytes(self._unread[:length])
        del self._unread[:length]
        self.transcript += pdu
        return pdu

    def receive(self) -> Pdu | None:
        """Receive a PDU; None if the stream ends before one begins."""
        data = self.receive_bytes()
        return decode_pdu(memoryview(data)) if data else None

    def expect(self, expected: Pdu | type) -> None:
        """Receive a PDU.

        Raises:
            AssertionError: it is not the `expected` one, or not of that type.
        """
        got = self.receive()
        if not (isinstance(got, expected) if isinstance(expected, type) else got == expected):
            raise AssertionError(f"expected {expected}, got {got}")

    def expect_abort(self, source: int, reason: int) -> None:
        """Receive an A-ABORT and the end of the stream (PS3.8 9.3.8).

        Raises:
            AssertionError: something else came.
        """
        self.expect(Abort(source, reason))
        self.expect_end()

    def expect_rejection(self, result: int, source: int, reason: int) -> None:
        """Receive an A-ASSOCIATE-RJ and the end of the stream (PS3.8 9.3.4).

        Raises:
            AssertionError: something else came.
        """
        self.expect(AssociateRj(result, source, reason))
        self.expect_end()

    def expect_end(self) -> None:
        """Receive the end of the stream, or a reset.

        Raises:
            AssertionError: something else came.
        """
        try:
            got = self.receive()
        except ConnectionResetError:
            return
        if got is not None:
            raise AssertionError(f"expected the end of the stream, got {_described(got)}")

    def _fill(self, length: int) -> bool:
        while len(self._unread) < length:
            part = self.socket.recv(65536)
            if not part:
                if self._unread:
                    raise AssertionError(
                        f"expected {length} bytes of a PDU, the stream ends after "
                        f"{len(self._unread)}"
                    )
                return False
            self._unread += part
        return True


def _described(pdu: Pdu) -> str:
    return f"{len(pdu.pdvs)} presentation data values" if isinstance(pdu, PDataTf) else str(pdu)
