"""Waiting for sockets: the one place that knows what the operating system offers.

`PollPoller` is quick for a few sockets (Linux, macOS); `SelectorPoller` takes thousands, and
runs wherever Python does. `Wakeup` ends a wait from another thread: an eventfd where there is
one, else a socket pair.

Leaves to others: messages and fairness (`socket_inbox`).
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import threading
from typing import Final, Protocol

from dicom_actors.supervision.forking import close_in_child

__all__ = ["HANGUP", "READABLE", "WRITABLE", "Poller", "Wakeup", "make_poller"]

# The bits of poll(2), which both pollers speak.
READABLE: Final = 1
WRITABLE: Final = 4
_PEER_CLOSED: Final = getattr(select, "POLLRDHUP", 0)
# error, hang-up, not open, and the peer's end of stream where the system tells it
HANGUP: Final = 0x08 | 0x10 | 0x20 | _PEER_CLOSED


class Poller(Protocol):
    """Waits for many file descriptors; for one thread."""

    def watch(self, fd: int, *, read: bool, write: bool) -> None:
        """Start to watch `fd`, or change what for."""

    def mute(self, fd: int, *, write: bool) -> None:
        """Tell no more of the peer's hang-up, only, if `write`, of room to write."""

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer; harmless if it is not watched or is closed."""

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """The ready descriptors with their bits; waits so long for one, None: for ever."""

    def close(self) -> None:
        """Give back what the poller holds."""


class PollPoller:
    """poll(2): no descriptor of its own, and the cheapest call for a few sockets."""

    def __init__(self) -> None:
        self._poll = select.poll()

    def watch(self, fd: int, *, read: bool, write: bool) -> None:
        """Start to watch `fd`, or change what for."""
        self._poll.register(
            fd, (READABLE if read else 0) | (WRITABLE if write else 0) | _PEER_CLOSED
        )

    def mute(self, fd: int, *, write: bool) -> None:
        """Tell no more of the peer's hang-up, only, if `write`, of room to write."""
        if write:
            self._poll.register(fd, WRITABLE)
        else:
            self.forget(fd)  # error and hang-up cannot be masked

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer."""
        try:  # noqa: SIM105 - done for each association, in a fourth of the time
            self._poll.unregister(fd)
        except KeyError:
            pass

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """The ready descriptors with their bits; waits so long for one, None: for ever."""
        return self._poll.poll(None if seconds is None else seconds * 1000)

    def close(self) -> None:
        """Nothing to give back."""


class SelectorPoller:
    """The system's best selector: epoll, kqueue or what there is.

    A hang-up shows as readable and writable; it is not seen on a descriptor that is watched
    for neither.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        close_in_child(self)

    def watch(self, fd: int, *, read: bool, write: bool) -> None:
        """Start to watch `fd`, or change what for."""
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if not events:
            self.forget(fd)
            return
        try:
            self._selector.modify(fd, events)
        except KeyError:
            self._selector.register(fd, events)

    def mute(self, fd: int, *, write: bool) -> None:
        """Watch `fd` for room to write, if `write`, or no longer."""
        self.watch(fd, read=False, write=write)

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer."""
        with contextlib.suppress(KeyError, ValueError, OSError):
            self._selector.unregister(fd)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """The ready descriptors with their bits; waits so long for one, None: for ever."""
        return [
            (
                key.fd,
                (READABLE if events & selectors.EVENT_READ else 0)
                | (WRITABLE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(seconds)
        ]

    def close(self) -> None:
        """Close the selector's own descriptor."""
        self._selector.close()


def make_poller(*, many: bool) -> Poller:
    """The poller for a few sockets or for `many`, as far as the system has it."""
    return SelectorPoller() if many or not hasattr(select, "poll") else PollPoller()


class Wakeup:
    """A descriptor that one thread watches and any thread can make readable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a late `set` must not write to a descriptor of others
        self._is_closed = False
        self._sockets: tuple[socket.socket, ...] = ()
        if hasattr(os, "eventfd"):
            self.fd = self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self._sockets = socket.socketpair()
            for end in self._sockets:
                end.setblocking(False)
            self.fd = self._sockets[0].fileno()
        close_in_child(self)

    def set(self) -> None:
        """Make the descriptor readable; nothing happens if it is closed."""
        with self._lock:
            if self._is_closed:
                return
            if self._sockets:
                with contextlib.suppress(BlockingIOError):  # full: it is readable
                    self._sockets[1].send(b"\0")
            else:
                os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Make the descriptor unreadable; for the thread that watches it."""
        with contextlib.suppress(BlockingIOError):
            if self._sockets:
                self._sockets[0].recv(4096)
            else:
                os.eventfd_read(self._event)

    def close(self) -> None:
        """Close the descriptors."""
        with self._lock:
            if not self._is_closed:
                self._close()

    def abandon(self) -> None:
        """Close the descriptors in a forked child, where nobody can release the lock."""
        self._lock = threading.Lock()
        self.close()

    def _close(self) -> None:
        self._is_closed = True
        if self._sockets:
            for end in self._sockets:
                end.close()
        else:
            os.close(self._event)
