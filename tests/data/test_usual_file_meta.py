"""File meta information as most write it is passed over: the same comes out as by looking at it."""

from __future__ import annotations

import random
from struct import pack, unpack_from

import pytest
from kit.native import IS_BUILT, switched

from dicom_actors.data import read_file
from dicom_actors.data.files import part10
from dicom_actors.data.scan import native
from dicom_actors.errors import DicomError

ELEMENTS = (
    (0x01, b"OB", b"\0\1"),
    (0x02, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
    (0x03, b"UI", b"1.2.3.44"),
    (0x10, b"UI", b"1.2.840.10008.1.2.1\0"),
    (0x12, b"UI", b"1.2.3.4.5\0"),
    (0x13, b"SH", b"VERSION "),
    (0x16, b"AE", b"TITLE "),
    (0x17, b"AE", b"OTHER "),
)
DATA_SET = pack("<HH2sH", 0x10, 0x20, b"LO", 2) + b"AB" + pack("<HH2sH", 0x28, 0x10, b"US", 2)
DATA_SET += b"\2\0"


def encoded(element):
    number, vr, value = element
    if vr == b"OB":
        return pack("<HH2s2xI", 2, number, vr, len(value)) + value
    return pack("<HH2sH", 2, number, vr, len(value)) + value


def file_of(elements, off_by=0):
    meta = b"".join(map(encoded, elements))
    length = pack("<HH2sHI", 2, 0, b"UL", 4, max(len(meta) + off_by, 0))
    return bytes(128) + b"DICM" + length + meta + DATA_SET


def outcome(data, **options):
    try:
        ds = read_file(data, **options)
        meta = [(int(e.tag), e.vr, bytes(e.raw)) for e in ds.file_meta.elements()]
        values = [ds.file_meta[tag] for tag in ds.file_meta]
        return meta, values, str(ds.transfer_syntax), list(ds), list(map(str, ds.warnings))
    except DicomError as error:
        return type(error).__name__, str(error)


def damaged(seed):
    choose = random.Random(seed)
    elements = list(ELEMENTS)
    what = choose.randrange(5)
    if what == 0:
        elements = choose.sample(elements, choose.randrange(len(elements) + 1))
    elif what == 1:
        elements = [element for element in elements if choose.random() < 0.7]
    elif what == 2:
        at = choose.randrange(len(elements))
        value = b"9" * choose.randrange(70) + choose.choice((b"", b"\0", b" ", b"x", b"\\1.2"))
        elements[at] = (*elements[at][:2], value)
    data = bytearray(file_of(elements, choose.choice((0, 0, 0, 2, -2, 500))))
    if what == 3:
        for _ in range(choose.randrange(1, 4)):
            at = choose.randrange(128, len(data))
            data[at] = choose.choice((0, 1, 2, 0x40, 0xFF, data[at] ^ 1))
    if what == 4:
        del data[choose.randrange(len(data)) :]
    return bytes(data)


@pytest.mark.parametrize("options", [{}, {"keep_damaged": True}, {"until": 0x00280000}])
def test_it_is_what_looking_at_each_element_gives(options, monkeypatch):
    inputs = [file_of(ELEMENTS), *map(damaged, range(1_500))]
    passed = [part10._USUAL_META(data, 128) is not None for data in inputs]
    assert passed[0]
    assert 300 < sum(passed) < 1_200
    ways = []
    for is_compiled in (False, IS_BUILT):
        with switched(to=is_compiled):
            ways.append([outcome(data, **options) for data in inputs])
    found, compiled = ways
    assert found == compiled
    monkeypatch.setattr(part10, "meta_usual", None)
    monkeypatch.setattr(part10, "_USUAL_META", lambda *_: None)
    for data, one in zip(inputs, found, strict=True):
        assert one == outcome(data, **options), data


@pytest.mark.skipif(not IS_BUILT, reason="the package was installed without a compiler")
def test_the_compiled_part_knows_what_the_pattern_knows():
    """The same files, to the byte; what the pattern lets pass, lengths rule out."""
    assert native.meta_usual is not None
    inputs = [file_of(ELEMENTS), *map(damaged, range(1_500))]
    for data in inputs:
        usual = part10._USUAL_META(data, 128)
        if usual is not None and (
            unpack_from("<I", data, 140)[0] != usual.end() - 144
            or part10._usual_syntax(usual[1]) is None
        ):
            usual = None
        found = native.meta_usual(data)
        assert found == (None if usual is None else (usual.end(), usual[1])), data


def test_what_is_not_asked_for_is_not_made(monkeypatch):
    made = []
    make = part10._usual_meta
    monkeypatch.setattr(part10, "_usual_meta", lambda *given: made.append(given) or make(*given))
    ds = read_file(file_of(ELEMENTS))
    assert str(ds.transfer_syntax.uid) == "1.2.840.10008.1.2.1"
    assert not made
    assert ds.file_meta is ds.file_meta
    assert ds.file_meta.MediaStorageSOPInstanceUID == "1.2.3.44"
    assert len(made) == 1
