"""Event handlers in processes of their own.

What a handler does there costs one status at the most: a segmentation fault, ``os._exit``, a hang
in C that no thread gets around. And it computes with an interpreter lock of its own, so that no
association waits for it.

Objects are not copied into messages: a process is given the descriptor of the spool file, or of
shared memory. `save` of an event is done here, since it is a rename, and only this process knows
whether anybody still waits for the object.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pickle
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from dicom_actors.errors import ConfigurationError, HandlerError, WorkerError
from dicom_actors.processes.channel import shared_memory
from dicom_actors.processes.child import ChildProcess
from dicom_actors.supervision import RestartWindow, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.processes.channel import Message

__all__ = ["Isolated"]

_logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2
_STARTS_WITHIN: Final = 60.0
_PROGRAM: Final = "dicom_actors.processes.handler_worker:work"
_MAY_BE_ASKED: Final = frozenset({"is_cancelled", "save"})
_MOST_OF_BODY: Final = 1 << 31


class Isolated:
    """An event handler that runs in processes of its own, in place of the handler itself.

    ::

        def main():
            store = Isolated(keep, deadline=30, workers=2)
            endpoint = Endpoint.start(port=4242, event_handlers={"cstore": store})

        if __name__ == "__main__":
            main()

    The handler is called with an event that has the attributes and methods of the one that it
    would be called with here, and whatever comes of it, return values, generators, coroutines and
    exceptions, comes of it here. Of a generator one item at a time is asked for, and it is closed
    when the peer cancels. What is not the same: a process keeps what the handler changes in its
    own memory, and nothing that it returns is an object of this process.

    The processes start from nothing, as those of `multiprocessing` with ``spawn`` do: the handler
    is found there by its module and name, or is an object that can be pickled. A script guards
    what it does with ``if __name__ == "__main__"``, since it is imported there.

    One process works on a request at a time. They are started when there is work and no process
    is idle, and wait for more. One that ends over a request, or is killed, costs that request a
    `WorkerError` (status 0110H), and another process is started for the next one. After more than
    `restarts` in `restart_period` seconds requests are answered so without a process until that
    is no longer true.

    Args:
        handler: the handler.
        deadline: seconds for the handler to return, or for a generator to give the next item;
            then its process is killed by SIGKILL. None: as long as anybody waits for it.
        grace: seconds that it has from when nobody waits any more: the peer cancelled or is gone,
            or ``handler_timeout`` of the endpoint has passed.
        workers: how many processes there are at the most; further requests wait for one.
        restarts: how many processes may end over a request in a period.
        restart_period: its seconds.

    Raises:
        ConfigurationError: a number is out of its range, or the handler cannot be handed over.
    """

    def __init__(
        self,
        handler: Callable[[Any], Any],
        *,
        deadline: float | None = 60.0,
        grace: float = 5.0,
        workers: int = 2,
        restarts: int = 10,
        restart_period: float = 60.0,
    ) -> None:
        if (deadline is not None and not deadline > 0) or not grace >= 0 or workers < 1:
            raise ConfigurationError(
                "Isolated: expected a deadline above 0, a grace of 0 or more and 1 worker or more,"
                f" got {deadline}, {grace} and {workers}"
            )
        if not callable(handler):
            kind = type(handler).__name__
            raise ConfigurationError(f"Isolated: expected a callable handler, got {kind}")
        try:
            self._window = RestartWindow(restarts, restart_period)
            self._pickled = pickle.dumps(handler)
        except SpecError as error:
            raise ConfigurationError(f"Isolated: {error}") from error
        except Exception as error:
            raise ConfigurationError(
                "Isolated: expected a handler of a module, or an object that can be pickled:"
                f" {error}"
            ) from error
        if b"__main__" in self._pickled and not _main_can_be_imported():
            raise ConfigurationError(
                "Isolated: expected a handler of a module or of a script, got one of a program that"
                " no other process can import, such as an interactive session"
            )
        # Loaded now: when a request comes there may be no descriptor left to read a file with.
        importlib.import_module("dicom_actors.processes.handed_over")
        self._deadline = deadline
        self._grace = grace
        self._room = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._working: set[_Worker] = set()
        self._is_closed = False
        self._restarts = 0
        self._period = restart_period
        self._paused_until = 0.0
        # Whoever forgets to close it leaves no processes behind.
        weakref.finalize(self, _end_all, self._idle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def restarts(self) -> int:
        """How many processes ended over a request."""
        return self._restarts

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that there are."""
        with self._lock:
            return tuple(one.process.pid for one in (*self._idle, *self._working))

    def close(self) -> None:
        """End the processes, those that work included; the handler is of no use then."""
        with self._lock:
            self._is_closed = True
            working = list(self._working)
        for worker in working:
            worker.process.kill()
        _end_all(self._idle)

    def __call__(self, event: Any) -> Any:
        """Run the handler. Runs in a Handler's thread, which waits.

        Raises:
            WorkerError: the process ended or took too long, or too many have.
            Exception: what the handler raised.
        """
        is_wanted = _wanted(event)
        deadline = self._deadline
        due = None if deadline is None else time.monotonic() + deadline
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            if not is_wanted() or (due is not None and time.monotonic() > due):
                raise WorkerError("all processes of the handler are busy")
        call = None
        try:
            call = _Call(self._take(), event, deadline, self._grace, is_wanted)
            kind, value = call.begin()
        except BaseException as error:
            self._give_back(call, error)
            raise
        if kind == "value":
            self._give_back(call)
            return value
        return _with_stream(value, self._stream(call))

    def _stream(self, call: _Call) -> Iterator[Any]:
        """What a generator there gives."""
        return _Stream(call, self._give_back)

    def _take(self) -> _Worker:
        while True:
            with self._lock:
                if self._is_closed:
                    raise WorkerError("the handler is closed")
                worker = self._idle.pop() if self._idle else None
            if worker is not None and not worker.process.is_alive:
                _logger.warning("an idle process of a handler %s", worker.process.end())
                continue
            if worker is None:
                self._check_intensity()
                worker = _Worker(self._pickled)
            with self._lock:
                self._working.add(worker)
            return worker

    def _check_intensity(self) -> None:
        if time.monotonic() < self._paused_until:
            raise WorkerError("too many processes of the handler have ended, there is a pause")

    def _give_back(self, call: _Call | None, error: BaseException | None = None) -> None:
        """Keep a process for the next one, or bury it."""
        try:
            if call is None:
                return
            worker = call.worker
            is_sound = call.is_settled and not self._is_closed
            with self._lock:
                self._working.discard(worker)
                if is_sound:
                    self._idle.append(worker)
                else:
                    self._restarts += 1
                    now = time.monotonic()
                    if not self._window.add(now):
                        self._paused_until = now + self._period
            if not is_sound:
                if call.was_given_up:
                    worker.process.kill(is_late=True)
                why = worker.process.end()
                if isinstance(error, WorkerError) and not error.args[0]:
                    error.args = (f"the process of the handler {why}",)
        finally:
            self._room.release()


