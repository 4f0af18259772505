"""The sockets of parked connections: which of thousands has something to say.

Armed from any thread, one time each. epoll(7) and kqueue(2) are themselves descriptors that can be
watched; elsewhere somebody has to ask from time to time. A socket that is closed is forgotten.
"""

from __future__ import annotations

import select
import selectors
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord

__all__ = ["ParkedSockets", "parked_sockets"]

_AT_A_TIME = 256


class ParkedSockets(Protocol):
    """See the module.

    Attributes:
        is_watchable: whether `fileno` gives a descriptor that is readable while one is ready.
    """

    is_watchable: bool

    def arm(self, record: ConnectionRecord, *, read: bool, write: bool) -> None:
        """Watch a socket, once, until it is readable or writable, or its peer is gone.

        Not every system tells of the peer's end where neither is asked for.
        """

    def collect(self) -> list[ConnectionRecord]:
        """Some of those that are ready, each once for each `arm`; perhaps one too many."""

    def forget(self, record: ConnectionRecord) -> None:
        """Watch a socket no longer, which is about to be closed."""

    def fileno(self) -> int:
        """The descriptor to watch."""

    def close(self) -> None:
        """Give back what it holds."""


def parked_sockets() -> ParkedSockets:
    """Return the best that the system has."""
    if hasattr(select, "epoll"):
        return _EpollSockets()
    return _KqueueSockets() if hasattr(select, "kqueue") else _PolledSockets()


class _KernelSockets:
    """What epoll and kqueue have in common: the system forgets what is closed, we do later."""

    is_watchable = True

    def __init__(self) -> None:
        self._records: dict[int, ConnectionRecord] = {}

    def _enter(self, record: ConnectionRecord) -> int:
        """Note a record under its descriptor, which may have been a closed one's before."""
        number = record.transport.socket.fileno()
        if number >= 0:
            self._records[number] = record
        return number

    def forget(self, record: ConnectionRecord) -> None:
        number = record.transport.socket.fileno()
        if self._records.get(number) is record:
            self._records.pop(number, None)

    def _records_of(self, numbers: list[int]) -> list[ConnectionRecord]:
        return [self._records.pop(n) for n in numbers if n in self._records]


class _EpollSockets(_KernelSockets):
    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()

    def arm(self, record: ConnectionRecord, *, read: bool, write: bool) -> None:
        number = self._enter(record)
        if number < 0:
            return
        events = select.EPOLLRDHUP | select.EPOLLONESHOT
        events |= (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
        # Between the two calls nothing can be closed but by others: then there is nothing to do.
        with suppress(OSError):
            try:
                self._epoll.modify(number, events)
            except FileNotFoundError:
                self._epoll.register(number, events)

    def collect(self) -> list[ConnectionRecord]:
        return self._records_of([number for number, _ in self._epoll.poll(0, _AT_A_TIME)])

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        self._epoll.close()
        self._records.clear()


class _KqueueSockets(_KernelSockets):
    def __init__(self) -> None:
        super().__init__()
        self._queue: Any = select.kqueue()  # type: ignore[attr-defined]  # not on Linux

    def arm(self, record: ConnectionRecord, *, read: bool, write: bool) -> None:
        number = self._enter(record)
        if number < 0:
            return
        kq: Any = select  # the names are not there on Linux
        flags = kq.KQ_EV_ADD | kq.KQ_EV_ONESHOT
        filters = ((kq.KQ_FILTER_READ, read), (kq.KQ_FILTER_WRITE, write))
        events = [kq.kevent(number, kind, flags) for kind, wanted in filters if wanted]
        with suppress(OSError):
            self._queue.control(events, 0)

    def collect(self) -> list[ConnectionRecord]:
        return self._records_of([e.ident for e in self._queue.control(None, _AT_A_TIME, 0)])

    def fileno(self) -> int:
        return int(self._queue.fileno())

    def close(self) -> None:
        self._queue.close()
        self._records.clear()


class _PolledSockets:
    """Any selector, asked from time to time."""

    is_watchable = False

    def __init__(self) -> None:
        self._lock = Lock()
        self._armed: dict[int, tuple[ConnectionRecord, int]] = {}

    def arm(self, record: ConnectionRecord, *, read: bool, write: bool) -> None:
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        with self._lock:
            self._armed[record.id] = (record, events)

    def collect(self) -> list[ConnectionRecord]:
        with self._lock:
            self._armed = {key: one for key, one in self._armed.items() if not one[0].is_closed}
            armed = list(self._armed.values())
        with selectors.DefaultSelector() as selector:
            for record, events in armed:
                with suppress(OSError, ValueError, KeyError):
                    selector.register(record.transport.socket, events, record)
            ready = [key.data for key, _ in selector.select(0)] if selector.get_map() else []
        with self._lock:
            for record in ready:
                self._armed.pop(record.id, None)
        return ready

    def forget(self, record: ConnectionRecord) -> None:
        with self._lock:
            self._armed.pop(record.id, None)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self._armed.clear()
