"""How an association is asked for and how long its peer may take.

Times are seconds, sizes are bytes; `math.inf` is a time without end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from dicom_actors.config import check_ae_title, check_host
from dicom_actors.errors import ConfigurationError, shown
from dicom_actors.pdu import UserIdentity

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from dicom_actors.pdu import SopClassExtended
    from dicom_actors.tls import TlsConfig
    from dicom_actors.transport.plain import Transport

__all__ = ["Clock", "Credentials", "Deadline", "PduTap", "Settings", "user_identity_of"]

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "port": (1, 0xFFFF),
    "timeout": (0.001, float("inf")),
    "response_timeout": (0.001, float("inf")),
    "max_pdu_length": (4 * _KIB, 16 * _MIB),
    "async_window": (1, 0xFFFF),
    "max_object_bytes": (1, 1 << 50),
    "spool_bytes": (0, 1 << 31),
}

Credentials = UserIdentity | str | tuple[str, str]
"""Who the user is: a name, a name and a passcode, or any other user identity item."""

PduTap = Callable[[int, bool, Sequence[bytes | memoryview]], object]
"""Is called with each PDU: a number that no other open association has, whether the PDU was
received, and its bytes in pieces."""


class Clock(Protocol):
    """Tells the time; the `time` module does."""

    def monotonic(self) -> float:
        """Seconds from some fixed point; never goes back."""


class Deadline(NamedTuple):
    """When our patience with the peer ends.

    Attributes:
        at: by the clock.
        seconds: how long it was, for the error message.
    """

    at: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `connect` was asked for; see there for what is not described here.

    Attributes:
        open_transport: opens the connection; None: TCP to `host` and `port`.
        clock: tells the time for all deadlines.
        pause: waits so many seconds before another attempt; None: as it is usual, or until the
            association is given up.
    """

    host: str
    port: int
    called: str
    calling: str
    timeout: float
    response_timeout: float
    tls: TlsConfig | ssl.SSLContext | None = None
    server_hostname: str | None = None
    user_identity: UserIdentity | None = None
    extended: tuple[SopClassExtended, ...] = ()
    async_window: int = 1
    max_pdu_length: int = 128 * _KIB
    max_object_bytes: int = 16 * _KIB * _MIB
    spool_bytes: int = 16 * _MIB
    spool_directory: str | Path | None = None
    on_pdu: PduTap | None = None
    clock: Clock = field(default=time)
    pause: Callable[[float], object] | None = None
    open_transport: Callable[[Settings], Transport] | None = None

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            ConfigurationError: a setting is out of its range; the message names it.
        """
        check_host(self.host)
        check_ae_title(self.called, "called")
        check_ae_title(self.calling, "calling")
        for name, (lowest, highest) in _RANGES.items():
            _check_number(name, getattr(self, name), lowest, highest)
        if not isinstance(self.port, int):
            raise ConfigurationError(f"port: expected a whole number, got {shown(self.port)}")

    @property
    def peer(self) -> str:
        """Whom this is about, for error messages."""
        return f"{self.called} at {self.address}"

    @property
    def address(self) -> str:
        """Host and port in one, as they are written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _check_number(name: str, value: Any, lowest: float, highest: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name}: expected a number, got {shown(value)}")
    if not lowest <= value <= highest:
        raise ConfigurationError(f"{name}: expected {lowest} to {highest}, got {value}")


def user_identity_of(credentials: Credentials | None) -> UserIdentity | None:
    """Make the user identity item of what a user of `connect` gave (PS3.7 D.3.3.7).

    A positive response is asked for, so that a peer that looks at it says so.

    Raises:
        TypeError: it is neither, which is not shown: it may be a secret.
    """
    if credentials is None or isinstance(credentials, UserIdentity):
        return credentials
    if isinstance(credentials, str):
        return UserIdentity(1, credentials.encode(), positive_response_requested=True)
    if not all(isinstance(part, str) for part in credentials) or len(credentials) != 2:
        raise TypeError("user_identity: expected a name, or a name and a passcode")
    name, passcode = credentials
    return UserIdentity(2, name.encode(), passcode.encode(), positive_response_requested=True)
