"""What a compressed frame says of itself, read before anything is decoded.

A decoder allocates what its codestream claims. So that is looked at first, and has to be what the
data set says.

Standard: PS3.5 Annex A; ITU-T T.81 B.2.2, T.87 C.2.2, T.800 A.5.1; ISO/IEC 18181-1 (Annex D).
"""

from __future__ import annotations

import struct
from struct import unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from dicom_actors.pixels.description import ImageDescription

__all__ = ["Codestream", "check_codestream", "read_jpeg", "read_jpeg_2000", "read_jpeg_xl"]

_STANDALONE: Final = {0x01, *range(0xD0, 0xD8)}
_NOT_FRAMES: Final = {0xC4, 0xC8, 0xCC}
_JPEG_LS_FRAME: Final = 0xF7
_LOSSLESS_FRAMES: Final = {0xC3, 0xC7, 0xCB, 0xCF, _JPEG_LS_FRAME}
_COLORS_OF_ADOBE: Final = {0: "RGB", 1: "YBR_FULL", 2: "YBR_FULL"}
_RGB_IDS: Final = b"RGB"


class Codestream(NamedTuple):
    """A compressed image.

    Attributes:
        rows: its height.
        columns: its width.
        samples: how many components it has.
        bits: of each; what is decoded has as many.
        is_signed: whether they are signed.
        colors: ``"RGB"`` or ``"YBR_FULL"`` if it says which of these its components are; else
            empty.
        is_lossless: whether nothing was lost; None: that is not said.
        has_color_transform: whether decoding makes RGB of what is in it.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool = False
    colors: str = ""
    is_lossless: bool | None = None
    has_color_transform: bool = False


def check_codestream(found: Codestream, description: ImageDescription) -> None:
    """Compare a codestream with what the data set says.

    Raises:
        DecodeError: it is another size.
    """
    wanted = description.rows, description.columns, description.samples
    if found[:3] != wanted:
        raise DecodeError(
            f"expected a codestream of {_size(*wanted)}, got one of {_size(*found[:3])}",
            tag=description.tag,
        )
    if found.bits > description.sample_bytes * 8:
        raise DecodeError(
            f"expected a codestream of at most {description.bits_allocated} bits, got {found.bits}",
            tag=description.tag,
        )


def _size(rows: int, columns: int, samples: int) -> str:
    return f"{rows} rows x {columns} columns x {samples} samples"


def read_jpeg(data: bytes | memoryview) -> Codestream:
    """Read the header of a JPEG or JPEG-LS codestream.

    Raises:
        DecodeError: it has none.
    """
    colors, has_jfif = "", False
    view = memoryview(data)
    try:
        if bytes(view[:2]) != b"\xff\xd8":
            raise DecodeError(f"expected a JPEG codestream (FFD8H), got {bytes(view[:2]).hex()}")
        at = 2
        while True:
            while view[at] != 0xFF:  # fill and strays between segments
                at += 1
            while view[at] == 0xFF:
                at += 1
            marker = view[at]
            at += 1
            if marker in _STANDALONE:
                continue
            if marker in {0xD9, 0xDA}:
                raise DecodeError("expected a frame header in the JPEG codestream, got none")
            (length,) = unpack_from(">H", view, at)
            if (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES) or marker == _JPEG_LS_FRAME:
                bits, rows, columns, samples = unpack_from(">BHHB", view, at + 2)
                ids = bytes(view[at + 8 : at + 8 + 3 * samples : 3])
                if not colors and ids.upper() == _RGB_IDS:
                    colors = "RGB"
                if not colors and has_jfif and samples == 3:
                    colors = "YBR_FULL"
                return Codestream(
                    rows,
                    columns,
                    samples,
                    bits,
                    colors=colors,
                    is_lossless=marker in _LOSSLESS_FRAMES,
                )
            segment = bytes(view[at + 2 : at + length])
            if marker == 0xE0 and segment.startswith(b"JFIF\0"):
                has_jfif = True
            elif marker == 0xEE and segment.startswith(b"Adobe") and len(segment) >= 12:
                colors = _COLORS_OF_ADOBE.get(segment[11], "")
            at += length
    except (IndexError, struct.error) as error:
        raise DecodeError("expected a frame header in the JPEG codestream, got its end") from error


def read_jpeg_2000(data: bytes | memoryview) -> Codestream:
    """Read the header of a JPEG 2000 or HTJ2K codestream, bare or in a JP2 file.

    Raises:
        DecodeError: it has none.
    """
    view = memoryview(data)
    try:
        at = _codestream_in_boxes(view) if bytes(view[4:8]) == b"jP  " else 0
        if bytes(view[at : at + 4]) != b"\xff\x4f\xff\x51":
            raise DecodeError(
                f"expected a JPEG 2000 codestream (FF4FFF51H), got {bytes(view[at : at + 4]).hex()}"
            )
        right, bottom, left, top = unpack_from(">4I", view, at + 8)
        (samples,) = unpack_from(">H", view, at + 40)
        sizes = {bytes(view[at + 42 + 3 * n : at + 45 + 3 * n]) for n in range(min(samples, 8))}
        if len(sizes) != 1 or len(size := sizes.pop()) != 3:
            raise DecodeError("expected components of one size in the JPEG 2000 codestream")
        if size[1] != 1 or size[2] != 1:
            raise DecodeError("expected components that are not subsampled in JPEG 2000")
        is_reversible, has_transform = _coding_style(view, at)
        return Codestream(
            bottom - top,
            right - left,
            samples,
            (size[0] & 0x7F) + 1,
            is_signed=size[0] > 0x7F,
            is_lossless=None if is_reversible else False,
            has_color_transform=has_transform,
        )
    except (IndexError, struct.error) as error:
        raise DecodeError("expected the header of a JPEG 2000 codestream, got its end") from error


def _coding_style(view: memoryview, at: int) -> tuple[bool, bool]:
    """Return whether the wavelet is the reversible one, and whether colors are transformed."""
    at += 2
    while at + 4 <= len(view):
        marker, length = unpack_from(">HH", view, at)
        if marker == 0xFF52:  # COD
            return view[at + 13] == 1, view[at + 8] == 1
        if marker == 0xFF90:  # SOT
            break
        at += 2 + length
    raise DecodeError("expected a coding style in the JPEG 2000 codestream, got none")


def _codestream_in_boxes(view: memoryview) -> int:
    at = 0
    while at + 8 <= len(view):
        length, kind = unpack_from(">I4s", view, at)
        header = 8
        if length == 1:
            (length,) = unpack_from(">Q", view, at + 8)
            header = 16
        if kind == b"jp2c":
            return at + header
        if length < header:
            break
        at += int(length)
    raise DecodeError("expected a codestream in the JP2 file, got none")


class _Bits:
    """Reads bits, lowest first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise DecodeError("expected the header of a JPEG XL codestream, got its end")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return value


_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def read_jpeg_xl(data: bytes | memoryview) -> tuple[int, int]:
    """Read the size in a JPEG XL codestream, bare or in a container: rows and columns.

    Raises:
        DecodeError: it has none.
    """
    view = memoryview(data)
    if bytes(view[:12]) == b"\0\0\0\x0cJXL \r\n\x87\n":
        at = 12
        while at + 8 <= len(view):
            length, kind = unpack_from(">I4s", view, at)
            if kind in {b"jxlc", b"jxlp"}:
                view = view[at + (8 if kind == b"jxlc" else 12) :]
                break
            if length < 8:
                break
            at += length
    if bytes(view[:2]) != b"\xff\x0a":
        raise DecodeError(f"expected a JPEG XL codestream (FF0AH), got {bytes(view[:2]).hex()}")
    bits = _Bits(bytes(view[2:18]))
    is_small = bits.take(1)

    def length_of_side() -> int:
        if is_small:
            return (bits.take(5) + 1) * 8
        return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1

    rows = length_of_side()
    ratio = bits.take(3)
    if ratio == 0:
        return rows, length_of_side()
    wide, high = _RATIOS[ratio - 1]
    return rows, rows * wide // high
