"""What a supervisor knows of a child, and what it says of its children."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.spec import ChildSpec, ChildType, RestartWindow

if TYPE_CHECKING:
    from collections.abc import Collection

    from dicom_actors.supervision.ref import SupervisedRef
    from dicom_actors.supervision.reply import Reply
    from dicom_actors.supervision.timers import Timer

__all__ = ["ChildCounts", "ChildInfo", "ChildState"]


class ChildState(Enum):
    """How a child is."""

    RUNNING = "running"
    STOPPED = "stopped"
    """Its spec is kept, there is no actor."""
    RESTARTING = "restarting"
    """Starting it again failed, and will be tried again."""
    STOPPING = "stopping"
    """It was asked to end; its supervisor does not wait for it."""


class ChildInfo(NamedTuple):
    """One child, for `which_children`.

    Attributes:
        id: the id in its spec.
        state: how it is.
        ref: the actor; None unless it is running or stopping.
        type: worker or supervisor.
        restarts: how often it was restarted.
        last_reason: why it was restarted the last time; None if it never was.
    """

    id: Any
    state: ChildState
    ref: SupervisedRef[Any] | None
    type: ChildType
    restarts: int
    last_reason: ExitReason | None = None


class ChildCounts(NamedTuple):
    """How many children there are, for `count_children`.

    Attributes:
        specs: all, running or not.
        active: those that run or are stopping.
        supervisors: the supervisors among all.
        workers: the workers among all.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


class Child:
    """A supervisor's entry for one child.

    Attributes:
        spec: how it is started, restarted and stopped.
        state: how it is.
        ref: the actor; None unless it is running or stopping.
        last_ref: the actor that runs, or that ran last.
        last_reason: why that ended, or the latest start failed.
        restarts: how often it was restarted.
        retry: the message that will start it again; None unless it is restarting.
        window: its own budget; None: it has none.
        kill_timer: will have it killed; None unless it is stopping.
        callers: those who wait for it to be down.
    """

    __slots__ = (
        "callers",
        "kill_timer",
        "last_reason",
        "last_ref",
        "ref",
        "restarts",
        "retry",
        "spec",
        "state",
        "window",
    )

    def __init__(self, spec: ChildSpec) -> None:
        self.take(spec)
        self.state = ChildState.STOPPED
        self.ref: SupervisedRef[Any] | None = None
        self.last_ref: SupervisedRef[Any] | None = None
        self.last_reason = ExitReason.NORMAL
        self.restarts = 0
        self.retry: object | None = None
        self.kill_timer: Timer | None = None
        self.callers: list[Reply] = []

    def take(self, spec: ChildSpec) -> None:
        """Be known under `spec` from now on; a budget that is a tuple begins anew."""
        self.spec = spec
        budget = spec.budget
        self.window = RestartWindow(*budget) if isinstance(budget, tuple) else budget

    def runs_as(self, ref: SupervisedRef[Any]) -> None:
        """Note that it runs."""
        self.ref = self.last_ref = ref
        self.state = ChildState.RUNNING
        self.retry = None

    def is_off(self, state: ChildState = ChildState.STOPPED, retry: object | None = None) -> None:
        """Note that there is no actor."""
        self.ref = None
        self.state = state
        self.retry = retry

    def info(self) -> ChildInfo:
        """What `which_children` says of it."""
        return ChildInfo(
            self.spec.id,
            self.state,
            self.ref,
            self.spec.type,
            self.restarts,
            self.last_reason if self.restarts else None,
        )


def count(children: Collection[Child]) -> ChildCounts:
    """Count children."""
    supervisors = sum(child.spec.type is ChildType.SUPERVISOR for child in children)
    return ChildCounts(
        specs=len(children),
        active=sum(child.ref is not None for child in children),
        supervisors=supervisors,
        workers=len(children) - supervisors,
    )
