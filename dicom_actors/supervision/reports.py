"""What supervisors tell of: records for a log and for a program.

Every report is logged (its fields as the record's ``supervision``) and handed to the system's
sink. A report names actors, never what is in their messages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pykka

    from dicom_actors.supervision.exits import ExitReason
    from dicom_actors.supervision.log import LogService

__all__ = [
    "ChildTerminated",
    "ReachedMaxIntensity",
    "Report",
    "ShutdownError",
    "StartError",
    "Started",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What all reports say; two are equal if they are of one kind and say the same.

    Attributes:
        supervisor: whose child it is.
        child_id: the id in the child's spec.
        ref: the child; None if it did not start.
        reason: why it ended or did not start; None for `Started`.
        restarts: how often this child was restarted before.
    """

    supervisor: pykka.ActorRef[Any]
    child_id: Any
    ref: pykka.ActorRef[Any] | None
    reason: ExitReason | None
    restarts: int

    context: ClassVar[str] = ""
    level: ClassVar[int] = logging.ERROR
    logs_cause: ClassVar[bool] = False

    def __str__(self) -> str:
        text = f"{self.supervisor}: {self.context}: child {self.child_id!r}"
        if self.reason is not None:
            text += f", {self.reason}"
        return f"{text}, {self.restarts} restarts" if self.restarts else text


class Started(Report):
    """A child runs, for the first time or again."""

    context = "started"
    level = logging.DEBUG


class ChildTerminated(Report):
    """A child ended by itself: abnormally, or in any way if it is permanent."""

    context = "child terminated"


class StartError(Report):
    """A child did not start, for the first time or again."""

    context = "start error"
    logs_cause = True


class ShutdownError(Report):
    """A child that was asked to end did so for another reason, or had to be killed."""

    context = "shutdown error"


class ReachedMaxIntensity(Report):
    """Too many restarts: the supervisor gives up, or this child if it has its own budget."""

    context = "reached maximum intensity"


def log_report(report: Report, log: LogService) -> None:
    """Log a report as one record."""
    # an actor that crashes logs its exception itself, one that did not start cannot
    cause = report.reason.exception if report.reason and report.logs_cause else None
    extra = {"supervision": report}
    log.write(logger, report.level, "%s", report, exc_info=cause, extra=extra)
