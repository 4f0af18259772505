"""What the actors of an endpoint say to each other.

What host applications say to an endpoint is in `dicom_actors.messages`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.supervision import SupervisedRef

__all__ = [
    "AbortNow",
    "ArmCrashPoint",
    "DeadlineReached",
    "Deliver",
    "Dispatch",
    "DrainDeadline",
    "Drained",
    "DropConnection",
    "EndHandler",
    "GetKernel",
    "HandlerReady",
    "OutcomeReady",
    "OutputWaits",
    "PlaceFree",
    "StartHandler",
]


class AbortNow:
    """To an Association: abort, since the host application wants it."""


class DeadlineReached:
    """To whoever armed a timer: look at the clock."""


class Deliver:
    """To the EventBus: events are waiting."""


class DrainDeadline:
    """To the Endpoint, from its timer: the time for draining is over."""


class Drained:
    """To the Endpoint: the last connection is over."""


class GetKernel:
    """To the Endpoint, from `dicom_actors.testing`: answers with its tables."""


class HandlerReady:
    """To an Association: its connection has a Handler."""


class OutcomeReady:
    """To an Association: a request of its connection has an outcome."""


class OutputWaits:
    """To an Association: its Handler has sent more than the socket takes."""


class PlaceFree:
    """To the Listener: a connection is over, another may be accepted."""


@dataclass(frozen=True, slots=True)
class DropConnection:
    """To the Listener: end a connection that has said nothing yet."""

    record: ConnectionRecord


@dataclass(frozen=True, slots=True)
class Dispatch:
    """To a Handler: run the handler of that request."""

    serial: int


@dataclass(frozen=True, slots=True)
class StartHandler:
    """To the AssociationSupervisor: give that connection a Handler."""

    record: ConnectionRecord


@dataclass(frozen=True, slots=True)
class EndHandler:
    """To the AssociationSupervisor: that Handler is not needed any more.

    Attributes:
        handler: the Handler.
        is_hung: whether it is given up at once instead of being asked.
    """

    handler: SupervisedRef[Any]
    is_hung: bool = False


@dataclass(frozen=True, slots=True)
class ArmCrashPoint:
    """To the Endpoint, from `dicom_actors.testing`: let a place crash that many times.

    Attributes:
        point: one of `dicom_actors.testing.CRASH_POINTS`.
        times: how often; 0 disarms it.
        after: how often it is passed before.
        action: what happens there instead of a crash.
    """

    point: str
    times: int
    after: int = 0
    action: Callable[[], object] | None = None
