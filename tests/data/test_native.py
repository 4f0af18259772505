"""The compiled scan: the same as the loops in Python, and never a byte beyond what it was given."""

from __future__ import annotations

import gc
import random
import runpy
import shutil
import subprocess
import sys
import sysconfig
import weakref
from pathlib import Path
from struct import pack

import pytest
from kit.mutations import FOLDER as DATA_FOLDER
from kit.mutations import decoded, mutated, seeds
from kit.native import IS_BUILT, switched

from dicom_actors.data import DataElement, DataSet, read_file
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.dictionary.vr import LONG_LENGTH, VR
from dicom_actors.data.scan import elements, native
from dicom_actors.data.scan.layout import EXPLICIT, ITEM
from dicom_actors.data.scan.scope import Limits
from dicom_actors.errors import DicomError

SOURCE = Path(native.__file__).with_name("_native.c")
FOLDER = DATA_FOLDER / "test_files"
INPUTS = Path(__file__).with_name("native_inputs.py")
_MADE = runpy.run_path(str(INPUTS))
DATA_SETS, ELEMENT = _MADE["DATA_SETS"], _MADE["ELEMENT"]
KINDS, LISTED = _MADE["KINDS"], _MADE["LISTED"]

built = pytest.mark.skipif(not IS_BUILT, reason="the package was installed without a compiler")


@built
def test_the_vrs_are_those_of_the_dictionary():
    assert native.index_usual is not None
    for code in range(1 << 16):
        data = pack("<HHHHI", 8, 8, code, 0, 0)
        pos, _ = native.index_usual(data, {}, 0, 12, -1, ITEM, True)
        expected = 8 if code in EXPLICIT.short else 12 if code in EXPLICIT.long else 0
        assert pos - (4 if expected == 8 and pos == 12 else 0) == expected, EXPLICIT.names.get(code)


@built
def test_it_is_used_and_can_be_left_out():
    data = pack("<HHHH", 0x10, 0x20, int.from_bytes(b"LO", "little"), 2) + b"AB"
    data = (
        bytes(128) + b"DICM" + pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0" + data
    )
    calls = []
    with switched(to=True):
        found = elements.index_usual
        assert found is native.index_usual

        def noted(*arguments):
            calls.append(arguments)
            return found(*arguments)

        elements.index_usual = noted
        assert read_file(data).PatientID == "AB"
    assert len(calls) == 1
    with switched(to=False):
        assert elements.index_usual is None
        assert read_file(data).PatientID == "AB"
    assert len(calls) == 1


@built
@pytest.mark.parametrize(
    "arguments",
    [
        (b"12345678", {}, -1, 8, -1, ITEM, True),
        ("text", {}, 0, 8, -1, ITEM, True),
        (b"12345678", [], 0, 8, -1, ITEM, True),
        (b"12345678",),
    ],
)
def test_wrong_arguments_are_an_error(arguments):
    assert native.index_usual is not None
    with pytest.raises((TypeError, ValueError)):
        native.index_usual(*arguments)


@built
def test_the_end_is_that_of_the_buffer_at_most():
    data = pack("<HH2sH", 8, 8, b"LO", 2) + b"AB" + pack("<HH2sH", 9, 8, b"OB", 0)
    index: dict[int, int] = {}
    assert native.index_usual(data, index, 0, 1 << 40, -1, ITEM, True) == (10, 0x00080008)
    assert index == {0x00080008: 0}
    assert native.index_usual(data, index, 1 << 40, 1 << 41, -1, ITEM, True) == (1 << 40, -1)


@built
def test_the_collector_has_nothing_to_look_at_in_texts_and_numbers():
    values = {
        "PatientName": "A^B",
        "StudyDate": "20240101",
        "SliceThickness": "1.50",
        "StageNumber": 7,
    }
    data = DataSet.from_keywords(**values).to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    with switched(to=True):
        ds = DataSet.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN)
        made = list(ds.values())
    assert [type(value).__name__ for value in made] == ["DA", "IS", "PersonName", "DS"]
    assert not any(map(gc.is_tracked, made))


@built
def test_tags_that_were_met_before_are_the_right_ones():
    assert native.index_usual is not None
    tags = [number * 0x10001 + 8 for number in range(6_000)]
    data = b"".join(pack("<HH2sH", tag >> 16, tag & 0xFFFF, b"LO", 0) for tag in tags)
    for _ in range(2):
        index: dict[int, int] = {}
        native.index_usual(data, index, 0, len(data), -1, ITEM, True)
        assert index == {tag: 8 * at for at, tag in enumerate(tags)}


def sequences(rows, place=(1,) * 12, shapes=DATA_SETS, kinds=None):
    """The arguments for sequences in eight bytes."""
    return b"12345678", rows, {}, 1, 9, place, shapes, kinds, True


