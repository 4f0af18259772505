"""The Listener: accepts connections and hands them over.

One whose peer has said something already gets an Association, the others are parked until their
first byte comes. The listening socket belongs to the endpoint and the accepted ones to their
records: a crash of the Listener loses neither.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.connection.signals import PlaceFree
from dicom_actors.supervision import SocketInbox, SocketReady, SupervisedActor

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel

__all__ = ["Listener"]

_logger = logging.getLogger(__name__)

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
        self._sockets = SocketInbox()
        super().__init__()
        self._kernel = kernel
        self._listening_socket: socket.socket | None = None

    def create_inbox(self) -> SocketInbox:
        """Give the inbox that is the listening socket, too."""
        return self._sockets

    def init(self) -> None:
        """Take over the listening socket, and what was accepted. Runs in the Listener's thread.

        While the endpoint is suspended there is none.
        """
        kernel = self._kernel
        kernel.be_listener(self.actor_ref)
        for record in kernel.connections:
            if record.is_parked and not record.is_handed_over:
                kernel.watch.arm(record)
        self._listen_again()

    def handle_info(self, message: Any) -> None:
        """Accept, or do so again after a pause. Runs in the Listener's thread."""
        if isinstance(message, SocketReady):
            self._accept()
        elif isinstance(message, PlaceFree):
            self._listen_again()
        else:
            super().handle_info(message)

    def handle_cast(self, message: Any) -> None:
        """Accept again when a place is free."""
        if isinstance(message, PlaceFree):
            self._listen_again()
        else:
            super().handle_cast(message)

    def _accept(self) -> None:
        kernel = self._kernel
        for _ in range(_ACCEPTS_AT_ONCE):
            if self._listening_socket is not kernel.listening_socket:
                self._listen_again()
                return
            if kernel.may_not_accept():
                kernel.limit_reached("max_associations", "further peers wait")
                self._rest()
                return
            try:
                record = self._accept_one()
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
            self._hand_over(record)

    def _accept_one(self) -> ConnectionRecord | None:
        return self._kernel.accept(self.actor_ref)

    def _pause(self, error: OSError) -> None:
        self._kernel.system.log.write(
            _logger,
            logging.ERROR,
            "cannot accept: %s; trying again in %s s",
            error.strerror,
            _PAUSE_SECONDS,
        )
        self._kernel.limit_reached("file descriptors", error.strerror or "")
        self._rest()
        self._kernel.timers.send_after(_PAUSE_SECONDS, self.actor_ref, PlaceFree())

    def _rest(self) -> None:
        if self._listening_socket is not None:
            with contextlib.suppress(ValueError):  # closed meanwhile: that is told, too
                self._sockets.modify(self._listening_socket, read=False)

    def _listen_again(self) -> None:
        current = self._kernel.listening_socket
        if self._listening_socket is not current:
            if self._listening_socket is not None:
                self._sockets.unregister(self._listening_socket)
            self._listening_socket = current
            if current is not None:
                with contextlib.suppress(ValueError):
                    self._sockets.register(current)
        if current is not None and not self._kernel.may_not_accept():
            with contextlib.suppress(ValueError):
                self._sockets.modify(current, read=True)

    def _hand_over(self, record: ConnectionRecord) -> None:
        try:
            has_begun = bool(record.transport.socket.recv(1, socket.MSG_PEEK))
        except (BlockingIOError, InterruptedError):
            self._kernel.watch.arm(record)
            return
        except OSError:
            has_begun = False
        if not record.unpark():
            return
        if has_begun:
            self._kernel.attendance.attend(record)
        else:
            self._kernel.remove_connection(record)
