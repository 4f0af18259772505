"""Pictures by `dicom_actors.pixels`, which needs the extra ``pixels``."""

from __future__ import annotations

import io
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from PIL import Image

from dicom_actors.errors import DataError, DecodeError
from dicom_actors.pixels import CODECS, FrameReader, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors import DataSet
    from dicom_actors.archive.files import FileBytes
    from dicom_actors.web.pictures import Rendering

__all__ = ["PixelPictures"]

_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_RLE = "1.2.840.10008.1.2.5"
_CINE_MILLISECONDS = 100
_MOST_PIXELS = 1 << 28
"""Of all frames of a picture: they are in memory together."""


class PixelPictures:
    """See `dicom_actors.web.pictures.Pictures`. Any thread may use it."""

    kinds = ("image/jpeg", "image/png", "image/gif")

    def can_decode(self, transfer_syntax: str) -> bool:
        """Whether there is a codec."""
        return transfer_syntax == _RLE or transfer_syntax in CODECS

    def open(self, source: DataSet | FileBytes) -> _Images:
        """Find the frames of a data set or of a file."""
        try:
            return _Images(FrameReader(source))
        except (ValueError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            raise DecodeError(f"no frames: {error}") from error


class _Images:
    """See `dicom_actors.web.pictures.Images`."""

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return len(self._reader)

    def frame(self, number: int) -> bytes:
        """Decode a frame."""
        array = self._reader[number]
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()

    def render(self, numbers: list[int], rendering: Rendering) -> bytes:
        """Make a picture of frames."""
        try:
            pictures = (_picture(self._reader, number, rendering) for number in numbers)
            first = next(pictures)
            if first.width * first.height * len(numbers) > _MOST_PIXELS:
                raise DecodeError(f"no picture: it would have more than {_MOST_PIXELS} pixels")
            return _saved(first, pictures, rendering)
        except (ValueError, IndexError) as error:
            raise DecodeError(f"no picture: {error}") from error


def _picture(reader: FrameReader, number: int, rendering: Rendering) -> Any:
    window = None
    if rendering.window is not None:
        center, width, function = rendering.window
        window = (center, width, _FUNCTIONS[function])
    if rendering.region is None:
        return render(
            reader, number, window=window, size=rendering.size, overlays=rendering.overlays
        )
    left, top, width, height = rendering.region
    picture = render(reader, number, window=window, overlays=rendering.overlays)
    right, bottom = left + (abs(width) or picture.width), top + (abs(height) or picture.height)
    box = (max(0, left), max(0, top), min(picture.width, right), min(picture.height, bottom))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise DecodeError("viewport: the region is outside of the image")
    # Of a pixel that is a part of it, all: what is less than one is a picture, too.
    picture = picture.crop((floor(box[0]), floor(box[1]), ceil(box[2]), ceil(box[3])))
    if width < 0:  # PS3.18 8.3.5.1.3: flipped
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if height < 0:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    assert rendering.size is not None  # a region comes with a size
    scale = min(rendering.size[0] / picture.width, rendering.size[1] / picture.height)
    return picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    )


def _saved(first: Any, others: Iterator[Any], rendering: Rendering) -> bytes:
    buffer = io.BytesIO()
    if rendering.kind == "image/png":
        first.save(buffer, "PNG", compress_level=1, compress_type=3)
    elif rendering.kind == "image/gif":
        first.save(
            buffer,
            "GIF",
            save_all=True,
            append_images=others,
            duration=_CINE_MILLISECONDS,
            loop=0,
        )
    else:
        first.save(buffer, "JPEG", quality=rendering.quality)
    return buffer.getvalue()
