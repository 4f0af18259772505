"""The value of a sequence: a list of data sets that remembers what was read.

Standard: PS3.5 7.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet
    from dicom_actors.data.scope import Scope

    Items = list[DataSet]
else:
    Items = list

__all__ = ["Sequence"]


class Sequence(Items):
    """The items of a sequence; a list of `DataSet` in every respect.

    Attributes:
        scope: where the items stand that were read, so that a change of the list can be told;
            only a sequence that was read has it.
        number_read: how many were read.
    """

    __slots__ = ("number_read", "scope")

    number_read: int
    scope: Scope

    def __reduce__(self) -> tuple[Any, ...]:
        # Where the items were read means nothing to copies of them.
        return Sequence, (list(self),)
