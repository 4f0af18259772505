"""``dicom-actors serve``: an endpoint that keeps what it is sent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import events, messages
from dicom_actors.actors import Endpoint, StoreEvent, describe_acceptance
from dicom_actors.cli.object_files import object_name_of
from dicom_actors.cli.serve_log import logging_to, tell
from dicom_actors.cli.terminal import complain, counted
from dicom_actors.cli.user_check import UserCheck
from dicom_actors.cli.web_options import serving_web
from dicom_actors.config import EndpointConfig
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.errors import DicomError
from dicom_actors.supervision import System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive import Archive
    from dicom_actors.cli.archive_config import ArchiveOptions
    from dicom_actors.cli.web_options import WebOptions
    from dicom_actors.supervision import SupervisedRef
    from dicom_actors.tls import TlsConfig

__all__ = ["Keeper", "ServeOptions", "serve", "show_policy"]

_SWITCH_SECONDS: Final = 0.001
_SPOOL_BYTES: Final = 64 * 1024
_PROBE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What ``serve`` was asked for.

    Attributes:
        archive: how an archive is kept; None: files are, without an index.
        web: how the archive is served by HTTP.
        port: TCP port; 0 picks one.
        host: address to bind to; empty for all.
        ae_title: the called AE title to insist on; None: any.
        store: the folder for what arrives.
        print_objects: whether to print each object.
        verbose: whether to print who associates and how it ends, and not only what ends badly.
        trace: whether to print each PDU.
        log: a file for what is wrong, with tracebacks; None: there is none.
        debug: whether to print tracebacks.
        timeout: seconds after which an association is ended on which nothing comes.
        user: the one user whose associations are taken; None: anybody's.
        passcode: what the user has to give; None: nothing.
        drain: seconds for open associations to finish at the end.
        tls: certificates; None: plain TCP.
    """

    archive: ArchiveOptions | None
    web: WebOptions
    port: int
    host: str
    ae_title: str | None
    store: str
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


class Keeper:
    """A ``cstore`` handler that keeps objects as ``<study>/<series>/<instance>.dcm``.

    Args:
        root: the folder.
        print_objects: whether to print the whole data set of each object.
    """

    def __init__(self, root: Path, *, print_objects: bool = False) -> None:
        self.root = root
        self._print_objects = print_objects

    def __call__(self, event: StoreEvent) -> None:
        """Keep one object and say in a line who sent what. Runs in a Handler's thread."""
        study, series = event.study_instance_uid, event.series_instance_uid
        path = event.save(self.root, object_name_of(study, series, event.sop_instance_uid))
        self.tell_of(event, f" -> {path}")

    def tell_of(self, event: StoreEvent, where: str = "") -> None:
        """Say in a line who sent what."""
        association = event.association
        line = (
            f"{_printable(association.calling_ae_title)} {association.peer[0]} "
            f"{uid_name(event.sop_class_uid) or _printable(event.sop_class_uid)} "
            f"{event.length} bytes{where}"
        )
        text = f"{line}\n{event.dataset}" if self._print_objects else line
        tell(text)


class Narrator(pykka.ThreadingActor):
    """Tells of what happens: rejections and aborts, and what else is wanted.

    Args:
        verbose: whether to tell of all associations that come and go.
    """

    use_daemon_thread = True

    def __init__(self, *, verbose: bool) -> None:
        super().__init__()
        self._verbose = verbose

    def on_receive(self, message: Any) -> None:
        """Tell of one event. Runs in the Narrator's thread."""
        if isinstance(message, events.PduTraced):
            arrow = "<-" if message.is_received else "->"
            tell(f"{message.association_id:>6} {arrow} {message.text}")
        elif isinstance(message, events.AssociationOpened):
            self._say(message.association, f"associated with {message.association.called_ae_title}")
        elif isinstance(message, events.AssociationClosed):
            self._tell_end(message)

    def _tell_end(self, closed: events.AssociationClosed) -> None:
        # A connection on which nothing was asked is somebody who looks whether we are there.
        is_usual = closed.reason == "released" or (
            closed.reason == "connection lost" and not closed.was_open
        )
        if is_usual and not self._verbose:
            return
        reason, detail = closed.reason, closed.detail
        if detail:
            reason = detail if detail.startswith(reason) else f"{reason}: {detail}"
        self._say(closed.association, f"{reason}, {counted(closed.requests, 'request')}")

    def _say(self, association: messages.AssociationInfo, text: str) -> None:
        tell(f"{_named(association)} {_printable(text)}")


def show_policy(options: ServeOptions) -> int:
    """Print what the endpoint would accept, as in a DICOM Conformance Statement (PS3.2)."""
    handlers: dict[str, Any] = {"cstore": _ignore}
    if options.archive is not None:
        from dicom_actors.cli.serve_archive import HANDLED

        handlers = dict.fromkeys(HANDLED, _ignore)
    print(describe_acceptance(EndpointConfig(ae_title=options.ae_title), handlers))
    return 0


def _ignore(event: Any) -> None:
    """Stand for a handler in a description."""


