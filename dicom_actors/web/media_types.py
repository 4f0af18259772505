"""The media types of pixel data, by the transfer syntax that they are stored in.

Standard: PS3.18 8.7.3.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MEDIA_TYPES", "OCTETS", "UNCOMPRESSED", "is_uncompressed"]

OCTETS: Final = "application/octet-stream"

UNCOMPRESSED: Final = frozenset(
    {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
    }
)
_JPEG: Final = ("image/jpeg",)
_JPEG_LS: Final = ("image/jls", "image/x-jls")
_JPEG_2000: Final = ("image/jp2",)
_JPEG_2000_PART_2: Final = ("image/jpx",)
_HTJ2K: Final = ("image/jphc", "image/jph")
_RLE: Final = ("image/dicom-rle", "image/x-dicom-rle")
_MPEG2: Final = ("video/mpeg2", "video/mpeg")
_MP4: Final = ("video/mp4",)

_ROOT: Final = "1.2.840.10008.1.2."
MEDIA_TYPES: Final[dict[str, tuple[str, ...]]] = {
    _ROOT + suffix: kinds
    for suffixes, kinds in (
        ("4.50 4.51 4.57 4.70", _JPEG),
        ("4.80 4.81", _JPEG_LS),
        ("4.90 4.91", _JPEG_2000),
        ("4.92 4.93", _JPEG_2000_PART_2),
        ("4.201 4.202 4.203", _HTJ2K),
        ("4.100 4.100.1 4.101 4.101.1", _MPEG2),
        ("4.102 4.102.1 4.103 4.103.1 4.104 4.104.1 4.105 4.105.1 4.106 4.106.1", _MP4),
        ("4.107 4.108", ("video/H265",)),
        ("4.110", ("image/jxl",)),
        ("4.111", ("image/jxl",)),
        ("4.112", ("image/jxl",)),
        ("5", _RLE),
    )
    for suffix in suffixes.split()
}
"""By transfer syntax, the media types of a frame; the first one is what is written."""


def is_uncompressed(transfer_syntax: str) -> bool:
    """Whether pixel data in a transfer syntax are values, one after another."""
    return transfer_syntax in UNCOMPRESSED
