"""Making an index of an older version what it is today.

The steps are the numbered files of `schema/`, in the words of SQLite; some have a function for what
SQL cannot say. Each is done in one transaction together with the number that says that it was done,
so that whatever interrupts it leaves the step before.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.index.attributes import Kind, Level, columns_of
from dicom_actors.archive.index.folding import folded_again
from dicom_actors.archive.index.workitems import insert_workitem, workitem_row
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
            connection.step(number, script, _FUNCTIONS.get(number))
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


def _fold_names(connection: Connection) -> None:
    """Fold names by the width of their letters, too, as they were folded before they were kept."""
    for table, level in (("patient", Level.PATIENT), ("study", Level.STUDY)):
        columns = [one for one in columns_of(level) if one.kind in {Kind.NAME, Kind.NAMES}]
        names = [name for column in columns for name in column.names]
        select = f"SELECT id, {', '.join(names)} FROM {table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
        changed = ", ".join(f"{name} = ?" for name in names)
        update = f"UPDATE {table} SET {changed} WHERE id = ?"  # noqa: S608
        last = 0
        while rows := connection.execute(select, (last, _BATCH)).fetchall():
            updates = []
            for row, *values in rows:
                found: list[str | None] = []
                for column in columns:
                    at = len(found)
                    found += folded_again(column, tuple(values[at : at + len(column.names)]))
                if found != values:
                    updates.append((*found, row))
            connection.executemany(update, updates)
            last = rows[-1][0]


def _move_workitems(connection: Connection) -> None:
    """Give workitems and subscriptions, which were records, the tables of their own."""

    def records(kind: str) -> Iterator[tuple[str, bytes]]:
        last = ""
        while rows := connection.execute(
            "SELECT name, data FROM record WHERE kind = ? AND name > ? ORDER BY name LIMIT ?",
            (kind, last, _BATCH),
        ).fetchall():
            yield from ((name, bytes(data)) for name, data in rows)
            last = rows[-1][0]

    for uid, data in records("workitem"):
        insert_workitem(connection, workitem_row(uid, data))
    enter = "INSERT INTO subscriber (ae_title, begun, taken, newest) VALUES (?, 0, 0, 0)"
    enter += " ON CONFLICT DO NOTHING"
    for ae_title, data in records("worklist subscription"):
        found = json.loads(data)
        connection.execute(enter, (ae_title,))
        keys = found.get("keys")
        connection.execute(
            "UPDATE subscriber SET everything = ?, matching = ?, keys = ? WHERE ae_title = ?",
            (
                None if found["all"] is None else int(found["all"]),
                None if keys is None else int(found["filtered"]),
                None if keys is None else json.dumps(keys),
                ae_title,
            ),
        )
    for uid, data in records("workitem subscription"):
        for ae_title, has_lock in json.loads(data).items():
            connection.execute(enter, (ae_title,))
            connection.execute(
                "INSERT INTO workitem_subscriber (workitem, ae_title, has_lock) VALUES (?, ?, ?)",
                (uid, ae_title, int(has_lock)),
            )
    connection.execute(
        "DELETE FROM record"
        " WHERE kind IN ('workitem', 'workitem subscription', 'worklist subscription')"
    )


_BATCH: Final = 1_000
_FUNCTIONS: Final[dict[int, Callable[[Connection], None]]] = {7: _fold_names, 8: _move_workitems}


def _steps() -> Iterator[tuple[int, str]]:
    return schema_files()
