"""The bytes of an archive's objects: put, open, remove.

Large objects are put into files of their own in ``incoming/``; how small ones come into the
journal is `journal`, and how both find their places is `placing`.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.files.locations import INCOMING, JOURNAL, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.archive.files.file_system import FileSystem
    from dicom_actors.archive.files.layout import Layout

__all__ = ["PART", "Store"]

PART: Final = ".part"
"""How the names of files end that are being written."""


class Store:
    """The files below an archive's folder; any thread may use it.

    Args:
        root: the folder.
        file_system: the disk below it.
        layout: where objects have their places.

    Attributes:
        prefix: with what the names begin that this one gives.
    """

    def __init__(
        self, root: str | os.PathLike[str], file_system: FileSystem, layout: Layout
    ) -> None:
        self.root: Final = Path(root)
        self.file_system: Final = file_system
        self.layout: Final = layout
        self.prefix: Final = f"{os.urandom(6).hex()}-"
        self._names: Final = map(f"{self.prefix}{{:x}}".format, count(1))

    def make_folders(self) -> None:
        """Make what must be there before anything is put; raises OSError."""
        for folder in (INCOMING, JOURNAL):
            self.file_system.make_folder(folder)
        self.file_system.synchronize_folder("")

    def incoming_name(self) -> str:
        """A name in ``incoming/``, without the folder, that nobody else has."""
        return f"{next(self._names)}.dcm"

    def part_name(self) -> str:
        """A location for a file that is not whole yet; one that is left is removed at a start."""
        return f"{INCOMING}/{next(self._names)}{PART}"

    def put(self, parts: Sequence[bytes | bytearray | memoryview]) -> Location:
        """Keep an object in a file of its own; it is safe when this returns.

        Raises:
            OSError: it cannot be kept; nothing is left behind.
        """
        disk, part = self.file_system, self.part_name()
        try:
            self.write(part, parts, is_synchronous=True)
            location = Location(f"{INCOMING}/{self.incoming_name()}")
            disk.rename(part, location.name)
            disk.synchronize_folder(INCOMING)
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

    def read(self, location: Location, size: int | None = None) -> memoryview:
        """Give an object's bytes, mapped if they are many.

        Args:
            location: where they are.
            size: how many; needed in a journal.

        Raises:
            OSError: they cannot be read.
        """
        return self.file_system.read(location.name, location.offset, size)

    def path(self, location: Location) -> Path | None:
        """The path of a file in its final place; None for what is not there yet."""
        return self.root / location.name if location.is_placed else None

    def remove(self, location: Location) -> str:
        """Remove a file, and the folders that become empty by that.

        What is a part of a journal goes with it, and an adopted file is not ours to remove.

        Returns:
            The folder whose synchronization makes that safe; empty for the archive's own.

        Raises:
            OSError: it cannot be removed.
        """
        if location.is_in_journal or location.is_adopted:
            return INCOMING
        self.file_system.remove(location.name)
        folder = os.path.dirname(location.name)  # noqa: PTH120 - of text with slashes
        while location.is_placed and folder and self.file_system.remove_folder(folder):
            folder = os.path.dirname(folder)  # noqa: PTH120
        return folder
