r"""Specific Character Set (0008,0005): bytes to text and back (PS3.3 C.12.1.1.2, PS3.5 6.1.2).

`CharacterSet` covers single-byte sets, UTF-8, GB18030 and GBK, and code extensions by the escape
sequences of ISO 2022. Splitting at backslashes is left to the caller, and comes after decoding:
in GB18030, GBK and the Japanese sets, the byte of a backslash can be the second half of a
character.

Whatever the bytes, decoding gives text; where they break the rules, it also says how:

- Bytes above 7FH where no declared set has a place for them are taken for UTF-8 if they are
  valid UTF-8, else for Latin alphabet No. 1. That goes for the default repertoire and for terms
  that nobody knows.
- Bytes that a declared set leaves undefined become U+FFFD.
- Missing designations after a delimiter (PS3.5 6.1.2.5.3) are made up from the set used before.

Encoding never guesses: a character that no declared set has is an `EncodeError`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from dicom_actors.errors import EncodeError, shown

__all__ = ["DEFAULT", "CharacterSet", "TextKind"]

# --- code elements of ISO 2022 ---------------------------------------------------------------


ASCII_HOME: Final = b"\x1b(B"
JISX_HOME: Final = b"\x1b(J"


class CodeElement(NamedTuple):
    """A set of characters that G0 (bytes 21H to 7EH) or G1 (A0H to FFH) can hold.

    Attributes:
        name: the registration, for example ``"ISO-IR 100"``.
        slot: 0 for G0, 1 for G1.
        escape: the escape sequence that designates it.
        codec: the Python codec for its bytes.
        wants_escape: whether that codec wants the escape sequence before the bytes.
        is_multi_byte: whether a character takes two bytes.
    """

    name: str
    slot: Literal[0, 1]
    escape: bytes
    codec: str
    wants_escape: bool = False
    is_multi_byte: bool = False

    def decode(self, run: bytes) -> tuple[str, str | None]:
        """Decode bytes of this set; what is undefined becomes U+FFFD and a problem."""
        data = self.escape + run if self.wants_escape else run
        try:
            return data.decode(self.codec), None
        except UnicodeDecodeError:
            return data.decode(self.codec, "replace"), f"bytes that {self.name} does not define"

    def encode(self, character: str) -> bytes:
        """Encode one character beyond ASCII, without escape; empty if the set lacks it."""
        try:
            coded = character.encode(self.codec)
        except UnicodeEncodeError:
            return b""
        if self.wants_escape:
            start = len(self.escape)
            return coded[start : start + 2] if coded.startswith(self.escape) else b""
        # The codec may know more than the set: ASCII, C1 controls, two bytes of Shift_JIS.
        if min(coded) < 0xA0 or (len(coded) > 1 and not self.is_multi_byte):
            return b""
        return coded


def _latin(number: int, final: bytes, codec: str) -> CodeElement:
    return CodeElement(f"ISO-IR {number}", 1, b"\x1b-" + final, codec)


SETS: Final[dict[str, CodeElement]] = {
    "100": _latin(100, b"A", "iso8859_1"),
    "101": _latin(101, b"B", "iso8859_2"),
    "109": _latin(109, b"C", "iso8859_3"),
    "110": _latin(110, b"D", "iso8859_4"),
    "126": _latin(126, b"F", "iso8859_7"),
    "127": _latin(127, b"G", "iso8859_6"),
    "138": _latin(138, b"H", "iso8859_8"),
    "144": _latin(144, b"L", "iso8859_5"),
    "148": _latin(148, b"M", "iso8859_9"),
    "166": _latin(166, b"T", "tis_620"),
    "203": _latin(203, b"b", "iso8859_15"),
    "13": CodeElement("ISO-IR 13", 1, b"\x1b)I", "shift_jis"),
    "58": CodeElement("ISO-IR 58", 1, b"\x1b$)A", "gb2312", is_multi_byte=True),
    "87": CodeElement(
        "ISO-IR 87", 0, b"\x1b$B", "iso2022_jp", wants_escape=True, is_multi_byte=True
    ),
    "149": CodeElement("ISO-IR 149", 1, b"\x1b$)C", "euc_kr", is_multi_byte=True),
    "159": CodeElement(
        "ISO-IR 159", 0, b"\x1b$(D", "iso2022_jp_2", wants_escape=True, is_multi_byte=True
    ),
}
"""Code elements by the number in their defined term, the default repertoire apart."""

BY_ESCAPE: Final[dict[bytes, CodeElement | None]] = {
    ASCII_HOME: None,
    JISX_HOME: None,
    **{element.escape: element for element in SETS.values()},
}
"""Code elements by escape sequence; None for the two that are ASCII in G0 but for two signs."""


# --- character sets --------------------------------------------------------------------------


class TextKind(Enum):
    """What a text is, which decides where code extensions end; the value is the delimiters."""

    TEXT = "\t\n\f\r"
    """One value that may have lines: LT, ST, UT."""
    VALUES = "\t\n\f\r\\"
    r"""Values between backslashes: LO, SH, UC."""
    PERSON_NAME = "\t\n\f\r\\^="
    """Values between backslashes, their groups and components: PN."""


STAND_ALONE: Final = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
# Compiled when first used: that would be a part of the time to import this.
_TERM: Final = r"ISO[ _-]?(2022)?[ _-]*IR[ _-]?(\d{1,3})"
_TOKEN: Final = (
    rb"\x1b(?P<escape>\([BJ]|\)I|-[ABCDFGHLMTb]|\$B|\$\(D|\$\)[AC])"
    rb"|(?P<low>[\x21-\x7e]+)|(?P<high>[\x80-\xff]+)"
    rb"|(?P<control>[\x00-\x1a\x1c-\x20\x7f]+)|(?P<stray>\x1b)"
)


class CharacterSet:
    """The character set in effect for the text of a data set; immutable.

    Attributes:
        terms: the values of Specific Character Set that it was made from.
        codec: the Python codec that alone decodes and encodes any text, None where escape
            sequences or checks are needed.
        problem: what is wrong with the terms themselves, None if nothing is.
    """

    __slots__ = ("_elements", "_home", "_initial", "codec", "problem", "terms")

    terms: tuple[str, ...]
    codec: str | None
    problem: str | None
    _elements: tuple[CodeElement, ...]  # all that escape sequences may designate, as declared
    _initial: CodeElement | None  # G1 at the start of a value
    _home: bytes  # what brings G0 back to its state at the start of a value

    @staticmethod
    @lru_cache(maxsize=64)
    def of(terms: tuple[str, ...]) -> CharacterSet:
        """Return the character set of the values of Specific Character Set (0008,0005).

        Args:
            terms: the values without padding; an empty tuple where the element is absent.
                Misspelled terms are understood where their sense is clear; see `problem`.
        """
        return CharacterSet(terms)

    def __init__(self, terms: tuple[str, ...]) -> None:
        """Use `CharacterSet.of`, which keeps those in use.

        Args:
            terms: the values of Specific Character Set without padding.
        """
        if not all(isinstance(term, str) for term in terms):
            raise TypeError(f"expected terms of Specific Character Set, got {shown(terms)}")
        self.terms = terms
        self._elements, self._initial, self._home = (), None, ASCII_HOME
        names, problems = _normalize(terms)
        if names[0] in STAND_ALONE:
            self.codec = STAND_ALONE[names[0]]
        elif len(names) == 1 and not names[0].startswith("ISO 2022"):
            only = SETS.get(names[0].removeprefix("ISO_IR "))
            if only is None:
                self.codec = "ascii"
            else:
                # Shift_JIS has more than ISO-IR 13, so that one is checked.
                self.codec = None if only.codec == "shift_jis" else only.codec
                self._elements, self._initial = (only,), only
        else:
            self.codec = None
            numbers = [name.rpartition(" ")[2] for name in names]
            self._elements = tuple(SETS[number] for number in numbers if number in SETS)
            first = SETS.get(numbers[0])
            self._initial = first if first is not None and first.slot == 1 else None
            self._home = JISX_HOME if numbers[0] == "13" else ASCII_HOME
        self.problem = "; ".join(problems) or None

    def __repr__(self) -> str:
        return f"CharacterSet({self.terms!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharacterSet) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __reduce__(self) -> tuple[object, ...]:
        return CharacterSet.of, (self.terms,)

    # --- decoding --------------------------------------------------------------------------

    def decode(self, raw: bytes, kind: TextKind) -> tuple[str, str | None]:
        """Decode the text of an element, all its values at once.

        Args:
            raw: the bytes; padding is kept.
            kind: what the text is.

        Returns:
            The text, and what was wrong with the bytes (None if nothing was).
        """
        if self.codec is None and b"\x1b" in raw:
            return self._decode_extended(raw, kind)
        codec = self.codec or (self._initial.codec if self._initial else "ascii")
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError as error:
            if codec != "ascii":
                return raw.decode(codec, "replace"), _invalid(error, codec)
            if self._elements:  # high bytes without a designation
                return self._decode_extended(raw, kind)
            return _guess(raw)
        if codec == "shift_jis" and len(text) != len(raw):
            return text, "two-byte characters in ISO-IR 13, read as Shift_JIS"
        return text, None

    def _decode_extended(self, raw: bytes, kind: TextKind) -> tuple[str, str | None]:
        parts: list[str] = []
        problem: str | None = None
        g0: CodeElement | None = None  # None: ASCII or ISO-IR 14, which Python reads alike
        g1 = last = self._initial
        for token in re.finditer(_TOKEN, raw):
            found = token.lastgroup
            run = token[0]
            if found == "escape":
                element = BY_ESCAPE[run]
                if element is None:
                    g0 = None
                elif element.slot == 0:
                    g0 = element
                else:
                    g1 = last = element
                if element is not None and element not in self._elements:
                    problem = problem or f"{element.name} is used and not declared"
            elif found == "high":
                element = g1 or last or self._only_high()
                if g1 is None:
                    problem = problem or "bytes above 7FH before a set is designated for them"
                text, trouble = element.decode(run) if element else _guess(run)
                parts.append(text)
                problem = problem or trouble
            elif found == "low" and g0 is not None:
                text, trouble = g0.decode(run)
                parts.append(text)
                problem = problem or trouble
            else:
                text = run.decode("ascii")
                parts.append(text)
                if found == "stray":
                    problem = problem or f"unknown escape sequence at byte {token.start()}"
                elif not set(kind.value).isdisjoint(text):
                    g0, g1 = None, self._initial
        return "".join(parts), problem

    def _only_high(self) -> CodeElement | None:
        return next((element for element in self._elements if element.slot == 1), None)

    # --- encoding --------------------------------------------------------------------------

    def encode(self, text: str, kind: TextKind) -> bytes:
        """Encode the text of an element, all its values at once.

        Args:
            text: the values, joined by backslashes where `kind` has several; no padding is added.
            kind: what the text is.

        Returns:
            The bytes; escape sequences are put in where the set changes, and the state at the
            start of a value is restored before each delimiter and at the end.

        Raises:
            EncodeError: no declared set has one of the characters.
        """
        try:
            if self.codec is not None:
                return text.encode(self.codec)
            if text.isascii() and "\x1b" not in text:
                return text.encode("ascii")
        except UnicodeEncodeError as error:
            raise self._not_encodable(text, error.start) from error
        return self._encode_extended(text, kind)

    def _encode_extended(self, text: str, kind: TextKind) -> bytes:
        out = bytearray()
        g0: CodeElement | None = None
        g1 = self._initial
        for position, character in enumerate(text):
            if character < "\x80":
                if character == "\x1b":
                    raise self._not_encodable(text, position)
                if g0 is not None:
                    out += self._home
                    g0 = None
                if character in kind.value and g1 is not self._initial:
                    out += self._initial.escape if self._initial else b""
                    g1 = self._initial
                out += character.encode("ascii")
                continue
            element, coded = self._place(character, g0, g1) or (None, b"")
            if element is None:
                raise self._not_encodable(text, position)
            if element.slot == 0:
                out += b"" if g0 is element else element.escape
                g0 = element
            else:
                # G1 could be used beside a multi-byte G0, but few readers expect that.
                out += b"" if g0 is None else self._home
                out += b"" if g1 is element else element.escape
                g0, g1 = None, element
            out += coded
        if g0 is not None:
            out += self._home
        if g1 is not self._initial and self._initial is not None:
            out += self._initial.escape
        return bytes(out)

    def _place(
        self, character: str, g0: CodeElement | None, g1: CodeElement | None
    ) -> tuple[CodeElement, bytes] | None:
        """Find a set that has the character: one in use if possible, else as declared."""
        for element in (g0, g1, *self._elements):
            coded = element.encode(character) if element is not None else b""
            if element is not None and coded:
                return element, coded
        return None

    def _not_encodable(self, text: str, position: int) -> EncodeError:
        declared = "\\".join(self.terms) or "the default repertoire"
        character = text[position]
        message = f"character {character!r} at position {position} cannot be encoded in {declared}"
        if found := _sets_with(character):
            message += (
                f"; it is in {', '.join(found)}: to assign one of them to SpecificCharacterSet"
                " encodes all text anew"
            )
        return EncodeError(message)


def _sets_with(character: str) -> list[str]:
    """The defined terms of the sets that have a character, UTF-8 first as it has all."""
    if character == "\x1b" or "\ud800" <= character <= "\udfff":
        return []  # the one is no character of a text, the others are none at all
    single = [
        f"ISO_IR {number}"
        for number, element in SETS.items()
        if not element.is_multi_byte and element.encode(character)
    ]
    multi = [
        f"ISO 2022 IR {number}"
        for number, element in SETS.items()
        if element.is_multi_byte and element.encode(character)
    ]
    return ["ISO_IR 192", *single, *multi, "GB18030"]


def _normalize(terms: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the defined terms that are meant, and what is wrong with those that were given."""
    names, problems = [], []
    for position, term in enumerate(terms or ("",)):
        name = _defined_term(term)
        if name is None:
            problems.append(f"unknown character set {term!r}")
            name = ""
        elif name != term:
            problems.append(f"character set {term!r} is read as {name!r}")
        if name in STAND_ALONE and len(terms) > 1:
            problems.append(f"{name!r} cannot be combined with others")
            if position == 0:
                return [name], problems
            continue
        if len(terms) > 1 and name.startswith("ISO_IR"):
            problems.append(f"{name!r} allows no code extensions")
        names.append(name)
    return names, problems


