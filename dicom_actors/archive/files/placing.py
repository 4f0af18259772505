"""From where an object came in to its place, so that at no time it is in neither.

A file gets a second name, what is in a journal becomes a file: both under names that are free.
Then all of it is synchronized at once. The index learns of the new places, and when it has, the
old ones are removed. Whatever breaks off in between can be done once more from the start.

In an archive with a bucket that is where places are; see `Uploading`.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dicom_actors.archive.files.locations import Location

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.archive.files.store import Store

    _Waiting = tuple[tuple[str, str, str], Location, Callable[[], memoryview], str]

__all__ = ["FilePlacing", "Placed", "Placing", "Uploading", "folders_of", "placing_in"]

_DETOUR: Final = "elsewhere"
"""The folder below which objects are whose own folder cannot be made: something else, a link for
example, has its name."""
_UPLOADS_AT_ONCE: Final = 8
_NUMBERED: Final = 4
"""So many objects with the same UIDs have numbers; further ones have names by chance, so that
looking for a free one stays short."""


class Placed(NamedTuple):
    """An object that has its place.

    Attributes:
        sop_instance_uid: what it is.
        old: where it was, and still is.
        new: where it is, too.
    """

    sop_instance_uid: str
    old: Location
    new: Location


class Placing(Protocol):
    """Finds places for many objects; for one thread."""

    def add(
        self,
        uids: tuple[str, str, str],
        old: Location,
        size: int,
        read: Callable[[], memoryview],
        received: float,
        *,
        is_first: bool,
    ) -> None:
        """Give an object its place.

        Args:
            uids: Study, Series and SOP Instance UID.
            old: where it is.
            size: how many bytes it has.
            read: gives these, where they are needed; it may raise OSError.
            received: when it came, in seconds since 1970.
            is_first: whether it is known that nobody has given it one before.

        Raises:
            OSError: there is no room, for example.
        """

    def finish(self) -> list[Placed]:
        """Make all places safe.

        Returns:
            What the index has to learn. The old places are to be removed afterwards.

        Raises:
            OSError: nobody knows what is safe; the old places are.
        """


def placing_in(store: Store) -> Placing:
    """Begin to find places where those of a store are."""
    return Uploading(store) if store.bucket else FilePlacing(store)


class Uploading:
    """Finds places in a bucket, under keys that nobody else has; see `Placing`.

    The key is made of the old place and the time when the object came there: whoever does it once
    more, after a crash, makes the same one of the same bytes.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []

    def add(
        self,
        uids: tuple[str, str, str],
        old: Location,
        size: int,  # noqa: ARG002 - that of the bytes
        read: Callable[[], memoryview],
        received: float,
        *,
        is_first: bool = False,  # noqa: ARG002 - a key is that of one attempt
    ) -> None:
        """See `Placing.add`."""
        name = hashlib.sha256(f"{old}\n{received!r}".encode()).hexdigest()[:12]
        self._waiting.append((uids, old, read, name))

    def finish(self) -> list[Placed]:
        """See `Placing.finish`; several are uploaded at once."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return []
        with ThreadPoolExecutor(_UPLOADS_AT_ONCE, "upload") as pool:
            places = [
                (uids[2], old, pool.submit(self._upload, uids, attempt, read))
                for uids, old, read, attempt in waiting
            ]
        return [Placed(uid, old, place.result()) for uid, old, place in places]

    def _upload(
        self, uids: tuple[str, str, str], attempt: str, read: Callable[[], memoryview]
    ) -> Location:
        return self._store.upload(uids, attempt, [read()])


class FilePlacing:
    """Finds places for files; see `Placing`.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._disk = store.file_system
        self._written: list[tuple[str, str]] = []
        self._placed: list[Placed] = []
        self._names: set[str] = set()
        self._folders: set[str] = set()
        self._found: list[str] = []

    def add(
        self,
        uids: tuple[str, str, str],
        old: Location,
        size: int,
        read: Callable[[], memoryview],
        received: float = 0.0,  # noqa: ARG002 - files are told apart by their bytes
        *,
        is_first: bool = False,
    ) -> None:
        """See `Placing.add`."""
        name = self._store.layout.name_for(*uids) if is_first else ""
        if not name or not self._give(old, name, read):
            status = None if old.is_in_journal else self._disk.file_status(old.name)
            name = self._place(uids, old, size, read, status and status.file)
        self._names.add(name)
        self._placed.append(Placed(uids[2], old, Location(name)))

    def _give(self, old: Location, name: str, read: Callable[[], memoryview]) -> bool:
        """Give an object the name that it should have, where that is easily done."""
        if old.is_in_journal:
            if _folder_of(name) not in self._folders or name in self._names:
                return False
            if self._disk.is_taken(name):
                return False
            self._write(name, read)
            return True
        try:
            return self._disk.link(old.name, name)
        except (FileExistsError, FileNotFoundError, NotADirectoryError):
            return False  # there is another one, or no folder yet

    def _place(
        self,
        uids: tuple[str, str, str],
        old: Location,
        size: int,
        read: Callable[[], memoryview],
        file: tuple[int, int] | None,
    ) -> str:
        """Find a name for an object that is free, and give it that; or one that it has already."""
        name, is_there = self._free_name(uids, size, read, file)
        if not is_there and not self._make_folder_of(name):
            name, is_there = self._free_name(uids, size, read, file, f"{_DETOUR}/")
            if not is_there:
                self._disk.make_folder(_folder_of(name))
        if is_there:
            self._found.append(name)
        elif old.is_in_journal or not self._disk.link(old.name, name):
            self._write(name, read)
        return name

    def _write(self, name: str, read: Callable[[], memoryview]) -> None:
        part = self._store.part_name()
        self._store.write(part, [read()], is_synchronous=False)
        self._written.append((part, name))

    def finish(self) -> list[Placed]:
        """See `Placing.finish`."""
        written, self._written = self._written, []
        if written:
            self._disk.synchronize_all([part for part, _ in written], [])
            for part, name in written:
                self._disk.rename(part, name)
        names, self._names = self._names, set()
        folders = {above for name in names for above in folders_of(name)}
        # What was there before may be what a crash left of the same work, or what somebody put
        # there a moment ago.
        found, self._found = self._found, []
        self._disk.synchronize_all(found, sorted(folders))
        placed, self._placed = self._placed, []
        return placed

    def _make_folder_of(self, name: str) -> bool:
        folder = _folder_of(name)
        if folder not in self._folders:  # many of the objects are of one series
            try:
                self._disk.make_folder(folder)
            except NotADirectoryError:
                return False
            self._folders.add(folder)
        return True

    def _free_name(
        self,
        uids: tuple[str, str, str],
        length: int,
        read: Callable[[], memoryview],
        file: tuple[int, int] | None,
        above: str = "",
    ) -> tuple[str, bool]:
        """Find a name for an object; returns also whether that is there already.

        All numbers are looked at: an earlier attempt may have taken a later one than is free now.
        A file with the same bytes that has a second name is another one's, and may go with it.
        """
        layout, free = self._store.layout, ""
        for copy in range(1, _NUMBERED + 1):
            name = above + layout.name_for(*uids, copy)
            if name in self._names:
                continue
            status = self._disk.file_status(name)
            if status is None:
                if not free and not self._disk.is_taken(name):
                    free = name
            elif status.file == file or (
                status.links == 1 and status.size == length and self._disk.read(name) == read()
            ):
                return name, True
        if not free:
            free = above + layout.name_for(*uids, os.urandom(6).hex())
        return free, False


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def folders_of(name: str) -> list[str]:
    """All folders on the way to a file, the archive's own (empty) included."""
    found = []
    while name:
        name = _folder_of(name)
        found.append(name)
    return found
