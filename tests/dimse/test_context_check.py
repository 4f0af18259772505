"""Which requests may stand on which presentation context, service by service."""

from __future__ import annotations

import pytest

from dicom_actors.data.dictionary import (
    query_retrieve_sop_classes,
    sop_class_services,
    storage_sop_classes,
    uid_entry,
    uid_of,
)
from dicom_actors.data.dictionary.uids import registry
from dicom_actors.dimse import (
    Command,
    CommandField,
    context_mismatch,
    operation_mismatch,
)
from dicom_actors.dimse.command import RESPONSE
from dicom_actors.dimse.context_check import _MEMBERS

REQUESTS = [field for field in CommandField if field != CommandField.C_CANCEL_RQ]
NORMALIZED = [field for field in REQUESTS if field.name.startswith("N_")]
NAMES = {field.name[:-3].replace("_", "-"): field for field in REQUESTS}
PRIVATE = "1.2.826.0.1.3680043.9.9999.1"


def uid(keyword: str) -> str:
    found = uid_of(keyword)
    assert found is not None, keyword
    return found


CT, MR = uid("CTImageStorage"), uid("MRImageStorage")
UPS = ["Push", "Watch", "Pull", "Event", "Query"]


def mismatch(field: int, sop_class: str, abstract_syntax: str) -> int | None:
    sop_class, abstract_syntax = (
        uid_of(sop_class) or sop_class,
        uid_of(abstract_syntax) or abstract_syntax,
    )
    command = Command(b"", field, 1, sop_class, "1.2.3", has_data_set=False)
    return context_mismatch(command, abstract_syntax)


def refusal(field: int) -> int:
    return 0xA900 if field == CommandField.C_STORE_RQ else 0x0122


# --- what is the same fits, and what differs does not -------------------------------------------


@pytest.mark.parametrize("field", REQUESTS)
def test_a_request_names_what_was_negotiated(field: int) -> None:
    for known in (*storage_sop_classes(), *sop_class_services(), PRIVATE):
        assert mismatch(field, known, known) is None


@pytest.mark.parametrize("field", [*REQUESTS, 0x7777])
@pytest.mark.parametrize(
    "other", ["MRImageStorage", "Verification", PRIVATE, CT + ".1", CT[:-1], ""]
)
def test_another_sop_class_is_refused(field: int, other: str) -> None:
    assert mismatch(field, other, "CTImageStorage") == refusal(field)


def test_every_sop_class_is_refused_on_the_context_of_another_service() -> None:
    every = [*storage_sop_classes(), *sop_class_services(), PRIVATE]
    for sop_class in every:
        for abstract_syntax in (
            CT,
            uid("Verification"),
            uid("StorageCommitmentPushModel"),
            PRIVATE,
        ):
            if sop_class != abstract_syntax:
                assert mismatch(CommandField.C_STORE_RQ, sop_class, abstract_syntax) == 0xA900
                assert mismatch(CommandField.C_ECHO_RQ, sop_class, abstract_syntax) == 0x0122
                assert mismatch(CommandField.N_ACTION_RQ, sop_class, abstract_syntax) == 0x0122


@pytest.mark.parametrize("field", [*(field | RESPONSE for field in REQUESTS), 0x0FFF])
@pytest.mark.parametrize("named", ["", "MRImageStorage"])
def test_responses_and_cancels_are_not_looked_at(field: int, named: str) -> None:
    assert mismatch(field, named, "CTImageStorage") is None


# --- queries ------------------------------------------------------------------------------------


def test_a_query_names_its_own_model_and_no_other() -> None:
    models = query_retrieve_sop_classes()
    for model in models.values():
        field = NAMES[model.operation]
        assert mismatch(field, model.uid, model.uid) is None
        for other in models:
            if other != model.uid and model.uid not in _MEMBERS.get(other, ()):
                assert mismatch(field, model.uid, other) == 0x0122


# --- meta SOP classes ---------------------------------------------------------------------------

PRINTING = {
    "BasicGrayscalePrintManagementMeta": "BasicGrayscaleImageBox",
    "BasicColorPrintManagementMeta": "BasicColorImageBox",
}


@pytest.mark.parametrize(("meta", "image_box"), PRINTING.items())
@pytest.mark.parametrize("field", NORMALIZED)
def test_printing_names_members_of_the_meta_sop_class(meta, image_box, field) -> None:
    for member in ("BasicFilmSession", "BasicFilmBox", image_box, "Printer"):
        assert mismatch(field, member, meta) is None


