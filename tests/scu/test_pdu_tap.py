"""`connect(on_pdu=...)` is told of each PDU, both ways, in order."""

from __future__ import annotations

import pytest
from kit.fake_acceptor import FakeAcceptor

from dicom_actors.pdu import describe_stream


def test_each_pdu_is_told_in_order() -> None:
    told = []

    def tap(association, is_received, buffers):
        told.append((association, is_received, b"".join(buffers)))

    peer = FakeAcceptor()
    with peer.connect(on_pdu=tap) as assoc:
        assoc.echo()
    lines = [
        ("<-" if is_received else "->") + next(describe_stream(pdu)).partition(":")[0]
        for _, is_received, pdu in told
    ]
    assert lines == [
        "->A-ASSOCIATE-RQ",
        "<-A-ASSOCIATE-AC",
        "->P-DATA-TF",
        "<-P-DATA-TF",
        "->A-RELEASE-RQ",
        "<-A-RELEASE-RP",
    ]
    assert len({association for association, _, _ in told}) == 1


def test_what_is_sent_in_pieces_and_received_in_chunks_is_told_whole() -> None:
    told = []
    peer = FakeAcceptor()
    peer.chunk = peer.room = 7
    with peer.connect(on_pdu=lambda *pdu: told.append(b"".join(pdu[2]))) as assoc:
        assoc.echo()
        assoc.abort()
    assert [pdu[0] for pdu in told] == [1, 2, 4, 4, 7]
    assert all(len(pdu) == 6 + int.from_bytes(pdu[2:6], "big") for pdu in told)


def test_an_error_of_the_tap_is_the_callers() -> None:
    def tap(*_):
        raise RuntimeError("no more room in the log")

    peer = FakeAcceptor()
    with pytest.raises(RuntimeError, match="no more room"):
        peer.connect(on_pdu=tap)
