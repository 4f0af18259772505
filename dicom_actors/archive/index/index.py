"""The index of an archive as a whole: opening it, writing to it, and readers.

One connection writes; whoever calls `write` waits for the one before. Readers have connections of
their own, a few, which are lent. A connection that was lost is made anew when it is needed next.
"""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from dicom_actors.archive.index.database import ConflictError
from dicom_actors.archive.index.locating import database_of
from dicom_actors.archive.index.migrating import migrate
from dicom_actors.archive.index.reader import Counts, IndexReader
from dicom_actors.archive.index.writing import Writing
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from dicom_actors.archive.index.changes import Change, Outcome, StoredInstance
    from dicom_actors.archive.index.database import Connection, Database

__all__ = ["Counts", "Index"]

Durability = Literal["disk", "os"]
READERS: Final = 8
"""Connections that read at once; who comes then waits."""
WAIT_FOR_READER: Final = 30.0
_ATTEMPTS: Final = 50
"""How often a transaction is begun that others get in the way of."""


class _LostError(Exception):
    """The connection was lost since it was used last, or before anything was committed."""


class Index:
    """What an archive has.

    Made by `Index.open`. Methods may be called from any thread.

    Args:
        database: where it is.
        connection: the one that writes.
        node: who writes, among those that share the index; empty: nobody else does.
    """

    def __init__(self, database: Database, connection: Connection, node: str = "") -> None:
        self._database: Final = database
        self._node = node
        self._lock = threading.Lock()
        self._take(connection)
        self._closed = False
        # None stands for a connection that was not needed yet, or was lost.
        self._readers: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(READERS):
            self._readers.put(None)

    def _take(self, connection: Connection) -> None:
        self._connection = connection
        self._writing = Writing(connection, self._node)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "disk",
        node: str = "",
    ) -> Self:
        """Open an index, or make it, and bring it up to what this version knows.

        Args:
            path: the file; its folder must be there. Two more files are beside it while it is
                in use, with ``-wal`` and ``-shm`` behind the name. Or what begins with
                ``postgresql://``: a database of PostgreSQL, with nothing else in its schema.
            durability: ``"disk"``: what was written survives a power cut; ``"os"``: it survives
                the end of the process in any way.
            node: see `Index`.

        Raises:
            ArchiveError: it cannot be opened; `reason` says why.
            MissingExtraError: it is one of PostgreSQL, and the extra is not installed.
        """
        database = database_of(path, durability)
        connection = None
        try:
            connection = database.connect(reads_only=False)
            if migrate(database, connection):
                database.was_made()
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, database.errors):
                raise database.failure(error) from error
            if isinstance(error, OSError):
                raise ArchiveError(f"the index {database.name}: {error}", "absent") from error
            raise
        return cls(database, connection, node)

    def be_node(self, name: str) -> None:
        """Write as another node from now on."""
        with self._lock:
            self._node = name
            self._take(self._connection)

    # --- writing ---------------------------------------------------------------------------

    def write(self, changes: Sequence[Change], *, is_durable: bool = True) -> list[Outcome]:
        """Write changes, all of them in one transaction, one after the other.

        Args:
            changes: what is to be changed.
            is_durable: whether that has to outlive a power cut when this returns; else, where
                it can be found out again, it may do so no sooner than what is written next.

        Returns:
            What came of each.

        Raises:
            ArchiveError: nothing was written, as far as is known; `reason` says why.
        """
        with self._lock:
            self._check_open()
            try:
                for _ in range(_ATTEMPTS):
                    try:
                        return self._write(changes, is_durable=is_durable)
                    except ConflictError:
                        continue
            except self._database.errors as error:
                raise self._database.failure(error) from error
        raise ArchiveError(f"the index {self._database.name}: others write the same", "busy")

    def _write(self, changes: Sequence[Change], *, is_durable: bool) -> list[Outcome]:
        try:
            return self._write_once(changes, is_durable=is_durable, is_second=False)
        except _LostError:
            self._connection.close()
            self._take(self._database.connect(reads_only=False))
            return self._write_once(changes, is_durable=is_durable, is_second=True)

    def _write_once(
        self, changes: Sequence[Change], *, is_durable: bool, is_second: bool
    ) -> list[Outcome]:
        may_be_committed = False
        try:
            self._connection.begin(writes=True, is_durable=is_durable)
            # Another process, as one that deletes, may have written.
            if self._connection.was_written():
                self._writing.forget()
            outcomes = self._writing.write(changes)
            may_be_committed = True
            self._connection.commit()
        except BaseException as error:
            self._writing.forget()
            self._connection.rollback()
            is_lost = isinstance(error, self._database.errors) and self._database.is_lost(
                self._connection
            )
            if is_lost and not is_second and not may_be_committed:
                raise _LostError from error
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
                f"the index {self._database.name}: {READERS} readers are in use", "busy"
            ) from None
        try:
            self._check_open()
            try:
                connection = self._reading(connection)
                yield IndexReader(connection)
            except self._database.errors as error:
                raise self._database.failure(error) from error
            finally:
                if connection is not None:
                    connection.rollback()
        finally:
            if connection is not None and (self._closed or self._database.is_lost(connection)):
                connection.close()
                connection = None
            self._readers.put(connection)

    def _reading(self, connection: Connection | None) -> Connection:
        """Begin to read, on a new connection if this one was lost meanwhile."""
        if connection is not None:
            try:
                connection.begin(writes=False)
            except self._database.errors:
                if not self._database.is_lost(connection):
                    raise
                connection.close()
            else:
                return connection
        connection = self._database.connect(reads_only=True)
        try:
            connection.begin(writes=False)
        except BaseException:
            connection.close()
            raise
        return connection

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
        """Copy it, as it is at one moment, into a new file of SQLite, while others read and write.

        Raises:
            ArchiveError: it cannot be read, or the copy not be written.
        """
        with self.reader() as reader:
            self._database.copy_to(reader.connection, Path(path))

    def hurry(self) -> None:
        """Have whoever waits for another process that holds it give up, now and from now on."""
        self._database.hurry()

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
            raise ArchiveError(f"the index {self._database.name} is closed")
