"""PDUs to bytes: payloads that are not copied, fields that do not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from dicom_actors.errors import LocalProtocolError
from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    AsyncWindow,
    ContextResult,
    PDataTf,
    Pdv,
    PresentationContextAc,
    PresentationContextRq,
    Reject,
    SopClassExtended,
    UserIdentity,
    UserInformation,
    decode_pdu,
    encode_p_data_header,
    encode_pdu,
    p_data_buffers,
    p_data_length,
)
from tests.pdu.strategies import PDVS, tuples_of

USER = UserInformation(16384, "1.2.3")
RQ = AssociateRq("A", "B", (PresentationContextRq(1, "1.2", ("1.3",)),), USER)


def test_a_payload_goes_out_as_the_very_object():
    payload = memoryview(bytes(1000))

    header, data = p_data_buffers((Pdv(1, is_command=False, is_last=True, data=payload),))

    assert data is payload
    assert header == b"\4\0\0\0\3\xee" + b"\0\0\3\xea\1\2"


def test_several_payloads_go_out_as_the_very_objects():
    pdvs = (
        Pdv(1, is_command=True, is_last=True, data=b"command"),
        Pdv(1, is_command=False, is_last=False, data=b"data"),
    )

    buffers = p_data_buffers(pdvs)

    assert buffers[1] is pdvs[0].data
    assert buffers[3] is pdvs[1].data
    assert b"".join(buffers) == b"\4\0\0\0\0\x17\0\0\0\x09\1\3command\0\0\0\6\1\0data"


@given(tuples_of(PDVS))
def test_buffers_joined_are_the_pdu(pdvs):
    data = b"".join(p_data_buffers(pdvs))

    assert data == encode_pdu(PDataTf(pdvs))
    assert p_data_length(pdvs) == len(data) - 6
    assert decode_pdu(data) == PDataTf(pdvs)


@pytest.mark.parametrize(
    ("is_command", "is_last", "control"),
    [(False, False, 0), (True, False, 1), (False, True, 2), (True, True, 3)],
)
def test_header_of_one_fragment(is_command, is_last, control):
    header = encode_p_data_header(255, 0x10000, is_command=is_command, is_last=is_last)

    assert header == b"\4\0\0\1\0\6\0\1\0\2\xff" + bytes((control,))


def test_an_answer_repeats_the_bytes_of_the_request():
    # PS3.8 table 9-17: bytes 11 to 74 of the A-ASSOCIATE-RQ come back as they were.
    data = bytearray(encode_pdu(RQ))
    data[10:26] = b"  A".ljust(16)
    data[42:74] = bytes(range(32))
    rq = decode_pdu(data)

    ac = AssociateAc(rq.called_ae_title, rq.calling_ae_title, (), USER, echo=rq.echo)

    assert encode_pdu(ac)[10:74] == data[10:74]


def test_an_answer_without_those_bytes_has_the_titles():
    encoded = encode_pdu(AssociateAc("A", "B", (), USER))

    assert encoded[10:74] == b"A".ljust(16) + b"B".ljust(16) + bytes(32)


@pytest.mark.parametrize("title", ["", " ", " " * 16, "A" * 17, "A\\B", "A\nB", "Müller", "A\x7f"])
def test_titles_that_may_not_be_sent(title):
    with pytest.raises(LocalProtocolError, match="AE title: expected"):
        encode_pdu(replace(RQ, called_ae_title=title))
    with pytest.raises(LocalProtocolError, match="AE title: expected"):
        encode_pdu(replace(RQ, calling_ae_title=title))


@pytest.mark.parametrize(
    "pdu",
    [
        replace(RQ, protocol_version=0x10000),
        replace(RQ, application_context_name="ü"),
        replace(RQ, presentation_contexts=(PresentationContextRq(256, "1.2", ("1.3",)),)),
        replace(RQ, presentation_contexts=(PresentationContextRq(1, "1" * 65536, ()),)),
        replace(RQ, user_information=UserInformation(-1, "1.2")),
        replace(RQ, user_information=UserInformation(1 << 32, "1.2")),
        replace(RQ, user_information=replace(USER, implementation_version_name="V" * 17)),
        replace(RQ, user_information=replace(USER, async_window=AsyncWindow(65536, 1))),
        replace(RQ, user_information=replace(USER, user_identity=UserIdentity(256, b""))),
        replace(
            RQ, user_information=replace(USER, extended=(SopClassExtended("1", bytes(65536)),))
        ),
        AssociateAc("A", "B", (PresentationContextAc(-1, ContextResult.ACCEPTANCE, ""),), USER),
        AssociateRj(256, 1, 1),
        Abort(0, -1),
        PDataTf((Pdv(256, is_command=False, is_last=False, data=b""),)),
        PDataTf((Pdv(1, is_command=False, is_last=False, data=b""),) * 2 + (Pdv(-1, 0, 0, b""),)),
    ],
)
def test_fields_that_do_not_fit_are_our_own_fault(pdu):
    with pytest.raises(LocalProtocolError):
        encode_pdu(pdu)


@pytest.mark.parametrize("reject", Reject)
def test_rejections(reject):
    assert encode_pdu(AssociateRj.of(reject)) == b"\3\0\0\0\0\4\0" + bytes(reject.value)
