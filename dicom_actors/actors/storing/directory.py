"""An open folder, in which files get their names, and below which no link is followed.

By its descriptor nothing that is written can go anywhere else than where it was opened: not when
a folder above is renamed, and not when somebody plants a link (``study -> /etc``). Systems that
open no folders (Windows) do the same by paths, and look for links first.

A folder that was made is not safe before the one that it is in is synchronized, too (fsync(2)).
Whoever opens one for the first time does that, although it was there already: somebody else may
have made it a moment ago and not be that far.
"""

# ruff: noqa: PTH100, PTH102, PTH105, PTH108, PTH116, PTH118, PTH120, PTH208 - see below
# Descriptors have no Path, and a Path for each call costs as much as the call.

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["HAS_DESCRIPTORS", "Directory", "PathDirectory", "open_root"]

HAS_DESCRIPTORS: Final = hasattr(os, "O_DIRECTORY") and (
    {os.open, os.rename, os.unlink, os.mkdir, os.stat} <= os.supports_dir_fd
)
"""Whether this system does everything that `Directory` asks for."""

_OPEN: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CANNOT_SYNCHRONIZE: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems say that have no use for fsync(2) on a folder."""

_REPARSE_POINT: Final = 0x400


class Directory:
    """An open folder; it is closed when nobody uses it any more.

    Args:
        path: its path.
        descriptor: its descriptor, owned from now on; -1: none, it goes by its path.
        is_root: whether the path may end in a link.

    Attributes:
        location: the same path.
        renames_open_files: whether a file may get another name while it is open.
    """

    __slots__ = ("_close", "_identity", "_is_root", "descriptor", "location", "path")

    renames_open_files = True

    def __init__(self, path: str, descriptor: int, *, is_root: bool) -> None:
        self.descriptor = descriptor  # first: it is closed whatever becomes of the rest
        self._close = os.close  # still there when the interpreter goes down
        self.path = path
        self.location = Path(path)
        self._is_root = is_root
        self._identity = self._identify()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}>"

    def __del__(self) -> None:
        if self.descriptor >= 0:
            self._close(self.descriptor)

    def _identify(self) -> tuple[int, int]:
        status = os.fstat(self.descriptor)
        return status.st_ino, status.st_dev

    def is_in_place(self) -> bool:
        """Whether its path still means this folder."""
        try:
            status = os.stat(self.path, follow_symlinks=self._is_root)
        except OSError:
            return False
        return (status.st_ino, status.st_dev) == self._identity

    def open_file(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file in it as `os.open` does; a link is not followed."""
        return os.open(name, flags | _NO_LINKS, mode, dir_fd=self.descriptor)

    def rename_file(self, name: str, target: Directory, new_name: str) -> None:
        """Give a file in it a name in `target`; a file that has that name is replaced."""
        os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def unlink_file(self, name: str) -> None:
        """Remove a file from it."""
        os.unlink(name, dir_fd=self.descriptor)

    def inode_of(self, name: str) -> tuple[int, int]:
        """Say which file a name in it means."""
        status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        return status.st_ino, status.st_dev

    def names(self) -> list[str]:
        """The names of all that is in it."""
        return os.listdir(self.descriptor)

    def child(self, name: str) -> Directory:
        """Open a folder in it; one that is not there is made.

        Raises:
            OSError: it is no folder but a link, for example, or cannot be made.
        """
        flags = _OPEN | _NO_LINKS
        try:
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                os.mkdir(name, dir_fd=self.descriptor)
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        made = Directory(os.path.join(self.path, name), descriptor, is_root=False)
        self.synchronize()
        return made

    def synchronize(self) -> None:
        """Make the names in it safe on the medium."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNCHRONIZE:
                raise


class PathDirectory(Directory):
    """The same without a descriptor."""

    __slots__ = ()

    renames_open_files = False

    def _identify(self) -> tuple[int, int]:
        status = os.stat(self.path)
        return status.st_ino, status.st_dev

    def _path_of(self, name: str) -> str:
        return os.path.join(self.path, name)

    def open_file(self, name: str, flags: int, mode: int = 0o666) -> int:
        """See `Directory.open_file`."""
        return os.open(self._path_of(name), flags | _NO_LINKS, mode)

    def rename_file(self, name: str, target: Directory, new_name: str) -> None:
        """See `Directory.rename_file`."""
        os.replace(self._path_of(name), os.path.join(target.path, new_name))

    def unlink_file(self, name: str) -> None:
        """See `Directory.unlink_file`."""
        os.unlink(self._path_of(name))

    def inode_of(self, name: str) -> tuple[int, int]:
        """See `Directory.inode_of`."""
        status = os.lstat(self._path_of(name))
        return status.st_ino, status.st_dev

    def names(self) -> list[str]:
        """See `Directory.names`."""
        return os.listdir(self.path)

    def child(self, name: str) -> Directory:
        """See `Directory.child`."""
        path = self._path_of(name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            status = os.lstat(path)
        is_junction = getattr(status, "st_file_attributes", 0) & _REPARSE_POINT
        if is_junction or not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self.synchronize()
        return PathDirectory(path, -1, is_root=False)

    def synchronize(self) -> None:
        """See `Directory.synchronize`."""
        _synchronize_path(self.path)


def open_root(path: str, *, make: bool, by_path: bool = not HAS_DESCRIPTORS) -> Directory:
    """Open a folder by its path, through links if need be.

    Args:
        path: the folder.
        make: whether one that is not there is made, and those above it.
        by_path: whether to do without descriptors.

    Raises:
        OSError: it is no folder, or cannot be made.
    """
    try:
        opened = _open_root(path, by_path=by_path)
    except FileNotFoundError:
        if not make:
            raise
        _make(path)
        opened = _open_root(path, by_path=by_path)
    _synchronize_path(os.path.dirname(os.path.realpath(path)))
    return opened


def _open_root(path: str, *, by_path: bool) -> Directory:
    if not by_path:
        return Directory(path, os.open(path, _OPEN), is_root=True)
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return PathDirectory(path, -1, is_root=True)


def _make(path: str) -> None:
    """Make a folder and those above it, each safe on the medium."""
    above = os.path.dirname(os.path.abspath(path))
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make(above)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
    _synchronize_path(above)


def _synchronize_path(path: str) -> None:
    # Windows opens no folders, and one above ours may be nobody's business to read.
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNCHRONIZE:
                raise
        finally:
            os.close(descriptor)
