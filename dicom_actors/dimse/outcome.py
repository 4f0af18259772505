"""What a response says: its comment, its counts, its status in words. PS3.7 9.1, Annex C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.dimse.status import Status
from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from dicom_actors.dimse.command import Command

__all__ = ["SubOperations", "describe_status", "error_comment", "sub_operations"]


class SubOperations(NamedTuple):
    """How far a C-GET or C-MOVE is (PS3.7 9.1.3.1.6, 9.1.4.1.7); None for what was not said."""

    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None


# The ranges of codes that mean the same, by their first byte (PS3.7 Annex C.4 and C.5).
_RANGES: Final = {
    0xA7: "refused: out of resources",
    0xA8: "refused: move destination unknown",
    0xA9: "data set does not match SOP class",
}

_COUNTS: Final = tuple(
    f"NumberOf{kind}Suboperations" for kind in ("Remaining", "Completed", "Failed", "Warning")
)


def describe_status(status: int) -> str:
    """Return a status code in words.

    Args:
        status: 0 to 0xFFFF.

    Returns:
        For example ``"A700H: out of resources"``.
    """
    try:
        words = Status(status).name.replace("_", " ").lower().replace("sop", "SOP")
    except ValueError:
        words = _RANGES.get(status >> 8, "")
        if not words:
            kinds = {0xB: "warning", 0xC: "cannot understand or process"}
            words = kinds.get(status >> 12, "failure")
    return f"{status:04X}H: {words}"


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
