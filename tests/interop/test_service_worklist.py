"""Two worklists, of `services.worklist` and of an archive, asked by DCMTK, pynetdicom and us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.dcmtk import run
from kit.endpoints import running
from kit.pynetdicom_user import associate
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityWorklistInformationFind,
    StudyRootQueryRetrieveInformationModelFind,
)
from services.worklist import Worklist

from dicom_actors import DataSet, DimseFailure, connect, read_file
from dicom_actors.archive import services as archive_services
from dicom_actors.archive.index import Index

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

STEP = "ScheduledProcedureStepSequence"
PEOPLE = ("Carmack^John", "Kernighan^Brian", "Müller^Jörg", "Valim^José", "山田^太郎")


def item(number: int) -> DataSet:
    """A worklist item; the numbers tell day, time and modality."""
    return DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=PEOPLE[number % 5],
        PatientID=f"P{number}",
        PatientBirthDate="",
        AccessionNumber=f"A{number}",
        StudyInstanceUID=f"1.2.3.{number}",
        RequestedProcedureID=f"R{number}",
        RequestedProcedureDescription="Chest",
        **{
            STEP: [
                DataSet.from_keywords(
                    ScheduledProcedureStepID=f"S{number}",
                    Modality=("CT", "MR")[number % 2],
                    ScheduledStationAETitle=f"AE{number % 2}",
                    ScheduledProcedureStepStartDate=f"202407{number % 28 + 1:02}",
                    ScheduledProcedureStepStartTime=f"{number % 24:02}00",
                    ScheduledProtocolCodeSequence=[
                        DataSet.from_keywords(
                            CodeValue=f"C{number % 3}", CodingSchemeDesignator="X"
                        )
                    ],
                )
            ]
        },
    )


class ArchiveWorklist(archive_services.Worklist):
    """That of an archive, with the names of the other."""

    schedule = archive_services.Worklist.put


@pytest.fixture(params=["example", "archive"])
def worklist(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    items = [item(number) for number in range(50)]
    if request.param == "example":
        example = Worklist(items, limit=50)
        with running(example.event_handlers) as endpoint:
            yield example, endpoint.port
        return
    index = Index.open(tmp_path / "index.db", durability="os")
    made = ArchiveWorklist(index.reader, index.write, max_matches=50)
    for one in items:
        made.put(one)
    with running(archive_services.combined([made])) as endpoint:
        yield made, endpoint.port
    index.close()


def findscu(port: int, folder: Path, *keys: str) -> list[DataSet]:
    """What `findscu -W` gets for keys."""
    options = [option for key in keys for option in ("-k", key)]
    arguments = ("findscu", "-W", "-X", "-od", folder, "-aec", "TEST", *options, "127.0.0.1", port)
    result = run(*arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return [read_file(path) for path in sorted(folder.glob("rsp*.dcm"))]


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ((f"{STEP}[0].Modality=MR", "PatientID=P1?"), {11, 13, 15, 17, 19}),
        (("AccessionNumber=A7",), {7}),
        (("PatientName=kernighan*", f"{STEP}[0].ScheduledStationAETitle=AE1"), {1, 11, 21, 31, 41}),
        ((f"{STEP}[0].ScheduledProcedureStepStartDate=20240703-20240705",), {2, 3, 4, 30, 31, 32}),
        (
            (
                f"{STEP}[0].ScheduledProcedureStepStartDate=20240703-20240705",
                f"{STEP}[0].ScheduledProcedureStepStartTime=0300-0330",
            ),
            {3, 30, 31},
        ),
        ((f"{STEP}[0].ScheduledProtocolCodeSequence[0].CodeValue=C2", "PatientID=P?"), {2, 5, 8}),
        (("StudyInstanceUID=1.2.3.4\\1.2.3.9",), {4, 9}),
        (("PatientID=Q*",), set()),
    ],
)
def test_findscu_gets_what_it_asks_for(
    worklist: Any, tmp_path: Path, keys: tuple[str, ...], numbers: set[int]
) -> None:
    found = findscu(worklist[1], tmp_path, "RequestedProcedureID", "StudyDescription", *keys)
    assert {int(ds.RequestedProcedureID[1:]) for ds in found} == numbers
    assert len(found) == len(numbers)
    for ds in found:
        assert ds.StudyDescription is None
        assert "PatientBirthDate" not in ds


def test_findscu_gets_whole_items(worklist: Any, tmp_path: Path) -> None:
    (found,) = findscu(
        worklist[1],
        tmp_path,
        "PatientName=*太郎",
        "SpecificCharacterSet=ISO_IR 192",
        "AccessionNumber=A4",
        "PatientID",
        STEP,
    )
    expected = item(4)
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "SpecificCharacterSet", STEP):
        assert found[keyword] == expected[keyword]
    assert len(found) == 5


def test_pynetdicom_asks_as_a_modality_does(worklist: Any) -> None:
    made, port = worklist
    query = pydicom.Dataset()
    query.PatientName = ""
    query.PatientID = ""
    step = pydicom.Dataset()
    step.ScheduledStationAETitle = "AE0"
    step.ScheduledProcedureStepStartDate = "20240705"
    step.ScheduledProcedureStepID = None
    query.ScheduledProcedureStepSequence = [step]
    ae = AE()
    ae.add_requested_context(ModalityWorklistInformationFind)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = associate(ae, port)

    def ask(sop_class: str = ModalityWorklistInformationFind) -> list[Any]:
        return list(association.send_c_find(query, sop_class))

    answers = ask()
    assert [status.Status for status, _ in answers] == [0xFF00, 0xFF00, 0x0000]
    steps = [found.ScheduledProcedureStepSequence[0] for _, found in answers[:-1]]
    assert {found.ScheduledProcedureStepID for found in steps} == {"S4", "S32"}
    assert {len(found) for found in steps} == {3}
    made.remove("S4")
    made.schedule(item(60))  # on the fifth, too
    assert [found.PatientID for _, found in ask()[:-1]] == ["P32", "P60"]
    query.QueryRetrieveLevel = "STUDY"
    ((failure, _),) = ask(StudyRootQueryRetrieveInformationModelFind)
    assert failure.Status == 0x0122
    association.release()


def test_there_is_a_limit_to_what_is_answered(worklist: Any) -> None:
    made, port = worklist
    everything = DataSet.from_keywords(PatientID="*", PatientName="*")
    with connect("127.0.0.1", port) as association:
        assert len(list(association.find(everything, model="worklist"))) == 50
        made.schedule(item(50))
        found = []
        with pytest.raises(DimseFailure, match="more than 50 matches") as caught:
            found.extend(association.find(everything, model="worklist"))
        assert caught.value.status == 0xA700
        association.echo()


def test_a_key_that_means_nothing_is_refused(worklist: Any) -> None:
    query = DataSet.from_keywords(PatientID="", StudyDate="20241399")
    with connect("127.0.0.1", worklist[1]) as association:
        with pytest.raises(DimseFailure, match="no day of the calendar") as caught:
            list(association.find(query, model="worklist"))
        assert caught.value.status == 0xC000
        association.echo()
