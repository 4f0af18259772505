"""Where a C-MOVE sends instances to. PS3.4 C.4.2.

A destination comes from the handler alone, that is, from the host application's configuration:
nothing that a peer says becomes an address, so that nobody reaches others through an endpoint.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterable, Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data import DataSet
from dicom_actors.errors import ConfigurationError
from dicom_actors.scu.settings import Settings, user_identity_of

if TYPE_CHECKING:
    import ssl

    from dicom_actors.scu.settings import Clock, Credentials
    from dicom_actors.tls import TlsConfig

__all__ = ["MoveTo", "is_ours"]

_UNSPECIFIED: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, never bound
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, eq=False)
class MoveTo:
    """What a ``cmove`` handler returns, alone or several of it: instances, and where to.

    Look up `MoveEvent.destination` in what is configured, and return
    ``Status.MOVE_DESTINATION_UNKNOWN`` for any other name. Never make an address of what a peer
    says: it could make the endpoint knock at any door that it chooses.

    Attributes:
        host: the destination's name or address.
        port: its port, 1 to 65535.
        ae_title: its AE title.
        instances: an iterable, or an async one, of data sets and of DICOM files as paths or as
            bytes; or a pair of their number and the iterable, so that the peer learns how many
            remain. A list or a tuple is looked through ahead, so that one association does for
            all that is in it. From any other iterable an instance is taken when the last one was
            answered, and another association is asked for when one comes that the present one
            does not cover.
        calling: our AE title; None: that of the endpoint, or the one that the peer called.
        timeout: seconds to connect, for TLS, for the association, and for each response.
        tls: makes the connection secure, with the certificates that it has and trusts.
        server_hostname: the name in the destination's certificate; None: `host`.
        user_identity: a user name, a name and a passcode, or any user identity item.

    Raises:
        ConfigurationError: one of these is out of its range; the message names it.
    """

    host: str
    port: int
    ae_title: str
    instances: Any = field(repr=False)
    _: KW_ONLY
    calling: str | None = None
    timeout: float = 30.0
    tls: TlsConfig | ssl.SSLContext | None = field(default=None, repr=False)
    server_hostname: str | None = None
    user_identity: Credentials | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check what can be checked before anybody is asked."""
        if not isinstance(self.instances, Iterable | AsyncIterable) or isinstance(
            self.instances, DataSet | str | bytes
        ):
            raise ConfigurationError(
                "instances: expected an iterable of data sets, paths or files as bytes, or a pair "
                f"of their number and that, got {type(self.instances).__name__}"
            )
        self.settings(self.ae_title)

    def settings(self, calling: str, clock: Clock | None = None) -> Settings:
        """Return how the association is asked for.

        Args:
            calling: our AE title, if the destination does not say another one.
            clock: tells the time; None: the system.

        Raises:
            ConfigurationError: see `MoveTo`.
        """
        settings = Settings(
            host=self.host,
            port=self.port,
            called=self.ae_title,
            calling=self.calling or calling,
            timeout=self.timeout,
            response_timeout=self.timeout,
            tls=self.tls,
            server_hostname=self.server_hostname,
            user_identity=user_identity_of(self.user_identity),
        )
        return settings if clock is None else replace(settings, clock=clock)


def is_ours(move_to: MoveTo, listening_socket: socket.socket | None) -> bool:
    """Whether a destination is the endpoint itself, under whatever name.

    Args:
        move_to: the destination.
        listening_socket: the endpoint's; None if it does not listen now.
    """
    if listening_socket is None:
        return False
    try:
        own_host, own_port = listening_socket.getsockname()[:2]
        if move_to.port != own_port:
            return False
        found = socket.getaddrinfo(move_to.host, move_to.port, type=socket.SOCK_STREAM)
    except OSError:
        return False  # closed meanwhile; or nobody has that name, as the attempt is going to tell
    return any(_leads_to(family, str(address[0]), own_host) for family, *_, address in found)


def _leads_to(family: int, host: str, own_host: str) -> bool:
    """Whether a connection to the address `host` arrives at a socket bound to `own_host`."""
    if own_host in _UNSPECIFIED:
        return _is_local(family, host)
    if host in _UNSPECIFIED:  # which connects to this machine
        return own_host in _LOOPBACK
    return host.removeprefix("::ffff:") == own_host.removeprefix("::ffff:")


def _is_local(family: int, host: str) -> bool:
    """Whether an address is one of this machine's: only such a one can be bound to."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
