"""Whom to call when nobody waits for the outcome of a request any more; a part of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cancellation"]


class Cancellation:
    """The callbacks of the requests of one connection. It has no lock: nothing here waits.

    Args:
        is_wanted: whether an outcome of a request is still taken.
    """

    def __init__(self, is_wanted: Callable[[int], bool]) -> None:
        self._is_wanted = is_wanted
        self._callbacks: dict[int, tuple[Callable[[bool], None], ...]] = {}

    def add(self, serial: int, callback: Callable[[bool], None]) -> None:
        """Note whom to call; in the thread of the request's Handler."""
        self._callbacks[serial] = (*self._callbacks.get(serial, ()), callback)

    def forget(self, serial: int) -> None:
        """Call nobody any more."""
        self._callbacks.pop(serial, None)

    def say(self, serial: int) -> None:
        """Call those of a request."""
        for callback in self._callbacks.get(serial, ()):
            callback(not self._is_wanted(serial))

    def say_all(self) -> None:
        """Call those of all requests."""
        for serial in tuple(self._callbacks):
            self.say(serial)
