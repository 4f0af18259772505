"""An actor that makes the metadata of a study's series as soon as the study is quiet.

So the first who asks for them gets what is made already. What comes or goes later has them made
anew, since they are known by their instances and checksums. It does one series at a time, so that
it can be stopped between two; what it has not come to is made when somebody asks for it.

What is on the disk of a study that changes it drops at once, and at its start what is there of
studies that are no more.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_actors.archive import events
from dicom_actors.supervision import SupervisedActor
from dicom_actors.web.exchange import HttpError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive import Archive
    from dicom_actors.supervision import ExitReason
    from dicom_actors.web.metadata import Metadata

__all__ = ["MetadataMaker"]

_QUIET = (events.StudyComplete, events.StudyUpdated)
_MOST_WAITING = 1000


@dataclass(frozen=True, slots=True)
class _Step:
    """To itself, by a timer: make those of the next series."""


class MetadataMaker(SupervisedActor):
    """See the module.

    Args:
        archive: tells which studies are quiet.
        metadata: makes and keeps them.
    """

    def __init__(self, archive: Archive, metadata: Metadata) -> None:
        super().__init__()
        self._archive = archive
        self._metadata = metadata
        self._waiting: dict[str, None] = {}
        self._series: Iterator[None] | None = None
        self._is_stepping = False

    def init(self) -> None:
        """Subscribe. Runs in the MetadataMaker's thread."""
        self._archive.subscribe(self.actor_ref, (*_QUIET, events.StudyChanged))
        self._series = self._metadata.tidy()
        self._step_later()

    def handle_cast(self, message: Any) -> Any:
        """Note a study that is quiet. Runs in the MetadataMaker's thread."""
        if isinstance(message, events.StudyChanged):
            self._metadata.drop(message.study_instance_uid)
        elif isinstance(message, _QUIET):
            self._waiting.pop(message.study_instance_uid, None)
            self._waiting[message.study_instance_uid] = None
            if len(self._waiting) > _MOST_WAITING:  # the ones that came last are wanted first
                del self._waiting[next(iter(self._waiting))]
            self._step_later()

    def handle_info(self, message: Any) -> Any:
        """Make those of a series. Runs in the MetadataMaker's thread."""
        if not isinstance(message, _Step):
            super().handle_info(message)
            return
        self._is_stepping = False
        if self._series is None and self._waiting:
            study = next(iter(self._waiting))
            del self._waiting[study]
            self._series = self._metadata.prepare(study)
        if self._series is not None:
            try:
                next(self._series)
            except (StopIteration, HttpError):  # all are made, or it is not there any more
                self._series = None
        if self._series is not None or self._waiting:
            self._step_later()

    def terminate(self, reason: ExitReason) -> None:
        """Hear no more. Runs in the MetadataMaker's thread."""
        del reason
        with contextlib.suppress(Exception):  # the archive may be closed
            self._archive.unsubscribe(self.actor_ref)

    def _step_later(self) -> None:
        if not self._is_stepping:
            self._is_stepping = True
            self.system.timers.send_after(0.0, self.actor_ref, _Step())
