"""What is told of workitems, and what waits for those who are told.

An `Event` is made once for all who are told of it. Each of them, by an AE title, has channels: who
listens there takes what was put in. What comes while nobody listens waits, up to a limit; then what
is oldest is lost, as the standard allows. A channel that is not emptied ends, and nothing else is
the slower for it.

Standard: PS3.4 CC.2.4 (events and their attributes).
"""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "WORKLIST",
    "Event",
    "EventChannel",
    "EventQueues",
    "assigned",
    "cancel_requested",
    "progress_report",
    "restarted",
    "state_report",
]

WORKLIST: Final = "1.2.840.10008.5.1.4.34.5"
"""The well-known UID of all workitems (UPS Global Subscription SOP Instance)."""

STATE_REPORT: Final = 1
CANCEL_REQUESTED: Final = 2
PROGRESS_REPORT: Final = 3
SCP_STATUS_CHANGE: Final = 4
ASSIGNED: Final = 5

_PROGRESS: Final = "ProcedureStepProgressInformationSequence"
_DISCONTINUATION: Final = "ProcedureStepDiscontinuationReasonCodeSequence"
_PERFORMER: Final = (
    "HumanPerformerCodeSequence",
    "HumanPerformerOrganization",
)


class Event(NamedTuple):
    """What happened to a workitem.

    Attributes:
        uid: the Affected SOP Instance UID.
        type_id: the Event Type ID.
        attributes: of the event, in the DICOM JSON model: the text of an object.
    """

    uid: str
    type_id: int
    attributes: str


def _event(uid: str, type_id: int, attributes: DataSet) -> Event:
    return Event(uid, type_id, json.dumps(attributes.to_json_dict(), separators=(",", ":")))


def state_report(uid: str, workitem: DataSet) -> Event:
    """UPS State Report: how a workitem is now."""
    told = _some(workitem, "ProcedureStepState", "InputReadinessState")
    if str(workitem.get("ProcedureStepState") or "") == "CANCELED":
        items: Any = workitem.get(_PROGRESS) or []
        if items:
            told.merge(_some(items[0], "ReasonForCancellation", _DISCONTINUATION))
    return _event(uid, STATE_REPORT, told)


def cancel_requested(uid: str, wanted: DataSet, requesting_ae: str) -> Event:
    """UPS Cancel Requested: somebody asks that a workitem be given up."""
    told = _some(
        wanted, "ReasonForCancellation", _DISCONTINUATION, "ContactURI", "ContactDisplayName"
    )
    told.put("RequestingAE", "AE", requesting_ae)
    return _event(uid, CANCEL_REQUESTED, told)


def progress_report(uid: str, workitem: DataSet) -> Event:
    """UPS Progress Report: how far a workitem is."""
    return _event(uid, PROGRESS_REPORT, _some(workitem, _PROGRESS))


def assigned(uid: str, workitem: DataSet) -> Event:
    """UPS Assigned: whose work it is."""
    told = _some(workitem, "ScheduledStationNameCodeSequence")
    performers: Any = workitem.get("ScheduledHumanPerformersSequence") or []
    if performers:
        told.merge(_some(performers[0], *_PERFORMER))
        told.merge(_some(workitem, "ScheduledHumanPerformersSequence"))
    return _event(uid, ASSIGNED, told)


def restarted() -> Event:
    """SCP Status Change: the archive was started, and has all workitems and subscriptions still."""
    told = DataSet.from_keywords(
        SCPStatus="RESTARTED",
        SubscriptionListStatus="WARM START",
        UnifiedProcedureStepListStatus="WARM START",
    )
    return _event(WORKLIST, SCP_STATUS_CHANGE, told)


def _some(data_set: DataSet, *keywords: str) -> DataSet:
    """What there is of these attributes, as it may leave the lock that is held."""
    found = DataSet()
    for keyword in keywords:
        if keyword in data_set:
            found.put_element(data_set.fetch(keyword))
    return found


class _Waiting:
    """What waits to be taken: workitems whose state is to be told, and events behind them.

    Args:
        most_events: that wait.
        most_bytes: of them together; one may be longer.
    """

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._bytes = 0
        self.states: dict[str, None] = {}
        self.events: deque[Event] = deque()

    def put(self, event: Event) -> bool:
        """Add an event; returns whether older ones are lost for it."""
        self.events.append(event)
        self._bytes += len(event.attributes)
        has_lost = False
        while len(self.events) > 1 and (
            len(self.events) > self._most_events or self._bytes > self._most_bytes
        ):
            self.pop()
            has_lost = True
        return has_lost

    def pop(self) -> Event:
        """Take the oldest event."""
        event = self.events.popleft()
        self._bytes -= len(event.attributes)
        return event


