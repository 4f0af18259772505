"""A small HTTP server for two pages: ``/metrics`` and ``/health``.

One thread and a selector, so that a client that is slow costs no other one, and no thread. Each has
some seconds for its request and some for its answer; one connection, one answer. What takes time,
to look at the disk, is done by threads, so that it holds up nobody else either.
"""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.supervision import ChildSpec, Continue, SupervisedActor, Supervisor, System

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.metrics.observer import Observer

__all__ = ["MetricsServer", "serve_metrics"]

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS: Final = 32
_MOST_BYTES: Final = 8 * 1024
"""Of a request, with its headers."""

_SECONDS: Final = 10.0
"""For a request to come, and as many for its answer to be read."""

_PAUSE: Final = 0.5
"""Seconds after which it is tried again to accept somebody for whom there was no descriptor: until
then he stays where he is, and whoever looked for him would find him again and again."""

_CHUNK: Final = 64 * 1024
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    to_send: memoryview | None = None
    is_asked: bool = False


class _Loop:
    """The connections, and the listening socket, which outlive an actor that crashes."""

    def __init__(self, listening: socket.socket, pages: Callable[[str, str], bytes]) -> None:
        self._listening = listening
        self._pages = pages
        self._wake_ours, self._wake_theirs = socket.socketpair()
        for one in (listening, self._wake_ours, self._wake_theirs):
            one.setblocking(False)
        self._clients: dict[socket.socket, _Client] = {}
        self._accepts_again: float | None = None
        self._answers: list[tuple[_Client, bytes]] = []
        self._lock = threading.Lock()
        self.is_closed = False

    def run(self) -> None:
        """Serve until it is closed. Runs in the actor's thread."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._wake_ours, selectors.EVENT_READ)
            self._clients.clear()
            self._accepts_again = None
            try:
                while not self.is_closed:
                    self._step(selector)
            finally:
                for client in list(self._clients.values()):
                    client.connection.close()
                self._clients.clear()

    def close(self) -> None:
        """End `run`; any thread."""
        self.is_closed = True
        self._wake()

    def free(self) -> None:
        """Close the sockets, once nothing runs any more."""
        for one in (self._listening, self._wake_ours, self._wake_theirs):
            one.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it is awake already, or over
            self._wake_theirs.send(b"\0")

    def _step(self, selector: selectors.BaseSelector) -> None:
        deadlines = [client.deadline for client in self._clients.values()]
        if self._accepts_again is not None:
            deadlines.append(self._accepts_again)
        wait = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        for key, _ in selector.select(wait):
            if key.fileobj is self._listening:
                self._accept(selector)
            elif key.fileobj is self._wake_ours:
                with contextlib.suppress(OSError):
                    self._wake_ours.recv(4096)
            elif (client := self._clients.get(key.data)) is not None:
                self._serve(selector, client)
        with self._lock:
            answers, self._answers = self._answers, []
        for client, answer in answers:
            if client.connection in self._clients:
                client.to_send = memoryview(answer)
                client.deadline = time.monotonic() + _SECONDS
                selector.register(client.connection, selectors.EVENT_WRITE, client.connection)
        now = time.monotonic()
        for client in [one for one in self._clients.values() if one.deadline <= now]:
            self._drop(selector, client)
        if self._accepts_again is not None and self._accepts_again <= now:
            self._accepts_again = None
            selector.register(self._listening, selectors.EVENT_READ)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionError):  # it is gone again
            return
        except OSError:  # there are no descriptors
            self._accepts_again = time.monotonic() + _PAUSE
            selector.unregister(self._listening)
            return
        if len(self._clients) >= _MOST_CONNECTIONS:
            # The oldest has had more time than any other.
            self._drop(selector, min(self._clients.values(), key=lambda one: one.deadline))
        connection.setblocking(False)
        self._clients[connection] = _Client(connection, time.monotonic() + _SECONDS)
        selector.register(connection, selectors.EVENT_READ, connection)

    def _serve(self, selector: selectors.BaseSelector, client: _Client) -> None:
        try:
            if client.to_send is not None:
                sent = client.connection.send(client.to_send[:_CHUNK])
                client.to_send = client.to_send[sent:]
                is_over = not client.to_send
                if is_over:
                    client.connection.shutdown(socket.SHUT_WR)
            else:
                data = client.connection.recv(_CHUNK)
                client.received += data
                is_over = not data
                self._take(client)
                if client.is_asked:  # nothing more is read
                    is_over = False
                    client.deadline = time.monotonic() + 2 * _SECONDS
                    selector.unregister(client.connection)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._drop(selector, client)

    def _drop(self, selector: selectors.BaseSelector, client: _Client) -> None:
        if self._clients.pop(client.connection, None) is not None:
            with contextlib.suppress(KeyError, ValueError):
                selector.unregister(client.connection)
            client.connection.close()

    def _take(self, client: _Client) -> None:
        """Have a request answered once it is there as a whole."""
        head, end, _ = bytes(client.received).replace(b"\r\n", b"\n").partition(b"\n\n")
        if not end:
            if len(client.received) > _MOST_BYTES:
                client.is_asked = True
                self._answer(client, _response(431, _TEXT, b"too long\n"))
            return
        client.is_asked = True
        words = head.split(b"\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            self._answer(client, _response(400, _TEXT, b"expected HTTP/1\n"))
            return
        threading.Thread(
            target=self._make, args=(client, words[0], words[1]), name="metrics page", daemon=True
        ).start()

    def _make(self, client: _Client, method: str, target: str) -> None:
        """Make an answer. Runs in a thread of its own; there are as many as connections."""
        try:
            answer = self._pages(method, target)
        except Exception as error:  # noqa: BLE001 - the one who asked is to know
            text = f"{type(error).__name__}\n".encode()
            answer = _response(500, _TEXT, text)
        self._answer(client, answer)

    def _answer(self, client: _Client, answer: bytes) -> None:
        with self._lock:
            self._answers.append((client, answer))
        self._wake()


class _Serving(SupervisedActor):
    """Runs the loop; one that crashes is followed by the next, on the same socket."""

    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._loop = loop

    def init(self) -> Any:
        """Begin. Runs in its own thread."""
        return Continue(None)

    def handle_continue(self, term: Any) -> None:  # noqa: ARG002 - there is one
        """Serve until the end. Runs in its own thread."""
        self._loop.run()


_MISSING: Final = "needs prometheus-client: pip install 'dicom-actors[metrics]'"


class MetricsServer:
    """A server that runs; made by `serve_metrics`.

    Attributes:
        host: the address that it is bound to.
        port: its port.
        missing: what ``/metrics`` says in place of metrics; empty: it has them.
    """

    def __init__(self, observer: Observer, listening: socket.socket) -> None:
        self._observer = observer
        # Loaded now: when descriptors have run out, no module can be read any more.
        self._exposition = _exposition()
        self.missing: Final = "" if self._exposition is not None else _MISSING
        self.host, self.port = listening.getsockname()[:2]
        self._loop = _Loop(listening, self._page)
        self._system = System()
        self._supervisor = Supervisor.start(
            [ChildSpec("metrics server", (_Serving, (self._loop,), {}))],
            intensity=1_000,
            period=60.0,
            system=self._system,
        )

    def close(self) -> None:
        """End it."""
        if self._supervisor.is_alive():
            self._loop.close()
            self._supervisor.stop()
            self._system.close()
            self._loop.free()

    def _page(self, method: str, target: str) -> bytes:
        path = target.partition("?")[0]
        if method not in {"GET", "HEAD"}:
            answer = _response(405, _TEXT, b"expected GET\n", "Allow: GET, HEAD\r\n")
        elif path == "/health":
            answer = self._health()
        elif path == "/metrics":
            answer = self._metrics()
        else:
            answer = _response(404, _TEXT, b"there are /metrics and /health\n")
        return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else answer

    def _health(self) -> bytes:
        condition = self._observer.look()
        status = condition.status
        body = {
            "status": "ok" if condition.is_healthy else "unavailable",
            "problems": list(condition.problems),
            "endpoint": None if status is None else status.state,
            "associations": None if status is None else status.associations,
            "disk": condition.disk,
            "free_bytes": condition.free_bytes,
        }
        code = 200 if condition.is_healthy else 503
        return _response(code, _JSON, json.dumps(body).encode() + b"\n")

    def _metrics(self) -> bytes:
        if self._exposition is None:
            return _response(501, _TEXT, f"{self.missing}\n".encode())
        return _response(200, _PROMETHEUS, self._exposition(self._observer))


def serve_metrics(observer: Observer, host: str, port: int) -> MetricsServer:
    """Serve ``/metrics`` and ``/health``.

    Args:
        observer: who looks.
        host: the address to bind to; whoever reaches it can read the figures.
        port: 0 picks one.

    Raises:
        OSError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return MetricsServer(observer, socket.create_server((host, port), family=family))


def _exposition() -> Callable[[Observer], bytes] | None:
    try:
        from dicom_actors.metrics.exposition import exposition  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return exposition


def _response(code: int, kind: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{more}"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
