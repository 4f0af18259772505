"""Whatever crashes, dies or is given up, no spool file is left behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.siege import Siege, besieged, status_of
from kit.waiting import pause, until

from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.actors.storing import part_file
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.pdu import Abort, AssociateAc
from dicom_actors.supervision import ExitReason, ThreadPool, kill, request_exit
from dicom_actors.testing import (
    CRASH_POINTS,
    Fault,
    FaultyHandler,
    HostilePeer,
    assert_healthy,
    crash_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

POINTS = sorted(p for p in CRASH_POINTS if p.startswith(("association.", "handler.")))
DATA = wire.data_set_of(12_000)
LARGE = wire.p_data(wire.pdv(wire.store_rq(1), 3)) + b"".join(
    wire.p_data(wire.pdv(DATA[at : at + 3_000], 3, command=False, last=at == 9_000))
    for at in range(0, 12_000, 3_000)
)


def spooled(folder: Path, handler: Callable[[Any], Any], **settings: Any) -> Any:
    return besieged({"cstore": handler}, spool_bytes=0, spool_directory=folder, **settings)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


@pytest.mark.parametrize("saves", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_leaves_no_spool_file(point: str, saves: bool, tmp_path: Path) -> None:
    def store(event: Any) -> None:
        if saves:
            event.save(tmp_path / "kept")

    with spooled(tmp_path, store) as siege:
        for step in range(6):
            crash_at(siege.endpoint.ref, point, after=step)
            if point == "association.adopt":
                crash_at(siege.endpoint.ref, "association.fragment", times=4)
            with siege.connect() as peer:
                peer.send(wire.associate_rq())
                if peer.receive_bytes()[:1] == b"\2":
                    peer.send(LARGE, wire.store(2), wire.RELEASE_RQ)
                    while peer.receive_bytes()[:1] not in {b"\6", b"\7", b""}:
                        pass
            siege.until(lambda: len(siege.kernel.connections) == 1)
            for name in (point, "association.fragment"):
                crash_at(siege.endpoint.ref, name, 0)
            siege.until(lambda: not files(tmp_path))


def test_a_request_whose_association_dies_over_it_leaves_none(tmp_path: Path) -> None:
    with spooled(tmp_path, lambda event: None) as siege:
        for point in ("association.dispatched", "association.dispatch"):
            with siege.associated() as peer:
                peer.send(LARGE)
                assert status_of(peer.receive()) == (1, 0)
                crash_at(siege.endpoint.ref, point)
                peer.send(LARGE)
                assert status_of(peer.receive())[1] in {0, 0x0110}
                assert files(tmp_path) == []


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("end", ["reset", "killed", "asked to exit", "late", "aborted"])
def test_a_handler_that_hangs_leaves_none(end: str, ahead: int, tmp_path: Path) -> None:
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    handler = FaultyHandler(faults={1: Fault.HANG})
    with handler, spooled(tmp_path, handler, **settings) as siege, siege.associated() as peer:
        peer.send(LARGE * ahead)
        handler.wait_until_hanging()
        siege.until(lambda: len(siege.record().requests) == min(ahead, 2))
        assert files(tmp_path)
        make_it_end(siege, peer, end)
        handler.release()
        if end != "reset":
            peer.close()
        siege.until(lambda: len(siege.kernel.connections) == 1)
        siege.until(lambda: not files(tmp_path))


def make_it_end(siege: Siege, peer: HostilePeer, end: str) -> None:
    name = f"handler of connection {siege.record().id}"
    siege.until(lambda: siege.record().handlers)
    match end:
        case "reset":
            peer.reset()
        case "killed":
            kill(siege.endpoint.child(name).ref)
            assert status_of(peer.receive()) == (1, 0x0110)
        case "asked to exit":
            request_exit(siege.endpoint.child(name).ref, ExitReason.error(OSError()))
        case "late":
            siege.sync(f"association {siege.record().id}")
            siege.clock.advance(60.0)
            siege.until(lambda: siege.record()._cancelled)
            siege.sync(f"association {siege.record().id}")
            siege.clock.advance(5.0)
            assert status_of(peer.receive()) == (1, 0x0110)
        case _:
            peer.send(wire.pdu(0x99, b""))


def test_a_handler_whose_association_cannot_be_relieved_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, tried = Gate(), Gate()
    tried.release()

    def take(*_: Any, **__: Any) -> None:
        tried()
        raise RuntimeError("can't start new thread")

    with spooled(tmp_path, gate) as siege, siege.associated() as peer:
        with monkeypatch.context() as patch:
            patch.setattr(ThreadPool, "take", take)
            peer.send(LARGE)
            gate.wait_until_entered()
            tried.wait_until_entered()
        gate.release()
        assert status_of(peer.receive()) == (1, 0)
        peer.send(LARGE)
        assert status_of(peer.receive()) == (1, 0)
        assert files(tmp_path) == []


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_association_that_is_killed_while_it_opens_its_spool_file_leaves_none(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = Gate(), Storage.create_spool

    def create_spool(self: Storage) -> Any:
        if place == "before":
            gate()
        made = real(self)
        if place == "after":
            gate()
        return made

    with running(
        {"cstore": lambda event: None}, spool_bytes=0, spool_directory=tmp_path
    ) as endpoint:
        with HostilePeer.connect(endpoint.port) as peer:
            peer.send(wire.associate_rq())
            peer.expect(AssociateAc)
            with monkeypatch.context() as patch:
                patch.setattr(Storage, "create_spool", create_spool)
                association = endpoint.child("association 1").ref
                peer.send(LARGE[:5_000])
                gate.wait_until_entered()
                kill(endpoint.child("associations").ref)
                peer.expect(Abort)
                while endpoint.associations():
                    endpoint.status()
                gate.release()
                until(lambda: association.life.thread is None)
        until(lambda: files(tmp_path) == [])
        assert_healthy(endpoint.ref, associations=0)


def test_p45_a_spool_file_is_closed_once_although_two_threads_want_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real, closed = Gate(), os.close, []

    def close(number: int) -> None:
        if os.readlink(f"/proc/self/fd/{number}").startswith(f"{tmp_path}/"):
            closed.append(number)
            if len(closed) == 1:
                gate()
        real(number)

    with running(
        {"cstore": lambda event: None}, spool_bytes=0, spool_directory=tmp_path
    ) as endpoint:
        with HostilePeer.connect(endpoint.port) as peer:
            peer.send(wire.associate_rq())
            peer.expect(AssociateAc)
            with monkeypatch.context() as patch:
                patch.setattr(part_file.os, "close", close)
                association = endpoint.child("association 1").ref
                peer.send(LARGE)  # whoever is done with it closes the file; all is killed meanwhile
                gate.wait_until_entered()
                (record,) = endpoint.ref.ask(GetKernel(), timeout=LIMIT).connections
                kill(endpoint.child("associations").ref)
                answers = [peer.receive(), peer.receive()]  # the response may come first
                assert any(isinstance(answer, Abort) for answer in answers)
                until(lambda: record.is_closed)
                for _ in range(100):  # the other thread is about to come there, or waits
                    if len(closed) > 1:
                        break
                    pause()
                gate.release()
                until(lambda: association.life.thread is None)
            while endpoint.associations():
                endpoint.status()
        assert len(closed) == 1
        assert files(tmp_path) == []
        assert_healthy(endpoint.ref, associations=0)
