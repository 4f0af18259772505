"""Reading an index, from a snapshot: what there is, where, and how much.

A reader sees the index as it was when it was opened, whatever is written meanwhile, and keeps
nobody from writing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.index.attributes import Level
from dicom_actors.archive.index.changes import Commitment, StoredInstance
from dicom_actors.archive.index.headers import unpack
from dicom_actors.archive.index.outbox import OutboxReader
from dicom_actors.archive.index.queueing import QueueReader
from dicom_actors.archive.index.workitems import WorkitemReader
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dicom_actors.archive.index.database import Connection

__all__ = ["Counts", "IndexReader", "expand", "select_instances"]

_COLUMNS: Final = """
    study.study_instance_uid, series.series_instance_uid, instance.sop_instance_uid,
    class.uid, syntax.uid, instance.location, instance.size, instance.checksum,
    instance.header_length, instance.received, instance.pixel_data
"""
_TABLES: Final = """
    instance
    JOIN series ON series.id = instance.series
    JOIN study ON study.id = series.study
    JOIN common_uid AS class ON class.id = instance.sop_class
    JOIN common_uid AS syntax ON syntax.id = instance.transfer_syntax
"""
_SELECT_INSTANCES: Final = f"SELECT {_COLUMNS} FROM {_TABLES} WHERE instance.sop_instance_uid"  # noqa: S608
_UNIQUE: Final = {
    Level.PATIENT: "study.patient_id",
    Level.STUDY: "study.study_instance_uid",
    Level.SERIES: "series.series_instance_uid",
    Level.IMAGE: "instance.sop_instance_uid",
}
# There may be several rows, so that who writes at once does so in different ones.
_SUM: Final = "CAST(sum({}) AS BIGINT)"
_PAGE: Final = 256


class Counts(NamedTuple):
    """How much there is.

    Attributes:
        patients: patients.
        studies: studies.
        series: series.
        instances: instances.
        bytes: of the files of instances, other versions of them included.
    """

    patients: int
    studies: int
    series: int
    instances: int
    bytes: int


def expand(location: str, study: str, series: str, instance: str) -> str:
    """Put the UIDs into a location as it stands in its row."""
    return location.format(study=study, series=series, instance=instance)


def stored_instance(
    row: tuple[str, str, str, str, str, str, int, bytes, int, float, bytes | None],
) -> StoredInstance:
    """Make what callers get of a row of instances."""
    return StoredInstance(*row[:5], expand(row[5], *row[:3]), *row[6:])


def select_instances(connection: Connection, uids: Sequence[str]) -> Iterator[StoredInstance]:
    """Find the instances of some SOP Instance UIDs, in any order."""
    return map(stored_instance, _select(connection, f"{_SELECT_INSTANCES}{{}}", uids))


def _select(connection: Connection, statement: str, uids: Sequence[str]) -> Iterable[Any]:
    """Find the rows that are of some UIDs, of which the statement says where they are."""
    if len(uids) == 1:
        return connection.execute(statement.format(" = ?"), (uids[0],))
    listed = " IN (SELECT value FROM json_each(?))"
    return connection.execute(statement.format(listed), (json.dumps(uids),))


_SELECT_VERSIONS: Final = """
    SELECT other.sop_instance_uid, syntax.uid, other.location, other.size, other.checksum,
    other.header_length, other.received, other.pixel_data
    FROM other_version AS other JOIN common_uid AS syntax ON syntax.id = other.transfer_syntax
    WHERE other.sop_instance_uid{} ORDER BY other.id
"""
# There is no index of locations, as nobody asks for them but where a journal is damaged.
_SELECT_UIDS_IN: Final = """
    SELECT sop_instance_uid FROM instance WHERE location LIKE ?
    UNION SELECT sop_instance_uid FROM other_version WHERE location LIKE ?
"""
_SELECT_COMMITMENT: Final = """
    SELECT id, transaction_uid, ae_title, instances, attempts, due FROM commitment
