"""Responses to requests. PS3.7 9.3 and 10.3, Annex C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.dimse.command import (
    RESPONSE,
    Command,
    CommandElement,
    CommandField,
    encode_command,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["encode_response"]

MAX_ERROR_COMMENT = 64
"""Error Comment is an LO of VM 1 (PS3.7 C.4): at most 64 characters."""

# The N-services whose requests name a Requested SOP instance still answer with Affected UIDs
# (PS3.7 10.3), so that one rule serves all.
_WITH_INSTANCE = frozenset(
    {
        CommandField.C_STORE_RQ,
        CommandField.N_EVENT_REPORT_RQ,
        CommandField.N_GET_RQ,
        CommandField.N_SET_RQ,
        CommandField.N_ACTION_RQ,
        CommandField.N_CREATE_RQ,
        CommandField.N_DELETE_RQ,
    }
)


def encode_response(
    request: Command,
    status: int,
    comment: str = "",
    *,
    has_data_set: bool = False,
    more: Mapping[int, int | str | bytes] | None = None,
) -> bytes:
    """Write the command set that answers `request`.

    Args:
        request: the request.
        status: the status code, 0 to 0xFFFF.
        comment: Error Comment; cut to 64 characters, what is no printable ASCII becomes ``?``.
        has_data_set: whether a data set follows.
        more: element numbers and values of what this response has besides.

    Returns:
        The command set in Implicit VR Little Endian.
    """
    values: dict[int, int | str | bytes] = {
        CommandElement.COMMAND_FIELD: request.command_field | RESPONSE,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
        CommandElement.STATUS: status,
    }
    if request.sop_class_uid:
        values[CommandElement.AFFECTED_SOP_CLASS_UID] = request.sop_class_uid
    if request.sop_instance_uid and request.command_field in _WITH_INSTANCE:
        values[CommandElement.AFFECTED_SOP_INSTANCE_UID] = request.sop_instance_uid
    if comment:
        values[CommandElement.ERROR_COMMENT] = _printable(comment)
    if more:
        values.update(more)
    return encode_command(values, has_data_set=has_data_set)


def _printable(comment: str) -> str:
    return "".join(
        character if " " <= character <= "~" and character != "\\" else "?"
        for character in comment[:MAX_ERROR_COMMENT]
    )
