"""A TCP proxy that keeps what the client sends, to compare it with what was made of it."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from typing import Self

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


class Recorder:
    """Forwards connections to a port, one after the other."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sent: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(LIMIT)

    def next_stream(self) -> bytes:
        """All that the next client sent, once its connection is over."""
        return self._sent.get(timeout=LIMIT)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self._target), LIMIT) as server:
                back = threading.Thread(target=_forward, args=(server, client, None), daemon=True)
                back.start()
                recorded = bytearray()
                _forward(client, server, recorded)
                back.join(LIMIT)
                self._sent.put(bytes(recorded))


def _forward(source: socket.socket, target: socket.socket, record: bytearray | None) -> None:
    try:
        while part := source.recv(65536):
            if record is not None:
                record += part
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def data_sets_of(stream: bytes) -> list[bytes]:
    """The data sets in a recorded stream, put together by the letter of PS3.8 9.3.5."""
    found: list[bytes] = []
    current = b""
    position = 0
    while position < len(stream):
        kind, length = struct.unpack_from(">BxI", stream, position)
        end = position + 6 + length
        position += 6
        while kind == 4 and position < end:
            (item,) = struct.unpack_from(">I", stream, position)
            control = stream[position + 5]
            if not control & 1:
                current += stream[position + 6 : position + 4 + item]
                if control & 2:
                    found.append(current)
                    current = b""
            position += 4 + item
        position = end
    return found
