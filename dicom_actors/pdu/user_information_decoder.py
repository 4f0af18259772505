"""The user information item of an A-ASSOCIATE PDU from bytes.

The same for requests and answers: a sub-item that belongs into the other one is read too, and
means nothing to negotiation. Standard: PS3.8 annex D.1, PS3.7 D.3.3.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.pdu.header import AssociateLimitError
from dicom_actors.pdu.item_walk import counted_field, repeated, short_item, walk_items
from dicom_actors.pdu.items import (
    AsyncWindow,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UnknownItem,
    UserIdentity,
    UserInformation,
)
from dicom_actors.pdu.text import decode_text, decode_uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.pdu.header import PduLimits

__all__ = ["decode_user_information"]

_UINT32: Final = Struct(">I")
_WINDOW: Final = Struct(">HH")


def decode_user_information(
    view: memoryview, start: int, end: int, limits: PduLimits, where: str
) -> UserInformation:
    """Return the user information.

    Args:
        view: the whole PDU.
        start: the first byte of the item's content.
        end: the byte after it.
        limits: what is taken.
        where: the PDU, for messages.

    Raises:
        InvalidPduError: a length contradicts another, or a sub-item is repeated.
        AssociateLimitError: it is longer than the limits allow.
    """
    if end - start > limits.max_user_information_length:
        raise AssociateLimitError(
            f"{where} user information at byte {start}: expected a length of"
            f" {limits.max_user_information_length} at most, got {end - start}",
            offset=start,
        )
    where = f"{where} user information"
    single: dict[str, Any] = {"max_pdu_length": 0, "implementation_class_uid": ""}
    lists: dict[str, list[Any]] = {}
    seen: set[int] = set()
    for item_type, first, stop in walk_items(view, start, end, where):
        if item_type in _SINGLE:
            if item_type in seen:
                raise repeated(where, item_type, first)
            seen.add(item_type)
            name, decode = _SINGLE[item_type]
            single[name] = decode(view, first, stop, f"{where} item {item_type:02X}H")
        elif item_type in _REPEATED:
            name, decode = _REPEATED[item_type]
            value = decode(view, first, stop, f"{where} item {item_type:02X}H")
            lists.setdefault(name, []).append(value)
        else:
            unknown = UnknownItem(item_type, bytes(view[first:stop]))
            lists.setdefault("unknown", []).append(unknown)
    fields: dict[str, Any] = {name: tuple(values) for name, values in lists.items()}
    return UserInformation(**single, **fields)


def _max_pdu_length(view: memoryview, start: int, end: int, where: str) -> int:
    if end - start < _UINT32.size:
        raise short_item(where, start, "4 bytes", end - start)
    length: int = _UINT32.unpack_from(view, start)[0]
    return length


def _uid(view: memoryview, start: int, end: int, _where: str) -> str:
    return decode_uid(view[start:end])


def _text(view: memoryview, start: int, end: int, _where: str) -> str:
    return decode_text(view[start:end]).strip(" ")


def _async_window(view: memoryview, start: int, end: int, where: str) -> AsyncWindow:
    if end - start < _WINDOW.size:
        raise short_item(where, start, "4 bytes", end - start)
    return AsyncWindow(*_WINDOW.unpack_from(view, start))


def _role(view: memoryview, start: int, end: int, where: str) -> RoleSelection:
    uid, at = counted_field(view, start, end, where)
    if end - at < 2:
        raise short_item(where, at, "the two roles", end - at)
    return RoleSelection(decode_uid(uid), view[at] == 1, view[at + 1] == 1)


def _extended(view: memoryview, start: int, end: int, where: str) -> SopClassExtended:
    uid, at = counted_field(view, start, end, where)
    return SopClassExtended(decode_uid(uid), bytes(view[at:end]))


def _common_extended(view: memoryview, start: int, end: int, where: str) -> SopClassCommonExtended:
    sop_class, at = counted_field(view, start, end, where)
    service_class, at = counted_field(view, at, end, where)
    general, _ = counted_field(view, at, end, where)
    related = []
    at += 2
    general_end = at + len(general)
    while at < general_end:
        uid, at = counted_field(view, at, general_end, where)
        related.append(decode_uid(uid))
    # The version stands where other items have a reserved byte, before the length.
    return SopClassCommonExtended(
        decode_uid(sop_class), decode_uid(service_class), tuple(related), view[start - 3]
    )


def _user_identity(view: memoryview, start: int, end: int, where: str) -> UserIdentity:
    if end - start < 2:
        raise short_item(where, start, "type and response requested", end - start)
    primary, at = counted_field(view, start + 2, end, where)
    secondary, _ = counted_field(view, at, end, where)
    return UserIdentity(view[start], bytes(primary), bytes(secondary), view[start + 1] == 1)


def _server_response(view: memoryview, start: int, end: int, where: str) -> bytes:
    response, _ = counted_field(view, start, end, where)
    return bytes(response)


# Sub-items that stand there once, and those that stand there for each SOP class: the field of
# `UserInformation` and what reads it.
_SINGLE: Final[dict[int, tuple[str, Callable[[memoryview, int, int, str], Any]]]] = {
    0x51: ("max_pdu_length", _max_pdu_length),
    0x52: ("implementation_class_uid", _uid),
    0x53: ("async_window", _async_window),
    0x55: ("implementation_version_name", _text),
    0x58: ("user_identity", _user_identity),
    0x59: ("user_identity_response", _server_response),
}
_REPEATED: Final[dict[int, tuple[str, Callable[[memoryview, int, int, str], Any]]]] = {
    0x54: ("roles", _role),
    0x56: ("extended", _extended),
    0x57: ("common_extended", _common_extended),
}
