"""How a TCP connection comes about: the look-up of a name, and each of its addresses in turn."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from dicom_actors.errors import AssociationTimeout, TransportError
from dicom_actors.transport.plain import wait_for_socket

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.scu.settings import Clock, Settings

    _Address = tuple[Any, Any, int, str, Any]

__all__ = ["connect_tcp"]


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
