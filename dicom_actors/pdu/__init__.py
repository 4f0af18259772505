"""PDUs of the DICOM upper layer: values, bytes to values, values to bytes. No state.

What comes from a peer is checked for structure: every length against what is around it.
Whether a PDU may come at all, and what its content means, is the business of
`dicom_actors.upper_layer`. Standard: PS3.8 9.3, PS3.7 annex D.3.
"""

from dicom_actors.pdu.decoder import decode_pdu
from dicom_actors.pdu.description import describe_pdu
from dicom_actors.pdu.encoder import (
    encode_p_data_header,
    encode_pdu,
    p_data_buffers,
    p_data_length,
)
from dicom_actors.pdu.header import AssociateLimitError, PduLimits
from dicom_actors.pdu.items import (
    APPLICATION_CONTEXT,
    AsyncWindow,
    PresentationContextAc,
    PresentationContextRq,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UnknownItem,
    UserIdentity,
    UserInformation,
)
from dicom_actors.pdu.pdus import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    PDataTf,
    Pdu,
    PduType,
    Pdv,
    ReleaseRp,
    ReleaseRq,
)
from dicom_actors.pdu.reasons import (
    ABORT_REASONS,
    ContextResult,
    Reject,
    describe_abort,
    describe_reject,
)
from dicom_actors.pdu.text import is_ae_title
from dicom_actors.pdu.trace import describe_head, describe_stream

__all__ = [
    "ABORT_REASONS",
    "APPLICATION_CONTEXT",
    "Abort",
    "AssociateAc",
    "AssociateLimitError",
    "AssociateRj",
    "AssociateRq",
    "AsyncWindow",
    "ContextResult",
    "PDataTf",
    "Pdu",
    "PduLimits",
    "PduType",
    "Pdv",
    "PresentationContextAc",
    "PresentationContextRq",
    "Reject",
    "ReleaseRp",
    "ReleaseRq",
    "RoleSelection",
    "SopClassCommonExtended",
    "SopClassExtended",
    "UnknownItem",
    "UserIdentity",
    "UserInformation",
    "decode_pdu",
    "describe_abort",
    "describe_head",
    "describe_pdu",
    "describe_reject",
    "describe_stream",
    "encode_p_data_header",
    "encode_pdu",
    "is_ae_title",
    "p_data_buffers",
    "p_data_length",
]
