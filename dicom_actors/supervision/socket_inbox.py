"""An inbox with sockets in it: whichever is ready comes out as the next message.

Leaves to others: reading and writing; a socket here is only watched, never touched or closed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.supervision.inbox import CLOSED, Inbox
from dicom_actors.supervision.readiness import (
    HANGUP,
    READABLE,
    WRITABLE,
    Poller,
    Wakeup,
    make_poller,
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
        event = self.events.get(bits)
        if event is None:
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
        # made with the first socket, so that an inbox that never runs holds no descriptor
        self._poller: Poller | None = None
        self._wakeup: Wakeup | None = None

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
        if self._poller is None:
            self._poller = make_poller(many=self._many)
            self._wakeup = Wakeup()
            self._poller.watch(self._wakeup.fd, read=True, write=False)
        self._poller.watch(source.fd, read=read, write=write)
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
        if not self._sources:
            return super().get()
        while True:
            with self._lock:
                if self._control:
                    return self._control.popleft()
                if self._is_closed:
                    return CLOSED
                if self._messages:
                    if self._messages_turn:
                        self._messages_turn = False
                        return self._messages.popleft()
                elif not self._ready:
                    self._is_waiting = True
            event = self._next_ready()
            if event is not None:
                self._messages_turn = True
                return event
            with self._lock:
                if self._messages and not self._control:
                    return self._messages.popleft()

    def _next_ready(self) -> SocketReady | None:
        """The next ready socket; waits only where `get` has set the flag for it."""
        if not self._ready:
            self._poll()
        while self._ready:
            source, bits = self._ready.popleft()
            bits &= source.interest  # which may have changed since the system was asked
            if bits:
                return source.event(bits)
        return None

    def _poll(self) -> None:
        if self._poller is None or self._wakeup is None:
            return
        decrypted = [source for source in self._tls if source.has_decrypted()]
        ready = self._poller.wait(block=self._is_waiting and not decrypted)
        self._is_waiting = False
        for fd, bits in ready:
            source = self._sources.get(fd)
            if source is None:
                self._wakeup.clear()
                continue
            if bits & HANGUP and not source.interest & READABLE:
                # or the system would repeat it without end
                self._poller.mute(fd, write=bool(source.interest & WRITABLE))
            self._ready.append((source, bits))
        for source in decrypted:
            if source.fd not in dict(ready):
                self._ready.append((source, READABLE))

    def release(self) -> None:
        """Close the inbox's own descriptors; the sockets are their owners' business."""
        with self._lock:
            self._is_closed = True
            self._is_waiting = False
            poller, self._poller = self._poller, None
            wakeup, self._wakeup = self._wakeup, None
        self._sources.clear()
        self._tls.clear()
        self._ready.clear()
        if poller is not None and wakeup is not None:
            poller.close()
            wakeup.close()

    def _wake_reader(self) -> None:
        if self._sources and self._wakeup is not None:
            self._wakeup.set()
        else:
            super()._wake_reader()
