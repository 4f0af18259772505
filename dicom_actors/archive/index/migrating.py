"""Connections to the file of an index: opening it, and making an older one what it is today.

The steps are the numbered files of `schema/`. Each is done in one transaction together with the
number that says that it was done, so that whatever interrupts it leaves the step before.
"""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["APPLICATION_ID", "connect", "failure", "migrate", "newest_version"]

APPLICATION_ID: Final = 0x44434D41
"""Marks the file as ours; "DCMA"."""

_LOCKED_FOR: Final = 30.0
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


def failure(path: Path | str, error: sqlite3.Error) -> ArchiveError:
    """Say what an error of SQLite means, and what can be done about it."""
    name = getattr(error, "sqlite_errorname", None) or ""
    for start, (reason, words) in _REASONS.items():
        if name.startswith(start):
            return ArchiveError(f"the index {path}: {words} ({error})", reason)
    return ArchiveError(f"the index {path}: {error}", "failed")


def connect(
    path: Path,
    *,
    durability: str = "disk",
    locked_for: float = _LOCKED_FOR,
    must_exist: bool = False,
) -> sqlite3.Connection:
    """Open a connection that begins and ends transactions when told so.

    Args:
        path: the file.
        durability: "disk": what is committed survives a power cut; "os": a crash of the process.
        locked_for: seconds to wait for another process.
        must_exist: whether a file that is not there is an error; else it is made.

    Raises:
        ArchiveError: it, or one of the files beside it, is a link: what that leads to is not ours.
    """
    for end in ("", "-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + end)
        if beside.is_symlink():
            raise ArchiveError(f"the index {beside} is a link, which is not followed", "absent")
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rw' if must_exist else 'rwc'}",
        timeout=locked_for,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        # Of a new file: a header takes some 2 KB, so that few would fit into the usual 4.
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'disk' else 'NORMAL'}")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except BaseException:
        connection.close()
        raise
    return connection


def newest_version() -> int:
    """The number of the newest step."""
    return max(number for number, _ in _steps())


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Do the steps that were not done yet.

    Raises:
        ArchiveError: the file is another program's, or of a newer version than this one knows.
        sqlite3.Error: the database does not do it; the steps before are done.
    """
    for number, script in sorted(_steps()):
        if _version(connection) < number:
            _step(connection, number, script)
    if (found := _version(connection)) > newest_version():
        raise ArchiveError(
            f"the index {path} is of version {found}, this program knows those up to"
            f" {newest_version()}: it needs a newer dicom-actors",
            "newer",
        )
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise ArchiveError(f"{path} is a database, but no index of an archive", "damaged")


def _version(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def _step(connection: sqlite3.Connection, number: int, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited.
        if _version(connection) < number:
            if number == 1:
                _check_empty(connection)
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_empty(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None:
        raise ArchiveError("expected an index, got a database of another program", "damaged")


def _steps() -> Iterator[tuple[int, str]]:
    for file in resources.files("dicom_actors.archive.index").joinpath("schema").iterdir():
        if file.name.endswith(".sql"):
            yield int(file.name.removesuffix(".sql")), file.read_text("utf-8")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
