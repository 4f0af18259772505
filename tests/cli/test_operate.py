"""``status``, ``top``, ``drain`` and ``abort`` talk to a running ``serve``."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
from kit.peer import Peer
from kit.serving import serving

from dicom_actors.cli.control import control_path
from dicom_actors.cli.main import main


def test_status_and_top_show_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("--store", str(tmp_path)) as server:
        port = str(server.port)
        with Peer.associated(server.port, calling="SOMEBODY") as peer:
            assert peer.echo() == 0
            assert main(["status", "--port", port]) == 0
            out = capsys.readouterr().out
            assert f"running on 127.0.0.1 port {port}: 1 associations open" in out
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
            ]
            assert tree["children"][0]["children"][0]["idle_seconds"] >= 0
        path = control_path(server.port)
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
            report = json.loads(capsys.readouterr().out)
            assert report["finished"] == 0
            assert len(report["cut"]) == 1
            peer.expect_abort(0, 0)


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--port", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no endpoint of this user answers for port 1" in line


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b'{"message": "Stop"}\n', b"[]\n"])
def test_nonsense_on_the_control_socket_is_answered(line: bytes, tmp_path: Path) -> None:
    with serving("--store", str(tmp_path)) as server, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(control_path(server.port)))
        client.sendall(line + b'{"message": "GetStatus"}\n')
        with client.makefile("rb") as answers:
            assert "expected a message" in json.loads(answers.readline())["error"]
            assert json.loads(answers.readline())["result"]["port"] == server.port


def test_ctrl_c_drains_and_then_cuts(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--drain", "0") as server:
        with Peer.associated(server.port) as peer:
            assert server.stop() == 0
            peer.expect_abort(0, 0)
        assert "1 associations were cut" in server.output
