"""The EventBus: hands events to the subscribers of an endpoint.

It stands between the endpoint and its subscribers so that none of them costs the endpoint
anything: one that is slow misses events, one that is dead is forgotten. Events are gathered for a
few milliseconds, since to wake threads for each would cost an association more than its request.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.connection.signals import Deliver
from dicom_actors.events import PduTraced, RequestFailed
from dicom_actors.supervision import SupervisedActor, cast

if TYPE_CHECKING:
    import pykka

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel

__all__ = ["EventBus"]

_logger = logging.getLogger(__name__)

MAX_SUBSCRIBER_BACKLOG = 10_000
"""Messages in a subscriber's inbox beyond which it is sent no more events."""

_BY_NAME: Final = frozenset({PduTraced, RequestFailed})
"""Events that nobody gets who does not ask for them."""

_GATHERING: Final = 0.005
"""Seconds for which events are gathered before they are delivered together."""


class EventBus(SupervisedActor):
    """Delivers what the kernel has queued."""

    def __init__(self, kernel: EndpointKernel) -> None:
        super().__init__()
        self._kernel = kernel

    def init(self) -> None:
        """Become the bus. Runs in the EventBus's thread."""
        self._kernel.event_bus = self.actor_ref
        self._kernel.is_delivery_due = False

    def handle_cast(self, message: Any) -> None:
        """Deliver all that waits. Runs in the EventBus's thread."""
        if isinstance(message, Deliver):
            time.sleep(_GATHERING)
            self._kernel.is_delivery_due = False
            self._deliver()
        else:
            super().handle_cast(message)

    def _deliver(self) -> None:
        deliver_events(self._kernel)


def deliver_events(kernel: EndpointKernel) -> None:
    """Hand the queued events of `kernel` to those who want them."""
    while (event := kernel.next_event()) is not None:
        for ref, kinds in kernel.subscribers:
            if type(event) not in kinds and (kinds or type(event) in _BY_NAME):
                continue
            try:
                is_alive, backlog = ref.is_alive(), _backlog_of(ref)
            except BaseException as fault:  # noqa: BLE001 - an actor and inbox that are not ours
                text = "a subscriber that cannot be looked at is forgotten"
                kernel.system.log.write(_logger, logging.ERROR, text, exc_info=fault)
                is_alive = False
            if not is_alive:
                kernel.unsubscribe(ref)
            # To cast never waits for room in an inbox, and drops instead.
            elif backlog >= MAX_SUBSCRIBER_BACKLOG or not cast(ref, event):
                kernel.undelivered_events += 1


def _backlog_of(ref: pykka.ActorRef[Any]) -> int:
    # The inbox of pykka's own actors is a queue.Queue, ours counts likewise; another may not.
    qsize = getattr(ref.actor_inbox, "qsize", None)
    return 0 if qsize is None else int(qsize())
