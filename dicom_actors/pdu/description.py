"""PDUs in one readable line each, for traces and reports.

Payloads are shown as lengths and secrets not at all, so that a line may go into a log.
"""

from __future__ import annotations

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
    from collections.abc import Callable, Iterable

    from dicom_actors.pdu.items import UserInformation
    from dicom_actors.pdu.pdus import Pdu, Pdv

__all__ = ["describe_pdu"]

_SHOWN: Final = 8  # contexts, or PDVs, before "and n more"


def describe_pdu(pdu: Pdu, name_of: Callable[[str], str] = str) -> str:
    """Return a PDU as one line of printable text.

    Args:
        pdu: what was decoded, or is to be encoded.
        name_of: gives a UID's name; by default it stays a UID.
    """
    match pdu:
        case PDataTf(pdvs):
            return f"P-DATA-TF: {_listed(map(_pdv, pdvs), len(pdvs))}"
        case AssociateRq():
            contexts = (
                f"{context_id} {name_of(uid)} [{', '.join(map(name_of, syntaxes))}]"
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


def _listed(parts: Iterable[str], count: int) -> str:
    shown = [part for part, _ in zip(parts, range(_SHOWN), strict=False)]
    if count > _SHOWN:
        shown.append(f"and {count - _SHOWN} more")
    return "; ".join(shown) or "nothing"


def _pdv(pdv: Pdv) -> str:
    kind = "command" if pdv.is_command else "data"
    last = ", last" if pdv.is_last else ""
    return f"context {pdv.context_id} {kind}, {len(pdv.data)} bytes{last}"


def _result(result: ContextResult, transfer_syntax: str) -> str:
    if result is ContextResult.ACCEPTANCE:
        return f"accepted [{transfer_syntax}]"
    return result.name.lower().replace("_", " ")


def _associate(
    pdu: AssociateRq | AssociateAc, contexts: Iterable[str], name_of: Callable[[str], str]
) -> str:
    parts = [
        f"{pdu.calling_ae_title} to {pdu.called_ae_title}",
        f"contexts {_listed(contexts, len(pdu.presentation_contexts))}",
        *_user_information(pdu.user_information, name_of),
    ]
    return " | ".join(parts)


def _user_information(user: UserInformation, name_of: Callable[[str], str]) -> Iterable[str]:
    yield f"maximum length {user.max_pdu_length or 'unlimited'}"
    software = f"{user.implementation_version_name} {user.implementation_class_uid}".strip()
    yield f"software {software or 'not said'}"
    if user.async_window is not None:
        yield f"window {user.async_window.invoked}/{user.async_window.performed}"
    for uid, scu, scp in user.roles:
        roles = "+".join([*["SCU"] * scu, *["SCP"] * scp]) or "none"
        yield f"role {name_of(uid)} {roles}"
    for uid, information in user.extended:
        yield f"extended {name_of(uid)}, {len(information)} bytes"
    for common in user.common_extended:
        yield f"common extended {name_of(common.sop_class_uid)}"
    if user.user_identity is not None:
        yield f"user identity of type {user.user_identity.identity_type}"
    if user.user_identity_response is not None:
        yield f"user identity response, {len(user.user_identity_response)} bytes"
    for item_type, data in user.unknown:
        yield f"item {item_type:02X}H, {len(data)} bytes"
