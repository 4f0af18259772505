"""Bytes to Python values and back, one pair for each VR.

A decoder gets the bytes of one element that is not empty and returns what a user sees: the
value itself where there is one, a list where there are several. An encoder gets the values and
returns the bytes, padded to an even length. What users put in is made into what decoding would
give for the same element: so a value looks the same whether it was put or read. Sequences and
encapsulated pixel data have no bytes of their own here: they are left to `dataset`.

Where bytes are no value of their VR, decoding warns and returns the next best thing: the text
of a number, the bytes of an odd size. Other words (OW, OD, OF, OL, OV) are little endian in
Python, whatever the data set is.

Standard: PS3.5 6.2 (VRs), 6.4 (several values), 7.3 (byte order).
"""

# ruff: noqa: ARG001, ARG005 - all decoders have one signature, and so have all encoders

from __future__ import annotations

import datetime as dt
from array import array
from functools import partial
from math import isfinite
from mmap import mmap
from operator import index
from struct import Struct, pack, unpack_from
from struct import error as StructError  # noqa: N812 - the module spells it in lower case
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.values.character_sets import DEFAULT, CharacterSet, TextKind
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.number_strings import NumberList, number_of
from dicom_actors.data.values.unread import PIECE, MadeBytes, UnreadBytes
from dicom_actors.data.values.value_types import (
    AS,
    DA,
    DS,
    DT,
    IS,
    TM,
    UID,
    PersonName,
)
from dicom_actors.errors import DecodeError, DicomError, EncodeError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "COMPILED_KINDS",
    "DECODERS",
    "LUT_DESCRIPTORS",
    "PADDING",
    "Decoder",
    "Holder",
    "coerce",
    "encode_value",
    "is_swapped",
    "swap",
]

Bytes = bytes | memoryview | mmap
"""What values are decoded from."""

PADDING: Final = " \0"
_COPIED_BYTES: Final = 0x10000
_CHARACTER_SET: Final = 0x00080005
_WORDS: Final = {"OW": "H", "OL": "I", "OF": "I", "OD": "Q", "OV": "Q"}


LUT_DESCRIPTORS: Final = frozenset((0x00281100, 0x00281101, 0x00281102, 0x00281103, 0x00283002))
"""In these the second value alone is signed, even where the VR is SS (PS3.3 C.7.6.3.1.5)."""


class Holder(Protocol):
    """The data set that a value is in."""

    known_character_set: CharacterSet | None
    """The same as `character_set` where that was asked for before, without a call."""

    @property
    def character_set(self) -> CharacterSet:
        """What its text is encoded in."""

    def warn(self, message: str, tag: int) -> None:
        """Note that something in the value of an element was forgiven."""

    def warns_of(self, tag: int) -> Callable[[str], None]:
        """Give what notes that later, and does not keep the data set: its value has it."""


Decoder = "Callable[[Bytes, int, int, Holder, int], Any]"
"""Takes the bytes, where the value starts and ends, the data set and the tag."""


# --- numbers -------------------------------------------------------------------------------

_NUMBERS: Final = {
    "SS": ("h", 2),
    "US": ("H", 2),
    "SL": ("i", 4),
    "UL": ("I", 4),
    "SV": ("q", 8),
    "UV": ("Q", 8),
    "FL": ("f", 4),
    "FD": ("d", 8),
}


def _number_decoder(vr: str, order: str) -> Any:
    code, size = _NUMBERS[vr]
    read_one = Struct(order + code).unpack_from

    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        length = end - start
        try:
            if length == size:
                return read_one(buffer, start)[0]
            count, rest = divmod(length, size)
            if rest:
                holder.warn(f"expected {size} bytes for each {vr}, got {length} in all", tag)
                return bytes(buffer[start:end])
            return list(unpack_from(f"{order}{count}{code}", buffer, start))
        except StructError as error:
            raise _cut_short(buffer, start, length, tag) from error

    return decode


