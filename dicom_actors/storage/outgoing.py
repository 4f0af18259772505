"""Objects to be stored: where their bytes are, and what must be known to send them.

Of a file only the file meta information is read (PS3.10 7.1); its data set is sent as it is, that
of a large one as it is read, piece by piece. Where that cannot be, since there is no file meta
information or the peer wants another transfer syntax, the data set is read and encoded: a large
value of it piece by piece, through a temporary file if it has to be made anew.
"""

from __future__ import annotations

import errno
import os
import stat
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from dicom_actors.data import DataSet, TransferSyntax, read_file
from dicom_actors.data.dataset.encoder import may_be_sent, pieces_to_send
from dicom_actors.data.dictionary.transfer_syntax import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from dicom_actors.data.dictionary.uids import is_valid_uid
from dicom_actors.data.files.file_bytes import FileBytes, read_bytes
from dicom_actors.data.files.large_value import read_large, spooled
from dicom_actors.data.values.unread import MadeBytes, UnreadBytes
from dicom_actors.errors import EncodeError, FileChangedError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Piece = bytes | memoryview | UnreadBytes
    # Takes a data set, and the UIDs of the transfer syntaxes that are accepted; it returns the
    # data set in one of them, or raises a DataError.
    Transcode = Callable[[DataSet, Sequence[str]], DataSet]
    Given = DataSet | str | os.PathLike[str] | bytes | bytearray | memoryview
    Storable: TypeAlias = "Given | OutgoingObject"

__all__ = ["OutgoingObject", "Transcoded", "outgoing_object"]

_FRONT: Final = 2 * 1024
"""Bytes in which the file meta information is looked for; it has 300 to 500, mostly."""

_AS_IT_GOES: Final = 1024 * 1024
"""Bytes of a file from which it is read as it is sent. Of others nothing is sent before all is
there, so that one which is changed meanwhile costs no association."""

_LOOKED_AT: Final = 64 * 1024
"""Bytes that are read at a time to find out whether a large file is whole."""

_READ: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

_SOP_INSTANCE_UID: Final = 0x00080018
_STAND_FOR: Final = {0x00080016: 0x0002, _SOP_INSTANCE_UID: 0x0003}
"""Elements of a data set that say what it is, and those of group 0002 that say so, too."""


