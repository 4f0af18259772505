"""Modality performed procedure steps: what modalities say that they do (PS3.4 F.7, F.8).

A modality creates a step as IN PROGRESS (N-CREATE), changes it (N-SET), and ends it as COMPLETED
or DISCONTINUED, after which it does not change any more. Others ask for it (N-GET).

    steps = ProcedureSteps(on_change=...)
    Endpoint.start(event_handlers=steps.event_handlers)
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from dicom_actors import DataSet, DimseFailure, Status

if TYPE_CHECKING:
    from collections.abc import Callable

PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
PROCEDURE_STEP_RETRIEVE = "1.2.840.10008.3.1.2.3.4"

IN_PROGRESS = "IN PROGRESS"
FINAL = frozenset({"COMPLETED", "DISCONTINUED"})
MAY_NO_LONGER_BE_UPDATED = 0xA710
"""The Error ID that goes with 0110H (PS3.4 F.7.2.2.2)."""

# Table F.7.2-1: what an N-CREATE must have (type 1) ...
REQUIRED = (
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepID",
    "PerformedProcedureStepStatus",
    "Modality",
    "ScheduledStepAttributesSequence",
)
# ... what an N-SET must leave alone ...
FIXED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "StudyID",
    *(keyword for keyword in REQUIRED if keyword != "PerformedProcedureStepStatus"),
)
# ... and what a step must have in the end.
REQUIRED_IN_THE_END = (
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "PerformedSeriesSequence",
)


class ProcedureSteps:
    """The steps of all modalities, in memory.

    Args:
        on_change: is called with the SOP Instance UID and the state of a step, a data set of its
            own, whenever it was created or changed; in the thread of the association.
    """

    def __init__(self, on_change: Callable[[str, DataSet], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, DataSet] = {}
        self._on_change = on_change

    @property
    def event_handlers(self) -> dict[str, Callable[[Any], Any]]:
        """For the endpoint."""
        return {"ncreate": self.create, "nset": self.set, "nget": self.get}

    def create(self, event: Any) -> None:
        """Answer N-CREATE."""
        step = event.dataset
        missing = [keyword for keyword in REQUIRED if step is None or keyword not in step]
        if missing:
            raise DimseFailure(
                Status.MISSING_ATTRIBUTE, missing[0], AttributeIdentifierList=missing
            )
        _check_values(step, REQUIRED)
        if step.PerformedProcedureStepStatus != IN_PROGRESS:
            raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "a step begins as IN PROGRESS")
        with self._lock:
            if event.sop_instance_uid in self._steps:
                raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE)
            self._steps[event.sop_instance_uid] = own = step.copy()
        self._changed(event.sop_instance_uid, own)

    def set(self, event: Any) -> None:
        """Answer N-SET."""
        changes = event.dataset or DataSet()
        with self._lock:
            step = self._step(event.sop_instance_uid)
            if step.PerformedProcedureStepStatus in FINAL:
                raise DimseFailure(
                    Status.MPPS_MAY_NO_LONGER_BE_UPDATED,
                    f"the step is {step.PerformedProcedureStepStatus}",
                    ErrorID=MAY_NO_LONGER_BE_UPDATED,
                )
            fixed = [keyword for keyword in FIXED if keyword in changes]
            if fixed:
                raise DimseFailure(
                    Status.NO_SUCH_ATTRIBUTE,
                    f"{fixed[0]} does not change",
                    AttributeIdentifierList=fixed,
                )
            # A step as others see it never changes: each change makes a new one.
            changed = step.copy()
            changed.merge(changes)
            _check_status(changed)
            self._steps[event.sop_instance_uid] = changed
        self._changed(event.sop_instance_uid, changed)

    def get(self, event: Any) -> DataSet:
        """Answer N-GET: the attributes that are wanted, or all."""
        with self._lock:
            step = self._step(event.sop_instance_uid)
        wanted = event.attribute_identifier_list
        if not wanted:
            return step
        return DataSet(element for element in step.elements() if element.tag in wanted)

    def _step(self, sop_instance_uid: str) -> DataSet:
        if sop_instance_uid not in self._steps:
            raise DimseFailure(Status.NO_SUCH_SOP_INSTANCE)
        return self._steps[sop_instance_uid]

    def _changed(self, sop_instance_uid: str, step: DataSet) -> None:
        if self._on_change is not None:
            self._on_change(sop_instance_uid, step.copy())


def _check_status(step: DataSet) -> None:
    """Refuse a state that the attributes of the step do not go with."""
    status = step.PerformedProcedureStepStatus
    if status in FINAL:
        _check_values(step, REQUIRED_IN_THE_END)
    elif status != IN_PROGRESS:
        raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "Performed Procedure Step Status")


def _check_values(step: DataSet, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if not step.get(keyword):
            raise DimseFailure(Status.MISSING_ATTRIBUTE_VALUE, keyword)
