"""``serve --workers N``: an endpoint in several processes, and its parent.

Each worker is a process with a tree of its own (`serve_worker`), started and watched by a `Worker`
actor here; one that ends in whatever way is started again by the rules of supervision. All listen
on the same socket. `WorkersEndpoint` stands for the whole: it is asked what an endpoint is asked,
and tells those who subscribe what any of the workers tells.

The parent serves no association. It keeps the index of the archive (`dicom_actors.archive.member`),
says what is said, and a worker ends when it does, whatever ends it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import messages
from dicom_actors.actors.kernel.listening_socket import listen
from dicom_actors.actors.kernel.shared_port import Places
from dicom_actors.archive.member import HostedMember
from dicom_actors.errors import ArchiveError, DicomError
from dicom_actors.processes.channel import shared_memory
from dicom_actors.processes.child import ChildProcess
from dicom_actors.processes.link import Link, LinkLost
from dicom_actors.supervision import (
    ChildSpec,
    ChildStartError,
    SupervisedActor,
    SupervisionError,
    Supervisor,
    announce,
    close_in_child,
    which_children,
)

if TYPE_CHECKING:
    import pykka

    from dicom_actors.archive import Archive
    from dicom_actors.cli.serve_options import ServeOptions
    from dicom_actors.cli.telling import Teller
    from dicom_actors.processes.link import Answer
    from dicom_actors.supervision import ChildInfo, System

__all__ = ["WorkersEndpoint"]

_logger = logging.getLogger(__name__)

_PROGRAM: Final = "dicom_actors.cli.serve_worker:work"
_STARTS_WITHIN: Final = 60.0
_ANSWERS_WITHIN: Final = 10.0
_ENDS_WITHIN: Final = 30.0
_SUPERVISOR_ANSWERS_WITHIN: Final = 1.0
_INTENSITY: Final = 10
_PERIOD: Final = 10.0


class _Ended:
    """To a Worker: its process has ended."""


class _Tables:
    """What outlives the workers: the port, the limits, who listens."""

    def __init__(
        self, options: ServeOptions, count: int, archive: Archive | None, teller: Teller
    ) -> None:
        self.options = _of_a_worker(options)
        self.count = count
        self.archive = archive
        self.is_shared = options.archive is not None and options.archive.index is not None
        self.teller = teller
        self.socket: socket.socket | None = listen(options.host, options.port)
        close_in_child(self.socket)
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.memory = shared_memory(b"")
        Places.make(self.memory, count)
        self.places = Places(self.memory, count, 0)
        self.lock = threading.Lock()
        self.links: dict[int, tuple[Link, int]] = {}
        self.restarts = 0
        self.is_stopping = False
        self.subscribers: dict[str, tuple[pykka.ActorRef[Any], tuple[type, ...]]] = {}
        self.kinds: tuple[type, ...] = ()

    def publish(self, event: Any) -> None:
        """Tell those who subscribed."""
        for ref, kinds in list(self.subscribers.values()):
            if not kinds or isinstance(event, kinds):
                with contextlib.suppress(Exception):
                    ref.tell(event)

    def everybody(self) -> list[Link]:
        """The links to the workers that there are."""
        with self.lock:
            return [link for link, _ in self.links.values()]


def _of_a_worker(options: ServeOptions) -> ServeOptions:
    """What a worker is told: not how to serve the web, nor whom to send on to, which it does not.

    Contexts of TLS, which are there for both, cannot go to another process.
    """
    archive = options.archive
    if archive is not None:
        archive = replace(archive, flow=replace(archive.flow, peers={}))
    return replace(options, web=None, archive=archive)


class Worker(SupervisedActor):
    """Starts a worker process, and crashes when that ends.

    Args:
        tables: those of all workers.
        number: which worker it is, from 0.
    """

    def __init__(self, tables: _Tables, number: int) -> None:
        super().__init__()
        self._tables = tables
        self._number = number
        self._process: ChildProcess | None = None
        self._link: Link | None = None

    def init(self) -> None:
        """Start it, and wait until it accepts. Runs in the Worker's thread.

        Raises:
            DicomError: it does not start.
        """
        tables = self._tables
        tables.places.forget(self._number)
        self._process = process = ChildProcess(_PROGRAM)
        # On an index that all write each worker has the archive open itself.
        archive = None if tables.is_shared else tables.archive
        member = None if archive is None else HostedMember(archive)
        self._link = link = Link(
            process.channel,
            lambda *what: self._take(member, *what),
            lambda: self._at_end(member),
        )
        link.start()
        listening = tables.socket or listen_nowhere()
        try:
            link.ask(
                ("begin", tables.options, self._number, tables.count, tables.kinds),
                _STARTS_WITHIN,
                (listening.fileno(), tables.memory),
            )
            if tables.socket is None:
                link.ask(("endpoint", messages.Suspend()), _ANSWERS_WITHIN)
        except Exception as error:
            what = f"worker {self._number + 1} did not start: {error}"
            raise DicomError(f"{what}; it {self._end(0.0)}") from error
        with tables.lock:
            tables.links[self._number] = (link, process.pid)

    def _take(
        self,
        member: HostedMember | None,
        value: Any,
        answer: Answer,
        descriptors: tuple[int, ...],
    ) -> None:
        """Take what the process says. Runs in the link's thread."""
        for descriptor in descriptors:
            os.close(descriptor)
        match value:
            case ("events", events):
                for event in events:
                    self._tables.publish(event)
            case ("say", text, details):
                self._tables.teller.tell(text, **details)
            case ("log", record):
                logging.getLogger(record.name).handle(record)
            case _ if member is not None:
                member.take(value, answer)
            case _:
                raise ArchiveError("there is no archive")

    def _at_end(self, member: HostedMember | None) -> None:
        """Take care of what the process leaves. Runs in the link's thread."""
        tables = self._tables
        with tables.lock:
            tables.links.pop(self._number, None)
        tables.places.forget(self._number)
        if member is not None:
            member.ended()
        announce(self.actor_ref, _Ended())

    def handle_info(self, message: Any) -> Any:
        """Crash if the process has ended. Runs in the Worker's thread."""
        if not isinstance(message, _Ended):
            return super().handle_info(message)
        return self._ended()

    def handle_cast(self, message: Any) -> Any:
        """Crash if the process has ended. Runs in the Worker's thread."""
        if not isinstance(message, _Ended):
            return super().handle_cast(message)
        return self._ended()

    def _ended(self) -> None:
        if self._tables.is_stopping:
            return
        why = self._end(1.0)
        self._tables.restarts += 1
        raise LinkLost(f"worker {self._number + 1} {why}")

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - any
        """End the process. Runs in the Worker's thread."""
        link = self._link
        if link is not None and self._process is not None and self._process.is_alive:
            with contextlib.suppress(Exception):
                link.ask(("stop",), _ENDS_WITHIN)
        self._end(_ENDS_WITHIN if link is not None else 0.0)

    def _end(self, patience: float) -> str:
        process, self._process = self._process, None
        if process is None:
            return "has ended"
        if self._link is not None:
            self._link.close()
        why = process.end(patience)
        if self._link is not None:
            self._link.join(_ANSWERS_WITHIN)
        return why


