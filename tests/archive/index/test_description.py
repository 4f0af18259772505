from __future__ import annotations

import struct

import pytest
from kit.stored_instances import CT, EXPLICIT, data_set

from dicom_actors import DataSet
from dicom_actors.archive.index import describe, description
from dicom_actors.archive.index.description import MAX_HEADER, MAX_ITEMS, MAX_VALUE, open_header
from dicom_actors.archive.index.headers import difference, pack, restore, unpack
from dicom_actors.errors import ArchiveError, DecodeError


def whole(described):
    """All that is kept, in one data set."""
    made = open_header(described.upper).copy()
    made.merge(open_header(described.own))
    return made


def header(data_set):
    return whole(describe(data_set))


def test_uids_and_number():
    described = describe(data_set(instance=7))

    assert described[:6] == ("1.2.1.1", "1.2.1.1.1", "1.2.1.1.1.7", CT, 7, None)


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("SOPInstanceUID", "UI", "1.2.34"),
        ("SOPInstanceUID", "UI", "1.2.345"),
        ("SOPInstanceUID", "UI", "1." + "2" * 62),
        ("SOPInstanceUID", "UI", "1." + "2" * 61),
        ("SOPInstanceUID", "LO", "1.2.345 "),
        ("StudyInstanceUID", "UN", b"1.2.3\0"),
        ("InstanceNumber", "IS", "7"),
        ("InstanceNumber", "IS", "007"),
        ("InstanceNumber", "IS", " 7 "),
        ("InstanceNumber", "IS", "-7"),
        ("InstanceNumber", "IS", "+7"),
        ("InstanceNumber", "IS", "123456789"),
        ("InstanceNumber", "IS", "2147483647"),
        ("InstanceNumber", "IS", ""),
        ("InstanceNumber", "IS", ["7", "8"]),
        ("InstanceNumber", "LO", "7"),
        ("InstanceNumber", "LO", "seven"),
        ("InstanceNumber", "US", 7),
        ("ContainerIdentifier", "LO", "A"),
    ],
)
def test_what_is_plain_is_described_as_by_decoding(monkeypatch, syntax, keyword, vr, value):
    made = data_set()
    made.put(keyword, vr, value)
    read = DataSet.from_bytes(made.to_bytes(syntax), syntax)
    found = describe(read)
    monkeypatch.setattr(description, "_plain_text", lambda *_: "")
    assert found == describe(read)


