"""The value of a sequence: a list of data sets that remembers what was read.

Standard: PS3.5 7.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet

    Items = list[DataSet]
else:
    Items = list

__all__ = ["Sequence"]


class Sequence(Items):
    """The items of a sequence; a list of `DataSet` in every respect.

    Attributes:
        read: the items as they were read, so that a change of the list can be told; only a
            sequence that was read has it.
    """

    __slots__ = ("read",)

    read: tuple[DataSet, ...]
