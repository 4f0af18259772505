"""C-MOVE as a provider: instances sent to destinations, and their counts to the peer. PS3.4 C.4.2.

Runs in the Handler's thread, which takes instances from the handler's iterables, counts, and tells
the peer; each destination has an association in a thread of its own. An iterable is asked for its
next instance when its last one was answered, and closed in the end, however that comes.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Self

from dicom_actors.actors.responding.destinations import MoveTo, is_ours
from dicom_actors.actors.responding.get import final_outcome, sized
from dicom_actors.actors.responding.pulling import is_stream
from dicom_actors.actors.responding.sub_association import SubAssociation, Task
from dicom_actors.dimse import Status, StatusCategory, Tally, category_of
from dicom_actors.errors import DimseFailure, HandlerError
from dicom_actors.scu.storing import MoveOriginator
from dicom_actors.storage.plan import plan
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Iterator

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Outcome, Request
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.responding.responder import Responder

__all__ = ["is_move", "move_instances"]

_logger = logging.getLogger(__name__)

_RELEASE_SECONDS: Final = 1.0
"""For the destinations to agree to the release, when all is done."""

_CANCEL_SECONDS: Final = 0.5
"""For what runs to finish when nobody wants more: within a second the peer has its answer."""


def is_move(result: Any) -> bool:
    """Whether a ``cmove`` handler returned destinations, or that there is nothing to send."""
    return result is None or isinstance(result, MoveTo) or is_stream(result)


def move_instances(
    result: MoveTo | Iterable[Any] | AsyncIterable[Any] | None,
    kernel: EndpointKernel,
    record: ConnectionRecord,
    request: Request,
    responder: Responder,
) -> Outcome:
    """Send instances where they are to go, and a pending response after each.

    Args:
        result: what the handler returned: one `MoveTo`, several, or None.
        kernel: the endpoint's tables.
        record: the connection's record.
        request: the C-MOVE request.
        responder: the way to the peer.

    Returns:
        The final outcome, with the counts.

    Raises:
        DimseFailure: a destination is the endpoint itself.
        HandlerError: there is something else than `MoveTo` in `result`.
        Exception: whatever an iterable raises.
    """
    destinations = _destinations(result, responder)
    with _Move(destinations, kernel, request, responder) as move:
        if any(is_ours(move_to, kernel.listening_socket) for move_to in destinations):
            raise DimseFailure(Status.MOVE_DESTINATION_UNKNOWN, "the destination is this endpoint")
        record.on_unwanted(request.serial, move.on_unwanted)
        move.run()
    return move.outcome()


def _destinations(result: Any, responder: Responder) -> tuple[MoveTo, ...]:
    if result is None:
        return ()
    if isinstance(result, MoveTo):
        return (result,)
    with closing(responder.pull(result)) as pulled:
        destinations = tuple(pulled)
    for move_to in destinations:
        if not isinstance(move_to, MoveTo):
            raise HandlerError(
                "expected None, a status, a MoveTo or several of it from the cmove handler, got "
                f"{type(move_to).__name__} among them"
            )
    return destinations


class _Lane:
    """The instances for one destination, taken one by one.

    Args:
        move_to: what the handler returned.
        association: the way there.
        responder: makes what can be pulled from.
        news: takes the results.

    Attributes:
        total: how many instances there are; None if that is not known.
        is_kept: whether they are there already, so that looking at them costs nobody anything.
        running: the instance that is with the destination.
    """

    def __init__(
        self,
        move_to: MoveTo,
        association: SubAssociation,
        responder: Responder,
        news: SimpleQueue[_News],
    ) -> None:
        self.association = association
        self._responder = responder
        self._news = news
        self.total, items = sized(move_to.instances)
        self.is_kept = isinstance(items, list | tuple)
        self.pulled = responder.pull(items)
        if self.is_kept:
            chunks = plan(items, transcode=responder.transcode)
        else:
            chunks = plan(self.pulled, look_ahead=1, transcode=responder.transcode)
        self._tasks = (Task(found, chunk.contexts) for chunk in chunks for found in chunk.objects)
        self.running: Task | None = None

    def advance(self) -> bool:
        """Take the next instance and have it stored; its result comes as news.

        Returns:
            Whether there was one, and it is still wanted.
        """
        task = next(self._tasks, None)
        if task is None or self._responder.is_cancelled:
            self.association.finish()
            return False
        self.running = task
        found, lost = task.found, self.association.lost
        if isinstance(found, StoreResult):
            self._report(found)
        elif lost:
            self._report(StoreResult(None, found.sop_instance_uid, found.source, lost))
        else:
            self.association.store(task, self._report)
        return True

    def _report(self, result: StoreResult) -> None:
        self._news.put((self, result))

    def rest(self) -> Iterator[str]:
        """Give the SOP Instance UIDs of what is left; empty ones if it would have to be made."""
        if self.total is None or self.is_kept:
            for task in self._tasks:
                yield task.found.sop_instance_uid
        else:
            for _ in range(self.total):
                yield ""


_News = tuple[_Lane, StoreResult] | None
"""What the Handler's thread waits for: a result; None: to look whether anybody wants more."""


