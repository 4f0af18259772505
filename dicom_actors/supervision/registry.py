"""Names of actors: one live actor for a name.

A name is taken before `init` runs and is free again before anybody hears of the death, so a
restart cannot collide with the life before. One registry for a tree of actors; nothing global.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from dicom_actors.supervision.errors import AlreadyStarted

if TYPE_CHECKING:
    import pykka

__all__ = ["Registry"]


class Registry:
    """The names of one tree of actors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refs: dict[str, pykka.ActorRef[Any]] = {}

    def lookup(self, name: str) -> pykka.ActorRef[Any] | None:
        """The live actor of that name, or None."""
        ref = self._refs.get(name)
        return ref if ref is not None and ref.is_alive() else None

    def check_free(self, name: str) -> None:
        """Raise `AlreadyStarted` if a live actor has the name."""
        ref = self.lookup(name)
        if ref is not None:
            raise AlreadyStarted(f"the name {name!r} is taken by {ref}", ref)

    def claim(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        """Give `name` to `ref`.

        Raises:
            AlreadyStarted: a live actor has it.
        """
        with self._lock:
            self.check_free(name)
            self._refs[name] = ref

    def release(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        """Free `name`, if it is still that of `ref`."""
        with self._lock:
            if self._refs.get(name) is ref:
                del self._refs[name]

    def start_over(self) -> None:
        """Be as new, in a forked child."""
        self._lock = threading.Lock()
        self._refs.clear()

    def names(self) -> dict[str, pykka.ActorRef[Any]]:
        """All names with their live actors."""
        with self._lock:
            return {name: ref for name, ref in self._refs.items() if ref.is_alive()}
