"""What outlives the actors of an archive: its settings, its files, its index, who listens."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pykka

from dicom_actors.archive.events import WorkitemsTold
from dicom_actors.archive.files.journal import journal_names, number_of
from dicom_actors.archive.upkeep import Senders
from dicom_actors.errors import ArchiveError
from dicom_actors.messages import ListAssociations
from dicom_actors.supervision import NoProcError, SupervisionError, call, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.index.nodes import Nodes
    from dicom_actors.archive.index_handle import IndexHandle
    from dicom_actors.archive.settings import ArchiveSettings
    from dicom_actors.supervision import Reply, System

__all__ = ["ArchiveKernel", "FolderIsBack", "Place", "Unplaced"]

_ASKED_FOR: Final = 10.0
"""Seconds that an endpoint has to say which associations are open."""
_RESERVE: Final = 256 << 20
"""Bytes that are kept in reserve where nothing is said of that."""
_BYTES_FOR_ONE: Final = 8
"""Of a small disk, one byte in so many is kept in reserve."""


class FolderIsBack(NamedTuple):
    """To the Unpacker, a cast: the archive's folder was gone, and can be reached again."""


class Place(NamedTuple):
    """To the Unpacker, a cast: there are files that wait for their places; see `Unplaced`."""


class Unplaced:
    """Files in ``incoming/`` that have their rows, or may have, and wait for their places.

    The Unpacker is told of the first of them alone: it takes all that there are. Any thread may
    use it.

    Args:
        tell: tells the Unpacker.
    """

    def __init__(self, tell: Callable[[Place], object]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._files: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self._files)

    def add(self, files: list[tuple[str, str]]) -> None:
        """Have files brought to their places; pairs of a SOP Instance UID and a location."""
        with self._lock:
            is_first = not self._files
            self._files += files
        if is_first:
            self._tell(Place())  # one that is not there now looks for itself when it starts

    def take(self) -> list[tuple[str, str]]:
        """Take all of them."""
        with self._lock:
            files, self._files = self._files, []
        return files


