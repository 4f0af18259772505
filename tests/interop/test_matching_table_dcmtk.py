"""The matching table beside `dcmqrscp`: where it differs, and why. Its side is asserted, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kit.matching_table import ROWS, entities, of_row
from kit.scp import dcmqrscp

from dicom_actors import DataSet, connect

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

NAMES = "names match there as other text does; PS3.4 C.2.2.2.1 leaves what is alike in them open"
TIMES = "a time without seconds is one instant there, and here all of what it says"
SEVERAL = "several values are one text there; PS3.4 C.2.2.3 has any of them match"
COMPUTED = "it does not have the attribute, and takes it for a return key"
SEQUENCES = "it does not match sequences, and takes them for return keys"
EMPTY = "empty value matching is of later editions (PS3.4 C.2.2.2.7)"
STAR = "a star alone is for all here, whatever the VR"
NUMBERS = "numbers are text there"
LONG = "it does not find long text"

WHY = {
    ("StudyDate", "*"): STAR,
    ("StudyInstanceUID", "*"): STAR,
    ("PatientComments", "a comment"): LONG,
    ("AdditionalPatientHistory", "none"): LONG,
    ("OtherStudyNumbers", "7"): NUMBERS,
    ("PatientWeight", "70"): NUMBERS,
    ("PatientSize", "1.8"): NUMBERS,
    ("StudyTime", "1030"): TIMES,
    ("StudyTime", "10"): TIMES,
    ("StudyTime", "103000"): TIMES,
    ("StudyTime", "1000-1200"): TIMES,
}
DIFFERENT = 52


def reason_for(keyword: str, key: Any) -> str:
    """Why a row may differ; empty: it must not."""
    if isinstance(key, dict):
        return SEQUENCES
    if key == '""':
        return EMPTY
    if isinstance(key, list) or keyword == "AdmittingDiagnosesDescription":
        return SEVERAL
    if keyword in {"SOPClassesInStudy", "ModalitiesInStudy", "NumberOfStudyRelatedInstances"}:
        return COMPUTED
    if "Name" in keyword:
        return NAMES
    return WHY.get((keyword, key), "")


def test_the_table_beside_dcmqrscp(tmp_path: Path) -> None:
    different = []
    with (
        dcmqrscp(tmp_path) as port,
        connect("127.0.0.1", port, called="QRSCP") as association,
    ):
        assert all(association.store_many(list(entities())))
        for row, (keyword, key, stored, matches) in enumerate(ROWS):
            identifier = DataSet.from_keywords(
                SpecificCharacterSet="ISO_IR 192",
                QueryRetrieveLevel="STUDY",
                StudyInstanceUID=f"1.2.{row}",
            )
            identifier[keyword] = of_row(key, row)
            found = [one.StudyInstanceUID for one in association.find(identifier, check=False)]
            if (f"1.2.{row}" in found) is not matches:
                different.append((keyword, key, stored))
                assert reason_for(keyword, key), (row, keyword, key, stored, found)
    assert len(different) == DIFFERENT
