"""Associations under TLS: with DCMTK, with Python's own client, and with what is neither."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from kit import wire
from kit.certificates import Certificates
from kit.dcmtk import run
from kit.endpoints import LIMIT, Running, running
from kit.peer import Peer
from pydicom.data import get_testdata_file

from dicom_actors import events, messages
from dicom_actors.errors import ConfigurationError
from dicom_actors.supervision import ManualClock, System
from dicom_actors.tls import TlsConfig, client_context, server_context

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server_tls(certificates: Certificates) -> TlsConfig:
    certificate, key = certificates.issue("server")
    return TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)


@pytest.fixture(scope="module")
def client_tls(certificates: Certificates) -> TlsConfig:
    certificate, key = certificates.issue("client")
    return TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)


class TlsPeer(Peer):
    """A peer under TLS."""

    def __init__(self, port: int, tls: TlsConfig) -> None:
        super().__init__(port)
        self.socket = client_context(tls).wrap_socket(self.socket)


def test_an_association_under_tls(server_tls: TlsConfig, client_tls: TlsConfig) -> None:
    seen: list[Any] = []

    def store(event: Any) -> None:
        seen.append((event.length, event.association.peer_certificate))

    with running({"cstore": store}, tls=server_tls) as endpoint:
        with TlsPeer(endpoint.port, client_tls) as peer:
            peer.associate()
            assert peer.echo() == 0
            assert peer.store(wire.data_set_of(3_000_000), 2) == 0
            assert peer.store(wire.DATA_SET, 3) == 0
            peer.expect_released()
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.association.is_secure
    assert [length for length, _ in seen] == [3_000_000, len(wire.DATA_SET)]
    subject = dict(pair for group in seen[0][1]["subject"] for pair in group)
    assert subject["commonName"] == "client"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(
    version: ssl.TLSVersion, server_tls: TlsConfig, client_tls: TlsConfig
) -> None:
    context = client_context(client_tls)
    context.minimum_version = context.maximum_version = version
    with running(tls=server_tls) as endpoint:
        with Peer(endpoint.port) as peer:
            peer.socket = context.wrap_socket(peer.socket)
            peer.associate()
            assert peer.echo() == 0


def test_dcmtk_sends_under_tls(
    tmp_path: Path, certificates: Certificates, server_tls: TlsConfig
) -> None:
    certificate, key = certificates.issue("dcmtk")
    with running({"cstore": lambda event: event.save(tmp_path) and None}, tls=server_tls) as end:
        tls = ("+tls", key, certificate, "+cf", certificates.authority)
        echo = run("echoscu", *tls, "-aec", "TEST", "127.0.0.1", end.port)
        assert echo.returncode == 0, echo.stderr
        store = run("storescu", *tls, "-aec", "TEST", "127.0.0.1", end.port, CT)
        assert store.returncode == 0, store.stderr
        closed = end.wait_for(events.AssociationClosed, 2)
        assert [c.reason for c in closed] == ["released", "released"]
        assert all(c.association.is_secure for c in closed)
    assert len(list(tmp_path.glob("*.dcm"))) == 1


def refused(endpoint: Running) -> events.AssociationClosed:
    (closed,) = endpoint.wait_for(events.AssociationClosed)
    assert closed.reason == "connection lost"
    assert "TLS" in closed.detail
    return closed


def test_a_peer_without_certificate_is_refused(
    certificates: Certificates, server_tls: TlsConfig, client_tls: TlsConfig
) -> None:
    bare = TlsConfig(authorities=certificates.authority)
    with running(tls=server_tls) as endpoint:
        with TlsPeer(endpoint.port, client_tls) as good:
            good.associate()
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                with TlsPeer(endpoint.port, bare) as peer:
                    peer.associate()
                    peer.echo()
            refused(endpoint)
            assert good.echo() == 0


def test_a_certificate_of_strangers_is_refused(
    tmp_path: Path, certificates: Certificates, server_tls: TlsConfig
) -> None:
    certificate, key = Certificates(tmp_path).issue("stranger")
    stranger = TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)
    with running(tls=server_tls) as endpoint:
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            with TlsPeer(endpoint.port, stranger) as peer:
                peer.associate()
                peer.echo()
        refused(endpoint)


def test_certificates_may_be_optional(certificates: Certificates) -> None:
    certificate, key = certificates.issue("lenient")
    lenient = TlsConfig(certificate=certificate, key=key, require_peer_certificate=False)
    with running(tls=lenient) as endpoint:
        with TlsPeer(endpoint.port, TlsConfig(authorities=certificates.authority)) as peer:
            peer.associate()
            assert peer.echo() == 0
            (association,) = endpoint.associations()
            assert association.is_secure
            assert not association.peer_certificate


def test_plain_dicom_on_a_tls_port_is_refused(server_tls: TlsConfig) -> None:
    with running(tls=server_tls) as endpoint:
        with Peer(endpoint.port) as peer:
            peer.send_bytes(b"\1\0\0\0\0\xcd" + b"\0" * 205)
            refused(endpoint)


def test_a_handshake_that_never_ends_is_cut_and_others_are_served(
    server_tls: TlsConfig, client_tls: TlsConfig
) -> None:
    clock = ManualClock()
    system = System(clock=clock)
    with running(tls=server_tls, handshake_timeout=5.0, system=system) as endpoint:
        with Peer(endpoint.port) as slow:
            slow.send_bytes(b"\x16\x03\x01")  # the beginning of a ClientHello
            with TlsPeer(endpoint.port, client_tls) as peer:
                peer.associate()
                assert peer.echo() == 0
                clock.advance(4.9)
                assert len(endpoint.associations()) == 2
                clock.advance(0.2)
                slow.expect_end()
                assert peer.echo() == 0
        closed = endpoint.wait_for(events.AssociationClosed, 2)
        assert "timed out" in {c.reason for c in closed}
    system.close()


def test_certificates_are_replaced_without_dropping_anybody(
    certificates: Certificates, server_tls: TlsConfig, client_tls: TlsConfig
) -> None:
    certificate, key = certificates.issue("renewed")
    renewed = TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)

    def name_of_server(peer: TlsPeer) -> str:
        assert isinstance(peer.socket, ssl.SSLSocket)
        found = peer.socket.getpeercert()
        assert found is not None
        names: dict[str, str] = dict(pair for group in found["subject"] for pair in group)
        return names["commonName"]

    with running(tls=server_tls) as endpoint, TlsPeer(endpoint.port, client_tls) as old:
        old.associate()
        assert name_of_server(old) == "server"
        with pytest.raises(ConfigurationError):
            endpoint.ref.ask(messages.SetTls(TlsConfig(certificate="absent.pem")), timeout=LIMIT)
        endpoint.ref.ask(messages.SetTls(renewed), timeout=LIMIT)
        with TlsPeer(endpoint.port, client_tls) as new:
            new.associate()
            assert name_of_server(new) == "renewed"
            assert new.echo() == 0
        assert old.echo() == 0


def test_only_what_bcp_195_recommends_is_spoken(server_tls: TlsConfig) -> None:
    context = server_context(server_tls)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    old = {c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.2"}
    assert old
    assert all("GCM" in name and name.startswith(("ECDHE", "DHE")) for name in old)


def test_a_server_needs_a_certificate_and_no_password_is_shown() -> None:
    with pytest.raises(ConfigurationError, match="certificate"):
        server_context(TlsConfig())
    assert "secret" not in repr(TlsConfig(certificate="c.pem", password="secret"))