class ArchiveKernel:
    """See the module. Any thread may use it.

    Attributes:
        settings: the archive's.
        store: its files.
        index: its index.
        now: gives the time, in seconds since 1970.
        current_journal: the journal that is being written; empty: none. It is set before the
            journal is there, and after all that was written to the one before is handed on.
        last_number: of the latest journal.
        lent_journals: those that other processes write.
        leftovers: what is in ``incoming/`` that was there at the start, or is being brought to its
            place, and is not seen to yet; the Unpacker's alone.
        disk_state: see `DiskSpace.state`; how the disk was when it was last looked at.
        free_bytes: how much room there was then.
        unplaced: files that wait for their places.
        senders: which associations have sent to which studies.
        nodes: what the NodeKeeper hears others by.
        can_wait: says whether the StudyWatcher looks at some studies before long in any case, so
            that it need not be woken for them.
        on_inherited: is called when what was another node's is everybody's.
        on_first: is called when it turns out that nobody was there when this node began.
        on_told: is called with the AE titles that have events of workitems to take; None: all may.
        on_emptied: is called when the folder was found empty, and nothing else, for a while.
    """

    def __init__(
        self,
        settings: ArchiveSettings,
        store: Store,
        index: IndexHandle,
        system: System,
        now: Callable[[], float],
    ) -> None:
        self.settings: Final = settings
        self.store: Final = store
        self.index: Final = index
        self.system: Final = system
        self.now: Final = now
        self.current_journal = ""
        # Not from 1 at each start: a row whose journal was lost must not find another object there.
        self.last_number = max(0, int(now()))
        self.lent_journals: set[str] = set()
        self.leftovers: set[str] = set()
        self.disk_state = "enough"
        self.free_bytes = 0
        self.unplaced: Final = Unplaced(lambda message: self.tell("unpacker", message))
        self.senders: Final = Senders()
        self.nodes: Nodes | None = None
        self.can_wait: Callable[[frozenset[str]], bool] = lambda _: False
        self.on_inherited: Callable[[], object] = lambda: None
        self.on_first: Callable[[], object] = lambda: None
        self.on_told: Callable[[Iterable[str] | None], object] = lambda _: None
        self.on_emptied: Callable[[], object] = lambda: None
        self._endpoints: tuple[pykka.ActorRef[Any], ...] = ()
        self._lock = threading.Lock()
        # Replaced as a whole, as it is read without the lock.
        self._subscribers: tuple[tuple[pykka.ActorRef[Any], tuple[type, ...], bool], ...] = ()
        self._owed: set[Reply] = set()

    def closed_journals(self) -> list[str]:
        """The journals that nobody writes any more, the oldest first; raises OSError."""
        # In this order: one that is there is the current one, or closed, or not made yet.
        names = journal_names(self.store.file_system, self.store.journal)
        current = self.current_journal
        lent = self.lent_journals
        return [name for name in names if name != current and name not in lent]

    def new_journal(self) -> int:
        """A number for a journal, which no other one has; raises OSError."""
        with self._lock:
            names = journal_names(self.store.file_system, self.store.journal)
            latest = max(map(number_of, names), default=0)
            self.last_number = max(latest, self.last_number) + 1
            return self.last_number

    def look_at_disk(self, needed: int = 0) -> None:
        """Look how much room there is.

        Args:
            needed: bytes that somebody wants to write.

        Raises:
            ArchiveError: after that there would be less than is kept in reserve; or the folder is
                not there. With `needed` alone.
        """
        settings = self.settings
        try:
            self.free_bytes = free = self.store.file_system.free_bytes()
            is_full = self._is_too_little(free - needed)
        except OSError as error:
            self.disk_state, self.free_bytes = "absent", 0
            if needed:
                raise ArchiveError(f"the folder cannot be reached: {error}", "absent") from error
            return
        was_absent = self.disk_state == "absent"
        if is_full:
            self.disk_state = "full"
        else:
            self.disk_state = "low" if free < settings.warn_free_bytes else "enough"
        if was_absent:
            self.tell("unpacker", FolderIsBack())
        if self.disk_state == "full" and needed:
            raise ArchiveError("no room on the disk", "full")

    def _is_too_little(self, left: int) -> bool:
        """Whether so much is less than is kept in reserve; raises OSError if the disk is away."""
        reserve = self.settings.reserve_bytes
        if reserve is not None:
            return left < reserve
        # How large the disk is, is asked for only where it matters: this is done for each object.
        return left < _RESERVE and left < self.store.file_system.total_bytes() // _BYTES_FOR_ONE

    # --- the actors --------------------------------------------------------------------------

    def ask(self, name: str, message: Any) -> Any:
        """Ask an actor of the archive.

        Raises:
            ArchiveError: it crashed, or is not there just now: whether anything was done is not
                known; or that is what it answers.
            OSError: that is what it answers.
        """
        ref = self.system.registry.lookup(name)
        try:
            if ref is None:
                raise NoProcError(f"{name} is not there")
            return call(ref, message, self.settings.answer_timeout)
        except SupervisionError as error:
            raise ArchiveError(f"the archive's {name} could not answer: {error}") from error

    def tell(self, name: str, message: Any) -> bool:
        """Send a message to an actor of the archive; False: it is not there just now."""
        ref = self.system.registry.lookup(name)
        return ref is not None and cast(ref, message)

    def leave(self, name: str, message: Any) -> None:
        """Send a message to an actor of the archive that it has when it wakes; see there."""
        ref: Any = self.system.registry.lookup(name)
        if ref is not None:
            ref.leave(message)

    def owe(self, replies: Iterable[Reply]) -> None:
        """Note who waits for an answer that was handed on from one actor to another."""
        with self._lock:
            self._owed.update(replies)

    def settle(self, replies: Iterable[Reply]) -> None:
        """Forget those who have their answer."""
        with self._lock:
            self._owed.difference_update(replies)

    def fail_owed(self, error: Exception) -> None:
        """Tell all who wait that there will be no answer: whoever had it to give has crashed."""
        with self._lock:
            owed, self._owed = self._owed, set()
        for reply in owed:
            reply.fail(error)

    # --- whose associations send -------------------------------------------------------------

    def attach(self, endpoint: pykka.ActorRef[Any]) -> None:
        """Have an endpoint asked which of its associations are open."""
        with self._lock:
            self._endpoints = (*(one for one in self._endpoints if one.is_alive()), endpoint)

    def open_associations(self) -> set[int] | None:
        """The numbers of the associations that are open; None: that cannot be known just now.

        Where no endpoint is attached, or it is gone, none is.
        """
        found: set[int] = set()
        for endpoint in self._endpoints:
            try:
                listed: Any = endpoint.ask(ListAssociations(), timeout=_ASKED_FOR)
            except pykka.ActorDeadError:
                continue
            except pykka.Timeout:
                return None
            found.update(one.id for one in listed or ())
        return found

    # --- who listens -------------------------------------------------------------------------

    def subscribe(
        self, ref: pykka.ActorRef[Any], kinds: tuple[type, ...], *, everywhere: bool
    ) -> None:
        """Have an actor told of events of some kinds, of this node or `everywhere` of others, too.

        What it was told of in the same way before, it is told of no more.
        """
        with self._lock:
            others = tuple(
                one for one in self._subscribers if one[0] is not ref or one[2] is not everywhere
            )
            self._subscribers = (*others, (ref, kinds, everywhere))

    def unsubscribe(self, ref: pykka.ActorRef[Any]) -> None:
        """Tell an actor no more."""
        with self._lock:
            self._subscribers = tuple(one for one in self._subscribers if one[0] is not ref)

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody may listen."""
        return bool(self._subscribers) or self.index.is_shared

    def publish(self, events: Iterable[Any], *, is_of_others: bool = False) -> None:
        """Tell those who listen; waits for nobody."""
        subscribers = self._subscribers
        events = tuple(events)
        if self.index.is_shared and not is_of_others:
            self.tell("nodes", events)
        for event in events:
            if isinstance(event, WorkitemsTold):
                self.on_told(event.ae_titles)
            for ref, kinds, everywhere in subscribers:
                if is_of_others and not everywhere:
                    continue
                if isinstance(event, kinds) and not cast(ref, event) and not ref.is_alive():
                    self.unsubscribe(ref)
