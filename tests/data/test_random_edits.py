"""Real files with random edits: nothing but a DicomError, and what is written is read back.

The edits are drawn from a fixed seed, so that each run does the same.
"""

from __future__ import annotations

import io
import pickle
import random
from pathlib import Path
from struct import pack

import pydicom
import pytest

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.errors import DecodeError, DicomError

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
NAMES = [
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "JPEG-lossy.dcm",
    "UN_sequence.dcm",
    "empty_charset_LEI.dcm",
    "image_dfl.dcm",
    "nested_priv_SQ.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
]
OWN = ["every_vr_explicit.dcm", "every_vr_implicit.dcm", "undefined_lengths.dcm", "private.dcm"]
PARTS = [
    b"\xfe\xff\x00\xe0",
    b"\xfe\xff\x0d\xe0",
    b"\xfe\xff\xdd\xe0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x08\0\x05\0",
    b"\x28\0\x03\x01",
    b"\x02\0\x10\0",
    b"SQ",
    b"UN",
    b"ZZ",
    b"\\\x1b",
]
ROUNDS = 60


def files():
    own = Path(__file__).parents[2] / "test_files"
    return [*(FOLDER / name for name in NAMES), *(own / name for name in OWN)]


def edited(draw, data):
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at = draw.randrange(max(len(data), 1))
        kind = draw.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes((draw.randrange(256),))
        elif kind == 1:
            del data[at : at + draw.choice((1, 2, 8, draw.randrange(1, 200)))]
        elif kind == 2:
            data[at:at] = draw.randbytes(draw.choice((1, 2, 8)))
        elif kind == 3:
            part = draw.choice(PARTS)
            data[at : at + len(part)] = part
        elif kind == 4:
            data[at:at] = draw.choice(PARTS) + pack("<I", draw.choice((0, 0xFFFFFFFF)))
        else:
            del data[at:]
    return bytes(data)


def raw_values(ds):
    """The bytes of all elements but sequences; group lengths and file meta apart."""
    found = {}
    try:
        for path, element in ds.walk():
            is_plain = element.vr != "SQ" and path[-1] & 0xFFFF and path[-1] >> 16 != 2
            if is_plain and element.keyword != "PatientComments":
                found[path] = None if element.raw is None else bytes(element.raw)
    except DecodeError:
        return {}
    return found


def touch(ds):
    stack = [ds]
    while stack:
        for element in stack.pop().elements():
            try:
                value = element.value
            except DecodeError:
                continue
            if element.vr == "SQ" and isinstance(value, list):
                stack.extend(value)


def use(ds):
    """Do with a data set what can be done without changing it."""
    before = ds.to_bytes()
    touch(ds)
    assert ds.to_bytes() == before
    str(ds)
    [str(departure) for departure in ds.check()]
    assert ds.copy().to_bytes() == before
    for attempt in (ds.to_json, ds.frames, lambda: pickle.loads(pickle.dumps(ds))):
        try:
            attempt()
        except DicomError:
            continue
    return before


@pytest.mark.parametrize("keep_truncated", [False, True])
@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_was_read_is_used_written_and_read_back(path, keep_truncated):
    draw = random.Random(f"{path.name} {keep_truncated}")
    whole = path.read_bytes()
    read = 0
    for _ in range(ROUNDS):
        data = edited(draw, whole)
        try:
            ds = read_file(data, keep_truncated=keep_truncated)
        except DicomError:
            continue
        read += 1
        before = use(ds)
        if not keep_truncated and ds.transfer_syntax.keyword != "DeflatedExplicitVRLittleEndian":
            assert before == data[content_of(ds).start : content_of(ds).end]
        again = read_file(data, keep_truncated=keep_truncated)
        if "PatientComments" in again:
            continue
        values = raw_values(again)
        again.put("PatientComments", "LT", "edited")
        stream = io.BytesIO()
        write_file(stream, again)
        back = read_file(stream.getvalue())
        assert back.PatientComments == "edited"
        if not keep_truncated:
            assert raw_values(back) == values
    assert read > 2


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_with_a_prefix(seed):
    draw = random.Random(seed)
    for _ in range(100):
        data = bytes(128) + b"DICM" + draw.randbytes(draw.randrange(400))
        try:
            ds = read_file(data, keep_truncated=draw.random() < 0.5)
        except DicomError:
            continue
        use(ds)


@pytest.mark.parametrize("seed", range(4))
def test_selected_elements_are_those_of_the_whole(seed):
    draw = random.Random(1000 + seed)
    whole = (FOLDER / "CT_small.dcm").read_bytes()
    wanted = ["PatientID", "Rows", "PixelSpacing", "SmallestImagePixelValue"]
    for _ in range(100):
        data = edited(draw, whole)
        try:
            ds = read_file(data)
            part = read_file(io.BytesIO(data), keywords=wanted)
        except DicomError:
            continue
        assert isinstance(part, DataSet)
        for tag in part:
            assert bytes(part.fetch(tag).raw) == bytes(ds.fetch(tag).raw)
