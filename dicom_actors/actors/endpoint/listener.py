"""The Listener: accepts connections and hands them over.

A connection stays with the Listener until its first byte, so that a peer that only connects (a
health check, a port scan) costs a socket and nothing else; then it gets an Association. The
listening socket belongs to the endpoint and the accepted ones to their records: a crash of the
Listener loses neither.
"""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.association.supervisor import start_association
from dicom_actors.actors.connection.signals import DeadlineReached, DropConnection, PlaceFree
from dicom_actors.supervision import IGNORE, SocketInbox, SocketReady, SupervisedActor

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.endpoint.kernel import EndpointKernel

__all__ = ["Listener"]

_logger = logging.getLogger(__name__)

_LISTENING: Final = 0
"""The token of the listening socket; connections have the number of their record, from 1."""

_ACCEPTS_AT_ONCE: Final = 64
_PAUSE_SECONDS: Final = 0.1

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ONE_CONNECTION_ONLY: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
        errno.ECONNRESET,
        errno.ETIMEDOUT,
    }
)


class Listener(SupervisedActor):
    """Accepts on the listening socket of `kernel`."""

    def __init__(self, kernel: EndpointKernel) -> None:
        self._sockets = SocketInbox(many=True)
        super().__init__()
        self._kernel = kernel
        self._waiting: dict[int, ConnectionRecord] = {}
        self._listening_socket: socket.socket
        self._timer: Any = None

    def create_inbox(self) -> SocketInbox:
        """Give the inbox that is the sockets, too."""
        return self._sockets

    def init(self) -> Any:
        """Take over the listening socket and the connections without a first byte.

        Runs in the Listener's thread. While the endpoint is suspended there is nothing to do.
        """
        kernel = self._kernel
        if kernel.listening_socket is None:
            return IGNORE
        kernel.be_listener(self.actor_ref)
        self._listening_socket = kernel.listening_socket
        self._sockets.register(self._listening_socket, token=_LISTENING)
        for record in kernel.connections:
            if not (record.is_handed_over or record.is_closed):
                self._wait_for_first_byte(record)
        self._arm_timer()
        return None

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - the hook's signature
        """Await nothing more; the sockets belong to others."""
        if self._timer is not None:
            self._timer.cancel()

    def handle_info(self, message: Any) -> None:
        """Accept, hand over, or look at the clock. Runs in the Listener's thread."""
        if isinstance(message, SocketReady):
            if message.token == _LISTENING:
                self._accept()
            else:
                self._first_byte(message.token)
        elif isinstance(message, DeadlineReached):
            self._timer = None
            self._close_silent()
            self._listen_again()
            self._arm_timer()
        else:
            super().handle_info(message)

    def handle_cast(self, message: Any) -> None:
        """Accept again when a place is free."""
        if isinstance(message, PlaceFree):
            self._listen_again()
        elif isinstance(message, DropConnection):
            self._drop(message.record)
        else:
            super().handle_cast(message)

    def _accept(self) -> None:
        kernel = self._kernel
        for _ in range(_ACCEPTS_AT_ONCE):
            if kernel.may_not_accept():
                kernel.limit_reached("max_associations", "further peers wait")
                self._sockets.modify(self._listening_socket, read=False)
                return
            if kernel.faults is not None:
                kernel.faults.hit("listener.accept")
            try:
                record = kernel.accept(self.actor_ref)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _ONE_CONNECTION_ONLY:
                    continue
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                raise
            if record is None:
                return
            self._wait_for_first_byte(record)
            self._arm_timer()

    def _pause(self, error: OSError) -> None:
        _logger.error("cannot accept: %s; trying again in %s s", error.strerror, _PAUSE_SECONDS)
        self._kernel.limit_reached("file descriptors", error.strerror or "")
        self._sockets.modify(self._listening_socket, read=False)
        self._kernel.timers.send_after(_PAUSE_SECONDS, self.actor_ref, DeadlineReached())

    def _listen_again(self) -> None:
        if not self._kernel.may_not_accept():
            self._sockets.modify(self._listening_socket, read=True)

    def _wait_for_first_byte(self, record: ConnectionRecord) -> None:
        self._waiting[record.id] = record
        self._sockets.register(record.transport.socket, token=record.id)

    def _drop(self, record: ConnectionRecord) -> None:
        if self._waiting.pop(record.id, None) is None:
            return  # it has said something meanwhile, or is gone
        self._sockets.unregister(record.transport.socket)
        self._kernel.remove_connection(record)

    def _first_byte(self, record_id: int) -> None:
        record = self._waiting.get(record_id)
        if record is None:
            return
        try:
            begins = bool(record.transport.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return
        except OSError:
            begins = False
        del self._waiting[record_id]
        self._sockets.unregister(record.transport.socket)
        if begins:
            self._hand_over(record)
        else:
            self._kernel.remove_connection(record)

    def _hand_over(self, record: ConnectionRecord) -> None:
        if self._kernel.faults is not None:
            self._kernel.faults.hit("listener.hand_over")
        if not start_association(self._kernel, record):
            self._kernel.remove_connection(record)

    def _close_silent(self) -> None:
        now = self._kernel.clock.monotonic()
        for record in list(self._waiting.values()):
            deadline = record.tenure.deadlines.artim
            if deadline is not None and deadline > now:
                break  # they stand in the order of their deadlines
            self._drop(record)

    def _arm_timer(self) -> None:
        if self._timer is None and self._waiting:
            deadline = next(iter(self._waiting.values())).tenure.deadlines.artim
            if deadline is not None:
                self._timer = self._kernel.timers.send_at(
                    deadline, self.actor_ref, DeadlineReached()
                )
