"""A worker of ``serve --workers N``: an endpoint with a tree of its own; see `serve_workers`."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import Endpoint, messages
from dicom_actors.actors.kernel.shared_port import Places, SharedPort
from dicom_actors.cli.serve import endpoint_config, keeper_of, kept_files, transcoding
from dicom_actors.cli.telling import Teller
from dicom_actors.cli.user_check import UserCheck
from dicom_actors.config import EndpointConfig
from dicom_actors.processes.link import Link
from dicom_actors.supervision import SupervisedActor, System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive import Archive
    from dicom_actors.cli.serve_options import ServeOptions
    from dicom_actors.processes.channel import Channel
    from dicom_actors.processes.link import Answer

__all__ = ["work"]

_SWITCH_SECONDS: Final = 0.001
_LOGGER: Final = "dicom_actors"


class _LinkTeller(Teller):
    """Has the parent say it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def tell(self, text: str, *, event: str, level: str = "info", **details: Any) -> None:
        """See `Teller.tell`."""
        self._link.tell(("say", text, {"event": event, "level": level, **details}))

    def close(self) -> None:
        """See `Teller.close`; nothing is kept back."""

    @property
    def dropped(self) -> int:
        """See `Teller.dropped`."""
        return 0


class _LinkLog(logging.Handler):
    """Has the parent log it."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record with its text alone, and that of its traceback."""
        text = record.exc_text or (
            logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        )
        plain = logging.makeLogRecord(
            {
                "name": record.name,
                "levelno": record.levelno,
                "levelname": record.levelname,
                "msg": record.getMessage(),
                "created": record.created,
                "exc_text": text,
            }
        )
        self._link.tell(("log", plain))


class _Reporter(SupervisedActor):
    """Brings events to the parent."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._events: list[Any] = []

    def handle_cast(self, message: Any) -> None:
        """Take an event. Runs in its own thread."""
        self._events.append(message)
        if not self._inbox.qsize() or len(self._events) >= 256:
            events, self._events = self._events, []
            self._link.tell(("events", events))


class _Worker:
    """What the parent asks for, done."""

    def __init__(self) -> None:
        self.link: Link
        self.begun = threading.Event()
        self.is_asked_to_stop = threading.Event()
        self._answer: Answer
        self._given: tuple[Any, ...]
        self._endpoint: Any = None
        self._port: SharedPort
        self._reporter: Any = None

    def take(self, value: Any, answer: Answer, descriptors: tuple[int, ...]) -> None:
        """Take what comes. Runs in the link's thread."""
        match value:
            case ("begin", *given):
                self._given = (*given, *descriptors)
                self._answer = answer
                self.begun.set()
            case ("endpoint", message):
                threading.Thread(target=self._ask, args=(message, answer), daemon=True).start()
            case ("listen",):
                self._port.socket = _listening(descriptors[0])
                threading.Thread(
                    target=self._ask, args=(messages.Resume(), answer), daemon=True
                ).start()
            case ("want", kinds):
                self._want(kinds)
            case ("stop",):
                self._answer = answer
                self.is_asked_to_stop.set()

    def _ask(self, message: Any, answer: Answer) -> None:
        try:
            answer.offer(_without_refs(self._endpoint.ask(message)))
        except Exception as error:  # noqa: BLE001 - the asker's to hear
            answer.fail(error)

    def _want(self, kinds: tuple[type, ...]) -> None:
        if self._reporter is not None:
            self._endpoint.tell(messages.Subscribe(self._reporter, kinds=kinds))

    def run(self) -> None:
        """Serve until the parent wants no more."""
        self.begun.wait()
        options, number, processes, kinds, listening, memory = self._given
        sys.setswitchinterval(_SWITCH_SECONDS)
        teller = _LinkTeller(self.link)
        self._port = SharedPort(_listening(listening), Places(memory, processes, number))
        with contextlib.ExitStack() as stack:
            stack.enter_context(_logging(self.link, options))
            system = stack.enter_context(contextlib.closing(System()))
            handlers, settings, archive = stack.enter_context(_keeping(options, teller, self.link))
            settings |= stack.enter_context(transcoding(options))
            if options.user is not None:
                handlers["association_validator"] = UserCheck(options.user, options.passcode)
            self._endpoint = Endpoint.start(
                event_handlers=handlers,
                config=endpoint_config(_share_of(options, processes), settings),
                system=system,
                shared=self._port,
            )
            stack.callback(self._endpoint.stop)
            if archive is not None and not archive.is_member:
                archive.attach(self._endpoint)
            self._reporter = _Reporter.start(self.link, system=system)
            self._endpoint.ask(messages.Subscribe(self._reporter, kinds=kinds))
            self._answer.offer(os.getpid())
            self._wait()
        self._answer.offer()

    def _wait(self) -> None:
        while not self.is_asked_to_stop.wait(1.0):
            if not self._endpoint.is_alive():
                os._exit(1)  # it gave up; the parent decides what follows


def work(channel: Channel) -> None:
    """Be a worker until the parent ends it, or ends."""
    worker = _Worker()
    worker.link = Link(channel, worker.take, lambda: os._exit(0))
    worker.link.start()
    worker.run()


def _listening(descriptor: int) -> socket.socket:
    found = socket.socket(fileno=descriptor)
    found.setblocking(False)
    return found


def _share_of(options: ServeOptions, processes: int) -> ServeOptions:
    """What is limited in bytes is so for all workers together."""
    config = EndpointConfig(**options.endpoint)
    shares = {
        name: -(-getattr(config, name) // processes)
        for name in ("memory_bytes", "spool_total_bytes", "max_inflated_bytes")
        if getattr(config, name) is not None
    }
    return replace(options, endpoint={**options.endpoint, **shares})


@contextlib.contextmanager
def _logging(link: Link, options: ServeOptions) -> Iterator[None]:
    logger = logging.getLogger(_LOGGER)
    handler = _LinkLog(link)
    logger.propagate = False
    logger.setLevel(logging.DEBUG if options.debug else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def _keeping(
    options: ServeOptions, teller: Teller, link: Link
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Archive | None]]:
    keeper = keeper_of(options, teller)
    if options.archive is None:
        yield *kept_files(options, keeper), None
        return
    from dicom_actors.cli.serve_archive import kept_by_worker

    with kept_by_worker(options.store, options.archive, keeper.tell_of, link) as kept:
        yield kept


def _without_refs(value: Any) -> Any:
    """Trees without their actors, which mean nothing elsewhere."""
    if isinstance(value, messages.TreeNode):
        below = tuple(_without_refs(child) for child in value.children)
        return replace(value, ref=None, children=below)
    return value
