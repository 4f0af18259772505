"""Two machines back to back: whole dialogues, and random ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.pdu import AssociateRj, Pdv, Reject
from dicom_actors.upper_layer import (
    Aborted,
    AbortRequest,
    AssociateAccept,
    AssociateAccepted,
    AssociateIndication,
    AssociateReject,
    AssociateRejected,
    AssociateRequest,
    DataIndication,
    DataRequest,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    ReleaseRequest,
    ReleaseResponse,
    State,
)
from tests.upper_layer.pair import IDLE, Pair
from tests.upper_layer.scenes import AC, PDV, RQ

LOST = Aborted(2, 0, connection_lost=True)


def established():
    pair = Pair()
    pair.requestor.request(AssociateRequest(RQ))
    pair.settle()
    pair.acceptor.request(AssociateAccept(AC))
    pair.settle()
    assert pair.states == (State.STA6, State.STA6)
    for side in pair.sides:
        side.told.clear()
    return pair


def test_establishment():
    pair = Pair()

    pair.requestor.request(AssociateRequest(RQ))
    assert pair.states == (State.STA5, State.STA2)
    assert pair.acceptor.artim
    pair.settle()
    assert pair.states == (State.STA5, State.STA3)
    assert not pair.acceptor.artim
    assert pair.acceptor.told == [AssociateIndication(RQ)]
    pair.acceptor.request(AssociateAccept(AC))
    pair.settle()

    assert pair.states == (State.STA6, State.STA6)
    assert pair.requestor.told == [AssociateAccepted(AC)]
    for side, scu in zip(pair.sides, (True, False), strict=True):
        (context,) = side.machine.negotiated.contexts
        assert (context.context_id, context.as_scu, context.as_scp) == (1, scu, not scu)


def test_rejection():
    pair = Pair()
    pair.requestor.request(AssociateRequest(RQ))
    pair.settle()

    pair.acceptor.request(AssociateReject(Reject.TEMPORARY_CONGESTION))
    assert pair.states == (State.STA5, State.STA13)
    pair.settle()

    assert pair.states == IDLE
    assert pair.requestor.told == [AssociateRejected(AssociateRj(2, 3, 1))]
    assert not pair.acceptor.artim


def test_data_both_ways_in_order():
    pair = established()
    pdvs = [Pdv(1, bool(n & 1), bool(n & 2), bytes((n,)) * n) for n in range(20)]

    for pdv in pdvs:
        for side in pair.sides:
            side.request(DataRequest((pdv,)))
    pair.settle()

    for side in pair.sides:
        assert side.told == [DataIndication((pdv,)) for pdv in pdvs]


def test_release_by_either_side():
    for by, other in ((0, 1), (1, 0)):
        pair = established()
        asking, answering = pair.sides[by], pair.sides[other]

        asking.request(ReleaseRequest())
        answering.request(DataRequest((PDV,)))  # on its way while the release comes
        pair.settle()
        assert answering.told == [ReleaseIndication()]
        answering.request(DataRequest((PDV,)))  # Sta8 may still send
        answering.request(ReleaseResponse())
        pair.settle()

        assert pair.states == IDLE
        assert asking.told == [DataIndication((PDV,))] * 2 + [ReleaseConfirmation()]


def test_release_collision():
    pair = established()

    for side in pair.sides:
        side.request(ReleaseRequest())
    pair.settle()
    assert pair.states == (State.STA9, State.STA10)
    assert pair.requestor.told == pair.acceptor.told == [ReleaseCollision()]

    pair.requestor.request(ReleaseResponse())
    pair.settle()
    assert pair.states == (State.STA11, State.STA12)
    assert pair.acceptor.told[1:] == [ReleaseConfirmation()]

    pair.acceptor.request(ReleaseResponse())
    pair.settle()
    assert pair.states == IDLE
    assert pair.requestor.told[1:] == [ReleaseConfirmation()]


def test_abort_by_either_side_with_data_on_its_way():
    for by, other in ((0, 1), (1, 0)):
        pair = established()
        aborting, aborted = pair.sides[by], pair.sides[other]

        aborted.request(DataRequest((PDV,)))
        aborting.request(AbortRequest(2, 0))
        pair.settle()

        assert pair.states == IDLE
        assert aborted.told == [Aborted(2, 0)]
        assert aborting.told == []


def test_aborts_that_cross():
    pair = established()

    for side in pair.sides:
        side.request(AbortRequest())
    pair.settle()

    assert pair.states == IDLE
    assert not any(side.artim for side in pair.sides)


def test_a_connection_that_is_lost():
    pair = established()

    for side in pair.sides:
        side.at_end = True
    pair.settle()

    assert pair.states == IDLE
    assert pair.requestor.told == pair.acceptor.told == [LOST]


def test_an_abort_while_the_answer_is_awaited():
    pair = Pair()
    pair.requestor.request(AssociateRequest(RQ))
    pair.requestor.request(AbortRequest())
    pair.settle()

    assert pair.states == IDLE
    assert pair.acceptor.told == [AssociateIndication(RQ), Aborted(0, 0)]


# What the local user may do, by state.
CHOICES = {
    State.STA3: (
        AssociateAccept(AC),
        AssociateReject(Reject.NO_REASON),
        AbortRequest(),
        AbortRequest(2, 0),
    ),
    State.STA5: (AbortRequest(),),
    State.STA6: (
        DataRequest((PDV,)),
        DataRequest((PDV, PDV)),
        ReleaseRequest(),
        AbortRequest(),
    ),
    State.STA7: (AbortRequest(),),
    State.STA8: (DataRequest((PDV,)), ReleaseResponse(), AbortRequest()),
    State.STA9: (ReleaseResponse(), AbortRequest()),
    State.STA10: (AbortRequest(),),
    State.STA11: (AbortRequest(),),
    State.STA12: (ReleaseResponse(), AbortRequest()),
}


@given(st.data())
def test_random_valid_dialogues_end_idle(data):
    pair = Pair()
    pair.requestor.request(AssociateRequest(RQ))
    for _ in range(data.draw(st.integers(0, 25), label="steps")):
        moves = [(side.read, ()) for side in pair.sides]
        for side in pair.sides:
            choices = CHOICES.get(side.machine.state, ())
            moves += [(side.request, (choice,)) for choice in choices]
        move, arguments = data.draw(st.sampled_from(moves), label="move")
        move(*arguments)

    pair.settle()
    for side in pair.sides:
        # Whoever is still in an association ends it now.
        if AbortRequest() in CHOICES.get(side.machine.state, ()):
            side.request(AbortRequest())
    pair.end()

    assert pair.states == IDLE
    assert not any(side.artim for side in pair.sides)
    for side in pair.sides:
        assert side.machine.error is None  # two of ours never break the protocol
        # Nothing is indicated after the end.
        ends = [n for n, told in enumerate(side.told) if isinstance(told, Aborted)]
        assert ends in ([], [len(side.told) - 1])
