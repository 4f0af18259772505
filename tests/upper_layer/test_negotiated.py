"""The terms of an association, and whether a record of them is sound."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from enum import Enum

import pytest

from dicom_actors.errors import InvalidPduError
from dicom_actors.pdu import (
    AssociateAc,
    AssociateRq,
    AsyncWindow,
    ContextResult,
    PresentationContextAc,
    PresentationContextRq,
    RoleSelection,
    SopClassExtended,
    UserInformation,
)
from dicom_actors.upper_layer import AcceptedContext, Negotiated, Role, find_fault, negotiated

RQ = AssociateRq(
    "CALLED",
    "CALLING",
    (
        PresentationContextRq(1, "1.1", ("1.2", "1.3")),
        PresentationContextRq(3, "1.4", ("1.2",)),
        PresentationContextRq(5, "1.5", ("1.2",)),
    ),
    UserInformation(
        1000,
        "1.9",
        "ASKS",
        AsyncWindow(10, 20),
        (RoleSelection("1.1", True, True), RoleSelection("1.5", False, True)),
    ),
)
AC = AssociateAc(
    "CALLED",
    "CALLING",
    (
        PresentationContextAc(3, ContextResult.ACCEPTANCE, "1.2"),
        PresentationContextAc(1, ContextResult.ACCEPTANCE, "1.3"),
        PresentationContextAc(5, ContextResult.USER_REJECTION, ""),
    ),
    UserInformation(
        2000,
        "1.8",
        "ANSWERS",
        AsyncWindow(5, 0),
        (RoleSelection("1.1", False, True),),
        (SopClassExtended("1.4", b"\1"),),
    ),
)


def test_the_terms_for_the_requestor():
    assert negotiated(RQ, AC, Role.REQUESTOR) == Negotiated(
        role=Role.REQUESTOR,
        called_ae_title="CALLED",
        calling_ae_title="CALLING",
        contexts=(
            AcceptedContext(1, "1.1", "1.3", as_scu=False, as_scp=True),
            AcceptedContext(3, "1.4", "1.2", as_scu=True, as_scp=False),
        ),
        own_max_pdu_length=1000,
        peer_max_pdu_length=2000,
        max_invoked=5,
        max_performed=0,
        peer_implementation_class_uid="1.8",
        peer_implementation_version_name="ANSWERS",
        extended=(SopClassExtended("1.4", b"\1"),),
    )


def test_the_terms_for_the_acceptor():
    assert negotiated(RQ, AC, Role.ACCEPTOR) == Negotiated(
        role=Role.ACCEPTOR,
        called_ae_title="CALLED",
        calling_ae_title="CALLING",
        contexts=(
            AcceptedContext(1, "1.1", "1.3", as_scu=True, as_scp=False),
            AcceptedContext(3, "1.4", "1.2", as_scu=False, as_scp=True),
        ),
        own_max_pdu_length=2000,
        peer_max_pdu_length=1000,
        max_invoked=0,
        max_performed=5,
        peer_implementation_class_uid="1.9",
        peer_implementation_version_name="ASKS",
        extended=(SopClassExtended("1.4", b"\1"),),
    )


@pytest.mark.parametrize("side", ["request", "answer"])
def test_one_operation_each_way_unless_both_sides_say_more(side):
    rq, ac = RQ, AC
    if side == "request":
        rq = replace(RQ, user_information=replace(RQ.user_information, async_window=None))
    else:
        ac = replace(AC, user_information=replace(AC.user_information, async_window=None))

    terms = negotiated(rq, ac, Role.REQUESTOR)

    assert (terms.max_invoked, terms.max_performed) == (1, 1)


def test_a_context_without_a_role_left_is_not_usable():
    user = replace(AC.user_information, roles=(RoleSelection("1.1", False, False),))

    terms = negotiated(RQ, replace(AC, user_information=user), Role.REQUESTOR)

    assert [context.context_id for context in terms.contexts] == [3]


def test_roles_without_an_answer_are_the_default():
    user = replace(AC.user_information, roles=())

    context = negotiated(RQ, replace(AC, user_information=user), Role.REQUESTOR).contexts[0]

    assert (context.as_scu, context.as_scp) == (True, False)


def test_contexts_that_were_not_answered_are_not_accepted():
    ac = replace(AC, presentation_contexts=AC.presentation_contexts[:1])

    assert [c.context_id for c in negotiated(RQ, ac, Role.REQUESTOR).contexts] == [3]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([(7, ContextResult.ACCEPTANCE, "1.2")], "context 7: answered, but it was not proposed"),
        ([(7, ContextResult.NO_REASON, "")], "context 7: answered, but it was not proposed"),
        ([(3, ContextResult.ACCEPTANCE, "1.2")] * 2, "context 3: answered twice"),
        ([(3, ContextResult.ACCEPTANCE, "1.3")], "context 3: expected one of .* 1.2, got '1.3'"),
        ([(3, ContextResult.ACCEPTANCE, "")], "context 3: expected one of .* 1.2, got ''"),
    ],
)
def test_answers_to_something_else(answers, message):
    ac = replace(
        AC, presentation_contexts=tuple(PresentationContextAc(*answer) for answer in answers)
    )

    with pytest.raises(InvalidPduError, match=message):
        negotiated(RQ, ac, Role.REQUESTOR)


@pytest.mark.parametrize("length", [1, 7])
def test_an_answer_that_leaves_no_room_for_data(length):
    ac = replace(AC, user_information=replace(AC.user_information, max_pdu_length=length))

    with pytest.raises(InvalidPduError, match=f"maximum length of 0 or 8 at least, got {length}"):
        negotiated(RQ, ac, Role.REQUESTOR)


def test_terms_are_frozen_all_the_way_down():
    def walk(value):
        assert isinstance(value, int | str | bytes | tuple | Enum)
        if isinstance(value, tuple):
            for part in value:
                walk(part)

    terms = negotiated(RQ, AC, Role.REQUESTOR)
    for field in fields(terms):
        walk(getattr(terms, field.name))
    with pytest.raises(FrozenInstanceError):
        terms.peer_max_pdu_length = 5


def test_sound_terms():
    assert find_fault(negotiated(RQ, AC, Role.REQUESTOR)) is None
    assert find_fault(negotiated(RQ, AC, Role.ACCEPTOR)) is None


CONTEXT = AcceptedContext(1, "1.1", "1.2", as_scu=True, as_scp=False)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"contexts": (CONTEXT._replace(context_id=2),)}, "odd number of 1 to 255, got 2"),
        ({"contexts": (CONTEXT._replace(context_id=257),)}, "odd number of 1 to 255, got 257"),
        ({"contexts": (CONTEXT._replace(context_id=-1),)}, "odd number of 1 to 255, got -1"),
        ({"contexts": (CONTEXT, CONTEXT)}, "expected each once, got [1, 1]"),
        ({"contexts": (CONTEXT._replace(transfer_syntax=""),)}, "1: a syntax is missing"),
        ({"contexts": (CONTEXT._replace(abstract_syntax=""),)}, "1: a syntax is missing"),
        ({"own_max_pdu_length": -1}, "own_max_pdu_length: expected 0 or 8 to 4294967295, got -1"),
        ({"peer_max_pdu_length": 7}, "peer_max_pdu_length: expected 0 or 8"),
        ({"peer_max_pdu_length": 1 << 32}, "got 4294967296"),
        ({"max_invoked": -1}, "max_invoked: expected 0 to 65535, got -1"),
        ({"max_performed": 65536}, "max_performed: expected 0 to 65535, got 65536"),
    ],
)
def test_unsound_terms(change, fault):
    found = find_fault(replace(negotiated(RQ, AC, Role.REQUESTOR), **change))

    assert found is not None
    assert fault in found
