"""RLE Lossless: bytes to bytes, in Python alone; an encoder of rows.

Standard: PS3.5 Annex G.
"""

from __future__ import annotations

import struct
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.pixels.description import ImageDescription

__all__ = ["decode_rle", "decode_segment", "join_segments", "segments_of"]

_HEADER_BYTES: Final = 64
_MOST_SEGMENTS: Final = 15
_MOST_OF_TWO: Final = 128
"""What two bytes of a segment become at most."""


def segments_of(data: bytes | memoryview, description: ImageDescription) -> list[memoryview]:
    """Take a frame apart; each segment has a byte of each sample of one kind (PS3.5 G.2).

    Raises:
        DecodeError: there are not the segments that the description wants, or they cannot be so
            large.
    """
    view = memoryview(data)
    wanted = description.samples * ((description.bits_allocated + 7) // 8)
    try:
        count, *offsets = unpack_from("<16I", view)
    except struct.error as error:
        raise DecodeError(f"expected an RLE header of 64 bytes, got {len(view)}") from error
    if count != wanted or count > _MOST_SEGMENTS:
        raise DecodeError(f"expected {wanted} RLE segments, got {count}")
    ends = [*offsets[1:count], len(view)]
    segments = []
    for start, end in zip(offsets[:count], ends, strict=True):
        if not _HEADER_BYTES <= start <= end <= len(view):
            raise DecodeError(
                f"expected an RLE segment within bytes 64 to {len(view)}, got {start} to {end}"
            )
        if (end - start + 1) // 2 * _MOST_OF_TWO < description.pixels:
            raise DecodeError(
                f"expected an RLE segment of {description.pixels} bytes, got one of"
                f" {end - start} compressed"
            )
        segments.append(view[start:end])
    return segments


def decode_segment(segment: memoryview, length: int) -> bytes:
    """Decode a segment (PS3.5 G.3.2).

    Args:
        segment: the compressed bytes.
        length: how many bytes are wanted; what is beyond is padding.

    Raises:
        DecodeError: it has fewer.
    """
    raw = bytes(segment)
    out = bytearray()
    at, end = 0, len(raw)
    while at < end and len(out) < length:
        head = raw[at]
        if head < 128:
            out += raw[at + 1 : at + 2 + head]
            at += 2 + head
        else:
            if head > 128 and at + 1 < end:
                out += raw[at + 1 : at + 2] * (257 - head)
            at += 2 if head > 128 else 1
    if len(out) < length:
        raise DecodeError(f"expected an RLE segment of {length} bytes, got {len(out)}")
    return bytes(out[:length])


def decode_rle(data: bytes | memoryview, description: ImageDescription) -> bytes:
    """Decode a frame to native bytes: little endian, color by pixel.

    Raises:
        DecodeError: it is no RLE frame of this description.
    """
    segments = segments_of(data, description)
    width = len(segments) // description.samples
    out = bytearray(description.pixels * len(segments))
    for number, segment in enumerate(segments):
        # Of each sample the most significant byte comes first.
        sample, place = divmod(number, width)
        start = sample * width + width - 1 - place
        out[start :: len(segments)] = decode_segment(segment, description.pixels)
    return bytes(out)


def join_segments(segments: Sequence[bytes]) -> bytes:
    """Make a frame of its compressed segments; odd ones get a zero byte."""
    even = [segment + b"\0" * (len(segment) & 1) for segment in segments]
    offsets, at = [], _HEADER_BYTES
    for segment in even:
        offsets.append(at)
        at += len(segment)
    offsets += [0] * (_MOST_SEGMENTS - len(offsets))
    return pack("<16I", len(even), *offsets) + b"".join(even)
