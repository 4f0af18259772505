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
from typing import TYPE_CHECKING, Any

from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.tls import TlsConfig, server_context
from dicom_actors.web.preconditions import check_reach, check_viewer
from dicom_actors.web.settings import WebSettings
from dicom_actors.web.tokens import Tokens

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from dicom_actors.archive import Archive
    from dicom_actors.cli.serve_config import ServeConfig
    from dicom_actors.cli.telling import Teller
    from dicom_actors.supervision import SupervisedRef, System

__all__ = ["WebOptions", "serving_web", "web_options_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """What is served by HTTP, and how.

    Attributes:
        own: the settings that are no `WebSettings`.
        settings: the rest.
        tokens: who may ask; None: everybody who can reach it.
        context: for TLS; None: plain.
        is_port_chosen: whether somebody said which port.
    """

    own: dict[str, Any]
    settings: WebSettings
    tokens: Tokens | None
    context: ssl.SSLContext | None
    is_port_chosen: bool


def web_options_of(config: ServeConfig) -> WebOptions | None:
    """Make them of a configuration; None: there is to be no web server.

    Raises:
        UsageError: settings do not go together, or a file, a folder or a host is not right.
    """
    values = dict(config.web)
    if not values["enabled"]:
        return None
    names = {field.name for field in fields(WebSettings)}
    own = {name: value for name, value in values.items() if name not in names}
    rest = {name: value for name, value in values.items() if name in names}
    rest["cors_origins"] = tuple(rest["cors_origins"])
    if own["key"] is not None and own["certificate"] is None:
        raise UsageError("web: a key is of no use without a certificate")
    try:
        settings = WebSettings(**rest)
        tokens = None if own["tokens"] is None else Tokens(own["tokens"])
        context = _context(own)
        check_reach(own["host"], tokens, is_insecure=own["insecure"])
        if own["viewer"] is not None:
            check_viewer(Path(own["viewer"]))
    except ConfigurationError as error:
        raise UsageError(f"web: {error}") from error
    is_chosen = config.sources["web", "port"] != "default"
    return WebOptions(
        own=own, settings=settings, tokens=tokens, context=context, is_port_chosen=is_chosen
    )


@contextlib.contextmanager
def serving_web(
    options: WebOptions | None,
    archive: Archive | None,
    endpoint: SupervisedRef[Any],
    system: System,
    teller: Teller,
) -> Iterator[None]:
    """Serve an archive by HTTP for the length of the block, and say where.

    Args:
        options: how; None: not at all.
        archive: the archive; None: there is none, and nothing is served.
        endpoint: the endpoint beside it.
        system: the surroundings of the actors.
        teller: says where.

    Raises:
        ConfigurationError: what was right when the options were made is so no more.
        TransportError: the port that was chosen cannot be bound.
    """
    if options is None or archive is None:
        yield
        return
    try:
        from dicom_actors.web.web_server import WebServer
    except ImportError:
        text = "no DICOMweb: it needs the extra `web` (pip install 'dicom-actors[web]')"
        teller.tell(text, event="no_web", level="warning")
        yield
        return
    own = options.own
    try:
        server = WebServer.start(
            archive,
            host=own["host"],
            port=own["port"],
            settings=options.settings,
            tokens=options.tokens,
            is_insecure=own["insecure"],
            context=options.context,
            viewer=own["viewer"],
            endpoint=endpoint,
            system=system,
        )
    except TransportError as error:
        if options.is_port_chosen:
            raise
        text = f"no DICOMweb: {error}; another port: --web-port"
        teller.tell(text, event="no_web", level="warning")
        yield
        return
    try:
        url = options.settings.public_url or server.url
        url = f"{url.rstrip('/')}/"
        teller.tell(f"web page on {url}", event="page", url=url)
        teller.tell(f"DICOMweb on {url}dicom-web", event="web", url=f"{url}dicom-web")
        yield
    finally:
        server.stop()


def _context(own: dict[str, Any]) -> ssl.SSLContext | None:
    if own["certificate"] is None:
        return None
    key = None if own["key"] is None else Path(own["key"])
    return server_context(
        TlsConfig(certificate=Path(own["certificate"]), key=key, require_peer_certificate=False)
    )
