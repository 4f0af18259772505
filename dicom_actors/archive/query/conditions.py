"""Single keys as conditions in SQL, each of which holds for every row that matches, at least.

Where SQL cannot tell, a condition holds for more rows than match, or there is none. Texts with
wild cards become a range of what begins alike, and the longest of their other parts is looked
for. Whatever a peer says is a parameter; what it costs grows with the length of key and value.

Standard: PS3.4 C.2.2.2.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.index.attributes import Kind
from dicom_actors.archive.index.folding import NO_CHARACTER, SEPARATOR, SEVERAL, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_actors.archive.index.attributes import Column

__all__ = ["Condition", "condition_of", "text_condition"]

_EMPTY_VALUE: Final = '""'
_WILD: Final = re.compile(r"[*?]+")
_GROUPS: Final = 3
_NUMERIC: Final = frozenset({Kind.DATE, Kind.TIME, Kind.INTEGER, Kind.NUMBER})
# The VRs for which a kind of column means what matching does.
_VRS: Final[dict[Kind, frozenset[str]]] = {
    Kind.UID: frozenset({"UI", "AS"}),
    Kind.CLASS: frozenset({"UI"}),
    Kind.TEXT: frozenset({"CS", "LO", "LT", "SH", "ST", "UC", "UT"}),
    Kind.NAME: frozenset({"PN"}),
    Kind.NAMES: frozenset({"PN"}),
    Kind.DATE: frozenset({"DA"}),
    Kind.TIME: frozenset({"TM"}),
    Kind.INTEGER: frozenset({"IS"}),
    Kind.NUMBER: frozenset({"DS"}),
    Kind.COUNT: frozenset({"IS"}),
}


class Condition(NamedTuple):
    """What stands behind WHERE, and its parameters in the order of the question marks."""

    sql: str
    parameters: tuple[Any, ...] = ()


def condition_of(
    column: Column, vr: str, values: list[Any], qualified: Callable[[str], str]
) -> Condition | None:
    """Make the condition for a key.

    Args:
        column: the attribute.
        vr: the VR that the key has.
        values: its values, those that are empty left out.
        qualified: gives a column its table.

    Returns:
        The condition; None if all rows may match.
    """
    if not values or vr not in _VRS[column.kind]:
        return None
    if any(isinstance(value, str) and not value.strip("*") for value in values):
        return None
    # No column has a NUL in it: whoever has one matches every key.
    wanted = [
        value.replace("\0", NO_CHARACTER) if isinstance(value, str) and "\0" in value else value
        for value in values
        if value != _EMPTY_VALUE
    ]
    names = [qualified(name) for name in column.names]
    alternatives = [] if not wanted else _MAKERS[column.kind](names, wanted)
    if None in alternatives:
        return None
    if len(wanted) < len(values):
        alternatives.append(Condition(" AND ".join(f"{name} IS NULL" for name in names)))
    if column.kind in _NUMERIC:
        alternatives.append(Condition(f"{names[0]} = {SEVERAL}"))
    elif column.kind in {Kind.TEXT, Kind.UID, Kind.NAME}:
        # Several values begin with a backslash.
        alternatives.append(Condition(f"{names[0]} >= '\\' AND {names[0]} < ']'"))
    return _any_of([one for one in alternatives if one is not None])


def text_condition(name: str, values: list[str]) -> Condition | None:
    """Make the condition that a column is one of some texts, which may have wild cards."""
    found = _texts([name], [value.replace("\0", NO_CHARACTER) for value in values])
    return None if None in found else _any_of([one for one in found if one is not None])


def _any_of(conditions: list[Condition]) -> Condition:
    return Condition(
        "(" + " OR ".join(f"({one.sql})" for one in conditions) + ")",
        tuple(parameter for one in conditions for parameter in one.parameters),
    )


def _among(name: str, values: Iterable[Any]) -> Condition:
    """One of any number of values, which are one parameter."""
    values = list(values)
    if len(values) == 1:
        return Condition(f"{name} = ?", (values[0],))
    value = "value" if isinstance(values[0], str) else "CAST(value AS NUMERIC)"
    return Condition(f"{name} IN (SELECT {value} FROM json_each(?))", (json.dumps(values),))  # noqa: S608


# --- texts ---------------------------------------------------------------------------------


def _uids(names: list[str], values: list[str]) -> list[Condition | None]:
    return [_among(names[0], map(str, values))]


def _classes(names: list[str], values: list[str]) -> list[Condition | None]:
    inner = _among("uid", map(str, values))
    return [Condition(f"{names[0]} IN (SELECT id FROM common_uid WHERE {inner.sql})", inner[1])]  # noqa: S608


def _texts(names: list[str], values: list[str]) -> list[Condition | None]:
    exact = [str(value) for value in values if not _WILD.search(value)]
    found: list[Condition | None] = [_among(names[0], exact)] if exact else []
    return found + [_pattern(names[0], value) for value in values if _WILD.search(value)]


def _pattern(name: str, pattern: str) -> Condition | None:
    """What begins as the pattern does, and has the longest of its other parts in it."""
    first, *rest = _WILD.split(pattern)
    sql, parameters = [], []
    if first:
        sql.append(f"{name} >= ?")
        parameters.append(first)
        if (beyond := _successor(first)) is not None:
            sql.append(f"{name} < ?")
            parameters.append(beyond)
    if longest := max(rest, key=len, default=""):
        sql.append(f"instr({name}, ?) > 0")
        parameters.append(longest)
    # "?" alone still needs a value.
    return Condition(" AND ".join(sql) or f"{name} IS NOT NULL", tuple(parameters))


def _successor(text: str) -> str | None:
    """The first text behind all that begin with a text; None if there is none.

    The order is that of code points, which is the order of the bytes of UTF-8.
    """
    while text:
        code = ord(text[-1]) + 1
        if code == 0xD800:
            code = 0xE000  # surrogates are no characters
        if code <= 0x10FFFF:
            return text[:-1] + chr(code)
        text = text[:-1]
    return None


# --- names ---------------------------------------------------------------------------------


def _name_alternatives(names: list[str], values: list[str]) -> list[Condition | None]:
    return [_name(names, value) for value in values]


def _name(names: list[str], value: str) -> Condition | None:
    groups = [_name_pattern(group) for group in value.split("=", _GROUPS)[:_GROUPS]]
    if len(groups) == 1:
        if groups[0] is None:
            return None
        pattern = groups[0]
        return _any_of([_name_test(name, pattern) for name in names])
    tests = [
        _name_test(name, group)
        for name, group in zip(names, groups, strict=False)
        if group is not None
    ]
    if not tests:
        return None
    return Condition(
        " AND ".join(f"({test.sql})" for test in tests),
        tuple(parameter for test in tests for parameter in test.parameters),
    )


def _name_pattern(group: str) -> str | None:
    """A folded pattern that fits at least what the group of the key does; None: everything."""
    if not group.strip("* ^"):
        return None
    # Folding may take characters away, so that "?" is no more than "*".
    pattern = _WILD.sub("*", folded(group))
    while pattern.endswith("^*"):  # which means that there may be more components
        pattern = pattern[:-2].rstrip("^*") + "*"
    return pattern if pattern.strip("*") else None


def _name_test(name: str, pattern: str) -> Condition:
    if "*" not in pattern:
        return Condition(f"{name} = ?", (pattern,))
    condition = _pattern(name, pattern)
    assert condition is not None
    return condition


def _listed_names(names: list[str], values: list[str]) -> list[Condition | None]:
    return [_listed_name(names[0], value) for value in values]


def _listed_name(name: str, value: str) -> Condition | None:
    parts: list[str] = []
    for group in value.split("=", _GROUPS)[:_GROUPS]:
        pattern = _name_pattern(group)
        if pattern is not None:
            parts += _WILD.split(f"{SEPARATOR}{pattern}{SEPARATOR}")
    longest = max(parts, key=len, default="")
    return Condition(f"instr({name}, ?) > 0", (longest,)) if longest else None


# --- numbers, dates, times -----------------------------------------------------------------


def _numbers(names: list[str], values: list[Any], kind: type) -> list[Condition | None]:
    wanted = []
    for value in values:
        number = kind(value)
        if number == value and abs(number) < 1 << 63:
            wanted.append(number)
    return [_among(names[0], wanted)] if wanted else []


def _spans(
    names: list[str], values: list[Any], number: Callable[[Any], int]
) -> list[Condition | None]:
    found: list[Condition | None] = []
    for value in values:
        first, last = value.as_range()
        sql, parameters = [], []
        if first is not None:
            sql.append(f"{names[0]} >= ?")
            parameters.append(number(first))
        if last is not None:
            sql.append(f"{names[0]} <= ?")
            parameters.append(number(last))
        found.append(Condition(" AND ".join(sql), tuple(parameters)) if sql else None)
    return found


def _day(date: Any) -> int:
    return int(date.year * 10_000 + date.month * 100 + date.day)


def _clock(time: Any) -> int:
    seconds = (time.hour * 60 + time.minute) * 60 + time.second
    return int(seconds * 1_000_000 + time.microsecond)


_MAKERS: Final[dict[Kind, Callable[[list[str], list[Any]], list[Condition | None]]]] = {
    Kind.UID: _uids,
    Kind.CLASS: _classes,
    Kind.TEXT: _texts,
    Kind.NAME: _name_alternatives,
    Kind.NAMES: _listed_names,
    Kind.DATE: partial(_spans, number=_day),
    Kind.TIME: partial(_spans, number=_clock),
    Kind.INTEGER: partial(_numbers, kind=int),
    Kind.NUMBER: partial(_numbers, kind=float),
    Kind.COUNT: partial(_numbers, kind=int),
}
