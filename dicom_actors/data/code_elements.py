"""The code elements of ISO 2022 that Specific Character Set can name (PS3.3 C.12.1.1.2).

Which bytes each has, the escape sequence that designates it, and the Python codec for it. How
they follow each other in a text is left to `dicom_actors.data.charset`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

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
