"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC from bytes.

Structure that contradicts itself is refused with the byte at fault. What is well-formed but
asks for more than the limits is refused as `AssociateLimitError`, so that it can be answered
with a rejection. Text, versions and identifiers are only read here; whether they will do is
for negotiation to say. Standard: PS3.8 9.3.2, 9.3.3.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.errors import InvalidPduError
from dicom_actors.pdu.header import AssociateLimitError
from dicom_actors.pdu.item_walk import repeated, short_item, walk_items
from dicom_actors.pdu.items import (
    PresentationContextAc,
    PresentationContextRq,
    UnknownItem,
    UserInformation,
)
from dicom_actors.pdu.pdus import AssociateAc, AssociateRq
from dicom_actors.pdu.reasons import ContextResult
from dicom_actors.pdu.text import decode_ae_title, decode_uid
from dicom_actors.pdu.user_information_decoder import decode_user_information

if TYPE_CHECKING:
    from dicom_actors.pdu.header import PduLimits

__all__ = ["decode_associate_ac", "decode_associate_rq"]

_VERSION: Final = Struct(">H")
_FIRST_ITEM: Final = 74
_CONTEXT_FIELDS: Final = 4  # id, reserved, result or reserved, reserved
_MAX_CONTEXTS: Final = 128  # there are no more odd numbers from 1 to 255
_MAX_UNKNOWN: Final = 128


class _VariableItems(NamedTuple):
    """What stands after byte 74.

    Attributes:
        application_context_name: empty if there is none.
        contexts: first byte and byte after, of each presentation context item's content.
        user_information: empty if there is none.
        unknown: the items of other types.
    """

    application_context_name: str
    contexts: list[tuple[int, int]]
    user_information: UserInformation
    unknown: tuple[UnknownItem, ...]


def decode_associate_rq(view: memoryview, limits: PduLimits) -> AssociateRq:
    """Return an A-ASSOCIATE-RQ.

    Args:
        view: the whole PDU with its header, which was checked.
        limits: what is taken.

    Raises:
        InvalidPduError: a length or a count contradicts another.
        AssociateLimitError: it asks for more than the limits allow.
    """
    where = "A-ASSOCIATE-RQ"
    items = _read_items(view, limits, where, 0x20)
    return AssociateRq(
        decode_ae_title(view[10:26]),
        decode_ae_title(view[26:42]),
        tuple(_proposed_context(view, start, end, limits) for start, end in items.contexts),
        items.user_information,
        items.application_context_name,
        _VERSION.unpack_from(view, 6)[0],
        items.unknown,
        bytes(view[10:_FIRST_ITEM]),
    )


def decode_associate_ac(view: memoryview, limits: PduLimits) -> AssociateAc:
    """Return an A-ASSOCIATE-AC.

    Args:
        view: the whole PDU with its header, which was checked.
        limits: what is taken.

    Raises:
        InvalidPduError: a length or a count contradicts another, or a result does not exist.
        AssociateLimitError: it holds more than the limits allow.
    """
    where = "A-ASSOCIATE-AC"
    items = _read_items(view, limits, where, 0x21)
    return AssociateAc(
        decode_ae_title(view[10:26]),
        decode_ae_title(view[26:42]),
        tuple(_answered_context(view, start, end) for start, end in items.contexts),
        items.user_information,
        items.application_context_name,
        _VERSION.unpack_from(view, 6)[0],
        items.unknown,
    )


def _read_items(
    view: memoryview, limits: PduLimits, where: str, context_type: int
) -> _VariableItems:
    application_context: str | None = None
    user_information: UserInformation | None = None
    contexts: list[tuple[int, int]] = []
    unknown: list[UnknownItem] = []
    for item_type, start, end in walk_items(view, _FIRST_ITEM, len(view), where):
        if item_type == context_type:
            if end - start < _CONTEXT_FIELDS:
                raise short_item(f"{where} presentation context", start, "4 bytes", end - start)
            if len(contexts) == _MAX_CONTEXTS:
                raise AssociateLimitError(
                    f"{where}: expected {_MAX_CONTEXTS} presentation contexts at most, got more",
                    offset=start,
                )
            contexts.append((start, end))
        elif item_type == 0x10:
            if application_context is not None:
                raise repeated(where, item_type, start)
            application_context = decode_uid(view[start:end])
        elif item_type == 0x50:
            if user_information is not None:
                raise repeated(where, item_type, start)
            user_information = decode_user_information(view, start, end, limits, where)
        else:
            # Items of other types are skipped (PS3.8 9.3.1), and kept for those who want them.
            if len(unknown) == _MAX_UNKNOWN:
                raise AssociateLimitError(
                    f"{where}: expected {_MAX_UNKNOWN} items of unknown types at most, got more",
                    offset=start,
                )
            unknown.append(UnknownItem(item_type, bytes(view[start:end])))
    return _VariableItems(
        application_context or "",
        contexts,
        user_information or UserInformation(0, ""),
        tuple(unknown),
    )


def _proposed_context(
    view: memoryview, start: int, end: int, limits: PduLimits
) -> PresentationContextRq:
    where = f"A-ASSOCIATE-RQ presentation context {view[start]}"
    abstract_syntax: str | None = None
    transfer_syntaxes: list[str] = []
    for item_type, first, stop in walk_items(view, start + _CONTEXT_FIELDS, end, where):
        if item_type == 0x30:
            if abstract_syntax is not None:
                raise repeated(where, item_type, first)
            abstract_syntax = decode_uid(view[first:stop])
        elif item_type == 0x40:
            if len(transfer_syntaxes) == limits.max_transfer_syntaxes:
                raise AssociateLimitError(
                    f"{where}: expected {limits.max_transfer_syntaxes} transfer syntaxes at most,"
                    " got more",
                    offset=first,
                )
            transfer_syntaxes.append(decode_uid(view[first:stop]))
    return PresentationContextRq(view[start], abstract_syntax or "", tuple(transfer_syntaxes))


def _answered_context(view: memoryview, start: int, end: int) -> PresentationContextAc:
    context_id, number = view[start], view[start + 2]
    where = f"A-ASSOCIATE-AC presentation context {context_id}"
    if number > ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED:
        raise InvalidPduError(
            f"{where}: expected a result of 0 to 4 at byte {start + 2}, got {number}",
            offset=start + 2,
        )
    transfer_syntax: str | None = None
    for item_type, first, stop in walk_items(view, start + _CONTEXT_FIELDS, end, where):
        if item_type == 0x40:
            if transfer_syntax is not None:
                raise repeated(where, item_type, first)
            transfer_syntax = decode_uid(view[first:stop])
    return PresentationContextAc(context_id, ContextResult(number), transfer_syntax or "")
