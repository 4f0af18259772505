"""A crashed Association goes on on the same connection (P57), or ends it with one A-ABORT."""

from __future__ import annotations

from typing import Any

import pytest
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.peer import CT_IMAGE, EXPLICIT, Peer, echo_pdus, store_pdus

from dicom_actors import DataSet, events
from dicom_actors.dimse import decode_command
from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    PDataTf,
    ReleaseRp,
    decode_pdu,
)
from dicom_actors.testing import CRASH_POINTS, crash_at
from dicom_actors.testing.crash_points import passes_left

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

DATA = DataSet.from_keywords(
    SOPClassUID=CT_IMAGE, SOPInstanceUID="1.2.3", PatientID="ABC", PatientComments="x" * 400
).to_bytes(EXPLICIT)
PIECE = 128

POINTS = sorted(
    point
    for point in CRASH_POINTS
    if point.startswith("association.") and point != "association.adopt"
)
GOES_ON = [p for p in POINTS if p not in {"association.core", "association.request"}]


def dialogue(peer: Peer) -> list[Any]:
    """Associate, echo, store in fragments, store, echo, release: what the peer sees of it."""
    steps = [
        peer.associate,
        lambda: peer.send(*echo_pdus(1)),
        lambda: peer.send(*store_pdus(DATA, 2, max_pdu_length=PIECE)),
        lambda: peer.send(*store_pdus(DATA, 3)),
        lambda: peer.send(*echo_pdus(4)),
    ]
    for step in steps:
        step()
        if step is not steps[0]:
            answer = peer.receive()
            if answer is None or isinstance(answer, Abort):
                break
        elif not peer.transcript or peer.transcript[0] != 2:
            break
    else:
        peer.release()
    return seen(bytes(peer.transcript))


def seen(transcript: bytes) -> list[Any]:
    found: list[Any] = []
    while transcript:
        length = 6 + int.from_bytes(transcript[2:6], "big")
        pdu = decode_pdu(memoryview(transcript[:length]))
        transcript = transcript[length:]
        if isinstance(pdu, PDataTf):
            command = decode_command(bytes(pdu.pdvs[0].data))
            found.append((command.message_id, command.status))
        else:
            found.append(pdu if isinstance(pdu, AssociateRj | Abort) else type(pdu))
    return found


HONEST = [AssociateAc, (1, 0), (2, 0), (3, 0), (4, 0), ReleaseRp]


def crashes(point: str) -> int:
    """How often an honest dialogue passes the place."""
    with running({"cstore": lambda event: None}) as endpoint:
        crash_at(endpoint.ref, point, 1, after=10_000)
        with Peer(endpoint.port) as peer:
            assert dialogue(peer) == HONEST
        endpoint.wait_for(events.AssociationClosed)
        return 10_000 - passes_left(endpoint.ref, point)


@pytest.mark.parametrize("point", GOES_ON)
def test_p57_a_crash_at_every_step_costs_one_status_at_most(point: str) -> None:
    stored = []
    with (
        running({"cstore": lambda event: stored.append(event.message_id)}) as endpoint,
        Peer.associated(endpoint.port) as bystander,
    ):
        (other,) = endpoint.associations()
        times = crashes(point)
        assert times >= 1
        for step in range(times):
            stored.clear()
            crash_at(endpoint.ref, point, after=step)
            with Peer(endpoint.port) as peer:
                got = dialogue(peer)
                changed = [b for a, b in zip(HONEST, got, strict=True) if a != b]
                assert len(changed) <= 1, (step, got)
                assert all(status == 0x0110 for _, status in changed), (step, got)
                # What was answered with success was handled, and nothing was handled twice.
                assert len(stored) == len(set(stored))
                assert {i for i, s in got[1:-1] if s == 0} - {1, 4} <= set(stored)
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert (closed.reason, closed.association.restarts) == ("released", 1), step
        assert endpoint.associations()[0] == other
        assert bystander.echo() == 0


@pytest.mark.parametrize(
    "point",
    [
        "association.reply",
        "association.outcome",
        "association.replied",
        "association.release",
        "association.dispatched",
    ],
)
def test_p57_once_a_handler_has_done_its_work_not_even_a_status_is_lost(point: str) -> None:
    with running({"cstore": lambda event: 0xB000}) as endpoint:
        for step in range(crashes(point)):
            crash_at(endpoint.ref, point, after=step)
            with Peer(endpoint.port) as peer:
                assert dialogue(peer) == [
                    AssociateAc, (1, 0), (2, 0xB000), (3, 0xB000), (4, 0), ReleaseRp
                ]  # fmt: skip


