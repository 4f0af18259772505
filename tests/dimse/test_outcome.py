"""What responses say, also those of peers that do not keep to the standard."""

from __future__ import annotations

import pytest

from dicom_actors.data.dictionary import uid_of
from dicom_actors.dimse import (
    Command,
    CommandElement,
    SubOperations,
    decode_command,
    describe_status,
    encode_command,
    error_comment,
    status_service,
    sub_operations,
)


def command(status: int, more: dict[int, int | str | bytes] | None = None):
    values = {
        CommandElement.COMMAND_FIELD: 0x8021,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: 1,
        CommandElement.STATUS: status,
        **(more or {}),
    }
    return decode_command(encode_command(values, has_data_set=False))


@pytest.mark.parametrize(
    ("sop_class", "command_field", "service"),
    [
        ("Verification", 0x8030, "Verification"),
        ("CTImageStorage", 0x8001, "Storage"),
        ("HangingProtocolStorage", 0x8001, "Storage"),
        ("StudyRootQueryRetrieveInformationModelFind", 0x8020, "Query/Retrieve C-FIND"),
        ("ModalityWorklistInformationModelFind", 0x8020, "Modality Worklist C-FIND"),
        ("SubstanceApprovalQuery", 0x8020, "Substance Administration C-FIND"),
        ("CardiacRelevantPatientInformationQuery", 0x8020, "Relevant Patient Information C-FIND"),
        ("HangingProtocolInformationModelGet", 0x8010, "Query/Retrieve C-GET"),
        ("StudyRootQueryRetrieveInformationModelMove", 0x8021, "Query/Retrieve C-MOVE"),
        ("UnifiedProcedureStepPull", 0x8020, "Unified Procedure Step"),
        ("UnifiedProcedureStepPush", 0x8130, "Unified Procedure Step"),
        ("BasicFilmBox", 0x8140, "Print Management"),
        ("ModalityPerformedProcedureStep", 0x8120, "Modality Performed Procedure Step"),
        ("RTIonMachineVerification", 0x8140, "RT Machine Verification"),
        ("MediaCreationManagement", 0x8130, "Media Creation Management"),
        ("ProceduralEventLogging", 0x8130, "Application Event Logging"),
        ("InventoryCreation", 0x8130, "Storage Management"),
        ("StorageCommitmentPushModel", 0x8130, "Storage Commitment"),
        ("DisplaySystem", 0x8110, ""),
        ("", 0x8001, "Storage"),
        ("", 0x8020, "Query/Retrieve C-FIND"),
        ("", 0x8120, ""),
        ("", 0x8FFF, ""),
    ],
)
def test_whose_status_it_is(sop_class: str, command_field: int, service: str) -> None:
    uid = uid_of(sop_class) if sop_class else ""
    assert uid is not None
    response = Command(b"", command_field, 1, uid, "", has_data_set=False, status=0)
    assert status_service(response) == service
    assert describe_status(0xC000, status_service(response)).startswith("C000H: ")


def test_comments() -> None:
    comment = CommandElement.ERROR_COMMENT
    assert error_comment(command(0xA700, {comment: "disk full"})) == "disk full"
    assert error_comment(command(0xA700)) == ""
    assert error_comment(command(0, {comment: "fine"})) == ""
    assert error_comment(command(0xA700, {comment: b"a\\b"})) == ""
    assert isinstance(error_comment(command(0xA700, {comment: b"\xff\xfe"})), str)


def test_counts() -> None:
    counts = {0x1020: 4, 0x1021: 3, 0x1022: 2, 0x1023: 1}
    assert sub_operations(command(0xFF00, dict(counts))) == SubOperations(4, 3, 2, 1)
    assert sub_operations(command(0)) == SubOperations(None, None, None, None)
    broken = command(0, {0x1020: b"\1", 0x1021: b"\1\0\2\0", 0x1022: 5})
    assert sub_operations(broken) == SubOperations(None, None, 5, None)
