"""Suspend, resume and drain."""

from __future__ import annotations

import socket

import pytest
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.peer import Peer, store_pdus

from dicom_actors import events, messages
from dicom_actors.errors import TransportError
from dicom_actors.supervision import ManualClock, System

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_suspended_new_peers_are_refused_and_open_associations_go_on() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as old:
        silent = Peer(endpoint.port)
        for _ in range(2):
            endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
            assert endpoint.status().state == "suspended"
            with pytest.raises(ConnectionRefusedError):
                Peer(endpoint.port)
        silent.expect_end()
        silent.close()
        assert old.echo() == 0
        for _ in range(2):
            endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
            assert endpoint.status().state == "running"
        with Peer.associated(endpoint.port) as new:
            assert new.echo() == 0
        assert old.echo() == 0


def test_a_port_that_was_taken_meanwhile_leaves_it_suspended() -> None:
    with running() as endpoint:
        endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
        with socket.create_server(("127.0.0.1", endpoint.port)):
            with pytest.raises(TransportError, match=str(endpoint.port)):
                endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
            assert endpoint.status().state == "suspended"
        endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0


def test_drain_cuts_at_the_deadline_what_has_not_finished() -> None:
    clock = ManualClock()
    gates = {"A": Gate(), "B": Gate()}
    system = System(clock=clock)
    with running(
        {"cstore": lambda event: gates[event.association.calling_ae_title]()}, system=system
    ) as endpoint:
        a = Peer.associated(endpoint.port, calling="A")
        b = Peer.associated(endpoint.port, calling="B")
        for peer in (a, b):
            peer.send(*store_pdus(b""))
        for gate in gates.values():
            gate.wait_until_entered()
        report = endpoint.ref.ask(messages.Drain(30), block=False)
        assert endpoint.status().state == "draining"
        gates["A"].release()
        assert a.status() == 0
        a.expect_released()
        endpoint.wait_for(events.AssociationClosed)
        clock.advance(29)
        assert endpoint.status().state == "draining"
        clock.advance(2)
        result = report.get(timeout=LIMIT)
        assert result.finished == 1
        assert [info.calling_ae_title for info in result.cut] == ["B"]
        b.expect_abort(0, 0)
        b.close()
        gates["B"].release()
        endpoint.wait_for(events.AssociationClosed)
        assert endpoint.status().state == "suspended"
    system.close()


def test_drain_is_over_when_the_last_association_is() -> None:
    with running() as endpoint:
        assert endpoint.ref.ask(messages.Drain(0), timeout=LIMIT) == messages.DrainReport(0, ())
        endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        with Peer.associated(endpoint.port) as peer:
            report = endpoint.ref.ask(messages.Drain(3600), block=False)
            assert endpoint.status().state == "draining"
            assert peer.echo() == 0
            peer.expect_released()
        assert report.get(timeout=LIMIT) == messages.DrainReport(1, ())


def test_resuming_ends_a_drain() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        report = endpoint.ref.ask(messages.Drain(3600), block=False)
        endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        assert report.get(timeout=LIMIT) == messages.DrainReport(0, ())
        assert endpoint.status().state == "running"
        assert peer.echo() == 0
