"""The Unpacker: brings objects to their places, behind everybody's back.

What it is told of waits in its list until it is done; when the disk is full, or the index or the
folder away, it tries again, less and less often, and as soon as the folder is back. One that
crashes leaves all to the next, which looks for itself.
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.actors.gathering import Gathering
from dicom_actors.archive.actors.index_writer import IndexRows, Recover
from dicom_actors.archive.actors.kernel import FolderIsBack, Place
from dicom_actors.archive.files import JOURNAL, Location
from dicom_actors.archive.files.journal import journal_names
from dicom_actors.archive.index import Duplicates
from dicom_actors.archive.upkeep import Recovered, Unpacking
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import Continue

if TYPE_CHECKING:
    from dicom_actors.archive.actors.kernel import ArchiveKernel
    from dicom_actors.archive.files import Store

__all__ = ["Adopt", "Finish", "Inherit", "Inherited", "Unpack", "Unpacker"]

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_MOST: Final = 256
_MOST_FILES: Final = 1_024
_LONGEST_WAIT: Final = 1.0
_LINGER: Final = 0.25
"""Nobody waits for it: so there are many in a transaction, and a synchronization."""


class Unpack(NamedTuple):
    """To the Unpacker, a cast: a journal is not written any more."""

    journal: str


class Adopt(NamedTuple):
    """To the Unpacker, a cast: files in ``incoming/``, by their names, whose writer ended."""

    names: frozenset[str]


class Inherit(NamedTuple):
    """To the Unpacker, a cast: a node is gone that shared the folder; see to what it has left."""

    node: str


class Inherited(NamedTuple):
    """To the NodeKeeper, a cast: a node has left nothing any more."""

    node: str


class Finish(NamedTuple):
    """To the Unpacker, a call: do what there is now; answers with an error's text, or with ""."""


class _Files(NamedTuple):
    """Files that were taken, and have no place yet."""

    files: list[tuple[str, str]]


class _TryAgain(NamedTuple):
    """To itself, by a timer."""


_Item = Unpack | Place | Inherit | Recover | _Files


class Unpacker(Gathering["_Item"]):
    """See the module.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        super().__init__(_MOST, _LONGEST_WAIT, _LINGER)
        self._kernel = kernel
        self._unpacking = _unpacking(kernel, kernel.store)
        self._waiting: list[_Item] = []
        self._seen = 0
        self._pause = _FIRST_PAUSE
        self._problem = ""

    def init(self) -> Any:
        """Look for what is left. Runs in the Unpacker's thread."""
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """Look for what is left; messages wait meanwhile. Runs in the Unpacker's thread."""
        self.gather(Recover())
        self.finish()

    def handle_cast(self, message: Any) -> Any:
        """Take work. Runs in the Unpacker's thread."""
        if isinstance(message, Adopt):
            self._kernel.leftovers |= message.names
            self.gather(Recover())
            return None
        if isinstance(message, FolderIsBack):
            self._pause = _FIRST_PAUSE
            self._try_again()
            return None
        if not isinstance(message, Unpack | Place | Inherit | Recover):
            return super().handle_cast(message)
        self._seen = len(self._kernel.unplaced)
        self.gather(message)
        return None

    def handle_call(self, message: Any) -> Any:
        """Do what there is. Runs in the Unpacker's thread."""
        if not isinstance(message, Finish):
            return super().handle_call(message)
        waiting, self._waiting = self._waiting, []
        self.gather(Place(), *waiting)  # whoever was to tell us of the first file may be about to
        self.finish()
        return self._problem

    def handle_info(self, message: Any) -> Any:
        """Try again. Runs in the Unpacker's thread."""
        if isinstance(message, _TryAgain):
            self._try_again()
            return None
        return super().handle_info(message)

    def _try_again(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.gather(*waiting)

    def is_growing(self) -> bool:
        """See `Gathering`: of most files no message tells. Runs in the Unpacker's thread."""
        before, self._seen = self._seen, len(self._kernel.unplaced)
        return before < self._seen < _MOST_FILES

    def work_off(self, items: list[_Item]) -> None:
        """Do all of it, or keep what cannot be done now. Runs in the Unpacker's thread."""
        self._problem = ""
        if taken := self._kernel.unplaced.take():
            items.append(_Files(taken))
        files = [
            (uid, Location.of(location))
            for item in items
            if isinstance(item, _Files)
            for uid, location in item.files
        ]
        journals = dict.fromkeys(item.journal for item in items if isinstance(item, Unpack))
        try:
            self._check_folders()
            if any(isinstance(item, Recover) for item in items):
                self._recover()
            if files:
                self._place(files)
            for journal in journals:
                if self._kernel.store.file_system.size(journal) is not None:
                    self._unpacking.unpack(journal)
            for item in items:
                if isinstance(item, Inherit):
                    self._inherit(item.node)
            # What is not found in a folder that is gone is not done.
            self._check_folders()
        except (OSError, ArchiveError) as error:
            self._wait(items, error)
        else:
            self._pause = _FIRST_PAUSE

    def _check_folders(self) -> None:
        """Raise FileNotFoundError if that is gone in which there is what has no place yet."""
        store = self._kernel.store
        for folder in (store.incoming, store.journal):
            if not store.file_system.has_folder(folder):
                raise FileNotFoundError(errno.ENOENT, "the folder is gone", folder)

    def _place(self, files: list[tuple[str, Location]]) -> None:
        names = {location.name.rpartition("/")[2] for _, location in files}
        self._kernel.leftovers |= names  # until it is done: who crashes over it has a successor
        self._unpacking.place(files)
        self._check_folders()
        self._kernel.leftovers -= names

    def _recover(self) -> None:
        kernel = self._kernel
        found = self._unpacking.recover(kernel.leftovers, kernel.closed_journals())
        self._check_folders()
        kernel.leftovers.clear()
        self._say(found)

    def _say(self, found: Recovered) -> None:
        if found.adopted or found.damaged:
            logger.warning(
                "%d objects that had no row were taken in, %d are damaged",
                found.adopted,
                found.damaged,
            )

    def _inherit(self, node: str) -> None:
        kernel = self._kernel
        store = kernel.store.of_node(node)
        disk = store.file_system
        folders = (store.incoming, store.journal)
        if any(map(disk.has_folder, folders)):
            for folder in folders:
                disk.make_folder(folder)
            unpacking = _unpacking(kernel, store)
            # Of a folder that nobody has for himself, others may be writing what is not whole.
            leftovers = unpacking.leftovers() if node else set(disk.names(store.incoming))
            self._say(unpacking.recover(leftovers, journal_names(disk, store.journal)))
        if node:
            # A journal in which something is damaged stays, and the others wait for it no more.
            for folder in folders:
                disk.remove_folder(folder)
        kernel.tell("nodes", Inherited(node))

    def _wait(self, items: list[_Item], error: Exception) -> None:
        self._problem = str(error)
        self.system.log.write(
            logger,
            logging.WARNING,
            "what is in %s and incoming stays there for now: %s",
            JOURNAL,
            self._problem,
        )
        self._waiting += items
        self.system.timers.send_after(self._pause, self.actor_ref, _TryAgain())
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _unpacking(kernel: ArchiveKernel, store: Store) -> Unpacking:
    duplicates = Duplicates(kernel.settings.duplicates)
    return Unpacking(store, IndexRows(kernel), kernel.now, duplicates)
