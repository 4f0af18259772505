"""The time-out bounds all that a peer may send in place of what was asked for."""

from __future__ import annotations

import pytest
from kit.fake_acceptor import EXPLICIT, FakeAcceptor, message, response, store_request

from dicom_actors.data import DataSet
from dicom_actors.dimse import CommandElement, CommandField, encode_command
from dicom_actors.errors import AssociationTimeout
from dicom_actors.pdu import PDataTf, Pdv

CT = "1.2.840.10008.5.1.4.1.1.2"
IMAGE = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3", Rows=1)
STUDY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientName="DOE*")
LIMIT = 10.0


class Endless(FakeAcceptor):
    """Says something every second from the first request on, for as long as anybody waits.

    Attributes:
        request: the context and the command of the last request of ours.
    """

    def __init__(self, says, *, seconds: float = 1, most: int = 1000, **policy) -> None:
        super().__init__(**policy)
        self.says = says
        self.seconds = seconds
        self.left = most
        self.request = None
        self.storage = 0

    def on_associate(self, rq):
        for context in rq.presentation_contexts:
            if context.abstract_syntax == CT and EXPLICIT in context.transfer_syntaxes:
                self.storage = context.context_id
        return super().on_associate(rq)

    def on_message(self, context_id, command, data):
        if not command.is_response and command.command_field != CommandField.C_CANCEL_RQ:
            self.request = (context_id, command)
        return ()

    def wait(self, seconds, *, for_writing):
        if self._to_send or self.request is None or for_writing:
            super().wait(seconds, for_writing=for_writing)
            return
        self.left -= 1
        assert self.left, "the user still waits"
        self.clock.advance(self.seconds)
        self.say(self.says(self))


def pending(peer: Endless, data: bytes | None = None):
    return response(*peer.request, 0xFF00, data=data)


def counted(peer: Endless, completed: int):
    context_id, command = peer.request
    values = {
        CommandElement.COMMAND_FIELD: command.command_field | 0x8000,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: command.message_id,
        CommandElement.STATUS: 0xFF00,
        CommandElement.NUMBER_OF_COMPLETED_SUBOPERATIONS: completed,
    }
    return message(context_id, encode_command(values, has_data_set=False))


def identifier_without_end(peer: Endless):
    """The beginning of a match, and then one piece of its identifier after the other."""
    context_id, _ = peer.request
    if not getattr(peer, "has_begun", False):
        peer.has_begun = True
        return pending(peer, b"")[:1]
    return [PDataTf((Pdv(context_id, False, False, bytes(5000)),))]


def instance_that_trickles(peer: Endless):
    if not getattr(peer, "has_begun", False):
        peer.has_begun = True
        return store_request(peer.storage, 7, "1.2.3", b"")[:1]
    return [PDataTf((Pdv(peer.storage, False, False, b"\0"),))]


def instance_without_end(peer: Endless):
    """An instance that nobody asked for, in parts that go on coming."""
    if not getattr(peer, "has_begun", False):
        peer.has_begun = True
        return store_request(peer.storage, 7, "1.2.3", b"")[:1]
    return [PDataTf((Pdv(peer.storage, False, False, bytes(5000)),))]


def rubbish(peer: Endless):
    """Instances that nobody can use and nobody counts."""
    return store_request(peer.storage, 7, "1.2.3", b"\x10\x00\x10\x00PN\xff\x00x")


def echo_request(peer: Endless):
    values = {
        CommandElement.AFFECTED_SOP_CLASS_UID: "1.2.840.10008.1.1",
        CommandElement.COMMAND_FIELD: CommandField.C_ECHO_RQ,
        CommandElement.MESSAGE_ID: 1,
    }
    return message(peer.request[0], encode_command(values, has_data_set=False))


def last_of(items) -> None:
    for _ in items:
        pass


