"""Attribute matching beside DCMTK's: the same entities, the same keys, and where we differ.

The entities are in `dcmqrscp` and `wlmscpfs` and, as data sets, here. Every difference is listed
with its reason; DCMTK's side of it is asserted, too, so that the list stays true.
"""

from __future__ import annotations

from typing import Any

import pytest
from kit.scp import dcmqrscp, dcmtk_scp, free_port

from dicom_actors.data import DataSet, write_file
from dicom_actors.data.query.matching import Query
from dicom_actors.scu import connect

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

STEP = "ScheduledProcedureStepSequence"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PEOPLE = (
    ("DOE^JOHN", "A1", "20240705", "1030"),
    ("", "", "20240706", "080000"),
    ("Müller^Jörg", "A3", "20240707", "190000.5"),
)

STUDIES = [
    DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=SECONDARY_CAPTURE,
        SOPInstanceUID=f"1.2.9.{number}",
        StudyInstanceUID=f"1.2.3.{number}",
        SeriesInstanceUID=f"1.2.4.{number}",
        PatientID=f"P{number}",
        PatientName=name,
        AccessionNumber=accession,
        StudyDate=date,
        StudyTime=time,
        StudyID=f"st{number}",
        StudyDescription="big [day]",
        Modality="OT",
    )
    for number, (name, accession, date, time) in enumerate(PEOPLE)
]
# wlmscpfs takes no worklist file without a name.
SCHEDULED = [
    DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 100",
        StudyInstanceUID=f"1.2.3.{number}",
        PatientID=f"P{number}",
        PatientName=name or "Roe^Jane",
        AccessionNumber=accession,
        RequestedProcedureID=f"R{number}",
        RequestedProcedureDescription="CHEST",
        **{
            STEP: [
                DataSet.from_keywords(
                    Modality=("CT", "MR", "CT")[number],
                    ScheduledStationAETitle=f"AE{number}",
                    ScheduledProcedureStepStartDate=date,
                    ScheduledProcedureStepStartTime=time,
                    ScheduledPerformingPhysicianName="Per^Former",
                    ScheduledProcedureStepDescription="CHEST",
                    ScheduledProcedureStepID=f"S{number}",
                )
            ]
        },
    )
    for number, (name, accession, date, time) in enumerate(PEOPLE)
]

SAME: list[dict[str, Any]] = [
    {},
    {"PatientName": "DOE*"},
    {"PatientName": "DOE^JOHN"},
    {"PatientName": "DOE"},
    {"PatientName": "M?ller*"},
    {"PatientName": "*"},
    {"AccessionNumber": "A1"},
    {"AccessionNumber": "a1"},
    {"AccessionNumber": "A?"},
    {"AccessionNumber": "*3"},
    {"AccessionNumber": "*"},
    {"PatientID": "P1"},
    {"PatientID": "P1 "},
    {"PatientID": "P[0-9]"},
    {"PatientID": "P*", "AccessionNumber": "A1"},
    {"StudyInstanceUID": "1.2.3.1"},
    {"StudyInstanceUID": "1.2.3.?"},
    {"StudyInstanceUID": ["1.2.3.0", "1.2.3.2"]},
    {"StudyID": "*t*"},
    {"StudyDescription": "big [day]"},
    {"StudyDescription": "* [d*"},
    {"StudyDescription": "big"},
    {"StudyDate": "20240705"},
    {"StudyDate": "20240705-20240706"},
    {"StudyDate": "-20240706"},
    {"StudyDate": "20240706-"},
    {"StudyDate": "20240707-20240705"},
    {"StudyTime": "1030"},
    {"StudyTime": "103000"},
    {"StudyTime": "1030-1030"},
    {"StudyTime": "-1030"},
    {"StudyTime": "10-"},
    {"StudyDate": "20240705-20240707", "StudyTime": "1000-1800"},
]
STUDIES_DIFFER: list[tuple[dict[str, Any], set[str], set[str], str]] = [
    ({"PatientName": "doe*"}, {"P0"}, set(), "case does not count in names, which is our choice"),
    ({"PatientName": "DOE^JOHN^"}, {"P0"}, set(), "nor do carets at the end"),
    ({"AccessionNumber": '""'}, {"P1"}, set(), "empty value matching, of later editions"),
    ({"AccessionNumber": ["A1", "A3"]}, {"P0", "P2"}, set(), "one of several values"),
    ({"StudyTime": "190000"}, {"P2"}, set(), "all of that second"),
]


