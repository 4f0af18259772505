"""What is drawn into images by devices, blanked in the bytes of native pixel data.

That is text in regions of them, and overlays in bits that no sample uses.

Which regions: those of a rule that a data set matches. How samples lie in the bytes is PS3.3
C.7.6.3.1 and PS3.5 8.1; black is zero, for YCbCr zero luminance and chrominance in the middle, for
MONOCHROME1 the highest value. Compressed frames are not touched here.

Standard: PS3.15 E.3.1 (Clean Pixel Data); PS3.3 C.9.2, as it was (Overlay Bit Position).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dicom_actors.data.values.unread import PIECE, MadeBytes, UnreadBytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.deidentification.tables import Region

__all__ = ["Image", "Pixels", "blanked", "matching_region", "without_bits"]

Pixels = bytes | memoryview | UnreadBytes
"""Native pixel data: those that are there, or are read when they are taken."""


class Image(NamedTuple):
    """How the samples of an image lie in its pixel data.

    Attributes:
        rows: its height in pixels.
        columns: its width.
        frames: how many frames there are.
        samples: per pixel.
        bits: allocated for each sample.
        bits_stored: of those, how many have the value.
        is_planar: whether each frame has all samples of one kind before the next kind's.
        photometric: Photometric Interpretation.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    bits_stored: int
    is_planar: bool
    photometric: str

    @property
    def frame_bits(self) -> int:
        """How many bits a frame takes."""
        if self.photometric in {"YBR_FULL_422", "YBR_PARTIAL_422"}:
            return self.rows * self.columns * 2 * self.bits
        return self.rows * self.columns * self.samples * self.bits


def matching_region(
    regions: Iterable[Region], known: dict[str, str], image: Image
) -> Region | None:
    """Return the first region that a data set matches.

    Args:
        regions: those to look at.
        known: Modality, Manufacturer, Manufacturer's Model Name and Image Type (its values with
            backslashes between), in upper case, by the names of the region's attributes.
        image: its size.
    """
    for region in regions:
        if (
            region.modality in {"", known["modality"]}
            and region.manufacturer in known["manufacturer"]
            and region.model in known["model"]
            and region.rows in {0, image.rows}
            and region.columns in {0, image.columns}
            and region.image_type in known["image_type"]
        ):
            return region
    return None


def blanked(data: Pixels, image: Image, rectangles: Iterable[tuple[int, int, int, int]]) -> Pixels:
    """Return native pixel data in which rectangles are black in all frames.

    Args:
        data: the pixel data, in either byte order; of what is not read, frames are blanked when
            they are taken.
        image: how it lies there.
        rectangles: left, top, width and height in pixels; what is outside the image is left out.

    Raises:
        ValueError: the data is not as long as the image needs, or its samples are of a size or
            kind that is not known.
    """
    _check(len(data), image)
    clipped = [
        (left, top, min(left + width, image.columns), min(top + height, image.rows))
        for left, top, width, height in rectangles
        if left < image.columns and top < image.rows and width and height
    ]
    if not isinstance(data, UnreadBytes):
        return _with_boxes(data, image, clipped)
    # Frames that do not end with a byte do so by eight.
    count = 8 if image.frame_bits % 8 else 1
    unit = image.frame_bits * count // 8

    def make(number: int) -> bytes:
        part = image._replace(frames=max(min(count, image.frames - number * count), 0))
        return _with_boxes(data[number * unit : (number + 1) * unit].read(), part, clipped)

    return MadeBytes(len(data), unit, make)


def _with_boxes(
    data: bytes | memoryview, image: Image, boxes: Iterable[tuple[int, int, int, int]]
) -> bytes:
    made = bytearray(data)
    for frame in range(image.frames):
        for box in boxes:
            _blank(made, image, frame, box)
    return bytes(made)


