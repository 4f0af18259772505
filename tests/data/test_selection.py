"""Where the wanted elements are: the same places as a scan of all finds."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.data import DataSet, Limits, read_file
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.scan.elements import scan_all
from dicom_actors.data.scan.layout import EXPLICIT
from dicom_actors.data.scan.scope import Reading, Scope
from dicom_actors.data.scan.selection import Selection
from dicom_actors.errors import DecodeError

LITTLE = "1.2.840.10008.1.2.1"
UNDEFINED = 0xFFFFFFFF
WANTED = 0x00100020
WANTED_BYTES = b"\x10\0\x20\0LO\x02\0AB"
END = b"\x40\0\x01\0LO\x08\0" + b"the end "

_JUDGE = Path(pydicom.__file__).parent / "data" / "test_files"
_SEEDS = [
    read_file(_JUDGE / name, until="PixelData")
    for name in (
        "CT_small.dcm",
        "rtplan.dcm",
        "test-SR.dcm",
        "JPEG2000.dcm",
        "examples_palette.dcm",
    )
]


def element(group, number, vr, value):
    long = VR(vr).has_long_length
    head = pack("<HH2s", group, number, vr.encode())
    return head + pack("<2xI" if long else "<H", len(value)) + value


def picked(data, *tags):
    return Selection.of(tags, None).pick(Scope(data, EXPLICIT, Reading()), 0, len(data))


@pytest.mark.parametrize("vr", [vr.value for vr in VR if vr != "SQ"])
@pytest.mark.parametrize("length", [0, 2, 64, 66, 300])
def test_every_element_is_passed_over(vr, length):
    before = element(0x0008, 0x0060, vr, b"\x10\0\x20\0LO\x02\0AB"[:length].ljust(length, b"\0"))
    assert picked(before + WANTED_BYTES + END, WANTED) == (
        {WANTED: len(before)},
        len(before + WANTED_BYTES),
        len(before + WANTED_BYTES + END),
    )


@pytest.mark.parametrize("group", [0x0008, 0x00FF, 0x0100, 0x0101, 0x2000, 0x20FF, 0x7FE0])
@pytest.mark.parametrize("beside", [-0x100, -1, 0, 1, 0x100])
def test_it_ends_where_the_last_wanted_one_ends(group, beside):
    wanted = group << 16 | 0x0200
    data = element(group, 0x0200 + beside, "LO", b"AB") + element(0xF000, 0, "UL", bytes(4))
    index, end, looked_to = picked(data, wanted)
    assert index == ({wanted: 0} if not beside else {})
    assert (end, looked_to) == (0 if beside else 10, len(data))


def test_sequences_are_passed_over_whatever_their_length():
    inner = pack("<HHI", 0xFFFE, 0xE000, 10) + WANTED_BYTES
    sequence = element(0x0008, 0x1140, "SQ", inner)
    endless = b"\x08\0\x40\x11SQ\0\0" + pack("<I", UNDEFINED) + inner + b"\xfe\xff\xdd\xe0\0\0\0\0"
    for before in (sequence, endless):
        assert picked(before + WANTED_BYTES + END, WANTED)[0] == {WANTED: len(before)}


def test_the_last_of_two_counts():
    ds = read_file(
        LITTLE_FILE + WANTED_BYTES + WANTED_BYTES.replace(b"AB", b"CD"), keywords=[WANTED]
    )
    assert ds.PatientID == "CD"
    assert "twice" in str(ds.warnings[-1])


LITTLE_FILE = bytes(128) + b"DICM" + element(2, 0x10, "UI", LITTLE.encode() + b"\0")


@pytest.mark.parametrize(
    "data",
    [
        WANTED_BYTES * 2,  # twice
        element(0x0010, 0x0021, "LO", b"AB") + b"\x10\0\x22\0LO\x08\0AB",  # cut short
        b"\x08\0\x60\0??\x02\0AB" + WANTED_BYTES,  # no VR
        WANTED_BYTES + bytes(20),  # padding
        b"\xe0\x7f\x10\0OB\0\0\2\0\0\0AB" + WANTED_BYTES[:4] + bytes(20),  # behind the end
    ],
)
def test_what_is_special_is_left_to_a_whole_scan(data):
    assert picked(data, WANTED, 0x00100030) is None


def test_those_in_use_are_kept():
    keys = ("PatientID", 0x00280010)
    assert Selection.of(keys, None) is Selection.of(keys, None)
    assert Selection.of(keys, 0x00200000).stop == 0x00200000


def test_limits_hold():
    many = b"".join(element(0x0009, 0x1000 + at, "LO", b"") for at in range(100))
    with pytest.raises(DecodeError, match="more than 50 elements"):
        read_file(LITTLE_FILE + many, keywords=["PatientID"], limits=Limits(max_elements=50))


@given(
    seed=st.sampled_from(_SEEDS),
    places=st.lists(st.integers(0, 200), max_size=12),
    edits=st.lists(
        st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=2)), max_size=3
    ),
)
def test_it_finds_what_a_scan_finds(seed, places, edits):
    tags = list(map(int, seed))
    wanted = {tags[place % len(tags)] for place in places}
    data = bytearray(seed.to_bytes())
    for place, new in edits:
        at = place % len(data)
        data[at : at + len(new)] = new
    selection = Selection.of(tuple(wanted), None)
    found = selection.pick(Scope(bytes(data), EXPLICIT, Reading()), 0, len(data))
    if found is None:
        assert edits or seed.transfer_syntax.is_implicit_vr
        return
    index: dict[int, int] = {}
    try:
        scan_all(Scope(bytes(data), EXPLICIT, Reading()), 0, index, 0, len(data))
    except DecodeError:
        # Something behind what is wanted; a scan up to that finds the same.
        index = {}
        scan_all(Scope(bytes(data), EXPLICIT, Reading()), 0, index, 0, len(data), selection.stop)
    expected = {tag: at for tag, at in index.items() if tag in selection.tags}
    assert found.offsets == expected


def test_text_is_understood_as_in_the_whole_data_set():
    ds = DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jörg",
        PatientID="1",
        SOPClassUID="1.2",
        SOPInstanceUID="1.2.3",
    )
    data = LITTLE_FILE + ds.to_bytes()
    assert read_file(data, keywords=["PatientName"]).PatientName == "Müller^Jörg"
