"""Answers of many messages: the matches of a C-FIND, pulled one by one. PS3.7 9.1.2, PS3.4 C.4.1.

Runs in the Handler's thread. The handler's iterable is asked for its next match when the last one
is on the wire, so that a peer that reads slowly slows the iterable down and nothing piles up. It
is closed when the peer cancels, when the association is over, and when it has failed.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.connection.request import Outcome
from dicom_actors.actors.responding.loop_task import GivenUp
from dicom_actors.data import DataSet
from dicom_actors.dimse import Status, StatusCategory, category_of
from dicom_actors.errors import DimseFailure, HandlerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.responding.responder import Responder

__all__ = ["stream_matches"]


def stream_matches(
    matches: Iterable[Any] | AsyncIterable[Any], responder: Responder, kernel: EndpointKernel
) -> Outcome:
    """Send a pending response for each match.

    Args:
        matches: data sets, or pairs of a pending status and a data set.
        responder: the way to the peer.
        kernel: the endpoint's tables.

    Returns:
        The final outcome: success.

    Raises:
        GivenUp: nobody wants more.
        DimseFailure: there are more matches than one query is answered with.
        HandlerError: something that is no match.
        EncodeError: a match that cannot be encoded.
        Exception: whatever the iterable raises.
    """
    limit = kernel.config.max_matches
    with closing(responder.pull(matches)) as pulled:
        for number, match in enumerate(pulled):
            if number == limit:
                kernel.limit_reached("max_matches", f"a query has more than {limit} matches")
                raise DimseFailure(Status.OUT_OF_RESOURCES, f"more than {limit} matches")
            if not responder.respond(*_checked(match)):
                raise GivenUp
    if responder.is_cancelled:
        raise GivenUp  # which may be why there were no more matches
    return Outcome()


def _checked(match: Any) -> tuple[int, DataSet]:
    if isinstance(match, DataSet):
        return Status.PENDING, match
    if isinstance(match, tuple) and len(match) == 2 and isinstance(match[1], DataSet):
        status = match[0]
        if isinstance(status, int) and category_of(status) is StatusCategory.PENDING:
            return status, match[1]
    raise HandlerError(
        f"expected data sets, or pairs of a pending status and a data set, from the cfind handler, "
        f"got {type(match).__name__}"
    )
