"""The frames of pixel data, as they are in the data set: uncompressed or compressed.

Each is taken out of the bytes when it is asked for, so that one frame of a large file costs
what that frame is, be it that the bytes are still in the file or in the other byte order. Nothing
is decompressed here.

Standard: PS3.5 8.1 and A.4; PS3.3 C.7.6.3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import unpack_from
from typing import TYPE_CHECKING, Any, Final, overload

from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dictionary import tag_of
from dicom_actors.data.values.codec import is_swapped, swapped
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.unread import UnreadBytes, UnreadFragments
from dicom_actors.errors import DecodeError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Frames"]

Frame = bytes | memoryview

_PIXEL_DATA: Final = (0x7FE00010, 0x7FE00008, 0x7FE00009)
_EXTENDED_OFFSETS: Final = 0x7FE00001
_EXTENDED_LENGTHS: Final = 0x7FE00002


class Frames(Sequence[Frame]):
    """The frames of a data set, counted from 0.

    Attributes:
        is_compressed: whether they are codestreams of the data set's transfer syntax.
        frame_length: the bytes of an uncompressed frame; None for compressed ones.
    """

    __slots__ = (
        "_count",
        "_data",
        "_lengths",
        "_offsets",
        "_read_frame",
        "frame_length",
        "is_compressed",
    )

    def __init__(self, data_set: Any) -> None:
        """Find out where the frames of a data set are.

        Args:
            data_set: a `DataSet`, which says that it gives these, so that this knows none.

        Raises:
            ElementNotFoundError: there is no pixel data, or it is not said how large it is.
            DecodeError: the pixel data is shorter than its frames.
            OSError: it is in a file that cannot be read.
        """
        tag = next((tag for tag in _PIXEL_DATA if tag in data_set), None)
        if tag is None:
            raise ElementNotFoundError("no pixel data in the data set", tag=0x7FE00010)
        self._count = _number(data_set, "NumberOfFrames", 1)
        self._offsets: tuple[int, ...] = ()
        self._lengths: tuple[int, ...] = ()
        self.frame_length: int | None = None
        unread = data_set.fetch(tag).unread
        self._read_frame: Callable[[int, int], bytes] | None = None
        if isinstance(unread, UnreadFragments) and unread.frame is not None:
            self._read_frame = unread.frame
            self.is_compressed = True
            return
        self._data: Any = _value_of(data_set, tag)
        self.is_compressed = isinstance(self._data, EncapsulatedPixelData)
        if self.is_compressed:
            self._offsets = _table(data_set, _EXTENDED_OFFSETS)
            # Lengths of what is told elsewhere mean nothing.
            self._lengths = _table(data_set, _EXTENDED_LENGTHS) if self._offsets else ()
        elif not isinstance(self._data, bytes | memoryview | UnreadBytes):
            raise DecodeError(f"expected pixel data to be bytes, got {self._data!r:.60}", tag=tag)
        else:
            self.frame_length = _frame_length(data_set, tag)
            if len(self._data) < self._count * self.frame_length:
                raise DecodeError(
                    f"expected {self._count} frames of {self.frame_length} bytes, got"
                    f" {len(self._data)} bytes",
                    tag=tag,
                )

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Frame: ...
    @overload
    def __getitem__(self, number: slice) -> list[Frame]: ...
    def __getitem__(self, number: int | slice) -> Frame | list[Frame]:
        """Return one frame, or a list for a slice.

        Raises:
            IndexError: there is no such frame.
            DecodeError: nothing tells where compressed frames are, or the file became shorter.
            OSError: the file cannot be read.
        """
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(self._count))]
        if not -self._count <= number < self._count:
            raise IndexError(f"no frame {number}, there are {self._count}")
        number %= self._count
        if self._read_frame is not None:
            return self._read_frame(number, self._count)
        if self.frame_length is None:
            frame: Frame = self._data.frame(
                number,
                self._count,
                extended_offsets=self._offsets,
                extended_lengths=self._lengths,
            )
            return frame
        start = number * self.frame_length
        if isinstance(self._data, UnreadBytes):
            return self._data[start : start + self.frame_length].read()
        return memoryview(self._data)[start : start + self.frame_length]


def _value_of(data_set: Any, tag: int) -> Any:
    """The value of pixel data; what is not read, or in the other byte order, as it is wanted."""
    element = data_set.fetch(tag)
    if isinstance(element.unread, UnreadBytes):
        return element.unread
    content = content_of(data_set)
    item = content.index[tag]
    if content.scope.layout.order == ">" and isinstance(item, int):
        extent = content.extent_at(tag, item)
        if is_swapped(extent.vr) and not extent.is_undefined:
            return swapped(extent.vr, content.raw_at(tag, item))
    return element.value or b""


def _table(data_set: Mapping[Any, Any], tag: int) -> tuple[int, ...]:
    """Return the numbers of 64 bits in an element of OV; none if it is absent."""
    value = data_set.get(tag)
    if not isinstance(value, bytes | memoryview):
        return ()
    return unpack_from(f"<{len(value) // 8}Q", value)


def _number(data_set: Mapping[Any, Any], keyword: str, default: int | None = None) -> int:
    """Return a number that says how large the pixel data is; absent or empty, the default."""
    value = data_set[keyword] if default is None else data_set.get(keyword) or default
    if not isinstance(value, int) or value < 1:
        raise DecodeError(
            f"expected {keyword} to be a number, 1 or more, got {value!r:.60}", tag=tag_of(keyword)
        )
    return value


def _frame_length(data_set: Mapping[Any, Any], tag: int) -> int:
    bits = {0x7FE00008: 32, 0x7FE00009: 64}.get(tag) or _number(data_set, "BitsAllocated")
    samples = _number(data_set, "SamplesPerPixel", 1)
    total = _number(data_set, "Rows") * _number(data_set, "Columns") * samples * bits
    if str(data_set.get("PhotometricInterpretation")).endswith("_422"):
        # Two pixels share their color samples (PS3.3 C.7.6.3.1.2).
        total = total * 2 // 3
    if total % 8 and _number(data_set, "NumberOfFrames", 1) > 1:
        raise DecodeError("frames of single bits that do not end with a byte", tag=tag)
    return (total + 7) // 8