SCENES = {
    "pendings to a C-ECHO": (pending, lambda a: a.echo()),
    "requests in place of an answer": (echo_request, lambda a: a.echo()),
    "an instance in place of an answer": (instance_without_end, lambda a: a.echo()),
    "an instance in place of a match": (instance_without_end, lambda a: last_of(a.find(STUDY))),
    "an instance after a cancelled C-FIND": (instance_without_end, lambda a: a.find(STUDY).close()),
    "pendings to a C-STORE": (pending, lambda a: a.store(IMAGE, check=True)),
    "pendings to an N-GET": (pending, lambda a: a.n_get("Printer", "1.2")),
    "matches without identifier": (pending, lambda a: last_of(a.find(STUDY))),
    "an identifier without end": (identifier_without_end, lambda a: last_of(a.find(STUDY))),
    "counts that stand still": (
        lambda peer: counted(peer, 3),
        lambda a: last_of(a.move(STUDY, "DEST")),
    ),
    "a C-GET that does not move": (
        lambda peer: counted(peer, 3),
        lambda a: last_of(a.get(STUDY, sop_classes=[CT])),
    ),
    "instances of no use": (rubbish, lambda a: last_of(a.get(STUDY, sop_classes=[CT]))),
    "an instance that trickles": (
        instance_that_trickles,
        lambda a: last_of(a.get(STUDY, sop_classes=[CT])),
    ),
    "rubbish after a cancellation": (
        rubbish,
        lambda a: a.get(STUDY, sop_classes=[CT]).close(),
    ),
}


@pytest.mark.parametrize(("says", "ask"), SCENES.values(), ids=SCENES)
def test_what_is_no_answer_gives_no_time(says, ask) -> None:
    peer = Endless(says)
    association = peer.connect(timeout=LIMIT)
    began = peer.clock.monotonic()
    with pytest.raises(AssociationTimeout, match="within 10 s"):
        ask(association)
    assert peer.clock.monotonic() - began <= 2 * LIMIT + 2
    assert not association.is_open


def test_a_peer_that_reads_a_byte_now_and_then_is_given_up() -> None:
    class Sipping(FakeAcceptor):
        def send(self, buffers):
            if not self.messages and len(self.pdus) > 0:
                self.room = 1 if self.thirst else 0
                self.thirst = False
            return super().send(buffers)

        def wait(self, seconds, *, for_writing):
            if for_writing:
                self.clock.advance(1)
                self.thirst = True
                return
            super().wait(seconds, for_writing=for_writing)

    peer = Sipping()
    peer.thirst = False
    association = peer.connect(timeout=LIMIT)
    image = DataSet.from_keywords(**dict(IMAGE_KEYWORDS), PixelData=bytes(100_000))
    began = peer.clock.monotonic()
    with pytest.raises(AssociationTimeout, match="the peer read nothing for 10 s"):
        association.store(image)
    assert peer.clock.monotonic() - began <= LIMIT + 2


IMAGE_KEYWORDS = {"SOPClassUID": CT, "SOPInstanceUID": "1.2.3", "Rows": 1}


def test_what_moves_has_time() -> None:
    """Matches, counts that grow and parts of a long instance may go on for hours."""
    steps = iter(range(200))

    def moving(peer):
        number = next(steps)
        if number == 199:
            return response(*peer.request)
        return counted(peer, number) if number % 2 else pending(peer)

    peer = Endless(moving, seconds=4)
    association = peer.connect(timeout=LIMIT)
    last_of(association.move(STUDY, "DEST"))
    assert peer.clock.monotonic() > 1000 + 100 * LIMIT / 2

    def matching(peer):
        found = DataSet.from_keywords(PatientName="A").to_bytes(EXPLICIT)
        return response(*peer.request) if peer.left == 800 else pending(peer, found)

    peer = Endless(matching, seconds=9)
    assert len(list(peer.connect(timeout=LIMIT).find(STUDY))) == 199


def test_a_long_instance_has_time() -> None:
    data = DataSet.from_keywords(**IMAGE_KEYWORDS, PixelData=bytes(400_000)).to_bytes(EXPLICIT)
    parts = store_request(0, 7, "1.2.3", data)

    class Slow(Endless):
        def on_message(self, context_id, command, data):
            if command.is_response:
                self.say(response(*self.request))
            return super().on_message(context_id, command, data)

    def part(peer):
        (pdv,) = parts.pop(0).pdvs
        return [PDataTf((Pdv(peer.storage, pdv.is_command, pdv.is_last, pdv.data),))]

    peer = Slow(part, seconds=9)
    association = peer.connect(timeout=LIMIT)
    began = peer.clock.monotonic()
    assert len(list(association.get(STUDY, sop_classes=[CT]))) == 1
    assert peer.clock.monotonic() - began > 10 * LIMIT
