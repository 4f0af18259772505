"""Which presentation contexts an endpoint accepts, by its handlers: without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dicom_actors import EndpointConfig
from dicom_actors.actors import describe_acceptance
from dicom_actors.actors.association.admission import READABLE, policy_for
from dicom_actors.actors.kernel.handler_table import SERVICES, HandlerTable
from dicom_actors.data import TransferSyntax
from dicom_actors.data.dictionary import sop_class_services, storage_sop_classes, uid_of
from dicom_actors.pdu import (
    AssociateAc,
    AssociateRq,
    ContextResult,
    PresentationContextRq,
    RoleSelection,
    UserInformation,
)
from dicom_actors.upper_layer import negotiate

if TYPE_CHECKING:
    from collections.abc import Iterable

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EVENTS = uid_of("UnifiedProcedureStepEvent") or ""
COMMITMENT = uid_of("StorageCommitmentPushModel") or ""
PRIVATE = "1.2.3.4.5"
IMPLICIT, JPEG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.1.99",
)
NOT_SUPPORTED = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
NO_ROLE = ContextResult.USER_REJECTION
ACCEPTED = ContextResult.ACCEPTANCE

NAMES_OF_OPERATIONS = {
    "C-ECHO": "cecho",
    "C-STORE": "cstore",
    "C-FIND": "cfind",
    "C-GET": "cget",
    "C-MOVE": "cmove",
    "N-CREATE": "ncreate",
    "N-SET": "nset",
    "N-GET": "nget",
    "N-DELETE": "ndelete",
    "N-ACTION": "naction",
}


def handler(event: Any) -> None:
    """Do nothing."""


def answer(
    names: Iterable[str],
    proposals: Iterable[tuple[str, tuple[str, ...]]],
    roles: Iterable[RoleSelection] = (),
    **settings: Any,
) -> AssociateAc:
    """What an endpoint with handlers of these names answers."""
    contexts = tuple(
        PresentationContextRq(2 * index + 1, uid, syntaxes)
        for index, (uid, syntaxes) in enumerate(proposals)
    )
    rq = AssociateRq(
        "CALLED", "CALLING", contexts, UserInformation(16384, "1.9", roles=tuple(roles))
    )
    table = HandlerTable(dict.fromkeys(names, handler))
    ac = negotiate(rq, policy_for(EndpointConfig(**settings), table))
    assert isinstance(ac, AssociateAc)
    return ac


def accepted(
    names: Iterable[str], uids: Iterable[str], roles: Iterable[RoleSelection] = ()
) -> set[str]:
    """The SOP classes of these that are accepted in Implicit VR Little Endian."""
    uids = tuple(uids)
    ac = answer(names, [(uid, (IMPLICIT,)) for uid in uids], roles)
    return {
        uid
        for uid, context in zip(uids, ac.presentation_contexts, strict=True)
        if context.result is ACCEPTED
    }


def test_without_handlers_there_is_verification() -> None:
    assert accepted((), [*sop_class_services(), *storage_sop_classes(), PRIVATE]) == {VERIFICATION}


@pytest.mark.parametrize("operation", NAMES_OF_OPERATIONS)
def test_a_handler_brings_the_sop_classes_that_have_its_service(operation: str) -> None:
    known = sop_class_services()
    expected = {uid for uid, services in known.items() if operation in services.operations}
    assert expected
    assert accepted([NAMES_OF_OPERATIONS[operation]], known) == expected | {VERIFICATION}


def test_every_service_has_a_name() -> None:
    assert {*NAMES_OF_OPERATIONS.values(), "nevent_report"} == set(SERVICES.values())


def test_event_reports_come_from_the_requestor_that_is_the_provider() -> None:
    known = sop_class_services()
    expected = {uid for uid, services in known.items() if services.has_notifications}
    as_provider = [RoleSelection(uid, scu=True, scp=True) for uid in known]
    ac = answer(["nevent_report"], [(uid, (IMPLICIT,)) for uid in known], as_provider)
    assert set(ac.user_information.roles) == {
        RoleSelection(VERIFICATION, scu=True, scp=False),
        *(RoleSelection(uid, scu=False, scp=True) for uid in expected),
    }
    assert accepted(["nevent_report"], known, as_provider) == expected | {VERIFICATION}


def test_event_reports_are_taken_from_whoever_proposes_no_role() -> None:
    known = sop_class_services()
    expected = {uid for uid, services in known.items() if services.has_notifications}
    assert COMMITMENT in expected
    assert accepted(["nevent_report"], known) == expected | {VERIFICATION}
    ac = answer(["nevent_report"], [(uid, (IMPLICIT,)) for uid in known])
    assert ac.user_information.roles == ()


# Handlers, the SOP class, the roles that the requestor proposes (SCU, SCP), the answer's.
ROLES: list[tuple[str, str, tuple[bool, bool] | None, ContextResult, tuple[bool, bool] | None]] = [
    ("", CT_IMAGE, None, NOT_SUPPORTED, None),
    ("", CT_IMAGE, (True, True), NOT_SUPPORTED, None),
    ("cmove", CT_IMAGE, (False, True), NOT_SUPPORTED, None),
    ("cstore", CT_IMAGE, None, ACCEPTED, None),
    ("cstore", CT_IMAGE, (True, True), ACCEPTED, (True, False)),
    ("cstore", CT_IMAGE, (False, True), NO_ROLE, None),
    ("cget", CT_IMAGE, None, NO_ROLE, None),
    ("cget", CT_IMAGE, (True, False), NO_ROLE, None),
    ("cget", CT_IMAGE, (False, True), ACCEPTED, (False, True)),
    ("cget", CT_IMAGE, (True, True), ACCEPTED, (False, True)),
    ("cget cstore", CT_IMAGE, None, ACCEPTED, None),
    ("cget cstore", CT_IMAGE, (True, True), ACCEPTED, (True, True)),
    ("cget cstore", CT_IMAGE, (False, True), ACCEPTED, (False, True)),
    ("cget", PRIVATE, (False, True), ACCEPTED, (False, True)),
    ("cstore", PRIVATE, (False, True), NO_ROLE, None),
    ("naction", COMMITMENT, None, ACCEPTED, None),
    ("naction", COMMITMENT, (True, True), ACCEPTED, (True, False)),
    ("naction", COMMITMENT, (False, True), NO_ROLE, None),
    ("nevent_report", COMMITMENT, None, ACCEPTED, None),
    ("nevent_report", COMMITMENT, (False, True), ACCEPTED, (False, True)),
    ("nevent_report", COMMITMENT, (True, True), ACCEPTED, (False, True)),
    ("nevent_report", COMMITMENT, (True, False), NO_ROLE, None),
    ("nevent_report", EVENTS, None, ACCEPTED, None),
    ("naction nevent_report", COMMITMENT, (True, True), ACCEPTED, (True, True)),
    ("naction", EVENTS, (True, True), NOT_SUPPORTED, None),
    ("cget", VERIFICATION, (True, True), ACCEPTED, (True, False)),
]


@pytest.mark.parametrize(("names", "uid", "proposed", "result", "answered"), ROLES)
def test_roles(
    names: str,
    uid: str,
    proposed: tuple[bool, bool] | None,
    result: ContextResult,
    answered: tuple[bool, bool] | None,
) -> None:
    roles = () if proposed is None else (RoleSelection(uid, *proposed),)
    ac = answer(names.split(), [(uid, (IMPLICIT,))], roles, storage_sop_classes=None)
    assert ac.presentation_contexts[0].result is result
    assert ac.user_information.roles == (
        () if answered is None else (RoleSelection(uid, *answered),)
    )


@pytest.mark.parametrize("names", ["cstore", "cget"])
def test_objects_come_and_go_in_any_transfer_syntax(names: str) -> None:
    syntaxes = [s.uid for s in TransferSyntax.all_known() if s.is_data_set_encoding]
    proposals = [(CT_IMAGE, (syntax,)) for syntax in syntaxes]
    role = RoleSelection(CT_IMAGE, scu=True, scp=True)
    ac = answer([names], proposals, [role])
    assert [context.transfer_syntax for context in ac.presentation_contexts] == syntaxes
    assert all(context.result is ACCEPTED for context in ac.presentation_contexts)
    only = answer([names], proposals, [role], transfer_syntaxes=(IMPLICIT,))
    assert sum(context.result is ACCEPTED for context in only.presentation_contexts) == 1


def test_other_data_sets_are_in_what_we_read_and_write() -> None:
    uid = uid_of("ModalityPerformedProcedureStep") or ""
    proposals = [(uid, (syntax,)) for syntax in (*READABLE, JPEG)]
    ac = answer(["ncreate"], [*proposals, (uid, (JPEG, DEFLATED, IMPLICIT))])
    assert [context.result for context in ac.presentation_contexts] == [
        *[ACCEPTED] * len(READABLE),
        ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED,
        ACCEPTED,
    ]
    assert ac.presentation_contexts[-1].transfer_syntax == IMPLICIT


def test_private_sop_classes_may_be_limited() -> None:
    proposals = [(PRIVATE, (IMPLICIT,)), ("1.2.3.9", (IMPLICIT,)), (CT_IMAGE, (IMPLICIT,))]
    for private, results in (
        ([PRIVATE], [ACCEPTED, NOT_SUPPORTED, ACCEPTED]),
        ([], [NOT_SUPPORTED, NOT_SUPPORTED, ACCEPTED]),
        (None, [ACCEPTED, ACCEPTED, ACCEPTED]),
    ):
        ac = answer(["cstore"], proposals, storage_sop_classes=private)
        assert [context.result for context in ac.presentation_contexts] == results


def test_what_is_no_sop_class_of_the_network_is_refused() -> None:
    everything = set(SERVICES.values())
    uids = ("1.2.840.10008.1.3.10", "1.2.840.10008.10.1", "1.2.840.10008.1.2", "1.2.840.10008.4.2")
    assert accepted(everything, uids) == set()


def test_the_text_names_what_is_accepted_and_in_which_role() -> None:
    config = EndpointConfig(storage_sop_classes=[PRIVATE])

    def lines(*names: str) -> list[str]:
        return describe_acceptance(config, dict.fromkeys(names, handler)).splitlines()

    assert [line for line in lines() if "SCP" in line] == ["  Verification SOP Class (SCP)"]
    every = lines(*SERVICES.values())
    assert "  CT Image Storage (SCP/SCU)" in every
    assert f"  {PRIVATE} (SCP/SCU)" in every
    assert "  Storage Commitment Push Model SOP Class (SCP/SCU)" in every
    assert "  Unified Procedure Step - Event SOP Class (SCU)" in every
    assert "  Basic Grayscale Print Management Meta SOP Class (SCP/SCU)" in every
    assert sum("(SC" in line for line in every) == 214 + 1 + len(sop_class_services())
    assert "  CT Image Storage (SCU)" in lines("cget")
    assert "  Modality Performed Procedure Step SOP Class (SCP)" in lines("ncreate")
