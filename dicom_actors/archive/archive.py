"""An archive: a folder of objects with an index, and the actors that keep it."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

import pykka

from dicom_actors import DataSet
from dicom_actors.archive import events
from dicom_actors.archive.actors import (
    Acquired,
    ArchiveKernel,
    ArchiveSupervisor,
    Expected,
    HasEvidence,
    IndexRows,
    Keep,
)
from dicom_actors.archive.actors.index_writer import StudiesChanged, WriteChanges
from dicom_actors.archive.actors.journal_store import CloseJournal
from dicom_actors.archive.actors.kernel import FolderIsBack
from dicom_actors.archive.actors.node_keeper import HaveAllSettle, new_node_name
from dicom_actors.archive.actors.unpacker import Finish
from dicom_actors.archive.arguments import check_kinds, check_path, check_ref, check_text, expect
from dicom_actors.archive.files import (
    INCOMING,
    REBUILD,
    Buckets,
    Cache,
    DiskFileSystem,
    Layout,
    Location,
    Store,
)
from dicom_actors.archive.folder_lock import FolderLock
from dicom_actors.archive.holdings import Holdings
from dicom_actors.archive.index import Deleted, Duplicates, LateRouted, Moved, Outcome, Result
from dicom_actors.archive.index.locating import is_shared, redacted
from dicom_actors.archive.index.nodes import Nodes
from dicom_actors.archive.index_handle import (
    INDEX_NAME,
    DirectRows,
    IndexHandle,
    SharedIndexHandle,
)
from dicom_actors.archive.maintenance.rebuilding import (
    Rebuilder,
    ask_for_rebuild,
    has_objects,
    set_aside,
)
from dicom_actors.archive.objects import Added, NewObject, Origin, Source, new_object
from dicom_actors.archive.services import (
    EXTENDED_NEGOTIATION,
    CommitmentReporter,
    CommitmentReports,
    OpenRequests,
    Peer,
    ProcedureSteps,
    QueryRetrieve,
    StorageCommitment,
    Workitems,
    Worklist,
    combined,
)
from dicom_actors.archive.services.cstore import StoreHandler
from dicom_actors.archive.settings import ArchiveSettings
from dicom_actors.archive.upkeep import Unpacking
from dicom_actors.errors import ArchiveError, ConfigurationError, DataError
from dicom_actors.messages import TreeNode
from dicom_actors.supervision import (
    ChildSpec,
    ChildType,
    SupervisionError,
    System,
    delete_child,
    start_child,
    terminate_child,
    which_children,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dicom_actors.archive.files import FileSystem
    from dicom_actors.archive.index import Queued, StoredInstance
    from dicom_actors.archive.upkeep import Intake
    from dicom_actors.supervision import ChildInfo, Clock

    Router = Callable[[DataSet, Origin], Iterable[Queued]]

__all__ = ["ActorInfo", "Archive", "Stats", "checked_settings", "store_in"]

logger = logging.getLogger(__name__)

_EVENTS: Final = (
    events.InstanceStored,
    events.InstanceDeleted,
    events.InstancesQueued,
    events.StudyChanged,
    events.StudyComplete,
    events.StudyUpdated,
    events.DiskSpace,
)
_REPORTER: Final = "commitment"
_REBUILDER: Final = "rebuilder"
_MOST_LISTED: Final = 20_000
"""Instances of a list that is looked through."""
_LISTS_OF_STEP: Final = (
    "ReferencedImageSequence",
    "ReferencedNonImageCompositeSOPInstanceSequence",
)
_TIMEOUT: Final = 5.0
"""Seconds for a supervisor to say which children it has."""


class Stats(NamedTuple):
    """How much there is in an archive, and how it is.

    Attributes:
        patients: patients.
        studies: studies.
        series: series.
        instances: instances.
        bytes: of their files.
        free_bytes: room on the disk.
        disk: see `DiskSpace.state`.
        journal_bytes: bytes of journals.
        incoming_files: files that have no place yet.
    """

    patients: int
    studies: int
    series: int
    instances: int
    bytes: int
    free_bytes: int
    disk: str
    journal_bytes: int
    incoming_files: int


class ActorInfo(NamedTuple):
    """One of an archive's actors.

    Attributes:
        name: what it is called in the tree; see `actors`.
        state: ``"running"``, ``"restarting"``, ``"stopping"`` or ``"stopped"``.
        restarts: how often it was restarted.
        queue_length: messages that wait in its inbox.
    """

    name: str
    state: str
    restarts: int
    queue_length: int


class Archive(Holdings):
    """An archive that is open. Any thread may use it.

    Made by `Archive.open`; it is also a context manager, which closes it.

    Attributes:
        worklist: what is scheduled.
        procedure_steps: what modalities have begun and done.
        workitems: unified procedure steps.
    """

    is_member = False
    """Whether another process has the index; see `dicom_actors.archive.member`."""

    def __init__(
        self,
        kernel: ArchiveKernel,
        lock: FolderLock | None,
        peers: Mapping[str, Peer],
        worklist_folder: str | os.PathLike[str] | None,
        *,
        heals: bool = True,
    ) -> None:
        self._kernel: Final = kernel
        self._lock = lock
        super().__init__(kernel.store, kernel.index, IndexRows(kernel))
        kernel.on_inherited = self._wake_reporter
        kernel.on_emptied = self._begin_anew
        self._device = kernel.store.root.stat().st_dev
        self._when_begun_anew: Callable[[], object] = lambda: None
        self._router: Router | None = None
        self._gate: Callable[[], str] = str
        self._duplicates = Duplicates(kernel.settings.duplicates)
        write, now = self.rows.write, kernel.now
        self.worklist: Final = Worklist(self.reader, write, worklist_folder)
        self.procedure_steps: Final = ProcedureSteps(self.reader, write, self._note_step)
        begins = kernel.index.is_first and not self.is_member
        self.workitems: Final = Workitems(self.reader, write, now, begins=begins)
        kernel.on_first = self.workitems.begin_after_all
        kernel.on_told = self.workitems.wake
        requests = OpenRequests()
        self._services: Final = (
            QueryRetrieve(self, peers),
            StorageCommitment(
                self,
                write,
                now,
                self._wake_reporter,
                requests,
                self._note_commitment,
                is_alone=not (self.is_member or kernel.index.is_shared),
            ),
            self.worklist,
            self.procedure_steps,
        )
        reports = CommitmentReports(
            self, write, peers, now, requests, is_for_all=not self.is_member
        )
        start_reporter = partial(CommitmentReporter.start, reports, now, name=_REPORTER)
        children = [ChildSpec(_REPORTER, start_reporter)]
        self.is_rebuilding = kernel.store.file_system.size(REBUILD) is not None
        if self.is_rebuilding and heals and not self.is_member:
            start_rebuilder = partial(
                Rebuilder.start, self, self.settle, self._duplicates, name=_REBUILDER
            )
            children.append(ChildSpec(_REBUILDER, start_rebuilder))
        self._supervisor: Final = ArchiveSupervisor.start(
            kernel, children, is_member=self.is_member, system=kernel.system
        )
        with contextlib.suppress(ArchiveError):  # then it is said when somebody asks for something
            self.workitems.begin()

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        now: Callable[[], float] = time.time,
        peers: Mapping[str, Peer] | None = None,
        worklist_folder: str | os.PathLike[str] | None = None,
        file_system: FileSystem | None = None,
        clock: Clock | None = None,
        heal: bool = True,
        index: str | None = None,
        **settings: Any,
    ) -> Self:
        """Open the archive in a folder, or make one there.

        Args:
            folder: the folder; made if it is not there.
            index: ``"postgresql://..."``: the index is in that database of PostgreSQL, and any
                number of processes may have the archive open, which all see the same folder. None:
                it is in the folder, and one process has it open.
            now: gives the time, in seconds since 1970.
            peers: where C-MOVE may send to, and who is told of storage commitment where the
                association of the request is over, by AE title.
            worklist_folder: a folder of worklist items, which is looked into at each query; see
                `Worklist`.
            file_system: what to keep objects on, instead of the folder.
            clock: tells how time passes, for pauses; None: the system's.
            heal: whether an index that is gone, or damaged, is made anew of the files, while the
                archive serves (`is_rebuilding` says how long); else a damaged one is an error,
                one that is gone is begun empty, and one that is to be made anew waits for that.
            **settings: see `ArchiveSettings`.

        Raises:
            ArchiveError: another process has it open, or its index cannot be used; see
                `ArchiveError.reason`.
            ConfigurationError: a setting is out of its range.
            MissingExtraError: an index of PostgreSQL needs the extra ``postgres``.
            TypeError: an argument is of another type; ValueError: no folder can have that name.
            OSError: the folder cannot be made or written.
        """
        checked = checked_settings(settings)
        _check_arguments(folder, worklist_folder, file_system, clock, now)
        _check_peers({} if peers is None else peers)
        expect("heal", heal, bool, "True or False")
        check_text("index", index)
        if index is not None and not is_shared(index):
            raise ConfigurationError(f"index: expected postgresql://..., got {redacted(index)!r}")
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(root, is_shared=index is not None)
        handle: IndexHandle | None = None
        try:
            is_synchronous = checked.durability == "disk"
            disk = file_system or DiskFileSystem(root, is_synchronous=is_synchronous)
            store = store_in(root.absolute(), disk, checked)
            if index is None:
                handle = IndexHandle(str(store.root / INDEX_NAME), checked.durability)
            else:
                handle = _share(index, store, checked)
            store.make_folders()
            _create(handle, store, heal=heal)
            kernel = ArchiveKernel(checked, store, handle, System(clock=clock), now)
            kernel.leftovers = Unpacking(store, IndexRows(kernel), now).leftovers()
            if index is None:
                _find_rows(kernel)
            return cls(kernel, lock, {} if peers is None else peers, worklist_folder, heals=heal)
        except BaseException:
            if handle is not None:
                handle.close()
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Archive {str(self.folder)!r}>"

    @property
    def settings(self) -> ArchiveSettings:
        """Its settings."""
        return self._kernel.settings

    @property
    def system(self) -> System:
        """The surroundings of its actors."""
        return self._kernel.system

    def close(self) -> None:
        """Finish what was begun, and close it; a second time does nothing.

        What was acknowledged is safe in any case: this only saves the next start some work.
        """
        if self._supervisor.is_alive():
            self._kernel.index.hurry()
            with contextlib.suppress(ArchiveError):
                self._settle_here()
            self._supervisor.stop()
            self._kernel.system.close()
            if self._kernel.index.is_shared:
                _leave(self._kernel)
        self._kernel.index.close()
        if self._lock is not None:
            self._lock.release()

    def _begin_anew(self) -> None:
        """Go on with nothing in a folder that is empty; in the thread of who looks at the disk.

        Raises:
            ArchiveError: another process keeps an archive there, or an index cannot be made.
            OSError: the folder cannot be written.
        """
        kernel = self._kernel
        if self._lock is None or kernel.store.root.stat().st_dev != self._device:
            return  # what is left where a disk was mounted that will be back
        lock = FolderLock(kernel.store.root, is_shared=kernel.index.is_shared)
        self._lock.release()
        self._lock = lock
        kernel.store.make_folders()
        if not kernel.index.is_shared:
            kernel.index.create()
        logger.warning("the folder %s was emptied: the archive begins anew in it", self.folder)
        kernel.tell("studies", StudiesChanged(None))
        kernel.tell("unpacker", FolderIsBack())
        self._when_begun_anew()

    def when_begun_anew(self, do: Callable[[], object]) -> None:
        """Have something done after the folder was emptied by somebody, and the index with it.

        Args:
            do: is called when there is a new index, in an actor's thread; may raise ArchiveError.
        """
        self._when_begun_anew = do

    # --- objects -----------------------------------------------------------------------------

    def add(self, source: Source) -> Added:
        """Keep an object; it is durable when this returns.

        Args:
            source: a path, the bytes of a Part 10 file, or a data set.

        Returns:
            What came of it. What is different from what is there, and not kept by
            `ArchiveSettings.duplicates`, is no error here: `Added.is_kept` says so.

        Raises:
            DataError: it cannot be read, or has not the UIDs that it needs.
            ArchiveError: it could not be kept, as far as is known: the index, or the room.
            OSError: it could not be kept.
        """
        with new_object(source, self.store, self.settings.journal_object_bytes) as new:
            return self.keep(new)

    def keep(self, new: NewObject) -> Added:
        """Keep an object that was made ready; see `add`.

        Raises:
            ArchiveError: as `add` does.
            OSError: as `add` does.
        """
        if why := self._gate():
            raise ArchiveError(why, "full")
        self.be_no_backup()
        queued = self._queued(new)
        added = self._keep(new, queued)
        if new.intake.acquisition is not None and added.result is Result.NEW:
            uids = new.intake.description[:2]
            self._kernel.tell("studies", Acquired(*uids, new.intake.acquisition))
        if added.result is Result.SAME:
            self._restore(new)
            if queued:
                self._route_late(new, queued)
        return added

    def _queued(self, new: NewObject) -> tuple[Queued, ...]:
        if self._router is None:
            return ()
        if new.read is not None:
            data_set = new.read()
        else:
            syntax = new.intake.transfer_syntax_uid
            data_set = DataSet.from_bytes(new.data, transfer_syntax=syntax)
        return tuple(self._router(data_set, new.origin))

    def _route_late(self, new: NewObject, queued: tuple[Queued, ...]) -> None:
        """Send on what was there, if nobody knew where it came from."""
        uids = new.intake.description[:3]
        with self.reader() as reader:
            if not reader.queue.is_unrouted(new.intake.sop_instance_uid):
                return
        self.rows.write([LateRouted(*uids, queued, self._kernel.now())])

    def _keep(self, new: NewObject, queued: tuple[Queued, ...]) -> Added:
        uid = new.intake.sop_instance_uid
        settings = self.settings
        is_uploaded = bool(settings.bucket) and settings.upload == "before"
        is_small = new.intake.size <= settings.journal_object_bytes and not is_uploaded
        put = self._put_small if is_small else self._put_large
        # It is enough that the index says in the end what was there: to ask before costs more than
        # to keep it, where it is not sent elsewhere or put in the place of another one.
        existing = None
        if is_uploaded or self._duplicates is Duplicates.REPLACE:
            existing = self.find_instance(uid)
        try:
            if existing is None:
                return self._added(put(new, queued), new)
            outcome = self._as_it_is(existing, new)
            if outcome is None and self._duplicates is not Duplicates.REPLACE:
                outcome = put(new, queued)
            elif outcome is None:
                outcome = self._replace(existing, lambda: put(new, queued))
        except (OSError, ArchiveError):
            # What is there already needs neither room nor a disk that can be written.
            existing = self.find_instance(uid)
            outcome = None if existing is None else self._as_it_is(existing, new)
            if outcome is None:
                raise
        return self._added(outcome, new)

    def _as_it_is(self, existing: StoredInstance, new: NewObject) -> Outcome | None:
        """What comes of an object without keeping it, as another one is there; None: nothing."""
        if existing.checksum == new.intake.checksum:
            return Outcome(Result.SAME, existing)
        if self._duplicates is Duplicates.KEEP_FIRST:
            return Outcome(Result.DIFFERENT, existing)
        versions = self.rows.versions_of(existing.sop_instance_uid)
        if any(one.checksum == new.intake.checksum for one in versions):
            return Outcome(Result.SAME, existing)
        return None

    def _restore(self, new: NewObject) -> None:
        """Keep an object again that has a row, where the bytes that it tells of are gone.

        Raises:
            ArchiveError: as `add` does.
            OSError: as `add` does.
        """
        kernel, intake = self._kernel, new.intake
        kept = self._kept_like(intake)
        if kept is not None and not self._is_there(kept):
            kept = self._kept_like(intake)  # it may have been brought elsewhere meanwhile
        if kept is None or self._is_there(kept):
            return
        kernel.look_at_disk(needed=intake.size)
        location = kernel.store.put([new.header, new.data])
        uid = intake.sop_instance_uid
        moved = Moved(uid, kept.location, str(location), intake.header_length, intake.size)
        if self.rows.write([moved])[0].result is Result.MOVED:
            logger.warning("an object that came again is kept again: its bytes were gone")
            kernel.unplaced.add([(uid, str(location))])
        else:
            kernel.store.remove(location)  # somebody else has seen to it

    def _kept_like(self, intake: Intake) -> StoredInstance | None:
        """Find the version of an instance that has the same data set."""
        versions = self.rows.versions_of(intake.sop_instance_uid)
        return next((one for one in versions if one.checksum == intake.checksum), None)

    def _is_there(self, version: StoredInstance) -> bool:
        """Whether a file is where a row says, and as long; of a bucket that is not asked."""
        location = Location.of(version.location)
        if location.is_in_bucket:
            return True
        size = self._kernel.store.size(location)
        if location.is_in_journal:
            return size is not None and size >= location.offset + version.size
        return size == version.size

    def _added(self, outcome: Outcome, new: NewObject) -> Added:
        is_kept = outcome.result is not Result.DIFFERENT or (
            self._duplicates is not Duplicates.KEEP_FIRST
        )
        return Added(new.intake.sop_instance_uid, outcome.result, is_kept)

    def _replace(self, existing: StoredInstance, put: Callable[[], Outcome]) -> Outcome:
        """Put an object in the place of another one, whose file goes."""
        uid = existing.sop_instance_uid
        if not Location.of(existing.location).is_placed:
            self.settle()  # what is about to be moved cannot be named
            existing = self.find_instance(uid) or existing
        done: list[Outcome] = []
        self.removing.around([(uid, existing.location)], lambda: done.append(put()))
        replaced = done[0].existing
        if replaced is not None and replaced.location != existing.location:
            # Somebody else has replaced it a moment before us.
            self.removing.around([(uid, replaced.location)], lambda: None)
        return done[0]

    def _put_small(self, new: NewObject, queued: tuple[Queued, ...]) -> Outcome:
        keep = Keep(new.intake, new.header, new.data, self._duplicates, queued)
        outcome: Outcome = self._kernel.ask("store", keep)
        return outcome

    def _put_large(self, new: NewObject, queued: tuple[Queued, ...]) -> Outcome:
        kernel = self._kernel
        first = self._put_bytes(new)
        uid = new.intake.sop_instance_uid
        try:
            place = kernel.store.place(first, new.intake.description[:3])
            row = new.intake.row(place or first, kernel.now(), self._duplicates, queued)
            outcomes: list[Outcome] = kernel.ask("index", WriteChanges((row,)))
        except BaseException:
            # Nobody knows whether there is a row, or will be: that is settled when it is looked at.
            if not first.is_placed:
                kernel.unplaced.add([(uid, str(first))])
            raise
        is_refused = outcomes[0].result is Result.SAME or (
            outcomes[0].result is Result.DIFFERENT and self._duplicates is Duplicates.KEEP_FIRST
        )
        over = [] if place is None else [first]
        if is_refused:
            used = {one.location for one in self.rows.versions_of(uid)}
            if str(first) in used:
                over = []  # somebody has found it, and sees to it
            elif row.location not in used:
                over = [first] if place is None else [place, first]
        with contextlib.suppress(OSError):  # what is left of it harms nobody
            for location in over:
                kernel.store.remove(location)
        return outcomes[0]

    def _put_bytes(self, new: NewObject) -> Location:
        """Have the bytes of an object safe, in the bucket or in a file of their own."""
        kernel, store = self._kernel, self._kernel.store
        if store.bucket and self.settings.upload == "before":
            kernel.look_at_disk(needed=1)  # for the index
            uids = new.intake.description[:3]
            return store.upload(uids, os.urandom(6).hex(), [new.header, new.data])
        kernel.look_at_disk(needed=new.intake.size)
        return new.put(store)

    # --- how it is ---------------------------------------------------------------------------

    def stats(self) -> Stats:
        """How much there is, and how the archive is.

        Raises:
            ArchiveError: the index cannot be read.
        """
        kernel = self._kernel
        kernel.look_at_disk()
        disk = kernel.store.file_system
        waiting = sum(disk.size(name) or 0 for name in kernel.closed_journals())
        return Stats(
            *self.counts(),
            free_bytes=kernel.free_bytes,
            disk=kernel.disk_state,
            journal_bytes=waiting + (disk.size(kernel.current_journal or INCOMING) or 0),
            incoming_files=len(disk.names(kernel.store.incoming)),
        )

    def actors(self) -> tuple[ActorInfo, ...]:
        """Its actors, in the order in which they start.

        Raises:
            ArchiveError: their supervisor does not answer.
        """
        try:
            children = which_children(self._supervisor, _TIMEOUT)
        except SupervisionError as error:
            raise ArchiveError(f"the archive's supervisor does not answer: {error}") from error
        found: list[ActorInfo] = []
        for child in reversed(children):
            found.append(_info_of(child))
            if child.type is ChildType.SUPERVISOR and child.ref is not None:
                with contextlib.suppress(SupervisionError):  # it is about to end
                    below = which_children(child.ref, _TIMEOUT)
                    found += (_info_of(one, f"{child.id}/") for one in reversed(below))
        return tuple(found)

    def tree(self) -> TreeNode:
        """Its actors as a tree, the destinations of its routes among them.

        Raises:
            ArchiveError: their supervisor does not answer.
        """
        try:
            return TreeNode("archive", "supervisor", "running", 0, None, children=self._below())
        except SupervisionError as error:
            raise ArchiveError(f"the archive's supervisor does not answer: {error}") from error

    def _below(self, supervisor: Any = None) -> tuple[TreeNode, ...]:
        found = []
        for child in reversed(which_children(supervisor or self._supervisor, _TIMEOUT)):
            below: tuple[TreeNode, ...] = ()
            if child.type is ChildType.SUPERVISOR and child.ref is not None:
                with contextlib.suppress(SupervisionError):  # it is about to end
                    below = self._below(child.ref)
            info = _info_of(child)
            found.append(
                TreeNode(
                    info.name,
                    child.type.value,
                    info.state,
                    info.restarts,
                    child.ref,
                    info.queue_length,
                    last_error="" if child.last_reason is None else str(child.last_reason),
                    children=below,
                )
            )
        return tuple(found)

    def check_index(self) -> None:
        """Have the index written to, without a change.

        Raises:
            ArchiveError: it cannot be; or somebody found that it is damaged.
        """
        self._kernel.index.check_unharmed()
        self.rows.write([Deleted("")])

    def settle(self) -> None:
        """Wait until all that came before has its place.

        Raises:
            ArchiveError: it cannot be brought there now; it is safe all the same.
        """
        self._settle_here()
        if self._kernel.index.is_shared:
            self.await_places(self.waiting(), lambda: self._kernel.tell("nodes", HaveAllSettle()))

    def _settle_here(self) -> None:
        self._kernel.ask("store", CloseJournal())
        problem = self._kernel.ask("unpacker", Finish())
        if problem:
            raise ArchiveError(problem)

    def event_handlers(self) -> dict[str, Any]:
        """The handlers for ``Endpoint.start(event_handlers=...)``."""
        return {"cstore": StoreHandler(self), **combined(self._services)}

    def _wake_reporter(self) -> None:
        reporter = self._kernel.system.registry.lookup(_REPORTER)
        if reporter is not None:  # else it finds what is owed when it starts again
            CommitmentReporter.wake(reporter)

    def endpoint_settings(self) -> dict[str, Any]:
        """What an endpoint should be told, for ``EndpointConfig(**archive.endpoint_settings())``.

        So what is large is written where it stays, and the rest needs no file while it comes.
        """
        return {
            "spool_directory": str(self.folder / INCOMING),
            "spool_bytes": self.settings.journal_object_bytes,
            "extended_negotiation": EXTENDED_NEGOTIATION,
        }

    # --- what is sent on ---------------------------------------------------------------------

    def route_with(self, router: Router | None) -> None:
        """Have each new object queued for where it goes, in the transaction that writes its row.

        Args:
            router: is called with the object, and where it comes from, in the thread that keeps
                it; what it raises is a failure to keep the object. None: nothing is sent on.
        """
        self._router = router

    def take_if(self, gate: Callable[[], str] | None) -> None:
        """Have objects refused (A700H) now and then.

        Args:
            gate: is called before an object is kept; what it says is why not. Empty: it is. None:
                all are.
        """
        self._gate = gate or str

    def supervise(self, spec: ChildSpec) -> pykka.ActorRef[Any]:
        """Start an actor of somebody else's with those of the archive; it ends before them.

        Raises:
            SupervisionError: there is one of that name, or it did not start.
        """
        ref: pykka.ActorRef[Any] = start_child(self._supervisor, spec)
        return ref

    def supervise_not(self, name: str) -> None:
        """End an actor of somebody else's; nothing if there is none."""
        with contextlib.suppress(SupervisionError, pykka.ActorDeadError):
            terminate_child(self._supervisor, name)
            delete_child(self._supervisor, name)

    # --- studies -----------------------------------------------------------------------------

    def attach(self, endpoint: pykka.ActorRef[Any]) -> None:
        """Tell which endpoint has the archive's handlers.

        No study is complete then while an association is open that has sent to it.
        """
        if not callable(getattr(endpoint, "ask", None)):  # what stands for several is no ActorRef
            raise TypeError(f"endpoint: expected an ActorRef, got {type(endpoint).__name__}")
        self._kernel.attach(endpoint)

    def has_evidence(self, study_instance_uid: str, reason: str) -> None:
        """Say that all of a study is there, so that nothing more has to be waited for.

        Args:
            study_instance_uid: which study. Nothing happens if it is not waited for.
            reason: how that is known; it is in the event.
        """
        self._kernel.tell("studies", HasEvidence(study_instance_uid, reason))

    def _note_commitment(self, instances: Sequence[str]) -> None:
        """Whoever asks for commitment of all that there is of a study has sent all of it."""
        if len(instances) > _MOST_LISTED:
            return
        listed: Counter[str] = Counter()
        with contextlib.suppress(ArchiveError), self.reader() as reader:
            for uid in set(instances):
                if (found := reader.location_of(uid)) is not None:
                    listed[found.study_instance_uid] += 1
            whole = [study for study in listed if reader.size_of_study(study) == listed[study]]
            for study in whole:
                self.has_evidence(study, "storage commitment was asked for all of it")

    def _note_step(self, sop_instance_uid: str, step: DataSet) -> None:
        """A performed procedure step that is completed lists what it has made (PS3.4 F.7.2)."""
        del sop_instance_uid
        with contextlib.suppress(DataError):
            if step.get("PerformedProcedureStepStatus") != "COMPLETED":
                return
            uids = [
                str(image.get("ReferencedSOPInstanceUID") or "")
                for series in step.get("PerformedSeriesSequence") or ()
                for keyword in _LISTS_OF_STEP
                for image in series.get(keyword) or ()
            ]
            studies = {
                str(item.get("StudyInstanceUID") or "")
                for item in step.get("ScheduledStepAttributesSequence") or ()
            }
            if len(studies) == 1 and 0 < len(uids) <= _MOST_LISTED:
                reason = "its procedure step is completed, and all that it lists is there"
                self._kernel.tell("studies", Expected(studies.pop(), tuple(uids), reason))

    def sends(self, association: int, study_instance_uid: str) -> bool:
        """An association is about to send to a study; returns whether that is news."""
        return self._kernel.senders.note(association, study_instance_uid)

    def sends_not(self, association: int, study_instance_uid: str) -> None:
        """What an association has sent was nothing that changed the study."""
        self._kernel.senders.forget(association, study_instance_uid)

    # --- who listens -------------------------------------------------------------------------

    def subscribe(
        self,
        ref: pykka.ActorRef[Any],
        kinds: tuple[type, ...] = _EVENTS,
        *,
        everywhere: bool = False,
    ) -> None:
        """Have an actor told of what happens, by the messages in `dicom_actors.archive.events`.

        Args:
            ref: the actor.
            kinds: of which events.
            everywhere: whether those of other processes that share the archive are told, too, as
                far as they can be heard; else an event is told in one process alone. An actor
                may have some kinds in this way and some in that.

        Raises:
            TypeError: it is no actor, or those are no classes.
        """
        check_ref(ref)
        check_kinds(kinds)
        self._kernel.subscribe(ref, kinds, everywhere=everywhere)

    def unsubscribe(self, ref: pykka.ActorRef[Any]) -> None:
        """Tell an actor no more."""
        check_ref(ref)
        self._kernel.unsubscribe(ref)


