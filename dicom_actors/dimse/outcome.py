"""What a response says: its comment, its counts, whose status it has. PS3.7 9.1, Annex C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dictionary import sop_class_services
from dicom_actors.dimse.command import RESPONSE, CommandField
from dicom_actors.dimse.status import Status
from dicom_actors.dimse.status_words import STATUS_SERVICES
from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.dimse.command import Command

__all__ = ["SubOperations", "error_comment", "status_service", "sub_operations"]


class SubOperations(NamedTuple):
    """How far a C-GET or C-MOVE is (PS3.7 9.1.3.1.6, 9.1.4.1.7); None for what was not said."""

    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None


# Service classes whose statuses have another name; and those of operations, for the others.
_OF_SERVICE_CLASS: Final[Mapping[str, str]] = {
    "Basic Worklist Management": "Modality Worklist C-FIND",
    "Relevant Patient Information Query": "Relevant Patient Information C-FIND",
    "Substance Administration Query": "Substance Administration C-FIND",
}
_OF_OPERATION: Final[Mapping[int, str]] = {
    CommandField.C_ECHO_RQ: "Verification",
    CommandField.C_STORE_RQ: "Storage",
    CommandField.C_FIND_RQ: "Query/Retrieve C-FIND",
    CommandField.C_GET_RQ: "Query/Retrieve C-GET",
    CommandField.C_MOVE_RQ: "Query/Retrieve C-MOVE",
}

_COUNTS: Final = tuple(
    f"NumberOf{kind}Suboperations" for kind in ("Remaining", "Completed", "Failed", "Warning")
)


def status_service(command: Command) -> str:
    """Return whose status a response has, as `describe_status` wants it; empty if unknown."""
    known = sop_class_services().get(command.sop_class_uid)
    if known is not None:
        name = _OF_SERVICE_CLASS.get(known.service_class, known.service_class)
        if name in STATUS_SERVICES:
            return name
    return _OF_OPERATION.get(command.command_field & ~RESPONSE, "")


def error_comment(command: Command) -> str:
    """Return the Error Comment of a response, empty if it has none that can be read."""
    if command.status == Status.SUCCESS:
        return ""
    (comment,) = _read(command, "ErrorComment")
    return comment if isinstance(comment, str) else ""


def sub_operations(command: Command) -> SubOperations:
    """Return the counts of a C-GET-RSP or C-MOVE-RSP."""
    counts = _read(command, *_COUNTS)
    return SubOperations(*(count if isinstance(count, int) else None for count in counts))


def _read(command: Command, *keywords: str) -> tuple[object, ...]:
    try:
        elements = command.elements
        return tuple(elements.get(keyword) for keyword in keywords)
    except DataError:
        return (None,) * len(keywords)
