"""``dicom-actors serve``: an endpoint that keeps what it is sent."""

from __future__ import annotations

import contextlib
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors import events, messages
from dicom_actors.actors import Endpoint, StoreEvent, describe_acceptance
from dicom_actors.cli.object_files import object_name
from dicom_actors.config import EndpointConfig
from dicom_actors.data.uid import uid_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.tls import TlsConfig

__all__ = ["ObjectFolder", "ServeOptions", "serve", "show_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What ``serve`` was asked for.

    Attributes:
        port: TCP port; 0 picks one.
        host: address to bind to; empty for all.
        ae_title: the called AE title to insist on; None: any.
        store: the folder for what arrives.
        print_objects: whether to print each object.
        trace: whether to print each PDU.
        drain: seconds for open associations to finish at the end.
        tls: certificates; None: plain TCP.
    """

    port: int
    host: str
    ae_title: str | None
    store: str
    print_objects: bool
    trace: bool
    drain: float
    tls: TlsConfig | None


class ObjectFolder:
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
        path = event.save(self.root, object_name(event.dataset, event.sop_instance_uid))
        association = event.association
        line = (
            f"{_printable(association.calling_ae_title)} {association.peer[0]} "
            f"{uid_name(event.sop_class_uid) or _printable(event.sop_class_uid)} "
            f"{event.length} bytes -> {path}"
        )
        text = f"{line}\n{event.dataset}" if self._print_objects else line
        # One write, so that the lines of several senders do not mix.
        print(text, flush=True)


class Tracer(pykka.ThreadingActor):
    """Prints each PDU that the endpoint tells of."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> None:
        """Print one. Runs in the Tracer's thread."""
        if isinstance(message, events.PduTraced):
            arrow = "<-" if message.is_received else "->"
            print(f"{message.association_id:>6} {arrow} {message.text}", flush=True)


def show_policy(options: ServeOptions) -> int:
    """Print what the endpoint would accept, as in a DICOM Conformance Statement (PS3.2)."""
    handlers = {"cstore": ObjectFolder(Path(options.store))}
    print(describe_acceptance(EndpointConfig(ae_title=options.ae_title), handlers))
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
    # SIGTERM ends it as Ctrl-C does: by KeyboardInterrupt in this thread.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        endpoint = Endpoint.start(
            options.port,
            host=options.host,
            event_handlers={"cstore": ObjectFolder(root, print_objects=options.print_objects)},
            config=EndpointConfig(ae_title=options.ae_title, spool_directory=root, tls=options.tls),
        )
        try:
            with _tracing(endpoint, wanted=options.trace):
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


def _wait(endpoint: pykka.ActorRef[Any], root: Path) -> None:
    port = endpoint.ask(messages.GetStatus(), block=True).port
    with _control(endpoint, port):
        print(f"listening on port {port}, keeping objects in {root}", flush=True)
        endpoint.actor_stopped.wait()


def _control(endpoint: pykka.ActorRef[Any], port: int) -> contextlib.AbstractContextManager[None]:
    if not hasattr(socket, "AF_UNIX"):
        return contextlib.nullcontext()  # a system without such sockets has no control
    from dicom_actors.cli.control import open_control_socket

    return open_control_socket(endpoint, port)


@contextlib.contextmanager
def _tracing(endpoint: pykka.ActorRef[Any], *, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    tracer = Tracer.start()
    endpoint.ask(messages.Subscribe(tracer, kinds=(events.PduTraced,)))
    try:
        yield
    finally:
        tracer.stop(block=False)


def _finish(endpoint: pykka.ActorRef[Any], drain: float) -> None:
    """Let the open associations finish; a second Ctrl-C does not wait for them."""
    with contextlib.suppress(KeyboardInterrupt, pykka.ActorDeadError):
        report: messages.DrainReport = endpoint.ask(messages.Drain(drain), block=True)
        if report.cut:
            print(f"{len(report.cut)} associations were cut", flush=True)
    print("stopped", flush=True)


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
