"""An inbox with sockets in it: whichever is ready comes out as the next message.

Leaves to others: reading and writing; a socket here is only watched, never touched or closed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.supervision.inbox import CLOSED, IDLE, Inbox
from dicom_actors.supervision.readiness import HANGUP, READABLE, WRITABLE, Poller, Wakeup
from dicom_actors.supervision.threads import (
    ActorThread,
    current_thread_of_actor,
    make_waiting,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["SocketInbox", "SocketReady"]


class SocketReady(NamedTuple):
    """A socket has something to do; it is said again until that is done.

    Attributes:
        token: what the socket was registered with.
        readable: bytes, an end of stream or a new connection can be read.
        writable: bytes can be written.
        hangup: the peer closed its side, or the connection failed. Said once only to whom
            does not read; `SocketInbox.modify` asks for it again.
    """

    token: Any
    readable: bool
    writable: bool
    hangup: bool


class _Source:
    """A registered socket."""

    __slots__ = ("events", "fd", "interest", "pending", "sock", "token")

    def __init__(self, sock: socket.socket, token: Any) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.token = token
        self.interest = 0  # the bits to tell of; 0 once it is unregistered
        # TLS: what it has decrypted is no longer in the socket for poll to see
        self.pending: Callable[[], int] | None = getattr(sock, "pending", None)
        self.events: dict[int, SocketReady] = {}  # by bits, so that none is made twice

    def wish(self, *, read: bool, write: bool) -> None:
        self.interest = (READABLE if read else 0) | (WRITABLE if write else 0) | HANGUP

    def has_decrypted(self) -> bool:
        return bool(self.interest & READABLE and self.pending is not None and self.pending())

    def event(self, bits: int) -> SocketReady:
        event = self.events[bits] = SocketReady(
            self.token, bool(bits & READABLE), bool(bits & WRITABLE), bool(bits & HANGUP)
        )
        return event


class SocketInbox(Inbox):
    """An `Inbox` that also gives `SocketReady` for the sockets registered with it.

    Messages and sockets take turns, so neither starves the other. Readiness is asked for only
    when the reader comes for its next item, so a socket is offered again only after what it
    gave last was handled: that is the back-pressure. `register`, `modify` and `unregister` are
    for the actor's own thread.

    Args:
        limit: as for `Inbox`.
        many: made for thousands of sockets instead of one or a few. A hang-up then shows as
            readable, and not at all on a socket that is not watched for anything.
    """

    def __init__(self, limit: int | None = None, *, many: bool = False) -> None:
        super().__init__(limit)
        self._many = many
        self._sources: dict[int, _Source] = {}
        self._tls: list[_Source] = []
        self._ready: deque[tuple[_Source, int]] = deque()
        self._messages_turn = False
        # There from the first socket on: an inbox that never runs holds no descriptor, and one
        # that watches few sockets uses what its actor's thread waits with.
        self._poller: Poller | None = None
        self._wakeup: Wakeup | None = None
        self._lender: ActorThread | None = None

    def register(
        self, sock: socket.socket, *, read: bool = True, write: bool = False, token: Any = None
    ) -> None:
        """Watch a socket, which should not block.

        Args:
            sock: the socket; unregister it before it is closed.
            read: tell when it can be read.
            write: tell when it can be written.
            token: stands for it in `SocketReady`; None: the socket itself.

        Raises:
            ValueError: it is closed, or its descriptor is registered.
        """
        source = _Source(sock, sock if token is None else token)
        if source.fd < 0 or source.fd in self._sources:
            raise ValueError(f"cannot register descriptor {source.fd}: closed, or registered")
        poller = self._poller or self._begin_to_watch()
        poller.watch(source.fd, read=read, write=write)
        source.wish(read=read, write=write)
        self._sources[source.fd] = source
        if source.pending is not None:
            self._tls.append(source)

    def modify(self, sock: socket.socket, *, read: bool = True, write: bool = False) -> None:
        """Change what a registered socket is watched for.

        Raises:
            ValueError: it is not registered.
        """
        source = self._sources.get(sock.fileno())
        if source is None or source.sock is not sock or self._poller is None:
            raise ValueError(f"descriptor {sock.fileno()} is not registered")
        self._poller.watch(source.fd, read=read, write=write)
        source.wish(read=read, write=write)

    def unregister(self, sock: socket.socket) -> None:
        """Watch a socket no longer, open or closed; harmless if it is not registered."""
        for source in (self._sources.get(sock.fileno()), *self._sources.values()):
            if source is not None and source.sock is sock and self._poller is not None:
                source.interest = 0
                self._poller.forget(source.fd)
                del self._sources[source.fd]
                if source.pending is not None:
                    self._tls.remove(source)
                return

    def get(self) -> Any:
        """The next item, or `SocketReady`; waits for it."""
        while self._sources:
            waits = False
            with self._lock:
                if self._control:
                    return self._control.popleft()
                if self._is_closed:
                    return CLOSED
                if self._messages:
                    if self._messages_turn:
                        self._messages_turn = False
                        return self._messages.popleft()
                elif not self._ready and self._wakeup is not None:
                    waits = True
                    self._waker = self._wakeup.set
            ready = self._ready
            is_idle = not ready and not self._ask(self._patience if waits else 0) and waits
            while ready:
                source, bits = ready.popleft()
                bits &= source.interest  # which may have changed since the system was asked
                if bits:
                    self._messages_turn = True
                    return source.events.get(bits) or source.event(bits)
            with self._lock:
                if self._messages and not self._control:
                    return self._messages.popleft()
                if is_idle and not self._control and not self._is_closed:
                    return IDLE
        return super().get()

    def _ask(self, seconds: float | None) -> bool:
        """Ask the system what is ready, and wait so long; returns whether anything was."""
        poller, wakeup = self._poller, self._wakeup
        if poller is None or wakeup is None:
            return False
        decrypted = [s for s in self._tls if s.has_decrypted()] if self._tls else ()
        ready = poller.wait(0 if decrypted else seconds)
        self._waker = None  # who has just taken it wakes nobody, which harms nobody
        for fd, bits in ready:
            source = self._sources.get(fd)
            if source is None:
                wakeup.clear()
                continue
            if bits & HANGUP and not source.interest & READABLE:
                # or the system would repeat it without end
                poller.mute(fd, write=bool(source.interest & WRITABLE))
            self._ready.append((source, bits))
        for source in decrypted:
            if source.fd not in dict(ready):
                self._ready.append((source, READABLE))
        return bool(ready or decrypted)

    def release(self) -> None:
        """Give the inbox's own descriptors back; the sockets are their owners' business."""
        with self._lock:
            self._is_closed = True
            self._waker = None
            poller, self._poller = self._poller, None
            wakeup, self._wakeup = self._wakeup, None
            lender, self._lender = self._lender, None
        if poller is not None and wakeup is not None:
            if lender is None:
                poller.close()
                wakeup.close()
            else:
                for fd in self._sources:
                    poller.forget(fd)
                lender.take_back()
        self._sources.clear()
        self._tls.clear()
        self._ready.clear()

    def _begin_to_watch(self) -> Poller:
        thread = None if self._many else current_thread_of_actor()
        is_own = thread is not None and thread.actor_ref.actor_inbox is self
        lent = thread.lend() if thread is not None and is_own else None
        self._lender = None if lent is None else thread
        self._poller, self._wakeup = lent or make_waiting(many=self._many)
        return self._poller
