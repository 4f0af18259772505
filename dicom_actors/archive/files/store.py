"""The bytes of an archive's objects: put, open, remove.

Large objects are put into files of their own in ``incoming/``; how small ones come into the
journal is `journal`, and how both find their places is `placing`.
"""

from __future__ import annotations

import contextlib
import copy
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.files.buckets import Buckets
from dicom_actors.archive.files.file_system import AS_WANTED
from dicom_actors.archive.files.locations import INCOMING, JOURNAL, Location
from dicom_actors.scu import spooled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_actors.archive.files.cache import Cache
    from dicom_actors.archive.files.file_system import FileSystem
    from dicom_actors.archive.files.layout import Layout
    from dicom_actors.scu import FileBytes

__all__ = ["PART", "Store"]

PART: Final = ".part"
"""How the names of files end that are being written."""
_TIMEOUT: Final = 30.0
"""Seconds for a request to a bucket, where nobody has set another time."""


class Store:
    """The files below an archive's folder; any thread may use it.

    Args:
        root: the folder.
        file_system: the disk below it.
        layout: where objects have their places.
        node: who keeps it, among those that share the folder: each has folders of its own for
            what has no place yet. Empty: nobody else does.
        buckets: those that some of them are in; None: those that its folder names.
        bucket: the id of that which new ones have their places in; empty: they are files.
        cache: has copies of what was read of buckets; None: nobody has.

    Attributes:
        node: it may become another one.
        prefix: with what the names begin that this one gives.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        file_system: FileSystem,
        layout: Layout,
        node: str = "",
        *,
        buckets: Buckets | None = None,
        bucket: str = "",
        cache: Cache | None = None,
    ) -> None:
        self.root: Final = Path(root)
        self.file_system = file_system
        self.layout: Final = layout
        self.buckets: Final = buckets or Buckets(file_system, _TIMEOUT)
        self.bucket: Final = bucket
        self._cache: Final = cache
        self.node = node
        self.prefix: Final = f"{os.urandom(6).hex()}-"
        self._names: Final = map(f"{self.prefix}{{:x}}".format, count(1))

    @contextlib.contextmanager
    def held(self) -> Iterator[Store]:
        """Give the same store for one thread and a short time; see `FileSystem.held`."""
        with self.file_system.held() as disk:
            held = copy.copy(self)
            held.file_system = disk
            yield held

    def make_folders(self) -> None:
        """Make what must be there before anything is put; raises OSError."""
        for folder in (self.incoming, self.journal):
            self.file_system.make_folder(folder)
            if self.node:
                self.file_system.synchronize_folder(folder.rpartition("/")[0])
        self.file_system.synchronize_folder("")

    @property
    def incoming(self) -> str:
        """The folder of files that wait for their places."""
        return f"{INCOMING}/{self.node}" if self.node else INCOMING

    @property
    def journal(self) -> str:
        """The folder of journals."""
        return f"{JOURNAL}/{self.node}" if self.node else JOURNAL

    def of_node(self, node: str) -> Store:
        """The same folder, as another one keeps it."""
        return Store(
            self.root,
            self.file_system,
            self.layout,
            node,
            buckets=self.buckets,
            bucket=self.bucket,
            cache=self._cache,
        )

    def nodes(self) -> set[str]:
        """Who has folders, or had them: the names of nodes; raises OSError."""
        disk = self.file_system
        return {
            name
            for folder in (INCOMING, JOURNAL)
            for name in disk.names(folder)
            if disk.has_folder(f"{folder}/{name}")
        }

    def incoming_name(self) -> str:
        """A name in ``incoming/``, without the folder, that nobody else has."""
        return f"{next(self._names)}.dcm"

    def part_name(self) -> str:
        """A location for a file that is not whole yet; one that is left is removed at a start."""
        return f"{self.incoming}/{next(self._names)}{PART}"

    def put(self, parts: Sequence[bytes | bytearray | memoryview]) -> Location:
        """Keep an object in a file of its own; it is safe when this returns.

        Raises:
            OSError: it cannot be kept; nothing is left behind.
        """
        disk, part = self.file_system, self.part_name()
        try:
            self.write(part, parts, is_synchronous=True)
            location = Location(f"{self.incoming}/{self.incoming_name()}")
            disk.rename(part, location.name)
            disk.synchronize_folder(location.name.rpartition("/")[0])
        except BaseException:
            self.remove(Location(part))
            raise
        return location

    def write(
        self,
        name: str,
        parts: Sequence[bytes | bytearray | memoryview],
        *,
        is_synchronous: bool,
    ) -> None:
        """Write a new file; its name is for others to make safe.

        Raises:
            OSError: it cannot be written.
        """
        file = self.file_system.create(name)
        try:
            file.append(parts)
            if is_synchronous:
                file.synchronize()
        finally:
            file.close()

    def place(self, location: Location, uids: tuple[str, str, str]) -> Location | None:
        """Give a file in ``incoming/`` its place before its row, which so need not be changed.

        It is a second name. The first one stays until the row is written: so a start finds what
        has none. What has to outlive a power cut waits: many names are synchronized at once.

        Args:
            location: where it is.
            uids: Study, Series and SOP Instance UID.

        Returns:
            The place; None: it waits, or cannot be given one so easily.
        """
        disk = self.file_system
        if disk.is_synchronous or self.bucket or location.is_placed:
            return None
        name = self.layout.name_for(*uids)
        try:
            try:
                is_linked = disk.link(location.name, name)
            except FileNotFoundError:
                disk.make_folder(name.rpartition("/")[0])
                is_linked = disk.link(location.name, name)
        except OSError:
            return None  # another one has it, for example
        return Location(name) if is_linked else None

    def first_names(self, name: str) -> list[str]:
        """The names in ``incoming/`` of a file that was given its place before its row.

        Raises:
            OSError: nobody knows.
        """
        disk = self.file_system
        status = disk.file_status(name)
        if status is None or status.links == 1:
            return []
        folders = [self.of_node(node).incoming for node in ("", *self.nodes())]
        others = [f"{folder}/{one}" for folder in folders for one in disk.names(folder)]
        return [
            one
            for one in others
            if (found := disk.file_status(one)) is not None and found.file == status.file
        ]

    def upload(
        self,
        uids: tuple[str, str, str],
        attempt: str,
        parts: Sequence[bytes | bytearray | memoryview],
    ) -> Location:
        """Keep an object in the bucket; it is safe when this returns.

        Args:
            uids: Study, Series and SOP Instance UID.
            attempt: what tells it from all other objects of these UIDs, those that are deleted
                included: else one that comes again could go with the one that was.
            parts: its bytes.

        Raises:
            OSError: it cannot be kept, as far as is known.
        """
        key = self.layout.name_for(*uids, attempt)
        self.buckets.get(self.bucket).put(key, parts)
        return Location.in_bucket(self.bucket, key)

    def read(
        self,
        location: Location,
        size: int | None = None,
        *,
        is_whole: bool = False,
        is_fresh: bool = False,
    ) -> memoryview:
        """Give an object's bytes, in memory.

        Args:
            location: where they are.
            size: how many; needed in a journal.
            is_whole: whether these are all of it, so that a copy of them is of use.
            is_fresh: whether a copy will not do.

        Raises:
            OSError: they cannot be read.
        """
        if not location.is_in_bucket:
            return self.file_system.read(location.name, location.offset, size)
        name, offset = location
        cache = None if is_fresh else self._cache
        if cache is not None and (copy := cache.find(name, offset, size)) is not None:
            return copy
        bucket, key = location.bucket_and_key
        objects = self.buckets.get(bucket)
        if cache is None or not is_whole or (size or 0) > cache.most_bytes:
            return objects.read(key, offset, size)
        return cache.keep(name, objects.chunks(key))

    def open(
        self,
        location: Location,
        size: int | None = None,
        *,
        is_fresh: bool = False,
        as_wanted: int = AS_WANTED,
    ) -> memoryview | FileBytes:
        """Give an object's bytes; `as_wanted` or more of a file are read when they are wanted.

        Args:
            location: where they are.
            size: how many; needed in a journal.
            is_fresh: whether a copy will not do.
            as_wanted: how many are many.

        Raises:
            OSError: they cannot be read.
        """
        if location.is_in_bucket:
            if size is not None and size < as_wanted:
                return self.read(location, size, is_whole=True, is_fresh=is_fresh)
            return self._open_in_bucket(location, size, None if is_fresh else self._cache)
        return self.file_system.open(location.name, location.offset, size, as_wanted=as_wanted)

    def _open_in_bucket(
        self, location: Location, size: int | None, cache: Cache | None
    ) -> memoryview | FileBytes:
        """Fetch an object into a file: its copy, or one without a name."""
        bucket, key = location.bucket_and_key
        if cache is not None and (copy := cache.open(location.name)) is not None:
            return copy
        chunks = self.buckets.get(bucket).chunks(key)
        if cache is None or (size or 0) > cache.most_bytes:
            return spooled(chunks)
        return cache.keep_open(location.name, chunks)

    def size(self, location: Location) -> int | None:
        """The bytes of a file, a journal or an object in a bucket; None: it is not there.

        Raises:
            OSError: nobody knows.
        """
        if location.is_in_bucket:
            bucket, key = location.bucket_and_key
            return self.buckets.get(bucket).size(key)
        return self.file_system.size(location.name)

    def path(self, location: Location) -> Path | None:
        """The path of a file in its final place; None for what is not there yet, or is no file."""
        is_file = location.is_placed and not location.is_in_bucket
        return self.root / location.name if is_file else None

    def remove(self, location: Location) -> str:
        """Remove a file, and the folders that become empty by that.

        What is a part of a journal goes with it, and an adopted file is not ours to remove.

        Returns:
            The folder whose synchronization makes that safe; empty for the archive's own.

        Raises:
            OSError: it cannot be removed.
        """
        if location.is_in_journal or location.is_adopted:
            return self.incoming
        if location.is_in_bucket:
            if self._cache is not None:
                self._cache.forget(location.name)
            bucket, key = location.bucket_and_key
            self.buckets.get(bucket).remove(key)
            return self.incoming
        self.file_system.remove(location.name)
        folder = os.path.dirname(location.name)  # noqa: PTH120 - of text with slashes
        while location.is_placed and folder and self.file_system.remove_folder(folder):
            folder = os.path.dirname(folder)  # noqa: PTH120
        return folder
