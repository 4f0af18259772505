"""Elements as the bytes that they were read from, without decoding anything.

For those who keep parts of many data sets, and cannot spend the time to take them apart.

Standard: PS3.5 7.1, Annex A.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dataset.element_index import NOTHING
from dicom_actors.data.dictionary import Tag, TransferSyntax
from dicom_actors.data.dictionary.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from dicom_actors.data.scan.layout import BIG_ENDIAN, EXPLICIT, IMPLICIT

if TYPE_CHECKING:
    from dicom_actors.data.dataset.element_index import ElementIndex

__all__ = ["ElementsAsRead", "elements_as_read"]

_SYNTAXES: Final = {
    EXPLICIT: EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT: IMPLICIT_VR_LITTLE_ENDIAN,
    BIG_ENDIAN: EXPLICIT_VR_BIG_ENDIAN,
}


class ElementsAsRead(NamedTuple):
    """Elements in their encoding.

    Attributes:
        transfer_syntax: how they are encoded: one of the three that do not compress anything.
        elements: in the order of the bytes, the tag of each and its bytes, header included. They
            are views of what was read.
    """

    transfer_syntax: TransferSyntax
    elements: list[tuple[int, memoryview]]


def elements_as_read(content: ElementIndex, until: int | None) -> ElementsAsRead | None:
    """See `DataSet.elements_as_read`."""
    scope = content.scope
    if scope is NOTHING or not content.is_as_read():
        return None
    placed = sorted(
        (item, tag)
        for tag, item in content.index.items()
        if isinstance(item, int) and (until is None or tag < until)
    )
    if not placed:
        return ElementsAsRead(_SYNTAXES[scope.layout], [])
    buffer = memoryview(scope.buffer).toreadonly()
    last, tag = placed[-1]
    end = content.extent_at(tag, last).following
    elements = [
        (tag, buffer[start:following])
        for (start, tag), (following, _) in pairwise([*placed, (end, Tag(0))])
    ]
    return ElementsAsRead(_SYNTAXES[scope.layout], elements)
