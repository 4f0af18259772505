"""What is known of private elements (PS3.5 7.8), loaded when first used.

The standard does not register them; the table is what vendors published or users found out. A
row is known by its private creator, group and the last two digits of its element number, since
the block that a creator reserves differs from data set to data set.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple


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
def registry() -> PrivateRegistry:
    """Return the registry; it is read on the first call, in a millisecond."""
    return PrivateRegistry()
