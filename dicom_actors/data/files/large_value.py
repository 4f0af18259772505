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
from typing import TYPE_CHECKING, Final, NamedTuple

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

__all__ = ["LARGE", "LargeElement", "pixel_data_file_of", "read_large", "spooled"]

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


class LargeElement(NamedTuple):
    """The large element of a file, and what stands around it.

    Attributes:
        file: the Part 10 file that it stands in; of a deflated one, what that was inflated to.
        before: what stands before it.
        tag: its tag.
        vr: its VR.
        start: bytes of the file before its value.
        end: where its value ends, before a delimiter.
        following: where the next element starts.
        compressed: the frames, if they are compressed; None: the value is the bytes of them.
    """

    file: FileBytes
    before: DataSet
    tag: int
    vr: str
    start: int
    end: int
    following: int
    compressed: PixelDataFile | None = None

    @classmethod
    def of(cls, file: FileBytes | memoryview) -> LargeElement | None:
        """Find that of a file; None: it has none, or is damaged before it.

        Of one in memory it is that of a deflated one; nothing else is large there.

        Raises:
            OSError: it cannot be read, or there is no room to inflate it.
        """
        try:
            meta, start, syntax = read_meta(bytes(file[:_FRONT]))
        except DataError:
            return None
        if meta is not None and syntax.is_deflated:
            return _inflated(file[start:], meta, syntax)
        return _found(file) if isinstance(file, FileBytes) and len(file) >= LARGE else None

    def data_set(self) -> DataSet | None:
        """The data set, with a value that is `DataElement.unread`; to be asked for once.

        Returns:
            None: what stands behind it is damaged or much, or would not be written again as it is.

        Raises:
            OSError: it cannot be read.
        """
        syntax = self.before.transfer_syntax
        assert syntax is not None  # else it was not found
        layout = content_of(self.before).scope.layout
        there = self.file[self.start : self.end]
        file: FileBytes | None = self.file
        value: UnreadBytes | UnreadFragments = there
        if syntax.is_encapsulated is not (self.compressed is not None):
            return None
        if self.compressed is not None:
            if self.vr != "OB":
                return None
            value = UnreadFragments(there, self.compressed.frame)
        elif layout.order == ">" and is_swapped(self.vr):
            allocated = self.before.get("BitsAllocated")
            if self.vr == "OW" and isinstance(allocated, int) and allocated > 16:
                return None  # the order of such samples is told by the bytes of the file
            # It is as in no file, for those who look for it there.
            value, file = swapped(self.vr, there), None
        rest = self.file[self.following :]
        if syntax.is_deflated:
            syntax = EXPLICIT_VR_LITTLE_ENDIAN  # what it was inflated to
        behind = None if len(rest) >= LARGE else _behind(rest, self.tag, syntax)
        if behind is None:
            return None
        element = UnreadElement(self.tag, self.vr, value, file)
        content_of(self.before).store(self.tag, element)
        self.before.merge(behind)
        return self.before


def read_large(source: Source) -> DataSet:
    """Read a file, but for its large value, which is `DataElement.unread`.

    That is pixel data, a document or a spectrum; its bytes are read when they are asked for, and
    piece by piece where they are written or sent. What is unusual is read whole.

    Args:
        source: a path, bytes of a file that are read when they are wanted, or all of a Part 10
            file; what is in memory is read as `read_file` does, unless it is deflated.

    Raises:
        DataError: it cannot be read.
        OSError: likewise; or there is no room for what is inflated.
    """
    file: FileBytes | memoryview
    if isinstance(source, bytes | bytearray | memoryview):
        file = memoryview(source)
    else:
        file = source if isinstance(source, FileBytes) else _opened(source)
    large = LargeElement.of(file)
    found = None if large is None else large.data_set()
    if found is not None:
        return found
    return read_file(file.read() if isinstance(file, FileBytes) else file)


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


def _found(file: FileBytes) -> LargeElement | None:
    for stop, tags in _LARGE_ONES.items():
        try:
            before = read_file(file.as_file(), until=stop)
        except DataError:
            return None
        as_read, syntax = before.elements_as_read(), before.transfer_syntax
        if as_read is None or before.warnings or syntax is None or syntax.is_deflated:
            return None
        if not as_read.tags or len(as_read.buffer) < as_read.offsets[-1]:
            return None
        header = _header(file, as_read.offsets[-1], before)
        if header is None:
            return None
        if header.tag in tags and header.length >= _WORTH:
            return _with_extent(file, before, header)
    return None


class _Header(NamedTuple):
    tag: int
    vr: str
    start: int
    length: int


def _header(file: FileBytes, at: int, before: DataSet) -> _Header | None:
    """Read the header of the element at an offset."""
    layout = content_of(before).scope.layout
    header = file[at : at + 12].read()
    if len(header) < 12:
        return None
    if not layout.is_explicit:
        group, element, length = _IMPLICIT_HEADER.unpack_from(header)
        tag = group << 16 | element
        return _Header(tag, _IMPLICIT_VRS.get(tag, ""), at + 8, length)
    group, element, code, _, length = _HEADERS[layout.order].unpack(header)
    return _Header(group << 16 | element, code.decode("latin-1"), at + 12, length)


def _with_extent(file: FileBytes, before: DataSet, header: _Header) -> LargeElement | None:
    tag, vr, start, length = header
    if vr not in _VRS:
        return None
    if length != UNDEFINED:
        end = start + length
        return LargeElement(file, before, tag, vr, start, end, end) if end <= len(file) else None
    compressed = PixelDataFile.of(file, as_said=False)
    fragments = None if compressed is None else _fragments(compressed)
    if fragments is None:
        return None
    start, end = fragments
    return LargeElement(file, before, tag, vr, start, end, end + 8, compressed)


def _fragments(pixels: PixelDataFile) -> tuple[int, int] | None:
    try:
        return pixels.fragments()
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


def _inflated(
    deflated: FileBytes | memoryview, meta: DataSet, syntax: TransferSyntax
) -> LargeElement | None:
    """Find that of a deflated data set by way of a file that is not; None: damaged, or none."""
    try:
        plain = meta.copy()
        plain.put("TransferSyntaxUID", "UI", EXPLICIT_VR_LITTLE_ENDIAN.uid)
        plain.put("FileMetaInformationGroupLength", "UL", 0)  # the encoder counts
        head = [NO_PREAMBLE, PREFIX, *encode_elements(plain, EXPLICIT)]
        inflated = spooled(chain(head, inflate_pieces(deflated, DEFAULT_LIMITS)))
    except DataError:
        return None
    # Where it is little, it takes little to do so again.
    found = _found(inflated) if isinstance(inflated, FileBytes) else None
    if found is not None:
        found.before.file_meta = meta
        content_of(found.before).scope.reading.transfer_syntax = syntax
    return found
