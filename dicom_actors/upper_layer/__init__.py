"""The DICOM upper layer without any I/O: state machine and negotiation.

Inputs go in, effects come out; the owner of the machine has the socket and the clock. Messages
and their fragments are the business of `dicom_actors.dimse`. Standard: PS3.8 chapters 7 and 9,
PS3.7 annex D.
"""

from dicom_actors.upper_layer.conformance import (
    AcceptableContext,
    acceptable_contexts,
    describe_policy,
)
from dicom_actors.upper_layer.effects import (
    Aborted,
    AssociateAccepted,
    AssociateIndication,
    AssociateRejected,
    CloseTransport,
    DataIndication,
    Effect,
    Effects,
    Indicate,
    Indication,
    OpenTransport,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from dicom_actors.upper_layer.known_requests import KnownRequests
from dicom_actors.upper_layer.machine import UpperLayer, UpperLayerLimits, Values
from dicom_actors.upper_layer.negotiated import (
    AcceptedContext,
    Negotiated,
    find_fault,
    negotiated,
)
from dicom_actors.upper_layer.negotiation import (
    NegotiationPolicy,
    RolePolicy,
    negotiate,
    propose_contexts,
    refuse_request,
)
from dicom_actors.upper_layer.primitives import (
    AbortRequest,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataRequest,
    Primitive,
    ReleaseRequest,
    ReleaseResponse,
)
from dicom_actors.upper_layer.table import Role, State

__all__ = [
    "AbortRequest",
    "Aborted",
    "AcceptableContext",
    "AcceptedContext",
    "AssociateAccept",
    "AssociateAccepted",
    "AssociateIndication",
    "AssociateReject",
    "AssociateRejected",
    "AssociateRequest",
    "CloseTransport",
    "DataIndication",
    "DataRequest",
    "Effect",
    "Effects",
    "Indicate",
    "Indication",
    "KnownRequests",
    "Negotiated",
    "NegotiationPolicy",
    "OpenTransport",
    "Primitive",
    "ReleaseCollision",
    "ReleaseConfirmation",
    "ReleaseIndication",
    "ReleaseRequest",
    "ReleaseResponse",
    "Role",
    "RolePolicy",
    "Send",
    "StartArtim",
    "State",
    "StopArtim",
    "UpperLayer",
    "UpperLayerLimits",
    "Values",
    "acceptable_contexts",
    "describe_policy",
    "find_fault",
    "negotiate",
    "negotiated",
    "propose_contexts",
    "refuse_request",
]
