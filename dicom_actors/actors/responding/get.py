"""C-GET as a provider: instances sent on the association that asked for them. PS3.4 C.4.3.

Runs in the Handler's thread. The handler's iterable is asked for its next instance when the peer
has answered the last one, and closed when the peer cancels or the association is over.
"""

from __future__ import annotations

import contextlib
import logging
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.connection.request import Outcome
from dicom_actors.actors.responding.responder import encode_for
from dicom_actors.data import DataSet
from dicom_actors.dimse import CommandField, Tally, encode_request
from dicom_actors.errors import DimseFailure
from dicom_actors.storage.plan import look_into, prepare
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.actors.responding.responder import Responder

_logger = logging.getLogger(__name__)

__all__ = ["final_outcome", "send_instances", "sized"]

_UNABLE: Final = 0xA702
"""Refused: unable to perform sub-operations (PS3.4 C.4.3.1.4)."""

_MOST_UIDS_BYTES: Final = 0xFFFE
"""What fits into an element of VR UI with a length of two bytes (PS3.5 7.1.2)."""


def send_instances(instances: Any, responder: Responder) -> Outcome:
    """Send each instance, and a pending response after it.

    Args:
        instances: data sets, or files as paths or as bytes; or a pair of their number and these.
        responder: the way to the peer.

    Returns:
        The final outcome, with the counts.

    Raises:
        Exception: whatever the iterable raises.
    """
    total, items = sized(instances)
    tally = Tally(total)
    responder.more.update(tally.elements(remaining=False))
    is_cancelled = False
    with contextlib.closing(responder.pull(items)) as pulled:
        for source in pulled:
            is_cancelled = responder.is_cancelled
            if not is_cancelled:
                _send_instance(source, responder, tally)
                is_cancelled = not responder.respond(more=tally.elements(remaining=True))
            if is_cancelled:
                break
    is_cancelled = is_cancelled or responder.is_cancelled
    return final_outcome(tally, responder, is_cancelled=is_cancelled)


def sized(instances: Any) -> tuple[int | None, Iterable[Any]]:
    """Return how many instances there are, None if that cannot be known, and the instances."""
    if isinstance(instances, tuple) and len(instances) == 2 and isinstance(instances[0], int):
        return instances
    length = length_hint(instances, -1)
    return None if length < 0 else length, instances


def final_outcome(tally: Tally, responder: Responder, *, is_cancelled: bool) -> Outcome:
    """Return the final response of a C-GET or C-MOVE.

    Args:
        tally: the counts.
        responder: the way to the peer.
        is_cancelled: whether the operation was given up before its end.
    """
    failed: list[str] = []
    length = 0
    for uid in tally.failed_sop_instance_uids:
        length += len(uid) + 1
        if length > _MOST_UIDS_BYTES:
            break  # the counts are right all the same
        failed.append(uid)
    data = None
    if failed:
        identifier = DataSet.from_keywords(FailedSOPInstanceUIDList=failed)
        data = encode_for(identifier, responder.context)
    return Outcome(
        responder.status_when_given_up if is_cancelled else tally.status,
        more=tally.elements(remaining=is_cancelled),
        data=data,
    )


def _send_instance(source: Any, responder: Responder, tally: Tally) -> None:
    """Send one, and count what became of it.

    Raises:
        DimseFailure: the peer did not answer; there is no point in going on.
    """
    found = look_into(source, responder.transcode)
    if isinstance(found, StoreResult):
        _count_unsent(found, responder, tally)
        return
    uid = found.sop_class_uid
    prepared = prepare(
        found, [c for c in responder.negotiated.contexts if c.abstract_syntax == uid]
    )
    if isinstance(prepared, StoreResult):
        _count_unsent(prepared, responder, tally)
        return
    message_id = responder.next_message_id()
    command_set = encode_request(
        CommandField.C_STORE_RQ, message_id, uid, prepared.sop_instance_uid, has_data_set=True
    )
    response = responder.invoke(prepared.context, command_set, message_id, prepared.pieces)
    tally.add(None if response is None else response.status, found.sop_instance_uid)
    responder.more.update(tally.elements(remaining=False))
    if response is None and (responder.is_late or not responder.is_cancelled):
        raise DimseFailure(_UNABLE, "a C-STORE was not answered")


def _count_unsent(result: StoreResult, responder: Responder, tally: Tally) -> None:
    # The peer learns no more than that it failed; the reason is for whoever runs this endpoint.
    uid = result.sop_instance_uid or "an instance"
    responder.warn(_logger, "C-GET: %s: %s", uid, result.comment)
    tally.add(None, result.sop_instance_uid)
