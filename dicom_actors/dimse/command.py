"""Command sets: the first half of every DIMSE message. PS3.7 6.3, 9.3, 10.3 and Annex E.

A command set is a flat list of group 0000 elements, always in Implicit VR Little Endian
(PS3.7 6.3.1), so that it has a reader and a writer of its own here; `Command.elements` is the
same as a `DataSet`, for those who want to look at all of it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary.transfer_syntax import IMPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.errors import InvalidPduError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_DATA_SET", "Command", "CommandElement", "CommandField", "decode_command"]

NO_DATA_SET = 0x0101
"""The Command Data Set Type that says "no data set follows"; any other value says one does."""

RESPONSE = 0x8000
"""The bit of Command Field that tells a response from its request (PS3.7 Annex E)."""


class CommandField(IntEnum):
    """Command Field (0000,0100) of each message; a response has `RESPONSE` added."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    N_DELETE_RQ = 0x0150
    C_CANCEL_RQ = 0x0FFF


class CommandElement(IntEnum):
    """Element numbers within group 0000 that this package reads or writes (PS3.7 Annex E)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ATTRIBUTE_IDENTIFIER_LIST = 0x1005
    ACTION_TYPE_ID = 0x1008
    NUMBER_OF_REMAINING_SUBOPERATIONS = 0x1020
    NUMBER_OF_COMPLETED_SUBOPERATIONS = 0x1021
    NUMBER_OF_FAILED_SUBOPERATIONS = 0x1022
    NUMBER_OF_WARNING_SUBOPERATIONS = 0x1023
    MOVE_ORIGINATOR_AE_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


class Command(NamedTuple):
    """A command set as received or as it is to be sent.

    Attributes:
        raw: its bytes, Implicit VR Little Endian.
        command_field: which message this is.
        message_id: Message ID of a request, Message ID Being Responded To of a response or cancel.
        sop_class_uid: Affected or Requested SOP Class UID, empty if absent.
        sop_instance_uid: Affected or Requested SOP Instance UID, empty if absent.
        has_data_set: whether a data set follows.
        status: the status of a response; None if absent.
    """

    raw: bytes
    command_field: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool
    status: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether this answers something."""
        return bool(self.command_field & RESPONSE)

    @property
    def elements(self) -> DataSet:
        """All elements, as a new data set."""
        return DataSet.from_bytes(self.raw, transfer_syntax=IMPLICIT_VR_LITTLE_ENDIAN)


HEADER: Final = struct.Struct("<HHL")
"""Group, element and length of an element, before its value."""

# As plain numbers: each use of an enum's member would cost more than what is done with it.
_GROUP_LENGTH: Final = int(CommandElement.GROUP_LENGTH)
_AFFECTED_SOP_CLASS_UID: Final = int(CommandElement.AFFECTED_SOP_CLASS_UID)
_REQUESTED_SOP_CLASS_UID: Final = int(CommandElement.REQUESTED_SOP_CLASS_UID)
_COMMAND_FIELD: Final = int(CommandElement.COMMAND_FIELD)
_MESSAGE_ID: Final = int(CommandElement.MESSAGE_ID)
_RESPONDED_TO: Final = int(CommandElement.MESSAGE_ID_BEING_RESPONDED_TO)
_COMMAND_DATA_SET_TYPE: Final = int(CommandElement.COMMAND_DATA_SET_TYPE)
_STATUS: Final = int(CommandElement.STATUS)
_AFFECTED_SOP_INSTANCE_UID: Final = int(CommandElement.AFFECTED_SOP_INSTANCE_UID)
_REQUESTED_SOP_INSTANCE_UID: Final = int(CommandElement.REQUESTED_SOP_INSTANCE_UID)
_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)
_SPACE_PADDED: Final = frozenset(
    map(
        int,
        (
            CommandElement.ERROR_COMMENT,
            CommandElement.MOVE_DESTINATION,
            CommandElement.MOVE_ORIGINATOR_AE_TITLE,
        ),
    )
)


