"""``dicom-actors find``: tables, JSON, CSV, limits, worklists."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys

import pytest
from kit.endpoints import running
from kit.scp import dcmtk_scp, free_port

from dicom_actors import events
from dicom_actors.cli.main import main
from dicom_actors.cli.terminal import print_table
from dicom_actors.data import DataSet
from dicom_actors.errors import DimseFailure

pytestmark = pytest.mark.usefixtures("nothing_left")

STUDIES = [
    DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192",
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=f"1.2.{number}",
        PatientName=name,
        PatientID="a,b" if number == 1 else f'"{number}"',
        ModalitiesInStudy=["CT", "MR"],
        NumberOfStudyRelatedInstances=number,
        StudyDescription=None,
    )
    for number, name in enumerate(["Doe^Jane", "M\u00fcller^J\u00f6rg", "Evil^\x1b[31mRed"], 1)
]


class Archive:
    """A ``cfind`` handler that remembers what it was asked."""

    def __init__(self, matches) -> None:
        self.matches = matches
        self.asked: list[DataSet] = []

    def __call__(self, event):
        self.asked.append(DataSet.from_json(event.dataset.to_json()))
        yield from self.matches


@pytest.fixture
def archive():
    return Archive(STUDIES)


@pytest.fixture
def peer(archive):
    with running({"cfind": archive}) as endpoint:
        yield f"127.0.0.1:{endpoint.port}"


def test_a_long_table_on_a_terminal_does_not_take_for_ever(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = [[str(number), "x"] for number in range(1001)]
    print_table(["Number", "Text"], rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Number  Text"
    assert len(lines) == 1002
    print_table(["Number", "Text"], rows[:2])
    assert "\u2502 0" in capsys.readouterr().out


def test_ctrl_c_prints_no_table(peer, archive, capsys) -> None:
    """Whoever interrupts a query of very many matches does not want to see them."""

    def matches():
        yield from STUDIES
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            yield STUDIES[0]

    archive.matches = matches()
    assert main(["find", peer]) == 130
    assert capsys.readouterr().out == ""


def test_a_table(command, peer, archive) -> None:
    done = command("find", peer, "PatientName=*", "PatientID", "StudyInstanceUID")
    assert (done.code, done.errors) == (0, ["3 matches"])
    assert [line.split() for line in done.lines] == [
        ["PatientName", "PatientID", "StudyInstanceUID"],
        ["Doe^Jane", "a,b", "1.2.1"],
        ["M\u00fcller^J\u00f6rg", '"2"', "1.2.2"],
        ["Evil^\\x1b[31mRed", '"3"', "1.2.3"],
    ]
    assert archive.asked == [
        DataSet.from_keywords(
            QueryRetrieveLevel="STUDY", PatientName="*", PatientID=None, StudyInstanceUID=None
        )
    ]


def test_the_usual_columns(command, peer) -> None:
    done = command("find", peer, "PatientName=*")
    assert done.lines[0].split()[:3] == ["PatientName", "PatientID", "StudyDate"]
    assert "CT\\MR" in done.lines[1]


def test_csv_is_read_back(command, peer) -> None:
    keys = ("ModalitiesInStudy", "PatientID", "NumberOfStudyRelatedInstances", "StudyDate")
    done = command("find", peer, *keys, "--csv")
    assert (done.code, done.errors) == (0, [])
    rows = list(csv.DictReader(done.lines))
    assert rows[0] == {
        "ModalitiesInStudy": "CT\\MR",
        "PatientID": "a,b",
        "NumberOfStudyRelatedInstances": "1",
        "StudyDate": "",
    }
    assert [row["PatientID"] for row in rows] == ["a,b", '"2"', '"3"']


def test_json_is_read_back(command, peer) -> None:
    done = command("find", peer, "--json", "PatientName=*")
    assert (done.code, done.errors) == (0, [])
    found = [DataSet.from_json(line) for line in done.lines]
    assert [each.StudyInstanceUID for each in found] == ["1.2.1", "1.2.2", "1.2.3"]
    assert json.loads(done.lines[1])["00100010"]["Value"] == [
        {"Alphabetic": "M\u00fcller^J\u00f6rg"}
    ]


def test_keys_stand_on_both_sides_of_options(command, peer, archive) -> None:
    assert command("find", peer, "PatientID=1", "--csv", "StudyDate", "--level", "study").code == 0
    assert command("find", "--level", "SERIES", peer, "PatientID=1", "Modality").code == 0
    assert archive.asked[0].PatientID == archive.asked[1].PatientID == "1"
    assert "StudyDate" in archive.asked[0]
    assert archive.asked[1].QueryRetrieveLevel == "SERIES"
    done = command("find", peer, "PatientID=1", "--nonsense", "StudyDate")
    assert done.code == 2
    assert "--nonsense" in done.errors[-1]


def test_nested_keys_reach_the_peer_and_come_back(command, peer, archive) -> None:
    steps = [DataSet.from_keywords(Modality=modality) for modality in ("CT", "MR")]
    archive.matches = [
        DataSet.from_keywords(PatientName="A", ScheduledProcedureStepSequence=steps),
        DataSet.from_keywords(PatientName="B", ScheduledProcedureStepSequence=[]),
        DataSet.from_keywords(PatientName="C"),
    ]
    nested = "ScheduledProcedureStepSequence.Modality"
    done = command("find", peer, "PatientName", f"{nested}=C*", "--csv")
    assert list(csv.reader(done.lines)) == [
        ["PatientName", nested],
        ["A", "CT; MR"],
        ["B", ""],
        ["C", ""],
    ]
    assert archive.asked[0]["ScheduledProcedureStepSequence", 0, "Modality"] == "C*"
    assert "QueryRetrieveLevel" not in archive.asked[0]  # it was taken for a worklist


def test_a_limit_cancels_the_query(command) -> None:
    given = []

    def many(_):
        for number in range(100_000):
            given.append(number)
            yield DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientID=str(number))

    with running({"cfind": many}) as endpoint:
        done = command("find", f"127.0.0.1:{endpoint.port}", "PatientID", "--limit", "3", "--csv")
        assert done.code == 0
        assert done.lines == ["PatientID", "0", "1", "2"]
        assert endpoint.wait_for(events.AssociationClosed)[0].reason == "released"
    assert len(given) < 100_000


def test_what_came_before_a_failure_is_shown(command) -> None:
    def failing(_):
        yield STUDIES[0]
        raise DimseFailure(0xA700, "too many")

    with running({"cfind": failing}) as endpoint:
        peer = f"127.0.0.1:{endpoint.port}"
        done = command("find", peer, "PatientName")
        assert done.code == 1
        assert done.lines[1:] == ["Doe^Jane"]
        assert done.errors == ["dicom-actors: status A700H: out of resources (too many)"]
        assert command("find", peer, "PatientName", "--json").code == 1


def test_a_peer_without_the_service(command) -> None:
    with running() as endpoint:
        done = command("find", f"127.0.0.1:{endpoint.port}", "PatientName=*")
    assert done.code == 1
    assert "abstract syntax not supported" in done.errors[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Nonsense=1"], "'Nonsense' is not a keyword"),
        (["PatientID=1", "--level", "room"], "invalid choice"),
        (["PatientID=1", "--model", "nonsense"], "model: expected one of patient, study"),
        (["PatientID=1", "--model", "composite_instance"], "has no C-FIND"),
        (["PatientID=1", "--json", "--csv"], "--json or --csv, got both"),
        (["PatientID=1", "--limit", "0"], "whole number, 1 or more"),
    ],
)
def test_wrong_arguments_are_exit_code_2_before_anybody_is_called(command, arguments, said) -> None:
    done = command("find", "127.0.0.1:1", *arguments)
    assert done.code == 2
    assert said in done.errors[-1]


@pytest.mark.interop
def test_a_worklist_of_dcmtk(command, tmp_path) -> None:
    folder = tmp_path / "WORK"
    folder.mkdir()
    (folder / "lockfile").touch()
    for number, modality in enumerate(("CT", "MR", "CT"), 1):
        item = scheduled(number, modality)
        (folder / f"{number}.wl").write_bytes(item.to_bytes("ExplicitVRLittleEndian"))
    port = free_port()
    with dcmtk_scp("wlmscpfs", "-dfp", tmp_path, port, port=port):
        peer = f"WORK@127.0.0.1:{port}"
        step = "ScheduledProcedureStepSequence"
        done = command("find", peer, f"{step}.Modality=CT", "--csv", "PatientID")
        assert sorted(done.lines[1:]) == ["CT,P1", "CT,P3"]
        done = command("find", peer, "PatientName=Patient*", "--model", "worklist", "--json")
        assert done.code == 0
        found = [DataSet.from_json(line) for line in done.lines]
        assert sorted(each[step, 0, "Modality"] for each in found) == ["CT", "CT", "MR"]
        assert {each[step, 0, "ScheduledStationAETitle"] for each in found} == {"SCANNER"}


def scheduled(number: int, modality: str) -> DataSet:
    """A worklist item with all that DCMTK wants of it."""
    return DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 100",
        AccessionNumber=f"A{number}",
        ReferringPhysicianName="Ref^Doc",
        PatientName=f"Patient^{number}",
        PatientID=f"P{number}",
        PatientBirthDate="19700101",
        PatientSex="F",
        StudyInstanceUID=f"1.2.3.{number}",
        RequestedProcedureDescription="CHEST",
        RequestedProcedureID=f"R{number}",
        RequestedProcedurePriority="LOW",
        ScheduledProcedureStepSequence=[
            DataSet.from_keywords(
                Modality=modality,
                ScheduledStationAETitle="SCANNER",
                ScheduledProcedureStepStartDate="20260101",
                ScheduledProcedureStepStartTime="101500",
                ScheduledPerformingPhysicianName="Per^Former",
                ScheduledProcedureStepDescription="CHEST",
                ScheduledProcedureStepID=f"S{number}",
            )
        ],
    )
