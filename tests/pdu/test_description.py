"""PDUs as lines of text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from dicom_actors.pdu import (
    Abort,
    AssociateRj,
    PDataTf,
    Pdv,
    PresentationContextRq,
    ReleaseRp,
    ReleaseRq,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UserInformation,
    describe_pdu,
)
from tests.pdu.golden import DCMTK_AC, DCMTK_IDENTITY_RQ, GOLDEN, LAYOUT_RQ, PYNETDICOM_RQ
from tests.pdu.strategies import PDUS

NAMES = {"1.2.840.10008.1.1": "Verification", "1.2.840.10008.1.2": "Implicit"}


@pytest.mark.parametrize(
    ("pdu", "line"),
    [
        (
            DCMTK_IDENTITY_RQ.pdu,
            (
                "A-ASSOCIATE-RQ: MODALITY to ARCHIVE"
                " | contexts 1 1.2.840.10008.5.1.4.1.1.2 [1.2.840.10008.1.2.1];"
                " 3 1.2.840.10008.5.1.4.1.1.2 [1.2.840.10008.1.2.2, Implicit]"
                " | maximum length 16384 | software OFFIS_DCMTK_367 1.2.276.0.7230010.3.0.3.6.7"
                " | user identity of type 2"
            ),
        ),
        (
            DCMTK_AC.pdu,
            (
                "A-ASSOCIATE-AC: PYSCU to DCMTK"
                " | contexts 1 accepted [1.2.840.10008.1.2.1]; 3 abstract syntax not supported;"
                " 5 transfer syntaxes not supported"
                " | maximum length 16384 | software OFFIS_DCMTK_367 1.2.276.0.7230010.3.0.3.6.7"
            ),
        ),
        (
            LAYOUT_RQ.pdu,
            (
                "A-ASSOCIATE-RQ: ABCDEFGHIJKLMNOP to A | contexts 255 Verification [Implicit]"
                " | maximum length unlimited | software V 1.2.3.4 | window 0/65535"
                " | role Verification SCP | role 1.2.3.4 SCU | extended 1.2.3.4, 0 bytes"
                " | common extended 1.2.3.4 | common extended 1.2.3.4 | user identity of type 5"
                " | item 5AH, 3 bytes | item 00H, 0 bytes"
            ),
        ),
        (
            PDataTf((Pdv(1, True, False, b"secret"), Pdv(3, False, True, b""))),
            "P-DATA-TF: context 1 command, 6 bytes; context 3 data, 0 bytes, last",
        ),
        (PDataTf(()), "P-DATA-TF: nothing"),
        (
            PDataTf((Pdv(1, False, False, b"x"),) * 10),
            "P-DATA-TF: " + "context 1 data, 1 byte; " * 8 + "and 2 more",
        ),
        (ReleaseRq(), "A-RELEASE-RQ"),
        (ReleaseRp(), "A-RELEASE-RP"),
        (
            AssociateRj(1, 1, 1),
            "A-ASSOCIATE-RJ: rejected permanently by the service user: no reason given (1/1/1)",
        ),
        (Abort(2, 2), "A-ABORT: aborted by the service provider: unexpected PDU (2/2)"),
    ],
)
def test_lines(pdu, line):
    assert describe_pdu(pdu, lambda uid: NAMES.get(uid, uid)) == line


def test_whatever_a_peer_proposes_a_line_is_no_page():
    uid = "1.2.840.10008." + "1" * 50
    contexts = tuple(PresentationContextRq(number, uid, (uid,) * 50) for number in range(1, 256, 2))
    user = UserInformation(
        max_pdu_length=1,
        implementation_class_uid=uid,
        roles=(RoleSelection(uid, True, True),) * 128,
        extended=(SopClassExtended(uid, b"x" * 100),) * 128,
        common_extended=(SopClassCommonExtended(uid, uid, ()),) * 128,
        unknown=((0x77, b"x" * 1000),) * 100,
    )
    line = describe_pdu(
        replace(PYNETDICOM_RQ.pdu, presentation_contexts=contexts, user_information=user)
    )
    assert len(line) < 2000
    for said in ("and 48 more]", "and 124 more |", "and 125 more roles", "and 97 more items"):
        assert said in line
    assert "and 125 more extended" in line


def test_uids_stay_uids_by_default():
    assert "255 1.2.840.10008.1.1 [1.2.840.10008.1.2]" in describe_pdu(LAYOUT_RQ.pdu)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_golden_pdus_are_one_line_with_their_name(golden):
    line = describe_pdu(golden.pdu)

    assert line.isprintable()
    assert golden.name.startswith(line.split(":")[0])


@settings(max_examples=40)
@given(PDUS)
def test_every_pdu_is_one_printable_line(pdu):
    assert describe_pdu(pdu).isprintable()


def test_secrets_do_not_show():
    line = describe_pdu(PYNETDICOM_RQ.pdu) + describe_pdu(DCMTK_IDENTITY_RQ.pdu)

    for secret in ("KRB", "anna", "secret"):
        assert secret not in line
