"""A TCP proxy between a real client and a real server that delays, cuts, corrupts or stalls."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import TYPE_CHECKING, Final, Self

from dicom_actors.supervision import SystemClock, TimerService
from dicom_actors.testing.faulty_link import FaultyLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.supervision import Clock
    from dicom_actors.testing.faulty_link import LinkFault

__all__ = ["FaultyProxy"]

_RESET_ON_CLOSE: Final = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds
_CONNECT_SECONDS: Final = 10.0


class FaultyProxy:
    """Listens on a free port of the loopback interface, and forwards to a server.

    Each connection has the same faults. Offsets count the bytes of one connection in one
    direction, from 0. One thread serves all connections; it ends with `close`, or with the block
    as a context manager, and so do the connections.

    Args:
        port: the server's port.
        host: the server's address.
        to_server: faults on the way from the client to the server.
        to_client: faults on the way back.
        clock: what delays are measured with; None: the system's.

    Attributes:
        port: the port to connect to.
    """

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        *,
        to_server: Sequence[LinkFault] = (),
        to_client: Sequence[LinkFault] = (),
        clock: Clock | None = None,
    ) -> None:
        self._target = (host, port)
        self._faults = (tuple(to_server), tuple(to_client))
        self._clock = SystemClock() if clock is None else clock
        self._timers = TimerService(self._clock)
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._wake, self._woken = socket.socketpair()
        for end in (self._listening, self._wake, self._woken):
            end.setblocking(False)
        self._pairs: list[_Pair] = []
        self._accepted = 0
        self._is_released = False
        self._is_closed = False
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self.port: Final[int] = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="faulty-proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def accepted(self) -> int:
        """How many connections there were."""
        return self._accepted

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._pairs)

    def release(self) -> None:
        """Let everything go on that stalls, and let nothing stall any more."""
        self._is_released = True
        self._notify()

    def close(self) -> None:
        """End all connections and the proxy; a second call does nothing."""
        self._is_closed = True
        self._notify()
        self._thread.join()
        self._timers.close()

    # --- the thread --------------------------------------------------------------------------

    def _notify(self, _: object = None) -> None:
        # Full: it will wake up; closed: it has ended.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def _run(self) -> None:
        while not self._is_closed:
            for key, _ in self._selector.select():
                if key.fileobj is self._listening:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
            for pair in list(self._pairs):
                self._serve(pair)
        for pair in list(self._pairs):
            self._end(pair, reset=False)
        self._selector.close()
        for end in (self._listening, self._wake, self._woken):
            end.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError:
            return  # the client was faster
        self._accepted += 1
        try:
            server = socket.create_connection(self._target, _CONNECT_SECONDS)
        except OSError:
            _close(client, reset=True)
            return
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = ((client, server, self._faults[0]), (server, client, self._faults[1]))
        self._pairs.append(
            _Pair(
                client,
                server,
                tuple(
                    FaultyLink(source, sink, faults, self._clock.monotonic, self._wake_at)
                    for source, sink, faults in ways
                ),
            )
        )

    def _wake_at(self, due: float) -> None:
        self._timers.send_at(due, self._notify, None)

    def _serve(self, pair: _Pair) -> None:
        try:
            for link in pair.links:
                if self._is_released:
                    link.release()
                if link.wants_input:
                    link.read()
                link.write()
        except OSError:
            self._end(pair, reset=True)
            return
        cut = next((link.is_cut for link in pair.links if link.is_cut), None)
        if cut is not None:
            self._end(pair, reset=cut.reset)
        elif all(link.is_over for link in pair.links):
            self._end(pair, reset=False)
        else:
            pair.watch(self._selector)

    def _end(self, pair: _Pair, *, reset: bool) -> None:
        self._pairs.remove(pair)
        pair.unwatch(self._selector)
        for end in (pair.client, pair.server):
            _close(end, reset=reset)


class _Pair:
    """The two connections of one client, and what the selector knows of them."""

    def __init__(
        self, client: socket.socket, server: socket.socket, links: tuple[FaultyLink, ...]
    ) -> None:
        self.client = client
        self.server = server
        self.links = links
        self._watched: dict[socket.socket, int] = {}

    def watch(self, selector: selectors.BaseSelector) -> None:
        """Let `selector` look for what can happen next."""
        for end in (self.client, self.server):
            events = 0
            for link in self.links:
                if link.source is end and link.wants_input:
                    events |= selectors.EVENT_READ
                if link.sink is end and link.is_blocked:
                    events |= selectors.EVENT_WRITE
            before = self._watched.get(end, 0)
            self._watched[end] = events
            if events and before:
                selector.modify(end, events)
            elif events:
                selector.register(end, events)
            elif before:
                selector.unregister(end)

    def unwatch(self, selector: selectors.BaseSelector) -> None:
        """Let `selector` forget both."""
        for end, events in self._watched.items():
            if events:
                selector.unregister(end)


def _close(end: socket.socket, *, reset: bool) -> None:
    if reset:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.close()
