"""A place in a callback at which a test can hold an actor."""

from __future__ import annotations

import threading

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


class Gate:
    """Call it inside a callback: it says that it was entered, and waits to be released."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._released = threading.Event()

    def __call__(self, *_: object) -> None:
        self._entered.set()
        assert self._released.wait(LIMIT), "nobody released the gate"

    def wait_until_entered(self) -> None:
        """Return when somebody is inside."""
        assert self._entered.wait(LIMIT), "nobody entered the gate"

    def release(self) -> None:
        """Let everybody through from now on."""
        self._released.set()

    def close(self) -> None:
        """Hold whoever comes from now on."""
        self._released.clear()
        self._entered.clear()