@built
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("meta_usual", ("text",)),
        ("items_usual", (b"12345678", {}, 0, 8, 1)),
        ("items_usual", (b"12345678", [], -1, 8, 1)),
        ("runs_usual", (b"12345678", [], {}, None, (), tuple, ELEMENT, None)),
        ("runs_usual", (b"12345678", {}, {}, None, (), list, ELEMENT, None)),
        ("runs_usual", (b"12345678", {}, {}, None, (), tuple, ELEMENT[:-1], None)),
        ("runs_usual", (b"12345678", {}, {}, None, (), tuple, (*ELEMENT[:-1], int), None)),
        ("values_usual", (b"12345678", {}, {}, (str, float), True, None, 0)),
        ("values_usual", (b"12345678", {}, {}, (*[str] * 8, LISTED), True, None, 0)),
        ("values_usual", (b"12345678", {}, {}, ("no class",) * 9, True, None, 0)),
        ("values_usual", (b"12345678", {}, {}, (*KINDS[:-1], ELEMENT[:3]), True, None, 0)),
        ("values_usual", ("text", {}, {}, KINDS, True, None, 0)),
        ("data_sets_usual", sequences([], place=(1,) * 11)),
        ("data_sets_usual", sequences([], place=("a",) * 12)),
        ("data_sets_usual", sequences([], shapes=DATA_SETS[:3])),
        ("data_sets_usual", sequences([], shapes=(ELEMENT, *DATA_SETS[1:]))),
        ("data_sets_usual", sequences([], kinds=7)),
        ("data_sets_usual", sequences(["row"])),
        ("data_sets_usual", sequences([(1, -1, 8)])),
        ("data_sets_usual", sequences([(1, 0, 9)])),
    ],
)
def test_so_they_are_of_the_others(name, arguments):
    with pytest.raises((TypeError, ValueError)):
        getattr(native, name)(*arguments)


VALUES = [
    *(
        b"",
        b" ",
        b"\0\0",
        b"1",
        b"-1 ",
        b"+1",
        b"007",
        b"-0",
        b" 12 ",
        b"1_0",
        b"nan",
        b"1e5",
        b"1e400",
    ),
    *(b"1.", b".5", b".", b"-", b"1.5\\2.5", b"1\\\\2", b" 1\\ 2 ", b"1\\2\\", b"\\", b"1\\2 \0"),
    *(b"1\\" * 15 + b"1", b"1\\" * 16 + b"1", b"123456789012", b"1234567890123", b"\xd9\xa1"),
    *(b"A^B=C\\D ", b"  A  ", b"\0A\0", b"M\xc3\xbc", b"A\x1b$B", b"1.2.3\0", b"\xff\xff\xff\x7f"),
    *(b"\0\0\xc0\x7f", b"\0\0\0\0\0\0\xf8\x7f", bytes(range(48)), bytes(2 * 65), bytes(3)),
]


@built
@pytest.mark.parametrize(
    "terms", [None, b"ISO_IR 192", b"ISO_IR 13 ", b"nobody knows", b"\xc3\xbc"]
)
def test_values_are_made_as_without_it(terms):
    """Of each VR, all kinds of bytes: the same values, of the same types, and warnings."""
    parts = [] if terms is None else [pack("<HH2sH", 8, 5, b"CS", len(terms)) + terms]
    for at, vr in enumerate(VR):
        head = "<HH2s2xI" if vr.value.encode() in LONG_LENGTH else "<HH2sH"
        parts += [
            pack(head, 0x0020 + 2 * at, 0x1000 + number, vr.value.encode(), len(value)) + value
            for number, value in enumerate(VALUES)
        ]
    # Some numbers have a sign or not, whatever their VR.
    parts.append(pack("<HH2sH3H", 0x0028, 0x1101, b"SS", 6, 0xFFFF, 0xFFFF, 0xFFFF))
    data = b"".join(sorted(parts, key=lambda part: part[1::-1] + part[3:1:-1]))
    data += (
        pack("<HH2s2xIHHI", 0x0100, 0x0010, b"SQ", len(data) + 8, 0xFFFE, 0xE000, len(data)) + data
    )
    found = []
    for to in (False, True):
        with switched(to=to):
            ds = DataSet.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN)
            found.append((decoded(ds), [*map(str, ds.warnings)]))
    assert found[0] == found[1]


@built
def test_values_are_those_that_users_share():
    with switched(to=True):
        ds = read_file(FOLDER / "CT_small.dcm")
        elements = dict(ds.walk())
        assert all(element.value is ds[path] for path, element in elements.items())
        ds.ImageType.append("CHANGED")
        assert elements[(0x00080008,)].value[-1] == "CHANGED"
        assert b"CHANGED" in ds.to_bytes()


@built
def test_no_value_is_made_for_those_who_want_none():
    with switched(to=True):
        ds = read_file(FOLDER / "CT_small.dcm")
        assert len(list(ds.walk())) == 262
        # Its sequence was walked through, and that asks for what items inherit.
        assert set(content_of(ds).values) == {0x00080005, 0x00280103, 0x00101002}


