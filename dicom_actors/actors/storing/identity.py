"""What object a received data set is, and whether it can be read, without an index over it.

One look passes over the headers of the usual data sets several times as fast as the reader does,
by the compiled one where it was built; wherever anything is unusual, the reader decides. Of a
deflated data set the head alone is inflated: a few bytes may stand for gigabytes.

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
from dicom_actors.data.scan.native import index_usual, uids_usual
from dicom_actors.data.scan.scope import Reading, Scope
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from dicom_actors.data import Limits, TransferSyntax
    from dicom_actors.data.scan.layout import Layout
    from dicom_actors.data.scan.native import IndexUsual

__all__ = ["Identity", "identify"]

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_WANTED: Final = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_WANTED_TAGS: Final = pack("<4I", *_WANTED)
_TAGS: Final = {pack("<HH", tag >> 16, tag & 0xFFFF): tag for tag in _WANTED}
_new_tuple: Final = tuple.__new__
_HEAD_BYTES: Final = 64 * 1024
_DEFLATED_STEP: Final = 4 * 1024


_USUAL_LENGTHS: Final = range(0, 66, 2)


def _uid_values(rest_of_length: bytes) -> bytes:
    """Make the pattern of a length and a UID of that length, the empty one included.

    Args:
        rest_of_length: the pattern of the length's bytes after the first.
    """
    lengths = [b"\\x%02x%b" % (length, rest_of_length) for length in _USUAL_LENGTHS]
    uids = b"|".join(
        b"%b[0-9.]{%d}[0-9.\\0 ]" % (length, _USUAL_LENGTHS[at] - 1)
        for at, length in enumerate(lengths)
        if at
    )
    return b"%b|%b" % (uids, lengths[0])


def _usual(vrs: bytes, wanted_vr: bytes, rest_of_length: bytes) -> re.Pattern[bytes]:
    """Make the pattern of a wanted element, then any number of usual ones that say nothing here.

    Either may be missing. The tag of the wanted one, its length with its value, and the last of
    the others are the groups; the last group ends where they end: the end of a match that is
    possessive is further on before Python 3.11.5, by what fits of one more.

    Args:
        vrs: the pattern of what stands between tag and length.
        wanted_vr: that of a wanted one.
        rest_of_length: the pattern of the length's bytes after the first.
    """
    tags = b"|".join(re.escape(tag) for tag in _TAGS)
    lengths = [b"\\x%02x%b" % (length, rest_of_length) for length in _USUAL_LENGTHS]
    others = b"|".join(b"%b.{%d}" % of for of in zip(lengths, _USUAL_LENGTHS, strict=True))
    return re.compile(
        # What begins with a group of FFFEH is an item or a delimiter.
        b"(?:(%b)%b(%b))?((?!%b|\\xfe\\xff)....%b(?:%b))*+"
        % (tags, wanted_vr, _uid_values(rest_of_length), tags, vrs, others),
        re.DOTALL,
    )


_SHORT_VRS: Final = b"(?:[CI]S|L[OT]|D[AST]|S[HLST]|U[ILS]|A[EST]|F[DL]|PN|TM)"
_EXPLICIT_USUAL: Final = _usual(_SHORT_VRS, b"UI", b"\\0")
_IMPLICIT_USUAL: Final = _usual(b"", b"", b"\\0\\0\\0")
# What follows the tag of a wanted element; four bytes, then the UID.
_EXPLICIT_UID: Final = re.compile(b"UI(?:%b)" % _uid_values(b"\\0"))
_IMPLICIT_UID: Final = re.compile(_uid_values(b"\\0\\0\\0"))


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
    end = len(data)
    # No element takes less than eight bytes.
    if end < 8 or limits.max_elements <= end >> 3 or not syntax.is_data_set_encoding:
        return None
    layout = layout_of(syntax)
    if layout is BIG_ENDIAN or syntax.is_deflated or not fits(data, layout, 0, end):
        return None
    if uids_usual is not None:
        found = uids_usual(data, end, layout is EXPLICIT, _WANTED_TAGS)
        if found is not None:
            return _new_tuple(Identity, found)  # as `Identity(*found)`
    uids = dict.fromkeys(_WANTED, "")
    try:
        if index_usual is not None:
            is_usual = _pick_indexed(index_usual, data, layout, limits, end, uids)
        else:
            pick = _pick_implicit if layout is IMPLICIT else _pick_explicit
            is_usual = pick(data, limits, end, uids)
        return Identity(*uids.values()) if is_usual else None
    except DecodeError:
        return None


def _pick_indexed(
    index_usual: IndexUsual,
    data: memoryview,
    layout: Layout,
    limits: Limits,
    end: int,
    uids: dict[int, str],
) -> bool:
    """Find the wanted UIDs by the compiled look over headers; False: the reader has to."""
    is_explicit = layout is EXPLICIT
    index: dict[int, int] = {}
    pos, last = index_usual(data, index, 0, end, -1, ITEM, is_explicit)
    while end - pos >= 8:
        # What is not usual may be of undefined length, and nothing else.
        group, element, length = IMPLICIT.read_implicit(data, pos)
        tag, vr, start = group << 16 | element, "", pos + 8
        if is_explicit:
            code = layout.read_explicit(data, pos)[2]
            if code not in layout.long or start + 4 > end:
                return False
            length, vr = layout.read_length(data, start)[0], layout.names[code]
            start += 4
        if length != UNDEFINED or tag <= last or tag >= ITEM or tag in uids:
            return False
        pos = end_of_undefined(Scope(data, layout, Reading(limits)), 0, tag, vr, start, end, layout)
        pos, last = index_usual(data, index, pos, end, tag, ITEM, is_explicit)
    if pos != end:
        return False
    read_uid = (_EXPLICIT_UID if is_explicit else _IMPLICIT_UID).match
    for tag in uids:
        at = index.get(tag)
        if at is not None:
            found = read_uid(data, at + 4)
            if found is None:
                return False
            uids[tag] = str(found[0][4:], "ascii").rstrip("\0 ")
    return True


def _pick_explicit(data: memoryview, limits: Limits, end: int, uids: dict[int, str]) -> bool:
    """Find the wanted UIDs in Explicit VR Little Endian; False: the reader has to."""
    layout = EXPLICIT
    read, short, long = layout.read_explicit, layout.short, layout.long
    usual = _EXPLICIT_USUAL.match
    pos, last, limit = 0, -1, end - 8
    while pos <= limit:
        found = usual(data, pos)
        assert found is not None  # it may match nothing
        raw, value, _ = found.groups()
        if raw is not None:
            tag = _TAGS[raw]
            if tag <= last:
                return False
            uids[tag] = str(value[2:], "ascii").rstrip("\0 ")
            last = tag
        if found.lastindex:
            pos = found.end(found.lastindex)
            continue
        group, element, code, length = read(data, pos)
        tag = group << 16 | element
        if tag <= last or tag >= ITEM or tag in uids:
            return False
        last = tag
        if code in short:
            pos += 8 + length
        elif code in long and pos + 12 <= end:
            length = layout.read_length(data, pos + 8)[0]
            if length == UNDEFINED:
                vr, scope = layout.names[code], Scope(data, layout, Reading(limits))
                pos = end_of_undefined(scope, 0, tag, vr, pos + 12, end, layout)
            else:
                pos += 12 + length
        else:
            return False
    return pos == end


def _pick_implicit(data: memoryview, limits: Limits, end: int, uids: dict[int, str]) -> bool:
    """Find the wanted UIDs in Implicit VR Little Endian; False: the reader has to."""
    read, usual = IMPLICIT.read_implicit, _IMPLICIT_USUAL.match
    pos, last, limit = 0, -1, end - 8
    while pos <= limit:
        found = usual(data, pos)
        assert found is not None  # it may match nothing
        raw, value, _ = found.groups()
        if raw is not None:
            tag = _TAGS[raw]
            if tag <= last:
                return False
            uids[tag] = str(value[4:], "ascii").rstrip("\0 ")
            last = tag
        if found.lastindex:
            pos = found.end(found.lastindex)
            continue
        group, element, length = read(data, pos)
        tag = group << 16 | element
        if tag <= last or tag >= ITEM or tag in uids:
            return False
        last = tag
        if length == UNDEFINED:
            scope = Scope(data, IMPLICIT, Reading(limits))
            pos = end_of_undefined(scope, 0, tag, "", pos + 8, end, IMPLICIT)
        else:
            pos += 8 + length
    return pos == end


def _read(
    data: bytes | memoryview,
    syntax: TransferSyntax,
    limits: Limits,
    *,
    keep_truncated: bool = False,
) -> Identity:
    data_set = DataSet.from_bytes(data, syntax, limits=limits, keep_truncated=keep_truncated)
    return Identity(*(str(data_set.get(tag) or "") for tag in _WANTED))


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
