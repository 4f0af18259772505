"""How many associations are open, or asked for, and from whom: what limits are held against."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.kernel.shared_port import Places

__all__ = ["Callers"]


class Callers:
    """Counts associations by their calling AE title; safe from any thread.

    Args:
        places: where other processes count theirs; None: there are none.
    """

    def __init__(self, places: Places | None = None) -> None:
        self._places = places
        self._lock = Lock()
        self._titles: dict[ConnectionRecord, str] = {}
        self._counts: Counter[str] = Counter()

    def enter(self, record: ConnectionRecord, calling_ae_title: str) -> tuple[int, int]:
        """Count an association.

        Returns:
            How many others there are, and how many of these from the same caller.
        """
        with self._lock:
            if record not in self._titles:
                self._titles[record] = calling_ae_title
                self._counts[calling_ae_title] += 1
            if self._places is not None:
                associations, same = self._places.note(self._counts, calling_ae_title)
                return associations - 1, same - 1
            return len(self._titles) - 1, self._counts[calling_ae_title] - 1

    def leave(self, record: ConnectionRecord) -> None:
        """Count an association no more; a second call does nothing."""
        with self._lock:
            title = self._titles.pop(record, None)
            if title is not None:
                self._counts[title] -= 1
                if not self._counts[title]:
                    del self._counts[title]
                if self._places is not None:
                    self._places.note(self._counts, title)
