"""The small HTTP server: clients that are slow, rude or many."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import sys
import threading
from types import SimpleNamespace

import pytest
from kit.waiting import until

from dicom_actors.metrics import http_server, serve_metrics
from dicom_actors.supervision import which_children

LIMIT = 60.0


class Looker:
    """Looks, or waits until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.looks = 0

    def look(self):
        self.looks += 1
        assert self.may.wait(LIMIT)
        return SimpleNamespace(
            is_healthy=True, problems=(), status=None, disk="enough", free_bytes=1
        )


@pytest.fixture
def looker():
    return Looker()


@pytest.fixture
def server(looker, nothing_left):
    server = serve_metrics(looker, "127.0.0.1", 0)
    yield server
    looker.may.set()
    server.close()


def connection_to(server):
    connection = socket.create_connection((server.host, server.port), timeout=LIMIT)
    connection.settimeout(LIMIT)
    return connection


def all_of(connection):
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def answer_to(server, request):
    with connection_to(server) as connection:
        connection.sendall(request)
        return all_of(connection)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.0\n\n",
        b"GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n",
    ],
)
def test_a_request_is_answered_once(server, request_):
    answer = answer_to(server, request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_request_in_single_bytes_and_a_client_that_only_reads_on(server):
    with connection_to(server) as connection:
        for byte in b"GET /health HTTP/1.1\r\n\r\n":
            connection.sendall(bytes([byte]))
        connection.shutdown(socket.SHUT_WR)
        assert all_of(connection).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"\r\n\r\n", b"400"),
        (b"\0\xff\n\n", b"400"),
        (b"GET /health\r\n\r\n", b"400"),
        (b"GET /health SPDY/9\r\n\r\n", b"400"),
        (b"GET " + b"x" * 9000, b"431"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"404"),
        (b"DELETE /health HTTP/1.1\r\n\r\n", b"405"),
    ],
)
def test_what_is_no_good_request_is_told_so(server, request_, code):
    assert answer_to(server, request_).startswith(b"HTTP/1.1 " + code)


def test_who_is_slow_or_gone_costs_nobody_else_anything(server, looker):
    silent = [connection_to(server) for _ in range(10)]
    for connection in silent[:5]:
        connection.sendall(b"GET /heal")
    looker.may.clear()
    stuck = connection_to(server)
    stuck.sendall(b"GET /health HTTP/1.1\r\n\r\n")
    until(lambda: looker.looks == 1)
    assert b"404" in answer_to(server, b"GET /x HTTP/1.1\r\n\r\n")
    looker.may.set()
    assert b"200 OK" in all_of(stuck)
    for connection in [*silent, stuck]:
        connection.close()
    assert b"200 OK" in answer_to(server, b"GET /health HTTP/1.1\r\n\r\n")


def test_who_sends_no_request_is_left_in_the_end(server, monkeypatch):
    monkeypatch.setattr(http_server, "_SECONDS", 0.05)
    with connection_to(server) as connection:
        connection.sendall(b"GET /health HT")
        assert all_of(connection) == b""


def test_of_too_many_the_oldest_is_left(server):
    connections = [connection_to(server) for _ in range(http_server._MOST_CONNECTIONS)]
    assert b"200 OK" in answer_to(server, b"GET /health HTTP/1.1\r\n\r\n")
    assert all_of(connections[0]) == b""
    for connection in connections:
        connection.close()


def test_one_that_crashed_is_followed_by_the_next_on_the_same_port(server):
    (root,) = server._system.roots()
    loop = server._loop
    step, loop._step = loop._step, lambda selector: 1 / 0
    with connection_to(server) as connection:
        until(lambda: which_children(root)[0].restarts >= 1)
        loop._step = step
        connection.close()
    assert b"200 OK" in answer_to(server, b"GET /health HTTP/1.1\r\n\r\n")


def test_a_page_that_cannot_be_made_is_an_error_of_ours(server, looker, monkeypatch):
    monkeypatch.setattr(looker, "look", lambda: 1 / 0)
    answer = answer_to(server, b"GET /health HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"ZeroDivisionError" in answer
    assert b"Traceback" not in answer


def test_an_address_that_is_taken_is_an_error(server, looker):
    with pytest.raises(OSError, match="in use"):
        serve_metrics(looker, "127.0.0.1", server.port)


def test_without_prometheus_there_is_health_alone(looker, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "dicom_actors.metrics.exposition", raising=False)
    with contextlib.closing(serve_metrics(looker, "127.0.0.1", 0)) as server:
        answer = answer_to(server, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 501")
        assert b"pip install 'dicom-actors[metrics]'" in answer
        assert b"200 OK" in answer_to(server, b"GET /health HTTP/1.1\r\n\r\n")


class Scarce:
    """A listening socket for whose next one there is no descriptor, until it may."""

    def __init__(self, listening):
        self._listening = listening
        self.may = False
        self.refused = 0

    def accept(self):
        if not self.may:
            self.refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listening.accept()

    def __getattr__(self, name):
        return getattr(self._listening, name)


def test_who_comes_when_there_are_no_descriptors_is_let_in_later_and_not_looked_for_meanwhile(
    monkeypatch, nothing_left
):
    now = [0.0]
    monkeypatch.setattr(http_server, "time", SimpleNamespace(monotonic=lambda: now[0]))
    scarce = Scarce(socket.create_server(("127.0.0.1", 0)))
    loop = http_server._Loop(scarce, lambda *_: b"")
    with (
        contextlib.closing(scarce),
        selectors.DefaultSelector() as selector,
        socket.create_connection(scarce.getsockname()),
    ):
        selector.register(scarce, selectors.EVENT_READ)
        selector.register(loop._wake_ours, selectors.EVENT_READ)
        for _ in range(3):
            loop._wake()
            loop._step(selector)
        assert scarce.refused == 1
        scarce.may = True
        now[0] = 10.0
        loop._step(selector)
        loop._step(selector)
        assert len(loop._clients) == 1
        for client in loop._clients:
            client.close()
        loop.free()
