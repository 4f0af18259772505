"""The connection record: what a crash of an Association must not lose.

One for each TCP connection, passive, with a lock and no thread. It is the sole owner of the
socket and closes it once. A new incarnation of the Association takes everything that it needs
from here: the unread bytes, what was negotiated, the requests that are on their way, the bytes
that are not sent yet, and the absolute deadlines. Three things make one necessary, and are the
same to it: the last one crashed; it was *relieved*, since its thread runs a handler; it was
*parked*, since nothing was to be done.

Every method that changes something takes the caller's epoch. `adopt` and `relieve` raise the
epoch, so that whatever an old incarnation still does is refused with `StaleIncarnation`; what it
merely notes goes into a `Incarnation` of its own.

Whoever has news for the Association (an outcome, a deadline, a wish of the host) notes them here
and calls `poke`: news outlive a crash, and need no message of their own.
"""

from __future__ import annotations

import weakref
from itertools import count
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dicom_actors.actors.connection.cancellation import Cancellation
from dicom_actors.actors.connection.incarnation import Incarnation
from dicom_actors.actors.connection.input_buffer import InputBuffer
from dicom_actors.actors.connection.outgoing_requests import OutgoingRequests
from dicom_actors.actors.connection.pdu_log import PduLog
from dicom_actors.actors.connection.request import Request, Stage
from dicom_actors.actors.connection.signals import LOOK
from dicom_actors.actors.connection.transport import Transport
from dicom_actors.supervision import announce

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from dicom_actors.actors.connection.input_buffer import BufferPool
    from dicom_actors.actors.connection.request import Outcome
    from dicom_actors.dimse import Partial
    from dicom_actors.pdu import AssociateRq
    from dicom_actors.supervision import RestartWindow, SupervisedRef, Timer
    from dicom_actors.upper_layer import Negotiated

__all__ = ["ConnectionRecord", "StaleIncarnation", "WantedAbort"]


class StaleIncarnation(Exception):
    """The caller was replaced; what it wanted is refused."""


class WantedAbort(NamedTuple):
    """Somebody wants the association aborted (PS3.8 9.3.8): `source` and why, in a sentence."""

    source: int
    detail: str


