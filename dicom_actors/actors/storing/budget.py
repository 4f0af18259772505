"""How many bytes all associations of an endpoint may hold at a time.

A `ByteBudget` is shared; each data set has a `Share` of it. Who finds no room stops reading from
its peer (back-pressure) and waits, or refuses the data set (A700H, PS3.4 B.2.3). Room goes first
to those who hold some already, since they give it back when they are done, then to the others in
the order in which they came. It is theirs before they are told, so that nobody is woken for
nothing.
"""

from __future__ import annotations

from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

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

    def _has_room(self, length: int) -> bool:
        return self.limit is None or self._used + length <= self.limit

    def _take(self, share: Share, length: int) -> bool:
        with self._lock:
            is_behind = self._waiting and not share.held
            if share.is_released or is_behind or not self._has_room(length):
                return False
            self._used += length
            share.held += length
            return True

    def _wait(self, share: Share, length: int, callback: Callable[[], None]) -> bool:
        with self._lock:
            if share.is_released or (self.limit is not None and length > self.limit):
                return False
            waiting = _Waiting(share, length, callback)
            if share.held:
                self._waiting.appendleft(waiting)
            else:
                self._waiting.append(waiting)
            granted = self._grant()
        _call(granted)
        return True

    def _give_back(self, share: Share, length: int, *, is_last: bool = False) -> None:
        with self._lock:
            if is_last:
                share.is_released = True
                length = share.held
                if any(one.share is share for one in self._waiting):
                    self._waiting = deque(w for w in self._waiting if w.share is not share)
            if length > share.held:
                raise ValueError(f"expected at most {share.held} bytes back, got {length}")
            share.held -= length
            self._used -= length
            granted = self._grant() if self._waiting else ()
        _call(granted)

    def _grant(self) -> list[_Waiting]:
        granted = []
        while self._waiting and self._has_room(self._waiting[0].length):
            waiting = self._waiting.popleft()
            self._used += waiting.length
            waiting.share.held += waiting.length
            granted.append(waiting)
        return granted


def _call(granted: list[_Waiting] | tuple[()]) -> None:
    for waiting in granted:
        waiting.callback()


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
        """Take bytes; says whether there were as many, and nobody was waiting for them."""
        return self._budget._take(self, length)  # noqa: SLF001 - two halves of one thing

    def wait(self, length: int, callback: Callable[[], None]) -> bool:
        """Take bytes as soon as there are as many.

        Args:
            length: how many.
            callback: called once when they are taken: in any thread, or before this returns.

        Returns:
            False if there never can be as many; then nobody is called.
        """
        return self._budget._wait(self, length, callback)  # noqa: SLF001 - as above

    def give_back(self, length: int) -> None:
        """Give bytes back.

        Raises:
            ValueError: it does not hold as many.
        """
        self._budget._give_back(self, length)  # noqa: SLF001 - as above

    def release(self) -> None:
        """Give everything back, and wait for nothing any more; a second time does nothing."""
        if not self.is_released:
            self._budget._give_back(self, 0, is_last=True)  # noqa: SLF001 - as above
