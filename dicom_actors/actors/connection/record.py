"""The connection record: what a crash of an Association must not lose.

One for each TCP connection, passive, with a lock and no thread. It is the sole owner of the
socket and closes it once. A new incarnation of the Association takes everything that it needs
from here: the unread bytes, what was negotiated, the requests that are on their way, the bytes
that are not sent yet, and the absolute deadlines.

Every method that changes something takes the caller's epoch. `adopt` raises the epoch, so that
whatever an old incarnation still does is refused with `StaleIncarnation`; what it merely notes
goes into a `Tenure` of its own. Values are frozen and replaced as a whole.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, Literal

from dicom_actors.actors.connection.input_buffer import InputBuffer
from dicom_actors.actors.connection.invocations import Invocations
from dicom_actors.actors.connection.pdu_log import PduLog
from dicom_actors.actors.connection.request import Request, Stage
from dicom_actors.actors.connection.tenure import Tenure
from dicom_actors.actors.connection.transport import Transport
from dicom_actors.actors.connection.unwanted import Unwanted

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable

    from dicom_actors.actors.connection.input_buffer import BufferPool
    from dicom_actors.actors.connection.request import Outcome
    from dicom_actors.dimse import Partial
    from dicom_actors.pdu import AssociateRq
    from dicom_actors.supervision import SupervisedRef
    from dicom_actors.upper_layer import Negotiated

__all__ = ["ConnectionRecord", "StaleIncarnation"]


class StaleIncarnation(Exception):
    """The caller was replaced; what it wanted is refused."""


class ConnectionRecord:
    """See the module.

    Args:
        record_id: unique within the endpoint.
        connection: the accepted socket; the record owns it from now on.
        peer: the peer's address and port.
        since: monotonic seconds of the accept.
        pool: where the input buffer is lent from.
    """

    def __init__(
        self,
        record_id: int,
        connection: socket.socket,
        peer: tuple[str, int],
        since: float,
        pool: BufferPool,
    ) -> None:
        self.id = record_id
        self.peer = peer
        self.since = since
        self.transport = Transport(connection)
        self.restarts = 0
        self.answered = 0
        self.ignored_cancels = 0
        self.pdu_log = PduLog(record_id)
        self.tenure = Tenure()
        self.negotiated: Negotiated | None = None
        self.is_handed_over = False
        self.is_given_up = False
        self.handlers: tuple[SupervisedRef[Any], ...] = ()
        self.association: SupervisedRef[Any] | None = None
        self._lock = Lock()
        self._output_changed = Condition(self._lock)
        self._is_muted = False
        self._input = InputBuffer(pool)
        self._pdvs_done = 0
        self._partial: Partial | None = None
        self._requests: tuple[Request, ...] = ()
        self._cancelled: frozenset[int] = frozenset()
        self._unwanted = Unwanted(self._is_wanted)
        self._serials = count(1)
        self.invocations = Invocations(self._output_changed, self._check, self._may_wait)

    def __repr__(self) -> str:
        return f"connection {self.id}"

    def adopt(self, association: SupervisedRef[Any] | None) -> Tenure:
        """Make `association` the owner; every earlier one is fenced off.

        Args:
            association: None for whoever only closes the connection.

        Returns:
            What the new owner writes into; its epoch is to be shown from now on.
        """
        with self._lock:
            self.tenure = self.tenure.next()
            self.association = association
            self.is_handed_over = True
            return self.tenure

    @property
    def is_ending(self) -> bool:
        """Whether nothing more is sent to the peer."""
        return self.tenure.is_ending

    @property
    def association_rq(self) -> AssociateRq | None:
        """What the peer asked for; None before that."""
        return self.tenure.association_rq

    def _check(self, epoch: int) -> None:
        if epoch != self.tenure.epoch:
            raise StaleIncarnation(f"connection {self.id}: epoch {epoch}, now {self.tenure.epoch}")

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
            self._check(epoch)
            length = self.transport.receive_into(self._input.room())
            if length:
                self._input.received(length)
            return length

    @property
    def unread(self) -> memoryview:
        """The bytes from the boundary of the last PDU that was handled whole."""
        return self._input.unread

    @property
    def unread_length(self) -> int:
        """How many bytes there are in `unread`."""
        return self._input.unread_length

    @property
    def pdvs_done(self) -> int:
        """How many presentation data values of the next PDU are handled already."""
        return self._pdvs_done

    @property
    def partial(self) -> Partial | None:
        """How far the message has come that is being received."""
        return self._partial

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
            self._check(epoch)
            self._input.consume(consumed)
            self._pdvs_done = pdvs_done
            self._partial = partial
            if request is not None:
                self._requests = (*self._requests, request)

    def settle_input(self, epoch: int) -> None:
        """Give the buffer back where it can be; views of it are invalid from now on."""
        with self._lock:
            self._check(epoch)
            self._input.settle()

    def discard_input(self, epoch: int) -> None:
        """Forget all unread bytes."""
        with self._lock:
            self._check(epoch)
            self._input.clear()
            self._pdvs_done = 0
            self._partial = None

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests that are not answered yet, oldest first."""
        return self._requests

    def next_serial(self) -> int:
        """A number for the next request."""
        return next(self._serials)

    def dispatch(
        self, epoch: int, serial: int, handler: SupervisedRef[Any], deadline: float | None
    ) -> None:
        """Note that a request is about to be handed to a Handler; it never is again."""
        with self._lock:
            self._check(epoch)
            request = self._replace(serial, stage=Stage.DISPATCHED, handler=handler)
            if request is not None:
                request.due.at = deadline

    def requeue(self, epoch: int, serial: int) -> None:
        """Take back what `dispatch` noted, since the Handler died before it began."""
        with self._lock:
            self._check(epoch)
            self._replace(serial, stage=Stage.QUEUED, handler=None)

    def begin(self, serial: int) -> Request | None:
        """Note, as the Handler, that a request's handler is about to run.

        Returns:
            The request; None if it is settled meanwhile and must not run.
        """
        with self._lock:
            request = self.find(serial)
            if self._is_over or request is None or request.stage is not Stage.DISPATCHED:
                return None
            return self._replace(serial, stage=Stage.RUNNING)

    def finish(self, serial: int, outcome: Outcome) -> SupervisedRef[Any] | None:
        """Note the outcome of a request, as its Handler; the first outcome counts.

        Returns:
            Who has to be told, None if the outcome came too late.
        """
        with self._lock:
            self._unwanted.forget(serial)
            request = self.find(serial)
            if self._is_over or request is None or request.stage is not Stage.RUNNING:
                return None
            self._replace(serial, stage=Stage.FINISHED, outcome=outcome)
            return self.association

    def add_handler(self, handler: SupervisedRef[Any]) -> bool:
        """Note a new Handler; returns False if the connection is closed."""
        with self._lock:
            if not self.transport.is_closed:
                self.handlers = (*self.handlers, handler)
            return not self.transport.is_closed

    def forget_handler(self, epoch: int, handler: SupervisedRef[Any]) -> None:
        """Note that a Handler is dead, or given up."""
        with self._lock:
            self._check(epoch)
            self.handlers = tuple(one for one in self.handlers if one is not handler)

    def warn(self, epoch: int, serial: int, deadline: float) -> None:
        """Ask the handler of a request to give up, by a last deadline."""
        with self._lock:
            self._check(epoch)
            self._cancelled |= {serial}
            request = self._replace(serial, is_warned=True)
            if request is not None:
                request.due.at = deadline
            self._output_changed.notify_all()
        self._unwanted.say(serial)

    def settle(self, epoch: int, serial: int, outcome: Outcome) -> None:
        """Note the outcome of a request, as the Association, unless it has one already."""
        with self._lock:
            self._check(epoch)
            request = self.find(serial)
            if request is not None and request.stage is not Stage.FINISHED:
                self._replace(serial, stage=Stage.FINISHED, outcome=outcome)
                self._output_changed.notify_all()
        self._unwanted.say(serial)

    def find(self, serial: int) -> Request | None:
        """The unanswered request with that number."""
        for request in self._requests:
            if request.serial == serial:
                return request
        return None

    def cancel(self, serial: int) -> None:
        """Ask the handler of a request to give up."""
        with self._lock:
            is_known = serial in self._cancelled
            self._cancelled |= {serial}
        if not is_known:
            self._unwanted.say(serial)

    def on_unwanted(self, serial: int, callback: Callable[[bool], None]) -> None:
        """Have `callback` called when the handler of a request is to give up, until it has.

        That is when the request is cancelled, late or settled, and when the association is over.

        Args:
            serial: the request.
            callback: one of several; called without the lock, in any thread, each time that one
                of these happens or has happened; told if no outcome is taken any more.
        """
        self._unwanted.add(serial, callback)
        if self.is_cancelled(serial):
            callback(not self._is_wanted(serial))

    def is_cancelled(self, serial: int) -> bool:
        """Whether the handler of a request need not go on: cancelled, settled, or nobody left."""
        if self._is_over or self._is_muted or serial in self._cancelled:
            return True
        request = self.find(serial)
        return request is None or request.stage is Stage.FINISHED

    def may_commit(self, serial: int) -> bool:
        """Whether what the handler of a request does through us still counts."""
        request = self.find(serial)
        return not self._is_over and request is not None and request.stage is Stage.RUNNING

    def _replace(self, serial: int, **changes: Any) -> Request | None:
        changed = None
        requests: list[Request] = []
        for request in self._requests:
            if request.serial == serial:
                changed = replace(request, **changes)
                requests.append(changed)
            else:
                requests.append(request)
        self._requests = tuple(requests)
        return changed

    def send(
        self,
        epoch: int,
        buffers: Iterable[bytes | memoryview],
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
            self._check(epoch)
            self._input.consume(consumed)
            if negotiated is not None:
                self.negotiated = negotiated
            answered = self.find(serial)
            if answered is not None:
                self.answered += answered.command is not None
                self._requests = tuple(r for r in self._requests if r is not answered)
                self._cancelled -= {serial}
            return self.transport.send(buffers)

    def flush(self, epoch: int) -> bool:
        """Send what `send` kept. Returns whether all of it went out. Raises OSError as it does."""
        with self._lock:
            self._check(epoch)
            done = self.transport.flush()
            if done:
                self._output_changed.notify_all()
            return done

    def send_interim(self, serial: int, buffers: Iterable[bytes | memoryview]) -> bool | None:
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
        with self._output_changed:
            self._output_changed.wait_for(
                lambda: not self.transport.has_output or not self._is_wanted(serial)
            )
            return self._is_wanted(serial)

    def mute(self, epoch: int) -> None:
        """Let nothing more be sent but by the Association: what ends the association comes next."""
        with self._lock:
            self._check(epoch)
            self._is_muted = True
            self._output_changed.notify_all()
        self._unwanted.say_all()

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
        return self.transport.is_closed or self.is_ending

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
            if self.transport.is_closed or epoch not in {None, self.tenure.epoch}:
                return False
            self.tenure = self.tenure.next()
            self.transport.close()
            self._output_changed.notify_all()
            self._input.clear()
            leftovers, self._requests = self._requests, ()
        self._unwanted.say_all()
        if self.tenure.receiver is not None:
            self.tenure.receiver.abandon()
        for request in leftovers:
            # A handler that runs discards its spool file itself.
            if request.received is not None and request.stage is not Stage.RUNNING:
                request.received.abandon()
        return True
