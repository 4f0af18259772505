"""The DICOM JSON Model, both ways (PS3.18 Annex F).

Values keep what they mean: numbers are JSON numbers, person names objects, bytes base64 or a
URI that the caller provides. Bytes that are no value of their VR (of another length, or text that
is no number) are given as those of a UN, so that whatever is written can be read. NaN and the
infinities of FL and FD, which JSON has no numbers for, are the strings "NaN", "Infinity" and
"-Infinity"; without quotes they are no JSON. The text of a DS or IS survives on request. File meta
and group lengths have no place in the model.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import DataSet, Path, Sequence, element_of
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dataset.whole import settled_values
from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.scan.layout import ITEM
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.noted_list import NotedList
from dicom_actors.data.values.number_strings import PADDING, number_of
from dicom_actors.data.values.value_types import DS, PersonName
from dicom_actors.errors import DataError, DecodeError, EncodeError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_actors.data.dataset.data_set import DataElement

    BulkDataUri = Callable[[Path, DataElement], str | None]
    ReadBulkData = Callable[[str], bytes]

__all__ = ["from_json", "from_json_dict", "to_json", "to_json_dict"]

_MAX_DEPTH: Final = 64  # that of the decoder
_CHARACTER_SET: Final = 0x00080005
_PIXEL_DATA: Final = 0x7FE00010
_EXACT_IN_A_DOUBLE: Final = 1 << 53
_NO_BULK_DATA: Final = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DT", "LO", "PN", "SH", "SQ", "TM", "UI", "UR"}
)
_INTEGERS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_TEXT: Final = frozenset(vr.value for vr in VR if vr.is_text and vr not in {"DS", "IS", "PN"})
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS_AS_TEXT: Final = frozenset({"DS", "IS"})
_FILE_META: Final = 0x0002
_HEX_DIGITS: Final = frozenset("0123456789ABCDEFabcdef")
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_GROUP_NAMES: Final = frozenset(_GROUPS)
_FORMS: Final = ("Value", "BulkDataURI", "InlineBinary")
_FORMS_FOLDED: Final = frozenset(map(str.casefold, _FORMS))


# --- data set to JSON ----------------------------------------------------------------------


def to_json(
    data_set: DataSet,
    *,
    bulk_data_uri: BulkDataUri | None = None,
    keep_number_text: bool = False,
    indent: int | None = None,
) -> str:
    """Return a data set as text in the DICOM JSON Model.

    Args:
        data_set: the data set.
        bulk_data_uri: see `to_json_dict`.
        keep_number_text: see `to_json_dict`.
        indent: by how many spaces a level is indented; None puts all in one line.

    Raises:
        EncodeError: sequences are nested too deep, or a DS that was put in is no finite number.
        DecodeError: a sequence that was read goes beyond a limit.
    """
    model = to_json_dict(data_set, bulk_data_uri=bulk_data_uri, keep_number_text=keep_number_text)
    return json.dumps(model, ensure_ascii=False, allow_nan=False, indent=indent)


def to_json_dict(
    data_set: DataSet,
    *,
    bulk_data_uri: BulkDataUri | None = None,
    keep_number_text: bool = False,
) -> dict[str, Any]:
    """Return a data set as the object of the DICOM JSON Model, for `json.dumps`.

    Args:
        data_set: the data set.
        bulk_data_uri: called with the path and the element for each one whose VR may be given
            by a URI; what it returns is written as BulkDataURI, and for None the value itself.
        keep_number_text: whether a DS or IS whose text a JSON number would not bring back, such
            as ``1.50``, is written as a string. PS3.18 F.2.3 allows that; not all readers do.

    Returns:
        Attributes by tag, in tag order.

    Raises:
        EncodeError: sequences are nested too deep, or a DS that was put in is no finite number.
        DecodeError: a sequence that was read goes beyond a limit.
    """
    return _Writer(bulk_data_uri, keep_number_text=keep_number_text).data_set(data_set, ())


class _Writer:
    def __init__(self, bulk_data_uri: BulkDataUri | None, *, keep_number_text: bool) -> None:
        self._bulk_data_uri = bulk_data_uri
        self._keep_number_text = keep_number_text

    def data_set(self, data_set: DataSet, prefix: tuple[Any, ...]) -> dict[str, Any]:
        if len(prefix) > 2 * _MAX_DEPTH:
            raise EncodeError(f"sequences nested deeper than {_MAX_DEPTH}")
        made: dict[str, Any] = {}
        content = content_of(data_set)
        content.decode_usual()
        values, element_at = content.values, content.element_at
        vr_of_empty = content.vr_of_empty
        found: list[tuple[int, Any]] = list(content.sorted_index().items())
        for tag, item in found:
            # Group lengths have no place there (PS3.18 F.2.2), nor has what belongs to a file.
            if not tag & 0xFFFF or (tag >> 16 == _FILE_META and not prefix):
                continue
            if type(item) is not int:
                made[f"{tag:08X}"] = self._attribute(item, (*prefix, item.tag))
            elif values.get(tag) is None and (vr := vr_of_empty(tag, item)) is not None:
                made[f"{tag:08X}"] = {"vr": vr}
            else:
                element = element_at(tag, item)
                made[f"{tag:08X}"] = self._attribute(element, (*prefix, element.tag))
        return made

    def _attribute(self, element: DataElement, path: tuple[Any, ...]) -> dict[str, Any]:
        vr = element.vr
        if self._bulk_data_uri is not None and element.unread is not None:
            uri = self._bulk_data_uri(Path(path), element)  # asked first, so that it stays unread
            if uri is not None:
                return {"vr": str(vr), "BulkDataURI": uri}
        held = element.value
        if held is None:
            return {"vr": str(vr)}
        if isinstance(held, Sequence) or (vr == "SQ" and element.is_empty):
            # An undefined length makes a sequence of any VR.
            attribute: dict[str, Any] = {"vr": "SQ"}
            items = held or ()
            value = [self.data_set(item, (*path, number)) for number, item in enumerate(items)]
            return {**attribute, "Value": value} if value else attribute
        attribute = {"vr": str(vr)}
        if self._bulk_data_uri is not None and vr not in _NO_BULK_DATA and not element.is_empty:
            uri = self._bulk_data_uri(Path(path), element)
            if uri is not None:
                return {**attribute, "BulkDataURI": uri}
        values = element.values if vr not in _NUMBERS_AS_TEXT else settled_values(element)
        if not values:
            return attribute
        if isinstance(values[0], EncapsulatedPixelData):
            attribute = {"vr": "OB"}  # whatever it came as (PS3.5 A.4)
            values = [b"".join(values[0].encoded())]
        if isinstance(values[0], bytes | memoryview) and len(values) == 1:
            if vr not in _BINARY:
                attribute = {"vr": "UN"}  # of a length that is none of its VR
            if not values[0]:
                return attribute  # no fragment at all is read as no value
            return {**attribute, "InlineBinary": b64encode(values[0]).decode("ascii")}
        if vr in _NUMBERS_AS_TEXT and not all(map(_is_number, values)):
            return _as_unknown(element, path)
        try:
            models = [self._value(value) for value in values]
        except EncodeError as error:
            raise EncodeError(str(error), tag=element.tag, path=(str(Path(path)),)) from error
        return attribute if models == [None] else {**attribute, "Value": models}

    def _value(self, value: Any) -> Any:
        if isinstance(value, PersonName):
            # What is one group too many stays, behind the equals sign that it came with.
            groups = [group.strip(" ") for group in value.split("=", len(_GROUPS) - 1)]
            groups += [""] * (len(_GROUPS) - len(groups))
            pairs = zip(_GROUPS, groups, strict=True)
            return {name: str(group) for name, group in pairs if group} or None
        if isinstance(value, str):
            return str(value) or None
        if isinstance(value, Tag):
            return f"{value:08X}"
        if isinstance(value, float):
            return self._float(value)
        if isinstance(value, int):
            return self._integer(value)
        if value is None:
            return value
        raise EncodeError(f"expected a value that JSON has, got {shown(value)}")

    def _float(self, value: float) -> float | int | str:
        text = getattr(value, "text", None)  # what DS has
        if not isfinite(value):
            return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if text is None:
            return float(value)
        number = int(value) if text.lstrip("-").isdecimal() and text.isascii() else float(value)
        # As a number, it comes back with the text that is made of that.
        return text if self._keep_number_text and DS(number).text != text else number

    def _integer(self, value: int) -> int | str:
        number, text = int(value), getattr(value, "text", None)  # what IS has
        # Where the text is no integer (`50.0`), what was made of it is.
        if (
            self._keep_number_text
            and text is not None
            and str(number) != text
            and _is_integer(text)
        ):
            return str(text)
        # A reader that has only doubles would lose digits; PS3.18 F.2.3 allows strings there.
        return number if abs(number) <= _EXACT_IN_A_DOUBLE else str(number)


def _is_integer(text: Any) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    """Whether a value of a DS or IS is what JSON has for it; one that is absent is."""
    return value is None or (isinstance(value, int | float) and isfinite(value))


def _as_unknown(element: DataElement, path: tuple[Any, ...]) -> dict[str, Any]:
    """Give the bytes of an element whose text is no number, since JSON has none for it."""
    value, raw = element.value, element.raw
    if raw is None or (isinstance(value, NotedList) and value.is_changed):
        texts: list[Any] = [
            "" if one is None else getattr(one, "text", one)
            for one in (value if isinstance(value, list) else [value])
        ]
        if not all(isinstance(text, str) for text in texts):
            raise EncodeError(
                f"expected numbers, got {shown(value)}, which JSON does not have",
                tag=element.tag,
                path=(str(Path(path)),),
            )
        # Taken over from what was read: its text is all that there is.
        raw = "\\".join(texts).encode("utf-8", "surrogatepass")
        raw += b" " * (len(raw) % 2)
    return {"vr": "UN", "InlineBinary": b64encode(raw).decode("ascii")}


# --- JSON to data set ----------------------------------------------------------------------


def from_json(text: str | bytes, *, bulk_data: ReadBulkData | None = None) -> DataSet:
    """Read a data set from text in the DICOM JSON Model.

    Args:
        text: one object, or an array of one; bytes are UTF-8.
        bulk_data: see `from_json_dict`.

    Raises:
        DecodeError: the text is no JSON, or the JSON no data set.
    """
    try:
        model = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise DecodeError(f"no JSON: {error.msg}", offset=error.pos) from error
    except DecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"no JSON that can be read: {error}") from error
    if isinstance(model, list):
        if len(model) != 1:
            raise DecodeError(f"expected one data set, got an array of {len(model)}")
        model = model[0]
    return from_json_dict(model, bulk_data=bulk_data)


def _no_constant(name: str) -> float:
    """Refuse what is no JSON: NaN and infinities that are not in quotes."""
    raise DecodeError(f"no JSON: {name}")


def from_json_dict(model: Mapping[str, Any], *, bulk_data: ReadBulkData | None = None) -> DataSet:
    """Read a data set from an object of the DICOM JSON Model, as `json.loads` gives it.

    Text beyond ASCII needs a character set when the data set is encoded: where the object has
    none, Specific Character Set becomes ISO_IR 192.

    Args:
        model: attributes by tag; those of group 0002 become file meta.
        bulk_data: called with each BulkDataURI for the bytes of the value, in little endian;
            ``lambda uri: b""`` leaves such elements empty. None: they are an error.

    Raises:
        DecodeError: the object is no data set; the error has the path to what is wrong.
    """
    data_set = _Reader(bulk_data).data_set(model, ())
    if _CHARACTER_SET not in data_set and _has_more_than_ascii(data_set):
        data_set.put(_CHARACTER_SET, "CS", "ISO_IR 192")
    return data_set


class _Reader:
    def __init__(self, bulk_data: ReadBulkData | None) -> None:
        self._bulk_data = bulk_data

    def data_set(self, model: Any, path: tuple[str, ...]) -> DataSet:
        if not isinstance(model, dict):
            raise DecodeError(f"expected an object, got {shown(model)}", path=path)
        if len(path) > _MAX_DEPTH:
            raise DecodeError(f"sequences nested deeper than {_MAX_DEPTH}", path=path[:3])
        data_set = DataSet()
        for name in sorted(model, key=str):
            tag = _tag(name, path)
            holder = data_set.file_meta if tag.group == 0x0002 and not path else data_set
            try:
                vr, value = self._attribute(holder, tag, model[name], path)
                if vr in _NUMBERS_AS_TEXT and _is_text_as_read(vr, value):
                    holder.put_element(element_of(tag, vr, _numbers(vr, value)))
                else:
                    holder.put(tag, vr, value)
            except DecodeError:
                raise
            except (DataError, ValueError) as error:
                message = str(error).removesuffix(f" [tag {tag}]")
                raise DecodeError(message, tag=tag, path=path) from error
        return data_set

    def _attribute(
        self, holder: DataSet, tag: Tag, attribute: Any, path: tuple[str, ...]
    ) -> tuple[str, Any]:
        if not isinstance(attribute, dict):
            raise DecodeError(f"expected an object, got {shown(attribute)}", tag=tag, path=path)
        vr = attribute.get("vr")
        if vr is None:
            vr = content_of(holder).dictionary_vr(tag)
        elif not isinstance(vr, str) or vr not in VR.__members__:
            raise DecodeError(f"expected a VR, got {shown(vr)}", tag=tag, path=path)
        forms = [form for form in _FORMS if form in attribute]
        if len(forms) > 1:
            raise DecodeError(f"expected one of {' and '.join(forms)}", tag=tag, path=path)
        if not forms:
            if misspelt := [name for name, held in attribute.items() if _looks_held(name, held)]:
                message = f"expected Value, BulkDataURI or InlineBinary, got {shown(misspelt[0])}"
                raise DecodeError(message, tag=tag, path=path)
            return vr, None
        given = attribute[forms[0]]
        if forms[0] == "Value":
            if not isinstance(given, list):
                raise DecodeError(f"expected an array, got {shown(given)}", tag=tag, path=path)
            return vr, self._values(tag, vr, given, path)
        raw = self._bytes(tag, forms[0], given, path)
        return vr, _encapsulated(raw) if tag == _PIXEL_DATA else raw

    def _values(self, tag: Tag, vr: str, values: list[Any], path: tuple[str, ...]) -> Any:
        if vr == "SQ":
            label = tag.keyword or str(tag)
            return [
                self.data_set({} if item is None else item, (*path, f"{label}[{number}]"))
                for number, item in enumerate(values)
            ]
        try:
            return [_value(vr, value) for value in values]
        except (TypeError, ValueError) as error:
            raise DecodeError(f"no value of {vr}: {error}", tag=tag, path=path) from error

    def _bytes(self, tag: Tag, form: str, given: Any, path: tuple[str, ...]) -> bytes:
        if not isinstance(given, str):
            raise DecodeError(f"expected a string, got {shown(given)}", tag=tag, path=path)
        if form == "InlineBinary":
            try:
                return b64decode(given, validate=True)
            except ValueError as error:
                raise DecodeError(f"no base64: {error}", tag=tag, path=path) from error
        if self._bulk_data is None:
            raise DecodeError(
                "a value given by BulkDataURI, and nothing to read it with (bulk_data)",
                tag=tag,
                path=path,
            )
        return self._bulk_data(given)


def _looks_held(name: Any, held: Any) -> bool:
    """Whether what stands beside the VR is a value under a name that the model does not have.

    Names of attributes and the like, which some writers add, say nothing that would be lost.
    """
    return isinstance(held, list) or str(name).casefold() in _FORMS_FOLDED


def _tag(name: Any, path: tuple[str, ...]) -> Tag:
    if isinstance(name, str) and len(name) == 8 and _HEX_DIGITS.issuperset(name):
        tag = Tag(int(name, 16))
        if tag >= ITEM:  # as elements they would end what they are in
            raise DecodeError("expected an element, got what delimits items", tag=tag, path=path)
        return tag
    raise DecodeError(f"expected a tag of 8 hexadecimal digits, got {shown(name)}", path=path)


def _value(vr: str, value: Any) -> Any:
    if isinstance(value, bool):
        raise TypeError("true and false are no values")
    if vr == "PN":
        return _person_name(value)
    if value is None:
        return "" if vr in _TEXT else None
    if isinstance(value, str):
        if vr == "AT":
            return Tag(value)
        if vr in _INTEGERS or vr in {"FL", "FD"}:
            if not value.isascii() or "_" in value:  # which Python reads as numbers
                raise ValueError(f"{shown(value)} is no number")
            return int(value) if vr in _INTEGERS else float(value)
        return value
    if isinstance(value, float) and vr in _INTEGERS and value.is_integer():
        return int(value)
    if isinstance(value, int | float):
        return str(value) if vr in _TEXT else value
    raise TypeError(f"got {shown(value)}")


def _is_text_as_read(vr: str, values: Any) -> bool:
    """Whether a number has a text that its VR does not allow, as some that are read have.

    It is longer, or has other white space around it than padding.
    """
    limit = VR[vr].max_length
    kinds = str if vr == "DS" else (str, int)  # numbers of DS are rounded
    return isinstance(values, list) and any(
        isinstance(value, kinds)
        and (len(str(value)) > limit or str(value).strip() != str(value).strip(PADDING))
        for value in values
    )


def _numbers(vr: str, values: list[Any]) -> Any:
    """Take numbers with their text, whatever it is: they are read, not put in."""
    numbers = [
        value if value is None else number_of(vr, str(value), _raise_value_error)
        for value in values
    ]
    return numbers if len(numbers) > 1 else numbers[0]


def _raise_value_error(message: str) -> None:
    raise ValueError(message)


def _person_name(value: Any) -> PersonName:
    if value is None:
        return PersonName()
    if isinstance(value, str):
        return PersonName.parse(value)
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {shown(value)}")
    if not _GROUP_NAMES.issuperset(value):
        raise TypeError(f"expected component groups {', '.join(_GROUPS)}, got {shown(value)}")
    groups = [value.get(name) or "" for name in _GROUPS]
    if not all(isinstance(group, str) for group in groups):
        raise TypeError(f"expected strings as component groups, got {shown(value)}")
    return PersonName(*groups)


def _encapsulated(raw: bytes) -> bytes | EncapsulatedPixelData:
    if not raw.startswith(b"\xfe\xff\x00\xe0"):
        return raw
    pixel_data = EncapsulatedPixelData.of_content(raw)
    try:
        return pixel_data if pixel_data.fragments else raw
    except DecodeError:
        return raw


def _has_more_than_ascii(data_set: DataSet) -> bool:
    return any(
        isinstance(value, str) and not value.isascii()
        for _, element in data_set.walk()
        for value in element.values
    )
