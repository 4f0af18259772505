"""The seven PDUs as values.

The small ones are named tuples, which are made in half the time that a frozen dataclass takes.

Standard: PS3.8 9.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dicom_actors.pdu.items import (
    APPLICATION_CONTEXT,
    PresentationContextAc,
    PresentationContextRq,
    UnknownItem,
    UserInformation,
)

if TYPE_CHECKING:
    from dicom_actors.pdu.reasons import Reject

__all__ = [
    "Abort",
    "AssociateAc",
    "AssociateRj",
    "AssociateRq",
    "PDataTf",
    "Pdu",
    "PduType",
    "Pdv",
    "ReleaseRp",
    "ReleaseRq",
]


class PduType(IntEnum):
    """The first byte of a PDU."""

    A_ASSOCIATE_RQ = 1
    A_ASSOCIATE_AC = 2
    A_ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    A_RELEASE_RQ = 5
    A_RELEASE_RP = 6
    A_ABORT = 7

    @property
    def title(self) -> str:
        """The name as the standard writes it, for example ``"A-ASSOCIATE-RQ"``."""
        return self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class AssociateRq:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Attributes:
        called_ae_title: whom the requestor wants.
        calling_ae_title: who it says it is.
        presentation_contexts: what it proposes.
        user_information: the rest.
        application_context_name: empty if the PDU has none.
        protocol_version: bit 0 is set for version 1.
        unknown_items: items of other types, as they came.
        echo: bytes 11 to 74 of the PDU as they came, which the A-ASSOCIATE-AC repeats.
    """

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[PresentationContextRq, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    unknown_items: tuple[UnknownItem, ...] = ()
    echo: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AssociateAc:
    """A-ASSOCIATE-AC (PS3.8 9.3.3).

    Attributes:
        called_ae_title: that of the request; a peer's answer may hold anything here.
        calling_ae_title: likewise.
        presentation_contexts: one answer for each that was proposed.
        user_information: the rest.
        application_context_name: empty if the PDU has none.
        protocol_version: bit 0 is set for version 1.
        unknown_items: items of other types, as they came.
        echo: the request's bytes 11 to 74; empty: sent from the two titles.
    """

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[PresentationContextAc, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    unknown_items: tuple[UnknownItem, ...] = ()
    echo: bytes = field(default=b"", repr=False, compare=False)


class AssociateRj(NamedTuple):
    """A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Attributes:
        result: 1 permanent, 2 transient.
        source: 1 service user, 2 service provider (ACSE), 3 service provider (presentation).
        reason: by source.
    """

    result: int
    source: int
    reason: int

    @classmethod
    def of(cls, reject: Reject) -> AssociateRj:
        """Return the PDU that says this."""
        return cls(*reject.value)


class Pdv(NamedTuple):
    """A presentation data value item: a fragment of a message (PS3.8 9.3.5.1, annex E).

    Attributes:
        context_id: the presentation context.
        is_command: a fragment of the command set; else of the data set.
        is_last: the last fragment of it.
        data: the fragment; a slice of the buffer it was received in, which must not be
            overwritten while this is in use.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes | memoryview

    def __repr__(self) -> str:
        """Show the payload as its length."""
        return (
            f"Pdv(context_id={self.context_id}, is_command={self.is_command},"
            f" is_last={self.is_last}, {len(self.data)} bytes)"
        )


class PDataTf(NamedTuple):
    """P-DATA-TF (PS3.8 9.3.5).

    Attributes:
        pdvs: the fragments.
    """

    pdvs: tuple[Pdv, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRq:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""


@dataclass(frozen=True, slots=True)
class ReleaseRp:
    """A-RELEASE-RP (PS3.8 9.3.7)."""


class Abort(NamedTuple):
    """A-ABORT (PS3.8 9.3.8).

    Attributes:
        source: 0 service user, 2 service provider.
        reason: for source 2, 0 to 6.
    """

    source: int
    reason: int


Pdu: TypeAlias = AssociateRq | AssociateAc | AssociateRj | PDataTf | ReleaseRq | ReleaseRp | Abort
