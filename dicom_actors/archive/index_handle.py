"""The index of an archive while its folder comes and goes."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.archive.index import Index
from dicom_actors.archive.upkeep import Rows
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dicom_actors.archive.index import Change, IndexReader, Outcome, StoredInstance

__all__ = ["DAMAGED_NAME", "INDEX_NAME", "IndexHandle", "SharedIndexHandle"]

INDEX_NAME: Final = "index.sqlite"
DAMAGED_NAME: Final = "index.sqlite.is-damaged"
"""A file that says, until the next start, that the index was found to be damaged."""


class IndexHandle:
    """The index, opened when it is needed, and again when it was away.

    Any thread may use it.

    Args:
        path: its file.
        durability: see `Index.open`.

    Attributes:
        is_shared: whether other processes may write it.
        is_first: whether none did when this one began to.
        unheard: those who seemed to then, and until when their leases were; those of whom nothing
            was heard since may have been gone already.
    """

    is_shared = False
    is_first = True
    unheard: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: str, durability: Any) -> None:
        self.path: Final = path
        self._note = Path(path).with_name(DAMAGED_NAME)
        self._durability = durability
        self._lock = threading.Lock()
        self._index: Index | None = None
        self._identity: tuple[int, int] | None = None

    def create(self) -> Index:
        """Open it, or make it; for the start, and for a start from nothing.

        Raises:
            ArchiveError: it cannot be.
        """
        with self._lock:
            old, self._index = self._index, None
            if old is not None:
                old.close()
            self._index = Index.open(self.path, durability=self._durability)
            self._identity = _identity_of(self.path)
            return self._index

    def get(self) -> Index:
        """The index as it is now.

        Raises:
            ArchiveError: its file is not there, or cannot be opened.
        """
        identity = _identity_of(self.path)
        with self._lock:
            if self._index is not None and identity == self._identity:
                return self._index
            if identity is None:
                raise ArchiveError(f"the index {self.path} is gone", "absent")
            old, self._index = self._index, None
            if old is not None:
                old.close()
            self._index = Index.open(self.path, durability=self._durability)
            self._identity = _identity_of(self.path)
            return self._index

    @contextlib.contextmanager
    def reader(self) -> Iterator[IndexReader]:
        """Lend a snapshot of it; that it is damaged is noted.

        Raises:
            ArchiveError: it cannot be read.
        """
        try:
            with self.get().reader() as reader:
                yield reader
        except ArchiveError as error:
            self.note(error)
            raise

    def check(self) -> None:
        """Make sure that what was written is where somebody will look for it.

        Raises:
            ArchiveError: its file has another place, or none.
        """
        if _identity_of(self.path) != self._identity:
            raise ArchiveError(f"the index {self.path} was removed", "absent")

    def exists(self) -> bool:
        """Whether its file is there, with anything in it: a power cut may leave an empty one."""
        try:
            return os.lstat(self.path).st_size > 0
        except OSError:
            return False

    def check_sound(self) -> None:
        """Make sure that nobody has found it to be damaged; what was noted is forgotten.

        Raises:
            ArchiveError: somebody has.
        """
        if self._note.exists():
            self._note.unlink()
            raise ArchiveError(f"the index {self.path} was found to be damaged", "damaged")

    def check_unharmed(self) -> None:
        """Make sure that nobody has found it to be damaged; unlike `check_sound` for who looks on.

        Raises:
            ArchiveError: somebody has.
        """
        if self._note.exists():
            raise ArchiveError(
                f"the index {self.path} was found to be damaged: the next start makes it anew",
                "damaged",
            )

    def note(self, error: ArchiveError) -> None:
        """Remember for the next start if an error says that the index is damaged."""
        if error.reason == "damaged":
            with contextlib.suppress(OSError):  # what is damaged is so at the next start, too
                flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
                os.close(os.open(self._note, flags, 0o666))

    def be_node(self, name: str) -> None:
        """Write as another node from now on.

        Raises:
            ArchiveError: it is not shared.
        """
        raise ArchiveError(f"the index {self.path} has one writer, which cannot become {name}")

    def hurry(self) -> None:
        """Have whoever waits for another process that holds it give up; see `Index.hurry`."""
        index = self._index  # without the lock: whoever has that may wait, too
        if index is not None:
            index.hurry()

    def close(self) -> None:
        """Close it."""
        with self._lock:
            if self._index is not None:
                self._index.close()


class SharedIndexHandle(IndexHandle):
    """The index in a database that others use, too; see `IndexHandle`.

    Args:
        address: of the database.
        durability: see `Index.open`.
        node: who writes.
    """

    is_shared = True

    def __init__(self, address: str, durability: Any, node: str) -> None:
        super().__init__(address, durability)
        self._node = node

    def create(self) -> Index:
        """See `IndexHandle.create`."""
        return self.get()

    def get(self) -> Index:
        """See `IndexHandle.get`."""
        with self._lock:
            if self._index is None:
                self._index = Index.open(self.path, durability=self._durability, node=self._node)
            return self._index

    def be_node(self, name: str) -> None:
        """See `IndexHandle.be_node`."""
        with self._lock:
            self._node = name
            if self._index is not None:
                self._index.be_node(name)

    def check(self) -> None:
        """See `IndexHandle.check`: a database that answers is there."""

    def exists(self) -> bool:
        """Whether there is anything in it."""
        return any(self.get().counts())

    def check_sound(self) -> None:
        """See `IndexHandle.check_sound`: that is for those who keep the database."""

    def check_unharmed(self) -> None:
        """See `IndexHandle.check_unharmed`: nothing is noted."""

    def note(self, error: ArchiveError) -> None:
        """See `IndexHandle.note`."""


class DirectRows(Rows):
    """The index as `upkeep.Rows`, without anybody between."""

    def __init__(self, index: IndexHandle) -> None:
        self._index = index

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `Rows.write`."""
        try:
            return self._index.get().write(changes) if changes else []
        except ArchiveError as error:
            self._index.note(error)
            raise

    def versions_of_each(self, uids: Sequence[str]) -> dict[str, list[StoredInstance]]:
        """See `Rows.versions_of_each`."""
        with self._index.reader() as reader:
            return reader.versions_of_each(uids)

    def versions_in_journal(self, journal: str) -> list[StoredInstance]:
        """See `Rows.versions_in_journal`."""
        with self._index.reader() as reader:
            return reader.versions_in_journal(journal)


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_dev
