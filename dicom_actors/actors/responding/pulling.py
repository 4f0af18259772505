"""What a handler returned to be pulled from: asked for one item at a time, and closed in the end.

Runs in the Handler's thread, whether the iterable is an ordinary one or an async one, which lives
on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.responding.loop_task import GivenUp
from dicom_actors.data import DataSet

if TYPE_CHECKING:
    from asyncio import Event
    from collections.abc import Iterator

    from dicom_actors.actors.responding.loop_task import LoopTask

__all__ = ["AsyncPull", "Pull", "is_stream"]


def is_stream(result: Any) -> bool:
    """Whether a handler returned something to be pulled from."""
    return isinstance(result, Iterable | AsyncIterable) and not isinstance(
        result, DataSet | str | bytes
    )


class Pull:
    """An iterable that can be closed; only generators can by themselves.

    Args:
        items: the iterable.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        self._iterator = iter(items)

    def __iter__(self) -> Iterator[Any]:
        return self._iterator

    def close(self) -> None:
        """Close it, if it can be."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


class AsyncPull:
    """The same of an async iterable, which runs and is closed on the event loop.

    Args:
        task: runs it.
        items: the async iterable.
    """

    def __init__(self, task: LoopTask, items: AsyncIterable[Any]) -> None:
        self._task = task
        self._items = items
        self._wanted: Event | None = None
        self._is_over = False

    def __iter__(self) -> AsyncPull:
        return self

    def __next__(self) -> Any:
        """Pull the next item; there is none any more if the Handler is to give up."""
        if self._is_over:
            raise StopIteration
        try:
            if self._wanted is None:
                from asyncio import Event  # noqa: PLC0415 - loaded only if it is needed

                self._wanted = Event()
                self._task.begin(self._drive(self._wanted))
            else:
                self._task.wake(self._wanted)
            answer = self._task.next_answer()
        except GivenUp:
            self._is_over = True
            raise StopIteration from None
        except BaseException:
            self._is_over = True
            raise
        if answer.is_last:
            self._is_over = True
            raise StopIteration
        return answer.value

    def close(self) -> None:
        """Close the async iterable, and wait until it has cleaned up."""
        if self._is_over or self._wanted is None:
            return
        self._is_over = self._task.is_closing = True
        with suppress(GivenUp):
            self._task.wake(self._wanted)
            self._task.next_answer()

    async def _drive(self, wanted: Event) -> None:
        iterator = aiter(self._items)
        try:
            async for item in iterator:
                self._task.answer(item)
                await wanted.wait()
                wanted.clear()
                if self._task.is_closing:
                    break
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
