"""The Destination: the one who sends to one destination.

It takes the rows that come next from the index, sends one after the other, and writes what has
come of all of them in one transaction; then it looks for messages, and goes on. Rows that were
sent and not marked as done when it crashes, or the process, are sent once more: that the receiver
has them already is its rule for duplicates to see.

Where several nodes share an index, one of them sends to a destination: whoever finds work first. It
leaves that to the others when there is no more, or nobody can be reached from here; and when its
own lease ends, since it is gone, another one goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import generate_uid
from dicom_actors.archive.events import InstancesQueued
from dicom_actors.archive.index import (
    CommitmentAsked,
    Delivered,
    DestinationLeft,
    DestinationTaken,
    Refused,
    Result,
)
from dicom_actors.errors import ArchiveError
from dicom_actors.flow.failures import NotTaken, Unreachable
from dicom_actors.flow.pacing import BackOff, Bandwidth, Breaker, Hours
from dicom_actors.flow.parcels import Parcel
from dicom_actors.flow.senders import Reference
from dicom_actors.supervision import Continue, SupervisedActor, cast

if TYPE_CHECKING:
    from dicom_actors.archive import StoredInstance
    from dicom_actors.archive.index import QueuedItem
    from dicom_actors.flow.kernel import FlowKernel
    from dicom_actors.flow.senders import Sender

__all__ = ["Destination", "LookAgain", "Swap"]

logger = logging.getLogger(__name__)

_LOOK: Final = 15.0
"""Seconds after which it looks by itself: another process may have changed the queue."""
_COMMITTED_AT_ONCE: Final = 500
_OF_ANOTHER: Final = "another node sends"


class LookAgain(NamedTuple):
    """To a Destination, a cast: somebody has changed its queue, or wants it to try at once."""


class Swap(NamedTuple):
    """To a Destination, a cast: it leads elsewhere from now on."""


class _GoOn(NamedTuple):
    """To itself: there is more to do."""


class _Wake(NamedTuple):
    """To itself, by a timer."""

    number: int


class _Moment(NamedTuple):
    """What there is to do.

    Attributes:
        number: of the destination, in the index.
        items: rows to be sent.
        uncommitted: rows whose commitment is asked for again.
        due: when there is something to do that is not due yet, in seconds since the epoch.
        sender: the node that sends, of several; empty: none does.
    """

    number: int
    items: list[QueuedItem]
    uncommitted: list[QueuedItem]
    due: float | None
    sender: str

    @property
    def is_work(self) -> bool:
        """Whether there is anything to do now."""
        return bool(self.items or self.uncommitted)


class Destination(SupervisedActor):
    """See the module.

    Args:
        kernel: of the flow.
        destination: its name.
    """

    def __init__(self, kernel: FlowKernel, destination: str) -> None:
        super().__init__()
        self._kernel = kernel
        self._destination = destination
        self._record = kernel.records[destination]
        self._settings = settings = kernel.settings_of(destination)
        self._back_off = BackOff(settings, kernel.chance)
        self._breaker = Breaker(self._back_off)
        self._bandwidth = Bandwidth(settings.bytes_per_second)
        self._hours = Hours(settings.hours)
        self._busy: dict[int, int] = {}
        self._number = 0
        self._index_failures = 0
        self._is_going_on = False
        self._sender: Sender = kernel.sender_for(destination)

    def init(self) -> Any:
        """See to what the one before was about. Runs in the Destination's thread."""
        record = self._record
        if record.sender is not None:
            record.sender.close()
        record.sender = self._sender
        if record.trying is not None:
            item, record.trying = record.trying, None
            text = "the actor of the destination crashed over it"
            record.unsettled.append(self._refused(item, text, is_refusal=True))
        self._kernel.archive.subscribe(self.actor_ref, (InstancesQueued,), everywhere=True)
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """Begin. Runs in the Destination's thread."""
        self._turn()

    def handle_cast(self, message: Any) -> Any:
        """Look what there is to do. Runs in the Destination's thread."""
        if isinstance(message, InstancesQueued):
            if self._destination not in message.destinations or self._is_going_on:
                return None
            if self._record.state == _OF_ANOTHER:
                return None  # it looks in time
        elif isinstance(message, _GoOn):
            self._is_going_on = False
        elif isinstance(message, LookAgain):
            self._breaker.reset()
        elif isinstance(message, Swap):
            self._sender.rest()
            self._sender = self._record.sender = self._kernel.sender_for(self._destination)
            self._breaker.succeed()
        else:
            return super().handle_cast(message)
        self._turn()
        return None

    def handle_info(self, message: Any) -> Any:
        """Look what is due. Runs in the Destination's thread."""
        if not isinstance(message, _Wake):
            return super().handle_info(message)
        if message.number == self._number:
            self._turn()
        return None

    def terminate(self, reason: Any) -> None:
        """Leave the connection in good order. Runs in the Destination's thread."""
        del reason
        self._kernel.archive.unsubscribe(self.actor_ref)
        self._sender.rest()
        self._record.is_connected = False
        self._record.state = "stopped"

    # --- a turn ----------------------------------------------------------------------------

    def _turn(self) -> None:
        """Do some of what there is to do, and say when to look again."""
        record = self._record
        try:
            self._settle()
            pause = self._act()
            self._settle()
        except ArchiveError as error:
            self._index_failures += 1
            pause = self._back_off.pause(self._index_failures)
            record.state = "waiting for the index"
            self._say(str(error))
        else:
            self._index_failures = 0
        record.is_connected = self._sender.is_connected
        record.breaker = self._breaker.state(self.system.clock.monotonic())
        if pause > 0:
            self._number += 1
            self.system.timers.send_after(min(pause, _LOOK), self.actor_ref, _Wake(self._number))
        elif not self._is_going_on:
            self._is_going_on = True
            cast(self.actor_ref, _GoOn())

    def _settle(self) -> None:
        """Write what has come of rows; raises ArchiveError."""
        record = self._record
        if record.unsettled:
            self._kernel.archive.rows.write(record.unsettled)
            record.unsettled = []

    def _act(self) -> float:
        """Send some; returns after how many seconds to look again; 0: at once."""
        record, clock = self._record, self.system.clock.monotonic
        self._sender.listen()
        if self._breaker.state(clock()) == "open":
            self._leave_to_others()
            record.state = "cannot be reached"
            return self._breaker.open_until - clock()
        if (wait := self._hours.wait(self._kernel.now())) > 0:
            record.state = "not at this hour"
            return self._rest(wait)
        if (wait := self._bandwidth.free_at - clock()) > 0:
            record.state = "waiting for bandwidth"
            return wait
        moment = self._look()
        if isinstance(moment, str):
            record.state = moment
            if moment == _OF_ANOTHER:
                record.is_ours = False
                return self._rest(self._kernel.archive.settings.node_lease_seconds / 2)
            return self._rest(_LOOK)
        if moment.items:
            record.state = "sending"
            self._send(moment.items)
        elif moment.uncommitted:
            record.state = "asking for commitment"
            self._ask_again(moment.uncommitted)
        else:
            record.state = "idle"
            if not self._breaker.failures:
                record.last_error = ""
            wait = _LOOK if moment.due is None else max(moment.due - self._kernel.now(), 0.001)
            pause = self._rest(wait)
            if moment.due is None and not self._sender.is_connected:
                self._leave_to_others()
            return pause
        return 0.0

    def _look(self) -> _Moment | str:
        """Look what there is for this node to do; or why nothing is done."""
        kernel = self._kernel
        moment = self._moment()
        node = kernel.archive.store.node
        if not node or isinstance(moment, str):
            return moment
        self._record.is_ours = moment.sender == node
        if not moment.is_work or moment.sender == node:
            return moment
        if moment.sender:
            return _OF_ANOTHER
        (taken,) = kernel.archive.rows.write([DestinationTaken(self._destination)])
        if taken.result is Result.MISSING:
            return _OF_ANOTHER
        self._record.is_ours = True
        return self._moment()  # what the one before has done is not done again

    def _leave_to_others(self) -> None:
        """Have another node send, if there is one that has something to do."""
        if self._record.is_ours:
            self._kernel.archive.rows.write([DestinationLeft(self._destination)])
            self._record.is_ours = False

    def _moment(self) -> _Moment | str:
        """Look what there is to do, whoever does it; or why nothing is done."""
        kernel = self._kernel
        now = kernel.now()
        is_trying = self._breaker.failures > 0
        limit = 1 if is_trying else self._settings.batch
        with kernel.archive.reader() as reader:
            found = reader.queue.number_of(self._destination)
            if found is None:
                return "idle"
            number, is_paused = found
            if is_paused:
                return "paused"
            return _Moment(
                number,
                reader.queue.head(number, now, limit),
                reader.queue.uncommitted(number, now, _COMMITTED_AT_ONCE),
                reader.queue.next_due(number),
                reader.queue.sender_of(number) if kernel.archive.store.node else "",
            )

    def _rest(self, wait: float) -> float:
        """There is nothing to do for so long: an association is kept for a while."""
        if self._sender.is_connected:
            idle = self._settings.idle_timeout
            clock = self.system.clock.monotonic()
            if self._idle_since is None:
                self._idle_since = clock
            left = self._idle_since + idle - clock
            if left > 0:
                return min(wait, left)
            self._sender.rest()
        self._idle_since = None
        return wait

    _idle_since: float | None = None

    # --- sending ---------------------------------------------------------------------------

    def _send(self, items: list[QueuedItem]) -> None:
        """Send what is next, until somebody has something to say to us."""
        record = self._record
        self._idle_since = None
        held: set[str] = set()
        sent: list[tuple[QueuedItem, Reference]] = []
        clock = self.system.clock.monotonic
        for item in items:
            if item.study_instance_uid in held:
                continue
            record.trying = item
            try:
                references = self._deliver(item)
            except Unreachable as error:
                self._fail(item, error)
                break
            except NotTaken as error:
                is_refusal = not error.is_busy
                record.unsettled.append(
                    self._refused(item, str(error), is_refusal=is_refusal, is_final=error.is_final)
                )
                held.add(item.study_instance_uid)
                self._breaker.succeed()
            except (ArchiveError, OSError) as error:
                record.unsettled.append(self._refused(item, _plain(error), is_refusal=False))
                held.add(item.study_instance_uid)
            else:
                self._breaker.succeed()
                self._busy.pop(item.id, None)
                if references and self._settings.confirm == "commitment":
                    sent += [(item, one) for one in references]
                else:
                    record.unsettled.append(Delivered(item.id))
            record.trying = None
            if self._bandwidth.free_at > clock() or not self.actor_ref.actor_inbox.empty():
                break
        record.trying = None
        if sent:
            self._ask_commitment(sent)

    def _deliver(self, item: QueuedItem) -> list[Reference]:
        """Send a row; returns what it was sent as; nothing if it is gone."""
        route = self._kernel.router.routes.get(item.route)
        way = None if route is None else route.way_to(self._destination)
        if way is None:
            raise NotTaken(f"there is no route {item.route!r} to here any more", is_final=True)
        instances = self._instances(item)
        if not instances:
            return []
        parcels = [Parcel(self._kernel.archive, found, way[0]) for found in instances]
        try:
            references = self._sender.send(item, parcels)
        except ArchiveError as error:
            if error.reason == "deleted" and not self._instances(item):
                return []  # it was deleted meanwhile
            raise
        self._bandwidth.sent(sum(found.size for found in instances), self.system.clock.monotonic())
        return references

    def _instances(self, item: QueuedItem) -> list[StoredInstance]:
        archive = self._kernel.archive
        if item.sop_instance_uid:
            found = archive.find_instance(item.sop_instance_uid)
            return [] if found is None else [found]
        return list(
            archive.instances(
                study_instance_uid=item.study_instance_uid,
                series_instance_uid=item.series_instance_uid or None,
            )
        )

    def _fail(self, item: QueuedItem, error: Unreachable) -> None:
        """Nobody is there; the row that was under way may be why."""
        self._breaker.fail(self.system.clock.monotonic())
        text = str(error)
        if error.was_under_way:
            self._record.unsettled.append(self._refused(item, text, is_refusal=True))
        self._say(text)

    def _refused(
        self, item: QueuedItem, error: str, *, is_refusal: bool, is_final: bool = False
    ) -> Refused:
        settings = self._settings
        limit = settings.refusals if is_refusal else settings.attempts
        if is_final or (limit is not None and item.attempts + 1 >= limit):
            self._busy.pop(item.id, None)
            self._say(f"a row is set aside: {error}")
            return Refused(item.id, error, None)
        failures = item.attempts + 1
        counts = is_refusal or settings.attempts is not None
        if not counts:
            failures = self._busy[item.id] = self._busy.get(item.id, 0) + 1
        due = self._kernel.now() + self._back_off.pause(failures)
        return Refused(item.id, error, due, attempts=int(counts))

    # --- commitment ------------------------------------------------------------------------

    def _ask_commitment(self, sent: list[tuple[QueuedItem, Reference]]) -> None:
        """Ask for storage commitment of what was sent.

        That it is asked for is written before, since the answer may come at once.
        """
        uid = str(generate_uid())
        due = self._kernel.now() + self._settings.commitment_timeout
        rows = tuple((item.id, one.sop_instance_uid) for item, one in sent)
        self._record.unsettled.append(CommitmentAsked(rows, uid, due))
        self._settle()
        try:
            self._sender.ask_commitment(uid, [one for _, one in sent])
            self._sender.listen()
        except Unreachable as error:
            self._breaker.fail(self.system.clock.monotonic())
            self._ask_soon(rows, uid, str(error))
        except NotTaken as error:
            self._ask_soon(rows, uid, str(error))

    def _ask_soon(self, rows: tuple[tuple[int, str], ...], uid: str, error: str) -> None:
        due = self._kernel.now() + self._settings.longest_pause
        self._record.unsettled.append(CommitmentAsked(rows, uid, due))
        self._say(error)

    def _ask_again(self, items: list[QueuedItem]) -> None:
        sent = []
        for item in items:
            instances = self._instances(item)
            if not instances:
                self._record.unsettled.append(Delivered(item.id))
            else:
                uid = item.sent_as or item.sop_instance_uid
                sent.append((item, Reference(instances[0].sop_class_uid, uid)))
        if sent:
            self._ask_commitment(sent)

    def _say(self, text: str) -> None:
        """Say it in the log, once for the same."""
        record = self._record
        if record.last_error != text:
            record.last_error = text
            self.system.log.write(
                logger, logging.WARNING, "destination %s: %s", self._destination, text
            )


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
