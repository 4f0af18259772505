"""The TCP connection of an association: what it takes, what it gives, and waiting for either.

Nothing here blocks but `wait`, which has a limit. The limits of time are the caller's business,
as is the protocol; TLS is in `tls_transport`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors.errors import AssociationTimeout, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_actors.scu.settings import Clock, Settings

    Buffers = Sequence[bytes | memoryview]
    _Address = tuple[Any, Any, int, str, Any]

__all__ = ["SocketTransport", "Transport", "connect_tcp", "wait_for_socket"]

_QUICK_ACK: Final = getattr(socket, "TCP_QUICKACK", None)


class Transport(Protocol):
    """A connection to a peer that never blocks but in `wait`."""

    def send(self, buffers: Buffers) -> int:
        """Send of these buffers what goes out at once; returns bytes, 0 for none for now.

        Args:
            buffers: at most 1,024, the number that systems take.
        """

    def receive_into(self, room: memoryview) -> int | None:
        """Receive what there is; returns bytes, 0 at the end, None for nothing yet."""

    def wait(self, seconds: float, *, for_writing: bool) -> None:
        """Return when there is something to receive, or room to send, or the time is over."""

    def stop_sending(self) -> None:
        """Say that nothing more comes."""

    def interrupt(self) -> None:
        """End the connection both ways, from any thread; a `wait` for it returns."""

    def close(self) -> None:
        """Close the connection; more than once does no harm."""


class SocketTransport:
    """A connected TCP socket, which belongs to this object.

    Args:
        connection: the socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._gathers = hasattr(connection, "sendmsg")

    def send(self, buffers: Buffers) -> int:
        """See `Transport`. Raises OSError when the connection is lost."""
        try:
            if self._gathers:
                return self._socket.sendmsg(buffers)
            return self._socket.send(b"".join(buffers))
        except (BlockingIOError, InterruptedError):
            return 0

    def receive_into(self, room: memoryview) -> int | None:
        """See `Transport`. Raises OSError when the connection is lost."""
        try:
            return self._socket.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return None

    def wait(self, seconds: float, *, for_writing: bool) -> None:
        """See `Transport`."""
        if _QUICK_ACK is not None:
            # The kernel falls back to delayed acknowledgements, which stall a peer that sends
            # small pieces under Nagle's algorithm for 40 ms each.
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        wait_for_socket(self._socket, seconds, for_reading=True, for_writing=for_writing)

    def stop_sending(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def interrupt(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Transport`."""
        self._socket.close()


# Poll needs no descriptor of its own; where it is missing, the default serves as well.
_Selector: Final = getattr(selectors, "PollSelector", selectors.DefaultSelector)


def wait_for_socket(
    connection: socket.socket, seconds: float, *, for_reading: bool, for_writing: bool
) -> None:
    """Return when a socket is ready or the time is over.

    Args:
        connection: the socket.
        seconds: how long, 0 and more; `math.inf` for ever.
        for_reading: whether something to receive is ready.
        for_writing: whether room to send is.
    """
    wanted = (selectors.EVENT_READ if for_reading else 0) | (
        selectors.EVENT_WRITE if for_writing else 0
    )
    with _Selector() as selector:
        selector.register(connection, wanted)
        selector.select(None if seconds > 1e6 else seconds)


def connect_tcp(
    settings: Settings,
    deadline: float,
    watch: Callable[[socket.socket], None] = lambda _: None,
) -> socket.socket:
    """Open a TCP connection, with no delay for small writes.

    Args:
        settings: with the host, a name or an address; every address of a name is tried.
        deadline: when to give up, by the clock.
        watch: is called with each socket before it is connected; may raise to give up.

    Raises:
        TransportError: nobody can be reached there; it says why.
        AssociationTimeout: nobody answered in time.
    """
    where = settings.address
    failure: OSError | None = None
    for family, kind, protocol, _, address in _addresses(settings, deadline):
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # a system without IPv6, or without descriptors
            failure = error
            continue
        try:
            watch(connection)
            _connect(connection, address, settings.clock, deadline)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    if isinstance(failure, TimeoutError):
        raise AssociationTimeout(f"{where}: no answer to the TCP connection in time") from failure
    reason = "no address" if failure is None else failure.strerror or str(failure)
    raise TransportError(f"{where}: {reason}") from failure


def _addresses(settings: Settings, deadline: float) -> list[_Address]:
    """Look up the addresses of a host, for no longer than until the deadline."""
    host, port = settings.host, settings.port
    with contextlib.suppress(OSError):
        flags = socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    results: list[list[_Address] | OSError] = []

    def look_up() -> None:
        try:
            results.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            results.append(error)

    # The system's look-up takes no deadline, so it is left behind where it takes too long.
    thread = threading.Thread(target=look_up, name=f"look-up of {host}", daemon=True)
    thread.start()
    thread.join(max(0.0, min(deadline - settings.clock.monotonic(), threading.TIMEOUT_MAX)))
    if not results:
        raise AssociationTimeout(f"{settings.address}: the name was not looked up in time")
    (result,) = results
    if isinstance(result, OSError):
        raise TransportError(f"{settings.address}: {result.strerror or result}") from result
    return result


def _connect(
    connection: socket.socket, address: tuple[object, ...], clock: Clock, deadline: float
) -> None:
    connection.setblocking(False)
    try:
        connection.connect(address)
    except (BlockingIOError, InterruptedError):
        # In progress; the socket becomes writable when it is decided.
        wait_for_socket(
            connection, max(0.0, deadline - clock.monotonic()), for_reading=False, for_writing=True
        )
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code)) from None
        try:
            connection.getpeername()
        except OSError:
            raise TimeoutError("not connected in time") from None
