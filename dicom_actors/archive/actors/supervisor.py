"""The ArchiveSupervisor: the root of an archive's actors."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from dicom_actors.archive.actors.disk_watch import DiskWatch
from dicom_actors.archive.actors.index_writer import IndexWriter
from dicom_actors.archive.actors.journal_store import JournalStore
from dicom_actors.archive.actors.node_keeper import NodeKeeper
from dicom_actors.archive.actors.study_watcher import StudyWatcher
from dicom_actors.archive.actors.unpacker import Unpacker
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import ChildSpec, Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.archive.actors.kernel import ArchiveKernel

__all__ = ["ArchiveSupervisor"]

_SHUTDOWN = 60.0
"""Seconds that each has to finish what it is about: a synchronization may take its time."""


class ArchiveSupervisor(Supervisor):
    """See the module.

    Args:
        kernel: what outlives the actors.
        others: more children, which are started last.
        is_member: whether another process has the index, and all that goes with it.
    """

    def __init__(
        self, kernel: ArchiveKernel, others: Sequence[ChildSpec] = (), *, is_member: bool = False
    ) -> None:
        settings = kernel.settings
        super().__init__(
            [
                ChildSpec(
                    name, functools.partial(actor.start, kernel, name=name), shutdown=_SHUTDOWN
                )
                for name, actor in (
                    ("index", IndexWriter),
                    ("unpacker", Unpacker),
                    ("store", JournalStore),
                    ("studies", StudyWatcher),
                    ("disk", DiskWatch),
                    *((("nodes", NodeKeeper),) if kernel.index.is_shared else ()),
                )
                if name == "store" or not is_member
            ]
            + list(others),
            intensity=settings.restarts,
            period=settings.restart_period,
        )
        self._kernel = kernel

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - any
        """Leave nobody waiting. Runs in the ArchiveSupervisor's thread."""
        self._kernel.fail_owed(ArchiveError("the archive is closed"))
