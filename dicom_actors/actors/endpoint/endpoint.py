"""The Endpoint: front door for host applications.

Every message from outside comes here and is checked before it touches anything. What goes wrong
is the sender's to hear; should this actor crash all the same, its supervisor starts it again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pykka

from dicom_actors import messages
from dicom_actors.actors.association.admission import with_uids
from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.connection.record import WantedAbort
from dicom_actors.actors.connection.signals import DrainDeadline, Drained, GetKernel
from dicom_actors.actors.endpoint.supervisor import EndpointSupervisor
from dicom_actors.actors.kernel.handler_table import HandlerTable
from dicom_actors.config import EndpointConfig
from dicom_actors.errors import ConfigurationError, DicomError
from dicom_actors.supervision import Reply, SupervisedActor, SupervisionError

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.kernel.shared_port import SharedPort
    from dicom_actors.messages import EventHandlers
    from dicom_actors.supervision import SupervisedRef, Timer
    from dicom_actors.tls import TlsConfig

__all__ = ["Endpoint"]

_OF_SUPERVISION: Final = ("system", "name", "timeout")


class _Drain(NamedTuple):
    """A drain under way: who waits for its end, its timer, with how many connections it began."""

    reply: Reply
    timer: Timer
    connections: int


class Endpoint(SupervisedActor):
    """A DICOM service class provider.

    ``Endpoint.start(port=4242, event_handlers=...)`` starts one and returns its ref; host
    applications talk to that with `dicom_actors.messages`, and end it with ``stop()``.
    """

    def __init__(self, kernel: EndpointKernel) -> None:
        super().__init__()
        self._kernel = kernel
        self._drain_in_progress: _Drain | None = None

    @classmethod
    def start(  # type: ignore[override]  # what users type
        cls,
        port: int = 4242,
        *,
        host: str = "",
        event_handlers: EventHandlers = (),
        config: EndpointConfig | None = None,
        event_loop: AbstractEventLoop | None = None,
        shared: SharedPort | None = None,
        **supervision: Any,
    ) -> SupervisedRef[Any]:
        """Start an endpoint, and wait until it listens.

        Args:
            port: TCP port; 0 picks one, which `messages.GetStatus` tells.
            host: the address to bind to; empty: all, IPv6 too where the system has it.
            event_handlers: a mapping, or pairs, of names and handlers: ``association_validator``,
                ``cecho``, ``cstore``, ``cfind``, ``cget``, ``cmove``, ``ncreate``, ``nset``,
                ``nget``, ``ndelete``, ``naction``, ``nevent_report``. A handler is a callable, or
                the ref of an actor.
            config: limits and time-outs.
            event_loop: a running event loop of the host application, for handlers that are
                coroutine functions or async generators; None: a loop of the endpoint's own.
            shared: a port that other processes have, too, in place of `host` and `port`.
            **supervision: what `SupervisedActor.start` takes, as ``system``.

        Returns:
            Its ref, which is good until the endpoint ends.

        Raises:
            TypeError: there is no such argument.
            ConfigurationError: an event handler, the port or the event loop is wrong, or a
                name of a UID in the configuration.
            TransportError: the port cannot be bound.
        """
        for name in supervision:
            if name not in _OF_SUPERVISION:
                # They go to the constructor of another class, which would tell of its own.
                raise TypeError(
                    f"Endpoint.start: there is no argument {name!r}; expected port, host,"
                    " event_handlers, config, event_loop, shared,"
                    f" {', '.join(_OF_SUPERVISION)}"
                )
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ConfigurationError(f"port: expected 0 to 65535, got {port!r}")
        if not isinstance(host, str):
            raise ConfigurationError(f"host: expected an address, got {host!r}")
        if event_loop is not None and not hasattr(event_loop, "call_soon_threadsafe"):
            got = type(event_loop).__name__
            raise ConfigurationError(f"event_loop: expected an asyncio event loop, got {got}")
        config = EndpointConfig() if config is None else config
        if not isinstance(config, EndpointConfig):
            raise ConfigurationError(f"config: expected an EndpointConfig, got {config!r}")
        config = with_uids(config)
        return EndpointSupervisor.start(
            cls._open,
            host,
            port,
            HandlerTable(event_handlers),
            config,
            None if config.tls is None else _server_context(config.tls),
            event_loop,
            shared,
            **supervision,
        )

    @classmethod
    def _open(cls, kernel: EndpointKernel) -> SupervisedRef[Any]:
        """Start the front door of an endpoint."""
        return super().start(kernel)

    def init(self) -> None:
        """Take messages from now on. Runs in the Endpoint's thread."""
        self._kernel.is_draining = False
        self._kernel.endpoint = self.actor_ref

    def handle_call(self, message: Any) -> Any:
        """Answer `dicom_actors.messages`. Runs in the Endpoint's thread."""
        try:
            return self._answer_to(message, self.defer_reply)
        except BaseException as error:  # noqa: BLE001 - the sender's fault, not ours
            self.defer_reply().fail(_told(message, error))
            return None

    def _answer_to(self, message: Any, defer: Callable[[], Reply]) -> Any:
        kernel = self._kernel
        match message:
            case messages.GetStatus():
                return self._status()
            case messages.ListAssociations():
                return tuple(association_info(record) for record in kernel.connections)
            case messages.SetHandlers(event_handlers):
                return self._set_handlers(event_handlers)
            case messages.SetLimits():
                return self._set_limits(message)
            case messages.SetTls(tls):
                return self._set_tls(tls)
            case messages.Subscribe(ref, kinds):
                kernel.subscribe(_checked_ref(ref), _checked_kinds(kinds))
                return None
            case messages.Unsubscribe(ref):
                return kernel.unsubscribe(_checked_ref(ref))
            case messages.Suspend():
                return self._suspend()
            case messages.Resume():
                return self._resume()
            case messages.Drain(deadline):
                return self._drain(_checked_seconds("deadline", deadline), defer)
            case messages.AbortAssociation(number):
                return self._abort(_checked_id(number))
            case GetKernel():
                return kernel
        return super().handle_call(message)

    def _status(self) -> messages.EndpointStatus:
        kernel = self._kernel
        host, port = kernel.address
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
            dropped_events=kernel.dropped_events,
            dropped_log_records=self.system.log.dropped,
        )

    def handle_cast(self, message: Any) -> Any:
        """Finish draining when the last connection is over. Runs in the Endpoint's thread."""
        kind = type(message)  # what junk says of its class is junk, too, or no answer at all
        if issubclass(kind, Drained):
            if not self._kernel.connections:
                self._end_drain(())
            return None
        if issubclass(kind, messages.Message):
            # Told and not asked: it is done all the same, and nobody waits for the answer.
            try:
                self._answer_to(message, Reply)
            except BaseException as error:  # noqa: BLE001 - the sender's fault, not ours
                told = _told(message, error)
                text = "%s was told to the endpoint: %s: %s"
                self._warn(text, kind.__name__, type(told).__name__, told)
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
        if not kernel.stop_listening():
            return
        for record in kernel.connections:
            if not record.is_handed_over and record.unpark():
                kernel.remove_connection(record)  # it has said nothing yet, so it is none

    def _resume(self) -> None:
        self._end_drain(())
        self._kernel.listen_again()

    def _drain(self, deadline: float, defer: Callable[[], Reply]) -> messages.DrainReport | None:
        kernel = self._kernel
        self._end_drain(())
        self._suspend()
        kernel.is_draining = True
        if not kernel.connections:
            kernel.is_draining = False
            return messages.DrainReport(0, ())
        timer = self.system.timers.send_after(deadline, self.actor_ref, DrainDeadline())
        self._drain_in_progress = _Drain(defer(), timer, len(kernel.connections))
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
        self._kernel.handle_with(HandlerTable(event_handlers))

    def _set_limits(self, limits: messages.SetLimits) -> None:
        kernel = self._kernel
        kernel.configure(
            replace(
                kernel.config,
                max_associations=limits.max_associations,
                max_associations_per_ae=limits.max_associations_per_ae,
            )
        )
        kernel.tell_listener()

    def _set_tls(self, tls: TlsConfig | ssl.SSLContext) -> None:
        if self._kernel.tls is None:
            raise ConfigurationError("tls: the endpoint was started without")
        self._kernel.tls = _server_context(tls)

    def _abort(self, number: int) -> bool:
        record = self._kernel.connection(number)
        if record is None or record.is_ending or record.is_closed:
            return False
        if not record.is_handed_over and record.unpark():
            self._kernel.remove_connection(record)  # it has said nothing, so there is no answer
            return True
        record.wanted_abort = WantedAbort(0, "the host application wanted it")
        record.poke()
        return True


