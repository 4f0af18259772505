"""Walking over the items of a PDU, with every length checked against what is around it.

Standard: PS3.8 9.3.1 (the form of an item), PS3.7 D.3.3 (fields with a length of their own).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import InvalidPduError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["counted_field", "repeated", "short_item", "walk_items"]

_ITEM_HEADER: Final = Struct(">BxH")  # type, reserved, length of what follows
_ITEM_HEADER_LENGTH: Final = 4
_COUNT: Final = Struct(">H")
_COUNT_LENGTH: Final = 2


def walk_items(
    view: memoryview, start: int, end: int, where: str
) -> Iterator[tuple[int, int, int]]:
    """Yield each item of a range as (type, first byte of its content, byte after it).

    Args:
        view: the whole PDU.
        start: the first byte of the first item.
        end: the byte after the last item.
        where: what the items are in, for messages.

    Raises:
        InvalidPduError: an item does not fit into the range.
    """
    while start < end:
        content = start + _ITEM_HEADER_LENGTH
        if content > end:
            raise InvalidPduError(
                f"{where} at byte {start}: expected an item header of {_ITEM_HEADER_LENGTH} bytes,"
                f" {end - start} left",
                offset=start,
            )
        item_type, length = _ITEM_HEADER.unpack_from(view, start)
        if length > end - content:
            raise InvalidPduError(
                f"{where} item {item_type:02X}H at byte {start}: length {length},"
                f" {end - content} left",
                offset=start,
            )
        start = content + length
        yield item_type, content, start


def counted_field(view: memoryview, start: int, end: int, where: str) -> tuple[memoryview, int]:
    """Return a field that follows its own 2-byte length, and the byte after it.

    Args:
        view: the whole PDU.
        start: the first byte of the length.
        end: the byte after the item that the field is in.
        where: the item, for messages.

    Raises:
        InvalidPduError: the field does not fit into the item.
    """
    content = start + _COUNT_LENGTH
    if content > end:
        raise short_item(where, start, "a 2-byte length", end - start)
    stop = content + _COUNT.unpack_from(view, start)[0]
    if stop > end:
        raise InvalidPduError(
            f"{where} field at byte {start}: length {stop - content}, {end - content} left",
            offset=start,
        )
    return view[content:stop], stop


def short_item(where: str, start: int, expected: str, left: int) -> InvalidPduError:
    """Return the error for an item that ends before its fields do."""
    return InvalidPduError(
        f"{where} at byte {start}: expected {expected}, {left} bytes left", offset=start
    )


def repeated(where: str, item_type: int, start: int) -> InvalidPduError:
    """Return the error for a second item of a type that may stand there once."""
    return InvalidPduError(
        f"{where}: expected one item {item_type:02X}H, got another at byte {start}", offset=start
    )
