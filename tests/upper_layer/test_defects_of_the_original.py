"""What the original library got wrong in these layers, and this one must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicom_actors.pdu import (
    Abort,
    AssociateRj,
    AsyncWindow,
    PresentationContextRq,
    Reject,
    decode_pdu,
    encode_pdu,
)
from dicom_actors.upper_layer import (
    AssociateIndication,
    AssociateReject,
    DataIndication,
    Indicate,
    ReleaseIndication,
    Role,
    State,
    negotiate,
)
from tests.upper_layer.scenes import (
    ABORT_BYTES,
    AC_BYTES,
    DATA_BYTES,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    MAX_PDU_LENGTH,
    POLICY,
    RELEASE_RQ_BYTES,
    RQ,
    RQ_BYTES,
    USER,
    VERIFICATION,
    abort_bytes,
    feed,
    machine_led_to,
    plain,
)


def indications(effects):
    return [type(effect.indication) for effect in effects if isinstance(effect, Indicate)]


def test_bytes_that_were_read_already_are_not_dropped():
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)

    effects, left = feed(machine, DATA_BYTES * 3 + RELEASE_RQ_BYTES + ABORT_BYTES[:7])

    assert indications(effects) == [DataIndication] * 3 + [ReleaseIndication]
    assert left == ABORT_BYTES[:7]


def test_an_a_abort_is_understood():
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)

    assert decode_pdu(ABORT_BYTES) == Abort(0, 0)
    effects, _ = feed(machine, ABORT_BYTES)
    assert plain(effects) == [("Indicate", "Aborted", 0, 0, None, False), ("CloseTransport",)]
    assert machine.state is State.STA1


def test_a_pdu_that_the_state_does_not_have_is_answered_and_the_state_stays_one():
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)

    effects, _ = feed(machine, AC_BYTES)

    assert plain(effects)[0] == ("Send", abort_bytes(2, 2))
    assert isinstance(machine.state, State)


def test_fragments_of_commands_are_passed_on_as_they_come():
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)
    first = bytes.fromhex("04 00 00000008 00000004 01 01 AA BB")
    last = bytes.fromhex("04 00 00000007 00000003 01 03 CC")

    effects, _ = feed(machine, first + last)

    fragments = [effect.indication.pdvs[0] for effect in effects]
    assert [(f.is_command, f.is_last, bytes(f.data)) for f in fragments] == [
        (True, False, b"\xaa\xbb"),
        (True, True, b"\xcc"),
    ]


def test_not_every_context_is_accepted_and_not_with_its_first_transfer_syntax():
    rq = replace(
        RQ,
        presentation_contexts=(
            PresentationContextRq(1, VERIFICATION, ("1.2.3", IMPLICIT_LITTLE, EXPLICIT_LITTLE)),
            PresentationContextRq(3, "1.2.840.10008.5.1.4.1.1.2", (IMPLICIT_LITTLE,)),
            PresentationContextRq(5, VERIFICATION, ("1.2.3",)),
        ),
    )

    answers = negotiate(rq, POLICY).presentation_contexts

    assert [(answer.result, answer.transfer_syntax) for answer in answers] == [
        (0, EXPLICIT_LITTLE),
        (3, IMPLICIT_LITTLE),
        (4, IMPLICIT_LITTLE),
    ]


def test_the_maximum_length_that_we_announce_is_ours():
    rq = replace(RQ, user_information=replace(USER, max_pdu_length=99_999))

    ac = negotiate(rq, POLICY)

    assert ac.user_information.max_pdu_length == MAX_PDU_LENGTH


def test_nothing_else_of_the_user_information_is_echoed():
    rq = replace(RQ, user_information=replace(USER, async_window=AsyncWindow(50, 50)))

    assert negotiate(rq, POLICY).user_information.async_window == AsyncWindow(1, 1)


@pytest.mark.parametrize("reject", Reject)
def test_a_rejection_has_the_source_of_its_reason(reject):
    machine = machine_led_to(Role.ACCEPTOR, State.STA3)

    (send, _) = machine.request(AssociateReject(reject))

    assert decode_pdu(b"".join(send.buffers)) == AssociateRj(*reject.value)


def test_a_request_in_pieces_is_one_request():
    machine = machine_led_to(Role.ACCEPTOR, State.STA2)

    assert feed(machine, RQ_BYTES[:100]) == ([], RQ_BYTES[:100])
    effects, left = feed(machine, RQ_BYTES)

    assert indications(effects) == [AssociateIndication]
    assert left == b""
    assert encode_pdu(effects[1].indication.rq) == RQ_BYTES
