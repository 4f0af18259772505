"""Answers to an A-ASSOCIATE-RQ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_actors.pdu import (
    APPLICATION_CONTEXT,
    AssociateAc,
    AssociateRq,
    AsyncWindow,
    ContextResult,
    PresentationContextAc,
    PresentationContextRq,
    Reject,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UserIdentity,
    UserInformation,
    decode_pdu,
    encode_pdu,
)
from dicom_actors.upper_layer import (
    NegotiationPolicy,
    Role,
    RolePolicy,
    negotiate,
    negotiated,
    propose_contexts,
    refuse_request,
)
from tests.pdu.strategies import ASSOCIATE_RQS

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"

POLICY = NegotiationPolicy(
    abstract_syntaxes={VERIFICATION: (IMPLICIT,), CT_IMAGE: (EXPLICIT, IMPLICIT)},
    max_pdu_length=65536,
    implementation_class_uid="1.2.3.4",
    implementation_version_name="OURS",
)
USER = UserInformation(16384, "1.9")


def request(*contexts, **user):
    return AssociateRq("CALLED", "CALLING", contexts, replace(USER, **user))


def contexts_of(rq, policy=POLICY):
    return negotiate(rq, policy).presentation_contexts


def test_each_context_has_its_own_answer():
    rq = request(
        PresentationContextRq(5, VERIFICATION, (BIG, IMPLICIT)),
        PresentationContextRq(1, "1.2.3", (IMPLICIT,)),
        PresentationContextRq(255, CT_IMAGE, (BIG,)),
        PresentationContextRq(7, CT_IMAGE, (EXPLICIT,)),
        PresentationContextRq(9, "", (IMPLICIT,)),
        PresentationContextRq(11, VERIFICATION, ()),
    )

    assert contexts_of(rq) == (
        (5, ContextResult.ACCEPTANCE, IMPLICIT),
        (1, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT),
        (255, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT),
        (7, ContextResult.ACCEPTANCE, EXPLICIT),
        (9, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT),
        (11, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT),
    )


@pytest.mark.parametrize("proposed", [(EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT), (BIG, EXPLICIT)])
def test_the_order_of_transfer_syntaxes_is_ours(proposed):
    rq = request(PresentationContextRq(1, CT_IMAGE, proposed))

    assert contexts_of(rq) == ((1, ContextResult.ACCEPTANCE, EXPLICIT),)


def test_syntaxes_from_a_callable():
    def look_up(uid):
        return (BIG,) if uid.startswith("1.2.840.") else None

    policy = replace(POLICY, abstract_syntaxes=look_up)
    rq = request(
        PresentationContextRq(1, VERIFICATION, (IMPLICIT, BIG)),
        PresentationContextRq(3, "1.3", (BIG,)),
    )

    assert [answer.result for answer in contexts_of(rq, policy)] == [0, 3]


def test_the_answer_says_who_we_are_and_what_we_take():
    rq = request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,)))

    ac = negotiate(rq, POLICY)

    assert ac == AssociateAc(
        "CALLED",
        "CALLING",
        (PresentationContextAc(1, ContextResult.ACCEPTANCE, IMPLICIT),),
        UserInformation(65536, "1.2.3.4", "OURS"),
        APPLICATION_CONTEXT,
        1,
    )


@pytest.mark.parametrize(
    ("change", "policy", "reject"),
    [
        (
            {"application_context_name": "1.2.3"},
            {},
            Reject.APPLICATION_CONTEXT_NOT_SUPPORTED,
        ),
        ({"application_context_name": ""}, {}, Reject.APPLICATION_CONTEXT_NOT_SUPPORTED),
        (
            {"called_ae_title": "OTHER"},
            {"called_ae_titles": frozenset({"CALLED"})},
            Reject.CALLED_AE_TITLE_NOT_RECOGNIZED,
        ),
        (
            {"calling_ae_title": "OTHER"},
            {"calling_ae_titles": frozenset({"CALLING"})},
            Reject.CALLING_AE_TITLE_NOT_RECOGNIZED,
        ),
        ({"called_ae_title": ""}, {}, Reject.CALLED_AE_TITLE_NOT_RECOGNIZED),
        ({"calling_ae_title": ""}, {}, Reject.CALLING_AE_TITLE_NOT_RECOGNIZED),
        ({"called_ae_title": r"A\x00"}, {}, Reject.CALLED_AE_TITLE_NOT_RECOGNIZED),
        ({"calling_ae_title": r"\xfc"}, {}, Reject.CALLING_AE_TITLE_NOT_RECOGNIZED),
    ],
)
def test_rejections(change, policy, reject):
    rq = replace(request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,))), **change)

    assert negotiate(rq, replace(POLICY, **policy)) is reject


def test_listed_titles_are_taken():
    rq = request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,)))
    policy = replace(
        POLICY,
        called_ae_titles=frozenset({"CALLED", "X"}),
        calling_ae_titles=frozenset({"CALLING"}),
    )

    assert isinstance(negotiate(rq, policy), AssociateAc)


@pytest.mark.parametrize(
    ("in_all", "from_caller", "rejected"),
    [(0, 0, False), (9, 1, False), (10, 0, True), (11, 0, True), (3, 2, True), (3, 3, True)],
)
def test_limits(in_all, from_caller, rejected):
    rq = request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,)))
    policy = replace(POLICY, max_associations=10, max_associations_per_ae=2)

    answer = negotiate(rq, policy, open_associations=in_all, open_from_caller=from_caller)

    assert (answer is Reject.LOCAL_LIMIT_EXCEEDED) is rejected


@pytest.mark.parametrize(
    ("proposed", "ours", "answered"),
    [
        (None, AsyncWindow(5, 5), None),
        (AsyncWindow(3, 9), AsyncWindow(5, 5), AsyncWindow(3, 5)),
        (AsyncWindow(0, 1), AsyncWindow(5, 0), AsyncWindow(5, 1)),
        (AsyncWindow(0, 0), AsyncWindow(0, 7), AsyncWindow(0, 7)),
        (AsyncWindow(8, 8), AsyncWindow(1, 1), AsyncWindow(1, 1)),
    ],
)
def test_the_window_is_the_smaller_one(proposed, ours, answered):
    rq = request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,)), async_window=proposed)

    ac = negotiate(rq, replace(POLICY, async_window=ours))

    assert ac.user_information.async_window == answered


# Roles proposed and allowed; what is answered, and whether the context is accepted.
ROLES = [
    ((True, True), (True, True), (True, True)),
    ((True, True), (True, False), (True, False)),
    ((True, True), (False, True), (False, True)),
    ((False, True), (True, True), (False, True)),
    ((True, False), (True, True), (True, False)),
    ((False, True), (True, False), None),
    ((False, False), (True, True), None),
]


@pytest.mark.parametrize(("proposed", "allowed", "answered"), ROLES)
def test_roles(proposed, allowed, answered):
    rq = request(
        PresentationContextRq(1, CT_IMAGE, (IMPLICIT,)),
        PresentationContextRq(3, VERIFICATION, (IMPLICIT,)),
        roles=(RoleSelection(CT_IMAGE, *proposed),),
    )

    ac = negotiate(rq, replace(POLICY, roles={CT_IMAGE: RolePolicy(*allowed)}))

    if answered is None:
        assert ac.user_information.roles == ()
        assert [answer.result for answer in ac.presentation_contexts] == [1, 0]
    else:
        assert ac.user_information.roles == (RoleSelection(CT_IMAGE, *answered),)
        assert [answer.result for answer in ac.presentation_contexts] == [0, 0]
    contexts = {
        context.context_id: context for context in negotiated(rq, ac, Role.ACCEPTOR).contexts
    }
    if answered is not None:
        assert (contexts[1].as_scp, contexts[1].as_scu) == answered
    assert (contexts[3].as_scp, contexts[3].as_scu) == (True, False)


def test_roles_from_a_callable():
    def look_up(uid):
        return RolePolicy(scu=False, scp=True) if uid == CT_IMAGE else RolePolicy()

    rq = request(
        PresentationContextRq(1, CT_IMAGE, (IMPLICIT,)),
        PresentationContextRq(3, VERIFICATION, (IMPLICIT,)),
        roles=(RoleSelection(CT_IMAGE, True, True), RoleSelection(VERIFICATION, True, True)),
    )

    assert negotiate(rq, replace(POLICY, roles=look_up)).user_information.roles == (
        RoleSelection(CT_IMAGE, False, True),
        RoleSelection(VERIFICATION, True, False),
    )


def test_who_proposes_no_role_is_the_scu_and_refused_where_that_cannot_be():
    rq = request(
        PresentationContextRq(1, CT_IMAGE, (IMPLICIT,)),
        PresentationContextRq(3, VERIFICATION, (IMPLICIT,)),
        PresentationContextRq(5, CT_IMAGE, (BIG,)),
    )

    ac = negotiate(rq, replace(POLICY, roles={CT_IMAGE: RolePolicy(scu=False, scp=True)}))

    assert [answer.result for answer in ac.presentation_contexts] == [
        ContextResult.USER_REJECTION,
        ContextResult.ACCEPTANCE,
        ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED,
    ]
    assert ac.user_information.roles == ()


@pytest.mark.parametrize("proposed", [None, (True, False), (False, True), (True, True)])
def test_who_proposes_no_role_may_be_accepted_all_the_same(proposed):
    rq = request(
        PresentationContextRq(1, CT_IMAGE, (IMPLICIT,)),
        roles=() if proposed is None else (RoleSelection(CT_IMAGE, *proposed),),
    )
    allowed = RolePolicy(scu=False, scp=True, unstated=True)

    ac = negotiate(rq, replace(POLICY, roles={CT_IMAGE: allowed}))

    is_accepted = proposed is None or proposed[1]
    assert [answer.result for answer in ac.presentation_contexts] == [
        ContextResult.ACCEPTANCE if is_accepted else ContextResult.USER_REJECTION
    ]
    answered = is_accepted and proposed is not None
    assert ac.user_information.roles == (RoleSelection(CT_IMAGE, False, True),) * answered


def test_roles_are_the_default_without_a_policy_and_only_for_accepted_contexts():
    rq = request(
        PresentationContextRq(1, CT_IMAGE, (IMPLICIT,)),
        PresentationContextRq(3, "1.2.3", (IMPLICIT,)),
        roles=(RoleSelection(CT_IMAGE, True, True), RoleSelection("1.2.3", True, True)),
    )

    assert negotiate(rq, POLICY).user_information.roles == (RoleSelection(CT_IMAGE, True, False),)


def test_extended_negotiation_is_answered_by_the_policy():
    def answer(item):
        return item.information[:1] if item.information else None

    rq = request(
        PresentationContextRq(1, CT_IMAGE, (IMPLICIT,)),
        PresentationContextRq(3, VERIFICATION, (IMPLICIT,)),
        PresentationContextRq(5, "1.2.3", (IMPLICIT,)),
        extended=(
            SopClassExtended(CT_IMAGE, b"\2\0"),
            SopClassExtended(VERIFICATION, b""),
            SopClassExtended("1.2.3", b"\1"),
        ),
    )

    assert negotiate(rq, POLICY).user_information.extended == ()
    ac = negotiate(rq, replace(POLICY, extended=answer))
    assert ac.user_information.extended == (SopClassExtended(CT_IMAGE, b"\2"),)


@pytest.mark.parametrize(("specialized", "result"), [(True, 0), (False, 3)])
def test_a_specialized_sop_class_is_taken_as_the_general_one(specialized, result):
    rq = request(
        PresentationContextRq(1, "1.2.3.4", (EXPLICIT,)),
        common_extended=(
            SopClassCommonExtended("1.2.3.4", "1.2.840.10008.4.2", ("1.2.5", CT_IMAGE)),
        ),
        roles=(RoleSelection("1.2.3.4", True, True),),
    )
    policy = replace(
        POLICY, specialized=specialized, roles={CT_IMAGE: RolePolicy(scu=True, scp=True)}
    )

    ac = negotiate(rq, policy)

    assert ac.presentation_contexts[0].result == result
    roles = (RoleSelection("1.2.3.4", True, True),) if specialized else ()
    assert ac.user_information.roles == roles


@pytest.mark.parametrize(
    ("identity", "response", "answered"),
    [
        (None, b"", None),
        (UserIdentity(1, b"anna"), b"", None),
        (UserIdentity(1, b"anna", positive_response_requested=True), None, None),
        (UserIdentity(1, b"anna", positive_response_requested=True), b"", b""),
        (UserIdentity(3, b"ticket", positive_response_requested=True), b"server", b"server"),
    ],
)
def test_an_identity_is_answered_if_it_was_verified_and_an_answer_is_wanted(
    identity, response, answered
):
    rq = request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,)), user_identity=identity)

    ac = negotiate(rq, POLICY, identity_response=response)

    assert ac.user_information.user_identity_response == answered


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_protocol_versions_with_bit_0_are_ours(version):
    rq = replace(
        request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,))), protocol_version=version
    )

    assert refuse_request(rq) is None


@pytest.mark.parametrize(
    ("change", "reject", "message"),
    [
        ({"protocol_version": 0}, Reject.PROTOCOL_VERSION_NOT_SUPPORTED, "got 0000H"),
        ({"protocol_version": 0xFFFE}, Reject.PROTOCOL_VERSION_NOT_SUPPORTED, "got FFFEH"),
        ({"presentation_contexts": ()}, Reject.ACSE_NO_REASON, "got none"),
        (
            {"presentation_contexts": (PresentationContextRq(2, "1", ()),)},
            Reject.ACSE_NO_REASON,
            "got [2]",
        ),
        (
            {"presentation_contexts": (PresentationContextRq(0, "1", ()),)},
            Reject.ACSE_NO_REASON,
            "got [0]",
        ),
        (
            {"presentation_contexts": (PresentationContextRq(1, "1", ()),) * 2},
            Reject.ACSE_NO_REASON,
            "got [1, 1]",
        ),
        ({"user_information": UserInformation(7, "1.2")}, Reject.ACSE_NO_REASON, "got 7"),
    ],
)
def test_what_the_provider_refuses(change, reject, message):
    rq = replace(request(PresentationContextRq(1, VERIFICATION, (IMPLICIT,))), **change)

    refused = refuse_request(rq)

    assert refused is not None
    assert refused[0] is reject
    assert message in refused[1]


@settings(max_examples=40)
@given(ASSOCIATE_RQS, st.booleans())
def test_every_request_has_an_answer_that_both_sides_understand_alike(rq, is_wide):
    policy = replace(
        POLICY,
        abstract_syntaxes=lambda uid: (uid[:3], "1.2") if is_wide else None,
        specialized=is_wide,
        async_window=AsyncWindow(4, 0),
    )
    answer = negotiate(rq, policy)
    if refuse_request(rq) is not None or isinstance(answer, Reject):
        return

    ac = decode_pdu(encode_pdu(answer))
    ours, theirs = negotiated(rq, answer, Role.ACCEPTOR), negotiated(rq, ac, Role.REQUESTOR)

    assert [c.context_id for c in answer.presentation_contexts] == [
        c.context_id for c in rq.presentation_contexts
    ]
    assert [(c[:3], c.as_scu, c.as_scp) for c in ours.contexts] == [
        (c[:3], c.as_scp, c.as_scu) for c in theirs.contexts
    ]
    assert (ours.max_invoked, ours.max_performed) == (theirs.max_performed, theirs.max_invoked)
    assert (ours.own_max_pdu_length, ours.peer_max_pdu_length) == (
        theirs.peer_max_pdu_length,
        theirs.own_max_pdu_length,
    )


def test_contexts_are_proposed_with_odd_numbers():
    assert propose_contexts([(VERIFICATION, (IMPLICIT,)), (CT_IMAGE, (EXPLICIT, IMPLICIT))]) == (
        PresentationContextRq(1, VERIFICATION, (IMPLICIT,)),
        PresentationContextRq(3, CT_IMAGE, (EXPLICIT, IMPLICIT)),
    )
    assert propose_contexts([("1.2", ())] * 128)[-1].context_id == 255
    with pytest.raises(ValueError, match="expected 128 at most, got 129"):
        propose_contexts([("1.2", ())] * 129)
