"""The items and sub-items of A-ASSOCIATE PDUs as values.

Standard: PS3.8 9.3.2 and 9.3.3 (presentation contexts), annex D.1 (maximum length), PS3.7
D.3.3 (the other user information).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dicom_actors.pdu.reasons import ContextResult  # noqa: TC001 - part of the public signature

__all__ = [
    "APPLICATION_CONTEXT",
    "AsyncWindow",
    "PresentationContextAc",
    "PresentationContextRq",
    "RoleSelection",
    "SopClassCommonExtended",
    "SopClassExtended",
    "UnknownItem",
    "UserIdentity",
    "UserInformation",
]

# The one application context name that DICOM has (PS3.7 annex A.2.1).
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"


class PresentationContextRq(NamedTuple):
    """A proposed presentation context (item 20).

    Attributes:
        context_id: odd, 1 to 255.
        abstract_syntax: a SOP class UID; empty if the item has none.
        transfer_syntaxes: UIDs, in the order of the item.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class PresentationContextAc(NamedTuple):
    """The answer to a proposed presentation context (item 21).

    Attributes:
        context_id: that of the proposal.
        result: accepted, or why not.
        transfer_syntax: the one chosen; without meaning unless accepted, and may be empty then.
    """

    context_id: int
    result: ContextResult
    transfer_syntax: str


class AsyncWindow(NamedTuple):
    """Operations that may be outstanding (sub-item 53, PS3.7 D.3.3.3); 0: any number.

    Attributes:
        invoked: how many the association requestor may have invoked.
        performed: how many the association requestor may have to perform.
    """

    invoked: int
    performed: int


class RoleSelection(NamedTuple):
    """The roles of the association requestor for a SOP class (sub-item 54, PS3.7 D.3.3.4).

    Attributes:
        sop_class_uid: the SOP class.
        scu: proposed: it can be the SCU; answered: it may be.
        scp: the same for the SCP.
    """

    sop_class_uid: str
    scu: bool
    scp: bool


class SopClassExtended(NamedTuple):
    """Extended negotiation for a SOP class (sub-item 56, PS3.7 D.3.3.5).

    Attributes:
        sop_class_uid: the SOP class.
        information: what its service class defines.
    """

    sop_class_uid: str
    information: bytes


class SopClassCommonExtended(NamedTuple):
    """What kind of SOP class a proposed one is (sub-item 57, PS3.7 D.3.3.6); requests only.

    Attributes:
        sop_class_uid: the SOP class.
        service_class_uid: the service class it belongs to.
        related_general: general SOP classes that it specializes.
        version: of the sub-item, 0.
    """

    sop_class_uid: str
    service_class_uid: str
    related_general: tuple[str, ...] = ()
    version: int = 0


class UnknownItem(NamedTuple):
    """An item or sub-item of a type that the standard does not define.

    Attributes:
        item_type: 0 to 255.
        data: its bytes after the length field.
    """

    item_type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who the requestor's user is (sub-item 58, PS3.7 D.3.3.7); requests only.

    The fields are secrets, so the printed form does not show them.

    Attributes:
        identity_type: 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML
            assertion, 5 JSON web token.
        primary_field: the user name in UTF-8, the ticket, assertion or token.
        secondary_field: the passcode, for type 2.
        positive_response_requested: whether the requestor wants an answer.
    """

    identity_type: int
    primary_field: bytes = field(repr=False)
    secondary_field: bytes = field(default=b"", repr=False)
    positive_response_requested: bool = False

    @property
    def user_name(self) -> str | None:
        """The user name of types 1 and 2; None for the others."""
        if self.identity_type not in {1, 2}:
            return None
        return self.primary_field.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item (item 50) of A-ASSOCIATE-RQ and -AC.

    Attributes:
        max_pdu_length: bytes of a P-DATA-TF's variable field that the sender takes; 0: no limit.
        implementation_class_uid: which software it is; empty if not said.
        implementation_version_name: 1 to 16 ASCII characters; empty if not said.
        async_window: None if not negotiated, which means one operation each way.
        roles: role selections, one for each SOP class.
        extended: SOP class extended negotiation.
        common_extended: SOP class common extended negotiation; requests only.
        user_identity: requests only.
        user_identity_response: the server's response, which may be empty; answers only.
        unknown: sub-items of other types, as they came.
    """

    max_pdu_length: int
    implementation_class_uid: str
    implementation_version_name: str = ""
    async_window: AsyncWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[SopClassExtended, ...] = ()
    common_extended: tuple[SopClassCommonExtended, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = field(default=None, repr=False)
    unknown: tuple[UnknownItem, ...] = ()
