"""An index in a file of SQLite's: one process at a time writes, any number read."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index.database import Connection

__all__ = ["APPLICATION_ID", "SqliteDatabase"]

APPLICATION_ID: Final = 0x44434D41
"""Marks the file as ours; "DCMA"."""

_LOCKED_FOR: Final = 30.0
"""Seconds to wait for another process."""
_TURN_SECONDS: Final = 0.5
"""Of these, what is waited before it is looked whether there is still time."""
_REASONS: Final = {
    "SQLITE_FULL": ("full", "there is no room for it on the disk"),
    "SQLITE_BUSY": ("locked", "another process holds it"),
    "SQLITE_LOCKED": ("locked", "another connection holds it"),
    "SQLITE_READONLY": ("read-only", "it cannot be written"),
    "SQLITE_CANTOPEN": ("absent", "it cannot be opened"),
    "SQLITE_NOTADB": ("damaged", "it is no database; `reindex` makes a new one of the files"),
    "SQLITE_CORRUPT": ("damaged", "it is damaged; `reindex` makes a new one of the files"),
    "SQLITE_IOERR": ("failed", "the disk fails"),
}


_NOTHING: Final = nullcontext()


class SqliteConnection(sqlite3.Connection):
    """See `Connection`."""

    sees_others = True
    patience = _LOCKED_FOR
    hurries: threading.Event | None = None
    is_synchronous = False
    """Whether anything has to outlive a power cut."""
    _data_version = -1
    _waits = False

    def rows(
        self,
        statement: str,
        parameters: Sequence[Any],
        at_once: int = 1,  # noqa: ARG002 - it is one
    ) -> Iterator[Any]:
        """See `Connection.rows`."""
        return self.execute(statement, parameters)

    def together(self) -> AbstractContextManager[object]:
        """See `Connection.together`: nothing is sent."""
        return _NOTHING

    def begin(self, *, writes: bool, is_durable: bool = True) -> None:
        """See `Connection.begin`: what is synchronized is the log, with all that is before it."""
        if not writes:
            self.execute("BEGIN")
            return
        waits = self.is_synchronous and is_durable
        if waits is not self._waits:
            self.execute(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
            self._waits = waits
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or self.hurries is None:
                raise
            self._begin_at_last(error, self.hurries)

    def _begin_at_last(self, error: sqlite3.OperationalError, hurries: threading.Event) -> None:
        until = time.monotonic() + self.patience
        while time.monotonic() < until and not hurries.is_set():
            try:
                self.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as another:
                if another.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
            else:
                return
        raise error

    def was_written(self) -> bool:
        """See `Connection.was_written`."""
        before = self._data_version
        (self._data_version,) = self.execute("PRAGMA data_version").fetchone()
        return self._data_version != before

    def version(self) -> int:
        """See `Connection.version`."""
        (number,) = self.execute("PRAGMA user_version").fetchone()
        return int(number)

    def step(
        self, number: int, script: str, function: Callable[[Connection], None] | None = None
    ) -> None:
        """See `Connection.step`."""
        self.begin(writes=True)
        try:
            # Another process may have done it while this one waited.
            if self.version() < number:
                if number == 1:
                    self._check_empty()
                for statement in _statements(script):
                    self.execute(statement)
                if function is not None:
                    function(self)
                self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self.execute(f"PRAGMA user_version = {number}")
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def _check_empty(self) -> None:
        if self.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None:
            raise ArchiveError("expected an index, got a database of another program", "damaged")


class SqliteDatabase:
    """See `Database`.

    Args:
        path: the file.
        durability: see `Index.open`.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: str | os.PathLike[str], durability: str) -> None:
        self._path = Path(path)
        self._durability = durability
        self._hurries = threading.Event()
        self.name = str(self._path)

    def connect(self, *, reads_only: bool) -> SqliteConnection:
        """See `Database.connect`.

        Raises:
            ArchiveError: it, or one of the files beside it, is a link: what that leads to is not
                ours; or it cannot be written.
        """
        for end in ("", "-wal", "-shm", "-journal"):
            beside = self._path.with_name(self._path.name + end)
            if beside.is_symlink():
                raise ArchiveError(f"the index {beside} is a link, which is not followed", "absent")
        # SQLite would be content to read it, and leave files that nobody may write.
        if not reads_only and self._path.exists() and not os.access(self._path, os.W_OK):
            raise ArchiveError(
                f"the index {self._path}: it cannot be written, by this user or at all",
                "read-only",
            )
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={'rw' if reads_only else 'rwc'}",
            timeout=_LOCKED_FOR,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
            factory=SqliteConnection,
        )
        connection.is_synchronous = self._durability == "disk" and not reads_only
        try:
            # Of a new file: a header takes some 2 KB, so that few would fit into the usual 4.
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -32768")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            # Pages: 32 MB, as what is written again and again is so brought to its place seldom.
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            if reads_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                self._check_ours(connection)
                connection.hurries = self._hurries
                connection.execute(f"PRAGMA busy_timeout = {_TURN_SECONDS * 1000:.0f}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_ours(self, connection: SqliteConnection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if connection.version() and application != APPLICATION_ID:
            raise ArchiveError(f"{self._path} is a database, but no index of an archive", "damaged")

    def hurry(self) -> None:
        """See `Database.hurry`."""
        self._hurries.set()

    def failure(self, error: Exception) -> ArchiveError:
        """See `Database.failure`."""
        name = getattr(error, "sqlite_errorname", None) or ""
        for start, (reason, words) in _REASONS.items():
            if name.startswith(start):
                return ArchiveError(f"the index {self.name}: {words} ({error})", reason)
        if str(error).startswith("no such"):  # table or column, though the version is right
            words = _REASONS["SQLITE_CORRUPT"][1]
            return ArchiveError(f"the index {self.name}: {words} ({error})", "damaged")
        return ArchiveError(f"the index {self.name}: {error}", "failed")

    def is_lost(self, connection: Connection) -> bool:  # noqa: ARG002 - none is
        """See `Database.is_lost`."""
        return False

    def was_made(self) -> None:
        """Have a new file survive a power cut."""
        if self._durability != "disk" or os.name == "nt":
            return
        handle = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def copy_to(self, connection: Connection, path: Path) -> None:
        """See `Database.copy_to`."""
        assert isinstance(connection, SqliteConnection)
        try:
            copy = sqlite3.connect(path)
            try:
                connection.backup(copy)
            finally:
                copy.close()
        except sqlite3.Error as error:
            raise SqliteDatabase(path, self._durability).failure(error) from error


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
