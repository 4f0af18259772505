"""The outbox: what an engine is to be told of, in the transaction that it tells of.

So a message is there if and only if its row is committed. Nothing is written unless somebody has
said that it is wanted (`OutboxWanted`). Where messages are not dropped, whoever takes objects asks
first whether there is room (`OutboxReader.is_full`); what is under way then has its messages still.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.archive.index.changes import (
    NewInstance,
    OutboxPublished,
    OutboxWanted,
    Outcome,
    Result,
    StudyTold,
)
from dicom_actors.archive.index.description import open_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_actors import DataSet
    from dicom_actors.archive.index.changes import Change
    from dicom_actors.archive.index.database import Connection

__all__ = ["Outbox", "OutboxMessage", "OutboxReader", "OutboxStatus"]

_COLUMNS: Final = (
    "kind, study_instance_uid, series_instance_uid, sop_instance_uid, size, reason, upper, own"
)
_Row = tuple[str, str, str, str, int, str, bytes, bytes]


class OutboxMessage(NamedTuple):
    """Something that an engine is to be told.

    Attributes:
        id: its number; later ones have higher ones.
        identity: of the index; with `id` it is like no other in the world.
        kind: the name of an event; see `dicom_actors.archive.events`.
        study_instance_uid: of which study.
        series_instance_uid: of which series; empty: of none.
        sop_instance_uid: of which instance; empty: of none.
        size: bytes of its file; 0 where there is none.
        reason: why a study is complete.
        upper: attributes above the instance, encoded; empty: there are none.
        own: those of the instance.
    """

    id: int
    identity: str
    kind: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    size: int
    reason: str
    upper: bytes
    own: bytes

    def data_set(self) -> DataSet | None:
        """The attributes of the instance and of what is above it, as the index keeps them.

        Raises:
            ArchiveError: the row is damaged.
        """
        if not self.upper:
            return None
        found = open_header(self.upper)
        for element in open_header(self.own).elements():
            found.put_element(element)
        return found


class OutboxStatus(NamedTuple):
    """How the outbox is.

    Attributes:
        identity: of the index; empty: nobody has ever wanted messages.
        most: how many may wait; 0: nobody wants any.
        when_full: what happens then; see `OutboxWanted`.
        waiting: how many do.
        dropped: how many were, since there was no room.
    """

    identity: str = ""
    most: int = 0
    when_full: str = "refuse"
    waiting: int = 0
    dropped: int = 0


class OutboxReader:
    """What is asked of the outbox.

    Args:
        connection: within a transaction that only reads.
    """

    def __init__(self, connection: Connection) -> None:
        self._execute = connection.execute

    def status(self) -> OutboxStatus:
        """How it is."""
        row = self._execute(
            "SELECT identity, most, when_full, dropped FROM outbox_setting"
        ).fetchone()
        if row is None:
            return OutboxStatus()
        (waiting,) = self._execute("SELECT count(*) FROM outbox").fetchone()
        return OutboxStatus(row[0], row[1], row[2], waiting, row[3])

    def is_full(self) -> bool:
        """Whether objects are to be refused, since as many messages wait as may; soon found out."""
        row = self._execute("SELECT most, when_full FROM outbox_setting").fetchone()
        if row is None or not row[0] or row[1] != "refuse":
            return False
        first, last = self._execute("SELECT min(id), max(id) FROM outbox").fetchone()
        return first is not None and last - first + 1 >= row[0]

    def messages(self, most: int) -> list[OutboxMessage]:
        """The oldest messages."""
        rows = self._execute(
            f"SELECT outbox.id, identity, {_COLUMNS} FROM outbox"  # noqa: S608
            " CROSS JOIN outbox_setting ORDER BY outbox.id LIMIT ?",
            (most,),
        )
        return [OutboxMessage(*row) for row in rows]


class Outbox:
    """What writes messages.

    Args:
        connection: the one that writes the rows that they tell of.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        # None: that has to be looked up, each time if others may change it unseen.
        self._is_wanted: bool | None = None

    def forget(self) -> None:
        """Forget what is remembered of rows."""
        self._is_wanted = None

    def apply(self, change: OutboxWanted | OutboxPublished) -> Outcome:
        """Do a change."""
        if isinstance(change, OutboxPublished):
            self._connection.executemany(
                "DELETE FROM outbox WHERE id = ?", [(one,) for one in change.ids]
            )
            return Outcome(Result.NOTED)
        self._is_wanted = None
        self._execute(
            "INSERT INTO outbox_setting (id, identity, most, when_full) VALUES (1, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET most = excluded.most, when_full = excluded.when_full",
            (os.urandom(8).hex(), change.most, change.when_full),
        )
        return Outcome(Result.NOTED)

    def note(self, changes: Sequence[Change], outcomes: Sequence[Outcome]) -> None:
        """Write messages of what was changed in this transaction, if anybody wants them."""
        if self._is_wanted is False:
            return
        rows = list(_rows_of(changes, outcomes))
        if not rows:
            return
        setting = self._execute("SELECT most, when_full FROM outbox_setting").fetchone()
        is_wanted = setting is not None and bool(setting[0])
        self._is_wanted = is_wanted if self._connection.sees_others else None
        if not is_wanted:
            return
        most, when_full = setting
        first, last = self._execute("SELECT min(id), max(id) FROM outbox").fetchone()
        # Those that are removed are the oldest, nearly always: so this is how many there are.
        over = 0 if first is None else last - first + 1 + len(rows) - most
        if over > 0 and when_full == "drop":
            gone = self._execute(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT ?)",
                (over,),
            ).rowcount
            self._execute("UPDATE outbox_setting SET dropped = dropped + ?", (gone,))
        self._connection.executemany(
            f"INSERT INTO outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            rows[-most:] if when_full == "drop" else rows,
        )


def _rows_of(changes: Sequence[Change], outcomes: Sequence[Outcome]) -> Iterator[_Row]:
    studies: dict[str, None] = {}
    for change, outcome in zip(changes, outcomes, strict=True):
        if isinstance(change, NewInstance) and outcome.result is Result.NEW:
            what = change.description
            studies[what.study_instance_uid] = None
            yield (
                "InstanceStored",
                what.study_instance_uid,
                what.series_instance_uid,
                what.sop_instance_uid,
                change.size,
                "",
                what.upper,
                what.own,
            )
        elif isinstance(change, StudyTold) and outcome.result is not Result.MISSING:
            kind = "StudyComplete" if outcome.result is Result.COMPLETE else "StudyUpdated"
            yield kind, change.study_instance_uid, "", "", 0, change.reason, b"", b""
        elif outcome.result is Result.DELETED and outcome.existing is not None:
            studies[outcome.existing.study_instance_uid] = None
            yield "InstanceDeleted", *outcome.existing[:3], 0, "", b"", b""
    for study in studies:
        yield "StudyChanged", study, "", "", 0, "", b"", b""
