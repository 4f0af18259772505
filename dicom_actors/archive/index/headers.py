"""Headers as they are kept: deflated, those of instances against that of their series.

Instances of a series say mostly the same, so that what is left of one takes some dozen bytes.

Standard: RFC 1950, RFC 1951 (with a preset dictionary).
"""

from __future__ import annotations

import zlib
from typing import Final

from dicom_actors.archive.index.description import MAX_HEADER
from dicom_actors.errors import ArchiveError

__all__ = ["difference", "pack", "restore", "unpack"]

_RAW: Final = -15
_LEVEL: Final = 3


def pack(header: bytes) -> bytes:
    """Deflate the header of a series."""
    return zlib.compress(header, 1)  # the others save a twentieth, for twice the time


def unpack(packed: bytes) -> bytes:
    """Give back what `pack` was given.

    Raises:
        ArchiveError: these are no bytes of `pack`.
    """
    return _inflate(zlib.decompressobj(), packed)


def difference(header: bytes, of_series: bytes) -> bytes | None:
    """Deflate the header of an instance; None if it is the same as that of its series."""
    if header == of_series:
        return None
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, 8, zdict=of_series)
    return deflater.compress(header) + deflater.flush()


def restore(packed: bytes | None, of_series: bytes) -> bytes:
    """Give back the header of an instance.

    Raises:
        ArchiveError: these are no bytes of `difference`.
    """
    if packed is None:
        return of_series
    return _inflate(zlib.decompressobj(_RAW, zdict=of_series), packed)


def _inflate(inflater: zlib._Decompress, packed: bytes) -> bytes:
    try:
        header = inflater.decompress(packed, MAX_HEADER)
    except zlib.error as error:
        raise ArchiveError(f"the index is damaged: a header in it: {error}", "damaged") from error
    if not inflater.eof:
        raise ArchiveError("the index is damaged: a header in it is cut or too long", "damaged")
    return header
