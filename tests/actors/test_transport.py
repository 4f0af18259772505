"""Sending through sockets that take little, and one piece at a time."""

from __future__ import annotations

import ssl
from random import Random
from typing import Any

import pytest

from dicom_actors.actors.connection.transport import Transport
from dicom_actors.transport import plain
from dicom_actors.transport.tls import TlsTransport

RECORD = 16_384


class Socket:
    """Takes a record of TLS at a time, if at all.

    Args:
        refusals: of how many calls one is refused, by chance.
    """

    def __init__(self, refusals: float = 0.0) -> None:
        self.taken = bytearray()
        self.offered = 0
        self._refused = b""
        self._random = Random(7)
        self._refusals = refusals

    def send(self, data: Any) -> int:
        self.offered += len(data)
        # What was refused must come again, and may be more (SSL_write).
        assert bytes(data[: len(self._refused)]) == self._refused
        if self._random.random() < self._refusals:
            self._refused = bytes(data)
            raise ssl.SSLWantWriteError
        self._refused = b""
        self.taken += data[:RECORD]
        return min(len(data), RECORD)


def secure(socket: Socket) -> Transport:
    made: Any = Transport(socket)  # type: ignore[arg-type]
    made.is_secure = True
    made._link = TlsTransport(socket)  # type: ignore[arg-type]
    return made


def pieces(count: int, *lengths: int) -> list[bytes]:
    source = Random(3)
    return [source.randbytes(lengths[number % len(lengths)]) for number in range(count)]


@pytest.mark.parametrize(
    "parts",
    [
        pieces(1, 1),
        pieces(1, 1_000_000),
        pieces(200, 12, 16_384),
        pieces(40, 12, 131_072),
        pieces(5_000, 12, 30, 12, 400),
        pieces(3, 65_535, 1, 65_536),
    ],
    ids=["a byte", "one", "PDUs", "large PDUs", "small ones", "at the limit"],
)
@pytest.mark.parametrize("refusals", [0.0, 0.3])
def test_all_of_it_goes_out_in_order(parts: list[bytes], refusals: float) -> None:
    socket = Socket(refusals)
    made = secure(socket)
    whole = b"".join(parts)
    done = made.send(parts)
    while not done:
        assert made.unsent == len(whole) - len(socket.taken)  # what was taken shows at once
        done = made.flush()
    assert bytes(socket.taken) == whole
    assert made.unsent == 0
    assert not made.has_output


def test_what_is_joined_again_and_again_is_little() -> None:
    socket = Socket(0.5)
    made = secure(socket)
    parts = pieces(400, 12, 131_072)
    done = made.send(parts)
    while not done:
        done = made.flush()
    calls = sum(map(len, parts)) / RECORD / 0.5
    assert socket.offered < 1.5 * calls * 65_536


def test_more_that_comes_while_nothing_is_taken_goes_behind() -> None:
    socket = Socket()
    made = secure(socket)
    socket._refusals = 1.0
    for _ in range(50):
        assert not made.send([b"x" * 3_000])
    socket._refusals = 0.0
    assert made.flush()
    assert socket.taken == b"x" * 150_000


class Gathering(Socket):
    """Takes all that it is given."""

    def sendmsg(self, parts: list[memoryview]) -> int:
        self.taken += b"".join(parts)
        return sum(map(len, parts))


def test_a_peer_that_takes_everything_does_not_keep_a_connection_from_all_else() -> None:
    mib = 1 << 20
    socket = Gathering()
    made = Transport(socket)  # type: ignore[arg-type]
    parts = pieces(40 * 64, 12, mib // 32)
    whole = b"".join(parts)
    assert not made.send(parts)
    assert len(socket.taken) < 32 * mib
    assert made.has_output
    rounds = 0
    while not made.flush():
        rounds += 1
        assert made.unsent == len(whole) - len(socket.taken)
    assert socket.taken == whole
    assert rounds >= 1


def test_a_system_that_cannot_gather_sends_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_CAN_GATHER", False)
    socket = Socket()
    made = Transport(socket)  # type: ignore[arg-type]
    parts = pieces(100, 12, 16_384)
    assert made.send(parts)
    assert bytes(socket.taken) == b"".join(parts)
