"""The socket of a connection, plain or under TLS. It never blocks.

Belongs to the connection record, which guards it with its lock and closes it once.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from dicom_actors.errors import FileChangedError
from dicom_actors.transport.plain import SocketTransport, acknowledge_quickly

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from dicom_actors.transport.tls import TlsTransport

__all__ = ["Transport"]

_BUFFERS_AT_A_TIME = 512
_AT_A_TIME = 16 * 1024 * 1024
"""Bytes that are sent in one go, however fast the peer takes them: a connection has to look at
other things, too, while it sends something huge."""


class Transport:
    """Reads into buffers, sends whole PDUs, keeps what the socket does not take.

    Args:
        connection: the accepted socket, not blocking; the transport owns it from now on.

    Attributes:
        socket: the socket to watch; another one after `start_tls`.
        is_secure: whether TLS was begun.
        is_handshaken: whether TLS is established.
        is_closed: whether the socket is closed.
        unsent: bytes that wait to be sent.
        receive_into: reads once into what it is given; returns how many bytes came, 0 at the end of
            the stream, None if there is nothing yet. Raises OSError when the connection is lost.
        peer_certificate: what `ssl.SSLSocket.getpeercert` gives; None without TLS.
        changed: what could not be sent, since its file had become shorter; None: nothing.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.is_secure = False
        self.is_handshaken = False
        self.is_closed = False
        self.peer_certificate: dict[str, Any] | None = None
        self.unsent = 0
        self.changed: FileChangedError | None = None
        self._use(SocketTransport(connection))
        self._output: deque[Any] | None = None  # made when the socket does not take all

    def _use(self, link: SocketTransport | TlsTransport) -> None:
        self._link = link
        self.receive_into: Callable[[memoryview], int | None] = link.receive_into

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Put TLS on the connection; `handshake` does the rest.

        Raises:
            OSError: the connection is lost.
        """
        from dicom_actors.transport.tls import TlsTransport  # noqa: PLC0415 - loads ssl

        self.is_secure = True
        secured = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.socket = secured
        self._use(TlsTransport(secured))

    def handshake(self) -> Literal["done", "read", "write"]:
        """Go on with the TLS handshake; says what it waits for.

        Raises:
            OSError: it failed (`ssl.SSLError` is one), or the connection is lost.
        """
        from dicom_actors.transport.tls import shake_hands  # noqa: PLC0415 - loads ssl

        connection: Any = self.socket
        wanted = shake_hands(connection)
        if wanted == "done":
            self.peer_certificate = connection.getpeercert()
            self.is_handshaken = True
        return wanted

    def send(self, buffers: Sequence[bytes | memoryview]) -> bool:
        """Send, behind what is kept; returns whether all of it went out.

        Raises:
            FileChangedError: some of it cannot be read, and the connection ends for it.
            OSError: the connection is lost.
        """
        length = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        sent = 0
        if not self.unsent and len(buffers) <= _BUFFERS_AT_A_TIME and not self.is_closed:
            try:
                sent = self._link.send(buffers)
            except FileChangedError as error:
                self._end_for(error)
                raise
            if sent == length:
                return True
        if self._output is None:
            self._output = deque()
        self._output.extend(
            memoryview(part) if type(part) is bytes else part for part in buffers if len(part)
        )
        self.unsent += length
        self._drop(sent)
        return self.flush()

    def acknowledge_quickly(self) -> None:
        """Have what was read acknowledged at once; to be said after each read."""
        if not self.is_closed:
            acknowledge_quickly(self.socket)

    @property
    def has_output(self) -> bool:
        """Whether bytes wait to be sent."""
        return self.unsent > 0

    def flush(self) -> bool:
        """Send what is kept, or a good part of it; returns and raises as `send` does."""
        output = self._output
        until = self.unsent - _AT_A_TIME
        while output and not self.is_closed:
            if self.unsent <= until:
                return False
            try:
                sent = self._link.send(list(islice(output, _BUFFERS_AT_A_TIME)))
            except FileChangedError as error:
                self._end_for(error)
                raise
            if not sent:
                return False
            self._drop(sent)
        return True

    def _end_for(self, error: FileChangedError) -> None:
        # A part of a PDU is out, so that not even an A-ABORT could be told from the rest of it.
        self.changed = error
        self._output = None
        self.unsent = 0
        self._link.interrupt()

    def _drop(self, sent: int) -> None:
        """Forget the first bytes of what is kept: they are on their way."""
        output = self._output
        assert output is not None
        self.unsent -= sent
        while sent and sent >= len(output[0]):
            sent -= len(output.popleft())
        if sent:
            output[0] = output[0][sent:]

    def stop_sending(self) -> None:
        """Say that nothing more will be sent, so that closing does not destroy what was."""
        if not self.is_closed:
            self._link.stop_sending()

    def close(self) -> None:
        """Close the socket."""
        self.is_closed = True
        self.receive_into = _receive_nothing
        self.socket.close()
        self._output, self.unsent = None, 0


def _receive_nothing(_: memoryview) -> int:
    return 0
