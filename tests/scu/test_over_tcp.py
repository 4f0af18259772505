"""Associations over TCP and TLS, with our own endpoint and with peers that misbehave."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import threading
from itertools import count

import pytest
from kit.certificates import Certificates
from kit.endpoints import running
from kit.fake_acceptor import FakeAcceptor
from kit.gate import Gate
from kit.waiting import until

from dicom_actors import Reject, TransferSyntax, events, messages
from dicom_actors.data import DataSet, write_file
from dicom_actors.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationTimeout,
    TransportError,
)
from dicom_actors.pdu import Abort, encode_pdu
from dicom_actors.scu import connect, contexts_for
from dicom_actors.tls import TlsConfig
from dicom_actors.transport.plain import SocketTransport
from dicom_actors.transport.tls import TlsTransport

pytestmark = pytest.mark.usefixtures("nothing_left")

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


def image(number: int, length: int = 1000) -> DataSet:
    return DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID=f"1.2.3.{number}",
        PixelData=bytes(length),
    )


@pytest.fixture
def folder(tmp_path):
    """Forty objects, one of them long."""
    path = tmp_path / "objects"
    path.mkdir()
    for number in range(1, 41):
        write_file(path / f"{number:02}.dcm", image(number, 3_000_000 if number == 7 else 1000))
    return path


class Keeping:
    """A ``cstore`` handler that keeps what it gets."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.titles: set[tuple[str, int]] = set()

    def __call__(self, event):
        self.objects[event.sop_instance_uid] = bytes(event.data)
        self.titles.add(event.association.peer)


def test_what_is_stored_arrives(folder) -> None:
    keeping = Keeping()
    with running({"cstore": keeping}) as endpoint, connect("127.0.0.1", endpoint.port) as assoc:
        assoc.echo()
        results = list(assoc.store_many(folder))
    assert [result.status for result in results] == [0] * 40
    assert keeping.objects["1.2.3.7"] == image(7, 3_000_000).to_bytes("ExplicitVRLittleEndian")
    assert len(keeping.objects) == 40


def test_several_associations_at_once(folder) -> None:
    keeping = Keeping()
    with running({"cstore": keeping}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as assoc:
            results = list(assoc.store_many(folder, parallel=3))
            assert assoc.is_open
            assoc.echo()
        closed = endpoint.wait_for(events.AssociationClosed, 3)
    assert sorted(result.source.name for result in results) == [
        path.name for path in sorted(folder.iterdir())
    ]
    assert {result.status for result in results} == {0}
    assert {event.reason for event in closed} == {"released"}


def test_where_one_association_is_all_that_there_is(folder) -> None:
    keeping = Keeping()
    with (
        running({"cstore": keeping}, max_associations=1, when_full="reject") as endpoint,
        connect("127.0.0.1", endpoint.port, contexts=["CTImageStorage"]) as assoc,
    ):
        results = list(assoc.store_many(folder, parallel=4))
    assert [result.status for result in results] == [0] * 40
    assert len(keeping.titles) == 1


def test_leaving_several_associations_early(folder) -> None:
    with running({"cstore": Keeping()}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as assoc:
            for result in assoc.store_many(folder, parallel=3):
                assert result.status == 0
                break
            assoc.echo()


def test_an_association_that_ends_among_several(folder) -> None:
    """The others send on, and everything has a result."""
    number = count(1)
    endpoints = []

    def store(event):
        if next(number) == 5:
            endpoints[0].ref.ask(messages.AbortAssociation(event.association.id), block=False)
            until(lambda: event.is_cancelled)

    results = []
    with running({"cstore": store}) as endpoint:
        endpoints.append(endpoint)
        with connect("127.0.0.1", endpoint.port) as assoc, pytest.raises(AssociationAborted):
            for result in assoc.store_many(folder, parallel=2, retries=0):
                results.append(result)
    assert len(results) == 40
    missing = [result for result in results if result.status is None]
    assert len(missing) <= 16
    assert all(result.comment.startswith("not ") for result in missing)


def test_several_associations_go_on_after_the_loss_of_one(folder) -> None:
    number = count(1)
    endpoints = []
    stored = []

    def store(event):
        if next(number) == 5:
            endpoints[0].ref.ask(messages.AbortAssociation(event.association.id), block=False)
            until(lambda: event.is_cancelled)
            return
        stored.append(event.sop_instance_uid)

    with running({"cstore": store}) as endpoint:
        endpoints.append(endpoint)
        with connect("127.0.0.1", endpoint.port) as assoc:
            results = list(assoc.store_many(folder, parallel=2))
            assert all(results)
            assert len(results) == 40
            # The association is the caller's again, and still goes on after a loss.
            assert all(assoc.store_many(folder, retries=1))
    assert len(set(stored)) == 40


def test_a_rejection_by_the_endpoint() -> None:
    validate = {"association_validator": lambda _: Reject.CALLING_AE_TITLE_NOT_RECOGNIZED}
    with running(validate) as endpoint, pytest.raises(AssociationRejected, match="calling AE"):
        connect("127.0.0.1", endpoint.port)


def test_the_user_is_known_to_the_endpoint() -> None:
    seen = []
    handlers = {"association_validator": lambda request: seen.append(request.user_identity)}
    with (
        running(handlers) as endpoint,
        connect("127.0.0.1", endpoint.port, user_identity=("ann", "secret")) as assoc,
    ):
        assert assoc.user_identity_response == b""
    assert (seen[0].user_name, seen[0].secondary_field) == ("ann", b"secret")


def test_a_window_with_the_endpoint(folder) -> None:
    with (
        running({"cstore": Keeping()}, async_window=8) as endpoint,
        connect("127.0.0.1", endpoint.port, async_window=16) as assoc,
    ):
        assert assoc.terms.max_invoked == 8
        assert sum(result.status == 0 for result in assoc.store_many(folder)) == 40


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


def server_of(certificates) -> TlsConfig:
    certificate, key = certificates.issue("server")
    return TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)


def test_tls_with_certificates_on_both_sides(folder, certificates) -> None:
    certificate, key = certificates.issue("client")
    client = TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)
    keeping = Keeping()
    with (
        running({"cstore": keeping}, tls=server_of(certificates)) as endpoint,
        connect("127.0.0.1", endpoint.port, tls=client) as assoc,
    ):
        results = list(assoc.store_many(folder))
        assoc.echo()
    assert [result.status for result in results] == [0] * 40
    assert len(keeping.objects["1.2.3.7"]) > 3_000_000


