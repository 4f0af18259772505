"""A line that delays, cuts, corrupts and stalls, between plain sockets and a real endpoint."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from kit import wire
from kit.endpoints import running
from kit.peer import Peer

from dicom_actors import events
from dicom_actors.testing import (
    Corrupt,
    Cut,
    Delay,
    FaultyProxy,
    ManualClock,
    Stall,
    assert_healthy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

LIMIT = 60.0
DATA = wire.DATA_SET


@contextlib.contextmanager
def line(**faults: object) -> Iterator[tuple[FaultyProxy, socket.socket, socket.socket]]:
    """A client and a server with a proxy between them."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        FaultyProxy(listening.getsockname()[1], **faults) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), LIMIT) as client,
    ):
        listening.settimeout(LIMIT)
        server, _ = listening.accept()
        with server:
            server.settimeout(LIMIT)
            yield proxy, client, server


def read_all(end: socket.socket) -> bytes:
    data = b""
    while part := end.recv(65536):
        data += part
    return data


def read(end: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = end.recv(length - len(data))
        assert part
        data += part
    return data


def has_nothing_to_read(end: socket.socket) -> bool:
    end.setblocking(False)
    try:
        end.recv(1)
    except BlockingIOError:
        return True
    finally:
        end.settimeout(LIMIT)
    return False


def test_without_faults_everything_goes_through_both_ways() -> None:
    with line() as (proxy, client, server):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"question"
        server.sendall(b"answer" * 100_000)
        server.close()
        assert read_all(client) == b"answer" * 100_000
        assert proxy.accepted == 1


def test_a_reader_that_is_slow_loses_nothing() -> None:
    data = bytes(range(256)) * 64 * 1024
    with line() as (_, client, server):
        server.settimeout(None)
        got = []
        import threading

        sender = threading.Thread(target=lambda: (client.sendall(data), client.close()))
        sender.start()
        while part := server.recv(1 << 20):
            got.append(part)
        sender.join()
        assert b"".join(got) == data


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("at", [0, 1, 5])
def test_cut_ends_both_directions_at_its_offset(direction: str, at: int) -> None:
    with line(**{direction: [Cut(at)]}) as (_, client, server):
        source, sink = (client, server) if direction == "to_server" else (server, client)
        source.sendall(b"0123456789")
        assert read_all(sink) == b"0123456789"[:at]
        assert source.recv(1) == b""


def test_cut_may_be_a_reset() -> None:
    with line(to_server=[Cut(3, reset=True)]) as (_, client, server):
        client.sendall(b"0123456789")
        with pytest.raises(ConnectionResetError):
            read_all(client)
        with pytest.raises(ConnectionResetError):
            read_all(server)


def test_a_reset_by_one_end_reaches_the_other() -> None:
    with line() as (proxy, client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        server.close()
        with pytest.raises(ConnectionResetError):
            read_all(client)
        assert proxy.accepted == 1


def test_corrupt_changes_exactly_the_chosen_bytes() -> None:
    with line(to_server=[Corrupt(2, length=3, mask=0x01), Corrupt(8)]) as (_, client, server):
        for byte in b"0000000000":  # also across the borders of what is read at once
            client.sendall(bytes([byte]))
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"00111000\xcf0"


def test_stall_holds_the_rest_back_until_release() -> None:
    with line(to_server=[Stall(4)]) as (proxy, client, server):
        client.sendall(b"0123456789")
        client.shutdown(socket.SHUT_WR)
        assert read(server, 4) == b"0123"
        server.sendall(b"the other direction goes on")
        assert read(client, 27) == b"the other direction goes on"
        assert has_nothing_to_read(server)
        proxy.release()
        assert read_all(server) == b"456789"


def test_delay_is_a_time_and_not_a_rate() -> None:
    clock = ManualClock()
    with line(to_server=[Delay(5.0)], clock=clock) as (_, client, server):
        client.sendall(b"first")
        server.sendall(b"no delay here")
        assert read(client, 13) == b"no delay here"
        assert has_nothing_to_read(server)
        advance_until(clock, server, step=1.0)
        assert clock.monotonic() >= 1005.0
        assert read(server, 5) == b"first"


def advance_until(clock: ManualClock, end: socket.socket, step: float) -> None:
    """Let time pass until something arrives."""
    end.settimeout(0.02)
    for _ in range(500):
        try:
            assert end.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            clock.advance(step)
        else:
            end.settimeout(LIMIT)
            return
    raise AssertionError("nothing came")


def test_a_server_that_refuses_is_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with FaultyProxy(port) as proxy, socket.socket() as client:
        client.settimeout(LIMIT)
        with pytest.raises(ConnectionResetError):  # it may come while the client still connects
            client.connect(("127.0.0.1", proxy.port))
            client.recv(1)


def test_it_closes_what_is_open_when_it_ends() -> None:
    with line() as (proxy, client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        assert proxy.open == 1
        proxy.close()
        proxy.close()
        assert read_all(client) == read_all(server) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port))


def test_an_endpoint_behind_it_survives_a_cut_at_every_offset() -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        with FaultyProxy(endpoint.port) as proxy, Peer.associated(proxy.port) as peer:
            assert peer.store(DATA) == 0
            peer.expect_released()
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.reason == "released"
        for at in range(1, 200, 7):
            with (
                FaultyProxy(endpoint.port, to_server=[Cut(at)]) as proxy,
                Peer(proxy.port) as peer,
                contextlib.suppress(OSError, AssertionError),
            ):
                peer.associate()
                peer.store(DATA)
        assert_healthy(endpoint.ref, associations=0)
