"""The EndpointSupervisor: root of the supervision tree of an endpoint, and owner of its kernel.

It decodes nothing, runs no user code, and takes no message from outside: what is said to the
endpoint goes to the `Endpoint`, a front door that may crash and start again. `EndpointRef` is what
users hold; it stays valid as long as the root lives.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from dicom_actors import messages
from dicom_actors.actors.association.supervisor import AssociationSupervisor
from dicom_actors.actors.endpoint.event_bus import EventBus, deliver_events
from dicom_actors.actors.endpoint.listener import Listener
from dicom_actors.actors.endpoint.tree import publish_report, tree_of
from dicom_actors.actors.endpoint.watcher import Watcher
from dicom_actors.actors.kernel.descriptors import provide_descriptors
from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
from dicom_actors.actors.kernel.listening_socket import listen
from dicom_actors.data.forms.preloading import preload
from dicom_actors.supervision import (
    INFINITY,
    ChildSpec,
    ChildType,
    NoProcError,
    Strategy,
    SupervisedRef,
    Supervisor,
)

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from dicom_actors.actors.kernel.handler_table import HandlerTable
    from dicom_actors.actors.kernel.shared_port import SharedPort
    from dicom_actors.config import EndpointConfig
    from dicom_actors.supervision import ExitReason

__all__ = ["EndpointRef", "EndpointSupervisor"]


class _GetFrontDoor:
    """To the EndpointSupervisor, from its own ref: answers with the ref of the front door."""


class _GetChildren:
    """To the EndpointSupervisor, from its own ref: answers with what it knows of its children."""


class EndpointRef(SupervisedRef[Any]):
    """The reference of an endpoint: messages go to its front door, the rest is about its root."""

    def __init__(self, actor: Any, life: Any) -> None:
        super().__init__(actor, life)
        self.kernel: EndpointKernel | None = None

    def tell(self, message: Any) -> None:
        """Send a message without waiting for anything; see `SupervisedRef.tell`."""
        self._front_door().tell(message)

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Send a message and wait for the answer; see `SupervisedRef.ask`."""
        if issubclass(type(message), messages.GetTree) and self.kernel is not None:
            # Of the root, too, who may be about to end the front door: not for that one to ask.
            children = super().ask(_GetChildren(), block=False)
            tree = children.map(functools.partial(tree_of, self.kernel))
            return tree.get(timeout=timeout) if block else tree
        try:
            return self._front_door().ask(message, block=block, timeout=timeout)
        except NoProcError:
            # It crashed over somebody else's message. Who has not been heard asks again.
            return self._front_door().ask(message, block=block, timeout=timeout)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Abort all associations and end the endpoint; see `SupervisedRef.stop`."""
        if self.kernel is not None:
            self.kernel.is_asked_to_stop = True
        return super().stop(block=block, timeout=timeout)

    def _front_door(self) -> SupervisedRef[Any]:
        door = None if self.kernel is None else self.kernel.endpoint
        if door is not None and door.is_alive():
            return door
        found: SupervisedRef[Any] = super().ask(_GetFrontDoor(), block=True)
        return found


class EndpointSupervisor(Supervisor):
    """See the module.

    Args:
        front_door: starts the actor that takes messages from outside.
        host: the address to bind to.
        port: the port.
        handlers: the event handlers.
        config: limits and time-outs.
        tls: for the connections; None: plain TCP.
        event_loop: a running event loop of the host application, or None.
        shared: a port that other processes have, too, in place of one of its own; or None.
    """

    def __init__(
        self,
        front_door: Callable[[EndpointKernel], Any],
        host: str,
        port: int,
        handlers: HandlerTable,
        config: EndpointConfig,
        tls: ssl.SSLContext | None,
        event_loop: AbstractEventLoop | None,
        shared: SharedPort | None = None,
    ) -> None:
        super().__init__(strategy=Strategy.REST_FOR_ONE, intensity=10, period=10.0)
        self._front_door = front_door
        self._host, self._port = host, port
        self._handlers, self._config = handlers, config
        self._tls = tls
        self._event_loop = event_loop
        self._shared = shared
        self._kernel: EndpointKernel
        self._remove_sink: Callable[[], None]

    def make_ref(self, life: Any) -> EndpointRef:
        """Give the ref that users hold."""
        return EndpointRef(self, life)

    def init(self) -> Any:
        """Bind the port, make the tables, start the children. Runs in the root's thread.

        Raises:
            TransportError: the port cannot be bound.
        """
        preload()  # without descriptors, nothing could be read any more
        shared = self._shared
        listening_socket = listen(self._host, self._port) if shared is None else shared.socket
        self._kernel = kernel = EndpointKernel(
            self._config,
            self._handlers,
            listening_socket,
            self.system,
            self._event_loop,
            max_connections=provide_descriptors(self._config.max_associations),
            shared=shared,
        )
        kernel.host = self._host
        kernel.tls = self._tls
        kernel.root = self.actor_ref
        self._remove_sink = self.system.add_sink(functools.partial(publish_report, kernel))
        try:
            self._start_children()
        except BaseException:
            self._close()
            raise
        self._ref.kernel = kernel  # type: ignore[attr-defined]  # see make_ref

    def _start_children(self) -> None:
        # In this order; what is behind a child that crashed starts again after it. A Listener that
        # crashes drops nobody. Stopping in reverse refuses new peers first.
        children: tuple[tuple[str, Callable[..., Any], Any, ChildType], ...] = (
            ("associations", AssociationSupervisor.start, INFINITY, ChildType.SUPERVISOR),
            ("event bus", EventBus.start, 5.0, ChildType.WORKER),
            ("endpoint", self._front_door, 5.0, ChildType.WORKER),
            ("watcher", Watcher.start, 5.0, ChildType.WORKER),
            ("listener", Listener.start, 5.0, ChildType.WORKER),
        )
        for name, start, shutdown, kind in children:
            self.start_child(
                ChildSpec(
                    id=name,
                    start=functools.partial(start, self._kernel),
                    shutdown=shutdown,
                    type=kind,
                )
            )

    def terminate(self, reason: ExitReason) -> None:
        """Close what is left once the children are down."""
        super().terminate(reason)
        self._close()

    def _close(self) -> None:
        kernel = self._kernel
        kernel.stop_listening()
        for record in kernel.connections:
            kernel.remove_connection(record)
        kernel.event_loop.stop(self._config.handler_grace)
        kernel.storage.close()
        deliver_events(kernel)
        kernel.watch.close()
        self._remove_sink()

    def handle_call(self, message: Any) -> Any:
        """Say who takes messages from outside, and who the children are."""
        if isinstance(message, _GetFrontDoor):
            return self._kernel.endpoint
        if isinstance(message, _GetChildren):
            return self.which_children()
        return super().handle_call(message)
