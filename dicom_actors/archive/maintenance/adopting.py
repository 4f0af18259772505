"""A folder of files becomes a part of an archive: copied, or where it is."""

from __future__ import annotations

import errno
import stat
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from dicom_actors.archive.files import Location
from dicom_actors.archive.index import Duplicates, NewInstance, Result
from dicom_actors.archive.maintenance.verifying import Problem
from dicom_actors.archive.maintenance.walking import files_of
from dicom_actors.archive.upkeep import Rows, describe_at
from dicom_actors.errors import ArchiveError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.objects import Added

__all__ = ["Adopted", "adopt"]

_BATCH: Final = 256


class Adopted(NamedTuple):
    """What came of it.

    Attributes:
        files: that were looked at.
        added: objects that are new.
        same: that were there.
        different: of whose UID there is another one, and that were not taken.
        problems: files that could not be read.
    """

    files: int
    added: int
    same: int
    different: int
    problems: int


class _Adopting(Protocol):
    """What is needed of an archive."""

    @property
    def store(self) -> Store:
        """Its files."""

    @property
    def rows(self) -> Rows:
        """Its index."""

    def be_no_backup(self) -> None:
        """Keep what was not copied; see `Holdings.be_no_backup`."""

    def add(self, source: Any, /) -> Added:
        """Keep an object; see `Archive.add`."""


def adopt(
    archive: _Adopting,
    folder: Path,
    tell: Callable[[Problem], object],
    *,
    in_place: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Adopted:
    """Take in all objects in a folder and below.

    Args:
        archive: the archive.
        folder: where they are. The folder of the archive itself is left out, if it is below.
        tell: is called with each file that cannot be taken.
        in_place: leave them where they are; they are never removed then, nor may anybody else.
        progress: is called with one file, and its bytes, after each.

    Raises:
        ArchiveError: the index cannot be written, or the folder is the archive's, or in it.
        OSError: they cannot be kept.
    """
    # What is there has its row, or is about to have its place and its row.
    own, resolved = archive.store.root.resolve(), folder.resolve()
    if resolved.is_relative_to(own):
        raise ArchiveError(f"{folder} is in the archive already; `reindex` gives files there a row")
    but = folder.absolute() / own.relative_to(resolved) if own.is_relative_to(resolved) else None
    counts = {Result.NEW: 0, Result.SAME: 0, Result.DIFFERENT: 0}
    files = problems = 0
    rows: list[NewInstance] = []

    def write() -> None:
        for outcome in archive.rows.write(rows):
            counts[outcome.result] += 1
        rows.clear()

    for path in files_of(folder.absolute(), but=but):
        files += 1
        try:
            size = _size_of(path)
            if in_place:
                archive.be_no_backup()
                intake = describe_at(archive.store, Location(str(path)))
                row = intake.row(Location(str(path)), time.time(), Duplicates.KEEP_FIRST)
                rows.append(row)
            else:
                added = archive.add(path)
                is_another = added.result is Result.DIFFERENT and added.is_kept
                counts[Result.NEW if is_another else added.result] += 1
        except (DataError, FileNotFoundError, PermissionError) as error:
            problems += 1
            tell(Problem(str(path), "", f"it cannot be taken in: {error}"))
            continue
        if len(rows) >= _BATCH:
            write()
        if progress is not None:
            progress(1, size)
    write()
    return Adopted(
        files, counts[Result.NEW], counts[Result.SAME], counts[Result.DIFFERENT], problems
    )


def _size_of(path: Path) -> int:
    """How long a file is.

    Raises:
        FileNotFoundError: it is none: a link that leads nowhere, a pipe or a device.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.EINVAL, "expected a file, and no pipe or device", str(path))
    return status.st_size
