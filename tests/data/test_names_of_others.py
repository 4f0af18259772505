"""Errors of attributes that are not there, harmless names, and writing with a check."""

from __future__ import annotations

import copy
import pickle

import pytest
from pydicom.data import get_testdata_file

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.dataset import attribute_hints
from dicom_actors.data.values.character_sets import CharacterSet, TextKind
from dicom_actors.data.values.value_types import UID
from dicom_actors.errors import EncodeError

CT = str(get_testdata_file("CT_small.dcm"))
PERSON = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def ds() -> DataSet:
    return read_file(CT)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("save_as", "write_file(path, ds) or ds.save(path)"),
        ("PatientNam", "close to it: PatientName"),
        ("pixel_array", "ds.frames()"),
        ("add_new", "ds.put(key, vr, values)"),
        ("iterall", "ds.walk()"),
        ("value", "ds.fetch(key).value"),
        ("nonsense", "'DataSet' has no attribute 'nonsense', nor is it a keyword"),
    ],
)
def test_an_attribute_that_is_not_there_says_what_is(ds: DataSet, name: str, said: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(ds, name)
    assert said in str(caught.value)
    with pytest.raises(AttributeError) as caught:
        setattr(ds, name, "x")
    assert said in str(caught.value)


def test_what_is_named_instead_is_there(ds: DataSet) -> None:
    """No hint leads to a name that does not exist."""
    names = {"ds": ds, "element": ds.fetch("PatientID"), "path": "x", "keyword": "PatientID"}
    for hint in set(attribute_hints._INSTEAD.values()):
        for word in hint.replace("(", " ").replace(")", " ").replace(",", " ").split():
            if word.startswith(("ds.", "element.")):
                eval(word, {**names})


@pytest.mark.parametrize(
    ("name", "said"), [("VR", "element.vr"), ("VM", "element.vm"), ("repval", "str(element)")]
)
def test_elements_say_so_as_well(ds: DataSet, name: str, said: str) -> None:
    for element in (ds.fetch("PatientID"), DataSet.from_keywords(Rows=1).fetch("Rows")):
        with pytest.raises(AttributeError) as caught:
            getattr(element, name)
        assert said in str(caught.value)
        assert "keyword of the data dictionary" not in str(caught.value)


@pytest.mark.parametrize(
    "keyword",
    [
        *("PatientName", "SOPClassUID", "StudyDate", "StudyTime", "SliceThickness"),
        *("InstanceNumber", "OtherPatientIDsSequence"),
    ],
)
def test_a_value_has_no_value(ds: DataSet, keyword: str) -> None:
    with pytest.raises(AttributeError, match=r"ds.fetch\(key\) the element"):
        _ = ds[keyword].value
    with pytest.raises(AttributeError, match=r"has no attribute 'worth'$"):
        _ = ds[keyword].worth


def test_who_only_asks_whether_it_is_there_pays_for_no_hint(ds: DataSet, monkeypatch) -> None:
    monkeypatch.setattr(attribute_hints, "get_close_matches", None)
    assert not hasattr(ds, "PatientNam")
    assert not hasattr(ds.fetch("PatientID"), "__array__")
    assert copy.deepcopy(ds) == pickle.loads(pickle.dumps(ds)) == ds


def test_keywords_and_elements(ds: DataSet) -> None:
    assert ds.keywords()[:2] == ["SpecificCharacterSet", "ImageType"]
    assert "" not in ds.keywords()  # private elements have none
    assert [element.tag for element in ds.elements()] == list(ds)


def test_uids_have_names() -> None:
    ds = DataSet.from_keywords(SOPClassUID=PERSON, StudyInstanceUID="1.2")
    read = DataSet.from_bytes(ds.to_bytes("ExplicitVRLittleEndian"), "ExplicitVRLittleEndian")
    for each in (ds, read, DataSet.from_json(ds.to_json()), pickle.loads(pickle.dumps(read))):
        assert type(each.SOPClassUID) is UID
        assert each.SOPClassUID.name == "CT Image Storage"
        assert each.StudyInstanceUID.name == ""
        assert each.SOPClassUID == PERSON
    ds.SOPClassUID = ["1.2.840.10008.1.1", "1.2.840.10008.1.2"]
    names = [uid.name for uid in ds.SOPClassUID]
    assert names == ["Verification SOP Class", "Implicit VR Little Endian"]


def test_a_default_stands_for_what_is_empty_and_what_is_absent(ds: DataSet) -> None:
    assert ds.AccessionNumber is None
    assert ds.get("AccessionNumber", "") == ds.get("ReferringPhysicianName", "") == ""
    assert ds.get("AdmissionID", "") == ""
    assert ds.get("PatientID", "") == "1CT1"
    assert ds.get("AccessionNumber") is None
    ds.Rows = 0
    assert ds.get("Rows", 7) == 0
    ds.OtherPatientIDsSequence = []
    assert ds.get("OtherPatientIDsSequence", None) == []


def test_a_file_is_saved_and_checked(ds: DataSet, tmp_path) -> None:
    path = tmp_path / "x.dcm"
    ds.save(path)
    assert read_file(path) == ds
    before = path.read_bytes()
    ds.put("PatientSex", "CS", "male?")
    ds.put("Modality", "CS", "ct")
    for attempt in (lambda: ds.save(path, check=True), lambda: write_file(path, ds, check=True)):
        with pytest.raises(EncodeError, match="not written: ") as caught:
            attempt()
        assert "Modality" in str(caught.value)
        assert "PatientSex" in str(caught.value)
    assert path.read_bytes() == before
    ds.save(path)
    assert read_file(path).Modality == "ct"
    good = DataSet.from_keywords(SOPClassUID=PERSON, SOPInstanceUID="1.2", Modality="CT")
    good.save(path, check=True)
    assert read_file(path) == good


@pytest.mark.parametrize(
    ("terms", "text", "sets"),
    [
        ("ISO_IR 100", "Łukasz", {"ISO_IR 192", "ISO_IR 101", "GB18030"}),
        ("ISO_IR 100", "山田", {"ISO_IR 192", "ISO 2022 IR 87", "GB18030"}),
        ("", "Müller", {"ISO_IR 192", "ISO_IR 100", "ISO_IR 101", "ISO_IR 148"}),
        ("ISO 2022 IR 87", "김", {"ISO_IR 192", "ISO 2022 IR 149"}),
        ("ISO_IR 100", "😀", {"ISO_IR 192", "GB18030"}),
    ],
)
def test_a_character_that_no_set_has_is_told_with_those_that_do(
    terms: str, text: str, sets: set[str]
) -> None:
    ds = DataSet.from_keywords(SpecificCharacterSet=terms or None, PatientComments="plain")
    ds.PatientName = text
    with pytest.raises(EncodeError) as caught:
        ds.to_bytes()
    message = str(caught.value)
    named = message.partition("it is in ")[2].partition(":")[0].split(", ")
    assert sets <= set(named)
    assert "SpecificCharacterSet encodes all text anew" in message
    offending = message.partition("character ")[2][1]
    for term in named:  # what is said is so
        characters = CharacterSet.of(("", term) if term.startswith("ISO 2022") else (term,))
        coded = characters.encode(offending, TextKind.TEXT)
        assert characters.decode(coded, TextKind.TEXT) == (offending, None)
    ds.SpecificCharacterSet = "ISO_IR 192"
    again = DataSet.from_bytes(ds.to_bytes("1.2.840.10008.1.2.1"), "1.2.840.10008.1.2.1")
    assert again.PatientName == text


def test_what_no_set_has_is_told_without() -> None:
    with pytest.raises(EncodeError) as caught:
        CharacterSet.of(("ISO_IR 100",)).encode("\ud800", TextKind.TEXT)
    assert "it is in" not in str(caught.value)
