"""Asking a supervisor about its children, and changing them, from outside.

Each function sends one message and waits for the answer; an actor may not use them on itself,
it has the methods of the same names. A call to a dead supervisor fails at once with
`NoProcError`. Errors of the answer are the `CallError` classes of `errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.supervision.ref import call

if TYPE_CHECKING:
    from pykka import ActorRef

    from dicom_actors.supervision.children import ChildCounts, ChildInfo
    from dicom_actors.supervision.spec import ChildSpec

__all__ = [
    "Administer",
    "count_children",
    "delete_child",
    "get_childspec",
    "restart_child",
    "start_child",
    "terminate_child",
    "which_children",
]


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
