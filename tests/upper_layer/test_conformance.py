"""Policies as data and as text."""

from __future__ import annotations

from dataclasses import replace

from dicom_actors.pdu import AsyncWindow
from dicom_actors.upper_layer import (
    AcceptableContext,
    NegotiationPolicy,
    RolePolicy,
    acceptable_contexts,
    describe_policy,
)

VERIFICATION, CT_IMAGE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
NAMES = {VERIFICATION: "Verification", IMPLICIT: "Implicit VR Little Endian"}
POLICY = NegotiationPolicy(
    abstract_syntaxes={VERIFICATION: (IMPLICIT,), CT_IMAGE: (EXPLICIT, IMPLICIT)},
    max_pdu_length=65536,
    implementation_class_uid="1.2.3",
    roles={CT_IMAGE: RolePolicy(scu=True, scp=True)},
)


def test_rows_in_the_policys_order():
    assert acceptable_contexts(POLICY) == (
        AcceptableContext(VERIFICATION, (IMPLICIT,), as_scp=True, as_scu=False),
        AcceptableContext(CT_IMAGE, (EXPLICIT, IMPLICIT), as_scp=True, as_scu=True),
    )


def test_a_policy_without_a_list_is_asked():
    policy = replace(POLICY, abstract_syntaxes=POLICY.abstract_syntaxes.get)

    assert acceptable_contexts(policy) == ()
    assert acceptable_contexts(policy, ["1.2", CT_IMAGE, VERIFICATION]) == tuple(
        reversed(acceptable_contexts(POLICY))
    )


def test_roles_that_a_policy_is_asked_for():
    policy = replace(POLICY, roles=lambda uid: RolePolicy(scu=uid == CT_IMAGE, scp=False))

    assert [(row.as_scp, row.as_scu) for row in acceptable_contexts(policy)] == [
        (False, False),
        (True, False),
    ]


def test_the_text():
    assert describe_policy(POLICY, lambda uid: NAMES.get(uid, uid)).split("\n") == [
        "Implementation: 1.2.3",
        "Maximum length: 65536 bytes",
        "Asynchronous operations: the peer may invoke 1, perform 1",
        "Called AE titles: any",
        "Calling AE titles: any",
        "Associations: no limit in all, no limit for each calling AE title",
        "Specialized SOP classes: no",
        "SOP class extended negotiation: no",
        "Acceptable presentation contexts: 2",
        "  Verification (SCP)",
        "    Implicit VR Little Endian",
        "  1.2.840.10008.5.1.4.1.1.2 (SCP/SCU)",
        "    1.2.840.10008.1.2.1",
        "    Implicit VR Little Endian",
    ]


def test_sop_classes_with_the_same_transfer_syntaxes_stand_together():
    policy = replace(POLICY, abstract_syntaxes=dict.fromkeys(("1.1", "1.2"), (IMPLICIT,)))
    assert describe_policy(policy).splitlines()[-3:] == [
        "  1.1 (SCP)",
        "  1.2 (SCP)",
        f"    {IMPLICIT}",
    ]


def test_the_text_of_a_narrow_policy():
    policy = replace(
        POLICY,
        abstract_syntaxes={VERIFICATION: ()},
        implementation_version_name="NAME",
        async_window=AsyncWindow(0, 8),
        called_ae_titles=frozenset({"B", "A"}),
        calling_ae_titles=frozenset(),
        max_associations=5,
        max_associations_per_ae=2,
        specialized=True,
        extended=lambda item: item.information,
        roles={VERIFICATION: RolePolicy(scu=False, scp=False)},
    )

    assert describe_policy(policy).splitlines() == [
        "Implementation: NAME 1.2.3",
        "Maximum length: 65536 bytes",
        "Asynchronous operations: the peer may invoke any number, perform 8",
        "Called AE titles: A, B",
        "Calling AE titles: none",
        "Associations: 5 in all, 2 for each calling AE title",
        "Specialized SOP classes: as the general ones",
        "SOP class extended negotiation: yes",
        "Acceptable presentation contexts: 1",
        "  1.2.840.10008.1.1 (no role)",
    ]
