from __future__ import annotations

from dicom_actors.data import DataElement, DataSet, EncapsulatedPixelData, Limits, read_file
from dicom_actors.data.forms.text import data_set_lines, element_line, value_text

EXPLICIT = "1.2.840.10008.1.2.1"


def shown(vr, values, **options):
    return value_text(DataElement(0x00091001, vr, values), **options)


def test_values():
    assert shown("LO", None) == ""
    assert shown("LO", ["A", "B"]) == "A\\B"
    assert shown("US", [1, 2]) == "1\\2"
    assert shown("DS", "1.50") == "1.50"
    assert shown("AT", 0x00100020) == "(0010,0020)"
    assert shown("OB", b"\x01\x02\xff") == "01 02 ff"
    assert shown("SQ", []) == "0 items"
    assert shown("SQ", [DataSet()]) == "1 item"


def test_uids_have_names():
    assert (
        shown("UI", "1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2 = CT Image Storage"
    )
    assert shown("UI", "1.2.3") == "1.2.3"


def test_long_values_are_cut():
    assert shown("LT", "x" * 1000, width=10) == "xxxxxxxxxx... (1000 characters)"
    assert shown("US", list(range(1000)), width=10) == "0\\1\\2\\3\\4\\... (1000 values)"
    assert shown("OB", bytes(1000), width=8) == "00 00 00... (1000 bytes)"
    assert shown("LT", "x" * 1000, width=None) == "x" * 1000
    assert shown("OB", bytes(3), width=None) == "00 00 00"


def test_encapsulated_pixel_data_is_summed_up():
    element = DataElement("PixelData", "OB", EncapsulatedPixelData([b"ab", b"cdef"]))
    assert value_text(element) == "<6 bytes in 2 fragments>"


def test_what_a_peer_sent_does_not_act_on_a_terminal():
    line = shown("LO", "a\x1b[31mb\nc\u202e")
    assert line == "a\\x1b[31mb\\nc\\u202e"


def test_names():
    assert element_line(DataElement(0x00090010, "LO", "ACME")).startswith(
        "(0009,0010) LO Private Creator"
    )
    assert "Private " in element_line(DataElement(0x00091001, "LO", "x"))
    assert "Unknown" in element_line(DataElement(0x00081234, "LO", "x"))


def test_what_cannot_be_decoded_says_why():
    data = DataSet.from_keywords(BeamSequence=[{}] * 30).to_bytes(EXPLICIT)
    line = str(DataSet.from_bytes(data, EXPLICIT, limits=Limits(max_elements=20)))
    assert line.startswith("(300A,00B0) SQ     240 Beam Sequence")
    assert "more than 20 elements" in line


def test_empty_items_are_shown():
    text = str(DataSet.from_keywords(BeamSequence=[{}, {}]))
    assert text.splitlines()[1:] == ["   item 0", "   item 1"]


def test_file_meta_comes_first(judge_folder):
    lines = list(data_set_lines(read_file(judge_folder / "CT_small.dcm")))
    assert lines[0].startswith("(0002,0000) UL")
    assert lines[-1].startswith("(FFFC,FFFC) OB")
    assert max(map(len, lines)) < 160


def test_every_file_prints(judge_file):
    ds = read_file(judge_file, keep_truncated=True)
    assert len(str(ds).splitlines()) >= len(ds)


def test_an_element_prints_as_its_line():
    assert (
        str(DataElement("PatientID", "LO", "X"))
        == "(0010,0020) LO Patient ID                         X"
    )
