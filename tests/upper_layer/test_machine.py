"""What the machine does beside the table: checks, limits, faults found above, new incarnations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicom_actors.errors import InvalidPduError, LocalProtocolError, RemoteProtocolError
from dicom_actors.pdu import (
    ABORT_REASONS,
    AssociateLimitError,
    ContextResult,
    PDataTf,
    Pdv,
    PresentationContextAc,
    encode_pdu,
)
from dicom_actors.upper_layer import (
    AbortRequest,
    AssociateAccept,
    AssociateRequest,
    DataRequest,
    Role,
    Send,
    State,
    UpperLayer,
    UpperLayerLimits,
    find_fault,
    negotiated,
)
from tests.upper_layer.scenes import (
    AC,
    AC_BYTES,
    DATA_BYTES,
    LIMITS,
    PDV,
    RQ,
    RQ_BYTES,
    USER,
    abort_bytes,
    feed,
    machine_in,
    machine_led_to,
    plain,
)


def refused(machine, primitive, message):
    """Check that a request is refused, and that nothing has changed by it."""
    before = machine.state, machine.negotiated, machine.error
    with pytest.raises(LocalProtocolError, match=message):
        machine.request(primitive)
    assert (machine.state, machine.negotiated, machine.error) == before


# --- data -------------------------------------------------------------------------------------


def test_payloads_come_in_as_slices_and_go_out_as_they_are():
    machine = machine_in(Role.ACCEPTOR, State.STA6)
    buffer = bytearray(DATA_BYTES)

    _, ((data,),) = machine.receive_data(memoryview(buffer))
    buffer[12:] = b"ECHO"
    assert data.pdvs[0].data == b"ECHO"

    payload = memoryview(bytes(500))
    ((buffers,),) = machine.request(DataRequest((PDV._replace(data=payload),)))
    assert buffers[1] is payload


@pytest.mark.parametrize("state", [State.STA6, State.STA8])
def test_data_that_may_not_be_sent(state):
    machine = machine_led_to(Role.ACCEPTOR, state)

    refused(machine, DataRequest(()), "expected a PDV at least, got none")
    refused(
        machine,
        DataRequest((PDV, PDV._replace(context_id=3))),
        "expected an accepted presentation context, got 3",
    )
    refused(
        machine,
        DataRequest((PDV._replace(data=bytes(1019)),)),
        "expected 1024 bytes at most, which the peer takes, got 1025",
    )
    machine.request(DataRequest((PDV._replace(data=bytes(1018)),)))


def test_a_peer_without_a_limit_gets_as_much_as_there_is():
    rq = replace(RQ, user_information=replace(USER, max_pdu_length=0))
    machine = UpperLayer.resume(negotiated(rq, AC, Role.ACCEPTOR), LIMITS)

    (sent,) = machine.request(DataRequest((PDV._replace(data=bytes(1 << 20)),)))

    assert len(b"".join(sent.buffers)) == (1 << 20) + 12


@pytest.mark.parametrize("state", [State.STA6, State.STA7])
@pytest.mark.parametrize("pdvs", [1, 2])
def test_the_announced_maximum_is_held(state, pdvs):
    machine = machine_led_to(Role.REQUESTOR, state)
    full = tuple(PDV._replace(data=bytes(1024 // pdvs - 6)) for _ in range(pdvs))
    data = encode_pdu(PDataTf(full))

    effects, left = feed(machine, data)
    assert plain(effects) == [("Indicate", "DataIndication", full)]
    assert left == b""

    consumed, effects = machine.receive_data(memoryview(b"\4\0\0\0\4\1"))
    assert (consumed, machine.state) == (6, State.STA13)
    assert plain(effects)[0] == ("Send", abort_bytes(2, 6))


def test_data_before_and_after_a_release_request():
    machine = machine_led_to(Role.REQUESTOR, State.STA7)

    effects, _ = feed(machine, DATA_BYTES * 2)

    assert plain(effects) == [("Indicate", "DataIndication", (PDV,))] * 2
    assert machine.state is State.STA7


# --- what is announced and answered ------------------------------------------------------------


def test_what_is_announced_must_be_what_is_held():
    other = replace(USER, max_pdu_length=2048)
    message = "expected to announce 1024, which is the limit that is held, got 2048"

    requestor = UpperLayer(Role.REQUESTOR, LIMITS)
    refused(requestor, AssociateRequest(replace(RQ, user_information=other)), message)
    acceptor = machine_led_to(Role.ACCEPTOR, State.STA3)
    refused(acceptor, AssociateAccept(replace(AC, user_information=other)), message)
    with pytest.raises(LocalProtocolError, match=message):
        UpperLayer.resume(
            negotiated(RQ, replace(AC, user_information=other), Role.ACCEPTOR), LIMITS
        )


def test_an_acceptor_asks_for_nothing():
    refused(UpperLayer(Role.ACCEPTOR, LIMITS), AssociateRequest(RQ), "expected the requestor's")


def test_a_request_that_cannot_be_encoded_is_refused_before_anything_is_opened():
    machine = UpperLayer(Role.REQUESTOR, LIMITS)

    refused(machine, AssociateRequest(replace(RQ, called_ae_title="")), "AE title")


def test_an_answer_must_be_one_to_the_request():
    machine = machine_led_to(Role.ACCEPTOR, State.STA3)
    unasked = (PresentationContextAc(9, ContextResult.ACCEPTANCE, "1.2"),)

    refused(
        machine, AssociateAccept(replace(AC, presentation_contexts=unasked)), "was not proposed"
    )
    machine.request(AssociateAccept(AC))
    assert machine.negotiated == negotiated(RQ, AC, Role.ACCEPTOR)


def test_an_answer_that_cannot_be_encoded_leaves_everything_as_it_was():
    machine = machine_led_to(Role.ACCEPTOR, State.STA3)

    refused(machine, AssociateAccept(replace(AC, protocol_version=-1)), "does not fit")
    machine.request(AssociateAccept(AC))


def test_a_peers_answer_to_something_else_is_a_bad_pdu():
    machine = machine_led_to(Role.REQUESTOR, State.STA5)
    unasked = (PresentationContextAc(9, ContextResult.NO_REASON, ""),)

    effects, _ = feed(machine, encode_pdu(replace(AC, presentation_contexts=unasked)))

    assert plain(effects) == [
        ("Send", abort_bytes(2, 6)),
        ("Indicate", "Aborted", 2, 6, InvalidPduError, False),
        ("StartArtim",),
    ]
    assert "was not proposed" in str(machine.error)
    assert machine.negotiated is None


def test_a_peers_answer_that_is_too_much_is_a_bad_pdu():
    machine = UpperLayer(Role.REQUESTOR, replace(LIMITS, max_user_information_length=10))
    machine.request(AssociateRequest(RQ))
    machine.connected()

    effects, _ = feed(machine, AC_BYTES)

    assert plain(effects)[:2] == [
        ("Send", abort_bytes(2, 6)),
        ("Indicate", "Aborted", 2, 6, AssociateLimitError, False),
    ]


def test_the_terms_are_known_once_the_association_is_accepted():
    for role in Role:
        assert machine_led_to(role, State.STA6).negotiated == negotiated(RQ, AC, role)
        assert machine_led_to(role, State.STA1).negotiated is None


# --- aborts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ABORT_REASONS)
def test_an_abort_for_a_fault_of_ours(reason):
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)

    effects = machine.request(AbortRequest(2, reason))

    assert plain(effects) == [("Send", abort_bytes(2, reason)), ("StartArtim",)]
    assert machine.state is State.STA13


@pytest.mark.parametrize(("source", "reason"), [(0, 1), (1, 0), (2, 3), (2, 7), (-1, 0)])
def test_aborts_that_the_standard_does_not_have(source, reason):
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)

    refused(machine, AbortRequest(source, reason), f"got {source} with {reason}")


@pytest.mark.parametrize("reason", ABORT_REASONS)
@pytest.mark.parametrize("state", [State.STA6, State.STA7, State.STA8])
def test_a_fault_found_above_is_the_providers_abort(state, reason):
    machine = machine_led_to(Role.ACCEPTOR, state)
    error = RemoteProtocolError("a command set without end", abort_reason=reason)

    effects = machine.fail(error)

    assert plain(effects) == [
        ("Send", abort_bytes(2, reason)),
        ("Indicate", "Aborted", 2, reason, RemoteProtocolError, False),
        ("StartArtim",),
    ]
    assert machine.error is error


@pytest.mark.parametrize("place", [(Role.ACCEPTOR, State.STA1), (Role.REQUESTOR, State.STA4)])
def test_there_is_no_fault_where_there_is_no_peer(place):
    machine = machine_led_to(*place)

    with pytest.raises(LocalProtocolError, match="not possible"):
        machine.fail(RemoteProtocolError("?"))
    assert (machine.state, machine.error) == (place[1], None)


def test_the_first_fault_is_the_one_that_is_kept():
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)
    first = RemoteProtocolError("first")

    machine.fail(first)
    machine.fail(RemoteProtocolError("second"))

    assert machine.error is first


def test_something_else_is_no_request():
    refused(machine_led_to(Role.ACCEPTOR, State.STA6), object(), "expected a request primitive")


# --- a new incarnation ------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_a_new_machine_takes_over_an_established_association(role):
    old = machine_led_to(role, State.STA6)
    assert find_fault(old.negotiated) is None

    new = UpperLayer.resume(old.negotiated, LIMITS)

    assert (new.state, new.role, new.negotiated) == (State.STA6, role, old.negotiated)
    effects, left = feed(new, DATA_BYTES)
    assert plain(effects) == [("Indicate", "DataIndication", (PDV,))]
    assert left == b""
    (sent,) = new.request(DataRequest((PDV,)))
    assert isinstance(sent, Send)


def test_machines_have_defaults():
    machine = UpperLayer(Role.ACCEPTOR)

    assert machine.limits == UpperLayerLimits()
    assert machine.limits.max_associate_length == 1 << 20
    machine.connected()
    assert feed(machine, RQ_BYTES)[1] == b""


def test_two_pdvs_of_which_one_is_on_a_foreign_context():
    machine = machine_in(Role.ACCEPTOR, State.STA6)
    data = encode_pdu(PDataTf((PDV, Pdv(3, is_command=False, is_last=True, data=b""))))

    effects, _ = feed(machine, data)

    assert plain(effects)[0] == ("Send", abort_bytes(2, 6))
    assert len(effects) == 3  # the good one is not indicated either
