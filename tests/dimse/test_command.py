"""Command sets: what is read, what is written, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_actors.dimse import (
    Command,
    CommandElement,
    CommandField,
    decode_command,
    encode_command,
    encode_response,
)
from dicom_actors.errors import InvalidPduError

ECHO_RQ = bytes.fromhex(
    "00000000 04000000 38000000"  # group length 56
    "00000200 12000000"
    + b"1.2.840.10008.1.1\0".hex()  # Affected SOP Class UID
    + "00000001 02000000 3000"  # Command Field: C-ECHO-RQ
    "00001001 02000000 0700"  # Message ID 7
    "00000008 02000000 0101"  # no data set
)


def by_pydicom(**elements: object) -> bytes:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = buffer.is_little_endian = True
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def test_a_golden_c_echo_rq_is_read() -> None:
    command = decode_command(ECHO_RQ)
    assert command == Command(
        raw=ECHO_RQ,
        command_field=CommandField.C_ECHO_RQ,
        message_id=7,
        sop_class_uid="1.2.840.10008.1.1",
        sop_instance_uid="",
        has_data_set=False,
    )
    assert command.elements.value_for("AffectedSOPClassUID") == "1.2.840.10008.1.1"


def test_it_is_written_as_it_was_read() -> None:
    assert (
        encode_command(
            {
                CommandElement.AFFECTED_SOP_CLASS_UID: "1.2.840.10008.1.1",
                CommandElement.COMMAND_FIELD: CommandField.C_ECHO_RQ,
                CommandElement.MESSAGE_ID: 7,
            },
            has_data_set=False,
        )
        == ECHO_RQ
    )


def test_a_response_is_what_pydicom_writes() -> None:
    request = decode_command(
        by_pydicom(
            AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            CommandField=1,
            MessageID=9,
            Priority=0,
            CommandDataSetType=0,
            AffectedSOPInstanceUID="1.2.3",
        )
    )
    body = by_pydicom(
        AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        CommandField=0x8001,
        MessageIDBeingRespondedTo=9,
        CommandDataSetType=0x0101,
        Status=0x0110,
        ErrorComment="it failed",
        AffectedSOPInstanceUID="1.2.3",
    )
    assert encode_response(request, 0x0110, "it failed") == (
        by_pydicom(CommandGroupLength=len(body)) + body
    )


def test_a_comment_is_cut_and_made_printable() -> None:
    response = decode_command(
        encode_response(decode_command(ECHO_RQ), 0x0110, "\x1b[31m" + "é" * 90)
    )
    comment = response.elements.value_for("ErrorComment")
    assert len(comment) <= 64
    assert comment.isascii()
    assert "\x1b" not in comment


def test_a_missing_group_length_is_forgiven() -> None:
    assert decode_command(ECHO_RQ[12:]).message_id == 7


def test_what_stands_behind_the_command_elements_of_a_response_is_left_alone() -> None:
    """Orthanc has the list of failed instances there."""
    response = by_pydicom(
        CommandField=0x8010, MessageIDBeingRespondedTo=1, CommandDataSetType=0x0101, Status=0xC000
    )
    failed = by_pydicom(FailedSOPInstanceUIDList=["1.2.3"])
    command = decode_command(response + failed)
    assert (command.message_id, command.status) == (1, 0xC000)
    assert command.elements.value_for("FailedSOPInstanceUIDList") == "1.2.3"
    with pytest.raises(InvalidPduError, match="expected group 0000"):
        decode_command(ECHO_RQ + failed)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (ECHO_RQ[:-1], "has length 2, 1 left"),
        (ECHO_RQ[:-5], "expected an element of 8 bytes"),
        (b"\x08" + ECHO_RQ[1:], "expected group 0000"),
        (ECHO_RQ[:12], "COMMAND_FIELD"),
        (by_pydicom(CommandField=0x30, CommandDataSetType=0x0101), "MESSAGE_ID"),
        (by_pydicom(CommandField=0x30, MessageID=1), "COMMAND_DATA_SET_TYPE"),
        (b"", "COMMAND_FIELD"),
    ],
)
def test_what_cannot_be_read_is_the_peers_fault(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidPduError, match=message) as caught:
        decode_command(raw)
    assert caught.value.abort_reason == 6


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    try:
        command = decode_command(raw)
    except InvalidPduError:
        return
    assert command.raw == raw


@given(
    message_id=st.integers(0, 0xFFFF),
    uid=st.from_regex(r"[1-9][0-9.]{0,62}", fullmatch=True),
    has_data_set=st.booleans(),
)
def test_what_is_written_is_read_back(message_id: int, uid: str, has_data_set: bool) -> None:
    command = decode_command(
        encode_command(
            {
                CommandElement.COMMAND_FIELD: CommandField.C_STORE_RQ,
                CommandElement.MESSAGE_ID: message_id,
                CommandElement.AFFECTED_SOP_INSTANCE_UID: uid,
            },
            has_data_set=has_data_set,
        )
    )
    assert (command.message_id, command.sop_instance_uid, command.has_data_set) == (
        message_id,
        uid,
        has_data_set,
    )
