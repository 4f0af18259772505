"""Large files, of which one large value is not read: pixel data, a document, a spectrum.

The data set is as any other; the value is bytes of the file, read when it is asked for, and piece
by piece when it is written or sent. What is unusual (several large values, one out of order,
damage) is read whole. A deflated data set is inflated to a file first, which has no name and is
gone with the last that is wanted of it.

Standard: PS3.5 7.1 (data elements), A.4 (compressed pixel data), A.5 (deflated).
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Final

from dicom_actors.data.dataset.data_set import DataSet, UnreadElement
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dataset.encoder import encode_elements
from dicom_actors.data.dataset.reading import inflate_pieces
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.data.files.part10 import (
    NO_PREAMBLE,
    PREFIX,
    open_regular,
    read_file,
    read_meta,
)
from dicom_actors.data.files.pixel_data_file import PixelDataFile
from dicom_actors.data.scan.layout import EXPLICIT, UNDEFINED
from dicom_actors.data.scan.scope import DEFAULT_LIMITS
from dicom_actors.data.values.codec import is_swapped, swapped
from dicom_actors.data.values.unread import UnreadBytes, UnreadFragments, in_memory
from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.dictionary import TransferSyntax

    Piece = bytes | memoryview | UnreadBytes
    Source = str | os.PathLike[str] | bytes | bytearray | memoryview | FileBytes

__all__ = ["LARGE", "pixel_data_file_of", "read_large", "spooled"]

LARGE: Final = 1 << 20
"""Bytes of a file that is worth it; of what is beside the large value there may be so many."""
_WORTH: Final = 64 * 1024
"""Bytes of a value that is left in the file."""
_FRONT: Final = 64 * 1024
_DOCUMENT, _SPECTRUM = 0x00420011, 0x56000020
_PIXELS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_LARGE_ONES: Final = {
    _DOCUMENT: frozenset({_DOCUMENT}),
    _SPECTRUM: frozenset({_SPECTRUM}),
    _PIXELS[0]: frozenset(_PIXELS),
}
"""The elements whose values may be large, by the first tag of theirs."""
_IMPLICIT_VRS: Final = {
    _DOCUMENT: "OB",
    _SPECTRUM: "OF",
    _PIXELS[0]: "OF",
    _PIXELS[1]: "OD",
    _PIXELS[2]: "OW",
}
"""What stands in no file of that transfer syntax (PS3.5 A.1)."""
_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
_HEADERS: Final = {"<": Struct("<HH2sHI"), ">": Struct(">HH2sHI")}
_IMPLICIT_HEADER: Final = Struct("<HHI")


def read_large(source: Source) -> DataSet:
    """Read a file, but for its large value, which is `DataElement.unread`.

    Args:
        source: a path, or all of a Part 10 file; what is in memory is read as `read_file` does.

    Raises:
        DataError: it cannot be read.
        OSError: likewise.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return read_file(source)
    file = source if isinstance(source, FileBytes) else _opened(source)
    made = _apart(file) if len(file) >= LARGE else None
    if made is None:
        made = _inflated(file)
    return read_file(file.read()) if made is None else made


def _opened(path: str | os.PathLike[str]) -> FileBytes:
    handle, size = open_regular(path)
    return FileBytes.of(handle, 0, size, os.fspath(path))


def spooled(pieces: Iterable[Piece]) -> FileBytes | memoryview:
    """Put pieces in a row: in memory while they are few, else in a file without a name.

    Raises:
        DataError: a piece cannot be read.
        OSError: there is no room for them, for example.
    """
    few: list[bytes | memoryview] = []
    length = 0
    file = None
    with ExitStack() as stack:
        for piece in in_memory(pieces):
            few.append(piece)
            length += len(piece)
            if length > LARGE:
                if file is None:
                    file = stack.enter_context(tempfile.TemporaryFile())
                file.writelines(few)
                few = []
        if file is None:
            return memoryview(b"".join(few))
        file.flush()
        return FileBytes.of(os.dup(file.fileno()), 0, length, "what was converted")


def pixel_data_file_of(data_set: DataSet) -> PixelDataFile | None:
    """Give the file of pixel data that are not read; None: they are there, or have no file.

    Raises:
        OSError: it cannot be read.
    """
    for tag in _PIXELS:
        element = content_of(data_set).index.get(tag)
        if isinstance(element, UnreadElement) and isinstance(element.file, FileBytes):
            made = PixelDataFile.of(element.file)
            if made is not None:
                made.data_set = data_set
            return made
    return None