class ConnectionRecord:
    """See the module.

    Args:
        record_id: unique within the endpoint.
        connection: the accepted socket; the record owns it from now on.
        peer: the peer's address and port.
        since: monotonic seconds of the accept.
        pool: where the input buffer is lent from.
        restart_window: counts the crashes of its Associations, whichever incarnation they hit.

    Attributes:
        association: the incarnation that serves it; None before the first, between two, and while
            it is parked.
        wake: called when a parked connection has something to do; set by who parks it.
        is_handed_over: whether it ever had an Association.
        is_given_up: whether its Association crashed too often.
        wanted_abort: that somebody wants it aborted; None if nobody does.
        timer: the timer for its earliest deadline.
        input: the bytes from the boundary of the last PDU that was handled whole. To be looked at;
            what changes it is here.
        pdvs_done: how many presentation data values of the next PDU are handled already.
        partial: how far the message has come that is being received.
        requests: the requests that are not answered yet, oldest first. One that runs is among them
            until the connection is closed.
        serials: gives the number of the next request.
        without_turn: how many of its next handlers have no turn; see `kernel.turns`.
    """

    __slots__ = (
        "__weakref__",
        "_cancellation",
        "_cancelled",
        "_inline",
        "_is_answerless",
        "_is_handed_on",
        "_is_muted",
        "_is_parked",
        "_is_poked",
        "_lock",
        "_outgoing",
        "_output_changed",
        "_wake",
        "answered",
        "association",
        "id",
        "ignored_cancels",
        "incarnation",
        "input",
        "is_given_up",
        "is_handed_over",
        "negotiated",
        "partial",
        "pdu_log",
        "pdvs_done",
        "peer",
        "requests",
        "restart_window",
        "restarts",
        "serials",
        "since",
        "timer",
        "transport",
        "wanted_abort",
        "without_turn",
    )

    def __init__(
        self,
        record_id: int,
        connection: socket.socket,
        peer: tuple[str, int],
        since: float,
        pool: BufferPool,
        restart_window: RestartWindow,
    ) -> None:
        self.id = record_id
        self.peer = peer
        self.since = since
        self.restart_window = restart_window
        self.transport = Transport(connection)
        self.restarts = 0
        self.answered = 0
        self.ignored_cancels = 0
        self.without_turn = 0
        self.pdu_log = PduLog(record_id)
        self.incarnation = Incarnation()
        self.negotiated: Negotiated | None = None
        self.is_handed_over = False
        self.is_given_up = False
        self.association: SupervisedRef[Any] | None = None
        self.wanted_abort: WantedAbort | None = None
        self.timer: Timer | None = None
        self._lock = Lock()
        self._output_changed: Condition | None = None
        self._is_muted = self._is_answerless = False
        self._is_poked = False
        self._is_parked = False
        self._is_handed_on = True
        self._wake: Callable[[ConnectionRecord], object] | None = None
        self._inline = 0
        self.input = InputBuffer(pool)
        self.pdvs_done = 0
        self.partial: Partial | None = None
        self.requests: tuple[Request, ...] = ()
        self._cancelled: frozenset[int] = frozenset()
        self._cancellation: Cancellation | None = None
        self.serials = count(1)
        self._outgoing: OutgoingRequests | None = None

    def __repr__(self) -> str:
        return f"connection {self.id}"

    # --- who serves it -------------------------------------------------------------------------

    def adopt(self, association: SupervisedRef[Any] | None) -> Incarnation:
        """Make `association` the owner; every earlier one is fenced off.

        Args:
            association: None for whoever only closes the connection.

        Returns:
            What the new owner writes into; its epoch is to be shown from now on, and its
            `Incarnation.is_restart` says whether the predecessor crashed.

        Raises:
            StaleIncarnation: `association` was killed before it came here.
        """
        with self._lock:
            if association is not None and not association.is_alive():
                raise StaleIncarnation(f"connection {self.id}: {association} was killed")
            self.incarnation = self.incarnation.next(is_restart=not self._is_handed_on)
            self.restarts += self.incarnation.is_restart
            self.association = association
            self.is_handed_over = True
            self._is_handed_on = self._is_parked = False
            self._inline = 0
            return self.incarnation

    def park(self, epoch: int, wake: Callable[[ConnectionRecord], object]) -> bool:
        """Let the connection have no Association until there is something to do.

        Args:
            epoch: the caller's, who must do nothing more with the connection.
            wake: called once, by whoever has something to do for it.

        Returns:
            False if there are news to look at first.
        """
        with self._lock:
            self._check(epoch)
            if self._is_poked:
                return False
            self._hand_on()
            self.input.park()
            self._is_parked = True
            self._wake = wake
            return True

    def wait_for_first_byte(self, wake: Callable[[ConnectionRecord], object]) -> None:
        """Park a new connection."""
        with self._lock:
            self._is_parked = True
            self._wake = wake

    def unpark(self) -> bool:
        """Take a connection out of its parking place; whoever gets True gives it an Association."""
        with self._lock:
            was_parked, self._is_parked = self._is_parked, False
            return was_parked and not self.transport.is_closed

    @property
    def is_parked(self) -> bool:
        """Whether it has no Association since there is nothing to do."""
        return self._is_parked

    @property
    def inline(self) -> int:
        """The serial of the request whose handler runs on its Association's thread; 0: none."""
        return self._inline

    def relieve(self) -> Request | None:
        """Take the connection from an Association whose thread runs a handler.

        From now on that actor is the handler's, and nothing else.

        Returns:
            The request whose handler it is; None if it does not run on that thread (any more).
        """
        with self._lock:
            request = self.find(self._inline)
            if request is None or request.stage is not Stage.RUNNING or self._is_over:
                return None
            self._inline = 0
            self._hand_on()
            return request

    def _hand_on(self) -> None:
        self.incarnation = self.incarnation.next()
        self.association = None
        self._is_handed_on = True

    def poke(self) -> None:
        """Let the Association look at the record, which has news for it. From any thread."""
        with self._lock:
            if self._is_poked or self.transport.is_closed:
                return
            self._is_poked = True
            association, was_parked = self.association, self._is_parked
            self._is_parked = False
        if association is not None:
            announce(association, LOOK)
        elif was_parked and self._wake is not None:
            self._wake(self)

    def looked(self) -> None:
        """Note, as the Association, that it is about to look: what comes from now on is news."""
        self._is_poked = False

    @property
    def is_poked(self) -> bool:
        """Whether there are news that the Association has not looked at yet."""
        return self._is_poked

    @property
    def is_ending(self) -> bool:
        """Whether nothing more is sent to the peer."""
        return self.incarnation.is_ending

    @property
    def association_rq(self) -> AssociateRq | None:
        """What the peer asked for; None before that."""
        return self.incarnation.association_rq

    def _check(self, epoch: int) -> None:
        if epoch != self.incarnation.epoch:
            raise StaleIncarnation(
                f"connection {self.id}: epoch {epoch}, now {self.incarnation.epoch}"
            )

    # --- what comes in -------------------------------------------------------------------------

    def start_tls(self, epoch: int, context: ssl.SSLContext) -> None:
        """See `Transport.start_tls`."""
        with self._lock:
            self._check(epoch)
            self.transport.start_tls(context)

    def handshake(self, epoch: int) -> Literal["done", "read", "write"]:
        """See `Transport.handshake`."""
        with self._lock:
            self._check(epoch)
            return self.transport.handshake()

    def receive(self, epoch: int) -> int | None:
        """Read once from the socket into the input buffer.

        Returns:
            How many bytes came; 0 at the end of the stream; None if there is nothing yet.

        Raises:
            OSError: the connection is lost.
        """
        with self._lock:
            if epoch != self.incarnation.epoch:
                self._check(epoch)
            length = self.transport.receive_into(self.input.room())
            if length:
                self.input.unread_length += length
            return length

    @property
    def unread_length(self) -> int:
        """How many bytes are not handled yet."""
        return self.input.unread_length

    def advance(
        self,
        epoch: int,
        consumed: int,
        pdvs_done: int = 0,
        partial: Partial | None = None,
        request: Request | None = None,
    ) -> None:
        """Move the input cursor, and with it take note of what these bytes completed.

        Args:
            epoch: the caller's.
            consumed: bytes of whole PDUs that are handled.
            pdvs_done: how many values of the PDU after them are handled, too.
            partial: the message that is being received now.
            request: the request that became complete.
        """
        with self._lock:
            if epoch != self.incarnation.epoch:
                self._check(epoch)
            self.input.consume(consumed)
            self.pdvs_done = pdvs_done
            self.partial = partial
            if request is not None:
                self.requests = (*self.requests, request)

    def settle_input(self, epoch: int) -> None:
        """Give the buffer back where it can be; views of it are invalid from now on."""
        with self._lock:
            self._check(epoch)
            self.input.settle()

    def discard_input(self, epoch: int) -> None:
        """Forget all unread bytes."""
        with self._lock:
            self._check(epoch)
            self.input.clear()
            self.pdvs_done = 0
            self.partial = None

    # --- requests ------------------------------------------------------------------------------

    @property
    def handlers(self) -> tuple[SupervisedRef[Any], ...]:
        """The actors that run a handler, and nothing else."""
        return tuple(
            request.handler
            for request in self.requests
            if request.stage is Stage.RUNNING
            and request.handler is not None
            and request.handler is not self.association
        )

    def begin(
        self, epoch: int, request: Request, handler: SupervisedRef[Any], due: float | None
    ) -> None:
        """Note that the Association's thread is about to run the handler of a request."""
        with self._lock:
            if epoch != self.incarnation.epoch:
                self._check(epoch)
            request.stage = Stage.RUNNING
            request.handler = handler
            request.due = due
            self._inline = request.serial

    def finish(self, epoch: int, request: Request, outcome: Outcome) -> bool:
        """Note the outcome of a request, as the thread that has run its handler; the first counts.

        Args:
            epoch: that of the Association at `begin`.
            request: the request.
            outcome: the outcome.

        Returns:
            Whether the caller is the Association still, and goes on. If not, another one was told.
        """
        with self._lock:
            if self._cancellation is not None:
                self._cancellation.forget(request.serial)
            is_owner = epoch == self.incarnation.epoch
            if is_owner:
                self._inline = 0
            if not self.may_commit(request):
                return is_owner
            request.stage, request.outcome = Stage.FINISHED, outcome
        if not is_owner:
            self.poke()
        return is_owner

    def handler_ended(self, serial: int, outcome: Outcome) -> None:
        """Note that the actor that ran the handler of a request is dead; see `settle`."""
        with self._lock:
            request = self.find(serial)
            if request is None or request.stage is not Stage.RUNNING:
                return
            request.stage, request.outcome = Stage.FINISHED, outcome
            self._tell_waiting()
        self._say_unwanted(serial)
        self.poke()

    def warn(self, epoch: int, serial: int, due: float) -> None:
        """Ask the handler of a request to give up, by a last deadline."""
        with self._lock:
            self._check(epoch)
            self._cancelled |= {serial}
            request = self.find(serial)
            if request is not None:
                request.is_warned = True
                request.due = due
            self._tell_waiting()
        self._say_unwanted(serial)

    def settle(self, epoch: int, serial: int, outcome: Outcome) -> None:
        """Note the outcome of a request, as the Association, unless it has one already."""
        with self._lock:
            self._check(epoch)
            request = self.find(serial)
            if request is not None and request.stage is not Stage.FINISHED:
                request.stage, request.outcome = Stage.FINISHED, outcome
                self._tell_waiting()
        self._say_unwanted(serial)

    def find(self, serial: int) -> Request | None:
        """The unanswered request with that number."""
        for request in self.requests:
            if request.serial == serial:
                return request
        return None

    def cancel(self, serial: int) -> None:
        """Ask the handler of a request to give up."""
        with self._lock:
            is_known = serial in self._cancelled
            self._cancelled |= {serial}
            self._tell_waiting()
        if not is_known:
            self._say_unwanted(serial)

    def on_unwanted(self, serial: int, callback: Callable[[bool], None]) -> None:
        """Have `callback` called when the handler of a request is to give up, until it has.

        That is when the request is cancelled, late or settled, and when the association is over.

        Args:
            serial: the request.
            callback: one of several; called without the lock, in any thread, each time that one
                of these happens or has happened; told if no outcome is taken any more.
        """
        with self._lock:
            if self._cancellation is None:
                self._cancellation = Cancellation(_weakly(self._is_wanted))
        self._cancellation.add(serial, callback)
        if self.is_cancelled(serial):
            callback(not self._is_wanted(serial))

    def _say_unwanted(self, serial: int) -> None:
        if self._cancellation is not None:
            self._cancellation.say(serial)

    def _say_all_unwanted(self) -> None:
        if self._cancellation is not None:
            self._cancellation.say_all()

    def is_cancelled(self, serial: int) -> bool:
        """Whether the handler of a request need not go on: cancelled, settled, or nobody left."""
        if self._is_over or self._is_muted or serial in self._cancelled:
            return True
        request = self.find(serial)
        return request is None or request.stage is Stage.FINISHED

    def may_commit(self, request: Request) -> bool:
        """Whether what the handler of a request does through us still counts."""
        return (
            request.stage is Stage.RUNNING
            and not self.transport.is_closed
            and not self.incarnation.is_ending
        )

    # --- what goes out -------------------------------------------------------------------------

    @property
    def outgoing(self) -> OutgoingRequests:
        """The requests of ours to the peer."""
        with self._lock:
            if self._outgoing is None:
                self._outgoing = OutgoingRequests(
                    self._when_changed(),
                    _weakly(self._check),
                    _weakly(self._may_wait),
                    _weakly(self.is_cancelled),
                    _weakly(self._answers_no_more),
                )
            return self._outgoing

    def expect_no_answers(self) -> None:
        """Note that the peer answers no request of ours any more, as the association ends."""
        with self._lock:
            self._is_answerless = True
            self._tell_waiting()

    def _answers_no_more(self, _: int) -> bool:
        return self._is_answerless or self._is_muted or self._is_over

    @property
    def awaits_response(self) -> bool:
        """Whether a request of ours is not answered yet."""
        return bool(self._outgoing)

    def _when_changed(self) -> Condition:
        """What Handlers wait with; the caller has the lock."""
        if self._output_changed is None:
            self._output_changed = Condition(self._lock)
        return self._output_changed

    def _tell_waiting(self) -> None:
        if self._output_changed is not None:
            self._output_changed.notify_all()

    def send(
        self,
        epoch: int,
        buffers: Sequence[bytes | memoryview],
        serial: int = 0,
        consumed: int = 0,
        negotiated: Negotiated | None = None,
    ) -> bool:
        """Send whole PDUs, or keep what the socket does not take now.

        What is in the record is sent by whoever owns it then, so that all that follows from
        sending is noted in the same moment.

        Args:
            epoch: the caller's.
            buffers: the PDUs, in pieces; they must not change any more.
            serial: the request that they answer.
            consumed: bytes of input that they answer.
            negotiated: what they accept.

        Returns:
            Whether all of it went out.

        Raises:
            OSError: the connection is lost.
        """
        with self._lock:
            if epoch != self.incarnation.epoch:
                self._check(epoch)
            if consumed:
                self.input.consume(consumed)
            if negotiated is not None:
                self.negotiated = negotiated
            answered = self.find(serial) if serial else None
            if answered is not None:
                self.answered += answered.command is not None
                self.requests = () if len(self.requests) == 1 else _without(self.requests, answered)
                if self._cancelled:
                    self._cancelled -= {serial}
            return self.transport.send(buffers)

    def flush(self, epoch: int) -> bool:
        """Send what `send` kept. Returns whether all of it went out. Raises OSError as it does."""
        with self._lock:
            self._check(epoch)
            done = self.transport.flush()
            if done:
                self._tell_waiting()
            return done

    def send_interim(self, serial: int, buffers: Sequence[bytes | memoryview]) -> bool | None:
        """Send one of several responses, as the Handler of a request.

        Args:
            serial: the request.
            buffers: whole PDUs, in pieces.

        Returns:
            Whether all of it went out; None if nobody wants it any more.
        """
        with self._lock:
            if not self._is_wanted(serial):
                return None
            try:
                return self.transport.send(buffers)
            except OSError:
                return None  # the Association is about to see it, too

    def wait_until_sent(self, serial: int) -> bool:
        """Wait, as the Handler of a request, until the peer has taken all that was sent.

        Returns:
            Whether to go on; False if nobody wants more.
        """
        with self._lock:
            self._when_changed().wait_for(
                lambda: not self.transport.has_output or not self._is_wanted(serial)
            )
            return self._is_wanted(serial)

    def mute(self, epoch: int) -> None:
        """Let nothing more be sent but by the Association: what ends the association comes next."""
        with self._lock:
            self._check(epoch)
            self._is_muted = True
            self._tell_waiting()
        self._say_all_unwanted()

    def _is_wanted(self, serial: int) -> bool:
        request = self.find(serial)
        is_running = request is not None and request.stage is Stage.RUNNING
        return is_running and not self._is_over and not self._is_muted

    def _may_wait(self, serial: int) -> bool:
        request = self.find(serial)
        return request is not None and not request.is_warned and self._is_wanted(serial)

    @property
    def has_output(self) -> bool:
        """Whether bytes wait to be sent."""
        return self.transport.has_output

    @property
    def _is_over(self) -> bool:
        return self.transport.is_closed or self.incarnation.is_ending

    @property
    def is_closed(self) -> bool:
        """Whether the socket is closed."""
        return self.transport.is_closed

    def stop_sending(self, epoch: int) -> None:
        """See `Transport.stop_sending`."""
        with self._lock:
            self._check(epoch)
            self.transport.stop_sending()

    def close(self, epoch: int | None = None) -> bool:
        """Close the socket, once.

        Args:
            epoch: of the incarnation that wants it; None: for whoever does not depend on one.

        Returns:
            Whether this call did it; False also for an incarnation that was replaced.
        """
        with self._lock:
            if self.transport.is_closed or epoch not in {None, self.incarnation.epoch}:
                return False
            self.incarnation = self.incarnation.next()
            self.transport.close()
            self._tell_waiting()
            self.input.clear()
            self._is_parked = False
            self._inline = 0
            self._wake = None
            leftovers, self.requests = self.requests, ()
        self._say_all_unwanted()
        if self.incarnation.receiver is not None:
            self.incarnation.receiver.abandon()
        for request in leftovers:
            # A handler that runs discards its spool file itself.
            if request.received is not None and request.stage is not Stage.RUNNING:
                request.received.abandon()
        return True


def _without(requests: tuple[Request, ...], answered: Request) -> tuple[Request, ...]:
    """Return the other requests."""
    return tuple(request for request in requests if request is not answered)


def _weakly(method: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return a method of what holds this: no circle that waits for the garbage collector."""
    found = weakref.WeakMethod(method)

    def call(number: int) -> Any:
        bound = found()
        assert bound is not None
        return bound(number)

    return call