def _share(index: str, store: Store, settings: ArchiveSettings) -> IndexHandle:
    """Become one of those that share an index."""
    store.node = new_node_name()
    handle = SharedIndexHandle(index, settings.durability, store.node)
    try:
        handle.get()  # which makes it what it is today
        with contextlib.closing(Nodes(index, settings.node_lease_seconds)) as nodes:
            handle.unheard = nodes.those_there()
            handle.is_first = not handle.unheard
            nodes.join(store.node)
    except BaseException:
        handle.close()
        raise
    return handle


def _leave(kernel: ArchiveKernel) -> None:
    """Be none of those any more; what is left is for others."""
    store = kernel.store
    disk = store.file_system
    lease = kernel.settings.node_lease_seconds
    with (
        contextlib.suppress(ArchiveError, OSError),  # then they find out for themselves
        contextlib.closing(Nodes(kernel.index.path, lease)) as nodes,
    ):
        # In this order: see `Holdings.waiting`.
        if disk.remove_folder(store.journal) and disk.remove_folder(store.incoming):
            nodes.forget(store.node, store.node)
        else:
            nodes.give_up(store.node)


def _info_of(child: ChildInfo, above: str = "") -> ActorInfo:
    inbox: Any = None if child.ref is None else child.ref.actor_inbox
    waiting = 0 if inbox is None else inbox.qsize()
    return ActorInfo(f"{above}{child.id}", child.state.value, child.restarts, waiting)


