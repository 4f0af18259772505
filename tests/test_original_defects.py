"""Defects of the design's original, Dicom.ex, that this package must not have: a test each.

Those of encoding and of the state machine alone are beside the modules concerned.
"""

from __future__ import annotations

import pytest
from kit.endpoints import running
from kit.peer import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    Peer,
    associate_rq,
    command_pdus,
    echo_pdus,
    store_pdus,
)

from dicom_actors import DataSet, Tag, events
from dicom_actors.dimse import CommandElement, CommandField
from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    PDataTf,
    Pdv,
    PresentationContextRq,
    decode_pdu,
    encode_pdu,
)

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_bytes_behind_a_data_set_are_not_dropped() -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            peer.send(*store_pdus(b"", 1), *echo_pdus(2))
            assert [peer.response().message_id for _ in range(2)] == [1, 2]


def test_an_abort_is_understood() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(Abort(0, 0))
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.reason == "aborted by peer"
        peer.expect_end()


def test_a_pdu_that_nobody_expects_is_answered_and_harms_nobody() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as other:
        with Peer.associated(endpoint.port) as peer:
            peer.send(associate_rq())
            peer.expect_abort(2, 2)
        assert other.echo() == 0


def test_a_fragmented_command_is_put_together() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        (pdu,) = echo_pdus(5)
        assert isinstance(pdu, PDataTf)
        data = bytes(pdu.pdvs[0].data)
        pieces = [data[i : i + 7] for i in range(0, len(data), 7)]
        for number, piece in enumerate(pieces, start=1):
            peer.send(PDataTf((Pdv(1, True, number == len(pieces), piece),)))
        assert peer.response().message_id == 5


def test_a_context_is_accepted_only_where_we_can_serve_it() -> None:
    contexts = (
        PresentationContextRq(1, "1.2.3.4.5.6", (IMPLICIT,)),
        PresentationContextRq(3, CT_IMAGE, ("1.2.3.4", EXPLICIT)),
    )
    with running({"cstore": lambda event: None}) as endpoint, Peer(endpoint.port) as peer:
        ac = peer.associate(contexts=contexts)
        assert isinstance(ac, AssociateAc)
        first, second = ac.presentation_contexts
        assert first.result == 3
        assert (second.result, second.transfer_syntax) == (0, EXPLICIT)


def test_the_maximum_length_that_we_announce_is_our_own() -> None:
    with running(max_pdu_length=65536) as endpoint, Peer(endpoint.port) as peer:
        peer.send(associate_rq(max_pdu_length=12345))
        ac = peer.receive()
        assert isinstance(ac, AssociateAc)
        assert ac.user_information.max_pdu_length == 65536


def test_responses_are_fragmented_to_what_the_peer_takes() -> None:
    with running() as endpoint, Peer(endpoint.port) as peer:
        peer.send(associate_rq(max_pdu_length=32))
        peer.receive()
        peer.send(*echo_pdus(3))
        command, is_last = b"", False
        while not is_last:
            raw = peer.receive_bytes()
            assert len(raw) - 6 <= 32
            pdu = decode_pdu(memoryview(raw))
            assert isinstance(pdu, PDataTf)
            (pdv,) = pdu.pdvs
            command += bytes(pdv.data)
            is_last = pdv.is_last
        assert DataSet.from_bytes(command, IMPLICIT).value_for("MessageIDBeingRespondedTo") == 3


def test_a_rejection_names_who_rejects() -> None:
    wrong_version = bytearray(encode_pdu(associate_rq()))
    wrong_version[7] = 2
    with running(max_associations_per_ae=1) as endpoint:
        with Peer(endpoint.port) as peer:
            peer.send_bytes(bytes(wrong_version))
            assert peer.receive() == AssociateRj(1, 2, 2)
        with Peer.associated(endpoint.port, calling="SAME"), Peer(endpoint.port) as peer:
            assert peer.associate(calling="SAME") == AssociateRj(2, 3, 2)


@pytest.mark.parametrize("vr", ["OD", "OL", "OV"])
def test_long_binary_values_have_a_length_of_four_bytes(vr: str) -> None:
    value = bytes(80_000)
    dataset = DataSet()
    dataset.put(0x0009_1001, vr, [value])
    encoded = dataset.to_bytes(EXPLICIT)
    assert encoded[4:12] == vr.encode() + b"\0\0" + (80_000).to_bytes(4, "little")
    assert bytes(DataSet.from_bytes(encoded, EXPLICIT).value_for(0x0009_1001)) == value


def test_attribute_tags_keep_their_high_byte() -> None:
    dataset = DataSet.from_keywords(FrameIncrementPointer=[Tag(0x3004, 0x000C)])
    encoded = dataset.to_bytes(EXPLICIT)
    assert encoded.endswith(bytes.fromhex("04300C00"))
    assert DataSet.from_bytes(encoded, EXPLICIT).FrameIncrementPointer == Tag(0x3004000C)


def test_a_command_that_does_not_exist_is_answered() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(
            *command_pdus(
                {
                    CommandElement.AFFECTED_SOP_CLASS_UID: CT_IMAGE,
                    CommandElement.COMMAND_FIELD: CommandField.C_ECHO_RQ + 1,
                    CommandElement.MESSAGE_ID: 8,
                }
            )
        )
        response = peer.response()
        assert (response.message_id, response.status) == (8, 0x0211)
        assert peer.echo(9) == 0
