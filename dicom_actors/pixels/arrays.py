"""Frames as arrays.

Each is decoded when it is asked for. Nothing is kept but where frames are, in a `FrameReader`.

Standard: PS3.3 C.7.6.3.1, PS3.5 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary import TransferSyntax
from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.data.files.large_value import pixel_data_file_of, read_large
from dicom_actors.data.files.pixel_data_file import PixelDataFile
from dicom_actors.errors import DecodeError, UnsupportedTransferSyntaxError
from dicom_actors.pixels.codecs import CODECS, Codec, Codecs, Decoded, called
from dicom_actors.pixels.color import apply_palette, to_rgb
from dicom_actors.pixels.description import DEFAULT_LIMITS, PixelLimits
from dicom_actors.pixels.frame_source import FrameSource
from dicom_actors.pixels.native import clean, decode_native

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from dicom_actors.pixels.description import ImageDescription

__all__ = ["FrameReader", "codec_for", "frame", "frames", "read_frame", "volume"]


class FrameReader(Sequence["NDArray[Any]"]):
    """The frames of a data set or of a file as arrays, counted from 0.

    Where they are is found out once. Of a file, only the frames that are asked for are read; it is
    open meanwhile, until `close` or the end of a ``with``, or until nobody has the reader any more.
    A large deflated one is inflated to a file for that, which has no name.

    Attributes:
        data_set: the data set; of a file, what stands before the pixel data may be all of it.
        description: what it says of its pixels.
        source: the frames as they are in it.
    """

    def __init__(
        self,
        source: DataSet | FileBytes | str | os.PathLike[str],
        *,
        rgb: bool = False,
        codecs: Codecs = CODECS,
        limits: PixelLimits = DEFAULT_LIMITS,
    ) -> None:
        """Find out where the frames are; arguments and errors are those of `frame`."""
        self._file: PixelDataFile | None = None
        if not isinstance(source, DataSet):
            if isinstance(source, FileBytes):
                self._file = PixelDataFile.of(source)
            else:
                self._file = PixelDataFile.open(source)
            source = read_large(source) if self._file is None else self._file.data_set
        if self._file is None:
            self._file = pixel_data_file_of(source)
        self.data_set: DataSet = source
        self.source = FrameSource(self._file or source, limits)
        self.description: ImageDescription = self.source.description
        self._rgb = rgb
        self._limits = limits
        self._codec: Codec | None = None
        self._name = ""
        if self.source.transfer_syntax:
            self._codec, self._name = codec_for(self.source.transfer_syntax, codecs)
        self._all: NDArray[Any] | None = None
        native = self.source.native
        if native is not None and self.description.is_plain:  # then all together are one view
            self._all = decode_native(native, self.description, frames=self.description.frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it is one; there are no more frames then."""
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self.description.frames

    @overload
    def __getitem__(self, number: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, number: slice) -> list[NDArray[Any]]: ...
    def __getitem__(self, number: int | slice) -> NDArray[Any] | list[NDArray[Any]]:
        """Return one frame, or a list for a slice; see `frame`."""
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        array = self.decoded(number).array
        if not array.flags.writeable:
            array = array.copy()
        return array

    def decoded(self, number: int, *, palette: bool = True) -> Decoded:
        """Return a frame that may be a view, with its Photometric Interpretation.

        Args:
            number: which.
            palette: whether indices are given their colors, where RGB is wished.

        Raises:
            IndexError: there is no such frame.
            DecodeError: it is not what the data set says.
        """
        description = self.description
        if self._all is not None:
            if not -description.frames <= number < description.frames:
                raise IndexError(f"no frame {number}, there are {description.frames}")
            found = Decoded(clean(self._all[number], description), description.photometric)
            return self._in_color(found, palette=palette) if self._rgb else found
        data = self.source[number]
        if self._codec is not None:
            found = called(self._codec, self._name, data, description, self._rgb)
        else:
            first = self.source.first_bit(number)
            array = decode_native(data, description, first_bit=first)[0]
            found = Decoded(clean(array, description), _full(description.photometric))
        return self._in_color(found, palette=palette) if self._rgb else found

    def volume(self) -> NDArray[Any]:
        """Return all frames; see `volume`."""
        description = self.description
        size = description.array_bytes * description.frames
        if size > self._limits.max_volume_bytes:
            raise DecodeError(
                f"expected frames of at most {self._limits.max_volume_bytes} bytes in all, got"
                f" {size}",
                tag=description.tag,
            )
        if self.source.native is not None and not self._rgb:
            array = decode_native(self.source.native, description, frames=description.frames)
            array = clean(array, description)
            return array if array.flags.writeable else array.copy()
        first = self.decoded(0).array  # which has to be there before there is room for all
        if description.frames > 1:
            self.source[description.frames - 1]
        made = np.empty((description.frames, *first.shape), first.dtype)
        made[0] = first
        for number in range(1, description.frames):
            made[number] = self.decoded(number).array
        return made

    def _in_color(self, found: Decoded, *, palette: bool) -> Decoded:
        if found.photometric == "PALETTE COLOR" and palette:
            return Decoded(apply_palette(found.array, self.data_set), "RGB")
        if found.photometric.startswith("YBR_") and self.description.samples == 3:
            array = to_rgb(found.array, found.photometric, self.description.bits_stored)
            return Decoded(array, "RGB")
        return found


