"""``status``, ``top``, ``drain`` and ``abort`` talk to a running ``serve``."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest
from kit.peer import Peer
from kit.serving import Server, serving

from dicom_actors.cli import control
from dicom_actors.cli.control import control_paths
from dicom_actors.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_status_and_top_show_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("--store", str(tmp_path)) as server:
        port = str(server.port)
        with Peer.associated(server.port, calling="SOMEBODY") as peer:
            assert peer.echo() == 0
            assert main(["status", "--port", port]) == 0
            out = capsys.readouterr().out
            assert f"running on 127.0.0.1 port {port}: 1 association open" in out
            assert "SOMEBODY" in out
            assert main(["status", "--port", port, "--json"]) == 0
            status = json.loads(capsys.readouterr().out)
            assert status["associations"][0]["calling_ae_title"] == "SOMEBODY"
            assert main(["top", "--port", port, "--once"]) == 0
            out = capsys.readouterr().out
            for name in ("endpoint", "associations", "event bus", "listener", "association 1"):
                assert name in out
            assert out.endswith("\n")
            assert main(["top", "--port", port, "--json"]) == 0
            tree = json.loads(capsys.readouterr().out)
            assert [child["name"] for child in tree["children"]] == [
                "associations",
                "event bus",
                "endpoint",
                "watcher",
                "listener",
                "archive",
            ]
            kept_by = {child["name"] for child in tree["children"][-1]["children"]}
            assert {"index", "store", "unpacker", "studies"} <= kept_by
            assert tree["children"][0]["children"][0]["idle_seconds"] >= 0
        path = control_paths(server.port)[0]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert server.stop() == 0
        assert not path.exists()


def test_abort_and_drain_steer_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving("--store", str(tmp_path)) as server:
        port = str(server.port)
        with Peer.associated(server.port) as peer:
            assert main(["abort", "1", "--port", port]) == 0
            peer.expect_abort(0, 0)
        assert main(["abort", "99", "--port", port]) == 1
        assert "no association 99" in capsys.readouterr().err
        assert main(["drain", "--deadline", "60", "--port", port]) == 0
        with pytest.raises(ConnectionRefusedError):
            Peer(server.port)
        assert server.stop() == 0


def test_a_drain_that_cuts_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("--store", str(tmp_path)) as server:
        with Peer.associated(server.port) as peer:
            assert main(["drain", "--deadline", "0", "--port", str(server.port), "--json"]) == 1
            told = capsys.readouterr()
            waiting, association = told.err.splitlines()
            assert waiting == "waiting 0 s at the most for 1 association:"
            assert re.fullmatch(
                r" +1  open        PEER {14}127\.0\.0\.1:\d+  since [0-9:]{8}"
                r"  0 requests, 0 restarts",
                association,
            )
            report = json.loads(told.out)
            assert report["finished"] == 0
            assert len(report["cut"]) == 1
            peer.expect_abort(0, 0)


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--port", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no endpoint of this user answers for port 1" in line


JUNK = [
    b"nonsense",
    b"{}",
    b'{"message": "Stop"}',
    b"[]",
    b"\xff\xfe\0",
    b"null",
    b"1e999",
    b'{"message": null}',
    b'{"message": ["Drain"]}',
    b'{"message": {"Drain": 1}}',
    b'{"message": "Drain"}',
    b'{"message": "Drain", "deadline": "soon"}',
    b'{"message": "Drain", "deadline": null}',
    b'{"message": "Drain", "deadline": [1]}',
    b'{"message": "Drain", "deadline": true}',
    b'{"message": "Drain", "deadline": -1}',
    b'{"message": "Drain", "deadline": NaN}',
    b'{"message": "Drain", "deadline": Infinity}',
    b'{"message": "Drain", "deadline": 1e308}',
    b'{"message": "AbortAssociation"}',
    b'{"message": "AbortAssociation", "id": [1]}',
    b'{"message": "AbortAssociation", "id": "1"}',
    b'{"message": "AbortAssociation", "id": 1.5}',
    b'{"message": "GetStatus", "more": 1}',
    b"[" * 60_000,
    b"",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("--store", str(tmp_path_factory.mktemp("store"))) as server:
        yield server
        assert server.stop() == 0
    assert "Traceback" not in server.output


@pytest.mark.parametrize("line", JUNK, ids=lambda line: line[:50].decode("latin-1"))
def test_junk_on_the_control_socket_is_answered_with_an_error(line: bytes, server: Server) -> None:
    with asking(server) as (client, answers):
        client.sendall(line + b'\n{"message": "GetStatus"}\n')
        assert "expected a message" in json.loads(answers.readline())["error"]
        assert json.loads(answers.readline())["result"]["port"] == server.port


def test_a_line_without_end_is_answered_and_ends_the_conversation(server: Server) -> None:
    with asking(server) as (client, answers):
        client.sendall(b"x" * 65_536)
        assert "lines of less than" in json.loads(answers.readline())["error"]
        assert answers.readline() == b""
    with asking(server) as (client, answers):
        client.sendall(b'{"message": "GetStatus"}\n')
        assert json.loads(answers.readline())["result"]["port"] == server.port


def test_a_client_that_leaves_before_the_answer_is_nobodys_business(server: Server) -> None:
    for _ in range(20):
        with asking(server) as (client, _answers):
            client.sendall(b'{"message": "GetTree"}\n' * 50)
    with asking(server) as (client, answers):
        client.sendall(b'{"message": "GetStatus"}\n')
        assert json.loads(answers.readline())["result"]["state"] == "running"


@contextlib.contextmanager
def asking(server: Server) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(control_paths(server.port)[0]))
        with client.makefile("rb") as answers:
            yield client, answers


def test_who_comes_when_there_are_no_descriptors_is_not_looked_for_all_the_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(control.time, "sleep", pauses.append)
    with control._Server(str(tmp_path / "socket"), control._Conversation) as listening:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "socket"))
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (0, most[1]))
                with pytest.raises(OSError, match="Too many open files"):
                    listening.get_request()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, most)
        assert pauses == [control._PAUSE]


# --- where the socket is ---------------------------------------------------------------------


def folder_of(place: Path) -> Path:
    return place / f"dicom-actors-{os.getuid()}"


def make_folder_of_others(place: Path) -> None:
    folder_of(place).mkdir(mode=0o777)
    folder_of(place).chmod(0o777)


def make_file(place: Path) -> None:
    folder_of(place).write_bytes(b"mine")


def make_link(place: Path) -> None:
    (place / "elsewhere").mkdir(mode=0o700)
    folder_of(place).symlink_to(place / "elsewhere")


def make_dangling_link(place: Path) -> None:
    folder_of(place).symlink_to(place / "nowhere")


def make_long(place: Path) -> None:
    """The folder for temporary files has a name that no socket can have."""


@pytest.mark.parametrize(
    "make", [make_folder_of_others, make_file, make_link, make_dangling_link, make_long]
)
def test_nothing_in_its_place_keeps_serve_from_starting(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / ("x" * 120 if make is make_long else "t")
    place.mkdir()
    make(place)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with serving("--store", str(tmp_path / "store")) as server:
        with Peer.associated(server.port) as peer:
            assert peer.echo() == 0
        assert main(["status", "--port", str(server.port)]) == 1
        assert server.stop() == 0
    assert "no control socket" in server.output
    assert "Traceback" not in server.output
    if make is make_file:
        assert folder_of(place).read_bytes() == b"mine"


def test_the_runtime_folder_of_the_user_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime, temporary = tmp_path / "run", tmp_path / "t"
    runtime.mkdir(mode=0o700)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    for given, found in (
        (str(runtime), runtime / "dicom-actors"),
        (str(tmp_path / "gone"), folder_of(temporary)),
        ("relative", folder_of(temporary)),
    ):
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        with serving("--store", str(tmp_path / "store")) as server:
            assert (found / f"{server.port}.sock").is_socket()
            assert main(["status", "--port", str(server.port)]) == 0
            assert server.stop() == 0
        assert "no control socket" not in server.output
    capsys.readouterr()


def test_a_socket_in_a_folder_of_others_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    make_folder_of_others(tmp_path)
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(str(folder_of(tmp_path) / "4242.sock"))
        impostor.listen()
        assert main(["status", "--port", "4242"]) == 1
    assert "not a folder of this user alone" in capsys.readouterr().err


def test_ctrl_c_drains_and_then_cuts(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--drain", "0") as server:
        with Peer.associated(server.port) as peer:
            assert server.stop() == 0
            peer.expect_abort(0, 0)
        assert "1 association was cut" in server.output
