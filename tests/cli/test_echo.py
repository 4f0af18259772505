"""``dicom-actors echo``, and what all commands of the user side share: TLS, users, traces."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest
from kit.certificates import Certificates
from kit.endpoints import running
from kit.gate import Gate
from kit.scp import free_port, storescp

from dicom_actors import Accept, Reject, events
from dicom_actors.tls import TlsConfig

pytestmark = pytest.mark.usefixtures("nothing_left")

LIMIT = 60.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server_tls(certificates):
    certificate, key = certificates.issue("server")
    return TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)


@pytest.fixture(scope="module")
def tls_options(certificates):
    certificate, key = certificates.issue("client")
    return (
        *("--tls-certificate", certificate, "--tls-key", key),
        *("--tls-authorities", certificates.authority),
    )


def test_a_peer_that_answers(command) -> None:
    with running(ae_title="PACS") as endpoint:
        peer = f"PACS@127.0.0.1:{endpoint.port}"
        done = command("echo", peer)
        assert (done.code, done.errors) == (0, [])
        (line,) = done.lines
        assert re.fullmatch(rf"{peer} answers after [0-9.]+ ms", line)
        opened = endpoint.wait_for(events.AssociationOpened)[0].association
        assert (opened.called_ae_title, opened.calling_ae_title) == ("PACS", "DICOM_ACTORS")
        assert len(opened.presentation_contexts) == 1
        assert endpoint.wait_for(events.AssociationClosed)[0].reason == "released"
        done = command("echo", peer, "--json", "--calling", "SOMEBODY")
        answer = json.loads(done.lines[0])
        assert answer["peer"] == peer
        assert answer["seconds"] > 0
        opened = endpoint.wait_for(events.AssociationOpened)[0].association
        assert opened.calling_ae_title == "SOMEBODY"


@pytest.mark.interop
def test_dcmtk_answers(command, tmp_path) -> None:
    with storescp(tmp_path) as port:
        done = command("echo", f"127.0.0.1:{port}", "--json")
        assert done.code == 0
        assert json.loads(done.lines[0])["software"].startswith("OFFIS_DCMTK")
    with storescp(tmp_path, "--refuse") as port:
        done = command("echo", f"127.0.0.1:{port}")
    assert done.code == 1
    (error,) = done.errors
    assert "rejected" in error


def test_a_peer_with_a_name(command, tmp_path) -> None:
    with running(ae_title="PACS") as endpoint:
        folder = tmp_path / "config"
        folder.mkdir()
        (folder / "dicom-actors.toml").write_text(
            f'[peers.pacs]\naddress = "PACS@127.0.0.1:{endpoint.port}"\ncalling = "ME"\n'
        )
        assert command("echo", "pacs").code == 0
        opened = endpoint.wait_for(events.AssociationOpened)[0].association
        assert opened.calling_ae_title == "ME"
    done = command("echo", "ris")
    assert done.code == 2
    assert "it has pacs, got 'ris'" in done.errors[0]


def test_nobody_there_and_a_rejection_are_one_line(command) -> None:
    done = command("echo", f"PACS@127.0.0.1:{free_port()}")
    assert done.code == 1
    (error,) = done.errors
    assert error.startswith("dicom-actors: ")
    assert "Connection refused" in error
    with running(ae_title="PACS") as endpoint:
        done = command("echo", f"OTHER@127.0.0.1:{endpoint.port}")
    assert done.code == 1
    (error,) = done.errors
    assert "called AE title not recognized" in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["echo"],
        ["echo", "host"],
        ["echo", "X@host:port"],
        ["echo", "h:1", "more"],
        ["echo", "h:1", "--timeout", "0"],
        ["echo", "h:1", "--timeout", "soon"],
        ["echo", "h:1", "--calling", "A_TITLE_THAT_IS_TOO_LONG"],
        ["echo", "h:1", "--passcode"],
        ["echo", "h:1", "--user", "x", "--passcode", "--passcode-file", "y"],
        ["echo", "pacs", "--config", "/nonexistent/peers.toml"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_exit_code_2(command, arguments) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert done.errors[-1].startswith("dicom-actors")


def test_tls(command, server_tls, tls_options) -> None:
    with running(tls=server_tls) as endpoint:
        peer = f"127.0.0.1:{endpoint.port}"
        assert command("echo", peer, *tls_options).code == 0
        opened = endpoint.wait_for(events.AssociationOpened)[0].association
        assert opened.is_secure
        assert opened.peer_certificate
        assert command("echo", peer, *tls_options, "--tls-hostname", "localhost").code == 0
        done = command("echo", peer, *tls_options, "--tls-hostname", "elsewhere.example.org")
        assert done.code == 1
        assert "elsewhere.example.org" in done.errors[0]
        done = command("echo", peer, "--tls")
        assert done.code == 1
        assert "TLS handshake failed" in done.errors[0]


def test_a_certificate_that_is_not_there_is_one_line(command) -> None:
    done = command("echo", "127.0.0.1:1", "--tls-authorities", "/nonexistent.pem")
    assert done.code == 1
    (error,) = done.errors
    assert "No such file" in error


def test_a_user_with_a_passcode_from_a_file(command, tmp_path, server_tls, tls_options) -> None:
    seen = []

    def validate(request):
        seen.append(request.user_identity)
        if request.user_identity.secondary_field != b"open sesame":
            return Reject.NO_REASON
        return Accept()

    secret = tmp_path / "passcode"
    secret.write_bytes(b"open sesame\r\nnot this\n")
    user = ("--user", "jane", "--passcode-file", secret)
    with running({"association_validator": validate}) as endpoint:
        peer = f"127.0.0.1:{endpoint.port}"
        done = command("echo", peer, *user)
        assert done.code == 0
        assert done.errors == ["dicom-actors: warning: without TLS anybody can read the passcode"]
        assert (seen[0].identity_type, seen[0].primary_field) == (2, b"jane")
        done = command("echo", peer, *user, "--verbose")
        assert any("the peer accepts the user" in line for line in done.errors)
        done = command("echo", peer, *user, "--trace")
        assert not any("sesame" in line for line in done.errors)
        assert command("echo", peer, "--user", "jane").code == 1
        assert (seen[-1].identity_type, seen[-1].primary_field) == (1, b"jane")
        done = command("echo", peer, "--user", "jane", "--passcode-file", tmp_path / "absent")
        assert done.code == 1
        assert done.errors == [
            f"dicom-actors: passcode file: {tmp_path / 'absent'}: No such file or directory"
        ]
    with running({"association_validator": validate}, tls=server_tls) as endpoint:
        done = command("echo", f"127.0.0.1:{endpoint.port}", *user, *tls_options)
        assert (done.code, done.errors) == (0, [])


def test_a_user_with_a_passcode_from_a_prompt(command, monkeypatch) -> None:
    seen = []
    prompts = []

    def validate(request):
        seen.append(request.user_identity.secondary_field)

    monkeypatch.setattr("getpass.getpass", lambda prompt: prompts.append(prompt) or "sesame")
    with running({"association_validator": validate}) as endpoint:
        peer = f"127.0.0.1:{endpoint.port}"
        assert command("echo", peer, "--user", "jane", "--passcode").code == 0
    assert seen == [b"sesame"]
    assert prompts == [f"Passcode of jane at {peer}: "]


def test_a_prompt_that_nobody_answers(command, monkeypatch) -> None:
    def ended(prompt):
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    done = command("echo", "127.0.0.1:1", "--user", "jane", "--passcode")
    assert done.code == 1
    assert done.errors == ["dicom-actors: --passcode: expected a passcode, nobody typed one"]


def test_verbose_says_what_is_negotiated(command) -> None:
    with running() as endpoint:
        done = command("echo", f"PACS@127.0.0.1:{endpoint.port}", "--verbose")
    assert done.code == 0
    assert len(done.lines) == 1
    assert done.errors[0] == f"connecting to 127.0.0.1 port {endpoint.port}"
    text = "\n".join(done.errors)
    assert "association 1: DICOM_ACTORS asks PACS for it, with 1 presentation context" in text
    assert "association 1: accepted by DICOM_ACTORS" in text
    assert "Verification SOP Class: Explicit VR Little Endian" in text
    assert done.errors[-2:] == [
        "association 1: we ask to release it",
        "association 1: the peer agrees to release it",
    ]


def test_trace_has_a_line_for_each_pdu(command) -> None:
    with running() as endpoint:
        done = command("echo", f"PACS@127.0.0.1:{endpoint.port}", "--trace", "--json")
    assert len(done.lines) == 1
    assert [[*line[:6].split(), line[7:].split(":")[0]] for line in done.errors] == [
        ["1", "->", "A-ASSOCIATE-RQ"],
        ["1", "<-", "A-ASSOCIATE-AC"],
        ["1", "->", "P-DATA-TF"],
        ["1", "<-", "P-DATA-TF"],
        ["1", "->", "A-RELEASE-RQ"],
        ["1", "<-", "A-RELEASE-RP"],
    ]


def test_verbose_says_why_there_is_no_association(command) -> None:
    with running(ae_title="PACS") as endpoint:
        done = command("echo", f"OTHER@127.0.0.1:{endpoint.port}", "--verbose")
    assert done.code == 1
    assert "called AE title not recognized" in done.errors[2]


def test_ctrl_c_aborts_the_association() -> None:
    gate = Gate()
    with running({"cecho": gate}) as endpoint:
        arguments = ["-m", "dicom_actors", "echo", f"127.0.0.1:{endpoint.port}"]
        with subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            gate.wait_until_entered()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 130
        assert (out, err) == (b"", b"")
        # There is no A-ABORT if the signal came before it was noted what had been sent.
        closed = endpoint.wait_for(events.AssociationClosed)[0]
        assert closed.reason in {"aborted by peer", "connection lost"}
        gate.release()
