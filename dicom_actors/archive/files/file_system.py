"""What an archive asks of a disk, and nothing more.

Names are relative, with slashes, below the archive's folder; an absolute one is that of a file
that was adopted where it is. Writing, removing and naming are safe against a loss of power only
once what was changed is synchronized: a file's bytes by `OpenFile.synchronize`, its name by
`FileSystem.synchronize_folder` of the folder that it is in, many of both by `synchronize_all`.

No link is followed below the archive's folder, whatever is asked: each folder on the way is opened
by the descriptor of the one above it, so that one who may write there (``study -> /etc``) cannot
have anything read, written or removed elsewhere. Systems that open no folders (Windows) look for
links first.

fsync(2), syncfs(2), link(2), rename(2), openat(2).
"""

# ruff: noqa: PTH100, PTH118, PTH120, PTH208
# A Path for each call costs as much as the call.

from __future__ import annotations

import contextlib
import copy
import ctypes
import errno
import mmap
import os
import stat
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from dicom_actors.scu import FileBytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    Parts = Sequence[bytes | bytearray | memoryview]

__all__ = ["AS_WANTED", "DiskFileSystem", "FileStatus", "FileSystem", "OpenFile"]

AS_WANTED: Final = 1024 * 1024
"""Bytes of which fewer are read when a file is opened, so that nothing can happen to them later."""
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
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _OPEN
HAS_DESCRIPTORS: Final = _HAS_FOLDERS and (
    {os.open, os.rename, os.unlink, os.mkdir, os.rmdir, os.stat, os.link} <= os.supports_dir_fd
)
"""Whether this system opens folders, and goes on from there."""
_REPARSE_POINT: Final = 0x400
_MOST_HELD: Final = 64
"""Folders that are open at a time for one thread."""


class FileStatus(NamedTuple):
    """How a file is.

    Attributes:
        size: its bytes.
        changed: when it was written last, in seconds since 1970.
        links: how many names it has.
        file: tells it from all others, whatever their names.
    """

    size: int
    changed: float
    links: int
    file: tuple[int, int]


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

    def content(self) -> memoryview:
        """Give what was written, and let nobody write more; raises OSError.

        Much is mapped: the file is ours alone, so nobody makes it shorter (SIGBUS).
        """

    def is_in_place(self) -> bool:
        """Whether its name still means this file."""

    def close(self) -> None:
        """Close it; it stays."""


