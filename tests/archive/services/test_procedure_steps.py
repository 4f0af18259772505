"""What is of an archive alone; the rules of steps are in `tests/interop`, with pynetdicom."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dicom_actors import DataSet, DimseFailure
from dicom_actors.archive.index import Index
from dicom_actors.archive.services import ProcedureSteps
from dicom_actors.archive.services import procedure_steps as module
from dicom_actors.errors import ArchiveError


def step(**more):
    return DataSet.from_keywords(
        **{
            "PerformedStationAETitle": "CT1",
            "PerformedProcedureStepStartDate": "20240705",
            "PerformedProcedureStepStartTime": "1030",
            "PerformedProcedureStepID": "1",
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "Modality": "CT",
            "ScheduledStepAttributesSequence": [{"ScheduledProcedureStepID": "S1"}],
            **more,
        }
    )


def event(data_set, uid="1.2.3"):
    return SimpleNamespace(dataset=data_set, sop_instance_uid=uid, attribute_identifier_list=())


@pytest.fixture
def index(new_index):
    index = Index.open(new_index(), durability="os")
    yield index
    index.close()


def test_a_step_is_there_in_another_life(index):
    ProcedureSteps(index.reader, index.write).create(
        event(step(PatientName="Müller", SpecificCharacterSet="ISO_IR 100"))
    )

    another = ProcedureSteps(index.reader, index.write)
    assert another.get("1.2.3").PatientName == "Müller"
    with pytest.raises(DimseFailure) as caught:
        another.create(event(step()))
    assert caught.value.status == 0x0111
    end = DataSet.from_keywords(PerformedProcedureStepStatus="DISCONTINUED")
    with pytest.raises(DimseFailure) as caught:
        another.set(event(end))
    assert caught.value.status == 0x0121
    assert another.get("1.2.3").PerformedProcedureStepStatus == "IN PROGRESS"
    assert another.get("1.2.4") is None


def test_a_step_has_a_limit(index, monkeypatch):
    monkeypatch.setattr(module, "MAX_STEP", 1_000)
    steps = ProcedureSteps(index.reader, index.write)
    with pytest.raises(DimseFailure) as caught:
        steps.create(event(step(CommentsOnThePerformedProcedureStep="x" * 1_000)))
    assert caught.value.status == 0x0213
    assert steps.get("1.2.3") is None


def test_nobody_hears_of_what_is_not_durable(index):
    heard = []

    def fail(changes):
        raise ArchiveError("/path: full", "full")

    steps = ProcedureSteps(index.reader, fail, lambda *change: heard.append(change))
    with pytest.raises(DimseFailure) as caught:
        steps.create(event(step()))
    assert caught.value.status == 0x0213
    assert "path" not in str(caught.value)
    assert heard == []
