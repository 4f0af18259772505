"""The elements that somebody wants of each of many files, and where they are in one.

Who indexes a thousand files wants a dozen elements of each, and most of the time goes into the
headers of the others. A `Selection` has a regular expression for runs of elements: it passes over
them several times as fast as a loop does, and notes the wanted ones on the way. What it does not
match is looked at in the loop. The compiled scan, where there is one, takes the place of the
expression.

Standard: PS3.5 7.1 (data elements).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import compress, groupby
from struct import error as StructError  # noqa: N812 - the module spells it in lower case
from struct import pack
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dictionary import VR_TABLE
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.data.dictionary.vr import LONG_LENGTH, VR
from dicom_actors.data.scan.elements import end_of_undefined, is_over
from dicom_actors.data.scan.layout import EXPLICIT, ITEM, UNDEFINED
from dicom_actors.data.scan.native import pick_usual
from dicom_actors.data.scan.scope import Reading, Scope
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from dicom_actors.data.dictionary.tag import Key
    from dicom_actors.data.scan.layout import Layout
    from dicom_actors.data.scan.scope import Bytes, Limits

__all__ = ["Picked", "Selection", "look_beyond"]

_CHARACTER_SET: Final = 0x00080005
_LUT_DATA: Final = 0x00283006
_LUT_DESCRIPTOR: Final = 0x00283002
_PIXEL_REPRESENTATION: Final = 0x00280103
_PASSED_LENGTHS: Final = range(0, 66, 2)


class Selection:
    """Some tags.

    Attributes:
        tags: the wanted ones, and those that they need to be understood, such as Specific
            Character Set.
        stop: one more than the last of them; no more than the first that is not wanted at all.
    """

    __slots__ = ("_below", "_groups", "_pass_over", "_wanted", "stop", "tags")

    @staticmethod
    @lru_cache(maxsize=16)
    def of(keys: tuple[Key, ...], until: int | None) -> Selection:
        """Return the selection of some keys; those in use are kept.

        Args:
            keys: keys of any form.
            until: the first tag that is not wanted, nor any after it; None: none is.
        """
        tags = set(map(to_tag, keys))
        return Selection(tags.union({_CHARACTER_SET}, *map(_needed_for, tags)), until)

    def __init__(self, tags: set[int], until: int | None) -> None:
        """Use `Selection.of`."""
        self.tags = frozenset(tags)
        self.stop = max(tags) + 1 if until is None else min(max(tags) + 1, until)
        self._pass_over: re.Pattern[bytes] | None = None
        self._below = sorted(tag for tag in tags if tag < min(self.stop, ITEM))
        self._groups = [*enumerate(self._below, 2)]
        self._wanted = pack(f"<{len(self._below)}I", *self._below)

    def pick(self, scope: Scope, start: int, end: int) -> Picked | None:
        """Index the wanted elements in Explicit VR Little Endian, if nothing is special there.

        All headers are looked at, those behind the wanted elements too, since one may be out of
        order there. The order of the others is not looked at.

        Args:
            scope: the data set, which is no item.
            start: where the first element starts.
            end: where the data set, or what there is of it, ends.

        Returns:
            What is found; None if a whole scan has to look at the data set.
        """
        layout, buffer = scope.layout, scope.buffer
        read, short, long = layout.read_explicit, layout.short, layout.long
        tags, stop = self.tags, min(self.stop, ITEM)
        if self._pass_over is None and pick_usual is None:
            self._pass_over = re.compile(_elements(self._below), re.DOTALL)
        pass_over = None if self._pass_over is None else self._pass_over.match
        index: dict[int, int] = {}
        last = seen = -1
        following = pos = start
        limit = end - 8
        while pos <= limit:
            if pick_usual is not None:
                pos, following, last, seen = pick_usual(
                    buffer, index, pos, end, following, last, seen, 0, self._wanted
                )
            elif pass_over is not None:
                passed = pass_over(buffer, pos)
                assert passed is not None  # it may be of none
                if passed[1] is not None:
                    pos, seen = passed.end(1), _tag_in(passed[1])
                    at = -1
                    for group, tag in compress(self._groups, passed.groups()[1:]):
                        met = passed.start(group) - 3
                        # One that was not passed over in the end may have been met.
                        if met < pos:
                            if tag <= last or met < at:
                                return None
                            index[tag] = at = met
                            last = tag
                    if at >= 0:
                        following = at + 8 + layout.read_vr(buffer, at)[1]
            if pos > limit:
                break
            group, element, code, length = read(buffer, pos)
            tag = group << 16 | element
            if tag >= ITEM:
                return None
            is_wanted = tag < stop and tag in tags
            if is_wanted:
                if tag <= last:
                    return None
                index[tag] = pos
                last = tag
            if code in short:
                at = pos + length + 8
            elif code in long and pos + 12 <= end:
                length = layout.read_length(buffer, pos + 8)[0]
                at = pos + length + 12
                if length == UNDEFINED:
                    vr = layout.names[code]
                    if tag < stop:
                        at = end_of_undefined(scope, 0, tag, vr, pos + 12, end, layout)
                    else:
                        at = _quiet_end(scope, tag, vr, pos + 12, end)
                        if at < 0:
                            return Picked(index, following, pos)
                        if not at:
                            return None
            elif not is_wanted and tag < stop <= seen and is_over(scope, 0, tag, seen, pos, end):
                return Picked(index, following, end)
            else:
                return None
            seen, pos = tag, at
            if is_wanted:
                following = at
        if pos < end or (pos > end and seen < stop):
            return None
        return Picked(index, following, pos)


class Picked(NamedTuple):
    """Where wanted elements are.

    Attributes:
        offsets: where each starts, by tag, in order.
        end: where the last of them ends.
        looked_to: as `look_beyond` returns it.
    """

    offsets: dict[int, int]
    end: int
    looked_to: int


def _quiet_end(scope: Scope, tag: int, vr: str, start: int, end: int) -> int:
    """Find where an element of undefined length ends that is not wanted; nothing is noted.

    Returns:
        The place; -1 if it does not end, 0 if something has to be forgiven.
    """
    reading = scope.reading
    count, keeps = len(reading.warnings), reading.keeps_truncated
    reading.keeps_truncated = False
    try:
        at = end_of_undefined(scope, 0, tag, vr, start, end, scope.layout)
        return at if len(reading.warnings) == count else 0
    except (DecodeError, StructError):
        return -1
    finally:
        del reading.warnings[count:]
        reading.keeps_truncated = keeps


def look_beyond(
    buffer: Bytes, layout: Layout, limits: Limits, pos: int, end: int, stop: int
) -> int | None:
    """Look over the elements behind those that are wanted, in case that a wanted one is there.

    Nothing is kept, noted or counted.

    Args:
        buffer: where the data set stands, at the top.
        layout: how its elements lie.
        limits: how deep sequences may be nested.
        pos: where the first element stands whose tag is not below `stop`.
        end: where the data set, or what there is of it, ends.
        stop: the first tag that is not wanted.

    Returns:
        Where the next header stands, or would: less than 8 bytes before `end`, or beyond it.
        Earlier, if the bytes do not tell where the element there ends. None if a whole scan has
        to find out what is there.
    """
    read, short, long, is_explicit = (
        layout.read_explicit,
        layout.short,
        layout.long,
        layout.is_explicit,
    )
    is_usual = layout is EXPLICIT
    pass_over = _others_from(stop).match if is_usual and pick_usual is None else None
    last, limit = -1, end - 8
    while pos <= limit:
        if is_usual and pick_usual is not None:
            pos, _, _, last = pick_usual(buffer, {}, pos, end, pos, -1, last, stop, b"")
            if pos > limit:
                break
        elif pass_over is not None and last >= 0:
            passed = pass_over(buffer, pos)
            assert passed is not None  # as above
            if passed[1] is not None:
                last, pos = _tag_in(passed[1]), passed.end(1)
                continue
        group, element, code, length = read(buffer, pos)
        tag = group << 16 | element
        if tag < stop or tag >= ITEM:
            scope = Scope(buffer, layout, Reading(limits))
            try:
                is_end = tag < last and is_over(scope, 0, tag, last, pos, end)
            except DecodeError:
                return pos
            return end if is_end else None
        last, start, vr = tag, pos + 8, ""
        if not is_explicit:
            length = layout.read_implicit(buffer, pos)[2]
        elif code in long:
            if pos + 12 > end:
                return pos
            start, length = pos + 12, layout.read_length(buffer, pos + 8)[0]
            vr = layout.names[code]
        elif code not in short:
            return None
        if length == UNDEFINED:
            scope = Scope(buffer, layout, Reading(limits))
            start, length = _quiet_end(scope, tag, vr, start, end), 0
            if start <= 0:
                return pos if start else None
        pos = start + length
    return pos


def _tag_in(element: bytes) -> int:
    """The tag of the last element that a pattern passed over."""
    return element[1] << 24 | element[0] << 16 | element[3] << 8 | element[2]


@lru_cache(maxsize=16)
def _others_from(tag: int) -> re.Pattern[bytes]:
    """Make the pattern of any number of elements that are not below a tag.

    Its group is the last of them, as in `_elements`.
    """
    group = tag >> 16
    below = b"%b|%b(?:%b)" % (_numbers_below(group), _number(group), _numbers_below(tag & 0xFFFF))
    return re.compile(
        b"((?!%b|[\\xfe\\xff]\\xff)....(?:%b)(?:%b))*+" % (below, _short_vrs(), _usual_lengths()),
        re.DOTALL,
    )


def _needed_for(tag: int) -> set[int]:
    """The elements without which the VR of another one is not known (PS3.5 7.8.1, A.1)."""
    if tag & 0x10000 and tag & 0xFF00:
        return {tag & 0xFFFF0000 | tag >> 8 & 0xFF}  # its private creator
    if len(VR_TABLE[tag]) == 2:
        return set()
    return {_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR} if tag == _LUT_DATA else {_PIXEL_REPRESENTATION}


def _elements(wanted: list[int]) -> bytes:
    """Make the pattern of any number of elements that are no items, each of the wanted ones once.

    It matches those with the usual lengths, each header byte for byte, in little endian. Its first
    group is the last of them, and where that ends they end: the end of a match that is possessive
    is further on before Python 3.11.5, by what fits of one more. Each of the others is the last
    byte of the tag of a wanted one, in their order.
    """
    in_groups = [b"[%b][^%b].." % (_bytes(wanted, 16), _bytes(wanted, 24))] if wanted else []
    number = 1
    for group, tags in groupby(wanted, key=lambda tag: tag >> 16):
        elements = [tag & 0xFFFF for tag in tags]
        parts = [b"[^%b]." % _bytes(elements, 0), b".[^%b]" % _bytes(elements, 8)]
        for element in elements:
            number += 1
            parts.append(b"\\x%02x(?(%d)(?!)|(\\x%02x))" % (element & 0xFF, number, element >> 8))
        in_groups.append(b"%b(?:%b)" % (_number(group), b"|".join(parts)))
    return b"((?:[^%b\\xfe\\xff]...%b)(?:%b)(?:%b))*+" % (
        _bytes(wanted, 16),
        b"".join(b"|" + part for part in in_groups),
        _short_vrs(),
        _usual_lengths(),
    )


def _bytes(numbers: list[int], shift: int) -> bytes:
    """Make what a pattern has between brackets for one byte of each of some numbers."""
    return b"".join(b"\\x%02x" % byte for byte in sorted({n >> shift & 0xFF for n in numbers}))


def _usual_lengths() -> bytes:
    """Make the pattern of values that are passed over, with their lengths."""
    return b"|".join(b"\\x%02x\\0.{%d}+" % (length, length) for length in _PASSED_LENGTHS)


def _numbers_below(number: int) -> bytes:
    """Make the pattern of the numbers of 16 bits, in little endian, that are lower."""
    low, high = number & 0xFF, number >> 8 & 0xFF
    ranges = []
    if low:
        ranges.append(b"[\\0-\\x%02x]\\x%02x" % (low - 1, high))
    if high:
        ranges.append(b".[\\0-\\x%02x]" % (high - 1))
    return b"|".join(ranges) or b"(?!)"


def _number(number: int) -> bytes:
    """Make the pattern of a number of 16 bits in little endian."""
    return b"\\x%02x\\x%02x" % (number & 0xFF, number >> 8 & 0xFF)


def _short_vrs() -> bytes:
    """Make the pattern of the VRs whose length has 16 bits, such as ``D[AST]``."""
    seconds: dict[bytes, bytes] = {}
    for vr in VR:
        letters = vr.value.encode("ascii")
        if letters not in LONG_LENGTH:
            seconds[letters[:1]] = seconds.get(letters[:1], b"") + letters[1:]
    # The first letter with most VRs first: alternatives are tried in order.
    pairs = sorted(seconds.items(), key=lambda pair: -len(pair[1]))
    return b"|".join(b"%b[%b]" % pair for pair in pairs)
