"""What can be read of a data set in which something cannot.

A scan ends where nothing makes sense any more. Here it is taken up behind that: at the first place
where several elements follow each other in order, as they do in no rubbish. What is between is left
out, with a warning. Each byte is looked at a few times at most, however often that happens.

Standard: PS3.5 7.1 (data elements).
"""

from __future__ import annotations

import re
from functools import lru_cache
from struct import error as StructError  # noqa: N812 - the module spells it in lower case
from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary import VR_TABLE
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.scan.elements import scan_all
from dicom_actors.data.scan.headers import element_header, is_padding
from dicom_actors.data.scan.layout import EXPLICIT, IMPLICIT, ITEM, UNDEFINED
from dicom_actors.data.scan.scope import BeyondLimitsError, Scope
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.data.scan.layout import Layout

    Index = dict[int, int]

__all__ = ["next_data_set", "scan_damaged"]

_IN_A_ROW: Final = 3
_LAST_OF_FILE_META: Final = 0x0002FFFF


def scan_damaged(scope: Scope, index: Index, start: int, end: int) -> int:
    """Index what can be read of a data set.

    Args:
        scope: where the data set stands, at the top.
        index: gets the offset of each element, in tag order.
        start: where the first element starts.
        end: where the data set ends.

    Returns:
        As `scan_all`: more than `end` only where a cut is no error and the last element is cut.

    Raises:
        BeyondLimitsError: it goes beyond a limit.
    """
    reading = scope.reading
    keeps, reading.keeps_truncated = reading.keeps_truncated, False
    found = _Found(index)
    pos = start
    while True:
        part: Index = {}
        try:
            following = scan_all(scope, 0, part, pos, end)
            break
        except BeyondLimitsError:
            raise
        except DecodeError as error:
            damage, problem = _damage(scope, part, error, pos, end), error
        found.add(part)
        pos = _next_element(scope, max(damage + 1, problem.offset or 0), end, found.last)
        if pos < 0:
            reading.keeps_truncated = keeps
            part, following = _last_part(scope, damage, end) if keeps else ({}, end)
            if not part:
                _leave_out(scope, problem, damage, end)
            break
        _leave_out(scope, problem, damage, pos)
    reading.keeps_truncated = keeps
    found.add(part)
    found.sort()
    return following


class _Found:
    """What was found in one part after the other; sorted once, if that is needed."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.last = 0
        self.is_sorted = True

    def add(self, part: Index) -> None:
        """Add what was found in a part; what comes later counts."""
        if part:
            self.is_sorted = self.is_sorted and next(iter(part)) > self.last
            self.last = max(self.last, next(reversed(part)))
            self.index.update(part)

    def sort(self) -> None:
        """Put all in order of tags."""
        if not self.is_sorted:
            ordered = sorted(self.index.items())
            self.index.clear()
            self.index.update(ordered)


def _last_part(scope: Scope, start: int, end: int) -> tuple[Index, int]:
    """Take what there is of the last element of an input that is cut short, if it is that."""
    part: Index = {}
    try:
        return part, scan_all(scope, 0, part, start, end)
    except BeyondLimitsError:
        raise
    except DecodeError:
        scope.reading.is_cut = False
        return {}, end


def _leave_out(scope: Scope, problem: DecodeError, start: int, end: int) -> None:
    scope.warn(
        f"damaged: {end - start} bytes are left out: {problem}", 0, offset=start, tag=problem.tag
    )


def _damage(scope: Scope, part: Index, error: DecodeError, start: int, end: int) -> int:
    """Find where the damage begins, and take an element that is no whole one out of an index."""
    if not part:
        return start if error.offset is None else max(start, min(error.offset, end))
    tag = max(part, key=part.__getitem__)
    offset = part[tag]
    following = _end_of_whole(scope, tag, offset, end)
    if following is None:
        del part[tag]
    ordered = sorted(part.items())
    part.clear()
    part.update(ordered)
    return offset if following is None else following


def _end_of_whole(scope: Scope, tag: int, offset: int, end: int) -> int | None:
    """Find where an element ends; None if it does not, or makes no sense."""
    try:
        _, value, length = element_header(scope, 0, scope.layout, tag, offset, end)
    except (DecodeError, StructError):
        return None
    if length == UNDEFINED:
        return scope.reading.ends.get(value, (0, None))[1]
    return value + length if value + length <= end else None


def _next_element(scope: Scope, pos: int, end: int, last: int) -> int:
    """Find the next place where elements follow each other in order; -1 if there is none."""
    for place in _places(scope, pos, end):
        if _lead_on(scope, place, end, last):
            return place
    return -1


def next_data_set(scope: Scope, pos: int, end: int) -> int:
    """Find the next place where elements of a data set follow each other, in either VR encoding.

    Args:
        scope: where file meta information stands.
        pos: where to begin.
        end: where the bytes end.

    Returns:
        The place; `end` if there is none.
    """
    for layout in (EXPLICIT, IMPLICIT):
        inner = Scope(scope.buffer, layout, scope.reading)
        for place in _places(inner, pos, end):
            if _lead_on(inner, place, end, _LAST_OF_FILE_META):
                return place
    return end


def _places(scope: Scope, pos: int, end: int) -> Iterator[int]:
    """Give the places where an element may start, by its VR or else by its group."""
    layout, buffer = scope.layout, scope.buffer
    before, pattern = (4, _vrs()) if layout.is_explicit else (0, _groups())
    at = pos + before
    while (found := pattern.search(buffer, at, end)) is not None:
        yield found.start() - before
        at = found.start() + 1


@lru_cache(maxsize=1)
def _vrs() -> re.Pattern[bytes]:
    return re.compile(b"|".join(vr.value.encode("ascii") for vr in VR))


@lru_cache(maxsize=1)
def _groups() -> re.Pattern[bytes]:
    low = b"".join(b"\\x%02x" % group for group in (0x08, 0x10, 0x18, 0x20, 0x28, 0x32, 0x38, 0x40))
    return re.compile(b"[%b]\0|[\x0a\x0c\x0e]\x30|\xe0\x7f" % low)


def _lead_on(scope: Scope, pos: int, end: int, last: int) -> bool:
    """Whether several elements, or all that are left, follow each other in order of their tags."""
    layout, buffer = scope.layout, scope.buffer
    for count in range(_IN_A_ROW):
        if count and (pos == end or (buffer[pos] == 0 and is_padding(scope, pos, end))):
            return True
        if pos + 8 > end:
            return False
        group, element, code, length = layout.read_explicit(buffer, pos)
        tag = group << 16 | element
        if not last < tag < ITEM:
            return False
        last, value = tag, pos + 8
        if not layout.is_explicit:
            length = layout.read_implicit(buffer, pos)[2]
            if VR_TABLE[tag] == "UN" and not (count and group & 1 and group > 8):
                return False
        elif code in layout.long:
            if pos + 12 > end or buffer[pos + 6] or buffer[pos + 7]:
                return False
            value, length = pos + 12, layout.read_length(buffer, pos + 8)[0]
        elif code not in layout.short:
            return False
        if length == UNDEFINED:
            return _begins_with_item(layout, buffer, value, end)
        pos = value + length
        if pos > end:
            return False
    return True


def _begins_with_item(layout: Layout, buffer: object, pos: int, end: int) -> bool:
    if pos + 8 > end:
        return False
    group, element, _ = layout.read_implicit(buffer, pos)  # type: ignore[arg-type]
    return group == 0xFFFE and element in {0xE000, 0xE0DD}
