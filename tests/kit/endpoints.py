"""Endpoints for tests, and what they tell."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from dicom_actors import Endpoint, EndpointConfig, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""

Event = TypeVar("Event")


class Running:
    """An endpoint on a free port of the loopback interface, and its events."""

    def __init__(self, ref: pykka.ActorRef[Any]) -> None:
        self.ref = ref
        self.port: int = ref.ask(messages.GetStatus(), timeout=LIMIT).port
        self.watcher = Watcher.start()
        ref.ask(messages.Subscribe(self.watcher), timeout=LIMIT)
        self._events = self.watcher._actor_weakref().events  # the test may look inside

    def wait_for(self, kind: type[Event], count: int = 1) -> list[Event]:
        """The next `count` events of a kind; others are dropped."""
        found: list[Event] = []
        while len(found) < count:
            event = self._events.get(timeout=LIMIT)
            if isinstance(event, kind):
                found.append(event)
        return found

    def status(self) -> messages.EndpointStatus:
        """The endpoint's status."""
        status = self.ref.ask(messages.GetStatus(), timeout=LIMIT)
        assert isinstance(status, messages.EndpointStatus)
        return status

    def associations(self) -> tuple[messages.AssociationInfo, ...]:
        """The open associations."""
        found = self.ref.ask(messages.ListAssociations(), timeout=LIMIT)
        assert isinstance(found, tuple)
        return found

    def child(self, name: str) -> messages.TreeNode:
        """The node of that name in the tree."""
        nodes = [self.ref.ask(messages.GetTree(), timeout=LIMIT)]
        while nodes:
            node = nodes.pop()
            if node.name == name:
                assert isinstance(node, messages.TreeNode)
                return node
            nodes += node.children
        raise AssertionError(f"the tree has no {name}")


class Watcher(pykka.ThreadingActor):
    """Keeps the events that it is sent."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.events: queue.Queue[Any] = queue.Queue()

    def on_receive(self, message: Any) -> None:
        self.events.put(message)


@contextlib.contextmanager
def running(
    event_handlers: Any = (), *, system: Any = None, event_loop: Any = None, **settings: Any
) -> Iterator[Running]:
    """Run an endpoint for the length of the block."""
    ref = Endpoint.start(
        0,
        host="127.0.0.1",
        event_handlers=event_handlers,
        config=EndpointConfig(**settings),
        event_loop=event_loop,
        system=system,
    )
    endpoint = None
    try:
        endpoint = Running(ref)
        yield endpoint
    finally:
        ref.stop(timeout=LIMIT)
        if endpoint is not None:
            endpoint.watcher.stop(timeout=LIMIT)


def thread_of(ref: pykka.ActorRef[Any]) -> threading.Thread:
    """The thread of an actor of the endpoint."""
    thread = ref.life.thread
    assert isinstance(thread, threading.Thread)
    return thread
