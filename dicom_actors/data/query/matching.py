"""Attribute matching: which data sets answer a query, and what their answers hold.

A `Query` is made once of the identifier of a C-FIND and then asked for each data set. Where data
sets come from, which level of the information model they stand for, and which of their
attributes are known to be unique there, is left to the caller.

The matching is that of PS3.4 C.2.2.2, where it leaves a choice as follows:

- Person names match without regard to case, to spaces around components and to empty components
  at the end; accents count unless it is told otherwise. A key of one group is looked for in all
  three groups.
- Dates and times match by what they mean; a time without seconds is all of its minute. Offsets
  from UTC in DT count; where there is none, Timezone Offset From UTC beside it.
- A private creator says whose the private keys of its block are. It is compared with nothing; the
  keys are looked for in the block that the same creator has in a data set, whichever that is, and
  answered in the block of the query.
- A key of several values matches if any of them does, whatever the VR.
- The key ``""`` (two quotation marks) matches what is empty or absent (empty value matching).
- In the worklist, ranges of Scheduled Procedure Step Start Date and Time are one span together
  (PS3.4 K.6.1.2.2); other dates and times are where that was negotiated (PS3.4 C.5.1.1, combined
  datetime matching).
- ``*`` alone matches all in any VR.
- An attribute that is empty or absent matches nothing but these, as most providers have it;
  C.2.2.1.2 says that it matches every key, which `Query` does when told so.

Everything takes time in proportion to the key and the value. A key never becomes a regular
expression.

Standard: PS3.4 C.2.2.2, C.2.2.3, C.4.1.1.3, K.6.1.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import DataElement, DataSet, Sequence, element_of
from dicom_actors.data.dataset.element_index import CHARACTER_SET, content_of
from dicom_actors.data.dataset.whole import copied
from dicom_actors.data.dictionary import keyword_of
from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.query.grouping import COUNTED, Asked, group
from dicom_actors.data.query.matching_values import DateTimeTest, value_test, with_offset
from dicom_actors.data.scan.scope import DEFAULT_LIMITS
from dicom_actors.data.values.value_types import DT
from dicom_actors.errors import DecodeError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from dicom_actors.data.query.matching_values import ValueTest

__all__ = [
    "DATES_AND_TIMES",
    "MAX_KEYS",
    "START_DATE",
    "START_TIME",
    "Condition",
    "ItemCondition",
    "Query",
    "ValueCondition",
    "is_empty",
    "start_conditions",
]

# --- conditions ------------------------------------------------------------------------------


Condition = Callable[["DataSet"], bool]
"""Takes a data set, and says whether the condition holds."""

START_DATE: Final = 0x00400002
START_TIME: Final = 0x00400003
"""Scheduled Procedure Step Start Date and Time."""

_TIMEZONE: Final = 0x00080201


class ValueCondition:
    """An attribute has a value that passes a test; or it has none, if that will do.

    Attributes:
        tag: that of the attribute.
    """

    __slots__ = ("_matches_empty", "_test", "tag")

    def __init__(self, tag: int, test: ValueTest, matches_empty: bool) -> None:  # noqa: FBT001
        self.tag = tag
        self._test = test
        self._matches_empty = matches_empty

    def __call__(self, data_set: DataSet) -> bool:
        """Whether it holds."""
        content = content_of(data_set)
        value = content.value(self.tag) if self.tag in content.index else None
        if _TIMEZONE in content.index and isinstance(value, DT):
            value = with_offset(value, _offset_of(data_set))
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
        content = content_of(data_set)
        items = content.value(self._tag) if self._tag in content.index else None
        if not items:
            return self._matches_empty
        return isinstance(items, Sequence) and any(map(self._match, items))


class _SpanCondition:
    """A date and a time are within one span."""

    __slots__ = ("_apart", "_tags", "_test")

    def __init__(self, tags: tuple[int, int], test: DateTimeTest, apart: list[Condition]) -> None:
        self._tags = tags
        self._test = test
        self._apart = apart

    def __call__(self, data_set: DataSet) -> bool:
        date, time = map(data_set.get, self._tags)
        if is_empty(date) or is_empty(time):
            return all(condition(data_set) for condition in self._apart)
        return self._test(date, time)


def start_conditions(
    apart: dict[int, tuple[list[Any], ValueCondition]],
    tags: tuple[int, int] = (START_DATE, START_TIME),
) -> list[Condition]:
    """Put the keys for a date and its time together, where both are ranges.

    Args:
        apart: by the tags of date and time, as far as they are keys: the values of the key, and
            the condition that it is by itself.
        tags: of date and time.
    """
    found = [apart[tag] for tag in tags if tag in apart]
    conditions: list[Condition] = [condition for _, condition in found]
    if len(found) == 2:
        (dates, _), (times, _) = found
        if DateTimeTest.applies_to(dates, times):
            return [_SpanCondition(tags, DateTimeTest(dates[0], times[0]), conditions)]
    return conditions


def _offset_of(data_set: DataSet) -> str | None:
    offset = data_set.get(_TIMEZONE)
    return offset if isinstance(offset, str) and offset else None


def is_empty(value: Any) -> bool:
    """Whether a value is none at all."""
    return value is None or value == "" or value == b""  # noqa: PLR1714 - not all are hashable


# --- queries ---------------------------------------------------------------------------------


MAX_KEYS: Final = 2_048
"""Keys of one identifier, those in sequences counted; an answer has as many attributes."""

_QUERY_LEVEL: Final = 0x00080052
_FIRST_OF_DATA: Final = 0x00080000
_STARTS: Final[Mapping[int, int]] = {START_DATE: START_TIME}
DATES_AND_TIMES: Final[Mapping[int, int]] = {
    0x00080012: 0x00080013,  # of the creation of the instance
    0x00080020: 0x00080030,  # of the study
    0x00080021: 0x00080031,  # of the series
    0x00080022: 0x00080032,  # of the acquisition
    0x00080023: 0x00080033,  # of the content
    0x00100030: 0x00100032,  # of birth
    0x00400244: 0x00400245,  # of the start of the performed procedure step
    0x00400250: 0x00400251,  # of its end
    **_STARTS,
}
"""Dates, and the times that belong to them."""
# Of these, the answer has what the data set or the query says; nothing is compared.
_NEVER_MATCHED: Final = frozenset({CHARACTER_SET, _QUERY_LEVEL, _TIMEZONE})
_EMPTY_VALUE: Final = '""'


class Query:
    """The identifier of a query, prepared for matching.

    Args:
        identifier: the keys; it is not kept, and not changed.
        matches_unknown: whether an attribute without a value matches every key, as PS3.4
            C.2.2.1.2 has it for required keys.
        ignore_accents: whether letters of person names match with and without their accents,
            and in half and full width (NFKC).
        combines_dates_and_times: whether a range of dates and one of times, of the same event,
            are one span together.

    Raises:
        DecodeError: a key means nothing for its VR, is too long, or there are too many; it has
            the tag, and the path where the key is in a sequence.
        TypeError: the identifier is no data set.

    Attributes:
        level: Query/Retrieve Level (0008,0052); empty where there is none, as in a worklist.
    """

    __slots__ = ("_keys", "level")

    def __init__(
        self,
        identifier: DataSet,
        *,
        matches_unknown: bool = False,
        ignore_accents: bool = False,
        combines_dates_and_times: bool = False,
    ) -> None:
        self.level = str(_checked(identifier).get(_QUERY_LEVEL) or "")
        self._keys = _Compiler(
            matches_unknown=matches_unknown,
            ignore_accents=ignore_accents,
            pairs=DATES_AND_TIMES if combines_dates_and_times else _STARTS,
        ).keys(identifier, ())

    @property
    def keys(self) -> tuple[Tag, ...]:
        """The tags of the attributes that are asked for, those in sequences aside."""
        return tuple(Tag(tag) for tag, _, _ in self._keys.returned if tag != CHARACTER_SET)

    def matches(self, data_set: DataSet) -> bool:
        """Whether a data set has what every key asks for.

        Raises:
            DecodeError: a value of the data set cannot be decoded.
            TypeError: it is no data set.
        """
        return self._keys.match(_checked(data_set))

    def answer(self, data_set: DataSet) -> DataSet:
        """Make the identifier of the response for a data set that matches.

        It has the attributes that are asked for: their values, or none where the data set has
        none. Of a sequence, it has the items that match, each with what is asked for; the whole
        sequence, where no key is in it. Specific Character Set is that of the data set.
        Nothing in it is shared with the data set but values that do not change.

        Raises:
            DecodeError: a value of the data set cannot be decoded.
            TypeError: it is no data set.
        """
        answer = self._keys.cut(_checked(data_set))
        if self.level:
            content_of(answer).index[_QUERY_LEVEL] = DataElement(_QUERY_LEVEL, "CS", self.level)
        terms = data_set.character_set.terms
        if terms and CHARACTER_SET not in answer:  # inherited, or declared by who read it
            answer.SpecificCharacterSet = list(terms)
        return answer

    def select(self, data_sets: Iterable[DataSet]) -> Iterator[DataSet]:
        """Give the answers of those that match, one by one, as they are asked for.

        Raises:
            DecodeError: a value of a data set cannot be decoded.
            TypeError: one is no data set.
        """
        for data_set in data_sets:
            if self.matches(data_set):
                yield self.answer(data_set)

    def group(self, data_sets: Iterable[DataSet]) -> Iterator[DataSet]:
        """Give one answer for each patient, study, series or instance that matches.

        The level is that of the query; without one, or at one that groups nothing, this is
        `select`. An entity matches if one of its instances does, and has the attributes of the
        first that does. What is counted is right whatever matched: Number of Patient, Study and
        Series Related Studies, Series and Instances, Modalities in Study and SOP Classes in Study.

        Nothing is answered before the last data set was looked at; of them, the answers and the
        UIDs that are counted are kept, and no more.

        Args:
            data_sets: those of instances, in any order; one that comes twice counts once. Those
                without the unique key of the level are left out.

        Raises:
            DecodeError: a value of a data set cannot be decoded.
        """
        if self.level not in {"PATIENT", "STUDY", "SERIES", "IMAGE"}:
            yield from self.select(data_sets)
            return
        own, counted = self._keys.apart(COUNTED)
        asked = Asked(
            self.level,
            {tag for tag, _, _ in self._keys.returned},
            own.match,
            self.answer,
            counted.match,
        )
        yield from group(map(_checked, data_sets), asked)


class _Keys:
    """The keys of an identifier, or of the item of a sequence in it.

    Attributes:
        conditions: what must hold of a data set.
        returned: in tag order, the tags that an answer has, their VRs, and the keys in a
            sequence; None where there are none in it, or it is no sequence.
        creators: the private creators, by their tags.
    """

    __slots__ = ("conditions", "creators", "returned")

    def __init__(self) -> None:
        self.conditions: list[Condition] = []
        self.returned: list[tuple[int, str, _Keys | None]] = []
        self.creators: dict[int, str] = {}

    def match(self, data_set: DataSet) -> bool:
        """Whether all conditions hold."""
        if self.creators:
            data_set = self._in_our_blocks(data_set)
        return all(condition(data_set) for condition in self.conditions)

    def _in_our_blocks(self, data_set: DataSet) -> DataSet:
        """Make a data set of what is asked for, its private elements where the query has them."""
        content = content_of(data_set)
        blocks: dict[tuple[int, Any], int] = {}
        for tag in content.index:
            if tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF:
                name = content.value(tag)
                blocks.setdefault((tag >> 16, name if isinstance(name, str) else None), tag)
        theirs = {tag: blocks.get((tag >> 16, name)) for tag, name in self.creators.items()}
        if all(ours == their for ours, their in theirs.items()):
            return data_set
        made = DataSet()
        elements: dict[int, Any] = content_of(made).index
        for tag in (_TIMEZONE, *map(_tag_of, self.returned)):
            at: int | None = tag
            if tag in self.creators:
                if theirs[tag] is not None:
                    elements[tag] = element_of(tag, "LO", self.creators[tag])
                continue
            block = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
            if tag & 0x10000 and block in theirs:
                creator = theirs[block]
                at = None if creator is None else tag & 0xFFFF00FF | (creator & 0xFF) << 8
            if at in content.index:
                elements[tag] = element_of(tag, content.vr_of(at), content.value(at))
        return made

    def apart(self, tags: AbstractSet[int]) -> tuple[_Keys, _Keys]:
        """Take the conditions on some attributes away: those on the others, and those on them."""
        others, these = _Keys(), _Keys()
        for condition in self.conditions:
            is_one = isinstance(condition, ValueCondition) and condition.tag in tags
            (these if is_one else others).conditions.append(condition)
        others.creators, these.creators = self.creators, self.creators
        others.returned, these.returned = self.returned, self.returned
        return others, these

    def cut(self, data_set: DataSet) -> DataSet:
        """Make a data set of what is asked for."""
        if self.creators:
            data_set = self._in_our_blocks(data_set)
        answer, content = DataSet(), content_of(data_set)
        elements: dict[int, Any] = content_of(answer).index
        for tag, vr, inner in self.returned:
            if tag not in content.index:
                if tag != CHARACTER_SET:  # which is never empty (PS3.4 C.2.2.2)
                    elements[tag] = element_of(tag, vr, Sequence() if vr == "SQ" else None)
                continue
            value = content.value(tag)
            if inner is not None and isinstance(value, Sequence):
                items = Sequence(inner.cut(item) for item in value if inner.match(item))
                elements[tag] = element_of(tag, "SQ", items)
                continue
            item = content.index[tag]
            own = content.element_at(tag, item) if isinstance(item, int) else item
            elements[tag] = element_of(tag, own.vr, copied(value))
        return answer


class _Compiler:
    """Makes the keys of an identifier, within limits."""

    def __init__(
        self, *, matches_unknown: bool, ignore_accents: bool, pairs: Mapping[int, int]
    ) -> None:
        self._matches_unknown = matches_unknown
        self._ignore_accents = ignore_accents
        self._pairs = pairs
        self._paired = {*pairs, *pairs.values()}
        self._count = 0

    def keys(self, identifier: DataSet, path: tuple[str, ...]) -> _Keys:
        """Make the keys of an identifier or of an item in it, which is where the path leads."""
        made = _Keys()
        made.returned.append((CHARACTER_SET, "CS", None))
        apart: dict[int, tuple[list[Any], ValueCondition]] = {}
        offset = _offset_of(identifier)
        for element in identifier.elements():
            tag = int(element.tag)
            if tag < _FIRST_OF_DATA or not tag & 0xFFFF or tag == CHARACTER_SET:
                continue
            self._count_key(tag, path)
            if element.vr == "SQ":
                inner = self._inner(element, path)
                made.returned.append((tag, "SQ", inner))
                if inner is not None and inner.conditions:
                    made.conditions.append(ItemCondition(tag, inner.match, self._matches_unknown))
                continue
            made.returned.append((tag, element.vr, None))
            values = [value for value in element.values if not is_empty(value)]
            if element.tag.is_private_creator and values and isinstance(values[0], str):
                made.creators[tag] = values[0]
            if element.vr == "DT" and offset is not None:
                values = [with_offset(value, offset) for value in values]
            is_matched = tag not in _NEVER_MATCHED and not element.tag.is_private_creator
            condition = self._condition(element, values, path) if is_matched else None
            if condition is None:
                continue
            if tag in self._paired:
                apart[tag] = values, condition
            else:
                made.conditions.append(condition)
        made.returned.sort(key=_tag_of)
        for pair in self._pairs.items():
            made.conditions += start_conditions(apart, pair)
        return made

    def _count_key(self, tag: int, path: tuple[str, ...]) -> None:
        self._count += 1
        if self._count > MAX_KEYS:
            raise DecodeError(f"expected at most {MAX_KEYS} keys in a query", tag=tag, path=path)

    def _inner(self, element: DataElement, path: tuple[str, ...]) -> _Keys | None:
        """Make the keys in a sequence; None if there are none."""
        items = element.value
        if not items:
            return None
        tag = element.tag
        if not isinstance(items, Sequence) or len(items) > 1:
            found = f"{len(items)} items" if isinstance(items, Sequence) else "other bytes"
            message = f"expected a sequence of one item as key, got {found}"
            raise DecodeError(message, tag=tag, path=path)
        if len(path) == DEFAULT_LIMITS.max_depth:
            message = f"expected keys at most {DEFAULT_LIMITS.max_depth} sequences deep"
            raise DecodeError(message, tag=tag, path=path)
        inner = self.keys(items[0], (*path, f"{keyword_of(tag) or tag}[0]"))
        # Besides keys, there is always Specific Character Set.
        return inner if len(inner.returned) > 1 else None

    def _condition(
        self, element: DataElement, values: list[Any], path: tuple[str, ...]
    ) -> ValueCondition | None:
        """Make the condition for a key that is no sequence; None if all match."""
        wanted = [value for value in values if value != _EMPTY_VALUE]
        if not values:
            return None
        matches_empty = self._matches_unknown or len(wanted) < len(values)
        if not wanted:
            return ValueCondition(element.tag, _never, matches_empty)
        try:
            test = value_test(element.vr, wanted, ignore_accents=self._ignore_accents)
        except ValueError as error:
            # The peer's text is in the message: as much of it as a log can bear.
            raise DecodeError(f"{error!s:.200}", tag=element.tag, path=path) from error
        return None if test is None else ValueCondition(element.tag, test, matches_empty)


def _checked(data_set: DataSet) -> DataSet:
    if not isinstance(data_set, DataSet):
        raise TypeError(f"expected a data set, got {shown(data_set)}")
    return data_set


def _tag_of(row: tuple[int, str, _Keys | None]) -> int:
    return row[0]


def _never(value: Any) -> bool:  # noqa: ARG001 - a test of values like others
    return False
