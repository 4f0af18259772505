"""The folders that an endpoint keeps objects in, each opened once.

An endpoint saves thousands of objects in the same few folders. One look whether a path still means
the folder that was opened is all that it costs; one that is gone, or was moved away, is opened or
made again. What processes that were killed left in a folder is removed when it is first used.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Final

from dicom_actors.actors.storing.directory import HAS_DESCRIPTORS, open_root
from dicom_actors.actors.storing.part_file import create_part, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.actors.storing.directory import Directory

__all__ = ["ObjectFolders"]

_MAX_OPEN: Final = 64
_MAX_KNOWN: Final = 4_096


class ObjectFolders:
    """Open folders, by their paths; a bounded number of them.

    Args:
        names: names for temporary files.
        by_path: whether to do without descriptors; the default is what the system can.
    """

    def __init__(self, names: Iterator[str], *, by_path: bool = not HAS_DESCRIPTORS) -> None:
        self._names = names
        self._by_path = by_path
        self._open: dict[str | tuple[str, str], Directory] = {}
        self._cleaned: set[str] = set()
        self._modes: dict[str, int] = {}
        self._lock = Lock()

    def root(self, path: str, *, make: bool = True) -> Directory:
        """Open a folder that somebody configured.

        Args:
            path: the folder.
            make: whether it is made if it is not there.

        Raises:
            OSError: it is no folder, or cannot be made.
        """
        found = self._open.get(path)
        if found is not None and found.is_in_place():
            return found
        opened = open_root(path, make=make, by_path=self._by_path)
        if path not in self._cleaned:
            remove_leftovers(opened)
            if len(self._cleaned) >= _MAX_KNOWN:
                self._cleaned.clear()
            self._cleaned.add(path)
        self._keep(path, opened)
        return opened

    def opened_root(self, path: str) -> Directory:
        """Open a root folder, but do not look whether one that is open is still in its place."""
        return self._open.get(path) or self.root(path)

    def below(self, root: str, path: str) -> Directory:
        """Open a folder below a root; all on the way are made, and no link is followed.

        Args:
            root: see `root`.
            path: from there: names with one separator between them, none of them special.

        Raises:
            OSError: something on the way is no folder, or cannot be made.
        """
        key = root, path
        found = self._open.get(key)
        if found is not None and found.is_in_place():
            return found
        above, _, name = path.rpartition(os.sep)
        opened = (self.below(root, above) if above else self.root(root)).child(name)
        self._keep(key, opened)
        return opened

    def mode_of_files(self, root: str) -> int:
        """The permissions that a new file gets in a root folder: the umask decides."""
        mode = self._modes.get(root)
        if mode is None:
            probe = create_part(self.root(root), self._names)
            try:
                mode = os.fstat(probe.descriptor).st_mode & 0o777
            finally:
                probe.discard()
            if len(self._modes) >= _MAX_KNOWN:
                self._modes.clear()
            self._modes[root] = mode
        return mode

    def forget(self) -> None:
        """Close all folders that nobody is using."""
        with self._lock:
            self._open = {}

    def _keep(self, key: str | tuple[str, str], directory: Directory) -> None:
        with self._lock:
            self._open.pop(key, None)
            if len(self._open) >= _MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[key] = directory
