"""Where the frames of an object are in its file, so that one can be read without the others.

Found out once, when an object comes in, and kept in its row in some ten bytes, for a compressed
object some three more for each frame. A frame is a range of the file then: of an uncompressed
object just its bytes, of a compressed one its fragments with the headers of their items.

Standard: PS3.5 8.1 and A.4; PS3.3 C.7.6.3.1.8 (Extended Offset Table).
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.tag_cache import remembered_by_tags
from dicom_actors.errors import DataError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dicom_actors import DataSet

__all__ = ["FrameRange", "FrameRanges"]

_PIXEL_DATA: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_ITEM: Final = Struct("<HHI")
_ITEM_TAG: Final = (0xFFFE, 0xE000)
_MOST_BYTES: Final = 64 * 1024
"""Of what is kept: some 20,000 compressed frames. Of more, the file is asked."""
_PLAIN, _COMPRESSED, _CUT = b"P", b"C", b"X"
_US: Final = Struct("<H").unpack_from
_UL: Final = Struct("<I").unpack_from
_UNDEFINED: Final = 0xFFFFFFFF
_EXPLICIT, _IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
# Rows, Columns, Bits Allocated, Samples per Pixel, Photometric Interpretation, Pixel Data.
_OF_AN_IMAGE: Final = (0x00280010, 0x00280011, 0x00280100, 0x00280002, 0x00280004, 0x7FE00010)
_OF_OTHERS: Final = frozenset({0x00280008, 0x7FE00008, 0x7FE00009})
"""Number of Frames, and pixel data that is no integers."""


class FrameRange(NamedTuple):
    """Where a frame is.

    Attributes:
        offset: bytes before it in the data set.
        length: bytes of it there, headers of items included.
        is_compressed: whether it is items with fragments.
        beyond: bytes at its end that are none of it, such as one that made a fragment even.
    """

    offset: int
    length: int
    is_compressed: bool
    beyond: int = 0

    def frame(self, data: memoryview) -> bytes | memoryview:
        """The frame, of the bytes that are in its range.

        Raises:
            ValueError: these are none of a frame: the file is not what it was.
        """
        if len(data) != self.length:
            raise ValueError(f"expected {self.length} bytes, got {len(data)}")
        if not self.is_compressed:
            return data
        fragments = list(_fragments(data))
        whole = fragments[0] if len(fragments) == 1 else b"".join(fragments)
        return whole[: len(whole) - self.beyond]


class FrameRanges(NamedTuple):
    """Where all frames of an object are.

    Attributes:
        offset: bytes before the first one, counted from the beginning of the data set; of
            compressed ones, before its item.
        number_of_frames: how many there are.
        frame_length: bytes of an uncompressed one; 0 for compressed ones.
        spans: for each compressed one, the bytes of its items, and how many of these are beyond it.
    """

    offset: int
    number_of_frames: int
    frame_length: int = 0
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, data_set: DataSet) -> FrameRanges | None:
        """Find out where the frames of a data set are that was read and not changed.

        Returns:
            None if there are none, or nothing tells where they are.
        """
        syntax = data_set.transfer_syntax
        if syntax is None or syntax.is_deflated:
            return None
        return cls.of_elements(data_set.elements_as_read(), lambda: data_set)

    @classmethod
    def of_elements(cls, elements: Any, read: Callable[[], DataSet]) -> FrameRanges | None:
        """As `of`, of the elements of a data set that is not deflated; see `describe_elements`."""
        if elements is None:
            return None
        single = _single_frame(elements)
        if single is not None:
            return cls(single[0], 1, single[1])
        tag = next((tag for tag in _PIXEL_DATA if tag in elements.tags), None)
        if tag is None:
            return None
        data_set = read()
        number = elements.tags.index(tag)
        start, end = elements.offsets[number : number + 2]
        offset = start - elements.offsets[0]
        try:
            frames = data_set.frames()
            if not frames.is_compressed:
                assert frames.frame_length is not None
                offset += end - start - (data_set.fetch(tag).length or 0)
                return cls(offset, len(frames), frames.frame_length)
            return cls._of_compressed(data_set, len(frames), offset)
        except (DataError, ElementNotFoundError):
            return None

    @classmethod
    def _of_compressed(cls, data_set: DataSet, count: int, offset: int) -> FrameRanges:
        """Find compressed frames; `offset` is that of the element of Pixel Data."""
        data = data_set[0x7FE00010]
        extended = [_numbers(data_set, tag) for tag in (_EXTENDED_OFFSETS, _EXTENDED_LENGTHS)]
        found = data.frames(count, extended_offsets=extended[0])
        lengths = extended[1] if extended[0] and len(extended[1]) == count else (0,) * count
        spans = []
        for fragments, length in zip(found, lengths, strict=True):
            there = sum(map(len, fragments))
            beyond = there - length if 0 < length < there else 0
            spans.append((there + _ITEM.size * len(fragments), beyond))
        # The header of the element, and the item with the Basic Offset Table.
        offset += 12 + _ITEM.size + 4 * len(data.offset_table)
        return cls(offset, count, 0, tuple(spans))

    @property
    def is_compressed(self) -> bool:
        """Whether the frames are codestreams of the transfer syntax."""
        return not self.frame_length

    def range_of(self, number: int) -> FrameRange:
        """Where a frame is.

        Args:
            number: its Frame Number; the first is 1.

        Raises:
            IndexError: there is no such frame.
        """
        if not 0 < number <= self.number_of_frames:
            raise IndexError(f"no frame {number}, there are 1 to {self.number_of_frames}")
        if not self.is_compressed:
            at = self.offset + (number - 1) * self.frame_length
            return FrameRange(at, self.frame_length, is_compressed=False)
        at = self.offset + sum(span for span, _ in self.spans[: number - 1])
        span, beyond = self.spans[number - 1]
        return FrameRange(at, span, is_compressed=True, beyond=beyond)

    def encoded(self) -> bytes | None:
        """The bytes by which it is kept; None: there would be too many."""
        if not self.is_compressed:
            return _PLAIN + _packed((self.offset, self.number_of_frames, self.frame_length))
        kind = _CUT if any(beyond for _, beyond in self.spans) else _COMPRESSED
        numbers: Iterable[int] = (span for span, _ in self.spans)
        if kind == _CUT:
            numbers = (number for pair in self.spans for number in pair)
        made = kind + _packed((self.offset, self.number_of_frames, *numbers))
        return made if len(made) <= _MOST_BYTES else None

    @classmethod
    def decoded(cls, data: bytes) -> FrameRanges:
        """Give back what `encoded` was made of.

        Raises:
            ValueError: these are no bytes of it.
        """
        offset, count, *rest = _unpacked(data[1:])
        if data[:1] == _PLAIN and len(rest) == 1:
            return cls(offset, count, rest[0])
        if data[:1] == _COMPRESSED and len(rest) == count:
            return cls(offset, count, 0, tuple((span, 0) for span in rest))
        if data[:1] == _CUT and len(rest) == 2 * count:
            return cls(offset, count, 0, tuple(zip(rest[::2], rest[1::2], strict=True)))
        raise ValueError("expected where frames are")


def _numbers(data_set: DataSet, tag: int) -> tuple[int, ...]:
    """The numbers of 64 bits in an element of VR OV; none if it is absent."""
    value = data_set.get(tag)
    if not isinstance(value, bytes | memoryview):
        return ()
    return unpack_from(f"<{len(value) // 8}Q", value)


def _fragments(data: memoryview) -> Iterator[memoryview]:
    at = 0
    while at < len(data):
        if len(data) - at < _ITEM.size:
            raise ValueError("expected an item, got less")
        *tag, length = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if tuple(tag) != _ITEM_TAG or at + length > len(data):
            raise ValueError(f"expected an item, got ({tag[0]:04X},{tag[1]:04X}) of {length}")
        yield data[at : at + length]
        at += length


def _packed(numbers: Iterable[int]) -> bytes:
    """Numbers of seven bits a byte, the lowest first; the last byte of each has no high bit."""
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _unpacked(data: bytes) -> list[int]:
    ends = [-1, *(at for at, byte in enumerate(data) if byte < 0x80)]
    return [
        sum((byte & 0x7F) << 7 * at for at, byte in enumerate(data[begin + 1 : end + 1]))
        for begin, end in pairwise(ends)
    ]


# --- images that are as most are -------------------------------------------------------------


@remembered_by_tags
def _places(tags: tuple[int, ...]) -> tuple[int, ...] | None:
    """Say where an image says how large it is; those of a series have the same tags."""
    if not _OF_OTHERS.isdisjoint(tags) or not set(tags).issuperset(_OF_AN_IMAGE):
        return None
    return tuple(tags.index(tag) for tag in _OF_AN_IMAGE)


def _single_frame(found: Any) -> tuple[int, int] | None:
    """Find the one frame of an uncompressed image without decoding anything.

    Returns:
        The bytes before it and its own; None if there may be anything unusual about it.
    """
    places, syntax = _places(found.tags), found.transfer_syntax.uid
    if places is None or syntax not in {_EXPLICIT, _IMPLICIT}:
        return None
    buffer, offsets, is_explicit = found.buffer, found.offsets, syntax == _EXPLICIT
    total = 1
    for place in places[:4]:
        start = offsets[place]
        if offsets[place + 1] - start != 10 or (
            is_explicit and buffer[start + 4 : start + 6] != b"US"
        ):
            return None
        (number,) = _US(buffer, start + 8)
        total *= number
    colors, pixels = places[4:]
    start, end = offsets[pixels : pixels + 2]
    is_shared = (
        bytes(buffer[offsets[colors] : offsets[colors + 1]]).rstrip(b" \0").endswith(b"_422")
    )
    header = 12 if is_explicit else 8
    if (
        is_shared
        or end - start < header
        or (is_explicit and bytes(buffer[start + 4 : start + 6]) not in {b"OB", b"OW"})
    ):
        return None
    (length,) = _UL(buffer, start + header - 4)
    frame = (total + 7) // 8
    if not 0 < frame <= length or length == _UNDEFINED or length != end - start - header:
        return None
    return start + header - offsets[0], frame
