# ruff: noqa: RUF001 - widths of letters are among it
"""The matching table beside Orthanc: where it differs, and why. Its side is asserted, too."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from kit.matching_table import ROWS, entities, of_row
from kit.orthanc import orthanc

from dicom_actors import DataSet, DimseFailure, connect

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

ABSENT = "a star does not match what is not there; it is universal matching (PS3.4 C.2.2.2.4)"
STAR = "a star is no value of this VR there, and universal matching here"
NUMBERS = "numbers are text there"
COMPUTED = "the attribute is computed for answers there, and no key"
COMPONENTS = "names are text there: components that are empty, and blanks, count"
ACCENTS = "accents count there, as PS3.4 C.2.2.2.1 allows"
GROUPS = "the name is one text there, and its groups are none of their own"
WIDTH = "a letter of another width is another one there; PS3.4 C.2.2.2.1 leaves that open"
SEVERAL = "several values are one text there; PS3.4 C.2.2.3 has any of them match"
OLD_DATES = "dates of the form YYYY.MM.DD (PS3.5 6.2, of ACR-NEMA) are text there"
NO_DATES = "a range takes what is no date there"
TIMES = "a time is text there: with fewer digits it is another one"
LIST_OF_PATTERNS = "wild cards in a list of values are not looked for there"
EMPTY = "empty value matching is of later editions (PS3.4 C.2.2.2.7)"
SEQUENCES = "it does not match sequences, and takes them for return keys"

WHY: dict[tuple[str, Any], str] = {
    ("PatientName", "*"): ABSENT,
    ("AccessionNumber", "*"): ABSENT,
    ("PatientSex", "*"): ABSENT,
    ("StudyDate", "*"): STAR,
    ("StudyInstanceUID", "*"): STAR,
    ("OtherStudyNumbers", "7"): NUMBERS,
    ("PatientWeight", "70"): NUMBERS,
    ("PatientSize", "1.8"): NUMBERS,
    ("SOPClassesInStudy", "1.2.840.10008.5.1.4.1.1.2"): COMPUTED,
    ("NumberOfStudyRelatedInstances", "1"): COMPUTED,
    ("PatientName", "Doe^*"): COMPONENTS,
    ("PatientName", "Doe^John^^^"): COMPONENTS,
    ("PatientName", "Doe ^ John"): COMPONENTS,
    ("PatientName", "muller*"): ACCENTS,
    ("PatientName", "MÜLLER^JORG"): ACCENTS,
    ("PatientName", "m?ller*"): ACCENTS,
    ("PatientName", "山田*"): GROUPS,
    ("PatientName", "やまだ^*"): GROUPS,
    ("PatientName", "=山田*"): GROUPS,
    ("PatientName", "yamada^taro"): WIDTH,
    ("PatientName", "ＹＡＭＡＤＡ*"): WIDTH,
    ("PatientName", "ﾔﾏﾀﾞ*"): WIDTH,
    ("PatientName", "ヤマダ^タロウ"): WIDTH,
    ("PatientName", "ヤマ?^*"): WIDTH,
    ("PatientName", "ﾊﾟ*"): WIDTH,
    ("PatientName", "山田 太郎"): WIDTH,
    ("PatientName", "神*"): WIDTH,
    ("PatientName", "é"): WIDTH,
    ("OtherPatientNames", "ＲＯＥ*"): WIDTH,
    ("ReferringPhysicianName", "*ﾀﾛｳ"): WIDTH,
    ("NameOfPhysiciansReadingStudy", "cuddy*"): SEVERAL,
    ("OtherPatientNames", "roe*"): SEVERAL,
    ("AdmittingDiagnosesDescription", "flu"): SEVERAL,
    ("AdmittingDiagnosesDescription", "fl*"): SEVERAL,
    ("AdmittingDiagnosesDescription", "cold*flu"): SEVERAL,
    ("StudyDate", "20200115"): OLD_DATES,
    ("StudyDate", "-20200115"): NO_DATES,
    ("StudyDate", "20200101-"): NO_DATES,
    ("StudyTime", "1030"): TIMES,
    ("StudyTime", "10"): TIMES,
    ("StudyTime", "103000"): TIMES,
    ("StudyTime", "10:30:00"): TIMES,
    ("StudyTime", "1000-1200"): TIMES,
    ("StudyTime", "-1000"): TIMES,
}
DIFFERENT = 54


def reason_for(keyword: str, key: Any) -> str:
    """Why a row may differ; empty: it must not."""
    if isinstance(key, dict):
        return SEQUENCES
    if key == '""':
        return EMPTY
    if isinstance(key, list):
        return LIST_OF_PATTERNS if any("*" in one for one in key) else ""
    return WHY.get((keyword, key), "")


def test_the_table_beside_orthanc(tmp_path: Path) -> None:
    different = []
    settings = {"DefaultEncoding": "Utf8", "DicomAlwaysAllowFind": True, "LimitFindResults": 0}
    with (
        orthanc(tmp_path, **settings) as server,
        connect("127.0.0.1", server.dicom_port, called="ORTHANC") as association,
    ):
        assert all(association.store_many(list(entities())))
        for row, (keyword, key, stored, matches) in enumerate(ROWS):
            identifier = DataSet.from_keywords(
                SpecificCharacterSet="ISO_IR 192",
                QueryRetrieveLevel="STUDY",
                StudyInstanceUID=f"1.2.{row}",
            )
            identifier[keyword] = of_row(key, row)
            found = []
            with contextlib.suppress(DimseFailure):  # it refuses a time with colons
                found += [one.StudyInstanceUID for one in association.find(identifier, check=False)]
            if (f"1.2.{row}" in found) is not matches:
                different.append((row, keyword, key, stored))
                assert reason_for(keyword, key), (row, keyword, key, stored, found)
    assert len(different) == DIFFERENT, different
