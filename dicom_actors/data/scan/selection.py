"""The elements that somebody wants of each of many files, and where they are in one.

Who indexes a thousand files wants a dozen elements of each, and most of the time goes into the
headers of the others. A `Selection` has a regular expression for runs of these: it passes over
them several times as fast as a loop does. What it does not match is looked at in the loop.

Standard: PS3.5 7.1 (data elements).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary import VR_TABLE
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.data.dictionary.vr import LONG_LENGTH, VR
from dicom_actors.data.scan.elements import end_of_undefined
from dicom_actors.data.scan.layout import ITEM, UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.dictionary.tag import Key
    from dicom_actors.data.scan.scope import Scope

__all__ = ["Selection"]

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

    __slots__ = ("_pass_over", "stop", "tags")

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

    def pick(self, scope: Scope, start: int, end: int) -> tuple[dict[int, int], int] | None:
        """Index the wanted elements in Explicit VR Little Endian, if nothing is special there.

        The order of the elements that are not wanted is not looked at.

        Args:
            scope: the data set, which is no item.
            start: where the first element starts.
            end: where the data set, or what there is of it, ends.

        Returns:
            The offset of each element, and where the first one that is not below `stop` starts;
            None if a whole scan has to look at the data set.
        """
        layout, buffer = scope.layout, scope.buffer
        read, short, long = layout.read_explicit, layout.short, layout.long
        wanted, stop = self.tags, min(self.stop, ITEM)
        if self._pass_over is None:
            self._pass_over = re.compile(_others_below(stop - 1 >> 16, wanted), re.DOTALL)
        pass_over = self._pass_over.match
        index: dict[int, int] = {}
        last = -1
        pos, limit = start, end - 12
        while pos <= limit:
            pos = pass_over(buffer, pos).end()  # type: ignore[union-attr]  # it may match nothing
            if pos > limit:
                break
            group, element, code, length = read(buffer, pos)
            tag = group << 16 | element
            if tag >= stop:
                return index, pos
            if tag <= last:
                return None
            last = tag
            if tag in wanted:
                index[tag] = pos
            if code in short:
                pos += length + 8
            elif code in long:
                length = layout.read_length(buffer, pos + 8)[0]
                if length == UNDEFINED:
                    vr = layout.names[code]
                    pos = end_of_undefined(scope, 0, tag, vr, pos + 12, end, layout)
                else:
                    pos += length + 12
            else:
                return None
        return (index, pos) if pos == end else None


def _needed_for(tag: int) -> set[int]:
    """The elements without which the VR of another one is not known (PS3.5 7.8.1, A.1)."""
    if tag & 0x10000 and tag & 0xFF00:
        return {tag & 0xFFFF0000 | tag >> 8 & 0xFF}  # its private creator
    if len(VR_TABLE[tag]) == 2:
        return set()
    return {_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR} if tag == _LUT_DATA else {_PIXEL_REPRESENTATION}


def _others_below(group: int, wanted: Iterable[int]) -> bytes:
    """Make the pattern of any number of elements that are not wanted and in lower groups.

    It matches those with the usual lengths, each header byte for byte, in little endian.
    """
    excluded = b"|".join(
        b"%b(?:%b)" % (_number(number), b"|".join(map(_number, in_group)))
        for number, in_group in groupby(sorted(wanted), key=lambda tag: tag >> 16)
    )
    groups = _numbers_below(group)
    lengths = b"|".join(b"\\x%02x\\0.{%d}" % (length, length) for length in _PASSED_LENGTHS)
    return b"(?:(?!%b)(?:%b)..(?:%b)(?:%b))*+" % (excluded, groups, _short_vrs(), lengths)


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
