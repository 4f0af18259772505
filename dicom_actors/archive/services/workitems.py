"""Unified procedure steps (UPS): work that is scheduled, taken, done or given up.

A workitem is SCHEDULED when it is created. Whoever takes it makes it IN PROGRESS with a Transaction
UID of his own, which is the lock: only who knows it changes the workitem from then on, and ends it
as COMPLETED or CANCELED, after which it does not change any more. Workitems are in the index; what
was answered with success is durable. When there are too many, those that ended first go, but for
those on which somebody has a deletion lock.

Who subscribes is told what becomes of workitems: `subscriptions` says who that is, and
`workitem_events` what is told.

Standard: PS3.4 CC.1.1 (states), CC.2 (services), table CC.2.5-3 (attributes).
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, DimseFailure, Query, Status
from dicom_actors.archive.services.records import Records
from dicom_actors.archive.services.subscriptions import Subscriptions
from dicom_actors.archive.services.workitem_events import (
    WORKLIST,
    EventQueues,
    assigned,
    cancel_requested,
    progress_report,
    restarted,
    state_report,
)
from dicom_actors.config import check_ae_title
from dicom_actors.errors import ConfigurationError, DataError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
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
FILTERED_WORKLIST: Final = "1.2.840.10008.5.1.4.34.5.1"
"""The well-known UID of workitems that match (UPS Filtered Global Subscription SOP Instance)."""

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
_FINAL: Final = frozenset({_COMPLETED, _CANCELED})

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


class Workitems:
    """The workitems of an archive; any thread may use it.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
        now: gives the time, in seconds since 1970.
        most: workitems; when there are so many, those that ended first go.
        most_subscribers: AEs that are told of anything.

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
    ) -> None:
        self._records = Records("workitem", reader, write)
        self._reader = reader
        self._write = write
        self._most_subscribers = most_subscribers
        self._now = now
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[str, DataSet] | None = None
        self._subscribed: Subscriptions | None = None
        self._queues: Final = EventQueues(self._state_of)

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
        with self._lock:
            if uid in self._all() or uid in {WORKLIST, FILTERED_WORKLIST}:
                raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE, "there is such a workitem")
            self._make_room()
            self._keep(uid, made, self._subscriptions().of_new(made))
            self._tell(uid, *events)

    def get(self, uid: str) -> DataSet:
        """Give a workitem, without its lock (CC.2.7).

        Raises:
            DimseFailure: C307H, there is none.
            ArchiveError: the index cannot be read.
        """
        with self._lock:
            return _shown(self._there(uid))

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
        with self._lock:
            workitem = self._there(uid).copy()
            state = _state(workitem)
            if state != _SCHEDULED:
                self._check_lock(workitem, transaction_uid)
            if state in _FINAL:
                raise DimseFailure(MAY_NO_LONGER_BE_UPDATED, f"the workitem is {state}")
            lock = _text(workitem, "TransactionUID")
            workitem.merge(changes)
            workitem.put("TransactionUID", "UI", lock or None)
            for keyword in _REQUIRED:
                if not _text(workitem, keyword):
                    raise DimseFailure(Status.MISSING_ATTRIBUTE_VALUE, keyword)
            events = []
            if _text(self._there(uid), _READINESS) != _text(workitem, _READINESS):
                events.append(state_report(uid, workitem))
            if any(keyword in changes for keyword in _ASSIGNMENT):
                events.append(assigned(uid, workitem))
            if _PROGRESS in changes:
                events.append(progress_report(uid, workitem))
            self._keep(uid, workitem)
            self._tell(uid, *events)

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
        with self._lock:
            workitem = self._there(uid).copy()
            was = _state(workitem)
            if state == _SCHEDULED:
                raise DimseFailure(ONLY_BY_CREATION, "only its creation makes it SCHEDULED")
            if not transaction_uid:
                raise DimseFailure(NO_TRANSACTION, "the Transaction UID is missing")
            if was != _SCHEDULED:
                self._check_lock(workitem, transaction_uid)
            if was == state and state in _FINAL:
                return ALREADY_CANCELED if state == _CANCELED else ALREADY_COMPLETED
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
            report = state_report(uid, workitem)
            self._keep(uid, workitem)
            self._tell(uid, report)
        return 0

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
        with self._lock:
            workitem = self._there(uid).copy()
            state = _state(workitem)
            if state == _CANCELED:
                return ALREADY_CANCELED
            if state == _COMPLETED:
                raise DimseFailure(IS_COMPLETED, "the workitem is COMPLETED")
            if state == _IN_PROGRESS:
                if not self._subscriptions().of(uid):
                    raise DimseFailure(NOBODY_TO_TELL, "the performer cannot be contacted")
                self._tell(uid, request)
                return 0
            # By way of IN PROGRESS (CC.2.2.3), in one step, so that nobody gets in between.
            workitem.put("ProcedureStepState", "CS", _IN_PROGRESS)
            events = [request, state_report(uid, workitem)]
            self._note_cancellation(workitem, wanted)
            workitem.put("ProcedureStepState", "CS", _CANCELED)
            events.append(state_report(uid, workitem))
            self._keep(uid, workitem)
            self._tell(uid, *events)
        return 0

    def find(self, identifier: DataSet, *, has_everything: bool = False) -> Iterator[DataSet]:
        """Find workitems, by the time that they are to begin (CC.2.8).

        Args:
            identifier: what must match, and what is to be returned.
            has_everything: whether all attributes are returned.

        Raises:
            DimseFailure: C000H, a key is none that can be matched.
            ArchiveError: the index cannot be read.
        """
        try:
            query = Query(identifier, ignore_accents=True)
        except DecodeError as error:
            raise DimseFailure(Status.UNABLE_TO_PROCESS, str(error)[:64]) from error
        with self._lock:
            kept = list(self._all().items())
        found = [(uid, one) for uid, one in kept if _matches(query, one)]
        found.sort(
            key=lambda pair: (_text(pair[1], "ScheduledProcedureStepStartDateTime"), pair[0])
        )
        for _, one in found:
            yield _shown(one) if has_everything else _shown(query.answer(one))

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
        with self._lock:
            subscriptions, kept = self._subscriptions(), self._all()
            if uid == WORKLIST:
                subscriptions.subscribe_to_all(ae_title, kept, has_lock=has_lock)
                told = list(kept) if has_lock else []
            elif keys is not None:
                found = subscriptions.subscribe_to_matching(ae_title, keys, kept, has_lock=has_lock)
                told = found if has_lock else []
            else:
                self._there(uid)
                subscriptions.subscribe(ae_title, uid, has_lock=has_lock)
                told = [uid]
            self._queues.post_states(ae_title, told)

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
        with self._lock:
            subscriptions = self._subscriptions()
            if uid in {WORKLIST, FILTERED_WORKLIST}:
                was = subscriptions.unsubscribe_from_all(
                    ae_title, is_filtered=uid == FILTERED_WORKLIST
                )
            else:
                was = subscriptions.unsubscribe(ae_title, uid)
            if was and ae_title not in subscriptions.ae_titles():
                self._queues.forget(ae_title)
        return was

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
        with self._lock:
            subscriptions = self._subscriptions()
            was = subscriptions.suspend(ae_title, is_filtered=uid == FILTERED_WORKLIST)
            if was and ae_title not in subscriptions.ae_titles():
                self._queues.forget(ae_title)
        return was

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
        with self._lock:
            self._subscriptions()  # so that who was subscribed before is told of the restart
        return self._queues.open(ae_title, wake, most)

    def _state_of(self, ae_title: str, uid: str) -> Event | None:
        """Report a state, to somebody who still is to be told."""
        with self._lock:
            workitem = self._all().get(uid)
            if workitem is None or ae_title not in self._subscriptions().of(uid):
                return None
            return state_report(uid, workitem)

    # --- what they share; the lock is held ---------------------------------------------------

    def _all(self) -> dict[str, DataSet]:
        if self._kept is None:
            self._kept = self._records.all()
        return self._kept

    def _subscriptions(self) -> Subscriptions:
        if self._subscribed is None:
            found = Subscriptions(self._reader, self._write, most=self._most_subscribers)
            self._queues.post(found.ae_titles(), restarted())
            self._subscribed = found
        return self._subscribed

    def _tell(self, uid: str, *events: Event) -> None:
        self._queues.post(self._subscriptions().of(uid), *events)

    def _there(self, uid: str) -> DataSet:
        workitem = self._all().get(uid)
        if workitem is None:
            raise DimseFailure(NO_SUCH_WORKITEM, "there is no such workitem")
        return workitem

    @staticmethod
    def _check_lock(workitem: DataSet, transaction_uid: str) -> None:
        if not transaction_uid:
            raise DimseFailure(NO_TRANSACTION, "the Transaction UID is missing")
        if transaction_uid != _text(workitem, "TransactionUID"):
            raise DimseFailure(NO_TRANSACTION, "the Transaction UID is incorrect")

    def _keep(
        self, uid: str, workitem: DataSet, subscribed: Mapping[str, bool] | None = None
    ) -> None:
        """Keep a workitem, and who is subscribed to it where that is new."""
        workitem.put("ScheduledProcedureStepModificationDateTime", "DT", self._time())
        workitem.put("SpecificCharacterSet", "CS", "ISO_IR 192")
        try:
            if len(workitem.to_bytes()) > MAX_WORKITEM:
                raise DimseFailure(Status.RESOURCE_LIMITATION, f"more than {MAX_WORKITEM} bytes")
            changes = [self._records.kept(uid, workitem)]
        except DataError as error:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, str(error)[:64]) from error
        subscriptions = self._subscriptions()
        if subscribed:
            changes.append(subscriptions.kept(uid, subscribed))
        self._write(changes)
        self._all()[uid] = workitem
        if subscribed:
            subscriptions.note(uid, subscribed)

    def _make_room(self) -> None:
        kept, subscriptions = self._all(), self._subscriptions()
        if len(kept) < self._most:
            return
        over = (
            (_text(one, "ScheduledProcedureStepModificationDateTime"), uid)
            for uid, one in kept.items()
            if _state(one) in _FINAL and not any(subscriptions.of(uid).values())
        )
        _, oldest = min(over, default=("", ""))
        if not oldest:
            raise DimseFailure(
                Status.RESOURCE_LIMITATION,
                f"{self._most} workitems are not over, or have a deletion lock",
            )
        self._write([self._records.kept(oldest, None), subscriptions.kept(oldest, {})])
        del kept[oldest]
        subscriptions.note(oldest, {})

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


def _matches(query: Query, workitem: DataSet) -> bool:
    try:
        return query.matches(workitem)
    except DecodeError:  # a value that nobody can read matches nothing
        return False
