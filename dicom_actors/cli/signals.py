"""How a long-running command is asked to end: SIGINT, SIGTERM, SIGHUP.

Each raises KeyboardInterrupt in the main thread, but only where that is expected: who cleans up is
not interrupted halfway. A SIGHUP or SIGINT that is ignored, as under nohup, stays so.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["EndSignals"]

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_ENOUGH: Final = 2
"""The second one cuts short what the first one began; the next ends the process as it is."""


class EndSignals(contextlib.AbstractContextManager["EndSignals"]):
    """Takes the signals for the length of a block; for the main thread.

    Attributes:
        count: how many came so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._is_awaited = False
        self._taken = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is None:
                continue
            if name == "SIGTERM" or signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Have one that comes in the block, or came since the last one, raise KeyboardInterrupt.

        One whose exception never got out of the block (what Python calls by itself, a finalizer,
        say, lets none pass) is raised by the next.
        """
        try:
            self._is_awaited = True
            self._raise_if_any()
            yield
        except KeyboardInterrupt:
            self._taken += 1
            raise
        finally:
            self._is_awaited = False

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.count += 1
        if self.count >= _ENOUGH:
            self.__exit__()
        if self._is_awaited:
            self._raise_if_any()

    def _raise_if_any(self) -> None:
        if self.count > self._taken:
            self._is_awaited = False
            raise KeyboardInterrupt
