"""Who is told of which workitems.

An AE is subscribed to workitems one by one, with a deletion lock or without. One that has a
worklist subscription is subscribed to each workitem that is created; one that has a filtered
worklist subscription, to each that matches its keys as it is created. It has one of each at the
most. All of it is in the index, as JSON: what each AE has, and who is subscribed to each workitem.

Standard: PS3.4 CC.2.3, table CC.2.3-2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet, DimseFailure, Query, Status
from dicom_actors.archive.index import Record
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome

__all__ = ["Subscriptions"]

_OF_AE: Final = "worklist subscription"
_OF_WORKITEM: Final = "workitem subscription"


class _Filter(NamedTuple):
    """A filtered worklist subscription: whether it has locks, and what is to match."""

    has_lock: bool
    keys: DataSet
    query: Query

    @classmethod
    def of(cls, keys: DataSet, *, has_lock: bool) -> _Filter:
        """Make one. Raises DimseFailure: C000H, a key is none that can be matched."""
        try:
            return cls(has_lock, keys, Query(keys, ignore_accents=True))
        except DecodeError as error:
            raise DimseFailure(Status.UNABLE_TO_PROCESS, str(error)[:64]) from error

    def matches(self, workitem: DataSet) -> bool:
        """Whether a workitem is one of those."""
        try:
            return self.query.matches(workitem)
        except DecodeError:  # a value that nobody can read matches nothing
            return False


class _Worklist(NamedTuple):
    """What an AE is subscribed to of what will be created.

    Attributes:
        all: whether its subscription to all has locks; None: it has none.
        filtered: its subscription to those that match; None: it has none.
    """

    all: bool | None = None
    filtered: _Filter | None = None

    def encoded(self, ae_title: str) -> Record:
        """As it is kept."""
        found: dict[str, Any] = {"all": self.all}
        if self.filtered is not None:
            found["filtered"] = self.filtered.has_lock
            found["keys"] = self.filtered.keys.to_json_dict()
        is_empty = self == _Worklist()
        return Record(_OF_AE, ae_title, None if is_empty else json.dumps(found).encode())

    @classmethod
    def decoded(cls, data: bytes) -> _Worklist:
        """What `encoded` has made."""
        found = json.loads(data)
        keys = found.get("keys")
        if keys is None:
            return cls(found["all"])
        return cls(found["all"], _Filter.of(DataSet.from_json(keys), has_lock=found["filtered"]))


class Subscriptions:
    """Those of all AEs. Whoever uses it has it alone.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
        most: AEs.

    Where a method raises `ArchiveError`, the index cannot be used, and nothing is changed.
    """

    def __init__(
        self,
        reader: Callable[[], AbstractContextManager[IndexReader]],
        write: Callable[[Sequence[Change]], list[Outcome]],
        *,
        most: int,
    ) -> None:
        self._write = write
        self._most = most
        with reader() as lent:
            self._worklists: Final = {
                ae_title: _Worklist.decoded(data) for ae_title, data in lent.records(_OF_AE)
            }
            self._workitems: Final[dict[str, Mapping[str, bool]]] = {
                uid: json.loads(data) for uid, data in lent.records(_OF_WORKITEM)
            }

    def ae_titles(self) -> set[str]:
        """All who are told of anything."""
        return set(self._worklists).union(*self._workitems.values())

    def of(self, uid: str) -> Mapping[str, bool]:
        """Who is told of a workitem: AE titles, and whether each has a deletion lock."""
        return self._workitems.get(uid, {})

    # --- what becomes of subscriptions -------------------------------------------------------

    def subscribe(self, ae_title: str, uid: str, *, has_lock: bool) -> None:
        """Subscribe to a workitem.

        Raises:
            DimseFailure: 0213H, there are too many who subscribe.
        """
        self._check_room(ae_title)
        self._change({}, {uid: {**self.of(uid), ae_title: has_lock}})

    def subscribe_to_all(self, ae_title: str, uids: Iterable[str], *, has_lock: bool) -> None:
        """Subscribe to all workitems: to those that are there, and to what will be created.

        Raises:
            DimseFailure: 0213H, there are too many who subscribe.
        """
        self._check_room(ae_title)
        worklist = self._worklist(ae_title)._replace(all=has_lock)
        self._change({ae_title: worklist}, self._added(ae_title, uids, has_lock=has_lock))

    def subscribe_to_matching(
        self, ae_title: str, keys: DataSet, workitems: Mapping[str, DataSet], *, has_lock: bool
    ) -> list[str]:
        """Subscribe to what matches, now and when it is created; returns what matches now.

        Raises:
            DimseFailure: C000H, a key is none that can be matched; 0213H, there are too many who
                subscribe.
        """
        self._check_room(ae_title)
        filtered = _Filter.of(keys, has_lock=has_lock)
        matching = [uid for uid, workitem in workitems.items() if filtered.matches(workitem)]
        worklist = self._worklist(ae_title)._replace(filtered=filtered)
        self._change({ae_title: worklist}, self._added(ae_title, matching, has_lock=has_lock))
        return matching

    def unsubscribe(self, ae_title: str, uid: str) -> bool:
        """Be told of a workitem no more; returns whether the AE was."""
        found = dict(self.of(uid))
        was = found.pop(ae_title, None) is not None
        if was:
            self._change({}, {uid: found})
        return was

    def unsubscribe_from_all(self, ae_title: str, *, is_filtered: bool) -> bool:
        """Be told of nothing any more; returns whether there was such a subscription.

        Args:
            ae_title: who.
            is_filtered: whether it is the filtered one that ends; where there is one to all
                beside it, that one stays, with all that it has brought.
        """
        worklist = self._worklist(ae_title)
        mine = [uid for uid, states in self._workitems.items() if ae_title in states]
        if is_filtered:
            if worklist.filtered is None:
                return False
            if worklist.all is not None:
                self._change({ae_title: worklist._replace(filtered=None)}, {})
                return True
        elif worklist == _Worklist() and not mine:
            return False
        without = {
            uid: {one: lock for one, lock in self.of(uid).items() if one != ae_title}
            for uid in mine
        }
        self._change({ae_title: _Worklist()}, without)
        return True

    def suspend(self, ae_title: str, *, is_filtered: bool) -> bool:
        """Subscribe to nothing new; returns whether the AE did."""
        worklist = self._worklist(ae_title)
        if (worklist.filtered if is_filtered else worklist.all) is None:
            return False
        ended = {"filtered": None} if is_filtered else {"all": None}
        self._change({ae_title: worklist._replace(**ended)}, {})
        return True

    # --- what becomes of workitems -----------------------------------------------------------

    def of_new(self, workitem: DataSet) -> dict[str, bool]:
        """Who is subscribed to a workitem that is created, and whether with a deletion lock."""
        found = {}
        for ae_title, worklist in self._worklists.items():
            locks = [] if worklist.all is None else [worklist.all]
            if worklist.filtered is not None and worklist.filtered.matches(workitem):
                locks.append(worklist.filtered.has_lock)
            if locks:
                found[ae_title] = any(locks)
        return found

    @staticmethod
    def kept(uid: str, states: Mapping[str, bool]) -> Record:
        """What has to be written together with a workitem; see `note`."""
        return Record(_OF_WORKITEM, uid, json.dumps(states).encode() if states else None)

    def note(self, uid: str, states: Mapping[str, bool]) -> None:
        """Know of what was written."""
        if states:
            self._workitems[uid] = states
        else:
            self._workitems.pop(uid, None)

    # --- what they share ---------------------------------------------------------------------

    def _worklist(self, ae_title: str) -> _Worklist:
        return self._worklists.get(ae_title, _Worklist())

    def _added(
        self, ae_title: str, uids: Iterable[str], *, has_lock: bool
    ) -> dict[str, Mapping[str, bool]]:
        """Add somebody where he is not subscribed yet; else his state is as it was."""
        return {
            uid: {**self.of(uid), ae_title: has_lock}
            for uid in uids
            if ae_title not in self.of(uid)
        }

    def _change(
        self, worklists: Mapping[str, _Worklist], workitems: Mapping[str, Mapping[str, bool]]
    ) -> None:
        """Write, then know it."""
        self._write(
            [
                *(worklist.encoded(ae_title) for ae_title, worklist in worklists.items()),
                *(self.kept(uid, states) for uid, states in workitems.items()),
            ]
        )
        for ae_title, worklist in worklists.items():
            if worklist == _Worklist():
                self._worklists.pop(ae_title, None)
            else:
                self._worklists[ae_title] = worklist
        for uid, states in workitems.items():
            self.note(uid, states)

    def _check_room(self, ae_title: str) -> None:
        there = self.ae_titles()
        if ae_title not in there and len(there) >= self._most:
            raise DimseFailure(Status.RESOURCE_LIMITATION, f"{self._most} AEs have subscribed")
