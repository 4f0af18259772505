"""Two machines wired back to back, with everything in memory."""

from __future__ import annotations

from dicom_actors.upper_layer import (
    CloseTransport,
    DataIndication,
    Indicate,
    OpenTransport,
    Role,
    Send,
    StartArtim,
    State,
    StopArtim,
    UpperLayer,
)
from tests.upper_layer.scenes import LIMITS


class Side:
    """A machine with what its owner would have: a buffer, a timer and a connection.

    Attributes:
        machine: the machine.
        received: bytes that came and were not consumed.
        told: the indications, oldest first.
        artim: whether the timer runs.
        open: whether the transport connection is open on this side.
        at_end: the peer's side is closed; there is nothing behind `received`.
    """

    def __init__(self, role):
        self.machine = UpperLayer(role, LIMITS)
        self.received = bytearray()
        self.told = []
        self.artim = False
        self.open = False
        self.at_end = False
        self.peer = None

    def perform(self, effects):
        for effect in effects:
            match effect:
                case Send(buffers):
                    assert self.open
                    if self.peer.open:
                        self.peer.received += b"".join(buffers)
                case Indicate(indication):
                    self.told.append(kept(indication))
                case StartArtim():
                    self.artim = True
                case StopArtim():
                    self.artim = False
                case OpenTransport():
                    self.open = self.peer.open = True
                    self.peer.perform(self.peer.machine.connected())
                    self.perform(self.machine.connected())
                case CloseTransport():
                    self.close()
                case _:
                    raise AssertionError(effect)

    def close(self):
        self.open = False
        self.peer.at_end = True

    def request(self, primitive):
        self.perform(self.machine.request(primitive))

    def read(self):
        """Read one PDU or the end; return whether there was anything to read."""
        if not self.open:
            return False
        if self.received:
            with memoryview(bytes(self.received)) as view:
                consumed, effects = self.machine.receive_data(view)
            del self.received[:consumed]
            self.perform(effects)
            if consumed:
                return True
        if self.at_end:
            self.perform(self.machine.receive_eof())
            self.close()
            return True
        return False

    def expire_artim(self):
        assert self.artim
        self.artim = False
        self.perform(self.machine.artim_expired())


def kept(indication):
    """Return an indication that stays as it is when the buffer goes away."""
    if isinstance(indication, DataIndication):
        return DataIndication(tuple(pdv._replace(data=bytes(pdv.data)) for pdv in indication.pdvs))
    return indication


class Pair:
    """A requestor and an acceptor."""

    def __init__(self):
        self.requestor = Side(Role.REQUESTOR)
        self.acceptor = Side(Role.ACCEPTOR)
        self.requestor.peer, self.acceptor.peer = self.acceptor, self.requestor
        self.sides = (self.requestor, self.acceptor)

    def settle(self):
        """Let everything that was sent arrive."""
        for _ in range(10_000):
            if not any(side.read() for side in self.sides):
                return
        raise AssertionError("the two machines never come to rest")

    def end(self):
        """Let the timers run out that run; both machines must be idle then."""
        self.settle()
        for side in self.sides:
            if side.artim:
                side.expire_artim()
        self.settle()

    @property
    def states(self):
        return tuple(side.machine.state for side in self.sides)


IDLE = (State.STA1, State.STA1)
