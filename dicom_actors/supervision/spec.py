"""Child specs and the settings of supervisors: checked once, when they are made."""

from __future__ import annotations

import functools
from collections.abc import Callable  # noqa: TC003 - part of the public signature
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dicom_actors.supervision.errors import SpecError

if TYPE_CHECKING:
    from dicom_actors.supervision.exits import ExitReason

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AutoShutdown",
    "ChildSpec",
    "ChildType",
    "Restart",
    "RestartWindow",
    "Shutdown",
    "Strategy",
]


class Restart(Enum):
    """When a child that ended by itself is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """After an abnormal exit."""
    TEMPORARY = "temporary"
    """Never; its spec is forgotten with it."""

    def applies_after(self, reason: ExitReason) -> bool:
        """Whether a child that ended for `reason` is started again."""
        return self is Restart.PERMANENT or (self is Restart.TRANSIENT and not reason.is_normal)


class Shutdown(Enum):
    """How to end a child, where it is not a time."""

    BRUTAL_KILL = "brutal_kill"
    """At once, without cleanup."""
    INFINITY = "infinity"
    """Ask, and wait as long as it takes."""


BRUTAL_KILL: Final = Shutdown.BRUTAL_KILL
INFINITY: Final = Shutdown.INFINITY


class ChildType(Enum):
    """What a child is."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


class Strategy(Enum):
    """Who is stopped and started when a child has to be restarted."""

    ONE_FOR_ONE = "one_for_one"
    """That child."""
    REST_FOR_ONE = "rest_for_one"
    """That child and those that were started after it."""
    ONE_FOR_ALL = "one_for_all"
    """All children."""


class AutoShutdown(Enum):
    """When a supervisor ends because significant children have ended by themselves."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class RestartWindow:
    """Counts restarts within a period that moves on with time.

    Given as the ``budget`` of several children of one supervisor, it is shared by them, and
    outlives them. It has no lock: only that supervisor's thread may use it.

    Args:
        intensity: how many restarts may happen within the period.
        period: its length in seconds; a restart exactly that old still counts.

    Raises:
        SpecError: one of them is wrong; the message names it.
    """

    def __init__(self, intensity: int, period: float) -> None:
        check_count("intensity", intensity)
        check_seconds("period", period)
        self._intensity = intensity
        self._period = period
        self._times: list[float] = []  # a few

    def add(self, now: float) -> bool:
        """Count a restart at the time `now`; returns whether it may happen."""
        while self._times and now - self._times[0] > self._period:
            del self._times[0]
        self._times.append(now)
        return len(self._times) <= self._intensity


StartTuple: TypeAlias = tuple[Any, tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class ChildSpec:
    """How a child is started, restarted and stopped.

    Attributes:
        id: what the child is called; one of its kind in a static supervisor, any label in a
            dynamic one.
        start: a function that starts the actor and returns its reference, or `IGNORE`, such as
            ``functools.partial(Worker.start, 1, name="x")``; or ``(Worker, args, kwargs)``.
        restart: when it is started again.
        shutdown: seconds from the request to end until it is killed, `BRUTAL_KILL` or
            `INFINITY`; None: 5 seconds for a worker, `INFINITY` for a supervisor, whose
            children need time of their own.
        type: what it is.
        significant: its end by itself may end the supervisor, see `AutoShutdown`.
        budget: in a dynamic supervisor, ``(restarts, seconds)``: this child's restarts are
            counted on their own, and when there were more than that many within that time the
            child is given up, and the supervisor goes on. Or a `RestartWindow`, which can be
            that of several children. None: they count as the supervisor's.

    Raises:
        SpecError: a field is wrong; the message names it.
    """

    id: Any
    start: Callable[..., Any] | StartTuple
    restart: Restart = Restart.PERMANENT
    shutdown: float | Shutdown | None = None
    type: ChildType = ChildType.WORKER
    significant: bool = False
    budget: tuple[int, float] | RestartWindow | None = None

    def __post_init__(self) -> None:
        if self.id is None or not is_hashable(self.id):
            raise SpecError(f"id: expected something hashable, not None, got {self.id!r}")
        if not callable(self.start) and not _is_start_tuple(self.start):
            raise SpecError(
                f"start: expected a function or (class, args, kwargs), got {self.start!r}"
            )
        check_member("restart", self.restart, Restart)
        check_member("type", self.type, ChildType)
        if self.shutdown is None:
            is_worker = self.type is ChildType.WORKER
            object.__setattr__(self, "shutdown", 5.0 if is_worker else INFINITY)
        elif not isinstance(self.shutdown, Shutdown):
            check_seconds("shutdown", self.shutdown)
        if not isinstance(self.significant, bool):
            raise SpecError(f"significant: expected a bool, got {self.significant!r}")
        if self.significant and self.restart is Restart.PERMANENT:
            raise SpecError("significant: a permanent child never ends for good")
        if self.budget is not None and not isinstance(self.budget, RestartWindow):
            if not isinstance(self.budget, tuple) or len(self.budget) != 2:
                raise SpecError(
                    f"budget: expected (restarts, seconds) or a RestartWindow, got {self.budget!r}"
                )
            check_count("budget", self.budget[0])
            check_seconds("budget", self.budget[1])

    def launch(self, extra: tuple[Any, ...] = ()) -> Any:
        """Start the child; returns what its start function does.

        Args:
            extra: positional arguments that go before the child's own.
        """
        if isinstance(self.start, tuple):
            actor_class, args, kwargs = self.start
            return actor_class.start(*extra, *args, **kwargs)
        if extra and isinstance(self.start, functools.partial):
            return self.start.func(*extra, *self.start.args, **self.start.keywords)
        return self.start(*extra)


def is_hashable(value: object) -> bool:
    """Whether `value` can be a key; ``Hashable`` is too kind to tuples."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def check_member(field: str, value: object, kind: type[Enum]) -> None:
    """Raise `SpecError` unless `value` is one of the values of `kind`."""
    if not isinstance(value, kind):
        raise SpecError(f"{field}: expected a {kind.__name__}, got {value!r}")


def check_seconds(field: str, value: object) -> None:
    """Raise `SpecError` unless `value` is a time: a finite number, 0 or more."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):  # type: ignore[operator]  # a number here
        raise SpecError(f"{field}: expected seconds, 0 or more, got {value!r}")


def check_count(field: str, value: object) -> None:
    """Raise `SpecError` unless `value` is an int, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SpecError(f"{field}: expected a count, 0 or more, got {value!r}")


def _is_start_tuple(start: object) -> bool:
    return (
        isinstance(start, tuple)
        and len(start) == 3
        and callable(getattr(start[0], "start", None))
        and isinstance(start[1], tuple)
        and isinstance(start[2], dict)
    )
