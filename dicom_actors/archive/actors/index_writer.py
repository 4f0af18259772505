"""The IndexWriter: the one who writes to the index.

It takes what waits, writes it in one transaction, and answers everybody when that is durable. A
change that cannot be written fails alone: the others of its group are written without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.archive.actors.gathering import Gathering
from dicom_actors.archive.events import (
    InstanceDeleted,
    InstancesQueued,
    InstanceStored,
    StudyChanged,
    StudyComplete,
    StudyUpdated,
    WorkitemsTold,
)
from dicom_actors.archive.files import INCOMING, JOURNAL
from dicom_actors.archive.index import Duplicates, NewInstance, Result, StudyTold
from dicom_actors.archive.upkeep import Rows
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_actors.archive.actors.kernel import ArchiveKernel
    from dicom_actors.archive.index import Change, Outcome, StoredInstance
    from dicom_actors.supervision import Reply

__all__ = ["IndexRows", "IndexWriter", "Recover", "StudiesChanged", "WriteChanges", "WriteRows"]


_INCOMING = f"{INCOMING}/"
_JOURNAL = f"{JOURNAL}/"
_ARRIVED = frozenset({Result.NEW, Result.DIFFERENT})


class WriteChanges(NamedTuple):
    """To the IndexWriter, a call: write changes; answers with their outcomes."""

    changes: tuple[Change, ...]


class StudiesChanged(NamedTuple):
    """To the StudyWatcher, a cast: instances have come to studies.

    Attributes:
        studies: which; None: the index knows.
        at: when, by the system's clock; None: now.
    """

    studies: frozenset[str] | None
    at: float | None = None


class Recover(NamedTuple):
    """To the Unpacker, a cast: files in ``incoming/`` may have their rows; who looks finds them."""


class WriteRows(NamedTuple):
    """To the IndexWriter, a cast: write rows, and answer those who wait for each."""

    rows: list[tuple[NewInstance, Reply]]


class _Work(NamedTuple):
    changes: tuple[Change, ...]
    reply: Reply
    is_single: bool


class IndexWriter(Gathering[_Work]):
    """See the module.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        super().__init__(kernel.settings.group, kernel.settings.group_seconds)
        self._kernel = kernel

    def init(self) -> Any:
        """Answer for the one before, which has crashed. Runs in the IndexWriter's thread."""
        self._kernel.fail_owed(ArchiveError("the archive's index writer crashed"))
        # It may have been about to tell of what it had committed.
        self._kernel.tell("studies", StudiesChanged(None))
        self._kernel.tell("unpacker", Recover())

    def handle_call(self, message: Any) -> Any:
        """Take changes. Runs in the IndexWriter's thread."""
        if not isinstance(message, WriteChanges):
            return super().handle_call(message)
        self.gather(_Work(message.changes, self.defer_reply(), is_single=False))
        return None

    def handle_cast(self, message: Any) -> Any:
        """Take rows. Runs in the IndexWriter's thread."""
        if not isinstance(message, WriteRows):
            return super().handle_cast(message)
        self.gather(*(_Work((row,), reply, is_single=True) for row, reply in message.rows))
        return None

    def work_off(self, items: list[_Work]) -> None:
        """Write all of it in one transaction; or each by itself if that fails."""
        try:
            outcomes = self._write([change for work in items for change in work.changes])
        except ArchiveError as error:
            self._kernel.index.note(error)
            self._fail(items, error)
        except (ValueError, TypeError, ArithmeticError) as error:
            # Of something that a peer sent: the others are not to blame.
            if len(items) == 1:
                self._fail(items, ArchiveError(f"the index cannot keep this: {error}"))
                return
            for work in items:
                self.work_off([work])
        else:
            self._tell(items, outcomes)

    def _fail(self, items: list[_Work], error: ArchiveError) -> None:
        self._kernel.settle(work.reply for work in items)
        for work in items:
            work.reply.fail(error)

    def _write(self, changes: list[Change]) -> list[Outcome]:
        if changes:
            is_durable = not all(map(self._is_safe, changes))
            outcomes = self._kernel.index.get().write(changes, is_durable=is_durable)
        else:
            outcomes = []
        self._kernel.index.check()
        return outcomes

    def _is_safe(self, change: Change) -> bool:
        """Whether a start would find it out again after a power cut: the journal is safe already.

        It is so as long as there is one journal at a time, the objects of which come in the order
        in which they came. The journal goes when they have other rows, which have to be durable.
        """
        return (
            isinstance(change, NewInstance)
            and change.location.startswith(_JOURNAL)
            and change.duplicates is Duplicates.KEEP_FIRST
            and not change.queued
            and not self._kernel.lent_journals
        )

    def _tell(self, items: list[_Work], outcomes: list[Outcome]) -> None:
        changes = [change for work in items for change in work.changes]
        arrived = frozenset(
            change.description.study_instance_uid
            for change, outcome in zip(changes, outcomes, strict=True)
            if isinstance(change, NewInstance) and outcome.result in _ARRIVED
        )
        if arrived:
            # If nobody is there just now, they are found in the index. Before whoever waits hears
            # of it, who may have evidence to give then.
            changed = StudiesChanged(arrived, self.system.clock.monotonic())
            send = self._kernel.leave if self._kernel.can_wait(arrived) else self._kernel.tell
            send("studies", changed)
        if come := list(_files_that_came(changes)):
            # Before, too: who has his answer may want all that came before to have its place.
            self._kernel.unplaced.add(come)
        if told := frozenset(title for outcome in outcomes for title in outcome.told):
            # Before, too: who has changed a workitem may count on it that others are woken.
            self._kernel.publish([WorkitemsTold(told)])
        self._kernel.settle(work.reply for work in items)
        at = 0
        for work in items:
            mine = outcomes[at : at + len(work.changes)]
            at += len(mine)
            work.reply.offer(mine[0] if work.is_single else mine)
        if self._kernel.has_subscribers:
            self._kernel.publish(_events_of(changes, outcomes))


