"""Files that lose their rows: first a list of them is safe, then the rows go, then the files.

A list is a file in ``incoming/``. One that is left by a crash is done at the next start: what has
a row stays, since then the crash was before the row went; everything else is removed. So what was
deleted does not come back with the next `reindex`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.archive.files import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.upkeep.rows import Rows

__all__ = ["LIST", "Removing"]

LIST: Final = ".remove"
"""How the names of lists end."""


class Removing:
    """Removes files once their rows are gone; any thread may use it.

    Args:
        store: where they are.
        rows: the index.
    """

    def __init__(self, store: Store, rows: Rows) -> None:
        self._store = store
        self._disk = store.file_system
        self._rows = rows

    def around(self, locations: Sequence[tuple[str, str]], change: Callable[[], object]) -> None:
        """Change the index, then remove what has no row any more.

        Args:
            locations: pairs of a SOP Instance UID and a location that may lose its row.
            change: changes the index.

        Raises:
            OSError: the list cannot be written, and nothing was changed; or files cannot be
                removed, which is tried again at the next start.
        """
        if not locations:
            change()
            return
        part = self._store.part_name()
        name = part.rpartition(".")[0] + LIST
        text = "".join(f"{uid}\t{location}\n" for uid, location in locations)
        try:
            self._store.write(part, [text.encode("utf-8")], is_synchronous=True)
            self._disk.rename(part, name)
            self._disk.synchronize_folder(self._store.incoming)
        except BaseException:
            self._store.remove(Location(part))
            raise
        change()
        self._carry_out(name, locations)

    def finish(self, names: Iterable[str]) -> None:
        """Do what lists say that a crash left.

        Args:
            names: of files that were in ``incoming/``; others than lists do no harm.

        Raises:
            OSError: files cannot be removed.
            ArchiveError: the index cannot be read.
        """
        for name in (f"{self._store.incoming}/{one}" for one in names):
            if not name.endswith(LIST) or self._disk.size(name) is None:
                continue
            text = str(self._disk.read(name), "utf-8")
            pairs = (line.partition("\t") for line in text.splitlines())
            self._carry_out(name, [(uid, location) for uid, _, location in pairs])

    def _carry_out(self, name: str, locations: Iterable[tuple[str, str]]) -> None:
        folders = {
            self._remove(Location.of(location), used)
            for uid, location in locations
            if location not in (used := {one.location for one in self._rows.versions_of(uid)})
        }
        # Those that were removed themselves are safe with the ones above them.
        there = [name for name in sorted(folders) if not name or self._disk.has_folder(name)]
        self._disk.synchronize_all([], there)
        self._disk.remove(name)

    def _remove(self, location: Location, used: Collection[str]) -> str:
        """Remove a file that no row needs, under all of its names; see `Store.remove`."""
        if location.is_placed and not (location.is_adopted or location.is_in_bucket):
            # Who has written such a row a moment ago may not have got to its first name.
            for first in self._store.first_names(location.name):
                if first not in used:
                    self._disk.remove(first)
        return self._store.remove(location)
