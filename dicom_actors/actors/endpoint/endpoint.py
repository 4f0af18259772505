"""The Endpoint: root of the supervision tree and front door for host applications.

It owns what outlives its children: the listening socket and the tables of the kernel. It decodes
nothing and runs no user code.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors import messages
from dicom_actors.actors.association.supervisor import AssociationSupervisor
from dicom_actors.actors.connection.fault_points import FaultPoints
from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.connection.signals import (
    AbortNow,
    ArmCrashPoint,
    DrainDeadline,
    Drained,
    DropConnection,
    GetKernel,
    PlaceFree,
)
from dicom_actors.actors.endpoint.event_bus import EventBus, deliver_events
from dicom_actors.actors.endpoint.kernel import EndpointKernel
from dicom_actors.actors.endpoint.listener import Listener
from dicom_actors.actors.endpoint.listening_socket import listen
from dicom_actors.actors.endpoint.tree import publish_report, tree_of
from dicom_actors.actors.handlers.table import HandlerTable
from dicom_actors.config import EndpointConfig
from dicom_actors.data.preloading import preload
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.supervision import (
    INFINITY,
    ChildSpec,
    ChildType,
    Strategy,
    Supervisor,
    cast,
)

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop

    from dicom_actors.messages import EventHandlers
    from dicom_actors.supervision import ExitReason, Reply, SupervisedRef, Timer
    from dicom_actors.tls import TlsConfig

__all__ = ["Endpoint"]


class _Drain(NamedTuple):
    """A drain under way: who waits for its end, its timer, with how many connections it began."""

    reply: Reply
    timer: Timer
    connections: int


class Endpoint(Supervisor):
    """A DICOM service class provider.

    ``Endpoint.start(port=4242, event_handlers=...)`` starts one and returns its ref; host
    applications talk to that with `dicom_actors.messages`, and end it with ``stop()``.

    Args:
        port: TCP port; 0 picks one, which `messages.GetStatus` tells.
        host: the address to bind to; empty: all, IPv6 too where the system has it.
        event_handlers: a mapping, or pairs, of names and handlers: ``association_validator``,
            ``cecho``, ``cstore``. A handler is a callable, or the ref of an actor.
        config: limits and time-outs.
        event_loop: a running event loop of the host application, for handlers that are coroutine
            functions or async generators; None: a loop of the endpoint's own.

    Raises:
        ConfigurationError: an event handler or the port is wrong.
    """

    def __init__(
        self,
        port: int = 4242,
        *,
        host: str = "",
        event_handlers: EventHandlers = (),
        config: EndpointConfig | None = None,
        event_loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(strategy=Strategy.REST_FOR_ONE, intensity=10, period=10.0)
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"port: expected 0 to 65535, got {port}")
        self._port = port
        self._host = host
        self._handlers = HandlerTable(event_handlers)
        self._config = EndpointConfig() if config is None else config
        if event_loop is not None and not hasattr(event_loop, "call_soon_threadsafe"):
            got = type(event_loop).__name__
            raise ConfigurationError(f"event_loop: expected an asyncio event loop, got {got}")
        self._event_loop = event_loop
        self._tls = None if self._config.tls is None else _server_context(self._config.tls)
        self._address = (host, port)
        self._drain_in_progress: _Drain | None = None
        self._kernel: EndpointKernel

    if TYPE_CHECKING:

        @classmethod
        def start(  # type: ignore[override]  # narrower on purpose: what users type
            cls,
            port: int = 4242,
            *,
            host: str = "",
            event_handlers: EventHandlers = (),
            config: EndpointConfig | None = None,
            event_loop: AbstractEventLoop | None = None,
            **supervision: Any,
        ) -> SupervisedRef[Endpoint]:
            """Start an endpoint; see the class."""

    def init(self) -> Any:
        """Bind the port, make the tables, start the children. Runs in the Endpoint's thread.

        Raises:
            TransportError: the port cannot be bound.
        """
        preload()  # without descriptors, nothing could be read any more
        listening_socket = listen(self._host, self._port)
        self._address = listening_socket.getsockname()[:2]
        self._kernel = EndpointKernel(
            self._config, self._handlers, listening_socket, self.system, self._event_loop
        )
        self._kernel.endpoint = self.actor_ref
        self.system.add_sink(functools.partial(publish_report, self._kernel))
        self._kernel.tls = self._tls
        # Start order. A Listener that crashes drops nobody; when the AssociationSupervisor does,
        # the Listener starts again after it. Stopping in reverse refuses new peers first.
        children = (
            ("associations", AssociationSupervisor, INFINITY, ChildType.SUPERVISOR),
            ("event bus", EventBus, 5.0, ChildType.WORKER),
            ("listener", Listener, 5.0, ChildType.WORKER),
        )
        for name, actor, shutdown, kind in children:
            self.start_child(
                ChildSpec(
                    id=name,
                    start=functools.partial(actor.start, self._kernel),
                    shutdown=shutdown,
                    type=kind,
                )
            )

    def terminate(self, reason: ExitReason) -> None:
        """Close what is left once the children are down."""
        super().terminate(reason)
        if self._kernel.listening_socket is not None:
            self._kernel.listening_socket.close()
        for record in self._kernel.connections:
            self._kernel.remove_connection(record)
        self._kernel.event_loop.stop(self._config.handler_grace)
        self._kernel.storage.close()
        deliver_events(self._kernel)

    def handle_call(self, message: Any) -> Any:
        """Answer `dicom_actors.messages`. Runs in the Endpoint's thread."""
        kernel = self._kernel
        match message:
            case messages.GetStatus():
                return self._status()
            case messages.ListAssociations():
                return tuple(association_info(record) for record in kernel.connections)
            case messages.GetTree():
                return tree_of(self)
            case messages.SetHandlers(event_handlers):
                return self._set_handlers(event_handlers)
            case messages.SetLimits():
                return self._set_limits(message)
            case messages.SetTls(tls):
                return self._set_tls(tls)
            case messages.Subscribe(ref, kinds):
                kernel.subscribe(ref, frozenset(kinds))
                return None
            case messages.Unsubscribe(ref):
                return kernel.unsubscribe(ref)
            case messages.Suspend():
                return self._suspend()
            case messages.Resume():
                return self._resume()
            case messages.Drain(deadline):
                return self._drain(deadline)
            case messages.AbortAssociation(number):
                return self._abort(number)
            case GetKernel():
                return kernel
            case ArmCrashPoint():
                return self._arm(message)
        return super().handle_call(message)

    def _status(self) -> messages.EndpointStatus:
        kernel = self._kernel
        host, port = self._address
        connections = kernel.connections
        if kernel.is_draining:
            state = "draining"
        else:
            state = "suspended" if kernel.listening_socket is None else "running"
        return messages.EndpointStatus(
            host=host,
            port=port,
            state=state,
            associations=len(connections),
            restarts=kernel.restarts + sum(record.restarts for record in connections),
            associations_opened=kernel.opened,
            requests=kernel.requests + sum(record.answered for record in connections),
            ignored_cancels=kernel.ignored_cancels
            + sum(record.ignored_cancels for record in connections),
            disowned_handlers=self.system.disowned,
        )

    def handle_cast(self, message: Any) -> Any:
        """Finish draining when the last connection is over. Runs in the Endpoint's thread."""
        if isinstance(message, Drained):
            if not self._kernel.connections:
                self._end_drain(())
            return None
        return super().handle_cast(message)

    def handle_info(self, message: Any) -> Any:
        """Finish draining when its time is over. Runs in the Endpoint's thread."""
        if isinstance(message, DrainDeadline):
            self._cut()
            return None
        return super().handle_info(message)

    def _suspend(self) -> None:
        kernel = self._kernel
        if kernel.listening_socket is None:
            return
        self.terminate_child("listener")
        kernel.listening_socket.close()
        kernel.listening_socket = None
        for record in kernel.connections:
            if not record.is_handed_over:  # it has said nothing yet, so it is none
                kernel.remove_connection(record)

    def _resume(self) -> None:
        kernel = self._kernel
        self._end_drain(())
        if kernel.listening_socket is not None:
            return
        try:
            kernel.listening_socket = listen(self._host, self._address[1])
        except TransportError as error:
            self.defer_reply().fail(error)
            return
        self.restart_child("listener")

    def _drain(self, deadline: float) -> messages.DrainReport | None:
        kernel = self._kernel
        self._end_drain(())
        self._suspend()
        kernel.is_draining = True
        if not kernel.connections:
            kernel.is_draining = False
            return messages.DrainReport(0, ())
        timer = self.system.timers.send_after(deadline, self.actor_ref, DrainDeadline())
        self._drain_in_progress = _Drain(self.defer_reply(), timer, len(kernel.connections))
        return None

    def _cut(self) -> None:
        cut = []
        for record in self._kernel.connections:
            cut.append(association_info(record))
            self._abort(record.id)
        self._end_drain(tuple(cut))

    def _end_drain(self, cut: tuple[messages.AssociationInfo, ...]) -> None:
        drain, self._drain_in_progress = self._drain_in_progress, None
        self._kernel.is_draining = False
        if drain is not None:
            drain.timer.cancel()
            left = len(self._kernel.connections)
            drain.reply.set(messages.DrainReport(drain.connections - left, cut))

    def _set_handlers(self, event_handlers: EventHandlers) -> None:
        try:
            self._kernel.handlers = HandlerTable(event_handlers)
        except ConfigurationError as error:
            self.defer_reply().fail(error)  # the caller's fault, not ours

    def _set_limits(self, limits: messages.SetLimits) -> None:
        kernel = self._kernel
        try:
            kernel.config = replace(
                kernel.config,
                max_associations=limits.max_associations,
                max_associations_per_ae=limits.max_associations_per_ae,
            )
        except ConfigurationError as error:
            self.defer_reply().fail(error)
            return
        if kernel.listener is not None:
            cast(kernel.listener, PlaceFree())

    def _set_tls(self, tls: TlsConfig | ssl.SSLContext) -> None:
        if self._kernel.tls is None:
            self.defer_reply().fail(ConfigurationError("tls: the endpoint was started without"))
            return
        try:
            self._kernel.tls = _server_context(tls)
        except ConfigurationError as error:
            self.defer_reply().fail(error)

    def _abort(self, number: int) -> bool:
        record = self._kernel.connection(number)
        if record is None or record.is_ending:
            return False
        if record.association is not None:
            cast(record.association, AbortNow())
        elif self._kernel.listener is not None:
            cast(self._kernel.listener, DropConnection(record))
        return True

    def _arm(self, message: ArmCrashPoint) -> None:
        if self._kernel.faults is None:
            self._kernel.faults = FaultPoints()
        try:
            self._kernel.faults.arm(message.point, message.times, message.after, message.action)
        except ValueError as error:
            self.defer_reply().fail(error)


def _server_context(tls: TlsConfig | ssl.SSLContext) -> ssl.SSLContext:
    # An endpoint without TLS has no reason to load ssl.
    from dicom_actors.tls import server_context  # noqa: PLC0415

    return server_context(tls)
