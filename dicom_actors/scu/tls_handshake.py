"""How TLS comes upon a connection that we asked for. PS3.15 B."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from dicom_actors.errors import AssociationTimeout, TransportError
from dicom_actors.tls import client_context
from dicom_actors.transport.plain import wait_for_socket
from dicom_actors.transport.tls import in_words, shake_hands

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from dicom_actors.scu.settings import Settings

__all__ = ["client_context", "negotiate_tls"]


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
        raise TransportError(f"{failed} failed: {in_words(error)}") from error
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
    while (wanted := shake_hands(connection)) != "done":
        left = deadline - settings.clock.monotonic()
        if left <= 0:
            raise AssociationTimeout(
                f"{settings.address}: the TLS handshake was not finished in time"
            )
        for_writing = wanted == "write"
        wait_for_socket(connection, left, for_reading=not for_writing, for_writing=for_writing)
