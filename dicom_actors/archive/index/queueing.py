"""The queue of what is to be sent on: changes to its rows, and what is asked of it.

Rows of one study wait for a destination in a lane, and leave it in the order in which they came:
the lane says which is the first and when that may be tried. So the next row of a destination is
found by the lane of the highest priority whose first row is the oldest, whatever else waits.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.index.changes import (
    CommitmentAsked,
    CommitmentReported,
    Delivered,
    DestinationLeft,
    DestinationTaken,
    LateRouted,
    Level,
    Outcome,
    QueueCommand,
    Refused,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors.archive.index.changes import NewInstance, QueueChange, Queued
    from dicom_actors.archive.index.database import Connection

__all__ = ["QueueReader", "QueueStatus", "QueueWriting", "QueuedItem"]

_ENGINE: Final = 0
"""Stands in `sending` for the engine, as no destination has this number."""
_WAITING: Final = 0
_COMMITTING: Final = 1
_SET_ASIDE: Final = 2
_STATES: Final = {_WAITING: "waiting", _COMMITTING: "committing", _SET_ASIDE: "set_aside"}
_LANES: Final = 64
_LONGEST_ERROR: Final = 400

_INSERT: Final = """
    INSERT INTO queued
    (destination, study_instance_uid, series_instance_uid, sop_instance_uid, route, priority,
    since) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
_UPSERT_LANE: Final = """
    INSERT INTO lane (destination, study_instance_uid, priority, first) VALUES (?, ?, ?, ?)
    ON CONFLICT (destination, study_instance_uid)
    DO UPDATE SET priority = max(lane.priority, excluded.priority),
        first = min(lane.first, excluded.first)
"""
_ITEM: Final = """
    id, study_instance_uid, series_instance_uid, sop_instance_uid, route, attempts, since, error,
    sent_as
"""


class QueuedItem(NamedTuple):
    """A row of the queue.

    Attributes:
        id: its number, in the order of arrival.
        study_instance_uid: of what is to be sent.
        series_instance_uid: likewise; empty: all of the study.
        sop_instance_uid: likewise; empty: all of the series.
        route: the name of the route by which it is sent.
        attempts: how often it was tried in vain.
        since: when it came, in seconds since the epoch.
        error: why the last attempt failed; None: none did.
        sent_as: the SOP Instance UID that it was sent as, where commitment is awaited.
    """

    id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    route: str
    attempts: int
    since: float
    error: str | None
    sent_as: str | None


class QueueStatus(NamedTuple):
    """How the queue of a destination is.

    Attributes:
        destination: its name.
        is_paused: whether somebody has paused it.
        waiting: rows that wait to be sent.
        committing: rows that are sent, and whose commitment is awaited.
        set_aside: rows that are not tried any more, until somebody says so.
        delivered: rows that are done, since there is the archive.
        oldest: when the oldest that waits came, in seconds since the epoch; None: none waits.
        last_error: the last failure in words; None: there was none.
    """

    destination: str
    is_paused: bool
    waiting: int
    committing: int
    set_aside: int
    delivered: int
    oldest: float | None
    last_error: str | None


