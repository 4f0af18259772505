"""Unified procedure steps (UPS): work that is scheduled, taken, done or given up.

A workitem is SCHEDULED when it is created. Whoever takes it makes it IN PROGRESS with a Transaction
UID of his own, which is the lock: only who knows it changes the workitem from then on, and ends it
as COMPLETED or CANCELED, after which it does not change any more. Workitems are in the index, and
nowhere else, so that all who share it give the same answers; what was answered with success is
durable. A change is decided of what was read, and none if that has changed by then: it is decided
again. When there are too many, those that ended first go, but for those on which somebody has a
deletion lock.

Who subscribes is told what becomes of workitems: `subscriptions` says who that is, and
`workitem_events` what is told.

Standard: PS3.4 CC.1.1 (states), CC.2 (services), table CC.2.5-3 (attributes).
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet, DimseFailure, Status
from dicom_actors.archive.index import (
    Result,
    Subscribed,
    SubscribedToMatching,
    SubscribersTold,
    Unsubscribed,
    WorkitemChanged,
    WorkitemCreated,
    WorklistSubscribed,
    WorklistUnsubscribed,
)
from dicom_actors.archive.index.workitems import FINAL_STATES, workitem_row
from dicom_actors.archive.services.records import decoded, encoded
from dicom_actors.archive.services.subscriptions import (
    FILTERED_WORKLIST,
    WORKLIST,
    Filter,
    subscribed_to_new,
)
from dicom_actors.archive.services.workitem_events import (
    EventChannels,
    assigned,
    cancel_requested,
    progress_report,
    restarted,
    state_report,
)
from dicom_actors.config import check_ae_title
from dicom_actors.errors import ArchiveError, ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome
    from dicom_actors.archive.services.workitem_events import Event, EventChannel

__all__ = [
    "ALREADY_CANCELED",
    "ALREADY_COMPLETED",
    "FILTERED_WORKLIST",
    "MAX_WORKITEM",
    "NOT_FOR_THIS",
    "NO_SUCH_WORKITEM",
    "NO_TRANSACTION",
    "UNKNOWN_RECEIVER",
    "UPS_PUSH",
    "WORKLIST",
    "Workitems",
]

UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
MAX_WORKITEM: Final = 1 << 20
"""Bytes of a workitem."""

# Statuses of PS3.4 table CC.1.1-2 and CC.2.
MAY_NO_LONGER_BE_UPDATED: Final = 0xC300
NO_TRANSACTION: Final = 0xC301
"""The Transaction UID is missing, or not that of the lock."""
ALREADY_IN_PROGRESS: Final = 0xC302
ONLY_BY_CREATION: Final = 0xC303
NOT_FINAL: Final = 0xC304
"""What a workitem must have in its final state is missing."""
NO_SUCH_WORKITEM: Final = 0xC307
UNKNOWN_RECEIVER: Final = 0xC308
NOT_SCHEDULED: Final = 0xC309
NOT_IN_PROGRESS: Final = 0xC310
IS_COMPLETED: Final = 0xC311
NOBODY_TO_TELL: Final = 0xC312
NOT_FOR_THIS: Final = 0xC314
"""The action is not appropriate for the instance."""
ALREADY_CANCELED: Final = 0xB304
ALREADY_COMPLETED: Final = 0xB306

_SCHEDULED: Final = "SCHEDULED"
_IN_PROGRESS: Final = "IN PROGRESS"
_COMPLETED: Final = "COMPLETED"
_CANCELED: Final = "CANCELED"
_FINAL: Final = FINAL_STATES

# Table CC.2.5-3: what a creation must have (type 1) ...
_REQUIRED: Final = (
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "InputReadinessState",
    "ScheduledProcedureStepStartDateTime",
    "ProcedureStepState",
)
# ... what does not change ...
_FIXED: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "ProcedureStepState",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ReferencedRequestSequence",
    "ReplacedProcedureStepSequence",
)
# ... and what the item for what was performed must have in the end.
_PERFORMED: Final = "UnifiedProcedureStepPerformedProcedureSequence"
_REQUIRED_IN_THE_END: Final = (
    "PerformedStationNameCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedWorkitemCodeSequence",
    "PerformedProcedureStepEndDateTime",
)
_CHOICES: Final = {
    "ScheduledProcedureStepPriority": ("HIGH", "MEDIUM", "LOW"),
    "InputReadinessState": ("READY", "UNREADY", "INCOMPLETE"),
}
_READINESS: Final = "InputReadinessState"
_PROGRESS: Final = "ProcedureStepProgressInformationSequence"
_DISCONTINUATION: Final = "ProcedureStepDiscontinuationReasonCodeSequence"
_ASSIGNMENT: Final = ("ScheduledStationNameCodeSequence", "ScheduledHumanPerformersSequence")
_SOMEBODY: Final = "DICOMWEB"
"""Requests a cancellation where the request does not say who does: HTTP knows no AE titles."""
_NOT_PLAIN: Final = frozenset('*?"\\')
_ATTEMPTS: Final = 1_000
"""How often a change is decided that others get in the way of; each time one of them gets on."""


class _Decided(NamedTuple):
    """What becomes of a workitem.

    Attributes:
        workitem: as it will be; None: it stays as it is.
        events: of that.
        status: that is answered.
        is_request: whether it is for those alone who are told of it.
    """

    workitem: DataSet | None = None
    events: tuple[Event, ...] = ()
    status: int = 0
    is_request: bool = False


class Workitems:
    """The workitems of an archive; any thread may use it.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
        now: gives the time, in seconds since 1970.
        most: workitems; when there are so many, those that ended first go.
        most_subscribers: AEs that are told of anything.
        begins: whether those who have subscribed are to be told that the archive was started.

    All methods raise `DimseFailure` with a status of PS3.4 CC.2 where they refuse, and
    `ArchiveError` where the index cannot be used; nothing is changed then.
    """

    def __init__(
        self,
        reader: Callable[[], AbstractContextManager[IndexReader]],
        write: Callable[[Sequence[Change]], list[Outcome]],
        now: Callable[[], float],
        *,
        most: int = 20_000,
        most_subscribers: int = 64,
        begins: bool = True,
    ) -> None:
        self._reader = reader
        self._write = write
        self._now = now
        self._most = most
        self._most_subscribers = most_subscribers
        self._begins = begins
        self._lock = threading.Lock()
        self._channels: Final = EventChannels(reader, write)

    def begin(self) -> None:
        """Tell those who had subscribed before that the archive was started, once (CC.2.4).

        Raises:
            ArchiveError: the index cannot be used; it is done later, then.
        """
        if not self._begins:
            return
        with self._lock:
            if self._begins and self.ae_titles():
                self._write([SubscribersTold(*restarted())])
            self._begins = False

    def begin_after_all(self) -> None:
        """Tell them now: who seemed to have been there before was gone.

        Raises:
            ArchiveError: as for `begin`.
        """
        self._begins = True
        self.begin()

    def create(self, uid: str, workitem: DataSet) -> None:
        """Schedule a workitem (CC.2.5).

        Raises:
            DimseFailure: 0120H, 0121H, 0106H or C309H, it is none that can be scheduled; 0111H,
                there is one of that UID; 0213H, it is too large, or there are too many.
            ArchiveError: the index cannot be written.
        """
        made = workitem.copy()
        for keyword in _REQUIRED:
            if keyword not in made:
                raise DimseFailure(
                    Status.MISSING_ATTRIBUTE, keyword, AttributeIdentifierList=[keyword]
                )
            if not _text(made, keyword):
                raise DimseFailure(Status.MISSING_ATTRIBUTE_VALUE, keyword)
        _check_choices(made)
        if _state(made) != _SCHEDULED:
            raise DimseFailure(NOT_SCHEDULED, "a workitem begins as SCHEDULED")
        if _text(made, "TransactionUID"):
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "TransactionUID: expected none")
        if not _text(made, "WorklistLabel"):
            made.put("WorklistLabel", "LO", "Default")
        made.put("SOPClassUID", "UI", UPS_PUSH)
        made.put("SOPInstanceUID", "UI", uid)
        made.put("TransactionUID", "UI", None)
        events = [state_report(uid, made)]
        if any(made.get(keyword) for keyword in _ASSIGNMENT):
            events.append(assigned(uid, made))
        if uid in {WORKLIST, FILTERED_WORKLIST}:
            raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE, "there is such a workitem")
        row = workitem_row(uid, self._encoded(made))
        for _ in range(_ATTEMPTS):
            with self._reader() as reader:
                revision, subscriptions = reader.workitems.worklists()
            subscribed = subscribed_to_new(subscriptions, made)
            new = WorkitemCreated(row, subscribed, revision, _told(events), self._most)
            result = self._put(new).result
            if result is Result.SAME:
                raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE, "there is such a workitem")
            if result is Result.FULL:
                raise DimseFailure(
                    Status.RESOURCE_LIMITATION,
                    f"{self._most} workitems are not over, or have a deletion lock",
                )
            if result is not Result.CONFLICT:  # else somebody has subscribed meanwhile
                return
        raise _busy()

    def get(self, uid: str) -> DataSet:
        """Give a workitem, without its lock (CC.2.7).

        Raises:
            DimseFailure: C307H, there is none.
            ArchiveError: the index cannot be read.
        """
        return _shown(decoded(self._there(uid)))

    def update(self, uid: str, changes: DataSet, transaction_uid: str = "") -> None:
        """Change attributes (CC.2.6).

        Args:
            uid: of the workitem.
            changes: what becomes of attributes.
            transaction_uid: the lock, for one that is IN PROGRESS.

        Raises:
            DimseFailure: there is none, it is over, somebody else has it, or the change is not
                allowed.
            ArchiveError: the index cannot be used.
        """
        fixed = [keyword for keyword in _FIXED if keyword in changes]
        if fixed:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, f"{fixed[0]} does not change")
        _check_choices(changes)

        def decide(workitem: DataSet) -> _Decided:
            state, lock = _state(workitem), _text(workitem, "TransactionUID")
            readiness = _text(workitem, _READINESS)
            if state != _SCHEDULED:
                _check_lock(workitem, transaction_uid)
            if state in _FINAL:
                raise DimseFailure(MAY_NO_LONGER_BE_UPDATED, f"the workitem is {state}")
            workitem.merge(changes)
            workitem.put("TransactionUID", "UI", lock or None)
            for keyword in _REQUIRED:
                if not _text(workitem, keyword):
                    raise DimseFailure(Status.MISSING_ATTRIBUTE_VALUE, keyword)
            events = []
            if readiness != _text(workitem, _READINESS):
                events.append(state_report(uid, workitem))
            if any(keyword in changes for keyword in _ASSIGNMENT):
                events.append(assigned(uid, workitem))
            if _PROGRESS in changes:
                events.append(progress_report(uid, workitem))
            return _Decided(workitem, tuple(events))

        self._change(uid, decide)

    def change_state(self, uid: str, state: str, transaction_uid: str) -> int:
        """Take a workitem, or end it (CC.2.1, table CC.1.1-2).

        Args:
            uid: of the workitem.
            state: ``IN PROGRESS``, ``COMPLETED`` or ``CANCELED``.
            transaction_uid: the lock: anyone's own who takes it, and the same one afterwards.

        Returns:
            0; or B304H or B306H, where it is in that state already.

        Raises:
            DimseFailure: the table does not allow it.
            ArchiveError: the index cannot be used.
        """
        if state not in {_SCHEDULED, _IN_PROGRESS, *_FINAL}:
            raise DimseFailure(
                Status.INVALID_ATTRIBUTE_VALUE,
                "ProcedureStepState: expected IN PROGRESS, COMPLETED or CANCELED",
            )

        def decide(workitem: DataSet) -> _Decided:
            was = _state(workitem)
            if state == _SCHEDULED:
                raise DimseFailure(ONLY_BY_CREATION, "only its creation makes it SCHEDULED")
            if not transaction_uid:
                raise DimseFailure(NO_TRANSACTION, "the Transaction UID is missing")
            if was != _SCHEDULED:
                _check_lock(workitem, transaction_uid)
            if was == state and state in _FINAL:
                already = ALREADY_CANCELED if state == _CANCELED else ALREADY_COMPLETED
                return _Decided(status=already)
            if was in _FINAL:
                raise DimseFailure(MAY_NO_LONGER_BE_UPDATED, f"the workitem is {was}")
            if was == state:
                raise DimseFailure(ALREADY_IN_PROGRESS, "the workitem is IN PROGRESS already")
            if was == _SCHEDULED and state != _IN_PROGRESS:
                raise DimseFailure(NOT_IN_PROGRESS, "the workitem is not IN PROGRESS yet")
            if state == _COMPLETED:
                _check_performed(workitem)
            elif state == _CANCELED:
                self._note_cancellation(workitem, DataSet())
            workitem.put("TransactionUID", "UI", transaction_uid)
            workitem.put("ProcedureStepState", "CS", state)
            return _Decided(workitem, (state_report(uid, workitem),))

        return self._change(uid, decide)

    def request_cancellation(self, uid: str, wanted: DataSet | None = None) -> int:
        """Ask that a workitem be given up (CC.2.2).

        One that nobody has taken is canceled at once. Where somebody has, all who have subscribed
        to it are told, he among them or not; it is refused where nobody has.

        Args:
            uid: of the workitem.
            wanted: why, with whom it may be discussed (table CC.2.2-1), and the Requesting AE.

        Returns:
            0; or B304H, it is CANCELED already.

        Raises:
            DimseFailure: C307H, there is none; C311H, it is COMPLETED; C312H, it is IN PROGRESS,
                and nobody has subscribed to it.
            ArchiveError: the index cannot be used.
        """
        wanted = DataSet() if wanted is None else wanted
        request = cancel_requested(uid, wanted, _requesting_ae(wanted))

        def decide(workitem: DataSet) -> _Decided:
            state = _state(workitem)
            if state == _CANCELED:
                return _Decided(status=ALREADY_CANCELED)
            if state == _COMPLETED:
                raise DimseFailure(IS_COMPLETED, "the workitem is COMPLETED")
            if state == _IN_PROGRESS:
                return _Decided(workitem, (request,), is_request=True)
            # By way of IN PROGRESS (CC.2.2.3), in one step, so that nobody gets in between.
            workitem.put("ProcedureStepState", "CS", _IN_PROGRESS)
            events = [request, state_report(uid, workitem)]
            self._note_cancellation(workitem, wanted)
            workitem.put("ProcedureStepState", "CS", _CANCELED)
            events.append(state_report(uid, workitem))
            return _Decided(workitem, tuple(events))

        return self._change(uid, decide)

    def find(self, identifier: DataSet, *, has_everything: bool = False) -> Iterator[DataSet]:
        """Find workitems, by the time that they are to begin (CC.2.8).

        Args:
            identifier: what must match, and what is to be returned.
            has_everything: whether all attributes are returned.

        Raises:
            DimseFailure: C000H, a key is none that can be matched.
            ArchiveError: the index cannot be read.
        """
        wanted = Filter(identifier)
        with self._reader() as reader:
            for _, data in reader.workitems.find(**_narrowed(identifier)):
                one = decoded(data)
                if wanted.matches(one):
                    yield _shown(one if has_everything else wanted.query.answer(one))

    # --- who is told -------------------------------------------------------------------------

    def subscribe(
        self, uid: str, ae_title: str, *, has_lock: bool = False, keys: DataSet | None = None
    ) -> None:
        """Have somebody told of what becomes of workitems (CC.2.3).

        Args:
            uid: of a workitem; `WORKLIST`: of all, and of those that are created; or
                `FILTERED_WORKLIST`: of those among them that match.
            ae_title: who is told.
            has_lock: whether they stay when they are over, until the subscription ends.
            keys: what is to match, with `FILTERED_WORKLIST`.

        Raises:
            DimseFailure: C307H, there is no such workitem; C308H, the AE title is none; C314H,
                keys without the filtered worklist, or the other way around; C000H, a key is none
                that can be matched; 0213H, there are too many who subscribe.
            ArchiveError: the index cannot be used.
        """
        ae_title = _receiver(ae_title)
        if (keys is None) is (uid == FILTERED_WORKLIST):
            raise DimseFailure(NOT_FOR_THIS, "keys are for the filtered worklist")
        most = self._most_subscribers
        if keys is not None:
            self._subscribe_to_matching(ae_title, keys, has_lock=has_lock)
            return
        if uid == WORKLIST:
            told_by = WORKLIST if has_lock else ""
            result = self._put(WorklistSubscribed(ae_title, has_lock, None, told_by, most)).result
        else:
            result = self._put(Subscribed(ae_title, uid, has_lock, most)).result
        if result is Result.MISSING:
            raise _no_such_workitem()
        self._check_room(result)

    def _subscribe_to_matching(self, ae_title: str, keys: DataSet, *, has_lock: bool) -> None:
        wanted, text = Filter(keys), keys.to_json()
        subscribed = WorklistSubscribed(ae_title, has_lock, text, "", self._most_subscribers)
        self._check_room(self._put(subscribed).result)
        # What is created from now on is looked at when it is: here is all that was before.
        with self._reader() as reader:
            uids = tuple(
                uid
                for uid, data in reader.workitems.find(**_narrowed(keys))
                if wanted.matches(decoded(data))
            )
        told_by = FILTERED_WORKLIST if has_lock else ""
        self._put(SubscribedToMatching(ae_title, has_lock, text, uids, told_by))

    def _check_room(self, result: Result) -> None:
        if result is Result.FULL:
            raise DimseFailure(
                Status.RESOURCE_LIMITATION, f"{self._most_subscribers} AEs have subscribed"
            )

    def unsubscribe(self, uid: str, ae_title: str) -> bool:
        """Have somebody told no more (CC.2.3).

        Args:
            uid: of a workitem; `WORKLIST`: of none at all; `FILTERED_WORKLIST`: of none at all,
                unless the AE is subscribed to all, besides.
            ae_title: who was told.

        Returns:
            Whether there was that subscription.

        Raises:
            DimseFailure: C308H, the AE title is none.
            ArchiveError: the index cannot be used.
        """
        ae_title = _receiver(ae_title)
        ended: Change = Unsubscribed(ae_title, uid)
        if uid in {WORKLIST, FILTERED_WORKLIST}:
            is_matching = uid == FILTERED_WORKLIST
            ended = WorklistUnsubscribed(ae_title, is_matching, is_suspended=False)
        return self._put(ended).result is not Result.MISSING

    def suspend(self, uid: str, ae_title: str) -> bool:
        """Subscribe somebody to nothing that is created from now on (CC.2.3).

        Args:
            uid: `WORKLIST` or `FILTERED_WORKLIST`.
            ae_title: who is told.

        Returns:
            Whether there was that subscription.

        Raises:
            DimseFailure: C314H, it is neither; C308H, the AE title is none.
            ArchiveError: the index cannot be used.
        """
        if uid not in {WORKLIST, FILTERED_WORKLIST}:
            raise DimseFailure(NOT_FOR_THIS, "a subscription to one workitem is ended instead")
        ae_title = _receiver(ae_title)
        is_matching = uid == FILTERED_WORKLIST
        ended = WorklistUnsubscribed(ae_title, is_matching, is_suspended=True)
        return self._put(ended).result is not Result.MISSING

    def subscribers(self, uid: str) -> dict[str, bool]:
        """Who is told of a workitem: AE titles, and whether each has a deletion lock.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self._reader() as reader:
            return reader.workitems.subscribers(uid)

    def ae_titles(self) -> list[str]:
        """All who are told of anything.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self._reader() as reader:
            return reader.workitems.ae_titles()

    def listen(self, ae_title: str, wake: Callable[[], object], most: int) -> EventChannel | None:
        """Listen to what somebody is told; what waits comes first.

        Args:
            ae_title: who is told; it need not be subscribed yet.
            wake: called when there is something to take, and at the end, by any thread; must not
                block.
            most: who may listen at once; where so many do, None is returned.

        Raises:
            DimseFailure: C308H, the AE title is none.
            ArchiveError: the index cannot be read.
        """
        ae_title = _receiver(ae_title)
        self.begin()
        return self._channels.open(ae_title, wake, most)

    def wake(self, ae_titles: Iterable[str] | None = None) -> None:
        """Have those who listen look for what they are told; None: all of them."""
        self._channels.wake(ae_titles)

    # --- what they share ---------------------------------------------------------------------

    def _put(self, change: Change) -> Outcome:
        self.begin()
        return self._write([change])[0]

    def _there(self, uid: str) -> bytes:
        with self._reader() as reader:
            data = reader.workitems.get(uid)
        if data is None:
            raise _no_such_workitem()
        return data

    def _change(self, uid: str, decide: Callable[[DataSet], _Decided]) -> int:
        """Have a workitem changed as it is decided, of what it is; returns what is answered."""
        for _ in range(_ATTEMPTS):
            before = self._there(uid)
            workitem, events, status, is_request = decide(decoded(before))
            if workitem is None:
                return status
            data = before if is_request else self._encoded(workitem)
            changed = WorkitemChanged(before, workitem_row(uid, data), _told(events))
            outcome = self._put(changed)
            if outcome.result is Result.CONFLICT:
                continue  # somebody else was faster: it may not be allowed any more
            if is_request and not outcome.told:
                raise DimseFailure(NOBODY_TO_TELL, "the performer cannot be contacted")
            return status
        raise _busy()

    def _encoded(self, workitem: DataSet) -> bytes:
        """What is kept of a workitem, with the time of now."""
        workitem.put("ScheduledProcedureStepModificationDateTime", "DT", self._time())
        workitem.put("SpecificCharacterSet", "CS", "ISO_IR 192")
        try:
            data = encoded(workitem)
        except DataError as error:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, str(error)[:64]) from error
        if len(data) > MAX_WORKITEM:
            raise DimseFailure(Status.RESOURCE_LIMITATION, f"more than {MAX_WORKITEM} bytes")
        return data

    def _note_cancellation(self, workitem: DataSet, wanted: DataSet) -> None:
        items: Any = workitem.get(_PROGRESS) or []
        progress = items[0].copy() if items else DataSet()
        if not _text(progress, "ProcedureStepCancellationDateTime"):
            progress.put("ProcedureStepCancellationDateTime", "DT", self._time())
        for keyword in ("ReasonForCancellation", _DISCONTINUATION):
            if wanted.get(keyword):
                progress.put_element(wanted.fetch(keyword))
        if _DISCONTINUATION not in progress:
            progress.put(_DISCONTINUATION, "SQ", None)
        workitem.put(_PROGRESS, "SQ", [progress])

    def _time(self) -> str:
        at = dt.datetime.fromtimestamp(self._now(), dt.UTC)
        return at.strftime("%Y%m%d%H%M%S.%f+0000")


def _shown(workitem: DataSet) -> DataSet:
    """A copy without the lock, which nobody is told."""
    shown = workitem.copy()
    if "TransactionUID" in shown:
        del shown["TransactionUID"]
    return shown


def _state(workitem: DataSet) -> str:
    return _text(workitem, "ProcedureStepState")


def _text(workitem: DataSet, keyword: str) -> str:
    try:
        return str(workitem.get(keyword) or "")
    except DataError as error:
        raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, keyword) from error


def _requesting_ae(wanted: DataSet) -> str:
    """Who requests a cancellation."""
    title = _text(wanted, "RequestingAE").strip()
    try:
        check_ae_title(title, "RequestingAE")
    except ConfigurationError:
        return _SOMEBODY
    return title


def _receiver(ae_title: str) -> str:
    """Who is told; spaces around an AE title mean nothing."""
    try:
        check_ae_title(ae_title, "AE title")
    except ConfigurationError as error:
        raise DimseFailure(
            UNKNOWN_RECEIVER, "expected an AE title of 1 to 16 characters"
        ) from error
    return ae_title.strip(" ")


def _check_choices(workitem: DataSet) -> None:
    for keyword, choices in _CHOICES.items():
        if keyword in workitem and _text(workitem, keyword) not in choices:
            raise DimseFailure(
                Status.INVALID_ATTRIBUTE_VALUE, f"{keyword}: expected {', '.join(choices)}"
            )


def _check_performed(workitem: DataSet) -> None:
    try:
        items: Any = workitem.get(_PERFORMED) or []
        for keyword in _REQUIRED_IN_THE_END:
            if not items or not items[0].get(keyword):
                raise DimseFailure(NOT_FINAL, f"{_PERFORMED}: expected {keyword}"[:64])
        if "OutputInformationSequence" not in items[0]:
            raise DimseFailure(NOT_FINAL, f"{_PERFORMED}: expected output"[:64])
    except DataError as error:
        raise DimseFailure(NOT_FINAL, _PERFORMED) from error


def _check_lock(workitem: DataSet, transaction_uid: str) -> None:
    if not transaction_uid:
        raise DimseFailure(NO_TRANSACTION, "the Transaction UID is missing")
    if transaction_uid != _text(workitem, "TransactionUID"):
        raise DimseFailure(NO_TRANSACTION, "the Transaction UID is incorrect")


def _no_such_workitem() -> DimseFailure:
    return DimseFailure(NO_SUCH_WORKITEM, "there is no such workitem")


def _busy() -> ArchiveError:
    return ArchiveError("others change the same workitem all the time", "busy")


def _told(events: Iterable[Event]) -> tuple[tuple[int, str], ...]:
    return tuple((event.type_id, event.attributes) for event in events)


def _narrowed(keys: DataSet) -> dict[str, Any]:
    """What the index can look for of keys: it finds all that match, and perhaps more."""
    found: dict[str, Any] = {}
    if uids := _plain(keys, "SOPInstanceUID"):
        found["uids"] = uids
    if states := _plain(keys, "ProcedureStepState"):
        found["states"] = states
    if len(patients := _plain(keys, "PatientID")) == 1:
        (found["patient_id"],) = patients
    return found


def _plain(keys: DataSet, keyword: str) -> list[str]:
    """The values of a key; none, if it has none, or one that has to be looked at more closely."""
    try:
        value: Any = keys.get(keyword)
    except DataError:
        return []
    values = [str(one).strip() for one in (value if isinstance(value, list) else [value]) if one]
    is_plain = all(one.isprintable() and not set(one) & _NOT_PLAIN for one in values)
    return values if is_plain else []
