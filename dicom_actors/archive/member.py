"""An archive that several processes keep: one has its index, the others are members of it.

A member writes the bytes of objects itself, into a journal of its own or into ``incoming/``, and
reads the index itself, from snapshots. Rows it hands to the process that has the index, and answers
nobody before these are durable. Of storage commitment it tells whoever has asked it. The other one
also brings objects to their places, tells of complete studies, and when a member is gone takes care
of what it leaves: its journals are unpacked, its files are placed or taken in, as after a crash of
a process that is alone, and the commitments that it owed are told. What becomes of workitems it
tells those who listen at the other one; a member's own channels are not woken.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from dicom_actors.archive.actors import ArchiveKernel
from dicom_actors.archive.actors.index_writer import WriteRows
from dicom_actors.archive.actors.journal_store import CloseJournal
from dicom_actors.archive.actors.unpacker import Adopt, Unpack
from dicom_actors.archive.archive import Archive, checked_settings, store_in
from dicom_actors.archive.files import INCOMING, REBUILD, DiskFileSystem
from dicom_actors.archive.files.journal import name_of
from dicom_actors.archive.files.store import PART
from dicom_actors.archive.index_handle import INDEX_NAME, IndexHandle
from dicom_actors.errors import ArchiveError, DicomError
from dicom_actors.supervision import System

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from dicom_actors.archive.index import NewInstance, Outcome
    from dicom_actors.archive.services import Peer
    from dicom_actors.supervision import Reply

__all__ = ["HostedMember", "Link", "Member"]

_LOCAL: Final = "store"
_LISTED: Final = frozenset({"index", "unpacker"})


class Link(Protocol):
    """To the process that has the index."""

    def ask(self, value: Any, /, timeout: float | None) -> Any:
        """Ask, and wait for the answer; raises DicomError if nobody is there."""

    def begin(self, value: Any, /) -> Any:
        """Ask; gives the reply that comes later."""

    def tell(self, value: Any, /) -> None:
        """Send news."""


class _Kernel(ArchiveKernel):
    """That of a member: all actors but one are elsewhere."""

    def __init__(self, link: Link, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.link: Final = link

    def ask(self, name: str, message: Any) -> Any:
        """See `ArchiveKernel.ask`."""
        if name == _LOCAL:
            return super().ask(name, message)
        return self._ask("ask", name, message)

    def _ask(self, *value: Any) -> Any:
        try:
            return self.link.ask(value, timeout=self.settings.answer_timeout)
        except (ArchiveError, OSError):
            raise
        except Exception as error:
            raise ArchiveError(f"the archive's index could not be asked: {error}") from error

    def tell(self, name: str, message: Any) -> bool:
        """See `ArchiveKernel.tell`."""
        if name == _LOCAL:
            return super().tell(name, message)
        if isinstance(message, WriteRows):
            self._hand_on(message.rows)
        else:
            self.link.tell(("tell", name, message))
        return True

    def _hand_on(self, rows: list[tuple[NewInstance, Reply]]) -> None:
        replies = [reply for _, reply in rows]
        answer = self.link.begin(("rows", [row for row, _ in rows]))
        # One waits for one group: the next one is written to the journal meanwhile.
        threading.Thread(target=self._bring, args=(answer, replies), daemon=True).start()

    def _bring(self, answer: Reply, replies: list[Reply]) -> None:
        try:
            outcomes: list[Outcome | Exception] = answer.get()
        except Exception as error:  # noqa: BLE001 - theirs to hear
            outcomes = [ArchiveError(f"the archive's index is gone: {error}")] * len(replies)
        self.settle(replies)
        for reply, outcome in zip(replies, outcomes, strict=True):
            if isinstance(outcome, Exception):
                reply.fail(outcome)
            else:
                reply.offer(outcome)

    def new_journal(self) -> int:
        """See `ArchiveKernel.new_journal`; raises OSError if nobody is there."""
        try:
            return int(self._ask("journal"))
        except ArchiveError as error:
            raise OSError(f"no journal: {error}") from error


class Member(Archive):
    """An archive whose index another process has; made by `join`."""

    is_member = True

    @classmethod
    def join(
        cls,
        folder: str | os.PathLike[str],
        link: Link,
        *,
        now: Callable[[], float] = time.time,
        peers: Mapping[str, Peer] | None = None,
        worklist_folder: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Self:
        """Become a member of the archive in a folder, which another process has open.

        Args:
            folder: the folder.
            link: to that process, where a `HostedMember` takes what comes.
            now: gives the time, in seconds since 1970.
            peers: as for `Archive.open`.
            worklist_folder: as for `Archive.open`.
            **settings: see `ArchiveSettings`.

        Raises:
            ArchiveError: its index cannot be used.
            ConfigurationError: a setting is out of its range.
        """
        checked = checked_settings(settings)
        root = Path(folder).absolute()
        disk = DiskFileSystem(root, is_synchronous=checked.durability == "disk")
        store = store_in(root, disk, checked)
        index = IndexHandle(str(root / INDEX_NAME), checked.durability)
        index.create()
        link.tell(("member", store.prefix))
        kernel = _Kernel(link, checked, store, index, System(), now)
        return cls(kernel, None, {} if peers is None else peers, worklist_folder)

    @property
    def is_rebuilding(self) -> bool:
        """Whether the index is being made anew, and does not know of all there is."""
        return self.store.file_system.size(REBUILD) is not None

    @is_rebuilding.setter
    def is_rebuilding(self, value: bool) -> None:
        """Do nothing: the other process says so, by a file."""

    def _close_journal(self) -> None:
        self._kernel.ask(_LOCAL, CloseJournal())

    def close(self) -> None:
        """Hand on what was begun, and end; a second time does nothing."""
        if self._supervisor.is_alive():
            with contextlib.suppress(ArchiveError):
                self._close_journal()
            self._supervisor.stop()
            self._kernel.system.close()
        self._kernel.index.close()

    def sends(self, association: int, study_instance_uid: str) -> bool:
        """See `Archive.sends`."""
        is_news = super().sends(association, study_instance_uid)
        if is_news:
            self._tell("sends", association, study_instance_uid)
        return is_news

    def sends_not(self, association: int, study_instance_uid: str) -> None:
        """See `Archive.sends_not`."""
        super().sends_not(association, study_instance_uid)
        self._tell("sends_not", association, study_instance_uid)

    def _wake_reporter(self) -> None:
        super()._wake_reporter()
        self._tell("wake_reporter")  # it sees to what this one does not

    def _tell(self, *value: Any) -> None:
        assert isinstance(self._kernel, _Kernel)
        self._kernel.link.tell(value)


class HostedMember:
    """What the process that has the index does for one member.

    Args:
        archive: the archive.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._kernel = archive._kernel  # noqa: SLF001 - a part of the archive
        self._prefix = ""
        self._journals: set[str] = set()

    def take(self, value: tuple[Any, ...], answer: Any) -> None:
        """Do what the member wants; in the link's thread, which is not held up.

        Args:
            value: what came.
            answer: has ``offer`` and ``fail``.

        Raises:
            ArchiveError: it is nothing that a member may want.
        """
        match value:
            case ("rows", rows):
                self._write(rows, answer)
            case ("tell", str(name), message):
                if isinstance(message, Unpack):
                    self._is_closed(message.journal)
                self._kernel.tell(name, message)
            case ("ask", str(name), message) if name in _LISTED:
                arguments = (name, message, answer)
                threading.Thread(target=self._ask, args=arguments, daemon=True).start()
            case ("journal",):
                number = self._kernel.new_journal()
                self._journals.add(name_of(number))
                self._kernel.lent_journals.add(name_of(number))
                answer.offer(number)
            case ("member", str(prefix)):
                self._prefix = prefix
            case ("sends", int(association), str(study)):
                self._archive.sends(association, study)
            case ("sends_not", int(association), str(study)):
                self._archive.sends_not(association, study)
            case ("wake_reporter",):
                self._archive._wake_reporter()  # noqa: SLF001 - a part of the archive
            case _:
                raise ArchiveError(f"a member wants what there is not: {value[:1]!r:.60}")

    def _ask(self, name: str, message: Any, answer: Any) -> None:
        try:
            answer.offer(self._kernel.ask(name, message))
        except (DicomError, OSError) as error:
            answer.fail(error)

    def _write(self, rows: list[NewInstance], answer: Any) -> None:
        group = _Group(len(rows), answer)
        replies = [_RowReply(group, at) for at in range(len(rows))]
        self._kernel.owe(replies)  # type: ignore[arg-type] # they do what is needed of one
        pairs: Any = list(zip(rows, replies, strict=True))
        if not self._kernel.tell("index", WriteRows(pairs)):
            self._kernel.settle(replies)  # type: ignore[arg-type]
            for reply in replies:
                reply.fail(ArchiveError("the archive's index writer is not there just now"))

    def _is_closed(self, journal: str) -> None:
        self._journals.discard(journal)
        self._kernel.lent_journals.discard(journal)

    def ended(self) -> None:
        """The member is gone: what it leaves is taken care of."""
        for journal in sorted(self._journals):
            self._is_closed(journal)
            self._kernel.tell("unpacker", Unpack(journal))
        if not self._prefix:
            return
        disk = self._kernel.store.file_system
        with contextlib.suppress(OSError):
            names = [name for name in disk.names(INCOMING) if name.startswith(self._prefix)]
            for name in names:
                if name.endswith(PART):
                    disk.remove(f"{INCOMING}/{name}")
            whole = frozenset(name for name in names if not name.endswith(PART))
            if whole:
                self._kernel.tell("unpacker", Adopt(whole))


class _Group:
    """Rows that came in one message: they are answered in one, too."""

    def __init__(self, count: int, answer: Any) -> None:
        self._lock = threading.Lock()
        self._left = count
        self._outcomes: list[Any] = [None] * count
        self._answer = answer

    def settle(self, at: int, outcome: Any) -> bool:
        with self._lock:
            if self._outcomes[at] is not None:
                return False
            self._outcomes[at] = outcome
            self._left -= 1
            is_whole = not self._left
        if is_whole:
            self._answer.offer(self._outcomes)
        return True


class _RowReply:
    """Stands for who waits for one of these rows."""

    def __init__(self, group: _Group, at: int) -> None:
        self._group = group
        self._at = at

    def offer(self, outcome: Any) -> bool:
        return self._group.settle(self._at, outcome)

    def fail(self, error: BaseException) -> bool:
        return self._group.settle(self._at, error)
