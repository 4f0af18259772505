"""Value representations: what each allows and how its bytes are laid out (PS3.5 6.2, 7.1.2).

Only the facts; turning bytes into Python values is left to `dicom_actors.data.values.codec`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, Self

__all__ = ["LONG_LENGTH", "VR"]

_LONGEST: Final = 0xFFFFFFFE  # the largest even length; 0xFFFFFFFF means undefined


class VR(StrEnum):
    """A value representation; each member equals its two letters.

    The columns are: letters, name, the largest length of one value, its unit ("fixed" for a
    size in bytes that is always the same), the size in bytes of the numbers it consists of (0:
    not numbers), and flags: ``L`` long length field, ``T`` text, ``C`` Specific Character Set
    applies, ``M`` many values in one element, ``E`` leading spaces count, ``U`` undefined
    length is allowed.
    """

    AE = "AE", "Application Entity", 16, "bytes", 0, "TM"
    AS = "AS", "Age String", 4, "fixed", 0, "TM"
    AT = "AT", "Attribute Tag", 4, "fixed", 2, "M"
    CS = "CS", "Code String", 16, "bytes", 0, "TM"
    DA = "DA", "Date", 8, "fixed", 0, "TM"
    DS = "DS", "Decimal String", 16, "bytes", 0, "TM"
    DT = "DT", "Date Time", 26, "bytes", 0, "TM"
    FD = "FD", "Floating Point Double", 8, "fixed", 8, "M"
    FL = "FL", "Floating Point Single", 4, "fixed", 4, "M"
    IS = "IS", "Integer String", 12, "bytes", 0, "TM"
    LO = "LO", "Long String", 64, "chars", 0, "TCM"
    LT = "LT", "Long Text", 10240, "chars", 0, "TCE"
    OB = "OB", "Other Byte", _LONGEST, "bytes", 1, "LU"
    OD = "OD", "Other Double", 0xFFFFFFF8, "bytes", 8, "L"
    OF = "OF", "Other Float", 0xFFFFFFFC, "bytes", 4, "L"
    OL = "OL", "Other Long", 0xFFFFFFFC, "bytes", 4, "L"
    OV = "OV", "Other 64-bit Very Long", 0xFFFFFFF8, "bytes", 8, "L"
    OW = "OW", "Other Word", _LONGEST, "bytes", 2, "LU"
    PN = "PN", "Person Name", 64, "chars", 0, "TCM"
    SH = "SH", "Short String", 16, "chars", 0, "TCM"
    SL = "SL", "Signed Long", 4, "fixed", 4, "M"
    SQ = "SQ", "Sequence of Items", _LONGEST, "bytes", 0, "LU"
    SS = "SS", "Signed Short", 2, "fixed", 2, "M"
    ST = "ST", "Short Text", 1024, "chars", 0, "TCE"
    SV = "SV", "Signed 64-bit Very Long", 8, "fixed", 8, "LM"
    TM = "TM", "Time", 14, "bytes", 0, "TM"
    UC = "UC", "Unlimited Characters", _LONGEST, "bytes", 0, "LTCME"
    UI = "UI", "Unique Identifier", 64, "bytes", 0, "TM"
    UL = "UL", "Unsigned Long", 4, "fixed", 4, "M"
    UN = "UN", "Unknown", _LONGEST, "bytes", 0, "LU"
    UR = "UR", "Universal Resource Identifier or Locator", _LONGEST, "bytes", 0, "LT"
    US = "US", "Unsigned Short", 2, "fixed", 2, "M"
    UT = "UT", "Unlimited Text", _LONGEST, "bytes", 0, "LTCE"
    UV = "UV", "Unsigned 64-bit Very Long", 8, "fixed", 8, "LM"

    description: str
    """The name in PS3.5, for example ``"Code String"``."""
    max_length: int
    """The largest length of one value before padding, in `length_unit`; for a person name, of
    one component group. In queries, dates and times may be longer (PS3.4 C.2.2.2.5)."""
    length_unit: Literal["bytes", "chars"]
    """What `max_length` counts."""
    is_fixed_length: bool
    """Whether every value has exactly `max_length` bytes."""
    word_size: int
    """The size of the numbers a value consists of, in bytes: what a change of the byte order
    swaps. 1 for OB; 0 for what is not made of numbers (text, SQ, UN)."""
    has_long_length: bool
    """Whether Explicit VR has 2 reserved bytes and a length of 4 bytes (PS3.5 7.1.2)."""
    is_text: bool
    """Whether the bytes are characters."""
    uses_character_set: bool
    """Whether Specific Character Set (0008,0005) applies."""
    is_multi_valued: bool
    """Whether one element can hold several values, delimited or of a fixed size."""
    keeps_leading_spaces: bool
    """Whether leading spaces are significant."""
    allows_undefined_length: bool
    """Whether the length may be undefined, for OB and OW in encapsulated pixel data alone."""
    padding: bytes
    """The byte that makes a value's length even: a space or NUL."""

    def __new__(
        cls,
        code: str,
        description: str,
        max_length: int,
        unit: Literal["bytes", "chars", "fixed"],
        word_size: int,
        flags: str,
    ) -> Self:
        """Make a member from its row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.description = description
        member.max_length = max_length
        member.length_unit = "chars" if unit == "chars" else "bytes"
        member.is_fixed_length = unit == "fixed"
        member.word_size = word_size
        member.has_long_length = "L" in flags
        member.is_text = "T" in flags
        member.uses_character_set = "C" in flags
        member.is_multi_valued = "M" in flags
        member.keeps_leading_spaces = "E" in flags
        member.allows_undefined_length = "U" in flags
        member.padding = b" " if "T" in flags and code != "UI" else b"\0"
        return member


LONG_LENGTH: Final = frozenset(vr.encode("ascii") for vr in VR if vr.has_long_length)
"""VR codes, as bytes, that have 2 reserved bytes and a length of 4 bytes in Explicit VR."""
