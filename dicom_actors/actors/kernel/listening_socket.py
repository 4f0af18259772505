"""The listening socket of an endpoint."""

from __future__ import annotations

import socket

from dicom_actors.errors import TransportError

__all__ = ["listen"]

_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen.

    Args:
        host: the address to bind to; empty: all, IPv6 too where the system has it.
        port: TCP port, 0 to 65535; 0 picks one.

    Returns:
        The socket, which does not block.

    Raises:
        TransportError: the port cannot be bound; the message says why.
    """
    if "\0" in host or any("\ud800" <= character <= "\udfff" for character in host):
        # `create_server` would leave its socket open over that.
        raise TransportError(f"cannot bind to {host!r}, port {port}: that is no name of a host")
    both = not host and socket.has_dualstack_ipv6()
    is_ipv6 = both or ":" in host
    try:
        listening_socket = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=both,
        )
    except OSError as error:
        # `create_server` puts the address behind the reason.
        reason = (error.strerror or str(error)).partition(" (while ")[0]
        raise TransportError(
            f"cannot bind to {host or 'all addresses'}, port {port}: {reason}"
        ) from error
    listening_socket.setblocking(False)
    return listening_socket
