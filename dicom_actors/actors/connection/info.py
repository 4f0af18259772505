"""A connection record as handlers and host applications see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.messages import AssociationInfo

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord

__all__ = ["association_info"]


def association_info(record: ConnectionRecord) -> AssociationInfo:
    """Describe the connection of `record` as it is now."""
    rq = record.association_rq
    negotiated = record.negotiated
    if record.is_closed or record.is_ending:
        state = "closing"
    else:
        state = "connecting" if negotiated is None else "open"
    return AssociationInfo(
        id=record.id,
        calling_ae_title="" if rq is None else rq.calling_ae_title,
        called_ae_title="" if rq is None else rq.called_ae_title,
        peer=record.peer,
        state=state,
        since=record.since,
        presentation_contexts=(
            ()
            if negotiated is None
            else tuple(
                (context.context_id, context.abstract_syntax, context.transfer_syntax)
                for context in negotiated.contexts
            )
        ),
        max_pdu_length=0 if negotiated is None else negotiated.peer_max_pdu_length,
        implementation_class_uid=(
            "" if rq is None else rq.user_information.implementation_class_uid
        ),
        implementation_version_name=(
            "" if rq is None else rq.user_information.implementation_version_name
        ),
        requests=record.answered,
        restarts=record.restarts,
        is_secure=record.transport.is_handshaken,
        peer_certificate=record.transport.peer_certificate,
        extended_negotiation={} if negotiated is None else dict(negotiated.extended),
    )
