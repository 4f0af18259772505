"""Identifiers from the command line."""

from __future__ import annotations

import pytest

from dicom_actors.cli.keys import query_for, retrieval_for
from dicom_actors.cli.usage import UsageError
from dicom_actors.data import DataSet


def test_keys_are_keywords_and_tags_with_values_or_without() -> None:
    query = query_for(["PatientName=DOE*", "0010,0020=A=B", "StudyDate"], None, None)
    assert query.identifier == DataSet.from_keywords(
        QueryRetrieveLevel="STUDY", PatientName="DOE*", PatientID="A=B", StudyDate=None
    )
    assert [column.heading for column in query.columns] == [
        "PatientName",
        "0010,0020",
        "StudyDate",
    ]


def test_keys_within_sequences_share_an_item() -> None:
    query = query_for(
        [
            "ScheduledProcedureStepSequence.Modality=CT",
            "0040,0100.ScheduledProcedureStepStartDate=20260101-20260131",
            "ScheduledProcedureStepSequence.ScheduledProtocolCodeSequence.CodeValue",
            "PatientName",
        ],
        None,
        None,
    )
    step = DataSet.from_keywords(
        Modality="CT",
        ScheduledProcedureStepStartDate="20260101-20260131",
        ScheduledProtocolCodeSequence=[DataSet.from_keywords(CodeValue=None)],
    )
    assert query.identifier == DataSet.from_keywords(
        PatientName=None, ScheduledProcedureStepSequence=[step]
    )
    assert query.columns[2].tags == (0x0040_0100, 0x0040_0008, 0x0008_0100)


def test_a_sequence_alone_is_returned_whatever_it_has() -> None:
    query = query_for(["RequestAttributesSequence", "PatientName=X"], "SERIES", None)
    assert query.identifier.RequestAttributesSequence == []


@pytest.mark.parametrize(
    ("level", "model", "usual"),
    [
        (None, None, "StudyInstanceUID"),
        ("PATIENT", None, "PatientBirthDate"),
        ("SERIES", None, "SeriesInstanceUID"),
        ("IMAGE", "study", "SOPInstanceUID"),
        (None, "worklist", "ScheduledProcedureStepSequence"),
    ],
)
def test_the_usual_keys_are_returned_where_all_have_values(level, model, usual) -> None:
    query = query_for(["PatientID=1"], level, model)
    assert query.columns[0].heading == "PatientID"
    assert usual in query.identifier
    assert usual not in query_for(["PatientID=1", "PatientName"], level, model).identifier
    assert len({column.tags for column in query.columns}) == len(query.columns)


def test_levels_are_for_models_that_have_them() -> None:
    assert query_for(["PatientID=1"], None, None).identifier.QueryRetrieveLevel == "STUDY"
    assert query_for(["PatientID=1"], "IMAGE", "study").identifier.QueryRetrieveLevel == "IMAGE"
    for model in ("worklist", "ups_pull", "color_palette"):
        assert "QueryRetrieveLevel" not in query_for(["PatientID=1"], None, model).identifier
    given = query_for(["QueryRetrieveLevel=SERIES", "Modality=CT"], None, None)
    assert given.identifier.QueryRetrieveLevel == "SERIES"
    assert "SeriesInstanceUID" in given.identifier


def test_values_become_what_their_vr_has() -> None:
    identifier = query_for(
        ["Rows=512", "StudyInstanceUID=1.2\\1.3", "0028,0009=0018,1063", "0009,1001=x"], None, None
    ).identifier
    assert identifier.Rows == 512
    assert identifier.StudyInstanceUID == ["1.2", "1.3"]
    assert identifier[0x0028_0009] == 0x0018_1063
    assert identifier[0x0009_1001] == "x"


def test_uids_may_be_given_one_by_one_and_by_name() -> None:
    keys = ["StudyInstanceUID=1.2", "StudyInstanceUID=1.3", "SOPClassUID=CTImageStorage"]
    identifier = query_for(keys, None, None).identifier
    assert identifier.StudyInstanceUID == ["1.2", "1.3"]
    assert identifier.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert retrieval_for(keys, None).StudyInstanceUID == ["1.2", "1.3"]


def test_names_that_are_not_ascii_have_a_character_set() -> None:
    identifier = query_for(["PatientName=M\u00fcller*"], None, None).identifier
    assert identifier.SpecificCharacterSet == "ISO_IR 192"
    assert "M\u00fcller*".encode() in identifier.to_bytes("ExplicitVRLittleEndian")
    own = query_for(["SpecificCharacterSet=ISO_IR 100", "PatientName=M\u00fcller*"], None, None)
    assert "M\u00fcller*".encode("latin-1") in own.identifier.to_bytes("ExplicitVRLittleEndian")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("PatientsName=X", "'PatientsName' is not a keyword.*PatientName"),
        ("", "not a keyword"),
        ("=X", "not a keyword"),
        ("PatientName.Modality=CT", "expected a sequence before the period"),
        ("ScheduledProcedureStepSequence.=CT", "not a keyword"),
        ("ScheduledProcedureStepSequence=CT", "it is a sequence"),
        ("SOPClassUID=CTImageStorag", "key SOPClassUID: .* close to it: CTImageStorage"),
        ("StudyInstanceUID=1.2-1.3", "key StudyInstanceUID: expected a UID or its keyword"),
        ("StudyDate=2004-01-19", "expected YYYYMMDD.*; 20040119 would be right"),
        ("StudyTime=10:30", "expected HHMMSS.*; 1030 would be right"),
        ("PatientAge=35", "expected three digits"),
        ("Rows=many", "key Rows: expected values of VR US, got 'many'"),
        ("Rows=70000", "key Rows: expected values of VR US, got '70000'"),
        ("PixelData=x", "key PixelData: "),
    ],
)
def test_what_is_no_key(key: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        query_for([key], None, None)


@pytest.mark.parametrize(
    ("keys", "level"),
    [
        (["PatientID=1"], "PATIENT"),
        (["PatientID=1", "StudyInstanceUID=1.2"], "STUDY"),
        (["SeriesInstanceUID=1.3", "StudyInstanceUID=1.2"], "SERIES"),
        (["StudyInstanceUID=1.2", "SOPInstanceUID=1.4"], "IMAGE"),
        (["StudyInstanceUID=1.2", "SOPInstanceUID"], "STUDY"),
    ],
)
def test_what_is_retrieved_has_the_level_of_its_lowest_uid(keys, level) -> None:
    assert retrieval_for(keys, None).QueryRetrieveLevel == level
    assert retrieval_for(keys, "IMAGE").QueryRetrieveLevel == "IMAGE"


def test_a_key_that_is_given_twice_is_not_dropped() -> None:
    with pytest.raises(UsageError, match="key 0010,0010: given twice"):
        query_for(["PatientName=A", "0010,0010=B"], None, None)


def test_a_retrieval_of_nothing_in_particular_is_wrong() -> None:
    with pytest.raises(UsageError, match="StudyInstanceUID"):
        retrieval_for(["PatientName=*"], None)
