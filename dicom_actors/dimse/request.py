"""The command sets of requests, for whoever invokes operations. PS3.7 9.3, 10.3 and Annex E.

Responses are the business of `response`; what a response says, of `outcome`.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Final

from dicom_actors.dimse.command import CommandElement, CommandField, encode_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["MEDIUM", "attribute_identifier_list", "encode_cancel", "encode_request"]

MEDIUM: Final = 0
"""The Priority that requests have, since hardly anybody looks at it (PS3.7 9.1.1.1.4)."""

# The requests that name an instance which is there already (PS3.7 10.3.2 to 10.3.4 and 10.3.6).
_OF_REQUESTED: Final = frozenset(
    {
        CommandField.N_GET_RQ,
        CommandField.N_SET_RQ,
        CommandField.N_ACTION_RQ,
        CommandField.N_DELETE_RQ,
    }
)
_WITH_PRIORITY: Final = frozenset(
    {
        CommandField.C_STORE_RQ,
        CommandField.C_FIND_RQ,
        CommandField.C_GET_RQ,
        CommandField.C_MOVE_RQ,
    }
)


def encode_request(
    command_field: CommandField,
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str = "",
    *,
    has_data_set: bool = False,
    more: Mapping[int, int | str | bytes] | None = None,
) -> bytes:
    """Write the command set of a request.

    Args:
        command_field: which request.
        message_id: 1 to 65535, not that of an operation that is still running.
        sop_class_uid: Affected or Requested SOP Class UID, as the request has it.
        sop_instance_uid: likewise the SOP Instance UID; empty where there is none.
        has_data_set: whether a data set follows.
        more: element numbers and values of what this request has besides.

    Returns:
        The command set in Implicit VR Little Endian.
    """
    values: dict[int, int | str | bytes] = {
        CommandElement.COMMAND_FIELD: command_field,
        CommandElement.MESSAGE_ID: message_id,
    }
    if command_field in _WITH_PRIORITY:
        values[CommandElement.PRIORITY] = MEDIUM
    if command_field in _OF_REQUESTED:
        values[CommandElement.REQUESTED_SOP_CLASS_UID] = sop_class_uid
        instance = CommandElement.REQUESTED_SOP_INSTANCE_UID
    else:
        values[CommandElement.AFFECTED_SOP_CLASS_UID] = sop_class_uid
        instance = CommandElement.AFFECTED_SOP_INSTANCE_UID
    if sop_instance_uid:
        values[instance] = sop_instance_uid
    if more:
        values.update(more)
    return encode_command(values, has_data_set=has_data_set)


def encode_cancel(message_id: int) -> bytes:
    """Write the command set that cancels the operation with that Message ID (PS3.7 9.3.2.3)."""
    return encode_command(
        {
            CommandElement.COMMAND_FIELD: CommandField.C_CANCEL_RQ,
            CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        },
        has_data_set=False,
    )


def attribute_identifier_list(tags: Iterable[int]) -> bytes:
    """Write the value of an Attribute Identifier List: tags, 0 to 0xFFFFFFFF each."""
    return b"".join(pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
