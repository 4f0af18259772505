"""Messages between processes."""

from __future__ import annotations

import os
import socket
import time

import pytest

from dicom_actors.processes.channel import Channel, shared_memory


@pytest.fixture
def pair():
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()


def test_a_message_has_a_head_a_body_and_open_files(pair, nothing_left):
    one, other = pair
    shared = shared_memory(b"in memory")
    one.send(b"head", b"body", [shared])
    one.send(b"", b"second")
    os.close(shared)
    first, second = other.receive(), other.receive()
    assert (first.head, first.body) == (b"head", b"body")
    assert os.pread(first.descriptors[0], 100, 0) == b"in memory"
    os.close(first.descriptors[0])
    assert (second.head, second.body, second.descriptors) == (b"", b"second", ())


def test_the_end_is_no_message(pair):
    one, other = pair
    one.socket.sendall(b"\x01\x00")
    one.close()
    assert other.receive() is None


def test_one_that_is_too_long_is_refused_before_it_is_read(pair):
    one, other = pair
    one.send(b"", bytes(11))
    with pytest.raises(ValueError, match="expected up to"):
        other.receive(10)


def test_nobody_waits_longer_than_is_due(pair):
    one, other = pair
    with pytest.raises(TimeoutError):
        other.receive(due=time.monotonic() + 0.01)
    with pytest.raises(TimeoutError):
        one.send(b"", bytes(1 << 24), due=time.monotonic() + 0.05)
    assert not pair[0].is_readable(0)