class QueueWriting:
    """Writes what changes in the queue, within a transaction that the caller holds.

    Args:
        connection: the one that writes.
        node: who writes, among those that share the index; empty: nobody else does.
    """

    def __init__(self, connection: Connection, node: str = "") -> None:
        self._node = node
        # What others may change at the same time is theirs, or ours, until all is written.
        self._for_update = " FOR UPDATE" if node else ""
        self._execute = connection.execute
        self._many = connection.executemany
        self._numbers: dict[str, int] = {}
        self._counts: Counter[tuple[int, str]] = Counter()
        # Lanes that have lost rows, and when each may be tried.
        self._touched: dict[tuple[int, str], float] = {}
        self._errors: dict[int, str] = {}

    def _clear(self) -> None:
        self._counts.clear()
        self._touched.clear()
        self._errors.clear()

    def forget(self) -> None:
        """Forget what is remembered of rows."""
        self._numbers.clear()
        self._clear()

    def finish(self) -> None:
        """Write the counters, and where lanes begin."""
        for (destination, study), due in sorted(self._touched.items()):
            if self._node:
                # Else a row that another one has just put into a lane would go with the lane.
                self._execute(
                    "SELECT 1 FROM lane WHERE destination = ? AND study_instance_uid = ?"
                    " FOR UPDATE",
                    (destination, study),
                )
            first = self._execute(
                "SELECT id FROM queued WHERE destination = ? AND study_instance_uid = ?"
                " AND state = 0 ORDER BY id LIMIT 1",
                (destination, study),
            ).fetchone()
            if first is None:
                self._execute(
                    "DELETE FROM lane WHERE destination = ? AND study_instance_uid = ?",
                    (destination, study),
                )
            else:
                self._execute(
                    "UPDATE lane SET first = ?, due = ?"
                    " WHERE destination = ? AND study_instance_uid = ?",
                    (first[0], due, destination, study),
                )
        for (destination, what), count in sorted(self._counts.items()):
            if count:
                self._execute(
                    f"UPDATE destination SET {what} = {what} + ? WHERE id = ?",  # noqa: S608
                    (count, destination),
                )
        if self._errors:
            self._many(
                "UPDATE destination SET last_error = ? WHERE id = ?",
                [(error[:_LONGEST_ERROR], number) for number, error in self._errors.items()],
            )
        self._clear()

    # --- what comes ------------------------------------------------------------------------

    def arrived(self, new: NewInstance) -> tuple[str, ...]:
        """Queue an instance that has its row now; returns the destinations that have to do."""
        uid = new.description.sop_instance_uid
        if new.is_adopted:
            self._execute("INSERT INTO unrouted VALUES (?) ON CONFLICT DO NOTHING", (uid,))
        return self._queue(
            new.queued,
            new.description.study_instance_uid,
            new.description.series_instance_uid,
            uid,
            new.received,
        )

    def came_again(self, new: NewInstance) -> tuple[str, ...]:
        """Queue an instance that was there, but only as what a crash had left."""
        if not new.queued or not self._take_unrouted(new.description.sop_instance_uid):
            return ()
        return self.arrived(new)

    def _take_unrouted(self, sop_instance_uid: str) -> bool:
        taken = self._execute(
            "DELETE FROM unrouted WHERE sop_instance_uid = ?", (sop_instance_uid,)
        )
        return taken.rowcount > 0

    def _queue(
        self, queued: Iterable[Queued], study: str, series: str, instance: str, received: float
    ) -> tuple[str, ...]:
        destinations = []
        for one in queued:
            if one.level is Level.INSTANCE:
                number = self._number(one.destination)
                self._insert(number, study, series, instance, one.route, one.priority, received)
                destinations.append(one.destination)
                continue
            self._execute(
                "INSERT INTO routed_study VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                (
                    study,
                    series if one.level is Level.SERIES else "",
                    one.route,
                    one.destination,
                    one.priority,
                    int(one.is_whole),
                ),
            )
        return tuple(destinations)

    def _insert(
        self,
        destination: int,
        study: str,
        series: str,
        instance: str,
        route: str,
        priority: int,
        since: float,
    ) -> None:
        values = (destination, study, series, instance, route, priority, since)
        (row,) = self._execute(_INSERT, values).fetchone()
        self._execute(_UPSERT_LANE, (destination, study, priority, row))
        self._counts[destination, "waiting"] += 1

    def _number(self, destination: str) -> int:
        if (known := self._numbers.get(destination)) is not None:
            return known
        self._execute(
            "INSERT INTO destination (name) VALUES (?) ON CONFLICT DO NOTHING", (destination,)
        )
        (number,) = self._execute(
            "SELECT id FROM destination WHERE name = ?", (destination,)
        ).fetchone()
        self._numbers[destination] = number
        return int(number)

    def complete(self, study: str) -> tuple[str, ...]:
        """Queue what waited for a study to be complete, or complete again."""
        destinations = []
        marks = self._execute(
            "SELECT series_instance_uid, route, destination, priority, is_whole, last"
            " FROM routed_study WHERE study_instance_uid = ?",
            (study,),
        ).fetchall()
        for series, route, destination, priority, is_whole, last in marks:
            in_series = " AND series.series_instance_uid = ?" if series else ""
            found = self._execute(
                "SELECT instance.id, series.series_instance_uid, instance.sop_instance_uid,"  # noqa: S608
                " instance.received"
                " FROM study JOIN series ON series.study = study.id"
                " JOIN instance ON instance.series = series.id"
                " WHERE study.study_instance_uid = ? AND instance.id > ?"
                f"{in_series} ORDER BY instance.id",
                (study, last, *([series] if series else ())),
            ).fetchall()
            if not found:
                continue
            number = self._number(destination)
            if is_whole:
                self._insert(number, study, series, "", route, priority, found[-1][3])
            else:
                for _, of_series, instance, received in found:
                    self._insert(number, study, of_series, instance, route, priority, received)
            self._execute(
                "UPDATE routed_study SET last = ? WHERE study_instance_uid = ?"
                " AND series_instance_uid = ? AND route = ? AND destination = ?",
                (found[-1][0], study, series, route, destination),
            )
            destinations.append(destination)
        return tuple(destinations)

    def instance_removed(self, study: str, row: int) -> None:
        """The row of an instance is gone, and its number may be that of the next one."""
        self._execute(
            "UPDATE routed_study SET last = last - 1 WHERE study_instance_uid = ? AND last = ?",
            (study, row),
        )

    def study_removed(self, study: str) -> None:
        """There is no such study any more."""
        self._execute("DELETE FROM routed_study WHERE study_instance_uid = ?", (study,))

    # --- what becomes of it ----------------------------------------------------------------

    def apply(self, change: QueueChange) -> Outcome:
        """Do one change."""
        if isinstance(change, Delivered):
            return self._deliver(change)
        if isinstance(change, Refused):
            return self._refuse(change)
        if isinstance(change, CommitmentAsked):
            return self._ask(change)
        if isinstance(change, CommitmentReported):
            return self._report(change)
        if isinstance(change, LateRouted):
            return self._route_late(change)
        if isinstance(change, DestinationTaken):
            return self._take_destination(change.destination)
        if isinstance(change, DestinationLeft):
            return self._leave_destination(change.destination)
        return self._command(change)

    def _deliver(self, change: Delivered) -> Outcome:
        row = self._execute(
            "DELETE FROM queued WHERE id = ? RETURNING destination, study_instance_uid, state",
            (change.id,),
        ).fetchone()
        if row is None:
            return Outcome(Result.MISSING)
        self._leave(*row)
        self._counts[row[0], "delivered"] += 1
        return Outcome(Result.NOTED)

    def _leave(self, destination: int, study: str, state: int) -> None:
        self._counts[destination, _STATES[state]] -= 1
        if state == _WAITING:
            self._touched.setdefault((destination, study), 0.0)

    def _refuse(self, change: Refused) -> Outcome:
        state = _SET_ASIDE if change.due is None else _WAITING
        row = self._execute(
            "SELECT destination, study_instance_uid, state FROM queued WHERE id = ?"  # noqa: S608
            f"{self._for_update}",
            (change.id,),
        ).fetchone()
        if row is None:
            return Outcome(Result.MISSING)
        destination, study, before = row
        self._execute(
            "UPDATE queued SET attempts = attempts + ?, state = ?, error = ?, due = NULL,"
            " transaction_uid = NULL WHERE id = ?",
            (change.attempts, state, change.error[:_LONGEST_ERROR], change.id),
        )
        self._leave(destination, study, before)
        self._counts[destination, _STATES[state]] += 1
        self._errors[destination] = change.error
        if state == _WAITING:
            self._wait_again(destination, study, change.id)
            self._touched[destination, study] = change.due or 0.0
        return Outcome(Result.NOTED)

    def _wait_again(self, destination: int, study: str, row: int) -> None:
        (priority,) = self._execute("SELECT priority FROM queued WHERE id = ?", (row,)).fetchone()
        self._execute(_UPSERT_LANE, (destination, study, priority, row))

    def _ask(self, change: CommitmentAsked) -> Outcome:
        count = 0
        for row, sent_as in change.rows:
            found = self._execute(
                "SELECT destination, study_instance_uid, state FROM queued WHERE id = ?"  # noqa: S608
                f"{self._for_update}",
                (row,),
            ).fetchone()
            if found is None:
                continue
            self._execute(
                "UPDATE queued SET state = 1, transaction_uid = ?, sent_as = ?, due = ?"
                " WHERE id = ?",
                (change.transaction_uid, sent_as, change.due, row),
            )
            self._leave(*found)
            self._counts[found[0], "committing"] += 1
            count += 1
        return Outcome(Result.NOTED if count else Result.MISSING)

    def _report(self, change: CommitmentReported) -> Outcome:
        rows = self._execute(
            "SELECT id, sent_as, destination, study_instance_uid, attempts FROM queued"  # noqa: S608
            f" WHERE transaction_uid = ? AND state = 1 ORDER BY id{self._for_update}",
            (change.transaction_uid,),
        ).fetchall()
        failed = dict(change.failed)
        destinations = set()
        most = change.most_attempts
        for row, sent_as, destination, study, attempts in rows:
            if sent_as in change.kept:
                self._execute("DELETE FROM queued WHERE id = ?", (row,))
                self._leave(destination, study, _COMMITTING)
                self._counts[destination, "delivered"] += 1
            elif sent_as in failed:
                is_over = most is not None and attempts + 1 >= most
                self._refuse(Refused(row, failed[sent_as], None if is_over else change.due))
            destinations.add(destination)
        return Outcome(
            Result.NOTED if rows else Result.MISSING, queued=tuple(map(self._name, destinations))
        )

    def _name(self, number: int) -> str:
        (name,) = self._execute("SELECT name FROM destination WHERE id = ?", (number,)).fetchone()
        return str(name)

    def _route_late(self, change: LateRouted) -> Outcome:
        if not self._take_unrouted(change.sop_instance_uid):
            return Outcome(Result.MISSING)
        uids = (
            change.study_instance_uid,
            change.series_instance_uid,
            change.sop_instance_uid,
        )
        return Outcome(
            Result.NOTED, queued=self._queue(change.queued, *uids, received=change.received)
        )

    # --- who sends -------------------------------------------------------------------------

    def _take_destination(self, destination: str | None) -> Outcome:
        if not self._node:
            return Outcome(Result.NOTED)
        number = _ENGINE if destination is None else self._number(destination)
        self._execute(
            "INSERT INTO sending VALUES (?, ?) ON CONFLICT DO NOTHING", (number, self._node)
        )
        # Whoever is about to take it, too, has it: nobody waits.
        taken = self._execute(
            "UPDATE sending SET node = ? WHERE destination IN"
            " (SELECT destination FROM sending WHERE destination = ? AND (node = ? OR NOT EXISTS"
            " (SELECT 1 FROM node WHERE name = sending.node AND keeper = name"
            " AND expires > clock_timestamp())) FOR UPDATE SKIP LOCKED)",
            (self._node, number, self._node),
        )
        return Outcome(Result.NOTED if taken.rowcount else Result.MISSING)

    def _leave_destination(self, destination: str | None) -> Outcome:
        number = _ENGINE if destination is None else self._number(destination)
        left = self._execute(
            "DELETE FROM sending WHERE node = ? AND destination = ?", (self._node, number)
        )
        return Outcome(Result.NOTED if left.rowcount else Result.MISSING)

    # --- what somebody wants ---------------------------------------------------------------

    def _command(self, command: QueueCommand) -> Outcome:
        everywhere = command.destination is None
        rows = self._execute(
            f"SELECT id, name FROM destination{'' if everywhere else ' WHERE name = ?'}",  # noqa: S608
            () if everywhere else (command.destination,),
        ).fetchall()
        if not rows:
            return Outcome(Result.MISSING)
        act = {
            "pause": self._pause,
            "resume": self._resume,
            "retry": self._retry,
            "drop": self._drop,
        }[command.action]
        count = sum(act(number) for number, _ in rows)
        return Outcome(Result.NOTED, rows=count, queued=tuple(name for _, name in rows))

    def _pause(self, number: int) -> int:
        self._execute("UPDATE destination SET paused = 1 WHERE id = ?", (number,))
        return 1

    def _resume(self, number: int) -> int:
        self._execute("UPDATE destination SET paused = 0 WHERE id = ?", (number,))
        return 1

    def _retry(self, number: int) -> int:
        """Try again at once what was set aside, and what waits for its time."""
        rows = self._execute(
            "UPDATE queued SET state = 0, attempts = 0 WHERE destination = ? AND state = 2"
            " RETURNING id, study_instance_uid",
            (number,),
        ).fetchall()
        for row, study in rows:
            self._wait_again(number, study, row)
        self._counts[number, "set_aside"] -= len(rows)
        self._counts[number, "waiting"] += len(rows)
        self._execute("UPDATE lane SET due = 0 WHERE destination = ? AND due > 0", (number,))
        self._execute("UPDATE queued SET due = 0 WHERE destination = ? AND state = 1", (number,))
        return len(rows)

    def _drop(self, number: int) -> int:
        """Remove what was set aside."""
        dropped = self._execute(
            "DELETE FROM queued WHERE destination = ? AND state = 2", (number,)
        ).rowcount
        self._counts[number, "set_aside"] -= dropped
        return int(dropped)


