"""What the upper layer wants done, and what it tells its user.

Every input of the machine returns a tuple of effects, to be carried out in that order. The
machine itself does none of them. Standard: PS3.8 7 (the primitives) and 9.2 (the actions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from dicom_actors.errors import RemoteProtocolError
    from dicom_actors.pdu import AssociateAc, AssociateRj, AssociateRq, Pdv

__all__ = [
    "Aborted",
    "AssociateAccepted",
    "AssociateIndication",
    "AssociateRejected",
    "CloseTransport",
    "DataIndication",
    "Effect",
    "Effects",
    "Indicate",
    "Indication",
    "OpenTransport",
    "ReleaseCollision",
    "ReleaseConfirmation",
    "ReleaseIndication",
    "Send",
    "Signal",
    "StartArtim",
    "StopArtim",
]


class Signal:
    """Something that says all with its type; two of one type are equal."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


# --- effects -------------------------------------------------------------------------------


class Send(NamedTuple):
    """Write these buffers to the transport, one after the other: one PDU.

    Attributes:
        buffers: fragments are the very objects that were handed in.
    """

    buffers: tuple[bytes | memoryview, ...]


class Indicate(NamedTuple):
    """Tell the user of the upper layer."""

    indication: Indication


class StartArtim(Signal):
    """Start the ARTIM timer, or start it anew."""

    __slots__ = ()


class StopArtim(Signal):
    """Stop the ARTIM timer, if it runs."""

    __slots__ = ()


class OpenTransport(Signal):
    """Open the transport connection, then say `connected` or `receive_eof`."""

    __slots__ = ()


class CloseTransport(Signal):
    """Close the transport connection."""

    __slots__ = ()


# --- indications ---------------------------------------------------------------------------


class AssociateIndication(NamedTuple):
    """A peer wants an association: answer with `AssociateAccept` or `AssociateReject`."""

    rq: AssociateRq


class AssociateAccepted(NamedTuple):
    """The peer took the association; `UpperLayer.negotiated` says on which terms."""

    ac: AssociateAc


class AssociateRejected(NamedTuple):
    """The peer refused the association, which is over."""

    rj: AssociateRj


class DataIndication(NamedTuple):
    """Fragments of messages came, all of them on accepted presentation contexts.

    Attributes:
        pdvs: one at least; their payloads are slices of the buffer that was handed in.
    """

    pdvs: tuple[Pdv, ...]


class ReleaseIndication(Signal):
    """The peer wants to release the association: answer with `ReleaseResponse`."""

    __slots__ = ()


class ReleaseConfirmation(Signal):
    """The peer agreed to our release."""

    __slots__ = ()


class ReleaseCollision(Signal):
    """Both sides want to release.

    As the association requestor answer with `ReleaseResponse` now; as the acceptor when the
    `ReleaseConfirmation` has come (PS3.8 7.2.2).
    """

    __slots__ = ()


class Aborted(NamedTuple):
    """The association is over, by an A-ABORT of either side or since the connection is gone.

    Attributes:
        source: 0 the peer's user, 2 the service provider on either side.
        reason: for source 2, 0 to 6.
        error: what the peer did wrong, where it is we who abort.
        connection_lost: there was no A-ABORT; the transport connection ended.
    """

    source: int
    reason: int
    error: RemoteProtocolError | None = None
    connection_lost: bool = False


Indication: TypeAlias = (
    AssociateIndication
    | AssociateAccepted
    | AssociateRejected
    | DataIndication
    | ReleaseIndication
    | ReleaseConfirmation
    | ReleaseCollision
    | Aborted
)
Effect: TypeAlias = Send | Indicate | StartArtim | StopArtim | OpenTransport | CloseTransport
Effects: TypeAlias = tuple[Effect, ...]
