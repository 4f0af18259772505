"""The settings of ``serve`` as they may stand in the configuration file: what each is, and means.

Five tables: ``serve`` (most are options of the command, too), ``archive``
(`dicom_actors.archive.ArchiveSettings`), ``endpoint`` (`dicom_actors.config.EndpointConfig`),
``web`` (`dicom_actors.web.WebSettings`, and what a server needs besides) and ``nats``
(`dicom_actors.engine.EngineSettings`).
"""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.archive import ArchiveSettings
from dicom_actors.archive.index.locating import is_shared, redacted
from dicom_actors.cli.transcoder import TRANSCODING
from dicom_actors.config import EndpointConfig, check_ae_title
from dicom_actors.engine.settings import EngineSettings, check_servers
from dicom_actors.errors import ConfigurationError
from dicom_actors.web.settings import WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ALL",
    "NONE",
    "OUTPUTS",
    "SETTINGS",
    "Setting",
    "checked",
    "given",
    "meanings_of",
    "parse_listen_address",
]

OUTPUTS: Final = ("auto", "live", "lines", "json")
NONE: Final = "none"
"""Stands for no limit, where there may be none; TOML has no word for it."""
ALL: Final = "all"
"""The same for lists: whatever there is."""

_HIGHEST_PORT: Final = 0xFFFF
_LONGEST: Final = 30 * 86_400
_MOST_WORKERS: Final = 64


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        kind: its type in the file.
        default: its default; None: there is none.
        meaning: what it means, in a sentence.
        check: raises ConfigurationError for what it may not be.
        is_path: whether it names a file or folder: relative to the folder of the file.
    """

    kind: Any
    default: Any
    meaning: str
    check: Callable[[Any], object] = lambda value: value
    is_path: bool = False


def parse_listen_address(text: str) -> tuple[str, int]:
    """Take ``PORT``, ``HOST:PORT`` or ``[IPV6]:PORT`` apart; the host is the loopback else.

    Raises:
        ConfigurationError: it is none of them.
    """
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        port = ""
    if not (port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT):
        raise ConfigurationError(f"expected PORT, HOST:PORT or [IPV6]:PORT, got {text!r}")
    return host or "127.0.0.1", int(port)


def _port(value: int) -> None:
    if not 0 <= value <= _HIGHEST_PORT:
        raise ConfigurationError(f"expected 0 to {_HIGHEST_PORT}, got {value}")


def _workers(value: int) -> None:
    if not 1 <= value <= _MOST_WORKERS:
        raise ConfigurationError(f"expected 1 to {_MOST_WORKERS} processes, got {value}")


def _text(value: str) -> None:
    if any(character < " " or character == "\x7f" for character in value):
        raise ConfigurationError(f"expected text without control characters, got {value!r}")


def _name(value: str) -> None:
    _text(value)
    if not value:
        raise ConfigurationError("expected a name, got an empty text")


def _seconds(value: float) -> None:
    if not 0 <= value <= _LONGEST or math.isnan(value):
        raise ConfigurationError(f"expected 0 to {_LONGEST} seconds, got {value}")


def _duration(value: float) -> None:
    _seconds(value)
    if value <= 0:
        raise ConfigurationError(f"expected seconds, more than 0, got {value}")


def _output(value: str) -> None:
    if value not in OUTPUTS:
        raise ConfigurationError(f"expected one of {', '.join(OUTPUTS)}, got {value!r}")


def _transcoding(value: str) -> None:
    if value not in TRANSCODING:
        raise ConfigurationError(f"expected one of {', '.join(TRANSCODING)}, got {value!r}")


def _title(value: str) -> None:
    try:
        check_ae_title(value, "")
    except ConfigurationError as error:
        raise ConfigurationError(str(error).removeprefix(": ")) from error


def _index(value: str) -> None:
    if not is_shared(value):
        raise ConfigurationError(f"expected postgresql://..., got {redacted(value)!r}")


def _path(default: str | None, meaning: str) -> Setting:
    return Setting(str, default, meaning, _name, is_path=True)


_SERVE: Final[dict[str, Setting]] = {
    "port": Setting(int, 4242, "TCP port; 0 picks one", _port),
    "host": Setting(str, "", "address to bind to; empty: all", _text),
    "ae_title": Setting(
        str, None, "our AE title, others are rejected; none: any title will do", _title
    ),
    "store": _path("dicom-archive", "the archive's folder"),
    "index": Setting(
        str,
        None,
        "postgresql://USER@HOST/DATABASE: the archive's index is there, and any number of processes"
        " with the same folder may serve it; the password is best left to PGPASSFILE or the like;"
        " none: it is in the folder",
        _index,
    ),
    "receive_only": Setting(bool, False, "keep files alone, without an index: no queries"),
    "transcode": Setting(
        str,
        "off",
        "whether C-GET and C-MOVE send an object in another transfer syntax, where its own is not"
        " accepted: off; lossless; or lossy: where no other is accepted, as another instance, too",
        _transcoding,
    ),
    "worklist_folder": _path(None, "a folder of worklist items, JSON or .wl; none: no such folder"),
    "metrics": Setting(
        str,
        None,
        "where /metrics (for Prometheus) and /health are served over HTTP: PORT of the loopback,"
        " or HOST:PORT; none: nowhere",
        parse_listen_address,
    ),
    "output": Setting(
        str,
        "auto",
        "what is shown: live (a view that fills the terminal), lines, json (a JSON object a"
        " line), or auto: live on a terminal, else lines",
        _output,
    ),
    "verbose": Setting(
        bool, False, "say who associates, and how it ends, not only what ends badly"
    ),
    "trace": Setting(bool, False, "say each PDU in a line"),
    "print": Setting(bool, False, "print each object that arrives: this shows patient data"),
    "log": _path(None, "a file for what is wrong, with tracebacks; none: there is none"),
    "debug": Setting(bool, False, "show tracebacks"),
    "timeout": Setting(
        int | float, None, "seconds after which an idle association ends; none: 600", _duration
    ),
    "drain": Setting(
        int | float, 10.0, "seconds for open associations to finish at the end", _seconds
    ),
    "workers": Setting(
        int, 1, "processes that serve associations; with 1 there is no other process", _workers
    ),
    "user": Setting(str, None, "the one user whose associations are taken; none: anybody's", _name),
    "passcode_file": _path(None, "the first line of it is what this user has to give"),
    "tls_certificate": _path(None, "our certificate, PEM, which makes it TLS; none: plain TCP"),
    "tls_key": _path(None, "its private key; none: it is in the same file"),
    "tls_authorities": _path(
        None, "the authorities whose certificates peers need; none: those of the system"
    ),
    "tls_anonymous": Setting(bool, False, "take peers without a certificate, too"),
}

_WEB: Final[dict[str, Setting]] = {
    "enabled": Setting(bool, True, "whether there is a web server"),
    "port": Setting(int, 8042, "TCP port of the web server; 0 picks one", _port),
    "host": Setting(
        str, "127.0.0.1", "address to bind to; others than this machine need tokens", _name
    ),
    "tokens": _path(None, "a file of tokens: who may ask; none: everybody on this machine"),
    "insecure": Setting(bool, False, "whether others than this machine may ask without tokens"),
    "certificate": _path(None, "our certificate, PEM, which makes it https://; none: http://"),
    "key": _path(None, "its private key; none: it is in the same file"),
    "viewer": _path(None, "the folder of a ready-built viewer; none: there is none"),
}

# Those that are settings of `serve`, or follow from them.
_NOT_OF_ENDPOINT: Final = {
    "ae_title",
    "extended_negotiation",
    "idle_timeout",
    "spool_bytes",
    "spool_directory",
    "tls",
    "transcode",
}
_KINDS: Final[dict[str, Any]] = {
    "int": int,
    "float": int | float,
    "str": str,
    "bool": bool,
    "str | None": str,
    "int | None": int | str,
    "float | None": int | float | str,
    "Sequence[str] | None": list | str,
    "tuple[str, ...]": list,
}


def _of_dataclass(kind: type, without: set[str]) -> dict[str, Setting]:
    meanings = meanings_of(kind)
    found = {}
    for one in fields(kind):
        if one.name not in without:
            of_type = str if str(one.type).startswith("Literal") else _KINDS[str(one.type)]
            default = None if one.default is MISSING else one.default
            found[one.name] = Setting(of_type, default, meanings.get(one.name, ""))
    return found


def meanings_of(kind: type) -> dict[str, str]:
    """What is said of each setting where it is defined."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    text = text.partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): ((?:.|\n(?! {4}\w))*)", text, re.MULTILINE)
    return {name: " ".join(meaning.replace("``", "").split()) for name, meaning in found}


