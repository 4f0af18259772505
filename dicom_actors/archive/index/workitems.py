"""Workitems, who has subscribed to them, and what these are told.

What a workitem may become is decided elsewhere, of what was read: a change says what that was, and
is none if it is another one by now. Events are written in the transaction that they tell of, for
each AE in the order of its numbers; who reads them knows up to which number he has. Up to a limit
they stay when they were read, for somebody else who listens for the same AE elsewhere.

Standard: PS3.4 CC.2.3, CC.2.4.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet
from dicom_actors.archive.index.changes import (
    EventsTaken,
    Outcome,
    Result,
    Subscribed,
    SubscribedToMatching,
    SubscribersTold,
    Unsubscribed,
    WorkitemChanged,
    WorkitemCreated,
    WorkitemRow,
    WorklistSubscribed,
    WorklistUnsubscribed,
)
from dicom_actors.archive.index.folding import value_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from dicom_actors.archive.index.changes import Change, WorkitemChange
    from dicom_actors.archive.index.database import Connection

__all__ = [
    "WorkitemReader",
    "WorkitemWriting",
    "WorklistSubscription",
    "insert_workitem",
    "workitem_row",
]

FINAL_STATES: Final = frozenset({"COMPLETED", "CANCELED"})
"""Procedure Step States in which a workitem does not change any more."""
MOST_EVENTS: Final = 1_000
"""That are kept for an AE."""
MOST_CHARACTERS: Final = 2 << 20
"""Of them together; one may be longer."""

_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_STATE: Final = 0x00741000
_PATIENT_ID: Final = 0x00100020
_STARTS: Final = 0x00404005
_MODIFIED: Final = 0x00404010
_LONGEST: Final = 256
_PAGE: Final = 128
"""Workitems that are read at once."""

_INSERT: Final = f"""
    INSERT INTO workitem ({", ".join(WorkitemRow._fields)})
    VALUES ({", ".join("?" * len(WorkitemRow._fields))}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - of columns
_FIRST_TO_GO: Final = """
    SELECT uid FROM workitem WHERE ended IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM workitem_subscriber WHERE workitem = uid AND has_lock = 1)
    ORDER BY ended, uid LIMIT 1
"""
_SUBSCRIBE: Final = """
    INSERT INTO workitem_subscriber (workitem, ae_title, has_lock) VALUES (?, ?, ?)
    ON CONFLICT (workitem, ae_title) DO UPDATE SET has_lock = excluded.has_lock
"""
# Who is subscribed already stays so, with his lock or without (table CC.2.3-2).
_SUBSCRIBE_TO_ALL: Final = """
    INSERT INTO workitem_subscriber (workitem, ae_title, has_lock)
    SELECT uid, ae_title, ? FROM workitem JOIN subscriber ON ae_title = ?
    {} ON CONFLICT DO NOTHING
"""
_ENTER: Final = """
    INSERT INTO subscriber (ae_title, begun, taken, newest)
    SELECT ?, last, last, last FROM worklist WHERE id = 1 ON CONFLICT DO NOTHING
"""
_INSERT_EVENT: Final = """
    INSERT INTO workitem_event (ae_title, number, workitem, type_id, told, attributes)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_Subscribing = (
    Subscribed | WorklistSubscribed | SubscribedToMatching | Unsubscribed | WorklistUnsubscribed
)

_Told = tuple[str, int, str | None]
"""Of which workitem, the Event Type ID, and the attributes."""


class WorklistSubscription(NamedTuple):
    """Of what is created, what an AE subscribes to.

    Attributes:
        ae_title: who.
        everything: whether all with a deletion lock; None: not all.
        matching: whether what matches with a deletion lock; None: nothing.
        keys: what that has to match, as JSON.
    """

    ae_title: str
    everything: bool | None
    matching: bool | None
    keys: str | None


def workitem_row(uid: str, data: bytes) -> WorkitemRow:
    """Make the row of a workitem; what it says that nobody can read, no search finds by.

    Args:
        uid: of the workitem.
        data: the workitem in Explicit VR Little Endian.
    """
    workitem = DataSet.from_bytes(data, _EXPLICIT)
    state, patient_id, starts, modified = (
        _text(value_of(workitem, tag)) for tag in (_STATE, _PATIENT_ID, _STARTS, _MODIFIED)
    )
    ended = modified if state in FINAL_STATES else None
    return WorkitemRow(uid, state, patient_id, starts, ended, data)


def _text(value: Any) -> str:
    """What stands in a column: a text of one value that can be compared there."""
    if value is None:
        return ""
    text = str(value).strip()
    return "\\" if isinstance(value, list) or "\0" in text or len(text) > _LONGEST else text


def insert_workitem(connection: Connection, row: WorkitemRow) -> bool:
    """Insert a workitem; returns whether there was none of that UID."""
    return connection.execute(_INSERT, row).rowcount > 0


class WorkitemWriting:
    """What writes changes of workitems and subscriptions.

    Args:
        connection: within a transaction that the caller holds.
        is_shared: whether others write the same.
    """

    def __init__(self, connection: Connection, *, is_shared: bool) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._is_shared = is_shared
        self._told: dict[str, list[_Told]] = {}

    def forget(self) -> None:
        """Forget what was not written."""
        self._told.clear()

    def prepare(self, changes: Sequence[Change]) -> None:
        """Hold what is to be changed, in an order that all have in common.

        Who changes subscriptions to what is created waits for all who create, and they for him.
        """
        if not self._is_shared:
            return
        if any(isinstance(change, _Subscribing) for change in changes):
            self._execute("SELECT 1 FROM worklist WHERE id = 1 FOR UPDATE")
        elif any(isinstance(change, WorkitemCreated) for change in changes):
            self._execute("SELECT 1 FROM worklist WHERE id = 1 FOR SHARE")
        uids = {change.row.uid for change in changes if isinstance(change, WorkitemChanged)}
        held = {change.uid for change in changes if isinstance(change, Subscribed)}
        uids |= held
        if held or len(uids) > 1:  # else the change itself is the first to hold it
            self._execute(
                "SELECT 1 FROM workitem WHERE uid IN (SELECT value FROM json_each(?))"
                " ORDER BY uid FOR UPDATE",
                (json.dumps(sorted(uids)),),
            )

    def apply(self, change: WorkitemChange) -> Outcome:
        """Do a change."""
        match change:
            case WorkitemCreated():
                return self._create(change)
            case WorkitemChanged():
                return self._change(change)
            case Subscribed():
                return self._subscribe(change)
            case WorklistSubscribed():
                return self._subscribe_to_worklist(change)
            case SubscribedToMatching():
                return self._subscribe_to_matching(change)
            case Unsubscribed():
                return self._unsubscribe(change)
            case WorklistUnsubscribed():
                return self._unsubscribe_from_worklist(change)
            case SubscribersTold(uid, type_id, attributes):
                rows = self._execute("SELECT ae_title FROM subscriber").fetchall()
                return self._tell([title for (title,) in rows], (uid, type_id, attributes))
            case EventsTaken(ae_title, number, is_exact):
                done = self._execute(
                    "UPDATE subscriber SET taken = ? WHERE ae_title = ?"
                    " AND begun <= ? AND newest >= ? AND (taken < ? OR taken <> ? AND ? = 1)",
                    (number, ae_title, *[number] * 4, int(is_exact)),
                )
                return Outcome(Result.NOTED if done.rowcount else Result.MISSING)

    def finish(self) -> None:
        """Write the events, AE by AE in the order of their titles."""
        told = sorted(self._told.items())
        self._told.clear()
        for ae_title, events in told:
            lengths = [len(attributes or "") for _, _, attributes in events]
            row = self._execute(
                "UPDATE subscriber SET newest = newest + ?, told = told + ? WHERE ae_title = ?"
                " RETURNING newest, told",
                (len(events), sum(lengths), ae_title),
            ).fetchone()
            if row is None:  # it is told of nothing any more
                continue
            newest, characters = row
            number, so_far = newest - len(events), characters - sum(lengths)
            rows = []
            for (uid, type_id, attributes), length in zip(events, lengths, strict=True):
                number += 1
                rows.append((ae_title, number, uid, type_id, so_far, attributes))
                so_far += length
            self._connection.executemany(_INSERT_EVENT, rows)
            self._execute(
                "DELETE FROM workitem_event WHERE ae_title = ? AND number < ?"
                " AND (number <= ? OR told < ?)",
                (ae_title, newest, newest - MOST_EVENTS, characters - MOST_CHARACTERS),
            )

    def _tell(self, ae_titles: Iterable[str], *events: _Told) -> Outcome:
        titles = tuple(ae_titles)
        for title in titles:
            self._told.setdefault(title, []).extend(events)
        return Outcome(Result.NOTED, told=titles)

    # --- workitems ---------------------------------------------------------------------------

    def _create(self, new: WorkitemCreated) -> Outcome:
        (revision,) = self._execute("SELECT revision FROM worklist WHERE id = 1").fetchone()
        if revision != new.revision:
            return Outcome(Result.CONFLICT)
        uid = new.row.uid
        if not insert_workitem(self._connection, new.row):
            return Outcome(Result.SAME)
        (count,) = self._execute("SELECT count(*) FROM workitem").fetchone()
        if count > new.most and not self._make_room():
            self._execute("DELETE FROM workitem WHERE uid = ?", (uid,))
            return Outcome(Result.FULL)
        for ae_title, has_lock in new.subscribed:
            self._execute(_SUBSCRIBE, (uid, ae_title, int(has_lock)))
        outcome = self._tell(
            [title for title, _ in new.subscribed], *((uid, *event) for event in new.events)
        )
        return outcome._replace(result=Result.NEW)

    def _make_room(self) -> bool:
        # Not while somebody else locks it, or removes it as well.
        skipping = " FOR UPDATE SKIP LOCKED" if self._is_shared else ""
        while (row := self._execute(_FIRST_TO_GO + skipping).fetchone()) is not None:
            # What was looked at may have been older than the lock on the row.
            if self._is_locked(row[0]):
                continue
            self._execute("DELETE FROM workitem WHERE uid = ?", row)
            rows = self._execute(
                "DELETE FROM workitem_subscriber WHERE workitem = ? RETURNING ae_title", row
            ).fetchall()
            for (ae_title,) in sorted(rows):
                self._forget_if_idle(ae_title)
            return True
        return False

    def _is_locked(self, uid: str) -> bool:
        return self._has_any(
            "SELECT 1 FROM workitem_subscriber WHERE workitem = ? AND has_lock = 1 LIMIT 1", uid
        )

    def _change(self, changed: WorkitemChanged) -> Outcome:
        row = changed.row
        done = self._execute(
            "UPDATE workitem SET state = ?, patient_id = ?, starts = ?, ended = ?, data = ?"
            " WHERE uid = ? AND data = ?",
            (*row[1:], row.uid, changed.before),
        )
        if not done.rowcount:
            return Outcome(Result.CONFLICT)
        rows = self._execute(
            "SELECT ae_title FROM workitem_subscriber WHERE workitem = ?", (row.uid,)
        ).fetchall()
        titles = [title for (title,) in rows] if changed.events else []
        return self._tell(titles, *((row.uid, *event) for event in changed.events))

    # --- subscriptions -----------------------------------------------------------------------

    def _subscribe(self, change: Subscribed) -> Outcome:
        if not self._has_any("SELECT 1 FROM workitem WHERE uid = ?", change.uid):
            return Outcome(Result.MISSING)
        if not self._enter(change.ae_title, change.most):
            return Outcome(Result.FULL)
        self._execute(_SUBSCRIBE, (change.uid, change.ae_title, int(change.has_lock)))
        return self._tell([change.ae_title], (change.uid, 0, None))

    def _subscribe_to_worklist(self, change: WorklistSubscribed) -> Outcome:
        ae_title, lock = change.ae_title, int(change.has_lock)
        if not self._enter(ae_title, change.most):
            return Outcome(Result.FULL)
        self._turn()
        if change.keys is None:
            self._execute(
                "UPDATE subscriber SET everything = ? WHERE ae_title = ?", (lock, ae_title)
            )
            self._execute(_SUBSCRIBE_TO_ALL.format("WHERE 1 = 1"), (lock, ae_title))
        else:
            self._execute(
                "UPDATE subscriber SET matching = ?, keys = ? WHERE ae_title = ?",
                (lock, change.keys, ae_title),
            )
        return self._tell_states(ae_title, change.told_by)

    def _subscribe_to_matching(self, change: SubscribedToMatching) -> Outcome:
        ae_title, lock = change.ae_title, int(change.has_lock)
        row = self._execute(
            "SELECT matching, keys FROM subscriber WHERE ae_title = ?", (ae_title,)
        ).fetchone()
        if row != (lock, change.keys):
            return Outcome(Result.MISSING)
        of_these = "WHERE uid IN (SELECT value FROM json_each(?))"
        self._execute(_SUBSCRIBE_TO_ALL.format(of_these), (lock, ae_title, json.dumps(change.uids)))
        return self._tell_states(ae_title, change.told_by)

    def _tell_states(self, ae_title: str, told_by: str) -> Outcome:
        return self._tell([ae_title], (told_by, 0, None)) if told_by else Outcome(Result.NOTED)

    def _unsubscribe(self, change: Unsubscribed) -> Outcome:
        done = self._execute(
            "DELETE FROM workitem_subscriber WHERE workitem = ? AND ae_title = ?",
            (change.uid, change.ae_title),
        )
        if not done.rowcount:
            return Outcome(Result.MISSING)
        self._forget_if_idle(change.ae_title)
        return Outcome(Result.NOTED)

    def _unsubscribe_from_worklist(self, change: WorklistUnsubscribed) -> Outcome:
        ae_title = change.ae_title
        row = self._execute(
            "SELECT everything, matching FROM subscriber WHERE ae_title = ?", (ae_title,)
        ).fetchone()
        if row is None:
            return Outcome(Result.MISSING)
        everything, matching = row
        if (change.is_matching or change.is_suspended) and (
            matching if change.is_matching else everything
        ) is None:
            return Outcome(Result.MISSING)
        self._turn()
        ending = "matching = NULL, keys = NULL" if change.is_matching else "everything = NULL"
        if not change.is_suspended and not (change.is_matching and everything is not None):
            ending = "everything = NULL, matching = NULL, keys = NULL"
            self._execute("DELETE FROM workitem_subscriber WHERE ae_title = ?", (ae_title,))
        self._execute(f"UPDATE subscriber SET {ending} WHERE ae_title = ?", (ae_title,))  # noqa: S608
        self._forget_if_idle(ae_title)
        return Outcome(Result.NOTED)

    def _turn(self) -> None:
        """Have whoever creates a workitem look again who is subscribed to it."""
        self._execute("UPDATE worklist SET revision = revision + 1 WHERE id = 1")

    def _enter(self, ae_title: str, most: int) -> bool:
        """Make somebody one of those who are told; returns whether there is room."""
        if self._has_any("SELECT 1 FROM subscriber WHERE ae_title = ?", ae_title):
            return True
        (count,) = self._execute("SELECT count(*) FROM subscriber").fetchone()
        if count >= most:
            return False
        self._execute(_ENTER, (ae_title,))
        return True

    def _forget_if_idle(self, ae_title: str) -> None:
        """Forget somebody who has subscribed to nothing any more."""
        row = self._execute(
            "DELETE FROM subscriber WHERE ae_title = ? AND everything IS NULL AND matching IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM workitem_subscriber WHERE ae_title = ?)"
            " RETURNING newest",
            (ae_title, ae_title),
        ).fetchone()
        if row is None:
            return
        self._told.pop(ae_title, None)
        self._execute("DELETE FROM workitem_event WHERE ae_title = ?", (ae_title,))
        # So that a number stands for one event of an AE in all of time.
        self._execute("UPDATE worklist SET last = ? WHERE id = 1 AND last < ?", (row[0], row[0]))

    def _has_any(self, statement: str, value: str) -> bool:
        return self._execute(statement, (value,)).fetchone() is not None


class WorkitemReader:
    """What is asked of workitems.

    Args:
        connection: within a transaction that only reads.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    def get(self, uid: str) -> bytes | None:
        """A workitem, encoded; None if there is none."""
        row = self._execute("SELECT data FROM workitem WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else bytes(row[0])

    def find(
        self,
        *,
        uids: Collection[str] = (),
        states: Collection[str] = (),
        patient_id: str = "",
    ) -> Iterator[tuple[str, bytes]]:
        """Give the UIDs of workitems and what they are, by the time that they are to begin.

        Args:
            uids: of which ones; none: of all.
            states: in which state; none: in any.
            patient_id: of which patient, and where that is none's alone; empty: of any.
        """
        given: dict[str, Any] = {
            "uid IN (SELECT value FROM json_each(?))": json.dumps(list(uids)) if uids else None,
            "state IN (SELECT value FROM json_each(?))": (
                json.dumps(list(states)) if len(states) > 1 else None
            ),
            "state = ?": next(iter(states)) if len(states) == 1 else None,
            "patient_id IN (?, '\\')": patient_id or None,
        }
        given = {condition: value for condition, value in given.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        statement = f"SELECT uid, data FROM workitem {where} ORDER BY starts, uid"  # noqa: S608
        for uid, data in self._connection.rows(statement, tuple(given.values()), _PAGE):
            yield uid, bytes(data)

    def worklists(self) -> tuple[int, list[WorklistSubscription]]:
        """Subscriptions to what is created, and their revision."""
        (revision,) = self._execute("SELECT revision FROM worklist WHERE id = 1").fetchone()
        rows = self._execute(
            "SELECT ae_title, everything, matching, keys FROM subscriber"
            " WHERE everything IS NOT NULL OR matching IS NOT NULL ORDER BY ae_title"
        )
        return int(revision), [_subscription(row) for row in rows]

    def worklist_of(self, ae_title: str) -> WorklistSubscription | None:
        """What an AE has subscribed to of what is created; None: it is told of nothing."""
        row = self._execute(
            "SELECT ae_title, everything, matching, keys FROM subscriber WHERE ae_title = ?",
            (ae_title,),
        ).fetchone()
        return None if row is None else _subscription(row)

    def ae_titles(self) -> list[str]:
        """All who are told of anything."""
        rows = self._execute("SELECT ae_title FROM subscriber ORDER BY ae_title")
        return [title for (title,) in rows]

    def subscribers(self, uid: str) -> dict[str, bool]:
        """Who is told of a workitem: AE titles, and whether each has a deletion lock."""
        rows = self._execute(
            "SELECT ae_title, has_lock FROM workitem_subscriber WHERE workitem = ?", (uid,)
        )
        return {title: bool(has_lock) for title, has_lock in rows}

    def subscribed_to(self, ae_title: str, after: str, limit: int) -> list[tuple[str, bytes]]:
        """The workitems that an AE is told of, by their UIDs.

        Args:
            ae_title: who.
            after: the UID behind which they are.
            limit: how many at the most.
        """
        rows = self._execute(
            "SELECT uid, data FROM workitem_subscriber JOIN workitem ON uid = workitem"
            " WHERE ae_title = ? AND workitem > ? ORDER BY workitem LIMIT ?",
            (ae_title, after, limit),
        )
        return [(uid, bytes(data)) for uid, data in rows]

    def events_of(self, ae_title: str) -> tuple[int, int, int]:
        """The events of an AE: up to which number they were taken, are gone, and are there."""
        row = self._execute(
            "SELECT taken, newest, (SELECT min(number) FROM workitem_event AS event"
            " WHERE event.ae_title = subscriber.ae_title) FROM subscriber WHERE ae_title = ?",
            (ae_title,),
        ).fetchone()
        if row is None:
            return 0, 0, 0
        taken, newest, first = row
        return int(taken), int(newest if first is None else first - 1), int(newest)

    def next_event(self, ae_title: str, after: int) -> tuple[int, int, _Told] | None:
        """The next event of an AE behind a number; None if there is none.

        Returns:
            How many were lost before it, its number, and itself.
        """
        row = self._execute(
            "SELECT begun, number, workitem, type_id, attributes FROM workitem_event AS event"
            " JOIN subscriber ON subscriber.ae_title = event.ae_title"
            " WHERE event.ae_title = ? AND number > ? ORDER BY number LIMIT 1",
            (ae_title, after),
        ).fetchone()
        if row is None:
            return None
        begun, number, *told = row
        uid, type_id, attributes = told
        return number - 1 - max(after, begun), number, (uid, type_id, attributes)


def _subscription(row: tuple[str, int | None, int | None, str | None]) -> WorklistSubscription:
    ae_title, everything, matching, keys = row
    return WorklistSubscription(
        ae_title,
        None if everything is None else bool(everything),
        None if matching is None else bool(matching),
        keys,
    )
