"""Byte streams: any split gives the same effects, and nothing a peer sends raises."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_actors.errors import RemoteProtocolError
from dicom_actors.pdu import PDataTf, Pdv, Reject, encode_pdu
from dicom_actors.upper_layer import (
    AssociateAccept,
    AssociateIndication,
    AssociateReject,
    Indicate,
    ReleaseIndication,
    ReleaseResponse,
    Role,
    Send,
    State,
    UpperLayer,
    negotiate,
)
from tests.pdu.strategies import PDUS
from tests.upper_layer.scenes import (
    ABORT_BYTES,
    AC_BYTES,
    DATA_BYTES,
    GARBAGE,
    LIMITS,
    MAX_PDU_LENGTH,
    POLICY,
    RELEASE_RP_BYTES,
    RELEASE_RQ_BYTES,
    ROUTES,
    RQ_BYTES,
    machine_in,
    machine_led_to,
    plain,
)
from tests.upper_layer.scenes import (
    PDUS as PDU_BYTES,
)

TWO_PDVS = encode_pdu(PDataTf((Pdv(1, False, False, bytes(range(200))), Pdv(1, False, True, b""))))
EMPTY = encode_pdu(PDataTf(()))
DIALOGUES = [
    RQ_BYTES + DATA_BYTES * 3 + TWO_PDVS + RELEASE_RQ_BYTES,
    RQ_BYTES + TWO_PDVS + EMPTY * 2 + ABORT_BYTES,
    RQ_BYTES + EMPTY * 5 + DATA_BYTES,
    RQ_BYTES + RQ_BYTES + DATA_BYTES + ABORT_BYTES,
    RQ_BYTES + DATA_BYTES + AC_BYTES + RELEASE_RP_BYTES + RQ_BYTES,
    RQ_BYTES + DATA_BYTES + GARBAGE + DATA_BYTES,
    RQ_BYTES[:6] + bytes(len(RQ_BYTES) - 6) + DATA_BYTES,
    DATA_BYTES + RQ_BYTES + ABORT_BYTES,
    GARBAGE,
]


class Reader:
    """An acceptor that answers at once, fed in pieces."""

    def __init__(self):
        self.machine = UpperLayer(Role.ACCEPTOR, LIMITS)
        self.transcript = [plain(self.machine.connected())]
        self.unread = b""

    def feed(self, piece):
        self.unread += piece
        while self.unread:
            consumed, effects = self.machine.receive_data(memoryview(self.unread))
            assert 0 <= consumed <= len(self.unread)
            self.note(effects)
            if not consumed:
                assert effects == ()
                break
            self.unread = self.unread[consumed:]

    def note(self, effects):
        self.transcript += plain(effects)
        for effect in effects:
            match effect:
                case Indicate(AssociateIndication(rq)):
                    answer = negotiate(rq, POLICY)
                    self.note(
                        self.machine.request(
                            AssociateReject(answer)
                            if isinstance(answer, Reject)
                            else AssociateAccept(answer)
                        )
                    )
                case Indicate(ReleaseIndication()):
                    self.note(self.machine.request(ReleaseResponse()))


def outcome(pieces):
    reader = Reader()
    for piece in pieces:
        reader.feed(piece)
    state = reader.machine.state
    over = state in {State.STA1, State.STA13}
    return reader.transcript, state, b"" if over else reader.unread


@pytest.mark.parametrize("number", range(len(DIALOGUES)))
def test_byte_by_byte_is_the_same_as_all_at_once(number):
    stream = DIALOGUES[number]

    assert outcome(stream[at : at + 1] for at in range(len(stream))) == outcome([stream])


@given(st.sampled_from(DIALOGUES), st.lists(st.integers(0, 1000)))
def test_any_split_gives_the_same_effects(stream, cuts):
    marks = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})

    assert outcome(stream[a:b] for a, b in pairwise(marks)) == outcome([stream])


@given(
    st.sampled_from(DIALOGUES),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=5),
    st.lists(st.integers(0, 1000)),
)
def test_any_split_of_an_edited_dialogue_gives_the_same_effects(stream, edits, cuts):
    edited = bytearray(stream)
    for position, value in edits:
        edited[position % len(edited)] = value
    marks = sorted({0, len(edited), *(cut % (len(edited) + 1) for cut in cuts)})

    assert outcome(bytes(edited[a:b]) for a, b in pairwise(marks)) == outcome([bytes(edited)])


@given(st.sampled_from(sorted(ROUTES, key=str)), st.binary(max_size=200), st.booleans())
def test_random_bytes_in_any_state(place, data, is_continued):
    machine = machine_led_to(*place)
    check_receiving(machine, data + (bytes(64) if is_continued else b""))


@settings(max_examples=40)
@given(st.sampled_from(sorted(ROUTES, key=str)), st.lists(PDUS, min_size=1, max_size=4))
def test_random_pdus_in_any_state(place, pdus):
    machine = machine_led_to(*place)
    check_receiving(machine, b"".join(encode_pdu(pdu) for pdu in pdus))


@given(
    st.sampled_from(sorted(ROUTES, key=str)),
    st.sampled_from(sorted(PDU_BYTES)),
    st.integers(0, 5000),
    st.binary(min_size=1, max_size=6),
)
@example((Role.ACCEPTOR, State.STA2), "A-ASSOCIATE-RQ", 2, b"\xff\xff\xff\xff")
def test_random_edits_in_any_state(place, name, position, patch):
    data = bytearray(PDU_BYTES[name])
    at = position % len(data)
    data[at : at + len(patch)] = patch

    check_receiving(machine_led_to(*place), bytes(data))


def check_receiving(machine, data):
    """Feed the bytes; whatever they are, the machine keeps to its promises."""
    view = memoryview(data)
    while view:
        before = machine.state
        consumed, effects = machine.receive_data(view)
        check_step(machine, before, effects)
        if not consumed:
            # It waits for a PDU that is good so far, and within the limits.
            length = int.from_bytes(view[2:6], "big")
            assert len(view) < 6 or length <= max(LIMITS.max_associate_length, MAX_PDU_LENGTH)
            break
        view = view[consumed:]


def check_step(machine, before, effects):
    sent = [b"".join(effect.buffers) for effect in effects if isinstance(effect, Send)]
    assert len(sent) <= 1
    for pdu in sent:
        # Nothing but an abort or a rejection is an answer to bytes alone.
        assert pdu[0] in {3, 7}
        assert machine.state is State.STA13
        assert isinstance(machine.error, RemoteProtocolError)
        if pdu[0] == 3:
            assert before is State.STA2
        elif before is State.STA2:
            assert pdu[8:] == b"\0\0"
        elif before is not State.STA13:
            assert pdu[8:] == bytes((2, machine.error.abort_reason))


def test_a_machine_that_refuses_reads_on_and_throws_away():
    machine = machine_in(Role.ACCEPTOR, State.STA6)

    consumed, effects = machine.receive_data(memoryview(GARBAGE))
    assert consumed == len(GARBAGE)
    assert len(effects) == 3
    for _ in range(3):
        assert machine.receive_data(memoryview(GARBAGE)) == (len(GARBAGE), ())
    assert machine.state is State.STA13


def test_the_rest_of_a_refused_pdu_is_not_taken_for_pdus():
    # The body of an A-ASSOCIATE-RQ that may not come holds what looks like an A-ABORT.
    machine = machine_in(Role.ACCEPTOR, State.STA6)
    body = ABORT_BYTES * 20
    header = b"\1\0" + len(body).to_bytes(4, "big")

    assert machine.receive_data(memoryview(header))[0] == 6
    assert machine.state is State.STA13
    assert machine.receive_data(memoryview(body + b"\7")) == (len(body), ())
    assert machine.receive_data(memoryview(ABORT_BYTES))[0] == len(ABORT_BYTES)
    assert machine.state is State.STA1


def test_what_comes_after_an_ignored_pdu_is_read():
    machine = machine_in(Role.REQUESTOR, State.STA13)

    assert machine.receive_data(memoryview(DATA_BYTES[:10])) == (10, ())
    assert machine.receive_data(memoryview(DATA_BYTES[10:])) == (len(DATA_BYTES) - 10, ())
    assert machine.receive_data(memoryview(ABORT_BYTES))[1] != ()
    assert machine.state is State.STA1