def test_tls_with_a_context_of_ones_own(certificates) -> None:
    certificate, key = certificates.issue("client")
    context = ssl.create_default_context(cafile=certificates.authority)
    context.load_cert_chain(certificate, key)
    with running((), tls=server_of(certificates)) as endpoint:
        with connect("localhost", endpoint.port, tls=context) as assoc:
            assoc.echo()
        with pytest.raises(TransportError, match=r"TLS handshake failed.*[Hh]ostname"):
            connect("127.0.0.1", endpoint.port, tls=context, server_hostname="other.example")


def test_a_server_that_is_not_trusted(certificates) -> None:
    with (
        running((), tls=server_of(certificates)) as endpoint,
        pytest.raises(TransportError, match="TLS handshake failed"),
    ):
        connect("127.0.0.1", endpoint.port, tls=TlsConfig())


# --- peers that are none ---------------------------------------------------------------------


class Listener:
    """Accepts one connection and does something with it, in a thread."""

    def __init__(self, behavior) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._behavior = behavior
        self.port = self._socket.getsockname()[1]
        self.received = b""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._socket.settimeout(LIMIT)
        connection, _ = self._socket.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.settimeout(LIMIT)
            self._behavior(self, connection)

    def read_all(self, connection: socket.socket) -> None:
        while part := connection.recv(65536):
            self.received += part

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(LIMIT)
        self._socket.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportError, match=rf"127.0.0.1:{port}: Connection refused"):
        connect("127.0.0.1", port)
    with pytest.raises(TransportError, match=r"no-such-host\.invalid"):
        connect("no-such-host.invalid", 104)


def test_a_backlog_that_is_full() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = []
        try:
            for _ in range(8):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(address)
            with pytest.raises(AssociationTimeout):
                connect(*address, timeout=0.2)
        finally:
            for connection in waiting:
                connection.close()


def test_a_peer_that_says_nothing_gets_an_abort() -> None:
    with Listener(Listener.read_all) as listener:
        with pytest.raises(AssociationTimeout, match=r"association request within 0\.1 s"):
            connect("127.0.0.1", listener.port, timeout=0.1)
    assert listener.received.endswith(encode_pdu(Abort(0, 0)))


