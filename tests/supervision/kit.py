"""What the tests of actors are made of, so that none of them sleeps.

Every wait has a limit that only serves to fail.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.waiting import until

from dicom_actors.supervision import (
    IGNORE,
    ActorThread,
    ChildSpec,
    Down,
    ExitReason,
    LogService,
    ManualClock,
    Reply,
    SupervisedActor,
    SupervisedRef,
    System,
    Timer,
    TimerService,
    kill,
    monitor,
    which_children,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pykka

LIMIT = 60.0
"""Seconds after which a wait is a failure."""


class Gate:
    """A place in a callback where a test holds a thread: it enters, and waits for release."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, *_args: Any) -> None:
        self.entered.set()
        if not self.released.wait(LIMIT):
            raise AssertionError("a gate was never released")

    def wait_entered(self) -> None:
        assert self.entered.wait(LIMIT), "nobody came to the gate"

    def release(self) -> None:
        self.released.set()


class Journal:
    """A list of what happened, from all threads, compared as a whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[tuple[Any, ...]] = []

    def add(self, *entry: Any) -> None:
        with self._lock:
            self._entries.append(entry)

    @property
    def entries(self) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


class Script:
    """What the n-th start of a child does; after the last step it is always "ok".

    A step is "ok", "ignore", "raise", "exit" (SystemExit), a Gate, or a function.
    """

    def __init__(self, *steps: Any) -> None:
        self._steps = list(steps)
        self._lock = threading.Lock()
        self.starts = 0

    def run(self) -> Any:
        with self._lock:
            step = self._steps[self.starts] if self.starts < len(self._steps) else "ok"
            self.starts += 1
        if step == "ok":
            return None
        if step == "ignore":
            return IGNORE
        if step == "raise":
            raise RuntimeError("as the script says")
        if step == "exit":
            raise SystemExit
        return step()


class Worker(SupervisedActor):
    """Does what it is sent: a function is called with the actor, anything else is echoed."""

    def __init__(
        self,
        label: str = "worker",
        *,
        journal: Journal | None = None,
        script: Script | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        super().__init__()
        self.label = label
        self.journal = journal or Journal()
        self.script = script or Script()
        self.at_end = at_end

    def init(self) -> Any:
        outcome = self.script.run()
        if outcome is not IGNORE:
            self.journal.add(self.label, "start")
        return outcome

    def handle_call(self, message: Any) -> Any:
        return message(self) if callable(message) else message

    def handle_cast(self, message: Any) -> Any:
        return message(self) if callable(message) else self.journal.add(self.label, message)

    def handle_info(self, message: Any) -> Any:
        self.journal.add(self.label, message)

    def terminate(self, reason: ExitReason) -> None:
        self.journal.add(self.label, "stop")
        if self.at_end is not None:
            self.at_end()


class Stub(SupervisedActor):
    """A child without a thread: it does nothing, and ends when it is told to."""

    def _start_actor_loop(self) -> None:
        self._life.current.set(self.actor_ref)


def end_stub(ref: SupervisedRef[Any], reason: ExitReason = ExitReason.NORMAL) -> None:
    ref.life.end(ref, reason)


def worker(label: str, *, spec: dict[str, Any] | None = None, **arguments: Any) -> ChildSpec:
    """The spec of a `Worker`; `spec` has the spec's own fields."""
    return ChildSpec(label, partial(Worker.start, label, **arguments), **(spec or {}))


def raise_error(*_args: Any) -> None:
    raise ValueError("on purpose")


DEATHS: dict[str, Callable[[SupervisedRef[Any]], object]] = {
    "normal": lambda ref: ref.tell(lambda actor: actor.exit()),
    "shutdown": lambda ref: ref.tell(lambda actor: actor.exit(ExitReason.SHUTDOWN)),
    "shutdown with detail": lambda ref: ref.tell(
        lambda actor: actor.exit(ExitReason.shutdown("detail"))
    ),
    "abnormal": lambda ref: ref.tell(raise_error),
    "killed": kill,
}
"""Ways to end a `Worker`."""


def watch(ref: SupervisedRef[Any]) -> Reply:
    """A future of the actor's `Down`."""
    down = Reply()
    monitor(ref, down)
    return down


def down_of(future: pykka.Future[Any]) -> Down:
    down = future.get(timeout=LIMIT)
    assert isinstance(down, Down)
    return down


def end(ref: SupervisedRef[Any], death: str) -> Down:
    """End an actor in one of the ways of `DEATHS`, and wait until it is down."""
    down = watch(ref)
    DEATHS[death](ref)
    return down_of(down)


def sync(supervisor: SupervisedRef[Any]) -> None:
    """Wait until a supervisor has handled everything that it was sent before."""
    which_children(supervisor, timeout=LIMIT)


def child(supervisor: SupervisedRef[Any], child_id: Any) -> SupervisedRef[Any]:
    """The running child with that id."""
    for info in which_children(supervisor, timeout=LIMIT):
        if info.id == child_id:
            assert info.ref is not None, f"{child_id} is not running"
            return info.ref
    raise AssertionError(f"no child {child_id}")


def thread_of(ref: SupervisedRef[Any]) -> threading.Thread:
    thread = ref.life.thread
    assert thread is not None
    return thread


def wait_until_left(thread: threading.Thread, ref: SupervisedRef[Any]) -> None:
    """Wait until an actor's thread has nothing more to do with it."""
    assert isinstance(thread, ActorThread)
    until(lambda: thread.actor_ref is not ref)


class CountedTimers(TimerService):
    """Timers that a test can wait for before it moves the clock."""

    def __init__(self, clock: ManualClock, log: LogService) -> None:
        super().__init__(clock, log)
        self._sent = threading.Semaphore(0)

    def send_at(self, due: float, recipient: Any, message: Any) -> Timer:
        timer = super().send_at(due, recipient, message)
        self._sent.release()
        return timer

    def wait_for_one_more(self) -> None:
        assert self._sent.acquire(timeout=LIMIT), "nobody set a timer"


class ManualSystem(System):
    """A system whose time a test moves, and whose reports it reads."""

    def __init__(self) -> None:
        self.manual = ManualClock()
        self.seen: list[Any] = []
        super().__init__(clock=self.manual, reports=self.seen.append)
        self.timers = CountedTimers(self.manual, self.log)

    def advance(self, seconds: float) -> None:
        self.manual.advance(seconds)

    def reports(self, *, with_starts: bool = False) -> list[tuple[Any, ...]]:
        """What was reported: (context, child id, reason, restarts)."""
        return [
            (report.context, report.child_id, str(report.reason), report.restarts)
            for report in list(self.seen)
            if with_starts or report.context != "started"
        ]
