"""What all actors of one tree share: clock, timers, threads, names, log, reports.

The root makes a system, or is given one, and everything below inherits it. There is nothing
global: two trees in one process know nothing of each other.

A name belongs to one live actor. It is taken before `init` runs and is free again before anybody
hears of the death, so a restart cannot collide with the life before.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.supervision.errors import AlreadyStarted
from dicom_actors.supervision.forking import start_over_in_child
from dicom_actors.supervision.log import LogService
from dicom_actors.supervision.threads import ThreadPool
from dicom_actors.supervision.timing import Clock, SystemClock, TimerService

if TYPE_CHECKING:
    from collections.abc import Callable

    import pykka

    from dicom_actors.supervision.reports import Report

__all__ = ["Registry", "System"]

logger = logging.getLogger(__name__)


class Registry:
    """The names of one tree of actors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refs: dict[str, pykka.ActorRef[Any]] = {}

    def lookup(self, name: str) -> pykka.ActorRef[Any] | None:
        """The live actor of that name, or None."""
        ref = self._refs.get(name)
        return ref if ref is not None and ref.is_alive() else None

    def check_free(self, name: str) -> None:
        """Raise `AlreadyStarted` if a live actor has the name."""
        ref = self.lookup(name)
        if ref is not None:
            raise AlreadyStarted(f"the name {name!r} is taken by {ref}", ref)

    def claim(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        """Give `name` to `ref`.

        Raises:
            AlreadyStarted: a live actor has it.
        """
        with self._lock:
            self.check_free(name)
            self._refs[name] = ref

    def release(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        """Free `name`, if it is still that of `ref`."""
        with self._lock:
            if self._refs.get(name) is ref:
                del self._refs[name]

    def start_over(self) -> None:
        """Be as new, in a forked child."""
        self._lock = threading.Lock()
        self._refs.clear()

    def names(self) -> dict[str, pykka.ActorRef[Any]]:
        """All names with their live actors."""
        with self._lock:
            return {name: ref for name, ref in self._refs.items() if ref.is_alive()}


class System:
    """The surroundings of one tree of actors.

    A root actor that is started without a system makes its own and closes it when it ends; who
    makes one closes it.

    Args:
        clock: tells the time; None: the system's.
        reports: called with every `Report`, mostly in the supervisor's thread: it must return at
            once.

    Attributes:
        clock: tells the time.
        timers: sends messages later.
        threads: run the actors.
        registry: the names of actors.
        log: writes log records, without keeping anybody waiting.
    """

    def __init__(
        self, *, clock: Clock | None = None, reports: Callable[[Report], object] | None = None
    ) -> None:
        self.clock: Final[Clock] = SystemClock() if clock is None else clock
        self.log: Final = LogService()
        self.timers: Final = TimerService(self.clock, self.log)
        self.threads: Final = ThreadPool()
        self.registry: Final = Registry()
        # replaced as a whole, as it is read without the lock
        self._sinks: dict[object, Callable[[Report], object]] = {}
        if reports is not None:
            self._sinks[object()] = reports
        self._lock = threading.Lock()
        self._disowned = 0
        self._roots: dict[pykka.ActorRef[Any], None] = {}
        start_over_in_child(self)

    def roots(self) -> list[pykka.ActorRef[Any]]:
        """The actors without a supervisor that live here, the oldest first."""
        with self._lock:
            return list(self._roots)

    def add_root(self, ref: pykka.ActorRef[Any]) -> None:
        """Count an actor among the roots; for the actors themselves."""
        with self._lock:
            self._roots[ref] = None

    def remove_root(self, ref: pykka.ActorRef[Any]) -> None:
        """Forget a root that has ended; for the actors themselves."""
        with self._lock:
            self._roots.pop(ref, None)

    @property
    def disowned(self) -> int:
        """How many threads of killed actors still run."""
        return self._disowned

    def count_disowned(self, change: int) -> None:
        """Count a thread that was disowned (1) or has ended (-1); for the actors themselves."""
        with self._lock:
            self._disowned += change

    def add_sink(self, sink: Callable[[Report], object]) -> Callable[[], None]:
        """Call `sink`, too, with every report from now on; see the class.

        Returns:
            A function that ends this: whoever lives shorter than the system calls it in the end,
            or the system keeps the sink, and all that it refers to.
        """
        key = object()
        with self._lock:
            self._sinks = {**self._sinks, key: sink}

        def remove() -> None:
            with self._lock:
                self._sinks = {k: other for k, other in self._sinks.items() if k is not key}

        return remove

    def report(self, report: Report) -> None:
        """Log a report and hand it to the sinks."""
        report.log(self.log)
        for sink in self._sinks.values():
            try:
                sink(report)
            except BaseException as fault:  # noqa: BLE001 - not the supervisor's fault
                self.log.write(logger, logging.ERROR, "the sink for reports raised", exc_info=fault)

    def close(self) -> None:
        """End the timers, the threads without work and the log, which writes what waits.

        The actors are not touched: stop the root first.
        """
        self.timers.close()
        self.threads.close()
        self.log.close()

    def start_over(self) -> None:
        """Be as new, in a forked child: the parent's actors are dead there; see `forking`."""
        self._lock = threading.Lock()
        self._roots.clear()
        self._disowned = 0
        self.log.start_over()
        self.registry.start_over()
        self.timers.start_over()
        self.threads.start_over()
