"""The data element dictionary: PS3.6 chapters 6 to 9, PS3.7 Annex E, and private elements.

Beside the rows of the registry, three kinds of elements follow from rules: group lengths
(gggg,0000) and private creators (odd group, 0010 to 00FF) from PS3.5 7.2 and 7.8, and repeating
groups such as (60xx,3000) from PS3.5 7.6. Each table is read when it is first asked.
"""

from __future__ import annotations

import struct
import sys
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from dicom_actors.data.dictionary.tables import read_columns

if TYPE_CHECKING:
    from collections.abc import Iterable
from pathlib import Path

# Patterns of the registry with x for any digit of the group: only these groups are meant.
_GROUP_MASK = 0xFF00FFFF
_REPEATING_GROUPS = {
    0x50: range(0x5000, 0x5020, 2),  # curves, PS3.5 7.6
    0x60: range(0x6000, 0x6020, 2),  # overlays, PS3.5 7.6
    0x7F: range(0x7F00, 0x8000, 2),  # variable pixel data, retired
}


class Entry(NamedTuple):
    """What the registry says of one data element.

    Attributes:
        tag: the tag that was asked for.
        keyword: the keyword; empty for rule-made elements and withdrawn tags.
        name: the name as printed in PS3.6; empty for withdrawn tags.
        vr: the VR as printed, for example ``"CS"`` or ``"US or SS"``; empty for items,
            delimiters and withdrawn tags.
        vm: the multiplicity as printed, for example ``"1"``, ``"2-2n"`` or ``"1-n or 1"``.
        is_retired: whether the element is retired.
    """

    tag: int
    keyword: str
    name: str
    vr: str
    vm: str
    is_retired: bool


class ElementRegistry:
    """All rows, as columns, with an index by tag, by pattern and by keyword."""

    def __init__(self) -> None:
        tags, self._keywords, self._names, vrs, self._vms, self._retired = read_columns(
            "elements.tsv"
        )
        self._vrs = list(map(sys.intern, vrs))
        patterns = [(row, tag) for row, tag in enumerate(tags) if "x" in tag]
        for row, _ in patterns:
            tags[row] = "FFFFFFFF"  # no element has this tag
        numbers = struct.unpack(f">{len(tags)}L", bytes.fromhex("".join(tags)))
        self._rows: dict[int, int] = dict(zip(numbers, range(len(numbers)), strict=True))
        self._rows.pop(0xFFFFFFFF, None)
        self._patterns: dict[int, dict[int, int]] = {}
        self.tags_by_keyword: dict[str, int] = dict(zip(self._keywords, numbers, strict=True))
        for row, pattern in patterns:
            self._add_pattern(row, pattern)
        self.tags_by_keyword.pop("", None)
        self.vrs_by_tag: dict[int, str] = {
            tag: vr or "UN" for tag, vr in zip(numbers, self._vrs, strict=True) if tag != 0xFFFFFFFF
        }

    def _add_pattern(self, row: int, pattern: str) -> None:
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        first = int(pattern.replace("x", "0"), 16)
        self._patterns.setdefault(mask, {})[first] = row
        # The keyword stands for the lowest tag that is neither a row of its own nor a group
        # length: (6000,3000) for OverlayData, (1000,0010) for EscapeTriplet.
        step = ~mask & -~mask
        while first in self._rows or not first & 0xFFFF:
            first += step
        self.tags_by_keyword[self._keywords[row]] = first

    def entry(self, tag: int) -> Entry | None:
        """Return the entry of a tag, None if nothing is known of it."""
        row = self._rows.get(tag)
        if row is None:
            if not tag & 0xFFFF:
                return Entry(tag, "", "Generic Group Length", "UL", "1", is_retired=True)
            if tag & 0x10000:
                if 0x10 <= tag & 0xFFFF <= 0xFF:
                    return Entry(tag, "", "Private Creator", "LO", "1", is_retired=False)
                return None
            row = self._repeating(tag)
            if row is None:
                return None
        return Entry(
            tag,
            self._keywords[row],
            self._names[row],
            self._vrs[row],
            self._vms[row],
            self._retired[row] == "Y",
        )

    def vr_by_rule(self, tag: int) -> str:
        """Return the VR of a tag that is no plain row: by pattern or rule, or ``"UN"``."""
        if not tag & 0xFFFF:
            return "UL"
        if tag & 0x10000:
            return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
        row = self._repeating(tag)
        return "UN" if row is None else self._vrs[row]

    def _repeating(self, tag: int) -> int | None:
        for mask, rows in self._patterns.items():
            row = rows.get(tag & mask)
            if row is not None and (
                mask != _GROUP_MASK or tag >> 16 in _REPEATING_GROUPS[tag >> 24]
            ):
                return row
        return None


@cache
def registry() -> ElementRegistry:
    """Return the registry; it is read on the first call, in a few milliseconds."""
    return ElementRegistry()


