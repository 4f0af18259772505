"""Matches by level: one a patient, study or series, with right counts."""

from __future__ import annotations

from typing import Any

import pytest

from dicom_actors.data import DataSet
from dicom_actors.data.query.matching import Query


def image(patient: str, study: str, series: str, number: int, **more: Any) -> DataSet:
    uids = {
        "StudyInstanceUID": f"1.{study}",
        "SeriesInstanceUID": f"1.{study}.{series}",
        "SOPInstanceUID": f"1.{study}.{series}.{number}",
    }
    return DataSet.from_keywords(
        PatientID=patient,
        PatientName=f"Doe^{patient}",
        InstanceNumber=number,
        **{"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT", **uids, **more},
    )


IMAGES = [
    image("A", "1", "1", 1),
    image("B", "3", "1", 1, Modality="US"),
    image("A", "1", "1", 2),
    image("A", "1", "2", 1, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"),
    image("A", "2", "1", 1, Modality="MR", StudyDescription="knee"),
    image("A", "1", "1", 2),  # a second file of one instance
]


def grouped(level: str, images: list[DataSet] = IMAGES, **keys: Any) -> list[DataSet]:
    query = Query(DataSet.from_keywords(QueryRetrieveLevel=level, **keys))
    return list(query.group(images))


def test_studies_with_their_counts() -> None:
    rows = grouped(
        "STUDY",
        StudyInstanceUID=None,
        NumberOfStudyRelatedSeries=None,
        NumberOfStudyRelatedInstances=None,
        NumberOfPatientRelatedStudies=None,
        ModalitiesInStudy=None,
        SOPClassesInStudy=None,
    )
    assert [row.StudyInstanceUID for row in rows] == ["1.1", "1.3", "1.2"]
    first, other, _ = rows
    assert (first.NumberOfStudyRelatedSeries, first.NumberOfStudyRelatedInstances) == (2, 3)
    assert first.NumberOfPatientRelatedStudies == 2
    assert first.ModalitiesInStudy == ["CT", "SR"]
    assert len(first.SOPClassesInStudy) == 2
    assert (other.NumberOfStudyRelatedInstances, other.ModalitiesInStudy) == (1, "US")
    assert all(row.QueryRetrieveLevel == "STUDY" for row in rows)


def test_what_is_counted_is_right_whatever_matched() -> None:
    """One instance of three matches, and the study has three all the same."""
    (row,) = grouped("STUDY", InstanceNumber=2, NumberOfStudyRelatedInstances=None)
    assert row.NumberOfStudyRelatedInstances == 3
    assert row.InstanceNumber == 2


@pytest.mark.parametrize(
    ("keys", "studies"),
    [
        ({"ModalitiesInStudy": "SR"}, ["1.1"]),
        ({"ModalitiesInStudy": ["SR", "MR"]}, ["1.1", "1.2"]),
        ({"ModalitiesInStudy": "XA"}, []),
        ({"NumberOfStudyRelatedInstances": 1}, ["1.3", "1.2"]),
        ({"NumberOfStudyRelatedInstances": 3, "PatientID": "B"}, []),
        ({"StudyDescription": "knee"}, ["1.2"]),
        ({"StudyInstanceUID": ["1.1", "1.3"]}, ["1.1", "1.3"]),
    ],
)
def test_what_is_counted_is_matched_as_well(keys: dict[str, Any], studies: list[str]) -> None:
    rows = grouped("STUDY", **{"StudyInstanceUID": None, **keys})
    assert [row.StudyInstanceUID for row in rows] == studies


def test_patients() -> None:
    counts = ("Studies", "Series", "Instances")
    rows = grouped(
        "PATIENT", PatientName=None, **{f"NumberOfPatientRelated{each}": None for each in counts}
    )
    assert [str(row.PatientName) for row in rows] == ["Doe^A", "Doe^B"]
    assert [rows[0][f"NumberOfPatientRelated{each}"] for each in counts] == [2, 3, 4]


def test_one_id_of_two_issuers_is_two_patients() -> None:
    images = [
        image("A", "1", "1", 1, IssuerOfPatientID="east"),
        image("A", "2", "1", 1, IssuerOfPatientID="west"),
    ]
    rows = grouped("PATIENT", images, IssuerOfPatientID=None, NumberOfPatientRelatedStudies=None)
    assert [row.IssuerOfPatientID for row in rows] == ["east", "west"]
    assert [row.NumberOfPatientRelatedStudies for row in rows] == [1, 1]


def test_series_and_instances() -> None:
    rows = grouped("SERIES", SeriesInstanceUID=None, NumberOfSeriesRelatedInstances=None)
    found = {row.SeriesInstanceUID: row.NumberOfSeriesRelatedInstances for row in rows}
    assert found == {"1.1.1": 2, "1.3.1": 1, "1.1.2": 1, "1.2.1": 1}
    rows = grouped("IMAGE", SOPInstanceUID=None, NumberOfSeriesRelatedInstances=None)
    assert len(rows) == 5
    assert {row.NumberOfSeriesRelatedInstances for row in rows} == {1, 2}


def test_without_a_level_nothing_is_grouped() -> None:
    query = Query(DataSet.from_keywords(PatientID="A"))
    assert len(list(query.group(IMAGES))) == len(list(query.select(IMAGES))) == 5


def test_what_has_no_unique_key_is_left_out() -> None:
    nameless = image("A", "1", "1", 1)
    del nameless.StudyInstanceUID
    assert grouped("STUDY", [nameless], PatientID="A") == []
    assert len(grouped("SERIES", [nameless], PatientID="A")) == 1


def test_a_key_that_was_not_asked_for_is_not_answered() -> None:
    (row, _) = grouped("PATIENT", PatientID=None)
    assert set(row.keys()) == {0x00080052, 0x00100020}
