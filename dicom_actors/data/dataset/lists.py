"""The lists that a data set hands out: of several values, and of items.

Each is one whose change is noted, so that what was not changed is written as it was read; so is
`NumberList`, of many numbers.
"""

from __future__ import annotations

from typing import Any, Final

from dicom_actors.data.values.noted_list import NotedList

__all__ = ["THE_LIST", "ItemList", "ValueList"]

THE_LIST: Final = -1
"""The number, among those of items, that stands for the list of them."""


class ValueList(NotedList):
    """Several values of an element that was read; a list in every other respect."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        # Where the values were read means nothing to copies of them.
        return list, (list(self),)


class ItemList(NotedList):
    """The items of a sequence; the base of `Sequence`.

    Its scope is that of its items, so that a change in one of them can be told as well.
    """

    __slots__ = ()

    @property
    def is_changed(self) -> bool:
        """Whether it has other items than were read, or one that was changed."""
        scope = self.scope
        return scope is None or bool(scope.changed)
