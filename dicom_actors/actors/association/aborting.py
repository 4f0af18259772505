"""Saying goodbye to a peer when the protocol machine cannot do it any more."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dicom_actors.actors.connection.record import StaleIncarnation
from dicom_actors.errors import LocalProtocolError
from dicom_actors.pdu import Abort, AssociateRj, Reject, encode_pdu
from dicom_actors.upper_layer import AbortRequest, Send

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.upper_layer import UpperLayer

__all__ = ["abort_at_once", "farewell_to"]

_SECONDS = 1.0
_MAX_DISCARDED_BYTES = 16 << 20


def farewell_to(record: ConnectionRecord) -> bytes:
    """Return what ends the connection of `record` after a crash, which is our fault.

    A-ABORT from the service provider; before acceptance an A-ASSOCIATE-RJ (PS3.8 9.3.4, 9.3.8).
    """
    if record.negotiated is None:
        return encode_pdu(AssociateRj.of(Reject.ACSE_NO_REASON_TRANSIENT))
    return encode_pdu(Abort(source=2, reason=0))


def abort_at_once(record: ConnectionRecord, epoch: int, machine: UpperLayer, source: int) -> None:
    """Send an A-ABORT and wait until the peer has closed, for a moment at the most.

    A socket that is closed with unread input sends a reset, which would destroy the A-ABORT on
    its way; so what the peer still says is read and thrown away, as much as is reasonable. Blocks:
    for an actor that has nothing else to do any more. What goes wrong is of no interest now.
    """
    with contextlib.suppress(OSError, StaleIncarnation, LocalProtocolError):
        for effect in machine.request(AbortRequest(source=source, reason=0)):
            if isinstance(effect, Send):
                record.send(epoch, effect.buffers)
        record.stop_sending(epoch)
        connection = record.transport.socket
        connection.settimeout(_SECONDS)
        left = _MAX_DISCARDED_BYTES
        while left > 0 and (said := connection.recv(65536)):
            left -= len(said)
