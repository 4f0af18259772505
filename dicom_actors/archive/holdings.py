"""What can be done with the objects and the index of an archive, whoever else has it open."""

from __future__ import annotations

import abc
import contextlib
import functools
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from dicom_actors import DataSet, TransferSyntax, read_file, read_large
from dicom_actors.archive.arguments import check_text, expect
from dicom_actors.archive.backup_mark import BACKUP_MARK, take_mark_away
from dicom_actors.archive.files import AS_WANTED, Location
from dicom_actors.archive.index import Deleted, QueueCommand, Result
from dicom_actors.archive.query import Model, Settings, find
from dicom_actors.archive.upkeep import FrameRanges, Removing, read_hollow
from dicom_actors.errors import ArchiveError, DecodeError
from dicom_actors.scu import OutgoingObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.index import Counts, IndexReader, Outcome, QueueStatus, StoredInstance
    from dicom_actors.archive.index_handle import IndexHandle
    from dicom_actors.archive.upkeep import Rows
    from dicom_actors.scu import FileBytes

__all__ = ["Holdings"]

_Bytes = TypeVar("_Bytes", "memoryview", "memoryview | FileBytes")

_ATTEMPTS: Final = 5
"""How often a location is looked up again whose file was just brought to its place."""
_HELD: Final = 1.0
"""Seconds after which folders are opened again that files are read in, one after the other."""
_DELETED_AT_ONCE: Final = 256
_PATIENCE: Final = 120.0
"""Seconds for other processes to bring what came before to its place."""
_PAUSE: Final = 0.1
_ASKED_EACH: Final = 10
"""Pauses after which others are asked again."""
_QUEUE_ACTIONS: Final = ("pause", "resume", "retry", "drop")


