"""A copy of an archive, made while it serves, that can be opened as it is.

First the index is copied, as it was at one moment; then the files that it names, whatever comes
meanwhile. A second backup into the same folder copies what is new, and removes what the one before
had copied and the archive has no more; files that no backup has copied stay. A folder with an index
that no backup of this archive has put there is refused: see `backup_mark`.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.archive.backup_mark import BACKUP_MARK, marked_as, put_mark
from dicom_actors.archive.files import INCOMING, DiskFileSystem, Layout, Location, Store
from dicom_actors.archive.folder_lock import FolderLock
from dicom_actors.archive.index import Deleted, Moved
from dicom_actors.archive.index_handle import INDEX_NAME
from dicom_actors.archive.maintenance.verifying import Problem
from dicom_actors.archive.maintenance.walking import NEW_INDEX, instances_with_versions
from dicom_actors.archive.upkeep import Removing, Rows
from dicom_actors.archive.visit import Visit
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dicom_actors.archive.holdings import Holdings
    from dicom_actors.archive.index import Change, Outcome, StoredInstance

__all__ = ["BackedUp", "backup"]

_SYNCHRONIZED_AT_ONCE: Final = 1_000


class BackedUp(NamedTuple):
    """What came of it.

    Attributes:
        instances: that are in the copy.
        copied: of their files, those that were not there.
        bytes: of these.
        problems: instances whose files could not be copied.
    """

    instances: int
    copied: int
    bytes: int
    problems: int


def backup(
    holdings: Holdings,
    destination: Path,
    tell: Callable[[Problem], object],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> BackedUp:
    """Copy an archive.

    Args:
        holdings: the archive.
        destination: a folder; made if it is not there. What an earlier backup copied stays,
            unless the archive has it no more.
        tell: is called with each instance that cannot be copied; it is not in the copy then.
        progress: is called with one instance, and its bytes, after each.

    Raises:
        ArchiveError: the index cannot be copied, or the folder is an archive of its own, the backup
            of another one, or not apart from the archive's.
        OSError: the folder cannot be written.
    """
    # What is in the other's folder would be taken for objects of that one.
    own, other = holdings.folder.resolve(), destination.resolve()
    if own.is_relative_to(other) or other.is_relative_to(own):
        raise ArchiveError(f"a backup needs a folder of its own, apart from {own}")
    destination.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(destination)
    try:
        _check_mark(destination, own)
        return _Backup(holdings, destination, tell, progress).run()
    finally:
        lock.release()


def _check_mark(destination: Path, archive: Path) -> None:
    """Refuse a folder with objects that no backup of this archive has copied.

    Raises:
        ArchiveError: it is one.
        OSError: it cannot be looked into.
    """
    marked = marked_as(DiskFileSystem(destination))
    if marked is None and (destination / INDEX_NAME).exists():
        raise ArchiveError(
            f"{destination} is an archive of its own: a backup needs a folder without one, or one"
            " that holds nothing but a backup"
        )
    if marked not in {None, str(archive)}:
        raise ArchiveError(
            f"{destination} is a backup of {marked}, not of {archive}; if that was moved, say so in"
            f" {destination / BACKUP_MARK}"
        )


class _Backup:
    """A backup that is being made."""

    def __init__(
        self,
        holdings: Holdings,
        destination: Path,
        tell: Callable[[Problem], object],
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self._holdings = holdings
        self._destination = destination
        self._tell = tell
        self._progress = progress
        self._store = Store(destination.absolute(), DiskFileSystem(destination), Layout())
        self._written: list[str] = []

    def run(self) -> BackedUp:
        """Make it."""
        folder = self._destination / NEW_INDEX
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._store.make_folders()
        # What the one before was about to remove.
        with contextlib.closing(_RowsOf(self._destination)) as rows:
            lists = self._store.file_system.names(INCOMING)
            Removing(self._store, rows).finish(lists)
        self._holdings.copy_index(folder / INDEX_NAME)
        with Visit(folder) as copy:
            found = self._copy_all(copy)
            gone = self._no_more_in(copy)
        self._synchronize()
        with contextlib.closing(_RowsOf(self._destination)) as rows:
            Removing(self._store, rows).around(gone, self._be_the_backup)
        return found

    def _no_more_in(self, copy: Visit) -> list[tuple[str, str]]:
        """The UIDs and locations of what the backup before has, and the new one does not name."""
        if not (self._destination / INDEX_NAME).exists():
            return []
        try:
            with Visit(self._destination) as before:
                return [
                    (one.sop_instance_uid, one.location)
                    for one in instances_with_versions(before)
                    if all(
                        new.location != one.location
                        for new in copy.rows.versions_of(one.sop_instance_uid)
                    )
                ]
        except ArchiveError:
            return []  # a backup whose index cannot be read is replaced all the same

    def _be_the_backup(self) -> None:
        """Put the new index in the place of the one before."""
        put_mark(self._store.file_system, str(self._holdings.folder.resolve()))
        folder = self._destination / NEW_INDEX
        for name in (f"{INDEX_NAME}-wal", f"{INDEX_NAME}-shm"):
            (self._destination / name).unlink(missing_ok=True)
        # From here on what is there is the new backup, and before it was the one before.
        (folder / INDEX_NAME).replace(self._destination / INDEX_NAME)
        self._store.file_system.synchronize_folder("")
        shutil.rmtree(folder, ignore_errors=True)

    def _copy_all(self, copy: Visit) -> BackedUp:
        instances = copied = length = problems = 0
        for instance in instances_with_versions(copy):
            uid = instance.sop_instance_uid
            try:
                name, is_new = self._copy(instance)
            except (OSError, ArchiveError) as error:
                if not (isinstance(error, ArchiveError) and error.reason == "deleted"):
                    problems += 1
                    self._tell(Problem(instance.location, uid, str(error)))
                first = copy.find_instance(uid)
                if first is not None and first.location == instance.location:
                    copy.rows.write([Deleted(uid)])
                continue
            if name != instance.location:
                copy.rows.write([Moved(uid, instance.location, name)])
            instances += 1
            copied += is_new
            length += instance.size if is_new else 0
            if len(self._written) >= _SYNCHRONIZED_AT_ONCE:
                self._synchronize()
            if self._progress is not None:
                self._progress(1, instance.size)
        return BackedUp(instances, copied, length, problems)

    def _copy(self, instance: StoredInstance) -> tuple[str, bool]:
        """Copy the bytes of an instance; returns their name, and whether they were not there."""
        location, disk = Location.of(instance.location), self._store.file_system
        name = location.name
        if not location.is_placed or location.is_adopted or location.is_in_bucket:
            name = self._store.layout.name_for(*instance[:3], instance.checksum.hex()[:12])
        if disk.size(name) == instance.size:
            return name, False
        data = self._holdings.open_bytes(instance)
        disk.make_folder(name.rpartition("/")[0])
        part = f"{name}.part"
        disk.remove(part)
        file = disk.create(part)
        try:
            for chunk in [data] if isinstance(data, memoryview) else data.chunks():
                file.append([chunk])
        finally:
            file.close()
        disk.rename(part, name)
        self._written.append(name)
        return name, True

    def _synchronize(self) -> None:
        folders = {above for name in self._written for above in _folders_of(name)}
        self._store.file_system.synchronize_all(self._written, sorted(folders))
        self._written.clear()


class _RowsOf(Rows):
    """The index that is in a folder when it is first asked, as `upkeep.Rows`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._visit: Visit | None = None

    @property
    def _rows(self) -> Rows:
        if self._visit is None:
            self._visit = Visit(self._folder)
        return self._visit.rows

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._rows.write(changes)

    def versions_of_each(self, uids: Sequence[str]) -> dict[str, list[StoredInstance]]:
        return self._rows.versions_of_each(uids)

    def versions_in_journal(self, journal: str) -> list[StoredInstance]:
        return self._rows.versions_in_journal(journal)

    def close(self) -> None:
        if self._visit is not None:
            self._visit.close()


def _folders_of(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]
