"""Counts of what an endpoint tells its subscribers (`dicom_actors.events`).

The counts outlive whoever brings the events. All of them only grow.
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from dicom_actors import events
from dicom_actors.dimse.status import StatusCategory, category_of

__all__ = ["BOUNDS", "ServiceCount", "Tally", "Totals", "is_failure", "service_name"]

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds of the classes of durations, seconds; one more has no bound."""

_MOST: Final = 500
"""Of what a handler, or a supervision tree, can name: beyond so many kinds they are one."""

_OTHERS: Final = "other"

_SERVICES: Final = {
    "cecho": "C-ECHO",
    "cstore": "C-STORE",
    "cfind": "C-FIND",
    "cget": "C-GET",
    "cmove": "C-MOVE",
    "ncreate": "N-CREATE",
    "nset": "N-SET",
    "nget": "N-GET",
    "ndelete": "N-DELETE",
    "naction": "N-ACTION",
    "nevent_report": "N-EVENT-REPORT",
}


def service_name(service: str) -> str:
    """The name of a service in the standard, of its name in ``event_handlers``."""
    return _SERVICES.get(service, service)


def is_failure(status: int) -> bool:
    """Whether a status is one of failure (PS3.7 C)."""
    return category_of(status) is StatusCategory.FAILURE


@dataclass(slots=True)
class ServiceCount:
    """What came of the requests of one service.

    Attributes:
        statuses: how many were answered with each status.
        bytes: of the data sets that came with them.
        durations: how many took up to each of `BOUNDS`, and longer than all of them.
        seconds: that all of them took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    bytes: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        """How many were answered."""
        return self.statuses.total()

    @property
    def failures(self) -> int:
        """How many were answered with a status of failure."""
        return sum(count for status, count in self.statuses.items() if is_failure(status))


@dataclass(slots=True)
class Totals:
    """The counts at a time.

    Attributes:
        services: by the service's name in the standard.
        opened: associations that were accepted.
        closed: connections that ended, by the reason.
        crashes: of actors, by what they are.
        restarts: of actors, by what they are.
        limits: limits that were met, by the setting.
    """

    services: dict[str, ServiceCount] = field(default_factory=dict)
    opened: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)

    def of(self, service: str) -> ServiceCount:
        """The counts of a service, by its name in the standard."""
        return self.services.get(service) or ServiceCount()

    @property
    def failures(self) -> int:
        """Requests of any service that were answered with a status of failure."""
        return sum(service.failures for service in self.services.values())


class Tally:
    """Counts events; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = Totals()
        self._senders: dict[int, list[int]] = {}

    def count(self, event: Any) -> None:
        """Count an event of `dicom_actors.events`; what is none is ignored."""
        with self._lock:
            totals = self._totals
            match event:
                case events.RequestCompleted():
                    self._count_request(event)
                case events.AssociationOpened():
                    totals.opened += 1
                case events.AssociationClosed(association, reason):
                    _add(totals.closed, reason)
                    self._senders.pop(association.id, None)
                case events.ActorCrashed(name):
                    _add(totals.crashes, _kind_of(name))
                case events.ActorRestarted(name):
                    _add(totals.restarts, _kind_of(name))
                case events.LimitReached(name):
                    _add(totals.limits, name)

    def _count_request(self, event: events.RequestCompleted) -> None:
        services = self._totals.services
        service = services.setdefault(service_name(event.service), ServiceCount())
        status = event.status
        if status not in service.statuses and len(service.statuses) >= _MOST:
            status = 0xFFFF  # which no service has
        service.statuses[status] += 1
        service.bytes += event.bytes
        service.seconds += event.seconds
        service.durations[bisect.bisect_left(BOUNDS, event.seconds)] += 1
        if event.service == "cstore" and not is_failure(event.status):
            of_sender = self._senders.setdefault(event.association_id, [0, 0])
            of_sender[0] += 1
            of_sender[1] += event.bytes

    def totals(self) -> Totals:
        """A copy of the counts as they are."""
        with self._lock:
            return deepcopy(self._totals)

    def stored_by(self, association_id: int) -> tuple[int, int]:
        """How many objects, and bytes, an association that is open has stored."""
        with self._lock:
            objects, length = self._senders.get(association_id, (0, 0))
            return objects, length


def _add(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < _MOST else _OTHERS] += 1


def _kind_of(name: str) -> str:
    """What an actor is, without its number."""
    return name.rstrip("0123456789 ") or name
