"""Where the coroutines of an endpoint's handlers run: one asyncio event loop.

It is the host application's, or one of the endpoint's own: a thread that begins when it is first
needed and ends with the endpoint. An endpoint without coroutines never loads asyncio.
"""

from __future__ import annotations

import logging
from threading import Lock, Thread
from typing import TYPE_CHECKING

from dicom_actors.errors import HandlerError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event, Runner, Task
    from collections.abc import Callable

    from dicom_actors.supervision import System

__all__ = ["EventLoop"]

_logger = logging.getLogger(__name__)


class EventLoop:
    """See the module. Its methods may be called in any thread.

    Args:
        system: counts the threads of loops that were given up.
        host_loop: the host application's loop, which runs in a thread of its own choice; None:
            the endpoint has one itself.
    """

    def __init__(self, system: System, host_loop: AbstractEventLoop | None = None) -> None:
        self._system = system
        self._host_loop = host_loop
        self._lock = Lock()
        self._own: _OwnLoop | None = None
        self._is_stopped = False

    def get(self) -> AbstractEventLoop:
        """Return the loop; it runs.

        Raises:
            HandlerError: the endpoint has stopped.
        """
        if self._host_loop is not None:
            return self._host_loop
        with self._lock:
            if self._is_stopped:
                raise HandlerError("the endpoint has stopped, and its event loop with it")
            if self._own is None:
                self._own = _OwnLoop(self._system)
            return self._own.loop

    def give_up(self, loop: AbstractEventLoop) -> None:
        """Let later calls have a new loop, since a coroutine blocks this one.

        A loop of the host application is never given up: there is no other one.
        """
        with self._lock:
            own = self._own
            if own is None or own.loop is not loop:
                return
            self._own = None
        text = "a coroutine blocks the event loop of the handlers, which is replaced"
        self._system.log.write(_logger, logging.ERROR, text)
        own.disown()

    def stop(self, seconds: float) -> None:
        """End the endpoint's own loop, if it has one: what still runs there is cancelled.

        Args:
            seconds: how long to wait for that.
        """
        with self._lock:
            own, self._own = self._own, None
            self._is_stopped = True
        if own is not None and not own.stop(seconds):
            text = "the event loop of the handlers did not end in %s seconds"
            self._system.log.write(_logger, logging.ERROR, text, seconds)


class _OwnLoop:
    """A loop in a thread of its own.

    Args:
        system: counts it once it is disowned.

    Attributes:
        loop: the loop.
    """

    def __init__(self, system: System) -> None:
        from asyncio import Runner  # noqa: PLC0415 - see the module

        self._system = system
        self._is_disowned = self._is_stopping = self._is_over = False
        self._wake_up: Event | None = None
        self._main: Task[None] | None = None
        runner = Runner()
        self.loop = runner.get_loop()
        self._thread = Thread(
            target=self._run, args=(runner,), name="handlers' event loop", daemon=True
        )
        self._thread.start()

    def _run(self, runner: Runner) -> None:
        while not self._is_over:
            self._contain(self._run_loop)
        self._contain(runner.close)
        if self._is_disowned:
            self._system.count_disowned(-1)

    def _run_loop(self) -> None:
        if self._main is None or self._main.done():
            self._main = self.loop.create_task(self._until_stopped())
        self.loop.run_until_complete(self._main)

    def _contain(self, step: Callable[[], object]) -> None:
        """Take a step; whatever ends it, the thread goes on.

        A handler may stop the loop, cancel all of its tasks, or exit in a task of its own, which
        asyncio lets pass.
        """
        try:
            step()
        except BaseException as fault:  # noqa: BLE001 - the boundary between us and user code
            text = "a coroutine of a handler ended the event loop, which goes on"
            self._system.log.write(_logger, logging.ERROR, text, exc_info=fault)

    async def _until_stopped(self) -> None:
        from asyncio import Event, all_tasks, current_task, wait  # noqa: PLC0415 - see the module

        this = current_task()
        self._wake_up = Event()
        while not self._is_stopping:
            await self._wake_up.wait()
        others = all_tasks() - {this}
        if self._is_disowned and others:
            await wait(others)
        self._is_over = True

    def _stop_soon(self) -> None:
        self._is_stopping = True
        if self._wake_up is not None:
            self._wake_up.set()

    def stop(self, seconds: float) -> bool:
        """Cancel what runs, and wait; returns whether the thread has ended."""
        self.loop.call_soon_threadsafe(self._stop_soon)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def disown(self) -> None:
        """Let it end when what it runs has ended, and count it until then."""
        self._is_disowned = True
        self._system.count_disowned(1)
        self.loop.call_soon_threadsafe(self._stop_soon)
