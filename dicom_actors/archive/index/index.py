"""The index of an archive as a whole: opening it, writing to it, and readers.

One connection writes; whoever calls `write` waits for the one before. Readers have connections of
their own, a few, which are lent.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from dicom_actors.archive.index.migrating import connect, failure, migrate
from dicom_actors.archive.index.reader import Counts, IndexReader
from dicom_actors.archive.index.writing import Writing
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_actors.archive.index.changes import Change, Outcome, StoredInstance

__all__ = ["Counts", "Index"]

Durability = Literal["disk", "os"]
READERS: Final = 8
"""Connections that read at once; who comes then waits."""
WAIT_FOR_READER: Final = 30.0


class Index:
    """What an archive has.

    Made by `Index.open`. Methods may be called from any thread.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._writing = Writing(connection)
        self._data_version = -1
        self._closed = False
        # None stands for a connection that was not needed yet.
        self._readers: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(READERS):
            self._readers.put(None)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, durability: Durability = "disk") -> Self:
        """Open the file of an index, or make it, and bring it up to what this version knows.

        Args:
            path: the file; its folder must be there. Two more files are beside it while it is
                in use, with ``-wal`` and ``-shm`` behind the name.
            durability: ``"disk"``: what was written survives a power cut; ``"os"``: it survives
                the end of the process in any way.

        Raises:
            ArchiveError: it cannot be opened; `reason` says why.
        """
        path = Path(path)
        connection = None
        try:
            is_new = not path.exists()
            if not is_new:
                _check_writable(path)
            connection = connect(path, durability=durability)
            migrate(connection, path)
            if is_new and durability == "disk":
                _synchronize_folder(path.parent)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise failure(path, error) from error
            if isinstance(error, OSError):
                raise ArchiveError(f"the index {path}: {error}", "absent") from error
            raise
        return cls(path, connection)

    # --- writing ---------------------------------------------------------------------------

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write changes, all of them in one transaction, one after the other.

        Returns:
            What came of each; what it says is durable.

        Raises:
            ArchiveError: nothing was written; `reason` says why.
        """
        with self._lock:
            self._check_open()
            try:
                return self._write(changes)
            except sqlite3.Error as error:
                raise failure(self._path, error) from error

    def _write(self, changes: Sequence[Change]) -> list[Outcome]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process, as one that deletes, may have written.
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version != self._data_version:
                self._writing.forget()
                self._data_version = version
            outcomes = [self._writing.apply(change) for change in changes]
            self._writing.finish()
            self._connection.execute("COMMIT")
        except BaseException:
            self._writing.forget()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return outcomes

    # --- reading ---------------------------------------------------------------------------

    @contextmanager
    def reader(self) -> Iterator[IndexReader]:
        """Lend a snapshot of the index.

        Raises:
            ArchiveError: all readers are lent, and none came back in 30 seconds; or the index
                cannot be read.
        """
        try:
            connection = self._readers.get(timeout=WAIT_FOR_READER)
        except queue.Empty:
            raise ArchiveError(
                f"the index {self._path}: {READERS} readers are in use", "busy"
            ) from None
        try:
            self._check_open()
            try:
                if connection is None:
                    connection = connect(self._path, must_exist=True)
                    connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                yield IndexReader(connection)
            except sqlite3.Error as error:
                raise failure(self._path, error) from error
            finally:
                if connection is not None and connection.in_transaction:
                    connection.execute("ROLLBACK")
        finally:
            if connection is not None and self._closed:
                connection.close()
                connection = None
            self._readers.put(connection)

    def location_of(self, sop_instance_uid: str) -> StoredInstance | None:
        """Find an instance; None if there is none.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self.reader() as reader:
            return reader.location_of(sop_instance_uid)

    def counts(self) -> Counts:
        """How much there is.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self.reader() as reader:
            return reader.counts()

    def copy_to(self, path: str | os.PathLike[str]) -> None:
        """Copy it, as it is at one moment, into a new file, while others read and write.

        Raises:
            ArchiveError: it cannot be read, or the copy not be written.
        """
        with self.reader() as reader:
            try:
                copy = sqlite3.connect(path)
                try:
                    reader.connection.backup(copy)
                finally:
                    copy.close()
            except sqlite3.Error as error:
                raise failure(Path(path), error) from error

    # --- the end ---------------------------------------------------------------------------

    def close(self) -> None:
        """Close it; readers that are lent are closed when they come back."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for _ in range(READERS):
                try:
                    connection = self._readers.get_nowait()
                except queue.Empty:
                    break
                if connection is not None:
                    connection.close()
            for _ in range(READERS):
                self._readers.put(None)
            self._connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ArchiveError(f"the index {self._path} is closed")


def _check_writable(path: Path) -> None:
    if not os.access(
        path, os.W_OK
    ):  # SQLite would be content to read it, and leave files that nobody may write
        raise ArchiveError(
            f"the index {path}: it cannot be written, by this user or at all", "read-only"
        )


def _synchronize_folder(folder: Path) -> None:
    """Make a new file in a folder survive a power cut."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
