"""A frame as people see it.

Standard: PS3.4 N.2 (the order of the steps), PS3.18 8.3.5 (what a rendered resource is).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from dicom_actors.errors import DecodeError
from dicom_actors.pixels.arrays import FrameReader
from dicom_actors.pixels.codecs import CODECS
from dicom_actors.pixels.color import is_color, palette_of, to_rgb
from dicom_actors.pixels.description import DEFAULT_LIMITS, PixelLimits
from dicom_actors.pixels.lookup import gray_scale
from dicom_actors.pixels.overlays import draw_overlay, overlay, overlay_groups, overlay_origin

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from dicom_actors.data import DataSet
    from dicom_actors.pixels.codecs import Codecs, Decoded
    from dicom_actors.pixels.description import ImageDescription
    from dicom_actors.pixels.lookup import WindowLike

__all__ = ["fitted_size", "render"]

_LONGEST_SIDE: Final = 32_768


def render(
    source: DataSet | FrameReader | str | os.PathLike[str],
    frame: int = 0,
    *,
    window: WindowLike = None,
    size: tuple[int | None, int | None] | None = None,
    overlays: bool = True,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> Image.Image:
    """Return a frame as a picture.

    Gray images go through Modality LUT or rescale, window or VOI LUT, and the presentation shape;
    MONOCHROME1 comes out with high values dark. Palettes and YBR become RGB, and more than 8
    bits of color are cut to 8.

    Args:
        source: a data set with pixel data, a path, or a `FrameReader`, to render several.
        frame: which frame, counted from 0; negative ones from the end.
        window: for gray images: ``(center, width)`` in measured values such as Hounsfield units,
            or ``(center, width, function)`` with the VOI LUT Function; or which of the windows of
            the data set, counted from 0; or ``"minmax"``, which is from the lowest to the highest
            value that is no padding. None: the first window that there is, else the VOI LUT, else
            ``"minmax"``.
        size: width and height in which the picture is to fit, keeping its shape, larger or
            smaller; one of them may be None. None: as it is.
        overlays: whether overlays are drawn, in white.
        codecs: see `frame`.
        limits: likewise.

    Returns:
        A picture of mode ``"L"`` or ``"RGB"``.

    Raises:
        ElementNotFoundError: there is no pixel data, or no palette.
        DecodeError: the frame, a table or a window is not what it has to be.
        UnsupportedTransferSyntaxError: there is no codec for it.
        IndexError: there is no such frame.
    """
    reader = source
    if not isinstance(reader, FrameReader):
        reader = FrameReader(reader, rgb=True, codecs=codecs, limits=limits)
    data_set, description = reader.data_set, reader.description
    if frame < 0:
        frame += description.frames
    found = reader.decoded(frame, palette=False)
    picture = _shades(found, data_set, description, frame, window)
    if overlays:
        for group in overlay_groups(data_set):
            plane = overlay(data_set, group, frame, source=reader.source, limits=limits)
            if plane is not None:
                draw_overlay(picture, plane, overlay_origin(data_set, group), 255)
    image = Image.fromarray(picture)
    if size is not None:
        wanted = fitted_size(image.size, size)
        if wanted != image.size:
            image = image.resize(wanted, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return image


def _shades(
    found: Decoded,
    data_set: DataSet,
    description: ImageDescription,
    number: int,
    window: WindowLike,
) -> NDArray[np.uint8]:
    array = found.array
    if found.photometric == "PALETTE COLOR":
        first, bits, table = palette_of(data_set)
        colors = _to_8_bits(table, bits)
        at = np.subtract(array, first, dtype=np.int64)
        np.clip(at, 0, len(colors) - 1, out=at)
        picture: NDArray[np.uint8] = colors.take(at, axis=0)
        return picture
    if is_color(found.photometric) and array.ndim == 3:
        array = to_rgb(array, found.photometric, description.bits_stored)
        if array.shape[2] == 3:
            return np.ascontiguousarray(_to_8_bits(array, description.bits_stored))
    if array.ndim != 2:
        raise DecodeError(
            f"expected gray, RGB, YBR or palette color, got {found.photometric} of"
            f" {description.samples} samples"
        )
    made = gray_scale(array, data_set, description, number, window)
    return made if made.flags.writeable else made.copy()


def _to_8_bits(array: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits > 8:
        array = np.right_shift(array, bits - 8)
    elif bits < 8:
        array = array.astype(np.uint16) * 255 // ((1 << bits) - 1)
    return array.astype(np.uint8)


def fitted_size(size: tuple[int, int], bounds: tuple[int | None, int | None]) -> tuple[int, int]:
    """Return the largest size of the same shape within bounds: width and height.

    Raises:
        DecodeError: the bounds are none.
    """
    if all(bound is None for bound in bounds):
        return size
    for bound in bounds:
        if bound is not None and not 1 <= bound <= _LONGEST_SIDE:
            raise DecodeError(f"expected a size of 1 to {_LONGEST_SIDE} pixels, got {bound}")
    scale = min(
        bound / length for bound, length in zip(bounds, size, strict=True) if bound is not None
    )
    width, height = (max(1, round(length * scale)) for length in size)
    return min(width, _LONGEST_SIDE), min(height, _LONGEST_SIDE)