class EventChannel:
    """Where one takes what somebody is told; made by `EventQueues.open`. One thread takes.

    Attributes:
        ae_title: who is told.
        is_closed: whether nothing will come any more.
        has_lost: whether it was closed since it was not emptied.
    """

    def __init__(
        self, queues: EventQueues, ae_title: str, waiting: _Waiting, wake: Callable[[], object]
    ) -> None:
        self.ae_title: Final = ae_title
        self.is_closed = False
        self.has_lost = False
        self._queues = queues
        self.waiting: Final = waiting
        self.wake: Final = wake

    def take(self) -> Event | None:
        """Take the next event; None if there is none now.

        Raises:
            ArchiveError: the index cannot be read.
        """
        return self._queues.take(self)

    def close(self) -> None:
        """Listen no more; what was not taken waits for the next who does."""
        self._queues.leave(self)


class EventQueues:
    """What all who are told have before them. Any thread may use it.

    Args:
        state_of: gives the report of a workitem's state, for whom, by its UID; None: there is
            nothing to tell.
        most_events: that wait for one who is told.
        most_bytes: see `most_events`.
    """

    def __init__(
        self,
        state_of: Callable[[str, str], Event | None],
        *,
        most_events: int = 1000,
        most_bytes: int = 2 << 20,
    ) -> None:
        self._state_of = state_of
        self._most = most_events, most_bytes
        self._lock = threading.Lock()
        self._channels: dict[str, list[EventChannel]] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._told: set[str] = set()

    def post(self, ae_titles: Iterable[str], *events: Event) -> None:
        """Tell of events; returns at once."""
        with self._lock:
            for ae_title in ae_titles:
                self._told.add(ae_title)
                channels = tuple(self._channels.get(ae_title, ()))
                for event in events:
                    for channel in channels:
                        channel.has_lost |= channel.waiting.put(event)
                    if not channels:
                        self._waiting_for(ae_title).put(event)
                for channel in channels:
                    if channel.has_lost:
                        self._leave(channel)
                    channel.wake()

    def post_states(self, ae_title: str, uids: Iterable[str]) -> None:
        """Tell of the states of workitems, as they are when that is taken."""
        with self._lock:
            self._told.add(ae_title)
            channels = self._channels.get(ae_title, ())
            states = dict.fromkeys(uids)
            if not channels:
                self._waiting_for(ae_title).states.update(states)
            for channel in channels:
                channel.waiting.states.update(states)
                channel.wake()

    def forget(self, ae_title: str) -> None:
        """Nobody of that title is to be told any more: what waits for a channel is void."""
        with self._lock:
            self._told.discard(ae_title)
            self._waiting.pop(ae_title, None)

    def open(self, ae_title: str, wake: Callable[[], object], most: int) -> EventChannel | None:
        """Begin to listen.

        Args:
            ae_title: for whom.
            wake: called when there is something to take, and at the end; must not block.
            most: channels that may be open; None is returned where there are so many.
        """
        with self._lock:
            if sum(map(len, self._channels.values())) >= most:
                return None
            waiting = self._waiting.pop(ae_title, None) or _Waiting(*self._most)
            channel = EventChannel(self, ae_title, waiting, wake)
            self._channels.setdefault(ae_title, []).append(channel)
        if waiting.states or waiting.events:
            wake()
        return channel

    def take(self, channel: EventChannel) -> Event | None:
        """See `EventChannel.take`."""
        while True:
            with self._lock:
                waiting = channel.waiting
                if not waiting.states:
                    return waiting.pop() if waiting.events else None
                uid = next(iter(waiting.states))
                del waiting.states[uid]
            if (event := self._state_of(channel.ae_title, uid)) is not None:
                return event

    def leave(self, channel: EventChannel) -> None:
        """See `EventChannel.close`."""
        with self._lock:
            self._leave(channel)

    def _leave(self, channel: EventChannel) -> None:
        channel.is_closed = True
        channels = self._channels.get(channel.ae_title, [])
        if channel in channels:
            channels.remove(channel)
            if not channels:
                del self._channels[channel.ae_title]
                if channel.ae_title in self._told:
                    self._waiting[channel.ae_title] = channel.waiting

    def _waiting_for(self, ae_title: str) -> _Waiting:
        if ae_title not in self._waiting:
            self._waiting[ae_title] = _Waiting(*self._most)
        return self._waiting[ae_title]
