"""DICOM files: preamble, prefix, file meta information, data set.

Reading takes as little as it can: where only the front is wanted, the front, else the file as a
whole. A memory map is made on wish alone: a process that looks at a part of a map that is no more,
since somebody made the file shorter, dies by a signal, and each map holds a descriptor. Files
without preamble, file meta or transfer syntax are read where it is clear what they are, and a
warning says so.

Standard: PS3.10 7.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import re
import stat
from functools import lru_cache, partial
from itertools import chain
from struct import pack
from typing import IO, TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import DataSet, data_set_of, element_of, open_data_set
from dicom_actors.data.dataset.element_index import Context, Input, content_of
from dicom_actors.data.dataset.encoder import (
    encode_elements,
    encoded_pieces,
    has_odd_lengths,
    joined,
)
from dicom_actors.data.dataset.reading import as_bytes, find_elements, make_input
from dicom_actors.data.dictionary import Key, to_tag
from dicom_actors.data.dictionary.tag import several
from dicom_actors.data.dictionary.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)
from dicom_actors.data.files.atomic_file import write_atomically
from dicom_actors.data.files.directory_links import file_as_read, with_links
from dicom_actors.data.scan.damage import next_data_set, scan_damaged
from dicom_actors.data.scan.headers import element_header, fits
from dicom_actors.data.scan.layout import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    SEQUENCE_END,
    UNDEFINED,
    Layout,
    layout_of,
)
from dicom_actors.data.scan.native import meta_usual
from dicom_actors.data.scan.scope import DEFAULT_LIMITS, Bytes, Limits, Reading, Scope
from dicom_actors.data.scan.selection import Selection, look_beyond
from dicom_actors.data.values.unread import in_memory
from dicom_actors.errors import DataError, DecodeError, EncodeError, NotPart10Error, shown
from dicom_actors.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_actors.data.dataset.element_index import ElementIndex
    from dicom_actors.data.dataset.reading import Found
    from dicom_actors.data.values.unread import UnreadBytes

    Piece = bytes | memoryview | UnreadBytes
    Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]

__all__ = [
    "NO_PREAMBLE",
    "PREFIX",
    "file_meta_for",
    "file_meta_header",
    "file_pieces",
    "read_file",
    "read_meta",
    "write_file",
]

_FRONT: Final = 16 << 10
_FRONT_GROWTH: Final = 16
_HEADERS: Final = 512
_WINDOW: Final = 4 << 10
_BYTES: Final = (bytes, bytearray, memoryview)
# To open a pipe does not wait for who writes it.
_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
_HAS_PREAD: Final = hasattr(os, "pread")
_GROUP_LENGTH: Final = 0x00020000
_DIRECTORY_RECORDS: Final = 0x00041220
_TRANSFER_SYNTAX: Final = 0x00020010
_PIXEL_DATA: Final = 0x7FE00010
_DAMAGED: Final = 0x0002FFFF


# --- reading -------------------------------------------------------------------------------


def read_file(
    source: Source,
    *,
    until: Key | None = None,
    keywords: Iterable[Key] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    character_set: str | Iterable[str] | None = None,
    keep_truncated: bool = False,
    keep_damaged: bool = False,
    mapped: bool = False,
) -> DataSet:
    """Read a DICOM file; values are decoded when they are asked for.

    Args:
        source: a path, a binary file object that is read from where it stands, or the bytes,
            which are not copied. Little more is read than what is wanted, where that is known:
            behind it, headers alone, as far as no value has to be read for that, since a wanted
            element may be out of order there. Then all of the file is read.
        until: the first element that is not wanted, nor any after it, for example
            ``"PixelData"``.
        keywords: the elements that are wanted, as keys of any form; the data set has these, those
            that they need to be understood (Specific Character Set, private creators, Pixel
            Representation), and no others.
        limits: what the file may cost.
        character_set: values for Specific Character Set that override what the file declares.
        keep_truncated: whether to take what there is of a file that is cut short, instead of
            raising an error.
        keep_damaged: whether to take what can be read of a file in which something cannot, before
            it and behind it, instead of raising an error; of a deflated data set, what is before
            it. All of the file is read then.
        mapped: whether a file given by its path becomes a memory map, for as long as the data set
            or a view of its bytes is in use: of a file of gigabytes only what is looked at is
            read. It must not be made shorter meanwhile, which would end the process (SIGBUS).

    Returns:
        The data set, with `file_meta` and `transfer_syntax`; `warnings` has what was forgiven.

    Raises:
        NotPart10Error: it is no DICOM file.
        DecodeError: it is one that cannot be read, or it goes beyond a limit.
        UnsupportedTransferSyntaxError: no data set is encoded in that way.
        OSError: the file cannot be read, or the path is that of a pipe or a device, which may
            never end; as a file object these are read.
        TypeError: an argument is none of what it may be.
    """
    stop = None if until is None else to_tag(until)
    selection = None
    if keywords is not None:
        selection = Selection.of(several(keywords), stop)
        stop = selection.stop
    options = _Options(
        stop,
        selection,
        limits,
        character_set,
        keep_truncated=keep_truncated,
        keep_damaged=keep_damaged,
    )
    if isinstance(source, _BYTES):
        return options.read(as_bytes(source))
    if isinstance(source, str) or hasattr(source, "__fspath__"):
        return _read_path(source, options, mapped=mapped)
    if not hasattr(source, "read"):
        raise TypeError(f"expected a path, bytes or a binary file object, got {shown(source)}")
    _check_binary(source)
    if stop is None or keep_damaged:
        return options.read(as_bytes(source.read()))
    return _read_stream(source, options)


def _check_binary(file: object) -> None:
    """Refuse a file of text, which would decode what is none; raises TypeError."""
    if isinstance(file, io.TextIOBase):
        raise TypeError("expected a binary file object, as of open(path, 'rb'), got one of text")


class _Rest:
    """A file of which the front was read, for headers behind that.

    Attributes:
        size: how long it is.
        read_at: returns up to so many bytes at an offset.
    """

    __slots__ = ("read_at", "size")

    def __init__(self, size: int, read_at: Callable[[int, int], bytes]) -> None:
        self.size = size
        self.read_at = read_at

    @classmethod
    def of_file_object(cls, source: IO[bytes]) -> _Rest | None:
        """Take a file object from where it stands, which it does again after each reading.

        Returns:
            It; None if there is no going back in it.
        """
        try:
            if not source.seekable():
                return None
            start = source.tell()
            size = source.seek(0, os.SEEK_END) - start
            source.seek(start)
        except (AttributeError, OSError):
            return None

        def read_at(count: int, offset: int) -> bytes:
            here = source.tell()
            source.seek(start + offset)
            try:
                return source.read(count)
            finally:
                source.seek(here)

        return cls(size, read_at)


def open_regular(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Open a file to read it; returns its descriptor and its size.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    handle = os.open(path, _OPEN_FLAGS)
    try:
        status = os.fstat(handle)
    except OSError:
        os.close(handle)
        raise
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise OSError(errno.EINVAL, "expected a regular file", os.fspath(path))
    return handle, status.st_size


def read_before(handle: int, size: int, stop: int) -> tuple[DataSet, int] | None:
    """Read what stands in a file before an element, and look at nothing behind that.

    Args:
        handle: the descriptor of the file.
        size: how long it is.
        stop: the first tag that is not wanted.

    Returns:
        The data set, and where the first element stands that is not wanted; None if it takes all
        of the file to find that out.

    Raises:
        OSError: it cannot be read.
    """
    options = _Options(stop, None, DEFAULT_LIMITS, None, keep_truncated=False, keep_damaged=False)
    length = _FRONT
    while True:
        front = os.pread(handle, length, 0)
        made = options.read_front(front, None, looks_behind=False)
        if made is not None:
            return made, content_of(made).end
        if len(front) < length or length >= size:
            return None
        length *= _FRONT_GROWTH


def _read_path(path: str | os.PathLike[str], options: _Options, *, mapped: bool) -> DataSet:
    handle, size = open_regular(path)
    try:
        if mapped and size:
            return options.read(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
        if options.reads_front and _HAS_PREAD:
            rest = _Rest(size, partial(os.pread, handle))
            for length in (_FRONT, _FRONT * _FRONT_GROWTH):
                if length >= size:
                    break
                made = options.read_front(os.pread(handle, length, 0), rest)
                if made is not None:
                    return made
        pieces: list[bytes] = []
        # One byte more tells that it ends there, without another call for most.
        while piece := os.read(handle, size + 1):
            pieces.append(piece)
            size = max(size - len(piece), _FRONT)
        return options.read(pieces[0] if len(pieces) == 1 else b"".join(pieces))
    finally:
        os.close(handle)


def _read_stream(source: IO[bytes], options: _Options) -> DataSet:
    """Read what is wanted of a file object: as much as it takes, and headers behind that."""
    rest = _Rest.of_file_object(source)
    pieces, missing, length = list[bytes](), _FRONT, _FRONT
    while True:
        while missing > 0:
            piece = source.read(missing)
            if not piece:
                return options.read(b"".join(pieces))
            pieces.append(piece)
            missing -= len(piece)
        pieces = [b"".join(pieces)]
        made = options.read_front(pieces[0], rest)
        if made is not None:
            return made
        missing = length * _FRONT_GROWTH - len(pieces[0])
        length *= _FRONT_GROWTH


class _Options:
    """How a file is to be read."""

    def __init__(
        self,
        stop: int | None,
        selection: Selection | None,
        limits: Limits,
        character_set: str | Iterable[str] | None,
        *,
        keep_truncated: bool,
        keep_damaged: bool,
    ) -> None:
        if not isinstance(limits, Limits):
            raise TypeError(f"expected Limits, got {shown(limits)}")
        self.reads_front = stop is not None and not keep_damaged
        self.keep_damaged = keep_damaged
        self.stop = stop
        self.selection = selection
        self.limits = limits
        self.character_set = character_set
        self.keep_truncated = keep_truncated

    def read(self, buffer: Bytes) -> DataSet:
        """Read a file that is there as a whole."""
        reading = self.reading()
        meta, start, syntax = _read_meta(buffer, reading, keep_damaged=self.keep_damaged)
        reading.transfer_syntax = syntax
        found = find_elements(
            buffer,
            start,
            syntax,
            reading,
            self.stop,
            self.selection,
            keep_damaged=self.keep_damaged,
        )
        made = open_data_set(DataSet, found)
        content_of(made).meta = meta
        if self.selection is not None:
            content_of(made).decode_usual()  # it was asked for by name
        context = found.context
        if found.looked_to is not None and not _is_end(context.buffer, found.looked_to):
            context.warn(
                "behind what is wanted, an element that is damaged or cut short",
                0,
                offset=found.end,
            )
        return made

    def read_front(
        self, front: bytes, rest: _Rest | None, *, looks_behind: bool = True
    ) -> DataSet | None:
        """Read a file of which only the front is there; None if that is not enough.

        Args:
            front: what is there.
            rest: the file, where headers can be read without what is between them.
            looks_behind: whether a wanted element that is out of order, behind the front, counts.
        """
        reading = self.reading()
        try:
            meta, start, syntax = _read_meta(front, reading)
            if syntax.is_deflated or not _is_syntax_declared(meta):
                return None
            reading.transfer_syntax = syntax
            forgiven = len(reading.warnings)
            found = find_elements(front, start, syntax, reading, self.stop, self.selection)
            made = open_data_set(DataSet, found)
        except DataError:
            return None
        # Only a tag beyond the last wanted one, within the front, shows that all is there.
        content = content_of(made)
        looked_to = found.looked_to
        if (
            len(reading.warnings) > forgiven
            or content.end > len(front) - 12
            or looked_to is None
            or (looks_behind and not self._is_right_behind(found, looked_to, rest))
        ):
            return None
        content.meta = meta
        if self.selection is not None:
            content.decode_usual()  # it was asked for by name
        return made

    def _is_right_behind(self, found: Found, pos: int, rest: _Rest | None) -> bool:
        """Go on looking over what is behind the wanted elements, from header to header."""
        if rest is None:
            return False
        layout, stop = found.context.layout, min(self.stop or ITEM, ITEM)
        limits = self.limits
        # Where the bytes at hand end as the last header says, it may have been no header.
        if pos == len(found.context.buffer) != rest.size:
            return False
        while pos < rest.size:
            headers = rest.read_at(_HEADERS, pos)
            following = look_beyond(headers, layout, limits, 0, len(headers), stop)
            if following is None or len(headers) < 8:
                return False  # whole reading knows what that is
            if following == 0:
                following = _past_fragments(layout, rest, headers, pos) - pos
            elif following == len(headers) and pos + following != rest.size:
                return False  # as above
            pos += following
        return pos == rest.size

    def reading(self) -> Input:
        return make_input(
            EXPLICIT_VR_LITTLE_ENDIAN,
            self.limits,
            self.character_set,
            self.keep_truncated,
            DataSet,
        )


def _is_end(buffer: Bytes, pos: int) -> bool:
    """Whether a data set may end at an offset: zeros behind it are no element that is cut short."""
    return pos <= len(buffer) < pos + 8 and not any(buffer[pos:])


def _past_fragments(layout: Layout, rest: _Rest, headers: bytes, pos: int) -> int:
    """Pass over compressed pixel data from fragment to fragment.

    Args:
        layout: how the headers lie.
        rest: the file.
        headers: some bytes from `pos` on.
        pos: where the element stands.

    Returns:
        Where the next element stands; beyond the file, if that is not clear.
    """
    if not layout.is_explicit or len(headers) < 12:
        return rest.size + 1
    group, element, code, _ = layout.read_explicit(headers, 0)
    if (
        group << 16 | element != _PIXEL_DATA
        or code not in layout.long
        or layout.read_length(headers, 8)[0] != UNDEFINED
    ):
        return rest.size + 1
    pos += 12
    window, start = b"", pos
    while pos + 8 <= rest.size:
        if not start <= pos <= start + len(window) - 8:
            window, start = rest.read_at(_WINDOW, pos), pos
            if len(window) < 8:
                break
        group, element, length = layout.read_implicit(window, pos - start)
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            return pos + 8
        if tag != ITEM:
            break
        pos += 8 + length
    return rest.size + 1


def _is_syntax_declared(meta: DataSet | partial[DataSet] | None) -> bool:
    # What was read is among the values since the transfer syntax was asked for.
    return type(meta) is partial or (
        isinstance(meta, DataSet) and _TRANSFER_SYNTAX in content_of(meta).values
    )


def read_meta(front: bytes) -> tuple[DataSet | None, int, TransferSyntax]:
    """Read the file meta information of a file from what it begins with.

    Returns:
        It, or None if there is none; where the data set starts; its transfer syntax.

    Raises:
        NotPart10Error: it is no DICOM file.
        DecodeError: it cannot be read, or is not all there.
    """
    meta, start, syntax = _read_meta(front, Input())
    return meta() if isinstance(meta, partial) else meta, start, syntax


def _read_meta(
    buffer: Bytes, reading: Input, *, keep_damaged: bool = False
) -> tuple[DataSet | partial[DataSet] | None, int, TransferSyntax]:
    """Read the file meta information.

    Returns:
        It; what makes it, if nothing about it is unusual, since few ask for more than the transfer
        syntax; or None if there is none. Then, where the data set starts, and its transfer syntax.
    """
    if meta_usual is not None:
        found = meta_usual(buffer)
    elif (usual := _USUAL_META(buffer, 128)) is not None:
        found = (usual.end(), usual[1])
        if EXPLICIT.read_length(buffer, 140)[0] != found[0] - 144:
            found = None
    else:
        found = None
    if found is not None and (known := _usual_syntax(found[1])) is not None:
        return partial(_usual_meta, buffer, reading), found[0], known
    if bytes(buffer[128:132]) == PREFIX:
        start = 132
    elif bytes(buffer[:4]) == PREFIX:
        start = 4
        _warn(reading, buffer, "no preamble before the prefix DICM")
    else:
        start = 0
    if len(buffer) - start >= 8 and EXPLICIT.read_explicit(buffer, start)[0] == 2:
        if not start:
            _warn(reading, buffer, "no preamble and no prefix before the file meta information")
        return _read_meta_group(buffer, start, reading, keep_damaged=keep_damaged)
    syntax = _guess_syntax(buffer, start)
    if syntax is None:
        raise NotPart10Error(_no_file_message(buffer))
    _warn(reading, buffer, f"no file meta information; read as {syntax}")
    return None, start, syntax


def _texts(elements: str) -> bytes:
    """Make the pattern of elements of group 0002 that may stand there, such as "02UI 16AE"."""
    lengths = b"|".join(b"\\x%02x\\0.{%d}+" % (length, length) for length in _USUAL_LENGTHS)
    return b"".join(
        b"(?:\x02\\0\\x%b\\0%b(?:%b)|)" % (name[:2], name[2:], lengths)
        for name in map(str.encode, elements.split())
    )


_USUAL_LENGTHS: Final = range(0, 66, 2)
_USUAL_META: Final = re.compile(
    rb"DICM\x02\0\0\0UL\x04\0....(?:\x02\0\x01\0OB\0\0\x02\0\0\0..|)"
    + _texts("02UI 03UI")
    + rb"\x02\0\x10\0UI([\x02-\x40]\0[0-9.]+[\0 ]?)"
    + _texts("12UI 13SH 16AE 17AE 18AE")
    + rb"(?!\x02\0)(?=.{8})",
    re.DOTALL,
).match
"""Finds file meta information as most write it, from the prefix on; something stands behind it."""


@lru_cache(maxsize=64)
def _usual_syntax(uid: bytes) -> TransferSyntax | None:
    """The transfer syntax of a UID behind its length; None if that is not the length."""
    is_right = uid[0] == len(uid) - 2
    return TransferSyntax.as_read(str(uid[2:], "ascii")) if is_right else None


def _usual_meta(buffer: Bytes, reading: Input) -> DataSet:
    """Make the file meta information of which nothing is unusual."""
    index: dict[int, int] = {}
    scope = Context(buffer, EXPLICIT, reading)
    return data_set_of(scope, 132, _scan_meta(scope, index, 132), index)


def _read_meta_group(
    buffer: Bytes, start: int, reading: Input, *, keep_damaged: bool
) -> tuple[DataSet, int, TransferSyntax]:
    layout: Layout = EXPLICIT
    code = EXPLICIT.read_explicit(buffer, start)[2]
    if code not in EXPLICIT.short and code not in EXPLICIT.long:
        # One that makes no sense is no reason to read all others in another way.
        following = start + 8 + EXPLICIT.read_length(buffer, start + 4)[0]
        if following + 8 <= len(buffer) and IMPLICIT.read_implicit(buffer, following)[0] == 2:
            layout = IMPLICIT
    if layout is IMPLICIT:
        _warn(reading, buffer, "file meta information in implicit VR")
    scope = Context(buffer, layout, reading)
    index: dict[int, int] = {}
    try:
        end = _scan_meta(scope, index, start)
        if keep_damaged and buffer[end : end + 2] == b"\2\0":
            index[_DAMAGED] = end
            raise scope.error("an element that has no end", 0, offset=end)
    except DecodeError as error:
        if not keep_damaged:
            raise
        end = _scan_damaged_meta(scope, index, start, error)
    meta = data_set_of(scope, start, end, index)
    if _GROUP_LENGTH not in index:
        scope.warn("no group length in the file meta information", 0, offset=start)
    elif end < start + 12 or layout.read_length(buffer, start + 8)[0] != end - start - 12:
        scope.warn("wrong group length of the file meta information", 0, offset=start)
    uid = content_of(meta).value(_TRANSFER_SYNTAX) if _TRANSFER_SYNTAX in index else None
    if isinstance(uid, str) and uid:
        return meta, end, TransferSyntax.as_read(uid)
    syntax = _guess_syntax(buffer, end) or IMPLICIT_VR_LITTLE_ENDIAN
    scope.warn(f"no transfer syntax in the file meta information; read as {syntax}", 0)
    return meta, end, syntax


def _scan_meta(scope: Scope, index: dict[int, int], start: int) -> int:
    """Index the elements of group 0002; the data set after it may begin with any group.

    The group length is wrong in many files; it tells where the data set begins if that, too,
    begins with elements of this group, which the standard forbids.
    """
    buffer, layout = scope.buffer, scope.layout
    read, short = layout.read_explicit, layout.short
    is_explicit = layout.is_explicit
    pos, end, tag, said_end = start, len(buffer), 0, -1
    while pos + 8 <= end:
        group, element, code, length = read(buffer, pos)
        last, tag = tag, 0x00020000 | element
        if group != 2 or (pos == said_end and tag <= last):
            break
        if tag <= last:
            message = "an element out of order, or twice: the last one counts"
            scope.warn(message, 0, offset=pos, tag=tag)
        if not element and length == 4 and pos + 12 <= end:
            said_end = pos + 12 + layout.read_length(buffer, pos + 8)[0]
        index[tag] = at = pos
        if code in short and is_explicit:
            pos += length + 8
        elif code in layout.long and is_explicit:
            length = layout.read_length(buffer, pos + 8)[0] if pos + 12 <= end else 0
            pos += length + 12
        else:
            _, value, length = element_header(scope, 0, layout, tag, pos, end)
            pos = value + length
        if length == UNDEFINED:
            del index[tag]  # nothing here has items
            pos = at
            break
    if pos > end:
        left = length + end - pos
        message = f"expected a value of {length} bytes, {left} left"
        if not scope.accept_cut(end):
            raise scope.error(message, 0, offset=at, tag=tag)
        scope.warn(message, 0, offset=at, tag=tag)
        del index[tag]
        pos = end
    _sort(index)
    return pos


def _sort(index: dict[int, int]) -> None:
    """Put an index in order of tags."""
    tags = sorted(index)
    if tags != list(index):
        ordered = {tag: index[tag] for tag in tags}
        index.clear()
        index.update(ordered)


def _scan_damaged_meta(
    scope: Context, index: dict[int, int], start: int, problem: DecodeError
) -> int:
    """Index what can be read of file meta information behind something that cannot.

    Args:
        scope: where it stands.
        index: what was found before the damage, and the element that is damaged.
        start: where it starts.
        problem: what cannot be read.

    Returns:
        Where the data set starts: where the group length says so, if one can start there, or
        else at the first place that looks like one.
    """
    buffer = scope.buffer
    damage = max(index.values(), default=start)
    index.pop(max(index, key=index.__getitem__, default=0), None)
    at = index.get(_GROUP_LENGTH)
    end = 0 if at is None else at + 12 + scope.layout.read_length(buffer, at + 8)[0]
    if not damage < end <= len(buffer) - 8 or _guess_syntax(buffer, end) is None:
        end = next_data_set(scope, damage + 1, len(buffer))
    found: dict[int, int] = {}
    scan_damaged(Context(buffer, scope.layout, Input()), found, damage + 1, end)
    index.update((tag, at) for tag, at in found.items() if tag >> 16 == 2 and tag not in index)
    _sort(index)
    scope.warn(f"damaged file meta information: {problem}", 0, offset=damage, tag=problem.tag)
    return end


def _guess_syntax(buffer: Bytes, start: int) -> TransferSyntax | None:
    """Find the transfer syntax of a data set that does not say it by its first element."""
    end = len(buffer)
    if end - start < 8:
        return None
    group = EXPLICIT.read_explicit(buffer, start)[0]
    if (group > 0x00FF and group & 0xFF) or not any(bytes(buffer[start : start + 8])):
        return None
    for layout, syntax in (
        (EXPLICIT, EXPLICIT_VR_LITTLE_ENDIAN),
        (BIG_ENDIAN, EXPLICIT_VR_BIG_ENDIAN),
        (IMPLICIT, IMPLICIT_VR_LITTLE_ENDIAN),
    ):
        if fits(buffer, layout, start, end):
            first = layout.read_explicit(buffer, start)[0]
            if first <= 0x0020 or layout.is_explicit:
                return syntax
    return None


def _warn(reading: Reading, buffer: Bytes, message: str) -> None:
    Scope(buffer, EXPLICIT, reading).warn(message, 0, offset=0)


def _no_file_message(buffer: Bytes) -> str:
    if not len(buffer):
        return "expected a DICOM file, got 0 bytes"
    return (
        f"expected a DICOM file, got {len(buffer)} bytes that have no DICM at byte 128 and do not"
        " begin with a data element"
    )


# --- writing -------------------------------------------------------------------------------


_NAMED: Final = 5
"""Departures that an error message names."""


def write_file(
    target: str | os.PathLike[str] | IO[bytes],
    data_set: DataSet,
    *,
    transfer_syntax: str | TransferSyntax | None = None,
    preamble: bytes | None = None,
    check: bool = False,
) -> None:
    """Write a DICOM file; a path gets the whole file or stays as it is.

    The file meta information is made right: the class, instance and transfer syntax are those of
    the data set, the implementation is this one; what else `data_set.file_meta` has is kept.

    Args:
        target: a path, or a binary file object that is written to where it stands.
        data_set: what to write; what was not changed is written as it was read. If a length of
            that is odd, `warnings` of the data set says so.
        transfer_syntax: how to encode it; None: as it was read, else as its file meta says, else
            Explicit VR Little Endian.
        preamble: 128 bytes before the prefix; None: zeros, whatever was read.
        check: whether to refuse what `DataSet.check` finds.

    Raises:
        EncodeError: a value cannot be encoded, there is no SOP class or instance UID, or
            something was found.
        UnsupportedTransferSyntaxError: the pixel data would have to be compressed or
            decompressed.
        OSError: the file cannot be written.
        TypeError: an argument is none of what it may be.
    """
    if not (isinstance(target, str | os.PathLike) or hasattr(target, "writelines")):
        raise TypeError(f"expected a path or a binary file object, got {shown(target)}")
    _check_binary(target)
    if not isinstance(data_set, DataSet):
        raise TypeError(f"expected a data set, got {shown(data_set)}")
    if preamble is not None and len(preamble) != 128:
        raise EncodeError(f"a preamble has 128 bytes, got {len(preamble)}")
    if check and (found := data_set.check()):
        more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise EncodeError(f"not written: {'; '.join(map(str, found[:_NAMED]))}{more}")
    pieces = file_pieces(data_set, transfer_syntax, preamble)
    if isinstance(target, str | os.PathLike):
        write_atomically(target, pieces)
    else:
        target.writelines(in_memory(pieces))


def file_pieces(
    data_set: DataSet,
    transfer_syntax: str | TransferSyntax | None = None,
    preamble: bytes | None = None,
) -> Iterable[Piece]:
    """Encode a file as `write_file` writes it; what is unread, or to be deflated, as it is taken.

    Returns:
        The pieces; a list where their lengths are known.

    Raises:
        EncodeError: see `write_file`; all but what concerns unread values, at once.
        UnsupportedTransferSyntaxError: likewise.
        TypeError: it is no data set.
    """
    if not isinstance(data_set, DataSet):
        raise TypeError(f"expected a data set, got {shown(data_set)}")
    if transfer_syntax is None and data_set.transfer_syntax is None:
        transfer_syntax = data_set.file_meta.get(_TRANSFER_SYNTAX) or EXPLICIT_VR_LITTLE_ENDIAN
    syntax = TransferSyntax.of(transfer_syntax or _written_syntax(data_set))

    def encode(data_set: DataSet) -> Iterable[Piece]:
        meta = encode_elements(file_meta_for(data_set, syntax), EXPLICIT)
        encoded = encoded_pieces(data_set, transfer_syntax)
        is_odd = isinstance(encoded, list) and sum(map(len, encoded)) & 1
        if is_odd or has_odd_lengths(data_set):
            _warn_of_odd_lengths(data_set)
        front = [preamble or NO_PREAMBLE, PREFIX, *meta]
        return [*front, *encoded] if isinstance(encoded, list) else chain(front, encoded)

    if _DIRECTORY_RECORDS in data_set and data_set.transfer_syntax is not None:
        file = file_as_read(data_set) if transfer_syntax is None else None
        if file is not None:
            return [preamble or NO_PREAMBLE, file]
        return [with_links(data_set, lambda made: joined(encode(made)), read_file)]
    return encode(data_set)


def _warn_of_odd_lengths(data_set: DataSet) -> None:
    """Note in a data set that is written as it was read which of its values have an odd length."""
    for path, element in data_set.walk():
        length = element.length
        if length is not None and length & 1:
            message = f"written as it was read, with an odd length of {length} bytes at {path}"
            content_of(data_set).warn(message, element.tag)


def _written_syntax(data_set: DataSet) -> TransferSyntax:
    """The transfer syntax that a data set is written in unless another one is asked for."""
    syntax = data_set.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
    layout = content_of(data_set).scope.layout
    is_plain = not (syntax.is_encapsulated or syntax.is_deflated)
    if layout is layout_of(syntax) or (syntax.is_known and not is_plain):
        return syntax
    # The input was not what it was announced as.
    plain = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    return next(syntax for syntax in plain if layout_of(syntax) is layout)


# --- the file meta information that is written (PS3.10 7.1) ----------------------------------


PREFIX: Final = b"DICM"
NO_PREAMBLE: Final = bytes(128)

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_MEDIA_CLASS: Final = 0x00020002
_MEDIA_INSTANCE: Final = 0x00020003
_OF_THIS_LIBRARY: Final = (
    (0x00020001, "OB", b"\0\x01"),
    (0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
    (0x00020013, "SH", IMPLEMENTATION_VERSION_NAME),
)
"""The elements that are the same in every file that is written: tag, VR, value."""


def _check_groups(data_set: DataSet, meta: DataSet) -> None:
    """Refuse elements that a reader of the file would take for the other part of it."""
    content = content_of(data_set)
    for tag, item in content.sorted_index().items():
        if tag >= 0x00030000:
            break
        # What was read out of place can be written.
        was_read = isinstance(item, int) or tag in (content.replaced or ())
        if tag >= 0x00020000 and not was_read:
            raise EncodeError(
                "expected this element in the file meta, got it in the data set", tag=tag
            )
    for tag in content_of(meta).index:
        if tag >> 16 != 2:
            raise EncodeError("expected elements of group 0002 in the file meta", tag=tag)


def file_meta_for(data_set: DataSet, transfer_syntax: TransferSyntax) -> DataSet:
    """Make the file meta information with which a data set is written (PS3.10 7.1).

    Returns:
        It: that of the data set itself, which must not be changed, if nothing about it is wrong.

    Raises:
        EncodeError: neither a new data set nor its file meta has the SOP class or instance, or
            an element is in the one that belongs in the other.
    """
    meta = data_set.file_meta
    _check_groups(data_set, meta)
    made = _with_regular_headers(meta)
    content, elements = content_of(made), content_of(data_set)
    was_read = data_set.transfer_syntax is not None
    class_uid = _value(elements, _SOP_CLASS) or _value(content, _MEDIA_CLASS)
    instance_uid = _value(elements, _SOP_INSTANCE) or _value(content, _MEDIA_INSTANCE)
    if _DIRECTORY_RECORDS in elements.index:
        # A DICOMDIR has its class and instance in the file meta alone (PS3.10 8.6).
        class_uid = "1.2.840.10008.1.3.10"
    if (not class_uid or not instance_uid) and not was_read:
        raise EncodeError("expected SOPClassUID and SOPInstanceUID in what is to be a file")
    wrong = [part for part in _OF_THIS_LIBRARY if _value(content, part[0]) != part[2]]
    for tag, uid in (
        (_MEDIA_CLASS, class_uid),
        (_MEDIA_INSTANCE, instance_uid),
        (_TRANSFER_SYNTAX, transfer_syntax.uid),
    ):
        # A file that was read without them is written without them; what was read and is no text
        # of a UID is left alone, since writing does not fail on what was read.
        is_text = isinstance(uid, str) and uid.isascii()
        if uid and _value(content, tag) != uid and (is_text or not was_read):
            wrong.append((tag, "UI", uid))
    if made is meta and not wrong and content.replaced is None and not meta.warnings:
        length = content.end - content.start - 12
        if _value(content, _GROUP_LENGTH) == length:
            return meta  # written as it was read
    if made is meta:
        made = meta.copy()
    for tag, vr, value in wrong:
        made.put(tag, vr, value)
    made.put(_GROUP_LENGTH, "UL", 0)  # the encoder counts
    return made


def _with_regular_headers(meta: DataSet) -> DataSet:
    """Copy file meta information in which a header had to be guessed; return any other as it is."""
    irregular = content_of(meta).scope.reading.irregular
    items = content_of(meta).index.values() if irregular else ()
    if not any(isinstance(item, int) and item in irregular for item in items):
        return meta
    made = meta.copy()
    content = content_of(made)
    for tag, item in content.index.items():
        if isinstance(item, int) and item in irregular:
            # What its header means depends on what follows, which is made anew.
            raw, vr = bytes(content.raw_at(tag, item)), content.vr_at(tag, item)
            content.note_change(tag)
            content.index[tag] = element_of(tag, "UN" if vr == "SQ" else vr, raw or None)
    return made


def _value(content: ElementIndex, tag: int) -> Any:
    """The value of an element if there is one that can be decoded."""
    if tag not in content.index:
        return None
    try:
        return content.value(tag)
    except DecodeError:
        return None


def file_meta_header(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_ae_title: str | None = None,
) -> bytes:
    """Make all that stands before the data set in a file: preamble, prefix, file meta.

    A received data set becomes a file by writing this before its bytes.

    Args:
        sop_class_uid: Media Storage SOP Class UID.
        sop_instance_uid: Media Storage SOP Instance UID.
        transfer_syntax_uid: the transfer syntax of the data set that follows.
        source_ae_title: who sent it (Source Application Entity Title); None: not said.

    Raises:
        EncodeError: a UID or the title is not ASCII text.

    Standard: PS3.10 7.1.
    """
    headers = FileMetaHeaders(sop_class_uid, transfer_syntax_uid, source_ae_title)
    return headers.of(sop_instance_uid)


class FileMetaHeaders:
    """Makes headers as `file_meta_header` does that differ in their instance alone.

    Args:
        sop_class_uid: see `file_meta_header`, as for the rest.
        transfer_syntax_uid: likewise.
        source_ae_title: likewise.

    Raises:
        EncodeError: likewise.
    """

    __slots__ = ("_after", "_before", "_rest_length", "sop_class_uid")

    def __init__(
        self, sop_class_uid: str, transfer_syntax_uid: str, source_ae_title: str | None
    ) -> None:
        self.sop_class_uid = sop_class_uid
        self._before = b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01" + _short_text(
            0x0002, b"UI", sop_class_uid, b"\0"
        )
        self._after = _short_text(0x0010, b"UI", transfer_syntax_uid, b"\0") + _IMPLEMENTATION
        if source_ae_title is not None:
            self._after += _short_text(0x0016, b"AE", source_ae_title, b" ")
        self._rest_length = len(self._before) + len(self._after)

    def of(self, sop_instance_uid: str) -> bytes:
        """Make the header of an instance; raises EncodeError if its UID is not ASCII text."""
        instance = _short_text(0x0003, b"UI", sop_instance_uid, b"\0")
        length = pack("<I", self._rest_length + len(instance))
        return b"".join((_UNTIL_LENGTH, length, self._before, instance, self._after))


def _short_text(element: int, vr: bytes, text: str, padding: bytes) -> bytes:
    tag = 0x00020000 | element
    if not isinstance(text, str) or not text.isascii():
        raise EncodeError(f"expected ASCII text, got {shown(text)}", tag=tag)
    raw = text.encode("ascii")
    if len(raw) > _LONGEST:
        raise EncodeError(f"expected at most {_LONGEST} characters, got {len(raw)}", tag=tag)
    if len(raw) & 1:
        raw += padding
    return pack("<HH2sH", 2, element, vr, len(raw)) + raw


_LONGEST: Final = 0xFFFE
_UNTIL_LENGTH: Final = NO_PREAMBLE + PREFIX + b"\x02\0\0\0UL\x04\0"
_IMPLEMENTATION: Final = _short_text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, b"\0") + _short_text(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "
)
