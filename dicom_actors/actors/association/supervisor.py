"""The AssociationSupervisor: the Associations and Handlers of all connections.

Dynamic, one_for_one. The restart budget is that of each connection, so that one bad connection
never ends the others: an Association that crashes too often is replaced by one that only says
goodbye to its peer. It starts none by itself: `attendance` does, in the thread of whoever has
something to do for a connection. One that runs a handler for long becomes a Handler: temporary,
and waited for as long as it was promised.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.association.association import Association
from dicom_actors.pdu import Abort, encode_pdu
from dicom_actors.supervision import (
    ChildSpec,
    ChildStartError,
    Down,
    DynamicSupervisor,
    Restart,
    monitor,
)

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.supervision import ExitReason

__all__ = ["AssociationSupervisor"]

_logger = logging.getLogger(__name__)

_FAREWELL_SECONDS = 3.0
"""More than an Association takes to say goodbye when the endpoint ends."""


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
                end_orphan(self._kernel, record)
        self._kernel.attendance.be_supervised(self.actor_ref, self._spec_of)
        return super().init()

    def _spec_of(self, record: ConnectionRecord) -> ChildSpec:
        return ChildSpec(
            id=record,
            start=functools.partial(Association.start, self._kernel, record),
            restart=Restart.TRANSIENT,
            shutdown=_FAREWELL_SECONDS,
            budget=record.restart_window,
        )

    def before_children_end(self, reason: ExitReason) -> None:  # noqa: ARG002 - the hook's
        """Say goodbye for the Associations that cannot do it: handlers run in their threads."""
        for record in self._kernel.connections:
            if record.inline and record.relieve() is not None:
                end_orphan(self._kernel, record)

    def terminate(self, reason: ExitReason) -> None:
        """End the connections that have no Association now."""
        super().terminate(reason)
        for record in self._kernel.connections:
            if record.is_handed_over:
                end_orphan(self._kernel, record)

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
        if was_farewell or not record.is_handed_over:
            self._kernel.remove_connection(record)
            return
        self._kernel.limit_reached("connection_restarts", str(reason))
        try:
            ref = self.start_child(replace(self._spec_of(record), restart=Restart.TEMPORARY))
        except ChildStartError:
            self._kernel.remove_connection(record)
        else:
            self._farewells[monitor(ref, self.actor_ref)] = record


def end_orphan(kernel: EndpointKernel, record: ConnectionRecord) -> None:
    """Abort a connection that nobody serves any more, as well as that can be done at once."""
    epoch = record.adopt(None).epoch
    try:
        if record.negotiated is not None and not record.is_ending:
            record.send(epoch, [encode_pdu(Abort(source=kernel.abort_source, reason=0))])
            record.stop_sending(epoch)
    except OSError as error:
        kernel.system.log.write(
            _logger, logging.DEBUG, "connection %d: the peer was gone: %s", record.id, error
        )
    record.incarnation.note_end("aborted", "the endpoint stopped")
    kernel.remove_connection(record)
