"""Broken and hostile peers on a port that speaks TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from kit import wire
from kit.certificates import Certificates
from kit.siege import Siege, status_of

from dicom_actors import events
from dicom_actors.pdu import AssociateAc, ReleaseRp
from dicom_actors.supervision import ManualClock, System
from dicom_actors.testing import HostilePeer, assert_healthy
from dicom_actors.tls import TlsConfig, client_context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

ECHO = wire.p_data(wire.pdv(wire.echo_rq()))


class TlsSiege(Siege):
    """A siege whose well-behaved peers speak TLS."""

    context: ssl.SSLContext

    def secured(self) -> HostilePeer:
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        peer = HostilePeer(self.context.wrap_socket(connection))
        peer.send(wire.associate_rq())
        peer.expect(AssociateAc)
        return peer


def echoes(peer: HostilePeer) -> bool:
    peer.send(ECHO)
    return status_of(peer.receive()) == (1, 0)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def siege(certificates: Certificates) -> Iterator[TlsSiege]:
    from kit.endpoints import running

    certificate, key = certificates.issue("endpoint")
    tls = TlsConfig(certificate=certificate, key=key, require_peer_certificate=False)
    clock = ManualClock()
    system = System(clock=clock)
    context = client_context(TlsConfig(authorities=certificates.authority))
    settings = {"tls": tls, "handshake_timeout": 5.0, "artim_timeout": 30.0, "idle_timeout": None}
    with running({"cstore": lambda event: None}, system=system, **settings) as endpoint:
        connection = socket.create_connection(("127.0.0.1", endpoint.port), 10)
        with HostilePeer(context.wrap_socket(connection)) as neighbor:
            neighbor.send(wire.associate_rq())
            neighbor.expect(AssociateAc)
            siege = TlsSiege(endpoint, clock, neighbor)
            siege.context = context
            yield siege
            assert echoes(neighbor)
            with siege.secured() as peer:
                assert echoes(peer)
                peer.send(wire.RELEASE_RQ)
                peer.expect(ReleaseRp)
            assert_healthy(endpoint.ref, associations=1)
    system.close()


def all_that_comes(peer: HostilePeer) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := peer.socket.recv(4096):
            data += part
    return data


def hello(context: ssl.SSLContext) -> bytes:
    """A real ClientHello."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_row_03_no_client_hello_is_closed_when_artim_expires(siege: TlsSiege) -> None:
    with siege.connect() as peer:
        siege.until_accepted()
        siege.clock.advance(30.0)
        assert all_that_comes(peer) == b""


@pytest.mark.parametrize(
    "data",
    [wire.associate_rq(), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(64)],
)
def test_row_03_what_is_no_tls_is_closed_without_a_pdu(siege: TlsSiege, data: bytes) -> None:
    with siege.connect() as peer:
        peer.send(data)
        answer = all_that_comes(peer)
        assert answer == b"" or answer[0] == 0x15  # a TLS alert, if anything
    (closed,) = siege.endpoint.wait_for(events.AssociationClosed)
    assert closed.reason == "connection lost"
    assert closed.detail.startswith("TLS: ")


@pytest.mark.parametrize("length", [1, 5, 100, -1])
def test_row_03_a_handshake_that_stops_is_closed_after_its_cap(
    siege: TlsSiege, length: int
) -> None:
    data = hello(siege.context)
    with siege.connect() as peer:
        peer.send(data[:length])
        siege.until(lambda: siege.record().incarnation.deadlines.handshake is not None)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(4.9)
        # Meanwhile others are accepted.
        with siege.secured() as other:
            assert echoes(other)
        siege.clock.advance(0.1)
        assert all_that_comes(peer) == b""
    closed = siege.endpoint.wait_for(events.AssociationClosed, 2)
    assert "timed out" in {event.reason for event in closed}


def test_row_03_a_handshake_that_drips_is_closed_after_its_cap(siege: TlsSiege) -> None:
    data = hello(siege.context)
    with siege.connect() as peer:
        peer.send(data[:1])
        siege.until(lambda: siege.record().incarnation.deadlines.handshake is not None)
        association = f"association {siege.record().id}"
        for position in range(1, 50):
            peer.send(data[position : position + 1])
            siege.sync(association)
            siege.clock.advance(0.1)
        siege.sync(association)
        siege.clock.advance(0.1)
        assert all_that_comes(peer) == b""


def test_row_03_a_reset_within_the_handshake_is_the_end(siege: TlsSiege) -> None:
    peer = siege.connect()
    peer.send(hello(siege.context)[:100])
    siege.until(lambda: siege.record().incarnation.deadlines.handshake is not None)
    peer.reset()
    assert siege.closed().reason == "connection lost"


def test_row_03_silence_after_the_handshake_is_closed_when_artim_expires(siege: TlsSiege) -> None:
    connection = socket.create_connection(("127.0.0.1", siege.port), 10)
    with HostilePeer(siege.context.wrap_socket(connection)) as peer:
        siege.until(lambda: siege.record().transport.is_handshaken)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(29.9)
        siege.sync(f"association {siege.record().id}")
        assert not siege.record().is_closed
        siege.clock.advance(0.1)
        with contextlib.suppress(ssl.SSLError):
            assert peer.socket.recv(100) == b""


def test_row_03_a_certificate_that_is_asked_for_and_missing_is_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    from kit.endpoints import running

    certificate, key = certificates.issue("strict")
    tls = TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)
    with running(tls=tls, spool_directory=tmp_path) as endpoint:
        context = client_context(TlsConfig(authorities=certificates.authority))
        connection = socket.create_connection(("127.0.0.1", endpoint.port), 10)
        with HostilePeer(connection) as plain, pytest.raises((ssl.SSLError, OSError)):
            plain.socket = context.wrap_socket(connection)
            plain.send(wire.associate_rq())
            plain.expect(AssociateAc)
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.detail.startswith("TLS: ")
        mine = client_context(
            TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)
        )
        connection = socket.create_connection(("127.0.0.1", endpoint.port), 10)
        with HostilePeer(mine.wrap_socket(connection)) as peer:
            peer.send(wire.associate_rq())
            peer.expect(AssociateAc)
        assert_healthy(endpoint.ref, associations=0)
