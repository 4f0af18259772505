"""The inbox: a queue for one reader that can be closed, with a lane for what cannot wait.

What it hands out, and in which order:

- the control lane first: `Exit`, `Down` and what a supervisor hears of its children;
- then messages in the order in which they came: `Envelope` (a call or a cast) and `Info`
  (what the system itself sends, such as timers);
- `IDLE` when nothing came for as long as its reader has patience;
- `CLOSED` once it is closed.

Leaves to others: sockets (`socket_inbox`), and what the messages mean (`actor`).
"""

from __future__ import annotations

import threading
from collections import deque
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.supervision.errors import InboxFull, NoProcError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pykka

    from dicom_actors.supervision.exits import ExitReason
    from dicom_actors.supervision.reply import Reply

__all__ = ["CLOSED", "IDLE", "Envelope", "Exit", "Inbox", "Info"]

_LONGEST: Final = 1_000_000.0
"""Seconds that are as good as for ever, and that every system can wait."""


class Closed(Enum):
    """The type of `CLOSED`."""

    CLOSED = "closed"


CLOSED: Final = Closed.CLOSED
"""What a closed inbox gives its reader."""


class Idle(Enum):
    """The type of `IDLE`."""

    IDLE = "idle"


IDLE: Final = Idle.IDLE
"""What an inbox gives a reader whose patience is over."""


_MANY: Final = 64
"""Control messages that may wait together for something that wakes the reader."""


class Envelope:
    """A message from somebody: a call if there is somebody to answer, else a cast."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any, reply_to: Reply | None = None) -> None:
        self.message = message
        self.reply_to = reply_to


class Info:
    """A message from the system itself, for `handle_info`."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


class Exit:
    """A request to end; a control message."""

    __slots__ = ("reason",)

    def __init__(self, reason: ExitReason) -> None:
        self.reason = reason


class Inbox:
    """The inbox of one actor: any thread puts, the actor's thread alone gets.

    Args:
        limit: calls and casts that may wait, 1 or more; None: no limit. Control messages and
            what the system sends always find room, since they are few.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise SpecError(f"limit: expected 1 or more, or None, got {limit}")
        self.owner = "the actor"
        self._limit = limit
        self._lock = threading.Lock()
        self._control: deque[Any] = deque()
        self._messages: deque[Any] = deque()
        self._is_closed = False
        self._patience: float | None = None
        # Wakes the reader. There while it waits; whoever takes it has to call it, which is done
        # after the lock is released, or the reader would wake up to wait for the lock.
        self._waker: Callable[[], object] | None = None
        self._wake = threading.Lock()  # released once for each time the reader waits here
        self._wake.acquire()

    @property
    def is_closed(self) -> bool:
        """Whether the inbox is closed."""
        return self._is_closed

    @property
    def patience(self) -> float | None:
        """After how many seconds of real time without anything to do `get` gives `IDLE`.

        0 or more; None: it waits for ever. Only the actor's own thread may set this.
        """
        return self._patience

    @patience.setter
    def patience(self, seconds: float | None) -> None:
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"patience: expected seconds, 0 or more, or None, got {seconds!r}")
        self._patience = None if seconds is None else min(seconds, _LONGEST)

    def put(self, envelope: Any) -> bool:
        """Add a call or a cast; returns False if the inbox is closed.

        A call that comes too late is answered with `NoProcError` at once, a cast is dropped.

        Raises:
            InboxFull: a cast found the inbox at its limit. A call is answered with that error.
        """
        with self._lock:
            is_closed = self._is_closed
            is_full = self._limit is not None and len(self._messages) >= self._limit
            if is_taken := not is_closed and not is_full:
                self._messages.append(envelope)
                waker, self._waker = self._waker, None
        if is_taken:
            if waker is not None:
                waker()
            return True
        if is_closed:
            self._refuse(envelope)
            return False
        error = InboxFull(f"the inbox of {self.owner} is full: {self._limit} messages wait")
        if envelope.reply_to is None:
            raise error
        _fail(envelope.reply_to, error)
        return True

    def put_info(self, message: Any) -> bool:
        """Add a message of the system's in its turn; returns False if the inbox is closed."""
        return self._add(self._messages, Info(message))

    def put_control(self, message: Any, *, in_turn: bool = False, wakes: bool = True) -> bool:
        """Add a control message; returns False if the inbox is closed.

        Args:
            message: the message.
            in_turn: put it behind the messages that wait, instead of before all of them.
            wakes: wake a reader that waits; otherwise it has the message when it comes again, or
                when there are many.
        """
        return self._add(self._messages if in_turn else self._control, message, wakes=wakes)

    def _add(self, lane: deque[Any], item: Any, *, wakes: bool = True) -> bool:
        with self._lock:
            if self._is_closed:
                return False
            lane.append(item)
            if not wakes and len(lane) < _MANY:
                return True
            waker, self._waker = self._waker, None
        if waker is not None:
            waker()
        return True

    def take_back(self, message: Any) -> bool:
        """Take a control message back; returns False if it was taken, or many wait."""
        with self._lock:
            for at, waiting in enumerate(islice(self._control, _MANY)):
                if waiting is message:
                    del self._control[at]
                    return True
        return False

    def take_control(self, *kinds: type) -> list[Any]:
        """Take control messages of some kinds out before their turn; for the actor's thread."""
        with self._lock:
            taken = [message for message in self._control if isinstance(message, kinds)]
            if taken:
                rest = [message for message in self._control if not isinstance(message, kinds)]
                self._control.clear()
                self._control.extend(rest)
        return taken

    def get(self) -> Any:
        """The next item; waits for it. Only the actor's own thread may call this."""
        while True:
            with self._lock:
                if self._control:
                    return self._control.popleft()
                if self._messages:
                    return self._messages.popleft()
                if self._is_closed:
                    return CLOSED
                self._waker = self._wake.release
            if self._patience is None:
                self._wake.acquire()
            elif not self._wake.acquire(timeout=self._patience) and self._is_left_alone():
                return IDLE

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._messages and not self._control

    def qsize(self) -> int:
        """How many messages wait."""
        return len(self._messages) + len(self._control)

    def close(self) -> None:
        """Refuse everything that waits or comes, and wake the reader; from any thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            waiting = list(self._messages)
            self._messages.clear()
            self._control.clear()
            waker, self._waker = self._waker, None
        if waker is not None:
            waker()
        for item in waiting:
            self._refuse(item)

    def leave_behind(self) -> None:
        """Close, in a forked child, where nobody can release the lock and nobody reads."""
        self._lock = threading.Lock()
        self._waker = None
        self.owner += ", left behind in the parent process,"
        self.close()

    def release(self) -> None:
        """Give back what the inbox holds; the actor's thread calls it as its last act."""

    def _is_left_alone(self) -> bool:
        """Wait no longer; returns False if somebody is just waking the reader."""
        with self._lock:
            waker, self._waker = self._waker, None
        if waker is None:
            self._wake.acquire()
        return waker is not None

    def _refuse(self, item: Any) -> None:
        reply_to = getattr(item, "reply_to", None)
        if reply_to is not None:
            _fail(reply_to, NoProcError(f"{self.owner} is dead"))


def _fail(reply_to: pykka.Future[Any], error: Exception) -> None:
    """Answer with an error; an actor that is not supervised may have our inbox, too."""
    reply_to.set_exception((type(error), error, None))
