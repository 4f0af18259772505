"""What values of PN, UI, AS, DA, DT, TM, DS and IS are in Python: text or numbers with a meaning.

Each keeps the text that it is made of, so that what is read and written unchanged is the same
bytes; what the text means is found out when somebody asks.

Standard: PS3.5 6.2.
"""

from __future__ import annotations

import datetime as dt
import re
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.errors import shown

__all__ = [
    "AS",
    "DA",
    "DS",
    "DT",
    "IS",
    "TM",
    "UID",
    "Age",
    "NoElement",
    "PersonName",
    "PersonNameGroup",
    "decimal_text",
]


class NoElement:
    """A value, which says so to those who take it for the element that has it."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hint = ""
            if name == "value":
                hint = "; ds[key] is the value itself, ds.fetch(key) the element that has it"
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}{hint}")


class _Text(NoElement, str):
    """A value that is a text."""

    __slots__ = ()


class UID(_Text):
    """A value of UI (PS3.5 9)."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name that PS3.6 registers it with, empty if it is not registered."""
        return uid_name(self)


# --- person names (PS3.5 6.2.1) --------------------------------------------------------------


class PersonNameGroup(_Text):
    """One component group of a person name: five components between carets.

    It is the text itself, with a property for each component; an absent component is empty.
    """

    __slots__ = ()

    @classmethod
    def from_components(
        cls,
        family_name: str = "",
        given_name: str = "",
        middle_name: str = "",
        prefix: str = "",
        suffix: str = "",
    ) -> Self:
        """Join components to a group; empty ones at the end leave no carets.

        Raises:
            ValueError: a component has a delimiter in it.
        """
        components = (family_name, given_name, middle_name, prefix, suffix)
        for component in components:
            if not {"^", "=", "\\"}.isdisjoint(component):
                raise ValueError(f"a component of a name has no ^, = or backslash: {component!r}")
        return cls("^".join(components).rstrip("^"))

    @property
    def components(self) -> tuple[str, str, str, str, str]:
        """The five components; spaces around them do not count."""
        parts = [part.strip(" ") for part in self.split("^")[:5]]
        parts += [""] * (5 - len(parts))
        return parts[0], parts[1], parts[2], parts[3], parts[4]

    @property
    def family_name(self) -> str:
        """The family name complex."""
        return self.components[0]

    @property
    def given_name(self) -> str:
        """The given name complex."""
        return self.components[1]

    @property
    def middle_name(self) -> str:
        """The middle name."""
        return self.components[2]

    @property
    def prefix(self) -> str:
        """The name prefix, for example ``Dr.``."""
        return self.components[3]

    @property
    def suffix(self) -> str:
        """The name suffix, for example ``Jr.``."""
        return self.components[4]


