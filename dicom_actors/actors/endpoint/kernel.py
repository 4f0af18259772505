"""The tables of an endpoint that outlive every actor below it.

Part of the error kernel: the listening socket, the connection records, the handlers, the
subscribers and the counters. Passive, locked where more than one thread changes something,
decodes nothing. The Endpoint makes one and hands it to its children as a start argument, so that
a child that crashed finds everything again.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

from dicom_actors import events
from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.connection.input_buffer import BufferPool
from dicom_actors.actors.connection.record import ConnectionRecord
from dicom_actors.actors.connection.signals import Deliver, Drained, EndHandler, PlaceFree
from dicom_actors.actors.handlers.event_loop import EventLoop
from dicom_actors.actors.retrieving.circuit_breakers import CircuitBreakers
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.supervision import cast

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from pykka import ActorRef

    from dicom_actors.actors.connection.fault_points import FaultPoints
    from dicom_actors.actors.handlers.table import HandlerTable
    from dicom_actors.config import EndpointConfig
    from dicom_actors.supervision import System

__all__ = ["EndpointKernel"]

_READ_LENGTH = 1 << 20
_PLENTY_OF_BUFFERS = 16
_MAX_WAITING_EVENTS = 10_000
_MAX_REJECTED_AT_ONCE = 64


class EndpointKernel:
    """See the module.

    Args:
        config: the endpoint's configuration.
        handlers: its event handlers.
        listening_socket: bound and listening, not blocking; None while suspended.
        system: the clock and the timers of the tree.
        host_loop: where coroutines run; None: on a loop of the endpoint's own.
    """

    def __init__(
        self,
        config: EndpointConfig,
        handlers: HandlerTable,
        listening_socket: socket.socket,
        system: System,
        host_loop: AbstractEventLoop | None = None,
    ) -> None:
        self.config = config
        self.handlers = handlers
        self.listening_socket: socket.socket | None = listening_socket
        self.system = system
        self.clock = system.clock
        self.timers = system.timers
        self.event_loop = EventLoop(system, host_loop)
        self.tls: ssl.SSLContext | None = None
        self.faults: FaultPoints | None = None
        self.association_supervisor: ActorRef[Any] | None = None
        self.event_bus: ActorRef[Any] | None = None
        self.listener: ActorRef[Any] | None = None
        self.endpoint: ActorRef[Any] | None = None
        self.is_draining = False
        self.buffers = BufferPool(
            max(_READ_LENGTH, config.max_pdu_length) + 64 * 1024, _PLENTY_OF_BUFFERS, Lock()
        )
        self.storage = Storage(config)
        self.circuit_breakers = CircuitBreakers(
            system.clock, config.destination_failures, config.destination_pause
        )
        self.restarts = 0
        self.requests = 0
        self.ignored_cancels = 0
        self._lock = Lock()
        self._accepting = Lock()
        self._ids = count(1)
        self._records: dict[int, ConnectionRecord] = {}
        self._opened = 0
        self._is_someone_waiting = False
        self.is_traced = False
        self._subscribers: dict[str, tuple[ActorRef[Any], frozenset[type]]] = {}
        self._waiting_events: deque[Any] = deque(maxlen=_MAX_WAITING_EVENTS)

    def be_listener(self, listener: ActorRef[Any]) -> None:
        """Let `listener`, and no other, accept from now on."""
        with self._accepting:
            self.listener = listener

    def accept(self, listener: ActorRef[Any]) -> ConnectionRecord | None:
        """Accept a connection for `listener` and make its record, which owns the socket.

        Returns:
            The record; None if `listener` was replaced: then the next one has taken over.

        Raises:
            OSError: as `socket.accept` does.
        """
        with self._accepting:
            if self.listener is not listener or self.listening_socket is None:
                return None
            connection, address = self.listening_socket.accept()
            connection.setblocking(False)
            # Two small writes under Nagle's algorithm are a stall of 40 ms for every message.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            now = self.clock.monotonic()
            with self._lock:
                record = ConnectionRecord(
                    next(self._ids), connection, _peer_of(address), now, self.buffers
                )
                record.tenure.deadlines.artim = now + self.config.artim_timeout
                self._records[record.id] = record
                self._opened += 1
        return record

    def remove_connection(self, record: ConnectionRecord, epoch: int | None = None) -> None:
        """Close a connection, forget it and tell; a second call does nothing.

        Args:
            record: the connection's.
            epoch: of the incarnation that wants it, which does nothing if it was replaced; None:
                for whoever does not depend on one.
        """
        record.close(epoch)
        if not record.is_closed:
            return
        with self._lock:
            known = self._records.pop(record.id, None)
            self.requests += record.answered if known else 0
            self.ignored_cancels += record.ignored_cancels if known else 0
            self.restarts += record.restarts if known else 0
            is_last = not self._records
        if is_last and self.is_draining and self.endpoint is not None:
            cast(self.endpoint, Drained())
        if known is None:
            return
        if self.association_supervisor is not None:
            for handler in record.handlers:
                cast(self.association_supervisor, EndHandler(handler))
        if self._subscribers and record.is_handed_over:
            self.publish(
                events.AssociationClosed(
                    association_info(record),
                    record.tenure.end_reason,
                    record.tenure.end_detail,
                    record.answered,
                    record.negotiated is not None,
                )
            )
        if self._is_someone_waiting and self.listener is not None:
            self._is_someone_waiting = False
            cast(self.listener, PlaceFree())

    def may_not_accept(self) -> bool:
        """Whether as many connections are open as may be; then a free place is told later."""
        limit = self.config.max_associations
        if limit is None:
            return False
        if self.config.when_full == "reject":
            limit += _MAX_REJECTED_AT_ONCE
        with self._lock:
            self._is_someone_waiting = len(self._records) >= limit
            return self._is_someone_waiting

    def open_calling_ae_titles(self, besides: ConnectionRecord) -> Iterator[str]:
        """The calling AE titles of the associations that are open or asked for, but for one."""
        for record in self.connections:
            if record is not besides and record.association_rq is not None and not record.is_ending:
                yield record.association_rq.calling_ae_title

    @property
    def connections(self) -> tuple[ConnectionRecord, ...]:
        """The records of all open connections, oldest first."""
        with self._lock:
            return tuple(self._records.values())

    def connection(self, record_id: int) -> ConnectionRecord | None:
        """The record of that number."""
        return self._records.get(record_id)

    @property
    def opened(self) -> int:
        """Connections accepted since the start."""
        return self._opened

    def subscribe(self, ref: ActorRef[Any], kinds: frozenset[type]) -> None:
        """Send events to `ref`; a second subscription replaces the first."""
        with self._lock:
            self._subscribers = {**self._subscribers, ref.actor_urn: (ref, kinds)}
            self._note_tracing()

    def unsubscribe(self, ref: ActorRef[Any]) -> bool:
        """Send no more events to `ref`; says whether it had subscribed."""
        with self._lock:
            left = {urn: one for urn, one in self._subscribers.items() if urn != ref.actor_urn}
            known = len(left) != len(self._subscribers)
            self._subscribers = left
            self._note_tracing()
        return known

    def _note_tracing(self) -> None:
        self.is_traced = any(events.PduTraced in kinds for _, kinds in self._subscribers.values())

    @property
    def subscribers(self) -> tuple[tuple[ActorRef[Any], frozenset[type]], ...]:
        """The subscribers and what they want; empty means all."""
        return tuple(self._subscribers.values())

    @property
    def has_subscribers(self) -> bool:
        """Whether making an event is worth it."""
        return bool(self._subscribers)

    def publish(self, event: Any) -> None:
        """Queue an event for the EventBus; the oldest is lost when too many wait."""
        if self._subscribers:
            self._waiting_events.append(event)
            if self.event_bus is not None:
                cast(self.event_bus, Deliver())

    def next_event(self) -> Any | None:
        """Take the oldest queued event; None if there is none."""
        try:
            return self._waiting_events.popleft()
        except IndexError:
            return None

    def limit_reached(self, name: str, detail: str) -> None:
        """Publish that a limit of the configuration was met."""
        self.publish(events.LimitReached(name, detail))


def _peer_of(address: tuple[Any, ...]) -> tuple[str, int]:
    # An IPv4 peer of a socket for both families shows as an IPv6 address.
    return str(address[0]).removeprefix("::ffff:"), int(address[1])
