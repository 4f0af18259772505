"""Responses from templates: the bytes of the general encoder, and bounded in what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.dimse import (
    Command,
    CommandElement,
    CommandField,
    ResponseEncoder,
    ResponseTemplates,
    decode_command,
    encode_response,
    fragment,
    response,
)
from dicom_actors.dimse.response import MAX_TEMPLATE_LENGTH, MAX_TEMPLATES
from dicom_actors.pdu import PDataTf, decode_pdu, encode_pdu

CT = "1.2.840.10008.5.1.4.1.1.2"

texts = st.one_of(
    st.sampled_from(["", CT, "1.2.840.10008.1.1", "1.2", "1.2.3\\xe9", "é", "9" * 600]),
    st.from_regex(r"[1-9][0-9.]{0,63}", fullmatch=True),
)
requests = st.builds(
    Command,
    st.just(b""),
    st.sampled_from([*CommandField, 0x7777]),
    st.integers(0, 0xFFFF),
    texts,
    texts,
    st.booleans(),
)
statuses = st.one_of(st.sampled_from([0, 0xFF00, 0xFE00, 0xA700]), st.integers(0, 0xFFFF))
answers = st.tuples(
    st.sampled_from([1, 3, 255]),
    requests,
    statuses,
    st.sampled_from(["", "", "", "it failed", "é" * 70]),
    st.booleans(),
    st.sampled_from([None, None, {}, {CommandElement.NUMBER_OF_COMPLETED_SUBOPERATIONS: 3}]),
)


def by_the_general_encoder(max_pdu_length, context_id, request, status, comment, data, more):
    command_set = encode_response(request, status, comment, has_data_set=data, more=more)
    pdvs = fragment(context_id, command_set, max_pdu_length, is_command=True)
    return b"".join(encode_pdu(PDataTf((pdv,))) for pdv in pdvs)


@given(
    st.sampled_from([0, 8, 64, 150, 16384]),
    st.lists(answers, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 0xFFFF), statuses, texts), max_size=20),
)
def test_the_bytes_are_those_of_the_general_encoder(max_pdu_length, kinds, changes) -> None:
    encoder = ResponseEncoder(max_pdu_length, ResponseTemplates())
    answered = list(kinds)
    for index, message_id, status, uid in changes:
        context_id, request, _, comment, data, more = kinds[index % len(kinds)]
        request = request._replace(message_id=message_id, sop_instance_uid=uid)
        answered.append((context_id, request, status, comment, data, more))
    for context_id, request, status, comment, data, more in answered:
        got = encoder.encode(context_id, request, status, comment, has_data_set=data, more=more)
        assert got == by_the_general_encoder(
            max_pdu_length, context_id, request, status, comment, data, more
        )


def request_of(field: int, number: int) -> Command:
    uid = f"1.2.{10 ** (number % 3)}"
    return Command(b"", field, number, CT, uid, has_data_set=True)


@pytest.mark.parametrize("field", [f for f in CommandField if f != CommandField.C_CANCEL_RQ])
@pytest.mark.parametrize("status", [0, 0xFF00])
def test_the_general_encoder_is_asked_once_for_each_length(monkeypatch, field, status) -> None:
    encoder = ResponseEncoder(16384, ResponseTemplates())
    has_data_set = status == 0xFF00
    expected = [
        by_the_general_encoder(16384, 3, request_of(field, n), status, "", has_data_set, None)
        for n in range(99)
    ]
    for number in (0, 0, 1, 2):
        encoder.encode(3, request_of(field, number), status, has_data_set=has_data_set)
    monkeypatch.setattr(response, "encode_response", None)
    got = [
        encoder.encode(3, request_of(field, n), status, has_data_set=has_data_set)
        for n in range(99)
    ]
    assert got == expected


def test_a_response_is_one_pdu_that_reads_back() -> None:
    encoder = ResponseEncoder(0, ResponseTemplates())
    for number in range(5):
        request = request_of(CommandField.C_STORE_RQ, number)
        pdu = decode_pdu(encoder.encode(7, request, 0xB000))
        assert isinstance(pdu, PDataTf)
        (pdv,) = pdu.pdvs
        assert (pdv.context_id, pdv.is_command, pdv.is_last) == (7, True, True)
        command = decode_command(bytes(pdv.data))
        assert (command.command_field, command.message_id) == (0x8001, number)
        assert (command.sop_instance_uid, command.status) == (request.sop_instance_uid, 0xB000)


@pytest.mark.parametrize("status", [-1, 0x10000])
def test_a_status_that_does_not_fit_is_refused_as_ever(status: int) -> None:
    encoder = ResponseEncoder(0, ResponseTemplates())
    request = request_of(CommandField.C_STORE_RQ, 1)
    for _ in range(3):
        encoder.encode(1, request, 0)
        with pytest.raises(OverflowError):
            encode_response(request, status)
        with pytest.raises(OverflowError):
            encoder.encode(1, request, status)


def test_what_a_peer_can_make_it_keep_is_bounded() -> None:
    templates = ResponseTemplates()
    encoder = ResponseEncoder(0, templates)
    for number in range(400):
        encoder.encode(1, Command(b"", 1, 1, "1" * number, "2" * number, has_data_set=True), 0)
        assert len(templates._templates) <= MAX_TEMPLATES
        for template in templates._templates.values():
            assert len(template.before) <= MAX_TEMPLATE_LENGTH


def test_associations_share_what_was_written_for_peers_of_one_length(monkeypatch) -> None:
    templates = ResponseTemplates()
    request = request_of(CommandField.C_STORE_RQ, 1)
    expected = {length: written(length, request) for length in (16, 16384, 0)}
    for length in expected:
        ResponseEncoder(length, templates).encode(5, request, 0)
    monkeypatch.setattr(response, "encode_response", None)
    for length in (16384, 0):
        assert ResponseEncoder(length, templates).encode(5, request, 0) == expected[length]
    with pytest.raises(TypeError):  # in two PDUs, of which there is no template
        ResponseEncoder(16, templates).encode(5, request, 0)


def written(max_pdu_length: int, request: Command) -> bytes:
    """A response by the general encoder."""
    return by_the_general_encoder(max_pdu_length, 5, request, 0, "", False, None)
