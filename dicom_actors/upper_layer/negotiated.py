"""The terms of an association, as both sides know them once it is accepted.

`negotiated` works them out of the request and its answer, for either side; `find_fault` says
what is wrong with a record that came from elsewhere. Standard: PS3.8 annex D.1, PS3.7 D.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.errors import InvalidPduError
from dicom_actors.pdu import (
    AsyncWindow,
    ContextResult,
    PresentationContextAc,
    PresentationContextRq,
    RoleSelection,
    SopClassExtended,
)
from dicom_actors.upper_layer.table import Role

if TYPE_CHECKING:
    from dicom_actors.pdu import AssociateAc, AssociateRq

__all__ = ["AcceptedContext", "Negotiated", "find_fault", "is_usable_length", "negotiated"]

# One operation at a time each way, where no window was negotiated (PS3.7 D.3.3.3).
_SYNCHRONOUS: Final = AsyncWindow(1, 1)
# A PDV's header and two bytes: messages are of even length, and so are their fragments.
_MIN_LENGTH: Final = 8
_MAX_LENGTH: Final = 0xFFFFFFFF
_MAX_OPERATIONS: Final = 0xFFFF


class AcceptedContext(NamedTuple):
    """A presentation context that both sides may use.

    Attributes:
        context_id: odd, 1 to 255.
        abstract_syntax: the SOP class UID.
        transfer_syntax: the one that was chosen.
        as_scu: we may invoke operations on it.
        as_scp: the peer may.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The terms of an association, from our side; frozen all the way down.

    Attributes:
        role: whether we asked for the association.
        called_ae_title: the acceptor.
        calling_ae_title: the requestor.
        contexts: those accepted, in the order of the request.
        own_max_pdu_length: bytes of a P-DATA-TF that we take; 0: no limit.
        peer_max_pdu_length: bytes of a P-DATA-TF that the peer takes; 0: no limit.
        max_invoked: operations that we may have outstanding; 0: any number.
        max_performed: operations that the peer may have outstanding; 0: any number.
        peer_implementation_class_uid: the peer's software; empty if it does not say.
        peer_implementation_version_name: likewise.
        extended: the acceptor's answers to extended negotiation.
    """

    role: Role
    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[AcceptedContext, ...]
    own_max_pdu_length: int
    peer_max_pdu_length: int
    max_invoked: int = 1
    max_performed: int = 1
    peer_implementation_class_uid: str = ""
    peer_implementation_version_name: str = ""
    extended: tuple[SopClassExtended, ...] = ()


def negotiated(rq: AssociateRq, ac: AssociateAc, role: Role) -> Negotiated:
    """Return what a request and its answer come to.

    Args:
        rq: the request.
        ac: the answer.
        role: ours.

    Raises:
        InvalidPduError: the answer is none to this request: a context that was not proposed or
            was answered before, a transfer syntax that was not proposed for it, or a maximum
            length that leaves no room for data.

    Standard: PS3.8 9.3.3.2, PS3.7 D.3.3.
    """
    if not is_usable_length(ac.user_information.max_pdu_length):
        raise InvalidPduError(
            f"A-ASSOCIATE-AC: expected a maximum length of 0 or {_MIN_LENGTH} at least,"
            f" got {ac.user_information.max_pdu_length}"
        )
    as_requestor = role is Role.REQUESTOR
    own, peer = rq.user_information, ac.user_information
    # The window counts from the requestor's side, in the answer too.
    window = _SYNCHRONOUS
    if own.async_window is not None and peer.async_window is not None:
        window = peer.async_window
    invoked, performed = window
    if not as_requestor:
        own, peer = peer, own
        performed, invoked = window
    return Negotiated(
        role=role,
        called_ae_title=rq.called_ae_title,
        calling_ae_title=rq.calling_ae_title,
        contexts=_accepted_contexts(rq, ac, as_requestor=as_requestor),
        own_max_pdu_length=own.max_pdu_length,
        peer_max_pdu_length=peer.max_pdu_length,
        max_invoked=invoked,
        max_performed=performed,
        peer_implementation_class_uid=peer.implementation_class_uid,
        peer_implementation_version_name=peer.implementation_version_name,
        extended=ac.user_information.extended,
    )


def _accepted_contexts(
    rq: AssociateRq, ac: AssociateAc, *, as_requestor: bool
) -> tuple[AcceptedContext, ...]:
    proposals = {context.context_id: context for context in rq.presentation_contexts}
    answers: dict[int, PresentationContextAc] = {}
    for answer in ac.presentation_contexts:
        _check_answer(answer, proposals.get(answer.context_id), answers)
        answers[answer.context_id] = answer
    proposed_roles = {role.sop_class_uid: role for role in rq.user_information.roles}
    answered_roles = {role.sop_class_uid: role for role in ac.user_information.roles}
    accepted = []
    for context_id, proposal in proposals.items():
        chosen = answers.get(context_id)
        if chosen is None or chosen.result is not ContextResult.ACCEPTANCE:
            continue
        uid = proposal.abstract_syntax
        scu, scp = _requestor_roles(proposed_roles.get(uid), answered_roles.get(uid))
        if not as_requestor:
            scu, scp = scp, scu
        if scu or scp:
            accepted.append(AcceptedContext(context_id, uid, chosen.transfer_syntax, scu, scp))
    return tuple(accepted)


def _check_answer(
    answer: PresentationContextAc,
    proposal: PresentationContextRq | None,
    answered: dict[int, PresentationContextAc],
) -> None:
    where = f"A-ASSOCIATE-AC presentation context {answer.context_id}"
    if proposal is None:
        raise InvalidPduError(f"{where}: answered, but it was not proposed")
    if answer.context_id in answered:
        raise InvalidPduError(f"{where}: answered twice")
    if (
        answer.result is ContextResult.ACCEPTANCE
        and answer.transfer_syntax not in proposal.transfer_syntaxes
    ):
        raise InvalidPduError(
            f"{where}: expected one of the proposed transfer syntaxes"
            f" {', '.join(proposal.transfer_syntaxes)}, got {answer.transfer_syntax!r}"
        )


def _requestor_roles(
    proposed: RoleSelection | None, answered: RoleSelection | None
) -> tuple[bool, bool]:
    """Return whether the requestor is SCU and SCP of a SOP class (PS3.7 D.3.3.4)."""
    if proposed is None or answered is None:
        return True, False
    return proposed.scu and answered.scu, proposed.scp and answered.scp


def is_usable_length(max_pdu_length: int) -> bool:
    """Return whether a P-DATA-TF of this length can carry anything; 0 is no limit."""
    return max_pdu_length == 0 or _MIN_LENGTH <= max_pdu_length <= _MAX_LENGTH


def find_fault(terms: Negotiated) -> str | None:
    """Return what is wrong with the terms of an association; None if they are sound.

    Args:
        terms: a record that did not come straight from `negotiated`.
    """
    ids = [context.context_id for context in terms.contexts]
    for context_id in ids:
        if not (1 <= context_id <= 255 and context_id % 2 == 1):
            return f"presentation context id: expected an odd number of 1 to 255, got {context_id}"
    if len(set(ids)) != len(ids):
        return f"presentation context ids: expected each once, got {ids}"
    for context in terms.contexts:
        if not (context.abstract_syntax and context.transfer_syntax):
            return f"presentation context {context.context_id}: a syntax is missing"
    for name in ("own_max_pdu_length", "peer_max_pdu_length"):
        if not is_usable_length(getattr(terms, name)):
            expected = f"0 or {_MIN_LENGTH} to {_MAX_LENGTH}"
            return f"{name}: expected {expected}, got {getattr(terms, name)}"
    for name in ("max_invoked", "max_performed"):
        if not 0 <= getattr(terms, name) <= _MAX_OPERATIONS:
            return f"{name}: expected 0 to {_MAX_OPERATIONS}, got {getattr(terms, name)}"
    return None
