"""Whether a new incarnation of an Association may go on where the last one crashed.

A restart is only a restart from a state that is known to be good. What a crash leaves in the
connection record is checked here, before anything is read or written; if the answer is no, the
connection ends with an A-ABORT, and nothing else does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.actors.connection.incarnation import Phase
from dicom_actors.actors.connection.request import Stage
from dicom_actors.dimse import CommandField
from dicom_actors.upper_layer import find_fault

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord

__all__ = ["why_not_adoptable"]


def why_not_adoptable(record: ConnectionRecord) -> str:
    """Return why the connection of `record` cannot go on, empty if it can."""
    if record.is_given_up:
        return "its Association crashed too often"
    if record.is_ending:
        return "it was ending"
    if record.incarnation.phase is Phase.CORE:
        # The core is a function of bytes and state: the same bytes would crash it again.
        return "the protocol core crashed"
    if record.negotiated is None:
        return "it was not established"
    return find_fault(record.negotiated) or _unsound_message(record) or _unsound_requests(record)


def _unsound_message(record: ConnectionRecord) -> str:
    partial = record.partial
    assert record.negotiated is not None
    if partial is not None and all(
        context.context_id != partial.context_id for context in record.negotiated.contexts
    ):
        return f"a message is under way on context {partial.context_id}, which was not accepted"
    if record.pdvs_done < 0 or (record.pdvs_done and not record.unread_length):
        return f"{record.pdvs_done} values are done of a PDU that is not there"
    return ""


def _unsound_requests(record: ConnectionRecord) -> str:
    serials = [request.serial for request in record.requests]
    if serials != sorted(set(serials)):
        return "its requests are out of order"
    for request in record.requests:
        if (request.stage is Stage.FINISHED) != (request.outcome is not None):
            return f"request {request.serial} has stage {request.stage.name} and the wrong outcome"
        if request.command is None or request.command.command_field == CommandField.C_CANCEL_RQ:
            return f"request {request.serial} has no command to answer"
    return ""