class Holdings(abc.ABC):
    """Objects and their index. Any thread may use it.

    Args:
        store: the files.
        handle: the index, for readers.
        rows: the index, for writers.

    Attributes:
        store: the files.
        rows: the index, for writers.
        removing: removes files whose rows go.
        is_rebuilding: whether the index is being made anew, and does not know of all there is.
    """

    def __init__(self, store: Store, handle: IndexHandle, rows: Rows) -> None:
        self.store: Final = store
        self.rows: Final = rows
        self.removing: Final = Removing(store, rows)
        self._handle: Final = handle
        self.is_rebuilding = False
        self._is_backup = store.file_system.size(BACKUP_MARK) is not None

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.store.root

    def be_no_backup(self) -> None:
        """Have the folder be an archive of its own, before something is kept that was not copied.

        Else the next backup into it would take that for what the archive has no more.

        Raises:
            OSError: the mark of a backup cannot be removed.
        """
        if self._is_backup:
            take_mark_away(self.store.file_system)
            self._is_backup = False

    @abc.abstractmethod
    def settle(self) -> None:
        """Wait until all that came before has its place.

        Raises:
            ArchiveError: it cannot be brought there now; it is safe all the same.
        """

    def waiting(self) -> set[str]:
        """The names of all journals and files that have no place yet, whose they may be.

        Raises:
            OSError: the folder cannot be read.
        """
        store, disk = self.store, self.store.file_system
        everybody = [store.of_node(node) for node in ("", *store.nodes())]
        return {
            f"{folder}/{name}"
            for one in everybody
            # Else it was seen to what a node has left; what is in its journals is damaged.
            if not one.node or disk.has_folder(one.incoming)
            for folder in (one.incoming, one.journal)
            for name in disk.names(folder)
            if name.endswith((".dcm", ".journal"))
        }

    def await_places(self, names: set[str], ask: Callable[[], object] = lambda: None) -> None:
        """Wait until other processes have brought something to its place.

        Args:
            names: what is waited for; see `waiting`.
            ask: asks them to; again and again, since one may not have heard it.

        Raises:
            ArchiveError: they do not.
            OSError: the folder cannot be read.
        """
        for turn in range(round(_PATIENCE / _PAUSE)):
            if not names & self.waiting():
                return
            if turn % _ASKED_EACH == 0:
                ask()
            threading.Event().wait(_PAUSE)
        raise ArchiveError("the archive is too busy to bring all to its place", "busy")

    # --- what there is -----------------------------------------------------------------------

    @contextlib.contextmanager
    def reader(self) -> Iterator[IndexReader]:
        """Lend a snapshot of the index.

        Raises:
            ArchiveError: it cannot be read.
        """
        with self._handle.reader() as reader:
            yield reader

    def find_instance(self, sop_instance_uid: str) -> StoredInstance | None:
        """Find an instance by its SOP Instance UID; None if there is none.

        Raises:
            TypeError: it is no text.
            ArchiveError: the index cannot be read.
        """
        expect("sop_instance_uid", sop_instance_uid, str, "a text")
        with self.reader() as reader:
            return reader.location_of(sop_instance_uid)

    def instances(
        self,
        *,
        patient_id: str | None = None,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> Iterator[StoredInstance]:
        """Give the instances that are all that is named, or all there are, in the order they came.

        Args:
            patient_id: of this patient; None: of any.
            study_instance_uid: of this study.
            series_instance_uid: of this series.
            sop_instance_uid: this one.

        Raises:
            TypeError: a key is no text.
            ArchiveError: the index cannot be read.
        """
        keys = {
            "patient_id": patient_id,
            "study_instance_uid": study_instance_uid,
            "series_instance_uid": series_instance_uid,
            "sop_instance_uid": sop_instance_uid,
        }
        for name, key in keys.items():
            check_text(name, key)
        return self._instances(keys)

    def _instances(self, keys: dict[str, str | None]) -> Iterator[StoredInstance]:
        with self.reader() as reader:
            yield from reader.instances(**keys)

    def find(self, identifier: DataSet, settings: Settings | None = None) -> Iterator[DataSet]:
        """Answer a query as C-FIND on Study Root does (PS3.4 C.4.1).

        Args:
            identifier: the keys, with a Query/Retrieve Level.
            settings: how.

        Raises:
            DimseFailure: the identifier is none that can be answered.
            TypeError: it is no data set, or those are no settings.
            ArchiveError: the index cannot be read.
        """
        expect("identifier", identifier, DataSet, "a DataSet")
        expect("settings", settings, (Settings, type(None)), "Settings")
        found = find(self, identifier, Model.STUDY_ROOT, settings or Settings())
        return (answer for _, answer in found)

    def source(self, instance: StoredInstance) -> OutgoingObject:
        """An instance as a handler of C-GET or C-MOVE gives it: it is opened when it is sent."""
        return OutgoingObject(
            functools.partial(self.open_bytes, instance),
            instance.sop_class_uid,
            instance.sop_instance_uid,
            instance.transfer_syntax_uid,
            instance.header_length,
        )

    def is_whole(self, instance: StoredInstance) -> bool:
        """Whether the bytes of an instance are there, as many as there should be; not which.

        Raises:
            ArchiveError: the index cannot be read.
        """
        found: StoredInstance | None = instance
        for _ in range(_ATTEMPTS):
            if found is None:
                return False
            location = Location.of(found.location)
            size = self.store.size(location)
            if size is not None:
                end = location.offset + found.size
                return size >= end if location.is_in_journal else size == end
            found = self._current(found)  # it was brought to its place since it was looked up
        return False

    def read(self, instance: StoredInstance, *, is_fresh: bool = False) -> memoryview:
        """The bytes of an instance's file, all of them in memory.

        Args:
            instance: the instance.
            is_fresh: whether a copy of what is in a bucket will not do.

        Raises:
            ArchiveError: there is no such instance any more.
            OSError: the file cannot be read.
        """
        return self.read_part(instance, 0, instance.size, is_fresh=is_fresh)

    def open_bytes(
        self, instance: StoredInstance, *, is_fresh: bool = False, as_wanted: int = AS_WANTED
    ) -> memoryview | FileBytes:
        """The bytes of an instance's file; of many those of a file are read when they are wanted.

        What is deleted meanwhile can be read to its end; a file that somebody makes shorter gives
        a FileChangedError.

        Args:
            instance: the instance.
            is_fresh: see `read`.
            as_wanted: how many are many; fewer are read at once.

        Raises:
            ArchiveError: there is no such instance any more, or its file is shorter.
            OSError: the file cannot be read.
        """
        give = functools.partial(self.store.open, is_fresh=is_fresh, as_wanted=as_wanted)
        return self._found(instance, instance.size, give)

    def open_each(
        self, instances: Iterable[StoredInstance], *, as_wanted: int = AS_WANTED
    ) -> Iterator[memoryview | FileBytes]:
        """Give what `open_bytes` gives, one after the other; folders are opened but now and then.

        Raises:
            ArchiveError: as for `open_bytes`; there is no next one then.
            OSError: the same.
        """
        left = iter(instances)
        while True:
            until = time.monotonic() + _HELD
            with self.store.held() as store:
                give = functools.partial(store.open, as_wanted=as_wanted)
                for instance in left:
                    yield self._found(instance, instance.size, give)
                    if time.monotonic() > until:
                        break
                else:
                    return

    def read_part(
        self, instance: StoredInstance, offset: int, length: int, *, is_fresh: bool = False
    ) -> memoryview:
        """Some of the bytes of an instance's file, by one read.

        Args:
            instance: the instance.
            offset: bytes before them in the file.
            length: how many.
            is_fresh: see `read`.

        Raises:
            ArchiveError: there is no such instance any more, or its file is shorter.
            OSError: the file cannot be read.
        """
        is_whole = offset == 0 and length == instance.size

        def read(location: Location, length: int) -> memoryview:
            location = location._replace(offset=location.offset + offset)
            return self.store.read(location, length, is_whole=is_whole, is_fresh=is_fresh)

        return self._found(instance, length, read)

    def _found(
        self, instance: StoredInstance, length: int, give: Callable[[Location, int], _Bytes]
    ) -> _Bytes:
        """Give bytes of an instance, wherever it is brought meanwhile; see `read_part`."""
        found: StoredInstance | None = instance
        for attempt in range(_ATTEMPTS):
            if found is None:
                break
            try:
                data = give(Location.of(found.location), length)
            except FileNotFoundError:
                # It was brought to its place since it was looked up.
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                if len(data) != length:
                    raise ArchiveError(
                        f"{found.location}: expected {length} bytes, got {len(data)}", "damaged"
                    )
                return data
            found = self._current(found)
        raise ArchiveError(f"there is no instance {instance.sop_instance_uid}", "deleted")

    def frames_of(self, instance: StoredInstance) -> FrameRanges:
        """Where the frames of an instance are in its data set.

        Of those that came lately the index knows it; of others the file is asked.

        Raises:
            ElementNotFoundError: it has no pixel data.
            DataError: nothing tells where its frames are: it is deflated, for example.
            ArchiveError: there is no such instance any more.
            OSError: the file cannot be read.
        """
        if instance.pixel_data:
            with contextlib.suppress(ValueError):
                return FrameRanges.decoded(instance.pixel_data)
        is_deflated = TransferSyntax.of(instance.transfer_syntax_uid).is_deflated
        file = self.open_bytes(instance)
        data_set = read_large(file) if is_deflated else read_hollow(file)
        found = None if is_deflated else FrameRanges.of(data_set)
        if found is None:
            data_set.frames()[0]  # which may say why
            raise DecodeError(f"{instance.sop_instance_uid}: nothing tells where its frames are")
        return found

    def frame(self, instance: StoredInstance | str, number: int) -> bytes | memoryview:
        """One frame as it is in the file, which is not read but for that.

        Args:
            instance: the instance, or its SOP Instance UID.
            number: the Frame Number; the first is 1 (PS3.3 C.7.6.6).

        Returns:
            Its bytes, in the transfer syntax of the instance: a codestream if that compresses.

        Raises:
            KeyError: there is no such instance.
            IndexError: there is no such frame.
            DataError: as for `frames_of`; or the file is not what it was.
            ArchiveError: there is no such instance any more, or the index cannot be read.
            OSError: the file cannot be read.
        """
        found = self.find_instance(instance) if isinstance(instance, str) else instance
        if found is None:
            raise KeyError(instance)
        where = self.frames_of(found).range_of(number)
        try:
            at = found.header_length + where.offset
            return where.frame(self.read_part(found, at, where.length))
        except ValueError as error:
            raise DecodeError(f"{found.location}: frame {number}: {error}") from error

    def _current(self, instance: StoredInstance) -> StoredInstance | None:
        versions = self.rows.versions_of(instance.sop_instance_uid)
        same = [one for one in versions if one.checksum == instance.checksum]
        return same[0] if same else None

    def open_instance(self, sop_instance_uid: str) -> DataSet:
        """Read an instance; values are decoded when they are asked for.

        Raises:
            KeyError: there is no such instance.
            TypeError: it is no text.
            ArchiveError: the index cannot be read.
            OSError: the file cannot be read.
            DataError: the file is damaged.
        """
        found = self.find_instance(sop_instance_uid)
        if found is None:
            raise KeyError(sop_instance_uid)
        return read_file(self.read(found))

    def counts(self) -> Counts:
        """How much there is, as the index counts it.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self.reader() as reader:
            return reader.counts()

    def queues(self) -> list[QueueStatus]:
        """How the queues of what is to be sent on are, by the names of the destinations.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self.reader() as reader:
            return list(reader.queue.statuses())

    def change_queues(self, action: str, destination: str | None = None) -> int | None:
        """Do something with the queue of a destination, or with all of them.

        Args:
            action: ``"pause"``, ``"resume"``, ``"retry"`` (what was set aside, and what waits for
                its time) or ``"drop"`` (what was set aside).
            destination: of which; None: all.

        Returns:
            With how many rows that was done; None: there is no such destination.

        Raises:
            ValueError: it is no such action.
            ArchiveError: the index cannot be written.
        """
        if action not in _QUEUE_ACTIONS:
            raise ValueError(f"expected one of {', '.join(_QUEUE_ACTIONS)}, got {action!r}")
        (outcome,) = self.rows.write([QueueCommand(action, destination)])
        return None if outcome.result is Result.MISSING else outcome.rows

    def copy_index(self, path: Path) -> None:
        """Copy the index, as it is at one moment.

        Raises:
            ArchiveError: it cannot be.
        """
        self._handle.get().copy_to(path)

    # --- deleting ----------------------------------------------------------------------------

    def delete(
        self,
        *,
        patient_id: str | None = None,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> int:
        """Delete the instances that are all that is named, with their other versions.

        Args:
            patient_id: of this patient; None: of any.
            study_instance_uid: of this study.
            series_instance_uid: of this series.
            sop_instance_uid: this one.

        Returns:
            How many instances there were.

        Raises:
            ValueError: no key, which would be all there is.
            TypeError: a key is no text.
            ArchiveError: some may be deleted.
            OSError: some may be deleted; files that have no row any more are removed at the next
                start.
        """
        keys = {
            "patient_id": patient_id,
            "study_instance_uid": study_instance_uid,
            "series_instance_uid": series_instance_uid,
            "sop_instance_uid": sop_instance_uid,
        }
        if all(value is None for value in keys.values()):
            raise ValueError("delete: expected at least one key")
        uids = [found.sop_instance_uid for found in self.instances(**keys)]
        # What is in the journal must be a file first, or it would come back with the journal.
        self.settle()
        # Nor may the journal itself come back after a power cut.
        self.store.file_system.synchronize_folder(self.store.journal)
        deleted = 0
        for at in range(0, len(uids), _DELETED_AT_ONCE):
            deleted += self._delete(uids[at : at + _DELETED_AT_ONCE])
        return deleted

    def _delete(self, uids: list[str]) -> int:
        locations = [(uid, found.location) for uid in uids for found in self.rows.versions_of(uid)]
        outcomes: list[Outcome] = []
        self.removing.around(
            locations, lambda: outcomes.extend(self.rows.write([Deleted(uid) for uid in uids]))
        )
        return sum(outcome.result is Result.DELETED for outcome in outcomes)
