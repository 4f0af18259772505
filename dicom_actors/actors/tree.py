"""The supervision tree of an endpoint as host applications see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.actors.connection_record import ConnectionRecord
from dicom_actors.messages import TreeNode
from dicom_actors.supervision import ChildType, SupervisionError, which_children

if TYPE_CHECKING:
    from dicom_actors.supervision import ChildInfo, SupervisedRef, Supervisor

__all__ = ["tree_of"]

_TIMEOUT = 2.0
"""Seconds for a supervisor to say which children it has."""


def tree_of(endpoint: Supervisor) -> TreeNode:
    """Describe the tree below `endpoint` as it is now, children in start order."""
    children = tuple(
        _node(child, _grandchildren(child.ref) if child.type is ChildType.SUPERVISOR else ())
        for child in reversed(endpoint.which_children())
    )
    return TreeNode(
        "endpoint", ChildType.SUPERVISOR.value, "running", 0, endpoint.actor_ref, children
    )


def _grandchildren(supervisor: SupervisedRef[Any] | None) -> tuple[TreeNode, ...]:
    if supervisor is None:
        return ()
    try:
        return tuple(_node(child) for child in reversed(which_children(supervisor, _TIMEOUT)))
    except SupervisionError:
        return ()  # it is being restarted: then it has none


def _node(child: ChildInfo, children: tuple[TreeNode, ...] = ()) -> TreeNode:
    name = f"association {child.id.id}" if isinstance(child.id, ConnectionRecord) else str(child.id)
    return TreeNode(name, child.type.value, child.state.value, child.restarts, child.ref, children)
