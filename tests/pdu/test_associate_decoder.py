"""A-ASSOCIATE PDUs whose structure is at odds with itself, or asks for too much."""

from __future__ import annotations

import pytest

from dicom_actors.errors import InvalidPduError
from dicom_actors.pdu import (
    AssociateLimitError,
    ContextResult,
    PduLimits,
    PresentationContextAc,
    PresentationContextRq,
    decode_pdu,
)

VERIFICATION = b"1.2.840.10008.1.1"
IMPLICIT = b"1.2.840.10008.1.2"


def item(kind, data=b""):
    return bytes((kind, 0)) + len(data).to_bytes(2, "big") + data


def associate(*items, kind=1, version=b"\0\1", called=b"A", calling=b"B"):
    body = version + b"\0\0" + called.ljust(16) + calling.ljust(16) + bytes(32) + b"".join(items)
    return memoryview(bytes((kind, 0)) + len(body).to_bytes(4, "big") + body)


def proposal(context_id, *sub_items):
    return item(0x20, bytes((context_id, 0, 0, 0)) + b"".join(sub_items))


def answer(context_id, result, *sub_items):
    return item(0x21, bytes((context_id, 0, result, 0)) + b"".join(sub_items))


CONTEXT = item(0x10, b"1.2.840.10008.3.1.1.1")
USER = item(0x50, item(0x51, b"\0\0\x40\0"))


def test_items_may_be_missing():
    rq = decode_pdu(associate())

    assert rq.application_context_name == ""
    assert rq.presentation_contexts == ()
    assert rq.user_information.max_pdu_length == 0
    assert rq.user_information.implementation_class_uid == ""


def test_a_context_may_lack_its_syntaxes():
    rq = decode_pdu(associate(proposal(1)))

    assert rq.presentation_contexts == (PresentationContextRq(1, "", ()),)


def test_an_answered_context_may_lack_its_transfer_syntax():
    ac = decode_pdu(associate(answer(1, 3), kind=2))

    assert ac.presentation_contexts == (
        PresentationContextAc(1, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, ""),
    )


def test_reserved_bytes_are_not_tested():
    data = bytearray(associate(CONTEXT, proposal(1, item(0x30, VERIFICATION)), USER))
    plain = decode_pdu(memoryview(data))
    for at in (1, 8, 9, *range(42, 74), 75, 100, 104, 105, 106, 108):
        data[at] = 0xFF

    assert decode_pdu(memoryview(data)) == plain


def test_items_of_other_types_are_kept():
    rq = decode_pdu(associate(item(0x21, b"xy"), CONTEXT, item(0xFF)))

    assert rq.unknown_items == ((0x21, b"xy"), (0xFF, b""))


def test_sub_items_of_other_types_in_a_context_are_skipped():
    rq = decode_pdu(associate(proposal(1, item(0x41, b"xy"), item(0x40, IMPLICIT))))

    assert rq.presentation_contexts == (PresentationContextRq(1, "", (IMPLICIT.decode(),)),)


def test_padded_uids_are_the_same_uids():
    rq = decode_pdu(associate(proposal(1, item(0x30, VERIFICATION + b"\0"), item(0x40, b"1.2 "))))

    assert rq.presentation_contexts == (PresentationContextRq(1, VERIFICATION.decode(), ("1.2",)),)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"  SPACES  ", "SPACES"),
        (b"A B", "A B"),
        (b" " * 16, ""),
        (b"A\nB", r"A\x0aB"),
        (b"\x1b[2J", r"\x1b[2J"),
        (b"M\xfcller", r"M\xfcller"),
        (b"PADDED".ljust(16, b"\0"), "PADDED"),
        (b"PADDED \0 \0", "PADDED"),
        (b"A\0B".ljust(16, b"\0"), r"A\x00B"),
        (b"\0A".ljust(16), r"\x00A"),
        (bytes(16), ""),
    ],
)
def test_titles_come_out_printable(field, expected):
    rq = decode_pdu(associate(called=field, calling=field))

    assert rq.called_ae_title == rq.calling_ae_title == expected


