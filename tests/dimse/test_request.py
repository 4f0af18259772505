"""Command sets of requests, against the standard's table of command elements."""

from __future__ import annotations

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from dicom_actors.dimse import (
    CommandElement,
    CommandField,
    attribute_identifier_list,
    decode_command,
    encode_cancel,
    encode_request,
)

# PS3.7 9.3 and 10.3: which UIDs a request has, and whether it has a priority.
REQUESTS = {
    CommandField.C_ECHO_RQ: ({"AffectedSOPClassUID"}, False),
    CommandField.C_STORE_RQ: ({"AffectedSOPClassUID", "AffectedSOPInstanceUID"}, True),
    CommandField.C_FIND_RQ: ({"AffectedSOPClassUID"}, True),
    CommandField.C_GET_RQ: ({"AffectedSOPClassUID"}, True),
    CommandField.C_MOVE_RQ: ({"AffectedSOPClassUID"}, True),
    CommandField.N_CREATE_RQ: ({"AffectedSOPClassUID", "AffectedSOPInstanceUID"}, False),
    CommandField.N_EVENT_REPORT_RQ: ({"AffectedSOPClassUID", "AffectedSOPInstanceUID"}, False),
    CommandField.N_GET_RQ: ({"RequestedSOPClassUID", "RequestedSOPInstanceUID"}, False),
    CommandField.N_SET_RQ: ({"RequestedSOPClassUID", "RequestedSOPInstanceUID"}, False),
    CommandField.N_ACTION_RQ: ({"RequestedSOPClassUID", "RequestedSOPInstanceUID"}, False),
    CommandField.N_DELETE_RQ: ({"RequestedSOPClassUID", "RequestedSOPInstanceUID"}, False),
}


def as_pydicom_reads(raw: bytes) -> pydicom.Dataset:
    return read_dataset(DicomBytesIO(raw), is_implicit_VR=True, is_little_endian=True)


@pytest.mark.parametrize("field", REQUESTS)
@pytest.mark.parametrize("has_data_set", [True, False])
def test_every_request_has_its_elements_and_no_others(field, has_data_set) -> None:
    uids, has_priority = REQUESTS[field]
    instance = "1.2.345" if any("Instance" in uid for uid in uids) else ""
    raw = encode_request(field, 513, "1.2.3", instance, has_data_set=has_data_set)
    read = as_pydicom_reads(raw)
    expected = {"CommandGroupLength", "CommandField", "MessageID", "CommandDataSetType", *uids}
    assert {element.keyword for element in read} == expected | (
        {"Priority"} & {"Priority"} if has_priority else set()
    )
    assert read.CommandGroupLength == len(raw) - 12
    assert (read.CommandField, read.MessageID) == (field, 513)
    assert (read.CommandDataSetType != 0x0101) == has_data_set
    assert [read[uid].value for uid in sorted(uids)] == ["1.2.3", "1.2.345"][: len(uids)]
    command = decode_command(raw)
    assert (command.command_field, command.message_id) == (field, 513)
    assert (command.sop_class_uid, command.sop_instance_uid) == ("1.2.3", instance)
    assert not command.is_response


def test_what_a_request_has_besides() -> None:
    tags = attribute_identifier_list([0x00100010, 0x7FE00010])
    raw = encode_request(
        CommandField.C_MOVE_RQ,
        1,
        "1.2",
        more={
            CommandElement.MOVE_DESTINATION: "DEST5",
            CommandElement.ATTRIBUTE_IDENTIFIER_LIST: tags,
            CommandElement.ACTION_TYPE_ID: 9,
        },
    )
    read = as_pydicom_reads(raw)
    assert read.MoveDestination == "DEST5"
    assert b"DEST5 " in raw
    assert list(read.AttributeIdentifierList) == [0x00100010, 0x7FE00010]
    assert read.ActionTypeID == 9
    assert [element.tag for element in read] == sorted(element.tag for element in read)


def test_a_cancel_names_the_message_and_nothing_else() -> None:
    read = as_pydicom_reads(encode_cancel(77))
    assert {element.keyword: element.value for element in read} == {
        "CommandGroupLength": 30,
        "CommandField": 0x0FFF,
        "MessageIDBeingRespondedTo": 77,
        "CommandDataSetType": 0x0101,
    }