class PersonName(PersonNameGroup):
    """A value of PN: an alphabetic, an ideographic and a phonetic group.

    It is the text as it stands in the element, so it equals that text, and is kept as it came;
    the groups are taken apart when asked for. The component properties are those of the
    alphabetic group.
    """

    __slots__ = ()

    def __new__(cls, alphabetic: str = "", ideographic: str = "", phonetic: str = "") -> Self:
        """Make a name of its groups; empty ones at the end leave no equals signs.

        Args:
            alphabetic: the group in single-byte characters, ``family^given^middle^prefix^suffix``.
                A text with equals signs is taken as it is, as `parse` does.
            ideographic: the group in ideographic characters.
            phonetic: the group in phonetic characters.
        """
        if not ideographic and not phonetic:
            return super().__new__(cls, alphabetic)
        return super().__new__(cls, f"{alphabetic}={ideographic}={phonetic}".rstrip("="))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take the text of one value of PN, without padding."""
        return str.__new__(cls, text)

    @property
    def alphabetic(self) -> PersonNameGroup:
        """The first group, in single-byte characters."""
        return self._group(0)

    @property
    def ideographic(self) -> PersonNameGroup:
        """The second group, in ideographic characters."""
        return self._group(1)

    @property
    def phonetic(self) -> PersonNameGroup:
        """The third group, in phonetic characters."""
        return self._group(2)

    @property
    def components(self) -> tuple[str, str, str, str, str]:
        """The five components of the alphabetic group; spaces around them do not count."""
        return self.alphabetic.components

    def _group(self, number: int) -> PersonNameGroup:
        groups = self.split("=")
        return PersonNameGroup(groups[number].strip(" ") if number < len(groups) else "")


# --- ages, dates and times -------------------------------------------------------------------


# Patterns are compiled when first used: that would be a part of the time to import this.
_DATE: Final = r"(\d{4})(\d{2})(\d{2})|(\d{4})\.(\d{2})\.(\d{2})"
_TIME: Final = r"(\d{2})(?:(:?)(\d{2})(?:\2(\d{2})(?:\.(\d{1,6}))?)?)?"
_DATE_TIME: Final = (
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"(?:([+-])(\d{2})(\d{2}))?"
)
_AGE: Final = r"(\d{3})([DWMY])"
_OFFSET: Final = r"-(0\d|1[0-4])[0-5]\d(-|$)"
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.436875, "Y": 365.2425}


class Age(NamedTuple):
    """An age as a number of units.

    Attributes:
        number: 0 to 999.
        unit: ``"D"`` days, ``"W"`` weeks, ``"M"`` months, ``"Y"`` years.
    """

    number: int
    unit: Literal["D", "W", "M", "Y"]

    @property
    def days(self) -> float:
        """The age in days; months and years count with their mean length."""
        return self.number * _DAYS[self.unit]


class AS(_Text):
    """A value of AS: three digits and a unit, for example ``018M``."""

    __slots__ = ()

    def as_age(self) -> Age:
        """Return the number and the unit.

        Raises:
            ValueError: the text is no age.
        """
        match = re.fullmatch(_AGE, self.rstrip(" "), re.ASCII)
        if match is None:
            raise ValueError(f"an age is three digits and one of D, W, M, Y; got {str(self)!r}")
        return Age(int(match[1]), match[2])  # type: ignore[arg-type]  # the pattern's letters


class DA(_Text):
    """A value of DA: ``YYYYMMDD``, or a range of them; ``YYYY.MM.DD`` of old is understood."""

    __slots__ = ()

    @classmethod
    def of(cls, date: dt.date) -> Self:
        """Return the text of a date; raises TypeError if it is none."""
        if not isinstance(date, dt.date):
            raise TypeError(f"expected a date, got {shown(date)}")
        return cls(f"{date.year:04}{date.month:02}{date.day:02}")

    @classmethod
    def between(cls, first: dt.date | None, last: dt.date | None) -> Self:
        """Return the text of a range, both ends included; None leaves an end open."""
        return cls(_range_text(*(None if end is None else cls.of(end) for end in (first, last))))

    @property
    def is_range(self) -> bool:
        """Whether the text is a range."""
        return "-" in self

    def as_date(self) -> dt.date:
        """Return the date.

        Raises:
            ValueError: the text is no date.
        """
        return _date(self)

    def as_range(self) -> tuple[dt.date | None, dt.date | None]:
        """Return the first and the last day meant, None for an open end.

        Raises:
            ValueError: the text is neither a date nor a range.
        """
        first, last = _ends(self)
        return None if first is None else _date(first), None if last is None else _date(last)


class TM(_Text):
    """A value of TM: ``HH``, ``HHMM``, ``HHMMSS`` or ``HHMMSS.FFFFFF``, or a range of them.

    ``HH:MM:SS`` of old is understood. A leap second is taken as the second before it.
    """

    __slots__ = ()

    @classmethod
    def of(cls, time: dt.time) -> Self:
        """Return the text of a time of day, without its time zone; raises TypeError if none."""
        if not isinstance(time, dt.time):
            raise TypeError(f"expected a time, got {shown(time)}")
        return cls(_time_text(time))

    @classmethod
    def between(cls, first: dt.time | None, last: dt.time | None) -> Self:
        """Return the text of a range, both ends included; None leaves an end open."""
        return cls(_range_text(*(None if end is None else cls.of(end) for end in (first, last))))

    @property
    def is_range(self) -> bool:
        """Whether the text is a range."""
        return "-" in self

    def as_time(self) -> dt.time:
        """Return the time of day; parts that are not given are 0.

        Raises:
            ValueError: the text is no time.
        """
        return _time(self, 0)

    def as_range(self) -> tuple[dt.time | None, dt.time | None]:
        """Return the first and the last instant meant, None for an open end.

        A time without seconds means all of its minute: ``1030`` goes to 10:30:59.999999.

        Raises:
            ValueError: the text is neither a time nor a range.
        """
        first, last = _ends(self)
        return (
            None if first is None else _time(first, 0),
            None if last is None else _time(last, 1),
        )


class DT(_Text):
    """A value of DT: ``YYYYMMDDHHMMSS.FFFFFF&ZZXX`` from the year on, or a range of them."""

    __slots__ = ()

    @classmethod
    def of(cls, moment: dt.datetime) -> Self:
        """Return the text of a date and time, with the offset from UTC if it has one.

        Raises:
            TypeError: it is none.
        """
        if not isinstance(moment, dt.datetime):
            raise TypeError(f"expected a date and time, got {shown(moment)}")
        offset = moment.utcoffset()
        zone = ""
        if offset is not None:
            minutes = round(offset.total_seconds() / 60)
            zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
        return cls(f"{DA.of(moment)}{_time_text(moment.time())}{zone}")

    @classmethod
    def between(cls, first: dt.datetime | None, last: dt.datetime | None) -> Self:
        """Return the text of a range, both ends included; None leaves an end open."""
        return cls(_range_text(*(None if end is None else cls.of(end) for end in (first, last))))

    @property
    def is_range(self) -> bool:
        """Whether the text is a range; a hyphen may be the sign of an offset from UTC as well."""
        return _range_hyphen(self) >= 0

    def ends(self) -> tuple[str | None, str | None]:
        """Return the texts of the first and the last instant, None for an open end.

        Raises:
            ValueError: neither end is there.
        """
        return _ends(self, _range_hyphen(self))

    def as_datetime(self) -> dt.datetime:
        """Return the date and time; parts that are not given are the lowest possible.

        It has a time zone if the text has an offset from UTC; else that of Timezone Offset From
        UTC (0008,0201) of the data set is meant.

        Raises:
            ValueError: the text is no date and time.
        """
        return _date_time(self, 0)

    def as_range(self) -> tuple[dt.datetime | None, dt.datetime | None]:
        """Return the first and the last instant meant, None for an open end.

        A value without its last parts means all of them: ``2024`` goes to the end of the year.

        Raises:
            ValueError: the text is neither a date and time nor a range.
        """
        first, last = _ends(self, _range_hyphen(self))
        return (
            None if first is None else _date_time(first, 0),
            None if last is None else _date_time(last, 1),
        )


def _range_text(first: str | None, last: str | None) -> str:
    if not first and not last:
        raise ValueError("a range needs at least one end")
    return f"{first or ''}-{last or ''}"


def _range_hyphen(text: str) -> int:
    """Return where the hyphen between the ends of a DT range is, -1 if there is none.

    A hyphen before four digits up to 1459 that nothing but a hyphen follows is the sign of an
    offset from UTC; no range ends in such a year.
    """
    position = text.find("-")
    if position > 0 and re.match(_OFFSET, text[position:].rstrip(" "), re.ASCII):
        position = text.find("-", position + 1)
    return position


def _ends(text: str, hyphen: int | None = None) -> tuple[str | None, str | None]:
    if hyphen is None:
        hyphen = text.find("-")
    if hyphen < 0:
        return text, text
    first, last = text[:hyphen].strip(" "), text[hyphen + 1 :].strip(" ")
    if not first and not last:
        raise ValueError(f"a range needs at least one end, got {str(text)!r}")
    return first or None, last or None


def _date(text: str) -> dt.date:
    match = re.fullmatch(_DATE, text.rstrip(" "), re.ASCII)
    if match is not None:
        year, month, day = (int(part) for part in match.groups() if part is not None)
        try:
            return dt.date(year, month, day)
        except ValueError as error:
            raise ValueError(f"no day of the calendar: {str(text)!r}") from error
    raise ValueError(f"a date is YYYYMMDD, got {str(text)!r}")


def _time(text: str, end: Literal[0, 1]) -> dt.time:
    """Return the first (`end` 0) or the last (1) instant that the text means."""
    match = re.fullmatch(_TIME, text.rstrip(" "), re.ASCII)
    if match is None:
        raise ValueError(f"a time is HH, HHMM, HHMMSS or HHMMSS.F to .FFFFFF, got {str(text)!r}")
    hour, _, minute, second, fraction = match.groups()
    try:
        return dt.time(
            int(hour),
            int(minute or (0, 59)[end]),
            59 if second == "60" else int(second or (0, 59)[end]),
            int((fraction or "").ljust(6, "09"[end])),
        )
    except ValueError as error:
        raise ValueError(f"no time of day: {str(text)!r}") from error


def _date_time(text: str, end: Literal[0, 1]) -> dt.datetime:
    """Return the first (`end` 0) or the last (1) instant that the text means."""
    match = re.fullmatch(_DATE_TIME, text.rstrip(" "), re.ASCII)
    if match is None:
        raise ValueError(f"a date and time is YYYYMMDDHHMMSS.FFFFFF&ZZXX, got {str(text)!r}")
    year, month, day, *clock = match.groups()[:7]
    try:
        first = dt.date(int(year), int(month or (1, 12)[end]), int(day or 1))
        return dt.datetime.combine(
            first if day or not end else _last_of_month(first),
            _time("".join(part or "" for part in clock[:3]) + _fraction(clock[3]), end)
            if clock[0]
            else (dt.time.min, dt.time.max)[end],
            _time_zone(match),
        )
    except ValueError as error:
        raise ValueError(f"no date and time of the calendar: {str(text)!r}") from error


def _last_of_month(first: dt.date) -> dt.date:
    if first.month == 12:
        return first.replace(day=31)
    return first.replace(month=first.month + 1) - dt.timedelta(days=1)


def _fraction(digits: str | None) -> str:
    return f".{digits}" if digits else ""


def _time_zone(match: re.Match[str]) -> dt.timezone | None:
    sign, hours, minutes = match[8], match[9], match[10]
    if sign is None:
        return None
    offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or offset > dt.timedelta(hours=14):
        raise ValueError("an offset from UTC is -1200 to +1400")
    return dt.timezone(-offset if sign == "-" else offset)


def _time_text(time: dt.time) -> str:
    fraction = f".{time.microsecond:06}" if time.microsecond else ""
    return f"{time.hour:02}{time.minute:02}{time.second:02}{fraction}"


# --- numbers as text -------------------------------------------------------------------------


def decimal_text(number: float) -> str:
    """Return the most exact text of a number that fits a DS: at most 16 characters.

    Raises:
        ValueError: the number is not finite.
    """
    if not isfinite(number):
        raise ValueError(f"a DS holds finite numbers, got {number!r}")
    text = float.__repr__(float(number)).removesuffix(".0")
    if len(text) <= 16:
        return text
    for precision in range(16, 0, -1):
        text = f"{number:.{precision}g}"
        if len(text) <= 16:
            break
    return text


class DS(NoElement, float):
    """A value of DS: a float with its text.

    ``DS.of("1.50")`` keeps the text; ``DS(1.5)`` makes one of the number.
    """

    __slots__ = ("_text",)

    _text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the number that a text stands for, with that text.

        Raises:
            ValueError: the text is no number.
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected a text, got {shown(text)}")
        made = cls(text)
        made._text = text.strip()
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        text: str | None = getattr(self, "_text", None)
        return decimal_text(self) if text is None else text

    def __reduce__(self) -> tuple[object, ...]:
        return DS.of, (self.text,)


class IS(NoElement, int):
    """A value of IS: an int with its text.

    ``IS.of("007")`` keeps the text; ``IS(7)`` makes one of the number.
    """

    _text: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the number that a text stands for, with that text.

        Raises:
            ValueError: the text is no integer.
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected a text, got {shown(text)}")
        made = cls(text)
        made._text = text.strip()
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        return int.__repr__(self) if self._text is None else self._text

    def __reduce__(self) -> tuple[object, ...]:
        return IS.of, (self.text,)
