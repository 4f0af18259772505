"""What object a received data set is, and whether it can be read, without an index over it.

One look passes over the headers of the usual data sets several times as fast as the reader does;
wherever anything is unusual, the reader decides. Of a deflated data set the head alone is
inflated: a few bytes may stand for gigabytes.

PS3.4 B.2.3 (which failures a C-STORE has), PS3.5 7.1 (data elements), A.5 (deflated).
"""

from __future__ import annotations

import re
import zlib
from struct import pack
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.scan.elements import end_of_undefined
from dicom_actors.data.scan.headers import fits
from dicom_actors.data.scan.layout import BIG_ENDIAN, EXPLICIT, IMPLICIT, ITEM, UNDEFINED, layout_of
from dicom_actors.data.scan.scope import Reading, Scope
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from dicom_actors.data import Limits, TransferSyntax
    from dicom_actors.data.scan.layout import Layout

__all__ = ["Identity", "identify"]

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_TAGS: Final = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_UID: Final = re.compile(rb"([0-9.]*)[\0 ]?")
_HEAD_BYTES: Final = 64 * 1024
_DEFLATED_STEP: Final = 4 * 1024


def _others(vrs: bytes, rest_of_length: bytes) -> re.Pattern[bytes]:
    """Make the pattern of any number of elements of usual lengths that say nothing here.

    Args:
        vrs: the pattern of what stands between tag and length.
        rest_of_length: the pattern of the length's bytes after the first.
    """
    wanted = b"|".join(re.escape(pack("<HH", tag >> 16, tag & 0xFFFF)) for tag in _TAGS)
    lengths = b"|".join(b"\\x%02x%b.{%d}" % (n, rest_of_length, n) for n in range(0, 66, 2))
    # What begins with a group of FFFEH is an item or a delimiter.
    return re.compile(b"(?:(?!%b|\\xfe\\xff)....%b(?:%b))*+" % (wanted, vrs, lengths), re.DOTALL)


_SHORT_VRS: Final = b"(?:[CI]S|L[OT]|D[AST]|S[HLST]|U[ILS]|A[EST]|F[DL]|PN|TM)"
_EXPLICIT_OTHERS: Final = _others(_SHORT_VRS, b"\\0")
_IMPLICIT_OTHERS: Final = _others(b"", b"\\0\\0\\0")


class Identity(NamedTuple):
    """The UIDs that say what object a data set is; empty where it has none.

    Attributes:
        sop_class: SOP Class UID (0008,0016).
        sop_instance: SOP Instance UID (0008,0018).
        study: Study Instance UID (0020,000D).
        series: Series Instance UID (0020,000E).
    """

    sop_class: str
    sop_instance: str
    study: str
    series: str


def identify(data: memoryview, syntax: TransferSyntax, limits: Limits) -> Identity:
    """Read the UIDs of a data set, and whether its elements fill it.

    Args:
        data: the data set as received.
        syntax: its transfer syntax.
        limits: what the reader may spend, where it is needed.

    Raises:
        DecodeError: the bytes, or of a deflated data set the first 64 KiB, are no data set.
        UnsupportedTransferSyntaxError: no data set is encoded in that way.
    """
    if syntax.is_deflated:
        head, is_whole = _inflated_head(data)
        if head and not is_whole:
            return _read(head, EXPLICIT_VR_LITTLE_ENDIAN, limits, keep_truncated=True)
        if head:
            data, syntax = memoryview(head), EXPLICIT_VR_LITTLE_ENDIAN
    return _look(data, syntax, limits) or _read(data, syntax, limits)


def _look(data: memoryview, syntax: TransferSyntax, limits: Limits) -> Identity | None:
    """Pass over a data set in which nothing is unusual; None: the reader has to decide."""
    layout, end = layout_of(syntax), len(data)
    # No element takes less than eight bytes.
    if end < 8 or limits.max_elements <= end >> 3 or layout is BIG_ENDIAN:
        return None
    if not syntax.is_data_set_encoding or syntax.is_deflated or not fits(data, layout, 0, end):
        return None
    pick = _pick_implicit if layout is IMPLICIT else _pick_explicit
    try:
        index = pick(Scope(data, layout, Reading(limits)), end)
    except DecodeError:
        return None
    if index is None:
        return None
    values = [_uid_at(data, layout, index.get(tag)) for tag in _TAGS]
    return None if None in values else Identity(*values)  # type: ignore[arg-type]