def without_bits(
    data: Pixels, image: Image, positions: Iterable[int], *, is_big_endian: bool
) -> Pixels:
    """Return native pixel data in which bits of all samples are zero.

    Args:
        data: the pixel data; what is not read is changed when it is taken.
        image: how it lies there.
        positions: the bits, counted from 0, the least significant one.
        is_big_endian: the byte order of `data`.

    Raises:
        ValueError: samples are no whole bytes, or one of the bits is not beside the value.
    """
    size, rest = divmod(image.bits, 8)
    mask = (1 << image.bits) - 1
    for position in positions:
        if rest or not image.bits_stored <= position < image.bits:
            raise ValueError(
                f"bit {position} of samples of {image.bits_stored} bits in {image.bits}"
            )
        mask &= ~(1 << position)
    pattern = mask.to_bytes(size, "big" if is_big_endian else "little")
    if not isinstance(data, UnreadBytes):
        return _masked(data, pattern)
    unit = PIECE // size * size

    def make(number: int) -> bytes:
        return _masked(data[number * unit : (number + 1) * unit].read(), pattern)

    return MadeBytes(len(data), unit, make)


def _masked(data: bytes | memoryview, pattern: bytes) -> bytes:
    count, rest = divmod(len(data), len(pattern))
    kept = int.from_bytes(pattern * count + b"\xff" * rest, "little")
    return (int.from_bytes(data, "little") & kept).to_bytes(len(data), "little")


def _check(length: int, image: Image) -> None:
    if image.bits not in {1, 8, 16, 32, 64} or image.samples not in {1, 3, 4}:
        raise ValueError(f"{image.bits} bits allocated and {image.samples} samples a pixel")
    if image.bits == 1 and image.samples != 1:
        raise ValueError("several samples of one bit a pixel")
    if image.photometric in {"YBR_FULL_422", "YBR_PARTIAL_422"} and (
        image.bits != 8 or image.samples != 3 or image.columns & 1
    ):
        raise ValueError(f"{image.photometric} of {image.bits} bits and {image.columns} columns")
    if image.photometric in {"YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"}:
        raise ValueError(f"native pixel data in {image.photometric}")
    if image.rows < 1 or image.columns < 1 or image.frames < 1:
        raise ValueError("no pixels")
    needed = (image.frame_bits * image.frames + 7) // 8
    if length < needed:
        raise ValueError(f"expected {needed} bytes of pixel data, got {length}")


def _blank(made: bytearray, image: Image, frame: int, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    size = image.bits // 8
    width = right - left
    if image.bits == 1:
        _blank_bits(made, image, frame, box)
        return
    start = image.frame_bits * frame // 8
    if image.photometric in {"YBR_FULL_422", "YBR_PARTIAL_422"}:
        # Two pixels are four bytes: Y Y Cb Cr (PS3.3 C.7.6.3.1.2).
        left, right = left & ~1, right + 1 & ~1
        pattern = b"\0\0\x80\x80" * ((right - left) // 2)
        for row in range(top, bottom):
            at = start + (row * image.columns + left) * 2
            made[at : at + len(pattern)] = pattern
        return
    black = _black(image)
    if image.is_planar and image.samples > 1:
        plane = image.rows * image.columns * size
        for sample in range(image.samples):
            pattern = black[sample * size : (sample + 1) * size] * width
            for row in range(top, bottom):
                at = start + sample * plane + (row * image.columns + left) * size
                made[at : at + len(pattern)] = pattern
        return
    pattern = black * width
    pixel = size * image.samples
    for row in range(top, bottom):
        at = start + (row * image.columns + left) * pixel
        made[at : at + len(pattern)] = pattern


def _black(image: Image) -> bytes:
    """The bytes of a black pixel; where the byte order matters, of one that is dark in both."""
    size = image.bits // 8
    if image.photometric == "YBR_FULL" and image.samples == 3 and size == 1:
        return b"\0\x80\x80"
    if image.photometric == "MONOCHROME1" and image.bits_stored == image.bits:
        return b"\xff" * size
    return bytes(size * image.samples)


def _blank_bits(made: bytearray, image: Image, frame: int, box: tuple[int, int, int, int]) -> None:
    # Pixels follow each other without gaps, the first one in the lowest bit (PS3.5 8.1.1), across
    # rows and frames.
    left, top, right, bottom = box
    value = 1 if image.photometric == "MONOCHROME1" else 0
    for row in range(top, bottom):
        first = image.rows * image.columns * frame + row * image.columns
        for at in range(first + left, first + right):
            if value:
                made[at >> 3] |= 1 << (at & 7)
            else:
                made[at >> 3] &= ~(1 << (at & 7))
