"""How everything is at a moment, as JSON has a form for it: for those who watch it live.

What a peer can make many of (associations, actors) is cut at a number, with the count of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import messages
from dicom_actors.errors import ArchiveError, DicomError
from dicom_actors.supervision import SupervisionError, which_children

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_actors.archive import Archive
    from dicom_actors.messages import AssociationInfo, TreeNode
    from dicom_actors.supervision import SupervisedRef
    from dicom_actors.web.asgi import AsgiAdapter

__all__ = ["LiveView"]

_TIMEOUT: Final = 2.0
_MOST_ASSOCIATIONS: Final = 200
_MOST_ACTORS: Final = 500
_MOST_REQUESTS: Final = 100
_STATS_INTERVAL: Final = 5.0


class LiveView:
    """Looks at an endpoint, its archive and the web server. For one thread.

    Args:
        archive: the archive.
        adapter: knows the requests of the web.
        endpoint: the endpoint beside it; None: there is none.
        supervisor: the root of the web's actors.
        clock: gives the time, monotonic.
    """

    def __init__(
        self,
        archive: Archive,
        adapter: AsgiAdapter,
        endpoint: pykka.ActorRef[Any] | None,
        supervisor: SupervisedRef[Any],
        clock: Callable[[], float],
    ) -> None:
        self._archive = archive
        self._adapter = adapter
        self._endpoint = endpoint
        self._supervisor = supervisor
        self._clock = clock
        self._stats: Any = None
        self._stats_at = float("-inf")

    def look(self) -> dict[str, Any]:
        """Look at everything; what does not answer in time is None."""
        now = self._clock()
        status = self._ask(messages.GetStatus())
        associations: Sequence[AssociationInfo] = self._ask(messages.ListAssociations()) or ()
        requests = self._adapter.requests()
        return {
            "time": now,
            "endpoint": None
            if status is None
            else {
                "host": status.host,
                "port": status.port,
                "state": status.state,
                "restarts": status.restarts,
                "associations_opened": status.associations_opened,
                "requests": status.requests,
            },
            "archive": self._archive_stats(now),
            "trees": self._trees(),
            "association_count": len(associations),
            "associations": [_association(one, now) for one in associations[:_MOST_ASSOCIATIONS]],
            "request_count": len(requests),
            "requests": [
                {
                    "id": one.id,
                    "peer": one.peer,
                    "method": one.method,
                    "path": one.path,
                    "seconds": round(max(0.0, now - one.since), 1),
                    "received": one.received,
                    "sent": one.sent,
                }
                for one in requests[:_MOST_REQUESTS]
            ],
        }

    def _ask(self, message: Any) -> Any:
        if self._endpoint is None:
            return None
        try:
            return self._endpoint.ask(message, timeout=_TIMEOUT)
        except (pykka.ActorDeadError, pykka.Timeout, DicomError, SupervisionError):
            return None

    def _archive_stats(self, now: float) -> Any:
        if now - self._stats_at >= _STATS_INTERVAL:
            self._stats_at = now
            try:
                self._stats = self._archive.stats()._asdict()
            except (ArchiveError, OSError):
                self._stats = None
        return self._stats

    def _trees(self) -> list[dict[str, Any]]:
        trees = []
        tree = self._ask(messages.GetTree())
        if tree is not None:
            trees.append(_node(tree, [_MOST_ACTORS]))
        try:
            actors = [
                {
                    "name": one.name,
                    "kind": "worker",
                    "state": one.state,
                    "restarts": one.restarts,
                    "queue": one.queue_length,
                    "error": "",
                    "children": [],
                }
                for one in self._archive.actors()
            ]
            trees.append(_root("archive", actors))
        except ArchiveError:
            trees.append(_root("archive", [], state="not answering"))
        try:
            children = [
                {
                    "name": str(one.id),
                    "kind": one.type.value,
                    "state": one.state.value,
                    "restarts": one.restarts,
                    "queue": 0 if one.ref is None else one.ref.actor_inbox.qsize(),
                    "error": "" if one.last_reason is None else str(one.last_reason),
                    "children": [],
                }
                for one in reversed(which_children(self._supervisor, _TIMEOUT))
            ]
            trees.append(_root("web", children))
        except (SupervisionError, pykka.ActorDeadError, pykka.Timeout):
            pass  # it is about to end
        return trees


def _root(name: str, children: list[dict[str, Any]], state: str = "running") -> dict[str, Any]:
    return {
        "name": name,
        "kind": "supervisor",
        "state": state,
        "restarts": 0,
        "queue": 0,
        "error": "",
        "children": children,
    }


def _node(node: TreeNode, room: list[int]) -> dict[str, Any]:
    """Make JSON of an actor and of those below it, as long as there is room."""
    room[0] -= 1
    children = []
    for child in node.children:
        if room[0] <= 0:
            break
        children.append(_node(child, room))
    return {
        "name": node.name,
        "kind": node.kind,
        "state": node.state,
        "restarts": node.restarts,
        "queue": node.queue_length,
        "error": node.last_error,
        "children": children,
        "left_out": len(node.children) - len(children),
    }


def _association(one: AssociationInfo, now: float) -> dict[str, Any]:
    return {
        "id": one.id,
        "calling": one.calling_ae_title,
        "called": one.called_ae_title,
        "peer": f"{one.peer[0]}:{one.peer[1]}",
        "state": one.state,
        "seconds": round(max(0.0, now - one.since), 1),
        "requests": one.requests,
        "restarts": one.restarts,
        "is_secure": one.is_secure,
    }
