"""How many bytes all associations of an endpoint may hold at a time.

A `ByteBudget` is shared; each data set has a `Share` of it. Who finds no room stops reading from
its peer (back-pressure) and waits, or refuses the data set (A700H, PS3.4 B.2.3). Room goes first
to those who hold some already, since they give it back when they are done, then to the others in
the order in which they came. It is theirs before they are told, so that nobody is woken for
nothing.
"""

# ruff: noqa: SLF001 - a budget and its shares are one thing

from __future__ import annotations

from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ByteBudget", "Share"]


class _Waiting(NamedTuple):
    share: Share
    length: int
    callback: Callable[[], None]


class ByteBudget:
    """A number of bytes that several share.

    Args:
        limit: how many, in bytes; None: any number.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._used = 0
        self._waiting: deque[_Waiting] = deque()
        # A share that the garbage collector finds is released in whatever thread that runs in.
        self._lock = RLock()

    @property
    def used(self) -> int:
        """How many bytes are held."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many wait for room."""
        return len(self._waiting)

    def share(self) -> Share:
        """Make a share, which holds nothing yet."""
        return Share(self)

    def has_room(self, length: int) -> bool:
        """Whether that many bytes are free now."""
        return self.limit is None or self._used + length <= self.limit

    def _grant(self) -> list[_Waiting]:
        granted = []
        while self._waiting and self.has_room(self._waiting[0].length):
            waiting = self._waiting.popleft()
            self._used += waiting.length
            waiting.share.held += waiting.length
            granted.append(waiting)
        return granted


class Share:
    """What one data set holds of a budget.

    Attributes:
        held: how many bytes.
        is_released: whether it is over; it holds nothing then, for good.
    """

    __slots__ = ("_budget", "held", "is_released")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0
        self.is_released = False

    def __del__(self) -> None:
        if self.held:
            self.release()

    def take(self, length: int) -> bool:
        """Take bytes; says whether there were as many, for which nobody else was waiting."""
        budget = self._budget
        with budget._lock:
            is_behind = budget._waiting and not self.held
            if self.is_released or is_behind or not budget.has_room(length):
                return False
            budget._used += length
            self.held += length
            return True

    def wait(self, length: int, callback: Callable[[], None]) -> bool:
        """Take bytes as soon as there are as many.

        Args:
            length: how many.
            callback: called once when they are taken: in any thread, or before this returns.

        Returns:
            False if there never can be as many; then nobody is called.
        """
        budget = self._budget
        with budget._lock:
            is_too_much = budget.limit is not None and self.held + length > budget.limit
            if self.is_released or is_too_much:
                return False
            waiting = _Waiting(self, length, callback)
            if self.held:
                budget._waiting.appendleft(waiting)
            else:
                budget._waiting.append(waiting)
            granted = budget._grant()
        _call(granted)
        return True

    def give_back(self, length: int) -> None:
        """Give bytes back.

        Raises:
            ValueError: it does not hold as many.
        """
        budget = self._budget
        with budget._lock:
            if length > self.held:
                raise ValueError(f"expected at most {self.held} bytes back, got {length}")
            self.held -= length
            budget._used -= length
            granted: Iterable[_Waiting] = budget._grant() if budget._waiting else ()
        _call(granted)

    def release(self) -> None:
        """Give everything back, and wait for nothing any more; a second time does nothing."""
        budget = self._budget
        with budget._lock:
            self.is_released = True
            budget._used -= self.held
            self.held = 0
            granted: Iterable[_Waiting] = ()
            if budget._waiting:
                left = [waiting for waiting in budget._waiting if waiting.share is not self]
                budget._waiting = deque(left)
                granted = budget._grant()
        _call(granted)


def _call(granted: Iterable[_Waiting]) -> None:
    for waiting in granted:
        waiting.callback()
