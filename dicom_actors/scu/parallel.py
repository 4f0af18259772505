"""C-STORE over several associations at once, each in a thread of its own.

The caller's thread hands out what is to be sent and gives the results back, so that the caller's
iterators run where the caller is. Where a peer takes fewer associations than are wanted, these
do the work.
"""

from __future__ import annotations

import logging
import threading
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict, Unpack

from dicom_actors.errors import AssociationError
from dicom_actors.scu.storing import not_sent, store_all
from dicom_actors.storage.plan import Chunk
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.scu.session import Session
    from dicom_actors.scu.storing import MoveOriginator

__all__ = ["store_parallel"]

_logger = logging.getLogger(__name__)

_CHUNKS_AHEAD: Final = 2


class Options(TypedDict, total=False):
    """What `store_all` takes beside objects."""

    retries: int
    must_be_whole: bool


class _Report(NamedTuple):
    """What a worker tells beside results.

    Attributes:
        chunks: how many it has done.
        has_ended: whether it takes no more.
        error: why; None if it never had an association.
    """

    chunks: int
    has_ended: bool = False
    error: BaseException | None = None


class _Worker:
    """One association and its thread.

    Args:
        session: where to send.
        is_own: whether the session is to be opened and released here.
        tasks: what to send; None says that there is no more.
        results: takes results and reports.
        stop: says that nobody wants results any more.
        originator: see `store_all`.
        options: its options.
    """

    def __init__(
        self,
        session: Session,
        *,
        is_own: bool,
        tasks: SimpleQueue[Chunk | None],
        results: SimpleQueue[StoreResult | _Report],
        stop: threading.Event,
        originator: MoveOriginator | None,
        options: Options,
    ) -> None:
        self._session = session
        self._is_own = is_own
        self._is_ready = not is_own
        self._tasks = tasks
        self._results = results
        self._stop = stop
        self._originator = originator
        self._options = options
        self._thread = threading.Thread(target=self._run, name="dicom-actors store", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread; it need not wait for an association any more."""
        session = self._session
        was_given_up = session.is_given_up
        session.give_up()
        if not self._is_ready:
            session.interrupt()
        self._thread.join()
        if not (self._is_own or was_given_up):
            session.take_up()  # it is the caller's, who may want more of it

    def _run(self) -> None:
        try:
            if self._is_own:
                self._session.open()
                self._is_ready = True
        except BaseException as error:  # noqa: BLE001 - it is told to the caller's thread
            _logger.info("one association fewer to send on: %s", error)
            is_expected = isinstance(error, AssociationError)
            self._results.put(_Report(0, has_ended=True, error=None if is_expected else error))
            return
        while (chunk := self._tasks.get()) is not None:
            if not self._send(chunk):
                return
        if self._is_own:
            self._release()

    def _send(self, chunk: Chunk) -> bool:
        """Send the objects of a chunk; whether others can follow."""
        answered = 0
        wanted = (found for found in chunk.objects if not self._stop.is_set())
        try:
            chunks = (Chunk(wanted, chunk.contexts),)
            for result in store_all(self._session, chunks, self._originator, **self._options):
                answered += 1
                self._results.put(result)
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._session.abort()
            for found in islice(chunk.objects, answered, None):
                self._results.put(not_sent(found, error))
            self._results.put(_Report(1, has_ended=True, error=error))
            return False
        self._results.put(_Report(1))
        return True

    def _release(self) -> None:
        try:
            self._session.release()
        except AssociationError as error:
            _logger.warning("not released in good order: %s", error)


def store_parallel(
    session: Session,
    chunks: Iterator[Chunk],
    originator: MoveOriginator | None,
    parallel: int,
    **options: Unpack[Options],
) -> Iterator[StoreResult]:
    """Send what was planned over up to `parallel` associations, that of the session included.

    Arguments beside that as for `store_all`.

    Yields:
        Results, in the order in which they come.

    Raises:
        AssociationError: an association ended; the others did their work to the end before, and
            what could not be sent has its results.
    """
    first = next(chunks, None)
    if first is None:
        return
    session.begin()
    session.cover(first.contexts)
    tasks: SimpleQueue[Chunk | None] = SimpleQueue()
    results: SimpleQueue[StoreResult | _Report] = SimpleQueue()
    stop = threading.Event()
    workers = [
        _Worker(
            session if number == 0 else session.another(),
            is_own=number > 0,
            tasks=tasks,
            results=results,
            stop=stop,
            originator=originator,
            options=options,
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
            worker.join()


def _hand_out(
    first: Chunk,
    chunks: Iterator[Chunk],
    tasks: SimpleQueue[Chunk | None],
    results: SimpleQueue[StoreResult | _Report],
    workers: int,
) -> Iterator[StoreResult]:
    """Keep the workers busy, and give what they report."""
    tasks.put(first)
    ahead, has_more = 1, True
    failure: BaseException | None = None
    while workers:
        while has_more and ahead < _CHUNKS_AHEAD * workers:
            chunk = next(chunks, None)
            has_more = chunk is not None
            if chunk is not None:
                tasks.put(chunk)
                ahead += 1
        if not ahead:
            break
        report = results.get()
        if isinstance(report, StoreResult):
            yield report
            continue
        ahead -= report.chunks
        workers -= report.has_ended
        failure = failure or report.error
    while failure is not None and not tasks.empty():
        left = tasks.get()
        if left is not None:
            for found in left.objects:
                yield not_sent(found, failure)
    if failure is not None:
        raise failure
