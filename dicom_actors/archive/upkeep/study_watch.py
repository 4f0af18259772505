"""When a study counts as complete: what is asked of a clock, of associations and of the index.

A study that instances came to is told of when none has come for a quiet time; earlier if somebody
has evidence that all is there; and in no case while an association is open that has sent to it.
That it is to be told of stands in the index, in the same transaction as what has come: whatever
crashes, it is told of once, after a quiet time that begins with the start. What comes later makes
an update of it, and no second completion.

Times are of a clock that nobody sets back. Whoever calls it, and when, is left to `StudyWatcher`.
"""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.index import Result, StudyTold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from dicom_actors.archive.index import Outcome

    class PendingStudies(Protocol):
        """What is asked of the index. All of it raises ArchiveError."""

        def write(self, changes: Sequence[StudyTold]) -> list[Outcome]:
            """Write changes in one transaction."""

        def pending_studies(self) -> list[tuple[str, int]]:
            """See `IndexReader.pending_studies`."""

        def pending_revision(self, study_instance_uid: str) -> int | None:
            """See `IndexReader.pending_revision`."""


__all__ = ["QUIET", "Senders", "StudyWatch"]

QUIET: Final = "nothing came for a while"
_RECHECK: Final = 5.0
"""Seconds after which it is looked again whether an association is open still."""
_MOST_AT_ONCE: Final = 256


class Senders:
    """Which associations have sent to which studies; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._studies: dict[int, set[str]] = {}

    def note(self, association: int, study_instance_uid: str) -> bool:
        """An association is about to send to a study; returns whether that is news."""
        # Most often it is known: only its own thread adds to what an association has sent.
        known = self._studies.get(association)
        if known is not None and study_instance_uid in known:
            return False
        with self._lock:
            self._studies.setdefault(association, set()).add(study_instance_uid)
        return True

    def forget(self, association: int, study_instance_uid: str) -> None:
        """It was nothing that changed the study."""
        with self._lock:
            studies = self._studies.get(association, set())
            studies.discard(study_instance_uid)
            if not studies:
                self._studies.pop(association, None)

    def busy_studies(self, open_associations: Callable[[], Iterable[int] | None]) -> set[str]:
        """The studies to which open associations have sent; the others are forgotten.

        Args:
            open_associations: gives those that are open; None: that cannot be known.
        """
        # One that comes after the question is not in the answer, and open all the same.
        asked = set(self._studies)
        known = open_associations()
        closed = set() if known is None else asked.difference(known)
        with self._lock:
            for association in closed:
                self._studies.pop(association, None)
            return set().union(*self._studies.values())


class StudyWatch:
    """Watches studies; for one thread.

    Args:
        pending: the index.
        senders: who has sent to which study.
        open_associations: gives the numbers of those that are open; None: nobody knows, so that
            none is taken to be closed.
        quiet_seconds: how long nothing must have come.
    """

    def __init__(
        self,
        pending: PendingStudies,
        senders: Senders,
        open_associations: Callable[[], Iterable[int] | None],
        quiet_seconds: float,
    ) -> None:
        self._pending = pending
        self._senders = senders
        self._open_associations = open_associations
        self._quiet = quiet_seconds
        self._due: dict[str, tuple[float, str]] = {}
        # The entry of a study may be earlier than what is due; others of its are void.
        self._heap: list[tuple[float, str]] = []
        self._entries: dict[str, float] = {}

    def begin(self, now: float) -> None:
        """Take up what is pending; raises ArchiveError."""
        self.changed([study for study, _ in self._pending.pending_studies()], now)

    def changed(self, studies: Iterable[str], now: float) -> None:
        """Instances have come to studies; whatever was evidence before is none any more."""
        for study in studies:
            self._put(study, now + self._quiet, QUIET)

    def has_evidence(self, study: str, reason: str, now: float) -> None:
        """Somebody says that all of a study is there; it is told of as soon as can be."""
        if study in self._due:
            self._put(study, now, reason)

    def is_due(self, study: str) -> bool:
        """Whether a study will be told of, now or later."""
        return study in self._due

    def is_awaited(self, study: str) -> bool:
        """Whether it will be looked whether a study is due, now or later; any thread may ask."""
        return study in self._entries

    def next_due(self) -> float | None:
        """When there is something to look at; None: nothing is pending."""
        return self._heap[0][0] if self._heap else None

    def look(self, now: float) -> None:
        """Tell of what is due.

        Raises:
            ArchiveError: the index cannot be read or written; all is due still.
        """
        due = self._take_due(now)
        if not due:
            return
        try:
            told = self._told(due, now)
            if told:
                self._tell(told, now)
        except BaseException:
            for study, reason in due:
                self._put(study, now + _RECHECK, reason)
            raise

    def _tell(self, told: list[StudyTold], now: float) -> None:
        outcomes = self._pending.write(told)
        for one, outcome in zip(told, outcomes, strict=True):
            study = one.study_instance_uid
            # Of what has changed a moment ago nothing is told: that change is on its way to us.
            # Or it has come to another node, or an association is open there.
            if (
                outcome.result is Result.MISSING
                and study not in self._due
                and self._pending.pending_revision(study) is not None
            ):
                self._put(study, now + min(_RECHECK, self._quiet), one.reason)

    def _take_due(self, now: float) -> list[tuple[str, str]]:
        due: list[tuple[str, str]] = []
        while self._heap and self._heap[0][0] <= now and len(due) < _MOST_AT_ONCE:
            entry, study = heapq.heappop(self._heap)
            if self._entries.get(study) != entry:
                continue
            when, reason = self._due.pop(study)
            del self._entries[study]
            if when > now:
                self._put(study, when, reason)
            else:
                due.append((study, reason))
        return due

    def _told(self, due: list[tuple[str, str]], now: float) -> list[StudyTold]:
        # In this order: who has brought what is in a revision was noted before; and of what comes
        # after that, the index knows that it is not meant.
        revisions = {study: self._pending.pending_revision(study) for study, _ in due}
        busy = self._senders.busy_studies(self._open_associations)
        told = []
        for study, reason in due:
            revision = revisions[study]
            if revision is None:
                continue  # it was deleted, or told of
            if study in busy:
                self._put(study, now + min(_RECHECK, self._quiet), reason)
            else:
                told.append(StudyTold(study, revision, reason))
        return told

    def _put(self, study: str, when: float, reason: str) -> None:
        self._due[study] = (when, reason)
        entry = self._entries.get(study)
        if entry is None or when < entry:
            self._entries[study] = when
            heapq.heappush(self._heap, (when, study))
