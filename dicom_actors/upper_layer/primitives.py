"""What the user of the upper layer asks of it.

Standard: PS3.8 7 (request and response primitives).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dicom_actors.upper_layer.effects import Signal

if TYPE_CHECKING:
    from dicom_actors.pdu import AssociateAc, AssociateRq, Pdv, Reject

__all__ = [
    "AbortRequest",
    "AssociateAccept",
    "AssociateReject",
    "AssociateRequest",
    "DataRequest",
    "Primitive",
    "ReleaseRequest",
    "ReleaseResponse",
]


class AssociateRequest(NamedTuple):
    """Ask for an association (A-ASSOCIATE request)."""

    rq: AssociateRq


class AssociateAccept(NamedTuple):
    """Take an association (A-ASSOCIATE response, accepted)."""

    ac: AssociateAc


class AssociateReject(NamedTuple):
    """Refuse an association (A-ASSOCIATE response, rejected)."""

    reject: Reject


class DataRequest(NamedTuple):
    """Send fragments in one P-DATA-TF (P-DATA request).

    Attributes:
        pdvs: one at least, on accepted presentation contexts; together no more than the peer
            takes. Their payloads are not copied.
    """

    pdvs: tuple[Pdv, ...]


class ReleaseRequest(Signal):
    """Ask for the association's release (A-RELEASE request)."""

    __slots__ = ()


class ReleaseResponse(Signal):
    """Agree to the association's release (A-RELEASE response)."""

    __slots__ = ()


class AbortRequest(NamedTuple):
    """End the association at once (A-ABORT request).

    Attributes:
        source: 0 for the service user; 2 for the service provider, that is, a fault of ours.
        reason: 0 for the service user; a key of `ABORT_REASONS` for the provider.
    """

    source: int = 0
    reason: int = 0


Primitive: TypeAlias = (
    AssociateRequest
    | AssociateAccept
    | AssociateReject
    | DataRequest
    | ReleaseRequest
    | ReleaseResponse
    | AbortRequest
)
