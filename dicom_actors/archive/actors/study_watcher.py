"""The StudyWatcher: tells when studies are complete, by `StudyWatch`.

It hears of changes once they are committed. One that crashes leaves what is pending in the index,
and who has sent in the kernel.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.archive.actors.index_writer import IndexRows, StudiesChanged
from dicom_actors.archive.upkeep import StudyWatch
from dicom_actors.archive.upkeep.acquisitions import Acquisition, Acquisitions
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import Continue, SupervisedActor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.archive.actors.kernel import ArchiveKernel
    from dicom_actors.archive.index import Outcome, StudyTold

__all__ = ["Acquired", "Expected", "HasEvidence", "StudyWatcher"]

logger = logging.getLogger(__name__)

_MOST_EXPECTED = 1_000
_WHOLE = "all instances of Images in Acquisition are there"
_PAUSE = 10.0
"""Seconds after which it is tried again, when the index cannot be used."""


class HasEvidence(NamedTuple):
    """To the StudyWatcher, a cast: somebody says that all of a study is there."""

    study_instance_uid: str
    reason: str


class Expected(NamedTuple):
    """To the StudyWatcher, a cast: once these instances are there, all of a study is.

    It is forgotten with the process, or for others when there are many; the quiet time is for
    that.
    """

    study_instance_uid: str
    instances: tuple[str, ...]
    reason: str


class Acquired(NamedTuple):
    """To the StudyWatcher, a cast: an instance is there that says how many its acquisition has.

    That is forgotten with the process, too; and other processes are told their own alone.
    """

    study_instance_uid: str
    series_instance_uid: str
    acquisition: Acquisition


class _Look(NamedTuple):
    """To itself, by a timer."""

    number: int


class StudyWatcher(SupervisedActor):
    """See the module.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        super().__init__()
        self._watch = StudyWatch(
            _Pending(kernel),
            kernel.senders,
            kernel.open_associations,
            kernel.settings.study_quiet_seconds,
        )
        self._kernel = kernel
        self._expected: OrderedDict[str, tuple[list[str], str]] = OrderedDict()
        self._found: set[str] = set()
        self._acquisitions = Acquisitions()
        self._looks = 0
        self._next_look: float | None = None
        kernel.can_wait = self._looks_anyway

    def _looks_anyway(self, studies: frozenset[str]) -> bool:
        """Whether all of them will be looked at, and nothing follows from that before; any thread.

        What changes them is known then, if it was left in the inbox by that time. That a study is
        told of meanwhile takes the IndexWriter, which is the one who asks.
        """
        return all(
            self._watch.is_awaited(study) and study not in self._expected for study in studies
        )

    def init(self) -> Any:
        """Take up what is pending. Runs in the StudyWatcher's thread."""
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """Take up what is pending. Runs in the StudyWatcher's thread."""
        self._begin()

    def handle_cast(self, message: Any) -> Any:
        """Note what has changed. Runs in the StudyWatcher's thread."""
        if isinstance(message, StudiesChanged):
            if message.studies is None:
                self._begin()
            else:
                self._watch.changed(
                    message.studies, self._now() if message.at is None else message.at
                )
                for study in message.studies & self._expected.keys():
                    self._look_for(study)
                for study in message.studies:
                    self._count(study)
        elif isinstance(message, HasEvidence):
            self._watch.has_evidence(*message, self._now())
        elif isinstance(message, Expected):
            self._expected[message.study_instance_uid] = (list(message.instances), message.reason)
            while len(self._expected) > _MOST_EXPECTED:
                self._found.discard(self._expected.popitem(last=False)[0])
            self._look_for(message.study_instance_uid)
        elif isinstance(message, Acquired):
            self._acquisitions.came(*message)
            self._count(message.study_instance_uid)
        else:
            return super().handle_cast(message)
        self._look_later()
        return None

    def handle_info(self, message: Any) -> Any:
        """Look what is due. Runs in the StudyWatcher's thread."""
        if not isinstance(message, _Look):
            return super().handle_info(message)
        if message.number == -1:
            self._begin()
        elif message.number == self._looks:
            self._next_look = None
            try:
                self._watch.look(self._now())
            except ArchiveError as error:
                self._say(error)
            for study in [study for study in self._found if not self._watch.is_due(study)]:
                self._found.discard(study)
                self._expected.pop(study, None)
            self._look_later()
        return None

    def _look_for(self, study: str) -> None:
        """Look whether all that is expected of a study is there."""
        missing, reason = self._expected[study]
        try:
            with self._kernel.index.reader() as reader:
                while missing and reader.location_of(missing[-1]) is not None:
                    missing.pop()
        except ArchiveError as error:
            self._say(error)
            return
        if not missing:
            # Kept until it is told of: that the last one has come may be on its way to us still,
            # after the index has shown it, and a change makes evidence void.
            self._found.add(study)
            self._watch.has_evidence(study, reason, self._now())

    def _count(self, study: str) -> None:
        """Look whether all of a study's acquisitions are there, and nothing besides."""
        whole = self._acquisitions.whole(study)
        if whole is None:
            return
        try:
            with self._kernel.index.reader() as reader:
                is_whole = reader.size_of_study(study) == whole
        except ArchiveError as error:
            self._say(error)
            return
        if is_whole:
            self._found.add(study)
            self._watch.has_evidence(study, _WHOLE, self._now())

    def _begin(self) -> None:
        try:
            self._watch.begin(self._now())
        except ArchiveError as error:
            self._say(error)
            self.system.timers.send_after(_PAUSE, self.actor_ref, _Look(-1))
        # What was evidence may be so still.
        for study in list(self._found):
            if study in self._expected:
                self._look_for(study)
            else:
                self._count(study)
        self._look_later()

    def _look_later(self) -> None:
        due = self._watch.next_due()
        if due is None or (self._next_look is not None and self._next_look <= due):
            return
        self._next_look = due
        self._looks += 1  # an earlier look that is on its way is none any more
        pause = max(due - self._now(), 0.0)
        self.system.timers.send_after(pause, self.actor_ref, _Look(self._looks))

    def _now(self) -> float:
        return self.system.clock.monotonic()

    def _say(self, error: ArchiveError) -> None:
        text = "nobody is told of complete studies for now: %s"
        self.system.log.write(logger, logging.WARNING, text, error)


class _Pending:
    """What `StudyWatch` asks of the index."""

    def __init__(self, kernel: ArchiveKernel) -> None:
        self._kernel = kernel
        self._rows = IndexRows(kernel)

    def write(self, changes: Sequence[StudyTold]) -> list[Outcome]:
        return self._rows.write(changes)

    def pending_studies(self) -> list[tuple[str, int]]:
        with self._kernel.index.reader() as reader:
            return list(reader.pending_studies())

    def pending_revision(self, study_instance_uid: str) -> int | None:
        with self._kernel.index.reader() as reader:
            return reader.pending_revision(study_instance_uid)
