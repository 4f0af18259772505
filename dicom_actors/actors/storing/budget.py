"""How many bytes all associations of an endpoint may hold at a time.

A `ByteBudget` is shared; each data set has a `Share` of it. Who finds no room stops reading from
its peer (back-pressure) and waits, or refuses the data set (A700H, PS3.4 B.2.3). Room goes first
to those who hold some already, since they give it back when they are done, then to the others in
the order in which they came. It is theirs before they are told, so that nobody is woken for
nothing. When all that is held is held by those who wait for more, nobody would ever give
anything back: whoever came last of them is refused.
"""

# ruff: noqa: SLF001 - a budget and its shares are one thing

from __future__ import annotations

from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ByteBudget", "Share"]


class _Waiting(NamedTuple):
    share: Share
    length: int
    callback: Callable[[bool], None]


class ByteBudget:
    """A number of bytes that several share.

    Args:
        limit: how many, in bytes; None: any number.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._used = 0
        self._waiting: deque[_Waiting] = deque()
        self._held_by_waiting = 0
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

    def _settle(self) -> list[tuple[_Waiting, bool]]:
        """Give what is free to those who wait; says who is to be told, and whether it was."""
        settled = []
        while self._waiting and self.has_room(self._waiting[0].length):
            waiting = self._waiting.popleft()
            self._held_by_waiting -= waiting.share.held
            self._used += waiting.length
            waiting.share.held += waiting.length
            settled.append((waiting, True))
        if self._held_by_waiting and self._held_by_waiting == self._used:
            waiting = self._waiting.popleft()
            self._held_by_waiting -= waiting.share.held
            settled.append((waiting, False))
        return settled


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

    def wait(self, length: int, callback: Callable[[bool], None]) -> bool:
        """Take bytes as soon as there are as many.

        Args:
            length: how many.
            callback: called once, in any thread or before this returns: with True when they are
                taken, with False when all that is held is held by those who wait. What the share
                holds is then to be given back.

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
                budget._held_by_waiting += self.held
            else:
                budget._waiting.append(waiting)
            settled = budget._settle()
        _tell(settled)
        return True

    def release(self) -> None:
        """Give everything back, and wait for nothing any more; a second time does nothing."""
        if self.is_released:
            return
        budget = self._budget
        with budget._lock:
            self.is_released = True
            if budget._waiting:
                left = [waiting for waiting in budget._waiting if waiting.share is not self]
                budget._held_by_waiting -= self.held * (len(budget._waiting) - len(left))
                budget._waiting = deque(left)
            budget._used -= self.held
            self.held = 0
            if not budget._waiting:
                return
            settled = budget._settle()
        _tell(settled)


def _tell(settled: Sequence[tuple[_Waiting, bool]]) -> None:
    for waiting, is_granted in settled:
        waiting.callback(is_granted)
