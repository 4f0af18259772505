"""``dicom-actors serve``: an endpoint that keeps what it is sent."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import events, messages
from dicom_actors.actors import Endpoint, StoreEvent, describe_acceptance
from dicom_actors.cli.object_files import object_name_of
from dicom_actors.cli.terminal import complain, counted
from dicom_actors.cli.user_check import UserCheck
from dicom_actors.config import EndpointConfig
from dicom_actors.data.dictionary.uids import uid_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.tls import TlsConfig

__all__ = ["Keeper", "ServeOptions", "serve", "show_policy"]

_SWITCH_SECONDS: Final = 0.001
_SPOOL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What ``serve`` was asked for.

    Attributes:
        port: TCP port; 0 picks one.
        host: address to bind to; empty for all.
        ae_title: the called AE title to insist on; None: any.
        store: the folder for what arrives.
        print_objects: whether to print each object.
        verbose: whether to print who associates and how it ends.
        trace: whether to print each PDU.
        timeout: seconds after which an association is ended on which nothing comes.
        user: the one user whose associations are taken; None: anybody's.
        passcode: what the user has to give; None: nothing.
        drain: seconds for open associations to finish at the end.
        tls: certificates; None: plain TCP.
    """

    port: int
    host: str
    ae_title: str | None
    store: str
    print_objects: bool
    verbose: bool
    trace: bool
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
        association = event.association
        line = (
            f"{_printable(association.calling_ae_title)} {association.peer[0]} "
            f"{uid_name(event.sop_class_uid) or _printable(event.sop_class_uid)} "
            f"{event.length} bytes -> {path}"
        )
        text = f"{line}\n{event.dataset}" if self._print_objects else line
        # One write, so that the lines of several senders do not mix.
        print(text, flush=True)


class Narrator(pykka.ThreadingActor):
    """Prints what the endpoint tells of: PDUs, and associations that come and go."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> None:
        """Print one event. Runs in the Narrator's thread."""
        if isinstance(message, events.PduTraced):
            arrow = "<-" if message.is_received else "->"
            print(f"{message.association_id:>6} {arrow} {message.text}", flush=True)
        elif isinstance(message, events.AssociationOpened):
            self._say(message.association, f"associated with {message.association.called_ae_title}")
        elif isinstance(message, events.AssociationClosed):
            reason, detail = message.reason, message.detail
            if detail:
                reason = detail if detail.startswith(reason) else f"{reason}: {detail}"
            self._say(message.association, f"{reason}, {counted(message.requests, 'request')}")

    def _say(self, association: messages.AssociationInfo, text: str) -> None:
        host, port = association.peer
        title = association.calling_ae_title
        text = f"association {association.id}: {title} {host}:{port} {text}"
        print(_printable(text), flush=True)


def show_policy(options: ServeOptions) -> int:
    """Print what the endpoint would accept, as in a DICOM Conformance Statement (PS3.2)."""
    print(describe_acceptance(EndpointConfig(ae_title=options.ae_title), _handlers(options)))
    return 0


def serve(options: ServeOptions) -> int:
    """Run an endpoint until SIGINT or SIGTERM, then let open associations finish.

    Returns:
        0, or 1 if the endpoint gave up by itself.

    Raises:
        TransportError: the port cannot be bound.
        ConfigurationError: the port, the AE title or a certificate is none.
    """
    root = Path(options.store)
    root.mkdir(parents=True, exist_ok=True)
    # The process is ours: whoever computes lets the others in five times as often, so that an echo
    # beside a handler in pure Python takes 8 ms at the most, and not 20.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # SIGTERM ends it as Ctrl-C does: by KeyboardInterrupt in this thread.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        endpoint = Endpoint.start(
            options.port,
            host=options.host,
            event_handlers=_handlers(options),
            config=_config(options),
        )
        try:
            with _narrating(endpoint, options):
                _wait(endpoint, root)
            print("the endpoint gave up", flush=True)
        except KeyboardInterrupt:
            _finish(endpoint, options.drain)
            return 0
        finally:
            endpoint.stop()
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 1


def _handlers(options: ServeOptions) -> dict[str, Any]:
    keeper = Keeper(Path(options.store), print_objects=options.print_objects)
    handlers: dict[str, Any] = {"cstore": keeper}
    if options.user is not None:
        handlers["association_validator"] = UserCheck(options.user, options.passcode)
    return handlers


def _config(options: ServeOptions) -> EndpointConfig:
    # What is kept is written where it will be as it comes; the rest is a rename.
    config = EndpointConfig(
        ae_title=options.ae_title,
        spool_directory=options.store,
        spool_bytes=_SPOOL_BYTES,
        tls=options.tls,
    )
    return config if options.timeout is None else replace(config, idle_timeout=options.timeout)


def _wait(endpoint: pykka.ActorRef[Any], root: Path) -> None:
    port = endpoint.ask(messages.GetStatus(), block=True).port
    with _control(endpoint, port) as problem:
        print(f"listening on port {port}, keeping objects in {root}", flush=True)
        if problem:
            complain(problem)
        endpoint.actor_stopped.wait()


def _control(endpoint: pykka.ActorRef[Any], port: int) -> contextlib.AbstractContextManager[str]:
    if not hasattr(socket, "AF_UNIX"):
        return contextlib.nullcontext("")  # a system without such sockets has no control
    from dicom_actors.cli.control import open_control_socket

    return open_control_socket(endpoint, port)


@contextlib.contextmanager
def _narrating(endpoint: pykka.ActorRef[Any], options: ServeOptions) -> Iterator[None]:
    kinds: list[type] = [events.PduTraced] if options.trace else []
    if options.verbose:
        kinds += [events.AssociationOpened, events.AssociationClosed]
    if not kinds:
        yield
        return
    narrator = Narrator.start()
    endpoint.ask(messages.Subscribe(narrator, kinds=tuple(kinds)))
    try:
        yield
    finally:
        narrator.stop(block=False)


def _finish(endpoint: pykka.ActorRef[Any], drain: float) -> None:
    """Let the open associations finish; a second Ctrl-C does not wait for them."""
    with contextlib.suppress(KeyboardInterrupt, pykka.ActorDeadError):
        report: messages.DrainReport = endpoint.ask(messages.Drain(drain), block=True)
        if report.cut:
            print(f"{len(report.cut)} associations were cut", flush=True)
    print("stopped", flush=True)


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
