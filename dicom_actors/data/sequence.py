"""The value of a sequence: a list of data sets that remembers what was read.

Who puts something else in gets the error at once, and not when the data set is written.

Standard: PS3.5 7.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dicom_actors.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from dicom_actors.data.data_set import DataSet
    from dicom_actors.data.scope import Scope

    Items = list[DataSet]
else:
    Items = list

__all__ = ["Sequence", "as_item"]


def as_item(value: Any) -> DataSet:
    """Take a data set, or a mapping from keys to values, as an item.

    Raises:
        EncodeError: it is neither, or a value in the mapping is none of its VR.
    """
    from dicom_actors.data.data_set import DataSet  # noqa: PLC0415 - which needs this module

    if isinstance(value, DataSet):
        return value
    if isinstance(value, Mapping):
        return DataSet(value)
    raise EncodeError(f"expected a data set as item, got {value!r:.60}")


class Sequence(Items):
    """The items of a sequence; a list of `DataSet` in every respect.

    A mapping that is put in becomes a data set.

    Attributes:
        scope: where the items stand that were read, so that a change of the list can be told;
            only a sequence that was read has it.
        number_read: how many were read.
    """

    __slots__ = ("number_read", "scope")

    number_read: int
    scope: Scope

    def append(self, item: Any) -> None:
        """Add an item at the end."""
        super().append(as_item(item))

    def insert(self, index: Any, item: Any) -> None:
        """Add an item before that of an index."""
        super().insert(index, as_item(item))

    def extend(self, items: Iterable[Any]) -> None:
        """Add items at the end."""
        super().extend([as_item(item) for item in items])

    def __iadd__(self, items: Iterable[Any]) -> Self:  # type: ignore[override, misc]  # takes more than +
        self.extend(items)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, [as_item(item) for item in value])
        else:
            super().__setitem__(index, as_item(value))

    def __reduce__(self) -> tuple[Any, ...]:
        # Where the items were read means nothing to copies of them.
        return Sequence, (list(self),)
