"""``dicom-actors serve``: an endpoint that keeps what it is sent."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from typing import Any

import pykka

from dicom_actors import messages
from dicom_actors.actors import Endpoint, StoreEvent, file_name_for
from dicom_actors.config import EndpointConfig
from dicom_actors.data.uid import uid_name

__all__ = ["ObjectFolder", "serve"]


class ObjectFolder:
    """A ``cstore`` handler that keeps objects as ``<study>/<series>/<instance>.dcm``.

    Args:
        root: the folder; made if it is not there.
        print_objects: whether to print the whole data set of each object.
    """

    def __init__(self, root: Path, *, print_objects: bool = False) -> None:
        self.root = root
        self._print_objects = print_objects

    def __call__(self, event: StoreEvent) -> None:
        """Keep one object and say in a line who sent what. Runs in a Handler's thread."""
        study = event.dataset.get("StudyInstanceUID") or ""
        series = event.dataset.get("SeriesInstanceUID") or ""
        name = (
            Path(file_name_for(str(study)))
            / file_name_for(str(series))
            / f"{file_name_for(event.sop_instance_uid)}.dcm"
        )
        path = event.save(self.root, name)
        association = event.association
        line = (
            f"{_printable(association.calling_ae_title)} {association.peer[0]} "
            f"{uid_name(event.sop_class_uid) or _printable(event.sop_class_uid)} "
            f"{event.length} bytes -> {path}"
        )
        text = f"{line}\n{event.dataset}" if self._print_objects else line
        # One write, so that the lines of several senders do not mix.
        print(text, flush=True)


def serve(
    *, port: int, host: str, ae_title: str | None, store: str, print_objects: bool, drain: float
) -> int:
    """Run an endpoint until SIGINT or SIGTERM, then let open associations finish.

    Args:
        port: TCP port; 0 picks one.
        host: address to bind to; empty for all.
        ae_title: the called AE title to insist on; None: any.
        store: the folder for what arrives.
        print_objects: whether to print each object.
        drain: seconds for open associations to finish at the end.

    Returns:
        0, or 1 if the endpoint gave up by itself.

    Raises:
        TransportError: the port cannot be bound.
        ConfigurationError: the AE title is none.
    """
    root = Path(store)
    root.mkdir(parents=True, exist_ok=True)
    config = EndpointConfig(ae_title=ae_title, spool_directory=root)
    # SIGTERM ends it as Ctrl-C does: by KeyboardInterrupt in this thread.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        endpoint = Endpoint.start(
            port,
            host=host,
            event_handlers={"cstore": ObjectFolder(root, print_objects=print_objects)},
            config=config,
        )
        try:
            bound = endpoint.ask(messages.GetStatus()).port
            with _control(endpoint, bound):
                print(f"listening on port {bound}, keeping objects in {root}", flush=True)
                endpoint.actor_stopped.wait()
            print("the endpoint gave up", flush=True)
        except KeyboardInterrupt:
            _finish(endpoint, drain)
            return 0
        finally:
            endpoint.stop()
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 1


def _control(endpoint: pykka.ActorRef[Any], port: int) -> contextlib.AbstractContextManager[None]:
    if not hasattr(socket, "AF_UNIX"):
        return contextlib.nullcontext()  # a system without such sockets has no control
    from dicom_actors.cli.control import open_control_socket

    return open_control_socket(endpoint, port)


def _finish(endpoint: pykka.ActorRef[Any], drain: float) -> None:
    """Let the open associations finish; a second Ctrl-C does not wait for them."""
    with contextlib.suppress(KeyboardInterrupt, pykka.ActorDeadError):
        report: messages.DrainReport = endpoint.ask(messages.Drain(drain), block=True)
        if report.cut:
            print(f"{len(report.cut)} associations were cut", flush=True)
    print("stopped", flush=True)


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
