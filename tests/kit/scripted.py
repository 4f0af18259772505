"""A `FakeAcceptor` on a real port, for whoever connects by itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.fake_acceptor import FakeAcceptor

RESET = b"reset the connection"
"""Said by an acceptor, it is not sent: the connection ends with a reset."""


@contextlib.contextmanager
def listening(acceptor: FakeAcceptor) -> Iterator[int]:
    """Let an acceptor serve one connection after the other for the length of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(acceptor, server), daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(acceptor: FakeAcceptor, server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        acceptor._open(None)
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                acceptor.send([data])
                room = bytearray(len(acceptor.unsent))
                acceptor.receive_into(memoryview(room))
                if room == RESET:
                    linger = b"\1\0\0\0\0\0\0\0"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    break
                connection.sendall(room)
                if acceptor.receive_into(memoryview(bytearray())) == 0:
                    break
