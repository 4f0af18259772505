"""The settings of what goes into an engine and comes out of it; checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dicom_actors.errors import ConfigurationError

__all__ = ["EngineSettings", "check_servers"]

_WHEN_FULL: Final = ("refuse", "drop")
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How events go into an engine.

    Attributes:
        stream: the name of the stream in JetStream; made if it is not there. Subjects are its name
            and the event's: ``dicom.InstanceStored``.
        replicas: nodes of the engine's cluster that have a copy, where the stream is made.
        most_waiting: events that wait while the engine is away.
        when_full: what happens then: ``"refuse"`` objects (A700H), so that no event is lost, or
            ``"drop"`` the oldest events, which are counted.
        duplicate_seconds: for so long the stream knows a message that comes again, where the
            stream is made.
        timeout: seconds for the engine to answer.
    """

    stream: str = "dicom"
    replicas: int = 1
    most_waiting: int = 1_000_000
    when_full: str = "refuse"
    duplicate_seconds: float = 3_600.0
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if not self.stream or not _WORD.issuperset(self.stream):
            raise ConfigurationError(
                f"stream: expected letters, digits, - and _, got {self.stream!r}"
            )
        if self.when_full not in _WHEN_FULL:
            raise ConfigurationError(
                f"when_full: expected 'refuse' or 'drop', got {self.when_full!r}"
            )
        for name, lowest, highest in (
            ("replicas", 1, 5),
            ("most_waiting", 1, 1 << 40),
            ("duplicate_seconds", 0.1, 30 * 86_400),
            ("timeout", 0.01, 3_600),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not lowest <= value <= highest:
                raise ConfigurationError(f"{name}: expected {lowest} to {highest}, got {value!r}")


def check_servers(servers: list[str]) -> list[str]:
    """See that texts are addresses of NATS servers.

    Raises:
        ConfigurationError: one is none; it is not repeated, as it may hold a password.
    """
    if not servers or not all(
        one.startswith(("nats://", "tls://", "ws://", "wss://")) for one in servers
    ):
        raise ConfigurationError("servers: expected nats://HOST:PORT, several with commas between")
    return servers
