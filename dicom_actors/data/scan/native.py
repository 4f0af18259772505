"""The compiled part of the scan, where it was built.

`_native.c` does what the loops of `elements` and `selection` do, for elements of which nothing is
unusual, and stops at the first other one. Where it is missing, or was built for another revision
of the code around it, the loops do all: the same comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.data.scan.scope import Bytes

    IndexUsual = Callable[[Bytes, dict[int, int], int, int, int, int, bool], tuple[int, int]]
    PickUsual = Callable[
        [Bytes, dict[int, int], int, int, int, int, int, int, bytes], tuple[int, int, int, int]
    ]
    UidsUsual = Callable[[Bytes, int, bool, bytes], tuple[str, ...] | None]

__all__ = ["index_usual", "pick_usual", "uids_usual"]

_REVISION: Final = 2

index_usual: IndexUsual | None = None
pick_usual: PickUsual | None = None
uids_usual: UidsUsual | None = None

try:
    from dicom_actors.data.scan import _native  # type: ignore[attr-defined]  # may not be there
except ImportError:
    pass
else:
    if _native.REVISION == _REVISION:
        index_usual, pick_usual = _native.index_usual, _native.pick_usual
        uids_usual = _native.uids_usual
