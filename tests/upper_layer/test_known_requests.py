"""Association requests that came before: the same answers, with less work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.errors import RemoteProtocolError
from dicom_actors.pdu import (
    AssociateAc,
    AssociateRq,
    PresentationContextRq,
    Reject,
    UserIdentity,
    UserInformation,
    encode_pdu,
)
from dicom_actors.upper_layer import (
    AssociateAccept,
    AssociateIndication,
    AssociateReject,
    Indicate,
    KnownRequests,
    NegotiationPolicy,
    Role,
    State,
    UpperLayer,
    UpperLayerLimits,
    known_requests,
    machine,
    negotiate,
    negotiation,
)
from dicom_actors.upper_layer.known_requests import MAX_KNOWN, MAX_LENGTH
from tests.pdu.strategies import ASSOCIATE_RQS

CT, IMPLICIT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
LIMITS = UpperLayerLimits(max_pdu_length=65536)
POLICY = NegotiationPolicy(
    abstract_syntaxes=lambda uid: (EXPLICIT, IMPLICIT) if uid != "1.2.3" else None,
    max_pdu_length=65536,
    implementation_class_uid="1.2.3.4",
    max_associations=3,
)
IMPLICIT_ONLY = replace(POLICY, abstract_syntaxes=lambda _: (IMPLICIT,))
NOBODY = replace(POLICY, calling_ae_titles=frozenset({"NOBODY"}))
RQ = AssociateRq(
    "CALLED",
    "CALLING",
    (PresentationContextRq(1, CT, (IMPLICIT, EXPLICIT)),),
    UserInformation(16384, "1.9"),
)


def opened(words: bytes, policy: NegotiationPolicy, known: KnownRequests | None, count: int = 0):
    """All that comes of a request: what is done, the state, the terms."""
    layer = UpperLayer(Role.ACCEPTOR, LIMITS, known)
    layer.connected()
    consumed, effects = layer.receive_data(memoryview(words))
    done = [consumed, effects]
    indication = next((e.indication for e in effects if type(e) is Indicate), None)
    if type(indication) is AssociateIndication:
        rq = indication.rq
        if known is None:
            answer = negotiate(rq, policy, open_associations=count)
        else:
            answer = known.negotiate(rq, policy, (count, 0))
        accept = AssociateAccept if isinstance(answer, AssociateAc) else AssociateReject
        done.append(layer.request(accept(answer)))
    return done, layer.state, layer.negotiated, str(layer.error)


@given(
    st.lists(st.one_of(ASSOCIATE_RQS, st.just(RQ)), min_size=1, max_size=4).flatmap(
        lambda rqs: st.lists(
            st.tuples(
                st.sampled_from(rqs),
                st.sampled_from([POLICY, IMPLICIT_ONLY, NOBODY]),
                st.integers(2, 3),
            ),
            max_size=12,
        )
    )
)
def test_what_is_known_changes_nothing(conversation) -> None:
    known = KnownRequests(LIMITS)
    for rq, policy, count in conversation:
        words = encode_pdu(rq)
        assert opened(words, policy, known, count) == opened(words, policy, None, count)


def test_the_same_words_are_read_and_answered_once(monkeypatch) -> None:
    known, words = KnownRequests(LIMITS), encode_pdu(RQ)
    first = opened(words, POLICY, known)
    assert first[1] is State.STA6

    monkeypatch.setattr(known_requests, "decode_associate_rq", None)
    monkeypatch.setattr(negotiation, "_answer_contexts", None)
    for name in ("negotiated", "refuse_request"):
        monkeypatch.setattr(machine, name, None)

    assert opened(words, POLICY, known) == first


def test_a_limit_is_seen_each_time() -> None:
    known, words = KnownRequests(LIMITS), memoryview(encode_pdu(RQ))
    for count in (0, 3, 2, 4):
        expected = Reject.LOCAL_LIMIT_EXCEEDED if count >= 3 else AssociateAc
        answer = known.negotiate(known.decode(words), POLICY, (count, 0))
        assert answer is expected or type(answer) is expected


def test_nobody_waits_for_a_request_that_is_broken() -> None:
    known, words = KnownRequests(LIMITS), bytearray(encode_pdu(RQ))
    words[76:78] = b"\xff\xff"
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            known.decode(memoryview(words))
    assert not known._by_words


@pytest.mark.parametrize(
    "rq",
    [
        replace(RQ, user_information=replace(RQ.user_information, user_identity=identity))
        for identity in (UserIdentity(1, b"user"), UserIdentity(2, b"user", b"passcode"))
    ]
    + [replace(RQ, presentation_contexts=())]
    + [
        replace(
            RQ,
            presentation_contexts=tuple(
                PresentationContextRq(2 * n + 1, CT, (IMPLICIT,) * 20) for n in range(128)
            ),
        )
    ],
    ids=["user name", "passcode", "refused", "longer than any"],
)
def test_what_is_not_kept(rq: AssociateRq) -> None:
    known = KnownRequests(LIMITS)
    words = encode_pdu(rq)
    got = known.decode(memoryview(words))
    assert got.presentation_contexts == rq.presentation_contexts
    assert not known.is_known(got)
    assert not known._by_words
    assert not known._by_identity
    assert len(words) > MAX_LENGTH or len(rq.presentation_contexts) < 2


def test_what_peers_can_make_it_keep_is_bounded() -> None:
    known = KnownRequests(LIMITS)
    for number in range(3 * MAX_KNOWN):
        words = memoryview(encode_pdu(replace(RQ, calling_ae_title=f"CALLING{number}")))
        assert known.is_known(known.decode(words))
        assert known.decode(words) is known.decode(words)
    assert len(known._by_words) == len(known._by_identity) == MAX_KNOWN
