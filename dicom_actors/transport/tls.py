"""The connection of an association through TLS, once it is established, and each step until then.

What goes out is gathered into few records; encryption copies it anyway. PS3.15 B.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from typing import TYPE_CHECKING, Literal

from dicom_actors.transport.plain import gathered, wait_for_socket

if TYPE_CHECKING:
    from dicom_actors.transport.plain import Buffers

__all__ = ["TlsTransport", "in_words", "shake_hands"]


class TlsTransport:
    """A socket with TLS established, which belongs to this object; see `Transport`.

    Args:
        connection: the socket; it does not block.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._socket = connection
        # What a call could not send must be offered again unchanged (SSL_write).
        self._pending: bytes | memoryview = b""
        self._wants_write_to_read = False
        self._wants_read_to_write = False

    def send(self, buffers: Buffers) -> int:
        """See `Transport`. Raises OSError when the connection is lost."""
        self._wants_read_to_write = False
        if not len(self._pending):
            self._pending = gathered(buffers)
        try:
            sent = self._socket.send(self._pending)
        except ssl.SSLWantWriteError:
            return 0
        except ssl.SSLWantReadError:
            self._wants_read_to_write = True
            return 0
        except ssl.SSLError as error:
            raise OSError(errno.EPROTO, in_words(error)) from error
        self._pending = b""
        return sent

    def receive_into(self, room: memoryview) -> int | None:
        """See `Transport`. Raises OSError when the connection is lost."""
        self._wants_write_to_read = False
        try:
            return self._socket.recv_into(room)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self._wants_write_to_read = True
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0
        except ssl.SSLError as error:
            raise OSError(errno.EPROTO, in_words(error)) from error

    def wait(self, seconds: float, *, for_writing: bool) -> None:
        """See `Transport`."""
        if self._socket.pending():
            return
        for_writing = for_writing and not self._wants_read_to_write
        wait_for_socket(
            self._socket,
            seconds,
            for_reading=True,
            for_writing=for_writing or self._wants_write_to_read,
        )

    def stop_sending(self) -> None:
        """Say with a close_notify that nothing more comes, and end the connection one way."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.unwrap()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def interrupt(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            # Of the socket itself: that of SSL would take its state away from a thread that
            # uses it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Transport`."""
        self._socket.close()


def shake_hands(connection: ssl.SSLSocket) -> Literal["done", "read", "write"]:
    """Go on with the handshake; says what it waits for.

    Raises:
        OSError: it failed (`ssl.SSLError` is one), or the connection is lost.
    """
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return "read"
    except ssl.SSLWantWriteError:
        return "write"
    return "done"


def in_words(error: ssl.SSLError) -> str:
    """Say what went wrong, without OpenSSL's module and line numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    kind, alert, name = (error.reason or str(error)).partition("_ALERT_")
    words = (name or kind).replace("_", " ").lower()
    return f"the peer's TLS says: {words}" if alert else words
