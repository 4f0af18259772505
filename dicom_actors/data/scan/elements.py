"""Bytes to the index of a data set: where each element starts.

A scan reads headers alone: one unpacking, one test and one entry in a dict for each element.
Values, sequences included, are skipped; who has the index decodes them when somebody asks.
Sequences of a defined length cost nothing, those of undefined length are walked to their end once:
nothing is kept but the ends of sequences. There is no recursion: nesting is a list. Wrong and
missing delimiters are forgiven where only one reading makes sense, and noted.

Standard: PS3.5 7.1 (data elements), 7.5 (nesting), A.4 (encapsulated pixel data), 6.2.2 (UN of
undefined length).
"""

from __future__ import annotations

from struct import error as StructError  # noqa: N812 - the module spells it in lower case
from sys import maxsize
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.scan.headers import element_header, is_padding, past_stray
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
from dicom_actors.data.scan.native import index_usual, items_usual
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from dicom_actors.data.scan.scope import Scope

    Index = dict[int, int]
    Row = tuple[int, int, Index]

__all__ = [
    "end_of_fragments",
    "end_of_item",
    "end_of_sequence",
    "is_over",
    "layout_of_items",
    "read_items",
    "scan",
    "scan_all",
]

# --- where things of undefined length end ----------------------------------------------------