@pytest.mark.parametrize(("meta", "image_box"), PRINTING.items())
def test_printing_beyond_the_meta_sop_class_is_negotiated_by_itself(meta, image_box) -> None:
    (other_box,) = set(PRINTING.values()) - {image_box}
    for optional in ("PresentationLUT", "PrintJob", "BasicAnnotationBox", other_box):
        assert mismatch(CommandField.N_CREATE_RQ, optional, meta) == 0x0122
        assert mismatch(CommandField.N_CREATE_RQ, optional, optional) is None
    # A member's context is for that member.
    assert mismatch(CommandField.N_GET_RQ, "Printer", "BasicFilmSession") == 0x0122
    assert mismatch(CommandField.N_GET_RQ, meta, "Printer") == 0x0122


def test_the_members_of_each_meta_sop_class_have_its_services() -> None:
    services = sop_class_services()
    metas = {e.uid for e in registry().entries.values() if e.type == "Meta SOP Class"}
    assert set(_MEMBERS) == metas
    for meta, members in _MEMBERS.items():
        operations = {operation for uid in members for operation in services[uid].operations}
        assert operations == services[meta].operations, uid_entry(meta)
        notifying = {services[uid].has_notifications for uid in members}
        assert (True in notifying) is services[meta].has_notifications, uid_entry(meta)
        for member in members:
            for operation in services[member].operations:
                assert mismatch(NAMES[operation], member, meta) is None


# --- unified procedure steps --------------------------------------------------------------------


@pytest.mark.parametrize("negotiated", UPS)
def test_steps_are_of_the_push_class_whatever_was_negotiated(negotiated: str) -> None:
    abstract_syntax = f"UnifiedProcedureStep{negotiated}"
    for field in NORMALIZED:
        assert mismatch(field, "UnifiedProcedureStepPush", abstract_syntax) is None
    for other in UPS[1:]:
        expected = None if other == negotiated else 0x0122
        name = f"UnifiedProcedureStep{other}"
        assert mismatch(CommandField.N_GET_RQ, name, abstract_syntax) == expected
        assert mismatch(CommandField.C_FIND_RQ, name, abstract_syntax) == expected


@pytest.mark.parametrize("negotiated", UPS[1:])
def test_a_query_for_steps_names_what_was_negotiated(negotiated: str) -> None:
    abstract_syntax = f"UnifiedProcedureStep{negotiated}"
    push = "UnifiedProcedureStepPush"
    assert mismatch(CommandField.C_FIND_RQ, push, abstract_syntax) == 0x0122
    assert mismatch(CommandField.C_STORE_RQ, push, abstract_syntax) == 0xA900


# --- classes that share an instance but not their UID -------------------------------------------


def test_procedure_steps_are_retrieved_and_notified_by_the_class_of_that_service() -> None:
    step = "ModalityPerformedProcedureStep"
    for field, negotiated in ((0x0110, f"{step}Retrieve"), (0x0100, f"{step}Notification")):
        assert mismatch(field, negotiated, negotiated) is None
        assert mismatch(field, step, negotiated) == 0x0122


def test_storage_commitment_answers_under_its_own_class() -> None:
    commitment = "StorageCommitmentPushModel"
    assert mismatch(CommandField.N_ACTION_RQ, commitment, commitment) is None
    assert mismatch(CommandField.N_EVENT_REPORT_RQ, commitment, commitment) is None
    assert mismatch(CommandField.N_EVENT_REPORT_RQ, CT, commitment) == 0x0122


# --- operations ---------------------------------------------------------------------------------


def test_an_operation_is_one_of_its_sop_class() -> None:
    for services in sop_class_services().values():
        allowed = {NAMES[operation] for operation in services.operations}
        if services.has_notifications:
            allowed.add(CommandField.N_EVENT_REPORT_RQ)
        for field in REQUESTS:
            expected = None if field in allowed else 0x0211
            assert operation_mismatch(field, services.uid) == expected, (field, services)


@pytest.mark.parametrize("field", REQUESTS)
def test_storage_classes_are_for_storage(field: int) -> None:
    expected = None if field == CommandField.C_STORE_RQ else 0x0211
    for sop_class in storage_sop_classes():
        assert operation_mismatch(field, sop_class) == expected


def test_nothing_is_known_of_private_classes() -> None:
    for field in (*REQUESTS, 0x7777):
        assert operation_mismatch(field, PRIVATE) is None


def test_what_is_no_request_is_not_looked_at_and_what_is_unknown_is_refused() -> None:
    assert operation_mismatch(0x0FFF, CT) is None
    assert operation_mismatch(0x8020, CT) is None
    assert operation_mismatch(0x7777, CT) == 0x0211
