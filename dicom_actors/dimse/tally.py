"""The counts of the sub-operations of a C-GET or C-MOVE. PS3.4 C.4.2 and C.4.3, PS3.7 9.1.3."""

from __future__ import annotations

from typing import Final

from dicom_actors.dimse.command import CommandElement
from dicom_actors.dimse.status import Status, StatusCategory, category_of

__all__ = ["Tally"]

_MOST: Final = 0xFFFF
"""The counts are of VR US."""

_ALL_FAILED: Final = 0xA702
_SOME_FAILED: Final = 0xB000
"""Failure "unable to perform sub-operations", and the warning (PS3.4 C.4.2.1.5, C.4.3.1.4)."""


class Tally:
    """Counts what becomes of each instance.

    Args:
        total: how many sub-operations there will be; None if that is not known.

    Attributes:
        failed_sop_instance_uids: the instances that failed, as far as their UIDs are known.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._completed = self._failed = self._warning = 0
        self.failed_sop_instance_uids: list[str] = []

    def add(self, status: int | None, sop_instance_uid: str) -> None:
        """Count a sub-operation that is over.

        Args:
            status: what the peer answered; None if it was not asked or did not answer.
            sop_instance_uid: the instance; empty if it is not known.
        """
        category = StatusCategory.FAILURE if status is None else category_of(status)
        if category is StatusCategory.SUCCESS:
            self._completed += 1
        elif category is StatusCategory.WARNING:
            self._warning += 1
        else:
            self._failed += 1
            if sop_instance_uid:
                self.failed_sop_instance_uids.append(sop_instance_uid)

    @property
    def remaining(self) -> int | None:
        """Sub-operations that are not over; None if that is not known."""
        if self._total is None:
            return None
        return max(0, self._total - self._completed - self._failed - self._warning)

    def elements(self, *, remaining: bool) -> dict[int, int | str | bytes]:
        """Return the counts as elements of a response.

        Args:
            remaining: whether those that are not over are told, as in a response that is pending
                or says that the operation was cancelled.
        """
        counts = {
            CommandElement.NUMBER_OF_COMPLETED_SUBOPERATIONS: self._completed,
            CommandElement.NUMBER_OF_FAILED_SUBOPERATIONS: self._failed,
            CommandElement.NUMBER_OF_WARNING_SUBOPERATIONS: self._warning,
        }
        if remaining and self.remaining is not None:
            counts[CommandElement.NUMBER_OF_REMAINING_SUBOPERATIONS] = self.remaining
        return {int(element): min(count, _MOST) for element, count in counts.items()}

    @property
    def status(self) -> int:
        """The final status, where nothing else decides it."""
        if not self._failed and not self._warning:
            return Status.SUCCESS
        if not self._completed and not self._warning:
            return _ALL_FAILED
        return _SOME_FAILED
