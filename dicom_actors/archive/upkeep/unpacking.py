"""Objects on the way to their places: out of journals, and out of ``incoming/``.

The same is done while the archive serves and for what a crash left. A row says whether an object
is needed where it is. One without any row was never acknowledged; if it is whole it is taken in
all the same, since its row may have been lost with the index. As long as the index is being made
anew, so is one whose UID has other bytes by now: they may be of a file that was older. Where
objects are replaced, it is the current version then, and that file another one.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dicom_actors import read_file
from dicom_actors.archive.files import REBUILD, Location, placing_in, read_records
from dicom_actors.archive.files.store import PART
from dicom_actors.archive.index import Duplicates, Moved
from dicom_actors.archive.upkeep.intake import describe_at, describe_file
from dicom_actors.archive.upkeep.removing import Removing
from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dicom_actors.archive.files import FileBytes, Placed, Store
    from dicom_actors.archive.index import NewInstance, StoredInstance
    from dicom_actors.archive.upkeep.intake import Intake
    from dicom_actors.archive.upkeep.rows import Rows

__all__ = ["Recovered", "Unpacking"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_BATCH: Final = 256
_BATCH_BYTES: Final = 64 * 1024 * 1024
_OBJECT: Final = ".dcm"
_DAMAGED: Final = ".damaged"


class Recovered(NamedTuple):
    """What a start found to do.

    Attributes:
        placed: objects that have their places now.
        adopted: those of them that had no row.
        damaged: objects that cannot be read.
    """

    placed: int = 0
    adopted: int = 0
    damaged: int = 0

    def __add__(self, other: object) -> Recovered:
        if not isinstance(other, Recovered):
            return NotImplemented
        return Recovered(*(one + two for one, two in zip(self, other, strict=True)))


class _Object(NamedTuple):
    """An object on its way."""

    sop_instance_uid: str
    location: Location
    size: int
    read: Callable[[], memoryview]  # of a file that is placed by a second name nobody needs it
    received: float
    is_sound: Callable[[], bool]
    is_first: bool  # whether nobody has given it a place before


class Unpacking:
    """Brings objects to their places; for one thread.

    Args:
        store: where they are.
        rows: the index.
        now: gives the time, in seconds since 1970.
        duplicates: what becomes of other bytes under the UID of an instance that is there.
    """

    def __init__(
        self,
        store: Store,
        rows: Rows,
        now: Callable[[], float],
        duplicates: Duplicates = Duplicates.KEEP_BOTH,
    ) -> None:
        self._store = store
        self._replaces = duplicates is Duplicates.REPLACE
        self._disk = store.file_system
        self._rows = rows
        self._now = now
        self._begun: set[str] = set()  # journals of which objects may have places

    def leftovers(self) -> set[str]:
        """Remove what is half written, and say what else is in ``incoming/``.

        Only while nobody writes: it is the last moment at which what a crash left can be told from
        what is about to have its row.

        Raises:
            OSError: it cannot be removed.
        """
        found = set()
        for name in self._disk.names(self._store.incoming):
            if name.endswith(PART):
                self._disk.remove(f"{self._store.incoming}/{name}")
            else:
                found.add(name)
        return found

    def recover(self, leftovers: set[str], journals: Sequence[str]) -> Recovered:
        """Finish all that a crash left, of the process or of the one who does this.

        Args:
            leftovers: what was in ``incoming/`` before anybody wrote there, or is on the way to
                its place, as far as it was not seen to. Of what else is there, that is done which
                has a row, or a place, and is noted here: the rest may be about to have one. What
                is noted, and outlives a crash, would else be left with its place known and its
                row moved, and come back when that is deleted.
            journals: those that nobody writes any more.

        Raises:
            OSError: the disk is full, for example.
            ArchiveError: the index cannot be read or written.
        """
        Removing(self._store, self._rows).finish(sorted(leftovers))
        self._begun.update(journals)
        found = Recovered()
        # First: of what is acknowledged, that which has no row is in journals alone.
        for name in journals:
            found += self.unpack(name)
        names = [name for name in self._disk.names(self._store.incoming) if name.endswith(_OBJECT)]
        return found + self.place(self._to_finish(names, leftovers))

    def find_rows(self, journals: Iterable[str]) -> None:
        """Give those objects of journals rows that had no durable ones when the power went.

        Only while nobody writes. What is not as it should be is left for `recover`.

        Raises:
            OSError: a journal cannot be read.
            ArchiveError: the index cannot be read or written.
        """
        if self._is_index_lost():
            return
        for name in journals:
            for batch in _batches(self._records(name, is_first=False), lambda one: one.size):
                versions = self._rows.versions_of_each([one.sop_instance_uid for one in batch])
                first = {one.sop_instance_uid: one for one in reversed(batch)}
                rows = []
                for uid, one in first.items():
                    with contextlib.suppress(DataError):
                        if not versions[uid] and one.is_sound():
                            rows.append(self._row_of(one, describe_file(one.read())))
                self._rows.write(rows)

    def _to_finish(
        self, names: Iterable[str], leftovers: set[str]
    ) -> Iterator[tuple[str, Location]]:
        for name, uid, location in self._read_uids(names):
            if name in leftovers:
                yield uid, location
            elif _at(location, self._rows.versions_of(uid)) is not None:
                leftovers.add(name)
                yield uid, location

    def unpack(self, journal: str) -> Recovered:
        """Make files of what is in a journal that nobody writes any more, and remove it.

        It stays if something in it that has a row is damaged.

        Raises:
            OSError: the disk is full, for example; it stays as it is.
            ArchiveError: the index cannot be read or written.
        """
        # What was being written when it was closed has its row after this, or never.
        self._rows.write(())
        found = Recovered()
        is_first = journal not in self._begun
        self._begun.add(journal)
        objects = itertools.chain(
            self._records(journal, is_first=is_first),
            self._without_records(journal, is_first=is_first),
        )
        for batch in _batches(objects, lambda one: one.size):  # in memory
            with self._store.held() as store:
                found += self._bring(batch, store)
        if not found.damaged:
            self._disk.remove(journal)
            self._begun.discard(journal)
        return found

    def place(self, files: Iterable[tuple[str, Location]]) -> Recovered:
        """Give files in ``incoming/`` their places.

        Args:
            files: pairs of a SOP Instance UID and where the file is.

        Raises:
            OSError: the disk is full, for example.
            ArchiveError: the index cannot be read or written.
        """
        self._rows.write(())
        found = Recovered()
        for batch in _batches(files, lambda _: 0):
            with self._store.held() as store:
                found += self._bring(self._files(batch, store), store)
        return found

    def _records(self, journal: str, *, is_first: bool) -> Iterator[_Object]:
        for record, data in read_records(self._disk, journal):
            yield _Object(
                record.sop_instance_uid,
                record.location,
                len(data),
                lambda data=data: data,  # type: ignore[misc]
                record.received,
                lambda record=record, data=data: record.is_sound(data),  # type: ignore[misc]
                is_first=is_first,
            )

    def _without_records(self, journal: str, *, is_first: bool) -> Iterator[_Object]:
        """Give what has a row and is behind the last thing in a journal that is a record.

        There it was cut off by a crash, and has nothing that was acknowledged; or it is damaged,
        and the rows say where the objects are.
        """
        size = self._disk.size(journal) or 0
        end = max((one.end for one, _ in read_records(self._disk, journal)), default=0)
        if end == size:
            return
        for row in self._rows.versions_in_journal(journal):
            location = Location.of(row.location)
            if location.offset >= end:
                yield _Object(
                    row.sop_instance_uid,
                    location,
                    row.size,
                    partial(self._disk.read, journal, location.offset, row.size),
                    row.received,
                    partial(self._is_as_stored, row),
                    is_first=is_first,
                )

    def _is_as_stored(self, row: StoredInstance) -> bool:
        location = Location.of(row.location)
        if location.offset + row.size > (self._disk.size(location.name) or 0):
            return False
        data = self._disk.read(location.name, location.offset, row.size)
        return sha256(data[row.header_length :]).digest() == row.checksum

    def _read_uids(self, names: Iterable[str]) -> Iterator[tuple[str, str, Location]]:
        for name in names:
            location = Location(f"{self._store.incoming}/{name}")
            with contextlib.suppress(FileNotFoundError):  # it has its place by now
                yield name, _uids_in(self._disk.open(location.name))[2], location

    def _files(self, files: Iterable[tuple[str, Location]], store: Store) -> list[_Object]:
        found = []
        for uid, location in files:
            status = store.file_system.file_status(location.name)
            if status is not None:  # else it has its place already
                # By whatever thread.
                read = partial(self._disk.read, location.name)
                is_first = status.links == 1
                found.append(
                    _Object(
                        uid,
                        location,
                        status.size,
                        read,
                        status.changed,
                        _is_sound,
                        is_first=is_first,
                    )
                )
        return found

    def _bring(self, objects: list[_Object], store: Store) -> Recovered:
        placing, adopted, damaged = placing_in(store), 0, 0
        over: list[Location] = []
        versions_of = self._rows.versions_of_each([one.sop_instance_uid for one in objects])
        for one in objects:
            versions = versions_of[one.sop_instance_uid]
            row = _at(one.location, versions)
            is_known = row is not None
            if row is None and versions and not self._is_index_lost():
                # Its place is another one: it is not needed here, nor at that which it has without
                # a row of its own.
                self._leave_place(one, versions)
                over.append(one.location)
                continue
            if not one.is_sound():
                logger.error("%s is damaged; it stays where it is", one.location)
                damaged += is_known
                continue
            if row is None:
                intake = self._describe(one)
                if intake is None:
                    continue
                row = self._take_in(one, intake)
                # There may be more of them here.
                versions_of |= self._rows.versions_of_each([one.sop_instance_uid])
                if row is None:
                    # Somebody else has found the same bytes elsewhere.
                    self._leave_place(one, versions_of[one.sop_instance_uid])
                    over.append(one.location)
                    continue
                adopted += 1
            placing.add(
                row[:3],
                one.location,
                one.size,
                one.read,
                row.received,
                is_first=one.is_first,
            )
        placed = placing.finish()
        self._learn(placed)
        for location in (*over, *(one.old for one in placed)):
            store.remove(location)
        return Recovered(len(placed), adopted, damaged)

    def _learn(self, placed: list[Placed]) -> None:
        """Have the index learn of new places; a file that nobody asked for any more goes."""
        if not placed:
            return
        moved = [Moved(one.sop_instance_uid, str(one.old), str(one.new)) for one in placed]
        for one, outcome in zip(placed, self._rows.write(moved), strict=True):
            if outcome.result.value != "moved":
                versions = self._rows.versions_of(one.sop_instance_uid)
                if all(found.location != str(one.new) for found in versions):
                    self._store.remove(one.new)

    def _leave_place(self, one: _Object, versions: Iterable[StoredInstance]) -> None:
        """Have the place go that an object was given, if no row has it."""
        if one.location.is_in_journal or one.is_first:
            return
        uids = _uids_in(self._disk.open(one.location.name))
        name = self._store.layout.name_for(*uids)
        mine, there = map(self._disk.file_status, (one.location.name, name))
        is_mine = mine is not None and there is not None and mine.file == there.file
        if is_mine and _at(Location(name), versions) is None:
            self._store.remove(Location(name))

    def _is_index_lost(self) -> bool:
        return self._disk.size(REBUILD) is not None

    def _describe(self, one: _Object) -> Intake | None:
        try:
            if one.location.is_in_journal:
                return describe_file(one.read())
            return describe_at(self._store, one.location)
        except DataError as error:
            logger.warning("%s has no row and cannot be read: %s", one.location, type(error))
            self._set_aside(one.location)
            return None

    def _take_in(self, one: _Object, intake: Intake) -> StoredInstance | None:
        """Give an object without a row one; None: its bytes are known, and elsewhere."""
        self._rows.write([self._row_of(one, intake)])
        versions = self._rows.versions_of(intake.sop_instance_uid)
        return _at(one.location, versions)

    def _row_of(self, one: _Object, intake: Intake) -> NewInstance:
        duplicates = Duplicates.REPLACE if self._replaces else Duplicates.KEEP_BOTH
        row = intake.row(one.location, one.received, duplicates)
        return row._replace(is_adopted=True, goes_by_age=self._replaces)

    def _set_aside(self, location: Location) -> None:
        if not location.is_in_journal:
            self._disk.rename(location.name, location.name.removesuffix(_OBJECT) + _DAMAGED)


def _batches(items: Iterable[_T], length_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    batch: list[_T] = []
    length = 0
    for one in items:
        batch.append(one)
        length += length_of(one)
        if len(batch) >= _BATCH or length >= _BATCH_BYTES:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _at(location: Location, versions: Iterable[StoredInstance]) -> StoredInstance | None:
    """The version that is there; None: none is."""
    place = str(location)
    return next((found for found in versions if found.location == place), None)


def _is_sound() -> bool:
    return True


def _uids_in(data: memoryview | FileBytes) -> tuple[str, str, str]:
    """The Study, Series and SOP Instance UID of a file; empty those that cannot be read."""
    try:
        data_set = read_file(
            data if isinstance(data, memoryview) else data.as_file(), keywords=_UIDS
        )
        study, series, instance = (str(data_set.get(keyword) or "") for keyword in _UIDS)
    except DataError:
        return "", "", ""
    return study, series, instance
