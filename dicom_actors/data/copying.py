"""Copies of data sets, whether two are equal, and what pickling takes from them.

A copy shares the bytes that were read, which do not change, and nothing that can. Nothing here
recurses.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from dicom_actors.data.data_element import DataElement
from dicom_actors.data.element_index import ElementIndex
from dicom_actors.data.sequence import Sequence
from dicom_actors.data.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet

__all__ = ["are_equal", "copied", "copy_of", "reduce", "restore"]


def copy_of(data_set: DataSet, memo: dict[int, Any]) -> DataSet:
    """Copy a data set with all that is in it; see `DataSet.copy`."""
    copy: DataSet = copied(Sequence([data_set]))[0]
    memo[id(data_set)] = copy
    return copy


def copied(value: Any) -> Any:
    """Copy a value, so that neither a list nor an item is shared."""
    if not isinstance(value, Sequence):
        return list(value) if isinstance(value, list) else value
    made = Sequence(value)
    rest = [made]
    while rest:
        items = rest.pop()
        list.__setitem__(items, slice(None), [_without_items(item, rest) for item in items])
    return made


def _without_items(data_set: DataSet, rest: list[Sequence]) -> DataSet:
    """Copy a data set, but for the items in it: `rest` gets the lists of those to copy."""
    index: dict[int, Any] = {}
    values: dict[int, Any] = {}

    def own(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if not isinstance(value, Sequence):
            return list(value)
        items = Sequence(value)
        rest.append(items)
        return items

    for tag, item in data_set._sorted_index().items():
        if not isinstance(item, int):
            index[tag] = DataElement._of(tag, item.vr, own(item.value))
            continue
        index[tag] = item
        if data_set._is_changed(tag):
            values[tag] = own(data_set._values[tag])
    scope, number = data_set._scope, data_set._number
    made: Any = ElementIndex(scope, number, data_set._start, data_set._end, index)
    made._values = values
    made._character_set = data_set._character_set
    made._replaced = None if data_set._replaced is None else set(data_set._replaced)
    made._file_meta = None if data_set._file_meta is None else data_set._file_meta.copy()
    made.__class__ = type(data_set)
    return made  # type: ignore[no-any-return]  # its class was changed


def are_equal(one: DataSet, other: DataSet) -> bool:
    """Whether two data sets have the same tags and values."""
    rest = [(one, other)]
    while rest:
        one, other = rest.pop()
        if one._index.keys() != other._index.keys():
            return False
        for tag in one._index:
            mine, theirs = one._value(tag), other._value(tag)
            if isinstance(mine, Sequence) and isinstance(theirs, Sequence):
                if len(mine) != len(theirs):
                    return False
                rest += zip(mine, theirs, strict=True)
            elif mine != theirs and not _differ_in_nan(mine, theirs):
                return False
    return True


def _differ_in_nan(mine: Any, theirs: Any) -> bool:
    """Whether numbers that do not equal each other are the same but for NaN, which equals none."""
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(
            one == other or _differ_in_nan(one, other)
            for one, other in zip(mine, theirs, strict=True)
        )
    return isinstance(mine, float) and isinstance(theirs, float) and isnan(mine) and isnan(theirs)


def reduce(data_set: DataSet) -> tuple[Any, ...]:
    """Take the bytes of a data set, and what is needed to read them as they were."""
    syntax = data_set.transfer_syntax
    terms = data_set.character_set.terms
    uid = syntax.uid if syntax else None
    return restore, (data_set.to_bytes(), uid, terms, data_set._file_meta)


def restore(
    data: bytes, syntax: str | None, terms: tuple[str, ...], meta: DataSet | None
) -> DataSet:
    """Make a data set of what `reduce` took from it."""
    from dicom_actors.data.data_set import DataSet  # noqa: PLC0415 - which needs this module

    uid = syntax or EXPLICIT_VR_LITTLE_ENDIAN
    made = DataSet.from_bytes(data, uid, keep_truncated=True)
    if made.character_set.terms != terms:
        # An item, whose set was declared above it, or a set that was overridden.
        made = DataSet.from_bytes(data, uid, character_set=terms, keep_truncated=True)
    made._file_meta = meta
    return made
