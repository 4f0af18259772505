"""Data sets and files made to harm a reader: what each kind gets, byte for byte.

What is slow is counted in calls, not in time: work that grows faster than its input calls more.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import tracemalloc
import zlib
from struct import pack

import pytest
from kit.steps import lines_run

from dicom_actors.data import DataSet, Limits, Query, read_file, write_directory, write_file
from dicom_actors.data.dataset.reading import inflate
from dicom_actors.data.forms.text import data_set_lines
from dicom_actors.data.scan import elements
from dicom_actors.data.scan.scope import BeyondLimitsError
from dicom_actors.errors import DecodeError, DicomError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
BEAMS = 0x300A00B0
CT = "1.2.840.10008.5.1.4.1.1.2"


def element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    if vr in {"SQ", "OB", "OW", "UN", "UT"}:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def item(value=b"", length=None):
    return pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


PATIENT_ID = element(0x00100020, "LO", b"X ")
NAME = element(0x300A00C2, "LO", b"AB")


def read(data, syntax=EXPLICIT, **options):
    return DataSet.from_bytes(data, syntax, **options)


def use(data, **options):
    """Do all that one does with a data set; a DicomError ends it."""
    try:
        ds = read(data, **options)
        for _, part in ds.walk():
            part.value  # noqa: B018
        ds.to_bytes()
        str(ds)
        ds.check()
        ds.copy().PatientComments = "changed"
        ds.PatientComments = "changed"
        ds.to_bytes()
    except DicomError:
        return


def calls(function, *arguments, **options):
    """How many calls, of Python functions and of others, a call leads to."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        if event in {"call", "c_call"}:
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*arguments, **options)
    finally:
        sys.setprofile(before)
    return count


