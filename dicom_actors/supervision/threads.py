"""The threads that run actors: a pool of them, so that starting an actor starts no thread.

A thread runs one actor at a time, from its beginning to its end, and is then kept warm for the
next one. It also owns what an inbox with sockets waits with, and lends it to the actor that it
runs, so that such an actor costs no descriptor either.

Leaves to others: what an actor does in its thread (`actor`).
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.supervision.readiness import Poller, Wakeup, make_poller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pykka

__all__ = ["ActorThread", "ThreadPool", "as_nobody", "current_thread_of_actor"]

_KEPT: Final = 16
"""How many threads without work are kept."""

_IDLE_NAME: Final = "supervision-idle"


class ActorThread(threading.Thread):
    """A thread that runs actors, one after the other.

    Attributes:
        actor_ref: the `SupervisedRef` of the actor that it runs now; None: none.
        is_adopting: actors started in it now are its actor's children.
        is_nobodys: it does something now that is not its actor's; see `as_nobody`.
    """

    def __init__(self, pool: ThreadPool, *, daemon: bool) -> None:
        super().__init__(name=_IDLE_NAME, daemon=daemon)
        self.actor_ref: Any = None  # None, or a SupervisedRef, which is built on this module
        self.is_adopting = False
        self.is_nobodys = False
        self._pool = pool
        self._work: Callable[[], None] | None = None
        self._has_work = threading.Lock()  # released once for each work, and for the end
        self._has_work.acquire()
        self._waits_with: tuple[Poller, Wakeup] | None = None
        self._has_lent = False

    def be_for(self, ref: pykka.ActorRef[Any] | None) -> None:
        """Be the thread of `ref`, or of nobody; for the pool."""
        self.actor_ref = ref
        self.name = (
            _IDLE_NAME if ref is None else f"{ref.actor_class.__name__}-{ref.actor_urn[-12:]}"
        )

    def begin(self, work: Callable[[], None]) -> None:
        """Do `work`, which is the life of its actor; for who took it from the pool."""
        self._work = work
        self._has_work.release()

    def dismiss(self) -> None:
        """End, instead of working; for the pool."""
        self._has_work.release()

    def lend(self) -> tuple[Poller, Wakeup] | None:
        """What an inbox can wait with for a few sockets; None: it is lent already.

        The poller watches the wakeup. For the thread itself.
        """
        if self._has_lent:
            return None
        if self._waits_with is None:
            self._waits_with = make_waiting(many=False)
        self._has_lent = True
        return self._waits_with

    def take_back(self) -> None:
        """What was lent is no longer used, and its poller watches the wakeup alone."""
        self._has_lent = False

    def run(self) -> None:
        """Work, until there is none and the pool does not keep the thread."""
        try:
            while True:
                self._has_work.acquire()
                work, self._work = self._work, None
                if work is None:
                    return
                work()
                del work  # while the thread idles, it keeps no actor alive
                if not self._pool.keep(self):
                    return
        finally:
            if self._waits_with is not None:
                poller, wakeup = self._waits_with
                poller.close()
                wakeup.close()


class ThreadPool:
    """The threads of one system's actors.

    Those whose actors have ended wait for the next ones, the last to come the first to go, but
    never more than a few, and none at all once the last actor has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: weakref.WeakSet[ActorThread] = weakref.WeakSet()
        self._idle: list[ActorThread] = []
        self._working = 0
        self._is_closed = False

    def take(self, ref: pykka.ActorRef[Any], *, daemon: bool = True) -> ActorThread:
        """A thread for one actor: call its `ActorThread.begin`, or `give_back`.

        Args:
            ref: the actor.
            daemon: whether the interpreter may exit while it works.

        Raises:
            RuntimeError: no thread can be started.
        """
        with self._lock:
            self._working += 1
            thread = self._idle.pop() if daemon and self._idle else None
        if thread is not None:
            thread.be_for(ref)
            return thread
        thread = ActorThread(self, daemon=daemon)
        thread.be_for(ref)
        self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            self._leave()
            thread.dismiss()  # if it was started after all
            raise
        return thread

    def give_back(self, thread: ActorThread) -> None:
        """There is no work for a thread that was taken."""
        if not self.keep(thread):
            thread.dismiss()

    def keep(self, thread: ActorThread) -> bool:
        """Take a thread in that has no work; returns False if it has to end."""
        thread.be_for(None)
        with self._lock:
            has_room = not self._is_closed and len(self._idle) < _KEPT
            if has_room and self._working > 1 and thread.daemon:
                self._working -= 1
                self._idle.append(thread)
                return True
        self._leave()
        return False

    def close(self) -> None:
        """End the threads without work, and keep none from now on; those that work go on."""
        with self._lock:
            self._is_closed = True
            leaving = self._take_all()
        for idle in leaving:
            idle.dismiss()

    def idle(self) -> int:
        """How many threads wait for work."""
        return len(self._idle)

    def start_over(self) -> None:
        """Be as new, in a forked child, which has none of the threads but the one that forked."""
        self._lock = threading.Lock()
        self._idle = []
        self._working = 0
        for thread in list(self._threads):
            is_here = thread is threading.current_thread()
            self._working += is_here
            if thread.actor_ref is not None:
                thread.actor_ref.life.leave_behind(disown=is_here)

    def _leave(self) -> None:
        """One fewer works; the last one takes those along that wait."""
        with self._lock:
            self._working -= 1
            leaving = [] if self._working else self._take_all()
        for idle in leaving:
            idle.dismiss()

    def _take_all(self) -> list[ActorThread]:
        idle, self._idle = self._idle, []
        return idle


def make_waiting(*, many: bool) -> tuple[Poller, Wakeup]:
    """A poller, and a wakeup that it watches."""
    poller, wakeup = make_poller(many=many), Wakeup()
    poller.watch(wakeup.fd, read=True, write=False)
    return poller, wakeup


def current_thread_of_actor() -> ActorThread | None:
    """The current thread, if it is that of a supervised actor, and acts as that."""
    thread = threading.current_thread()
    if not isinstance(thread, ActorThread) or thread.is_nobodys or thread.actor_ref is None:
        return None
    return thread


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Let the current thread be no actor's for the length of the block.

    For what actors share and do for each other: whoever comes along does it, and it must be done
    whole even if that actor is killed meanwhile, whose thread can no longer act.
    """
    thread = threading.current_thread()
    if not isinstance(thread, ActorThread) or thread.is_nobodys:
        yield
        return
    thread.is_nobodys = True
    try:
        yield
    finally:
        thread.is_nobodys = False
