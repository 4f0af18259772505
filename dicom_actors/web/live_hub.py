"""Who listens to what happens: streams of server-sent events, each with a bounded backlog.

What is sent is made once for all who listen. A listener that is slow loses what is old, is told
that it lost something, and costs the others nothing.

Standard: HTML Living Standard 9.2 (the form of events).
"""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Listener", "LiveHub", "event_of"]

_MOST_LISTENERS: Final = 100
_MOST_WAITING: Final = 200


def event_of(kind: str, value: Any) -> bytes:
    """Make an event: its kind, and a value that JSON has a form for."""
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


_LOST: Final = event_of("lost", None)


class Listener:
    """One that listens. Any thread may put, one takes.

    Args:
        wake: called when there is something to take; must not block.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._latest: bytes | None = None
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._is_closed

    def put(self, event: bytes, *, is_state: bool) -> None:
        """Add an event.

        Args:
            event: the event.
            is_state: whether it takes the place of the one before.
        """
        with self._lock:
            if is_state:
                self._latest = event
            else:
                if len(self._waiting) >= _MOST_WAITING:
                    self._waiting.clear()
                    self._waiting.append(_LOST)
                self._waiting.append(event)
        self._wake()

    def take(self) -> bytes:
        """Take all that waits; empty if there is nothing."""
        with self._lock:
            events = b"".join(self._waiting) + (self._latest or b"")
            self._waiting.clear()
            self._latest = None
            return events

    def close(self) -> None:
        """Have it end."""
        self._is_closed = True
        self._wake()


class LiveHub:
    """All who listen. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._greet: Callable[[Listener], object] | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    def attach(self, greet: Callable[[Listener], object]) -> None:
        """Let others listen from now on.

        Args:
            greet: called for each that comes; must not block.
        """
        with self._lock:
            self._greet = greet

    def detach(self) -> None:
        """End all who listen; until `attach`, nobody may."""
        with self._lock:
            self._greet = None
            listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener.close()

    def listen(self, wake: Callable[[], None]) -> Listener | None:
        """Begin to listen; None: there are too many, or nothing to listen to."""
        listener = Listener(wake)
        with self._lock:
            greet = self._greet
            if greet is None or len(self._listeners) >= _MOST_LISTENERS:
                return None
            self._listeners.add(listener)
        greet(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        with self._lock:
            self._listeners.discard(listener)

    def publish(self, kind: str, value: Any, *, is_state: bool = False) -> None:
        """Tell all who listen; see `Listener.put`."""
        with self._lock:
            listeners = tuple(self._listeners)
        if listeners:
            event = event_of(kind, value)
            for listener in listeners:
                listener.put(event, is_state=is_state)
