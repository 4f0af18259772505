"""Making an index of an older version what it is today.

The steps are the numbered files of `schema/`, in SQLite's words. Each is done in one transaction
together with the number that says that it was done, so that whatever interrupts it leaves the step
before.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive.index.database import Connection, Database

__all__ = ["migrate", "newest_version", "schema_files"]


def newest_version() -> int:
    """The number of the newest step."""
    return max(number for number, _ in _steps())


def migrate(database: Database, connection: Connection) -> bool:
    """Do the steps that were not done yet; returns whether there was no index before.

    Raises:
        ArchiveError: the database is another program's, or of a newer version than this one knows.
        Exception: one of `Database.errors`; the steps before are done.
    """
    first = connection.version()
    for number, script in sorted(_steps()):
        if connection.version() < number:
            connection.step(number, script)
    if (found := connection.version()) > newest_version():
        raise ArchiveError(
            f"the index {database.name} is of version {found}, this program knows those up to"
            f" {newest_version()}: it needs a newer dicom-actors",
            "newer",
        )
    return first == 0


def schema_files(*below: str) -> Iterator[tuple[int, str]]:
    """The numbered files of `schema/`, or of a folder below."""
    for file in resources.files("dicom_actors.archive.index").joinpath("schema", *below).iterdir():
        if file.name.endswith(".sql"):
            yield int(file.name.removesuffix(".sql")), file.read_text("utf-8")


def _steps() -> Iterator[tuple[int, str]]:
    return schema_files()
