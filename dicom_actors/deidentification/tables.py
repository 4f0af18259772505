"""The tables that come with this package; each is read once, when it is first asked for.

``deidentification.tsv`` is PS3.15 table E.1-1, ``safe_private_elements.tsv`` table E.3.10-1.
``iod_types.tsv`` has the types (PS3.3) of the attributes for which E.1-1 leaves a choice, or which
it removes though an IOD demands them: a row for an attribute at the top or in a sequence, its type
in most IODs, and the SOP classes in which it has another one. ``pixel_regions.tsv`` has where
devices burn text into images: what has to be in a data set (empty: anything), and the rectangles
as left, top, width and height.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Region", "Row", "Types", "attribute_types", "known_regions", "rows", "safe_private"]

OPTION_COLUMNS: Final = (
    "retain-safe-private",
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "retain-full-dates",
    "retain-modified-dates",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
)
_ROOT: Final = "1.2.840.10008.5.1.4.1.1."


class Row(NamedTuple):
    """One attribute of PS3.15 table E.1-1.

    Attributes:
        tag: as eight digits, ``x`` for those of repeating groups; ``private`` for odd groups.
        keyword: its keyword; empty where there is none.
        basic: the action of the basic profile, for example ``"X/Z/D"``.
        options: what options do with it, by their names: ``"K"`` or ``"C"``.
    """

    tag: str
    keyword: str
    basic: str
    options: dict[str, str]


class Types(NamedTuple):
    """The type of an attribute at one place, by SOP class.

    Attributes:
        usual: the type in most.
        others: SOP classes in which it is another one.
        strictest: the lowest of all.
    """

    usual: int
    others: dict[str, int]
    strictest: int

    def of(self, sop_class_uid: str) -> int:
        """Return the type, 1, 2 or 3; the strictest where the class is none of the standard's."""
        if not sop_class_uid.startswith(_ROOT):
            return self.strictest
        return self.others.get(sop_class_uid, self.usual)


class Region(NamedTuple):
    """Where a device burns text into its images.

    Attributes:
        modality: what Modality has to be; empty: anything, as for all.
        manufacturer: what Manufacturer has to contain, in upper case.
        model: what Manufacturer's Model Name has to contain, in upper case.
        rows: what Rows has to be; 0: anything.
        columns: what Columns has to be; 0: anything.
        image_type: what one value of Image Type has to contain, in upper case.
        rectangles: left, top, width and height, in pixels.
    """

    modality: str
    manufacturer: str
    model: str
    rows: int
    columns: int
    image_type: str
    rectangles: tuple[tuple[int, int, int, int], ...]


def _lines(name: str) -> list[list[str]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.rstrip("\n").split("\n")[1:]]


@cache
def rows() -> dict[str, Row]:
    """Return table E.1-1 by tag."""
    return {
        line[0]: Row(
            line[0],
            line[1],
            line[5],
            {
                option: action
                for option, action in zip(OPTION_COLUMNS, line[6:], strict=True)
                if action
            },
        )
        for line in _lines("deidentification.tsv")
    }


@cache
def safe_private() -> dict[tuple[str, int], str]:
    """Return the VRs of safe private elements, by creator and tag without the block."""
    return {
        (creator, int(tag.replace("x", "0"), 16)): vr
        for creator, tag, vr, _ in _lines("safe_private_elements.tsv")
    }


@cache
def attribute_types() -> dict[tuple[int, int], Types]:
    """Return types by tag and the tag of the sequence that it is in, 0 at the top."""
    found = {}
    for tag, sequence, usual, *exceptions in _lines("iod_types.tsv"):
        others = {
            uid.replace("~", _ROOT): kind
            for kind, uids in enumerate(exceptions, 1)
            for uid in uids.split()
        }
        found[int(tag, 16), int(sequence or "0", 16)] = Types(
            int(usual), others, min(int(usual), *others.values()) if others else int(usual)
        )
    return found


@cache
def known_regions() -> tuple[Region, ...]:
    """Return where devices are known to burn text into images."""
    return tuple(
        Region(
            modality,
            manufacturer,
            model,
            int(height or "0"),
            int(width or "0"),
            image_type,
            tuple(_rectangle(part) for part in rectangles.split(",")),
        )
        for modality, manufacturer, model, height, width, image_type, rectangles in _lines(
            "pixel_regions.tsv"
        )
    )


def _rectangle(text: str) -> tuple[int, int, int, int]:
    left, top, width, height = map(int, text.split())
    return left, top, width, height
