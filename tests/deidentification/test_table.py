"""Each row of PS3.15 table E.1-1 with each option does what the table says.

What is expected is worked out here from the text of the row alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit.patients import KEY, file_of, patient

import dicom_actors.deidentification
from dicom_actors import DataSet
from dicom_actors.data import Tag
from dicom_actors.data.dictionary import vr_of
from dicom_actors.deidentification import Deidentifier, Option

LINES = [
    line.split("\t")
    for line in (Path(dicom_actors.deidentification.__file__).parent / "deidentification.tsv")
    .read_text()
    .splitlines()
]
HEADER, ROWS = LINES[0], LINES[1:]
COLUMN_OF = {
    Option.RETAIN_SAFE_PRIVATE: "retain_safe_private",
    Option.RETAIN_UIDS: "retain_uids",
    Option.RETAIN_DEVICE_IDENTITY: "retain_device_identity",
    Option.RETAIN_INSTITUTION_IDENTITY: "retain_institution_identity",
    Option.RETAIN_PATIENT_CHARACTERISTICS: "retain_patient_characteristics",
    Option.RETAIN_FULL_DATES: "retain_long_full_dates",
    Option.RETAIN_MODIFIED_DATES: "retain_long_modified_dates",
    Option.CLEAN_DESCRIPTORS: "clean_descriptors",
    Option.CLEAN_STRUCTURED_CONTENT: "clean_structured_content",
    Option.CLEAN_GRAPHICS: "clean_graphics",
}
SECRET = "ZQSECRET"
VALUES: dict[str, Any] = {
    "AE": SECRET,
    "AS": "047Y",
    "CS": SECRET,
    "DA": "19991231",
    "DS": "47.11",
    "DT": "19991231112233",
    "FD": 47.11,
    "FL": 47.5,
    "IS": "4711",
    "LO": SECRET,
    "LT": SECRET,
    "OB": SECRET.encode(),
    "OW": SECRET.encode(),
    "PN": f"{SECRET}^Any",
    "SH": SECRET,
    "ST": SECRET,
    "TM": "112233",
    "UC": SECRET,
    "UI": "1.2.3.4.5.99",
    "UL": 4711,
    "UN": SECRET.encode(),
    "UR": f"http://{SECRET.lower()}.example.org",
    "US": 4711,
    "UT": SECRET,
    "SQ": [{"PatientName": f"{SECRET}^Other", "ReferencedSOPInstanceUID": "1.2.3.4.5.98"}],
}
IDENTITIES = {"PatientName", "PatientID", "StudyID"}
"""These get pseudonyms, which PS3.15 allows where it says Z."""
SAID = {
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
}


def tag_of(row: list[str]) -> int | None:
    text = row[0].replace("50xxxxxx", "50003000").replace("60xx", "6000")
    return None if text == "private" else int(text, 16)


IN_DATA_SETS = [row for row in ROWS if (tag := tag_of(row)) is not None and tag >= 0x00080000]


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 656
    assert len(IN_DATA_SETS) > 640
    assert {row[5] for row in ROWS} == {
        *("D", "Z", "X", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*")
    }


def outcome(before: DataSet, after: DataSet, tag: int) -> str:
    """Say what became of an element, in the letters of the table."""
    if tag not in after:
        return "X"
    value = after[tag]
    if value in (None, []):
        return "Z"
    if value == before[tag]:
        return "K"
    return "D"


def cleaners(option: Option | None) -> Deidentifier:
    return Deidentifier("basic", () if option is None else (option,), salt=KEY)


@pytest.mark.parametrize("option", [None, *COLUMN_OF])
def test_each_row(option: Option | None) -> None:
    cleaner, failed = cleaners(option), []
    for row in IN_DATA_SETS:
        tag = tag_of(row)
        assert tag is not None
        keyword, basic = row[1], row[5]
        vr = vr_of(tag)
        vr = {"US or SS": "US", "OB or OW": "OB", "US or OW": "OW"}.get(vr, vr)
        before = patient()
        before.put(tag, vr, "+0100" if keyword == "TimezoneOffsetFromUTC" else VALUES[vr])
        before = DataSet.from_bytes(before.to_bytes(), "ExplicitVRLittleEndian")
        after = cleaner.deidentify(before)
        did = outcome(before, after, tag)
        asked = row[HEADER.index(COLUMN_OF[option])] if option is not None else ""
        allowed = expected(row, tag, vr, asked, option)
        if keyword in IDENTITIES:
            allowed = {"D"}
        leaks = SECRET.lower().encode() in file_of(after).lower() and did != "K"
        if did not in allowed or leaks or (basic.startswith("U") and did == "K" and not asked):
            failed.append((keyword, vr, basic, asked, did, allowed, leaks))
    assert failed == []


def expected(row: list[str], tag: int, vr: str, asked: str, option: Option | None) -> set[str]:
    """Return which outcomes the table allows."""
    choices = set(row[5].rstrip("*").split("/"))
    basic = {"U": "D"}
    allowed = {basic.get(choice, choice) for choice in choices}
    if "U" in choices:
        allowed = {"D"}  # references stay, with new UIDs
    if asked == "K":
        # Sequences are kept, and what is in them is cleaned.
        return {"D"} if vr == "SQ" else {"K"}
    if asked == "C":
        if option is Option.RETAIN_MODIFIED_DATES and vr != "OB":  # binary ones cannot be shifted
            return {"K"} if vr in {"TM", "SH"} else {"D"}
        if vr == "SQ":
            return {"D", *allowed}
    return allowed


def test_a_row_for_private_elements() -> None:
    before = patient()
    before.put(0x00090010, "LO", "ACME 1.1")
    before.put(0x00091001, "LO", SECRET)
    after = cleaners(None).deidentify(before)
    assert not any(tag.is_private for tag in after)


@pytest.mark.parametrize(
    ("sop_class", "keyword", "did"),
    [
        # PS3.3: type 3 in General Series, type 1 in RT Series' structure set and in SR documents.
        ("1.2.840.10008.5.1.4.1.1.2", "SeriesDate", "X"),
        ("1.2.840.10008.5.1.4.1.1.2", "StationName", "X"),
        ("1.2.840.10008.5.1.4.1.1.2", "ContentDate", "Z"),  # General Image: 2C
        ("1.2.840.10008.5.1.4.1.1.88.11", "ContentDate", "D"),  # SR Document General: 1
        ("1.2.840.10008.5.1.4.1.1.4.1", "ContentDate", "D"),  # Enhanced MR: 1
        ("1.2.840.10008.5.1.4.1.1.4.1", "DeviceSerialNumber", "D"),  # Enhanced Equipment: 1
        ("1.2.840.10008.5.1.4.1.1.2", "DeviceSerialNumber", "X"),  # General Equipment: 3
        ("1.2.840.10008.5.1.4.1.1.481.3", "OperatorsName", "Z"),  # RT Series: 2
        ("1.2.840.10008.5.1.4.1.1.2", "OperatorsName", "X"),  # General Series: 3
        # The table says to remove it, and Presentation State Identification has it as type 1.
        ("1.2.840.10008.5.1.4.1.1.11.1", "PresentationCreationDate", "D"),
        ("1.2.840.10008.5.1.4.1.1.2", "PresentationCreationDate", "X"),
        ("1.2.3.4", "SeriesDate", "D"),  # nobody knows
    ],
)
def test_the_type_in_the_iod_decides(sop_class: str, keyword: str, did: str) -> None:
    tag = int(Tag(keyword))
    before = patient(SOPClassUID=sop_class)
    before[keyword] = VALUES[vr_of(tag)]
    assert outcome(before, cleaners(None).deidentify(before), tag) == did


def test_what_the_result_says_of_itself() -> None:
    after = Deidentifier(
        "basic", ["retain-uids", Option.RETAIN_MODIFIED_DATES], salt=KEY
    ).deidentify(patient())
    assert after.PatientIdentityRemoved == "YES"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [
        (item.CodeValue, item.CodingSchemeDesignator)
        for item in after.DeidentificationMethodCodeSequence
    ]
    assert codes == [("113100", "DCM"), ("113110", "DCM"), ("113107", "DCM")]
    assert after.DeidentificationMethod[0] == "Basic Application Confidentiality Profile"
    assert {*SAID} <= {*after.keywords()}
    plain = Deidentifier(salt=KEY)
    assert plain.deidentify(patient()).LongitudinalTemporalInformationModified == "REMOVED"
    full = Deidentifier("basic", ["retain-full-dates"], salt=KEY).deidentify(patient())
    assert full.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert full.StudyDate == "20040119"


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="expected one of retain-safe-private"):
        Deidentifier("basic", ["keep-all"], salt=KEY)
    with pytest.raises(ValueError, match="full dates or modified dates"):
        Deidentifier("basic", ["retain-full-dates", "retain-modified-dates"], salt=KEY)
    with pytest.raises(ValueError, match="salt"):
        Deidentifier(salt=b"")
    with pytest.raises(ValueError, match="profile"):
        Deidentifier("advanced", salt=KEY)
