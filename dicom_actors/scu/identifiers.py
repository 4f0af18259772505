"""What a query or retrieval is asked with: a data set, or a dict of keywords made into one.

A value that by its form can match nothing is refused, since the answer to it would look as if
there were nothing. Standard: PS3.4 C.2.2.2, PS3.5 6.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from dicom_actors.data import DataSet
from dicom_actors.errors import shown

if TYPE_CHECKING:
    from dicom_actors.data import DataElement

__all__ = ["Identifier", "to_identifier"]

Identifier = DataSet | Mapping[str, Any]
"""A data set, or keywords (or tags) and what they must match; None: any value, to be returned.

The value of a sequence is a dict, or a list of them.
"""

_DATE: Final = r"\d{8}"
_TIME: Final = r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?"
_DATE_TIME: Final = r"\d{4}(?:\d{2}){0,5}(?:(?<=\d{14})\.\d{1,6})?(?:[+-]\d{4})?"


def _ranges(form: str) -> re.Pattern[str]:
    return re.compile(f"{form}|-{form}|{form}-(?:{form})?")


_FORMS: Final = {
    "DA": (_ranges(_DATE), "YYYYMMDD, or a range: YYYYMMDD-, -YYYYMMDD, YYYYMMDD-YYYYMMDD"),
    "TM": (_ranges(_TIME), "HHMMSS or the beginning of it, or a range: HHMM-, -HHMM, HHMM-HHMM"),
    "DT": (_ranges(_DATE_TIME), "YYYYMMDDHHMMSS or the beginning of it, or a range"),
    "AS": (re.compile(r"\d{3}[DWMY]"), "three digits and one of D, W, M, Y"),
    "UI": (re.compile(r"[0-9.*?]{1,64}"), "a UID"),
}
"""What the values of a VR may be, and that in words.

The standard has no wild cards for these. Archives that are more generous have them for UIDs, and
take an asterisk for any value.
"""


_CHECKED: Final = {
    "all": frozenset(_FORMS),
    "UIDs": frozenset({"UI"}),
    "nothing": frozenset[str](),
}


def to_identifier(given: Identifier, *, check: Literal["all", "UIDs", "nothing"]) -> DataSet:
    """Make a data set of what a user gave, and check its values.

    Args:
        given: that.
        check: which of its values must have a form that can match something. In a retrieval of
            what a query found, these are the UIDs alone.

    Raises:
        TypeError: it is neither a data set nor a dict.
        ValueError: a value can match nothing; the message has the right form.
        KeyError: there is no such keyword.
    """
    identifier = given if isinstance(given, DataSet) else _made(given)
    _check(identifier, _CHECKED[check])
    return identifier


def _made(given: Any) -> DataSet:
    if not isinstance(given, Mapping):
        raise TypeError(
            "identifier: expected a data set or a dict of keywords, as in"
            f' {{"QueryRetrieveLevel": "STUDY", "PatientName": "DOE*"}}; got {shown(given)}'
        )
    data_set = DataSet()
    for key, value in given.items():
        if isinstance(value, Mapping) and not isinstance(value, DataSet):
            data_set[key] = [_made(value)]
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            data_set[key] = [item if isinstance(item, DataSet) else _made(item) for item in value]
        else:
            data_set[key] = value
    return data_set


def _check(data_set: DataSet, vrs: frozenset[str]) -> None:
    for element in data_set.elements():
        if element.vr == "SQ":
            for item in element.values:
                _check(item, vrs)
        elif element.vr in vrs:
            _check_values(element)


def _check_values(element: DataElement) -> None:
    pattern, form = _FORMS[element.vr]
    for value in element.values:
        text = str(value).strip(" \0")
        if text not in {"", "*"} and not pattern.fullmatch(text):
            raise ValueError(
                f"{element.keyword or element.tag}: expected {form}; got {text!r}, which can match"
                f" nothing{_hint(element.vr, text, pattern)}"
            )


def _hint(vr: str, text: str, pattern: re.Pattern[str]) -> str:
    meant = re.sub(r"[-./: T]", "", text)
    if vr in {"DA", "TM", "DT"} and pattern.fullmatch(meant):
        return f"; {meant} would be right"
    return ""
