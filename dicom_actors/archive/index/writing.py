"""Changes to an index, one after the other within a transaction that the caller holds.

What is there of the instances is read first, all at once; rows of instances, counters, modalities
and SOP classes of studies are collected, and written together. Rows that others write, too, are
written at the end, and in an order that all have in common.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict, defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.index.attributes import LEVELS, Column, Kind, Level, columns_of
from dicom_actors.archive.index.changes import (
    Change,
    Claimed,
    Deleted,
    Duplicates,
    Moved,
    NewInstance,
    OutboxPublished,
    OutboxWanted,
    Outcome,
    Owed,
    Postponed,
    Record,
    RecordChanged,
    Result,
    Settled,
    StoredInstance,
    StudyTold,
    WorkitemChange,
)
from dicom_actors.archive.index.database import ConflictError
from dicom_actors.archive.index.description import open_header
from dicom_actors.archive.index.folding import stored_values, value_of
from dicom_actors.archive.index.headers import difference, pack, unpack
from dicom_actors.archive.index.outbox import Outbox
from dicom_actors.archive.index.queueing import QueueWriting
from dicom_actors.archive.index.reader import expand, select_instances
from dicom_actors.archive.index.workitems import WorkitemWriting
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors import DataSet
    from dicom_actors.archive.index.database import Connection, Cursor

__all__ = ["Writing"]

_KNOWN_SERIES: Final = 256
_KNOWN_UIDS: Final = 1_024
_LONGEST_IDENTITY: Final = 512
_WAITING_ROOMS: Final = ("incoming/", "journal/")
"""Where objects are that have no place yet: in a folder of each node's."""


