"""A sender under Nagle's algorithm meets no stall: what we do for it with each message.

DCMTK's default is such a sender. It waits for our acknowledgement between command and data set,
which the system delays by 40 ms, unless it is told not to after each read.
"""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

import pytest
from kit.dcmtk import storescu
from kit.endpoints import running
from kit.peer import Peer, echo_pdus, store_pdus
from kit.waiting import until
from pydicom.data import get_testdata_file

from dicom_actors import events
from dicom_actors.pdu import encode_pdu

pytestmark = pytest.mark.usefixtures("nothing_left")

QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """How often sockets of this process were told what."""
    counted: Counter[Any] = Counter()

    def count(name: str, original: Any) -> Any:
        def counting(self: socket.socket, *arguments: Any) -> Any:
            key = (name, *arguments) if name == "setsockopt" else name
            counted[key] += 1
            return original(self, *arguments)

        return counting

    for name in ("setsockopt", "send", "sendmsg", "recv_into"):
        monkeypatch.setattr(socket.socket, name, count(name, getattr(socket.socket, name)))
    return counted


@pytest.mark.skipif(QUICK_ACK is None, reason="the system has no TCP_QUICKACK")
@pytest.mark.parametrize("cut", [1, 12, 30])
def test_the_acknowledgement_of_a_part_is_asked_for_anew_each_time(
    calls: Counter[Any], cut: int
) -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        calls.clear()
        for number in range(1, 11):
            pdu = b"".join(map(encode_pdu, echo_pdus(number)))
            peer.send_bytes(pdu[:cut])
            until(lambda n=number: calls["setsockopt", socket.IPPROTO_TCP, QUICK_ACK, 1] == n)
            peer.send_bytes(pdu[cut:])
            assert peer.status() == 0
    # What is whole is acknowledged by its response.
    assert calls["setsockopt", socket.IPPROTO_TCP, QUICK_ACK, 1] == 10


@pytest.mark.skipif(QUICK_ACK is None, reason="the system has no TCP_QUICKACK")
def test_the_acknowledgement_of_a_command_is_asked_for_before_its_data_set(
    calls: Counter[Any],
) -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            calls.clear()
            command, *data = store_pdus(b"")
            peer.send(command)
            until(lambda: calls["setsockopt", socket.IPPROTO_TCP, QUICK_ACK, 1] == 1)
            peer.send(*data)
            assert peer.status() == 0


def test_small_writes_are_not_held_back(calls: Counter[Any]) -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        assert peer.echo() == 0
    # The peer of this test sets it once, the endpoint once.
    assert calls["setsockopt", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1] == 2


def test_a_response_is_one_write(calls: Counter[Any]) -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        calls.clear()
        for number in range(1, 11):
            peer.send(*echo_pdus(number))
            assert peer.status() == 0
        assert calls["send"] + calls["sendmsg"] == 10


@pytest.mark.interop
def test_a_sender_that_waits_for_acknowledgements(calls: Counter[Any]) -> None:
    path = str(get_testdata_file("CT_small.dcm"))
    with running({"cstore": lambda event: None}) as endpoint:
        result = storescu(endpoint.port, *[path] * 40)  # type: ignore[arg-type]
        assert result.returncode == 0
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.requests == 40
    assert calls["sendmsg"] + calls["send"] == 42  # A-ASSOCIATE-AC, 40 responses, A-RELEASE-RP
