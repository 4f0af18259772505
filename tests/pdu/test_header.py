"""The first six bytes: what is refused before anything is buffered."""

from __future__ import annotations

import pytest

from dicom_actors.errors import InvalidPduError, PduTooLargeError, UnrecognizedPduError
from dicom_actors.pdu import PduLimits, PduType
from dicom_actors.pdu.header import decode_header

LIMITS = PduLimits(max_pdu_length=1000, max_associate_length=2000)


def header(kind, length):
    return memoryview(bytes((kind, 0)) + length.to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, 68), (1, 2000), (2, 68), (2, 2000), (3, 4), (4, 0), (4, 1000), (5, 4), (6, 4), (7, 4)],
)
def test_good_headers(kind, length):
    assert decode_header(header(kind, length), LIMITS) == (PduType(kind), length)


def test_the_reserved_byte_is_not_tested():
    assert decode_header(memoryview(b"\5\xff\0\0\0\4"), LIMITS) == (PduType.A_RELEASE_RQ, 4)


@pytest.mark.parametrize("kind", [0, 8, 0x16, ord("G"), 0xFF])
def test_unknown_types(kind):
    with pytest.raises(UnrecognizedPduError, match=f"got {kind:02X}H") as caught:
        decode_header(header(kind, 4), LIMITS)
    assert (caught.value.abort_source, caught.value.abort_reason) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "length"), [(1, 2001), (2, 2001), (4, 1001), (1, 0xFFFFFFFF), (4, 0xFFFFFFFF)]
)
def test_lengths_over_the_limit(kind, length):
    with pytest.raises(PduTooLargeError, match=f"got {length}") as caught:
        decode_header(header(kind, length), LIMITS)
    assert (caught.value.abort_source, caught.value.abort_reason) == (2, 6)


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, 67), (2, 0), (3, 3), (3, 5), (5, 0), (6, 5), (7, 3), (7, 0xFFFFFFFF)],
)
def test_lengths_that_the_type_cannot_have(kind, length):
    with pytest.raises(InvalidPduError, match=f"got {length}") as caught:
        decode_header(header(kind, length), LIMITS)
    assert caught.value.offset == 2
    assert (caught.value.abort_source, caught.value.abort_reason) == (2, 6)
