"""What object a data set is: the quick look says what the reader says, for less."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dicom_actors.actors.storing import identity
from dicom_actors.actors.storing.identity import Identity, identify
from dicom_actors.data import DataSet, Limits, TransferSyntax, read_file
from dicom_actors.errors import DecodeError

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
KEYWORDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
CT = read_file(Path(str(get_testdata_file("CT_small.dcm"))))
MEBIBYTE = 1 << 20


def deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush()


def by_the_reader(data: bytes, syntax: str, limits: Limits) -> Identity:
    data_set = DataSet.from_bytes(data, syntax, limits=limits)
    return Identity(*(str(data_set.get(keyword) or "") for keyword in KEYWORDS))


def check(data: bytes, syntax: str) -> Identity | None:
    """Fail unless both come to the same; None if that is an error."""
    limits = Limits()
    try:
        expected = by_the_reader(data, syntax, limits)
    except DecodeError:
        with pytest.raises(DecodeError):
            identify(memoryview(data), TransferSyntax.of(syntax), limits)
        return None
    assert identify(memoryview(data), TransferSyntax.of(syntax), limits) == expected
    return expected


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_ct_is_what_it_says(syntax: str) -> None:
    found = check(CT.to_bytes(syntax), syntax)
    assert found is not None
    assert found.sop_class == "1.2.840.10008.5.1.4.1.1.2"
    assert found.series == str(CT.SeriesInstanceUID)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_the_usual_data_set_is_not_read(syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("the reader was asked")

    monkeypatch.setattr(identity, "_read", read)
    enhanced = CT.copy()
    enhanced.put("ReferencedImageSequence", "SQ", [CT.copy() for _ in range(3)])
    for data_set in (CT, enhanced):
        identify(memoryview(data_set.to_bytes(syntax)), TransferSyntax.of(syntax), Limits())


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("missing", [*KEYWORDS, None])
@pytest.mark.parametrize("value", ["1.2", "1.2.3", "../../etc", "", " 1.2 ", "1.2\\1.3"])
def test_any_uid_is_found_or_not_as_the_reader_does(
    value: str, missing: str | None, syntax: str
) -> None:
    data_set = CT.copy()
    for keyword in KEYWORDS:
        data_set.put(keyword, "LO", value)
    if missing is not None:
        del data_set[missing]
    data = data_set.to_bytes(syntax)
    if syntax == EXPLICIT:
        check(data.replace(b"LO", b"UI"), syntax)
    check(data, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("announced", SYNTAXES)
def test_what_is_announced_wrongly_is_what_the_reader_says(announced: str, syntax: str) -> None:
    check(CT.to_bytes(syntax), announced)


# Whole after each of four elements and before; in big endian one zero byte more is padding.
@pytest.mark.parametrize(("syntax", "expected"), [(IMPLICIT, 5), (EXPLICIT, 5), (BIG, 9)])
def test_a_data_set_that_is_cut_short_cannot_be_read(syntax: str, expected: int) -> None:
    data_set = DataSet.from_keywords(
        SOPClassUID="1.2", SOPInstanceUID="1.2.3", PatientName="A^B", StudyInstanceUID="1.9"
    )
    data = data_set.to_bytes(syntax)
    whole = [length for length in range(len(data) + 1) if check(data[:length], syntax)]
    assert whole[-1] == len(data)
    assert len(whole) == expected


@given(
    st.sampled_from([IMPLICIT, EXPLICIT]),
    st.lists(
        st.tuples(
            st.sampled_from([0x0008, 0x0010, 0x0020, 0x0040, 0x7FE0, 0xFFFE, 0x0009]),
            st.sampled_from([0x0005, 0x0016, 0x0018, 0x000D, 0x000E, 0x0010, 0xE000, 0xE0DD]),
            st.sampled_from([b"UI", b"LO", b"SQ", b"OB", b"UN", b"zz", b"\0\0"]),
            st.sampled_from([0, 2, 3, 8, 64, 66, 70, 0xFFFF, 0xFFFFFFFF]),
            st.integers(0, 70),
        ),
        max_size=8,
    ),
)
def test_any_bytes_come_to_what_the_reader_says(
    syntax: str, elements: list[tuple[int, int, bytes, int, int]]
) -> None:
    data = b""
    for group, element, vr, length, given_length in elements:
        data += group.to_bytes(2, "little") + element.to_bytes(2, "little")
        if syntax == IMPLICIT:
            data += length.to_bytes(4, "little")
        elif vr in {b"SQ", b"OB", b"UN"}:
            data += vr + b"\0\0" + length.to_bytes(4, "little")
        else:
            data += vr + (length & 0xFFFF).to_bytes(2, "little")
        data += b"1" * (length if length <= 70 else given_length)
    check(data, syntax)


# --- deflated --------------------------------------------------------------------------------


def test_of_a_deflate_bomb_the_head_alone_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"\xe0\x7f\x10\0OB\0\0" + (2**31 - 2).to_bytes(4, "little")
    head = DataSet.from_keywords(SOPClassUID="1.2", SOPInstanceUID="1.2.3").to_bytes(EXPLICIT)
    bomb = deflate(head + header + bytes(512 * MEBIBYTE))
    assert len(bomb) < MEBIBYTE
    inflated: list[int] = []

    class Machine:
        def __init__(self, *arguments: int) -> None:
            self._machine = real(*arguments)

        def __getattr__(self, name: str) -> object:
            return getattr(self._machine, name)

        def decompress(self, *arguments: object) -> bytes:
            piece: bytes = self._machine.decompress(*arguments)
            inflated.append(len(piece))
            return piece

    real = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Machine)
    found = identify(memoryview(bomb), TransferSyntax.of(DEFLATED), Limits())
    assert found == Identity("1.2", "1.2.3", "", "")
    assert sum(inflated) <= 64 * 1024


def test_what_stands_behind_the_head_is_not_there() -> None:
    data_set = DataSet.from_keywords(SOPClassUID="1.2", SOPInstanceUID="1.2.3")
    data_set.put(0x00081140, "UN", os.urandom(100_000))
    data_set.put("StudyInstanceUID", "UI", "1.9")
    found = identify(memoryview(data_set.to_bytes(DEFLATED)), TransferSyntax.of(DEFLATED), Limits())
    assert found == Identity("1.2", "1.2.3", "", "")


@pytest.mark.parametrize("cut", [1, 2, 10, 100])
def test_a_deflate_stream_that_ends_early_cannot_be_read(cut: int) -> None:
    check(CT.to_bytes(DEFLATED)[:-cut], DEFLATED)


@pytest.mark.parametrize("data", [b"\0", b"\xff" * 20, b"\x08\0\x16\0UI\x02\x001\0", bytes(100)])
def test_what_is_no_deflate_stream_is_what_the_reader_says(data: bytes) -> None:
    check(data, DEFLATED)


def test_a_zlib_header_in_front_is_forgiven() -> None:
    assert check(zlib.compress(CT.to_bytes(EXPLICIT)), DEFLATED)


def test_what_goes_beyond_the_limits_cannot_be_read() -> None:
    data = memoryview(CT.to_bytes(EXPLICIT))
    with pytest.raises(DecodeError, match="more than 100 elements"):
        identify(data, TransferSyntax.of(EXPLICIT), Limits(max_elements=100))
