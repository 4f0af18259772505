"""The connection of an association through TLS. PS3.15 B.

What goes out is gathered into few records; encryption copies it anyway.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import AssociationTimeout, TransportError
from dicom_actors.scu.transport import wait_for_socket
from dicom_actors.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.scu.settings import Settings
    from dicom_actors.scu.transport import Buffers

__all__ = ["TlsTransport", "client_context", "negotiate_tls"]

_GATHERED: Final = 64 * 1024
"""Bytes that go to one call, four records of the greatest length."""


class TlsTransport:
    """A socket with TLS established, which belongs to this object; see `Transport`.

    Args:
        connection: the socket; it does not block.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._socket = connection
        # What a call could not send must be offered again unchanged (SSL_write).
        self._pending = b""
        self._wants_write_to_read = False
        self._wants_read_to_write = False

    def send(self, buffers: Buffers) -> int:
        """See `Transport`. Raises OSError when the connection is lost."""
        self._wants_read_to_write = False
        if not self._pending:
            self._pending = _gather(buffers)
        try:
            sent = self._socket.send(self._pending)
        except ssl.SSLWantWriteError:
            return 0
        except ssl.SSLWantReadError:
            self._wants_read_to_write = True
            return 0
        except ssl.SSLError as error:
            raise OSError(errno.EPROTO, _in_words(error)) from error
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
            raise OSError(errno.EPROTO, _in_words(error)) from error

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
        """Say with a close_notify that nothing more comes."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.unwrap()

    def interrupt(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            # Of the socket itself: that of SSL would take its state away from a thread that
            # uses it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Transport`."""
        self._socket.close()


def _in_words(error: ssl.SSLError) -> str:
    """Say what went wrong, without OpenSSL's module and line numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    kind, alert, name = (error.reason or str(error)).partition("_ALERT_")
    words = (name or kind).replace("_", " ").lower()
    return f"the peer's TLS says: {words}" if alert else words


def _gather(buffers: Buffers) -> bytes:
    length, count = 0, 0
    for buffer in buffers:
        length += len(buffer)
        count += 1
        if length >= _GATHERED:
            break
    if count == 1:
        return bytes(memoryview(buffers[0])[:_GATHERED])
    return b"".join(buffers[:count])[:_GATHERED]


def negotiate_tls(
    connection: socket.socket,
    context: ssl.SSLContext,
    settings: Settings,
    deadline: float,
    *,
    watch: Callable[[socket.socket], None] = lambda _: None,
) -> ssl.SSLSocket:
    """Do the TLS handshake as a client; the socket belongs to the one that is returned.

    Args:
        connection: connected, and not blocking.
        context: whom to trust and who we are.
        settings: with the name that the peer's certificate must have, if the context checks it.
        deadline: when to give up, by the clock.
        watch: is called with the socket before the handshake; may raise to give up.

    Raises:
        TransportError: the handshake failed; it says why.
        AssociationTimeout: it took too long.
    """
    try:
        wrapped = context.wrap_socket(
            connection,
            server_hostname=settings.server_hostname or settings.host,
            do_handshake_on_connect=False,
        )
    except (OSError, ValueError) as error:
        connection.close()
        raise TransportError(f"{settings.address}: TLS cannot be set up: {error}") from error
    failed = f"{settings.address}: the TLS handshake"
    try:
        watch(wrapped)
        _shake_hands(wrapped, settings, deadline)
    except ssl.SSLError as error:
        wrapped.close()
        raise TransportError(f"{failed} failed: {_in_words(error)}") from error
    except AssociationTimeout:
        wrapped.close()
        raise
    except OSError as error:
        wrapped.close()
        raise TransportError(f"{failed} failed: {error.strerror or error}") from error
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def _shake_hands(connection: ssl.SSLSocket, settings: Settings, deadline: float) -> None:
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            for_writing = False
        except ssl.SSLWantWriteError:
            for_writing = True
        else:
            return
        left = deadline - settings.clock.monotonic()
        if left <= 0:
            raise AssociationTimeout(
                f"{settings.address}: the TLS handshake was not finished in time"
            )
        wait_for_socket(connection, left, for_reading=not for_writing, for_writing=for_writing)