class FileSystem(Protocol):
    """The disk below an archive's folder. Everything raises OSError as `os` does."""

    @property
    def is_synchronous(self) -> bool:
        """Whether anything is synchronized at all; else the system writes when it likes."""

    def create(self, name: str) -> OpenFile:
        """Create a file that must not be there."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> memoryview:
        """Give the bytes of a file, or some of them; fewer, if there are no more."""

    def open(
        self, name: str, offset: int = 0, length: int | None = None, *, as_wanted: int = AS_WANTED
    ) -> memoryview | FileBytes:
        """Give what `read` gives, but `as_wanted` bytes or more are read when they are wanted."""

    def size(self, name: str) -> int | None:
        """The bytes of a file; None: there is no such file."""

    def file_status(self, name: str) -> FileStatus | None:
        """How a file is; None: there is no such file."""

    def names(self, folder: str) -> list[str]:
        """The names of all that is in a folder, in order; none if it is not there."""

    def is_taken(self, name: str) -> bool:
        """Whether there is anything of that name, be it no file."""

    def has_folder(self, name: str) -> bool:
        """Whether a folder is there."""

    def make_folder(self, name: str) -> None:
        """Make a folder, and those above it; one that is there does no harm.

        Raises:
            NotADirectoryError: something else has its name, or that of one above it.
        """

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

    def total_bytes(self) -> int:
        """How many there are, written or not."""

    def held(self) -> AbstractContextManager[FileSystem]:
        """Give the same disk for one thread and a short time, in which each folder is opened once.

        What somebody puts in the place of a folder meanwhile is not seen, unless a file that is to
        be read is not in the folder that was.
        """


class DiskFileSystem:
    """A folder of the system's.

    Args:
        root: the folder, which is there; it may be a link itself.
        is_synchronous: whether anything is synchronized at all; else the system writes when it
            likes.
        by_path: whether to do without descriptors of folders.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        is_synchronous: bool = True,
        by_path: bool = not HAS_DESCRIPTORS,
    ) -> None:
        self.root: Final = os.path.abspath(os.fspath(root))
        self.is_synchronous: Final = is_synchronous
        self._by_path = by_path
        self._held: OrderedDict[str, int] | None = None

    @contextlib.contextmanager
    def _at(self, name: str) -> Iterator[tuple[str, int | None]]:
        """Open the folder that a file or folder is in.

        Gives what names it in the block, and the descriptor that this goes by; None: it is a path.

        Raises:
            OSError: a folder is not there (FileNotFoundError), or no folder (NotADirectoryError).
        """
        if _is_adopted(name):
            yield name, None
        elif self._by_path:
            yield self._path_without_links(name), None
        else:
            folder, _, leaf = name.rpartition("/")
            descriptor = self._open_folder(folder)
            try:
                yield _checked(leaf, name), descriptor
            except OSError as error:
                if error.filename == leaf:
                    error.filename = name  # the system knows of its folder by the descriptor alone
                raise
            finally:
                self._close_folder(descriptor)

    def _open_folder(self, name: str) -> int:
        """Open a folder, step by step; empty means the archive's own."""
        if self._held is not None:
            return self._hold_folder(name, self._held)
        if self._by_path or not name:
            return self._open_top(name)
        first, *parts = name.split("/")
        descriptor = self._open_top(first)
        try:
            for part in parts:
                above = descriptor
                descriptor = _open_below(_checked(part, name), above, name)
                os.close(above)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _open_top(self, name: str) -> int:
        """Open the archive's own folder, or one in it; or, by path, any."""
        if self._by_path or not name:
            return os.open(self._path_without_links(name), _FOLDER)
        return _open_below(os.path.join(self.root, _checked(name, name)), None, name)

    def _hold_folder(self, name: str, held: OrderedDict[str, int]) -> int:
        descriptor = held.get(name)
        if descriptor is not None:
            held.move_to_end(name)
            return descriptor
        above, _, leaf = name.rpartition("/")
        if above and not self._by_path:
            descriptor = _open_below(_checked(leaf, name), self._hold_folder(above, held), name)
        else:
            descriptor = self._open_top(name)
        held[name] = descriptor
        if len(held) > _MOST_HELD:
            os.close(held.popitem(last=False)[1])
        return descriptor

    def _close_folder(self, descriptor: int) -> None:
        if self._held is None:
            os.close(descriptor)

    def _let_go(self) -> None:
        """Close the folders that are held."""
        while self._held:
            os.close(self._held.popitem()[1])

    def _path_without_links(self, name: str) -> str:
        path = self.root
        parts = name.split("/") if name else []
        for part in parts[:-1]:
            path = os.path.join(path, _checked(part, name))
            if not _is_folder(os.lstat(path)):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        return os.path.join(path, _checked(parts[-1], name)) if parts else path

    def create(self, name: str) -> DiskFile:
        """See `FileSystem.create`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN | _NO_LINKS
        with self._at(name) as (leaf, folder):
            descriptor = os.open(leaf, flags, 0o666, dir_fd=folder)
        return DiskFile(self, name, descriptor)

    def _open_file(self, name: str) -> int:
        """Open a file for reading."""
        try:
            return self._open_in_folder(name)
        except FileNotFoundError:
            if not self._held:
                raise
            self._let_go()  # it may be in a folder that has the place of one of those now
            return self._open_in_folder(name)

    def _open_in_folder(self, name: str) -> int:
        """The same; an adopted one may be a link of its owner's."""
        with self._at(name) as (leaf, folder):
            # What never ends, or never begins, is not waited for.
            flags = os.O_RDONLY | _OPEN | getattr(os, "O_NONBLOCK", 0)
            if _is_adopted(name):
                return os.open(leaf, flags)
            if self._by_path and not stat.S_ISREG(os.lstat(leaf).st_mode):
                raise _no_file(name)
            try:
                return os.open(leaf, flags | _NO_LINKS, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise _no_file(name) from error
                raise

    def read(self, name: str, offset: int = 0, length: int | None = None) -> memoryview:
        """See `FileSystem.read`."""
        descriptor = self._open_file(name)
        try:
            length = _bytes_there(descriptor, name, offset, length)
            return memoryview(_read_all(descriptor, offset, length))
        finally:
            os.close(descriptor)

    def open(
        self, name: str, offset: int = 0, length: int | None = None, *, as_wanted: int = AS_WANTED
    ) -> memoryview | FileBytes:
        """See `FileSystem.open`."""
        descriptor = self._open_file(name)
        try:
            length = _bytes_there(descriptor, name, offset, length)
            if length < as_wanted:
                return memoryview(_read_all(descriptor, offset, length))
            made = FileBytes.of(descriptor, offset, length, name)
            descriptor = -1
            return made
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def status(self, name: str) -> os.stat_result | None:
        """What the system says of a file; None: there is nothing of that name."""
        try:
            if self._by_path or _is_adopted(name):
                with self._at(name) as (leaf, _):
                    return os.stat(leaf, follow_symlinks=_is_adopted(name))  # noqa: PTH116
            # What `_at` does, which costs as much as all of this: it is asked for each object.
            above, _, leaf = name.rpartition("/")
            folder = self._open_folder(above)
            try:
                return os.stat(_checked(leaf, name), dir_fd=folder, follow_symlinks=False)
            finally:
                self._close_folder(folder)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, name: str) -> int | None:
        """See `FileSystem.size`."""
        status = self.status(name)
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None

    def file_status(self, name: str) -> FileStatus | None:
        """See `FileSystem.file_status`."""
        status = self.status(name)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        file = (status.st_dev, status.st_ino)
        return FileStatus(status.st_size, status.st_mtime, status.st_nlink, file)

    def is_taken(self, name: str) -> bool:
        """See `FileSystem.is_taken`."""
        return self.status(name) is not None

    def names(self, folder: str) -> list[str]:
        """See `FileSystem.names`."""
        try:
            if self._by_path:
                path = self._path_without_links(folder)
                return sorted(os.listdir(path)) if _is_folder(os.lstat(path)) else []
            descriptor = self._open_folder(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return sorted(os.listdir(descriptor))
        finally:
            self._close_folder(descriptor)

    def has_folder(self, name: str) -> bool:
        """See `FileSystem.has_folder`."""
        status = self.status(name)
        return status is not None and _is_folder(status)

    def make_folder(self, name: str) -> None:
        """See `FileSystem.make_folder`; the archive's own folder is not made again."""
        try:
            with self._at(name) as (leaf, folder):
                os.mkdir(leaf, dir_fd=folder)
        except FileExistsError:
            if not self.has_folder(name):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
        except FileNotFoundError:
            above = os.path.dirname(name)
            if not above:
                raise
            self.make_folder(above)
            with self._at(name) as (leaf, folder), contextlib.suppress(FileExistsError):
                os.mkdir(leaf, dir_fd=folder)

    def link(self, name: str, new_name: str) -> bool:
        """See `FileSystem.link`."""
        try:
            with self._at(name) as (leaf, folder), self._at(new_name) as (new, into):
                if not stat.S_ISREG(os.stat(leaf, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise _no_file(name)
                options = {} if self._by_path else {"follow_symlinks": False}
                os.link(leaf, new, src_dir_fd=folder, dst_dir_fd=into, **options)
        except OSError as error:
            if error.errno in _NO_LINKS_HERE:
                return False
            raise
        return True

    def rename(self, name: str, new_name: str) -> None:
        """See `FileSystem.rename`."""
        with self._at(name) as (leaf, folder), self._at(new_name) as (new, into):
            os.replace(leaf, new, src_dir_fd=folder, dst_dir_fd=into)

    def remove(self, name: str) -> None:
        """See `FileSystem.remove`; a link goes, and not what it leads to."""
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            self._at(name) as (leaf, folder),
        ):
            os.unlink(leaf, dir_fd=folder)

    def remove_folder(self, name: str) -> bool:
        """See `FileSystem.remove_folder`."""
        self._let_go()  # so that none of them is taken for one that is made anew
        try:
            with self._at(name) as (leaf, folder):
                os.rmdir(leaf, dir_fd=folder)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                return False
            raise
        return True

    def synchronize_folder(self, name: str) -> None:
        """See `FileSystem.synchronize_folder`."""
        if self.is_synchronous and _HAS_FOLDERS:
            descriptor = self._open_folder(name)
            try:
                _synchronize(descriptor)
            finally:
                self._close_folder(descriptor)

    def synchronize_all(self, files: Iterable[str], folders: Iterable[str]) -> None:
        """See `FileSystem.synchronize_all`."""
        if not self.is_synchronous or _synchronize_file_system(self.root):
            return
        for name in files:
            descriptor = self._open_file(name)
            try:
                _synchronize(descriptor)
            finally:
                os.close(descriptor)
        for name in folders:
            self.synchronize_folder(name)

    def free_bytes(self) -> int:
        """See `FileSystem.free_bytes`; what is kept for the superuser does not count."""
        if hasattr(os, "statvfs"):
            state = os.statvfs(self.root)
            return state.f_bavail * state.f_frsize
        import shutil  # noqa: PLC0415 - Windows alone comes here

        return shutil.disk_usage(self.root).free

    def total_bytes(self) -> int:
        """See `FileSystem.total_bytes`."""
        import shutil  # noqa: PLC0415 - as above

        return shutil.disk_usage(self.root).total

    @contextlib.contextmanager
    def held(self) -> Iterator[Self]:
        """See `FileSystem.held`."""
        held = copy.copy(self)
        held._held = OrderedDict()  # noqa: SLF001 - one of ours
        try:
            yield held
        finally:
            held._let_go()  # noqa: SLF001


class DiskFile:
    """An open file of the system's."""

    def __init__(self, disk: DiskFileSystem, name: str, descriptor: int) -> None:
        self._disk = disk
        self._name = name
        self._descriptor = descriptor
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
        if self._disk.is_synchronous:
            _flush(self._descriptor)

    def content(self) -> memoryview:
        """See `OpenFile.content`."""
        if self.length < AS_WANTED:
            return memoryview(_read_all(self._descriptor, 0, self.length))
        return memoryview(mmap.mmap(self._descriptor, self.length, access=mmap.ACCESS_READ))

    def is_in_place(self) -> bool:
        """See `OpenFile.is_in_place`."""
        there, mine = self._disk.status(self._name), os.fstat(self._descriptor)
        return there is not None and (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)

    def close(self) -> None:
        """See `OpenFile.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._close(descriptor)


# The length of a file is made safe by it, too, the time of its last change is not: nobody asks.
_flush: Final = getattr(os, "fdatasync", os.fsync)


def _bytes_there(descriptor: int, name: str, offset: int, length: int | None) -> int:
    """How many bytes there are from `offset` on, of `length` that are wanted; None: all."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _no_file(name)
    there = max(status.st_size - offset, 0)
    return there if length is None else min(length, there)


def _read_all(descriptor: int, offset: int, length: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    pieces = []
    while length > 0 and (piece := os.read(descriptor, length)):
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _is_adopted(name: str) -> bool:
    return os.path.isabs(name)  # noqa: PTH117 - of a text, for each call


def _open_below(part: str, folder: int | None, name: str) -> int:
    """Open a folder in another one; None: it is a path, to the last part of which no link leads."""
    try:
        return os.open(part, _FOLDER | _NO_LINKS, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:  # what a link is called depends
            raise NotADirectoryError(errno.ENOTDIR, "no folder, or a link", name) from error
        raise


def _checked(part: str, name: str) -> str:
    """Refuse a part of a name that leads out, or nowhere: rows can be damaged."""
    if part in {"", ".", ".."} or os.sep in part:
        raise FileNotFoundError(errno.ENOENT, "expected a name below the archive's folder", name)
    return part


def _is_folder(status: os.stat_result) -> bool:
    is_junction = getattr(status, "st_file_attributes", 0) & _REPARSE_POINT
    return stat.S_ISDIR(status.st_mode) and not is_junction


def _no_file(name: str) -> OSError:
    return OSError(errno.ELOOP, "expected a file, and no link, pipe or device", name)


def _synchronize(descriptor: int) -> None:
    """Make an open file or folder safe."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNCHRONIZE:
            raise


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
