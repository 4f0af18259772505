"""The single steps of the table's actions as effects.

Standard: PS3.8 tables 9-6 to 9-9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.pdu import Abort, encode_pdu, p_data_buffers
from dicom_actors.upper_layer.effects import (
    Aborted,
    AssociateAccepted,
    AssociateIndication,
    AssociateRejected,
    CloseTransport,
    DataIndication,
    Indicate,
    OpenTransport,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from dicom_actors.upper_layer.table import Event, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.errors import RemoteProtocolError
    from dicom_actors.upper_layer.effects import Effect

__all__ = ["Occurrence", "effect_of"]


class Occurrence(NamedTuple):
    """An event together with what it brings.

    Attributes:
        event: the event.
        pdu: what came, or what is to be sent; its type goes with the event.
        error: what the peer did wrong; None if nothing.
        encoded: a PDU that is to be sent, if it was encoded before.
    """

    event: Event
    pdu: Any = None
    error: RemoteProtocolError | None = None
    encoded: bytes = b""


def effect_of(step: Step, occurrence: Occurrence) -> Effect:
    """Return the effect that a step is for an occurrence.

    Raises:
        LocalProtocolError: a PDU that is to be sent cannot be encoded.
    """
    effect = _PLAIN.get(step)
    return _MADE[step](occurrence) if effect is None else effect


def _send(occurrence: Occurrence) -> Effect:
    return Send((occurrence.encoded or encode_pdu(occurrence.pdu),))


def _send_p_data(occurrence: Occurrence) -> Effect:
    return Send(p_data_buffers(occurrence.pdu.pdvs))


def _send_user_abort(occurrence: Occurrence) -> Effect:
    # Our own user says what to send; for a fault of the peer AA-1 wants source 0, reason 0.
    abort = occurrence.pdu if occurrence.event is Event.EVT15 else Abort(0, 0)
    return Send((encode_pdu(abort),))


def _provider_reason(occurrence: Occurrence) -> int:
    return 0 if occurrence.error is None else occurrence.error.abort_reason


def _send_provider_abort(occurrence: Occurrence) -> Effect:
    return Send((encode_pdu(Abort(2, _provider_reason(occurrence))),))


def _indicate_provider_abort(occurrence: Occurrence) -> Effect:
    return Indicate(Aborted(2, _provider_reason(occurrence), occurrence.error))


# Steps that are the same for every occurrence.
_PLAIN: Final[dict[Step, Effect]] = {
    Step.OPEN_TRANSPORT: OpenTransport(),
    Step.CLOSE_TRANSPORT: CloseTransport(),
    Step.START_ARTIM: StartArtim(),
    Step.STOP_ARTIM: StopArtim(),
    Step.INDICATE_RELEASE: Indicate(ReleaseIndication()),
    Step.INDICATE_COLLISION: Indicate(ReleaseCollision()),
    Step.CONFIRM_RELEASE: Indicate(ReleaseConfirmation()),
    Step.INDICATE_CONNECTION_LOST: Indicate(Aborted(2, 0, connection_lost=True)),
}

# Steps that carry what the occurrence brought.
_MADE: Final[dict[Step, Callable[[Occurrence], Effect]]] = {
    Step.SEND_ASSOCIATE_RQ: _send,
    Step.SEND_ASSOCIATE_AC: _send,
    Step.SEND_ASSOCIATE_RJ: _send,
    Step.SEND_P_DATA_TF: _send_p_data,
    Step.SEND_RELEASE_RQ: _send,
    Step.SEND_RELEASE_RP: _send,
    Step.SEND_USER_ABORT: _send_user_abort,
    Step.SEND_PROVIDER_ABORT: _send_provider_abort,
    Step.INDICATE_ASSOCIATE: lambda occurrence: Indicate(AssociateIndication(occurrence.pdu)),
    Step.CONFIRM_ACCEPTED: lambda occurrence: Indicate(AssociateAccepted(occurrence.pdu)),
    Step.CONFIRM_REJECTED: lambda occurrence: Indicate(AssociateRejected(occurrence.pdu)),
    Step.INDICATE_DATA: lambda occurrence: Indicate(DataIndication(occurrence.pdu.pdvs)),
    Step.INDICATE_ABORT: lambda occurrence: Indicate(Aborted(*occurrence.pdu)),
    Step.INDICATE_PROVIDER_ABORT: _indicate_provider_abort,
}