def store_in(root: Path, disk: FileSystem, settings: ArchiveSettings) -> Store:
    """Have the files and buckets of an archive ready."""
    buckets = Buckets(disk, settings.bucket_timeout)
    bucket = buckets.register(settings.bucket) if settings.bucket else ""
    cache = None
    if settings.cache_bytes and buckets.addresses():
        cache = Cache(disk, settings.cache_bytes)
        cache.empty()
    layout = Layout(settings.layout)
    return Store(root, disk, layout, buckets=buckets, bucket=bucket, cache=cache)


def _find_rows(kernel: ArchiveKernel) -> None:
    """Have what a power cut left without rows found from the first moment on."""
    try:
        journals = kernel.closed_journals()
        Unpacking(kernel.store, DirectRows(kernel.index), kernel.now).find_rows(journals)
    except (ArchiveError, OSError) as error:
        logger.info("journals are looked at later: %s", error)  # the Unpacker tries again


def _create(index: IndexHandle, store: Store, *, heal: bool) -> None:
    """Open the index; one that is gone or damaged is begun anew, and that is noted."""
    if not heal:
        index.create()
        return
    if not index.exists() and has_objects(store):
        ask_for_rebuild(store)
    try:
        index.check_sound()
        index.create()
    except ArchiveError as error:
        if error.reason != "damaged":
            raise
        ask_for_rebuild(store)
        logger.warning("%s; it is kept as %s, and made anew", error, set_aside(store))
        index.create()


