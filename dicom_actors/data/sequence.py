"""The value of a sequence: a list of data sets that remembers what was read.

Standard: PS3.5 7.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.data_set import DataSet

    Items = list[DataSet]
else:
    Items = list

__all__ = ["Sequence"]


class Sequence(Items):
    """The items of a sequence; a list of `DataSet` in every respect.

    Attributes:
        read: the items as they were read, so that a change of the list can be told; None for
            a sequence that was not read.
    """

    __slots__ = ("read",)

    read: tuple[DataSet, ...] | None

    def __init__(self, items: Iterable[DataSet] = (), *, is_read: bool = False) -> None:
        super().__init__(items)
        self.read = tuple(self) if is_read else None