def ids(found: Any) -> set[str]:
    return {data_set.PatientID for data_set in found}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with dcmqrscp(tmp_path_factory.mktemp("qr")) as port:
        with connect("127.0.0.1", port, called="QRSCP", timeout=30) as association:
            for study in STUDIES:
                association.store(study, check=True)
            yield association


@pytest.fixture(scope="module")
def worklist(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("worklist")
    (folder / "WORK").mkdir()
    (folder / "WORK" / "lockfile").touch()
    for number, item in enumerate(SCHEDULED):
        item.file_meta = DataSet.from_keywords(
            MediaStorageSOPClassUID="1.2.840.10008.5.1.4.31",
            MediaStorageSOPInstanceUID=f"1.2.8.{number}",
            TransferSyntaxUID="1.2.840.10008.1.2.1",
        )
        write_file(folder / "WORK" / f"{number}.wl", item)
    port = free_port()
    with dcmtk_scp("wlmscpfs", "-dfp", folder, port, port=port):
        with connect("127.0.0.1", port, called="WORK", timeout=30) as association:
            yield association


def study_query(keys: dict[str, Any]) -> DataSet:
    wanted = {"PatientName": "", "PatientID": "", "QueryRetrieveLevel": "STUDY", **keys}
    return DataSet.from_keywords(SpecificCharacterSet="ISO_IR 100", **wanted)


@pytest.mark.parametrize("keys", SAME, ids=str)
def test_studies_match_as_in_dcmqrscp(studies: Any, keys: dict[str, Any]) -> None:
    query = study_query(keys)
    assert ids(Query(query).select(STUDIES)) == ids(studies.find(query, model="study"))


def _id_of(value: object) -> str:
    """The name of a parameter, the same in every process."""
    return str(sorted(value) if isinstance(value, set) else value)


@pytest.mark.parametrize(("keys", "ours", "theirs", "reason"), STUDIES_DIFFER, ids=_id_of)
def test_studies_that_dcmqrscp_sees_otherwise(
    studies: Any, keys: dict[str, Any], ours: set[str], theirs: set[str], reason: str
) -> None:
    query = study_query(keys)
    assert ids(Query(query).select(STUDIES)) == ours, reason
    assert ids(studies.find(query, model="study")) == theirs, reason


def test_an_answer_has_the_values_that_dcmqrscp_answers(studies: Any) -> None:
    query = study_query({"StudyDate": "", "AccessionNumber": "A?", "StudyTime": "19-"})
    (theirs,) = studies.find(query, model="study")
    (ours,) = Query(query).select(STUDIES)
    own = {"RetrieveAETitle", "InstanceAvailability"}  # which a provider adds
    assert {tag: theirs[tag] for tag in theirs if tag.keyword not in own} == dict(ours.items())


WORKLIST_SAME: list[dict[str, Any]] = [
    {},
    {"Modality": "CT"},
    {"Modality": "PT"},
    {"ScheduledStationAETitle": "AE1"},
    {"ScheduledProcedureStepStartDate": "20240706"},
    {"ScheduledProcedureStepStartDate": "20240705-20240706"},
    {"ScheduledProcedureStepStartDate": "20240706-"},
    {"ScheduledProcedureStepStartTime": "1030-"},
    {"ScheduledProcedureStepStartTime": "-1030"},
    {
        "ScheduledProcedureStepStartDate": "20240705-20240707",
        "ScheduledProcedureStepStartTime": "1000-1800",
    },
    {"Modality": "CT", "ScheduledProcedureStepStartDate": "20240707"},
]
"""Keys in the sequence of a worklist query."""


@pytest.mark.parametrize("keys", WORKLIST_SAME, ids=str)
def test_a_worklist_matches_as_in_wlmscpfs(worklist: Any, keys: dict[str, Any]) -> None:
    query = worklist_query(**keys)
    assert ids(Query(query).select(SCHEDULED)) == ids(worklist.find(query, model="worklist"))


def test_wlmscpfs_knows_no_wild_cards_in_ae_titles(worklist: Any) -> None:
    query = worklist_query(ScheduledStationAETitle="AE*")
    assert ids(Query(query).select(SCHEDULED)) == {"P0", "P1", "P2"}
    assert ids(worklist.find(query, model="worklist")) == set()


def worklist_query(**keys: Any) -> DataSet:
    wanted = {"Modality": "", "ScheduledProcedureStepStartDate": "", **keys}
    return DataSet.from_keywords(
        PatientName="", PatientID="", **{STEP: [DataSet.from_keywords(**wanted)]}
    )