def _defined_term(term: str) -> str | None:
    if term in STAND_ALONE or term == "":
        return term
    upper = term.upper()
    match = re.fullmatch(_TERM, upper, re.ASCII)
    if match is None:
        return {"UTF-8": "ISO_IR 192", "UTF8": "ISO_IR 192", "GB 18030": "GB18030"}.get(
            upper, upper if upper in STAND_ALONE else None
        )
    extension, number = match.groups()
    if number == "192":
        return "ISO_IR 192"
    if number == "6":
        return "ISO 2022 IR 6" if extension else ""
    if number not in SETS:
        return None
    # The multi-byte sets exist with code extensions alone.
    return (
        f"ISO 2022 IR {number}" if extension or SETS[number].is_multi_byte else f"ISO_IR {number}"
    )


def _guess(raw: bytes) -> tuple[str, str]:
    try:
        return raw.decode("utf_8"), "bytes above 7FH in no declared set, read as UTF-8"
    except UnicodeDecodeError:
        return raw.decode("latin_1"), "bytes above 7FH in no declared set, read as Latin-1"


def _invalid(error: UnicodeDecodeError, codec: str) -> str:
    return f"byte {error.start} is not valid in {codec}"


DEFAULT: Final = CharacterSet.of(())
"""The default repertoire, ISO-IR 6: in effect where Specific Character Set is absent."""
