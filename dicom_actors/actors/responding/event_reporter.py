"""Event reports to the peer of an association: N-EVENT-REPORT, as the provider of a SOP class.

They belong to no request that runs: a report comes when there is something to be said, from
whichever thread has it. The Association sends it between its other messages. PS3.7 10.1.1.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from dicom_actors.actors.responding.responder import encode_for
from dicom_actors.dimse import (
    CommandElement,
    CommandField,
    Status,
    StatusCategory,
    category_of,
    encode_request,
    error_comment,
    fragment,
)
from dicom_actors.errors import AssociationError, AssociationTimeout, DimseFailure
from dicom_actors.pdu import p_data_buffers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.data import DataSet
    from dicom_actors.upper_layer import AcceptedContext

__all__ = ["EventReporter"]

_MOST_SECONDS: Final = 86_400.0


class EventReporter:
    """Reports events; made by `RequestEvent.event_reporter`. Any thread may call it.

    Args:
        kernel: the endpoint's tables.
        record: the connection's record.
        context: the presentation context of the request.
        sop_class_uid: the SOP class of what is reported on.
        sop_instance_uid: its instance.
    """

    def __init__(
        self,
        kernel: EndpointKernel,
        record: ConnectionRecord,
        context: AcceptedContext,
        sop_class_uid: str,
        sop_instance_uid: str,
    ) -> None:
        self._kernel = kernel
        self._record = record
        self._context = context
        self._uids: Final = (sop_class_uid, sop_instance_uid)

    @property
    def is_open(self) -> bool:
        """Whether the association is open, and the peer has not asked for its release."""
        return not self._record.outgoing.is_closed

    def __call__(
        self, event_type_id: int, information: DataSet | None = None, *, timeout: float = 30.0
    ) -> int:
        """Report an event, and wait for the peer's answer.

        A handler that calls this has not answered its own request yet, which not every peer
        understands; better is to return, and to report from elsewhere.

        Args:
            event_type_id: what happened, 0 to 65535, by SOP class.
            information: what there is to say about it.
            timeout: seconds for the peer to take and to answer it; over 0, at most a day.

        Returns:
            The status: Success, or a warning.

        Raises:
            DimseFailure: the peer answered with a status of failure.
            AssociationTimeout: it did not answer in time.
            AssociationError: the association is over, or being released; or the peer is no user of
                the SOP class.
            EncodeError: `information` cannot be encoded.
            ValueError: an argument is out of its range; nothing was sent.
        """
        if not 0 <= event_type_id <= 0xFFFF:
            raise ValueError(f"event_type_id: expected 0 to 65535, got {event_type_id}")
        if not 0 < timeout <= _MOST_SECONDS:
            raise ValueError(f"timeout: expected over 0 to {_MOST_SECONDS} s, got {timeout}")
        if not self._context.as_scp:
            raise AssociationError("event report: the peer is no user of the SOP class")
        record, outgoing = self._record, self._record.outgoing
        data = None if information is None else encode_for(information, self._context)

        def pdus_for(message_id: int) -> Sequence[bytes | memoryview]:
            return self._pdus(message_id, event_type_id, data)

        message_id = outgoing.post(CommandField.N_EVENT_REPORT_RQ, pdus_for)
        if message_id is None:
            raise AssociationError("event report: the association takes no more messages")
        if record.inline:
            # The Association's thread runs a handler, perhaps the one that calls this.
            self._kernel.attendance.relieve(record)
        record.poke()
        response = outgoing.wait_for_posted(message_id, timeout)
        if response is None:
            if outgoing.is_closed:
                raise AssociationError("event report: the association ended before an answer")
            raise AssociationTimeout(f"event report: no answer in {timeout} s")
        status = Status.PROCESSING_FAILURE if response.status is None else response.status
        if category_of(status) is StatusCategory.FAILURE:
            raise DimseFailure(status, error_comment(response))
        return status

    def _pdus(
        self, message_id: int, event_type_id: int, data: bytes | None
    ) -> Sequence[bytes | memoryview]:
        command_set = encode_request(
            CommandField.N_EVENT_REPORT_RQ,
            message_id,
            *self._uids,
            has_data_set=data is not None,
            more={CommandElement.EVENT_TYPE_ID: event_type_id},
        )
        context_id = self._context.context_id
        assert self._record.negotiated is not None
        length = self._record.negotiated.peer_max_pdu_length
        pdvs = chain(
            fragment(context_id, command_set, length, is_command=True),
            () if data is None else fragment(context_id, data, length, is_command=False),
        )
        return [part for pdv in pdvs for part in p_data_buffers((pdv,))]
