"""`assert_healthy` finds each thing that can be left over, and nothing where all is well."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import Running, running
from kit.gate import Gate
from kit.peer import Peer, store_pdus
from kit.waiting import until

from dicom_actors import messages
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.supervision import SupervisedActor, kill
from dicom_actors.testing import HostilePeer, assert_healthy

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nothing_left")

SOON = 0.5


def kernel_of(endpoint: Running) -> Any:
    return endpoint.ref.ask(GetKernel())


def expect_finding(endpoint: Running, text: str, **wanted: Any) -> None:
    with pytest.raises(AssertionError, match=text):
        assert_healthy(endpoint.ref, timeout=SOON, **wanted)


def test_an_idle_endpoint_is_healthy_before_during_and_after_associations() -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        assert_healthy(endpoint.ref, associations=0)
        with Peer.associated(endpoint.port) as peer, Peer(endpoint.port):
            assert peer.store(b"") == 0
            assert_healthy(endpoint.ref, associations=2)
        assert_healthy(endpoint.ref, associations=0)
        assert endpoint.status().associations == 0


@pytest.mark.parametrize("settings", [{"ae_title": "NAME"}, {"max_associations": 1}])
def test_it_asks_for_an_echo_in_a_way_that_can_be_answered(settings: Any) -> None:
    with running(**settings) as endpoint:
        assert_healthy(endpoint.ref)
        assert endpoint.status().requests == 1


def test_it_asks_for_nothing_where_there_is_no_place() -> None:
    with running(max_associations=1) as endpoint, Peer.associated(endpoint.port):
        assert_healthy(endpoint.ref, associations=1)


def test_a_rejection_is_an_answer() -> None:
    with running({"association_validator": lambda request: False}) as endpoint:
        assert_healthy(endpoint.ref)
        assert_healthy(endpoint.ref, called="SOMEBODY")


def test_a_suspended_endpoint_is_healthy() -> None:
    with running() as endpoint, Peer.associated(endpoint.port):
        endpoint.ref.ask(messages.Suspend())
        assert_healthy(endpoint.ref, associations=1)
        endpoint.ref.ask(messages.Resume())
        assert_healthy(endpoint.ref, associations=1)


def test_a_number_of_associations_that_is_wrong() -> None:
    with running() as endpoint:
        expect_finding(endpoint, "expected 2 connections, got none", associations=2)
        with HostilePeer.connect(endpoint.port) as peer:
            assert_healthy(endpoint.ref, associations=1)
            peer.send(b"\x01")
            expect_finding(endpoint, "expected 0 connections, got association", associations=0)


def test_a_request_under_way() -> None:
    gate = Gate()
    with running({"cstore": gate}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(b""))
        gate.wait_until_entered()
        expect_finding(endpoint, r"association \d+ has a request under way")
        gate.release()
        assert peer.status() == 0
        assert_healthy(endpoint.ref)


def test_half_a_message_and_half_a_pdu() -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            peer.send(store_pdus(b"")[0])
            expect_finding(endpoint, r"association \d+ has a request under way")
        with Peer.associated(endpoint.port) as peer:
            peer.send_bytes(b"\x04\0\0\0\0")
            expect_finding(endpoint, r"association \d+ has a part of a PDU")
        assert_healthy(endpoint.ref, associations=0)


def test_a_disowned_thread() -> None:
    gate = Gate()
    with running({"cstore": gate}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(b""))
        gate.wait_until_entered()
        (record,) = kernel_of(endpoint).connections
        until(lambda: record.handlers)
        kill(endpoint.child("handler of connection 1").ref)
        assert peer.status() == 0x0110
        expect_finding(endpoint, "threads are disowned: 1")
        gate.release()
        assert_healthy(endpoint.ref)


def test_a_thread_of_no_actor_in_the_tree() -> None:
    with running() as endpoint:
        stray = SupervisedActor.start(system=endpoint.ref.life.system)
        stray.life.parent = endpoint.child("associations").ref
        expect_finding(endpoint, "a thread belongs to no actor of the tree: SupervisedActor")
        stray.stop()
        assert_healthy(endpoint.ref)


def test_an_accepted_socket_that_nobody_owns() -> None:
    with running() as endpoint, Peer.associated(endpoint.port):
        twin = os.dup(kernel_of(endpoint).connections[0].transport.socket.fileno())
        expect_finding(endpoint, f"belongs to no connection: descriptor {twin}")
        os.close(twin)
        assert_healthy(endpoint.ref)


def test_a_record_without_actor_and_an_actor_without_record() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        kernel = kernel_of(endpoint)
        record = kernel._records.pop(1)
        expect_finding(endpoint, "association 1 has an actor and no connection")
        kernel._records[1] = record
        record.association.stop()
        kernel._records[1] = record
        expect_finding(endpoint, "association 1 has a connection and no actor")
        del kernel._records[1]
        assert_healthy(endpoint.ref)
        peer.expect_abort(2, 0)


def test_a_spool_file_that_belongs_to_nobody(tmp_path: Path) -> None:
    with running(spool_directory=tmp_path) as endpoint:
        stray = tmp_path / ".dicom-actors-1234.part"
        stray.write_bytes(b"")
        (tmp_path / "kept.dcm").write_bytes(b"")
        expect_finding(endpoint, "a spool file belongs to no connection: .dicom-actors-1234.part")
        stray.unlink()
        assert_healthy(endpoint.ref)


def test_a_port_that_does_not_answer() -> None:
    gate = Gate()
    with running({"association_validator": gate}) as endpoint:
        expect_finding(endpoint, "it does not answer on the network: timed out")
        gate.release()
        assert_healthy(endpoint.ref, associations=0)


def test_an_endpoint_that_is_down() -> None:
    with running() as endpoint:
        endpoint.ref.stop()
        with pytest.raises(AssertionError, match="the endpoint does not answer"):
            assert_healthy(endpoint.ref)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with running(spool_directory=tmp_path) as endpoint, Peer.associated(endpoint.port) as peer:
        (tmp_path / ".dicom-actors-1.part").write_bytes(b"")
        peer.send_bytes(b"\x04")
        with pytest.raises(AssertionError) as caught:
            assert_healthy(endpoint.ref, associations=0, timeout=SOON)
        assert str(caught.value).count("\n- ") == 3
        assert endpoint.ref.ask(messages.GetStatus()).state == "running"
