"""The settings of the web side: frozen, checked once, each with its default and unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from dicom_actors.deidentification.options import checked_options
from dicom_actors.errors import ConfigurationError

__all__ = ["WebSettings"]

_MIB: Final = 1 << 20

_RANGES: Final[dict[str, tuple[float, float]]] = {
    "max_body_bytes": (1, 1 << 60),
    "max_part_bytes": (1, 1 << 60),
    "max_parts": (1, 1_000_000),
    "max_json_bytes": (1024, 1 << 32),
    "max_results": (1, 10_000_000),
    "max_instances": (1, 10_000_000),
    "bulk_data_bytes": (0, 1 << 30),
    "cache_bytes": (0, 1 << 40),
    "metadata_bytes": (0, 1 << 50),
    "max_connections": (1, 1_000_000),
    "max_event_channels": (0, 100_000),
    "threads": (1, 1000),
    "header_timeout": (0.001, 86_400),
    "body_timeout": (0.001, 86_400),
    "min_body_rate": (1, 1 << 40),
    "write_timeout": (0.001, 86_400),
    "keep_alive_timeout": (0.001, 86_400),
    "drain_timeout": (0, 86_400),
    "restarts": (0, 1_000_000),
    "restart_period": (0.001, 86_400),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """How the archive is served by HTTP.

    Attributes:
        public_url: the address that clients reach the server by, such as
            ``https://pacs.example.org``; it stands before every address that is given to them.
            Empty: the one that it listens on.
        allow_delete: whether DELETE deletes.
        ups: whether there is a worklist of unified procedure steps (UPS-RS), at ``/workitems``.
        cors_origins: pages of which origins may ask, such as ``https://viewer.example.org``;
            ``*`` for all.
        deidentification_salt_file: the key of what is downloaded without what identifies the
            patient: the first line of this file. Empty: a key for as long as the server runs.
        deidentification_options: of PS3.15 Annex E, such as ``retain-modified-dates``; see
            `dicom_actors.deidentification.Option`.
        max_body_bytes: of a request.
        max_part_bytes: of an object that is stored, or of bulk data.
        max_parts: parts of a request.
        max_json_bytes: of metadata that are stored.
        max_results: of a query that has no limit of its own.
        max_instances: that are sent for one request.
        bulk_data_bytes: a value that is longer is given by its address, in metadata.
        cache_bytes: of metadata that are kept in memory, compressed.
        metadata_bytes: of metadata that are kept on the disk, compressed; 0: none are.
        max_connections: that may be open, as far as the system has descriptors for them; for
            another one the longest idle one is closed; where none is idle, it is told so by 503.
        max_event_channels: that may be open for events of workitems; more are told so by 503.
        threads: that work on requests.
        header_timeout: seconds in which the headers of a request must have come.
        body_timeout: seconds in which more of a body must come.
        min_body_rate: bytes of a body that must come in a second, on the average.
        write_timeout: seconds in which a client must take a piece of a body.
        keep_alive_timeout: seconds after which an idle connection is closed.
        drain_timeout: seconds for open requests to finish at the end.
        restarts: how often the server may fail within `restart_period` seconds.
        restart_period: see `restarts`.

    Raises:
        ConfigurationError: one of them is out of its range.
    """

    public_url: str = ""
    allow_delete: bool = False
    ups: bool = False
    cors_origins: tuple[str, ...] = ()
    deidentification_salt_file: str = ""
    deidentification_options: tuple[str, ...] = ()
    max_body_bytes: int = 1 << 40
    max_part_bytes: int = 1 << 37
    max_parts: int = 20_000
    max_json_bytes: int = 64 * _MIB
    max_results: int = 100_000
    max_instances: int = 100_000
    bulk_data_bytes: int = 1024
    cache_bytes: int = 64 * _MIB
    metadata_bytes: int = 1024 * _MIB
    max_connections: int = 2000
    max_event_channels: int = 100
    threads: int = 8
    header_timeout: float = 20.0
    body_timeout: float = 60.0
    min_body_rate: int = 1024
    write_timeout: float = 120.0
    keep_alive_timeout: float = 30.0
    drain_timeout: float = 10.0
    restarts: int = 10
    restart_period: float = 60.0

    def __post_init__(self) -> None:
        """Check."""
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not lowest <= value <= highest:
                raise ConfigurationError(
                    f"{name}: expected {lowest:g} to {highest:g}, got {value!r}"
                )
        try:
            checked_options(self.deidentification_options)
        except ValueError as error:
            raise ConfigurationError(f"deidentification_options: {error}") from error
        if self.public_url:
            _check_url("public_url", self.public_url)
        for origin in self.cors_origins:
            if origin != "*":
                _check_url("cors_origins", origin)


def _check_url(name: str, text: str) -> None:
    try:
        parts = urlsplit(text)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query
        _ = parts.port
    except ValueError:
        is_right = False
    if not is_right or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(
            f"{name}: expected an address with http:// or https://, got {text!r}"
        )
