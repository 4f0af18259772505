"""What must hold of a data set for a query to match: one condition for each key.

How a value is compared is left to `dicom_actors.data.matching_values`; which keys there are, and
what an answer has, to `dicom_actors.data.matching`.

Standard: PS3.4 C.2.2.2.6 (sequences), C.2.2.3 (several values), K.6.1.2.2 (dates and times).
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.matching_values import DateTimeTest
from dicom_actors.data.sequence import Sequence

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet
    from dicom_actors.data.matching_values import ValueTest

__all__ = [
    "START_DATE",
    "START_TIME",
    "Condition",
    "ItemCondition",
    "ValueCondition",
    "is_empty",
    "start_conditions",
]

Condition = Callable[["DataSet"], bool]
"""Takes a data set, and says whether the condition holds."""

START_DATE: Final = 0x00400002
START_TIME: Final = 0x00400003
"""Scheduled Procedure Step Start Date and Time."""


class ValueCondition:
    """An attribute has a value that passes a test; or it has none, if that will do."""

    __slots__ = ("_matches_empty", "_tag", "_test")

    def __init__(self, tag: int, test: ValueTest, matches_empty: bool) -> None:  # noqa: FBT001
        self._tag = tag
        self._test = test
        self._matches_empty = matches_empty

    def __call__(self, data_set: DataSet) -> bool:
        """Whether it holds."""
        value = data_set._value(self._tag) if self._tag in data_set._index else None
        if isinstance(value, list):
            values = [part for part in value if not is_empty(part)]
            return any(map(self._test, values)) if values else self._matches_empty
        return self._matches_empty if is_empty(value) else self._test(value)


class ItemCondition:
    """A sequence has an item that matches."""

    __slots__ = ("_match", "_matches_empty", "_tag")

    def __init__(self, tag: int, match: Condition, matches_empty: bool) -> None:  # noqa: FBT001
        self._tag = tag
        self._match = match
        self._matches_empty = matches_empty

    def __call__(self, data_set: DataSet) -> bool:
        """Whether it holds."""
        items = data_set._value(self._tag) if self._tag in data_set._index else None
        if not items:
            return self._matches_empty
        return isinstance(items, Sequence) and any(map(self._match, items))


class _StartCondition:
    """A scheduled procedure step starts within one span of dates and times."""

    __slots__ = ("_apart", "_test")

    def __init__(self, test: DateTimeTest, apart: list[Condition]) -> None:
        self._test = test
        self._apart = apart

    def __call__(self, data_set: DataSet) -> bool:
        date, time = data_set.get(START_DATE), data_set.get(START_TIME)
        if is_empty(date) or is_empty(time):
            return all(condition(data_set) for condition in self._apart)
        return self._test(date, time)


def start_conditions(apart: dict[int, tuple[list[Any], ValueCondition]]) -> list[Condition]:
    """Put the keys for date and time of a start together, where both are ranges.

    Args:
        apart: by `START_DATE` and `START_TIME`, as far as they are keys: the values of the key,
            and the condition that it is by itself.
    """
    conditions: list[Condition] = [condition for _, condition in apart.values()]
    if len(apart) == 2:
        dates, times = apart[START_DATE][0], apart[START_TIME][0]
        if DateTimeTest.applies_to(dates, times):
            return [_StartCondition(DateTimeTest(dates[0], times[0]), conditions)]
    return conditions


def is_empty(value: Any) -> bool:
    """Whether a value is none at all."""
    return value is None or value == "" or value == b""  # noqa: PLR1714 - not all are hashable
