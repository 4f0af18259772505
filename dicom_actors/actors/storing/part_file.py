"""A file that is not whole yet: it has a temporary name until its bytes are safe.

PS3.10 7 is about what is in it. The name is ``.dicom-actors-<process>-<number>.part``. Whoever
writes one holds a lock on it (flock(2)), which ends with the process, however that ends: so what
a killed process left behind can be told from what another one is writing at this moment, and is
removed when a folder is first used. Where there are no such locks nothing is removed.

What closes a connection must never wait for a disk. So a file may be discarded while another
thread is stuck in it: that thread then removes it itself. `abandon` leaves even the removal of one
that nobody is in to a thread of its own.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import stat
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_actors.actors.storing.directory import Directory
    from dicom_actors.actors.storing.janitor import Janitor

try:
    from fcntl import LOCK_EX, LOCK_NB
    from fcntl import flock as _lock

    _EXCLUSIVE = LOCK_EX | LOCK_NB
except ImportError:  # Windows: an open file cannot be removed there anyway
    _lock, _EXCLUSIVE = None, 0  # type: ignore[assignment]

__all__ = ["PartFile", "create_part", "part_names", "remove_leftovers", "write_all", "write_file"]

_PREFIX: Final = ".dicom-actors-"
_NAME: Final = re.compile(r"\.dicom-actors-[0-9a-f]{12}-[0-9a-f]+\.part")
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL
_LOOK: Final = os.O_RDWR | getattr(os, "O_NONBLOCK", 0)
_CAN_GATHER: Final = hasattr(os, "writev")
_COPIED_AT_ONCE: Final = 1 << 20


class PartFile:
    """An open file under its temporary name.

    Any thread may call anything; `discard` and `abandon` never wait for the others.

    Args:
        directory: where it is.
        name: its name there.
        descriptor: its descriptor, owned from now on.
    """

    __slots__ = (
        "_directory",
        "_is_discarded",
        "_lock",
        "_name",
        "_on_end",
        "_owner",
        "_users",
        "descriptor",
        "is_committed",
    )

    def __init__(self, directory: Directory, name: str, descriptor: int) -> None:
        self._directory: Directory | None = directory
        self._name = name
        self.descriptor = descriptor
        self.is_committed = False
        self._on_end: Callable[[], None] | None = None
        self._owner = os.getpid()
        self._users = 0
        self._is_discarded = False
        self._lock = Lock()

    def __del__(self) -> None:
        if not self._is_discarded:
            self._is_discarded = True
            # What a process that was forked forgets is still its parent's.
            self.is_committed = self.is_committed or os.getpid() != self._owner
            self._remove()

    @property
    def path(self) -> str:
        """Where it is; the name alone once it is closed."""
        directory = self._directory
        return self._name if directory is None else str(directory.location / self._name)

    def call_at_end(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the file is closed, and gone unless it was committed."""
        self._on_end = callback

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Append bytes.

        Raises:
            OSError: the disk is full, for example, or the file is discarded.
        """
        self._enter()
        try:
            write_all(self.descriptor, parts)
        finally:
            self._leave()

    def copy_from(self, other: PartFile) -> None:
        """Append all that another one holds.

        Raises:
            OSError: one of them cannot be read or written, or is discarded.
        """
        other._enter()
        try:
            at = 0
            while piece := _read_at(other.descriptor, at):
                self.write([piece])
                at += len(piece)
        finally:
            other._leave()

    def map(self) -> memoryview:
        """Give its bytes without a copy; they stay, whatever becomes of the file.

        Raises:
            OSError: it is discarded.
        """
        self._enter()
        try:
            return memoryview(mmap.mmap(self.descriptor, 0, access=mmap.ACCESS_READ))
        finally:
            self._leave()

    def commit(
        self,
        target: Directory,
        name: str,
        *,
        mode: int | None = None,
        check: Callable[[], None] | None = None,
        is_durable: bool = True,
    ) -> None:
        """Make its bytes safe, and then give it its name; what has that name is replaced.

        Args:
            target: the folder, on the same file system.
            name: its name there.
            mode: the permissions; None: as they are.
            check: called at the last moment; raises if it must not be.
            is_durable: whether anything is made safe; else the system does it when it likes.

        Raises:
            OSError: it cannot be.
        """
        directory = self._enter()
        try:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(self.descriptor, mode)
            if is_durable:
                os.fsync(self.descriptor)
            if check is not None:
                check()
            if not directory.renames_open_files:
                os.close(self.descriptor)
                self.descriptor = -1
            directory.rename_file(self._name, target, name)
            self._directory, self._name, self.is_committed = target, name, True
            if is_durable:
                target.synchronize()
            if self.descriptor < 0:
                self.descriptor = target.open_file(name, os.O_RDONLY)
        finally:
            self._leave()

    def discard(self) -> None:
        """Close it, and remove it if it was not committed; a thread that is in it does so."""
        if self._is_ours_to_remove():
            self._remove()

    def abandon(self, janitor: Janitor) -> None:
        """Do what `discard` does, but do not wait for the disk."""
        if self._is_ours_to_remove():
            janitor.do(self._remove)

    def _is_ours_to_remove(self) -> bool:
        with self._lock:
            is_first, self._is_discarded = not self._is_discarded, True
            return is_first and not self._users

    def _enter(self) -> Directory:
        with self._lock:
            if self._is_discarded or self._directory is None:
                raise OSError(errno.EBADF, "the object is discarded")
            self._users += 1
            return self._directory

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            is_over = self._is_discarded and not self._users
        if is_over:
            self._remove()

    def _remove(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        directory, self._directory = self._directory, None
        assert directory is not None
        try:
            if not directory.renames_open_files:
                _close(descriptor)
                descriptor = -1
            if not self.is_committed:
                # First its name: as long as it has one, the lock says that it is ours.
                with contextlib.suppress(OSError):
                    directory.unlink_file(self._name)
        finally:
            _close(descriptor)
            if self._on_end is not None:
                self._on_end()


def part_names() -> Iterator[str]:
    """Make names that nobody else makes; any thread may take the next one."""
    return map(f"{_PREFIX}{os.urandom(6).hex()}-{{:x}}.part".format, count(1))


def create_part(directory: Directory, names: Iterator[str], mode: int = 0o666) -> PartFile:
    """Create a file under a temporary name, locked.

    Args:
        directory: where.
        names: gives the names; see `part_names`.
        mode: the permissions, less the umask.

    Raises:
        OSError: it cannot be created.
    """
    return PartFile(directory, *_create(directory, names, mode))


def write_file(
    directory: Directory,
    names: Iterator[str],
    parts: Sequence[bytes | bytearray | memoryview],
    target: Directory,
    name: str,
    check: Callable[[], None] | None,
    *,
    is_durable: bool = True,
) -> None:
    """Do `create_part`, `write` and `commit` in one, for what is there already.

    Args:
        directory: where the file is until it is whole.
        names: gives the temporary names.
        parts: its bytes.
        target: see `PartFile.commit`.
        name: see `PartFile.commit`.
        check: see `PartFile.commit`.
        is_durable: see `PartFile.commit`.

    Raises:
        OSError: it cannot be; nothing is left behind.
    """
    part, descriptor = _create(directory, names, 0o666)
    try:
        write_all(descriptor, parts)
        if is_durable:
            os.fsync(descriptor)
        if check is not None:
            check()
        if not directory.renames_open_files:
            os.close(descriptor)
            descriptor = -1
        directory.rename_file(part, target, name)
    except BaseException:
        if not directory.renames_open_files:  # nor removes them
            _close(descriptor)
            descriptor = -1
        with contextlib.suppress(OSError):
            directory.unlink_file(part)
        raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    if is_durable:
        target.synchronize()


def _create(directory: Directory, names: Iterator[str], mode: int) -> tuple[str, int]:
    while True:
        name = next(names)
        try:
            descriptor = directory.open_file(name, _CREATE, mode)
        except FileExistsError:
            continue  # of the process that we were forked from
        try:
            if _lock is not None:
                _lock(descriptor, _EXCLUSIVE)
        except BlockingIOError:
            # Somebody took it for a leftover in this very moment, and is removing it.
            os.close(descriptor)
        except OSError:
            return name, descriptor  # a file system without locks
        else:
            return name, descriptor


def remove_leftovers(directory: Directory) -> None:
    """Remove what processes that are no more left in a folder under temporary names."""
    for name in directory.names():
        if name.startswith(_PREFIX) and _NAME.fullmatch(name):
            with contextlib.suppress(OSError):
                _remove_leftover(directory, name)


def _remove_leftover(directory: Directory, name: str) -> None:
    descriptor = directory.open_file(name, _LOOK)
    try:
        status = os.fstat(descriptor)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        if not is_ours or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
            return
        if _lock is not None:
            _lock(descriptor, _EXCLUSIVE)
        if directory.renames_open_files:
            # Its owner may have given it its name before we had the lock.
            if directory.inode_of(name) == (status.st_ino, status.st_dev):
                directory.unlink_file(name)
            return
    finally:
        os.close(descriptor)
    directory.unlink_file(name)


def write_all(file: int, parts: Sequence[bytes | bytearray | memoryview]) -> None:
    """Write all of `parts` to the descriptor `file`, in as few calls as it can be.

    Raises:
        OSError: the disk is full, for one; a part may have been written.
    """
    if _CAN_GATHER:
        written = os.writev(file, parts)
        if written == sum(map(len, parts)):
            return
        parts = _rest_of(parts, written)
    while parts:
        written = os.writev(file, parts) if _CAN_GATHER else os.write(file, parts[0])
        parts = _rest_of(parts, written)


def _rest_of(
    parts: Sequence[bytes | bytearray | memoryview], written: int
) -> Sequence[bytes | bytearray | memoryview]:
    for index, part in enumerate(parts):
        if written < len(part):
            return [memoryview(part)[written:], *parts[index + 1 :]]
        written -= len(part)
    return ()


def _read_at(descriptor: int, at: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, _COPIED_AT_ONCE, at)
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, _COPIED_AT_ONCE)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