class VrTable(dict[int, str]):
    """VRs by tag, as ``vr_of`` gives them; ``table[tag]`` never fails.

    It fills itself on the first look-up. Tags that are no plain row are resolved each time and
    not kept: a hostile data set must not be able to fill the memory with made-up tags.
    ``table.get`` knows the plain rows alone and is not what you want.
    """

    def __missing__(self, tag: int) -> str:
        elements = registry()
        if not self:
            self.update(elements.vrs_by_tag)
        vr = elements.vrs_by_tag.get(tag)
        return elements.vr_by_rule(tag) if vr is None else vr


class KeywordTable(dict[str, int]):
    """Tags by keyword; ``table[keyword]`` raises KeyError for what is no keyword.

    It fills itself on the first look-up; ``table.get`` does not and is not what you want.
    """

    def __missing__(self, keyword: str) -> int:
        if not self:
            self.update(registry().tags_by_keyword)
        return registry().tags_by_keyword[keyword]


VR_TABLE = VrTable()
"""VRs by tag for decoders: ``VR_TABLE[tag]`` is ``vr_of(tag)`` without the call. Read only."""

KEYWORD_TABLE = KeywordTable()
"""Tags by keyword: ``KEYWORD_TABLE[keyword]`` is `tag_of` without the call, and raises KeyError
for what is no keyword. Read only."""


def entry(tag: int) -> Entry | None:
    """Return what the registry says of a data element.

    Repeating groups, group lengths and private creators are resolved by their rules.

    Args:
        tag: the tag as an int, 0 to 0xFFFFFFFF.

    Returns:
        The entry, or None if the registry has none (private elements among them).
    """
    return registry().entry(tag)


def vr_of(tag: int) -> str:
    """Return the VR of a data element as printed in PS3.6.

    Args:
        tag: the tag as an int, 0 to 0xFFFFFFFF.

    Returns:
        A VR, a choice such as ``"US or SS"``, or ``"UN"`` where the registry has no VR.
    """
    return VR_TABLE[tag]


def tag_of(keyword: str) -> int | None:
    """Return the tag of a keyword, None if there is no such keyword.

    For a repeating group this is the tag of its first group: ``OverlayData`` is (6000,3000).
    """
    try:
        return KEYWORD_TABLE[keyword]
    except KeyError:
        return None


def keyword_of(tag: int) -> str:
    """Return the keyword of a tag, an empty string if it has none."""
    found = registry().entry(tag)
    return "" if found is None else found.keyword


def keywords() -> Iterable[str]:
    """Return every keyword of the registry, in tag order."""
    return registry().tags_by_keyword.keys()


# --- private elements (PS3.5 7.8) ------------------------------------------------------------


class PrivateEntry(NamedTuple):
    """What is known of one private element.

    Attributes:
        creator: the private creator.
        group: the group number; None where the creator uses several groups alike.
        offset: the last two digits of the element number, 0 to 0xFF.
        vr: the VR, for example ``"DS"`` or ``"OB or OW"``.
        vm: the multiplicity, for example ``"1-n"``.
        name: the name; empty if unknown.
    """

    creator: str
    group: int | None
    offset: int
    vr: str
    vm: str
    name: str


class PrivateRegistry:
    """Rows by creator; those of one creator are taken apart when they are asked for.

    The file has a paragraph for each creator: its name, then lines of group and offset, VR, VM
    and name.
    """

    def __init__(self) -> None:
        text = Path(__file__).with_name("private_elements.txt").read_text(encoding="utf-8")
        paragraphs = (part.partition("\n") for part in text.rstrip("\n").split("\n\n"))
        self._paragraphs = {creator: rows for creator, _, rows in paragraphs}
        self._rows: dict[str, dict[str, list[str]]] = {}

    @property
    def creators(self) -> frozenset[str]:
        """All creators in the table."""
        return frozenset(self._paragraphs)

    def entry(self, creator: str, tag: int) -> PrivateEntry | None:
        """Return the entry of a creator's element, None if nothing is known of it."""
        if creator not in self._paragraphs:
            return None
        rows = self._rows.get(creator)
        if rows is None:
            lines = (line.split("\t") for line in self._paragraphs[creator].split("\n"))
            rows = self._rows[creator] = {row[0]: row[1:] for row in lines}
        group, offset = tag >> 16, tag & 0xFF
        row = rows.get(f"{group:04X}{offset:02X}")
        if row is not None:
            return PrivateEntry(creator, group, offset, *row)
        row = rows.get(f"{group >> 8:02X}xx{offset:02X}")
        return None if row is None else PrivateEntry(creator, None, offset, *row)


@cache
def private_registry() -> PrivateRegistry:
    """Return the registry; it is read on the first call, in a millisecond."""
    return PrivateRegistry()


def private_entry(creator: str, tag: int) -> PrivateEntry | None:
    """Return what is known of a private element, None if nothing is.

    Args:
        creator: the private creator.
        tag: the tag of the element; its block does not matter.
    """
    return private_registry().entry(creator, tag)


def vr_of_private(creator: str, tag: int) -> str:
    """Return the VR of a private element, ``"UN"`` if it is not known or a choice of several.

    Args:
        creator: the private creator.
        tag: the tag of the element; its block does not matter.
    """
    found = private_registry().entry(creator, tag)
    if found is None or found.vr == "US or SS":
        return "UN"
    return "OW" if found.vr == "OB or OW" else found.vr