class QueueReader:
    """What is asked of the queue, from a snapshot.

    Args:
        connection: within a transaction that only reads.
    """

    def __init__(self, connection: Connection) -> None:
        self._execute = connection.execute

    def number_of(self, destination: str) -> tuple[int, bool] | None:
        """The number of a destination, and whether it is paused; None: nothing ever came."""
        row = self._execute(
            "SELECT id, paused FROM destination WHERE name = ?", (destination,)
        ).fetchone()
        return None if row is None else (int(row[0]), bool(row[1]))

    def sender_of(self, number: int = _ENGINE) -> str:
        """The node that sends to a destination, or else to the engine; empty: none does.

        For an index that several share.
        """
        row = self._execute(
            "SELECT node FROM sending JOIN node ON node.name = sending.node"
            " WHERE destination = ? AND keeper = name AND expires > clock_timestamp()",
            (number,),
        ).fetchone()
        return "" if row is None else str(row[0])

    def head(self, number: int, now: float, limit: int) -> list[QueuedItem]:
        """The rows that are to be sent next: each study's in their order, from its first.

        Args:
            number: of the destination.
            now: seconds since the epoch; studies whose time has not come are left out.
            limit: how many are given at most.
        """
        ready = self._execute(
            "SELECT priority, first, study_instance_uid FROM lane"
            " WHERE destination = ? AND due = 0 ORDER BY priority DESC, first LIMIT ?",
            (number, min(limit, _LANES)),
        ).fetchall()
        ready += self._execute(
            "SELECT priority, first, study_instance_uid FROM lane"
            " WHERE destination = ? AND due > 0 AND due <= ? ORDER BY due LIMIT ?",
            (number, now, min(limit, _LANES)),
        ).fetchall()
        if not ready:
            return []
        ready.sort(key=lambda lane: (-lane[0], lane[1]))
        each = max(1, limit // len(ready))
        found: list[tuple[int, QueuedItem]] = []
        for priority, _, study in ready[:limit]:
            rows = self._execute(
                f"SELECT {_ITEM} FROM queued WHERE destination = ?"  # noqa: S608
                " AND study_instance_uid = ? AND state = 0 ORDER BY id LIMIT ?",
                (number, study, each),
            )
            found += [(-priority, QueuedItem(*row)) for row in rows]
        found.sort()
        return [item for _, item in found]

    def next_due(self, number: int) -> float | None:
        """When a study is tried again that failed, or commitment asked for again; None: never."""
        dues = [
            self._execute(statement, (number,)).fetchone()[0]
            for statement in (
                "SELECT min(due) FROM lane WHERE destination = ? AND due > 0",
                "SELECT min(due) FROM queued WHERE destination = ? AND state = 1",
            )
        ]
        return min((float(due) for due in dues if due is not None), default=None)

    def uncommitted(self, number: int, now: float, limit: int) -> list[QueuedItem]:
        """Rows that are sent, and whose commitment was awaited for long enough."""
        rows = self._execute(
            f"SELECT {_ITEM} FROM queued WHERE destination = ? AND state = 1 AND due <= ?"  # noqa: S608
            " ORDER BY due LIMIT ?",
            (number, now, limit),
        )
        return [QueuedItem(*row) for row in rows]

    def set_aside(self, destination: str, limit: int = 100) -> list[QueuedItem]:
        """Rows that are not tried any more, the oldest first."""
        found = self.number_of(destination)
        if found is None:
            return []
        rows = self._execute(
            f"SELECT {_ITEM} FROM queued WHERE destination = ? AND state = 2"  # noqa: S608
            " ORDER BY id LIMIT ?",
            (found[0], limit),
        )
        return [QueuedItem(*row) for row in rows]

    def is_unrouted(self, sop_instance_uid: str) -> bool:
        """Whether an instance is there only as what a crash had left."""
        found = self._execute(
            "SELECT 1 FROM unrouted WHERE sop_instance_uid = ?", (sop_instance_uid,)
        ).fetchone()
        return found is not None

    def statuses(self) -> Iterator[QueueStatus]:
        """How each queue is, by the names of the destinations."""
        rows = self._execute(
            "SELECT name, paused, waiting, committing, set_aside, delivered,"
            " (SELECT since FROM queued WHERE destination = destination.id AND state = 0"
            " ORDER BY id LIMIT 1), last_error FROM destination ORDER BY name"
        )
        for name, paused, *rest in rows:
            yield QueueStatus(name, bool(paused), *_typed(rest))


def _typed(rest: list[Any]) -> tuple[int, int, int, int, float | None, str | None]:
    waiting, committing, set_aside, delivered, oldest, error = rest
    return waiting, committing, set_aside, delivered, oldest, error
