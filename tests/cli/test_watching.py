"""``dicom-actors store --watch``: what appears is sent once, when it is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from kit.endpoints import running
from pydicom.data import get_testdata_file

from dicom_actors.cli import connecting, store
from dicom_actors.cli.parser import build_parser, parse_arguments
from dicom_actors.cli.store_report import Report
from dicom_actors.cli.watching import Appearing, watch
from dicom_actors.data import read_file, write_file

pytestmark = pytest.mark.usefixtures("nothing_left")

CT = Path(str(get_testdata_file("CT_small.dcm")))


def image(path: Path, number: int) -> Path:
    data_set = read_file(CT)
    data_set.SOPInstanceUID = f"1.2.3.{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data_set)
    return path


class Script:
    """The ticks of a watch: one action after the other, then Ctrl-C."""

    def __init__(self, *actions) -> None:
        self.actions = list(actions)

    def __call__(self) -> None:
        if not self.actions:
            raise KeyboardInterrupt
        self.actions.pop(0)()


def nothing() -> None:
    """Let a look pass."""


def watched(port: int, folder: Path, script: Script, *words: object, json: bool = False) -> None:
    arguments = ["store", f"127.0.0.1:{port}", str(folder), "--watch", *map(str, words)]
    options = parse_arguments(build_parser(), arguments)
    report = Report(as_json=json, verbose=False)
    with pytest.raises(KeyboardInterrupt):
        watch(options, report, script)
    report.finish("interrupted")


def test_a_file_is_found_when_it_has_come_to_rest(tmp_path) -> None:
    path = tmp_path / "a" / "x.dcm"
    path.parent.mkdir()
    appearing = Appearing([str(tmp_path)])
    path.write_bytes(b"1")
    (tmp_path / ".hidden").write_bytes(b"1")
    assert appearing.look() == {}
    path.write_bytes(b"12")
    assert appearing.look() == {}
    assert appearing.look() == {str(path): 2}
    assert appearing.look() == {str(path): 2}
    appearing.settle(str(path))
    assert appearing.look() == {}
    path.write_bytes(b"123")
    assert appearing.look() == {}
    assert appearing.look() == {str(path): 3}
    path.unlink()
    assert appearing.look() == {}


def test_what_appears_is_sent_once(tmp_path, capsys) -> None:
    stored = []
    folder = tmp_path / "outbox"
    image(folder / "1.dcm", 1)
    script = Script(
        nothing,
        nothing,
        lambda: image(folder / "later" / "2.dcm", 2),
        nothing,
        nothing,
        lambda: image(folder / "1.dcm", 3),
        nothing,
        nothing,
    )
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:
        watched(endpoint.port, folder, script)
    assert stored == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    out, err = capsys.readouterr()
    assert out.startswith("3 objects stored: ")
    assert err == ""


def test_what_is_cut_off_is_sent_when_it_is_whole(tmp_path, capsys) -> None:
    stored = []
    folder = tmp_path / "outbox"
    path = image(folder / "1.dcm", 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000])
    script = Script(nothing, nothing, nothing, lambda: path.write_bytes(whole), nothing, nothing)
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:
        watched(endpoint.port, folder, script)
    assert stored == ["1.2.3.1"]
    out, err = capsys.readouterr()
    assert out.startswith("1 object stored: ")
    (line,) = err.splitlines()
    assert f"{path}: not sent: expected a value of 32768 bytes" in line


def test_a_peer_that_is_away_is_tried_again(tmp_path, capsys, monkeypatch) -> None:
    stored = []
    folder = tmp_path / "outbox"
    image(folder / "1.dcm", 1)
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:
        real = connecting.connect
        tries = []

        def connect(host, port, **settings):
            tries.append(port)
            return real(host, 1 if len(tries) < 4 else port, **settings)

        monkeypatch.setattr(connecting, "connect", connect)
        watched(endpoint.port, folder, Script(*[nothing] * 6))
    assert stored == ["1.2.3.1"]
    assert len(tries) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; tried again until it works")


def test_what_the_peer_refuses_is_told_once_and_a_journal_remembers(tmp_path, capsys) -> None:
    asked = []

    def handle(event):
        asked.append(event.sop_instance_uid)
        return 0xA700 if event.sop_instance_uid.endswith("2") else None

    folder = tmp_path / "outbox"
    image(folder / "1.dcm", 1)
    image(folder / "2.dcm", 2)
    journal = tmp_path / "journal"
    with running({"cstore": handle}) as endpoint:
        watched(endpoint.port, folder, Script(*[nothing] * 4), "--resume", journal)
        assert asked == ["1.2.3.1", "1.2.3.2"]
        out, err = capsys.readouterr()
        assert out.startswith("1 object stored, 1 not: ")
        assert err.splitlines() == [f"dicom-actors: {folder}/2.dcm: A700H: out of resources"]
        words = ("--resume", journal)
        watched(endpoint.port, folder, Script(*[nothing] * 4), *words, json=True)
        assert asked == ["1.2.3.1", "1.2.3.2", "1.2.3.2"]
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["stored"], second["stored"]) == (True, False)
    assert f"stored before, as {journal} says" in first["comment"]


def test_the_command_ends_with_ctrl_c(command, tmp_path, monkeypatch) -> None:
    stored = []
    folder = tmp_path / "outbox"
    image(folder / "1.dcm", 1)
    script = Script(nothing, nothing)
    monkeypatch.setattr(store.time, "sleep", lambda _: script())
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:
        done = command("store", f"127.0.0.1:{endpoint.port}", folder, "--watch")
    assert done.code == 130
    assert done.lines[0].startswith("1 object stored: ")
    assert stored == ["1.2.3.1"]


def test_files_are_not_watched(command, tmp_path) -> None:
    done = command("store", "h:1", image(tmp_path / "x.dcm", 1), "--watch")
    assert done.code == 2
    assert "--watch: expected folders" in done.errors[0]
    assert os.listdir(tmp_path) == ["x.dcm"]
