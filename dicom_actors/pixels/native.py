"""Native samples: bytes to arrays and back, whatever they are packed in.

Standard: PS3.5 8.1.1 (how pixel cells lie in bytes), 8.2; PS3.3 C.7.6.3.1.2 (subsampled color).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_actors.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_actors.pixels.description import ImageDescription

__all__ = ["clean", "decode_native", "dtype_of", "encode_native", "in_planes", "unpack"]

_KINDS: Final = {width: (np.dtype(f"<u{width}"), np.dtype(f"<i{width}")) for width in (1, 2, 4, 8)}


def dtype_of(description: ImageDescription) -> np.dtype[Any]:
    """The type of the samples of an array; unsigned ones of one byte for single bits."""
    if description.is_float:
        return np.dtype(f"<f{description.bits_allocated // 8}")
    return _KINDS[description.sample_bytes][description.is_signed]


def decode_native(
    data: bytes | memoryview, description: ImageDescription, *, first_bit: int = 0, frames: int = 1
) -> NDArray[Any]:
    """Make an array of native samples; may be a view of the bytes that cannot be written to.

    Args:
        data: the bytes, little endian.
        description: what they are.
        first_bit: which bit of the first byte they begin with.
        frames: how many frames these are.

    Returns:
        An array of shape (frames, rows, columns[, samples]), samples as they are in the bytes:
        not cleaned; subsampled colors are repeated.

    Raises:
        DecodeError: the bytes are too few.
    """
    bits = description.frame_bits * frames
    if len(data) * 8 < first_bit + bits:
        raise DecodeError(f"expected a frame of {(bits + 7) // 8} bytes, got {len(data)}")
    width = description.bits_allocated
    if width in {8, 16, 32, 64}:
        kind = dtype_of(description)
        flat = np.frombuffer(data, kind, bits // width)
    else:
        flat = unpack(data, width, bits // width, first_bit=first_bit)
        if description.sample_bytes != flat.itemsize or description.is_signed:
            flat = flat.astype(dtype_of(description))
    if description.is_subsampled:
        return _full_color(flat, description, frames)
    return in_planes(flat, description, frames)


def unpack(data: bytes | memoryview, width: int, count: int, *, first_bit: int = 0) -> NDArray[Any]:
    """Take samples of any number of bits out of bytes, lowest bits first."""
    last = (first_bit + count * width + 7) // 8
    octets = np.frombuffer(data, np.uint8, last)
    bits = np.unpackbits(octets, bitorder="little")[first_bit : first_bit + count * width]
    if width == 1:
        return bits
    places = bits.reshape(count, width)
    flat = np.zeros(count, np.uint8 if width <= 8 else np.uint16 if width <= 16 else np.uint64)
    for place in range(width):
        np.bitwise_or(flat, np.left_shift(places[:, place].astype(flat.dtype), place), out=flat)
    return flat


def in_planes(flat: NDArray[Any], description: ImageDescription, frames: int = 1) -> NDArray[Any]:
    """Give samples their shape; those of Planar Configuration 1 come sample by sample."""
    rows, columns, samples = description.rows, description.columns, description.samples
    if samples == 1:
        return flat.reshape(frames, rows, columns)
    if description.planar == 1:
        return flat.reshape(frames, samples, rows, columns).transpose(0, 2, 3, 1)
    return flat.reshape(frames, rows, columns, samples)


def _full_color(flat: NDArray[Any], description: ImageDescription, frames: int) -> NDArray[Any]:
    """Give each pixel the color that it shares with the next one: Y Y Cb Cr for each pair."""
    if description.columns % 2:
        raise DecodeError(
            f"expected an even number of Columns in {description.photometric},"
            f" got {description.columns}"
        )
    pairs = flat.reshape(frames, description.rows, description.columns // 2, 4)
    full = np.empty((frames, description.rows, description.columns, 3), flat.dtype)
    full[..., 0] = pairs[..., :2].reshape(full.shape[:3])
    full[..., 1:] = np.repeat(pairs[..., 2:], 2, axis=2)
    return full


def clean(
    array: NDArray[Any],
    description: ImageDescription,
    *,
    low_bit: int | None = None,
    in_place: bool = False,
) -> NDArray[Any]:
    """Leave what Bits Stored and High Bit say of each sample, with its sign.

    Args:
        array: samples of any type of integers.
        description: what they are to be.
        low_bit: the lowest bit that counts; None: as High Bit says.
        in_place: whether the array may be changed, since nobody else has it.

    Returns:
        The samples in the type of `dtype_of`; the same memory if nothing had to be done.
    """
    kind = dtype_of(description)
    if description.is_float:
        return array.astype(kind, copy=False)
    low = description.high_bit + 1 - description.bits_stored if low_bit is None else low_bit
    if array.dtype != kind:
        has_its_bits = array.itemsize == kind.itemsize and array.dtype.kind in "ui"
        if has_its_bits and array.dtype.isnative and kind.isnative:
            array = array.view(kind)
        else:
            array, in_place = array.astype(kind), True
    width = kind.itemsize * 8
    above = width - low - description.bits_stored
    out = array if in_place and array.flags.writeable else None
    if description.is_signed:
        if above or low:
            array = np.left_shift(array, above, out=out)
            np.right_shift(array, above + low, out=array)
    elif above or low:
        if low:
            array = out = np.right_shift(array, low, out=out)
        if above:
            array = np.bitwise_and(array, (1 << description.bits_stored) - 1, out=out)
    return array


def encode_native(array: NDArray[Any], bits_allocated: int) -> bytes:
    """Make native bytes of samples: little endian, color by pixel, not padded.

    Args:
        array: frames of samples that fit.
        bits_allocated: 1, 8, 16, 32 or 64; single bits are packed without a gap between frames.
    """
    if bits_allocated == 1:
        return np.packbits(array.reshape(-1).astype(np.uint8), bitorder="little").tobytes()
    if bits_allocated % 8 or bits_allocated // 8 not in _KINDS:
        raise EncodeError(f"expected Bits Allocated of 1, 8, 16, 32 or 64, got {bits_allocated}")
    kind = array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, kind).tobytes()
