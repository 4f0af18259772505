"""Writing a file so that its name never stands for half a file.

The bytes go to a file of a temporary name in the same directory; it gets its name when they
are safe on the medium.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.data.values.unread import in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors.data.values.unread import UnreadBytes

    Piece = bytes | memoryview | UnreadBytes

__all__ = ["sync_directory", "write_atomically"]

_BATCH = 512  # pieces for one call; the system takes 1024
_BYTES = 1 << 20  # as many are there at once of what is not read yet


def write_atomically(path: str | os.PathLike[str], pieces: Iterable[Piece]) -> None:
    """Write a file of these pieces; on an error the old file, or none, is there.

    Args:
        path: the file to make or replace.
        pieces: its bytes, in order.

    Raises:
        OSError: it cannot be written; nothing is left behind.
        DataError: a piece that is not read cannot be; likewise.
    """
    target = Path(path)
    # No name: what would be written over is a folder, and the file beside it is not even there.
    if not target.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    directory = target.parent
    temporary = directory / f".{target.name[:100]}.{os.urandom(6).hex()}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _naming(path):
        handle = os.open(temporary, flags, 0o666)
    try:
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                _write_all(file.fileno(), pieces)
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        try:
            with _naming(path):
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    finally:
        pass
    sync_directory(directory)


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file that is wanted in errors, and not the one that is to become it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory safe on the medium, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, pieces: Iterable[Piece]) -> None:
    batch: list[bytes | memoryview] = []
    length = 0
    for piece in in_memory(pieces):
        if not hasattr(os, "writev"):
            _write_one(handle, piece)
        elif len(piece):
            batch.append(piece)
            length += len(piece)
            if length >= _BYTES or len(batch) >= _BATCH:
                _write_batch(handle, batch)
                batch, length = [], 0
    _write_batch(handle, batch)


def _write_batch(handle: int, batch: list[bytes | memoryview]) -> None:
    while batch:
        written = os.writev(handle, batch)
        while batch and written >= len(batch[0]):
            written -= len(batch.pop(0))
        if written:
            batch[0] = memoryview(batch[0])[written:]


def _write_one(handle: int, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]
