"""The tables of an endpoint that outlive every actor below it.

Part of the error kernel: the listening socket, the connection records, the handlers, the
subscribers and the counters. Passive, locked where more than one thread changes something,
decodes nothing. The EndpointSupervisor makes one and hands it to its children as a start argument,
so that a child that crashed finds everything again.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import time
from collections import deque
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

from dicom_actors import events
from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.connection.input_buffer import BufferPool
from dicom_actors.actors.connection.record import ConnectionRecord
from dicom_actors.actors.connection.signals import Deliver, Drained, PlaceFree
from dicom_actors.actors.kernel.attendance import Attendance
from dicom_actors.actors.kernel.callers import Callers
from dicom_actors.actors.kernel.circuit_breakers import CircuitBreakers
from dicom_actors.actors.kernel.event_loop import EventLoop
from dicom_actors.actors.kernel.handler_slots import HandlerSlots
from dicom_actors.actors.kernel.listening_socket import listen
from dicom_actors.actors.kernel.watch import Watch
from dicom_actors.actors.storing.budget import ByteBudget
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.data import Limits
from dicom_actors.dimse import CommandShapes, ResponseTemplates
from dicom_actors.supervision import RestartWindow, announce, close_in_child, kill
from dicom_actors.upper_layer import KnownRequests, UpperLayerLimits

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop

    from pykka import ActorRef

    from dicom_actors.actors.connection.request import Request
    from dicom_actors.actors.kernel.handler_table import HandlerTable
    from dicom_actors.actors.kernel.shared_port import SharedPort
    from dicom_actors.config import EndpointConfig
    from dicom_actors.supervision import SupervisedRef, System
    from dicom_actors.upper_layer import NegotiationPolicy

__all__ = ["EndpointKernel"]

_READ_LENGTH = 1 << 20
_PLENTY_OF_BUFFERS = 16
_MAX_WAITING_EVENTS = 10_000
_MAX_REJECTED_AT_ONCE = 64
_LOOK_AGAIN_SECONDS = 0.1
_PATIENCE_WHEN_FULL = 1.0
"""Seconds for which a peer may say nothing while others wait for its place."""


class EndpointKernel:
    """See the module.

    Args:
        config: the endpoint's configuration.
        handlers: its event handlers.
        listening_socket: bound and listening, not blocking; None while suspended.
        system: the clock and the timers of the tree.
        host_loop: where coroutines run; None: on a loop of the endpoint's own.
        max_connections: how many connections there are descriptors for; None: no limit is known.
        shared: the port that `listening_socket` is of, if other processes have it, too.
    """

    def __init__(
        self,
        config: EndpointConfig,
        handlers: HandlerTable,
        listening_socket: socket.socket,
        system: System,
        host_loop: AbstractEventLoop | None = None,
        max_connections: int | None = None,
        shared: SharedPort | None = None,
    ) -> None:
        self._shared = shared
        self.config = config
        self.handlers = handlers
        self.policy: NegotiationPolicy | None = None
        self.upper_layer_limits = UpperLayerLimits(max_pdu_length=config.max_pdu_length)
        self.known_requests = KnownRequests(self.upper_layer_limits)
        self.command_shapes = CommandShapes()
        self.response_templates = ResponseTemplates()
        self.element_limits = _element_limits(config)
        self.inflated = ByteBudget(config.max_inflated_bytes)
        self.listening_socket: socket.socket | None = listening_socket
        close_in_child(listening_socket)
        self.system = system
        self.clock = system.clock
        self.timers = system.timers
        self.event_loop = EventLoop(system, host_loop)
        self.tls: ssl.SSLContext | None = None
        # Cleared by the EventBus before it looks for events, so that none is left behind.
        self.is_delivery_due = False
        self.event_bus: ActorRef[Any] | None = None
        self.listener: ActorRef[Any] | None = None
        self.root: SupervisedRef[Any] | None = None
        self.endpoint: SupervisedRef[Any] | None = None
        self.host = ""
        self.address: tuple[str, int] = listening_socket.getsockname()[:2]
        self.max_connections = max_connections
        self.is_draining = False
        self.is_asked_to_stop = False
        self.watch = Watch()
        self.attendance = Attendance(self)
        self.callers = Callers(None if shared is None else shared.places)
        self.handler_slots = HandlerSlots(config.max_handlers)
        self.buffers = BufferPool(
            max(_READ_LENGTH, config.max_pdu_length) + 64 * 1024, _PLENTY_OF_BUFFERS, Lock()
        )
        self.storage = Storage(config, system.log)
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
        self._is_looking_again = False
        self.is_traced = False
        self.is_subscribed = False  # whether anybody wants any events
        self._subscribers: dict[str, tuple[ActorRef[Any], frozenset[type]]] = {}
        # What the subscribers want, taken together; None: everything.
        self._wanted: frozenset[type] | None = frozenset()
        self._waiting_events: deque[Any] = deque(maxlen=_MAX_WAITING_EVENTS)
        self.undelivered_events = 0
        self._displaced_events = count()
        self._displaced = 0

    def configure(self, config: EndpointConfig) -> None:
        """Have another configuration from now on."""
        self.config, self.policy = config, None
        self.element_limits = _element_limits(config)
        self.inflated.limit = config.max_inflated_bytes

    def data_set_limits(self) -> Limits:
        """Make the limits of one data set; what it inflates to counts as long as it is kept."""
        config = self.config
        return Limits(
            max_depth=config.max_sequence_depth,
            max_elements=config.max_elements,
            take_inflated=self.inflated.share().take,
        )

    def handle_with(self, handlers: HandlerTable) -> None:
        """Have other event handlers from now on."""
        self.handlers, self.policy = handlers, None

    @property
    def abort_source(self) -> int:
        """The source of an A-ABORT when the endpoint ends (PS3.8 9.3.8): the user's, or ours."""
        return 0 if self.is_asked_to_stop else 2

    def stop_listening(self) -> bool:
        """Refuse connections from now on; returns whether they were accepted."""
        with self._accepting:
            listening_socket, self.listening_socket = self.listening_socket, None
            if listening_socket is not None and self._shared is None:
                # Or it would go on to listen for as long as the Listener's thread waits for it.
                with contextlib.suppress(OSError):
                    listening_socket.shutdown(socket.SHUT_RDWR)
                listening_socket.close()
        self.tell_listener()
        return listening_socket is not None

    def listen_again(self) -> None:
        """Accept connections again, on the same port.

        Raises:
            TransportError: the port cannot be bound; then nothing has changed.
        """
        with self._accepting:
            if self.listening_socket is None and self._shared is not None:
                self.listening_socket = self._shared.socket
            elif self.listening_socket is None:
                self.listening_socket = listen(self.host, self.address[1])
                close_in_child(self.listening_socket)
        self.tell_listener()

    def tell_listener(self) -> None:
        """Have the Listener look whether it may accept."""
        if self.listener is not None:
            announce(self.listener, PlaceFree())

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
            if self._shared is not None and not self._shared.places.take(self._most()):
                return None  # another process was faster; the next look finds it full
            try:
                connection, address = self.listening_socket.accept()
            except BaseException:
                if self._shared is not None:
                    self._shared.places.give_back()
                raise
            number = None if self._shared is None else self._shared.places.next_number()
            close_in_child(connection)
            connection.setblocking(False)
            # Two small writes under Nagle's algorithm are a stall of 40 ms for every message.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            now = self.clock.monotonic()
            with self._lock:
                config = self.config
                record = ConnectionRecord(
                    number or next(self._ids),
                    connection,
                    _peer_of(address),
                    now,
                    self.buffers,
                    RestartWindow(config.connection_restarts, config.connection_restart_period),
                )
                record.incarnation.deadlines.artim = now + config.artim_timeout
                self._records[record.id] = record
                self._opened += 1
        record.wait_for_first_byte(self.attendance.attend)
        self.set_timer(record)
        return record

    def set_timer(self, record: ConnectionRecord) -> None:
        """Have the Association of a connection look at the clock when something is due.

        Deadlines move with every message. A timer that is too early costs a look at the clock
        once in a while; moving the timer each time would cost more.
        """
        earliest = record.incarnation.deadlines.earliest()
        timer = record.timer
        if earliest is None or (timer is not None and timer.due <= earliest):
            return
        if timer is not None:
            timer.cancel()
        record.timer = self.timers.send_at(
            earliest, functools.partial(self._time_is_up, record), None
        )

    def _time_is_up(self, record: ConnectionRecord, _: Any) -> None:
        record.timer = None
        if record.is_closed:
            return
        if record.incarnation.deadlines.due(self.clock.monotonic()) is None:
            self.set_timer(record)
        elif record.is_handed_over:
            record.poke()
        elif record.unpark():
            self.remove_connection(record)  # it has never said anything

    def real_time(self) -> float:
        """Monotonic seconds of the machine, whatever the clock of the tree says."""
        return time.monotonic()

    def remove_connection(self, record: ConnectionRecord, epoch: int | None = None) -> None:
        """Close a connection, forget it and tell; a second call does nothing.

        Args:
            record: the connection's.
            epoch: of the incarnation that wants it, which does nothing if it was replaced; None:
                for whoever does not depend on one.
        """
        if not record.is_closed:
            self._close(record, epoch)
        if not record.is_closed:
            return
        with self._lock:
            known = self._records.pop(record.id, None)
            if known is not None and self._shared is not None:
                self._shared.places.give_back()
            self.requests += record.answered if known else 0
            self.ignored_cancels += record.ignored_cancels if known else 0
            self.restarts += record.restarts if known else 0
            is_last = not self._records
        self.callers.leave(record)
        self.attendance.leave(record)
        if is_last and self.is_draining and self.endpoint is not None:
            announce(self.endpoint, Drained())
        if known is None:
            return
        timer, record.timer = record.timer, None
        if timer is not None:
            timer.cancel()
        if self._subscribers and record.is_handed_over:
            self.publish(
                events.AssociationClosed(
                    association_info(record),
                    record.incarnation.end_reason,
                    record.incarnation.end_detail,
                    record.answered,
                    record.negotiated is not None,
                )
            )
        if self._is_someone_waiting and self.listener is not None:
            self._is_someone_waiting = False
            announce(self.listener, PlaceFree())

    def _close(self, record: ConnectionRecord, epoch: int | None) -> None:
        """Close a connection; handlers that still run keep their deadlines."""
        running = [r for r in record.requests if r.handler is not None and r.outcome is None]
        self.watch.sockets.forget(record)
        if not record.close(epoch):
            return
        for request in running:
            if request.due is not None and request.handler is not record.association:
                grace = 0.0 if request.is_warned else self.config.handler_grace
                self.timers.send_at(request.due + grace, functools.partial(_give_up, request), None)

    def may_not_accept(self) -> bool:
        """Whether as many connections are open as may be; then a free place is told later."""
        limit = self._most()
        if limit is None:
            return False
        if self._shared is not None and self._shared.places.is_full(limit):
            # One that ends elsewhere is told to nobody here.
            if not self._is_looking_again:
                self._is_looking_again = True
                self.timers.send_after(_LOOK_AGAIN_SECONDS, self._look_again, None)
            self._hurry()
            return True
        with self._lock:
            self._is_someone_waiting = len(self._records) >= limit
            is_full = self._is_someone_waiting
        if is_full:
            self._hurry()
        return is_full

    def _look_again(self, _: Any) -> None:
        self._is_looking_again = False
        self.tell_listener()

    def _most(self) -> int | None:
        """How many connections may be open; None: no limit is known."""
        limit = self.config.max_associations
        if limit is not None and self.config.when_full == "reject":
            limit += _MAX_REJECTED_AT_ONCE
        if self.max_connections is not None:
            limit = self.max_connections if limit is None else min(limit, self.max_connections)
        return limit

    def _hurry(self) -> None:
        """Have less patience, while others wait, with those that have said nothing yet."""
        for record in self.connections:
            if not record.is_handed_over:
                deadlines = record.incarnation.deadlines
                soon = record.since + _PATIENCE_WHEN_FULL
                if deadlines.artim is None or soon < deadlines.artim:
                    deadlines.artim = soon
                    self.set_timer(record)

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
        asked = [kinds for _, kinds in self._subscribers.values()]
        self.is_traced = any(events.PduTraced in kinds for kinds in asked)
        self._wanted = None if not all(asked) else frozenset().union(*asked)
        self.is_subscribed = bool(asked)

    @property
    def subscribers(self) -> tuple[tuple[ActorRef[Any], frozenset[type]], ...]:
        """The subscribers and what they want; empty means all."""
        return tuple(self._subscribers.values())

    def wants(self, kind: type) -> bool:
        """Whether anybody wants events of a kind: whether making one is worth it."""
        return self._wanted is None or kind in self._wanted

    def publish(self, event: Any) -> None:
        """Queue an event for the EventBus; the oldest is lost when too many wait."""
        if self.wants(type(event)):
            if len(self._waiting_events) == _MAX_WAITING_EVENTS:
                self._displaced = next(self._displaced_events) + 1  # one step, for any thread
            self._waiting_events.append(event)
            if self.event_bus is not None and not self.is_delivery_due:
                self.is_delivery_due = True
                announce(self.event_bus, Deliver())

    @property
    def dropped_events(self) -> int:
        """How many events some subscriber, or all, did not get, as too many waited."""
        return self.undelivered_events + self._displaced

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


def _give_up(request: Request, _: Any) -> None:
    """End the wait for a handler whose peer is gone, too."""
    if request.handler is not None:
        kill(request.handler)


def _element_limits(config: EndpointConfig) -> Limits:
    return Limits(max_depth=config.max_sequence_depth, max_elements=config.max_elements)
