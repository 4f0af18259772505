"""PDUs from bytes.

Payloads of P-DATA-TF come out as slices of the input: nothing is copied. Standard: PS3.8 9.3.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from dicom_actors.errors import InvalidPduError
from dicom_actors.pdu.associate_decoder import decode_associate_ac, decode_associate_rq
from dicom_actors.pdu.header import HEADER_LENGTH, PduLimits, decode_header
from dicom_actors.pdu.pdus import (
    Abort,
    AssociateRj,
    PDataTf,
    Pdu,
    PduType,
    Pdv,
    ReleaseRp,
    ReleaseRq,
)

__all__ = ["decode_pdu"]

_DEFAULT_LIMITS: Final = PduLimits()
_PDV: Final = Struct(">IBB")  # length of what follows, context id, message control header
_PDV_HEADER_LENGTH: Final = 6


def decode_pdu(view: bytes | memoryview, limits: PduLimits = _DEFAULT_LIMITS) -> Pdu:
    """Return the PDU that these bytes are.

    Args:
        view: one whole PDU, neither more nor less.
        limits: what is taken.

    Returns:
        The PDU; the payloads of its PDVs are slices of `view`.

    Raises:
        UnrecognizedPduError: there is no such type.
        InvalidPduError: its fields contradict themselves or each other.
        PduTooLargeError: it is longer, or asks for more, than the limits allow.

    Standard: PS3.8 9.3.
    """
    view = memoryview(view)
    if len(view) < HEADER_LENGTH:
        raise InvalidPduError(
            f"PDU: expected a header of {HEADER_LENGTH} bytes, got {len(view)} bytes", offset=0
        )
    kind, length = decode_header(view, limits)
    if len(view) != HEADER_LENGTH + length:
        raise InvalidPduError(
            f"{kind.title}: expected {length} bytes after the header,"
            f" got {len(view) - HEADER_LENGTH}",
            offset=2,
        )
    return decode_body(kind, view, limits)


def decode_body(kind: PduType, view: memoryview, limits: PduLimits) -> Pdu:
    """Return a PDU whose header was checked.

    Args:
        kind: its type.
        view: all of it, header included.
        limits: what is taken.

    Raises:
        InvalidPduError: its fields contradict themselves or each other.
        PduTooLargeError: it asks for more than the limits allow.
    """
    if kind is PduType.P_DATA_TF:
        return PDataTf(_decode_pdvs(view))
    if kind is PduType.A_ASSOCIATE_RQ:
        return decode_associate_rq(view, limits)
    if kind is PduType.A_ASSOCIATE_AC:
        return decode_associate_ac(view, limits)
    if kind is PduType.A_ASSOCIATE_RJ:
        return AssociateRj(view[7], view[8], view[9])
    if kind is PduType.A_ABORT:
        return Abort(view[8], view[9])
    return ReleaseRq() if kind is PduType.A_RELEASE_RQ else ReleaseRp()


def _decode_pdvs(view: memoryview) -> tuple[Pdv, ...]:
    pdvs = []
    at, end = HEADER_LENGTH, len(view)
    while at < end:
        if end - at < _PDV_HEADER_LENGTH:
            raise InvalidPduError(
                f"P-DATA-TF PDV at byte {at}: expected a header of {_PDV_HEADER_LENGTH} bytes,"
                f" {end - at} left",
                offset=at,
            )
        length, context_id, control = _PDV.unpack_from(view, at)
        stop = at + 4 + length
        if length < 2 or stop > end:
            raise InvalidPduError(
                f"P-DATA-TF PDV at byte {at}: expected a length of 2 to {end - at - 4},"
                f" got {length}",
                offset=at,
            )
        data = view[at + _PDV_HEADER_LENGTH : stop]
        # Bits 2 to 7 of the control header are not tested (PS3.8 annex E.2).
        pdvs.append(Pdv(context_id, (control & 1) == 1, (control & 2) == 2, data))
        at = stop
    return tuple(pdvs)
