"""One process at a time keeps an archive: a lock on its folder, which ends with the process."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import ArchiveError

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed there, which does as well
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FolderLock"]

_NAME: Final = "archive.lock"


class FolderLock:
    """A lock on a folder, from when it is made until it is released.

    Args:
        folder: the folder.
        is_shared: whether others may have it as well who say the same.

    Raises:
        ArchiveError: another process has it, or this one a second time.
        OSError: the file of the lock cannot be made.
    """

    def __init__(self, folder: Path, *, is_shared: bool = False) -> None:
        path = folder / _NAME
        # What a link leads to is not ours to empty.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise ArchiveError(f"{path} is a link, which is not followed") from error
            raise
        if fcntl is None:
            return
        try:
            fcntl.flock(
                self._descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
            )
        except BlockingIOError:
            holder = str(os.read(self._descriptor, 20), "ascii", "replace").strip()
            os.close(self._descriptor)
            self._descriptor = -1
            raise ArchiveError(
                f"{folder} is open already" + (f", in process {holder}" if holder else ""),
                "locked",
            ) from None
        except OSError:
            return  # a file system without locks
        with contextlib.suppress(OSError):  # a disk without room: the number is a courtesy
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others have it; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
