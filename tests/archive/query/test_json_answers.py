"""Answers as text say what answers as data sets say, whatever headers have in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.stored_instances import data_set, new_instance

from dicom_actors import DataSet
from dicom_actors.archive.index import Index, describe
from dicom_actors.archive.query import Paging, find_page, find_page_as_json
from dicom_actors.archive.query.json_answers import plain_value

KEYS = {
    "STUDY": "StudyInstanceUID PatientName PatientID PatientBirthDate PatientSex StudyDate"
    " StudyTime AccessionNumber ReferringPhysicianName StudyDescription StudyID PatientAge"
    " PatientWeight OtherPatientNames ModalitiesInStudy SOPClassesInStudy InstanceAvailability"
    " AnatomicRegionsInStudyCodeSequence NumberOfPatientRelatedStudies"
    " NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances ProcedureCodeSequence Modality",
    "SERIES": "StudyInstanceUID PatientName SeriesInstanceUID Modality SeriesNumber"
    " SeriesDescription NumberOfSeriesRelatedInstances RequestAttributesSequence",
    "IMAGE": "StudyInstanceUID PatientName SeriesInstanceUID SOPInstanceUID SOPClassUID Rows"
    " InstanceNumber NumberOfFrames AvailableTransferSyntaxUID ImageType PixelSpacing"
    " AcquisitionDateTime SmallestImagePixelValue",
}
SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")


@pytest.fixture
def index(tmp_path, index_place):
    index = Index.open(index_place.address(tmp_path) or tmp_path / "index.db", durability="os")
    yield index
    index.close()


def identifier(level, **keys):
    made = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel=level)
    for keyword in KEYS[level].split():
        made.put(keyword, None, keys.pop(keyword, None))
    for keyword, value in keys.items():
        made.put(keyword, None, value)
    return made


def both(index, asked, **paging):
    """The answers as data sets in JSON, and those as text."""
    found = []
    for answer in find_page(index, asked, Paging(**paging)):
        names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        uids = [str(answer[name]) for name in names if answer.get(name)]
        answer.put("RetrieveURL", "UR", "/".join(["http://here", *uids]))
        del answer["QueryRetrieveLevel"]
        found.append(answer.to_json_dict())
    texts = find_page_as_json(
        index, asked, Paging(**paging), address=lambda uids: "/".join(["http://here", *uids])
    )
    return found, [json.loads(text) for text in texts]


def stored(index, number, syntax, **values):
    made = data_set(1, number, 1, 1, **values)
    read = DataSet.from_bytes(made.to_bytes(syntax), syntax)
    index.write([new_instance(made)._replace(description=describe(read))])


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("level", KEYS)
def test_they_say_the_same(index, level, syntax):
    region = {"CodeValue": "T-D1100", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Head"}
    request = {"RequestedProcedureID": "R1", "ScheduledProcedureStepID": "S1"}
    for number, values in enumerate(
        (
            {},
            {"PatientName": "Doe^John^^^", "PatientSex": "O", "Rows": 512, "SeriesNumber": "007"},
            {"PatientName": 'O"Neil^Pat', "StudyDescription": "a~b", "PatientWeight": "72.50"},
            {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100"},
            {"PatientName": "Yamada^T=山田^太郎", "SpecificCharacterSet": "ISO_IR 192"},
            {"PatientName": "A=B", "OtherPatientNames": ["A^B", "C^D"], "ImageType": ["A", "B"]},
            {"PatientName": None, "StudyDate": "", "StudyTime": "101010.5", "PatientAge": "033Y"},
            {"StudyDescription": " a b ", "AccessionNumber": "   ", "PixelSpacing": [0.5, 0.5]},
            {"AnatomicRegionSequence": [region], "RequestAttributesSequence": [request]},
            {"AcquisitionDateTime": "20240102101010.5+0100", "TimezoneOffsetFromUTC": "+0200"},
        ),
        start=1,
    ):
        stored(index, number, syntax, **values)

    found, texts = both(index, identifier(level))

    assert len(texts) == 10
    assert texts == found


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": "doe*"},
        {"PatientName": "muller*"},
        {"ModalitiesInStudy": "MR"},
        {"StudyDate": "20240101-20241231", "PatientName": "*"},
        {"ProcedureCodeSequence": [{"CodeValue": "X1"}]},
        {"StudyInstanceUID": ["1.2.1.2", "1.2.1.3"]},
    ],
    ids=str,
)
def test_they_match_the_same(index, keys):
    code = {"CodeValue": "X1", "CodeMeaning": "x"}
    for number, values in enumerate(
        (
            {"PatientName": "Doe^John", "StudyDate": "20240202"},
            {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100"},
            {"Modality": "MR", "ProcedureCodeSequence": [code, {"CodeValue": "X2"}]},
        ),
        start=1,
    ):
        stored(index, number, SYNTAXES[0], **values)

    found, texts = both(index, identifier("STUDY", **keys))

    assert found
    assert len(found) < 3
    assert texts == found


def test_they_have_private_attributes(index):
    made = data_set(1, 1)
    made.put(0x00190010, "LO", "ACME")
    made.put(0x00191001, "LO", "secret")
    index.write([new_instance(made)])
    asked = identifier("IMAGE")
    asked.put(0x00190011, "LO", "ACME")
    asked.put(0x00191101, "LO", None)

    found, texts = both(index, asked)

    assert texts == found
    assert texts[0]["00191101"]["Value"] == ["secret"]


def test_pages_are_the_same(index):
    index.write([new_instance(data_set(1, number)) for number in range(1, 8)])

    found, texts = both(index, identifier("STUDY"), offset=2, limit=3, newest_first=True)

    assert [one["0020000D"]["Value"] for one in texts] == [["1.2.1.5"], ["1.2.1.4"], ["1.2.1.3"]]
    assert texts == found


VRS = ("AE", "AS", "CS", "DA", "DT", "IS", "LO", "PN", "SH", "TM", "UI", "US", "DS", "UT", "OB")
BYTES = st.one_of(
    st.binary(max_size=12),
    st.text(' \0019AZaz^=.-+\\"~[]', max_size=12).map(str.encode),
    st.sampled_from([b"007", b"-0", b"12 ", b" 12", b"+5", b"1.2.3\0", b"Doe^John "]),
)


@given(
    st.sampled_from(VRS),
    BYTES,
    st.sampled_from([None, "ISO_IR 13", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 87"]),
)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_plain_value_is_what_the_model_has(vr, value, character_set):
    text = plain_value(vr.encode(), value)

    if text is not None:
        value += b"\0" * (len(value) % 2) if vr == "UI" else b" " * (len(value) % 2)
        head = b""
        if character_set is not None:
            head = b"\x08\0\x05\0CS" + bytes([len(character_set) + len(character_set) % 2, 0])
            head += character_set.encode() + b" " * (len(character_set) % 2)
        element = b"\x10\0\x10\0" + vr.encode() + bytes([len(value), 0]) + value
        model = DataSet.from_bytes(head + element, SYNTAXES[0]).to_json_dict()
        assert json.loads(text) == model["00100010"]