def _check_arguments(
    folder: object, worklist_folder: object, file_system: object, clock: object, now: object
) -> None:
    """See `Archive.open`; raises TypeError and ValueError."""
    check_path("folder", folder)
    if worklist_folder is not None:
        check_path("worklist_folder", worklist_folder)
    if file_system is not None and not callable(getattr(file_system, "synchronize_all", None)):
        raise TypeError(f"file_system: expected a FileSystem, got {type(file_system).__name__}")
    if clock is not None and not callable(getattr(clock, "monotonic", None)):
        raise TypeError(f"clock: expected a Clock, got {type(clock).__name__}")
    if not callable(now):
        raise TypeError(f"now: expected a callable, got {type(now).__name__}")


def _check_peers(peers: object) -> None:
    expect("peers", peers, Mapping, "a mapping of AE titles to Peers")
    for title, peer in cast("Mapping[Any, Any]", peers).items():
        expect("peers", title, str, "AE titles that are texts")
        expect(f"peers[{title!r}]", peer, Peer, "a Peer")


def checked_settings(settings: dict[str, Any]) -> ArchiveSettings:
    """Make settings of keyword arguments; raises ConfigurationError."""
    names = {field.name for field in fields(ArchiveSettings)}
    unknown = sorted(settings.keys() - names)
    if unknown:
        raise ConfigurationError(f"{unknown[0]}: there is no such setting of an archive")
    return ArchiveSettings(**settings)
