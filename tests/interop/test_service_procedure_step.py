"""Two keepers of procedure steps, the example and the archive, with pynetdicom as the modality."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.endpoints import LIMIT, running
from kit.pynetdicom_user import associate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityPerformedProcedureStep as MPPS,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityPerformedProcedureStepRetrieve as MPPSRetrieve,
)
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]
from services.procedure_step import ProcedureSteps
from services.worklist import Worklist

from dicom_actors import DataSet, DimseFailure, connect
from dicom_actors.archive import services as archive_services
from dicom_actors.archive.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

STEP = "1.2.826.0.1.5"


def begun(**more: Any) -> pydicom.Dataset:
    """What a modality creates."""
    ds = pydicom.Dataset()
    ds.PatientName = "Valim^José"
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientID = "P1"
    ds.PerformedProcedureStepID = "PPS1"
    ds.PerformedStationAETitle = "MODALITY"
    ds.PerformedProcedureStepStartDate = "20240705"
    ds.PerformedProcedureStepStartTime = "1030"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.PerformedProcedureStepEndDate = ""
    ds.Modality = "CT"
    ds.PerformedSeriesSequence = []
    scheduled = pydicom.Dataset()
    scheduled.StudyInstanceUID = "1.2.3"
    scheduled.ScheduledProcedureStepID = "S1"
    ds.ScheduledStepAttributesSequence = [scheduled]
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def ended(status: str = "COMPLETED", **more: Any) -> pydicom.Dataset:
    """What it changes in the end."""
    ds = pydicom.Dataset()
    ds.PerformedProcedureStepStatus = status
    ds.PerformedProcedureStepEndDate = "20240705"
    ds.PerformedProcedureStepEndTime = "1045"
    series = pydicom.Dataset()
    series.SeriesInstanceUID = "1.2.3.4"
    series.ProtocolName = "Chest"
    ds.PerformedSeriesSequence = [series]
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def read(ds: pydicom.Dataset) -> DataSet:
    """The same data set as ours."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, ds)
    return DataSet.from_bytes(out.getvalue(), "1.2.840.10008.1.2")


class Modality:
    """A pynetdicom association with the service, and what it told of changes."""

    def __init__(self, association: Any, port: int, changes: queue.Queue[Any]) -> None:
        self.association = association
        self.port = port
        self.changes = changes

    def create(self, step: pydicom.Dataset, uid: str | None = STEP) -> Any:
        return self.association.send_n_create(step, MPPS, uid)[0]

    def set(self, changes: pydicom.Dataset, uid: str = STEP) -> Any:
        return self.association.send_n_set(changes, MPPS, uid)[0]

    def get(self, *tags: int, uid: str = STEP) -> tuple[Any, Any]:
        found: tuple[Any, Any] = self.association.send_n_get(list(tags), MPPSRetrieve, uid)
        return found

    def change(self) -> tuple[str, str]:
        """The next change: instance and status."""
        uid, step = self.changes.get(timeout=LIMIT)
        return uid, step.PerformedProcedureStepStatus


@pytest.fixture(params=["example", "archive"])
def modality(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Modality]:
    changes: queue.Queue[Any] = queue.Queue()

    def note(*change: Any) -> None:
        changes.put(change)

    index = Index.open(tmp_path / "index.db", durability="os")
    of_archive = archive_services.ProcedureSteps(index.reader, index.write, note)
    handlers = (
        ProcedureSteps(on_change=note).event_handlers
        if request.param == "example"
        else archive_services.combined([of_archive])
    )
    with running(handlers) as endpoint:
        ae = AE("MODALITY")
        ae.add_requested_context(MPPS)
        ae.add_requested_context(MPPSRetrieve)
        association = associate(ae, endpoint.port)
        yield Modality(association, endpoint.port, changes)
        association.release()
    index.close()


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
def test_a_step_from_its_begin_to_its_end(modality: Modality, final: str) -> None:
    assert modality.create(begun()).Status == 0x0000
    assert modality.change() == (STEP, "IN PROGRESS")
    halfway = ended("IN PROGRESS", PerformedProcedureStepDescription="two scans so far")
    assert modality.set(halfway).Status == 0x0000
    assert modality.change() == (STEP, "IN PROGRESS")
    assert modality.set(ended(final)).Status == 0x0000
    assert modality.change() == (STEP, final)
    expected = begun(**{element.keyword: element.value for element in ended(final)})
    expected.PerformedProcedureStepDescription = "two scans so far"
    status, step = modality.get()
    assert status.Status == 0x0000
    assert step == expected