def _insert(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    # What another connection has inserted a moment ago is found out by what was not.
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608


def _filled(level: Level) -> tuple[Column, ...]:
    return tuple(column for column in columns_of(level) if column.kind is not Kind.COUNT)


def _names(level: Level) -> tuple[str, ...]:
    return tuple(name for column in _filled(level) for name in column.names)


_OWN_COLUMNS: Final = {
    level: tuple(column for column in _filled(level) if column.level is level) for level in LEVELS
}


_INSERT_PATIENT: Final = _insert("patient", ("identity", "header", *_names(Level.PATIENT)))
_INSERT_STUDY: Final = _insert("study", ("patient", "header", "changed", *_names(Level.STUDY)))
_INSERT_SERIES: Final = _insert("series", ("study", "header", *_names(Level.SERIES)))
_INSERT_INSTANCE: Final = _insert(
    "instance",
    (
        "series",
        "sop_instance_uid",
        "sop_class",
        "transfer_syntax",
        "instance_number",
        "container_identifier",
        "location",
        "size",
        "header_length",
        "received",
        "checksum",
        "pixel_data",
        "header",
    ),
)
_INSERT_VERSION: Final = _insert(
    "other_version",
    (
        "sop_instance_uid",
        "transfer_syntax",
        "location",
        "size",
        "header_length",
        "received",
        "checksum",
        "pixel_data",
    ),
)
_COUNT_SERIES: Final = """
    UPDATE series SET number_of_series_related_instances = number_of_series_related_instances + ?
    WHERE id = ?
"""
_COUNT_STUDY: Final = """
    UPDATE study SET number_of_study_related_series = number_of_study_related_series + ?,
    number_of_study_related_instances = number_of_study_related_instances + ?,
    changed = CASE WHEN changed < ? THEN ? ELSE changed END
    WHERE id = ?
"""
_NEW_MODALITY: Final = _insert("modality_in_study", ("study", "modality"))
_NEW_CLASS: Final = _insert("sop_class_in_study", ("study", "sop_class"))
_LOSE_MODALITY: Final = """
    DELETE FROM modality_in_study WHERE study = ? AND modality = ?
    AND NOT EXISTS (SELECT 1 FROM series
        WHERE series.study = modality_in_study.study
        AND series.modality = modality_in_study.modality)
"""
_LOSE_CLASS: Final = """
    DELETE FROM sop_class_in_study WHERE study = ? AND sop_class = ?
    AND NOT EXISTS (SELECT 1 FROM series JOIN instance ON instance.series = series.id
        WHERE series.study = sop_class_in_study.study
        AND instance.sop_class = sop_class_in_study.sop_class)
"""
_WATCH: Final = """
    INSERT INTO watched_study (study_instance_uid, revision, told) VALUES (?, 1, ?)
    ON CONFLICT (study_instance_uid)
    DO UPDATE SET revision = watched_study.revision + 1 - excluded.told
"""
_TOTALS: Final = ("patients", "studies", "series", "instances", "bytes")
_NOTHING: Final = dict.fromkeys(_TOTALS, 0)
# Of its rows one is chosen, each time another: who meets somebody there waits.
_COUNT_ALL: Final = """
    UPDATE total SET patients = patients + ?, studies = studies + ?, series = series + ?,
    instances = instances + ?, bytes = bytes + ?
    WHERE id = (SELECT 1 + ? % count(*) FROM total)
"""
_SELECT_SERIES: Final = """
    SELECT series.id, series.study, series.header
    FROM series JOIN study ON study.id = series.study
    WHERE series.series_instance_uid = ? AND study.study_instance_uid = ?
"""
_DELETE_HEADER: Final = """
    DELETE FROM header WHERE id = ?
    AND NOT EXISTS (SELECT 1 FROM series WHERE series.header = header.id)
    AND NOT EXISTS (SELECT 1 FROM study WHERE study.header = header.id)
    AND NOT EXISTS (SELECT 1 FROM patient WHERE patient.header = header.id)
"""
_MOVE: Final = """
    UPDATE instance SET location = ?, size = ?, header_length = ?
    WHERE sop_instance_uid = ? AND location = ?
"""


class _Series(NamedTuple):
    """A series that is in the index.

    Attributes:
        id: of its row.
        study: of its study's row.
        own: the own header of the first of its instances.
    """

    id: int
    study: int
    own: bytes


class Writing:
    """What writes changes, and remembers the series that it met.

    Args:
        connection: the only one that writes, or `forget` is called when another did; or another
            one's changes make a `ConflictError` of it.
        node: who writes, among those that share the index; empty: nobody else does.
    """

    def __init__(self, connection: Connection, node: str = "") -> None:
        self._connection = connection
        self._execute = connection.execute
        self._node = node
        self._series: OrderedDict[tuple[str, str], _Series] = OrderedDict()
        # The SOP classes that studies are known to have.
        self._known_classes: set[tuple[int, int]] = set()
        self._uids: dict[str, int] = {}
        self._queue = QueueWriting(connection, node)
        self._outbox = Outbox(connection)
        self._workitems = WorkitemWriting(connection, is_shared=bool(node))
        self._slot = int.from_bytes(os.urandom(4))
        # What the changes of a transaction come to, until it is written at its end.
        self._totals = dict.fromkeys(_TOTALS, 0)
        self._series_of_study: defaultdict[int, int] = defaultdict(int)
        self._instances_of_study: defaultdict[int, int] = defaultdict(int)
        self._instances_of_series: defaultdict[int, int] = defaultdict(int)
        # What studies have now, and what they may have lost; sets of each.
        self._modalities: set[tuple[int, str]] = set()
        self._classes: set[tuple[int, int]] = set()
        self._lost_modalities: set[tuple[int, str]] = set()
        self._lost_classes: set[tuple[int, int]] = set()
        self._touched: dict[int, float] = {}
        self._arrived: dict[str, bool] = {}
        # Of the instances that the changes are about: what is there, and is to be written.
        self._existing: dict[str, StoredInstance | None] = {}
        self._inserts: list[tuple[Any, ...]] = []
        self._moves: list[tuple[Any, ...]] = []

    def _clear(self) -> None:
        self._totals.update(_NOTHING)
        for collected in (
            self._series_of_study,
            self._instances_of_study,
            self._instances_of_series,
            self._modalities,
            self._classes,
            self._lost_modalities,
            self._lost_classes,
            self._touched,
            self._arrived,
            self._existing,
            self._inserts,
            self._moves,
        ):
            collected.clear()

    def forget(self) -> None:
        """Forget what is remembered of rows: another connection, or a rollback, changed them."""
        self._series.clear()
        self._known_classes.clear()
        self._uids.clear()
        self._queue.forget()
        self._workitems.forget()
        self._outbox.forget()
        self._clear()

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """Do changes, one after the other; nothing may be written after that in the transaction.

        Raises:
            ConflictError: see `Writing`; the transaction is to be rolled back.
        """
        if self._node:
            self._check_lease(changes)
        self._workitems.prepare(changes)
        self._look_up(changes)
        outcomes = [self._apply(change) for change in changes]
        with self._connection.together():
            sent = self._send()
            self._send_counters()
        _check(sent)
        self._queue.finish()
        self._workitems.finish()
        self._clear()
        self._outbox.note(changes, outcomes)
        return outcomes

    def _check_lease(self, changes: Sequence[Change]) -> None:
        """Make sure that nobody has taken over what this node has, nor does until all is written.

        Raises:
            ArchiveError: somebody has; what is where others look for it is none of ours.
        """
        rows = self._execute("SELECT name FROM node WHERE keeper = ? FOR KEY SHARE", (self._node,))
        kept = {name for (name,) in rows}
        if self._node not in kept or any(
            _node_of(change.location) not in kept
            for change in changes
            if isinstance(change, NewInstance) and change.location.startswith(_WAITING_ROOMS)
        ):
            raise ArchiveError("this node was taken to be gone: it has to begin anew", "absent")

    def _look_up(self, changes: Sequence[Change]) -> None:
        uids = {
            uid: None
            for change in changes
            if (
                uid := change.description.sop_instance_uid
                if isinstance(change, NewInstance)
                else change.sop_instance_uid
                if isinstance(change, Moved | Deleted)
                else ""
            )
        }
        self._existing.update(uids)
        if uids:
            for found in select_instances(self._connection, list(uids)):
                self._existing[found.sop_instance_uid] = found

    def _apply(self, change: Change) -> Outcome:
        if isinstance(change, NewInstance):
            return self._add(change)
        if isinstance(change, Moved):
            return self._move(change)
        if isinstance(change, Deleted):
            return self._delete(change)
        if isinstance(change, StudyTold):
            return self._tell(change)
        if isinstance(change, Record):
            return self._record(change)
        if isinstance(change, RecordChanged):
            return self._change_record(change)
        if isinstance(change, WorkitemChange):
            return self._workitems.apply(change)
        if isinstance(change, Owed | Claimed | Postponed | Settled):
            return self._commitment(change)
        if isinstance(change, OutboxWanted | OutboxPublished):
            return self._outbox.apply(change)
        return self._queue.apply(change)

    def _flush(self) -> None:
        """Write the rows of instances that were collected."""
        with self._connection.together():
            sent = self._send()
        _check(sent)

    def _send(self) -> list[tuple[Cursor, int]]:
        """Have these rows written; returns how many each statement is to write: see `_check`."""
        sent = []
        for statement, rows in ((_INSERT_INSTANCE, self._inserts), (_MOVE, self._moves)):
            if rows:
                sent.append((self._connection.executemany(statement, rows), len(rows)))
                rows.clear()
        return sent

    def _send_counters(self) -> None:
        """Have the counters written."""
        many = self._many
        many(_COUNT_SERIES, [(n, row) for row, n in sorted(self._instances_of_series.items()) if n])
        many(
            _COUNT_STUDY,
            [
                (
                    self._series_of_study[study],
                    count,
                    *(2 * (self._touched.get(study, 0.0),)),
                    study,
                )
                for study, count in sorted(self._instances_of_study.items())
            ],
        )
        many(_WATCH, [(study, int(not came)) for study, came in sorted(self._arrived.items())])
        if self._node:
            many(
                "INSERT INTO study_at_node (study_instance_uid, node) VALUES (?, ?)"
                " ON CONFLICT DO NOTHING",
                [(study, self._node) for study, came in sorted(self._arrived.items()) if came],
            )
        # After the rows of the studies, for which others wait until it is known what is lost.
        many(_NEW_MODALITY, sorted(self._modalities))
        many(_NEW_CLASS, sorted(self._classes))
        many(_LOSE_MODALITY, sorted(self._lost_modalities))
        many(_LOSE_CLASS, sorted(self._lost_classes))
        if any(self._totals.values()):
            self._slot += 1
            self._execute(_COUNT_ALL, [*self._totals.values(), self._slot])

    def _many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Execute a statement for each of some rows; nothing is asked of the database for none."""
        if rows:
            self._connection.executemany(statement, rows)

    # --- new instances ---------------------------------------------------------------------

    def _add(self, new: NewInstance) -> Outcome:
        existing = self._existing[new.description.sop_instance_uid]
        if existing is None:
            self._insert(new)
            return Outcome(Result.NEW, queued=self._queue.arrived(new))
        if existing.checksum == new.checksum:
            return Outcome(Result.SAME, existing, queued=self._queue.came_again(new))
        if new.goes_by_age:
            is_later = new.received > existing.received
            if is_later != (new.duplicates is Duplicates.REPLACE):
                return self._add_version(new, existing)
            if self._is_beside(new):
                return Outcome(Result.SAME, existing)
            outcome = self._replace(new, existing)
            self._insert_version(existing, new.description[:3])
            return outcome
        if new.duplicates is Duplicates.REPLACE:
            return self._replace(new, existing)
        if new.duplicates is Duplicates.KEEP_BOTH:
            return self._add_version(new, existing)
        return Outcome(Result.DIFFERENT, existing)

    def _insert(self, new: NewInstance) -> None:
        described = new.description
        series = self._series_of(new)
        sop_class = self._uid(described.sop_class_uid)
        self._inserts.append(
            (
                series.id,
                described.sop_instance_uid,
                sop_class,
                self._uid(new.transfer_syntax_uid),
                described.instance_number,
                described.container_identifier,
                _abbreviated(new.location, *described[:3]),
                new.size,
                new.header_length,
                new.received,
                new.checksum,
                new.pixel_data,
                difference(described.own, series.own),
            ),
        )
        self._existing[described.sop_instance_uid] = StoredInstance(
            *described[:4],
            new.transfer_syntax_uid,
            new.location,
            new.size,
            new.checksum,
            new.header_length,
            new.received,
            new.pixel_data,
        )
        self._count(series, new.size, 1)
        self._note_class(series.study, sop_class)
        self._touched[series.study] = new.received
        if new.is_arrival or described.study_instance_uid not in self._arrived:
            self._arrived[described.study_instance_uid] = new.is_arrival

    def _add_version(self, new: NewInstance, existing: StoredInstance) -> Outcome:
        if self._is_beside(new):
            return Outcome(Result.SAME, existing)
        self._insert_version(new, existing[:3])
        return Outcome(Result.DIFFERENT, existing)

    def _replace(self, new: NewInstance, existing: StoredInstance) -> Outcome:
        """Make it the current version, in place of the one that is."""
        uids, others = new.description[:3], []
        if uids != existing[:3]:  # by which the locations of others are abbreviated
            others = self._execute(
                "SELECT id, location FROM other_version WHERE sop_instance_uid = ?", (uids[2],)
            ).fetchall()
        self._remove(uids[2])
        self._insert(new)
        self._many(
            "UPDATE other_version SET location = ? WHERE id = ?",
            [(_abbreviated(expand(at, *existing[:3]), *uids), row) for row, at in others],
        )
        return Outcome(Result.DIFFERENT, existing, queued=self._queue.arrived(new))

    def _is_beside(self, new: NewInstance) -> bool:
        found = self._execute(
            "SELECT 1 FROM other_version WHERE sop_instance_uid = ? AND checksum = ?",
            (new.description.sop_instance_uid, new.checksum),
        )
        return found.fetchone() is not None

    def _insert_version(
        self, version: NewInstance | StoredInstance, uids: tuple[str, str, str]
    ) -> None:
        """Note another version of the instance whose UIDs these are."""
        self._execute(
            _INSERT_VERSION,
            (
                uids[2],
                self._uid(version.transfer_syntax_uid),
                _abbreviated(version.location, *uids),
                version.size,
                version.header_length,
                version.received,
                version.checksum,
                version.pixel_data,
            ),
        )
        self._totals["bytes"] += version.size

    def _note_class(self, study: int, sop_class: int) -> None:
        one = (study, sop_class)
        if one in self._known_classes:
            return
        self._classes.add(one)
        if self._connection.sees_others:  # else one may take out what we know of
            if len(self._known_classes) >= _KNOWN_SERIES:
                self._known_classes.clear()
            self._known_classes.add(one)

    def _count(self, series: _Series, size: int, one: int) -> None:
        self._instances_of_series[series.id] += one
        self._instances_of_study[series.study] += one
        self._totals["instances"] += one
        self._totals["bytes"] += one * size

    def _uid(self, uid: str) -> int:
        if (known := self._uids.get(uid)) is not None:
            return known
        if len(self._uids) >= _KNOWN_UIDS:
            self._uids.clear()
        row = self._execute("SELECT id FROM common_uid WHERE uid = ?", (uid,)).fetchone()
        number = self._uids[uid] = int(
            row[0] if row else self._row(_insert("common_uid", ("uid",)), (uid,))
        )
        return number

    def _row(self, statement: str, values: tuple[Any, ...]) -> int:
        row = self._execute(f"{statement} RETURNING id", values).fetchone()
        if row is None:
            raise ConflictError
        return int(row[0])

    # --- what is above a new instance ------------------------------------------------------

    def _series_of(self, new: NewInstance) -> _Series:
        described = new.description
        key = (described.series_instance_uid, described.study_instance_uid)
        if (known := self._series.get(key)) is not None:
            self._series.move_to_end(key)
            return known
        found = self._execute(_SELECT_SERIES, key).fetchone()
        if found is None:
            series = self._new_series(new)
        else:
            row, study, header = found
            (packed,) = self._execute("SELECT own FROM header WHERE id = ?", (header,)).fetchone()
            series = _Series(row, study, unpack(packed))
        self._series[key] = series
        if len(self._series) > _KNOWN_SERIES:
            self._series.popitem(last=False)
        return series

    def _new_series(self, new: NewInstance) -> _Series:
        described = new.description
        header = self._row(
            _insert("header", ("upper", "own")),
            (pack(described.upper), pack(described.own)),
        )
        data_set = open_header(described.upper)
        study_uid = described.study_instance_uid
        study, patient = self._execute(
            "SELECT id, patient FROM study WHERE study_instance_uid = ?", (study_uid,)
        ).fetchone() or (0, 0)
        if not study:
            of_patient = _values(Level.PATIENT, data_set)
            patient = self._patient_of(study_uid, of_patient, header)
            values = (*of_patient, *_values(Level.STUDY, data_set))
            study = self._row(_INSERT_STUDY, (patient, header, new.received, *values))
            self._totals["studies"] += 1
        values = _values(Level.SERIES, data_set)
        row = self._row(_INSERT_SERIES, (study, header, *values))
        self._totals["series"] += 1
        self._series_of_study[study] += 1
        modality = dict(zip(_names(Level.SERIES), values, strict=True))["modality"]
        if modality:
            self._modalities.add((study, modality))
        return _Series(row, study, described.own)

    def _patient_of(self, study_uid: str, values: tuple[Any, ...], header: int) -> int:
        named = dict(zip(_names(Level.PATIENT), values, strict=True))
        # Whoever has no ID is nobody else: one patient for each study.
        identity = named["patient_id"] or f"\\study\\{study_uid}"
        if named["patient_id"] and named["issuer_of_patient_id"]:
            identity = f"{identity}\\{named['issuer_of_patient_id']}"
        if len(identity) > _LONGEST_IDENTITY:  # more than fits into an index
            identity = f"\\long\\{sha256(identity.encode()).hexdigest()}"
        found = self._execute("SELECT id FROM patient WHERE identity = ?", (identity,)).fetchone()
        if found:
            return int(found[0])
        self._totals["patients"] += 1
        return self._row(_INSERT_PATIENT, (identity, header, *values))

    # --- what changes of instances that are there ------------------------------------------

    def _move(self, moved: Moved) -> Outcome:
        existing = self._existing.get(moved.sop_instance_uid)
        if existing is None:
            return Outcome(Result.MISSING)
        if existing.location == moved.old:
            self._move_first(moved, existing)
            return Outcome(Result.MOVED, existing)
        self._flush()
        uids = existing[:3]
        found = self._execute(
            "SELECT id, location, size, header_length FROM other_version"
            " WHERE sop_instance_uid = ?",
            (moved.sop_instance_uid,),
        ).fetchall()
        for row, location, size, header_length in found:
            if expand(location, *uids) == moved.old:
                new_size = size if moved.size is None else moved.size
                self._execute(
                    "UPDATE other_version SET location = ?, size = ?, header_length = ?"
                    " WHERE id = ?",
                    (
                        _abbreviated(moved.new, *uids),
                        new_size,
                        header_length if moved.header_length is None else moved.header_length,
                        row,
                    ),
                )
                self._totals["bytes"] += new_size - size
                return Outcome(Result.MOVED, existing)
        return Outcome(Result.MISSING, existing)

    def _move_first(self, moved: Moved, existing: StoredInstance) -> None:
        there = existing._replace(location=moved.new)
        if moved.size is not None:
            there = there._replace(size=moved.size)
        if moved.header_length is not None:
            there = there._replace(header_length=moved.header_length)
        uids = existing[:3]
        new, old = _abbreviated(moved.new, *uids), _abbreviated(moved.old, *uids)
        self._moves.append((new, there.size, there.header_length, existing.sop_instance_uid, old))
        self._totals["bytes"] += there.size - existing.size
        self._existing[existing.sop_instance_uid] = there

    def _delete(self, deleted: Deleted) -> Outcome:
        sop_instance_uid = deleted.sop_instance_uid
        existing = self._existing.get(sop_instance_uid)
        if existing is None:
            return Outcome(Result.MISSING)
        if deleted.location and (outcome := self._delete_version(deleted, existing)) is not None:
            return outcome
        study = existing.study_instance_uid
        others = self._execute(
            "DELETE FROM other_version WHERE sop_instance_uid = ? RETURNING location, size",
            (sop_instance_uid,),
        ).fetchall()
        self._totals["bytes"] -= sum(size for _, size in others)
        self._remove(sop_instance_uid)
        # One whose only instance is replaced stays: whoever was told of it is told of a change.
        if not self._has_any("SELECT 1 FROM study WHERE study_instance_uid = ?", study):
            self._execute("DELETE FROM watched_study WHERE study_instance_uid = ?", (study,))
            self._arrived.pop(study, None)
            self._queue.study_removed(study)
        locations = tuple(expand(location, *existing[:3]) for location, _ in others)
        return Outcome(Result.DELETED, existing, locations)

    def _delete_version(self, deleted: Deleted, existing: StoredInstance) -> Outcome | None:
        """Delete one version; None: it is the only one."""
        uids = existing[:3]
        others = self._execute(
            "SELECT id, location, size FROM other_version WHERE sop_instance_uid = ?",
            (deleted.sop_instance_uid,),
        ).fetchall()
        if existing.location == deleted.location:
            return Outcome(Result.MISSING, existing) if others else None
        for row, location, size in others:
            if expand(location, *uids) == deleted.location:
                self._execute("DELETE FROM other_version WHERE id = ?", (row,))
                self._totals["bytes"] -= size
                return Outcome(Result.DELETED, existing)
        return Outcome(Result.MISSING, existing)

    def _remove(self, sop_instance_uid: str) -> None:
        """Take an instance out, and what is empty without it."""
        self._flush()
        self._existing[sop_instance_uid] = None
        row, series_id, sop_class, size = self._deleted(
            "DELETE FROM instance WHERE sop_instance_uid = ? RETURNING id, series, sop_class, size",
            sop_instance_uid,
        )
        study, patient, header, modality, uid, study_uid = self._execute(
            "SELECT series.study, study.patient, series.header, series.modality,"
            " series.series_instance_uid, study.study_instance_uid"
            " FROM series JOIN study ON study.id = series.study WHERE series.id = ?",
            (series_id,),
        ).fetchone()
        self._count(_Series(series_id, study, b""), size, -1)
        self._known_classes.discard((study, sop_class))
        self._lost_classes.add((study, sop_class))
        self._queue.instance_removed(study_uid, row)
        if self._has_any("SELECT 1 FROM instance WHERE series = ? LIMIT 1", series_id):
            return
        self._series.pop((uid, study_uid), None)
        headers = {header}
        self._execute("DELETE FROM series WHERE id = ?", (series_id,))
        self._instances_of_series.pop(series_id, None)
        if modality:
            self._lost_modalities.add((study, modality))
        self._totals["series"] -= 1
        self._series_of_study[study] -= 1
        if not self._has_any("SELECT 1 FROM series WHERE study = ? LIMIT 1", study):
            headers |= self._remove_study(study, patient)
        for number in headers:
            self._execute(_DELETE_HEADER, (number,))

    def _remove_study(self, study: int, patient: int) -> set[int]:
        for table in ("modality_in_study", "sop_class_in_study"):
            self._execute(f"DELETE FROM {table} WHERE study = ?", (study,))  # noqa: S608
        for pairs in (self._modalities, self._classes, self._known_classes):
            pairs -= {pair for pair in pairs if pair[0] == study}
        self._series_of_study.pop(study, None)
        self._instances_of_study.pop(study, None)
        self._touched.pop(study, None)
        (header,) = self._deleted("DELETE FROM study WHERE id = ? RETURNING header", study)
        headers = {header}
        self._totals["studies"] -= 1
        if not self._has_any("SELECT 1 FROM study WHERE patient = ? LIMIT 1", patient):
            (header,) = self._deleted("DELETE FROM patient WHERE id = ? RETURNING header", patient)
            headers.add(header)
            self._totals["patients"] -= 1
        return headers

    def _deleted(self, statement: str, row: int | str) -> Any:
        found = self._execute(statement, (row,)).fetchone()
        if found is None:  # somebody else has done it
            raise ConflictError
        return found

    def _has_any(self, statement: str, row: int | str) -> bool:
        return self._execute(statement, (row,)).fetchone() is not None

    def _tell(self, told: StudyTold) -> Outcome:
        study = told.study_instance_uid
        self._flush()
        if self._node and not self._is_last_at(study, told.revision):
            return Outcome(Result.MISSING)
        row = self._execute(
            "SELECT told FROM watched_study"
            " WHERE study_instance_uid = ? AND revision = ? AND told < revision",
            (study, told.revision),
        ).fetchone()
        if row is None:
            return Outcome(Result.MISSING)
        self._execute(
            "UPDATE watched_study SET told = revision WHERE study_instance_uid = ?", (study,)
        )
        result = Result.UPDATED if row[0] else Result.COMPLETE
        queued = self._queue.complete(told.study_instance_uid)
        return Outcome(result, queued=queued)

    def _is_last_at(self, study: str, revision: int) -> bool:
        """Say that nothing more of a study is awaited here; whether that holds for all nodes."""
        # So that others who say so come before or after.
        row = self._execute(
            "SELECT revision FROM watched_study WHERE study_instance_uid = ? FOR UPDATE", (study,)
        ).fetchone()
        if row is None or row[0] != revision:
            return False
        self._execute(
            "DELETE FROM study_at_node WHERE study_instance_uid = ? AND node = ?",
            (study, self._node),
        )
        return not self._has_any(
            "SELECT 1 FROM study_at_node JOIN node ON node.name = study_at_node.node"
            " WHERE study_instance_uid = ? AND keeper = name AND expires > clock_timestamp()",
            study,
        )

    def _record(self, record: Record) -> Outcome:
        if record.data is None:
            self._execute(
                "DELETE FROM record WHERE kind = ? AND name = ?", (record.kind, record.name)
            )
        else:
            self._execute(
                "INSERT INTO record (kind, name, data) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, name) DO UPDATE SET data = excluded.data",
                record,
            )
        return Outcome(Result.NOTED)

    def _change_record(self, changed: RecordChanged) -> Outcome:
        kind, name, before, data = changed
        if before is None:
            done = self._execute(
                "INSERT INTO record (kind, name, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (kind, name, data),
            )
        else:
            done = self._execute(
                "UPDATE record SET data = ? WHERE kind = ? AND name = ? AND data = ?",
                (data, kind, name, before),
            )
        return Outcome(Result.NOTED if done.rowcount else Result.CONFLICT)

    def _commitment(self, change: Owed | Claimed | Postponed | Settled) -> Outcome:
        if isinstance(change, Owed):
            added = self._execute(
                "INSERT INTO commitment (transaction_uid, ae_title, instances, due)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (change.transaction_uid, change.ae_title, json.dumps(change.instances), change.due),
            )
            return Outcome(Result.NEW if added.rowcount else Result.SAME)
        if isinstance(change, Claimed):
            done = self._execute(
                "UPDATE commitment SET due = ? WHERE id = ? AND due = ?",
                (change.until, change.number, change.due),
            )
        elif isinstance(change, Postponed):
            done = self._execute(
                "UPDATE commitment SET attempts = attempts + 1, due = ? WHERE id = ?",
                (change.due, change.number),
            )
        else:
            done = self._execute("DELETE FROM commitment WHERE id = ?", (change.number,))
        return Outcome(Result.NOTED if done.rowcount else Result.MISSING)


def _check(sent: list[tuple[Cursor, int]]) -> None:
    """Raise ConflictError if another one was faster."""
    for cursor, count in sent:
        if cursor.rowcount != count:
            raise ConflictError


def _values(level: Level, data_set: DataSet) -> tuple[Any, ...]:
    """What stands in the columns of a level, those of the levels above it left out."""
    return tuple(
        stored
        for column in _OWN_COLUMNS[level]
        for stored in stored_values(column, value_of(data_set, column.tag))
    )


def _node_of(location: str) -> str:
    """Whose what is in a waiting room is; empty for a folder that nobody shares."""
    _, node, *rest = location.split("/")
    return node if rest else ""


def _abbreviated(location: str, study: str, series: str, instance: str) -> str:
    """Replace UIDs in a location by their names; `expand` undoes it, whatever is in it."""
    location = location.replace("{", "{{").replace("}", "}}")
    if location.startswith(_WAITING_ROOMS):
        return location
    uids = {"instance": instance, "series": series, "study": study}
    for name in sorted(uids, key=lambda name: -len(uids[name])):
        location = location.replace(uids[name], f"{{{name}}}")
    return location
