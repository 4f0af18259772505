"""Modality performed procedure steps: what modalities say that they do.

A modality creates a step as IN PROGRESS (N-CREATE), changes it (N-SET), and ends it as COMPLETED
or DISCONTINUED, after which it does not change any more. Others ask for it (N-GET). Steps are in
the index; what was answered with Success is durable.

Standard: PS3.4 F.7, F.8; PS3.3 B.17.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, DimseFailure, Status
from dicom_actors.archive.index import is_uid
from dicom_actors.archive.services.combining import Service
from dicom_actors.archive.services.records import Records, decoded
from dicom_actors.errors import ArchiveError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome

__all__ = ["PROCEDURE_STEP", "PROCEDURE_STEP_RETRIEVE", "ProcedureSteps"]

PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
PROCEDURE_STEP_RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"

MAX_STEP: Final = 1 << 20
"""Bytes of a step."""

_IN_PROGRESS: Final = "IN PROGRESS"
_FINAL: Final = frozenset({"COMPLETED", "DISCONTINUED"})
_MAY_NO_LONGER_BE_UPDATED: Final = 0xA710
"""The Error ID that goes with 0110H (PS3.4 F.7.2.2.2)."""

# Table F.7.2-1: what an N-CREATE must have (type 1) ...
_REQUIRED: Final = (
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepID",
    "PerformedProcedureStepStatus",
    "Modality",
    "ScheduledStepAttributesSequence",
)
# ... what an N-SET must leave alone ...
_FIXED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "StudyID",
    *(keyword for keyword in _REQUIRED if keyword != "PerformedProcedureStepStatus"),
)
# ... and what a step must have in the end.
_REQUIRED_IN_THE_END: Final = (
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "PerformedSeriesSequence",
)


class ProcedureSteps(Service):
    """The steps of all modalities; any thread may use it.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
        on_change: is called with the SOP Instance UID and the state of a step, once that is
            durable; in the thread of the request.
    """

    def __init__(
        self,
        reader: Callable[[], AbstractContextManager[IndexReader]],
        write: Callable[[Sequence[Change]], list[Outcome]],
        on_change: Callable[[str, DataSet], None] | None = None,
    ) -> None:
        self._records = Records("procedure step", reader, write)
        self._on_change = on_change

    def get(self, sop_instance_uid: str) -> DataSet | None:
        """A step as it is now; None if there is none.

        Raises:
            ArchiveError: the index cannot be read.
        """
        return self._records.get(sop_instance_uid)

    # --- the service -----------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Callable[[Any], Any]]:
        """The event handlers."""
        return {"ncreate": self.create, "nset": self.set, "nget": self.answer}

    def serves(self, sop_class_uid: str) -> bool:
        """Whether it is one of the two SOP classes."""
        return sop_class_uid in {PROCEDURE_STEP, PROCEDURE_STEP_RETRIEVE}

    def create(self, event: Any) -> None:
        """Answer N-CREATE.

        Raises:
            DimseFailure: the step is none that can begin, or it is there already.
        """
        if not is_uid(event.sop_instance_uid):
            found = f"expected a UID, got {event.sop_instance_uid[:40]}"
            raise DimseFailure(Status.INVALID_SOP_INSTANCE, found)
        step = event.dataset
        missing = [keyword for keyword in _REQUIRED if step is None or keyword not in step]
        if missing:
            raise DimseFailure(
                Status.MISSING_ATTRIBUTE, missing[0], AttributeIdentifierList=missing
            )
        _check_values(step, _REQUIRED)
        if _status(step) != _IN_PROGRESS:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "a step begins as IN PROGRESS")
        if not self._keep(event.sop_instance_uid, None, step):
            raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE)
        self._tell(event.sop_instance_uid, step)

    def set(self, event: Any) -> None:
        """Answer N-SET.

        Raises:
            DimseFailure: there is no such step, it is over, or the change is not allowed.
        """
        changes = DataSet() if event.dataset is None else event.dataset
        uid = event.sop_instance_uid
        while True:
            before = self._there(uid)
            step = _changed(decoded(before), changes)
            if self._keep(uid, before, step):
                break  # else somebody else has changed it meanwhile: it is looked at again
        self._tell(uid, step)

    def answer(self, event: Any) -> DataSet:
        """Answer N-GET: the attributes that are wanted, or all.

        Raises:
            DimseFailure: there is no such step.
        """
        step = decoded(self._there(event.sop_instance_uid))
        wanted = event.attribute_identifier_list
        if not wanted:
            return step
        return DataSet(element for element in step.elements() if element.tag in wanted)

    def _there(self, sop_instance_uid: str) -> bytes:
        try:
            step = self._records.read(sop_instance_uid)
        except ArchiveError as error:
            raise _refused(error) from error
        if step is None:
            raise DimseFailure(Status.NO_SUCH_SOP_INSTANCE)
        return step

    def _keep(self, sop_instance_uid: str, before: bytes | None, step: DataSet) -> bool:
        """Keep a step in place of what was read; returns whether that is still what is there."""
        try:
            data_set = DataSet(step.elements())
            if len(data_set.to_bytes()) > MAX_STEP:
                raise DimseFailure(Status.RESOURCE_LIMITATION, f"more than {MAX_STEP} bytes")
            return self._records.replace(sop_instance_uid, before, data_set)
        except ArchiveError as error:
            raise _refused(error) from error
        except DataError as error:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, str(error)[:64]) from error

    def _tell(self, sop_instance_uid: str, step: DataSet) -> None:
        if self._on_change is not None:
            self._on_change(sop_instance_uid, step.copy())


def _changed(step: DataSet, changes: DataSet) -> DataSet:
    """Make of a step what an N-SET wants of it.

    Raises:
        DimseFailure: it is over, or the change is not allowed.
    """
    if (status := _status(step)) in _FINAL:
        raise DimseFailure(
            Status.MPPS_MAY_NO_LONGER_BE_UPDATED,
            f"the step is {status}",
            ErrorID=_MAY_NO_LONGER_BE_UPDATED,
        )
    fixed = [keyword for keyword in _FIXED if keyword in changes]
    if fixed:
        raise DimseFailure(
            Status.NO_SUCH_ATTRIBUTE,
            f"{fixed[0]} does not change",
            AttributeIdentifierList=fixed,
        )
    step.merge(changes)
    status = _status(step)
    if status in _FINAL:
        _check_values(step, _REQUIRED_IN_THE_END)
    elif status != _IN_PROGRESS:
        raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "Performed Procedure Step Status")
    return step


def _status(step: DataSet) -> str:
    return str(_value(step, "PerformedProcedureStepStatus") or "")


def _value(step: DataSet, keyword: str) -> Any:
    try:
        return step.get(keyword)
    except DataError as error:
        raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, keyword) from error


def _check_values(step: DataSet, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if not _value(step, keyword):
            raise DimseFailure(Status.MISSING_ATTRIBUTE_VALUE, keyword)


def _refused(error: ArchiveError) -> DimseFailure:
    return DimseFailure(Status.RESOURCE_LIMITATION, f"the index: {error.reason}")
