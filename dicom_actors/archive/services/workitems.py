"""Unified procedure steps (UPS): work that is scheduled, taken, done or given up.

A workitem is SCHEDULED when it is created. Whoever takes it makes it IN PROGRESS with a Transaction
UID of his own, which is the lock: only who knows it changes the workitem from then on, and ends it
as COMPLETED or CANCELED, after which it does not change any more. Workitems are in the index; what
was answered with success is durable. When there are too many, those that ended first go.

Standard: PS3.4 CC.1.1 (states), CC.2 (services), table CC.2.5-3 (attributes).
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, DimseFailure, Query, Status
from dicom_actors.archive.services.records import Records
from dicom_actors.errors import DataError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome

__all__ = [
    "ALREADY_CANCELED",
    "ALREADY_COMPLETED",
    "MAX_WORKITEM",
    "NO_SUCH_WORKITEM",
    "NO_TRANSACTION",
    "UPS_PUSH",
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
NOT_SCHEDULED: Final = 0xC309
NOT_IN_PROGRESS: Final = 0xC310
IS_COMPLETED: Final = 0xC311
NOBODY_TO_TELL: Final = 0xC312
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
_PROGRESS: Final = "ProcedureStepProgressInformationSequence"


class Workitems:
    """The workitems of an archive; any thread may use it.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
        now: gives the time, in seconds since 1970.
        most: workitems; when there are so many, those that ended first go.

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
    ) -> None:
        self._records = Records("workitem", reader, write)
        self._now = now
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[str, DataSet] | None = None

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
        with self._lock:
            if uid in self._all():
                raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE, "there is such a workitem")
            self._make_room()
            self._keep(uid, made)

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
            self._keep(uid, workitem)

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
                self._note_cancellation(workitem, "")
            workitem.put("TransactionUID", "UI", transaction_uid)
            workitem.put("ProcedureStepState", "CS", state)
            self._keep(uid, workitem)
        return 0

    def request_cancellation(self, uid: str, reason: str = "") -> int:
        """Ask that a workitem be given up (CC.2.2).

        One that nobody has taken is canceled at once. Who has taken one would have to be told by an
        event, which is not offered, so that is refused.

        Returns:
            0; or B304H, it is CANCELED already.

        Raises:
            DimseFailure: C307H, there is none; C311H, it is COMPLETED; C312H, it is IN PROGRESS.
            ArchiveError: the index cannot be used.
        """
        with self._lock:
            workitem = self._there(uid).copy()
            state = _state(workitem)
            if state == _CANCELED:
                return ALREADY_CANCELED
            if state == _COMPLETED:
                raise DimseFailure(IS_COMPLETED, "the workitem is COMPLETED")
            if state == _IN_PROGRESS:
                raise DimseFailure(NOBODY_TO_TELL, "the performer cannot be contacted")
            self._note_cancellation(workitem, reason)
            workitem.put("ProcedureStepState", "CS", _CANCELED)
            self._keep(uid, workitem)
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

    # --- what they share; the lock is held ---------------------------------------------------

    def _all(self) -> dict[str, DataSet]:
        if self._kept is None:
            self._kept = self._records.all()
        return self._kept

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

    def _keep(self, uid: str, workitem: DataSet) -> None:
        workitem.put("ScheduledProcedureStepModificationDateTime", "DT", self._time())
        workitem.put("SpecificCharacterSet", "CS", "ISO_IR 192")
        try:
            if len(workitem.to_bytes()) > MAX_WORKITEM:
                raise DimseFailure(Status.RESOURCE_LIMITATION, f"more than {MAX_WORKITEM} bytes")
            self._records.put(uid, workitem)
        except DataError as error:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, str(error)[:64]) from error
        self._all()[uid] = workitem

    def _make_room(self) -> None:
        kept = self._all()
        if len(kept) < self._most:
            return
        over = (
            (_text(one, "ScheduledProcedureStepModificationDateTime"), uid)
            for uid, one in kept.items()
            if _state(one) in _FINAL
        )
        _, oldest = min(over, default=("", ""))
        if not oldest:
            raise DimseFailure(Status.RESOURCE_LIMITATION, f"{self._most} workitems are not over")
        self._records.remove(oldest)
        del kept[oldest]

    def _note_cancellation(self, workitem: DataSet, reason: str) -> None:
        items: Any = workitem.get(_PROGRESS) or []
        progress = items[0].copy() if items else DataSet()
        if not _text(progress, "ProcedureStepCancellationDateTime"):
            progress.put("ProcedureStepCancellationDateTime", "DT", self._time())
        if reason:
            progress.put("ReasonForCancellation", "LT", reason)
        if "ProcedureStepDiscontinuationReasonCodeSequence" not in progress:
            progress.put("ProcedureStepDiscontinuationReasonCodeSequence", "SQ", None)
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
