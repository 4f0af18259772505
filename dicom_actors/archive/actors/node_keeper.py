"""The NodeKeeper: says that this node is there, hears the others, and sees who is gone.

It is there only where several processes share an index, and a folder. What one that is gone has
left of objects without a place is brought there by the Unpacker of one of the others; studies and
storage commitment that it would have told of are looked at by all.

Whoever was away from the index himself waits for a while before he believes that others are gone:
they may have been away as well.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.actors.index_writer import StudiesChanged
from dicom_actors.archive.actors.journal_store import CloseJournal
from dicom_actors.archive.actors.unpacker import Inherit, Inherited
from dicom_actors.archive.events import (
    InstanceDeleted,
    InstancesQueued,
    InstanceStored,
    StudyChanged,
    StudyComplete,
    StudyUpdated,
    WorkitemsTold,
)
from dicom_actors.archive.index.nodes import LONGEST_MESSAGE, Nodes
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import Continue, SocketInbox, SocketReady, SupervisedActor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dicom_actors.archive.actors.kernel import ArchiveKernel

__all__ = ["HaveAllSettle", "NodeKeeper", "new_node_name"]

logger = logging.getLogger(__name__)

_TOLD: Final[dict[str, type]] = {
    kind.__name__: kind
    for kind in (
        InstanceDeleted,
        InstancesQueued,
        InstanceStored,
        StudyChanged,
        StudyComplete,
        StudyUpdated,
        WorkitemsTold,
    )
}
_BEATS: Final = 3
"""How often a lease is prolonged before it would end."""


def new_node_name() -> str:
    """A name that no node has, and that folders may have."""
    host = "".join(letter for letter in socket.gethostname() if letter.isalnum() or letter == "-")
    return f"{host[:32]}-{os.getpid()}-{os.urandom(4).hex()}"


class HaveAllSettle(NamedTuple):
    """To the NodeKeeper, a cast: have all nodes bring what they have to its place."""


class _Beat(NamedTuple):
    """To itself, by a timer."""


class NodeKeeper(SupervisedActor):
    """See the module.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        self._sockets = SocketInbox()
        super().__init__()
        self._kernel = kernel
        self._trusted_from = 0.0
        self._is_away = False
        self._inherited: set[str] = set()

    def create_inbox(self) -> SocketInbox:
        """Give the inbox that what others tell comes to, too."""
        return self._sockets

    def init(self) -> Any:
        """Let go of what one before has had. Runs in the NodeKeeper's thread."""
        before, self._kernel.nodes = self._kernel.nodes, None
        if before is not None:
            before.close()
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """See who is there. Runs in the NodeKeeper's thread."""
        self._beat()

    def handle_cast(self, message: Any) -> Any:
        """Tell others, or forget one. Runs in the NodeKeeper's thread."""
        try:
            if isinstance(message, Inherited):
                self._forget(message.node)
            elif isinstance(message, HaveAllSettle):
                self._connected().tell([json.dumps({"node": "", "settle": True})])
            elif isinstance(message, tuple):
                self._connected().tell(_messages(self._kernel.store.node, message))
            else:
                return super().handle_cast(message)
        except ArchiveError as error:
            self._be_away(error)  # whoever counts on it looks for himself at times
        return None

    def handle_info(self, message: Any) -> Any:
        """Hear the others, or prolong. Runs in the NodeKeeper's thread."""
        if isinstance(message, _Beat):
            self._beat()
        elif isinstance(message, SocketReady):
            self._hear()
        else:
            return super().handle_info(message)
        return None

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - any
        """Let go of the connection. Runs in the NodeKeeper's thread."""
        self._disconnect()

    # --- the connection ----------------------------------------------------------------------

    def _connected(self) -> Nodes:
        nodes = self._kernel.nodes
        if nodes is None:
            nodes = self._kernel.nodes = Nodes(self._kernel.index.path, self._lease)
            self._sockets.register(nodes.socket)
            self._trusted_from = self.system.clock.monotonic() + self._lease
        return nodes

    def _disconnect(self) -> None:
        nodes, self._kernel.nodes = self._kernel.nodes, None
        if nodes is not None:
            self._sockets.unregister(nodes.socket)
            nodes.close()

    def _be_away(self, error: Exception) -> None:
        self._disconnect()
        if not self._is_away:
            text = "nothing is heard of other nodes for now: %s"
            self.system.log.write(logger, logging.WARNING, text, error)
        self._is_away = True

    @property
    def _lease(self) -> float:
        return self._kernel.settings.node_lease_seconds

    # --- who is there ------------------------------------------------------------------------

    def _beat(self) -> None:
        self.system.timers.send_after(self._lease / _BEATS, self.actor_ref, _Beat())
        try:
            was_connected = self._kernel.nodes is not None
            self._look_who_is_there()
            if not was_connected:
                # What others were told of meanwhile.
                self._kernel.tell("studies", StudiesChanged(None))
            # What nobody could tell, or one was not there to hear.
            self._kernel.on_told(None)
            self._is_away = False
        except (ArchiveError, OSError) as error:
            self._be_away(error)

    def _look_who_is_there(self) -> None:
        nodes, store = self._connected(), self._kernel.store
        kept = nodes.prolong(store.node)
        if store.node not in kept:
            self._rejoin(nodes)
            kept = {store.node}
        unheard = self._unheard(nodes)
        now = self.system.clock.monotonic()
        if now >= self._trusted_from:
            kept |= nodes.take_over(store.node)
            if unheard:
                there = nodes.until(unheard)
                left = {name for name in unheard if there.get(name) and name not in kept}
                self._forget_unheard({name: unheard[name] for name in left})
            if self._trusted_from:
                self._trusted_from = 0.0
                # Of whom the index knows nothing: it is new, or the folder had another one.
                unknown = {"", *store.nodes()} - kept
                kept |= {one for one in unknown if nodes.claim(store.node, one)}
        for name in kept - {store.node} - self._inherited:
            if self._kernel.tell("unpacker", Inherit(name)):
                self._inherited.add(name)

    def _unheard(self, nodes: Nodes) -> Mapping[str, str]:
        """Those who seemed to be there when this node began, if none has been heard of since."""
        index = self._kernel.index
        if index.unheard:
            found = nodes.until(index.unheard)
            if any(found.get(name) not in {"", until} for name, until in index.unheard.items()):
                index.unheard = {}  # one has prolonged his lease, or has left: he was there
        return index.unheard

    def _forget_unheard(self, left: Mapping[str, str]) -> None:
        self._kernel.index.unheard = left
        if not left:  # one who was killed, say, and is started again before his lease has ended
            self._kernel.on_first()

    def _rejoin(self, nodes: Nodes) -> None:
        """Take another name: somebody has taken over what this node had under its own."""
        kernel, name = self._kernel, new_node_name()
        text = "taken to be gone; this node is %s from now on"
        self.system.log.write(logger, logging.WARNING, text, name)
        nodes.join(name)
        kernel.store.of_node(name).make_folders()
        kernel.store.node = name
        kernel.index.be_node(name)
        kernel.tell("store", CloseJournal())
        kernel.tell("studies", StudiesChanged(None))

    def _forget(self, name: str) -> None:
        self._inherited.discard(name)
        self._connected().forget(name, self._kernel.store.node)
        self._kernel.tell("studies", StudiesChanged(None))
        self._kernel.on_inherited()

    # --- what is told ------------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            messages = [] if self._kernel.nodes is None else self._kernel.nodes.told()
        except ArchiveError as error:
            self._be_away(error)
            return
        for message in messages:
            told = _parsed(message)
            if told.get("settle"):
                self._kernel.tell("store", CloseJournal())
            elif told.get("node") != self._kernel.store.node:
                self._kernel.publish(_events_in(told), is_of_others=True)


def _messages(node: str, events: Iterable[Any]) -> Iterator[str]:
    """Events as texts, as many in each as it may have."""
    gathered: list[str] = []
    length = room = LONGEST_MESSAGE - len(node) - 64
    for event in events:
        if type(event).__name__ not in _TOLD:
            continue
        text = json.dumps([type(event).__name__, *astuple(event)], default=sorted)
        if len(text) >= room:
            continue  # nobody can be told so much; they look for themselves at times
        if gathered and length < len(text) + 1:
            yield _message(node, gathered)
            gathered, length = [], room
        gathered.append(text)
        length -= len(text) + 1
    if gathered:
        yield _message(node, gathered)


def _message(node: str, events: list[str]) -> str:
    return f'{{"node":{json.dumps(node)},"events":[{",".join(events)}]}}'


def _parsed(message: str) -> dict[str, Any]:
    try:
        told = json.loads(message)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _events_in(told: dict[str, Any]) -> Iterator[Any]:
    for name, *values in told.get("events", ()):
        kind = _TOLD.get(name)
        try:
            if kind is not None:
                yield kind(*(frozenset(one) if isinstance(one, list) else one for one in values))
        except TypeError:
            continue  # of another version
