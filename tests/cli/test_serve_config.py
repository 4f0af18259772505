"""``serve --config``, ``--check-config``, ``--show-config`` and ``--set``."""

from __future__ import annotations

import tomllib
from argparse import Namespace
from dataclasses import fields
from pathlib import Path

import pytest

from dicom_actors import EndpointConfig
from dicom_actors.archive import ArchiveSettings
from dicom_actors.cli.serve_config import load_config
from dicom_actors.cli.serve_settings import SETTINGS, parse_listen_address
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ConfigurationError

EVERYTHING = """
[serve]
port = 11112
ae_title = "ARCHIVE"
store = "kept"
metrics = "9104"
output = "json"
tls_anonymous = false
drain = 1.5

[archive]
duplicates = "keep-both"
journal_seconds = 3

[endpoint]
max_associations = "none"
max_handlers = 8
handler_timeout = "none"
calling_ae_titles = ["CT1", "MR1"]
storage_sop_classes = "all"
when_full = "reject"

[peers.pacs]
address = "PACS@127.0.0.1:104"
calling = "ME"
[peers.other]
address = "127.0.0.1:105"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"

    def write(content):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        return path

    return write


def test_all_of_it_is_shown_with_meaning_and_source_and_is_a_file_again(command, config):
    path = config(EVERYTHING)
    done = command(
        "serve", "--config", path, "--show-config", "--port", 104, "--set", "serve.log=x"
    )
    assert (done.code, done.errors) == (0, [])
    assert "port = 104  # --port" in done.lines
    assert f'log = "{Path("x").absolute()}"  # --set' in done.lines
    assert f'ae_title = "ARCHIVE"  # {path}: line 4' in done.lines
    assert f'max_associations = "none"  # {path}: line 16' in done.lines
    assert 'durability = "disk"  # default' in done.lines
    assert "# C-MOVE may send to PACS, 127.0.0.1:104" in done.lines
    shown = tomllib.loads("\n".join(done.lines))
    for table, settings in SETTINGS.items():
        for name, setting in settings.items():
            assert setting.meaning, name
            assert name in shown[table] or f"# {name} =  # default" in done.lines
    again = config("\n".join(done.lines))
    second = command("serve", "--config", again, "--show-config")
    assert tomllib.loads("\n".join(second.lines)) == shown


def test_every_setting_of_archive_and_endpoint_may_be_set():
    assert {one.name for one in fields(ArchiveSettings)} == SETTINGS["archive"].keys()
    left = {one.name for one in fields(EndpointConfig)} - SETTINGS["endpoint"].keys()
    assert left == {
        "ae_title",
        "extended_negotiation",
        "idle_timeout",
        "spool_bytes",
        "spool_directory",
        "tls",
        "transcode",
    }


def test_what_is_set_reaches_the_endpoint(config):
    path = config(EVERYTHING)
    loaded = load_config(Namespace(config=str(path), set=["endpoint.max_elements=7"], drain=2.5))
    assert loaded.endpoint == {
        "max_associations": None,
        "max_handlers": 8,
        "handler_timeout": None,
        "calling_ae_titles": ["CT1", "MR1"],
        "storage_sop_classes": None,
        "when_full": "reject",
        "max_elements": 7,
    }
    assert EndpointConfig(**loaded.endpoint).max_associations is None
    assert loaded["drain"] == 2.5
    assert loaded["store"] == str(path.parent / "kept")
    assert loaded.archive.duplicates == "keep-both"
    assert list(loaded.peers) == ["PACS"]


def test_all_that_is_wrong_is_said_at_once_with_its_line_and_a_name_that_is_near(command, config):
    path = config(
        '[serve]\nprot = 104\ndrain = "long"\n\n[archive]\nduplicats = 1\ngroup = 0\n'
        "[endpoint]\nmax_associations = 0\n[peers.a]\nadress = 'x'\n"
    )
    done = command("serve", "--config", path, "--check-config")
    assert done.code == 2
    said = "\n".join(done.errors)
    assert len(done.errors) == 6
    assert f"{path}: line 2: serve: expected port, host, " in said
    assert "got prot (did you mean port?)" in said
    assert f"{path}: line 3: serve: drain: expected a number, got 'long'" in said
    assert f"{path}: line 6: archive: expected " in said
    assert "got duplicats (did you mean duplicates?)" in said
    assert f"{path}: line 7: archive: group: expected a whole number from 1" in said
    assert f"{path}: line 9: endpoint: max_associations: expected 1 to 1000000, got 0" in said
    assert f"{path}: line 11: peers.a: expected address" in said
    assert "(did you mean address?)" in said


def test_what_is_right_is_said_too(command, config):
    done = command("serve", "--config", config(EVERYTHING), "--check-config")
    assert done.code == 0
    assert "all is right: 15 of " in done.lines[0]
    assert done.lines[0].endswith("1 destinations for C-MOVE")


JUNK = ["true", "-1", "1e400", "nan", "'text'", "''", "[]", "[1]", "{}", "1979-05-27", "'\\u0000'"]
JUNK += ['"\\u0000"', '"\\u001b[2J"', "99999999999999999999", "07:32:00", "[[[]]]", "0", "''''''"]


@pytest.mark.parametrize("table", list(SETTINGS))
def test_junk_of_every_type_is_a_line_for_each_setting(command, config, table):
    for value in JUNK:
        text = "".join(f"{name} = {value}\n" for name in SETTINGS[table])
        done = command("serve", "--config", config(f"[{table}]\n{text}"), "--check-config")
        if done.code == 0:
            continue
        assert done.code == 2
        for line in done.errors:
            if "expected TOML" not in line:
                assert any(f" {name}: expected " in line for name in SETTINGS[table]), line
            assert line.isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[endpoint]\ntransfer_syntaxes = ['JPEG']",
            "transfer_syntaxes: expected a UID or its keyword",
        ),
        ("[endpoint]\nstorage_sop_classes = ['CTImage']", "close to it: CTImageStorage"),
        (
            "[serve]\nuser = 'x'\npasscode_file = '/dev/null'",
            "expected a passcode in its first line",
        ),
    ],
)
def test_what_a_start_would_refuse_is_refused(command, config, text, said):
    done = command("serve", "--config", config(text), "--check-config")
    assert done.code != 0
    assert said in done.errors[0]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"\0",
        b"[serve",
        b"serve = 1",
        b"[[serve]]\nport = 1",
        b"[serve]\nport = 1\nport = 2",
        b"x = " + b"[" * 100_000,
        b"# " + b"x" * (1 << 20),
        b"[serve]\nport = " + b"9" * 5000,
        b"[sevre]\nport = 1",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_file_that_is_none_is_a_line(command, config, content):
    path = config(content)
    done = command("serve", "--config", path, "--check-config")
    assert done.code == 2
    assert len(done.errors) == 1
    assert done.errors[0].startswith(f"dicom-actors: {path}: ")
    assert len(done.errors[0]) < 1000


def test_a_file_from_windows_is_read(command, config):
    path = config(b"\xef\xbb\xbf[serve]\r\nport = 11112\r\n")
    assert command("serve", "--config", path, "--check-config").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port=1", "expected TABLE.NAME=VALUE"),
        ("serve.prot=1", "did you mean serve.port?"),
        ("serve.port", "expected TABLE.NAME=VALUE"),
        ("serve.port=x", "port: expected a whole number, got 'x'"),
        ("serve.port=70000", "port: expected 0 to 65535, got 70000"),
        ("archive.durability=never", "durability: expected 'disk' or 'os'"),
        ("endpoint.max_handlers=some", "max_handlers: expected a number, or 'none'"),
    ],
)
def test_set_is_checked(command, text, said):
    done = command("serve", "--set", text, "--check-config")
    assert done.code == 2
    assert said in done.errors[0]


def test_what_does_not_go_together_is_refused(command):
    assert command("serve", "--print", "--json", "--check-config").code == 2
    done = command("serve", "--tls-key", "x", "--check-config")
    assert "--tls-certificate" in done.errors[0]


def test_without_a_home_there_is_no_usual_file(monkeypatch):
    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", no_home)
    assert load_config(Namespace(config=None))["port"] == 4242


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9104", ("127.0.0.1", 9104)),
        (":9104", ("127.0.0.1", 9104)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:0", ("::1", 0)),
        ("host:65535", ("host", 65535)),
    ],
)
def test_addresses_to_listen_on(text, address):
    assert parse_listen_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "::1:1", "1:65536", "-1", "h:", "1:\u0661"])
def test_what_is_no_address_to_listen_on(text):
    with pytest.raises(ConfigurationError, match="expected PORT"):
        parse_listen_address(text)


def test_the_first_of_an_ae_title_is_the_destination(config):
    path = config("[peers.a]\naddress='X@h:1'\n[peers.b]\naddress='X@h:2'\n")
    loaded = load_config(Namespace(config=str(path)))
    assert loaded.peers["X"].port == 1
    path = config("[peers.a]\naddress='X@h:1'\ntls={certificate='absent'}\n")
    with pytest.raises(UsageError, match=r"line 1: peers\.a: "):
        load_config(Namespace(config=str(path)))
