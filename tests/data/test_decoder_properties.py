"""Laws that hold for any data set and any bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.data import DataSet, Limits, read_file
from dicom_actors.errors import DicomError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
SYNTAXES = [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]

_JUDGE = Path(pydicom.__file__).parent / "data" / "test_files"
_SEEDS = ["CT_small.dcm", "rtplan.dcm", "test-SR.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm"]

text = st.text("ABCabc012 äöü", max_size=12).map(lambda text: text.strip(" "))
lines = st.text("ABC abc\r\n\\=^", max_size=30).map(lambda text: text.rstrip(" "))
code = st.text("ABC012_", max_size=16)
digits = st.integers(-(10**9), 10**9)
decimal = st.floats(allow_nan=False, allow_infinity=False, width=32).map(
    lambda x: float(f"{x:.6g}")
)


def many(values):
    """No value, one, or a list of several, as users see them; the last one is not empty."""
    several = st.lists(values, min_size=2, max_size=4).filter(any)
    return st.one_of(
        st.none(), values.map(lambda value: None if value in ("", b"") else value), several
    )


def words(size):
    return st.binary(max_size=5 * size).map(lambda raw: raw[: len(raw) // size * size] or None)


def real(code):
    def fits(number):
        return struct.unpack(code, struct.pack(code, number))[0]

    width = 32 if code == "f" else 64
    return st.floats(allow_nan=False, allow_infinity=False, width=width).map(fits)


FIELDS = {
    "StationAETitle": many(code),
    "PatientAge": st.sampled_from([None, "018M", "003D"]),
    "FrameIncrementPointer": many(st.sampled_from([0x00181063, 0x00540080])),
    "ImageType": many(code),
    "StudyDate": st.sampled_from([None, "20240229", "20240101-20240131"]),
    "PixelSpacing": many(decimal),
    "AcquisitionDateTime": st.sampled_from([None, "20240229123015.5+0100"]),
    "RealWorldValueSlope": many(real("d")),
    "BoundingBoxTopLeftHandCorner": many(real("f")),
    "ReferencedFrameNumber": many(digits),
    "OtherPatientIDs": many(text),
    "AdditionalPatientHistory": st.one_of(st.none(), lines.map(lambda text: text or None)),
    "ICCProfile": words(2),
    "DoubleFloatPixelData": words(8),
    "FloatPixelData": words(4),
    "TrackPointIndexList": words(4),
    "ExtendedOffsetTable": words(8),
    "PixelData": words(2),
    "OtherPatientNames": many(st.sampled_from(["Doe^John", "Müller^Jörg", "A^B^C^D^E"])),
    "AccessionNumber": many(text),
    "DisplayedAreaTopLeftHandCorner": many(st.integers(-(2**31), 2**31 - 1)),
    "TagAngleSecondAxis": many(st.integers(-(2**15), 2**15 - 1)),
    "SelectorSVValue": many(st.integers(-(2**63), 2**63 - 1)),
    "StudyTime": st.sampled_from([None, "123015.25", "12"]),
    "LongCodeValue": many(st.text("abc ", max_size=9).map(lambda text: text.rstrip(" "))),
    "SOPInstanceUID": st.sampled_from([None, "1.2.3", "1.2.34"]),
    "SelectorULValue": many(st.integers(0, 2**32 - 1)),
    "SelectorUNValue": words(2),
    "RetrieveURL": st.sampled_from([None, "http://localhost/x"]),
    "AcquisitionMatrix": many(st.integers(0, 2**16 - 1)),
    "TextValue": st.one_of(st.none(), lines.map(lambda text: text or None)),
    "SelectorUVValue": many(st.integers(0, 2**64 - 1)),
}
flat = st.sets(st.sampled_from(sorted(FIELDS)), max_size=5).flatmap(
    lambda keywords: st.fixed_dictionaries({keyword: FIELDS[keyword] for keyword in keywords})
)
data_sets = st.recursive(
    flat,
    lambda inner: st.builds(
        lambda fields, first, second: {
            **fields,
            "BeamSequence": first,
            "ReferencedStudySequence": second,
        },
        flat,
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2),
    ),
    max_leaves=6,
)


def made(fields) -> DataSet:
    ds = DataSet(fields)
    ds.SpecificCharacterSet = "ISO_IR 192"
    return ds


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(fields=data_sets)
def test_any_data_set_decodes_to_itself(syntax, fields):
    ds = made(fields)
    data = ds.to_bytes(syntax)
    read = DataSet.from_bytes(data, syntax)
    assert read == ds
    assert not read.warnings
    assert len(data) % 2 == 0
    assert read.to_bytes() == data


@given(fields=data_sets, source=st.sampled_from(SYNTAXES), target=st.sampled_from(SYNTAXES))
def test_converting_is_the_same_as_encoding_anew(fields, source, target):
    ds = made(fields)
    read = DataSet.from_bytes(ds.to_bytes(source), source)
    converted = DataSet.from_bytes(read.to_bytes(target), target)
    assert converted == ds
    if target != DEFLATED:
        assert read.to_bytes(target) == ds.to_bytes(target)


@given(fields=data_sets, other=flat)
def test_an_edit_leaves_the_bytes_of_all_others(fields, other):
    ds = made(fields)
    read = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
    for keyword, value in other.items():
        ds[keyword] = value
        read[keyword] = value
    assert read.to_bytes() == ds.to_bytes(EXPLICIT)
    assert read == ds


@given(fields=data_sets)
def test_a_copy_is_equal_and_independent(fields):
    read = DataSet.from_bytes(made(fields).to_bytes(EXPLICIT), EXPLICIT)
    before = read.to_bytes()
    copy = read.copy()
    assert copy == read
    for path, element in list(copy.walk()):
        if element.vr != "SQ":
            copy[path] = None
    assert read.to_bytes() == before


def survives(data: bytes, syntax: str) -> None:
    """Read, touch, print and write: nothing but a DicomError may come out."""
    for keep_truncated in (False, True):
        try:
            ds = DataSet.from_bytes(data, syntax, keep_truncated=keep_truncated)
        except DicomError:
            continue
        try:
            for _, element in ds.walk():
                element.value  # noqa: B018
        except DicomError:
            pass
        str(ds)
        assert ds.to_bytes() == (data if not keep_truncated else ds.to_bytes())
        for target in (IMPLICIT, EXPLICIT, BIG_ENDIAN):
            try:
                ds.to_bytes(target)
            except DicomError:
                continue


@given(data=st.binary(max_size=300), syntax=st.sampled_from(SYNTAXES))
def test_random_bytes(data, syntax):
    survives(data, syntax)


@given(
    fields=data_sets,
    syntax=st.sampled_from(SYNTAXES),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 10**6),
)
def test_edited_data_sets(fields, syntax, edits, cut):
    data = bytearray(made(fields).to_bytes(syntax))
    for at, value in edits:
        data[at % len(data)] = value
    survives(bytes(data), syntax)
    survives(bytes(data[: cut % len(data)]), syntax)


@pytest.mark.parametrize("name", _SEEDS)
@given(
    edits=st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_edited_files(name, edits):
    data = bytearray((_JUDGE / name).read_bytes())
    for at, value in edits:
        data[at % len(data)] = value
    try:
        ds = read_file(bytes(data), limits=Limits(max_elements=10_000))
        for _, element in ds.walk():
            element.value  # noqa: B018
    except DicomError:
        return
    str(ds)
    ds.to_bytes()
    try:
        ds.to_bytes(IMPLICIT)
    except DicomError:
        return
