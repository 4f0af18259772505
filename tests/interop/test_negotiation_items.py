"""What DCMTK and pynetdicom negotiate beside presentation contexts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit.dcmtk import run
from kit.endpoints import running
from kit.pynetdicom_user import associate
from pydicom.data import get_testdata_file
from pynetdicom import AE, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from dicom_actors import Accept, Reject, events

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))


def only_jane(request: Any) -> Any:
    identity = request.user_identity
    if identity is None or identity.user_name != "jane" or identity.secondary_field != b"secret":
        return Reject.NO_REASON
    return True


@pytest.mark.parametrize("asks", [(), ("-rsp",)], ids=["no answer wanted", "answer wanted"])
def test_storescu_says_who_its_user_is(asks: tuple[str, ...]) -> None:
    handlers = {"association_validator": only_jane, "cstore": lambda event: None}
    with running(handlers) as endpoint:
        user = ("-usr", "jane", "-pwd", "secret", *asks)
        good = run("storescu", *user, "-aec", "TEST", "127.0.0.1", endpoint.port, CT)
        assert good.returncode == 0, good.stderr
        bad = run(
            "storescu", "-usr", "jane", "-pwd", "wrong", "-aec", "TEST", "127.0.0.1",
            endpoint.port, CT,
        )  # fmt: skip
        assert bad.returncode != 0
        assert "Rejected" in bad.stderr
        closed = endpoint.wait_for(events.AssociationClosed, 2)
        assert [c.reason for c in closed] == ["released", "rejected"]
        assert "secret" not in repr(closed)


def test_pynetdicom_gets_its_answers() -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 3
    identity.primary_field = b"ticket"
    identity.positive_response_requested = True
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 8
    window.maximum_number_operations_performed = 3
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CTImageStorage
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = CTImageStorage
    common.service_class_uid = "1.2.840.10008.4.2"
    ae = AE()
    ae.add_requested_context(Verification)
    ae.add_requested_context(CTImageStorage)

    def validate(request: Any) -> Accept:
        assert request.user_identity.primary_field == b"ticket"
        return Accept(b"server ticket")

    handlers = {"association_validator": validate, "cstore": lambda event: None}
    with running(handlers, async_window=4) as endpoint:
        association = associate(
            ae,
            endpoint.port,
            ext_neg=[identity, window, extended, common, build_role(CTImageStorage, scu_role=True)],
        )
        answers = {type(item).__name__: item for item in association.acceptor.user_information}
        response = answers["UserIdentityNegotiation"].server_response
        assert response == b"server ticket"
        agreed = answers["AsynchronousOperationsWindowNegotiation"]
        assert agreed.maximum_number_operations_invoked == 4
        assert agreed.maximum_number_operations_performed == 1
        role = answers["SCP_SCU_RoleSelectionNegotiation"]
        assert (role.scu_role, role.scp_role) == (True, False)
        assert association.send_c_echo().Status == 0
        association.release()


@pytest.mark.parametrize(("proposed", "accepted"), [((True, True), True), ((False, True), False)])
def test_a_role_that_nobody_can_play_leaves_the_context_out(
    proposed: tuple[bool, bool], accepted: bool
) -> None:
    ae = AE()
    ae.add_requested_context(Verification)
    ae.add_requested_context(CTImageStorage)
    scu, scp = proposed
    with running({"cstore": lambda event: None}) as endpoint:
        association = associate(
            ae,
            endpoint.port,
            ext_neg=[build_role(CTImageStorage, scu_role=scu, scp_role=scp)],
        )
        classes = {context.abstract_syntax for context in association.accepted_contexts}
        assert (CTImageStorage in classes) == accepted
        association.release()
