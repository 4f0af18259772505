"""Saying goodbye to a peer when the protocol machine cannot do it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.pdu import Abort, AssociateRj, Reject, encode_pdu

if TYPE_CHECKING:
    from dicom_actors.actors.connection_record import ConnectionRecord
    from dicom_actors.supervision import Clock

__all__ = ["farewell_to", "let_peer_read"]


def farewell_to(record: ConnectionRecord) -> bytes:
    """Return what ends the connection of `record` after a crash, which is our fault.

    A-ABORT from the service provider; before acceptance an A-ASSOCIATE-RJ (PS3.8 9.3.4, 9.3.8).
    """
    if record.negotiated is None:
        return encode_pdu(AssociateRj.of(Reject.ACSE_NO_REASON_TRANSIENT))
    return encode_pdu(Abort(source=2, reason=0))


def let_peer_read(record: ConnectionRecord, clock: Clock, seconds: float) -> None:
    """Wait until the peer has closed, `seconds` at the most, and throw away what it still says.

    A socket that is closed with unread input sends a reset, which would destroy the A-ABORT on
    its way. Blocks: for an actor that has nothing else to do any more.

    Raises:
        OSError: the peer does not close in time, or the connection is lost.
    """
    connection = record.transport.socket
    connection.settimeout(seconds)
    deadline = clock.monotonic() + seconds
    while connection.recv(65536) and clock.monotonic() < deadline:
        pass