def peak(function, *arguments, **options):
    """How many bytes a call needs at most at a time."""
    tracemalloc.start()
    try:
        function(*arguments, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- row 30 --------------------------------------------------------------------------------


def test_row_30_a_length_past_its_container():
    inner = element(0x300A0111, "SQ", item(element(0x300A0112, "IS", b"1 ", 40)))
    ds = read(PATIENT_ID + element(BEAMS, "SQ", item() + item(inner)))
    points = ds["BeamSequence", 1].fetch("ControlPointSequence")
    assert (points.vr, points.value) == ("UN", inner[12:])
    (warning,) = ds.warnings
    assert (warning.tag, warning.path) == (0x300A0111, ("BeamSequence[1]",))
    assert (
        "expected a value of 40 bytes, 2 left [tag (300A,0112), in BeamSequence[1] >"
        " ControlPointSequence[0], at byte 58]" in str(warning)
    )


def test_row_30_a_truncated_file_and_what_could_be_read_of_it():
    data = PATIENT_ID + element(BEAMS, "SQ", item(NAME) + item(NAME + NAME)[:-4], 50)
    with pytest.raises(DecodeError, match=r"expected a value of 50 bytes, 42 left.*at byte 10"):
        read(data)
    ds = read(data, keep_truncated=True)
    assert [beam.get("BeamName") for beam in ds.BeamSequence] == ["AB", "AB"]
    assert ds.warnings[0].tag == BEAMS


# --- row 31 --------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [UNDEFINED, None])
def test_row_31_ten_thousand_nested_sequences(length):
    data = b""
    for _ in range(200 if length is None else 0):
        data = element(BEAMS, "SQ", item(data))
    if length is not None:
        data = (element(BEAMS, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * 10_000
        data += (ITEM_END + SEQUENCE_END) * 10_000
    with pytest.raises(DecodeError, match="nested deeper than 64") as caught:
        for _, part in read(data).walk():
            part.value  # noqa: B018
    assert caught.value.offset is not None


@pytest.mark.parametrize("behind", [b"", NAME])
@pytest.mark.parametrize("look", [DataSet.walk, DataSet.check, DataSet.copy, DataSet.to_bytes])
def test_row_31_memory_is_in_proportion_to_the_depth(look, behind):
    def use(count):
        head = element(BEAMS, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)
        data = head * count + NAME + (ITEM_END + SEQUENCE_END + behind) * count
        for _ in look(read(data, limits=Limits(max_depth=count))):
            pass

    use(10)
    assert peak(use, 2_000) < 5 * peak(use, 500)


def test_row_31_no_recursion_where_the_limit_is_lifted():
    head = element(BEAMS, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)
    count = 3_000  # three times the usual limit of recursion, which others may have lifted
    data = head * count + NAME + (ITEM_END + SEQUENCE_END) * count
    limits = Limits(max_depth=count)
    ds, other = read(data, limits=limits), read(data, limits=limits)
    assert sum(1 for _ in ds.walk()) == count + 1
    assert ds == other
    copy = ds.copy()
    assert copy == ds
    assert copy.to_bytes() == data
    copy.SpecificCharacterSet = "ISO_IR 192"
    assert copy != ds


# --- row 32 --------------------------------------------------------------------------------


def ladder(count):
    """Elements that go down in order, with a stray delimiter after each."""
    return b"".join(element(0x50000000 - 2 * at, "LO", b"") + ITEM_END for at in range(count))


MANY = {
    "elements": lambda n: b"".join(element(0x00110010 + at, "LO", b"") for at in range(n)),
    "elements out of order": lambda n: b"".join(
        element(0x50000000 - 2 * at, "LO", b"") for at in range(n)
    ),
    "the same element": lambda n: element(0x00100010, "PN", b"") * n,
    "elements without VR": lambda n: b"".join(pack("<HHI", 0x11, 0x10 + at, 0) for at in range(n)),
    "elements of a VR that does not exist": lambda n: b"".join(
        element(0x00110010 + at, "ZZ", b"") for at in range(n)
    ),
    "stray delimiters": lambda n: ITEM_END * n,
    "elements out of order and stray delimiters": ladder,
    "the same in an item": lambda n: element(BEAMS, "SQ", item(ladder(n))),
    "items": lambda n: element(BEAMS, "SQ", item() * n),
    "items of undefined length": lambda n: element(
        BEAMS, "SQ", (item(b"", UNDEFINED) + ITEM_END) * n + SEQUENCE_END, UNDEFINED
    ),
    "items without end": lambda n: element(BEAMS, "SQ", item(b"", UNDEFINED) * n, UNDEFINED),
    "items in a UN": lambda n: element(BEAMS, "UN", item() * n),
    "delimiters in place of items": lambda n: element(BEAMS, "SQ", SEQUENCE_END * n),
    "sequences of undefined length": lambda n: b"".join(
        element(0x00110010 + at, "SQ", SEQUENCE_END, UNDEFINED) for at in range(n)
    ),
    "fragments": lambda n: element(0x7FE00010, "OB", item() * n + SEQUENCE_END, UNDEFINED),
    "frames": lambda n: (
        element(0x00280008, "IS", b"%06d" % n)
        + element(0x7FE00010, "OB", item() * (n + 1) + SEQUENCE_END, UNDEFINED)
    ),
    "numbers": lambda n: b"".join(
        element(0x00110010 + at, "DS", b"1.0\\x\\" * 10) for at in range(n)
    ),
    "private creators of their own": lambda n: b"".join(
        element((2 * at + 0x11) << 16 | 0x10 + at % 240, "LO", b"ACME%04d" % at) for at in range(n)
    ),
    "nested items": lambda n: element(
        BEAMS, "SQ", item(element(BEAMS, "SQ", item(element(BEAMS, "SQ", item())))) * n
    ),
    "group lengths": lambda n: b"".join(
        element((2 * at + 0x10) << 16, "UL", b"\0\0\0\0") for at in range(n)
    ),
    "character sets": lambda n: element(
        BEAMS,
        "SQ",
        b"".join(
            item(element(0x00080005, "CS", b"%06d" % at) + element(0x00100010, "PN", b"\xe4 "))
            for at in range(n)
        ),
    ),
    "escape sequences": lambda n: (
        element(0x00080005, "CS", b"\\ISO 2022 IR 87 ")
        + element(0x00104000, "UT", b"\x1b$B\x1b(B" * n)
    ),
    "private creators": lambda n: (
        b"".join(element(0x00110010 + at, "LO", b"ACME") for at in range(240))
        + b"".join(element(0x00111000 + at, "UN", b"") for at in range(n))
    ),
}


@pytest.mark.parametrize("keep_truncated", [False, True])
@pytest.mark.parametrize("kind", MANY)
def test_row_32_twice_as_many_need_no_more_than_twice_the_work(kind, keep_truncated):
    small, large = MANY[kind](400), MANY[kind](800)
    use(small, keep_truncated=keep_truncated)  # what is loaded or compiled once
    work = calls(use, small, keep_truncated=keep_truncated)
    assert calls(use, large, keep_truncated=keep_truncated) < 2.5 * work


def to_json_and_back(ds):
    DataSet.from_json(ds.to_json())


def compare(ds):
    assert ds == ds.copy()


def merge(ds):
    made = DataSet()
    made.merge(ds)
    for tag in list(made):
        del made[tag]


def touch_and_write(ds):
    list(ds.values())
    for _, part in ds.walk():
        part.value  # noqa: B018
    ds.to_bytes()


def declare_another_character_set(ds):
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.to_bytes()


def look_at_blocks(ds):
    for number, creator in ds.private_creators(0x11).items():
        block = ds.private_block(0x11, creator)
        assert block.get(number, None) is None
        list(block)


def ask(ds):
    query = Query(ds)
    query.matches(ds)
    query.answer(ds)


USES = [
    to_json_and_back,
    compare,
    merge,
    touch_and_write,
    declare_another_character_set,
    look_at_blocks,
    ask,
    lambda ds: ds.to_bytes(IMPLICIT),
    lambda ds: ds.to_bytes(BIG_ENDIAN),
    lambda ds: list(ds.frames()),
    lambda ds: pickle.loads(pickle.dumps(ds)),
    lambda ds: "\n".join(data_set_lines(ds, lengths=True)),
    lambda ds: read(ds.to_bytes(), character_set="ISO_IR 100").walk(),
    lambda ds: ds.check(),
]


@pytest.mark.parametrize("use_of", USES)
@pytest.mark.parametrize("kind", MANY)
def test_row_32_four_times_as_many_need_no_more_than_four_times_the_work(kind, use_of):
    def use(data):
        with contextlib.suppress(DicomError):
            use_of(read(data))

    small, large = MANY[kind](40), MANY[kind](160)
    use(small)  # what is loaded or compiled once
    assert lines_run(use, large) < 5 * lines_run(use, small) + 100


DAMAGED = {
    **MANY,
    "elements that are too long": lambda n: element(0x00110010, "LO", b"x", 0xFFF0) * n,
    "rubbish": lambda n: bytes(at * 37 % 251 for at in range(24 * n)),
    "rubbish between elements": lambda n: b"".join(
        element(0x00110010 + at, "LO", b"") + b"\x99" * 9 for at in range(n)
    ),
    "sequences that cannot be read": lambda n: b"".join(
        element(0x00110010 + at, "SQ", b"rubbish!", UNDEFINED) for at in range(n)
    ),
}


READS = {
    "keywords": {"keywords": ["PatientID", "PixelData", "BeamSequence"]},
    "until": {"until": "PatientID"},
    "keep_damaged": {"keep_damaged": True},
    "keep_truncated": {"keep_truncated": True},
}


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.parametrize("options", READS.values(), ids=READS)
@pytest.mark.parametrize("kind", DAMAGED)
def test_row_32_reading_a_part_or_around_damage_takes_time_in_proportion(kind, options, is_file):
    def use(data):
        source = file_of(element(0x00020010, "UI", EXPLICIT.encode() + b"\0"), data)
        with contextlib.suppress(DicomError):
            list(read_file(io.BytesIO(source) if is_file else source, **options))

    small, large = DAMAGED[kind](40), DAMAGED[kind](160)
    use(small)  # what is loaded or compiled once
    assert lines_run(use, large) < 5 * lines_run(use, small) + 100


@pytest.mark.parametrize("keep_truncated", [False, True])
def test_row_32_an_index_is_sorted_once(monkeypatch, keep_truncated):
    # What a sort does is not among the calls that are counted above.
    sorted_indexes = []
    sort = elements._sort
    monkeypatch.setattr(elements, "_sort", lambda *given: sorted_indexes.append(sort(*given)))
    ds = read(ladder(100), keep_truncated=keep_truncated)
    assert list(ds) == sorted(ds)
    assert len(ds) == 100
    assert len(sorted_indexes) == 1


@pytest.mark.parametrize("kind", MANY)
def test_row_32_memory_is_in_proportion(kind):
    def indexed(data):
        try:
            return read(data)
        except DecodeError:
            return None

    indexed(MANY[kind](10))
    data = MANY[kind](20_000)
    # An index has an offset for each element, of 8 bytes at least, and the ends of sequences.
    assert peak(indexed, data) < 40 * len(data)


def test_row_32_the_element_budget():
    for data in (MANY["items"](1_000_000), MANY["items of undefined length"](500_000)):
        with pytest.raises(DecodeError, match="more than 100000 elements"):
            read(data, limits=Limits(max_elements=100_000)).BeamSequence  # noqa: B018
    with pytest.raises(DecodeError, match="more than 100000 elements"):
        read(MANY["elements"](1_000_000), limits=Limits(max_elements=100_000))


@pytest.mark.parametrize(
    ("syntax", "header"),
    [
        (EXPLICIT, lambda tag: element(tag, "LO", b"")),
        (EXPLICIT, lambda tag: element(tag, "UN", b"")),
        (IMPLICIT, lambda tag: pack("<HHI", tag >> 16, tag & 0xFFFF, 0)),
    ],
)
def test_row_32_an_empty_private_element_costs_few_steps(syntax, header):
    ds = read(b"".join(header(0x00111000 + at) for at in range(1_000)), syntax)
    assert lines_run(lambda: list(ds.values())) < 20 * 1_000
    assert set(ds.values()) == {None}


# --- row 33 --------------------------------------------------------------------------------


def bomb(size):
    machine = zlib.compressobj(9, wbits=-15)
    block = bytes(1 << 20)
    pieces = [machine.compress(block) for _ in range(size >> 20)]
    return b"".join(pieces) + machine.flush()


def test_row_33_what_inflates_a_thousand_times_is_refused_on_the_way():
    stream = bomb(512 << 20)
    assert len(stream) < 600_000
    with pytest.raises(DecodeError, match="more than 200 times its"):
        read(stream, DEFLATED)


def test_row_33_the_absolute_limit_bounds_the_memory():
    stream = bomb(64 << 20)
    limits = Limits(max_inflated_bytes=4 << 20)

    def refused():
        with pytest.raises(DecodeError, match="inflates to more than 4194304 bytes"):
            read(stream, DEFLATED, limits=limits)

    assert peak(refused) < 12 << 20


# --- row 34 --------------------------------------------------------------------------------


def forgiven(data, syntax=EXPLICIT):
    ds = read(data, syntax)
    for _, part in ds.walk():
        part.value  # noqa: B018
    assert ds.to_bytes() == data
    return ds, [warning.message for warning in ds.warnings]


def test_row_34_a_sequence_delimiter_for_an_item_delimiter_and_the_other_way_round():
    items = item(NAME, UNDEFINED) + SEQUENCE_END + item(NAME, UNDEFINED) + ITEM_END
    ds, messages = forgiven(element(BEAMS, "SQ", items, UNDEFINED) + SEQUENCE_END + TAIL)
    assert [beam.BeamName for beam in ds.BeamSequence] == ["AB", "AB"]
    assert set(messages) == {"sequence delimiter in place of an item delimiter"}
    ds, messages = forgiven(element(BEAMS, "SQ", item(NAME), UNDEFINED) + ITEM_END + TAIL)
    assert [beam.BeamName for beam in ds.BeamSequence] == ["AB"]
    assert messages == ["item delimiter outside an item"]
    assert ds.PixelData == b"12"


TAIL = element(0x7FE00010, "OW", b"12")


def test_row_34_missing_delimiters():
    nested = element(BEAMS, "SQ", item(NAME, UNDEFINED) + item(NAME, UNDEFINED), UNDEFINED)
    ds, messages = forgiven(nested)
    assert [beam.BeamName for beam in ds.BeamSequence] == ["AB", "AB"]
    assert "no item delimiter at the end of an item" in messages
    ds, messages = forgiven(element(BEAMS, "SQ", item(NAME), UNDEFINED) + TAIL)
    assert messages == ["no sequence delimiter before the next element"]
    assert ds.PixelData == b"12"


def test_row_34_undefined_length_in_a_un():
    inner = pack("<HHI", 0x300A, 0x00C2, 2) + b"AB"
    ds, messages = forgiven(element(BEAMS, "UN", item(inner), UNDEFINED) + SEQUENCE_END)
    assert ds["BeamSequence", 0, "BeamName"] == "AB"
    assert messages == []


def test_row_34_encapsulated_pixel_data_in_an_item_of_defined_length():
    pixels = element(0x7FE00010, "OB", item() + item(b"\xff\xd8"), UNDEFINED) + SEQUENCE_END
    ds, messages = forgiven(element(0x00880200, "SQ", item(pixels)), JPEG)
    assert bytes(ds["IconImageSequence", 0, "PixelData"].fragments[0]) == b"\xff\xd8"
    assert messages == []


def file_of(meta, data=PATIENT_ID):
    return bytes(128) + b"DICM" + meta + data


TRANSFER_SYNTAX = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (file_of(element(0x00020012, "ZZ", b"1 ") + TRANSFER_SYNTAX), "unknown VR b'ZZ'"),
        (file_of(element(0x00020000, "UL", b"\0\0\0\0") + TRANSFER_SYNTAX), "wrong group length"),
        (file_of(TRANSFER_SYNTAX), "no group length"),
        (file_of(b""), "no file meta information"),
        (file_of(element(0x00020012, "UI", b"1.2\0")), "no transfer syntax"),
        (TRANSFER_SYNTAX + PATIENT_ID, "no preamble and no prefix"),
        (file_of(TRANSFER_SYNTAX, pack("<HHI", 0x10, 0x20, 2) + b"X "), "announced as <Layout exp"),
        (file_of(TRANSFER_SYNTAX, PATIENT_ID + b"\0\0\0"), "3 zero bytes after"),
    ],
)
def test_row_34_files_that_are_not_quite_right(file, message):
    ds = read_file(file)
    assert ds.PatientID == "X"
    assert any(message in str(warning) for warning in ds.warnings)
    ds.PatientComments = "changed"
    stream = io.BytesIO()
    write_file(stream, ds)
    again = read_file(stream.getvalue())
    assert (again.PatientID, again.PatientComments) == ("X", "changed")
    assert not again.warnings


@pytest.mark.parametrize("length", [1, 3, 5])
def test_row_34_odd_lengths(length):
    value = b"12345"[:length]
    for syntax in (EXPLICIT, IMPLICIT):
        head = element(0x00100020, "LO", value)
        if syntax == IMPLICIT:
            head = pack("<HHI", 0x10, 0x20, length) + value
        tail = TAIL if syntax == EXPLICIT else pack("<HHI", 0x7FE0, 0x10, 2) + b"12"
        ds, messages = forgiven(head + tail, syntax)
        assert (ds.PatientID, ds.PixelData) == (value.decode(), b"12")
        assert messages == []


@pytest.mark.parametrize(
    ("data", "offset", "tag"),
    [
        (PATIENT_ID + b"\x01\x02\x03\x04\x05", 10, None),
        (PATIENT_ID + element(0x00100040, "CS", b"M ", 0x4000), 10, 0x00100040),
        (PATIENT_ID + element(BEAMS, "SQ", PATIENT_ID, UNDEFINED), 22, BEAMS),
        (element(0x7FE00010, "OB", item() + PATIENT_ID, UNDEFINED), 20, 0x7FE00010),
    ],
)
def test_row_34_what_can_mean_nothing_is_refused_with_its_place(data, offset, tag):
    with pytest.raises(DecodeError) as caught:
        read(data)
    assert (caught.value.offset, caught.value.tag) == (offset, tag)


# --- row 35 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uid", ["../../etc/passwd", "/etc/passwd", "1.2\0/../x", "CON", "1.2/../../x"]
)
def test_row_35_no_path_is_made_of_what_is_in_a_file(tmp_path, uid):
    # Where file IDs of a DICOMDIR may lead stands in test_directory.py, where received objects go
    # in the tests of the endpoint.
    folder = tmp_path / "set"
    folder.mkdir()
    ds = DataSet.from_keywords(PatientID=uid.replace("\0", ""), StudyInstanceUID="1.2")
    ds.put("SOPClassUID", "UI", CT)
    ds.put("SOPInstanceUID", "UI", uid)
    ds.put("SeriesInstanceUID", "UI", uid)
    write_file(folder / "IM1", ds)
    written = write_directory(folder)
    assert written.instances == 1
    record = read_file(written.path).DirectoryRecordSequence[-1]
    assert record.ReferencedFileID == "IM1"
    assert {path.name for path in tmp_path.rglob("*")} == {"set", "IM1", "DICOMDIR"}


