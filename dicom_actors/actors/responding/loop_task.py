"""A coroutine of a handler, as the Handler's thread sees it.

It runs on the event loop, in one task from its beginning to its end, and the Handler waits. The
task is cancelled, once, when the Handler is to give up: the peer cancelled, the time is up, or
the association is over. In the first two cases the Handler waits for what the coroutine makes of
that. As soon as nobody takes an outcome any more it does not: whatever a coroutine does, no thread
hangs on it.
"""

from __future__ import annotations

from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event, Task
    from collections.abc import Awaitable

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Request
    from dicom_actors.actors.kernel.event_loop import EventLoop

__all__ = ["GivenUp", "LoopTask"]


CANCELLABLE: Final = frozenset({"cfind", "cget", "cmove"})
"""The services with a C-CANCEL (PS3.7 9.3.2.3)."""


class GivenUp(Exception):
    """A coroutine was cancelled since its Handler is to give up, or nobody waits for it."""


class _Answer(NamedTuple):
    """What a task tells the thread that waits for it."""

    value: Any = None
    error: BaseException | None = None
    is_last: bool = True


_OVER: Final = _Answer()


class LoopTask:
    """A task on the event loop, and the thread that waits for its answers.

    Args:
        event_loop: the endpoint's.
        record: the connection's record.
        request: the request whose handler it is.

    Attributes:
        is_closing: its coroutine was woken up to end, which is not to be cancelled.
    """

    def __init__(self, event_loop: EventLoop, record: ConnectionRecord, request: Request) -> None:
        self._event_loop = event_loop
        self._record = record
        self._request = request
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._last = _OVER
        self._loop: AbstractEventLoop
        self._task: Task[None] | None = None
        self._is_asked_to_end = self._has_heard = False
        self.is_closing = False

    # --- in the Handler's thread ---------------------------------------------------------------

    def result_of(self, awaitable: Awaitable[Any]) -> Any:
        """Run a coroutine to its end.

        Raises:
            GivenUp: it was cancelled.
            BaseException: whatever it raises.
        """
        self.begin(awaitable)
        return self.next_answer().value

    def begin(self, awaitable: Awaitable[Any]) -> None:
        """Run a coroutine; its result is the last answer.

        Raises:
            HandlerError: there is no event loop any more.
        """
        coroutine = self._run(awaitable)
        try:
            self._loop = self._event_loop.get()
            self._loop.call_soon_threadsafe(self._begin_in_loop, coroutine)
        except BaseException:
            coroutine.close()
            close = getattr(awaitable, "close", None)
            if close is not None:
                close()
            raise
        self._record.on_unwanted(self._request.serial, self._on_unwanted)

    def next_answer(self) -> _Answer:
        """Wait for the next answer.

        Raises:
            GivenUp: the task was cancelled.
            BaseException: what its coroutine raises.
        """
        answer = self._answers.get()
        if answer is _OVER:
            raise GivenUp  # a new one each time: an exception keeps the frames that it passes
        if answer.error is not None:
            raise answer.error
        return answer

    def wake(self, event: Event) -> None:
        """Set an event that the coroutine waits for.

        Raises:
            RuntimeError: the loop is closed.
        """
        self._loop.call_soon_threadsafe(event.set)

    # --- in any thread -------------------------------------------------------------------------

    def _on_unwanted(self, is_over: bool) -> None:  # noqa: FBT001 - the record's callback
        request = self._record.find(self._request.serial)
        is_late = request is not None and request.is_warned
        if not is_over and not is_late and self._request.service not in CANCELLABLE:
            return
        if not self._is_asked_to_end:
            self._is_asked_to_end = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._cancel_in_loop)
        if is_over:
            self._answers.put(_OVER)
            if is_late and not self._has_heard:
                self._event_loop.give_up(self._loop)

    # --- in the loop's thread ------------------------------------------------------------------

    def answer(self, value: Any) -> None:
        """Give an answer that is not the last one."""
        self._answers.put(_Answer(value, is_last=False))

    def _begin_in_loop(self, coroutine: Any) -> None:
        self._task = self._loop.create_task(coroutine)
        self._task.add_done_callback(self._end)

    def _cancel_in_loop(self) -> None:
        self._has_heard = True
        if self._task is not None:
            # A step later, so that the coroutine has begun and can clean up.
            self._loop.call_soon(self._cancel_now)

    def _cancel_now(self) -> None:
        if self._task is not None and not self.is_closing:
            self._task.cancel()

    async def _run(self, awaitable: Awaitable[Any]) -> None:
        from asyncio import CancelledError  # noqa: PLC0415 - who runs this has loaded it

        try:
            self._last = _Answer(await awaitable)
        except CancelledError as error:
            if not self._is_asked_to_end:
                self._last = _Answer(error=error)
        except BaseException as error:  # noqa: BLE001 - the Handler's thread raises it
            self._last = _Answer(error=error)

    def _end(self, _: Any) -> None:
        self._answers.put(self._last)
