"""What a data set says of its pixels, checked before anything is allocated for them.

Standard: PS3.3 C.7.6.3.1 (Image Pixel), PS3.5 8.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dictionary import tag_of
from dicom_actors.errors import DecodeError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_LIMITS", "PIXEL_DATA", "ImageDescription", "PixelLimits", "integer"]

PIXEL_DATA: Final = 0x7FE00010
FLOAT_PIXEL_DATA: Final = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA: Final = 0x7FE00009
_BITS_OF_FLOATS: Final = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}
_MOST_SAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What pixel data may cost.

    Attributes:
        max_frame_bytes: how large a decoded frame may be, as an array.
        max_volume_bytes: how large all frames together may be, where all are asked for at once.
    """

    max_frame_bytes: int = 1 << 29
    max_volume_bytes: int = 1 << 34


DEFAULT_LIMITS: Final = PixelLimits()


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """The Image Pixel module of a data set, in numbers.

    Attributes:
        rows: Rows.
        columns: Columns.
        samples: Samples per Pixel.
        frames: Number of Frames; 1 if it is absent.
        bits_allocated: Bits Allocated; 32 and 64 for float and double float pixel data.
        bits_stored: Bits Stored; as many as are allocated if it is absent or more.
        high_bit: High Bit; the one that Bits Stored gives if it is absent or impossible.
        is_signed: whether Pixel Representation is 1.
        is_float: whether samples are floats, or doubles.
        photometric: Photometric Interpretation.
        planar: Planar Configuration; 0 if it is absent.
        tag: the element that has the pixels.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    is_float: bool
    photometric: str
    planar: int
    tag: int

    @classmethod
    def of(
        cls,
        data_set: Mapping[Any, Any],
        limits: PixelLimits = DEFAULT_LIMITS,
        *,
        tag: int | None = None,
    ) -> ImageDescription:
        """Take it from a data set, or from the item of an icon.

        Args:
            data_set: see there.
            limits: what a frame may cost.
            tag: the element that has the pixels, where it is not in the data set.

        Raises:
            ElementNotFoundError: there is no pixel data, or it is not said how large it is.
            DecodeError: what is said makes no image, or one beyond a limit.
        """
        if tag is None:
            tag = next((one for one in (PIXEL_DATA, *_BITS_OF_FLOATS) if one in data_set), None)
            if tag is None:
                raise ElementNotFoundError("no pixel data in the data set", tag=PIXEL_DATA)
        is_float = tag != PIXEL_DATA
        samples = integer(data_set, "SamplesPerPixel", 1, highest=_MOST_SAMPLES)
        allocated = _BITS_OF_FLOATS.get(tag) or integer(data_set, "BitsAllocated", highest=64)
        stored = allocated if is_float else integer(data_set, "BitsStored", allocated)
        stored = min(stored, allocated)
        high = integer(data_set, "HighBit", stored - 1, lowest=0)
        if not stored - 1 <= high < allocated:
            high = stored - 1
        photometric = data_set.get("PhotometricInterpretation")
        if not isinstance(photometric, str) or not photometric:
            photometric = "RGB" if samples == 3 else "MONOCHROME2"
        made = cls(
            rows=integer(data_set, "Rows"),
            columns=integer(data_set, "Columns"),
            samples=samples,
            frames=integer(data_set, "NumberOfFrames", 1, highest=0x7FFFFFFF),
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=high,
            is_signed=integer(data_set, "PixelRepresentation", 0, lowest=0, highest=1) == 1,
            is_float=is_float,
            photometric=photometric,
            planar=integer(data_set, "PlanarConfiguration", 0, lowest=0) if samples > 1 else 0,
            tag=tag,
        )
        if made.array_bytes > limits.max_frame_bytes:
            raise DecodeError(
                f"expected frames of at most {limits.max_frame_bytes} bytes, got"
                f" {made.rows} x {made.columns} x {samples} of {made.sample_bytes} bytes",
                tag=tag,
            )
        return made

    @property
    def sample_bytes(self) -> int:
        """How many bytes a sample has in an array: 1, 2, 4 or 8."""
        whole = (self.bits_allocated + 7) // 8
        return whole if whole < 3 else 4 if whole < 5 else 8

    @property
    def pixels(self) -> int:
        """How many pixels a frame has."""
        return self.rows * self.columns

    @property
    def array_bytes(self) -> int:
        """How many bytes a frame has as an array."""
        return self.pixels * self.samples * self.sample_bytes

    @property
    def is_subsampled(self) -> bool:
        """Whether two pixels of native data share their color samples (PS3.3 C.7.6.3.1.2)."""
        return self.samples == 3 and self.photometric.endswith("_422")

    @property
    def is_plain(self) -> bool:
        """Whether native samples have one, two, four or eight bytes of their own each."""
        return self.bits_allocated in {8, 16, 32, 64} and not self.is_subsampled

    @property
    def frame_bits(self) -> int:
        """How many bits a native frame has; frames of single bits need not end with a byte."""
        bits = self.pixels * self.samples * self.bits_allocated
        return bits * 2 // 3 if self.is_subsampled else bits

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a frame as an array."""
        if self.samples == 1:
            return self.rows, self.columns
        return self.rows, self.columns, self.samples


def integer(
    data_set: Mapping[Any, Any],
    keyword: str,
    default: int | None = None,
    *,
    lowest: int = 1,
    highest: int = 0xFFFF,
) -> int:
    """Return a number of a data set; if it is absent or empty, the default.

    Raises:
        ElementNotFoundError: it is absent, and there is no default.
        DecodeError: it is no number, or out of its range.
    """
    value = data_set.get(keyword)
    if type(value) is int and lowest <= value <= highest:  # as nearly all are
        return value
    if value is None or value == "":
        if default is None:
            raise ElementNotFoundError(f"no {keyword} in the data set", tag=tag_of(keyword))
        return default
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, int) or not lowest <= value <= highest:
        raise DecodeError(
            f"expected {keyword} to be a number from {lowest} to {highest}, got {value!r:.60}",
            tag=tag_of(keyword),
        )
    return int(value)
