"""The JournalStore: the one who writes the journal.

It takes what waits, writes it behind what is there, synchronizes it once, and hands it on to the
IndexWriter, which answers. So many senders share one synchronization, and the next group is
written while the rows of this one are committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.archive.actors.gathering import Gathering
from dicom_actors.archive.actors.index_writer import WriteRows
from dicom_actors.archive.actors.unpacker import Unpack
from dicom_actors.archive.files import JournalWriter
from dicom_actors.archive.files.journal import name_of
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from dicom_actors.archive.actors.kernel import ArchiveKernel
    from dicom_actors.archive.index import Duplicates, NewInstance, Queued
    from dicom_actors.archive.upkeep import Intake
    from dicom_actors.supervision import Reply

__all__ = ["CloseJournal", "JournalStore", "Keep"]

_OLDEST_IN_QUIET_TIMES = 15
"""A journal to which little comes, but always something, is unpacked at so many times the time
after which one is that nothing comes to."""


class Keep(NamedTuple):
    """To the JournalStore, a call: keep an object; the IndexWriter answers with an `Outcome`.

    Attributes:
        intake: what the index is told of it.
        header: what stands before the data set.
        data: the data set; it must stay as it is until there is an answer.
        duplicates: see `NewInstance`.
        queued: likewise.
    """

    intake: Intake
    header: bytes | memoryview
    data: bytes | memoryview
    duplicates: Duplicates
    queued: tuple[Queued, ...] = ()


class CloseJournal(NamedTuple):
    """To the JournalStore, a call or a cast: what came before goes on its way to files.

    When a call is answered, all of it is.
    """


class JournalStore(Gathering[tuple[Keep, "Reply"]]):
    """See the module.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        super().__init__(kernel.settings.group, kernel.settings.group_seconds)
        self._kernel = kernel
        self._journal: JournalWriter | None = None
        self._begun = 0.0

    def handle_call(self, message: Any) -> Any:
        """Take an object. Runs in the JournalStore's thread."""
        if isinstance(message, Keep):
            self.gather((message, self.defer_reply()))
            return None
        if isinstance(message, CloseJournal):
            self.finish()
            self._close()
            return True
        return super().handle_call(message)

    def handle_cast(self, message: Any) -> Any:
        """Have what came on its way to files. Runs in the JournalStore's thread."""
        if not isinstance(message, CloseJournal):
            return super().handle_cast(message)
        self.finish()
        self._close()
        return None

    def quiet_time(self) -> float | None:
        """See `Gathering`."""
        return None if self._journal is None else self._kernel.settings.journal_seconds

    def handle_quiet(self) -> None:
        """See `Gathering`. Runs in the JournalStore's thread."""
        self._close()

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - any
        """Leave the journal to the next start. Runs in the JournalStore's thread."""
        if self._journal is not None:
            self._journal.close()

    def work_off(self, items: list[tuple[Keep, Reply]]) -> None:
        """Write a group, synchronize it, hand it on. Runs in the JournalStore's thread."""
        needed = sum(keep.intake.size for keep, _ in items)
        try:
            self._kernel.look_at_disk(needed)
            journal = self._open()
        except (OSError, ArchiveError) as error:
            for _, reply in items:
                reply.fail(error)
            return
        rows = self._append(journal, items)
        try:
            if rows:
                journal.synchronize()
                journal.check()
        except OSError as error:
            journal.is_sound = False
            for _, reply in rows:
                reply.fail(error)
        else:
            self._hand_on(rows)
        settings = self._kernel.settings
        age = self.system.clock.monotonic() - self._begun
        is_old = age > _OLDEST_IN_QUIET_TIMES * settings.journal_seconds
        if not journal.is_sound or is_old or journal.length >= settings.journal_bytes:
            self._close()

    def _append(
        self, journal: JournalWriter, items: list[tuple[Keep, Reply]]
    ) -> list[tuple[NewInstance, Reply]]:
        rows = []
        received = self._kernel.now()
        for keep, reply in items:
            intake = keep.intake
            try:
                if not journal.is_sound:
                    raise OSError("the journal cannot be written")  # noqa: TRY301 - as append's
                location = journal.append(
                    intake.sop_instance_uid,
                    keep.header,
                    keep.data,
                    received=received,
                    checksum=intake.checksum,
                )
            except OSError as error:
                reply.fail(error)
            else:
                row = intake.row(location, received, keep.duplicates, keep.queued)
                rows.append((row, reply))
        return rows

    def _hand_on(self, rows: list[tuple[NewInstance, Reply]]) -> None:
        if not rows:
            return
        replies = [reply for _, reply in rows]
        self._kernel.owe(replies)
        if not self._kernel.tell("index", WriteRows(rows)):
            self._kernel.settle(replies)
            for reply in replies:
                reply.fail(ArchiveError("the archive's index writer is not there just now"))

    def _open(self) -> JournalWriter:
        if self._journal is not None and not self._journal.name.startswith(
            f"{self._kernel.store.journal}/"
        ):
            self._close()  # others may take it to be left behind
        if self._journal is None:
            kernel = self._kernel
            self._close()
            folder = kernel.store.journal
            number = kernel.new_journal()
            kernel.current_journal = name_of(number, folder)
            self._journal = JournalWriter(kernel.store.file_system, number, folder)
            self._begun = self.system.clock.monotonic()
        return self._journal

    def _close(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
        kernel = self._kernel
        # It may also be that of one that crashed.
        name, kernel.current_journal = kernel.current_journal, ""
        if name:
            kernel.tell("unpacker", Unpack(name))