_PIXEL_DATA: Final = 0x7FE00010
_DIRECTORY_RECORDS: Final = 0x00041220
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
        if not delimiter and not length:
            scope.warn("zeros in place of a sequence delimiter", number, offset=pos, tag=tag)
            ends[start] = (pos, pos + 8)
            return pos + 8
        raise scope.error(
            f"expected a fragment or the sequence delimiter, got ({group:04X},{element:04X})",
            number,
            offset=pos,
            tag=tag,
        )
    message, is_zero = "no sequence delimiter after the last fragment", False
    if pos != end:
        is_zero = end - pos < 8 and is_padding(scope, pos, end)
        message = "zeros in place of a sequence delimiter"
        if not is_zero:
            message = "the last fragment is not whole"
        if not is_zero and not scope.accept_cut(end):
            raise scope.error(message, number, offset=pos, tag=tag)
    scope.warn(message, number, offset=pos, tag=tag)
    ends[start] = (pos if is_zero else end, end)
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
                raise scope.beyond_limits(
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


# --- data sets and items ---------------------------------------------------------------------


_PIXEL_DATA_GROUP: Final = 0x7FE00000


def scan_all(
    scope: Scope, number: int, index: Index, start: int, end: int, stop: int = ITEM
) -> int:
    """Index a data set that fills its container.

    Args:
        scope: where the data set stands.
        number: its number, if it is an item.
        index: gets the offset of each element, in tag order.
        start: where the first element starts.
        end: where the container ends.
        stop: the first tag that is not wanted any more.

    Returns:
        Where the last element ends; what follows is padding, was warned of, or is not wanted.
        More than `end` if the input is cut short within the last element and that is not to be
        an error.

    Raises:
        DecodeError: an element is longer than its container, or nothing makes sense.
    """
    pos, last, is_ordered = _scan(scope, number, index, start, end, stop, _last_in(index))
    while pos != end:
        if pos > end:
            pos = _overrun(scope, number, index, end)
            break
        if stop < ITEM and pos + 8 <= end:
            group, element, _ = scope.layout.read_implicit(scope.buffer, pos)
            if group << 16 | element >= stop:
                break
        onward = _beyond(scope, number, last, pos, end)
        if onward is None:
            break
        pos, last, is_ordered = _scan(
            scope, number, index, onward, end, stop, last, is_ordered=is_ordered
        )
    if not is_ordered:
        _sort(index)
    return pos


def scan(scope: Scope, number: int, index: Index, start: int, end: int, stop: int = ITEM) -> int:
    """Index the elements from a position on.

    Args:
        scope: where the data set stands.
        number: its number, if it is an item.
        index: gets the offset of each element, in tag order.
        start: where the next element starts.
        end: where the container, or what there is of it, ends.
        stop: the scan ends before the first tag that is not below this.

    Returns:
        Where the scan ended: at `end`; before `end` at something that is no element, or at
        `stop`; or beyond `end`, if the last element is longer than what there is.

    Raises:
        DecodeError: the header of an element, or a sequence of undefined length, makes no sense.
    """
    pos, _, is_ordered = _scan(scope, number, index, start, end, stop, _last_in(index))
    if not is_ordered:
        _sort(index)
    return pos


def _sort(index: Index) -> None:
    """Put an index in tag order; once for a data set, however often its scan goes on."""
    ordered = sorted(index.items())
    index.clear()
    index.update(ordered)


def _last_in(index: Index) -> int:
    """The tag of the element that stands last in the bytes; -1 if there is none.

    It need not be the last key: the index may be in tag order by now, or that element be there
    for the second time.
    """
    return max(index, key=index.__getitem__) if index else -1


def _scan(
    scope: Scope,
    number: int,
    index: Index,
    start: int,
    end: int,
    stop: int,
    last: int,
    *,
    is_ordered: bool = True,
) -> tuple[int, int, bool]:
    """Do what `scan` does; the index is not sorted.

    Returns:
        Where the scan ended, the tag of the element that stands last, whether all were in order.
    """
    before = len(index)
    walk = _scan_explicit if scope.layout.is_explicit else _scan_implicit
    try:
        pos, last, is_ordered = walk(scope, number, index, start, end, stop, last, is_ordered)
    except StructError as error:
        if not scope.accept_cut(end):
            raise scope.error("a header is cut short", number, offset=end) from error
        pos, is_ordered = _drop_last(index), False
        last = _last_in(index)
    _count(scope, len(index) - before, pos)
    return pos, last, is_ordered


def _count(scope: Scope, count: int, pos: int) -> None:
    reading = scope.reading
    reading.seen_elements += count
    if reading.seen_elements > reading.limits.max_elements:
        raise scope.beyond_limits(
            f"more than {reading.limits.max_elements} elements and items", 0, offset=pos
        )


def _scan_explicit(
    scope: Scope,
    number: int,
    index: Index,
    start: int,
    end: int,
    stop: int,
    last: int,
    is_ordered: bool,  # noqa: FBT001 - what comes back is handed in again
) -> tuple[int, int, bool]:
    layout = scope.layout
    buffer = scope.buffer
    read, read_length, short, long = (
        layout.read_explicit,
        layout.read_length,
        layout.short,
        layout.long,
    )
    pos = start
    limit = end - 8
    passes = index_usual if layout is EXPLICIT else None
    stop_group, last_group = stop >> 16, -1
    group_tag = last_element = 0
    while pos <= limit:
        if passes is not None:
            pos, last = passes(buffer, index, pos, end, last, stop, True)
            if pos > limit:
                break
            last_group = -1
        group, element, code, length = read(buffer, pos)
        # Numbers of 16 bits take less time than tags, and most groups are the last one.
        if group != last_group:
            last_group = group
            group_tag = group << 16
            last_element = -1 if last < group_tag and group < stop_group else 0xFFFF
        tag = group_tag + element
        if element > last_element:
            last_element = element
        else:
            if tag >= stop:
                break
            if tag <= last:
                if is_over(scope, number, tag, last, pos, end):
                    break
                is_ordered = is_ordered and _note_disorder(scope, number, tag, pos)
            # Of the group in which the end is, each is looked at.
            last_element = element if group < stop_group else 0xFFFF
        last = tag
        index[tag] = pos
        if code in short:
            pos += length + 8
        elif code in long:
            length = read_length(buffer, pos + 8)[0]
            if length == UNDEFINED:
                vr = layout.names[code]
                pos = end_of_undefined(scope, number, tag, vr, pos + 12, end, layout)
            else:
                pos += 12 + length
        else:
            vr, value, length = element_header(scope, number, layout, tag, pos, end)
            if length == UNDEFINED:
                pos = end_of_undefined(scope, number, tag, vr, value, end, layout)
            else:
                pos = value + length
    return pos, last, is_ordered


def _scan_implicit(
    scope: Scope,
    number: int,
    index: Index,
    start: int,
    end: int,
    stop: int,
    last: int,
    is_ordered: bool,  # noqa: FBT001 - what comes back is handed in again
) -> tuple[int, int, bool]:
    layout, buffer = scope.layout, scope.buffer
    read = layout.read_implicit
    pos = start
    limit = end - 8
    passes = index_usual
    while pos <= limit:
        if passes is not None:
            pos, last = passes(buffer, index, pos, end, last, stop, False)
            if pos > limit:
                break
        group, element, length = read(buffer, pos)
        tag = group << 16 | element
        if tag <= last or tag >= stop:
            if tag >= stop or is_over(scope, number, tag, last, pos, end):
                break
            is_ordered = is_ordered and _note_disorder(scope, number, tag, pos)
        last = tag
        index[tag] = pos
        if length == UNDEFINED:
            pos = end_of_undefined(scope, number, tag, "", pos + 8, end, layout)
        else:
            pos += length + 8
    return pos, last, is_ordered


def _note_disorder(scope: Scope, number: int, tag: int, pos: int) -> bool:
    scope.warn(
        "an element out of order, or twice: the last one counts", number, offset=pos, tag=tag
    )
    return False


def is_over(scope: Scope, number: int, tag: int, last: int, pos: int, end: int) -> bool:
    """Decide whether a tag that is not above the last one is an element at all."""
    if tag == 0 and is_padding(scope, pos, end):
        return True
    if last < _PIXEL_DATA_GROUP:
        return False
    _, _, code, _ = scope.layout.read_explicit(scope.buffer, pos)
    if scope.layout.is_explicit and (code in scope.layout.short or code in scope.layout.long):
        _, value, length = element_header(scope, number, scope.layout, tag, pos, end)
        return length != UNDEFINED and value + length > end
    return True


def _beyond(scope: Scope, number: int, last: int, pos: int, end: int) -> int | None:
    """Decide what the bytes are at which a scan stopped short of the end.

    Returns:
        Where to go on; None if what follows is no part of the data set.
    """
    if is_padding(scope, pos, end):
        scope.warn(f"{end - pos} zero bytes after the last element", number, offset=pos)
        return None
    if end - pos >= 8:
        following = past_stray(scope, pos, end)
        if following != pos:
            group, element, _ = scope.layout.read_implicit(scope.buffer, pos)
            tag = group << 16 | element
            what = "a delimiter" if tag != ITEM else f"an item of {following - pos - 8} bytes"
            scope.warn(f"{what} outside a sequence is passed over", number, offset=pos, tag=tag)
            return following
    if _is_cut_header(scope, number, pos, end):
        return None
    if last >= _PIXEL_DATA_GROUP:
        scope.warn(f"{end - pos} bytes after the last element ignored", number, offset=pos)
        return None
    raise scope.error(f"expected a data element, {end - pos} bytes left", number, offset=pos)


def _is_cut_header(scope: Scope, number: int, pos: int, end: int) -> bool:
    """Whether an input that is cut short ends within a header, which is no error then."""
    if end - pos >= 12 or not scope.accept_cut(end):
        return False
    scope.warn("cut short within a header", number, offset=pos)
    return True


def _drop_last(index: Index) -> int:
    """Take the element that starts last out of an index; return where it starts."""
    return index.pop(max(index, key=index.__getitem__))


def _overrun(scope: Scope, number: int, index: Index, end: int) -> int:
    # The scan went beyond the end over the element that starts last.
    tag = max(index, key=index.__getitem__)
    _, value, length = element_header(scope, number, scope.layout, tag, index[tag], end)
    message = f"expected a value of {length} bytes, {max(end - value, 0)} left"
    if not scope.accept_cut(end):
        raise scope.error(message, number, offset=index[tag], tag=tag)
    scope.warn(message, number, offset=index[tag], tag=tag)
    return value + length


def read_items(scope: Scope, start: int, end: int) -> list[Row]:
    """Index the items of a sequence.

    Args:
        scope: where the items stand; its layout is theirs.
        start: where the first item starts.
        end: where the last one ends.

    Returns:
        For each item where its elements start and end, and their index; the last one ends beyond
        `end` if the input is cut short within its last element.

    Raises:
        DecodeError: what is there are not whole items.
    """
    if scope.depth > scope.reading.limits.max_depth:
        raise scope.beyond_limits(
            f"sequences nested deeper than {scope.reading.limits.max_depth}", 0, offset=start
        )
    items: list[Row] = []
    pos = start
    if items_usual is not None and scope.layout is EXPLICIT:
        reading = scope.reading
        most = min(reading.limits.max_elements - reading.seen_elements, maxsize)
        pos, count = items_usual(scope.buffer, items, start, end, most)
        reading.seen_elements += count
        if pos == end:
            return items
    if scope.layout.is_explicit:
        pos = _plain_items(scope, pos, end, items)
    while pos + 8 <= end:
        number = len(items)
        try:
            item, pos = _one_item(scope, number, pos, end)
        except DecodeError as error:
            if not scope.accept_cut(end):
                raise
            scope.warn(f"nothing more in a sequence that is cut short: {error}", number)
            break
        if item is not None:
            _count(scope, 1, pos)
            items.append(item)
    if pos != end and not scope.accept_cut(end):
        raise scope.error(f"expected an item, {end - pos} bytes left", len(items), offset=pos)
    return items


def _plain_items(scope: Scope, start: int, end: int, items: list[Row]) -> int:
    """Index explicit items, as long as there is nothing special about them.

    Nearly all are like that, and sequences are many: this is `_one_item` and the scan in one.

    Returns:
        Where the first item stands that is special; `end` if none is.
    """
    layout, buffer = scope.layout, scope.buffer
    read_item, read, read_length = layout.read_implicit, layout.read_explicit, layout.read_length
    short, long = layout.short, layout.long
    item_at = start
    while item_at + 8 <= end:
        group, element, length = read_item(buffer, item_at)
        pos = item_at + 8
        item_end = pos + length
        if group != 0xFFFE or element != 0xE000 or item_end > end:
            break
        index: Index = {}
        last = -1
        limit = item_end - 8
        while pos <= limit:
            group, element, code, length = read(buffer, pos)
            tag = group << 16 | element
            if tag <= last or group == 0xFFFE:
                break
            last = tag
            index[tag] = pos
            if code in short:
                pos += length + 8
            elif code in long and pos <= limit - 4:
                length = read_length(buffer, pos + 8)[0]
                if length == UNDEFINED:
                    break
                pos += length + 12
            else:
                break
        if pos != item_end:
            break
        _count(scope, len(index) + 1, pos)
        items.append((item_at + 8, item_end, index))
        item_at = item_end
    return item_at


def _one_item(scope: Scope, number: int, pos: int, end: int) -> tuple[Row | None, int]:
    """Index any item.

    Returns:
        Where its elements start and end, and their index; None if what stands there is none, but
        can be passed over. Then, where to go on; elements that are cut short end beyond it.
    """
    group, element, length = scope.layout.read_implicit(scope.buffer, pos)
    tag = group << 16 | element
    if tag != ITEM:
        return None, _not_an_item(scope, number, tag, pos, end)
    index: Index = {}
    pos += 8
    if length == UNDEFINED:
        content_end = scan(scope, number, index, pos, end)
        following = _close_item(scope, number, content_end, end, scope.layout)
        return (pos, content_end, index), following
    following = pos + length
    if following > end:
        return (pos, _fill_last_item(scope, number, index, pos, end, length), index), end
    content_end = scan_all(scope, number, index, pos, following)
    if not scope.reading.is_cut:
        content_end = following
    return (pos, content_end, index), following


def _fill_last_item(
    scope: Scope, number: int, index: Index, pos: int, end: int, length: int
) -> int:
    """Read an item that is longer than its sequence.

    Real DICOMDIRs have a last record whose length alone is wrong: its elements end where the
    sequence ends. Elsewhere nobody knows where the item ends.

    Returns:
        Where its elements end; beyond `end` if the last one is cut short.
    """
    message = f"expected an item of {length} bytes, {end - pos} left in the sequence"
    try:
        content_end = scan(scope, number, index, pos, end)
    except DecodeError:
        content_end = -1
    is_whole = scope.tag == _DIRECTORY_RECORDS and content_end == end and bool(index)
    if not is_whole and not scope.accept_cut(end):
        raise scope.error(message, number, offset=pos - 8)
    if content_end < 0:
        content_end = _drop_last(index) if index else pos
    scope.warn(message, number, offset=pos - 8)
    return content_end


def _close_item(scope: Scope, number: int, pos: int, end: int, layout: Layout) -> int:
    if pos + 8 <= end:
        group, element, _ = layout.read_implicit(scope.buffer, pos)
        tag = group << 16 | element
        if tag < ITEM and _is_cut_header(scope, number, pos, end):
            return end
        return end_of_item(scope, number, tag, pos, end, layout)
    if pos != end and not scope.accept_cut(end):
        left = max(end - pos, 0)
        raise scope.error(f"expected an item delimiter, {left} bytes left", number, offset=pos)
    return end


def _not_an_item(scope: Scope, number: int, tag: int, pos: int, end: int) -> int:
    """Decide what a sequence holds in place of an item, and where to go on."""
    if tag == SEQUENCE_END:
        scope.warn("a sequence delimiter in a sequence of defined length", number, offset=pos)
        return pos + 8
    if tag == ITEM_END:
        scope.warn("an item delimiter outside an item", number, offset=pos)
        return pos + 8
    if tag == 0 and is_padding(scope, pos, end):
        scope.warn(f"{end - pos} zero bytes after the last item", number, offset=pos)
        return end
    raise scope.error(
        f"expected an item, got ({tag >> 16:04X},{tag & 0xFFFF:04X})", number, offset=pos, tag=tag
    )
