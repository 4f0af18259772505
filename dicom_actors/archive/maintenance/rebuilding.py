"""An index that was lost or damaged is made anew of the files, while the archive serves.

A file in the archive's folder, `REBUILD`, says that this is to be done, until it is done: whatever
breaks off in between is taken up at the next start. A damaged index is kept under another name.
Until then queries find what there is of the index; nobody is told that an instance is not kept.
It is not done before what was in a journal, or had no place, is taken in, too: until then nobody
can tell what of that had a row.

What stands in no file is lost with an index: worklist items, performed procedure steps, storage
commitment that was owed.
"""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.files import REBUILD
from dicom_actors.archive.index_handle import DAMAGED_NAME, INDEX_NAME
from dicom_actors.archive.maintenance.reindexing import LostIndex, reindexing
from dicom_actors.archive.maintenance.walking import NO_PLACES, files_in_place
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import Continue, SupervisedActor, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.holdings import Holdings
    from dicom_actors.archive.index import Duplicates
    from dicom_actors.archive.maintenance.reindexing import Reindexed
    from dicom_actors.archive.maintenance.verifying import Problem

__all__ = ["Rebuilder", "ask_for_rebuild", "has_objects", "rebuild", "set_aside"]

logger = logging.getLogger(__name__)

_FILES_AT_ONCE: Final = 16
_PAUSE: Final = 10.0
"""Seconds after which it is tried again, when the disk is full for example."""


def ask_for_rebuild(store: Store) -> None:
    """Have the index made anew, at the next start if not now; raises OSError."""
    if store.file_system.size(REBUILD) is None:
        store.write(REBUILD, [b""], is_synchronous=False)  # there is nothing in it but its name
        store.file_system.synchronize_folder("")


def has_objects(store: Store) -> bool:
    """Whether there is anything of which an index could be made.

    Raises:
        OSError: the folder cannot be looked into.
        ArchiveError: which buckets there are is not known.
    """
    disk = store.file_system
    if any(name not in NO_PLACES and disk.has_folder(name) for name in disk.names("")):
        return True
    try:
        buckets = [store.buckets.get(name) for name in store.buckets.addresses()]
        return any(next(iter(bucket.keys()), None) is not None for bucket in buckets)
    except OSError:
        return True  # that is found out when there is an answer


def set_aside(store: Store) -> str:
    """Give a damaged index another name, which is returned; raises OSError."""
    disk = store.file_system
    behind = f"damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for name in disk.names(""):
        if name in {INDEX_NAME, f"{INDEX_NAME}-wal", f"{INDEX_NAME}-shm"}:
            disk.rename(name, f"{name}.{behind}")
    disk.remove(DAMAGED_NAME)  # which is not said of the next one
    disk.synchronize_folder("")
    return f"{INDEX_NAME}.{behind}"


class _GoOn(NamedTuple):
    """To itself: look at some more files."""


class Rebuilder(SupervisedActor):
    """Makes the index anew if that was asked for, some files at a time.

    Args:
        holdings: the archive.
        settle: brings all that has no place to its place, what other nodes have or have left
            included; raises ArchiveError if it cannot.
        duplicates: says which of several versions is the current one.
    """

    def __init__(
        self, holdings: Holdings, settle: Callable[[], object], duplicates: Duplicates
    ) -> None:
        super().__init__()
        self._duplicates = duplicates
        self._holdings = holdings
        self._settle = settle
        self._steps: Iterator[Reindexed] = iter(())
        self._found: Reindexed | None = None

    def init(self) -> Any:
        """Begin. Runs in the Rebuilder's thread."""
        return Continue(None) if self._holdings.is_rebuilding else None

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """Begin. Runs in the Rebuilder's thread."""
        self._log(logging.WARNING, "the index is being made anew of the files; queries find more")
        names = files_in_place(self._holdings)
        self._steps = reindexing(
            self._holdings, self._tell, names, lost=LostIndex(self._duplicates, self._settle)
        )
        cast(self.actor_ref, _GoOn())

    def handle_cast(self, message: Any) -> Any:
        """Go on. Runs in the Rebuilder's thread."""
        return self._go_on() if isinstance(message, _GoOn) else super().handle_cast(message)

    def handle_info(self, message: Any) -> Any:
        """Try again. Runs in the Rebuilder's thread."""
        if not isinstance(message, _GoOn):
            return super().handle_info(message)
        return self.handle_continue(None)

    def _go_on(self) -> None:
        try:
            steps = list(itertools.islice(self._steps, _FILES_AT_ONCE))
            if not steps:
                self._be_done()
                return
        except (OSError, ArchiveError) as error:
            self._log(logging.WARNING, "making the index anew has to wait: %s", error)
            self.system.timers.send_after(_PAUSE, self.actor_ref, _GoOn())
        else:
            self._found = steps[-1]
            cast(self.actor_ref, _GoOn())

    def _be_done(self) -> None:
        self._settle()
        _forget_that_it_was_asked_for(self._holdings)
        self._log(logging.WARNING, "the index was made anew: %s", self._found)

    def _tell(self, problem: Problem) -> None:
        self._log(logging.ERROR, "%s: %s", problem.location, problem.what)

    def _log(self, level: int, text: str, *values: Any) -> None:
        self.system.log.write(logger, level, text, *values)


def rebuild(
    holdings: Holdings,
    tell: Callable[[Problem], object],
    settle: Callable[[], object],
    duplicates: Duplicates,
) -> Reindexed:
    """Do at once, for one who waits for it, what a Rebuilder does; see there.

    Raises:
        ArchiveError: the index cannot be written; the next start takes it up.
        OSError: the folder cannot be looked into, or not be made safe; likewise.
    """
    lost = LostIndex(duplicates, settle)
    *_, found = reindexing(holdings, tell, files_in_place(holdings), lost=lost)
    settle()
    _forget_that_it_was_asked_for(holdings)
    return found


def _forget_that_it_was_asked_for(holdings: Holdings) -> None:
    disk = holdings.store.file_system
    disk.remove(REBUILD)
    disk.synchronize_folder("")
    holdings.is_rebuilding = False