@pytest.mark.parametrize(
    "keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("value", [None, "", "1..2", "../..", "1.2a", "1" * 65, ["1.2", "1.3"]])
def test_no_uid_no_description(keyword, value):
    bad = data_set()
    if value is None:
        del bad[keyword]
    else:
        bad.put(keyword, "LO", value)

    with pytest.raises(DecodeError, match=keyword) as caught:
        describe(bad)
    assert caught.value.tag == bad.fetch(keyword).tag if value is not None else True


def test_a_header_says_what_the_instance_says():
    made = data_set(
        RequestAttributesSequence=[DataSet.from_keywords(ScheduledProcedureStepID="S1")],
        PixelSpacing=[0.5, 0.5],
        PatientComments="x" * 200,
    )
    made.PixelData = b"\x00" * 100

    found = header(made)

    assert "PixelData" not in found
    assert found.SpecificCharacterSet == "ISO_IR 192"
    del made["PixelData"], found["SpecificCharacterSet"]
    assert found == made


def test_text_is_what_it_was():
    made = data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen")
    made = DataSet.from_bytes(made.to_bytes(EXPLICIT), EXPLICIT)
    assert "Müller".encode("latin-1") in made.to_bytes(EXPLICIT)

    described = describe(made)

    assert whole(described).PatientName == "Müller^Jürgen"


def test_text_of_a_data_set_that_was_made_is_kept_whatever_it_declares():
    made = data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen=山田")

    assert header(made).PatientName == "Müller^Jürgen=山田"


@pytest.mark.parametrize("keyword", ["Implicit", "ExplicitVRBigEndian", "Deflated", "Explicit"])
def test_all_transfer_syntaxes_give_one_header(keyword):
    syntax = {
        "Implicit": "1.2.840.10008.1.2",
        "ExplicitVRBigEndian": "1.2.840.10008.1.2.2",
        "Deflated": "1.2.840.10008.1.2.1.99",
        "Explicit": EXPLICIT,
    }[keyword]
    made = data_set(
        Rows=512,
        PixelSpacing=[0.5, 0.25],
        RequestAttributesSequence=[DataSet.from_keywords(ScheduledProcedureStepID="S1")],
    )

    described = describe(DataSet.from_bytes(made.to_bytes(syntax), syntax))

    assert described[:6] == describe(made)[:6]
    assert whole(described) == made


def test_what_is_long_is_left_out():
    made = data_set(
        PatientComments="x" * (MAX_VALUE + 2),
        ImageComments="y" * (MAX_VALUE - 8),
        RequestAttributesSequence=[DataSet.from_keywords(ScheduledProcedureStepID="1")] * MAX_ITEMS,
    )

    found = header(made)

    assert "PatientComments" not in found
    assert "RequestAttributesSequence" not in found
    assert found.ImageComments == "y" * (MAX_VALUE - 8)


def test_a_header_has_a_limit():
    made = data_set(PatientComments="x" * 1_000)
    for number in range(40):
        made.put((0x0021, 0x1000 + number), "LO", ["z" * 60] * 12)

    described = describe(made)

    assert MAX_HEADER - 1_000 < len(described.own) <= MAX_HEADER
    assert open_header(described.own).SOPInstanceUID == made.SOPInstanceUID
    assert header(made).PatientComments == "x" * 1_000


def test_of_any_number_of_elements_the_longest_go_first():
    """In a time that grows with their number: to look for the longest each time took minutes."""
    encoded = data_set(ImageComments="x" * 1_000).to_bytes("1.2.840.10008.1.2")
    many = b"".join(
        struct.pack("<HHI4s", 0x0029, 0x1000 + number, 4, b"long")
        if number % 100 == 0
        else struct.pack("<HHI", 0x0029, 0x1000 + number, 0)
        for number in range(0xE000)
    )
    made = DataSet.from_bytes(encoded + many, "1.2.840.10008.1.2")

    described = describe(made)

    kept = [int(tag) for tag in open_header(described.own) if tag > 0x00290000]
    empty = [0x00291000 + number for number in range(0xE000) if number % 100]
    assert kept == empty[-len(kept) :]
    assert MAX_HEADER - 12 < len(described.own) <= MAX_HEADER


def test_what_is_said_of_the_series_and_above_is_apart():
    described = describe(data_set(SpecificCharacterSet="ISO_IR 192"))

    upper, own = open_header(described.upper), open_header(described.own)
    assert "PatientName" in upper
    assert "Modality" in upper
    assert {element.keyword for element in own.elements()} == {
        *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "InstanceNumber"),
    }


def test_what_cannot_be_read_is_left_out():
    made = data_set()
    made.put("Rows", "UN", b"abc")
    made.put("InstanceNumber", "LO", "seven")

    assert describe(made).instance_number is None
    assert header(made).PatientID == "P1"


def test_headers_are_packed_and_come_back():
    first, second = describe(data_set()).own, describe(data_set(instance=2)).own

    assert unpack(pack(first)) == first
    assert difference(first, first) is None
    assert restore(None, first) == first
    packed = difference(second, first)
    assert packed is not None
    assert len(packed) < len(second) / 3
    assert restore(packed, first) == second


@pytest.mark.parametrize(
    "packed", [b"", b"nothing", pack(b"x")[:-6], pack(b"x" * (MAX_HEADER + 1))]
)
def test_damage_is_an_error(packed):
    with pytest.raises(ArchiveError, match="damaged") as caught:
        unpack(packed)
    assert caught.value.reason == "damaged"
