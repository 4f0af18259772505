"""An archive that other processes keep: looked at, and worked on, beside them.

What is written goes into the index and to the files directly: a visitor has no actors and no
journal. SQLite lets one of both write at a time, and files have names that nobody else makes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from dicom_actors.archive.files import Buckets, DiskFileSystem, Layout, Store
from dicom_actors.archive.holdings import Holdings
from dicom_actors.archive.index import Duplicates, Result
from dicom_actors.archive.index_handle import (
    INDEX_NAME,
    DirectRows,
    IndexHandle,
    SharedIndexHandle,
)
from dicom_actors.archive.objects import Added, NewObject, Source, new_object
from dicom_actors.archive.settings import ArchiveSettings
from dicom_actors.archive.upkeep import Unpacking
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    import os
__all__ = ["Visit"]


class Visit(Holdings):
    """An archive that is kept by another process.

    Args:
        folder: where it is.
        settings: how it is kept.
        index: where its index is if that is not in the folder: ``"postgresql://..."``.

    Raises:
        ArchiveError: there is none, or its index cannot be used.
        MissingExtraError: an index of PostgreSQL needs the extra ``postgres``.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        settings: ArchiveSettings | None = None,
        *,
        index: str | None = None,
    ) -> None:
        self.settings: Final = settings or ArchiveSettings()
        root = Path(folder).absolute()
        disk = DiskFileSystem(root, is_synchronous=self.settings.durability == "disk")
        buckets = Buckets(disk, self.settings.bucket_timeout)
        bucket = buckets.register(self.settings.bucket) if self.settings.bucket else ""
        store = Store(root, disk, Layout(self.settings.layout), buckets=buckets, bucket=bucket)
        durability = self.settings.durability
        if index is None:
            self._index = IndexHandle(str(root / INDEX_NAME), durability)
        else:
            self._index = SharedIndexHandle(index, durability, "")
        super().__init__(store, self._index, DirectRows(self._index))
        self._index.get()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._index.close()

    def settle(self) -> None:
        """See `Holdings.settle`; the other process does it when nothing comes for a while."""
        self.await_places(self.waiting())

    def add(self, source: Source) -> Added:
        """Keep an object; see `Archive.add`. Other bytes of its UID are kept beside.

        Raises:
            DataError: it cannot be read, or has not the UIDs that it needs.
            ArchiveError: the index cannot be written, or others write it, too: who adds to those
                opens the archive.
            OSError: it cannot be kept.
        """
        if self._index.is_shared:
            raise ArchiveError("a visitor adds nothing to an index of PostgreSQL: open the archive")
        with new_object(source, self.store, self.settings.journal_object_bytes) as new:
            return self._add(new)

    def _add(self, new: NewObject) -> Added:
        intake = new.intake
        uid = intake.sop_instance_uid
        versions = self.rows.versions_of(uid)
        if any(one.checksum == intake.checksum for one in versions):
            return Added(uid, Result.SAME, is_kept=True)
        policy = Duplicates(self.settings.duplicates)
        if versions and policy is not Duplicates.KEEP_BOTH:
            return Added(uid, Result.DIFFERENT, is_kept=False)
        self.be_no_backup()
        location = new.put(self.store)
        row = intake.row(location, time.time(), Duplicates.KEEP_BOTH)
        (outcome,) = self.rows.write([row])
        Unpacking(self.store, self.rows, time.time).place([(uid, location)])
        return Added(uid, outcome.result, is_kept=True)
