"""What is told of workitems, and what waits for those who are told.

An `Event` is written for all who are told of it, in the transaction of what it tells. Each of them,
by an AE title, has channels, in any of the processes that share the index: who listens there takes
what was written. What comes while nobody listens waits, up to a limit; then what is oldest is lost,
as the standard allows. A channel that is not emptied ends, and nothing else is the slower for it.

Standard: PS3.4 CC.2.4 (events and their attributes).
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet
from dicom_actors.archive.index import EventsTaken
from dicom_actors.archive.services.records import decoded
from dicom_actors.archive.services.subscriptions import FILTERED_WORKLIST, WORKLIST, Filter
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader
    from dicom_actors.archive.index.workitems import WorkitemReader

__all__ = [
    "Event",
    "EventChannel",
    "EventChannels",
    "assigned",
    "cancel_requested",
    "progress_report",
    "restarted",
    "state_report",
]

logger = logging.getLogger(__name__)

STATE_REPORT: Final = 1
CANCEL_REQUESTED: Final = 2
PROGRESS_REPORT: Final = 3
SCP_STATUS_CHANGE: Final = 4
ASSIGNED: Final = 5

_PAGE: Final = 64
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


class EventChannel:
    """Where one takes what somebody is told; made by `EventChannels.open`. One thread takes.

    Attributes:
        ae_title: who is told.
        is_closed: whether nothing will come any more.
        has_lost: whether it was closed since it was not emptied.
        after: the number of the event that was taken last.
        state_of: the workitem whose state was taken last, of an event that stands for several.
    """

    def __init__(self, channels: EventChannels, ae_title: str, wake: Callable[[], object]) -> None:
        self.ae_title: Final = ae_title
        self.wake: Final = wake
        self.is_closed = False
        self.has_lost = False
        self.after = 0
        self.state_of = ""
        self._channels = channels

    def take(self) -> Event | None:
        """Take the next event; None if there is none now.

        Raises:
            ArchiveError: the index cannot be read.
        """
        return self._channels.take(self)

    def close(self) -> None:
        """Listen no more; what was not taken waits for the next who does."""
        self._channels.leave(self)


class _Listening:
    """Those who listen for an AE here, and up to which number its events are noted as taken."""

    def __init__(self) -> None:
        self.channels: list[EventChannel] = []
        self.taken = 0


class EventChannels:
    """The channels that are open in this process. Any thread may use it.

    Events are in the index. A channel takes them from there when it is woken, and it is noted up to
    where they were taken when it has no more, so that the next one goes on there, wherever it is.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it.
    """

    def __init__(
        self,
        reader: Callable[[], AbstractContextManager[IndexReader]],
        write: Callable[[Sequence[Change]], object],
    ) -> None:
        self._reader = reader
        self._write = write
        self._lock = threading.Lock()
        self._listening: dict[str, _Listening] = {}

    def __len__(self) -> int:
        """How many are open."""
        return sum(len(one.channels) for one in self._listening.values())

    def open(self, ae_title: str, wake: Callable[[], object], most: int) -> EventChannel | None:
        """Begin to listen.

        Args:
            ae_title: for whom.
            wake: called when there is something to take, and at the end; must not block.
            most: channels that may be open; None is returned where there are so many.

        Raises:
            ArchiveError: the index cannot be read.
        """
        channel = EventChannel(self, ae_title, wake)
        with self._lock:
            if len(self) >= most:
                return None
            here = self._listening.setdefault(ae_title, _Listening())
            is_first = not here.channels
            here.channels.append(channel)
        # From now on it is woken: what comes after this is looked at is not missed.
        try:
            with self._reader() as reader:
                taken, lost, newest = reader.workitems.events_of(ae_title)
        except BaseException:
            with self._lock:
                self._remove(channel)
            raise
        if is_first:
            here.taken = taken
        # Else those who listen already have what waits before them.
        channel.after = max(taken, lost) if is_first else newest
        if channel.after < newest:
            wake()
        return channel

    def wake(self, ae_titles: Iterable[str] | None = None) -> None:
        """Have channels take what there is; None: all of them, whatever that is."""
        with self._lock:
            woken = [
                channel
                for title in (self._listening if ae_titles is None else ae_titles)
                if title in self._listening
                for channel in self._listening[title].channels
            ]
        for channel in woken:
            channel.wake()

    def take(self, channel: EventChannel) -> Event | None:
        """See `EventChannel.take`."""
        while not channel.is_closed:
            with self._reader() as reader:
                found = reader.workitems.next_event(channel.ae_title, channel.after)
                if found is None:
                    break
                lost, number, (uid, type_id, attributes) = found
                if lost:
                    event = None
                elif attributes is not None:
                    event = Event(uid, type_id, attributes)
                else:
                    event = self._next_state(reader.workitems, channel, uid)
            if lost:
                channel.has_lost = True
                self.leave(channel)
                return None
            if event is None or attributes is not None or not channel.state_of:
                channel.after, channel.state_of = number, ""
            if event is not None:
                return event
        self._note(channel)
        return None

    @staticmethod
    def _next_state(reader: WorkitemReader, channel: EventChannel, uid: str) -> Event | None:
        """Report the state of a workitem, or the next one of several, if there is one."""
        if uid not in {WORKLIST, FILTERED_WORKLIST}:
            data = reader.get(uid) if channel.ae_title in reader.subscribers(uid) else None
            return None if data is None else _state_of(uid, data)
        wanted = None
        if uid == FILTERED_WORKLIST:
            subscription = reader.worklist_of(channel.ae_title)
            if subscription is None or subscription.keys is None:
                return None
            wanted = Filter(DataSet.from_json(subscription.keys))
        while page := reader.subscribed_to(channel.ae_title, channel.state_of, _PAGE):
            for found, data in page:
                channel.state_of = found
                if wanted is None or wanted.matches(decoded(data)):
                    return _state_of(found, data)
        return None

    def _note(self, channel: EventChannel) -> None:
        """Note up to where events were taken, so that nobody is told them again."""
        with self._lock:
            here = self._listening.get(channel.ae_title)
            if here is None or channel.is_closed or channel.after <= here.taken:
                return
            here.taken = channel.after
        self._put(EventsTaken(channel.ae_title, channel.after))

    def leave(self, channel: EventChannel) -> None:
        """See `EventChannel.close`."""
        with self._lock:
            was = self._remove(channel)
            is_last = was is not None and not was.channels
        if is_last and was is not None and was.taken != channel.after:
            self._put(EventsTaken(channel.ae_title, channel.after, is_exact=True))

    def _remove(self, channel: EventChannel) -> _Listening | None:
        channel.is_closed = True
        here = self._listening.get(channel.ae_title)
        if here is None or channel not in here.channels:
            return None
        here.channels.remove(channel)
        if not here.channels:
            del self._listening[channel.ae_title]
        return here

    def _put(self, taken: EventsTaken) -> None:
        try:
            self._write([taken])
        except ArchiveError as error:
            logger.warning("somebody may be told events of workitems again: %s", error)


def _state_of(uid: str, data: bytes) -> Event:
    return state_report(uid, decoded(data))
