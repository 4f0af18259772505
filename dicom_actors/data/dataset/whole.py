"""Over a whole data set: all values, all elements with their paths, copies, and equality.

A copy shares the bytes that were read, which do not change, and nothing that can. Nothing here
recurses.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from math import isnan
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dicom_actors.data.dataset.element_index import Held, content_of, hold
from dicom_actors.data.dataset.lists import ItemList, ValueList
from dicom_actors.data.dictionary import Tag, keyword_of
from dicom_actors.data.values.codec import settled
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.noted_list import NotedList
from dicom_actors.errors import EncodeError

if TYPE_CHECKING:
    from dicom_actors.data.dataset.element_index import ElementIndex
    from dicom_actors.data.scan.native import Run

__all__ = [
    "Items",
    "Path",
    "Values",
    "are_equal",
    "are_written_alike",
    "copied",
    "copy_of",
    "in_itself",
    "settled_values",
    "walk",
]

_AT_ONCE: Final = 1024
"""Elements of a data set that are made at a time; fewer further in, where their paths are long."""

_DEEP: Final = 100
"""From here on it is looked at whether a data set is in itself: no encoding goes deeper."""

_HeldT = TypeVar("_HeldT", bound=Held)
_WRITTEN_AS_THEY_ARE: Final = (bytes, memoryview, str, ItemList, EncapsulatedPixelData)


# --- views -----------------------------------------------------------------------------------


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

    _mapping: Any

    def __iter__(self) -> Iterator[Any]:
        return iter(content_of(self._mapping).all_values())


class Items(ItemsView[Any, Any]):
    """All tags and values in tag order, decoded at once."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        values = content_of(self._mapping).all_values()
        return zip(list(self._mapping), values, strict=True)


def walk(content: ElementIndex) -> Iterator[tuple[Path, Any]]:
    """Give all elements with their paths; see `DataSet.walk`.

    The data sets may be changed on the way; what is put in does not come. Once somebody asks for
    a value of what is given, the others of its data set are decoded, too, and those of all that
    come after it, where many at a time cost less.
    """
    # What is left to visit: of a data set, runs of elements, and parts of the index of which none
    # were made; of the sequence that it is an item of, the items after it. The stack has the same
    # of each data set further out.
    stack: list[tuple[ElementIndex, Iterator[Run], Iterator[dict[int, Any]], Iterator[Any]]] = []
    # Their tags and numbers: one list for all, since paths of all would take the square of the
    # depth.
    trail: list[int] = []
    prefix: tuple[int, ...] = ()
    holder, parts = content, _parts(content, prefix)
    rest: Iterator[Run] = iter(())
    items: Iterator[tuple[int, Any]] = iter(())
    are_asked_for = False
    while True:
        values = holder.values
        known = len(values)
        for pairs, tag, item, sequence in rest:
            for pair in pairs:
                yield pair
                if not are_asked_for and len(values) != known:
                    are_asked_for = True
                    holder.decode_usual()
            if tag is None:
                continue
            if sequence is None:
                element = holder.element_at(tag, item) if type(item) is int else item
                vr = element.vr
            else:
                element, vr = sequence, "SQ"
            yield Path(prefix + (tag,)), element  # noqa: RUF005 - costs less
            if not are_asked_for and len(values) != known:
                are_asked_for = True
                holder.decode_usual()
            if vr == "SQ":
                value = element.value
                known = len(values)
                if isinstance(value, ItemList):
                    stack.append((holder, rest, parts, items))
                    trail += (tag, 0)
                    items = enumerate(value)
                    break
        else:
            part = next(parts, None)
            if part is not None:
                rest = iter(holder.make_runs(part, prefix))
                continue
        for number, inner in items:
            holder = content_of(inner)
            if len(stack) > _DEEP and any(holder is above for above, *_ in stack):
                raise in_itself()
            if are_asked_for and len(holder.values) < len(holder.index):
                holder.decode_usual(is_deep=True)
            trail[-1] = number
            prefix = tuple(trail)
            parts = _parts(holder, prefix)
            rest = iter(())
            break
        else:
            if not stack:
                return
            holder, rest, parts, items = stack.pop()
            del trail[-2:]
            prefix = tuple(trail)


def _parts(holder: ElementIndex, prefix: tuple[int, ...]) -> Iterator[dict[int, Any]]:
    """Give the index of a data set as it is now, a part at a time; nothing keeps the prefix."""
    index, most = holder.sorted_index(), _AT_ONCE // (len(prefix) + 1) or 1
    if len(index) <= most:
        return iter((index,))
    elements = list(index.items())
    return (dict(elements[at : at + most]) for at in range(0, len(elements), most))


def in_itself() -> EncodeError:
    """Make the error for a data set that is an item of a sequence of its own, which has no end."""
    return EncodeError("a data set is in itself, as an item of one of its sequences")


# --- copies ----------------------------------------------------------------------------------


def copy_of(data_set: _HeldT, memo: dict[int, Any]) -> _HeldT:
    """Copy a data set with all that is in it; see `DataSet.copy`."""
    rest: list[ItemList] = []
    copy = _without_items(data_set, rest)
    _copy_items(rest, content_of(data_set))
    memo[id(data_set)] = copy
    return copy


