"""PDUs in one readable line each, for traces and reports.

Payloads are shown as lengths and secrets not at all, so that a line may go into a log.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, assert_never

from dicom_actors.pdu.pdus import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    PDataTf,
    ReleaseRp,
    ReleaseRq,
)
from dicom_actors.pdu.reasons import ContextResult, describe_abort, describe_reject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dicom_actors.pdu.items import RoleSelection, UserInformation
    from dicom_actors.pdu.pdus import Pdu, Pdv

__all__ = ["describe_pdu"]

# How many are shown before "and n more", so that a line stays below 2 kB whatever a peer sends.
_PDVS: Final = 8
_CONTEXTS: Final = 4
_SYNTAXES: Final = 2
_ITEMS: Final = 3


def describe_pdu(pdu: Pdu, name_of: Callable[[str], str] = str) -> str:
    """Return a PDU as one line of printable text.

    Args:
        pdu: what was decoded, or is to be encoded.
        name_of: gives a UID's name; by default it stays a UID.
    """
    match pdu:
        case PDataTf(pdvs):
            return f"P-DATA-TF: {_listed(map(_pdv, pdvs), len(pdvs), _PDVS)}"
        case AssociateRq():
            contexts = (
                f"{context_id} {name_of(uid)} [{_syntaxes(syntaxes, name_of)}]"
                for context_id, uid, syntaxes in pdu.presentation_contexts
            )
            return f"A-ASSOCIATE-RQ: {_associate(pdu, contexts, name_of)}"
        case AssociateAc():
            contexts = (
                f"{context_id} {_result(result, name_of(syntax))}"
                for context_id, result, syntax in pdu.presentation_contexts
            )
            return f"A-ASSOCIATE-AC: {_associate(pdu, contexts, name_of)}"
        case AssociateRj():
            return f"A-ASSOCIATE-RJ: {describe_reject(*pdu)}"
        case ReleaseRq():
            return "A-RELEASE-RQ"
        case ReleaseRp():
            return "A-RELEASE-RP"
        case Abort():
            return f"A-ABORT: {describe_abort(*pdu)}"
        case _:
            assert_never(pdu)


def _listed(parts: Iterable[str], count: int, most: int, between: str = "; ") -> str:
    shown = list(islice(parts, most))
    if count > most:
        shown.append(f"and {count - most} more")
    return between.join(shown) or "nothing"


def _syntaxes(uids: Sequence[str], name_of: Callable[[str], str]) -> str:
    return _listed(map(name_of, uids), len(uids), _SYNTAXES, ", ") if uids else ""


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"


def _pdv(pdv: Pdv) -> str:
    kind = "command" if pdv.is_command else "data"
    last = ", last" if pdv.is_last else ""
    return f"context {pdv.context_id} {kind}, {_bytes(len(pdv.data))}{last}"


def _result(result: ContextResult, transfer_syntax: str) -> str:
    if result is ContextResult.ACCEPTANCE:
        return f"accepted [{transfer_syntax}]"
    return result.name.lower().replace("_", " ")


def _associate(
    pdu: AssociateRq | AssociateAc, contexts: Iterable[str], name_of: Callable[[str], str]
) -> str:
    parts = [
        f"{pdu.calling_ae_title} to {pdu.called_ae_title}",
        f"contexts {_listed(contexts, len(pdu.presentation_contexts), _CONTEXTS)}",
        *_user_information(pdu.user_information, name_of),
    ]
    return " | ".join(parts)


def _user_information(user: UserInformation, name_of: Callable[[str], str]) -> Iterable[str]:
    yield f"maximum length {user.max_pdu_length or 'unlimited'}"
    software = f"{user.implementation_version_name} {user.implementation_class_uid}".strip()
    yield f"software {software or 'not said'}"
    if user.async_window is not None:
        yield f"window {user.async_window.invoked}/{user.async_window.performed}"
    yield from _some([_role(role, name_of) for role in user.roles[:_ITEMS]], user.roles, "roles")
    extended = [
        f"extended {name_of(uid)}, {_bytes(len(data))}" for uid, data in user.extended[:_ITEMS]
    ]
    yield from _some(extended, user.extended, "extended")
    common = [
        f"common extended {name_of(each.sop_class_uid)}" for each in user.common_extended[:_ITEMS]
    ]
    yield from _some(common, user.common_extended, "common extended")
    if user.user_identity is not None:
        yield f"user identity of type {user.user_identity.identity_type}"
    if user.user_identity_response is not None:
        yield f"user identity response, {_bytes(len(user.user_identity_response))}"
    unknown = [f"item {kind:02X}H, {_bytes(len(data))}" for kind, data in user.unknown[:_ITEMS]]
    yield from _some(unknown, user.unknown, "items")


def _role(role: RoleSelection, name_of: Callable[[str], str]) -> str:
    uid, scu, scp = role
    roles = "+".join([*["SCU"] * scu, *["SCP"] * scp]) or "none"
    return f"role {name_of(uid)} {roles}"


def _some(shown: list[str], every: Sequence[object], kind: str) -> Iterable[str]:
    yield from shown
    if len(every) > len(shown):
        yield f"and {len(every) - len(shown)} more {kind}"
