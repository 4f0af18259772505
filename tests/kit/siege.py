"""An endpoint that a test attacks, and what must be true of it afterwards."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from kit import wire
from kit.endpoints import LIMIT, Running, running
from kit.peer import Peer

from dicom_actors import events
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.dimse import decode_command
from dicom_actors.pdu import AssociateAc, PDataTf
from dicom_actors.supervision import CallError, ManualClock, NoProcError, System
from dicom_actors.testing import HostilePeer, assert_healthy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Siege:
    """The endpoint, its clock, and a neighbor that has an association already."""

    def __init__(self, endpoint: Running, clock: ManualClock, neighbor: Peer) -> None:
        self.endpoint = endpoint
        self.port = endpoint.port
        self.clock = clock
        self.neighbor = neighbor
        self.neighbor_id = endpoint.associations()[0].id
        self.kernel: Any = endpoint.ref.ask(GetKernel(), timeout=LIMIT)

    def connect(self, **how: Any) -> HostilePeer:
        """A peer that has said nothing yet."""
        return HostilePeer.connect(self.port, timeout=LIMIT, **how)

    def associated(self, **how: Any) -> HostilePeer:
        """A peer with an association: context 1 is verification, 3 is CT storage."""
        peer = self.connect(**how)
        peer.send(wire.associate_rq())
        peer.expect(AssociateAc)
        return peer

    def record(self) -> Any:
        """The record of the newest connection."""
        return self.kernel.connections[-1]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is true, by asking the endpoint again and again."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, "it did not become true"
            self.endpoint.status()

    def until_accepted(self, count: int = 1) -> None:
        """Wait until the Listener is done with `count` connections beside the neighbor's."""
        self.until(lambda: len(self.kernel.connections) == count + 1)
        self.sync("listener")

    def until_received(self, length: int) -> None:
        """Wait until the newest connection has that many bytes of a PDU that is not whole."""
        self.until(lambda: self.record().unread_length == length)
        self.sync(f"association {self.record().id}")

    def sync(self, name: str) -> None:
        """Wait until an actor has handled what it had in its inbox.

        An Association that is at work in a handler is waited for until it was relieved, one that
        is parked has handled everything.
        """
        kind, _, number = name.partition(" ")
        if kind == "association":
            record = self.kernel.connection(int(number))
            self.until(lambda: record.is_closed or is_attended(record))
            ref = record.association
        else:
            ref = self.endpoint.child(name).ref
        with contextlib.suppress(CallError, NoProcError):
            if ref is not None:
                ref.ask(object(), timeout=LIMIT)

    def closed(self) -> Any:
        """The next `AssociationClosed`."""
        return self.endpoint.wait_for(events.AssociationClosed)[0]


def is_attended(record: Any) -> bool:
    """Whether an Association that can be talked to has the connection, or nothing is to be done."""
    return not record.inline and (record.association is not None or record.is_parked)


@contextlib.contextmanager
def besieged(event_handlers: Any = None, **settings: Any) -> Iterator[Siege]:
    """Run an endpoint by a clock that stands still; check at the end that it is well.

    An association that was open before still answers C-ECHO, a new one is accepted, and nothing
    is left over.
    """
    clock = ManualClock()
    system = System(clock=clock)
    handlers = {"cstore": lambda event: None} if event_handlers is None else event_handlers
    settings.setdefault("idle_timeout", None)
    try:
        with (
            running(handlers, system=system, **settings) as endpoint,
            Peer.associated(endpoint.port) as neighbor,
        ):
            endpoint.wait_for(events.AssociationOpened)
            siege = Siege(endpoint, clock, neighbor)
            yield siege
            assert neighbor.echo() == 0
            assert_healthy(endpoint.ref, associations=1, called="TEST")
    finally:
        system.close()


def status_of(pdu: Any) -> tuple[int, int | None]:
    """The Message ID and the status of a response that came in one PDU."""
    assert isinstance(pdu, PDataTf), pdu
    command = decode_command(bytes(pdu.pdvs[0].data))
    return command.message_id, command.status