SETTINGS: Final[Mapping[str, Mapping[str, Setting]]] = {
    "serve": _SERVE,
    "archive": _of_dataclass(ArchiveSettings, set()),
    "endpoint": _of_dataclass(EndpointConfig, _NOT_OF_ENDPOINT),
    "nats": {
        "servers": Setting(
            str,
            None,
            "where events go: nats://HOST:PORT, several of a cluster with commas between; none:"
            " nowhere",
            lambda text: check_servers(text.split(",")),
        ),
        **_of_dataclass(EngineSettings, set()),
    },
    "web": {**_WEB, **_of_dataclass(WebSettings, set())},
}
"""All settings, by table and name."""


def given(setting: Setting, value: Any) -> Any:
    """Make the value that is meant of one as it stands in the file."""
    if value == NONE and setting.kind in {int | str, int | float | str}:
        return None
    if value == ALL and setting.kind == list | str:
        return None
    return value


def checked(table: str, name: str, value: Any) -> str:
    """Say what is wrong with a value of the right type; empty if it is all right."""
    setting = SETTINGS[table][name]
    value = given(setting, value)
    try:
        if isinstance(value, str) and setting.kind not in {str, list | str}:
            word = ALL if setting.kind == list | str else NONE
            return f"{name}: expected a number, or {word!r}, got {value!r}"
        if isinstance(value, str) and setting.kind == list | str:
            return f"{name}: expected a list of texts, or {ALL!r}, got {value!r}"
        if table == "archive":
            ArchiveSettings(**{name: value})
        elif table == "endpoint":
            EndpointConfig(**{name: value})
        elif table == "nats" and name != "servers":
            EngineSettings(**{name: value})
        elif name not in _WEB and table == "web":
            own: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value}
            WebSettings(**own)
        else:
            setting.check(value)
    except ConfigurationError as error:
        is_own = table == "serve" or (table == "web" and name in _WEB)
        return f"{name}: {error}" if is_own else str(error)
    return ""
