"""Answering an A-ASSOCIATE-RQ: a pure function of the request and a policy.

Every presentation context gets its own answer, with the transfer syntax that *we* prefer among
those proposed. Faults of the request itself are found by `refuse_request`, on behalf of the
service provider (reject source 2); `negotiate` speaks for the service user (source 1) and for
limits (source 3). Standard: PS3.8 7.1.1, 9.3.3, PS3.7 annex D.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from dicom_actors.pdu import (
    APPLICATION_CONTEXT,
    AssociateAc,
    AsyncWindow,
    ContextResult,
    PresentationContextAc,
    PresentationContextRq,
    Reject,
    RoleSelection,
    SopClassExtended,
    UserInformation,
    is_ae_title,
)
from dicom_actors.upper_layer.negotiated import is_usable_length

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.pdu import AssociateRq

__all__ = [
    "NegotiationPolicy",
    "RolePolicy",
    "answer_to",
    "negotiate",
    "propose_contexts",
    "refuse",
    "refuse_request",
]

# Named in the answer to a refused context, where it has no meaning but must stand.
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_MAX_CONTEXTS: Final = 128


class RolePolicy(NamedTuple):
    """The roles that we let the association requestor have for a SOP class.

    Attributes:
        scu: it may be the SCU, and we the SCP.
        scp: it may be the SCP, and we the SCU.
        unstated: it is accepted without a role selection, even if it may not be the SCU, which is
            what that means: many an SCP leaves its role out.
    """

    scu: bool = True
    scp: bool = False
    unstated: bool = False


SyntaxLookUp: TypeAlias = Callable[[str], tuple[str, ...] | None]
RoleLookUp: TypeAlias = Callable[[str], RolePolicy]
_DEFAULT_ROLE: Final = RolePolicy()
_SYNCHRONOUS: Final = AsyncWindow(1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationPolicy:
    """What we accept, as data.

    Attributes:
        abstract_syntaxes: for each SOP class that we support, the transfer syntaxes, most
            preferred first; or a callable that gives them, and None for a class that we do not.
        max_pdu_length: bytes of a P-DATA-TF that we take; what we announce.
        implementation_class_uid: ours.
        implementation_version_name: ours, up to 16 characters; empty: none is sent.
        roles: for SOP classes where the requestor may have other roles than SCU alone; or a
            callable that gives the roles for each SOP class.
        async_window: operations that we let the requestor invoke, and that we may have it
            perform; 0: any number.
        called_ae_titles: our names; None: any.
        calling_ae_titles: who may call; None: anybody.
        max_associations: open associations in all; None: no limit.
        max_associations_per_ae: the same for each calling AE title.
        specialized: whether a SOP class that we do not know is taken as the general one that
            the requestor says it specializes (PS3.7 D.3.3.6).
        extended: answers an extended negotiation item with what goes back, or None for nothing.
    """

    abstract_syntaxes: Mapping[str, tuple[str, ...]] | SyntaxLookUp
    max_pdu_length: int
    implementation_class_uid: str
    implementation_version_name: str = ""
    roles: Mapping[str, RolePolicy] | RoleLookUp = field(default_factory=dict)
    async_window: AsyncWindow = _SYNCHRONOUS
    called_ae_titles: frozenset[str] | None = None
    calling_ae_titles: frozenset[str] | None = None
    max_associations: int | None = None
    max_associations_per_ae: int | None = None
    specialized: bool = False
    extended: Callable[[SopClassExtended], bytes | None] | None = None

    def transfer_syntaxes(self, abstract_syntax: str) -> tuple[str, ...] | None:
        """Return those that we take for a SOP class; None if we do not support it."""
        if isinstance(self.abstract_syntaxes, Mapping):
            return self.abstract_syntaxes.get(abstract_syntax)
        return self.abstract_syntaxes(abstract_syntax)

    def allowed_roles(self, abstract_syntax: str) -> RolePolicy:
        """Return the roles that the requestor may have for a SOP class."""
        if isinstance(self.roles, Mapping):
            return self.roles.get(abstract_syntax, _DEFAULT_ROLE)
        return self.roles(abstract_syntax)


def refuse_request(rq: AssociateRq) -> tuple[Reject, str] | None:
    """Return why the service provider refuses a request, and a message; None if it does not.

    Standard: PS3.8 9.2.2 (AE-6), 9.3.2, 9.3.4.
    """
    if not rq.protocol_version & 1:
        version = f"{rq.protocol_version:04X}H"
        return (
            Reject.PROTOCOL_VERSION_NOT_SUPPORTED,
            f"A-ASSOCIATE-RQ: expected a protocol version with bit 0 set, got {version}",
        )
    ids = [context.context_id for context in rq.presentation_contexts]
    if not ids:
        return Reject.ACSE_NO_REASON, "A-ASSOCIATE-RQ: expected presentation contexts, got none"
    if len(set(ids)) != len(ids) or any(context_id % 2 == 0 for context_id in ids):
        return (
            Reject.ACSE_NO_REASON,
            f"A-ASSOCIATE-RQ: expected odd presentation context ids, each once, got {ids}",
        )
    max_pdu_length = rq.user_information.max_pdu_length
    if not is_usable_length(max_pdu_length):
        return (
            Reject.ACSE_NO_REASON,
            f"A-ASSOCIATE-RQ: expected a maximum length with room for data, got {max_pdu_length}",
        )
    return None


def negotiate(
    rq: AssociateRq,
    policy: NegotiationPolicy,
    *,
    open_associations: int = 0,
    open_from_caller: int = 0,
    identity_response: bytes | None = None,
) -> AssociateAc | Reject:
    """Answer a request: what `refuse` says, else `answer_to`.

    Args:
        rq: the request, which `refuse_request` let pass.
        policy: what we accept.
        open_associations: how many there are, this one not counted.
        open_from_caller: how many of them have the same calling AE title.
        identity_response: the server's response for the user identity, if that was verified;
            empty for a user name. Sent only where the requestor asked for it.

    Standard: PS3.8 9.3.3, 9.3.4, PS3.7 D.3.3.
    """
    reject = refuse(rq, policy, open_associations, open_from_caller)
    return reject or answer_to(rq, policy, identity_response)


def answer_to(
    rq: AssociateRq, policy: NegotiationPolicy, identity_response: bytes | None = None
) -> AssociateAc:
    """Accept a request that nothing is said against; every context gets its answer.

    Args:
        rq: see `negotiate`, as for the rest.
        policy: likewise.
        identity_response: likewise.
    """
    contexts, roles = _answer_contexts(rq, policy)
    user = rq.user_information
    accepted = {
        proposal.abstract_syntax
        for proposal, answer in zip(rq.presentation_contexts, contexts, strict=True)
        if answer.result is ContextResult.ACCEPTANCE
    }
    answer_identity = user.user_identity is not None and (
        user.user_identity.positive_response_requested
    )
    return AssociateAc(
        rq.called_ae_title,
        rq.calling_ae_title,
        contexts,
        UserInformation(
            policy.max_pdu_length,
            policy.implementation_class_uid,
            policy.implementation_version_name,
            async_window=_answer_window(user.async_window, policy.async_window),
            roles=roles,
            extended=_answer_extended(user.extended, policy, accepted),
            user_identity_response=identity_response if answer_identity else None,
        ),
        echo=rq.echo,
    )


def refuse(
    rq: AssociateRq, policy: NegotiationPolicy, open_associations: int, open_from_caller: int
) -> Reject | None:
    """Return why the service user refuses a request; None if it does not.

    Args:
        rq: see `negotiate`, as for the rest.
        policy: likewise.
        open_associations: likewise.
        open_from_caller: likewise.
    """
    if rq.application_context_name != APPLICATION_CONTEXT:
        return Reject.APPLICATION_CONTEXT_NOT_SUPPORTED
    if not _is_listed(rq.called_ae_title, policy.called_ae_titles):
        return Reject.CALLED_AE_TITLE_NOT_RECOGNIZED
    if not _is_listed(rq.calling_ae_title, policy.calling_ae_titles):
        return Reject.CALLING_AE_TITLE_NOT_RECOGNIZED
    if policy.max_associations is not None and open_associations >= policy.max_associations:
        return Reject.LOCAL_LIMIT_EXCEEDED
    per_ae = policy.max_associations_per_ae
    if per_ae is not None and open_from_caller >= per_ae:
        return Reject.LOCAL_LIMIT_EXCEEDED
    return None


def _is_listed(title: str, titles: frozenset[str] | None) -> bool:
    return is_ae_title(title) and (titles is None or title in titles)


def _answer_contexts(
    rq: AssociateRq, policy: NegotiationPolicy
) -> tuple[tuple[PresentationContextAc, ...], tuple[RoleSelection, ...]]:
    """Return an answer for each context, and the role selections that go with them."""
    general = {}
    if policy.specialized:
        general = {
            common.sop_class_uid: common.related_general
            for common in rq.user_information.common_extended
        }
    proposed_roles = {role.sop_class_uid: role for role in rq.user_information.roles}
    answers = []
    roles: dict[str, RoleSelection] = {}
    for proposal in rq.presentation_contexts:
        uid = proposal.abstract_syntax
        supported_as, ours = _supported(uid, general.get(uid, ()), policy)
        answer = _answer_context(proposal, ours)
        if answer.result is ContextResult.ACCEPTANCE:
            allowed = policy.allowed_roles(supported_as)
            proposed = proposed_roles.get(uid)
            role = _answer_role(proposed or RoleSelection(uid, scu=True, scp=False), allowed)
            is_unstated = proposed is None and allowed.unstated
            if not (role.scu or role.scp or is_unstated):
                # No role is left for the requestor, so the context would be of no use.
                answer = answer._replace(result=ContextResult.USER_REJECTION)
            elif proposed is not None:
                roles[uid] = role
        answers.append(answer)
    return tuple(answers), tuple(roles.values())


def _answer_role(proposed: RoleSelection, allowed: RolePolicy) -> RoleSelection:
    return RoleSelection(
        proposed.sop_class_uid, proposed.scu and allowed.scu, proposed.scp and allowed.scp
    )


def _supported(
    abstract_syntax: str, general: tuple[str, ...], policy: NegotiationPolicy
) -> tuple[str, tuple[str, ...] | None]:
    """Return the SOP class that this one is treated as, and its transfer syntaxes."""
    for uid in (abstract_syntax, *general):
        ours = policy.transfer_syntaxes(uid)
        if ours is not None:
            return uid, ours
    return abstract_syntax, None


def _answer_context(
    proposal: PresentationContextRq, ours: tuple[str, ...] | None
) -> PresentationContextAc:
    result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    if ours is not None:
        proposed = set(proposal.transfer_syntaxes)
        for uid in ours:
            if uid in proposed:
                return PresentationContextAc(proposal.context_id, ContextResult.ACCEPTANCE, uid)
        result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    return PresentationContextAc(proposal.context_id, result, _IMPLICIT_VR_LITTLE_ENDIAN)


def _answer_window(proposed: AsyncWindow | None, ours: AsyncWindow) -> AsyncWindow | None:
    if proposed is None:
        return None
    return AsyncWindow(
        _smaller(proposed.invoked, ours.invoked), _smaller(proposed.performed, ours.performed)
    )


def _smaller(one: int, other: int) -> int:
    """Return the smaller number of operations, where 0 is any number."""
    return min(one, other) if one and other else one or other


def _answer_extended(
    proposed: Iterable[SopClassExtended], policy: NegotiationPolicy, accepted: set[str]
) -> tuple[SopClassExtended, ...]:
    if policy.extended is None:
        return ()
    answers = (
        (item.sop_class_uid, policy.extended(item))
        for item in proposed
        if item.sop_class_uid in accepted
    )
    return tuple(SopClassExtended(uid, answer) for uid, answer in answers if answer is not None)


def propose_contexts(
    wanted: Iterable[tuple[str, tuple[str, ...]]],
) -> tuple[PresentationContextRq, ...]:
    """Return presentation contexts for a request, numbered 1, 3, 5...

    Args:
        wanted: pairs of a SOP class UID and the transfer syntaxes to propose for it.

    Raises:
        ValueError: more than 128 of them.

    Standard: PS3.8 9.3.2.2.
    """
    contexts = tuple(
        PresentationContextRq(2 * index + 1, uid, syntaxes)
        for index, (uid, syntaxes) in enumerate(wanted)
    )
    if len(contexts) > _MAX_CONTEXTS:
        raise ValueError(
            f"presentation contexts: expected {_MAX_CONTEXTS} at most, got {len(contexts)}"
        )
    return contexts