def test_a_crash_in_the_core_ends_the_connection_with_one_abort() -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        for step in range(1, crashes("association.core")):
            crash_at(endpoint.ref, "association.core", after=step)
            with Peer(endpoint.port) as peer:
                got = dialogue(peer)
                assert got == [*HONEST[: len(got) - 1], Abort(2, 0)], (step, got)
                assert peer.receive() is None
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert closed.reason == "aborted"
        with Peer(endpoint.port) as peer:
            assert dialogue(peer) == HONEST


@pytest.mark.parametrize("point", ["association.core", "association.request"])
def test_a_crash_before_acceptance_is_a_rejection(point: str) -> None:
    with running() as endpoint:
        crash_at(endpoint.ref, point)
        with Peer(endpoint.port) as peer:
            assert peer.associate() == AssociateRj(2, 2, 1)
            assert peer.receive() is None
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0


def test_more_crashes_than_the_budget_end_that_connection_only() -> None:
    with running(connection_restarts=2) as endpoint, Peer.associated(endpoint.port) as bystander:
        with Peer.associated(endpoint.port) as peer:
            supervisor = endpoint.child("associations")
            for message_id in (1, 2):
                crash_at(endpoint.ref, "association.complete")
                assert peer.echo(message_id) == 0
            crash_at(endpoint.ref, "association.complete")
            peer.send(*echo_pdus(3))
            peer.expect_abort(2, 0)
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.reason == "aborted"
        assert bystander.echo() == 0
        assert endpoint.child("associations").ref is supervisor.ref


def test_a_crash_inside_the_adoption_counts_and_ends_well() -> None:
    with running(connection_restarts=2) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            crash_at(endpoint.ref, "association.complete")
            crash_at(endpoint.ref, "association.adopt")
            assert peer.echo() == 0
        with Peer.associated(endpoint.port) as peer:
            crash_at(endpoint.ref, "association.complete")
            crash_at(endpoint.ref, "association.adopt", times=10)
            peer.send(*echo_pdus())
            peer.expect_end()
        crash_at(endpoint.ref, "association.adopt", times=0)
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0


def test_a_running_handler_survives_its_association() -> None:
    gate = Gate()

    def store(event: Any) -> int:
        gate()
        return 0xB000

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        crash_at(endpoint.ref, "association.command", after=1)
        peer.send(*store_pdus(DATA, 1))
        gate.wait_until_entered()
        peer.send(*echo_pdus(2))
        endpoint.wait_for(events.ActorRestarted)
        gate.release()
        assert [peer.response().message_id for _ in range(2)] == [1, 2]


def test_what_was_not_sent_yet_is_sent_by_the_next_incarnation() -> None:
    with running({"cstore": lambda event: None}) as endpoint, Peer(endpoint.port) as peer:
        # Everything at once: the unread requests survive the crash in the record.
        peer.associate()
        crash_at(endpoint.ref, "association.replied")
        pdus = [pdu for number in range(1, 30) for pdu in echo_pdus(number)]
        peer.send(*pdus)
        assert [peer.response().message_id for _ in range(29)] == list(range(1, 30))


def test_every_split_of_the_stream_survives_a_crash() -> None:
    """The peer's bytes cut at every offset, with a crash while they are handled."""
    from dicom_actors.pdu import encode_pdu

    stream = b"".join(encode_pdu(pdu) for pdu in (*store_pdus(b"\0" * 40, 1), *echo_pdus(2)))
    with running({"cstore": lambda event: None}, connection_restarts=1_000) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            for cut in range(1, len(stream)):
                crash_at(endpoint.ref, "association.fragment")
                peer.send_bytes(stream[:cut])
                peer.send_bytes(stream[cut:])
                statuses = [(r.message_id, r.status) for r in (peer.response(), peer.response())]
                assert statuses == [(1, 0x0110), (2, 0)], cut


def test_endpoint_ref_and_listener_are_untouched_by_it_all() -> None:
    with running() as endpoint:
        before = [endpoint.child(n).ref for n in ("associations", "event bus", "listener")]
        for point in POINTS:
            crash_at(endpoint.ref, point)
            with Peer(endpoint.port) as peer:
                dialogue(peer)
            crash_at(endpoint.ref, point, 0)
        after = [endpoint.child(n).ref for n in ("associations", "event bus", "listener")]
        assert after == before
        assert endpoint.ref.is_alive()
        assert LIMIT
