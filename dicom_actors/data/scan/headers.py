"""Headers of elements as written, and what to make of those that are not as they should be.

Real files hold elements without VR among explicit ones, VRs that do not exist, zeros or other
bytes after the last element, and data sets in another encoding than announced. Where only one
reading makes sense, it is taken and noted; where not, that is an error.

Standard: PS3.5 7.1.2 and 7.1.3 (header forms), 6.2.2 (UN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.data.scan.layout import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Layout,
)

if TYPE_CHECKING:
    from dicom_actors.data.scan.scope import Bytes, Scope

__all__ = ["actual_layout", "element_header", "fits", "is_padding", "past_stray"]

_STEP: Final = 1 << 16
_ITEM_GROUP: Final = 0xFFFE
_SWAPPED_GROUPS: Final = frozenset((0x0200, 0x0800))
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def element_header(
    scope: Scope, number: int, layout: Layout, tag: int, pos: int, end: int
) -> tuple[str, int, int]:
    """Read the header of any element.

    Args:
        scope: where the element stands.
        number: the number of the item that it is in.
        layout: how it lies in the bytes.
        tag: the element.
        pos: where it starts.
        end: where what it is in ends.

    Returns:
        The VR (empty where the dictionary has to say), where the value starts, its length.

    Raises:
        DecodeError: the header is cut short, or nothing makes sense of it.
    """
    buffer = scope.buffer
    if not layout.is_explicit:
        return "", pos + 8, layout.read_implicit(buffer, pos)[2]
    _, _, code, length = layout.read_explicit(buffer, pos)
    if code in layout.short:
        return layout.names[code], pos + 8, length
    if code in layout.long:
        if pos + 12 > end:
            raise scope.error("a header of 12 bytes is cut short", number, offset=pos, tag=tag)
        return layout.names[code], pos + 12, layout.read_length(buffer, pos + 8)[0]
    irregular = scope.reading.irregular
    if pos not in irregular:
        irregular[pos] = _guess(scope, number, layout, tag, pos, end)
    return irregular[pos]


def _guess(
    scope: Scope, number: int, layout: Layout, tag: int, pos: int, end: int
) -> tuple[str, int, int]:
    buffer = scope.buffer
    letters = bytes(buffer[pos + 4 : pos + 6])
    left = end - pos - 8
    short_length = layout.read_explicit(buffer, pos)[3]
    if _LETTERS.issuperset(letters):
        # New VRs have a long length (PS3.5 6.2.2), junk of two letters has a short one.
        if short_length == 0 and left >= 4:
            length = layout.read_length(buffer, pos + 8)[0]
            if length <= left - 4 and _element_may_follow(
                layout, buffer, tag, pos + 12 + length, end
            ):
                scope.warn(f"unknown VR {letters!r} read as UN", number, offset=pos, tag=tag)
                return "UN", pos + 12, length
        if short_length <= left:
            scope.warn(
                f"unknown VR {letters!r} with a short length read as UN",
                number,
                offset=pos,
                tag=tag,
            )
            return "UN", pos + 8, short_length
    length = layout.read_length(buffer, pos + 4)[0]
    if length <= left or length == UNDEFINED:
        scope.warn("an element without VR among explicit ones", number, offset=pos, tag=tag)
        return "", pos + 8, length
    if short_length <= left and _element_may_follow(
        layout, buffer, tag, pos + 8 + short_length, end
    ):
        scope.warn(f"VR {letters!r} ignored", number, offset=pos, tag=tag)
        return "", pos + 8, short_length
    raise scope.error(
        f"expected a VR, got {letters!r}, and no length that fits the {max(left, 0)} bytes left",
        number,
        offset=pos,
        tag=tag,
    )


def _element_may_follow(layout: Layout, buffer: Bytes, tag: int, pos: int, end: int) -> bool:
    if pos == end:
        return True
    if pos + 8 > end:
        return False
    group, element, code, _ = layout.read_explicit(buffer, pos)
    following: int = group << 16 | element
    if following <= tag:
        return False
    return bool(code in layout.short or code in layout.long or following >= 0xFFFEE000)


def is_padding(scope: Scope, pos: int, end: int) -> bool:
    """Whether nothing but zeros follows.

    Where that was not so is remembered, so that asking again and again costs nothing.
    """
    reading = scope.reading
    if pos <= reading.nonzero_at < end:
        return False
    buffer = scope.buffer
    for at in range(pos, end, _STEP):
        rest = bytes(buffer[at : min(at + _STEP, end)])
        after_zeros = rest.lstrip(b"\0")
        if after_zeros:
            reading.nonzero_at = at + len(rest) - len(after_zeros)
            return False
    return True


def past_stray(scope: Scope, pos: int, end: int) -> int:
    """Pass over one item or delimiter that stands where an element should.

    An item is passed over with what is in it, if its length can be right, else its header alone.

    Returns:
        Where to go on: `pos` if nothing of that kind stands there.
    """
    if pos + 8 > end:
        return pos
    group, element, length = scope.layout.read_implicit(scope.buffer, pos)
    tag = group << 16 | element
    if tag == ITEM:
        return pos + 8 + length if length <= end - pos - 8 else pos + 8
    return pos + 8 if tag in {ITEM_END, SEQUENCE_END} else pos


def actual_layout(scope: Scope, start: int, end: int) -> Layout:
    """Look at the first element of a data set and find the layout that it really has.

    Args:
        scope: the data set with the layout that was announced; a difference is noted in it.
        start: where the data set starts.
        end: where it ends.

    Returns:
        The announced layout if the first element is possible in it, or if no other fits.
    """
    announced = scope.layout
    if announced is EXPLICIT and end - start >= 8:
        # Nearly all begin with a short element of a low group, which is not looked at any further.
        group, _, code, length = EXPLICIT.read_explicit(scope.buffer, start)
        is_right = group < _ITEM_GROUP and group not in _SWAPPED_GROUPS
        if is_right and code in EXPLICIT.short and length <= end - start - 8:
            return announced
    while (following := past_stray(scope, start, end)) != start:
        start = following
    if end - start < 8 or fits(scope.buffer, announced, start, end):
        return announced
    for layout in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
        if layout is not announced and fits(scope.buffer, layout, start, end):
            scope.warn(f"announced as {announced!r}, but is {layout!r}", 0, offset=start)
            return layout
    return announced


def fits(buffer: Bytes, layout: Layout, start: int, end: int) -> bool:
    """Whether the first element of a data set can be what a layout makes of it."""
    left = end - start - 8
    if layout.is_explicit:
        group, _, code, length = layout.read_explicit(buffer, start)
        if code in layout.long:
            if left < 4:
                return False
            length = layout.read_length(buffer, start + 8)[0]
            left -= 4
        elif code not in layout.short:
            return False
        if length > left and length != UNDEFINED:
            return False
        # Groups 0002 and 0008 in the other byte order; the standard has no such groups.
        return group not in _SWAPPED_GROUPS or _goes_on(buffer, layout, start, end)
    group, element, length = layout.read_implicit(buffer, start)
    code = EXPLICIT.read_explicit(buffer, start)[2]
    if code in EXPLICIT.short or code in EXPLICIT.long:
        # The low half of a length can look like a VR, but then no explicit element follows.
        long = code in EXPLICIT.long
        size = (
            EXPLICIT.read_length(buffer, start + 8)[0] + 4 if long and left >= 4 else length >> 16
        )
        tag = group << 16 | element
        return bool(
            length <= left and not _element_may_follow(EXPLICIT, buffer, tag, start + 8 + size, end)
        )
    return bool(length <= left or length == UNDEFINED)


def _goes_on(buffer: Bytes, layout: Layout, start: int, end: int) -> bool:
    """Whether explicit elements fill a data set, up to the first of undefined length."""
    pos, last = start, -1
    while pos + 8 <= end:
        group, element, code, length = layout.read_explicit(buffer, pos)
        tag = group << 16 | element
        is_long = code in layout.long and pos + 12 <= end
        if tag <= last or not (is_long or code in layout.short):
            return False
        last = tag
        if is_long:
            length = layout.read_length(buffer, pos + 8)[0]
            pos += 4
        pos += 8
        if length == UNDEFINED and is_long:
            # What is in a UN is little endian, whatever it is in (PS3.5 6.2.2).
            inner = IMPLICIT if layout.names[code] == "UN" else layout
            following, number, _ = inner.read_implicit(buffer, pos) if pos + 8 <= end else (0, 0, 0)
            return following << 16 | number in {ITEM, SEQUENCE_END}
        pos += length
    return pos == end
