"""P-DATA-TF and the short PDUs from bytes."""

from __future__ import annotations

import pytest

from dicom_actors.errors import InvalidPduError, PduTooLargeError
from dicom_actors.pdu import PDataTf, PduLimits, Pdv, decode_pdu


def p_data(body):
    return b"\4\0" + len(body).to_bytes(4, "big") + body


def test_payloads_are_slices_of_the_input():
    data = bytearray(p_data(b"\0\0\0\5\1\0abc\0\0\0\4\3\2de"))

    pdu = decode_pdu(memoryview(data))
    data[12:15] = b"xyz"

    assert [pdv.data for pdv in pdu.pdvs] == [b"xyz", b"de"]


def test_a_p_data_without_pdvs():
    assert decode_pdu(p_data(b"")) == PDataTf(())


@pytest.mark.parametrize("control", range(256))
def test_only_two_bits_of_the_control_header_count(control):
    (pdv,) = decode_pdu(p_data(bytes((0, 0, 0, 2, 1, control)))).pdvs

    assert pdv == Pdv(1, bool(control & 1), bool(control & 2), b"")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\0", "at byte 6: expected a header of 6 bytes, 1 left"),
        (b"\0\0\0\2\1", "at byte 6: expected a header of 6 bytes, 5 left"),
        (b"\0\0\0\0\1\0", "at byte 6: expected a length of 2 to 2, got 0"),
        (b"\0\0\0\1\1\0", "at byte 6: expected a length of 2 to 2, got 1"),
        (b"\0\0\0\3\1\0", "at byte 6: expected a length of 2 to 2, got 3"),
        (b"\xff\xff\xff\xff\1\0", "at byte 6: expected a length of 2 to 2, got 4294967295"),
        (b"\0\0\0\2\1\0\0\0\0\3\1\0", "at byte 12: expected a length of 2 to 2, got 3"),
        (b"\0\0\0\2\1\0\0\0", "at byte 12: expected a header of 6 bytes, 2 left"),
    ],
)
def test_pdvs_that_do_not_fit(body, message):
    with pytest.raises(InvalidPduError, match=f"P-DATA-TF PDV {message}") as caught:
        decode_pdu(p_data(body))
    assert caught.value.abort_reason == 6


def test_the_limit_is_on_the_bytes_after_the_header():
    limits = PduLimits(max_pdu_length=8)
    decode_pdu(p_data(b"\0\0\0\4\1\0ab"), limits)

    with pytest.raises(PduTooLargeError):
        decode_pdu(p_data(b"\0\0\0\5\1\0abc"), limits)


@pytest.mark.parametrize("data", [b"", b"\5\0\0\0\0", b"\5\0\0\0\0\4\0\0\0", b"\5" + bytes(10)])
def test_a_part_of_a_pdu_is_no_pdu(data):
    with pytest.raises(InvalidPduError):
        decode_pdu(data)


def test_a_pdu_with_more_behind_it_is_refused():
    with pytest.raises(InvalidPduError, match="expected 4 bytes after the header, got 5"):
        decode_pdu(b"\5\0\0\0\0\4\0\0\0\0\0")


def test_a_pdv_prints_its_payload_as_a_length():
    assert repr(Pdv(3, is_command=False, is_last=True, data=b"patient data")) == (
        "Pdv(context_id=3, is_command=False, is_last=True, 12 bytes)"
    )
