"""Lists whose first change is noted.

Whoever gets a list of what was read may change it, and what was not changed is written as the
bytes that it came from. So such a list knows where it stands, and its first change is noted there;
after that, it has nothing to do with what was read any more. A change is one by a method or
operator of lists; functions that reach past those into a list, as `heapq`'s do, are not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["NotedList", "Place"]


class Place(Protocol):
    """Where data sets stand that were read, and which of them were changed."""

    @property
    def changed(self) -> Collection[int]:
        """The numbers of those that were changed."""

    def note_change(self, number: int) -> None:
        """Note that the data set of this number was changed."""


if TYPE_CHECKING:
    _List = list[Any]
else:
    _List = list


class NotedList(_List):
    """A list whose first change is noted.

    Attributes:
        scope: where what it was read from stands; None if it was not read or was changed since.
        number: which number of `scope` a change of it is noted for.
    """

    __slots__ = ("number", "scope")

    scope: Place | None
    number: int

    def __new__(cls, *_values: Any) -> Self:
        """Make a list that was not read."""
        made = list.__new__(cls)
        made.scope = None
        return made

    def __init__(self, values: Any = ()) -> None:
        self._note_change()
        list.__init__(self, values)

    @property
    def is_changed(self) -> bool:
        """Whether it is another list than was read."""
        return self.scope is None

    def _note_change(self) -> None:
        scope = self.scope
        if scope is not None:
            self.scope = None
            scope.note_change(self.number)

    def append(self, value: Any) -> None:
        """Add a value at the end."""
        self._note_change()
        list.append(self, value)

    def insert(self, index: Any, value: Any) -> None:
        """Add a value before that of an index."""
        self._note_change()
        list.insert(self, index, value)

    def extend(self, values: Any) -> None:
        """Add values at the end."""
        self._note_change()
        list.extend(self, values)

    def remove(self, value: Any) -> None:
        """Remove the first value that equals this one."""
        self._note_change()
        list.remove(self, value)

    def pop(self, index: Any = -1) -> Any:
        """Remove a value and return it."""
        self._note_change()
        return list.pop(self, index)

    def clear(self) -> None:
        """Remove all values."""
        self._note_change()
        list.clear(self)

    def reverse(self) -> None:
        """Turn the order round."""
        self._note_change()
        list.reverse(self)

    def sort(self, **order: Any) -> None:
        """Sort the values."""
        self._note_change()
        list.sort(self, **order)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._note_change()
        list.__setitem__(self, index, value)

    def __delitem__(self, index: Any) -> None:
        self._note_change()
        list.__delitem__(self, index)

    def __iadd__(self, values: Any) -> Self:  # type: ignore[misc]  # takes more than +
        self._note_change()
        list.extend(self, values)
        return self

    def __imul__(self, count: Any) -> Self:  # type: ignore[misc]  # as above
        self._note_change()
        list.__imul__(self, count)
        return self
