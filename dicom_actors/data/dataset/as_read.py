"""Elements as the bytes that they were read from, without decoding anything.

For those who keep parts of many data sets, and cannot spend the time to take them apart.

Standard: PS3.5 7.1, Annex A.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from struct import unpack
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from dicom_actors.data.dataset.element_index import NOTHING
from dicom_actors.data.dictionary.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from dicom_actors.data.scan.headers import fits
from dicom_actors.data.scan.layout import BIG_ENDIAN, EXPLICIT, IMPLICIT, layout_of
from dicom_actors.data.scan.native import offsets_usual

if TYPE_CHECKING:
    from dicom_actors.data.dataset.element_index import ElementIndex
    from dicom_actors.data.dictionary import TransferSyntax

__all__ = ["ElementsAsRead", "elements_as_read", "elements_of"]

_SYNTAXES: Final = {
    EXPLICIT: EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT: IMPLICIT_VR_LITTLE_ENDIAN,
    BIG_ENDIAN: EXPLICIT_VR_BIG_ENDIAN,
}
_LEAST: Final = 8
"""Bytes of an element."""
_MOST_REMEMBERED: Final = 8_192
"""Bytes of the tags of a data set that are remembered: of more, a peer could fill the memory."""


class ElementsAsRead(NamedTuple):
    """Elements in their encoding, in the order of the bytes, one behind the other.

    Attributes:
        transfer_syntax: how they are encoded: one of the three that do not compress anything.
        tags: the tag of each.
        offsets: where each begins in `buffer`, with its header; and where the last one ends.
        buffer: what was read.
    """

    transfer_syntax: TransferSyntax
    tags: tuple[int, ...]
    offsets: list[int]
    buffer: memoryview

    @property
    def elements(self) -> list[tuple[int, memoryview]]:
        """The tag of each and its bytes, header included."""
        buffer = self.buffer
        return [
            (tag, buffer[start:end])
            for tag, (start, end) in zip(self.tags, pairwise(self.offsets), strict=True)
        ]

    def part(self, first: int, end: int) -> memoryview:
        """The bytes of some that stand together, from number `first` to before number `end`."""
        return self.buffer[self.offsets[first] : self.offsets[end]]


def elements_as_read(content: ElementIndex) -> ElementsAsRead | None:
    """See `DataSet.elements_as_read`."""
    scope = content.scope
    if scope is NOTHING or not content.is_as_read():
        return None
    tags: tuple[int, ...] = tuple(content.index)
    # All of them are offsets, most often, in their order.
    offsets = cast("list[int]", list(content.index.values()))
    if set(map(type, offsets)) - {int} or offsets != sorted(offsets):
        placed = sorted((at, tag) for tag, at in content.index.items() if isinstance(at, int))
        tags, offsets = tuple(tag for _, tag in placed), [at for at, _ in placed]
    syntax, buffer = _SYNTAXES[scope.layout], memoryview(scope.buffer).toreadonly()
    if not tags:
        return ElementsAsRead(syntax, (), [content.start], buffer[:0])
    ends = [*offsets[1:], content.extent_at(tags[-1], offsets[-1]).following]
    return ElementsAsRead(syntax, tags, [offsets[0], *ends], buffer)


def elements_of(data: memoryview, syntax: TransferSyntax) -> ElementsAsRead | None:
    """See `DataSet.elements_of`."""
    if offsets_usual is None or not syntax.is_data_set_encoding or syntax.is_deflated:
        return None
    layout, end = layout_of(syntax), len(data)
    if end < _LEAST or layout is BIG_ENDIAN or not fits(data, layout, 0, end):
        return None
    found = offsets_usual(data, end, layout is EXPLICIT)
    if found is None:
        return None
    tags, offsets = found
    placed = memoryview(offsets).cast("q").tolist()
    unpacked = _same_tags(tags) if len(tags) <= _MOST_REMEMBERED else _tags(tags)
    return ElementsAsRead(_SYNTAXES[layout], unpacked, placed, data.toreadonly())


def _tags(packed: bytes) -> tuple[int, ...]:
    return unpack(f"={len(packed) // 4}I", packed)


_same_tags = lru_cache(maxsize=256)(_tags)
"""Unpacks tags; those of a series mostly are the same, and so are the very tuples then."""
