"""``dicom-actors serve``: an endpoint that keeps what it is sent."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import events, messages
from dicom_actors.actors import Endpoint, StoreEvent, describe_acceptance
from dicom_actors.cli.object_files import object_name_of
from dicom_actors.cli.serve_log import logging_to
from dicom_actors.cli.service_manager import notify
from dicom_actors.cli.signals import EndSignals, giving_back
from dicom_actors.cli.telling import JsonTeller, LineTeller
from dicom_actors.cli.terminal import counted
from dicom_actors.cli.transcoder import transcoder_of
from dicom_actors.cli.user_check import UserCheck
from dicom_actors.cli.web_options import serving_web
from dicom_actors.config import EndpointConfig
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.dimse import Status
from dicom_actors.errors import ArchiveError, DicomError
from dicom_actors.metrics import Observer, serve_metrics
from dicom_actors.metrics.tally import service_name
from dicom_actors.supervision import System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive import Archive
    from dicom_actors.cli.serve_options import ServeOptions
    from dicom_actors.cli.serve_view import LiveView
    from dicom_actors.cli.telling import Teller
    from dicom_actors.engine import EventStream
    from dicom_actors.flow import Flow
    from dicom_actors.supervision import SupervisedRef

    _Kept = tuple[dict[str, Any], dict[str, Any], Archive | None, Flow | None, EventStream | None]

__all__ = [
    "Keeper",
    "endpoint_config",
    "keeper_of",
    "kept_files",
    "serve",
    "show_policy",
    "transcoding",
]

_SWITCH_SECONDS: Final = 0.001
_TREE_WITHIN: Final = 10.0
_SPOOL_BYTES: Final = 64 * 1024
_PROBE_BYTES: Final = 4096
_KINDS: Final = 1000
"""Kinds of failures that are told apart; then it begins anew."""
_OUT_OF_RESOURCES: Final = 0xA7
"""The first byte of the statuses that say that something of ours is not there (PS3.4 B.2.3)."""


class Keeper:
    """A ``cstore`` handler that keeps objects as ``<study>/<series>/<instance>.dcm``.

    Args:
        root: the folder.
        teller: says who sent what.
        print_objects: whether to print the whole data set of each object.
    """

    def __init__(self, root: Path, teller: Teller, *, print_objects: bool = False) -> None:
        self.root = root
        self._teller = teller
        self._print_objects = print_objects

    def __call__(self, event: StoreEvent) -> None:
        """Keep one object and say in a line who sent what. Runs in a Handler's thread."""
        study, series = event.study_instance_uid, event.series_instance_uid
        path = event.save(self.root, object_name_of(study, series, event.sop_instance_uid))
        self.tell_of(event, f" -> {path}")

    def tell_of(self, event: StoreEvent, where: str = "") -> None:
        """Say in a line who sent what."""
        calling, peer = _printable(event.calling_ae_title), event.peer[0]
        kind = uid_name(event.sop_class_uid) or _printable(event.sop_class_uid)
        line = f"{calling} {peer} {kind} {event.length} bytes{where}"
        self._teller.tell(
            f"{line}\n{event.dataset}" if self._print_objects else line,
            event="object_stored",
            association=event.association_id,
            calling_ae_title=calling,
            peer=peer,
            sop_class=kind,
            bytes=event.length,
        )


