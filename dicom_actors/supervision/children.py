"""The children of a supervisor: what it knows of each, and how it is asked and told from outside.

Each of the functions sends one message and waits for the answer; an actor may not use them on
itself, it has the methods of the same names. A call to a dead supervisor fails at once with
`NoProcError`. Errors of the answer are the `CallError` classes of `errors`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.supervision.calls import call
from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.spec import ChildSpec, ChildType, RestartWindow

if TYPE_CHECKING:
    from collections.abc import Collection

    from pykka import ActorRef

    from dicom_actors.supervision.ref import SupervisedRef
    from dicom_actors.supervision.reply import Reply
    from dicom_actors.supervision.timing import Timer

__all__ = [
    "Administer",
    "Child",
    "ChildCounts",
    "ChildInfo",
    "ChildState",
    "count",
    "count_children",
    "delete_child",
    "get_childspec",
    "restart_child",
    "start_child",
    "terminate_child",
    "which_children",
]


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


class Administer:
    """The message behind the functions: the operation's name and its arguments."""

    __slots__ = ("arguments", "operation")

    def __init__(self, operation: str, *arguments: Any) -> None:
        self.operation = operation
        self.arguments = arguments


def start_child(supervisor: ActorRef[Any], spec: ChildSpec, timeout: float | None = None) -> Any:
    """Start one more child, and wait for its `init`.

    Args:
        supervisor: the supervisor.
        spec: the child's spec.
        timeout: seconds to wait for the answer; None: no limit.

    Returns:
        The child's reference, or `IGNORE` if it declined: a static supervisor then keeps its
        spec, unless it is temporary.

    Raises:
        ChildStartError: it did not start; nothing is kept. The cause is chained.
        ChildAlreadyStarted: a static supervisor has a running child with this id.
        ChildAlreadyPresent: it has one that is not running.
        MaxChildren: a dynamic supervisor is full.
        SpecError: the spec does not fit the supervisor.
    """
    return call(supervisor, Administer("start_child", spec), timeout)


def terminate_child(supervisor: ActorRef[Any], child: Any, timeout: float | None = None) -> None:
    """End a child by its shutdown value and wait until it is down.

    A static supervisor keeps the spec, unless it is temporary, and a child that is not running
    is fine. It does nothing else meanwhile; a dynamic one goes on with its work.

    Args:
        supervisor: the supervisor.
        child: the id; for a dynamic supervisor the reference.
        timeout: seconds to wait for the answer; None: no limit.

    Raises:
        ChildNotFound: there is no such child.
    """
    call(supervisor, Administer("terminate_child", child), timeout)


def restart_child(supervisor: ActorRef[Any], child_id: Any, timeout: float | None = None) -> Any:
    """Start a stopped child of a static supervisor again.

    Returns:
        Its reference, or `IGNORE`.

    Raises:
        ChildNotFound: there is no such child.
        ChildRunning: it is running.
        ChildRestarting: it is being restarted.
        ChildStartError: it did not start; its spec is kept.
    """
    return call(supervisor, Administer("restart_child", child_id), timeout)


def delete_child(supervisor: ActorRef[Any], child_id: Any, timeout: float | None = None) -> None:
    """Forget a stopped child of a static supervisor.

    Raises:
        ChildNotFound: there is no such child.
        ChildRunning: it is running.
        ChildRestarting: it is being restarted.
    """
    call(supervisor, Administer("delete_child", child_id), timeout)


def which_children(supervisor: ActorRef[Any], timeout: float | None = None) -> list[ChildInfo]:
    """All children, the newest first."""
    children: list[ChildInfo] = call(supervisor, Administer("which_children"), timeout)
    return children


def count_children(supervisor: ActorRef[Any], timeout: float | None = None) -> ChildCounts:
    """How many children there are."""
    counts: ChildCounts = call(supervisor, Administer("count_children"), timeout)
    return counts


def get_childspec(supervisor: ActorRef[Any], child: Any, timeout: float | None = None) -> ChildSpec:
    """The spec of a child, with all defaults filled in.

    Args:
        supervisor: the supervisor.
        child: the id; for a dynamic supervisor the reference.
        timeout: seconds to wait for the answer; None: no limit.

    Raises:
        ChildNotFound: there is no such child.
    """
    spec: ChildSpec = call(supervisor, Administer("get_childspec", child), timeout)
    return spec