"""


class IndexReader:
    """A snapshot of the index; for one thread at a time.

    Args:
        connection: within a transaction that only reads.

    Attributes:
        queue: what is to be sent on.
        outbox: what an engine is to be told.
        workitems: unified procedure steps, and who has subscribed to them.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection
        self.queue: Final = QueueReader(connection)
        self.outbox: Final = OutboxReader(connection)
        self.workitems: Final = WorkitemReader(connection)

    def location_of(self, sop_instance_uid: str) -> StoredInstance | None:
        """Find an instance; None if there is none."""
        return next(iter(select_instances(self.connection, (sop_instance_uid,))), None)

    def versions_of(self, sop_instance_uid: str) -> list[StoredInstance]:
        """Find an instance and the other versions of it that were kept, the instance first."""
        return self.versions_of_each([sop_instance_uid])[sop_instance_uid]

    def versions_of_each(self, uids: Sequence[str]) -> dict[str, list[StoredInstance]]:
        """Find the versions of some instances, by their UIDs; see `versions_of`."""
        found: dict[str, list[StoredInstance]] = {uid: [] for uid in uids}
        for one in select_instances(self.connection, uids):
            found[one.sop_instance_uid] = [one]
        there = [uid for uid, versions in found.items() if versions]
        for uid, *row in _select(self.connection, _SELECT_VERSIONS, there) if there else ():
            first = found[uid][0]
            found[uid].append(stored_instance((*first[:4], *row)))
        return found

    def versions_in_journal(self, journal: str) -> list[StoredInstance]:
        """Find the versions of instances whose bytes are in a journal; looks at all rows."""
        beginning = f"{journal}:"
        uids = self.connection.execute(_SELECT_UIDS_IN, (f"{beginning}%",) * 2).fetchall()
        versions = self.versions_of_each([uid for (uid,) in uids])
        return [
            one for all_ in versions.values() for one in all_ if one.location.startswith(beginning)
        ]

    def instances(
        self,
        *,
        patient_id: str | None = None,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> Iterator[StoredInstance]:
        """Give the instances that are all that is named, or all, in the order they came."""
        keys = {
            Level.PATIENT: patient_id,
            Level.STUDY: study_instance_uid,
            Level.SERIES: series_instance_uid,
            Level.IMAGE: sop_instance_uid,
        }
        given = {_UNIQUE[level]: key for level, key in keys.items() if key is not None}
        where = " AND ".join([*(f"{column} = ?" for column in given), "instance.id > ?"])
        statement = (
            f"SELECT {_COLUMNS}, instance.id FROM {_TABLES} WHERE {where}"  # noqa: S608
            " ORDER BY instance.id LIMIT ?"
        )
        after = 0
        while True:
            rows = self.connection.execute(statement, (*given.values(), after, _PAGE)).fetchall()
            for row in rows:
                yield stored_instance(row[:-1])
            if len(rows) < _PAGE:
                return
            after = rows[-1][-1]

    def named(self, keys: Mapping[Level, list[str]], *, limit: int) -> Iterator[StoredInstance]:
        """Give the instances that unique keys name, series by series, in order of their numbers.

        Args:
            keys: by level, the values one of which an instance must have there.
            limit: how many are given at most.
        """
        conditions, parameters = [], []
        for level, values in keys.items():
            conditions.append(f"{_UNIQUE[level]} IN (SELECT value FROM json_each(?))")  # noqa: S608
            # What no text can have is in no row.
            parameters.append(json.dumps([value for value in values if value.isprintable()]))
        rows = self.connection.execute(
            f"SELECT {_COLUMNS} FROM {_TABLES} WHERE {' AND '.join(conditions)}"  # noqa: S608
            " ORDER BY instance.series, instance.instance_number NULLS FIRST, instance.id LIMIT ?",
            (*parameters, limit),
        )
        yield from map(stored_instance, rows)

    def counts(self) -> Counts:
        """How much there is."""
        row = self.connection.execute(
            f"SELECT {', '.join(map(_SUM.format, Counts._fields))} FROM total"  # noqa: S608
        ).fetchone()
        return Counts(*row)

    def pending_studies(self) -> Iterator[tuple[str, int]]:
        """The studies that have changed since they were told of, each with its revision."""
        return iter(
            self.connection.execute(
                "SELECT study_instance_uid, revision FROM watched_study WHERE revision > told"
            )
        )

    def pending_revision(self, study_instance_uid: str) -> int | None:
        """The revision of a study that has changed since it was told of; None: it has not."""
        row = self.connection.execute(
            "SELECT revision FROM watched_study WHERE study_instance_uid = ? AND revision > told",
            (study_instance_uid,),
        ).fetchone()
        return None if row is None else int(row[0])

    def size_of_study(self, study_instance_uid: str) -> int:
        """How many instances a study has; 0: there is no such study."""
        row = self.connection.execute(
            "SELECT number_of_study_related_instances FROM study WHERE study_instance_uid = ?",
            (study_instance_uid,),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def owed(self, until: float, limit: int) -> list[Commitment]:
        """Storage commitment that is due at a time, the longest due first."""
        rows = self.connection.execute(
            f"{_SELECT_COMMITMENT} WHERE due <= ? ORDER BY due, id LIMIT ?",
            (until, limit),
        )
        return [_commitment(row) for row in rows]

    def owed_for(self, ae_title: str, transaction_uid: str) -> Commitment | None:
        """Storage commitment that is owed for a transaction; None: it is not, or no more."""
        row = self.connection.execute(
            f"{_SELECT_COMMITMENT} WHERE ae_title = ? AND transaction_uid = ?",
            (ae_title, transaction_uid),
        ).fetchone()
        return None if row is None else _commitment(row)

    def next_owed(self) -> tuple[int, float | None]:
        """How many commitments are owed, and when the first of them is due."""
        count, due = self.connection.execute("SELECT count(*), min(due) FROM commitment").fetchone()
        return int(count), due

    def record(self, kind: str, name: str) -> bytes | None:
        """A data set that is kept by a name; None if there is none."""
        row = self.connection.execute(
            "SELECT data FROM record WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def records(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """The names and data sets of a kind, in the order of their names."""
        return iter(
            self.connection.execute(
                "SELECT name, data FROM record WHERE kind = ? ORDER BY name", (kind,)
            )
        )

    def headers(self, part: str, ids: Collection[int]) -> dict[int, bytes]:
        """What is said in headers, by their ids.

        Args:
            part: ``upper`` for what is said of a series and those above it, ``own`` for what the
                headers of its instances are made with.
            ids: which.

        Raises:
            ArchiveError: one is damaged.
        """
        rows = self.connection.execute(
            f"SELECT id, {part} FROM header"  # noqa: S608
            " WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        found = {number: unpack(data) for number, data in rows}
        if len(found) < len(set(ids)):
            raise ArchiveError("the index is damaged: headers are missing in it", "damaged")
        return found


def _commitment(row: tuple[Any, ...]) -> Commitment:
    number, uid, title, instances, tried, due = row
    return Commitment(number, uid, title, [(c, i) for c, i in json.loads(instances)], tried, due)