class Narrator(pykka.ThreadingActor):
    """Tells of what happens: rejections, aborts and failures, and what else is wanted.

    Args:
        teller: says it.
        verbose: whether to tell of all associations that come and go.
    """

    use_daemon_thread = True

    def __init__(self, teller: Teller, *, verbose: bool) -> None:
        super().__init__()
        self._teller = teller
        self._verbose = verbose
        self._failures: Counter[tuple[str, int]] = Counter()

    def on_receive(self, message: Any) -> None:
        """Tell of one event. Runs in the Narrator's thread."""
        match message:
            case events.PduTraced():
                arrow = "<-" if message.is_received else "->"
                self._teller.tell(
                    f"{message.association_id:>6} {arrow} {message.text}",
                    event="pdu",
                    association=message.association_id,
                )
            case events.AssociationOpened(association):
                text = f"associated with {association.called_ae_title}"
                self._say(association, text, "association_opened")
            case events.AssociationClosed():
                self._tell_end(message)
            case events.RequestFailed():
                self._tell_failure(message)

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
        self._say(
            closed.association,
            f"{reason}, {counted(closed.requests, 'request')}",
            "association_closed",
            level="info" if is_usual else "warning",
            reason=closed.reason,
            requests=closed.requests,
        )

    def _tell_failure(self, completed: events.RequestFailed) -> None:
        """Tell of a request that was answered with a failure; of the same again ever less."""
        service = service_name(completed.service)
        kind = (service, completed.status)
        if kind not in self._failures and len(self._failures) >= _KINDS:
            self._failures.clear()
        before = self._failures[kind]
        self._failures[kind] = count = before + 1
        if before and len(str(count)) == len(str(before)):
            return
        times = f"; {counted(count, 'time')} so far" if before else ""
        # Why there is no room, or no disk, is for whoever runs this; of others it is the peer's.
        is_ours = completed.comment and completed.status >> 8 == _OUT_OF_RESOURCES
        why = f": {_printable(completed.comment)}" if is_ours else ""
        self._teller.tell(
            f"association {completed.association_id}: {service} was answered"
            f" {_status_in_words(completed.status)}{why}{times}",
            event="request_failed",
            level="warning",
            association=completed.association_id,
            service=service,
            status=f"{completed.status:04X}",
            times=count,
        )

    def _say(
        self,
        association: messages.AssociationInfo,
        text: str,
        event: str,
        level: str = "info",
        **details: Any,
    ) -> None:
        self._teller.tell(
            f"{_named(association)} {_printable(text)}",
            event=event,
            level=level,
            association=association.id,
            calling_ae_title=_printable(association.calling_ae_title),
            called_ae_title=_printable(association.called_ae_title),
            peer=association.peer[0],
            **details,
        )


def show_policy(options: ServeOptions) -> int:
    """Print what the endpoint would accept, as in a DICOM Conformance Statement (PS3.2)."""
    handlers: dict[str, Any] = {"cstore": _ignore}
    if options.archive is not None:
        from dicom_actors.cli.serve_archive import HANDLED

        handlers = dict.fromkeys(HANDLED, _ignore)
        if options.archive.flow.routes:
            handlers["nevent_report"] = _ignore
    print(describe_acceptance(endpoint_config(options, {}), handlers))
    return 0


def _ignore(event: Any) -> None:
    """Stand for a handler in a description."""


def serve(options: ServeOptions) -> int:
    """Run an endpoint until SIGINT, SIGTERM or SIGHUP, then let open associations finish.

    Returns:
        0, or 1 if the endpoint gave up by itself.

    Raises:
        DicomError: the folder cannot be written to, another process has the archive open, the
            address for metrics cannot be bound, or there is no terminal for the live view.
        TransportError: the port cannot be bound.
        ConfigurationError: the port, the AE title or a certificate is none.
        OSError: the log file cannot be written to.
    """
    root = Path(options.store)
    _check_folder(root)
    # The process is ours: whoever computes lets the others in five times as often, so that an echo
    # beside a handler in pure Python takes 8 ms at the most, and not 20.
    sys.setswitchinterval(_SWITCH_SECONDS)
    view = _view(options, root)
    teller = view or (JsonTeller if options.output == "json" else LineTeller)(sys.stdout)
    with EndSignals() as signals:
        try:
            with _stopping(view), logging_to(teller, options.log, debug=options.debug):
                code = _run(options, root, teller, signals)
        except KeyboardInterrupt:  # while it started: there is nobody to wait for
            code = 0
        except BaseException:
            teller.close()
            raise
        if view is not None:
            view.close()
            teller = LineTeller(sys.stdout)
            for line in view.faults():
                teller.tell(line, event="fault", level="warning")
        last = "stopped" if code == 0 else "the endpoint gave up"
        teller.tell(last, event="stopped", level="info" if code == 0 else "error")
        teller.close()
    return code


def _view(options: ServeOptions, root: Path) -> LiveView | None:
    """Begin the live view, if it is wanted and there is a terminal for it."""
    wants_lines = options.verbose or options.trace or options.print_objects or options.debug
    if options.output not in {"auto", "live"} or (options.output == "auto" and wants_lines):
        return None
    if not _is_terminal():
        if options.output == "live":
            raise DicomError("output live: standard output is no terminal that can show it")
        return None
    try:
        from dicom_actors.cli.serve_view import LiveView, check_rich

        check_rich()
    except ImportError as error:
        if options.output == "live":
            raise DicomError("output live: needs rich: dicom-actors[cli]") from error
        return None
    return LiveView(sys.stdout.fileno(), f"dicom-actors, {root}")


