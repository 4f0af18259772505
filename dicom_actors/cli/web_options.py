"""The web side of ``serve``: its options, its table ``web`` in the configuration file, its start.

::

    [web]
    port = 8042                         # 0 picks one
    tokens = "tokens.txt"               # relative to the folder of this file
    cors_origins = ["https://viewer.example.org"]
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.peers import check_keys, read_config
from dicom_actors.cli.serve_log import tell
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.web.settings import WebSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dicom_actors.archive import Archive
    from dicom_actors.supervision import SupervisedRef, System

__all__ = ["WebOptions", "load_web", "serving_web", "show_web"]

_OWN: Final[dict[str, tuple[Any, Any, str]]] = {
    "enabled": (bool, True, "whether there is a web server"),
    "port": (int, 8042, "TCP port; 0 picks one"),
    "host": (str, "127.0.0.1", "address to bind to; others than this machine need tokens"),
    "tokens": (str, None, "a file of tokens: who may ask; none: everybody on this machine"),
    "insecure": (bool, False, "whether others may ask without tokens"),
    "certificate": (str, None, "certificates for https://; none: http://"),
    "key": (str, None, "the key of the certificate, if it is in another file"),
    "viewer": (str, None, "the folder of a ready-built viewer; none: there is none"),
}
"""Of each setting that is no `WebSettings`: its type, its default and its meaning."""
_FILES: Final = frozenset({"tokens", "certificate", "key", "viewer"})
_TYPES: Final = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": int | float,
    "tuple[str, ...]": list,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """What is served by HTTP, and how.

    Attributes:
        own: the settings of `_OWN`.
        settings: the rest.
        is_port_chosen: whether somebody said which port.
    """

    own: dict[str, Any]
    settings: WebSettings
    is_port_chosen: bool


def load_web(options: argparse.Namespace) -> WebOptions:
    """Put what the command line says before the configuration file.

    Raises:
        UsageError: something is not as expected.
    """
    content, path = read_config(options.config)
    table = dict(content.get("web", {}))
    kinds = {name: kind for name, (kind, _, _) in _OWN.items()}
    kinds |= {field.name: _TYPES[str(field.type)] for field in fields(WebSettings)}
    check_keys(table, kinds, f"{path}: web")
    for name in _FILES & table.keys():
        table[name] = str(path.parent / table[name])
    if "cors_origins" in table:
        table["cors_origins"] = tuple(map(str, table["cors_origins"]))
    table |= {name: value for name, value in _said(options).items() if value is not None}
    own = {name: table.get(name, default) for name, (_, default, _) in _OWN.items()}
    if not 0 <= own["port"] <= 65_535:
        raise UsageError(f"web port: expected 0 to 65535, got {own['port']}")
    rest = {name: value for name, value in table.items() if name not in _OWN}
    try:
        settings = WebSettings(**rest)
    except ConfigurationError as error:
        raise UsageError(f"web: {error}") from error
    return WebOptions(own=own, settings=settings, is_port_chosen="port" in table)


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line says, by the names of settings; None where it says nothing."""
    return {
        "enabled": False if options.no_web else None,
        "port": options.web_port,
        "host": options.web_host,
        "tokens": options.tokens,
        "insecure": options.insecure or None,
        "certificate": options.web_certificate,
        "key": options.web_key,
        "viewer": options.viewer,
        "public_url": options.public_url,
        "cors_origins": None if options.cors_origin is None else tuple(options.cors_origin),
        "allow_delete": options.allow_delete or None,
    }


@contextlib.contextmanager
def serving_web(
    options: WebOptions | None,
    archive: Archive | None,
    endpoint: SupervisedRef[Any],
    system: System,
) -> Iterator[None]:
    """Serve an archive by HTTP for the length of the block, and say where.

    Args:
        options: how; None: not at all.
        archive: the archive; None: there is none, and nothing is served.
        endpoint: the endpoint beside it.
        system: the surroundings of the actors.

    Raises:
        ConfigurationError: a setting, a file or a host is none.
        TransportError: the port that was chosen cannot be bound.
    """
    if options is None or archive is None or not options.own["enabled"]:
        yield
        return
    try:
        from dicom_actors.web.tokens import Tokens
        from dicom_actors.web.web_server import WebServer
    except ImportError:
        tell("no web page: it needs the extra `web` (pip install 'dicom-actors[web]')")
        yield
        return
    own = options.own
    tokens = None if own["tokens"] is None else Tokens(own["tokens"])
    try:
        server = WebServer.start(
            archive,
            host=own["host"],
            port=own["port"],
            settings=options.settings,
            tokens=tokens,
            is_insecure=own["insecure"],
            context=_context(own),
            viewer=own["viewer"],
            endpoint=endpoint,
            system=system,
        )
    except TransportError as error:
        if options.is_port_chosen:
            raise
        tell(f"no web page: {error}; another port: --web-port")
        yield
        return
    try:
        tell(f"web page on {options.settings.public_url or server.url}")
        yield
    finally:
        server.stop()


def _context(own: dict[str, Any]) -> Any:
    if own["certificate"] is None:
        if own["key"] is not None:
            raise ConfigurationError("web: a key is of no use without a certificate")
        return None
    from dicom_actors.tls import TlsConfig, server_context

    key = None if own["key"] is None else Path(own["key"])
    return server_context(
        TlsConfig(certificate=Path(own["certificate"]), key=key, require_peer_certificate=False)
    )


def show_web(options: WebOptions) -> list[tuple[str, Any, str]]:
    """Each setting of the table ``web``: its name, its value and its meaning."""
    meanings = (WebSettings.__doc__ or "").partition("Attributes:")[2].partition("Raises:")[0]
    found: dict[str, str] = {}
    name = ""
    for line in meanings.splitlines():
        text = line.strip()
        if line.startswith(" " * 8) and not line.startswith(" " * 12) and ":" in text:
            name, _, text = text.partition(": ")
        if name:
            found[name] = f"{found.get(name, '')} {text}".strip().replace("``", "")
    listed = [(key, options.own[key], meaning) for key, (_, _, meaning) in _OWN.items()]
    for field in fields(WebSettings):
        value = getattr(options.settings, field.name)
        listed.append(
            (
                field.name,
                list(value) if isinstance(value, tuple) else value,
                found.get(field.name, ""),
            )
        )
    return listed
