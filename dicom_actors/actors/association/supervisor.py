"""The AssociationSupervisor: the Associations and Handlers of all connections.

Dynamic, one_for_one. The restart budget is that of each connection, so that one bad connection
never ends the others: an Association that crashes too often is replaced by one that only says
goodbye to its peer. Handlers are temporary; their Association asks for the next one.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.association.association import Association
from dicom_actors.actors.association.handler_pool import capacity_of
from dicom_actors.actors.connection.signals import EndHandler, HandlerReady, StartHandler
from dicom_actors.actors.handlers.handler import Handler
from dicom_actors.pdu import Abort, encode_pdu
from dicom_actors.supervision import (
    ActorCrashed,
    ChildNotFound,
    ChildSpec,
    ChildStartError,
    DisownedError,
    Down,
    DynamicSupervisor,
    NoProcError,
    Restart,
    SupervisionError,
    cast,
    kill,
    monitor,
    start_child,
)

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.endpoint.kernel import EndpointKernel
    from dicom_actors.supervision import ExitReason

__all__ = ["AssociationSupervisor", "start_association"]

_logger = logging.getLogger(__name__)

_FAREWELL_SECONDS = 3.0
"""More than an Association takes to say goodbye when the endpoint ends."""


def start_association(kernel: EndpointKernel, record: ConnectionRecord) -> bool:
    """Give a connection its Association, and wait until it owns it.

    Returns:
        Whether that went well; if not, the connection is the caller's to close. Without an
        AssociationSupervisor all is well, too: the next one is followed by a new Listener, which
        takes care of connections that have no Association yet.
    """
    if kernel.association_supervisor is None:
        return True
    try:
        start_child(kernel.association_supervisor, _association_spec(kernel, record))
    except (NoProcError, ActorCrashed, DisownedError):
        return True
    except SupervisionError:
        _logger.exception("connection %d cannot start", record.id)
        return False
    return True


def _association_spec(
    kernel: EndpointKernel, record: ConnectionRecord, restart: Restart = Restart.TRANSIENT
) -> ChildSpec:
    config = kernel.config
    return ChildSpec(
        id=record,
        start=functools.partial(Association.start, kernel, record),
        restart=restart,
        shutdown=_FAREWELL_SECONDS,
        budget=(config.connection_restarts, config.connection_restart_period),
    )


class AssociationSupervisor(DynamicSupervisor):
    """See the module."""

    def __init__(self, kernel: EndpointKernel) -> None:
        # Its own budget counts nothing but its own faults: every child has one or is temporary.
        super().__init__(intensity=3, period=5.0)
        self._kernel = kernel
        self._farewells: dict[Any, ConnectionRecord] = {}

    def init(self) -> Any:
        """End what a predecessor left behind. Runs in the AssociationSupervisor's thread."""
        for record in self._kernel.connections:
            if record.is_handed_over:
                _end_orphan(self._kernel, record)
        self._kernel.association_supervisor = self.actor_ref
        return super().init()

    def handle_cast(self, message: Any) -> Any:
        """Start and end Handlers. Runs in the AssociationSupervisor's thread."""
        if isinstance(message, StartHandler):
            self._start_handler(message.record)
        elif isinstance(message, EndHandler):
            self._end_handler(message)
        else:
            return super().handle_cast(message)
        return None

    def handle_info(self, message: Any) -> Any:
        """Close the connection of a farewell that is over, in whatever way."""
        if isinstance(message, Down) and message.handle in self._farewells:
            self._kernel.remove_connection(self._farewells.pop(message.handle))
            return None
        return super().handle_info(message)

    def child_given_up(self, spec: ChildSpec, reason: ExitReason) -> None:
        """Say goodbye to the peer of a connection whose Association crashed too often."""
        record: ConnectionRecord = spec.id
        was_farewell = record.is_given_up
        record.is_given_up = True
        if was_farewell:
            self._kernel.remove_connection(record)
            return
        self._kernel.limit_reached("connection_restarts", str(reason))
        try:
            ref = self.start_child(_association_spec(self._kernel, record, Restart.TEMPORARY))
        except ChildStartError:
            self._kernel.remove_connection(record)
        else:
            self._farewells[monitor(ref, self.actor_ref)] = record

    def _start_handler(self, record: ConnectionRecord) -> None:
        if record.is_closed:
            return
        if len(record.handlers) < capacity_of(record, self._kernel.config):
            spec = ChildSpec(
                id=f"handler of connection {record.id}",
                start=functools.partial(Handler.start, self._kernel, record),
                restart=Restart.TEMPORARY,
                shutdown=self._kernel.config.handler_grace,
            )
            try:
                handler = self.start_child(spec)
            except ChildStartError:
                _logger.exception("connection %d gets no handler", record.id)
            else:
                if not record.add_handler(handler):
                    self._end_handler(EndHandler(handler))
        if record.association is not None:
            cast(record.association, HandlerReady())

    def _end_handler(self, message: EndHandler) -> None:
        if message.is_hung:
            self._kernel.limit_reached("handler_timeout", "a handler was given up")
            kill(message.handler)
            return
        try:
            self.terminate_child(message.handler)
        except ChildNotFound:
            return  # it has ended by itself


def _end_orphan(kernel: EndpointKernel, record: ConnectionRecord) -> None:
    """Abort a connection that nobody serves any more, as well as that can be done at once."""
    epoch = record.adopt(None).epoch
    try:
        if record.negotiated is not None and not record.is_ending:
            record.send(epoch, [encode_pdu(Abort(source=2, reason=0))])
            record.stop_sending(epoch)
    except OSError:
        _logger.debug("connection %d: the peer was gone", record.id)
    kernel.remove_connection(record)