def decode_command(raw: bytes) -> Command:
    """Read a command set.

    A missing group length is forgiven, as is a wrong one: the length of the message is known. So
    is what stands behind the command elements of a response: Orthanc adds the Failed SOP Instance
    UID List (0008,0058) there. It is left to `Command.elements`.

    Args:
        raw: the whole command set.

    Returns:
        The command.

    Raises:
        InvalidPduError: a length past the end, an element of another group in a request, or no
            Command Field, Message ID or Command Data Set Type.

    Standard: PS3.7 6.3.1, 9.3, 10.3.
    """
    values: dict[int, bytes] = {}
    unpack = HEADER.unpack_from
    position, end = 0, len(raw)
    while position < end:
        if end - position < 8:
            raise InvalidPduError(
                f"command set: expected an element of 8 bytes or more at byte {position}, "
                f"{end - position} left"
            )
        group, element, length = unpack(raw, position)
        if group:
            if _is_response(values):
                break
            raise InvalidPduError(
                f"command set: expected group 0000 at byte {position}, got {group:04X}"
            )
        position += 8
        stop = position + length
        if stop > end:
            raise InvalidPduError(
                f"command set: element (0000,{element:04X}) has length {length}, "
                f"{end - position} left"
            )
        values[element] = raw[position:stop]
        position = stop
    return _from_values(raw, values)


def _is_response(values: dict[int, bytes]) -> bool:
    value = values.get(_COMMAND_FIELD, b"")
    return bool(int.from_bytes(value[:2], "little") & RESPONSE)


def _from_values(raw: bytes, values: dict[int, bytes]) -> Command:
    command_field = _number(values, _COMMAND_FIELD)
    return Command(
        raw,
        command_field,
        _number(values, message_id_element(command_field)),
        _uid(values, _AFFECTED_SOP_CLASS_UID, _REQUESTED_SOP_CLASS_UID),
        _uid(values, _AFFECTED_SOP_INSTANCE_UID, _REQUESTED_SOP_INSTANCE_UID),
        _number(values, _COMMAND_DATA_SET_TYPE) != NO_DATA_SET,
        _number(values, _STATUS) if _STATUS in values else None,
    )


def message_id_element(command_field: int) -> int:
    """Return which element of a command holds what `Command.message_id` is."""
    if command_field & RESPONSE or command_field == _C_CANCEL_RQ:
        return _RESPONDED_TO
    return _MESSAGE_ID


def _number(values: dict[int, bytes], element: int) -> int:
    value = values.get(element)
    if value is None or len(value) < 2:
        raise InvalidPduError(
            f"command set: expected a number in {CommandElement(element).name} "
            f"(0000,{element:04X}), "
            f"{'it is absent' if value is None else f'got {len(value)} bytes'}"
        )
    return value[0] | value[1] << 8


def _uid(values: dict[int, bytes], affected: int, requested: int) -> str:
    value = values.get(affected) or values.get(requested)
    return uid_text(value) if value else ""


def uid_text(value: bytes) -> str:
    """Return the value of a UID as text, without its padding."""
    # What is no ASCII is no UID either; it must not raise, and it must stay visible.
    return value.decode("ascii", "backslashreplace").rstrip("\0 ")


def encode_command(values: Mapping[int, int | str | bytes], *, has_data_set: bool) -> bytes:
    """Write a command set.

    Args:
        values: element number to value: an int is written as US, a text padded to even length
            (UIDs with NUL, the rest with a space), bytes as they are. Group length and Command
            Data Set Type are added here.
        has_data_set: whether a data set will follow.

    Returns:
        The bytes in Implicit VR Little Endian, elements in ascending order.

    Standard: PS3.7 6.3.1.
    """
    body = b"".join(
        [
            _encode_element(element, value)
            for element, value in sorted(
                {
                    **values,
                    _COMMAND_DATA_SET_TYPE: 0x0001 if has_data_set else NO_DATA_SET,
                }.items()
            )
        ]
    )
    return HEADER.pack(0, _GROUP_LENGTH, 4) + len(body).to_bytes(4, "little") + body


def _encode_element(element: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        data = value.to_bytes(2, "little")
    elif isinstance(value, bytes):
        data = value
    else:
        data = value.encode("ascii", "replace")
        if len(data) % 2:
            data += b" " if element in _SPACE_PADDED else b"\0"
    return HEADER.pack(0, element, len(data)) + data
