"""PDUs to bytes, and the headers of P-DATA-TF for payloads that are not to be copied.

Standard: PS3.8 9.3.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception, named as one
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import LocalProtocolError
from dicom_actors.pdu.associate_encoder import encode_associate_ac, encode_associate_rq
from dicom_actors.pdu.pdus import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    PDataTf,
    Pdu,
    PduType,
    ReleaseRq,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.pdu.pdus import Pdv

__all__ = ["encode_p_data_header", "encode_pdu", "p_data_buffers", "p_data_length"]

_HEADER: Final = Struct(">BxI")
_PDV: Final = Struct(">IBB")
_ONE_PDV: Final = Struct(">BxIIBB")
# How many bytes of a PDU's length a PDV takes beside its fragment.
_PDV_OVERHEAD: Final = 6


def encode_pdu(pdu: Pdu) -> bytes:
    """Return the bytes of a PDU.

    Args:
        pdu: the PDU; reserved bytes are sent as 0.

    Raises:
        LocalProtocolError: a field does not fit into its place.

    Standard: PS3.8 9.3.
    """
    if isinstance(pdu, PDataTf):
        return b"".join(p_data_buffers(pdu.pdvs))
    try:
        if isinstance(pdu, AssociateRq):
            return _with_header(PduType.A_ASSOCIATE_RQ, encode_associate_rq(pdu))
        if isinstance(pdu, AssociateAc):
            return _with_header(PduType.A_ASSOCIATE_AC, encode_associate_ac(pdu))
        if isinstance(pdu, AssociateRj):
            return _with_header(PduType.A_ASSOCIATE_RJ, bytes((0, *pdu)))
        if isinstance(pdu, Abort):
            return _with_header(PduType.A_ABORT, bytes((0, 0, *pdu)))
    except (StructError, ValueError) as error:
        raise LocalProtocolError(
            f"{type(pdu).__name__}: a field does not fit into its place: {error}"
        ) from error
    kind = PduType.A_RELEASE_RQ if isinstance(pdu, ReleaseRq) else PduType.A_RELEASE_RP
    return _with_header(kind, bytes(4))


def encode_p_data_header(context_id: int, length: int, *, is_command: bool, is_last: bool) -> bytes:
    """Return what goes before the fragment of a P-DATA-TF with one PDV: 12 bytes.

    Args:
        context_id: the presentation context, odd, 1 to 255.
        length: bytes of the fragment, 0 to 2**32 - 7.
        is_command: the fragment is of a command set.
        is_last: it is the last one.

    Standard: PS3.8 9.3.5.
    """
    return _ONE_PDV.pack(
        PduType.P_DATA_TF, length + _PDV_OVERHEAD, length + 2, context_id, is_command | is_last << 1
    )


def p_data_length(pdvs: Iterable[Pdv]) -> int:
    """Return the length of a P-DATA-TF with these PDVs: bytes after its header."""
    return sum(len(pdv.data) + _PDV_OVERHEAD for pdv in pdvs)


def p_data_buffers(pdvs: tuple[Pdv, ...]) -> tuple[bytes | memoryview, ...]:
    """Return a P-DATA-TF as headers and fragments in turn, to be written one after the other.

    Args:
        pdvs: the fragments, which are returned as they are.

    Raises:
        LocalProtocolError: a field does not fit into its place.

    Standard: PS3.8 9.3.5.
    """
    try:
        if len(pdvs) == 1:
            context_id, is_command, is_last, data = pdvs[0]
            header = encode_p_data_header(
                context_id, len(data), is_command=is_command, is_last=is_last
            )
            return header, data
        buffers: list[bytes | memoryview] = []
        header = _HEADER.pack(PduType.P_DATA_TF, p_data_length(pdvs))
        for context_id, is_command, is_last, data in pdvs:
            control = is_command | is_last << 1
            buffers.append(header + _PDV.pack(len(data) + 2, context_id, control))
            buffers.append(data)
            header = b""
    except StructError as error:
        raise LocalProtocolError(
            f"P-DATA-TF of {pdvs!r}: a field does not fit into its place: {error}"
        ) from error
    return tuple(buffers) or (header,)


def _with_header(kind: PduType, body: bytes) -> bytes:
    return _HEADER.pack(kind, len(body)) + body
