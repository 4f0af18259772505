"""A modality worklist: what is scheduled, and who asks for it by C-FIND (PS3.4 K).

The schedule comes from elsewhere (`schedule`, `remove`), from any thread; modalities ask. All
keys that PS3.4 K.6.1.2.2 has, and any others, are matched and returned.

    worklist = Worklist([item, ...])
    Endpoint.start(event_handlers=worklist.event_handlers)
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from dicom_actors import DataSet, DimseFailure, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"


class Worklist:
    """Scheduled procedure steps.

    Args:
        items: what is scheduled to begin with; see `schedule`.
        limit: how many matches are answered before the query is given up.
    """

    def __init__(self, items: Iterable[DataSet] = (), *, limit: int = 1_000) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, DataSet] = {}
        self._limit = limit
        for item in items:
            self.schedule(item)

    @property
    def event_handlers(self) -> dict[str, Callable[[Any], Any]]:
        """For the endpoint."""
        return {"cfind": self.find}

    def schedule(self, item: DataSet) -> None:
        """Add a worklist item, or replace the one of the same Scheduled Procedure Step ID.

        It is kept as it is: nobody changes it from now on.
        """
        step_id = item["ScheduledProcedureStepSequence", 0, "ScheduledProcedureStepID"]
        with self._lock:
            self._items[step_id] = item

    def remove(self, step_id: str) -> None:
        """Take an item off the list, as when its step has begun; it need not be on it."""
        with self._lock:
            self._items.pop(step_id, None)

    def find(self, event: Any) -> Iterator[DataSet]:
        """Answer C-FIND, in the thread of the association: one match after the other."""
        if event.sop_class_uid != MODALITY_WORKLIST:
            raise DimseFailure(Status.SOP_CLASS_NOT_SUPPORTED, "there is a worklist only")
        with self._lock:
            items = list(self._items.values())
        for count, answer in enumerate(event.query.select(items)):
            if count == self._limit:
                raise DimseFailure(Status.OUT_OF_RESOURCES, f"more than {count} matches")
            yield answer