def _told(message: Any, error: BaseException) -> Exception:
    """What the sender of a message is told of an error.

    What is in a message is the sender's and may raise anything when it is looked at, SystemExit
    too; that is junk of a type that we cannot read.
    """
    if isinstance(error, ValueError | TypeError | OSError | DicomError | SupervisionError):
        return error
    kind = type(message).__name__
    told = TypeError(f"{kind}: what is in it raised {type(error).__name__} when it was read")
    told.__cause__ = error
    return told


def _checked_ref(ref: Any) -> pykka.ActorRef[Any]:
    if not isinstance(ref, pykka.ActorRef):
        raise TypeError(f"ref: expected an ActorRef, got {type(ref).__name__}")
    return ref


def _checked_kinds(kinds: Any) -> frozenset[type]:
    found = frozenset(kinds)
    for kind in found:
        if not isinstance(kind, type):
            raise TypeError(f"kinds: expected classes of events, got {type(kind).__name__}")
    return found


def _checked_seconds(name: str, seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name}: expected seconds, got {type(seconds).__name__}")
    try:
        time = float(seconds)
    except OverflowError:
        time = math.inf
    if not 0 <= time < math.inf:
        raise ValueError(f"{name}: expected seconds, 0 or more, got {time}")
    return time


def _checked_id(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"id: expected the number of an association, got {type(number).__name__}")
    return number


def _server_context(tls: TlsConfig | ssl.SSLContext) -> ssl.SSLContext:
    # An endpoint without TLS has no reason to load ssl; one with it loads what its connections use.
    import dicom_actors.transport.tls  # noqa: F401, PLC0415
    from dicom_actors.tls import server_context  # noqa: PLC0415

    return server_context(tls)