def _pick_explicit(scope: Scope, end: int) -> dict[int, int] | None:
    """Find the wanted elements in Explicit VR Little Endian; None: the reader has to."""
    data, layout = scope.buffer, EXPLICIT
    read, short, long = layout.read_explicit, layout.short, layout.long
    pass_over = _EXPLICIT_OTHERS.match
    index: dict[int, int] = {}
    pos, last, limit = 0, -1, end - 12
    while pos <= limit:
        pos = pass_over(data, pos).end()  # type: ignore[union-attr]  # it may match nothing
        if pos > limit:
            break
        group, element, code, length = read(data, pos)
        tag = group << 16 | element
        if tag <= last or tag >= ITEM:
            return None
        last = tag
        if tag in _TAGS:
            index[tag] = pos
        if code in short:
            pos += 8 + length
        elif code in long:
            length = layout.read_length(data, pos + 8)[0]
            if length == UNDEFINED:
                vr = layout.names[code]
                pos = end_of_undefined(scope, 0, tag, vr, pos + 12, end, layout)
            else:
                pos += 12 + length
        else:
            return None
    return index if pos == end else None


def _pick_implicit(scope: Scope, end: int) -> dict[int, int] | None:
    """Find the wanted elements in Implicit VR Little Endian; None: the reader has to."""
    data, read = scope.buffer, IMPLICIT.read_implicit
    pass_over = _IMPLICIT_OTHERS.match
    index: dict[int, int] = {}
    pos, last, limit = 0, -1, end - 8
    while pos <= limit:
        pos = pass_over(data, pos).end()  # type: ignore[union-attr]  # it may match nothing
        if pos > limit:
            break
        group, element, length = read(data, pos)
        tag = group << 16 | element
        if tag <= last or tag >= ITEM:
            return None
        last = tag
        if tag in _TAGS:
            index[tag] = pos
        if length == UNDEFINED:
            pos = end_of_undefined(scope, 0, tag, "", pos + 8, end, IMPLICIT)
        else:
            pos += 8 + length
    return index if pos == end else None


def _uid_at(data: memoryview, layout: Layout, at: int | None) -> str | None:
    """Return the UID at an offset, empty if there is no element; None: the reader has to decide."""
    if at is None:
        return ""
    if layout is IMPLICIT:
        length = layout.read_implicit(data, at)[2]
    else:
        code, length = layout.read_vr(data, at)
        if layout.names[code] != "UI":
            return None
    found = _UID.fullmatch(data, at + 8, at + 8 + length)
    return None if found is None else str(found[1], "ascii")


def _read(
    data: bytes | memoryview,
    syntax: TransferSyntax,
    limits: Limits,
    *,
    keep_truncated: bool = False,
) -> Identity:
    data_set = DataSet.from_bytes(data, syntax, limits=limits, keep_truncated=keep_truncated)
    return Identity(*(str(data_set.get(tag) or "") for tag in _TAGS))


def _inflated_head(data: memoryview) -> tuple[bytes, bool]:
    """Inflate the first 64 KiB of a deflate stream.

    Returns:
        What there is; nothing if it is no such stream, or one that is cut short before. And
        whether that is all.
    """
    # Some writers put a zlib header in front, which the standard does not have.
    has_header = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    machine = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
    head = b""
    try:
        for at in range(0, len(data), _DEFLATED_STEP):
            head += machine.decompress(data[at : at + _DEFLATED_STEP], _HEAD_BYTES - len(head))
            if machine.eof or len(head) >= _HEAD_BYTES:
                return head, machine.eof
    except zlib.error:
        return b"", False
    return b"", False
