from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from dicom_actors import DataSet, DimseFailure, write_file
from dicom_actors.archive.index import Index
from dicom_actors.archive.services import Worklist
from dicom_actors.archive.services import worklist_folder as module

STEP = "ScheduledProcedureStepSequence"


def item(step_id, name="Doe^Jane", modality="CT"):
    return DataSet.from_keywords(
        SOPClassUID="1.2.3",
        SOPInstanceUID="1.2.3.4",
        PatientName=name,
        PatientID=f"P{step_id}",
        **{STEP: [{"ScheduledProcedureStepID": step_id, "Modality": modality}]},
    )


@pytest.fixture
def index(new_index):
    index = Index.open(new_index(), durability="os")
    yield index
    index.close()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "worklist"
    folder.mkdir()
    return folder


@pytest.fixture
def worklist(index, folder):
    return Worklist(index.reader, index.write, folder, max_matches=3)


def ids(worklist, **keys):
    event = SimpleNamespace(dataset=DataSet.from_keywords(PatientID=None, **keys))
    return sorted(str(answer.PatientID) for answer in worklist.find(event))


def test_what_one_puts_another_finds_at_once(index):
    one, other = (Worklist(index.reader, index.write) for _ in range(2))
    assert ids(other) == []
    one.put(item("1"))
    assert ids(other) == ["P1"]
    one.put(item("1", name="Roe^Joe"))
    assert ids(other, PatientName="roe*") == ["P1"]
    other.remove("1")
    assert ids(one) == []


def test_what_is_put_is_there_in_another_life(index, worklist):
    worklist.put(item("1"))
    assert worklist.put({"PatientID": "P2", STEP: [{"ScheduledProcedureStepID": "2"}]}) == "2"
    worklist.put(item("1", name="Roe^Joe"))

    assert ids(worklist) == ["P1", "P2"]
    assert ids(worklist, PatientName="roe*") == ["P1"]
    another = Worklist(index.reader, index.write)
    assert ids(another) == ["P1", "P2"]
    another.remove("1")
    another.remove("9")
    assert ids(another) == ["P2"]


@pytest.mark.parametrize(
    "bad", [{}, {STEP: []}, {STEP: [{}]}, {STEP: [{"ScheduledProcedureStepID": "1"}] * 2}]
)
def test_an_item_has_a_step_with_an_id(worklist, bad):
    with pytest.raises(ValueError, match="step"):
        worklist.put(bad)


def test_what_was_put_is_nobody_else_s(worklist):
    made = item("1")
    worklist.put(made)
    made.PatientID = "other"
    assert ids(worklist) == ["P1"]


def test_files_of_three_kinds(worklist, folder):
    (folder / "a.json").write_text(json.dumps({"PatientID": "A", STEP: [{"Modality": "CT"}]}))
    (folder / "b.JSON").write_text(
        json.dumps([{"00100020": {"vr": "LO", "Value": ["B"]}}, {"PatientID": "C"}])
    )
    write_file(folder / "d.wl", item("D"))
    (folder / "notes.txt").write_text("not an item")
    (folder / ".hidden.json").write_text("{}")

    assert ids(worklist, **{STEP: [{"Modality": "CT"}]}) == ["A", "PD"]
    assert len(worklist.items()) == 4


def test_files_are_watched(worklist, folder):
    path = folder / "a.json"
    assert ids(worklist) == []
    path.write_text('{"PatientID": "A"}')
    assert ids(worklist) == ["A"]
    path.write_text('{"PatientID": "Another"}')
    assert ids(worklist) == ["Another"]
    other = folder / "new"
    other.write_text('{"PatientID": "ANOTHER"}')  # of the same length, and put in its place
    other.rename(path)
    assert ids(worklist) == ["ANOTHER"]
    path.unlink()
    assert ids(worklist) == []
    folder.rmdir()
    assert ids(worklist) == []


def test_a_file_is_read_once(worklist, folder, monkeypatch):
    (folder / "a.json").write_text('{"PatientID": "A"}')
    ids(worklist)
    monkeypatch.setattr(module, "_item", None)
    assert ids(worklist) == ["A"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"7",
        b"[7]",
        b"{}",
        b'{"NoSuchKeyword": "1"}',
        b'{"Rows": "many"}',
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * (module.MAX_FILE_BYTES + 1),
    ],
)
def test_the_worklist_goes_on_without_a_file_that_cannot_be_read(worklist, folder, content, caplog):
    (folder / "bad.json").write_bytes(content)
    (folder / "bad.wl").write_bytes(content)
    (folder / "good.json").write_text('{"PatientID": "A"}')

    assert ids(worklist) == ["A"]
    assert "bad.json" in caplog.text
    caplog.clear()
    assert ids(worklist) == ["A"]
    assert caplog.text == ""


def test_what_is_no_file_is_not_waited_for(worklist, folder):
    for name in ("pipe.wl", "pipe.json", "pipe.dcm"):
        os.mkfifo(folder / name)
    (folder / "endless.json").symlink_to("/dev/zero")
    (folder / "good.json").write_text('{"PatientID": "A"}')

    assert ids(worklist) == ["A"]


def test_a_file_that_may_not_be_read_is_left_out(worklist, folder):
    (folder / "dir.json").mkdir()
    os.symlink("nowhere", folder / "link.json")
    assert ids(worklist) == []


def test_there_are_no_more_files_than_there_may_be(worklist, folder, monkeypatch, caplog):
    monkeypatch.setattr(module, "MAX_FILES", 2)
    for name in "abc":
        (folder / f"{name}.json").write_text(json.dumps({"PatientID": name}))
    assert ids(worklist) == ["a", "b"]
    assert "more than 2 files" in caplog.text


def test_there_are_no_more_answers_than_there_may_be(worklist):
    for number in range(4):
        worklist.put(item(str(number)))
    with pytest.raises(DimseFailure) as caught:
        ids(worklist)
    assert caught.value.status == 0xA700


def test_a_key_that_means_nothing_is_refused(worklist):
    with pytest.raises(DimseFailure) as caught:
        ids(worklist, StudyDate="yesterday")
    assert caught.value.status == 0xC000
