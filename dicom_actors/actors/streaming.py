"""Answers of many messages: the matches of a C-FIND, pulled one by one. PS3.7 9.1.2, PS3.4 C.4.1.

Runs in the Handler's thread. The handler's iterable is asked for its next match when the last one
is on the wire, so that a peer that reads slowly slows the iterable down and nothing piles up. It
is closed when the peer cancels, when the association is over, and when it has failed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.in_flight import Outcome
from dicom_actors.actors.signals import OutputWaits
from dicom_actors.data import DataSet
from dicom_actors.dimse import Status, StatusCategory, category_of, encode_response, fragment
from dicom_actors.errors import EncodeError, HandlerError
from dicom_actors.pdu import p_data_buffers
from dicom_actors.supervision import cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.actors.connection_record import ConnectionRecord
    from dicom_actors.actors.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.in_flight import Request

__all__ = ["stream_matches"]


def stream_matches(
    matches: Iterable[Any], kernel: EndpointKernel, record: ConnectionRecord, request: Request
) -> Outcome:
    """Send a pending response for each match.

    Args:
        matches: data sets, or pairs of a pending status and a data set.
        kernel: the endpoint's tables.
        record: the connection's record.
        request: the C-FIND request.

    Returns:
        The final outcome: success, or cancel.

    Raises:
        HandlerError: something that is no match.
        EncodeError: a match that cannot be encoded.
        Exception: whatever the iterable raises.
    """
    stream = _Stream(kernel, record, request)
    with contextlib.closing(_Closable(matches)) as pulled:
        for match in pulled:
            if record.is_cancelled(request.serial) or not stream.send(*_checked(match)):
                return Outcome(Status.CANCEL)
    return Outcome()


class _Closable:
    """An iterable that can be closed; only generators can by themselves."""

    def __init__(self, matches: Iterable[Any]) -> None:
        self._iterator = iter(matches)

    def __iter__(self) -> Any:
        return self._iterator

    def close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


class _Stream:
    """The way of pending responses to the peer."""

    def __init__(self, kernel: EndpointKernel, record: ConnectionRecord, request: Request) -> None:
        assert record.negotiated is not None
        self._kernel = kernel
        self._record = record
        self._request = request
        self._max_pdu_length = record.negotiated.peer_max_pdu_length
        self._transfer_syntax = next(
            context.transfer_syntax
            for context in record.negotiated.contexts
            if context.context_id == request.context_id
        )

    def send(self, status: int, match: DataSet) -> bool:
        """Send a match and wait until it is on the wire; says whether to go on."""
        kernel, record, request = self._kernel, self._record, self._request
        assert request.command is not None
        command = encode_response(request.command, status, has_data_set=True)
        data = _encoded(match, self._transfer_syntax)
        buffers: list[bytes | memoryview] = []
        for part, is_command in ((command, True), (data, False)):
            for pdv in fragment(
                request.context_id, part, self._max_pdu_length, is_command=is_command
            ):
                buffers += p_data_buffers((pdv,))
        timeout = kernel.config.handler_timeout
        deadline = None if timeout is None else kernel.clock.monotonic() + timeout
        sent = record.send_interim(request.serial, buffers, deadline)
        if sent is False:
            if record.association is not None:
                cast(record.association, OutputWaits())
            return record.wait_until_sent(request.serial)
        return sent is True


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


def _encoded(match: DataSet, transfer_syntax: str) -> bytes:
    try:
        return match.to_bytes(transfer_syntax)
    except EncodeError:
        if "SpecificCharacterSet" in match:
            raise
    # Text beyond ASCII without a declared character set: the one that holds all (PS3.3 C.12.1.1.2).
    declared = match.copy()
    declared.SpecificCharacterSet = "ISO_IR 192"
    return declared.to_bytes(transfer_syntax)
