"""A peer that keeps no rules, against a plain socket and against an endpoint."""

from __future__ import annotations

import socket

import pytest
from kit.endpoints import running

from dicom_actors.pdu import Abort, AssociateAc, AssociateRj, ReleaseRp, ReleaseRq, encode_pdu
from dicom_actors.testing import HostilePeer

pytestmark = pytest.mark.usefixtures("nothing_left")


def pair() -> tuple[HostilePeer, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = HostilePeer.connect(listening.getsockname()[1])
        other, _ = listening.accept()
    other.settimeout(10)
    return peer, other


def test_it_sends_bytes_and_pdus_as_they_are() -> None:
    peer, other = pair()
    with peer, other:
        peer.send(b"\xff\xfe", ReleaseRq(), b"!")
        assert other.recv(100) == b"\xff\xfe" + encode_pdu(ReleaseRq()) + b"!"


def test_slowly_means_piece_by_piece() -> None:
    peer, other = pair()
    with peer, other:
        got = []
        peer.send_slowly(b"abcde", lambda: got.append(other.recv(10)), piece=2)
        assert [*got, other.recv(10)] == [b"ab", b"cd", b"e"]


def test_it_frames_what_it_receives_and_keeps_a_transcript() -> None:
    peer, other = pair()
    data = encode_pdu(ReleaseRp()) + encode_pdu(Abort(2, 1))
    with peer, other:
        other.sendall(data)
        other.close()
        assert peer.receive() == ReleaseRp()
        peer.expect_abort(2, 1)
        assert peer.transcript == data


def test_it_says_what_it_expected() -> None:
    peer, other = pair()
    with peer, other:
        other.sendall(encode_pdu(AssociateRj(1, 1, 7)) * 4 + b"\x06\0\0\0\0\x04")
        with pytest.raises(
            AssertionError, match=r"expected Abort\(source=2, reason=0\), got Assoc"
        ):
            peer.expect_abort(2, 0)
        with pytest.raises(AssertionError, match="expected the end of the stream, got AssociateRj"):
            peer.expect_rejection(1, 1, 7)
        peer.expect(AssociateRj)
        other.close()
        with pytest.raises(AssertionError, match="10 bytes of a PDU, the stream ends after 6"):
            peer.expect_end()


def test_it_associates_when_it_is_told_to() -> None:
    with running(ae_title="TEST") as endpoint:
        with HostilePeer.associated(endpoint.port, called="TEST") as peer:
            peer.send(ReleaseRq())
            peer.expect(ReleaseRp)
        with pytest.raises(AssertionError, match="expected an A-ASSOCIATE-AC, got AssociateRj"):
            HostilePeer.associated(endpoint.port, called="OTHER")
        with HostilePeer.connect(endpoint.port) as peer:
            assert isinstance(peer.associate(called="TEST"), AssociateAc)
            peer.stop_sending()
            peer.expect_end()


def test_a_reset_is_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = HostilePeer.connect(listening.getsockname()[1], receive_buffer=4096)
        other, _ = listening.accept()
        with other:
            peer.reset()
            with pytest.raises(ConnectionResetError):
                other.recv(1)


def test_connecting_to_nobody_raises_and_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        HostilePeer.connect(port)
