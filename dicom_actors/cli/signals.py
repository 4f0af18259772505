"""How a long-running command is asked to end: SIGINT, SIGTERM, SIGHUP.

Each raises KeyboardInterrupt in the main thread, but only where that is expected: who cleans up is
not interrupted halfway. A SIGHUP or SIGINT that is ignored, as under nohup, stays so.

And how one is asked to stop for a while and to go on: SIGTSTP (Ctrl-Z) and SIGCONT.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["EndSignals", "giving_back"]

_T = TypeVar("_T")

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_ENOUGH: Final = 2
"""The second one cuts short what the first one began; the next ends the process as it is."""
_LOOK_SECONDS: Final = 0.5
"""The system may deliver a signal to any thread, and one that waits is not woken by those of
others: it has to look by itself."""


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

    def wait(self, event: threading.Event) -> None:
        """Wait for an event, or for a signal.

        Raises:
            KeyboardInterrupt: one came; see `awaited`.
        """
        with self.awaited():
            while not event.wait(_LOOK_SECONDS):
                pass

    def call(self, do: Callable[[], _T]) -> _T:
        """Call what may take long, until it is done or a signal comes.

        It is called in a thread of its own, which goes on after a signal, and nobody hears of it.

        Raises:
            KeyboardInterrupt: one came; see `awaited`.
            Exception: what it raised.
        """
        answer: Future[_T] = Future()
        done = threading.Event()
        answer.add_done_callback(lambda _: done.set())

        def run() -> None:
            try:
                answer.set_result(do())
            except BaseException as error:  # noqa: BLE001 - theirs to hear
                answer.set_exception(error)

        threading.Thread(target=run, name="until-signal", daemon=True).start()
        self.wait(done)
        return answer.result()

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
            # CPython remembers that one got out of a text given to exec, as dataclasses do when
            # a module is imported, and at its end kills the process by SIGINT, although it was
            # caught. The next text makes it forget.
            exec("")  # noqa: S102
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


@contextlib.contextmanager
def giving_back(pause: Callable[[], object], resume: Callable[[], object]) -> Iterator[None]:
    """Give something back, a terminal say, while the process is stopped; for the main thread.

    Args:
        pause: gives it back; called before the process stops.
        resume: takes it again; called when it goes on, also after a stop that nobody can see
            coming (SIGSTOP).
    """
    stop, go_on = getattr(signal, "SIGTSTP", None), getattr(signal, "SIGCONT", None)
    if stop is None or go_on is None or signal.getsignal(stop) is signal.SIG_IGN:
        yield
        return

    def stop_for_a_while(*_: object) -> None:
        pause()
        signal.signal(stop, signal.SIG_DFL)
        os.kill(os.getpid(), stop)
        # Here it goes on; at once, if nobody is there who could make it.
        signal.signal(stop, stop_for_a_while)
        resume()

    previous = signal.signal(stop, stop_for_a_while)
    before = signal.signal(go_on, lambda *_: resume())
    try:
        yield
    finally:
        signal.signal(stop, previous)
        signal.signal(go_on, before)
