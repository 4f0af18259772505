"""Laws that hold for every PDU."""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_actors.errors import RemoteProtocolError
from dicom_actors.pdu import PduLimits, decode_pdu, encode_pdu
from tests.pdu.golden import GOLDEN
from tests.pdu.strategies import PDUS

ALL_GOLDEN = [golden.data for golden in GOLDEN]


@given(PDUS)
def test_decode_undoes_encode(pdu):
    decoded = decode_pdu(memoryview(encode_pdu(pdu)))

    assert type(decoded) is type(pdu)
    assert decoded == pdu


@settings(max_examples=40)
@given(PDUS)
def test_encode_undoes_decode_for_canonical_bytes(pdu):
    data = encode_pdu(pdu)

    assert encode_pdu(decode_pdu(memoryview(data))) == data


@settings(max_examples=40)
@given(PDUS, st.integers(0, 2000))
def test_a_pdu_cut_short_is_refused(pdu, cut):
    data = encode_pdu(pdu)

    with contextlib.suppress(RemoteProtocolError):
        decode_pdu(memoryview(data)[: cut % len(data)])
        raise AssertionError("a part of a PDU was taken for a whole one")


@given(st.binary(max_size=300))
@example(b"")
@example(b"\1\0\0\0\0\0")
def test_any_bytes_are_a_pdu_or_a_fault_of_the_peer(data):
    with contextlib.suppress(RemoteProtocolError):
        decode_pdu(memoryview(data))


@given(
    st.sampled_from(ALL_GOLDEN),
    st.lists(st.tuples(st.integers(6, 2000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_any_edit_of_a_pdu_is_a_pdu_or_a_fault_of_the_peer(data, edits):
    edited = bytearray(data)
    for position, value in edits:
        edited[6 + (position - 6) % (len(data) - 6)] = value

    with contextlib.suppress(RemoteProtocolError):
        pdu = decode_pdu(memoryview(edited), PduLimits(max_transfer_syntaxes=2))
        assert all(character.isprintable() for character in repr(pdu))


@given(st.sampled_from(ALL_GOLDEN), st.integers(0, 2000), st.binary(max_size=8), st.integers(0, 8))
def test_bytes_taken_out_or_put_in_never_break_the_decoder(data, position, inserted, removed):
    at = 6 + position % (len(data) - 6)
    body = data[6:at] + inserted + data[at + removed :]
    edited = data[:2] + len(body).to_bytes(4, "big") + body

    with contextlib.suppress(RemoteProtocolError):
        decode_pdu(memoryview(edited))
