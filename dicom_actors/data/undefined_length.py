"""Where things of undefined length end: sequences, items, fragments of pixel data.

Nothing is kept but the ends of sequences, so that no part of an input is walked twice. There
is no recursion: nesting is a list. Wrong and missing delimiters are forgiven where only one
reading makes sense, and noted.

Standard: PS3.5 7.5 (nesting), A.4 (encapsulated pixel data), 6.2.2 (UN of undefined length).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.layout import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Layout,
)
from dicom_actors.data.unusual import element_header

if TYPE_CHECKING:
    from dicom_actors.data.scope import Scope

__all__ = ["end_of_fragments", "end_of_item", "end_of_sequence", "layout_of_items"]

_PIXEL_DATA: Final = 0x7FE00010
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"


class _Open(NamedTuple):
    """A sequence or item that the walk is in."""

    start: int
    is_item: bool
    layout: Layout
    tag: int


def end_of_undefined(
    scope: Scope, number: int, tag: int, vr: str, start: int, end: int, layout: Layout
) -> int:
    """Find where an element of undefined length ends.

    Args:
        scope: where the element stands.
        number: the number of the item that it is in.
        tag: the element.
        vr: its VR; empty where it is implicit.
        start: where its content starts.
        end: where what it is in ends.
        layout: the layout of the element itself.

    Returns:
        Where the next element starts.

    Raises:
        DecodeError: it does not end, or contains what cannot be there.
    """
    if vr in {"SQ", "UN", ""} and tag != _PIXEL_DATA:
        inner = layout_of_items(scope, vr, start, layout)
        return end_of_sequence(scope, number, tag, start, end, inner)
    return end_of_fragments(scope, number, tag, start, end, layout)


def layout_of_items(scope: Scope, vr: str, start: int, layout: Layout) -> Layout:
    """The layout of the items of a sequence whose content starts at `start`.

    In a UN it is Implicit VR Little Endian (PS3.5 6.2.2), but some writers copy the items of
    an explicit sequence into a UN as they are; the VR of the first element tells.
    """
    if vr != "UN":
        return layout
    buffer = scope.buffer
    if start + 16 <= len(buffer) and buffer[start : start + 4] != _SEQUENCE_END:
        code = EXPLICIT.read_explicit(buffer, start + 8)[2]
        if code in EXPLICIT.short or code in EXPLICIT.long:
            return EXPLICIT if layout is not BIG_ENDIAN else layout
    return IMPLICIT


def end_of_fragments(
    scope: Scope, number: int, tag: int, start: int, end: int, layout: Layout
) -> int:
    """Find where encapsulated pixel data ends; arguments as for `end_of_undefined`."""
    ends = scope.reading.ends
    known = ends.get(start)
    if known is not None:
        return known[1]
    buffer, read = scope.buffer, layout.read_implicit
    pos = start
    while pos + 8 <= end:
        group, element, length = read(buffer, pos)
        delimiter = group << 16 | element
        if delimiter == ITEM:
            if length > end - pos - 8:
                break
            pos += 8 + length
            continue
        if delimiter == SEQUENCE_END:
            ends[start] = (pos, pos + 8)
            return pos + 8
        if delimiter == ITEM_END:
            scope.warn("item delimiter in place of a sequence delimiter", number, offset=pos)
            ends[start] = (pos, pos + 8)
            return pos + 8
        raise scope.error(
            f"expected a fragment or the sequence delimiter, got ({group:04X},{element:04X})",
            number,
            offset=pos,
            tag=tag,
        )
    message = "no sequence delimiter after the last fragment"
    if pos != end:
        message = "the last fragment is not whole"
        if not scope.accept_cut(end):
            raise scope.error(message, number, offset=pos, tag=tag)
    scope.warn(message, number, offset=pos, tag=tag)
    ends[start] = (end, end)
    return end


def end_of_sequence(
    scope: Scope, number: int, tag: int, start: int, end: int, layout: Layout
) -> int:
    """Find where a sequence of undefined length ends.

    Args:
        scope: where the sequence stands.
        number: the number of the item that it is in.
        tag: the sequence.
        start: where its first item starts.
        end: where what it is in ends.
        layout: the layout of its items.

    Returns:
        Where the next element starts; `Reading.ends` has where the items end.

    Raises:
        DecodeError: it does not end, is nested too deeply, or contains what cannot be there.
    """
    ends = scope.reading.ends
    known = ends.get(start)
    if known is not None:
        return known[1]
    walk = _Walk(scope, number, end)
    deepest = scope.reading.limits.max_depth - scope.depth
    stack = [_Open(start, False, layout, tag)]
    pos = start
    while stack:
        here = stack[-1]
        pos, opened = walk.elements(here, pos) if here.is_item else walk.items(here, pos)
        if opened is None:
            stack.pop()
        else:
            stack.append(opened)
            if len(stack) > 2 * deepest:
                raise scope.error(
                    f"sequences nested deeper than {scope.reading.limits.max_depth}",
                    number,
                    offset=pos,
                    tag=tag,
                )
    return pos


class _Walk:
    """One walk to the end of a sequence; `items` and `elements` each take it a stretch further.

    Both return the position and what was opened there, or None where the current sequence or
    item is over.
    """

    __slots__ = ("buffer", "end", "number", "scope")

    def __init__(self, scope: Scope, number: int, end: int) -> None:
        self.scope = scope
        self.number = number
        self.buffer = scope.buffer
        self.end = end

    def items(self, here: _Open, pos: int) -> tuple[int, _Open | None]:
        """Go over items of a defined length, to one of undefined length or the end."""
        read, end = here.layout.read_implicit, self.end
        while pos + 8 <= end:
            group, element, length = read(self.buffer, pos)
            tag = group << 16 | element
            if tag == ITEM:
                if length == UNDEFINED:
                    return pos + 8, _Open(pos + 8, True, here.layout, here.tag)
                if length > end - pos - 8:
                    return self.closed(here, *self.ran_out(here.tag, pos + 8, length))
                pos += 8 + length
            elif tag == SEQUENCE_END:
                return self.closed(here, pos, pos + 8)
            elif tag == ITEM_END:
                self.scope.warn("item delimiter outside an item", self.number, offset=pos)
                if not next_is_delimiter(here.layout, self.buffer, pos + 8, end):
                    return self.closed(here, pos, pos + 8)
                pos += 8
            elif here.tag < tag < ITEM:
                self.scope.warn(
                    "no sequence delimiter before the next element",
                    self.number,
                    offset=pos,
                    tag=here.tag,
                )
                return self.closed(here, pos, pos)
            else:
                raise self.scope.error(
                    f"expected an item or the sequence delimiter, got ({group:04X},{element:04X})",
                    self.number,
                    offset=pos,
                    tag=here.tag,
                )
        return self.closed(here, *self.ran_out(here.tag, pos))

    def elements(self, here: _Open, pos: int) -> tuple[int, _Open | None]:
        """Go over elements to one of undefined length or the end of the item."""
        layout, end, buffer = here.layout, self.end, self.buffer
        while pos + 8 <= end:
            if layout.is_explicit:
                group, element, code, length = layout.read_explicit(buffer, pos)
                if code in layout.short and group < 0xFFFE:
                    pos += 8 + length
                    continue
            else:
                group, element, length = layout.read_implicit(buffer, pos)
                if length != UNDEFINED and group < 0xFFFE:
                    pos += 8 + length
                    continue
            tag = group << 16 | element
            if tag >= ITEM:
                return end_of_item(self.scope, self.number, tag, pos, end, layout), None
            if layout.is_explicit and code in layout.long and pos + 12 > end:
                break
            vr, value, length = element_header(self.scope, self.number, layout, tag, pos, end)
            if length != UNDEFINED:
                pos = value + length
            elif vr in {"SQ", "UN", ""} and tag != _PIXEL_DATA:
                inner = layout_of_items(self.scope, vr, value, layout)
                known = self.scope.reading.ends.get(value)
                if known is None:
                    return value, _Open(value, False, inner, tag)
                pos = known[1]
            else:
                pos = end_of_fragments(self.scope, self.number, tag, value, end, layout)
        return self.ran_out(here.tag, pos)[1], None

    def closed(self, here: _Open, content_end: int, following: int) -> tuple[int, None]:
        """End a sequence and remember where."""
        self.scope.reading.ends[here.start] = (content_end, following)
        return following, None

    def ran_out(self, tag: int, pos: int, length: int = 0) -> tuple[int, int]:
        """Decide what it means that the container ends before an item's end or the delimiter."""
        end = self.end
        if pos == end and not length:
            self.scope.warn("no delimiter at the end", self.number, offset=pos, tag=tag)
            return end, end
        left = max(end - pos, 0)
        message = f"expected {length or 8} bytes in a sequence, {left} left"
        if not self.scope.accept_cut(end):
            raise self.scope.error(message, self.number, offset=pos, tag=tag)
        self.scope.warn(message, self.number, offset=min(pos, end), tag=tag)
        return end, end


