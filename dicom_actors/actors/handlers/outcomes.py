"""From what an event handler returned, or raised, to the outcome of its request."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.connection.request import Outcome
from dicom_actors.actors.handlers.events import Accept
from dicom_actors.actors.kernel.handler_table import ASSOCIATION_VALIDATOR
from dicom_actors.actors.responding.responder import encode_for
from dicom_actors.data import DataSet
from dicom_actors.dimse import (
    CommandElement,
    Status,
    StatusCategory,
    category_of,
    failure_elements,
    read_status_elements,
)
from dicom_actors.errors import DimseFailure, HandlerError
from dicom_actors.pdu import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.upper_layer import AcceptedContext

__all__ = [
    "TOO_LATE",
    "outcome_of",
    "outcome_of_failure",
    "outcome_of_fault",
    "outcome_of_giving_up",
    "outcome_of_shortage",
    "validation_outcome",
]

TOO_LATE: Final = "the handler did not return in time"
"""The Error Comment of a request whose handler took too long."""

_SUCCESS: Final = Outcome()
_WITH_REPLY: Final = frozenset({"ncreate", "nset", "nget", "naction", "nevent_report"})
"""Services whose response may have a data set (PS3.7 10.3)."""

_MOST_IDENTITY_BYTES: Final = 48 * 1024
"""What leaves room in the user information of an A-ASSOCIATE-AC, of 65,535 bytes (PS3.8 D.1)."""

_SHORTAGES: Final = frozenset(
    getattr(errno, name)
    for name in (
        "EDQUOT",
        "EFBIG",
        "EMFILE",
        "ENFILE",
        "ENOBUFS",
        "ENOMEM",
        "ENOSPC",
        "EROFS",
    )
    if hasattr(errno, name)
)
"""What the system says when it has no more of something; that is nobody's bug."""


def outcome_of(service: str, result: Any, event: Any, context: AcceptedContext) -> Outcome:
    """Return what a result of a handler comes to.

    Args:
        service: the handler's name.
        result: what it returned.
        event: what it was called with.
        context: the request's presentation context.

    Raises:
        HandlerError: it is nothing that this handler may return.
        EncodeError: its data set cannot be encoded.
    """
    if isinstance(result, Outcome):
        return result
    if service not in _WITH_REPLY:
        return _status_outcome(service, result)
    data_set = None
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], DataSet):
        result, data_set = result
    elif isinstance(result, DataSet) and not _has_status_elements(result):
        result, data_set = None, result
    outcome = _status_outcome(service, result)
    more = dict(outcome.more or {})
    data = None
    if data_set is not None:
        data = encode_for(data_set, context)
        if service == "naction":
            more.setdefault(CommandElement.ACTION_TYPE_ID, event.action_type_id)
        elif service == "nevent_report":
            more.setdefault(CommandElement.EVENT_TYPE_ID, event.event_type_id)
    if service == "ncreate":
        more.setdefault(CommandElement.AFFECTED_SOP_INSTANCE_UID, event.sop_instance_uid)
    return Outcome(outcome.status, outcome.comment, more=more or None, data=data)


def outcome_of_failure(
    service: str, failure: DimseFailure, more: Mapping[int, int | str | bytes]
) -> Outcome:
    """Return what a failure that a handler raised comes to.

    Args:
        service: the handler's name.
        failure: what it raised.
        more: elements that the response has besides, as far as it is no association request.

    Raises:
        HandlerError: an element that the handler gave does not go with the status.
    """
    if service == ASSOCIATION_VALIDATOR:
        return Outcome(reject=Reject.NO_REASON)
    status, comment, elements = failure_elements(failure)
    _check_is_final(service, status)
    return Outcome(status, comment, more={**more, **elements} or None)


def outcome_of_fault(
    service: str, fault: BaseException, more: Mapping[int, int | str | bytes]
) -> Outcome:
    """Return what any other exception comes to; see `outcome_of_failure`."""
    if service == ASSOCIATION_VALIDATOR:
        return Outcome(reject=Reject.ACSE_NO_REASON_TRANSIENT)
    # The class alone: the text may hold what is not the peer's to know.
    comment = f"handler failed: {type(fault).__name__}"
    return Outcome(Status.PROCESSING_FAILURE, comment, more=more or None)


