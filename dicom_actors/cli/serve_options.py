"""What ``serve`` does, of its configuration: checked, with its certificates and passcodes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dicom_actors.actors import describe_acceptance
from dicom_actors.cli.passcodes import read_passcode
from dicom_actors.cli.serve_routes import FlowOptions
from dicom_actors.cli.serve_settings import SETTINGS, parse_listen_address
from dicom_actors.cli.usage import UsageError
from dicom_actors.cli.web_options import WebOptions, web_options_of
from dicom_actors.config import EndpointConfig
from dicom_actors.engine import EngineSettings
from dicom_actors.errors import ConfigurationError
from dicom_actors.tls import TlsConfig, server_context

if TYPE_CHECKING:
    from dicom_actors.archive import ArchiveSettings
    from dicom_actors.archive.services import Peer
    from dicom_actors.cli.serve_config import ServeConfig

__all__ = ["ArchiveOptions", "ServeOptions", "check_options", "options_of"]


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How ``serve`` keeps an archive.

    Attributes:
        settings: the archive's.
        peers: where C-MOVE may send to, by AE title.
        worklist_folder: a folder of worklist items; None: there is none.
        flow: what is sent on.
        engine: the servers that events go to, and how; None: to none.
        index: where the index is; None: in the archive's folder.
    """

    settings: ArchiveSettings
    peers: dict[str, Peer]
    worklist_folder: str | None
    flow: FlowOptions = field(default_factory=FlowOptions)
    index: str | None = field(default=None, repr=False)
    engine: tuple[list[str], EngineSettings] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What ``serve`` was asked for.

    Attributes:
        archive: how an archive is kept; None: files are, without an index.
        web: how the archive is served by HTTP; None: it is not.
        endpoint: further settings of `EndpointConfig`.
        port: TCP port; 0 picks one.
        host: address to bind to; empty for all.
        ae_title: the called AE title to insist on; None: any.
        store: the folder for what arrives.
        transcode: how C-GET and C-MOVE transcode; one of `TRANSCODING`.
        metrics: where metrics and health are served; None: nowhere.
        output: what is shown; one of `OUTPUTS`.
        print_objects: whether to print each object.
        verbose: whether to say who associates and how it ends, and not only what ends badly.
        trace: whether to say each PDU.
        log: a file for what is wrong, with tracebacks; None: there is none.
        debug: whether to show tracebacks.
        timeout: seconds after which an association is ended on which nothing comes.
        user: the one user whose associations are taken; None: anybody's.
        passcode: what the user has to give; None: nothing.
        drain: seconds for open associations to finish at the end.
        tls: certificates; None: plain TCP.
        workers: how many processes there are that serve associations; 1: this one does.
    """

    archive: ArchiveOptions | None
    web: WebOptions | None
    endpoint: dict[str, Any]
    port: int
    host: str
    ae_title: str | None
    store: str
    transcode: str
    metrics: tuple[str, int] | None
    output: str
    print_objects: bool
    verbose: bool
    trace: bool
    log: str | None
    debug: bool
    timeout: float | None
    user: str | None
    passcode: str | None = field(repr=False)
    drain: float
    tls: TlsConfig | None
    workers: int = 1


def options_of(config: ServeConfig) -> ServeOptions:
    """Make of a configuration what `serve` takes.

    Raises:
        UsageError: settings do not go together, or a file that they name is not right.
    """
    settings = config.archive
    if (workers := config["workers"]) > 1:
        # Each process has copies of its own of what was read of a bucket, the first one included.
        settings = replace(settings, cache_bytes=settings.cache_bytes // (workers + 1))
    archive = ArchiveOptions(
        settings,
        config.peers,
        config["worklist_folder"],
        config.flow,
        config["index"],
        _engine(config),
    )
    if config["receive_only"] and archive.engine:
        raise UsageError("receive_only: an engine is told of what an archive keeps")
    if config["receive_only"] and config.flow.routes:
        raise UsageError("receive_only: routes send on what an archive keeps")
    if config["print"] and config["output"] in {"json", "live"}:
        raise UsageError(f"print: of no use with output {config['output']!r}")
    return ServeOptions(
        archive=None if config["receive_only"] else archive,
        web=None if config["receive_only"] else web_options_of(config),
        endpoint=config.endpoint,
        port=config["port"],
        host=config["host"],
        ae_title=config["ae_title"],
        store=config["store"],
        transcode=config["transcode"],
        metrics=None if config["metrics"] is None else parse_listen_address(config["metrics"]),
        output=config["output"],
        print_objects=config["print"],
        verbose=config["verbose"],
        trace=config["trace"],
        log=config["log"],
        debug=config["debug"],
        timeout=config["timeout"],
        user=config["user"],
        passcode=_passcode(config),
        drain=config["drain"],
        tls=_tls(config),
        workers=workers,
    )


def _engine(config: ServeConfig) -> tuple[list[str], EngineSettings] | None:
    settings = dict(config.nats)
    servers = settings.pop("servers")
    return None if servers is None else (servers.split(","), EngineSettings(**settings))


def check_options(config: ServeConfig, options: ServeOptions) -> str:
    """Look into what only a start would look into; says in a line that all is right.

    Raises:
        UsageError: a certificate cannot be used, or a UID is none.
    """
    try:
        made = EndpointConfig(ae_title=options.ae_title, tls=options.tls, **options.endpoint)
        describe_acceptance(made, {})
        if options.tls is not None:
            server_context(options.tls)
    except ConfigurationError as error:
        raise UsageError(f"{config.file.path}: {error}") from error
    chosen = sum(source != "default" for source in config.sources.values())
    of_all = sum(map(len, SETTINGS.values()))
    routes = f", {len(config.flow.routes)} routes" if config.flow.routes else ""
    return (
        f"{config.file.path}: all is right: {chosen} of {of_all} settings are not left at their"
        f" defaults, {len(config.peers)} destinations for C-MOVE{routes}"
    )


def _passcode(config: ServeConfig) -> str | None:
    if config["passcode_file"] is None:
        return None
    if config["user"] is None:
        raise UsageError("a passcode is of no use without --user NAME")
    return read_passcode(config["passcode_file"])


def _tls(config: ServeConfig) -> TlsConfig | None:
    if config["tls_certificate"] is None:
        if config["tls_key"] or config["tls_authorities"] or config["tls_anonymous"]:
            raise UsageError("TLS: expected --tls-certificate with the other options of TLS")
        return None
    return TlsConfig(
        certificate=config["tls_certificate"],
        key=config["tls_key"],
        authorities=config["tls_authorities"],
        require_peer_certificate=not config["tls_anonymous"],
    )