def end_of_item(scope: Scope, number: int, tag: int, pos: int, end: int, layout: Layout) -> int:
    """Decide what follows an item of undefined length.

    Args:
        scope: where the item, or the sequence it is in, stands.
        number: the number of the item there.
        tag: what was found in place of a further element, an item tag or a delimiter.
        pos: where it was found.
        end: where what the item is in ends.
        layout: the layout of the item.

    Returns:
        Where the sequence goes on.
    """
    if tag == ITEM_END:
        return pos + 8
    if tag == SEQUENCE_END and next_is_delimiter(layout, scope.buffer, pos + 8, end):
        scope.warn("sequence delimiter in place of an item delimiter", number, offset=pos)
        return pos + 8
    if tag in {ITEM, SEQUENCE_END}:
        scope.warn("no item delimiter at the end of an item", number, offset=pos)
        return pos
    raise scope.error("expected an element or the item delimiter", number, offset=pos, tag=tag)


def next_is_delimiter(layout: Layout, buffer: object, pos: int, end: int) -> bool:
    """Whether an item or a sequence delimiter stands at a position."""
    if pos + 8 > end:
        return False
    group, element, _ = layout.read_implicit(buffer, pos)  # type: ignore[arg-type]
    return group << 16 | element in {ITEM, SEQUENCE_END}
