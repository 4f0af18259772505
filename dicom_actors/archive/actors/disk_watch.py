"""The DiskWatch: looks now and then how much room there is, and says when that changes.

Whoever keeps an object looks for itself as well: this one is for those who want to know before.

It also finds out when the archive's folder was taken away and another one made in its place, or
all that was in it was removed, or a folder that is needed. Only what is empty, or lacks it, at two
looks is taken to be so: somebody may be about to put it there.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.archive.events import DiskSpace
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import SupervisedActor

if TYPE_CHECKING:
    from dicom_actors.archive.actors.kernel import ArchiveKernel

__all__ = ["DiskWatch"]

logger = logging.getLogger(__name__)


class _Look(NamedTuple):
    """To itself, by a timer."""


class DiskWatch(SupervisedActor):
    """See the module.

    Args:
        kernel: the archive's.
    """

    def __init__(self, kernel: ArchiveKernel) -> None:
        super().__init__()
        self._kernel = kernel
        self._was_empty = False
        self._lacked_folders = False

    def init(self) -> Any:
        """Look at once. Runs in the DiskWatch's thread."""
        self._look()

    def handle_info(self, message: Any) -> Any:
        """Look again. Runs in the DiskWatch's thread."""
        if not isinstance(message, _Look):
            return super().handle_info(message)
        self._look()
        return None

    def _look(self) -> None:
        kernel = self._kernel
        self.system.timers.send_after(kernel.settings.disk_interval, self.actor_ref, _Look())
        before = kernel.disk_state
        kernel.look_at_disk()
        self._look_whether_it_is_empty()
        self._look_for_folders()
        state, free = kernel.disk_state, kernel.free_bytes
        if state == before:
            return
        level = logging.INFO if state == "enough" else logging.WARNING
        self.system.log.write(logger, level, "room on the disk: %s, %d bytes", state, free)
        kernel.publish([DiskSpace(state, free)])

    def _look_for_folders(self) -> None:
        """Make those again that somebody has removed, where it is certain that all is there."""
        kernel = self._kernel
        store, disk = kernel.store, kernel.store.file_system
        lacked, self._lacked_folders = self._lacked_folders, False
        try:
            if kernel.index.is_shared or not kernel.index.exists():
                return
            self._lacked_folders = not all(map(disk.has_folder, (store.incoming, store.journal)))
            if lacked and self._lacked_folders:  # at two looks: it may be moved for a moment
                store.make_folders()
                text = "journal or incoming was removed: what waited in it for its place is gone"
                self.system.log.write(logger, logging.WARNING, text)
        except OSError as error:
            text = "journal and incoming cannot be looked for: %s"
            self.system.log.write(logger, logging.WARNING, text, error)

    def _look_whether_it_is_empty(self) -> None:
        kernel = self._kernel
        was_empty, self._was_empty = self._was_empty, False
        # Of many entries one is enough; that the folder is not there is said elsewhere.
        with contextlib.suppress(OSError), os.scandir(kernel.store.root) as found:
            self._was_empty = next(found, None) is None
        try:
            if self._was_empty and was_empty:
                kernel.on_emptied()
        except (OSError, ArchiveError) as error:
            text = "the folder is empty, and cannot be begun anew: %s"
            self.system.log.write(logger, logging.WARNING, text, error)
