"""How one value of an entity is compared with a key: by text, person name, date, number.

`value_test` makes, of the VR and the values of a key, a function that takes one value and says
whether it matches. What it costs grows with the length of the value and of the key, whatever
these are. Sequences, absent values and several values are left to `matching`.

A pattern with wild cards comes from a peer, so it never becomes a regular expression, and nothing
is tried twice: each part between two ``*`` is looked for once, from where the one before it ended.

Standard: PS3.4 C.2.2.2.1 (single values), C.2.2.2.2 (lists of UIDs), C.2.2.2.4 (wild cards),
C.2.2.2.5 (ranges).
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.values.value_types import DA, DT, TM

__all__ = [
    "MAX_ALTERNATIVES",
    "MAX_PATTERN_LENGTH",
    "DateTimeTest",
    "ValueTest",
    "Wildcard",
    "value_test",
    "with_offset",
]

# --- wild cards (PS3.4 C.2.2.2.4) ------------------------------------------------------------


MAX_PATTERN_LENGTH: Final = 4_096
"""Characters of a pattern. It bounds what one character of a text costs where ``?`` is used."""


class Wildcard:
    """A pattern, prepared once and matched with many texts.

    Args:
        pattern: text with ``*`` and ``?``; upper and lower case are different.

    Raises:
        ValueError: it is longer than `MAX_PATTERN_LENGTH`.
    """

    __slots__ = ("_first", "_has_star", "_last", "_least", "_middle")

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise ValueError(
                f"expected at most {MAX_PATTERN_LENGTH} characters with wild cards, "
                f"got {len(pattern)}"
            )
        first, *rest = pattern.split("*")
        self._has_star = bool(rest)
        self._first = _Part(first)
        self._last = _Part(rest.pop() if rest else "")
        self._middle = [_Part(part) for part in rest if part]
        self._least = sum(part.length for part in (self._first, *self._middle, self._last))

    def matches(self, text: str) -> bool:
        """Whether the whole text is what the pattern says."""
        if len(text) < self._least or (not self._has_star and len(text) > self._least):
            return False
        end = len(text) - self._last.length
        if not self._first.is_at(text, 0) or not self._last.is_at(text, end):
            return False
        at = self._first.length
        for part in self._middle:
            at = part.find(text, at, end)
            if at < 0:
                return False
            at += part.length
        return True


class _Part:
    """What stands between two ``*``: characters, some of which may be ``?``.

    Attributes:
        length: in characters.
    """

    __slots__ = ("_literals", "_masks", "_open", "_text", "length")

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._text = text
        self._literals: list[tuple[int, str]] = []
        self._masks: dict[str, int] | None = None
        self._open = 0  # one bit for each "?"
        if "?" in text:
            self._take_apart(text)
        elif text:
            self._literals.append((0, text))

    def _take_apart(self, text: str) -> None:
        at = 0
        for literal in text.split("?"):
            if literal:
                self._literals.append((at, literal))
            at += len(literal) + 1
        for bit, character in enumerate(text):
            if character == "?":
                self._open |= 1 << bit

    def is_at(self, text: str, at: int) -> bool:
        """Whether it stands at an index of a text that is long enough."""
        return all(text.startswith(literal, at + offset) for offset, literal in self._literals)

    def find(self, text: str, start: int, end: int) -> int:
        """Find the first index between two where it stands; -1 if there is none."""
        if not self._open:
            return text.find(self._text, start, end)
        if not self._literals:
            return start if start + self.length <= end else -1
        if self._masks is None:
            self._masks = self._make_masks()
        # Bit i of `state` says that the i + 1 characters up to here are the first ones of the part.
        masks, others, state, last = self._masks, self._open, 0, 1 << (self.length - 1)
        for at in range(start, end):
            state = (state << 1 | 1) & masks.get(text[at], others)
            if state & last:
                return at + 1 - self.length
        return -1

    def _make_masks(self) -> dict[str, int]:
        """For each character that stands in the part: where it, or a ``?``, does."""
        masks: dict[str, int] = {}
        for bit, character in enumerate(self._text):
            if character != "?":
                masks[character] = masks.get(character, self._open) | 1 << bit
        return masks


# --- tests of values -------------------------------------------------------------------------


ValueTest = Callable[[Any], bool]
"""Takes one value as a data set gives it, and says whether it matches."""

MAX_ALTERNATIVES: Final = 64
"""Patterns, ranges or names in one key. Values that are just looked up, as in lists of UIDs, are
not counted: many of them cost no more than one."""

_WITH_WILDCARDS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_DATES_AND_TIMES: Final[dict[str, Any]] = {"DA": DA, "TM": TM, "DT": DT}
_NUMBERS: Final = frozenset({"DS", "IS", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_GROUPS: Final = 3  # of a person name
_COMPONENTS: Final = 5  # of each


def with_offset(value: Any, offset: str | None) -> Any:
    """Return a value or range of DT with an offset from UTC where it has none of its own.

    Args:
        value: the text.
        offset: Timezone Offset From UTC (0008,0201) of the data set that it is in, which is what
            it means then (PS3.3 C.12.1.1.8); None if there is none.
    """
    if offset is None or not isinstance(value, str):
        return value
    try:
        ends = DT(value).as_range()
        is_range = DT(value).is_range
    except ValueError:
        return value
    texts = DT(value).ends() if is_range else (value, value)
    first, last = (
        text if text is None or end is None or end.tzinfo is not None else f"{text}{offset}"
        for text, end in zip(texts, ends, strict=True)
    )
    made = DT(f"{first or ''}-{last or ''}" if is_range else first)
    try:
        made.as_range()
    except ValueError:
        return value  # the offset is none
    return made


def value_test(vr: str, values: list[Any], *, ignore_accents: bool = False) -> ValueTest | None:
    """Make the test for a key.

    Args:
        vr: its VR, not SQ.
        values: its values, as a data set gives them, none empty; any of them may match. At
            least one.
        ignore_accents: whether letters of person names match with and without their accents, and
            in half width and full width.

    Returns:
        The test; None if every value passes, and no value at all, too.

    Raises:
        ValueError: a value means nothing for the VR, or there are too many.
    """
    if any(isinstance(value, str) and not value.strip("*") for value in values):
        # Beyond the standard where the VR has no wild cards: many users ask for "*" there, too.
        return None
    kind: Any = int | float if vr in _NUMBERS else str if VR[vr].is_text else object
    strays = [value for value in values if not isinstance(value, kind)]
    if strays:
        raise ValueError(f"expected values of {vr}, got {strays[0]!r:.40}")
    if vr == "PN":
        return _name_test(values, _bare_group if ignore_accents else _normal_group)
    if vr in _WITH_WILDCARDS:
        return _TextTest(values)
    if vr in _DATES_AND_TIMES:
        return _SpanTest(vr, values)
    return _ExactTest(values)


class _ExactTest:
    """One of some values; numbers are compared as numbers."""

    __slots__ = ("_wanted",)

    def __init__(self, values: list[Any]) -> None:
        try:
            self._wanted = frozenset(values)
        except TypeError as error:
            raise ValueError(f"expected values that can be compared: {error}") from error

    def __call__(self, value: Any) -> bool:
        try:
            return value in self._wanted
        except TypeError:  # a value of another kind, in an element of another VR
            return False


def _check_count(alternatives: list[Any]) -> None:
    if len(alternatives) > MAX_ALTERNATIVES:
        raise ValueError(
            f"expected at most {MAX_ALTERNATIVES} alternatives in a key, got {len(alternatives)}"
        )


# --- text ----------------------------------------------------------------------------------


class _TextTest:
    """One of some texts, with wild cards or without; upper and lower case are different."""

    __slots__ = ("_exact", "_patterns")

    def __init__(self, values: list[str]) -> None:
        patterns = [value for value in values if "*" in value or "?" in value]
        _check_count(patterns)
        self._exact = frozenset(values).difference(patterns)
        self._patterns = [Wildcard(pattern) for pattern in patterns]

    def __call__(self, value: Any) -> bool:
        return isinstance(value, str) and (
            value in self._exact or any(pattern.matches(value) for pattern in self._patterns)
        )


# --- person names --------------------------------------------------------------------------


def _name_test(values: list[str], fold: Callable[[str], str]) -> ValueTest | None:
    _check_count(values)
    names = [_NameTest(value, fold) for value in values]
    if any(name.is_universal for name in names):
        return None
    return names[0] if len(names) == 1 else lambda value: any(name(value) for name in names)


class _NameTest:
    """One person name: any of the three groups, or, if it has several, each with its like.

    Case does not count, nor do spaces around components, nor carets at the end of a group. A
    ``*`` for whole components at the end matches a name that does not have these.
    """

    __slots__ = ("_fold", "_groups", "_is_for_any")

    def __init__(self, key: str, fold: Callable[[str], str]) -> None:
        self._fold = fold
        groups = key.split("=")
        if len(groups) > _GROUPS:
            raise ValueError(f"expected at most {_GROUPS} groups in a name, got {len(groups)}")
        self._is_for_any = len(groups) == 1
        self._groups = [
            (place, _TextTest(_spellings(fold(group))))
            for place, group in enumerate(groups)
            if group.strip("* ^")
        ]

    @property
    def is_universal(self) -> bool:
        """Whether nothing is asked for."""
        return not self._groups

    def __call__(self, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        groups = [self._fold(group) for group in value.split("=", _GROUPS)[:_GROUPS]]
        if self._is_for_any:
            return any(map(self._groups[0][1], groups))
        return all(place < len(groups) and test(groups[place]) for place, test in self._groups)


def _normal_group(text: str) -> str:
    text = text.strip(" ")
    if "^" in text:
        if " " in text:
            text = "^".join(part.strip(" ") for part in text.split("^"))
        text = text.rstrip("^")
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    # What becomes longer stays as it is, so that "?" is one character.
    return "".join(c if len(lower := c.casefold()) > 1 else lower for c in text)


_SPECIAL: Final = frozenset("*?^=\\")
_VOICED: Final = re.compile("[\u3046-\u30fd][\u3099\u309a]")
"""A kana and the mark behind it, which in half width is a character of its own."""


def _bare_group(text: str) -> str:
    """The group in normal form without accents (U+0300 to U+036F), in one width (NFKC)."""
    text = _normal_group(text)
    if text.isascii():
        return text
    text = "".join(map(_bare_letter, text))
    return _VOICED.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)


@lru_cache(4_096)
def _bare_letter(letter: str) -> str:
    wide = unicodedata.normalize("NFKC", letter)
    # What becomes longer stays as it is, and nothing becomes a wild card or a delimiter.
    if len(wide) == 1 and wide not in _SPECIAL:
        letter = _lower(wide)
    parts = unicodedata.normalize("NFD", letter)
    bare = "".join(part for part in parts if not "\u0300" <= part <= "\u036f")
    # What is no accent stays: the marks of kana, the letters that a Hangul syllable is made of.
    # A capital that has no small letter with its accents has one without them.
    return letter if bare == parts else _lower(bare)


def _lower(text: str) -> str:
    """Small letters, unless there are more of them."""
    lower = text.casefold()
    return text if len(lower) > len(text) else lower


def _spellings(group: str) -> list[str]:
    """The group, and shorter ones that mean the same: ``DOE^*`` is a ``DOE`` alone, too."""
    spellings = [group]
    while group.endswith("^*") and len(spellings) < _COMPONENTS:
        group = group[:-2].rstrip("^")
        spellings.append(group)
    return spellings


# --- dates and times -----------------------------------------------------------------------


class _SpanTest:
    """Dates or times, by what they mean: one of some spans, both ends included.

    A single value is a span, too: ``1030`` means all of that minute.
    """

    __slots__ = ("_meaning", "_spans")

    def __init__(self, vr: str, values: list[str]) -> None:
        _check_count(values)
        of_vr = _DATES_AND_TIMES[vr]
        self._spans = [of_vr(value).as_range() for value in values]
        self._meaning = _MEANINGS[vr]

    def __call__(self, value: Any) -> bool:
        moment = _moment(value, self._meaning)
        return moment is not None and any(_is_within(moment, *span) for span in self._spans)


class DateTimeTest:
    """A range of dates and a range of times that mean one span together.

    ``20060705-20060707`` and ``1000-1800`` go from July 5, 10:00 to July 7, 18:00.

    Args:
        date: the range of dates, of VR DA.
        time: the range of times, of VR TM.

    Raises:
        ValueError: one of them is no range.
    """

    __slots__ = ("_first", "_last")

    def __init__(self, date: str, time: str) -> None:
        self._first, self._last = (
            None if day is None or clock is None else dt.datetime.combine(day, clock)
            for day, clock in zip(DA(date).as_range(), TM(time).as_range(), strict=True)
        )

    @staticmethod
    def applies_to(dates: list[Any], times: list[Any]) -> bool:
        """Whether the values of two keys are ranges that are open at the same end, or at none."""
        if len(dates) != 1 or len(times) != 1:
            return False
        date, time = (str(value).replace(" ", "") for value in (dates[0], times[0]))
        return (
            "-" in date
            and "-" in time
            and date.startswith("-") == time.startswith("-")
            and date.endswith("-") == time.endswith("-")
        )

    def __call__(self, date: Any, time: Any) -> bool:
        """Whether a date and a time are within the span."""
        day, clock = _moment(date, _MEANINGS["DA"]), _moment(time, _MEANINGS["TM"])
        if day is None or clock is None:
            return False
        return _is_within(dt.datetime.combine(day, clock), self._first, self._last)


_MEANINGS: Final[dict[str, Callable[[str], Any]]] = {
    "DA": lambda text: DA(text).as_date(),
    "TM": lambda text: TM(text).as_time(),
    "DT": lambda text: DT(text).as_datetime(),
}


def _moment(value: Any, meaning: Callable[[str], Any]) -> Any:
    """What a value means; None if it means nothing."""
    try:
        return meaning(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_within(moment: Any, first: Any, last: Any) -> bool:
    return (first is None or _is_in_order(first, moment)) and (
        last is None or _is_in_order(moment, last)
    )


def _is_in_order(first: Any, second: Any) -> bool:
    """Whether the first is not after the second.

    Where just one tells its offset from UTC, both are taken for times of the same clock.
    """
    if isinstance(first, dt.datetime) and (first.tzinfo is None) != (second.tzinfo is None):
        first, second = first.replace(tzinfo=None), second.replace(tzinfo=None)
    return bool(first <= second)