_IMPLICIT: Final = Struct("<HHI")
_SHORT: Final = Struct("<HH2sH")
_LONG: Final = Struct("<I")
_SHORT_BIG_ENDIAN: Final = Struct(">HH2sH")
_LONG_BIG_ENDIAN: Final = Struct(">I")
_WITH_LONG_LENGTH: Final = frozenset(
    (
        *(b"OB", b"OD", b"OF", b"OL", b"OV", b"OW"),
        *(b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"),
    )
)
_WITH_SHORT_LENGTH: Final = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
        *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
_UNDEFINED: Final = 0xFFFFFFFF
_DELIMITERS: Final = 0xFFFE
_ITEM: Final = 0xE000


class _Meta(NamedTuple):
    """What the file meta information says.

    Attributes:
        sop_class_uid: Media Storage SOP Class UID.
        sop_instance_uid: Media Storage SOP Instance UID.
        transfer_syntax: Transfer Syntax UID.
        end: the byte at which the data set begins.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    end: int


class Transcoded(NamedTuple):
    """An object in another transfer syntax.

    Attributes:
        transfer_syntax: the UID of it.
        pieces: the data set, to be sent piece by piece.
        sop_instance_uid: its SOP instance; another one if information was lost.
    """

    transfer_syntax: str
    pieces: list[Piece]
    sop_instance_uid: str


class OutgoingObject(NamedTuple):
    """An object that can be sent.

    Whoever knows all this can hand it in as it is, and nothing is opened before it is sent.

    Attributes:
        source: what the user gave: a data set, a path, or bytes; or what gives the bytes of the
            file when it is called. An OSError or a DicomError that it raises is a failure of this
            object alone.
        sop_class_uid: its SOP class.
        sop_instance_uid: its SOP instance.
        transfer_syntax: the UID of the one that it has.
        start: where in the file the data set begins; None: it is to be encoded.
        transcode: what gives it another transfer syntax, where the pixels have to be compressed
            or decompressed for that; None: nothing does. One with a true attribute ``is_lossy``
            may make another instance of it (see `dicom_actors.pixels.Transcoder`).
        sent_as: the SOP instance that it is sent as, where transcoding made another one of it;
            empty: the same.
    """

    source: Given | Callable[[], bytes | memoryview | FileBytes]
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    start: int | None
    transcode: Transcode | None = None
    sent_as: str = ""

    @property
    def may_lose(self) -> bool:
        """Whether it may be sent in a transfer syntax that loses information."""
        return bool(getattr(self.transcode, "is_lossy", False))

    def pieces(self, transfer_syntax: str, *, must_be_whole: bool = False) -> list[Piece]:
        """Return the data set, to be sent piece by piece.

        Args:
            transfer_syntax: the UID of the one that it is to have.
            must_be_whole: whether a data set that is cut off or cannot be read is an error, where
                its bytes could be sent as they are.

        Raises:
            DataError: it cannot be read, or not be encoded so.
            OSError: the file cannot be read.
        """
        pieces = self._pieces(transfer_syntax)
        if must_be_whole and self.start is not None and transfer_syntax == self.transfer_syntax:
            _check_whole(pieces[0], transfer_syntax)
        is_even = sum(map(len, pieces)) % 2 == 0
        if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid:
            return pieces if is_even else [*pieces, b"\0"]  # PS3.5 A.5
        as_it_is = self.start is not None and transfer_syntax == self.transfer_syntax
        # A peer may abort for an odd length, and all that follows would be lost.
        if not is_even or (as_it_is and not may_be_sent(_front_of(pieces[0]), transfer_syntax)):
            return self._encoded(transfer_syntax)
        return pieces

    def transcoded(self, transfer_syntaxes: Sequence[str]) -> Transcoded | None:
        """Return the object in one of other transfer syntaxes, to be sent piece by piece.

        Args:
            transfer_syntaxes: the UIDs of those that will do.

        Returns:
            How it is now; None: nothing transcodes it.

        Raises:
            DicomError: it cannot be read, or not be transcoded without becoming another instance.
            OSError: the file cannot be read.
        """
        if self.transcode is None or not transfer_syntaxes:
            return None
        made = self.transcode(self._data_set(), transfer_syntaxes)
        syntax = made.transfer_syntax
        if syntax is None or syntax.uid not in transfer_syntaxes:
            raise EncodeError(f"expected one of {', '.join(transfer_syntaxes)}, got {syntax}")
        instance = str(made.get("SOPInstanceUID") or self.sop_instance_uid)
        if instance != self.sop_instance_uid and not self.may_lose:
            raise EncodeError(f"in {syntax} it would be another instance: information is lost")
        return Transcoded(syntax.uid, _to_send(made, syntax), instance)

    def _pieces(self, transfer_syntax: str) -> list[Piece]:
        if self.start is not None and transfer_syntax == self.transfer_syntax:
            source = self._opened()
            if isinstance(source, bytes | bytearray | memoryview):
                return [memoryview(source)[self.start :]]
            if isinstance(source, FileBytes):
                return [source[self.start :]]
            assert not isinstance(source, DataSet)
            return [_bytes_from(source, self.start)]
        return self._encoded(transfer_syntax)

    def _opened(self) -> Given | FileBytes:
        source = self.source
        if isinstance(source, DataSet | str | os.PathLike | bytes | bytearray | memoryview):
            return source
        return source()

    def _encoded(self, transfer_syntax: str) -> list[Piece]:
        return _to_send(self._data_set(), TransferSyntax.of(transfer_syntax))

    def _data_set(self) -> DataSet:
        source = self._opened()
        if isinstance(source, DataSet):
            return source
        return read_large(source)


def _to_send(data_set: DataSet, transfer_syntax: TransferSyntax) -> list[Piece]:
    """Encode a data set; what is made piece by piece, in a file if it is long.

    So all that can be wrong with it is known before any of it is sent, and costs no association.
    """
    pieces = pieces_to_send(data_set, transfer_syntax)
    if isinstance(pieces, list) and not any(isinstance(piece, MadeBytes) for piece in pieces):
        return pieces
    return [spooled(pieces)]


def _front_of(data: Piece) -> bytes | memoryview:
    """Take what can be looked at: all, or the beginning of what is in a file."""
    return data[:_LOOKED_AT].read() if isinstance(data, UnreadBytes) else data


def _check_whole(data: Piece, transfer_syntax: str) -> None:
    """Find out whether an encoded data set can be read to its end.

    Raises:
        DataError: it cannot.
    """
    others = (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_BIG_ENDIAN.uid)
    is_implicit = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN.uid
    if transfer_syntax not in others and _is_plainly_whole(data, is_implicit=is_implicit):
        return
    whole = data.read() if isinstance(data, UnreadBytes) else memoryview(data)
    DataSet.from_bytes(whole, transfer_syntax)


def _is_plainly_whole(data: Piece, *, is_implicit: bool) -> bool:
    """Whether elements fill it up, each where the one before ends; else somebody looks closer.

    Sequences and fragments of undefined length are followed to their delimiters (PS3.5 7.5, A.4).
    """
    if isinstance(data, UnreadBytes):
        first = end = 0  # the part that is there, to be looked at; of a file none yet
        there = memoryview(b"")
    else:
        first, there, end = 0, memoryview(data), len(data)
    position, depth, length_of_all = 0, 0, len(data)
    implicit, short, long = _IMPLICIT.unpack_from, _SHORT.unpack_from, _LONG.unpack_from
    while position + 8 <= length_of_all:
        if position + 12 > end and end < length_of_all:
            assert isinstance(data, UnreadBytes)
            first, there = position, data[position : position + _LOOKED_AT].read()
            end = first + len(there)
        at = position - first
        group, element, vr, length = short(there, at)
        if is_implicit or group == _DELIMITERS:
            _, _, length = implicit(there, at)
            position += 8
        elif vr in _WITH_SHORT_LENGTH:
            position += 8
        elif vr in _WITH_LONG_LENGTH and position + 12 <= end:
            (length,) = long(there, at + 8)
            position += 12
        else:
            return False
        if length == _UNDEFINED:
            if vr == b"UN":
                return False  # what is in it is encoded in another way
            depth += 1
        elif group == _DELIMITERS and element != _ITEM:
            depth -= 1
        else:
            position += length
    return position == length_of_all and depth == 0


def outgoing_object(source: Storable) -> OutgoingObject:
    """Find out what must be known to send an object.

    Args:
        source: a data set; or a file, as a path or as its bytes; one of these comes as it is.

    Raises:
        NotPart10Error: it is no DICOM file.
        DataError: it cannot be read, or does not say what it is.
        OSError: the file cannot be read.
        TypeError: it is none of these.
    """
    if isinstance(source, OutgoingObject):
        return source
    if isinstance(source, DataSet):
        return _of_data_set(source, source)
    if isinstance(source, bytes | bytearray | memoryview):
        front: bytes | memoryview = memoryview(source)[:_FRONT]
    elif not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"expected a data set, a path or the bytes of a file to store, got {shown(source)}"
        )
    else:
        front = _read_front(source)
    meta = _decode_meta(bytes(front))
    if meta is None:
        return _of_data_set(source, read_file(source))
    return OutgoingObject(source, *meta)


def _of_data_set(source: Given, data_set: DataSet) -> OutgoingObject:
    meta = data_set.file_meta
    sop_class = data_set.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    instance = data_set.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID")
    if not sop_class or not instance:
        raise EncodeError("expected SOPClassUID and SOPInstanceUID in what is to be stored")
    syntax = data_set.transfer_syntax
    if syntax is None:
        try:
            syntax = TransferSyntax.of(meta.get("TransferSyntaxUID") or EXPLICIT_VR_LITTLE_ENDIAN)
        except ValueError as error:
            raise EncodeError(f"TransferSyntaxUID of the file meta: {error}") from error
    return OutgoingObject(source, str(sop_class), str(instance), syntax.uid, None)


def _read_front(path: str | os.PathLike[str]) -> bytes:
    handle = os.open(path, _READ | getattr(os, "O_NONBLOCK", 0))
    try:
        kind = os.fstat(handle).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            # A pipe or a device may never end, nor even begin.
            raise OSError(errno.EINVAL, "expected a regular file", str(path))
        return os.read(handle, _FRONT)
    finally:
        os.close(handle)


def _bytes_from(path: str | os.PathLike[str], start: int) -> Piece:
    """The bytes of a file from `start` on; of a large one they are read when they are wanted."""
    handle = os.open(path, _READ)
    try:
        size = os.fstat(handle).st_size
        if size < _AS_IT_GOES:
            data = read_bytes(handle, size - start, start)
            if len(data) < size - start or size < start:
                raise FileChangedError(f"{os.fspath(path)}: it was made shorter while it was read")
            return data
        made = FileBytes.of(handle, start, size - start, os.fspath(path))
        handle = -1
        return made
    finally:
        if handle >= 0:
            os.close(handle)


def _decode_meta(front: bytes) -> _Meta | None:
    """Read the file meta information in its ordinary form; None for any other."""
    if front[128:132] != b"DICM":
        return None
    found: dict[int, str] = {}
    position, end, said_end = 132, len(front), 0
    while position + 8 <= end:
        group, element, vr, length = _SHORT.unpack_from(front, position)
        if group != 2:
            if said_end not in (0, position):
                return None  # elements of the data set may have that group, too
            if 0x0010 in found and found.get(0x0002) and found.get(0x0003):
                # The data set knows better what it is, and peers compare it with the command.
                found.update(_identity(front, position, found[0x0010]))
                return _Meta(found[0x0002], found[0x0003], found[0x0010], position)
            return None
        position += 8
        if vr in _WITH_LONG_LENGTH:
            if position + 4 > end:
                return None
            (length,) = _LONG.unpack_from(front, position)
            position += 4
        if not element and vr == b"UL" and length == 4 and position + 4 <= end:
            said_end = position + 4 + int.from_bytes(front[position : position + 4], "little")
        if vr == b"UI":
            raw = front[position : position + length]
            found[element] = raw.decode("ascii", "replace").rstrip("\0 ")
        position += length
    return None


def _identity(front: bytes, position: int, transfer_syntax: str) -> dict[int, str]:
    """Find SOP Class UID and SOP Instance UID at the beginning of a data set.

    Args:
        front: the beginning of the file.
        position: where the data set begins.
        transfer_syntax: its transfer syntax.

    Returns:
        Those of the two that are there, by the number of the element that stands for it in the
        file meta information.
    """
    found: dict[int, str] = {}
    if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid:
        return found
    is_implicit = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN.uid
    short, long = _SHORT, _LONG
    if transfer_syntax == EXPLICIT_VR_BIG_ENDIAN.uid:
        short, long = _SHORT_BIG_ENDIAN, _LONG_BIG_ENDIAN
    while position + 12 <= len(front):
        if is_implicit:
            group, element, length = _IMPLICIT.unpack_from(front, position)
            position += 8
        else:
            group, element, vr, length = short.unpack_from(front, position)
            position += 8
            if vr in _WITH_LONG_LENGTH:
                (length,) = long.unpack_from(front, position)
                position += 4
        tag = group << 16 | element
        end = position + length
        if tag > _SOP_INSTANCE_UID or end > len(front):
            break
        if tag in _STAND_FOR:
            uid = front[position:end].decode("ascii", "replace").rstrip("\0 ")
            if is_valid_uid(uid):
                found[_STAND_FOR[tag]] = uid
        position = end
    return found
