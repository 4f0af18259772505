"""The supervision tree of an endpoint as host applications see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors import events
from dicom_actors.actors.connection.record import ConnectionRecord
from dicom_actors.messages import TreeNode
from dicom_actors.supervision import (
    ChildInfo,
    ChildState,
    ChildTerminated,
    ChildType,
    Started,
    SupervisionError,
    which_children,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.supervision import Report, SupervisedRef

__all__ = ["publish_report", "tree_of"]

_TIMEOUT = 2.0
"""Seconds for a supervisor to say which children it has."""


def tree_of(kernel: EndpointKernel, children_of_root: Iterable[ChildInfo]) -> TreeNode:
    """Describe the tree of an endpoint as it is now, children in start order.

    An association that is parked has no actor now.

    Args:
        kernel: the endpoint's tables.
        children_of_root: what its root says of its children, the newest first.
    """
    now = kernel.clock.monotonic()
    children = tuple(
        _node(child, now, _grandchildren(child.ref, kernel))
        for child in reversed(list(children_of_root))
    )
    root = ChildInfo(
        "endpoint supervisor",
        ChildState.RUNNING,
        kernel.root,
        ChildType.SUPERVISOR,
        restarts=0,
    )
    return _node(root, now, children)


def _grandchildren(
    supervisor: SupervisedRef[Any] | None, kernel: EndpointKernel
) -> tuple[TreeNode, ...]:
    if supervisor is None or supervisor is not kernel.attendance.supervisor:
        return ()
    now = kernel.clock.monotonic()
    try:
        children = which_children(supervisor, _TIMEOUT)
    except SupervisionError:
        return ()  # it is being restarted: then it has none
    served = {child.id for child in children}
    parked = (
        TreeNode(
            name=_name_of(record),
            kind=ChildType.WORKER.value,
            state="parked",
            restarts=record.restarts,
            ref=None,
            queue_length=0,
            idle_seconds=None,
            last_error="",
            children=(),
        )
        for record in kernel.connections
        if record.is_parked and record.is_handed_over and record not in served
    )
    return (*(_node(child, now) for child in reversed(children)), *parked)


def _node(child: ChildInfo, now: float, children: tuple[TreeNode, ...] = ()) -> TreeNode:
    ref = child.ref
    last = None if ref is None else ref.last_message
    return TreeNode(
        name=_name_of(child.id),
        kind=child.type.value,
        state=child.state.value,
        restarts=child.restarts,
        ref=ref,
        queue_length=0 if ref is None else ref.queue_length,
        idle_seconds=None if last is None else max(0.0, now - last),
        last_error="" if child.last_reason is None else str(child.last_reason),
        children=children,
    )


def publish_report(kernel: EndpointKernel, report: Report) -> None:
    """Tell the subscribers of a crash and of a restart within the endpoint of `kernel`."""
    if report.supervisor not in {kernel.root, kernel.attendance.supervisor}:
        return  # the system may be shared
    if isinstance(report, ChildTerminated) and report.reason is not None:
        kernel.publish(events.ActorCrashed(_name_of(report.child_id), str(report.reason)))
    elif isinstance(report, Started) and report.restarts:
        kernel.publish(events.ActorRestarted(_name_of(report.child_id), report.restarts))


def _name_of(child_id: object) -> str:
    if isinstance(child_id, ConnectionRecord):
        return f"association {child_id.id}"
    return str(child_id)
