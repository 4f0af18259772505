"""Received objects become files: whole and durable, or not there at all. PS3.10 7.

A file gets a temporary name in its directory, is synchronized to the disk, and is then renamed;
the directory is synchronized, too. Names are made from UIDs that were checked, never from other
text of a peer.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.actors.storing.receiver import write_all
from dicom_actors.data.dictionary.uids import is_valid_uid

if TYPE_CHECKING:
    from dicom_actors.actors.storing.receiver import ReceivedObject

__all__ = ["file_name_for", "map_data", "save_object"]

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def file_name_for(uid: str) -> str:
    """Return a file or folder name for a UID that a peer sent.

    A valid UID (PS3.5 9.1) is its own name. Anything else becomes the hexadecimal SHA-256 of
    itself, so that the same text gives the same name and no text leaves the directory.
    """
    if is_valid_uid(uid):
        return uid
    return "uid-" + hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()


def save_object(received: ReceivedObject, destination: Path) -> None:
    """Keep a received object as the Part 10 file `destination`, replacing what is there.

    The data set's bytes are exactly those that were received. A spool file on the same file
    system is renamed, on another one it is copied.

    Raises:
        OSError: it could not be written; then nothing is left behind.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary, file = _create_temporary(destination.parent)
    try:
        try:
            if received.path is None:
                assert received.data is not None
                write_all(file, [received.header, received.data])
                os.fsync(file)
            else:
                _move(Path(received.path), temporary, file)
        finally:
            os.close(file)
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _synchronize_directory(destination.parent)


def _create_temporary(directory: Path) -> tuple[Path, int]:
    temporary = directory / f".dicom-actors-{secrets.token_hex(8)}.part"
    # Unlike that of `tempfile`, this mode lets the process's umask decide who may read.
    return temporary, os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o666)


def _move(spool: Path, temporary: Path, file: int) -> None:
    with spool.open("rb") as source:
        try:
            spool.chmod(os.fstat(file).st_mode & 0o777)
            os.fsync(source.fileno())
            spool.replace(temporary)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with open(file, "wb", closefd=False) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.fsync(file)


def _synchronize_directory(directory: Path) -> None:
    with contextlib.suppress(PermissionError):  # Windows opens no directories
        file = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def map_data(received: ReceivedObject) -> memoryview:
    """Give the received bytes of the data set, from memory or from the spool file.

    They stay valid for as long as something refers to them, also when the file is renamed.

    Raises:
        OSError: the spool file is gone.
    """
    if received.path is None:
        assert received.data is not None
        return received.data
    with Path(received.path).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return memoryview(mapped)[len(received.header) :]