class IndexRows(Rows):
    """The index as `upkeep.Rows`, by way of the IndexWriter; any thread may use it.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        self._kernel = kernel

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `Rows.write`."""
        outcomes: list[Outcome] = self._kernel.ask("index", WriteChanges(tuple(changes)))
        return outcomes

    def versions_of_each(self, uids: Sequence[str]) -> dict[str, list[StoredInstance]]:
        """See `Rows.versions_of_each`."""
        with self._kernel.index.reader() as reader:
            return reader.versions_of_each(uids)

    def versions_in_journal(self, journal: str) -> list[StoredInstance]:
        """See `Rows.versions_in_journal`."""
        with self._kernel.index.reader() as reader:
            return reader.versions_in_journal(journal)


def _files_that_came(changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    """The files that wait for their places; not those that the Unpacker itself has found."""
    for change in changes:
        if (
            isinstance(change, NewInstance)
            and change.location.startswith(_INCOMING)
            and not change.is_adopted
        ):
            yield change.description.sop_instance_uid, change.location


def _events_of(changes: Sequence[Change], outcomes: Sequence[Outcome]) -> Iterator[Any]:
    studies: dict[str, None] = {}
    for change, outcome in zip(changes, outcomes, strict=True):
        if isinstance(change, NewInstance) and outcome.result is Result.NEW:
            what = change.description
            studies[what.study_instance_uid] = None
            yield InstanceStored(
                what.study_instance_uid,
                what.series_instance_uid,
                what.sop_instance_uid,
                change.size,
            )
        elif isinstance(change, StudyTold) and outcome.result is not Result.MISSING:
            kind = StudyComplete if outcome.result is Result.COMPLETE else StudyUpdated
            yield kind(change.study_instance_uid, change.reason)
        elif outcome.result is Result.DELETED and outcome.existing is not None:
            studies[outcome.existing.study_instance_uid] = None
            yield InstanceDeleted(*outcome.existing[:3])
    for study in studies:
        yield StudyChanged(study)
    if queued := frozenset(name for outcome in outcomes for name in outcome.queued):
        yield InstancesQueued(queued)
