"""Ways over a whole data set: all values, all elements with their paths.

Nothing here recurses.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import TYPE_CHECKING, Any

from dicom_actors.data.data_element import ReadElement
from dicom_actors.data.dictionary import keyword_of
from dicom_actors.data.sequence import Sequence
from dicom_actors.data.tag import Tag

if TYPE_CHECKING:
    from dicom_actors.data.data_element import DataElement
    from dicom_actors.data.data_set import DataSet

__all__ = ["Items", "Path", "Values", "walk"]


class Path(tuple[int, ...]):
    """What leads to an element: a tag, and for each sequence the number of an item and a tag.

    It is a key of the outermost data set, and prints as ``BeamSequence[0].BeamName``.
    """

    __slots__ = ()

    def __str__(self) -> str:
        labels = [keyword_of(tag) or str(Tag(tag)) for tag in self[::2]]
        return labels[0] + "".join(
            f"[{number}].{label}" for number, label in zip(self[1::2], labels[1:], strict=True)
        )


class Values(ValuesView[Any]):
    """All values in tag order, decoded at once."""

    _mapping: DataSet

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mapping._all_values())


class Items(ItemsView[Any, Any]):
    """All tags and values in tag order, decoded at once."""

    _mapping: DataSet

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return zip(list(self._mapping), self._mapping._all_values(), strict=True)


def walk(data_set: DataSet) -> Iterator[tuple[Path, DataElement]]:
    """Give all elements with their paths; see `DataSet.walk`.

    The data sets may be changed on the way; what is put in does not come.
    """
    # What is left to visit: of a data set, tags and elements; of the sequence that it is an item
    # of, the items after it. The stack has the same of each data set further out.
    stack: list[tuple[DataSet, tuple[Any, ...], Iterator[Any], tuple[Any, ...], Iterator[Any]]] = []
    holder, prefix, rest = data_set, (), _pairs(data_set)
    sequence: tuple[Any, ...] = ()
    items: Iterator[tuple[int, DataSet]] = iter(())
    while True:
        scope = holder._scope
        buffer, layout = scope.buffer, scope.layout
        read, names, is_explicit = layout.read_vr, layout.names, layout.is_explicit
        for tag, item in rest:
            if type(item) is not int:
                element: DataElement = item
            elif is_explicit and (vr := names.get(read(buffer, item)[0], "UN")) != "UN":
                element = ReadElement(holder, tag, vr, item)
            else:
                element = holder._element(tag, item)
            path = Path(prefix + (tag,))  # noqa: RUF005 - costs less
            yield path, element
            if element._vr == "SQ":
                value = element.value
                if isinstance(value, Sequence):
                    stack.append((holder, prefix, rest, sequence, items))
                    sequence, items = path, enumerate(value)
                    break
        for number, holder in items:
            prefix, rest = (*sequence, number), _pairs(holder)
            break
        else:
            if not stack:
                return
            holder, prefix, rest, sequence, items = stack.pop()


def _pairs(holder: DataSet) -> Iterator[tuple[int, Any]]:
    return iter(list(holder._sorted_index().items()))