def _signed_decoder(order: str) -> Any:
    decode_plain = _number_decoder("SS", order)

    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        value = decode_plain(buffer, start, end, holder, tag)
        if tag in LUT_DESCRIPTORS and type(value) is list:
            value[::2] = [number & 0xFFFF for number in value[::2]]
        return value

    return decode


def _cut_short(buffer: Bytes, start: int, length: int, tag: int) -> DecodeError:
    left = max(len(buffer) - start, 0)
    return DecodeError(f"expected a value of {length} bytes, {left} left", offset=start, tag=tag)


def _encode_numbers(values: Sequence[Any], vr: str, order: str) -> bytes:
    code, _ = _NUMBERS[vr]
    try:
        return pack(f"{order}{len(values)}{code}", *values)
    except (StructError, OverflowError, TypeError) as error:
        raise EncodeError(f"expected values of {vr}, got {shown(list(values))}: {error}") from error


def _tag_decoder(order: str) -> Any:
    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        count, rest = divmod(end - start, 4)
        if rest:
            holder.warn(f"expected 4 bytes for each AT, got {end - start} in all", tag)
            return bytes(buffer[start:end])
        try:
            words = unpack_from(f"{order}{2 * count}H", buffer, start)
        except StructError as error:
            raise _cut_short(buffer, start, end - start, tag) from error
        tags = [Tag(words[at] << 16 | words[at + 1]) for at in range(0, 2 * count, 2)]
        return tags[0] if count == 1 else tags

    return decode


def _encode_tags(values: Sequence[Any], order: str) -> bytes:
    try:
        words = [part for value in values for part in (value >> 16, value & 0xFFFF)]
        return pack(f"{order}{len(words)}H", *words)
    except (StructError, TypeError) as error:
        raise EncodeError(f"expected tags, got {shown(list(values))}: {error}") from error


# --- bytes ---------------------------------------------------------------------------------


