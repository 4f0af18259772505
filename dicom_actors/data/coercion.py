r"""What users put into elements, made into what decoding would give for the same element.

So a value looks the same whether it was put or read: text of PN becomes a `PersonName`, a
`datetime.date` becomes a `DA`, a mapping in a sequence becomes a `DataSet`. Text with
backslashes is taken apart where the VR has several values.

Standard: PS3.5 6.2, 6.4.
"""

from __future__ import annotations

import datetime as dt
from operator import index
from struct import error as StructError  # noqa: N812 - the module spells it in lower case
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.encapsulated import EncapsulatedPixelData
from dicom_actors.data.number_strings import DS, IS
from dicom_actors.data.person_name import PersonName
from dicom_actors.data.sequence import Sequence, as_item
from dicom_actors.data.tag import Tag
from dicom_actors.data.temporal import AS, DA, DT, TM
from dicom_actors.data.values import LUT_DESCRIPTORS, PADDING
from dicom_actors.errors import DicomError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["coerce"]

_MANY: Final = (list, tuple)
_EMPTY: Final = ("", b"")
_SINGLE: Final = frozenset({"LT", "ST", "UT", "UR", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def coerce(vr: str, values: Any, tag: int) -> Any:
    """Turn what a user put into the value that decoding would give.

    Args:
        vr: the VR.
        values: a value, a list or tuple of values, or None.
        tag: the element, for the error.

    Returns:
        None, one value, or a list of several; for SQ always a list of data sets.

    Raises:
        EncodeError: a value is none of the VR.
    """
    if vr == "SQ":
        return _sequence(values, tag)
    if values is None:
        return None
    make = _MAKERS[vr]
    try:
        is_delimited = type(values) is str and "\\" in values
        if vr != "SS" and not is_delimited and not isinstance(values, _MANY):
            value = make(values)
            return value if value or value not in _EMPTY else None
        many = list(values) if isinstance(values, _MANY) else [values]
        if vr in _TEXT:
            many = [part for value in many for part in _split(value)]
        if vr == "SS" and tag in LUT_DESCRIPTORS:
            many[::2] = map(_unsigned, many[::2])
            made = [_MAKERS["SS" if at & 1 else "US"](value) for at, value in enumerate(many)]
        else:
            made = [None if value is None else make(value) for value in many]
    except DicomError as error:
        raise EncodeError(str(error), tag=tag) from error
    except (ValueError, TypeError, OverflowError, StructError) as error:
        raise EncodeError(f"expected values of {vr}, got {values!r}: {error}", tag=tag) from error
    if len(made) > 1:
        if vr in _SINGLE:
            raise EncodeError(f"expected one value for {vr}, got {len(made)}", tag=tag)
        return made
    return made[0] if made and made[0] not in _EMPTY else None


def _sequence(values: Any, tag: int) -> Sequence:
    if values is None:
        return Sequence()
    if isinstance(values, Sequence):
        return values
    if not isinstance(values, list | tuple):
        values = [values]
    try:
        return Sequence([as_item(value) for value in values])
    except EncodeError as error:
        if error.tag is not None:
            raise
        raise EncodeError(str(error), tag=tag) from error


def _split(value: Any) -> list[Any]:
    return value.split("\\") if type(value) is str and "\\" in value else [value]


def _text(value: Any) -> str:
    if type(value) is str:
        return value.strip(PADDING)
    if isinstance(value, str):
        return str.strip(value, PADDING)
    raise TypeError(f"{value!r} is no text")


def _right_text(value: Any) -> str:
    if isinstance(value, str):
        return str.rstrip(value, PADDING)
    raise TypeError(f"{value!r} is no text")


def _person_name(value: Any) -> PersonName:
    return PersonName.parse(_text(value))


def _age(value: Any) -> AS:
    return AS(_text(value))


def _date(value: Any) -> DA:
    return DA.of(value) if isinstance(value, dt.date) else DA(_text(value))


def _time(value: Any) -> TM:
    return TM.of(value) if isinstance(value, dt.time) else TM(_text(value))


def _date_time(value: Any) -> DT:
    return DT.of(value) if isinstance(value, dt.datetime) else DT(_text(value))


def _tag(value: Any) -> Tag:
    return value if type(value) is Tag else Tag(value)


def _decimal(value: Any) -> DS | None:
    if isinstance(value, str) and not value.strip(PADDING):
        return None
    if isinstance(value, DS):
        return value
    return DS.of(value) if isinstance(value, str) else DS(value)


def _integer(value: Any) -> IS | None:
    if isinstance(value, str) and not value.strip(PADDING):
        return None
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")
    if isinstance(value, IS):
        return value
    return IS.of(value) if isinstance(value, str) else IS(value)


def _number(code: str) -> Callable[[Any], Any]:
    def integer(value: Any) -> int:
        number = index(value)
        pack(code, number)  # only for its range
        return number

    def real(value: Any) -> float:
        number = float(value)
        pack(code, number)
        return number

    return real if code in "fd" else integer


def _unsigned(value: Any) -> Any:
    """Turn the bits of a number that was taken for signed into what is meant."""
    return value + 0x10000 if isinstance(value, int) and -0x8000 <= value < 0 else value


def _bytes(value: Any) -> bytes | memoryview | EncapsulatedPixelData:
    if isinstance(value, bytes | EncapsulatedPixelData):
        return value
    if isinstance(value, str):
        raise TypeError("text where bytes are expected")
    view = memoryview(value)
    if not view.c_contiguous:
        return view.tobytes()
    view = view.cast("B") if view.nbytes else memoryview(b"")
    return view if isinstance(value, memoryview) else bytes(view)


_MAKERS: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("AE", "CS", "LO", "SH", "UI"), _text),
    **dict.fromkeys(("LT", "ST", "UC", "UR", "UT"), _right_text),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), _bytes),
    "PN": _person_name,
    "AS": _age,
    "DA": _date,
    "TM": _time,
    "DT": _date_time,
    "AT": _tag,
    "DS": _decimal,
    "IS": _integer,
    "SS": _number("h"),
    "US": _number("H"),
    "SL": _number("i"),
    "UL": _number("I"),
    "SV": _number("q"),
    "UV": _number("Q"),
    "FL": _number("f"),
    "FD": _number("d"),
}
_TEXT: Final = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"}
)
