"""Writing a file so that its name never stands for half a file.

The bytes go to a file of a temporary name in the same directory; it gets its name when they
are safe on the medium.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["sync_directory", "write_atomically"]

_BATCH = 512  # pieces for one call; the system takes 1024


def write_atomically(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file of these pieces; on an error the old file, or none, is there.

    Args:
        path: the file to make or replace.
        pieces: its bytes, in order.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    target = Path(path)
    directory = target.parent
    temporary = directory / f".{target.name[:100]}.{os.urandom(6).hex()}.part"
    handle = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
    )
    try:
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                _write_all(file.fileno(), list(pieces))
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        try:
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    finally:
        pass
    sync_directory(directory)


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory safe on the medium, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, pieces: list[bytes | memoryview]) -> None:
    if not hasattr(os, "writev"):
        for piece in pieces:
            _write_one(handle, piece)
        return
    for at in range(0, len(pieces), _BATCH):
        batch = [piece for piece in pieces[at : at + _BATCH] if len(piece)]
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