def test_a_wait_is_interrupted_from_another_thread() -> None:
    gate = Gate()
    with running({"cecho": gate}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as assoc:

            def interrupt() -> None:
                gate.wait_until_entered()
                assoc.interrupt()

            thread = threading.Thread(target=interrupt)
            thread.start()
            with pytest.raises(TransportError, match="closed the connection"):
                assoc.echo()
            thread.join(LIMIT)
        gate.release()


def test_a_peer_that_speaks_no_tls() -> None:
    def speak(_, connection):
        connection.recv(1)
        connection.sendall(b"220 smtp.example ESMTP\r\n")
        while connection.recv(65536):
            pass

    with Listener(speak) as listener:
        where = f"^127.0.0.1:{listener.port}: the TLS handshake failed"
        with pytest.raises(TransportError, match=where):
            connect("127.0.0.1", listener.port, tls=TlsConfig())


def test_an_ipv6_address_is_in_brackets() -> None:
    with pytest.raises(TransportError, match=r"^\[::1\]:1: "):
        connect("::1", 1)


def test_a_tls_handshake_that_never_ends() -> None:
    with Listener(Listener.read_all) as listener:
        with pytest.raises(AssociationTimeout, match="TLS handshake"):
            connect("127.0.0.1", listener.port, tls=TlsConfig(), timeout=0.1)


def test_a_peer_that_resets() -> None:
    def reset(_, connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Listener(reset) as listener, pytest.raises(TransportError):
        connect("127.0.0.1", listener.port)


def test_what_the_peer_said_before_it_closed_is_heard() -> None:
    """It aborts in the middle of an object that it does not read to the end."""

    def abort(_, connection):
        fake = FakeAcceptor()
        fake.send((connection.recv(65536),))
        connection.sendall(fake.unsent)
        connection.recv(100_000)
        connection.sendall(encode_pdu(Abort(2, 6)))

    with Listener(abort) as listener:
        with connect("127.0.0.1", listener.port, contexts=["CTImageStorage"]) as assoc:
            with pytest.raises(AssociationAborted, match="invalid PDU parameter value"):
                assoc.store(image(1, 30_000_000))


def test_every_transfer_syntax_of_the_table_is_taken_by_the_endpoint(tmp_path) -> None:
    keeping = Keeping()
    paths = []
    for number, syntax in enumerate(TransferSyntax.all_known(), 1):
        if not syntax.is_data_set_encoding or syntax.is_encapsulated:
            continue
        paths.append(tmp_path / f"{number}.dcm")
        write_file(paths[-1], image(number), transfer_syntax=syntax)
    with running({"cstore": keeping}) as endpoint, connect("127.0.0.1", endpoint.port) as assoc:
        results = list(assoc.store_many(paths))
    assert {result.status for result in results} == {0}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "the peer's TLS says: certificate required"),
        ("TLSV1_ALERT_UNKNOWN_CA", "the peer's TLS says: unknown ca"),
        ("WRONG_VERSION_NUMBER", "wrong version number"),
    ],
)
def test_what_the_peer_s_tls_says_after_the_handshake_is_told_in_words(reason, words) -> None:
    """Under TLS 1.3 a client is done before its certificate was looked at."""

    class Refused:
        def recv_into(self, room) -> int:
            error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1)")
            error.reason = reason
            raise error

        def send(self, data) -> int:
            return self.recv_into(data)

    transport = TlsTransport(Refused())
    with pytest.raises(OSError, match=words) as caught:
        transport.receive_into(memoryview(bytearray(1)))
    assert caught.value.strerror == words
    with pytest.raises(OSError, match=words):
        transport.send([b"x"])


def test_ctrl_c_in_the_middle_of_sending_sends_nothing_twice(monkeypatch) -> None:
    gate = Gate()
    with running({"cstore": gate}) as endpoint:
        assoc = connect("127.0.0.1", endpoint.port, contexts=contexts_for([image(1)]))
        send = SocketTransport.send

        def interrupted(transport, buffers):
            send(transport, buffers)
            gate.wait_until_entered()
            raise KeyboardInterrupt

        monkeypatch.setattr(SocketTransport, "send", interrupted)
        with pytest.raises(KeyboardInterrupt), assoc:
            assoc.store(image(1))
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        gate.release()
        # A message that came twice would have been cut short, and a PDU torn in two refused.
        assert (closed.reason, closed.detail) == ("connection lost", "")


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch) -> None:
    released = threading.Event()
    look_up = socket.getaddrinfo

    def slowly(host, *more, flags=0, **options):
        if not flags & socket.AI_NUMERICHOST:
            assert released.wait(LIMIT)
        return look_up(host, *more, flags=flags, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with pytest.raises(AssociationTimeout, match=r"^localhost:1: the name was not looked up"):
        connect("localhost", 1, timeout=0.05)
    released.set()
    for thread in threading.enumerate():
        if thread.name == "look-up of localhost":
            thread.join(LIMIT)


def test_an_address_of_a_family_that_the_system_lacks_is_told(monkeypatch) -> None:
    """Others of the same name are still tried."""
    create = socket.socket

    def without_ipv6(family=-1, *more, **options):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return create(family, *more, **options)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with pytest.raises(TransportError, match=r"^\[::1\]:1: Address family not supported"):
        connect("::1", 1)
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(TransportError, match=r"^both\.example:1: Connection refused"):
        connect("both.example", 1)