# --- row 36 --------------------------------------------------------------------------------


@pytest.mark.parametrize("preamble", [b"MZ\x90\0" + bytes(124), b"<html><script>".ljust(128)])
def test_row_36_a_preamble_that_is_something_else_too(tmp_path, preamble):
    ds = read_file(preamble + b"DICM" + TRANSFER_SYNTAX + PATIENT_ID)
    path = tmp_path / "clean.dcm"
    write_file(path, ds)
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    write_file(path, ds, preamble=preamble)
    assert path.read_bytes()[:132] == preamble + b"DICM"


# --- row 37 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "raw", "text", "message"),
    [
        (b"ISO_IR 192", b"\xe4\xf6", "\ufffd\ufffd", "not valid in utf_8"),
        (b"", b"\xc3\xa4", "\xe4", "read as UTF-8"),
        (b"", b"\xe4\xf6", "\xe4\xf6", "read as Latin-1"),
        (b"KLINGON ", b"\xe4\xf6", "\xe4\xf6", "unknown character set 'KLINGON'"),
        (b"\\ISO 2022 IR 87 ", b"\x1b$B;", "\ufffd", "bytes that ISO-IR 87 does not define"),
        (b"\\ISO 2022 IR 87 ", b"AB\x1b$", "AB\x1b$", "unknown escape sequence"),
        (b"\\ISO 2022 IR 87 ", b"\x1b$)C\xb1\xe8", "\uae40", "used and not declared"),
    ],
)
def test_row_37_text_in_a_character_set_that_it_is_not_in(declared, raw, text, message):
    declaration = element(0x00080005, "CS", declared) if declared else b""
    data = declaration + element(0x00100010, "PN", raw) + element(0x00104000, "LT", raw)
    ds = read(data)
    assert ds.PatientName == text
    assert any(message in str(warning) for warning in ds.warnings)
    assert ds.to_bytes() == data
    ds.PatientID = "X"
    assert raw in ds.to_bytes()
    assert read(ds.to_bytes()).PatientName == text