def outcome_of_shortage(service: str, fault: BaseException) -> Outcome | None:
    """Return what an exception comes to that says that the system has no more of something.

    That is a reason to refuse a C-STORE (PS3.4 B.2.3), and no other request.

    Args:
        service: the handler's name.
        fault: what the handler raised.

    Returns:
        None if that is not what it says; see `outcome_of_fault` then.
    """
    if service != "cstore" or not isinstance(fault, OSError) or fault.errno not in _SHORTAGES:
        return None
    return Outcome(Status.OUT_OF_RESOURCES, str(fault.strerror or ""))


def outcome_of_giving_up(
    service: str, more: Mapping[int, int | str | bytes], *, is_late: bool
) -> Outcome:
    """Return what a handler that was asked to give up, and did, comes to.

    Args:
        service: the handler's name.
        more: elements that the response has besides, as far as it is no association request.
        is_late: whether its time was up; if not, the peer cancelled.
    """
    if service == ASSOCIATION_VALIDATOR:
        return Outcome(reject=Reject.ACSE_NO_REASON_TRANSIENT)
    if is_late:
        return Outcome(Status.PROCESSING_FAILURE, TOO_LATE, more=more or None)
    return Outcome(Status.CANCEL, more=more or None)


def _has_status_elements(data_set: DataSet) -> bool:
    return any(tag < 0x00010000 for tag in data_set)


def _status_outcome(service: str, result: Any) -> Outcome:
    if result is None or result is True:
        return _SUCCESS
    if isinstance(result, int) and not isinstance(result, bool) and 0 <= result <= 0xFFFF:
        _check_is_final(service, result)
        return Outcome(int(result))
    if isinstance(result, DataSet):
        status, comment, more = read_status_elements(result)
        _check_is_final(service, status)
        return Outcome(status, comment, more=more)
    if service == "cstore" and isinstance(result, str | os.PathLike):
        return _SUCCESS  # where it is now, as `event.save` says
    got = f"{result:04X}H" if isinstance(result, int) and result > 0 else type(result).__name__
    raise HandlerError(f"expected {_expected(service)} from the {service} handler, got {got}")


def _check_is_final(service: str, status: int) -> None:
    """Refuse a status that says that more responses follow: no peer would ever have an end."""
    if category_of(status) is StatusCategory.PENDING:
        raise HandlerError(
            f"expected {_expected(service)} from the {service} handler, got {status:04X}H, "
            "which says that more responses follow"
        )


def _expected(service: str) -> str:
    if service in _WITH_REPLY:
        return "None, a final status, a data set, or a final status and a data set"
    if service == "cstore":
        return "None, a final status, a data set with Status, or the path of the file"
    more = {
        "cfind": ", or data sets to be sent",
        "cget": ", or instances to be sent",
        "cmove": ", or a MoveTo",
    }
    return f"None, a final status or a data set with Status{more.get(service, '')}"


def validation_outcome(result: Any) -> Outcome:
    """Return what a result of the ``association_validator`` comes to.

    Raises:
        HandlerError: it is nothing that it may return.
    """
    if result is None or result is True:
        return Outcome(identity_response=b"")
    if isinstance(result, Accept):
        response = result.identity_response
        if response is not None and not isinstance(response, bytes):
            got = type(response).__name__
            raise HandlerError(f"Accept: expected bytes as identity_response, got {got}")
        if response is not None and len(response) > _MOST_IDENTITY_BYTES:
            most, got = _MOST_IDENTITY_BYTES, len(response)
            raise HandlerError(f"Accept: expected {most} bytes at most, got {got}")
        return Outcome(identity_response=response)
    if result is False:
        return Outcome(reject=Reject.NO_REASON)
    if isinstance(result, Reject):
        return Outcome(reject=result)
    raise HandlerError(
        f"expected None, a bool, an Accept or a Reject from the {ASSOCIATION_VALIDATOR} handler, "
        f"got {type(result).__name__}"
    )