def _apart(file: FileBytes) -> DataSet | None:
    for stop, tags in _LARGE_ONES.items():
        try:
            made = read_file(file.as_file(), until=stop)
        except DataError:
            return None
        as_read, syntax = made.elements_as_read(), made.transfer_syntax
        if as_read is None or made.warnings or syntax is None or syntax.is_deflated:
            return None
        if not as_read.tags or len(as_read.buffer) < as_read.offsets[-1]:
            return None
        found = _element(file, as_read.offsets[-1], made)
        if found is None:
            return None
        tag, _, _, length = found
        if tag not in tags or length < _WORTH:
            continue
        return _with_unread(file, made, found)
    return None


def _element(file: FileBytes, at: int, before: DataSet) -> tuple[int, str, int, int] | None:
    """The tag, VR, offset of the value and length of the element at an offset."""
    layout = content_of(before).scope.layout
    header = file[at : at + 12].read()
    if len(header) < 12:
        return None
    if not layout.is_explicit:
        group, element, length = _IMPLICIT_HEADER.unpack_from(header)
        tag = group << 16 | element
        return tag, _IMPLICIT_VRS.get(tag, ""), at + 8, length
    group, element, code, _, length = _HEADERS[layout.order].unpack(header)
    return group << 16 | element, code.decode("latin-1"), at + 12, length


def _with_unread(
    file: FileBytes, made: DataSet, found: tuple[int, str, int, int]
) -> DataSet | None:
    tag, vr, start, length = found
    layout, syntax = content_of(made).scope.layout, made.transfer_syntax
    if vr not in _VRS or syntax is None or syntax.is_encapsulated is not (length == UNDEFINED):
        return None
    unread: UnreadBytes | UnreadFragments
    if length == UNDEFINED:
        fragments = _fragments(file)
        if fragments is None or vr != "OB":
            return None
        unread, end = UnreadFragments(file[slice(*fragments)]), fragments[1] + 8
    else:
        end = start + length
        if end > len(file):
            return None
        unread = file[start:end]
        if layout.order == ">" and is_swapped(vr):
            allocated = made.get("BitsAllocated")
            if vr == "OW" and isinstance(allocated, int) and allocated > 16:
                return None  # the order of such samples is told by the bytes of the file
            unread = swapped(vr, unread)
    rest = file[end:]
    if len(rest) >= LARGE:
        return None
    behind = _behind(rest, tag, syntax)
    if behind is None:
        return None
    # What is swapped is as in no file, for those who look for it there.
    is_in_order = layout.order == "<"
    content_of(made).store(tag, UnreadElement(tag, vr, unread, file if is_in_order else None))
    made.merge(behind)
    return made


def _fragments(file: FileBytes) -> tuple[int, int] | None:
    try:
        pixels = PixelDataFile.of(file)
        return None if pixels is None else pixels.fragments()
    except DataError:
        return None


def _behind(rest: FileBytes, tag: int, syntax: TransferSyntax) -> DataSet | None:
    """What stands behind the value; None if it is not written as it is once it is put in."""
    data = bytes(rest)
    try:
        found = DataSet.from_bytes(data, syntax)
        made = DataSet()
        made.merge(found)
        is_same = made.to_bytes(syntax) == data
    except DataError:
        return None
    return found if is_same and all(other > tag for other in found) else None


def _inflated(file: FileBytes) -> DataSet | None:
    """Read a deflated file by way of one that is not; None: it is not deflated, or damaged."""
    try:
        meta, start, syntax = read_meta(bytes(file[:_FRONT]))
        if meta is None or not syntax.is_deflated:
            return None
        plain = meta.copy()
        plain.put("TransferSyntaxUID", "UI", EXPLICIT_VR_LITTLE_ENDIAN.uid)
        plain.put("FileMetaInformationGroupLength", "UL", 0)  # the encoder counts
        head = [NO_PREAMBLE, PREFIX, *encode_elements(plain, EXPLICIT)]
        inflated = spooled(chain(head, inflate_pieces(file[start:], DEFAULT_LIMITS)))
        if isinstance(inflated, memoryview):
            return None  # it takes little to do so again
        made = _apart(inflated)
    except DataError:
        return None
    if made is not None:
        made.file_meta = meta
    return made
