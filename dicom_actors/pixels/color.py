"""From one color space to another: YBR to RGB, palettes.

Standard: PS3.3 C.7.6.3.1.2 (Photometric Interpretation), C.7.6.3.1.5 and C.7.9 (palettes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_actors.errors import DecodeError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["apply_palette", "is_color", "lut_descriptor", "palette_of", "to_rgb", "words_of"]

_COLORS: Final = ("Red", "Green", "Blue")
_MOST_ENTRIES: Final = 1 << 16

# Y, Cb and Cr, the latter with their middle taken off, to red, green and blue.
_FULL: Final = ((1.0, 0.0, 1.402), (1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587))
_FROM_FULL: Final = np.array([*_FULL, (1.0, 1.772, 0.0)], np.float32)
_FROM_PARTIAL: Final = _FROM_FULL * np.array([255 / 219, 255 / 224, 255 / 224], np.float32)


def is_color(photometric: str) -> bool:
    """Whether a pixel is a color by itself, without a palette."""
    return photometric in {"RGB", "XYB"} or photometric.startswith("YBR_")


def to_rgb(array: NDArray[Any], photometric: str, bits_stored: int) -> NDArray[Any]:
    """Convert an array of three samples to RGB.

    Args:
        array: rows, columns, samples; Y, Cb and Cr.
        photometric: what it is.
        bits_stored: of its samples.

    Returns:
        The same type; the same array if it is RGB.

    Raises:
        DecodeError: this cannot be converted.
    """
    if photometric in {"RGB", "YBR_RCT", "YBR_ICT", "XYB"} or array.shape[-1] != 3:
        return array
    if array.dtype.kind != "u":
        raise DecodeError(f"expected unsigned samples in {photometric}, got {array.dtype}")
    if photometric.startswith("YBR_FULL"):
        matrix, black = _FROM_FULL, 0.0
    elif photometric.startswith("YBR_PARTIAL"):
        matrix, black = _FROM_PARTIAL, 16.0
    else:
        raise DecodeError(f"expected a color to convert to RGB, got {photometric}")
    top = (1 << bits_stored) - 1
    middle = float(1 << bits_stored >> 1)
    offset = np.array([black * (1 << bits_stored) / 256, middle, middle], np.float32)
    mixed = (array - offset) @ matrix.T
    np.rint(mixed, out=mixed)
    np.clip(mixed, 0, top, out=mixed)
    return mixed.astype(array.dtype)


# --- tables ----------------------------------------------------------------------------------


def lut_descriptor(value: Any, name: str, *, is_signed: bool = False) -> tuple[int, int, int]:
    """Return the number of entries of a table, the first value that it has one for, and its bits.

    Args:
        value: what a LUT Descriptor has (PS3.3 C.11.1.1).
        name: what it is called, for the error.
        is_signed: whether the first value may be negative.

    Raises:
        DecodeError: these are no three numbers of this kind.
    """
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(isinstance(number, int) for number in value)
    ):
        raise DecodeError(f"expected three numbers in {name}, got {value!r:.60}")
    entries, first, bits = (int(number) for number in value)
    entries &= 0xFFFF
    if is_signed and first > 0x7FFF:
        first -= 0x10000
    elif not is_signed:
        first &= 0xFFFF
    if not 1 <= bits <= 16:
        raise DecodeError(f"expected 8 to 16 bits in {name}, got {bits}")
    return entries or _MOST_ENTRIES, first, bits


def words_of(value: Any, name: str, entries: int, *, bits: int = 16) -> NDArray[Any]:
    """Return the entries of a table, of 16 bits or, two in a word, of 8.

    Raises:
        DecodeError: it has fewer.
    """
    if isinstance(value, int):
        value = [value]
    if isinstance(value, list):
        if not all(isinstance(number, int) for number in value):
            raise DecodeError(f"expected numbers in {name}, got {value[:3]!r:.60}")
        words = np.array([number & 0xFFFF for number in value], np.uint16)
    elif isinstance(value, bytes | memoryview):
        words = np.frombuffer(value, "<u2", len(value) // 2)
        if len(value) < 2 * entries <= 2 * len(value) and bits <= 8:
            words = np.frombuffer(value, np.uint8, entries).astype(np.uint16)
    else:
        raise DecodeError(f"expected {entries} entries in {name}, got {value!r:.60}")
    if len(words) < entries <= 2 * len(words) and bits <= 8:
        words = words.astype("<u2").view(np.uint8)[:entries].astype(np.uint16)
    if len(words) < entries:
        raise DecodeError(f"expected {entries} entries in {name}, got {len(words)}")
    return words[:entries]


def _segmented(value: Any, name: str, entries: int) -> NDArray[Any]:
    """Expand a segmented table (PS3.3 C.7.9.2).

    Raises:
        DecodeError: it gives another number of entries.
    """
    if isinstance(value, bytes | memoryview):
        words: list[int] = np.frombuffer(value, "<u2", len(value) // 2).tolist()
    elif isinstance(value, list):
        words = [int(number) & 0xFFFF for number in value]
    else:
        raise DecodeError(f"expected segments in {name}, got {value!r:.60}")
    out: list[int] = []
    starts: set[int] = set()

    def expand(at: int, *, may_repeat: bool) -> int:
        if at + 2 > len(words):
            raise DecodeError(f"expected a whole segment in {name}, got its end")
        kind, count = words[at], words[at + 1]
        if kind == 0:
            if at + 2 + count > len(words):
                raise DecodeError(f"expected {count} entries of a segment in {name}, got its end")
            out.extend(words[at + 2 : at + 2 + count])
            return at + 2 + count
        if kind == 1:
            if not out or at + 3 > len(words):
                raise DecodeError(f"expected a linear segment of {name} to begin at a value")
            begin, end = out[-1], words[at + 2]
            out.extend(round(begin + (end - begin) * n / count) for n in range(1, count + 1))
            return at + 3
        if kind == 2 and may_repeat and at + 4 <= len(words):
            offset = words[at + 2] | words[at + 3] << 16  # in bytes
            place = int(offset) // 2
            if offset % 2 or place not in starts or place >= at:
                raise DecodeError(f"expected an indirect segment of {name} to name a segment")
            for _ in range(count):
                place = expand(place, may_repeat=False)
                if len(out) > entries:
                    break
            return at + 4
        raise DecodeError(f"expected a segment of type 0, 1 or 2 in {name}, got {kind}")

    at = 0
    while at < len(words) and len(out) < entries:
        starts.add(at)
        at = expand(at, may_repeat=True)
    if len(out) != entries:
        raise DecodeError(f"expected segments of {entries} entries in {name}, got {len(out)}")
    return np.array(out, np.uint16)


def palette_of(data_set: Mapping[Any, Any]) -> tuple[int, int, NDArray[Any]]:
    """Return the palette of a data set.

    Returns:
        The first pixel value that it has a color for, the bits of its samples, and an array of
        (entries, 3).

    Raises:
        ElementNotFoundError: it has none.
        DecodeError: it is damaged.
    """
    columns, first, bits = [], 0, 16
    for color in _COLORS:
        name = f"{color}PaletteColorLookupTableDescriptor"
        descriptor = data_set.get(name)
        if descriptor is None:
            raise ElementNotFoundError(f"no {name} in the data set")
        entries, first, bits = lut_descriptor(
            descriptor, name, is_signed=data_set.get("PixelRepresentation") == 1
        )
        data, segments = (
            f"{color}PaletteColorLookupTableData",
            f"Segmented{color}PaletteColorLookupTableData",
        )
        if data_set.get(data) is not None:
            columns.append(words_of(data_set[data], data, entries, bits=bits))
        else:
            columns.append(_segmented(data_set.get(segments), segments, entries))
    if len({len(column) for column in columns}) != 1:
        raise DecodeError("expected palettes of one length for red, green and blue")
    table = np.stack(columns, axis=-1)
    if bits > 8 and int(table.max(initial=0)) < 256:
        bits = 8  # declared as 16 and written as 8, which many do
    return first, bits, table


def apply_palette(array: NDArray[Any], data_set: Mapping[Any, Any]) -> NDArray[Any]:
    """Give indices their colors.

    Returns:
        RGB of 8 bits, or of 16 where the palette has more than 8.

    Raises:
        ElementNotFoundError: there is no palette.
        DecodeError: it is damaged.
    """
    first, bits, table = palette_of(data_set)
    if bits <= 8:
        table = table.astype(np.uint8)
    at = array.astype(np.int64) - first
    np.clip(at, 0, len(table) - 1, out=at)
    return table[at]