@built
def test_items_are_limited_as_without_it():
    item = pack("<HHIHH2sHHH2sH", 0xFFFE, 0xE000, 16, 8, 8, b"LO", 0, 9, 8, b"LO", 0)
    data = pack("<HH2s2xI", 8, 0x1115, b"SQ", 4 * len(item)) + 4 * item
    for most in range(1, 14):
        found = []
        for to in (False, True):
            with switched(to=to):
                limits = Limits(max_elements=most)
                ds = DataSet.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN, limits=limits)
                try:
                    found.append(len(ds[0x00081115]))
                except DicomError as error:
                    found.append(str(error))
        assert found[0] == found[1]
        assert (found[0] == 4) == (most >= 13)


@pytest.mark.parametrize("seed", range(40))
def test_files_cut_short_anywhere_are_the_same(seed):
    draw = random.Random(seed)
    files = seeds()
    data = mutated(draw, draw.choice(files), files)
    for length in sorted(draw.randrange(len(data)) for _ in range(20)):
        found = []
        for to in (False, True):
            with switched(to=to):
                try:
                    ds = read_file(data[:length], keep_truncated=True)
                    found.append((dict(content_of(ds).index), [*map(str, ds.warnings)]))
                except DicomError as error:
                    found.append(str(error))
        assert found[0] == found[1]


@built
def test_it_reads_no_byte_behind_its_input():
    """What is behind is a page that must not be read: the process would end."""
    done = subprocess.run(
        [sys.executable, INPUTS, "guard"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@built
def test_under_the_address_sanitizer(tmp_path):
    compiler = shutil.which("cc")
    assert compiler is not None
    target = tmp_path / "_native.abi3.so"
    flags = ["-g", "-O1", "-fPIC", "-shared", "-fsanitize=address,undefined"]
    flags += ["-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"]
    include = sysconfig.get_path("include")
    subprocess.run([compiler, *flags, "-I", include, SOURCE, "-o", target], check=True, timeout=60)
    library = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    done = subprocess.run(
        [sys.executable, INPUTS, "heap", target],
        env={"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@built
def test_what_is_made_goes_away_without_the_collector():
    data = DataSet({"BeamSequence": [{"BeamName": "A"}] * 3}).to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    with switched(to=True):
        ds = DataSet.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN)
        values = [element.value for _, element in ds.walk()]
        gone = [weakref.ref(ds), *map(weakref.ref, ds.BeamSequence)]
    assert [item for item in values if item == "A"]
    gc.disable()
    try:
        del ds, values
        assert [item() for item in gone] == [None] * 4
    finally:
        gc.enable()


def nested(depth):
    """Items in items, with what those further in inherit."""
    number = DataElement("SmallestImagePixelValue", "UN", b"\xff\xff")
    ds = DataSet({"PatientName": "Müller", "SmallestImagePixelValue": number})
    for at in range(depth):
        ds = DataSet(
            {"ReferencedSeriesSequence": [ds, {"StageNumber": at, "ImageType": ["A", "B"]}]}
        )
        if at % 3 == 1:
            ds.PixelRepresentation = at % 2
        if at % 5 == 2:
            ds.SpecificCharacterSet = "ISO_IR 192"
        ds.put_element(number)
        ds.PatientName = "A^B"
    ds.SpecificCharacterSet = "ISO_IR 100"
    return ds


@built
@pytest.mark.parametrize("limits", [Limits(), Limits(max_depth=5), Limits(max_elements=30)])
def test_what_is_far_inside_comes_as_without_it(limits):
    data = nested(14).to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    found = []
    for to in (False, True):
        with switched(to=to):
            ds = DataSet.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN, limits=limits)
            found.append((decoded(ds), [*map(str, ds.warnings)]))
    assert len(found[0][0]) > 5
    assert found[0] == found[1]


class WithParent(DataSet):
    """A data set that may have attributes of its own."""


@built
def test_items_that_lead_back_go_away_with_the_collector():
    data = DataSet({"BeamSequence": [{"BeamName": "A"}]}).to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    with switched(to=True):
        ds = WithParent.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN)
        assert [element.value for _, element in ds.walk()][1:] == ["A"]
        vars(ds.BeamSequence[0])["parent"] = ds
    gone = weakref.ref(ds)
    del ds
    gc.collect()
    assert gone() is None


@built
def test_limits_beyond_all_numbers_of_a_compiler():
    data = nested(3).to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    limits = Limits(max_depth=1 << 70, max_elements=1 << 70)
    found = []
    for to in (False, True):
        with switched(to=to):
            ds = DataSet.from_bytes(data, EXPLICIT_VR_LITTLE_ENDIAN, limits=limits)
            found.append(decoded(ds))
    assert found[0] == found[1]
