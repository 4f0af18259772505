"""Where the bytes of each frame are, and what they are: native, or compressed in which way.

Standard: PS3.5 8.1 and A.4; PS3.3 C.7.6.3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary import TransferSyntax
from dicom_actors.data.files.pixel_data_file import PixelDataFile
from dicom_actors.data.forms.frames import Frames
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.unread import UnreadBytes
from dicom_actors.errors import DecodeError, UnsupportedTransferSyntaxError
from dicom_actors.pixels.description import DEFAULT_LIMITS, ImageDescription, PixelLimits
from dicom_actors.pixels.rle import decode_rle

if TYPE_CHECKING:
    from dicom_actors.data import DataSet

__all__ = ["FrameSource", "frame_bytes", "native_bytes"]

RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"


class FrameSource:
    """The frames of a data set, or of a file, as they are in it.

    Attributes:
        description: what the data set says of them.
        transfer_syntax: the UID of how they are compressed; empty for native ones.
        native: the bytes of all native frames; None if they are in a file, or not made yet.
    """

    __slots__ = ("_compressed", "_file", "_unread", "description", "native", "transfer_syntax")

    def __init__(
        self, source: DataSet | PixelDataFile, limits: PixelLimits = DEFAULT_LIMITS
    ) -> None:
        """Find out where they are.

        Args:
            source: a data set, the item of an icon, or a file whose pixel data was not read.
            limits: what they may cost.

        Raises:
            ElementNotFoundError: there is no pixel data, or it is not said how large it is.
            DecodeError: the description makes no sense, or the pixel data is too short for it.
        """
        self._file: PixelDataFile | None = None
        self.transfer_syntax = ""
        self._compressed: Frames | None = None
        self._unread: UnreadBytes | None = None
        self.native: bytes | memoryview | None = None
        if isinstance(source, PixelDataFile):
            self._file, data_set = source, source.data_set
            description = self.description = ImageDescription.of(data_set, limits, tag=source.tag)
            if source.length is None:
                self.transfer_syntax = _syntax_of(data_set)
            else:
                _check_length(description, source.length)
            return
        data_set = source
        description = self.description = ImageDescription.of(data_set, limits)
        unread = data_set.fetch(description.tag).unread
        if isinstance(unread, UnreadBytes):
            _check_length(description, len(unread))
            self._unread = unread
            return
        value = data_set[description.tag]
        if isinstance(value, EncapsulatedPixelData):
            self.transfer_syntax = _syntax_of(data_set)
            self._compressed = Frames(data_set)
            return
        value = b"" if value is None else value
        if not isinstance(value, bytes | memoryview):
            raise DecodeError(
                f"expected pixel data to be bytes, got {value!r:.60}", tag=description.tag
            )
        _check_length(description, len(value))
        self.native = _in_order(data_set, description, value)

    def __len__(self) -> int:
        return self.description.frames

    def __getitem__(self, number: int) -> bytes | memoryview:
        """Return the bytes of a frame: a codestream, or for native ones what is in the element.

        Native frames that do not begin or end with a byte come with the whole bytes around them.

        Raises:
            IndexError: there is no such frame.
            DecodeError: nothing tells where compressed frames are, or the file became shorter.
            OSError: the file cannot be read.
        """
        count = self.description.frames
        if not -count <= number < count:
            raise IndexError(f"no frame {number}, there are {count}")
        number %= count
        if self._compressed is not None:
            return self._compressed[number]
        if self._file is not None and self.transfer_syntax:
            return self._file.frame(number, count)
        bits = self.description.frame_bits
        start, end = number * bits // 8, ((number + 1) * bits + 7) // 8
        if self._file is not None:
            return self._file.read(start, end - start)
        if self._unread is not None:
            return self._unread[start:end].read()
        assert self.native is not None
        return memoryview(self.native)[start:end]

    def first_bit(self, number: int) -> int:
        """Which bit of its first byte a native frame begins with, from the lowest."""
        return number % self.description.frames * self.description.frame_bits % 8


def frame_bytes(
    data_set: DataSet, number: int = 0, *, limits: PixelLimits = DEFAULT_LIMITS
) -> bytes | memoryview:
    """Return the bytes of a native or RLE frame, without any library.

    Args:
        data_set: a data set with pixel data, or the item of an icon.
        number: which frame, counted from 0; negative ones from the end.
        limits: what it may cost.

    Returns:
        Little endian samples as the data set describes them; those of RLE color by pixel.

    Raises:
        ElementNotFoundError: there is no pixel data, or it is not said how large it is.
        DecodeError: the description makes no sense, or the frame is not what it says.
        UnsupportedTransferSyntaxError: to decode it takes the extra ``pixels``; see `frame`.
        IndexError: there is no such frame.
    """
    return native_bytes(FrameSource(data_set, limits), number)


def native_bytes(source: FrameSource, number: int) -> bytes | memoryview:
    """Return the bytes of a native or RLE frame; see `frame_bytes`."""
    data = source[number]
    if source.transfer_syntax == RLE_LOSSLESS:
        return decode_rle(data, source.description)
    if source.transfer_syntax not in {"", ENCAPSULATED_UNCOMPRESSED}:
        name = TransferSyntax.as_read(source.transfer_syntax)
        raise UnsupportedTransferSyntaxError(
            f"{name} is decoded with `frame`: pip install 'dicom-actors[pixels]'"
        )
    return data


def _check_length(description: ImageDescription, found: int) -> None:
    length = (description.frames * description.frame_bits + 7) // 8
    if found < length:
        raise DecodeError(
            f"expected {description.frames} frames in {length} bytes, got {found} bytes",
            tag=description.tag,
        )


def _syntax_of(data_set: DataSet) -> str:
    syntax = data_set.transfer_syntax
    uid = syntax.uid if syntax is not None else data_set.file_meta.get("TransferSyntaxUID")
    if not isinstance(uid, str) or not uid:
        raise UnsupportedTransferSyntaxError(
            "expected TransferSyntaxUID in the file meta of a data set with compressed frames"
        )
    return uid


def _in_order(
    data_set: DataSet, description: ImageDescription, value: bytes | memoryview
) -> bytes | memoryview:
    """Bring wide samples of a big endian data set in order.

    Words of 16 bits came in order, which the VR OW is about. Wider samples have their words the
    other way round then.
    """
    syntax = data_set.transfer_syntax
    if syntax is None or syntax.is_little_endian or description.bits_allocated < 32:
        return value
    element = data_set.fetch(description.tag)
    if element.vr != "OW" or element.raw is None:
        return value
    width = description.bits_allocated // 8
    words = memoryview(value)[: len(value) // width * width]
    out = bytearray(words)
    for place in range(0, width, 2):
        for byte in (0, 1):
            out[place + byte :: width] = words[width - 2 - place + byte :: width]
    return bytes(out)