def _decode_bytes(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
    if end - start <= _COPIED_BYTES:
        return bytes(buffer[start:end])
    return memoryview(buffer)[start:end].toreadonly()


def _word_decoder(vr: str) -> Any:
    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        return swap(vr, buffer[start:end])

    return decode


def is_swapped(vr: str) -> bool:
    """Whether the bytes of a VR depend on the byte order."""
    return vr in _WORDS or vr in _NUMBERS or vr == "AT"


def swap(vr: str, raw: Bytes) -> bytes:
    """Change the byte order of a value; a rest that is no whole word stays as it is."""
    if vr == "AT":
        code = "H"
    elif vr in _WORDS:
        code = _WORDS[vr]
    elif vr in _NUMBERS:
        code = {2: "H", 4: "I", 8: "Q"}[_NUMBERS[vr][1]]
    else:
        return bytes(raw)
    words = array(code)
    whole = len(raw) - len(raw) % words.itemsize
    words.frombytes(raw[:whole])
    words.byteswap()
    return words.tobytes() + bytes(raw[whole:])


def swapped(vr: str, raw: UnreadBytes | bytes | memoryview) -> UnreadBytes:
    """Change the byte order of a value piece by piece, as it is read; see `swap`."""

    def make(number: int) -> bytes:
        piece = raw[number * PIECE : (number + 1) * PIECE]
        return swap(vr, piece.read() if isinstance(piece, UnreadBytes) else piece)

    return MadeBytes(len(raw), PIECE, make)


# --- text ----------------------------------------------------------------------------------


def _ascii(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> str:
    raw = bytes(buffer[start:end])
    # What declares a character set is not in it.
    characters = DEFAULT if tag == _CHARACTER_SET else holder.character_set
    text, problem = characters.decode(raw, TextKind.VALUES)
    holder.warn(problem or "characters beyond the default repertoire", tag)
    return text


def _text_decoder(make: Callable[[str], Any] | None = None) -> Any:
    """Make a decoder for VRs of the default repertoire, whose values may be delimited."""

    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        try:
            text = str(buffer[start:end], "ascii")
        except UnicodeDecodeError:
            text = _ascii(buffer, start, end, holder, tag)
        if "\\" in text:
            parts = [part.strip(PADDING) for part in text.split("\\")]
            return parts if make is None else [make(part) for part in parts]
        text = text.strip(PADDING)
        return text if make is None else make(text)

    return decode


def _character_decoder(
    kind: TextKind, *, is_delimited: bool, keeps_leading: bool, make: Callable[[str], Any] | None
) -> Any:
    """Make a decoder for VRs to which Specific Character Set applies."""
    strip: Callable[[str, str], str] = str.rstrip if keeps_leading else str.strip

    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        characters = holder.known_character_set or holder.character_set
        text: str | None = None
        if characters.codec is not None:
            try:
                text = str(buffer[start:end], characters.codec)
            except UnicodeDecodeError:
                text = None
        if text is None:
            text, problem = characters.decode(bytes(buffer[start:end]), kind)
            if problem is not None:
                holder.warn(problem, tag)
        if is_delimited and "\\" in text:
            parts = [strip(part, PADDING) for part in text.split("\\")]
            return parts if make is None else [make(part) for part in parts]
        text = strip(text, PADDING)
        return text if make is None else make(text)

    return decode


def _decode_url(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> str:
    try:
        return str(buffer[start:end], "ascii").rstrip(PADDING)
    except UnicodeDecodeError:
        return _ascii(buffer, start, end, holder, tag).rstrip(PADDING)


_make_person_name = partial(str.__new__, PersonName)


# --- numbers as text -----------------------------------------------------------------------

_MANY_NUMBERS: Final = 16
"""Elements of more values are made into numbers a few at a time."""


def _number_string_decoder(vr: str, new: Callable[[str], Any]) -> Any:
    is_real = vr == "DS"  # which may be infinite, too

    def one_by_one(text: str, holder: Holder, tag: int) -> Any:
        """Make what there is of each, and warn of those that are no numbers."""
        text = text.rstrip(PADDING)
        if text.count("\\") >= _MANY_NUMBERS:
            return NumberList(vr, text, holder.warns_of(tag))
        warn = partial(_warn_of, holder, tag)
        numbers = [number_of(vr, part, warn) for part in text.split("\\")]
        return numbers if len(numbers) > 1 else numbers[0]

    def decode(buffer: Bytes, start: int, end: int, holder: Holder, tag: int) -> Any:
        try:
            text = str(buffer[start:end], "ascii")
        except UnicodeDecodeError:
            # Python knows more digits than DICOM does.
            return one_by_one(_ascii(buffer, start, end, holder, tag), holder, tag)
        if "\\" not in text:
            text = text.strip(PADDING)
            try:
                number = new(text)
            except ValueError:
                return one_by_one(text, holder, tag)
            if "_" in text or (is_real and not isfinite(number)):
                return one_by_one(text, holder, tag)
            number._text = text  # noqa: SLF001 - this is its decoder
            return number
        text = text.rstrip(PADDING)
        if text.count("\\") >= _MANY_NUMBERS:
            return NumberList(vr, text, holder.warns_of(tag))
        numbers = []
        try:
            for part in text.split("\\"):
                number = new(part)
                number._text = part  # noqa: SLF001 - as above
                numbers.append(number)
        except ValueError:
            return one_by_one(text, holder, tag)
        if "_" in text or (is_real and not all(map(isfinite, numbers))):
            return one_by_one(text, holder, tag)
        return numbers

    return decode


def _warn_of(holder: Holder, tag: int, message: str) -> None:
    holder.warn(message, tag)


def _encode_text(values: Sequence[Any]) -> bytes:
    try:
        return "\\".join(values).encode("ascii")
    except UnicodeEncodeError as error:
        raise EncodeError(f"expected ASCII characters, got {shown(values)}") from error
    except TypeError as error:
        raise EncodeError(f"expected text, got {shown(values)}") from error


_BYTES: Final = (bytes, bytearray, memoryview)
_NUMBER_STRINGS: Final = (DS, IS)


def _encode_number_strings(values: Sequence[Any], vr: str) -> bytes:
    if isinstance(values, NumberList) and values.text is not None:
        return _encode_text([values.text])
    parts = []
    for value in values:
        if value is None or isinstance(value, str):
            parts.append(value or "")
            continue
        try:
            made = value if isinstance(value, _NUMBER_STRINGS) else _MAKERS[vr](value)
            parts.append(made.text)
        except (ValueError, TypeError, OverflowError) as error:
            raise EncodeError(f"expected a number as {vr}, got {shown(value)}: {error}") from error
    return _encode_text(parts)


# --- the tables ----------------------------------------------------------------------------

_KINDS: Final = {
    "LO": (TextKind.VALUES, True, False, None),
    "SH": (TextKind.VALUES, True, False, None),
    "UC": (TextKind.VALUES, True, True, None),
    "LT": (TextKind.TEXT, False, True, None),
    "ST": (TextKind.TEXT, False, True, None),
    "UT": (TextKind.TEXT, False, True, None),
    "PN": (TextKind.PERSON_NAME, True, False, _make_person_name),
}


def _decoders(order: str) -> dict[str, Any]:
    table: dict[str, Any] = {vr: _number_decoder(vr, order) for vr in _NUMBERS}
    table["SS"] = _signed_decoder(order)
    table["AT"] = _tag_decoder(order)
    for vr in ("OB", "UN", "OW", "OD", "OF", "OL", "OV"):
        table[vr] = _decode_bytes if order == "<" or vr not in _WORDS else _word_decoder(vr)
    for vr in ("AE", "CS"):
        table[vr] = _text_decoder()
    for text_class in (AS, DA, DT, TM, UID):
        vr = text_class.__name__ if text_class is not UID else "UI"
        table[vr] = _text_decoder(text_class)
    for vr, (kind, is_delimited, keeps_leading, make) in _KINDS.items():
        table[vr] = _character_decoder(
            kind, is_delimited=is_delimited, keeps_leading=keeps_leading, make=make
        )
    table["UR"] = _decode_url
    table["DS"] = _number_string_decoder("DS", DS)
    table["IS"] = _number_string_decoder("IS", IS)
    return table


DECODERS: Final[dict[str, dict[str, Any]]] = {"<": _decoders("<"), ">": _decoders(">")}
"""By byte order and VR: the decoder of values that are not empty. SQ has none."""

COMPILED_KINDS: Final = (AS, DA, DT, TM, UID, PersonName, DS, IS)
"""What the compiled part of the scan makes values as, in its order."""


def _character_encoder(kind: TextKind) -> Any:
    def encode(values: Sequence[Any], order: str, characters: CharacterSet) -> bytes:
        try:
            text = values[0] if len(values) == 1 else "\\".join(values)
            return characters.encode(text, kind)
        except (TypeError, AttributeError) as error:
            raise EncodeError(f"expected text, got {shown(values)}") from error

    return encode


def _no_encoder(vr: str) -> Any:
    def encode(values: Sequence[Any], order: str, characters: CharacterSet) -> bytes:
        raise EncodeError(f"expected bytes for {vr}, got {shown(values[0])}")

    return encode


_ASCII_VRS: Final = ("AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR")
_TEXT_VRS: Final = frozenset({*_ASCII_VRS, *_KINDS, "DS", "IS"})
_ENCODERS: Final[dict[str, Any]] = {
    **{vr: _no_encoder(vr) for vr in ("OB", "UN", *_WORDS)},
    **{vr: _character_encoder(kind) for vr, (kind, *_) in _KINDS.items()},
    **{
        vr: lambda values, order, characters, vr=vr: _encode_numbers(values, vr, order)
        for vr in _NUMBERS
    },
    **dict.fromkeys(
        _ASCII_VRS,
        lambda values, order, characters: _encode_text(values),
    ),
    "DS": lambda values, order, characters: _encode_number_strings(values, "DS"),
    "IS": lambda values, order, characters: _encode_number_strings(values, "IS"),
    "AT": lambda values, order, characters: _encode_tags(values, order),
}
_PADDING_BYTES: Final = {vr.value: vr.padding for vr in VR}


def encode_value(
    vr: str, value: Any, order: str, character_set: CharacterSet, tag: int
) -> bytes | memoryview | UnreadBytes:
    """Encode the value of an element that is no sequence.

    Args:
        vr: its VR.
        value: its value, a list of several, None for an empty element; bytes stand for
            themselves in any VR.
        order: the byte order, ``"<"`` or ``">"``.
        character_set: what text is encoded in, where that depends on it.
        tag: the element.

    Returns:
        The bytes, of even length; those that are not read stay so, and may be odd.

    Raises:
        EncodeError: a value is none of this VR, or has a character that the set lacks.
    """
    raw: bytes | memoryview | UnreadBytes
    text = value.text if type(value) is IS else value
    has_ascii = vr in _TEXT_VRS and character_set.codec is not None
    if has_ascii and isinstance(text, str) and text.isascii():
        raw = text.encode()
        return raw + _PADDING_BYTES[vr] if len(raw) & 1 else raw
    values = value if isinstance(value, list) else [value]
    if value is None or not values:
        return b""
    try:
        raw = _encode(vr, values, order, character_set, tag)
    except EncodeError as error:
        raise EncodeError(str(error), tag=tag) from error
    if type(raw) is not bytes and isinstance(raw, UnreadBytes):
        return raw
    return bytes(raw) + _PADDING_BYTES[vr] if len(raw) & 1 else raw


class _InUtf8:
    """A data set whose text is UTF-8."""

    known_character_set = character_set = CharacterSet.of(("ISO_IR 192",))

    def warn(self, message: str, tag: int) -> None:
        """Tell nobody."""

    def warns_of(self, tag: int) -> Callable[[str], None]:
        """As `warn`."""
        return partial(self.warn, tag=tag)


_IN_UTF_8: Final = _InUtf8()


def settled(vr: str, value: Any, tag: int) -> Any:
    """Return what a value is read as once it is written.

    A list that a data set handed out can be changed to anything: an empty one is read as None, a
    text with a backslash as two.

    Args:
        vr: the VR, not SQ.
        value: the value, or a list of several.
        tag: the element.

    Raises:
        EncodeError: it cannot be written.
    """
    raw = encode_value(vr, value, "<", _IN_UTF_8.character_set, tag)
    return DECODERS["<"][vr](raw, 0, len(raw), _IN_UTF_8, tag) if len(raw) else None


def _encode(
    vr: str, values: Sequence[Any], order: str, character_set: CharacterSet, tag: int
) -> bytes | memoryview | UnreadBytes:
    first = values[0]
    if isinstance(first, UnreadBytes):
        return swapped(vr, first) if order == ">" and is_swapped(vr) else first
    if isinstance(first, _BYTES) and len(values) == 1:
        if order == ">" and is_swapped(vr):
            return swap(vr, first)  # type: ignore[arg-type]
        return bytes(first) if isinstance(first, bytearray) else first
    if vr == "SS" and tag in LUT_DESCRIPTORS:
        values = [n - 0x10000 if isinstance(n, int) and n > 0x7FFF else n for n in values]
    raw: bytes = _ENCODERS[vr](values, order, character_set)
    return raw


# --- what users put in -----------------------------------------------------------------------


_MANY: Final = (list, tuple)
_NUMBERS_AS_TEXT: Final = frozenset({"DS", "IS"})
_EMPTY: Final = ("", b"")
_SINGLE: Final = frozenset({"LT", "ST", "UT", "UR", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def coerce(vr: str, values: Any, tag: int) -> Any:
    """Turn what a user put into the value that decoding would give.

    Args:
        vr: the VR, not SQ.
        values: a value, a list or tuple of values, or None.
        tag: the element, for the error.

    Returns:
        None, one value, or a list of several.

    Raises:
        EncodeError: a value is none of the VR.
    """
    if values is None:
        return None
    make = _MAKERS[vr]
    try:
        is_delimited = isinstance(values, str) and "\\" in values
        if vr != "SS" and not is_delimited and not isinstance(values, _MANY):
            value = make(values)
            return value if value or value not in _EMPTY else None
        if vr == "AT" and type(values) is tuple and list(map(type, values)) == [int, int]:
            values = [values]  # a group and an element, as in any key
        many = list(values) if isinstance(values, _MANY) else [values]
        if vr in _TEXT:
            many = [part for value in many for part in _split(value)]
        if vr == "SS" and tag in LUT_DESCRIPTORS:
            many[::2] = map(_unsigned, many[::2])
            made = [_MAKERS["SS" if at & 1 else "US"](value) for at, value in enumerate(many)]
        else:
            made = [_empty_among(vr, many) if value is None else make(value) for value in many]
    except DicomError as error:
        raise EncodeError(str(error), tag=tag) from error
    except (ValueError, TypeError, OverflowError, StructError) as error:
        raise EncodeError(
            f"expected values of {vr}, got {shown(values)}: {error}", tag=tag
        ) from error
    if len(made) > 1:
        if vr in _SINGLE:
            raise EncodeError(f"expected one value for {vr}, got {len(made)}", tag=tag)
        return made
    return made[0] if made and made[0] not in _EMPTY else None


def _empty_among(vr: str, values: list[Any]) -> str | None:
    """Return what decoding gives for a value that is left out between others."""
    if len(values) == 1 or vr in _NUMBERS_AS_TEXT:
        return None
    if vr not in _TEXT:
        raise ValueError("None among values")
    return _MAKERS[vr]("")  # type: ignore[no-any-return]  # the maker of text


def _split(value: Any) -> list[Any]:
    return value.split("\\") if isinstance(value, str) and "\\" in value else [value]


def _text(value: Any) -> str:
    if type(value) is str:
        return value.strip(PADDING)
    if isinstance(value, str):
        return str.strip(value, PADDING)
    raise TypeError(f"{shown(value)} is no text")


def _right_text(value: Any) -> str:
    if isinstance(value, str):
        return str.rstrip(value, PADDING)
    raise TypeError(f"{shown(value)} is no text")


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
    text = _number_text(value)
    if text == "":
        return None
    made = DS(value) if text is None else DS.of(text)
    if not isfinite(made):
        raise ValueError("a DS holds finite numbers")
    if text is not None and len(made.text) > VR.DS.max_length:
        raise ValueError(f"a DS has at most {VR.DS.max_length} characters; a float is rounded")
    # The text of one that was read is kept, unless it is too long to be sent.
    return value if isinstance(value, DS) and len(value.text) <= VR.DS.max_length else made


def _number_text(value: Any) -> str | None:
    """Take a text, without its padding; None for what is none."""
    if isinstance(value, _BYTES):
        value = str(value, "ascii")
    return _plain_text(value) if isinstance(value, str) else None


def _plain_text(text: str) -> str:
    """Take a text that means a number in DICOM; Python knows more of them."""
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is no number")
    return text.strip(PADDING)


def _integer(value: Any) -> IS | None:
    text = _number_text(value)
    if text == "":
        return None
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")  # which infinity is not, either
    made = IS(value) if text is None else IS.of(text)
    if text is None and made != value:
        raise ValueError("not a whole number")
    if len(int.__repr__(made)) > VR.IS.max_length:
        raise ValueError(f"an IS has at most {VR.IS.max_length} characters")
    if text is not None and len(made.text) > VR.IS.max_length:
        raise ValueError(f"an IS has at most {VR.IS.max_length} characters, got {len(made.text)}")
    return value if isinstance(value, IS) and len(value.text) <= VR.IS.max_length else made


def _number(code: str) -> Callable[[Any], Any]:
    def integer(value: Any) -> int:
        number = index(value)
        pack(code, number)  # only for its range
        return number

    def real(value: Any) -> float:
        number = float(_plain_text(value) if isinstance(value, str) else value)
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
    **dict.fromkeys(("AE", "CS", "LO", "SH"), _text),
    "UI": lambda value: UID(_text(value)),
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