def _main_can_be_imported() -> bool:
    """Whether another process finds the main module: not what was typed, or came by ``-c``."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return getattr(main, "__spec__", None) is not None or (
        file is not None and Path(file).is_file()
    )


class _Worker:
    """A process, which knows its handler."""

    def __init__(self, handler: bytes) -> None:
        from multiprocessing import spawn  # noqa: PLC0415 - loaded only if it is needed

        self.process: Final = ChildProcess(_PROGRAM)
        try:
            # Where the handler's module is found there, and what stands for the main one.
            made = spawn.get_preparation_data("worker of a handler")
            wanted = ["sys_path", "sys_argv"]
            if b"__main__" in handler:
                wanted += ["init_main_from_name", "init_main_from_path"]
            preparation = {name: made[name] for name in wanted if name in made}
            channel, due = self.process.channel, time.monotonic() + _STARTS_WITHIN
            channel.send(pickle.dumps((preparation, handler)), due=due)
            # What it takes to load the handler is not the time that a request may take.
            if channel.receive(0, due) is None:
                why = self.process.end()
                raise WorkerError(f"the process of the handler {why}")  # noqa: TRY301
        except BaseException as error:
            self.process.end(0)
            if isinstance(error, TimeoutError | ValueError):
                raise WorkerError("the process of the handler did not start in time") from error
            raise


class _Call:
    """One request in a process."""

    def __init__(
        self,
        worker: _Worker,
        event: Any,
        deadline: float | None,
        grace: float,
        is_wanted: Callable[[], bool],
    ) -> None:
        self.worker: Final = worker
        self.is_settled = False
        self.was_given_up = False
        self._event = event
        self._deadline = deadline
        self._grace = grace
        self._is_wanted = is_wanted

    def begin(self) -> tuple[str, Any]:
        """Hand the event over; returns what came: a "value", a "stream" or a "holder" of one."""
        descriptors: list[int] = []
        try:
            facts = _facts_of(self._event, descriptors)
            kind, value = self.ask("call", facts, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return kind, value

    def ask(
        self, kind: str, value: Any = None, descriptors: tuple[int, ...] | list[int] = ()
    ) -> Any:
        """Say something to the process, and wait for what comes of it."""
        due = None if self._deadline is None else time.monotonic() + self._deadline
        channel = self.worker.process.channel
        # Nothing is known of the process until it has answered.
        self.is_settled = False
        message: Message | None
        try:
            channel.send(pickle.dumps((kind, value)), descriptors=descriptors, due=due)
            while True:
                message = self._next(due)
                if message is None:
                    raise WorkerError("")
                kind, value = pickle.loads(message.head)  # noqa: S301
                if kind != "ask":
                    break
                channel.send(pickle.dumps(self._answer(*value)), due=due)
        except TimeoutError:
            self.was_given_up = True
            raise WorkerError("") from None
        except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise WorkerError("") from error
        self.is_settled = kind in {"value", "raised", "end"}
        if kind == "raised":
            raised, text = value
            if isinstance(raised, str):  # one that cannot be handed over; its name is what counts
                raised = type(raised, (HandlerError,), {})("see above")
            raise raised from RuntimeError(f"in the process of the handler:\n{text}")
        return kind, value

    def _next(self, due: float | None) -> Message | None:
        """Wait for a message; looks now and then whether anybody still waits for the outcome."""
        unwanted_since = None
        channel = self.worker.process.channel
        while True:
            now = time.monotonic()
            if due is not None and now >= due:
                raise TimeoutError
            if not self._is_wanted():
                unwanted_since = unwanted_since or now
                if now - unwanted_since >= self._grace:
                    raise TimeoutError
            if channel.is_readable(_LOOK_SECONDS if due is None else min(_LOOK_SECONDS, due - now)):
                return channel.receive(_MOST_OF_BODY, due)

    def _answer(self, name: str, arguments: tuple[Any, ...], more: dict[str, Any]) -> Any:
        """Do for the process what can be done here only."""
        try:
            if name not in _MAY_BE_ASKED:
                raise HandlerError(f"{name}: cannot be asked for from a process")  # noqa: TRY301
            found = getattr(self._event, name)
            return "value", found(*arguments, **more) if callable(found) else found
        except Exception as error:  # noqa: BLE001 - the handler's to see
            return "raised", error


class _Stream:
    """A generator in a process, as an iterator here.

    Args:
        call: the request.
        give_back: called with it in the end.
    """

    def __init__(self, call: _Call, give_back: Callable[..., None]) -> None:
        self._call = call
        self._give_back = give_back
        self._is_over = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._ask("next")

    def close(self) -> None:
        """Have it closed, if it is not over."""
        with contextlib.suppress(StopIteration):
            self._ask("close")

    def __del__(self) -> None:
        if not self._is_over:  # nobody has asked for anything, nor closed it
            with contextlib.suppress(Exception):
                self.close()

    def _ask(self, what: str) -> Any:
        if self._is_over:
            raise StopIteration
        try:
            kind, value = self._call.ask(what)
        except BaseException as error:
            self._end(error)
            raise
        if kind == "end":
            self._end(None)
            raise StopIteration
        return value

    def _end(self, error: BaseException | None) -> None:
        self._is_over = True
        self._give_back(self._call, error)


def _with_stream(holder: Any, stream: Any) -> Any:
    """Put a stream where it belongs: in a MoveTo, beside a number, or it is all."""
    if holder is None:
        return stream
    if not isinstance(holder, tuple):
        return replace(holder, instances=_with_stream(holder.instances or None, stream))
    return holder[0], stream


def _wanted(event: Any) -> Callable[[], bool]:
    """Who says whether anybody waits for the outcome."""
    if not hasattr(type(event), "is_cancelled"):
        return lambda: True  # an association that is asked for
    return lambda: not event.is_cancelled


def _facts_of(event: Any, descriptors: list[int]) -> Any:
    """What a process has to know of an event; its data goes by descriptors, which are added."""
    # The engine's own events; others, as of somebody who wraps them, cannot be handed over.
    from dicom_actors.processes.handed_over import facts_of  # noqa: PLC0415 - brings the engine

    return facts_of(event, descriptors, shared_memory)


def _end_all(idle: list[_Worker]) -> None:
    while idle:
        with contextlib.suppress(IndexError):
            idle.pop().process.end(0)
