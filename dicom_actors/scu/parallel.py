"""C-STORE over several associations at once, each in a thread of its own.

The caller's thread hands out what is to be sent and gives the results back, so that the caller's
iterators run where the caller is. Where a peer takes fewer associations than are wanted, these
do the work.
"""

from __future__ import annotations

import logging
import queue
import threading
from itertools import islice
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import AssociationError
from dicom_actors.scu.storing import Chunk, StoreResult, store_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors.scu.outgoing import OutgoingObject
    from dicom_actors.scu.session import Session

__all__ = ["CHUNK_LENGTH", "store_parallel"]

_logger = logging.getLogger(__name__)

CHUNK_LENGTH: Final = 16
"""Objects that a thread takes at a time."""

_CHUNKS_AHEAD: Final = 2


class _Worker:
    """One association and its thread.

    Args:
        session: where to send.
        is_own: whether the session is to be opened and released here.
        tasks: what to send; None says that there is no more.
        results: takes results; and a chunk when it is done, and None or an error at the end.
        stop: says that nobody wants results any more.
    """

    def __init__(
        self,
        session: Session,
        *,
        is_own: bool,
        tasks: queue.SimpleQueue[Chunk | None],
        results: queue.SimpleQueue[StoreResult | Chunk | BaseException | None],
        stop: threading.Event,
    ) -> None:
        self._session = session
        self._is_own = is_own
        self._tasks = tasks
        self._results = results
        self._stop = stop
        self.thread = threading.Thread(target=self._run, name="dicom-actors store", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            if self._has_association():
                self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            end = error
        self._results.put(end)

    def _has_association(self) -> bool:
        if self._is_own:
            try:
                self._session.open()
            except AssociationError as error:
                _logger.info("one association fewer to send on: %s", error)
                return False
        return True

    def _work(self) -> None:
        session = self._session
        try:
            while (chunk := self._tasks.get()) is not None:
                self._send(chunk)
                self._results.put(chunk)
        except AssociationError:
            raise
        except BaseException:
            session.abort()
            raise
        if self._is_own:
            session.release()

    def _send(self, chunk: Chunk) -> None:
        answered = 0
        try:
            for result in store_all(self._session, (self._until_stopped(chunk),)):
                answered += 1
                self._results.put(result)
        except AssociationError as error:
            for found in islice(chunk.objects, answered, None):
                self._results.put(_not_sent(found, error))
            self._results.put(chunk)
            raise

    def _until_stopped(self, chunk: Chunk) -> Chunk:
        wanted = (found for found in chunk.objects if not self._stop.is_set())
        return Chunk(wanted, chunk.contexts)


def _not_sent(found: OutgoingObject | StoreResult, error: BaseException) -> StoreResult:
    if isinstance(found, StoreResult):
        return found
    return StoreResult(None, found.sop_instance_uid, found.source, f"not sent: {error}")


def store_parallel(
    session: Session, chunks: Iterator[Chunk], parallel: int
) -> Iterator[StoreResult]:
    """Send what was planned over up to `parallel` associations, that of the session included.

    Yields:
        Results, in the order in which they come.

    Raises:
        AssociationError: an association ended; the others did their work to the end before, and
            what could not be sent has its results.
    """
    first = next(chunks, None)
    if first is None:
        return
    session.cover(first.contexts)
    tasks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
    results: queue.SimpleQueue[StoreResult | Chunk | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()
    workers = [
        _Worker(
            session if number == 0 else session.another(),
            is_own=number > 0,
            tasks=tasks,
            results=results,
            stop=stop,
        )
        for number in range(parallel)
    ]
    try:
        yield from _hand_out(first, chunks, tasks, results, parallel)
    finally:
        stop.set()
        for _ in workers:
            tasks.put(None)
        for worker in workers:
            worker.thread.join()


def _hand_out(
    first: Chunk,
    chunks: Iterable[Chunk],
    tasks: queue.SimpleQueue[Chunk | None],
    results: queue.SimpleQueue[StoreResult | Chunk | BaseException | None],
    workers: int,
) -> Iterator[StoreResult]:
    """Keep the workers busy, and give what they report."""
    rest = iter(chunks)
    tasks.put(first)
    ahead, has_more = 1, True
    failure: BaseException | None = None
    while workers:
        while has_more and ahead < _CHUNKS_AHEAD * workers:
            chunk = next(rest, None)
            has_more = chunk is not None
            if chunk is not None:
                tasks.put(chunk)
                ahead += 1
        if not has_more and not ahead:
            for _ in range(workers):
                tasks.put(None)
            ahead = -1
        report = results.get()
        if isinstance(report, StoreResult):
            yield report
        elif isinstance(report, Chunk):
            ahead -= 1
        else:
            workers -= 1
            failure = failure or report
    while not tasks.empty():
        left = tasks.get()
        if left is not None and failure is not None:
            for found in left.objects:
                yield _not_sent(found, failure)
    if failure is not None:
        raise failure
