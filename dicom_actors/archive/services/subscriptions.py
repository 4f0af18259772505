"""Who is told of a workitem that is created.

An AE is subscribed to workitems one by one, with a deletion lock or without. One that has a
worklist subscription is subscribed to each workitem that is created; one that has a filtered
worklist subscription, to each that matches its keys as it is created. It has one of each at the
most. All of it is in the index, which says who is subscribed to what; here is what keys mean.

Standard: PS3.4 CC.2.3, table CC.2.3-2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors import DataSet, DimseFailure, Query, Status
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.archive.index import WorklistSubscription

__all__ = ["FILTERED_WORKLIST", "WORKLIST", "Filter", "subscribed_to_new"]

WORKLIST: Final = "1.2.840.10008.5.1.4.34.5"
"""The well-known UID of all workitems (UPS Global Subscription SOP Instance)."""
FILTERED_WORKLIST: Final = "1.2.840.10008.5.1.4.34.5.1"
"""The well-known UID of workitems that match (UPS Filtered Global Subscription SOP Instance)."""


class Filter:
    """The keys of a filtered worklist subscription, or of a search.

    Args:
        keys: what is to match.

    Raises:
        DimseFailure: C000H, a key is none that can be matched.
    """

    def __init__(self, keys: DataSet) -> None:
        try:
            self.query: Final = Query(keys, ignore_accents=True)
        except DecodeError as error:
            raise DimseFailure(Status.UNABLE_TO_PROCESS, str(error)[:64]) from error

    def matches(self, workitem: DataSet) -> bool:
        """Whether a workitem is one of those."""
        try:
            return self.query.matches(workitem)
        except DecodeError:  # a value that nobody can read matches nothing
            return False


def subscribed_to_new(
    subscriptions: Iterable[WorklistSubscription], workitem: DataSet
) -> tuple[tuple[str, bool], ...]:
    """Who is subscribed to a workitem that is created, and whether with a deletion lock."""
    found = []
    for one in subscriptions:
        locks = [] if one.everything is None else [one.everything]
        is_asked = one.matching is not None and one.keys is not None
        if is_asked and Filter(DataSet.from_json(one.keys or "{}")).matches(workitem):
            locks.append(bool(one.matching))
        if locks:
            found.append((one.ae_title, any(locks)))
    return tuple(found)