def copied(value: Any) -> Any:
    """Copy a value, so that neither a list nor an item is shared."""
    if not isinstance(value, ItemList):
        return value.copy() if isinstance(value, list) else value
    made = type(value)(value)
    _copy_items([made], None)
    return made


def _copy_items(lists: list[ItemList], holder: ElementIndex | None) -> None:
    """Put copies in the place of the items of some lists, and of those in them.

    Raises:
        EncodeError: a data set is in itself; a copy would have no end.
    """
    # Lists with what holds them; None for a list behind all that was in the last one of that.
    rest: list[tuple[ItemList | None, ElementIndex | None]] = [(items, holder) for items in lists]
    around: set[int] = set()
    while rest:
        items, outer = rest.pop()
        if items is None:
            around.discard(id(outer))
            continue
        around.add(id(outer))
        rest.append((None, outer))
        made: list[Held] = []
        found: list[ItemList] = []
        for item in items:
            inner = content_of(item)
            if id(inner) in around:
                raise in_itself()
            made.append(_without_items(item, found))
            if found:
                rest += [(each, inner) for each in found]
                found.clear()
        list.__setitem__(items, slice(None), made)


def _without_items(data_set: _HeldT, rest: list[ItemList]) -> _HeldT:
    """Copy a data set, but for the items in it: `rest` gets the lists of those to copy."""
    content = content_of(data_set)
    index: dict[int, Any] = {}
    values: dict[int, Any] = {}

    def own(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if not isinstance(value, ItemList):
            return value.copy()
        items = type(value)(value)
        rest.append(items)
        return items

    changed = content.changed_values()
    for tag, item in content.sorted_index().items():
        if isinstance(item, int):
            index[tag] = item
            value = changed.get(tag)
            if value is not None:
                values[tag] = own(value) if isinstance(value, ItemList) else ValueList(value)
        elif item.unread is not None:
            index[tag] = item  # which does not change
        else:
            index[tag] = content.new_element(tag, item.vr, own(item.value))
    scope = content.scope.of_copy(content.number)
    made = type(content)(scope, content.number, content.start, content.end, index)
    made.values = values
    made.known_character_set = content.known_character_set
    made.replaced = None if content.replaced is None else set(content.replaced)
    made.file_meta = None if content.file_meta is None else content.file_meta.copy()
    return hold(type(data_set), made)


# --- equality --------------------------------------------------------------------------------


def are_equal(one: ElementIndex, other: ElementIndex) -> bool:
    """Whether two data sets have the same tags and values."""
    rest = [(one, other)]
    compared = set[tuple[int, int]]()  # those that are in themselves have no end
    while rest:
        one, other = rest.pop()
        pair = id(one), id(other)
        if one is other or pair in compared:
            continue
        compared.add(pair)
        if one.index.keys() != other.index.keys():
            return False
        for tag in one.index:
            mine, theirs = one.value(tag), other.value(tag)
            if isinstance(mine, ItemList) and isinstance(theirs, ItemList):
                if len(mine) != len(theirs):
                    return False
                rest += zip(map(content_of, mine), map(content_of, theirs), strict=True)
            elif (
                mine != theirs
                and not _are_alike(mine, theirs)
                and not are_written_alike(tag, (one.vr_of(tag), mine), (other.vr_of(tag), theirs))
            ):
                return False
    return True


def _are_alike(mine: Any, theirs: Any) -> bool:
    """Whether values that do not equal each other mean the same."""
    # A value of blanks alone is as good as none (PS3.5 6.2).
    return (_is_blank(mine) and _is_blank(theirs)) or _differ_in_nan(mine, theirs)


def settled_values(element: Any) -> list[Any]:
    """Take the values of an element; of a list that is not as it was read, what they become.

    Raises:
        DecodeError: the bytes are no value.
        EncodeError: the list cannot be written.
    """
    value = element.value
    if isinstance(value, list) and not (isinstance(value, NotedList) and not value.is_changed):
        value = settled(element.vr, value, element.tag)
    return value if isinstance(value, list) else [] if value is None else [value]


def are_written_alike(tag: int, *elements: tuple[str, Any]) -> bool:
    """Whether values of an element that do not equal each other do so once they are written.

    Lists are changed by users in ways that leave no trace in bytes, and numbers are rounded.

    Args:
        tag: the element.
        elements: twice, the VR and the value.
    """
    if not any(isinstance(value, list | float) for _, value in elements):
        return False
    try:
        mine, theirs = (
            value if isinstance(value, _WRITTEN_AS_THEY_ARE) else settled(vr, value, tag)
            for vr, value in elements
        )
    except EncodeError:
        return False
    return bool(mine == theirs) or _are_alike(mine, theirs)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _differ_in_nan(mine: Any, theirs: Any) -> bool:
    """Whether numbers that do not equal each other are the same but for NaN, which equals none."""
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(
            one == other or _differ_in_nan(one, other)
            for one, other in zip(mine, theirs, strict=True)
        )
    return isinstance(mine, float) and isinstance(theirs, float) and isnan(mine) and isnan(theirs)
