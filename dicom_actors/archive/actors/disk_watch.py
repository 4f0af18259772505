"""The DiskWatch: looks now and then how much room there is, and says when that changes.

Whoever keeps an object looks for itself as well: this one is for those who want to know before.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.archive.events import DiskSpace
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
        state, free = kernel.disk_state, kernel.free_bytes
        if state == before:
            return
        level = logging.INFO if state == "enough" else logging.WARNING
        self.system.log.write(logger, level, "room on the disk: %s, %d bytes", state, free)
        kernel.publish([DiskSpace(state, free)])