class _Move:
    """A C-MOVE; as a context manager it leaves nothing behind.

    Args:
        destinations: what the handler returned.
        kernel: the endpoint's tables.
        request: the C-MOVE request.
        responder: the way to the peer.
    """

    def __init__(
        self,
        destinations: tuple[MoveTo, ...],
        kernel: EndpointKernel,
        request: Request,
        responder: Responder,
    ) -> None:
        assert request.command is not None
        terms, clock = responder.negotiated, kernel.clock
        calling = kernel.config.ae_title or terms.called_ae_title
        originator = MoveOriginator(terms.calling_ae_title, request.command.message_id)
        self._clock = clock
        self._responder = responder
        self._news: SimpleQueue[_News] = SimpleQueue()
        self._lanes = [
            _Lane(
                move_to,
                SubAssociation(
                    move_to.settings(calling, clock),
                    originator,
                    kernel.circuit_breakers,
                    kernel.system.log,
                ),
                responder,
                self._news,
            )
            for move_to in destinations
        ]
        totals = [lane.total for lane in self._lanes]
        self._tally = Tally(None if None in totals else sum(filter(None, totals)))
        self._is_cancelled = False
        self._tell_counts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with ExitStack() as stack:
            for lane in self._lanes:
                stack.enter_context(closing(lane.pulled))
            if kind is None and not self._is_cancelled:
                self._end(_RELEASE_SECONDS)
            else:
                is_late = self._responder.status_when_given_up != Status.CANCEL
                self._end(0.0 if is_late else _CANCEL_SECONDS)

    def _end(self, seconds: float) -> None:
        """Let the destinations finish what runs, for a moment; then end what is left."""
        deadline = self._clock.monotonic() + seconds
        for lane in self._lanes:
            lane.association.finish()
        for lane in self._lanes:
            lane.association.join(max(0.0, deadline - self._clock.monotonic()))
            lane.association.interrupt()
        with suppress(Empty):
            while True:
                self._take(self._news.get_nowait())
        for lane in self._lanes:
            if lane.running is not None:
                self._tally.add(None, lane.running.found.sop_instance_uid)
        self._tell_counts()

    def on_unwanted(self, is_over: bool) -> None:  # noqa: FBT001 - the record's callback
        """Nobody wants more; if nobody takes an answer either, end all. Runs in any thread."""
        self._news.put(None)
        if is_over:
            for lane in self._lanes:
                lane.association.interrupt()

    def run(self) -> None:
        """Send all, or as much as is wanted.

        Raises:
            Exception: whatever an iterable raises.
        """
        idle = deque(lane for lane in self._lanes if self._begin(lane))
        running = 0
        is_wanted = not self._responder.is_cancelled
        while is_wanted:
            while idle:
                running += idle.popleft().advance()
            if not running:
                break
            lane = self._take(self._news.get())
            if lane is not None:
                running -= 1
                idle.append(lane)
                self._responder.respond(more=self._tally.elements(remaining=True))
            is_wanted = not self._responder.is_cancelled
        self._is_cancelled = self._responder.is_cancelled

    def outcome(self) -> Outcome:
        """Return the final outcome."""
        outcome = final_outcome(self._tally, self._responder, is_cancelled=self._is_cancelled)
        if self._is_cancelled or category_of(outcome.status) is StatusCategory.SUCCESS:
            return outcome
        lost = (lane.association.lost for lane in self._lanes)
        return replace(outcome, comment="; ".join(filter(None, lost)))

    def _begin(self, lane: _Lane) -> bool:
        """Whether a destination may be tried; if not, all that was to go there has failed."""
        if lane.total == 0:
            return True
        lane.association.begin()
        if not lane.association.lost:
            return True
        for uid in lane.rest():
            if self._responder.is_cancelled:
                break
            self._tally.add(None, uid)
        self._tell_counts()
        return False

    def _take(self, news: _News) -> _Lane | None:
        """Count a result; returns whose it is, None if it is none."""
        if news is None:
            return None
        lane, result = news
        lane.running = None
        self._tally.add(result.status, result.sop_instance_uid)
        self._tell_counts()
        if result.status is None and not lane.association.lost:
            # The peer learns no more than that it failed.
            uid = result.sop_instance_uid or "an instance"
            self._responder.warn(_logger, "C-MOVE: %s: %s", uid, result.comment)
        return lane

    def _tell_counts(self) -> None:
        self._responder.more.update(self._tally.elements(remaining=False))
