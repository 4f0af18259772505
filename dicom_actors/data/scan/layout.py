"""How data elements lie in bytes: explicit or implicit VR, and the byte order.

A `Layout` holds the prepared readers of one of the three encodings that the standard knows,
and the VRs as they look when their two letters are read as one number, so that a scan over
headers needs one unpacking and one set look-up for each element. Where a data set begins and ends
is the business of `elements`.

Standard: PS3.5 7.1 (data elements), 7.3 (byte order), Annex A.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary.vr import LONG_LENGTH, VR

if TYPE_CHECKING:
    from dicom_actors.data.dictionary.transfer_syntax import TransferSyntax

__all__ = [
    "BIG_ENDIAN",
    "EXPLICIT",
    "IMPLICIT",
    "ITEM",
    "ITEM_END",
    "SEQUENCE_END",
    "UNDEFINED",
    "Layout",
    "layout_of",
]

UNDEFINED: Final = 0xFFFFFFFF
"""The length that says "until the delimiter" (PS3.5 7.1.1)."""

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD


class Layout:
    """One of the three encodings of data elements.

    Attributes:
        is_explicit: elements carry their VR.
        is_little_endian: the byte order of numbers.
        order: the same as the `struct` module writes it, ``"<"`` or ``">"``.
        pack_implicit: packs group, element, and 32-bit length; items have this form always.
        pack_long: packs group, element, VR, two reserved bytes, and 32-bit length.
        pack_short: packs group, element, VR, and 16-bit length.
        read_explicit: unpacks group, element, VR as a number, and 16-bit length.
        read_implicit: unpacks group, element, and 32-bit length; items have this form always.
        read_length: unpacks a 32-bit length.
        read_vr: unpacks VR as a number and 16-bit length, of a header whose tag is known.
        sequence: the VR number of SQ.
        short: VR numbers whose length has 16 bits.
        long: VR numbers with two reserved bytes and a length of 32 bits.
        names: VR numbers to VRs.
    """

    __slots__ = (
        "is_explicit",
        "is_little_endian",
        "long",
        "names",
        "order",
        "pack_implicit",
        "pack_long",
        "pack_short",
        "read_explicit",
        "read_implicit",
        "read_length",
        "read_vr",
        "sequence",
        "short",
    )

    def __init__(self, *, is_explicit: bool, is_little_endian: bool) -> None:
        self.is_explicit = is_explicit
        self.is_little_endian = is_little_endian
        self.order = "<" if is_little_endian else ">"
        self.pack_implicit = Struct(self.order + "HHI").pack
        self.pack_long = Struct(self.order + "HH2s2xI").pack
        self.pack_short = Struct(self.order + "HH2sH").pack
        self.read_explicit = Struct(self.order + "HHHH").unpack_from
        self.read_implicit = Struct(self.order + "HHI").unpack_from
        self.read_length = Struct(self.order + "I").unpack_from
        self.read_vr = Struct(self.order + "4xHH").unpack_from
        number = Struct(self.order + "H").unpack
        self.names: dict[int, str] = {}
        long: list[int] = []
        short: list[int] = []
        for vr in VR:
            letters = vr.value.encode("ascii")
            code = number(letters)[0]
            self.names[code] = vr.value
            (long if letters in LONG_LENGTH else short).append(code)
        self.long = frozenset(long)
        self.short = frozenset(short)
        self.sequence = next(code for code in long if self.names[code] == "SQ")

    def __repr__(self) -> str:
        vr = "explicit" if self.is_explicit else "implicit"
        return f"<Layout {vr} VR, {'little' if self.is_little_endian else 'big'} endian>"


IMPLICIT: Final = Layout(is_explicit=False, is_little_endian=True)
EXPLICIT: Final = Layout(is_explicit=True, is_little_endian=True)
BIG_ENDIAN: Final = Layout(is_explicit=True, is_little_endian=False)


def layout_of(transfer_syntax: TransferSyntax) -> Layout:
    """The layout of data sets in a transfer syntax (after inflation, if it is deflated)."""
    if transfer_syntax.is_implicit_vr:
        return IMPLICIT
    return EXPLICIT if transfer_syntax.is_little_endian else BIG_ENDIAN