def codec_for(transfer_syntax: str, codecs: Codecs) -> tuple[Codec, str]:
    """Return the codec of a transfer syntax, and what that is called.

    Raises:
        UnsupportedTransferSyntaxError: there is none.
    """
    codec = codecs.get(transfer_syntax)
    name = str(TransferSyntax.as_read(transfer_syntax))
    if codec is None:
        why = ", which is video: its frames cannot be taken apart" if "MPEG" in name else ""
        if "HEVC" in name:
            why = ", which is video: its frames cannot be taken apart"
        raise UnsupportedTransferSyntaxError(f"no codec for {name}{why}")
    return codec, name


def frame(
    data_set: DataSet,
    number: int = 0,
    *,
    rgb: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> NDArray[Any]:
    """Return a frame as an array.

    Args:
        data_set: a data set with pixel data, float or double float pixel data, or the item of an
            icon.
        number: which frame, counted from 0; negative ones from the end.
        rgb: whether colors come as RGB: of YBR_FULL and its like, converted as the codec does it
            or by PS3.3 C.7.6.3.1.2; of PALETTE COLOR, those of its table. What is gray stays so.
        codecs: what decodes which transfer syntax.
        limits: what it may cost.

    Returns:
        An array of its own of shape (rows, columns), or (rows, columns, samples) where there are
        several; integers of 8, 16, 32 or 64 bits by Bits Allocated and Pixel Representation,
        with what is beyond Bits Stored and High Bit left out; floats of 32 or 64 bits. JPEG 2000
        and HTJ2K give RGB, where they have a color transform, whatever is wished, and YBR_FULL_422
        gives YBR_FULL: each pixel has its color.

    Raises:
        ElementNotFoundError: there is no pixel data, or it is not said how large it is.
        DecodeError: the frame is not what the data set says, or goes beyond a limit.
        UnsupportedTransferSyntaxError: there is no codec for it.
        IndexError: there is no such frame.

    Standard: PS3.3 C.7.6.3.1, PS3.5 8.
    """
    return FrameReader(data_set, rgb=rgb, codecs=codecs, limits=limits)[number]


def frames(
    data_set: DataSet,
    *,
    rgb: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> Iterator[NDArray[Any]]:
    """Give each frame as an array, decoded when it is asked for; see `frame`."""
    yield from FrameReader(data_set, rgb=rgb, codecs=codecs, limits=limits)


def volume(
    data_set: DataSet,
    *,
    rgb: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> NDArray[Any]:
    """Return all frames as one array of shape (frames, rows, columns[, samples]); see `frame`."""
    return FrameReader(data_set, rgb=rgb, codecs=codecs, limits=limits).volume()


def read_frame(
    source: str | os.PathLike[str],
    number: int = 0,
    *,
    rgb: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> NDArray[Any]:
    """Read one frame of a file of any size; of the pixel data, no other frame is read.

    To read several, a `FrameReader` remembers where they are, which of compressed ones without an
    offset table it takes a look at all fragments to find out.

    Args:
        source: the path of a file.
        number: which frame, counted from 0; negative ones from the end.
        rgb: see `frame`, as for the others.
        codecs: likewise.
        limits: likewise.

    Returns:
        See `frame`.

    Raises:
        OSError: the file cannot be read.
        DicomError: it is no DICOM file, or see `frame`.
        IndexError: there is no such frame.
    """
    with FrameReader(source, rgb=rgb, codecs=codecs, limits=limits) as reader:
        return reader[number]


def _full(photometric: str) -> str:
    return photometric.removesuffix("_422") if photometric.startswith("YBR_") else photometric
