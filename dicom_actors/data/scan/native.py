"""The compiled part of the scan, where it was built.

`_native.c` does what the loops of `elements` and `selection` do, for elements of which nothing is
unusual, and stops at the first other one; it makes the values of elements that stand together,
but for those that are unusual; and it passes over file meta information in which nothing is.
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
    Names = dict[int, str]
    HeadersUsual = Callable[[Bytes, dict[int, Any], Names], list[tuple[int, Any, str | None]]]
    Kinds = tuple[type[Any], ...]
    ValuesUsual = Callable[[Bytes, dict[int, Any], dict[int, Any], Kinds, bool], list[int]]
    OffsetsUsual = Callable[[Bytes, int, bool], tuple[bytes, bytes] | None]
    MetaUsual = Callable[[Bytes], tuple[int, bytes] | None]
    UidsUsual = Callable[[Bytes, int, bool, bytes], tuple[str, ...] | None]

__all__ = [
    "headers_usual",
    "index_usual",
    "items_usual",
    "meta_usual",
    "offsets_usual",
    "pick_usual",
    "uids_usual",
    "values_usual",
]

_REVISION: Final = 5

index_usual: IndexUsual | None = None
pick_usual: PickUsual | None = None
meta_usual: MetaUsual | None = None
uids_usual: UidsUsual | None = None
offsets_usual: OffsetsUsual | None = None
items_usual: ItemsUsual | None = None
headers_usual: HeadersUsual | None = None
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
        items_usual, headers_usual = _native.items_usual, _native.headers_usual
        values_usual = _native.values_usual
