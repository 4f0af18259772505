"""The configuration of an endpoint: every limit and time-out, its default and its unit.

Times are seconds as floats, sizes are bytes as ints. ``None`` means "no limit" and is taken
only where the attribute says so. A configuration is frozen and checked once, when it is made;
nothing else in the package reads environment variables or module settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dicom_actors.errors import ConfigurationError, shown

if TYPE_CHECKING:
    import ssl

    from dicom_actors.tls import TlsConfig

__all__ = ["EndpointConfig"]

KIB: Final = 1024
MIB: Final = 1024 * KIB

# What each number may be: (lowest, highest, is None allowed).
_RANGES: Final[dict[str, tuple[float, float, bool]]] = {
    "max_associations": (1, 1_000_000, True),
    "max_associations_per_ae": (1, 1_000_000, True),
    "max_pdu_length": (4 * KIB, 16 * MIB, False),
    "async_window": (1, 0xFFFF, False),
    "artim_timeout": (0.001, 86_400, False),
    "pdu_timeout": (0.001, 86_400, False),
    "idle_timeout": (0.001, 30 * 86_400, True),
    "dimse_timeout": (0.001, 30 * 86_400, True),
    "dimse_progress_bytes": (1, 1 << 40, False),
    "room_timeout": (0.001, 86_400, False),
    "write_timeout": (0.001, 86_400, False),
    "handshake_timeout": (0.001, 86_400, False),
    "handler_timeout": (0.001, 30 * 86_400, True),
    "handler_grace": (0, 86_400, False),
    "connection_restarts": (0, 1_000, False),
    "connection_restart_period": (0.001, 86_400, False),
    "max_handlers": (1, 1_000_000, True),
    "max_disowned_handlers": (0, 100_000, False),
    "max_object_bytes": (1, 1 << 50, True),
    "spool_bytes": (0, 1 << 31, False),
    "memory_bytes": (0, 1 << 50, True),
    "max_inflated_bytes": (1, 1 << 50, True),
    "spool_total_bytes": (0, 1 << 60, True),
    "max_sequence_depth": (1, 10_000, False),
    "max_elements": (1, 1 << 31, False),
    "max_matches": (1, 1 << 62, True),
    "destination_failures": (1, 1_000_000, True),
    "destination_pause": (0.001, 30 * 86_400, False),
}

_OF_TIMES: Final = ("timeout", "grace", "period", "pause")
"""How the names of times end, which need not be whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """What an endpoint accepts and how long it waits.

    Attributes:
        ae_title: our application entity title; None takes any called title.
        calling_ae_titles: the calling AE titles that are let in; None: all.
        max_associations: open connections at a time; None: no limit.
        max_associations_per_ae: the same for each calling AE title; None: no limit.
        when_full: ``"wait"`` leaves further peers in the backlog until a place is free,
            ``"reject"`` answers them with A-ASSOCIATE-RJ 2/3/2 (local limit exceeded).
        max_pdu_length: what we announce and take, bytes of a P-DATA-TF's variable field.
        async_window: operations that a peer may have outstanding (PS3.7 D.3.3.3).
        artim_timeout: seconds for the A-ASSOCIATE-RQ to come, and for the peer to close.
        pdu_timeout: seconds from a PDU's first byte to its last.
        idle_timeout: seconds without any PDU while we wait for the peer; None: for ever.
        dimse_timeout: seconds within which a message that has begun must be complete, or have
            grown by ``dimse_progress_bytes``; then it has as many again. None: for ever.
        dimse_progress_bytes: see ``dimse_timeout``; together a floor on the rate of a message.
        room_timeout: seconds for which an object waits for room (``memory_bytes`` and
            ``spool_total_bytes``) before it is refused with A700H.
        write_timeout: seconds for which a peer may not read what we send.
        handshake_timeout: seconds for the TLS handshake.
        handler_timeout: seconds for one call of a handler; None: for ever.
        handler_grace: seconds between ``is_cancelled`` and giving a handler up.
        connection_restarts: restarts of one connection's Association within
            ``connection_restart_period`` seconds before that connection is given up.
        connection_restart_period: the period for ``connection_restarts``.
        max_handlers: handlers that run at a time; further requests wait, each for
            ``handler_timeout`` at the most. None: no limit.
        max_disowned_handlers: hung handler threads before new associations are refused.
        max_object_bytes: the largest data set that is taken; None: no limit.
        spool_bytes: a data set longer than this goes to a file as it comes.
        spool_directory: the directory of those files; None: the system's temporary directory.
        memory_bytes: what all associations together hold of data sets in memory; beyond that they
            go to files, however small; None: no limit.
        spool_total_bytes: what they hold in those files; beyond that nothing is read until there
            is room, and a data set that waits for too long is refused with A700H; None: no limit.
        max_inflated_bytes: what all associations together hold of data sets that came deflated
            (PS3.5 A.5) and were inflated since a handler looked into them; one that would need
            more is a `DecodeError` there. None: no limit. To be stored, nothing is inflated.
        max_sequence_depth: how deep sequences may be nested.
        max_elements: how many elements a data set may have, those in sequences counted.
        max_matches: how many matches one C-FIND is answered with; one more ends it with A700H
            (refused: out of resources). None: no limit.
        transcode: gives an object that C-GET or C-MOVE sends a transfer syntax that is accepted,
            where its own is not, such as `dicom_actors.pixels.transcode_to_one_of`, or a
            `dicom_actors.pixels.Transcoder` with the codecs of a `CodecProcess`: called in a
            Handler's thread, or a destination's, with the data set and the UIDs that are accepted.
            None: such an object is not sent.
        check_instances: whether a C-STORE is refused whose data set cannot be read (C000H), or is
            not of the SOP class and instance that its command names (A900H).
        destination_failures: associations in a row that a destination of C-MOVE does not come to
            before it is left alone for ``destination_pause`` seconds; None: it never is.
        destination_pause: the pause for ``destination_failures``; one attempt follows it.
        storage_sop_classes: further SOP class UIDs, or their keywords, to accept for C-STORE
            beside the standard's; ``None`` takes every abstract syntax a peer proposes as a
            storage class.
        transfer_syntaxes: transfer syntax UIDs, or their keywords, for storage, most preferred
            first; None: all known, what needs no conversion first.
        extended_negotiation: by SOP class UID, what is supported of its extended negotiation
            (PS3.7 D.3.3.5), as its service-class-application-information has it; a peer that
            proposes such an item is answered with the lesser of both in each byte, and handlers
            find that in `AssociationInfo`.
        tls: a `TlsConfig` or a server's ``ssl.SSLContext``; None: plain TCP.
    """

    ae_title: str | None = None
    calling_ae_titles: Sequence[str] | None = None
    max_associations: int | None = 1_000
    max_associations_per_ae: int | None = None
    when_full: Literal["wait", "reject"] = "wait"
    max_pdu_length: int = 128 * KIB
    async_window: int = 1
    artim_timeout: float = 30.0
    pdu_timeout: float = 60.0
    idle_timeout: float | None = 600.0
    dimse_timeout: float | None = 300.0
    dimse_progress_bytes: int = MIB
    room_timeout: float = 30.0
    write_timeout: float = 60.0
    handshake_timeout: float = 5.0
    handler_timeout: float | None = 600.0
    handler_grace: float = 5.0
    connection_restarts: int = 2
    connection_restart_period: float = 60.0
    max_handlers: int | None = 256
    max_disowned_handlers: int = 32
    max_object_bytes: int | None = 16 * KIB * MIB
    spool_bytes: int = MIB
    spool_directory: str | Path | None = None
    memory_bytes: int | None = 256 * MIB
    spool_total_bytes: int | None = None
    max_inflated_bytes: int | None = 1024 * MIB
    max_sequence_depth: int = 64
    max_elements: int = 10_000_000
    max_matches: int | None = 1_000_000
    transcode: Callable[[Any, Sequence[str]], Any] | None = None
    check_instances: bool = True
    destination_failures: int | None = 3
    destination_pause: float = 30.0
    storage_sop_classes: Sequence[str] | None = ()
    transfer_syntaxes: Sequence[str] | None = None
    extended_negotiation: Mapping[str, bytes] | None = None
    tls: TlsConfig | ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            ConfigurationError: a setting is out of its range; the message names it.
        """
        for field in fields(self):
            if field.name in _RANGES:
                self._check_number(field.name, getattr(self, field.name))
        if self.ae_title is not None:
            check_ae_title(self.ae_title, "ae_title")
        if isinstance(self.calling_ae_titles, str):
            raise ConfigurationError("calling_ae_titles: expected a sequence of titles, got a text")
        if not isinstance(self.calling_ae_titles, Iterable | None):
            raise ConfigurationError(
                "calling_ae_titles: expected a sequence of titles, got"
                f" {shown(self.calling_ae_titles)}"
            )
        for title in self.calling_ae_titles or ():
            check_ae_title(title, "calling_ae_titles")
        if self.transcode is not None and not callable(self.transcode):
            raise ConfigurationError(f"transcode: expected a callable, got {self.transcode!r:.60}")
        if self.when_full not in {"wait", "reject"}:
            raise ConfigurationError(
                f"when_full: expected 'wait' or 'reject', got {self.when_full!r}"
            )
        negotiated = self.extended_negotiation
        if negotiated is not None and not isinstance(negotiated, Mapping):
            raise ConfigurationError(
                f"extended_negotiation: expected a mapping of UIDs, got {shown(negotiated)}"
            )
        for uid, information in (negotiated or {}).items():
            if not isinstance(information, bytes):
                raise ConfigurationError(
                    f"extended_negotiation: expected bytes for {uid}, got {information!r}"
                )
        if not isinstance(self.spool_directory, str | Path | None):
            raise ConfigurationError(
                f"spool_directory: expected a path, got {shown(self.spool_directory)}"
            )
        if self.spool_directory is not None and not Path(self.spool_directory).is_dir():
            raise ConfigurationError(
                f"spool_directory: {str(self.spool_directory)!r} is not a directory"
            )

    @staticmethod
    def _check_number(name: str, value: object) -> None:
        lowest, highest, optional = _RANGES[name]
        if value is None and optional:
            return
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{name}: expected a number, got {shown(value)}")
        if not isinstance(value, int) and not name.endswith(_OF_TIMES):
            raise ConfigurationError(f"{name}: expected a whole number, got {shown(value)}")
        if not lowest <= value <= highest:
            raise ConfigurationError(f"{name}: expected {lowest} to {highest}, got {value}")


def check_host(host: str, name: str = "host") -> None:
    """Raise `ConfigurationError` unless `host` may be the name or the address of a machine.

    The look-up raises a `UnicodeError`, and no `OSError`, for what cannot be written as labels of
    1 to 63 characters (RFC 1035 2.3.4, RFC 3490).
    """
    try:
        is_one = isinstance(host, str) and host.encode("idna") != b""
    except UnicodeError:
        is_one = False
    if not is_one:
        raise ConfigurationError(f"{name}: expected a name or an address, got {shown(host)}")


def check_ae_title(title: str, name: str) -> None:
    """Raise `ConfigurationError` unless `title` is an AE title (PS3.5 6.2: VR AE).

    1 to 16 characters of the default repertoire, no backslash, no control characters, and
    not spaces alone.
    """
    if not (
        isinstance(title, str)
        and 1 <= len(title) <= 16
        and title.strip(" ")
        and all(" " <= character <= "~" and character != "\\" for character in title)
    ):
        raise ConfigurationError(
            f"{name}: expected 1 to 16 ASCII characters without backslash, got {shown(title)}"
        )