def _stopping(view: LiveView | None) -> contextlib.AbstractContextManager[None]:
    """Let Ctrl-Z give the terminal of a view back."""
    return contextlib.nullcontext() if view is None else giving_back(view.pause, view.resume)


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.stdout.fileno()) and os.environ.get("TERM", "") not in {"", "dumb"}
    except (OSError, ValueError):
        return False


def _run(options: ServeOptions, root: Path, teller: Teller, signals: EndSignals) -> int:
    with contextlib.ExitStack() as stack:
        with signals.awaited():
            # The system writes the last words of the log.
            system = stack.enter_context(contextlib.closing(System()))
            handlers, settings, archive, flow, stream = stack.enter_context(
                _keeping(options, teller)
            )
            endpoint: Any
            if options.workers > 1:
                from dicom_actors.cli.serve_workers import WorkersEndpoint

                endpoint = WorkersEndpoint(options, options.workers, archive, teller, system)
            else:
                settings |= stack.enter_context(transcoding(options))
                if options.user is not None:
                    handlers["association_validator"] = UserCheck(options.user, options.passcode)
                endpoint = Endpoint.start(
                    options.port,
                    host=options.host,
                    event_handlers=handlers,
                    config=endpoint_config(options, settings),
                    system=system,
                )
            stack.callback(endpoint.stop)
            if archive is not None:
                archive.attach(endpoint)
            if stream is not None:
                stream.attach(endpoint)
            port = endpoint.ask(messages.GetStatus()).port
            stack.enter_context(_narrating(endpoint, options, teller))
            stack.enter_context(_observing(endpoint, archive, options, teller, port))
            if problem := stack.enter_context(_control(endpoint, port, archive, flow)):
                teller.tell(problem, event="no_control", level="warning")
        # From here on one that came meanwhile waits, too, and then drains.
        teller.tell(
            f"listening on port {port}, keeping objects in {root}",
            event="listening",
            port=port,
            folder=str(root),
        )
        stack.enter_context(serving_web(options.web, archive, endpoint, system, teller))
        notify("READY=1")
        try:
            signals.wait(endpoint.actor_stopped)
        except KeyboardInterrupt:
            notify("STOPPING=1")
            _finish(endpoint, options.drain, teller, signals)
            return 0
    return 1


def keeper_of(options: ServeOptions, teller: Teller) -> Keeper:
    """The handler that keeps files, and says who sent what."""
    return Keeper(Path(options.store), teller, print_objects=options.print_objects)


def kept_files(options: ServeOptions, keeper: Keeper) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event handlers, and what the endpoint should be told, where files are kept alone."""
    # What is kept is written where it will be as it comes; the rest is a rename.
    settings = {"spool_directory": options.store, "spool_bytes": _SPOOL_BYTES}
    return {"cstore": keeper}, settings


@contextlib.contextmanager
def _keeping(options: ServeOptions, teller: Teller) -> Iterator[_Kept]:
    """Give the event handlers, what the endpoint should be told, the archive, and what is of it."""
    keeper = keeper_of(options, teller)
    if options.archive is None:
        yield *kept_files(options, keeper), None, None, None
        return
    from dicom_actors.cli.serve_archive import kept_in_archive

    title = options.ae_title
    with kept_in_archive(options.store, options.archive, keeper.tell_of, title) as kept:
        yield kept


@contextlib.contextmanager
def transcoding(options: ServeOptions) -> Iterator[dict[str, Any]]:
    """Give what the endpoint should be told; the codecs run beside it, as bytes are anybody's."""
    if options.transcode == "off":
        yield {}
        return
    from dicom_actors.codec_process import CodecProcess

    with CodecProcess() as beside:
        yield {"transcode": transcoder_of(options.transcode, beside.codecs)}


