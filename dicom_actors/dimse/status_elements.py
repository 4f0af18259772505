"""The elements that go with a status: what a handler gives, checked, and what a peer answered.

What PS3.7 Annex C lists for a code is optional in a response of that code. This is held to:

- Affected SOP Class UID, Affected SOP Instance UID, Event Type ID and Action Type ID are
  parameters of responses themselves (PS3.7 10.1), and go with any status. An N-CREATE whose
  requestor named no instance is answered with the UID of the new one that way.
- Offending Element and Error Comment go with any failure and any warning. Annex C has them for
  the codes of services and for a few general ones; other receivers ignore them, and they are too
  useful to be refused.
- Attribute Identifier List and Error ID go with the codes that Annex C has them for.
- All else belongs to the endpoint: message IDs, counts of sub-operations and so on.

Standard: PS3.7 10.1, Annex C, Annex E.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.data.dictionary.uids import is_valid_uid
from dicom_actors.dimse.command import CommandElement
from dicom_actors.dimse.request import attribute_identifier_list
from dicom_actors.dimse.response import MAX_ERROR_COMMENT
from dicom_actors.dimse.status import Status, StatusCategory, category_of
from dicom_actors.errors import DataError, HandlerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.data import DataSet
    from dicom_actors.dimse.command import Command
    from dicom_actors.errors import DimseFailure

__all__ = ["StatusElements", "failure_elements", "read_failure_elements", "read_status_elements"]

CommandValue: TypeAlias = int | str | bytes

_ERROR_ID: Final = 0x0903
_NOTHING: Final[Mapping[int, CommandValue]] = {}


class StatusElements(NamedTuple):
    """A status and what goes with it in a response, as `encode_response` takes them.

    Attributes:
        status: the status code, 0 to 0xFFFF.
        comment: Error Comment; empty if there is none.
        more: element numbers within group 0000 and values of all else.
    """

    status: int
    comment: str = ""
    more: Mapping[int, CommandValue] = _NOTHING


class _Kind(NamedTuple):
    """An element that a handler may give."""

    keyword: str
    vr: str
    statuses: frozenset[int] | None = None  # None: any
    is_for_faults: bool = False  # goes with any failure and warning, and nothing else


_KINDS: Final[Mapping[int, _Kind]] = {
    CommandElement.AFFECTED_SOP_CLASS_UID: _Kind("AffectedSOPClassUID", "UI"),
    CommandElement.AFFECTED_SOP_INSTANCE_UID: _Kind("AffectedSOPInstanceUID", "UI"),
    CommandElement.EVENT_TYPE_ID: _Kind("EventTypeID", "US"),
    CommandElement.ACTION_TYPE_ID: _Kind("ActionTypeID", "US"),
    CommandElement.OFFENDING_ELEMENT: _Kind("OffendingElement", "AT", is_for_faults=True),
    CommandElement.ERROR_COMMENT: _Kind("ErrorComment", "LO", is_for_faults=True),
    _ERROR_ID: _Kind("ErrorID", "US", frozenset({Status.PROCESSING_FAILURE})),
    CommandElement.ATTRIBUTE_IDENTIFIER_LIST: _Kind(
        "AttributeIdentifierList",
        "AT",
        frozenset(
            {Status.NO_SUCH_ATTRIBUTE, Status.ATTRIBUTE_LIST_ERROR, Status.MISSING_ATTRIBUTE}
        ),
    ),
}
_FAULTS: Final = frozenset({StatusCategory.FAILURE, StatusCategory.WARNING})
_OF_A_FAILURE: Final = ("OffendingElement", "ErrorID", "AttributeIdentifierList")


def read_status_elements(data_set: DataSet) -> StatusElements:
    """Read the data set of status elements that a handler gave.

    Args:
        data_set: elements of group 0000, Status (0000,0900) among them.

    Returns:
        What a response is made of.

    Raises:
        HandlerError: there is no Status; an element is none of a response, does not go with the
            status, or has a wrong value; Error Comment has more than 64 characters.
    """
    try:
        values = {int(tag): data_set.get(tag) for tag in data_set}
    except DataError as error:
        raise HandlerError(f"status elements: {error}") from error
    status = values.pop(int(CommandElement.STATUS), None)
    if not _is_number(status):
        raise HandlerError(f"status elements: expected a Status (0000,0900), got {status!r}")
    return _checked(status, values)


def failure_elements(failure: DimseFailure) -> StatusElements:
    """Return the status, comment and further elements of a failure that a handler raised.

    The comment is as good as it can be: it is cut to what a response can hold.

    Raises:
        HandlerError: the status is none; an element is none of a response, does not go with the
            status, or has a wrong value.
    """
    if not _is_number(failure.status):
        got = failure.status
        raise HandlerError(f"DimseFailure: expected a status of 0 to FFFFH, got {got!r:.40}")
    # Often the exception that was the reason.
    comment = "" if failure.comment is None else str(failure.comment)
    if not failure.elements:
        return StatusElements(failure.status, comment)
    values = {}
    for keyword, value in failure.elements.items():
        try:
            tag = to_tag(keyword)
        except KeyError as error:
            raise HandlerError(f"DimseFailure: {error}") from error
        if tag in {CommandElement.STATUS, CommandElement.ERROR_COMMENT}:
            raise HandlerError(f"DimseFailure: {keyword} is given by its place, not by keyword")
        values[tag] = value
    return _checked(failure.status, values)._replace(comment=comment)


def read_failure_elements(command: Command) -> dict[str, Any]:
    """Return what a response says of its failure beside status and comment, by keyword.

    Returns:
        Offending Element and Attribute Identifier List as lists of tags, Error ID as a number;
        what the response has of them, and what of that can be read.
    """
    found: dict[str, Any] = {}
    try:
        elements = command.elements
    except DataError:
        return found
    for keyword in _OF_A_FAILURE:
        try:
            value = elements.get(keyword)
        except DataError:
            continue
        if keyword == "ErrorID":
            if _is_number(value):
                found[keyword] = value
        elif value is not None:
            found[keyword] = value if isinstance(value, list) else [value]
    return found


def _checked(status: int, values: Mapping[int, Any]) -> StatusElements:
    comment = ""
    more: dict[int, CommandValue] = {}
    for tag, value in values.items():
        kind = _KINDS.get(tag)
        if kind is None:
            expected = ", ".join(known.keyword for known in _KINDS.values())
            raise HandlerError(
                f"status elements: expected Status, {expected}, got ({tag >> 16:04X},"
                f"{tag & 0xFFFF:04X})"
            )
        _check_status(kind, tag, status)
        if value is None:
            continue  # an empty element says nothing
        if tag == CommandElement.ERROR_COMMENT:
            comment = _comment(value)
        else:
            more[tag] = _value(kind, tag, value)
    return StatusElements(status, comment, more)


def _check_status(kind: _Kind, tag: int, status: int) -> None:
    if kind.is_for_faults and category_of(status) not in _FAULTS:
        expected = "the status of a failure or a warning"
    elif kind.statuses is not None and status not in kind.statuses:
        expected = "status " + " or ".join(f"{code:04X}H" for code in sorted(kind.statuses))
    else:
        return
    raise HandlerError(
        f"{kind.keyword} (0000,{tag:04X}): expected {expected} beside it, got {status:04X}H"
    )


def _comment(value: Any) -> str:
    if not isinstance(value, str):
        got = "several values" if isinstance(value, list) else repr(value)
        raise HandlerError(f"ErrorComment (0000,0902): expected one text, got {got}")
    if len(value) > MAX_ERROR_COMMENT:
        raise HandlerError(
            f"ErrorComment (0000,0902): expected {MAX_ERROR_COMMENT} characters at most, "
            f"got {len(value)}"
        )
    return value


def _value(kind: _Kind, tag: int, value: Any) -> CommandValue:
    if kind.vr == "US":
        if _is_number(value):
            return int(value)
        expected = "a number of 0 to 65535"
    elif kind.vr == "UI":
        if isinstance(value, str) and is_valid_uid(value):
            return value
        expected = "a UID"
    else:
        try:
            return attribute_identifier_list(map(to_tag, _keys(value)))
        except (KeyError, ValueError, TypeError) as error:
            raise HandlerError(f"{kind.keyword} (0000,{tag:04X}): {error}") from error
    raise HandlerError(f"{kind.keyword} (0000,{tag:04X}): expected {expected}, got {value!r}")


def _keys(value: Any) -> list[Any]:
    """Return the keys in a value of VR AT; a tuple is one key, of a group and an element."""
    return list(value) if isinstance(value, list | set | frozenset) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF
