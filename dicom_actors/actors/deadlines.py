"""The absolute times by which something must have happened on a connection.

They stand in the connection record, so that a crash does not extend them. Monotonic seconds;
None means that nothing is awaited.
"""

from __future__ import annotations

__all__ = ["Deadlines"]


class Deadlines:
    """The deadlines of one connection.

    Attributes:
        handshake: TLS must be established.
        artim: the A-ASSOCIATE-RQ must have come, or the peer must have closed (PS3.8 9.1.5).
        pdu: the PDU that has begun must be complete.
        idle: any PDU must have come.
        message: the message that has begun must have gone on.
        write: the peer must have read what we sent.
        handler: the running handler must have returned.
    """

    __slots__ = ("artim", "handler", "handshake", "idle", "message", "pdu", "write")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Await nothing."""
        self.handshake: float | None = None
        self.artim: float | None = None
        self.pdu: float | None = None
        self.idle: float | None = None
        self.message: float | None = None
        self.write: float | None = None
        self.handler: float | None = None

    def earliest(self) -> float | None:
        """The first of them; None if nothing is awaited."""
        return min(
            (
                deadline
                for deadline in (
                    self.handshake,
                    self.artim,
                    self.pdu,
                    self.idle,
                    self.message,
                    self.write,
                    self.handler,
                )
                if deadline is not None
            ),
            default=None,
        )
