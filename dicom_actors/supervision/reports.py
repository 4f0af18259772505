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
        text, arguments = self._text()
        return text % arguments

    def _text(self) -> tuple[str, tuple[object, ...]]:
        text = f"%s: {self.context}: child %r"
        arguments: tuple[object, ...] = (self.supervisor, self.child_id)
        if self.reason is not None:
            text, arguments = f"{text}, %s", (*arguments, self.reason)
        if self.restarts:
            text, arguments = f"{text}, %d restarts", (*arguments, self.restarts)
        return text, arguments

    def log(self, log: LogService) -> None:
        """Have it logged as one record, one kind of which is one kind of report."""
        # an actor that crashes logs its exception itself, one that did not start cannot
        cause = self.reason.exception if self.reason and self.logs_cause else None
        text, arguments = self._text()
        extra = {"supervision": self}
        log.write(logger, self.level, text, *arguments, exc_info=cause, extra=extra)


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
