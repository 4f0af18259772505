"""Peers as they are named on the command line and in the configuration file."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from dicom_actors.cli.connecting import peer_of
from dicom_actors.cli.peers import Peer, TlsFiles, find_peer, load_peers, parse_address
from dicom_actors.cli.usage import UsageError

FULL = """
[peers.pacs]
address = "PACS@pacs.example.org:104"
calling = "ME"
timeout = 2.5
user = "jane"
passcode_file = "secrets/pacs"
tls = {certificate = "me.pem", key = "/etc/me.key", authorities = "ca.pem", hostname = "pacs"}

[peers."second floor"]
address = "[fe80::1]:11112"
tls = true
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "peers.toml"
    path.write_text(FULL)
    return str(path)


def options(peer: str, config: str | None = None, **given: object) -> Namespace:
    """The options of a command, as argparse gives them."""
    names = ("calling", "timeout", "tls_certificate", "tls_key", "tls_authorities", "tls_hostname")
    values = dict.fromkeys((*names, "user", "passcode_file", "token_file"))
    values |= {"peer": peer, "config": config, "tls": False, "passcode": False}
    return Namespace(**{**values, **given})


@pytest.mark.parametrize(
    ("text", "called", "host", "port"),
    [
        ("PACS@pacs.example.org:104", "PACS", "pacs.example.org", 104),
        ("localhost:4242", None, "localhost", 4242),
        ("A B@C@10.0.0.1:65535", "A B@C", "10.0.0.1", 65535),
        ("X@[::1]:104", "X", "::1", 104),
        ("[fe80::1%eth0]:104", None, "fe80::1%eth0", 104),
    ],
)
def test_an_address(text: str, called: str | None, host: str, port: int) -> None:
    peer = parse_address(text)
    assert peer == Peer(host=host, port=port, called=called)
    assert peer.address == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PACS@host", "AE@host:port"),
        ("host:", "AE@host:port"),
        (":104", "AE@host:port"),
        ("X@host:0", "AE@host:port"),
        ("X@host:65536", "AE@host:port"),
        ("X@host:\u0661", "AE@host:port"),
        ("X@::1:104", "brackets"),
        ("@host:104", "1 to 16 ASCII characters"),
        ("TITLE_OF_17_CHARS@host:104", "1 to 16 ASCII characters"),
        ("pacs..example:104", "the host: expected a name or an address"),
        ("http://pacs..example/dicom-web", "the host: expected a name or an address"),
    ],
)
def test_what_is_no_address(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_address(text)


def test_a_name_stands_for_what_the_file_says(config, tmp_path) -> None:
    assert find_peer("pacs", config) == Peer(
        host="pacs.example.org",
        port=104,
        called="PACS",
        calling="ME",
        timeout=2.5,
        tls=TlsFiles(
            certificate=str(tmp_path / "me.pem"),
            key="/etc/me.key",
            authorities=str(tmp_path / "ca.pem"),
            hostname="pacs",
        ),
        user="jane",
        passcode_file=str(tmp_path / "secrets" / "pacs"),
    )
    assert find_peer("second floor", config) == Peer(host="fe80::1", port=11112, tls=TlsFiles())


def test_an_unknown_name_is_told_with_the_known_ones(config, tmp_path) -> None:
    with pytest.raises(UsageError, match="it has pacs, second floor, got 'ris'"):
        find_peer("ris", config)
    (tmp_path / "empty.toml").touch()
    with pytest.raises(UsageError, match="it has none"):
        find_peer("ris", str(tmp_path / "empty.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("peers = =", "expected TOML: .*line 1"),
        ("peer = 1", "expected peers, .*; got peer .*mean peers"),
        ("peers = 1", "peers: expected a table, got 1"),
        ("peers.a = 1", r"peers\.a: expected a table with an address"),
        ("[peers.a]", r'peers\.a: expected address = "AE@host:port"'),
        ("[peers.a]\naddress = 'x'", r"peers\.a: peer: expected AE@host:port.*got 'x'"),
        ("[peers.a]\naddress = 'h:1'\nadress = 'x'", "expected address, calling.*; got adress"),
        ("[peers.a]\naddress = 'h:1'\ntimeout = '5'", "timeout: expected a number, got '5'"),
        ("[peers.a]\naddress = 'h:1'\ntimeout = true", "timeout: expected a number, got True"),
        ("[peers.a]\naddress = 'h:1'\ntimeout = 0", "timeout: expected seconds above 0"),
        ("[peers.a]\naddress = 'h:1'\ncalling = ''", "calling: expected 1 to 16"),
        ("[peers.a]\naddress = 'h:1'\ntls = 'x'", "tls: expected true, false or a table"),
        ("[peers.a]\naddress = 'h:1'\ntls = {ca = 'x'}", r"a\.tls: expected certificate.*got ca"),
        ("[peers.a]\naddress = 'h:1'\ntls = {key = 1}", r"a\.tls: key: expected text, got 1"),
    ],
)
def test_errors_in_the_file_are_one_line_with_its_name(text: str, said: str, tmp_path) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        load_peers(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_the_usual_file_need_not_be_there_but_one_that_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_peers() == {}
    (tmp_path / "dicom-actors.toml").write_text(FULL)
    assert list(load_peers()) == ["pacs", "second floor"]
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_peers() == {}
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "dicom-actors.toml").write_text("peers.x.address = 'h:1'")
    assert list(load_peers()) == ["x"]
    with pytest.raises(UsageError, match="there is no such file"):
        load_peers(str(tmp_path / "absent.toml"))
    with pytest.raises(UsageError, match="Is a directory"):
        load_peers(str(tmp_path))


def test_options_go_before_the_file(config) -> None:
    peer = peer_of(options("pacs", config, calling="YOU", timeout=1.0, tls_certificate="c.pem"))
    assert (peer.calling, peer.timeout) == ("YOU", 1.0)
    assert peer.tls is not None
    assert (peer.tls.certificate, peer.tls.key) == ("c.pem", "/etc/me.key")
    assert peer_of(options("h:1")).tls is None
    assert peer_of(options("h:1", tls=True)).tls == TlsFiles()
    assert peer_of(options("h:1", tls_authorities="a")).tls == TlsFiles(authorities="a")


def test_the_passcode_of_one_user_is_not_sent_for_another(config) -> None:
    own = peer_of(options("pacs", config)).passcode_file
    assert own is not None
    assert peer_of(options("pacs", config, user="jane")).passcode_file == own
    assert peer_of(options("pacs", config, user="bob")).passcode_file is None
    assert peer_of(options("pacs", config, passcode_file="other")).passcode_file == "other"
    assert peer_of(options("pacs", config, passcode=True)).passcode_file is None


@pytest.mark.parametrize(
    "given", [{"passcode": True}, {"passcode_file": "x"}, {"tls_key": "x"}], ids=str
)
def test_options_that_are_of_no_use_are_wrong(given) -> None:
    with pytest.raises(UsageError, match="of no use without"):
        peer_of(options("h:1", **given))


def test_the_peers_are_listed(command, config, tmp_path) -> None:
    done = command("peers", "--config", config)
    assert done.code == 0
    assert [line.split() for line in done.lines] == [
        ["Name", "Address", "Calling", "TLS", "User"],
        ["pacs", "PACS@pacs.example.org:104", "ME", "yes", "jane"],
        ["second", "floor", "[fe80::1]:11112", "yes"],
    ]
    pacs, second = map(json.loads, command("peers", "--config", config, "--json").lines)
    assert pacs["name"] == "pacs"
    assert pacs["tls"]["authorities"] == str(tmp_path / "ca.pem")
    assert second["address"] == "[fe80::1]:11112"
    assert command("peers").lines == ["Name  Address  Calling  TLS  User"]


def test_a_wrong_file_is_exit_code_2(command, tmp_path) -> None:
    Path(tmp_path / "wrong.toml").write_text("peers = 1")
    for words in (["peers"], ["echo", "pacs"]):
        done = command(*words, "--config", tmp_path / "wrong.toml")
        assert done.code == 2
        assert done.errors == [
            f"dicom-actors: {tmp_path / 'wrong.toml'}: line 1: peers: expected a table, got 1"
        ]
