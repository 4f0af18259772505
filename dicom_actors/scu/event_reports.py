"""Event reports of a peer (N-EVENT-REPORT). PS3.7 10.1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dicom_actors.data import DataSet
    from dicom_actors.dimse import Command

__all__ = ["EventReport", "event_report_of"]


class EventReport(NamedTuple):
    """An N-EVENT-REPORT of the peer (PS3.7 10.1.1).

    Attributes:
        sop_class_uid: of what it is about.
        sop_instance_uid: likewise.
        event_type_id: what happened, by SOP class.
        data_set: the Event Information; None if there is none.
    """

    sop_class_uid: str
    sop_instance_uid: str
    event_type_id: int
    data_set: DataSet | None


def event_report_of(command: Command, data_set: DataSet | None) -> EventReport:
    """Make an event report of a request."""
    event_type = command.elements.get("EventTypeID")
    return EventReport(
        command.sop_class_uid,
        command.sop_instance_uid,
        event_type if isinstance(event_type, int) else 0,
        data_set,
    )
