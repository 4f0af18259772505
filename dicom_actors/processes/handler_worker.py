"""What runs in a process of an isolated handler: one request after the other; see `isolated`.

It asks for nothing but what an event needs, and answers with what came of the handler. Coroutines
and async generators run on an event loop of the process's own.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import traceback
from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import is_dataclass, replace
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any

from dicom_actors.data import DataSet
from dicom_actors.errors import HandlerError
from dicom_actors.processes.handed_over import event_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.processes.channel import Channel

__all__ = ["work"]


def work(channel: Channel) -> None:
    """Serve requests until there are no more."""
    message = channel.receive()
    if message is None:
        return
    handler: Any
    try:
        preparation, pickled = pickle.loads(message.head)  # noqa: S301 - the parent's
        spawn.prepare(preparation)
        handler = pickle.loads(pickled)  # noqa: S301 - the parent's
    except BaseException as error:  # noqa: BLE001 - the first request is told
        handler = _Broken(error)
    channel.send(b"ready")
    with asyncio.Runner() as runner:
        worker = _Worker(channel, handler, runner)
        while (found := channel.receive()) is not None:
            kind, facts = pickle.loads(found.head)  # noqa: S301 - the parent's
            if kind == "call":
                worker.answer(functools.partial(worker.call, facts, found.descriptors))
            else:
                worker.answer(worker.next_item if kind == "next" else worker.close_stream)


class _Broken:
    """Stands for a handler that could not be had."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, event: Any) -> Any:  # noqa: ARG002 - as of any handler
        """Say why."""
        raise HandlerError("the handler cannot be loaded in its process") from self._error


class _Worker:
    """The handler, and the generator that is under way."""

    def __init__(self, channel: Channel, handler: Any, runner: asyncio.Runner) -> None:
        self._channel = channel
        self._handler = handler
        self._runner = runner
        self._stream: Iterator[Any] | None = None

    def answer(self, do: Callable[[], tuple[str, Any]]) -> None:
        """Do something, and tell what came of it."""
        try:
            kind, value = do()
        except BaseException as error:  # noqa: BLE001 - the boundary, as in the endpoint
            self._stream = None
            text = traceback.format_exc()  # before what led to it is forgotten
            kind, value = "raised", (_portable(error), text)
        try:
            self._send(kind, value)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            failure = HandlerError(f"what the handler returned cannot be handed over: {error}")
            self._send("raised", (failure, traceback.format_exc()))

    def _send(self, kind: str, value: Any) -> None:
        self._channel.send(pickle.dumps((kind, value)))

    def call(self, facts: Any, descriptors: tuple[int, ...]) -> tuple[str, Any]:
        """Run the handler."""
        self._stream = None
        result = self._handler(event_of(facts, descriptors, self._ask))
        if inspect.isawaitable(result):
            result = self._runner.run(_awaited(result))
        holder, stream = _split(result)
        if stream is None:
            return "value", result
        self._stream = self._pulled(stream) if isinstance(stream, AsyncIterable) else iter(stream)
        return "stream", holder

    def next_item(self) -> tuple[str, Any]:
        """Give the next item of the generator."""
        assert self._stream is not None
        for item in self._stream:
            return "item", item
        self._stream = None
        return "end", None

    def close_stream(self) -> tuple[str, Any]:
        """Close the generator, which cleans up."""
        stream, self._stream = self._stream, None
        close = getattr(stream, "close", None)
        if close is not None:
            close()
        return "end", None

    def _pulled(self, items: AsyncIterable[Any]) -> Iterator[Any]:
        iterator = aiter(items)
        try:
            while True:
                try:
                    yield self._runner.run(_awaited(anext(iterator)))
                except StopAsyncIteration:
                    return
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                self._runner.run(close())

    def _ask(self, name: str, *arguments: Any, **more: Any) -> Any:
        self._channel.send(pickle.dumps(("ask", (name, arguments, more))))
        message = self._channel.receive()
        if message is None:
            raise SystemExit  # nobody is there any more
        kind, value = pickle.loads(message.head)  # noqa: S301 - the parent's
        if kind == "raised":
            raise value
        return value


async def _awaited(result: Any) -> Any:
    return await result


def _split(result: Any) -> tuple[Any, Any]:
    """Take what is given one by one out of a result: what it is in, and that; or None twice."""
    if _is_one_by_one(result):
        return None, result
    if is_dataclass(result) and hasattr(result, "instances"):  # a MoveTo
        holder, stream = _split(result.instances)
        if stream is None:
            return None, None
        return replace(result, instances=holder or ()), stream  # type: ignore[type-var]
    if isinstance(result, tuple) and len(result) == 2 and _is_one_by_one(result[1]):
        return (result[0], ()), result[1]
    return None, None


def _is_one_by_one(result: Any) -> bool:
    return isinstance(result, Iterable | AsyncIterable) and not isinstance(
        result, DataSet | str | bytes | bytearray | memoryview | list | tuple | dict
    )


def _portable(error: BaseException) -> BaseException | str:
    """An exception that can be made again in the other process, or the name of its class."""
    error.__cause__ = error.__context__ = None
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - whatever its class does
        return type(error).__name__
    return error if type(again) is type(error) else type(error).__name__
