"""The first six bytes of a PDU, and what may be refused because of them.

Nothing is buffered for a PDU before its type and length are known to be good.
Standard: PS3.8 9.3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from dicom_actors.errors import InvalidPduError, PduTooLargeError, UnrecognizedPduError
from dicom_actors.pdu.pdus import PduType

__all__ = ["HEADER_LENGTH", "AssociateLimitError", "PduLimits", "decode_header"]

HEADER_LENGTH: Final = 6
_HEADER: Final = Struct(">BxI")  # type, reserved, length of what follows

# The PDU types by number, since an enum's own look-up is ten times as slow.
_TYPES: Final = {int(kind): kind for kind in PduType}
# A-ASSOCIATE-RQ and -AC: version, titles and reserved bytes before the first item.
_SHORTEST_ASSOCIATE: Final = 68
# A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP, A-ABORT.
_FIXED_LENGTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PduLimits:
    """How large a PDU of a peer may be.

    Attributes:
        max_pdu_length: bytes of a P-DATA-TF after its header; what we announce.
        max_associate_length: bytes of an A-ASSOCIATE-RQ or -AC after its header.
        max_transfer_syntaxes: transfer syntaxes of one presentation context.
        max_user_information_length: bytes of the user information item.
    """

    max_pdu_length: int = 128 * 1024
    max_associate_length: int = 1024 * 1024
    max_transfer_syntaxes: int = 256
    max_user_information_length: int = 32 * 1024


class AssociateLimitError(PduTooLargeError):
    """An A-ASSOCIATE PDU that is well-formed as far as it was read but asks for too much."""


def decode_header(view: memoryview, limits: PduLimits) -> tuple[PduType, int]:
    """Return a PDU's type and the number of bytes after its header.

    Args:
        view: at least the first 6 bytes of the PDU.
        limits: what is taken.

    Raises:
        UnrecognizedPduError: there is no such type.
        PduTooLargeError: it is longer than the limits allow.
        InvalidPduError: its type does not go with its length.

    Standard: PS3.8 9.3.1.
    """
    number, length = _HEADER.unpack_from(view)
    kind = _TYPES.get(number)
    if kind is None:
        raise UnrecognizedPduError(f"expected a PDU type of 01H to 07H, got {number:02X}H")
    if kind is PduType.P_DATA_TF:
        if length > limits.max_pdu_length:
            raise PduTooLargeError(_wrong(kind, f"{limits.max_pdu_length} at most", length))
    elif kind <= PduType.A_ASSOCIATE_AC:
        if length > limits.max_associate_length:
            raise PduTooLargeError(_wrong(kind, f"{limits.max_associate_length} at most", length))
        if length < _SHORTEST_ASSOCIATE:
            raise InvalidPduError(_wrong(kind, f"{_SHORTEST_ASSOCIATE} at least", length), offset=2)
    elif length != _FIXED_LENGTH:
        raise InvalidPduError(_wrong(kind, str(_FIXED_LENGTH), length), offset=2)
    return kind, length


def _wrong(kind: PduType, expected: str, length: int) -> str:
    return f"{kind.title} at byte 2: expected a length of {expected}, got {length}"
