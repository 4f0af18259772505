"""A handler that fails on chosen calls, for tests of what surrounds it."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Fault", "FaultyHandler"]


class Fault(Enum):
    """A way to fail.

    Attributes:
        RAISE: raise `RuntimeError`.
        HANG: do not return before `FaultyHandler.release`; then do the work.
        EXIT: call `sys.exit`, so to say: raise `SystemExit`.
        INTERRUPT: raise `KeyboardInterrupt`, as Ctrl-C does.
        MEMORY: raise `MemoryError`.
        RECURSE: call oneself until Python gives up.
        NONSENSE: return what no handler may return.
    """

    RAISE = "raise"
    HANG = "hang"
    EXIT = "exit"
    INTERRUPT = "interrupt"
    MEMORY = "memory"
    RECURSE = "recurse"
    NONSENSE = "nonsense"


Faults: TypeAlias = "Mapping[int, Fault | BaseException] | Callable[[int], Any]"

_RAISED: Final[dict[Fault, type[BaseException]]] = {
    Fault.RAISE: RuntimeError,
    Fault.EXIT: SystemExit,
    Fault.INTERRUPT: KeyboardInterrupt,
    Fault.MEMORY: MemoryError,
}


class FaultyHandler:
    """Wraps an event handler; safe to be called from any number of threads.

    As a context manager, it releases what hangs at the end of the block.

    Args:
        handler: what is called in the calls that do not fail; None: nothing, which is Success.
        faults: the number of a call, from 1, to how it fails: a `Fault`, or an exception to
            raise. Or a callable that is given the number and returns one of them, or None.
    """

    def __init__(
        self, handler: Callable[[Any], Any] | None = None, *, faults: Faults | None = None
    ) -> None:
        self._handler = handler
        self._faults = faults or {}
        self._changed = threading.Condition()
        self._is_released = False
        self._calls = 0
        self._hanging = 0
        self._releases = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._calls

    @property
    def hanging(self) -> int:
        """How many calls hang now."""
        return self._hanging

    def __call__(self, event: Any) -> Any:
        """Handle an event, or fail as wanted."""
        with self._changed:
            self._calls += 1
            number = self._calls
        fault = self._faults(number) if callable(self._faults) else self._faults.get(number)
        if isinstance(fault, BaseException):
            raise fault
        if fault in _RAISED:
            raise _RAISED[fault](f"call {number}: injected")
        if fault is Fault.RECURSE:
            return _recurse(number)
        if fault is Fault.NONSENSE:
            return object()
        if fault is Fault.HANG:
            self._hang()
        return None if self._handler is None else self._handler(event)

    def wait_until_hanging(self, count: int = 1, *, timeout: float = 60.0) -> None:
        """Return when `count` calls hang.

        Raises:
            TimeoutError: they did not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._hanging >= count, timeout):
                raise TimeoutError(f"expected {count} hanging calls, got {self._hanging}")

    def release(self, *, for_good: bool = True) -> None:
        """Let all calls go on that hang.

        Args:
            for_good: let none hang any more, either.
        """
        with self._changed:
            self._is_released = self._is_released or for_good
            self._releases += 1
            self._changed.notify_all()

    def _hang(self) -> None:
        with self._changed:
            self._hanging += 1
            self._changed.notify_all()
            before = self._releases
            self._changed.wait_for(lambda: self._is_released or self._releases > before)
            self._hanging -= 1


def _recurse(number: int) -> int:
    return _recurse(number + 1) + 1