def test_uids_and_names_come_out_printable():
    rq = decode_pdu(
        associate(
            item(0x10, b"1.\xff2"),
            proposal(1, item(0x30, b"\x00.1"), item(0x40, b"1\r\n2")),
            item(0x50, item(0x52, b"\x80") + item(0x55, b"\x07bell")),
        )
    )

    assert rq.application_context_name == r"1.\xff2"
    assert rq.presentation_contexts == ((1, r"\x00.1", (r"1\x0d\x0a2",)),)
    assert rq.user_information.implementation_class_uid == r"\x80"
    assert rq.user_information.implementation_version_name == r"\x07bell"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (associate(b"\x20"), r"A-ASSOCIATE-RQ at byte 74: expected an item header of 4 bytes, 1"),
        (
            associate(b"\x20\0\x01\x2c" + bytes(212)),
            r"RQ item 20H at byte 74: length 300, 212 left",
        ),
        (associate(b"\x21\0\0\1", kind=2), r"AC item 21H at byte 74: length 1, 0 left"),
        (associate(item(0x20, b"\1\0\0")), r"presentation context at byte 78: expected 4 bytes, 3"),
        (associate(proposal(7, b"\x30\0\0\1")), r"context 7 item 30H at byte 82: length 1, 0 left"),
        (associate(CONTEXT, CONTEXT), r"expected one item 10H, got another at byte 103"),
        (associate(USER, USER), r"expected one item 50H, got another"),
        (associate(proposal(1, item(0x30), item(0x30))), r"context 1: expected one item 30H"),
        (associate(answer(1, 0, item(0x40), item(0x40)), kind=2), r"expected one item 40H"),
        (associate(answer(1, 5), kind=2), r"expected a result of 0 to 4 at byte 80, got 5"),
    ],
)
def test_contradictions_are_refused_with_their_place(data, message):
    with pytest.raises(InvalidPduError, match=message) as caught:
        decode_pdu(data)
    assert not isinstance(caught.value, AssociateLimitError)
    assert caught.value.abort_reason == 6
    assert 74 <= caught.value.offset <= len(data)


def test_128_contexts_are_taken_and_129_are_not():
    contexts = [proposal(index * 2 % 256 + 1) for index in range(129)]

    assert len(decode_pdu(associate(*contexts[:128])).presentation_contexts) == 128
    with pytest.raises(AssociateLimitError, match="expected 128 presentation contexts at most"):
        decode_pdu(associate(*contexts))


def test_transfer_syntaxes_are_limited():
    syntaxes = [item(0x40, IMPLICIT)] * 4
    limits = PduLimits(max_transfer_syntaxes=3)

    assert decode_pdu(associate(proposal(1, *syntaxes[:3])), limits).presentation_contexts
    with pytest.raises(AssociateLimitError, match="context 1: expected 3 transfer syntaxes"):
        decode_pdu(associate(proposal(1, *syntaxes)), limits)


def test_user_information_is_limited():
    limits = PduLimits(max_user_information_length=100)

    assert decode_pdu(associate(item(0x50, item(0x60, bytes(96)))), limits).user_information.unknown
    with pytest.raises(AssociateLimitError, match="expected a length of 100 at most, got 101"):
        decode_pdu(associate(item(0x50, item(0x60, bytes(97)))), limits)


def test_items_of_unknown_types_are_limited():
    assert len(decode_pdu(associate(*[item(0x60)] * 128)).unknown_items) == 128
    with pytest.raises(AssociateLimitError, match="128 items of unknown types at most"):
        decode_pdu(associate(*[item(0x60)] * 129))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"1" * 64, "1" * 64),
        (b"1" * 65, "1" * 64 + "..."),
        (b"\xff" * 60_000, r"\xff" * 64 + "..."),
    ],
)
def test_a_text_that_is_too_long_is_cut_and_equals_nothing_legal(field, expected):
    rq = decode_pdu(associate(proposal(1, item(0x30, field))))

    assert rq.presentation_contexts[0].abstract_syntax == expected


def test_a_request_of_a_mebibyte_is_refused_at_its_first_item_too_many():
    empty = proposal(1)
    count = (1024 * 1024 - 68) // len(empty)

    with pytest.raises(AssociateLimitError) as caught:
        decode_pdu(associate(*[empty] * count))
    assert caught.value.offset == 74 + 128 * len(empty) + 4