def test_row_37_a_declaration_that_is_no_text():
    # Several values with bytes beyond ASCII, once decoded, are what they were, though the set that
    # they declare would make another text of them.
    name = element(0x00100010, "PN", b"\xe4 ")
    data = element(0x00080005, "CS", b"ISO 2022 IR 144\\\xe4 ") + name
    ds = read(data)
    assert ds.PatientName == "\u0444"
    assert ds.SpecificCharacterSet == ["ISO 2022 IR 144", "\xe4"]
    assert ds.to_bytes() == data
    ds.PatientID = "X"
    assert ds.to_bytes() == data + PATIENT_ID
    sequence = element(0x00080005, "SQ", item(b"\x01\x02\x03\x04"))
    ds = read(sequence + element(0x00100010, "PN", b"\xe4 "))
    assert ds.PatientName == "\xe4"
    assert "no character set" in str(ds.warnings[1])


def deflated_zeros(mebibytes):
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    step = bytes(1 << 20)
    return b"".join([*(machine.compress(step) for _ in range(mebibytes)), machine.flush()])


def test_what_may_not_be_inflated_is_not_kept_until_that_is_known():
    taken = []
    limits = Limits(take_inflated=lambda length: taken.append(length) or True)
    stream = deflated_zeros(300)
    tracemalloc.start()
    with pytest.raises(BeyondLimitsError, match="200 times"):
        inflate(stream, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(taken) <= 64 << 20
    assert peak < 100 << 20


def test_what_is_long_and_may_be_inflated_is_whole_and_counted_once():
    taken = []
    limits = Limits(max_inflation=10_000, take_inflated=lambda length: taken.append(length) or True)
    assert inflate(deflated_zeros(70), limits) == bytes(70 << 20)
    assert sum(taken) == 70 << 20
    with pytest.raises(DecodeError, match="cut short") as caught:
        inflate(deflated_zeros(70)[:-100], limits)
    assert 64 << 20 < len(caught.value.inflated) < 70 << 20