def listen_nowhere() -> socket.socket:
    """A socket that nobody knows, for a worker that starts while nothing is accepted."""
    return listen("127.0.0.1", 0)


class WorkersEndpoint:
    """The workers as one endpoint: what asks an endpoint may ask this. Any thread may use it.

    Args:
        options: what ``serve`` was asked for.
        count: how many workers.
        archive: the archive, whose index is here; None: there is none.
        teller: says what the workers have to say.
        system: the surroundings of the actors.

    Raises:
        TransportError: the port cannot be bound.
        DicomError: the workers do not start.
    """

    def __init__(
        self,
        options: ServeOptions,
        count: int,
        archive: Archive | None,
        teller: Teller,
        system: System,
    ) -> None:
        self._tables = tables = _Tables(options, count, archive, teller)
        try:
            self._supervisor = Supervisor.start(
                [
                    ChildSpec(
                        f"worker {number + 1}",
                        (Worker, (tables, number), {}),
                        shutdown=2 * _ENDS_WITHIN,
                    )
                    for number in range(count)
                ],
                intensity=_INTENSITY,
                period=_PERIOD,
                system=system,
            )
        except ChildStartError as error:
            self._close()
            raise DicomError(
                f"the workers cannot be started: {error.__cause__ or error}"
            ) from error
        except BaseException:
            self._close()
            raise
        self.actor_stopped = self._supervisor.actor_stopped
        self.actor_urn = self._supervisor.actor_urn

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._supervisor.is_alive()

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the worker processes."""
        with self._tables.lock:
            return tuple(pid for _, pid in self._tables.links.values())

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Abort all associations and end the workers."""
        self._tables.is_stopping = True
        self._stop_listening()
        stopped = self._supervisor.stop(block=block, timeout=timeout)
        self._close()
        return stopped

    def _close(self) -> None:
        tables = self._tables
        if tables.socket is not None:
            tables.socket.close()
            tables.socket = None
        memory, tables.memory = tables.memory, -1
        if memory >= 0:
            os.close(memory)

    def tell(self, message: Any) -> None:
        """Ask, and forget the answer."""
        threading.Thread(target=self._ask_quietly, args=(message,), daemon=True).start()

    def _ask_quietly(self, message: Any) -> None:
        with contextlib.suppress(Exception):
            self.ask(message)

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Ask all workers, and make one answer of theirs; see `dicom_actors.messages`.

        Raises:
            TypeError: it is nothing that several processes can be asked.
            CallTimeout: one of them did not answer in time.
        """
        if not block:
            raise TypeError("an endpoint of several processes is asked with block=True")
        match message:
            case messages.GetStatus():
                return self._status(self._all(message, timeout))
            case messages.ListAssociations():
                found = [one for listed in self._all(message, timeout) for one in listed]
                return tuple(sorted(found, key=lambda one: one.id))
            case messages.GetTree():
                return self._tree(timeout)
            case messages.Suspend():
                self._suspend(timeout)
                return None
            case messages.Resume():
                return self._resume(timeout)
            case messages.Drain(deadline):
                return self._drain(deadline)
            case messages.AbortAssociation():
                return any(self._all(message, timeout))
            case messages.SetLimits():
                self._all(message, timeout)
                return None
            case messages.Subscribe(ref, kinds):
                self._subscribe(ref, tuple(kinds))
                return None
            case messages.Unsubscribe(ref):
                was_there = self._tables.subscribers.pop(ref.actor_urn, None) is not None
                self._want_events()
                return was_there
        raise TypeError(f"several processes cannot be asked {type(message).__name__}")

    def _all(self, message: Any, timeout: float | None) -> list[Any]:
        """Ask all at once; who ends over it has no answer."""
        due = time.monotonic() + (_ANSWERS_WITHIN if timeout is None else timeout)
        begun = [link.begin(("endpoint", message)) for link in self._tables.everybody()]
        found = []
        for reply in begun:
            with contextlib.suppress(LinkLost):
                found.append(reply.get(timeout=max(due - time.monotonic(), 0.0)))
        return found

    def _status(self, found: list[messages.EndpointStatus]) -> messages.EndpointStatus:
        tables = self._tables
        host, port = tables.address
        state = "running" if tables.socket is not None else "suspended"
        if any(one.state == "draining" for one in found):
            state = "draining"
        return messages.EndpointStatus(
            host=host,
            port=port,
            state=state,
            associations=sum(one.associations for one in found),
            restarts=tables.restarts + sum(one.restarts for one in found),
            associations_opened=sum(one.associations_opened for one in found),
            requests=sum(one.requests for one in found),
            ignored_cancels=sum(one.ignored_cancels for one in found),
            disowned_handlers=sum(one.disowned_handlers for one in found),
        )

    def _tree(self, timeout: float | None) -> messages.TreeNode:
        with self._tables.lock:
            links = dict(self._tables.links)
        known: dict[str, ChildInfo] = {}
        # While a worker starts its supervisor says nothing.
        with contextlib.suppress(SupervisionError):
            found = which_children(self._supervisor, _SUPERVISOR_ANSWERS_WITHIN)
            known = {str(child.id): child for child in found}
        children = []
        for number in range(self._tables.count):
            node = None
            name = f"worker {number + 1}"
            child = known.get(name)
            state = "restarting"
            if number in links:
                link, pid = links[number]
                state = "running"
                name = f"{name}, process {pid}"
                with contextlib.suppress(DicomError):
                    node = link.ask(("endpoint", messages.GetTree()), timeout or _ANSWERS_WITHIN)
            below = () if node is None else (node,)
            if child is not None:
                state = child.state.value
            children.append(
                messages.TreeNode(
                    name,
                    "supervisor",
                    state,
                    0 if child is None else child.restarts,
                    None if child is None else child.ref,
                    children=below,
                )
            )
        return messages.TreeNode(
            "workers", "supervisor", "running", 0, None, children=tuple(children)
        )

    def _suspend(self, timeout: float | None) -> None:
        self._all(messages.Suspend(), timeout)
        self._stop_listening()

    def _stop_listening(self) -> None:
        listening, self._tables.socket = self._tables.socket, None
        if listening is not None:
            # For whoever has it, too; they do not look at it any more.
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _resume(self, timeout: float | None) -> None:
        tables = self._tables
        if tables.socket is not None:
            return
        host, port = tables.options.host, tables.address[1]
        listening = listen(host, port)
        close_in_child(listening)
        tables.socket = listening
        for link in tables.everybody():
            with contextlib.suppress(LinkLost):
                link.ask(("listen",), timeout or _ANSWERS_WITHIN, (listening.fileno(),))

    def _drain(self, deadline: float) -> messages.DrainReport:
        self._suspend(None)
        reports = self._all(messages.Drain(deadline), deadline + _ANSWERS_WITHIN)
        cut = tuple(one for report in reports for one in report.cut)
        return messages.DrainReport(sum(report.finished for report in reports), cut)

    def _subscribe(self, ref: pykka.ActorRef[Any], kinds: tuple[type, ...]) -> None:
        self._tables.subscribers[ref.actor_urn] = (ref, kinds)
        self._want_events()

    def _want_events(self) -> None:
        wanted = [kinds for _, kinds in self._tables.subscribers.values()]
        is_all = any(not kinds for kinds in wanted)
        found = () if is_all else tuple({kind for kinds in wanted for kind in kinds})
        self._tables.kinds = found if wanted else (messages.Message,)  # which is no event
        for link in self._tables.everybody():
            link.tell(("want", self._tables.kinds))
