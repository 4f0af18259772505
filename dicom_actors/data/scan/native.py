"""The compiled part of the scan, where it was built.

`_native.c` does what the loops of `elements` and `selection` do, for elements of which nothing is
unusual, and stops at the first other one; it makes the elements that stand together, their values
and the data sets in them, but for those that are unusual, of classes that it is given; and it
passes over file meta information in which nothing is.
Where it is missing, or was built for another revision of the code around it, that code does all:
the same comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.data.scan.scope import Bytes

    IndexUsual = Callable[[Bytes, dict[int, int], int, int, int, int, bool], tuple[int, int]]
    PickUsual = Callable[
        [Bytes, dict[int, int], int, int, int, int, int, int, bytes], tuple[int, int, int, int]
    ]
    Rows = list[tuple[int, int, dict[int, int]]]
    ItemsUsual = Callable[[Bytes, Rows, int, int, int], tuple[int, int]]
    Shape = tuple[Any, ...]  # a class and its slots
    Places = list[tuple[int, int, int]]
    Index = dict[int, Any]
    Run = tuple[list[tuple[Any, Any]], int | None, Any, Any]
    RunsUsual = Callable[
        [Bytes, Index, Index, Any, tuple[int, ...], type[Any], Shape, Any], list[Run]
    ]
    Kinds = tuple[Any, ...]
    ValuesUsual = Callable[[Bytes, Index, Index, Kinds, bool, Any, int], Places]
    Place = tuple[Any, ...]
    DataSetsUsual = Callable[
        [Bytes, Places, Index, int, int, Place, tuple[Shape, ...], Kinds | None, bool], int
    ]
    OffsetsUsual = Callable[[Bytes, int, bool], tuple[bytes, bytes] | None]
    MetaUsual = Callable[[Bytes], tuple[int, bytes] | None]
    UidsUsual = Callable[[Bytes, int, bool, bytes], tuple[str, ...] | None]

__all__ = [
    "data_sets_usual",
    "index_usual",
    "items_usual",
    "meta_usual",
    "offsets_usual",
    "pick_usual",
    "runs_usual",
    "uids_usual",
    "values_usual",
]

_REVISION: Final = 6

index_usual: IndexUsual | None = None
pick_usual: PickUsual | None = None
meta_usual: MetaUsual | None = None
uids_usual: UidsUsual | None = None
offsets_usual: OffsetsUsual | None = None
items_usual: ItemsUsual | None = None
data_sets_usual: DataSetsUsual | None = None
runs_usual: RunsUsual | None = None
values_usual: ValuesUsual | None = None

try:
    from dicom_actors.data.scan import _native  # type: ignore[attr-defined]  # may not be there
except ImportError:
    pass
else:
    if _native.REVISION == _REVISION:
        index_usual, pick_usual = _native.index_usual, _native.pick_usual
        meta_usual = _native.meta_usual
        uids_usual, offsets_usual = _native.uids_usual, _native.offsets_usual
        items_usual, data_sets_usual = _native.items_usual, _native.data_sets_usual
        runs_usual, values_usual = _native.runs_usual, _native.values_usual
