"""The Endpoint: root of the supervision tree and front door for host applications.

It owns what outlives its children: the listening socket and the tables of the kernel. It decodes
nothing and runs no user code.
"""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, Any

from dicom_actors import messages
from dicom_actors.actors.association_info import association_info
from dicom_actors.actors.association_supervisor import AssociationSupervisor
from dicom_actors.actors.endpoint_kernel import EndpointKernel
from dicom_actors.actors.event_bus import EventBus, deliver_events
from dicom_actors.actors.fault_points import FaultPoints
from dicom_actors.actors.handler_table import HandlerTable
from dicom_actors.actors.listener import Listener
from dicom_actors.actors.signals import AbortNow, ArmCrashPoint, GetKernel
from dicom_actors.actors.tree import tree_of
from dicom_actors.config import EndpointConfig
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
    from dicom_actors.messages import EventHandlers
    from dicom_actors.supervision import ExitReason, SupervisedRef

__all__ = ["Endpoint"]

_BACKLOG = 1024


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
    ) -> None:
        super().__init__(strategy=Strategy.REST_FOR_ONE, intensity=10, period=10.0)
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"port: expected 0 to 65535, got {port}")
        self._port = port
        self._host = host
        self._handlers = HandlerTable(event_handlers)
        self._config = EndpointConfig() if config is None else config
        self._listening_socket: socket.socket | None = None
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
            **supervision: Any,
        ) -> SupervisedRef[Endpoint]:
            """Start an endpoint; see the class."""

    def init(self) -> Any:
        """Bind the port, make the tables, start the children. Runs in the Endpoint's thread.

        Raises:
            TransportError: the port cannot be bound.
        """
        self._listening_socket = _listen(self._host, self._port)
        self._kernel = EndpointKernel(
            self._config,
            self._handlers,
            self._listening_socket,
            self.system,
        )
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
        if self._listening_socket is not None:
            self._listening_socket.close()
        for record in self._kernel.connections:
            self._kernel.remove_connection(record)
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
            case messages.Subscribe(ref, kinds):
                kernel.subscribe(ref, frozenset(kinds))
                return None
            case messages.Unsubscribe(ref):
                return kernel.unsubscribe(ref)
            case messages.AbortAssociation(number):
                return self._abort(number)
            case GetKernel():
                return kernel
            case ArmCrashPoint():
                return self._arm(message)
        return super().handle_call(message)

    def _status(self) -> messages.EndpointStatus:
        kernel = self._kernel
        host, port = kernel.listening_socket.getsockname()[:2]
        connections = kernel.connections
        return messages.EndpointStatus(
            host=host,
            port=port,
            state="running",
            associations=len(connections),
            restarts=kernel.restarts + sum(record.restarts for record in connections),
            associations_opened=kernel.opened,
            requests=kernel.requests + sum(record.answered for record in connections),
            disowned_handlers=self.system.disowned,
        )

    def _set_handlers(self, event_handlers: EventHandlers) -> None:
        try:
            self._kernel.handlers = HandlerTable(event_handlers)
        except ConfigurationError as error:
            self.defer_reply().fail(error)  # the caller's fault, not ours

    def _abort(self, number: int) -> bool:
        record = self._kernel.connection(number)
        if record is None or record.is_ending:
            return False
        if record.association is None:
            self._kernel.remove_connection(record)
        else:
            cast(record.association, AbortNow())
        return True

    def _arm(self, message: ArmCrashPoint) -> None:
        if self._kernel.faults is None:
            self._kernel.faults = FaultPoints()
        try:
            self._kernel.faults.arm(message.point, message.times, message.after)
        except ValueError as error:
            self.defer_reply().fail(error)


def _listen(host: str, port: int) -> socket.socket:
    both = not host and socket.has_dualstack_ipv6()
    is_ipv6 = both or ":" in host
    try:
        listening_socket = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise TransportError(
            f"cannot bind to {host or 'all addresses'}, port {port}: {error}"
        ) from error
    listening_socket.setblocking(False)
    return listening_socket
