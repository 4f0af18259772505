"""The addresses that a host's name stands for."""

from __future__ import annotations

import socket
from typing import Any

__all__ = ["Address", "look_up"]

Address = tuple[Any, Any, int, str, Any]
"""What `socket.getaddrinfo` gives: family, kind, protocol, canonical name, address."""


def look_up(host: str, port: int, *, flags: int = 0) -> list[Address]:
    """Look up the addresses of a host, for as long as the system takes.

    Args:
        host: a name or an address.
        port: the port to be in each of them.
        flags: those of `socket.getaddrinfo`.

    Raises:
        OSError: there are none; that is also said of what no host can be named.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except ValueError as error:
        # Of a label that is empty or too long, or a NUL: found before anybody is asked.
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from error
