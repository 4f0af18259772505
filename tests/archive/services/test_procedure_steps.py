"""What is of an archive alone; the rules of steps are in `tests/interop`, with pynetdicom."""

from __future__ import annotations

import threading
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
def indexes(new_index):
    """Two who have the same index open."""
    address = new_index()
    indexes = [Index.open(address, durability="os") for _ in range(2)]
    yield indexes
    for one in indexes:
        one.close()


@pytest.fixture
def index(indexes):
    return indexes[0]


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


@pytest.mark.parametrize("uid", ["abc", "1..2", "1.2.", "1." + "2" * 63, "1.2/3"])
def test_a_step_is_named_by_a_uid(index, uid):
    steps = ProcedureSteps(index.reader, index.write)
    with pytest.raises(DimseFailure) as caught:
        steps.create(event(step(), uid))
    assert caught.value.status == 0x0117
    assert steps.get(uid) is None


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


END = {
    "PerformedProcedureStepEndDate": "20240705",
    "PerformedProcedureStepEndTime": "1045",
    "PerformedSeriesSequence": [{"SeriesInstanceUID": "1.2.4"}],
}


def test_a_step_is_made_once_and_ended_once_whoever_is_asked(indexes):
    heard, lock = [], threading.Lock()

    def hear(uid, changed):
        with lock:
            heard.append((uid, str(changed.PerformedProcedureStepStatus)))

    nodes = [ProcedureSteps(index.reader, index.write, hear) for index in indexes]
    uids = [f"1.2.3.{number}" for number in range(10)]
    statuses = []

    def work(node, number):
        state = ("COMPLETED", "DISCONTINUED")[number % 2]
        for uid in uids:
            for do, data_set in (
                (node.create, step()),
                (node.set, DataSet.from_keywords(PerformedProcedureStepStatus=state, **END)),
            ):
                try:
                    do(event(data_set, uid))
                    status = 0
                except DimseFailure as error:
                    status = error.status
                with lock:
                    statuses.append((do.__name__, uid, status))

    threads = [
        threading.Thread(target=work, args=(nodes[number // 2 % 2], number)) for number in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
        assert not one.is_alive()

    for uid in uids:
        for name, refused in (("create", 0x0111), ("set", 0x0110)):
            found = sorted(status for did, of, status in statuses if (did, of) == (name, uid))
            assert found == [0, *[refused] * 7]
        assert nodes[0].get(uid) == nodes[1].get(uid)
        state = str(nodes[0].get(uid).PerformedProcedureStepStatus)
        assert sorted(one for of, one in heard if of == uid) == sorted(["IN PROGRESS", state])


def test_changes_of_a_step_that_come_at_once_are_all_there(indexes):
    nodes = [ProcedureSteps(index.reader, index.write) for index in indexes]
    nodes[0].create(event(step()))
    keywords = [
        "PerformedProcedureStepDescription",
        "PerformedProcedureTypeDescription",
        "CommentsOnThePerformedProcedureStep",
        "PerformedLocation",
    ]
    threads = [
        threading.Thread(
            target=nodes[number % 2].set, args=(event(DataSet.from_keywords(**{keyword: "x"})),)
        )
        for number, keyword in enumerate(keywords)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    found = nodes[1].get("1.2.3")
    assert [found.get(keyword) for keyword in keywords] == ["x"] * len(keywords)
