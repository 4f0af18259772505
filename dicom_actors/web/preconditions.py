"""What has to be so for a web server to start; it is looked at before anything else is started."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_actors.web.tokens import Tokens

__all__ = ["address_of", "check_reach", "check_viewer", "is_loopback"]


def address_of(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Give the address to bind to.

    Raises:
        ConfigurationError: the host is no address, or no known name of one.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"web host {host}: {why}") from error
    family, _, _, _, address = found[0]
    return family, address


def is_loopback(address: str) -> bool:
    """Whether this machine alone reaches a server that is bound to an address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def check_reach(host: str, tokens: Tokens | None, *, is_insecure: bool) -> None:
    """Refuse to serve others than this machine where nobody has to show a token.

    Args:
        host: what is to be bound to.
        tokens: who may ask; None: everybody who can reach it.
        is_insecure: whether that is what is wanted.

    Raises:
        ConfigurationError: others could reach it without a token, or the host is none.
    """
    _, (address, *_) = address_of(host, 0)
    if tokens is None and not is_insecure and not is_loopback(address):
        raise ConfigurationError(
            f"web host {host}: others can reach it, so there have to be tokens"
            " (--tokens FILE), or --insecure"
        )


def check_viewer(folder: Path) -> None:
    """Refuse a folder that is none of a ready-built viewer.

    Raises:
        ConfigurationError: it has no ``index.html``.
    """
    if not (folder / "index.html").is_file():
        raise ConfigurationError(f"{folder}: expected the folder of a viewer, with an index.html")
