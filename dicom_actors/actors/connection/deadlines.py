"""The absolute times by which something must have happened on a connection.

They stand in the connection record, so that a crash does not extend them. Monotonic seconds;
None means that nothing is awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dicom_actors.config import EndpointConfig

__all__ = ["Deadlines"]


_NAMES = ("handshake", "artim", "write", "handler", "pdu", "message", "room", "idle")
"""In the order in which they are looked at."""

_OUTPUT_PROGRESS: Final = 1 << 20
"""Bytes that a peer must have read to get more time."""


class Deadlines:
    """The deadlines of one connection.

    Attributes:
        handshake: TLS must be established.
        artim: the A-ASSOCIATE-RQ must have come, or the peer must have closed (PS3.8 9.1.5).
        pdu: the PDU that has begun must be complete.
        idle: any PDU must have come.
        message: the message that has begun must have gone on.
        room: there must be room for the data set that has begun.
        write: the peer must have read what we sent.
        handler: the running handler must have returned.
    """

    __slots__ = (*_NAMES, "unsent")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Await nothing."""
        self.handshake: float | None = None
        self.artim: float | None = None
        self.pdu: float | None = None
        self.idle: float | None = None
        self.message: float | None = None
        self.room: float | None = None
        self.write: float | None = None
        self.handler: float | None = None
        self.unsent = 0

    def copy(self) -> Deadlines:
        """Return the same ones, to be changed on their own."""
        other = Deadlines.__new__(Deadlines)
        other.handshake = self.handshake
        other.artim = self.artim
        other.pdu = self.pdu
        other.idle = self.idle
        other.message = self.message
        other.room = self.room
        other.write = self.write
        other.handler = self.handler
        other.unsent = self.unsent
        return other

    def earliest(self) -> float | None:
        """The first of them; None if nothing is awaited."""
        # Asked after every message, when nearly all are None: a loop takes five times as long.
        found = self.idle
        if self.handshake is not None and (found is None or self.handshake < found):
            found = self.handshake
        if self.artim is not None and (found is None or self.artim < found):
            found = self.artim
        if self.write is not None and (found is None or self.write < found):
            found = self.write
        if self.handler is not None and (found is None or self.handler < found):
            found = self.handler
        if self.pdu is not None and (found is None or self.pdu < found):
            found = self.pdu
        if self.message is not None and (found is None or self.message < found):
            found = self.message
        if self.room is not None and (found is None or self.room < found):
            found = self.room
        return found

    def await_input(
        self, now: float, config: EndpointConfig, *, has_begun: bool, is_idle: bool
    ) -> None:
        """Await the rest of a PDU that has begun, or anything at all.

        Args:
            now: monotonic seconds.
            config: the endpoint's configuration.
            has_begun: whether a part of a PDU is there.
            is_idle: whether it is for the peer to say something.
        """
        if has_begun:
            if self.pdu is None:
                self.pdu = now + config.pdu_timeout
        elif is_idle and config.idle_timeout is not None:
            self.idle = now + config.idle_timeout
        else:
            self.idle = None

    def await_output(self, now: float, config: EndpointConfig, unsent: int) -> None:
        """Await that the peer reads; some of a large message, if not all of it.

        Args:
            now: monotonic seconds.
            config: the endpoint's configuration.
            unsent: bytes that wait to be sent.
        """
        if not unsent:
            self.write = None
        elif self.write is None or unsent <= self.unsent - _OUTPUT_PROGRESS:
            self.write = now + config.write_timeout
            self.unsent = unsent
        else:
            self.unsent = max(self.unsent, unsent)

    def await_end(self) -> None:
        """Await nothing more but that the peer reads what was said, and closes."""
        self.pdu = self.message = self.room = self.idle = self.handler = None

    def due(self, now: float) -> str | None:
        """The name of one that has come; None if none has."""
        earliest = self.earliest()
        if earliest is None or earliest > now:
            return None
        for name in _NAMES:
            at = getattr(self, name)
            if at is not None and at <= now:
                return name
        return None