@contextlib.contextmanager
def _observing(
    endpoint: SupervisedRef[Any],
    archive: Archive | None,
    options: ServeOptions,
    teller: Teller,
    port: int,
) -> Iterator[None]:
    """Count and look, if anybody wants to know: the view, or who asks for metrics."""
    from dicom_actors.cli.serve_view import LiveView

    if options.metrics is None and not isinstance(teller, LiveView):
        yield
        return
    with contextlib.ExitStack() as stack:
        observer = Observer(endpoint, archive, options.store, lambda: teller.dropped)
        stack.callback(observer.close)
        if isinstance(teller, LiveView):
            title = options.ae_title or "any AE title"
            teller.watch(observer, f"dicom-actors, {title}, port {port}, {options.store}")
        if options.metrics is not None:
            try:
                server = serve_metrics(observer, *options.metrics)
            except OSError as error:
                why = (error.strerror or str(error)).partition(" (while")[0]
                host, its_port = options.metrics
                raise DicomError(
                    f"metrics: cannot bind to {host}, port {its_port}: {why}"
                ) from error
            stack.callback(server.close)
            host = f"[{server.host}]" if ":" in server.host else server.host
            page = f"http://{host}:{server.port}"
            teller.tell(
                f"health on {page}/health, no metrics: /metrics {server.missing}"
                if server.missing
                else f"metrics on {page}/metrics, health on /health",
                event="metrics",
                host=server.host,
                port=server.port,
            )
        yield


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


def endpoint_config(options: ServeOptions, settings: dict[str, Any]) -> EndpointConfig:
    """The configuration of an endpoint: what was asked for, and what its handlers want."""
    timeout: dict[str, Any] = {} if options.timeout is None else {"idle_timeout": options.timeout}
    return EndpointConfig(
        ae_title=options.ae_title, tls=options.tls, **timeout, **options.endpoint, **settings
    )


def _control(
    endpoint: SupervisedRef[Any], port: int, archive: Archive | None, flow: Flow | None
) -> contextlib.AbstractContextManager[str]:
    if not hasattr(socket, "AF_UNIX"):
        return contextlib.nullcontext("")  # a system without such sockets has no control
    from dicom_actors.cli.control import open_control_socket
    from dicom_actors.cli.queue_tools import queue_messages

    more: dict[str, Any] = {}
    if archive is not None:
        more = queue_messages(archive, flow)
        more["GetTree"] = functools.partial(_whole_tree, endpoint, archive)
    return open_control_socket(endpoint, port, more)


def _whole_tree(endpoint: SupervisedRef[Any], archive: Archive) -> messages.TreeNode:
    """The tree of the endpoint, with that of the archive in it."""
    tree = endpoint.ask(messages.GetTree(), timeout=_TREE_WITHIN)
    with contextlib.suppress(ArchiveError):  # it is about to end
        return replace(tree, children=(*tree.children, archive.tree()))
    return tree


@contextlib.contextmanager
def _narrating(
    endpoint: SupervisedRef[Any], options: ServeOptions, teller: Teller
) -> Iterator[None]:
    kinds: list[type] = [events.AssociationClosed, events.RequestFailed]
    if options.trace:
        kinds.append(events.PduTraced)
    if options.verbose:
        kinds.append(events.AssociationOpened)
    narrator = Narrator.start(teller, verbose=options.verbose)
    endpoint.ask(messages.Subscribe(narrator, kinds=tuple(kinds)))
    try:
        yield
    finally:
        narrator.stop(block=False)


def _finish(
    endpoint: SupervisedRef[Any], drain: float, teller: Teller, signals: EndSignals
) -> None:
    """Let the open associations finish; a second Ctrl-C does not wait for them."""
    try:
        with contextlib.suppress(pykka.ActorDeadError):
            listed = signals.call(lambda: endpoint.ask(messages.ListAssociations()))
            if waiting := [each for each in listed if each.state != "closing"]:
                teller.tell(
                    f"waiting {drain:g} s at the most for {counted(len(waiting), 'association')}, "
                    "Ctrl-C ends it now",
                    event="draining",
                    associations=len(waiting),
                    seconds=drain,
                )
                for association in waiting:
                    requests = counted(association.requests, "request")
                    teller.tell(
                        f"{_named(association)} is {association.state}, {requests} so far",
                        event="waiting_for",
                        association=association.id,
                    )
            report = signals.call(lambda: endpoint.ask(messages.Drain(drain)))
            if report.cut:
                were = "was" if len(report.cut) == 1 else "were"
                text = f"{counted(len(report.cut), 'association')} {were} cut"
                teller.tell(text, event="cut", level="warning", associations=len(report.cut))
    except KeyboardInterrupt:
        teller.tell("not waiting any longer", event="cut", level="warning")


def _status_in_words(status: int) -> str:
    try:
        name = Status(status).name
    except ValueError:
        return f"{status:04X}H"
    return f"{status:04X}H ({name.replace('_', ' ').lower()})"


def _named(association: messages.AssociationInfo) -> str:
    host, port = association.peer
    name = f"association {association.id}: {association.calling_ae_title} {host}:{port}"
    return _printable(name)


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
