"""The future of one answer: the first answer wins, later ones are dropped in silence."""

from __future__ import annotations

import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors.supervision.errors import CallTimeout
from dicom_actors.supervision.exits import forget_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

__all__ = ["Reply"]


class Reply(pykka.Future[Any]):
    """A pykka future that may be answered from several sides at once.

    A server and whoever reports that server's death may both answer: the first one wins. A
    stored exception is kept without its traceback, which would keep frames alive.

    Args:
        keeps_frames: keep the traceback of an exception, since nobody else tells of it.
    """

    def __init__(self, *, keeps_frames: bool = False) -> None:
        super().__init__()
        self._keeps_frames = keeps_frames
        self._claim = threading.Lock()  # taken once and for ever by the first answer
        self._gate = threading.Lock()  # closed until there is an answer
        self._gate.acquire()
        self._is_done = False
        self._has_hook = False
        self._value: Any = None
        self._exception: BaseException | None = None
        self._traceback: TracebackType | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self._is_done

    @property
    def exception(self) -> BaseException | None:
        """The exception that is the answer; None: there is no answer, or it is a value."""
        return self._exception

    def wait(self, *, timeout: float | None = None) -> bool:
        """Wait for the answer; returns False if there was none in time; see `get`."""
        if not self._is_done:
            if not self._gate.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
                return False
            self._gate.release()
        return True

    def get(self, *, timeout: float | None = None) -> Any:
        """The answer, or the exception that is the answer.

        Args:
            timeout: seconds; None waits for ever, 0 does not wait.

        Raises:
            CallTimeout: no answer in time.
        """
        if not self.wait(timeout=timeout):
            raise CallTimeout(f"no answer within {timeout} seconds")
        if self._has_hook:
            return super().get(timeout=timeout)
        if self._exception is not None:
            try:
                raise self._exception.with_traceback(self._traceback)
            finally:
                del self  # its frame is in that traceback: no cycle
        return self._value

    def set(self, value: Any | None = None) -> None:
        """Answer with `value`, unless there is an answer."""
        self.offer(value)

    def offer(self, value: Any | None = None) -> bool:
        """Answer with `value`; returns whether this was the first answer."""
        if not self._claim.acquire(blocking=False):
            return False
        self._value = value
        self._open()
        return True

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Answer with an exception, by default the current one, unless there is an answer."""
        exception = (sys.exc_info() if exc_info is None else exc_info)[1]
        self.fail(exception or RuntimeError("set_exception() without an exception"))

    def fail(self, exception: BaseException) -> bool:
        """Answer with `exception`; returns whether this was the first answer."""
        if not self._claim.acquire(blocking=False):
            return False
        if self._keeps_frames:
            self._traceback = exception.__traceback__
        else:
            forget_frames(exception)
        self._exception = exception
        self._open()
        return True

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        """Make `get` call `func`; pykka derives futures from futures with this."""
        if not self._claim.acquire(blocking=False):
            raise queue.Full
        super().set_get_hook(func)
        self._has_hook = True
        self._open()

    def _open(self) -> None:
        self._is_done = True
        self._gate.release()