def serve(options: ServeOptions) -> int:
    """Run an endpoint until SIGINT or SIGTERM, then let open associations finish.

    Returns:
        0, or 1 if the endpoint gave up by itself.

    Raises:
        DicomError: the folder cannot be written to.
        TransportError: the port cannot be bound.
        ConfigurationError: the port, the AE title or a certificate is none.
        OSError: the log file cannot be written to.
    """
    root = Path(options.store)
    _check_folder(root)
    # The process is ours: whoever computes lets the others in five times as often, so that an echo
    # beside a handler in pure Python takes 8 ms at the most, and not 20.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # SIGTERM ends it as Ctrl-C does: by KeyboardInterrupt in this thread.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with logging_to(options.log, debug=options.debug):
            code = _run(options, root)
    finally:
        signal.signal(signal.SIGTERM, previous)
    tell("stopped" if code == 0 else "the endpoint gave up")
    return code


def _run(options: ServeOptions, root: Path) -> int:
    # The system writes the last words of the log.
    with (
        contextlib.closing(System()) as system,
        _keeping(options) as (
            handlers,
            settings,
            archive,
        ),
    ):
        if options.user is not None:
            handlers["association_validator"] = UserCheck(options.user, options.passcode)
        endpoint = Endpoint.start(
            options.port,
            host=options.host,
            event_handlers=handlers,
            config=_config(options, settings),
            system=system,
        )
        try:
            with serving_web(options.web, archive, endpoint, system):
                return _attend(endpoint, options, root)
        finally:
            endpoint.stop()


@contextlib.contextmanager
def _keeping(
    options: ServeOptions,
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Archive | None]]:
    """Give the event handlers, what the endpoint should be told, and the archive."""
    keeper = Keeper(Path(options.store), print_objects=options.print_objects)
    if options.archive is None:
        # What is kept is written where it will be as it comes; the rest is a rename.
        told = {"spool_directory": options.store, "spool_bytes": _SPOOL_BYTES}
        yield {"cstore": keeper}, told, None
        return
    from dicom_actors.cli.serve_archive import kept_in_archive

    with kept_in_archive(options.store, options.archive, keeper.tell_of) as kept:
        yield kept


def _attend(endpoint: SupervisedRef[Any], options: ServeOptions, root: Path) -> int:
    """Say what happens until it is over."""
    try:
        port = endpoint.ask(messages.GetStatus()).port
        with _narrating(endpoint, options), _control(endpoint, port) as problem:
            tell(f"listening on port {port}, keeping objects in {root}")
            if problem:
                complain(problem)
            try:
                endpoint.actor_stopped.wait()
            except KeyboardInterrupt:
                _finish(endpoint, options.drain)
                return 0
    finally:
        endpoint.stop()
    return 1


def _check_folder(root: Path) -> None:
    """Make the folder, and see whether it takes a file, before anybody is told of Success."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DicomError(f"objects cannot be kept in {root}: {error.strerror or error}") from error


def _config(options: ServeOptions, settings: dict[str, Any]) -> EndpointConfig:
    config = EndpointConfig(ae_title=options.ae_title, tls=options.tls, **settings)
    return config if options.timeout is None else replace(config, idle_timeout=options.timeout)


def _control(endpoint: SupervisedRef[Any], port: int) -> contextlib.AbstractContextManager[str]:
    if not hasattr(socket, "AF_UNIX"):
        return contextlib.nullcontext("")  # a system without such sockets has no control
    from dicom_actors.cli.control import open_control_socket

    return open_control_socket(endpoint, port)


@contextlib.contextmanager
def _narrating(endpoint: SupervisedRef[Any], options: ServeOptions) -> Iterator[None]:
    kinds: list[type] = [events.AssociationClosed]
    if options.trace:
        kinds.append(events.PduTraced)
    if options.verbose:
        kinds.append(events.AssociationOpened)
    narrator = Narrator.start(verbose=options.verbose)
    endpoint.ask(messages.Subscribe(narrator, kinds=tuple(kinds)))
    try:
        yield
    finally:
        narrator.stop(block=False)


def _finish(endpoint: SupervisedRef[Any], drain: float) -> None:
    """Let the open associations finish; a second Ctrl-C does not wait for them."""
    with contextlib.suppress(KeyboardInterrupt, pykka.ActorDeadError):
        listed = endpoint.ask(messages.ListAssociations())
        if waiting := [each for each in listed if each.state != "closing"]:
            tell(
                f"waiting {drain:g} s at the most for {counted(len(waiting), 'association')}, "
                "Ctrl-C ends it now"
            )
            for association in waiting:
                requests = counted(association.requests, "request")
                tell(f"{_named(association)} is {association.state}, {requests} so far")
        report = endpoint.ask(messages.Drain(drain))
        if report.cut:
            were = "was" if len(report.cut) == 1 else "were"
            tell(f"{counted(len(report.cut), 'association')} {were} cut")


def _named(association: messages.AssociationInfo) -> str:
    host, port = association.peer
    name = f"association {association.id}: {association.calling_ae_title} {host}:{port}"
    return _printable(name)


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