def test_a_final_state_does_not_change_any_more(modality: Modality) -> None:
    modality.create(begun())
    modality.set(ended())
    for late in (ended("IN PROGRESS"), ended("DISCONTINUED"), ended()):
        refusal = modality.set(late)
        assert refusal.Status == 0x0110
        assert refusal.ErrorID == 0xA710
        assert refusal.ErrorComment == "the step is COMPLETED"
    assert modality.get()[1].PerformedProcedureStepStatus == "COMPLETED"


def test_what_cannot_be_created(modality: Modality) -> None:
    assert modality.create(begun(PerformedProcedureStepStatus="COMPLETED")).Status == 0x0106
    assert modality.create(begun(Modality="")).Status == 0x0121
    incomplete = begun()
    del incomplete.Modality
    del incomplete.PerformedProcedureStepID
    assert modality.create(incomplete).Status == 0x0120
    with connect("127.0.0.1", modality.port) as association:
        with pytest.raises(DimseFailure) as caught:  # pynetdicom does not show what is missing
            association.n_create(MPPS, STEP, read(incomplete))
    assert caught.value.elements == {"AttributeIdentifierList": [0x00400253, 0x00080060]}
    assert modality.create(begun()).Status == 0x0000
    assert modality.create(begun()).Status == 0x0111


def test_what_cannot_be_changed(modality: Modality) -> None:
    assert modality.set(ended()).Status == 0x0112
    modality.create(begun())
    assert modality.set(ended(PerformedProcedureStepStatus="DONE")).Status == 0x0106
    assert modality.set(ended(PerformedSeriesSequence=[])).Status == 0x0121
    refusal = modality.set(ended(PatientID="P2"))
    assert refusal.Status == 0x0105
    assert refusal.AttributeIdentifierList == 0x00100020
    status, step = modality.get()
    assert status.Status == 0x0000
    assert step == begun()  # none of it was done


def test_others_ask_for_some_of_it(modality: Modality) -> None:
    modality.create(begun())
    status, step = modality.get(0x00100020, 0x00400252)
    assert status.Status == 0x0000
    assert {element.keyword: element.value for element in step} == {
        "PatientID": "P1",
        "PerformedProcedureStepStatus": "IN PROGRESS",
    }
    assert modality.get(uid="1.2.3.4.5")[0].Status == 0x0112


def test_the_instance_may_be_named_by_the_provider(modality: Modality) -> None:
    with connect("127.0.0.1", modality.port) as association:
        created = association.n_create(MPPS, None, read(begun()))
        assert created.sop_instance_uid
        assert modality.change() == (created.sop_instance_uid, "IN PROGRESS")
        found = association.n_get(MPPSRetrieve, created.sop_instance_uid, ["PatientID"])
        assert found.data_set == DataSet.from_keywords(PatientID="P1")
        with pytest.raises(DimseFailure) as caught:
            association.n_delete(MPPS, created.sop_instance_uid)
        assert caught.value.status in {0x0211, 0x0122}


def test_a_step_that_begins_leaves_the_worklist() -> None:
    scheduled = DataSet.from_keywords(
        PatientID="P1",
        ScheduledProcedureStepSequence=[
            DataSet.from_keywords(ScheduledProcedureStepID="S1", Modality="CT")
        ],
    )
    worklist = Worklist([scheduled])

    def begin(uid: str, step: DataSet) -> None:
        worklist.remove(step["ScheduledStepAttributesSequence", 0, "ScheduledProcedureStepID"])

    steps = ProcedureSteps(on_change=begin)
    with running({**worklist.event_handlers, **steps.event_handlers}) as endpoint:
        ae = AE()
        ae.add_requested_context(MPPS)
        ae.add_requested_context(ModalityWorklistInformationFind)
        association = associate(ae, endpoint.port)
        query = pydicom.Dataset()
        query.PatientID = ""
        found = list(association.send_c_find(query, ModalityWorklistInformationFind))
        assert [status.Status for status, _ in found] == [0xFF00, 0x0000]
        status, _ = association.send_n_create(begun(), MPPS, STEP)
        assert status.Status == 0x0000
        found = list(association.send_c_find(query, ModalityWorklistInformationFind))
        assert [status.Status for status, _ in found] == [0x0000]
        association.release()
