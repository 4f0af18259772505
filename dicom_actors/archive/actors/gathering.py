"""An actor that takes what waits, and then does all of it at once."""

from __future__ import annotations

import abc
import time
from typing import Any, Generic, TypeVar

from dicom_actors.supervision import SupervisedActor

__all__ = ["Gathering"]

_T = TypeVar("_T")


class Gathering(SupervisedActor, abc.ABC, Generic[_T]):
    """Gathers items for as long as messages wait, up to a number and a time.

    Where somebody waits for it, nobody is waited for: what comes while a group is being done is
    the next one, and whoever sends meanwhile does not stand still. The time is that of the inbox,
    whose patience is not by the clock of the system.

    Args:
        most: items that are done at once.
        longest: seconds that one waits for others while they keep coming.
        linger: seconds that one waits for others when none comes.
    """

    def __init__(self, most: int, longest: float, linger: float = 0.0) -> None:
        super().__init__()
        self._linger = linger
        self._most = most
        self._longest = longest
        self._items: list[_T] = []
        self._since = 0.0

    @abc.abstractmethod
    def work_off(self, items: list[_T]) -> None:
        """Do all of it. Runs in the actor's own thread."""

    def is_growing(self) -> bool:
        """Whether more has come meanwhile, of which no message told; it is waited for, too."""
        return False

    def quiet_time(self) -> float | None:
        """After how many seconds without a message `handle_quiet` is called; None: never."""
        return None

    def handle_quiet(self) -> None:
        """Nothing came for `quiet_time`. Runs in the actor's own thread."""

    def gather(self, *items: _T) -> None:
        """Add to what is to be done."""
        if not self._items:
            self._since = time.monotonic()
            self._inbox.patience = self._linger
        self._items += items
        if len(self._items) >= self._most or time.monotonic() - self._since >= self._longest:
            self.finish()

    def finish(self) -> None:
        """Do what there is now."""
        items, self._items = self._items, []
        # First, so that whatever is raised leaves nothing behind that wakes us for ever.
        self._inbox.patience = None
        if items:
            self.work_off(items)
        self._inbox.patience = self.quiet_time()

    def handle_idle(self) -> Any:
        """Nothing waits. Runs in the actor's own thread."""
        if self._items:
            rest = self._since + self._longest - time.monotonic()
            if rest > 0 and self.is_growing():
                self._inbox.patience = self._linger
                return
            self.finish()
        else:
            self._inbox.patience = None
            self.handle_quiet()
