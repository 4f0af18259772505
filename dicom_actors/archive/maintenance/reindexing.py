"""Rows for files that have none: after the index was lost, or files came by another way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable  # noqa: TC003 - of a named tuple
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.archive.files import Location
from dicom_actors.archive.files.placing import folders_of
from dicom_actors.archive.index import Deleted, Duplicates, Moved, NewInstance, Result
from dicom_actors.archive.maintenance.verifying import Problem
from dicom_actors.archive.maintenance.walking import files_in_place, is_on_its_way
from dicom_actors.archive.upkeep import describe_at
from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors.archive.holdings import Holdings
    from dicom_actors.archive.upkeep import Intake

__all__ = ["LostIndex", "Reindexed", "reindex", "reindexing"]

_BATCH: Final = 256


class Reindexed(NamedTuple):
    """What came of it.

    Attributes:
        files: that were looked at.
        added: that have a row now.
        moved: whose row named another place, where nothing is any more.
        problems: that could not be read.
    """

    files: int
    added: int
    moved: int
    problems: int


class LostIndex(NamedTuple):
    """What there is to know if the index was lost.

    Attributes:
        duplicates: which of several versions is to be the current one: the last, where objects are
            replaced, else the first.
        settle: brings all that has no place to its place; raises ArchiveError if it cannot.
        may_wait: whether a file may wait for that.
    """

    duplicates: Duplicates
    settle: Callable[[], object]
    may_wait: bool = True


def reindex(
    holdings: Holdings,
    tell: Callable[[Problem], object],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Reindexed:
    """Give each file of an archive a row.

    Args:
        holdings: the archive.
        tell: is called with each file that cannot be read.
        progress: is called with one file, and its bytes, after each.

    Raises:
        ArchiveError: the index cannot be written.
        OSError: the folder cannot be looked into, or not be made safe.
    """
    *_, found = reindexing(holdings, tell, files_in_place(holdings), progress=progress)
    return found


def reindexing(
    holdings: Holdings,
    tell: Callable[[Problem], object],
    names: Iterable[str],
    *,
    progress: Callable[[int, int], object] | None = None,
    lost: LostIndex | None = None,
) -> Iterator[Reindexed]:
    """Give files rows, one after the other; see `reindex`.

    Args:
        holdings: as there.
        tell: likewise.
        names: of the files.
        progress: as there.
        lost: what there is to know if the index was lost; else the current version of an instance
            is the one that is.

    Returns:
        An iterator that does the work, and gives what came of it so far. What it gave last is all.

    Raises:
        ArchiveError: the index cannot be written.
        OSError: files cannot be made safe.
    """
    files = problems = 0
    results: Counter[Result] = Counter()
    changes: list[NewInstance | Moved] = []

    def write() -> None:
        # A crash may have left files that are not safe yet, and with a row they are all there is.
        places = [Location.of(_place_of(change)) for change in changes]
        files_here = [one.name for one in places if not one.is_in_bucket]
        if files_here:
            folders = sorted({above for name in files_here for above in folders_of(name)})
            holdings.store.file_system.synchronize_all(files_here, folders)
        if any(isinstance(change, NewInstance) for change in changes):
            holdings.be_no_backup()
        results.update(outcome.result for outcome in holdings.rows.write(changes))
        # A file that was deleted since it was looked into has had no row for that, and has one now.
        gone = [
            Deleted(_uid_of(change), str(place))
            for change, place in zip(changes, places, strict=True)
            if holdings.store.size(place) is None
        ]
        if gone:
            holdings.rows.write(gone)
        changes.clear()

    def found() -> Reindexed:
        added = results[Result.NEW] + results[Result.DIFFERENT]
        return Reindexed(files, added, results[Result.MOVED], problems)

    waiting: list[str] = []

    def with_those_that_wait() -> Iterator[str]:
        nonlocal lost
        yield from names
        if lost is not None and waiting:
            write()
            lost.settle()
            lost = lost._replace(may_wait=False)
            yield from waiting

    for name in with_those_that_wait():
        files += lost is None or lost.may_wait
        try:
            intake = describe_at(holdings.store, Location(name))
        except (DataError, OSError) as error:
            problems += 1
            tell(Problem(name, "", f"it cannot be read: {error}"))
            continue
        made = _changes_for(holdings, name, intake, lost)
        if made is None:
            waiting.append(name)
        else:
            changes += made
        if len(changes) >= _BATCH:
            write()
        if progress is not None:
            progress(1, intake.size)
        yield found()
    write()
    yield found()


def _uid_of(change: NewInstance | Moved) -> str:
    return (
        change.sop_instance_uid
        if isinstance(change, Moved)
        else change.description.sop_instance_uid
    )


def _place_of(change: NewInstance | Moved) -> str:
    return change.new if isinstance(change, Moved) else change.location


def _changes_for(
    holdings: Holdings, name: str, intake: Intake, lost: LostIndex | None
) -> list[NewInstance | Moved] | None:
    """What the index is told of a file; None: that is not known yet."""
    uid = intake.sop_instance_uid
    versions = holdings.rows.versions_of(uid)
    if any(one.location == name for one in versions):
        return []
    for one in versions:
        if one.checksum == intake.checksum:
            if holdings.store.size(Location.of(one.location)) is not None:
                return []  # a copy
            return [Moved(uid, one.location, name, intake.header_length, intake.size)]
    place, store = Location(name), holdings.store
    status = None if place.is_in_bucket else store.file_system.file_status(name)
    written = time.time() if status is None else status.changed
    row = intake.row(place, written, Duplicates.KEEP_BOTH)._replace(is_arrival=False)
    if lost is None:
        return [] if is_on_its_way(holdings, name) else [row]
    if lost.may_wait and versions and not Location.of(versions[0].location).is_placed:
        return None  # it is on its way
    # Others may come in before this is written.
    return [row._replace(duplicates=lost.duplicates, goes_by_age=True)]
