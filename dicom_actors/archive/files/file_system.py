"""What an archive asks of a disk, and nothing more.

Names are relative, with slashes, below the archive's folder; an absolute one is that of a file
that was adopted where it is. Writing, removing and naming are safe against a loss of power only
once what was changed is synchronized: a file's bytes by `OpenFile.synchronize`, its name by
`FileSystem.synchronize_folder` of the folder that it is in, many of both by `synchronize_all`.

fsync(2), syncfs(2), link(2), rename(2).
"""

# ruff: noqa: PTH100, PTH102, PTH105, PTH106, PTH107, PTH112, PTH116, PTH118, PTH120, PTH208
# A Path for each call costs as much as the call.

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import stat
import sys
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Parts = Sequence[bytes | bytearray | memoryview]

__all__ = ["DiskFileSystem", "FileSystem", "OpenFile"]

_MAPPED: Final = 64 * 1024
"""From so many bytes on, what is read is mapped instead of copied."""
_MOST_AT_ONCE: Final = 512
"""Parts for one `writev`; below any system's IOV_MAX."""
_NO_LINKS_HERE: Final = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)
_CANNOT_SYNCHRONIZE: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems say that have no use for fsync(2) on a folder."""
_OPEN: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0)
_HAS_FOLDERS: Final = hasattr(os, "O_DIRECTORY")


class OpenFile(Protocol):
    """A file that was created, to be written from its beginning to its end."""

    @property
    def length(self) -> int:
        """Bytes that were written."""

    def append(self, parts: Parts) -> None:
        """Write `parts` behind what is there; raises OSError, and then a part may be there."""

    def cut(self, length: int) -> None:
        """Take back all behind the first `length` bytes; raises OSError."""

    def synchronize(self) -> None:
        """Make the bytes safe, not the name; raises OSError."""

    def is_in_place(self) -> bool:
        """Whether its name still means this file."""

    def close(self) -> None:
        """Close it; it stays."""


class FileSystem(Protocol):
    """The disk below an archive's folder. Everything raises OSError as `os` does."""

    def create(self, name: str) -> OpenFile:
        """Create a file that must not be there."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> memoryview:
        """Give the bytes of a file, or some of them; fewer, if there are no more."""

    def size(self, name: str) -> int | None:
        """The bytes of a file; None: there is no such file."""

    def links(self, name: str) -> int:
        """How many names a file has; 0: there is no such file."""

    def names(self, folder: str) -> list[str]:
        """The names of all that is in a folder, in order; none if it is not there."""

    def has_folder(self, name: str) -> bool:
        """Whether a folder is there."""

    def make_folder(self, name: str) -> None:
        """Make a folder, and those above it; one that is there does no harm."""

    def link(self, name: str, new_name: str) -> bool:
        """Give a file a second name, which must be free; False: there are no links here."""

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, which should be free."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there does no harm."""

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if it is empty; returns whether it is gone."""

    def synchronize_folder(self, name: str) -> None:
        """Make the names in a folder safe."""

    def synchronize_all(self, files: Iterable[str], folders: Iterable[str]) -> None:
        """Make the bytes of files, and the names in folders, safe; many at a time."""

    def free_bytes(self) -> int:
        """How many bytes can still be written."""


class DiskFileSystem:
    """A folder of the system's.

    Args:
        root: the folder, which is there.
        is_synchronous: whether anything is synchronized at all; else the system writes when it
            likes.
    """

    def __init__(self, root: str | os.PathLike[str], *, is_synchronous: bool = True) -> None:
        self.root: Final = os.path.abspath(os.fspath(root))
        self.is_synchronous: Final = is_synchronous

    def path_of(self, name: str) -> str:
        """The whole path of a name."""
        return os.path.join(self.root, name)

    def create(self, name: str) -> DiskFile:
        """See `FileSystem.create`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN | _NO_LINKS
        descriptor = os.open(self.path_of(name), flags, 0o666)
        return DiskFile(self.path_of(name), descriptor, is_synchronous=self.is_synchronous)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> memoryview:
        """See `FileSystem.read`."""
        descriptor = os.open(self.path_of(name), os.O_RDONLY | _OPEN)
        try:
            there = max(os.fstat(descriptor).st_size - offset, 0)
            length = there if length is None else min(length, there)
            if length >= _MAPPED:
                start = offset - offset % mmap.ALLOCATIONGRANULARITY
                mapped = mmap.mmap(
                    descriptor, offset - start + length, access=mmap.ACCESS_READ, offset=start
                )
                return memoryview(mapped)[offset - start :]
            if offset:
                os.lseek(descriptor, offset, os.SEEK_SET)
            return memoryview(_read_all(descriptor, length))
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int | None:
        """See `FileSystem.size`."""
        try:
            status = os.stat(self.path_of(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def links(self, name: str) -> int:
        """See `FileSystem.links`."""
        try:
            return os.stat(self.path_of(name)).st_nlink
        except FileNotFoundError:
            return 0

    def names(self, folder: str) -> list[str]:
        """See `FileSystem.names`."""
        try:
            return sorted(os.listdir(self.path_of(folder)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def has_folder(self, name: str) -> bool:
        """See `FileSystem.has_folder`."""
        return os.path.isdir(self.path_of(name))

    def make_folder(self, name: str) -> None:
        """See `FileSystem.make_folder`; the archive's own folder is not made again."""
        path = self.path_of(name)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        except FileNotFoundError:
            above = os.path.dirname(name)
            if not above:
                raise
            self.make_folder(above)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)

    def link(self, name: str, new_name: str) -> bool:
        """See `FileSystem.link`."""
        try:
            os.link(self.path_of(name), self.path_of(new_name))
        except OSError as error:
            if error.errno in _NO_LINKS_HERE:
                return False
            raise
        return True

    def rename(self, name: str, new_name: str) -> None:
        """See `FileSystem.rename`."""
        os.replace(self.path_of(name), self.path_of(new_name))

    def remove(self, name: str) -> None:
        """See `FileSystem.remove`."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path_of(name))

    def remove_folder(self, name: str) -> bool:
        """See `FileSystem.remove_folder`."""
        try:
            os.rmdir(self.path_of(name))
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        return True

    def synchronize_folder(self, name: str) -> None:
        """See `FileSystem.synchronize_folder`."""
        if self.is_synchronous and _HAS_FOLDERS:
            _synchronize(self.path_of(name))

    def synchronize_all(self, files: Iterable[str], folders: Iterable[str]) -> None:
        """See `FileSystem.synchronize_all`."""
        if not self.is_synchronous or _synchronize_file_system(self.root):
            return
        for name in files:
            _synchronize(self.path_of(name))
        for name in folders:
            self.synchronize_folder(name)

    def free_bytes(self) -> int:
        """See `FileSystem.free_bytes`; what is kept for the superuser does not count."""
        if hasattr(os, "statvfs"):
            state = os.statvfs(self.root)
            return state.f_bavail * state.f_frsize
        import shutil  # noqa: PLC0415 - Windows alone comes here

        return shutil.disk_usage(self.root).free


class DiskFile:
    """An open file of the system's."""

    def __init__(self, path: str, descriptor: int, *, is_synchronous: bool) -> None:
        self._path = path
        self._descriptor = descriptor
        self._is_synchronous = is_synchronous
        self._close = os.close  # still there when the interpreter goes down
        self.length = 0

    def __del__(self) -> None:
        self.close()

    def append(self, parts: Parts) -> None:
        """See `OpenFile.append`."""
        for at in range(0, len(parts), _MOST_AT_ONCE):
            group = parts[at : at + _MOST_AT_ONCE]
            wanted = sum(map(len, group))
            written = self._write(group)
            while written < wanted:
                rest = memoryview(b"".join(group))[written:]
                written += self._write([rest])
            self.length += wanted

    def _write(self, parts: Parts) -> int:
        if hasattr(os, "writev"):
            return os.writev(self._descriptor, parts)
        return os.write(self._descriptor, b"".join(parts))

    def cut(self, length: int) -> None:
        """See `OpenFile.cut`."""
        os.ftruncate(self._descriptor, length)
        os.lseek(self._descriptor, length, os.SEEK_SET)
        self.length = length

    def synchronize(self) -> None:
        """See `OpenFile.synchronize`."""
        if self._is_synchronous:
            _flush(self._descriptor)

    def is_in_place(self) -> bool:
        """See `OpenFile.is_in_place`."""
        try:
            there, mine = os.stat(self._path), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)

    def close(self) -> None:
        """See `OpenFile.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._close(descriptor)


# The length of a file is made safe by it, too, the time of its last change is not: nobody asks.
_flush: Final = getattr(os, "fdatasync", os.fsync)


def _read_all(descriptor: int, length: int) -> bytes:
    pieces = []
    while length > 0 and (piece := os.read(descriptor, length)):
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _synchronize(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | _OPEN)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNCHRONIZE:
            raise
    finally:
        os.close(descriptor)


def _load_syncfs() -> ctypes._NamedFuncPointer | None:
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return None


# One call for thousands of files, and unlike sync(2) it tells of what could not be written.
_syncfs: Final = _load_syncfs()


def _synchronize_file_system(root: str) -> bool:
    """Make all of a file system safe; returns whether this system can."""
    if _syncfs is None:
        return False
    descriptor = os.open(root, os.O_RDONLY | _OPEN)
    try:
        if _syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), root)
    finally:
        os.close(descriptor)
    return True
