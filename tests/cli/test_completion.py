"""Completion: what may come next, and the scripts in the shells that are there."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from kit.terminal import Terminal

from dicom_actors.cli.completion import candidates
from dicom_actors.cli.parser import build_parser
from dicom_actors.scu import MODELS

PEERS = """
[peers.pacs]
address = "PACS@pacs.example.org:104"
[peers.ris]
address = "ris.example.org:104"
"""


@pytest.fixture(autouse=True)
def config(monkeypatch, tmp_path):
    """A configuration file with two peers."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "dicom-actors.toml").write_text(PEERS)


def words(*line: str) -> list[str]:
    return [word for word, _ in candidates(build_parser(), list(line))]


def test_commands_with_what_they_do() -> None:
    found = dict(candidates(build_parser(), [""]))
    assert {"serve", "echo", "store", "find", "get", "move", "dump", "peers"} <= found.keys()
    assert found["echo"] == "ask whether a peer is there"
    assert words("st") == ["store", "status"]
    assert words() == words("")
    assert words("nonsense", "") == []


def test_options() -> None:
    assert words("echo", "pacs", "--tls-a") == ["--tls-authorities"]
    assert "--parallel" in words("store", "--")
    assert "--parallel" not in words("echo", "--")
    assert words("--v") == ["--version"]


def test_values_of_options() -> None:
    assert words("find", "--level", "S") == ["STUDY", "SERIES"]
    assert words("find", "pacs", "--model", "") == list(MODELS)
    assert words("echo", "pacs", "--tls-key", "x") == [":files"]
    assert words("get", "pacs", "--output", "") == [":folders"]
    assert words("echo", "pacs", "--timeout", "") == []
    assert words("completion", "") == ["bash", "zsh", "fish"]


def test_peers(tmp_path) -> None:
    assert list(candidates(build_parser(), ["echo", ""])) == [
        ("pacs", "PACS@pacs.example.org:104"),
        ("ris", "ris.example.org:104"),
    ]
    assert words("find", "--level", "STUDY", "r") == ["ris"]
    assert words("echo", "pacs", "") == []
    other = tmp_path / "other.toml"
    other.write_text("peers.third.address = 'h:1'")
    assert words("echo", "--config", str(other), "") == ["third"]
    other.write_text("nonsense")
    assert words("echo", "--config", str(other), "") == []


def test_keys() -> None:
    assert words("find", "pacs", "PatientNam") == ["PatientName="]
    assert words("find", "pacs", "StudyDate", "PatientNam") == ["PatientName="]
    assert words("get", "pacs", "StudyInstanceU") == ["StudyInstanceUID="]
    assert "ScheduledProcedureStepSequence." in words("find", "pacs", "Scheduled")
    nested = words("find", "pacs", "ScheduledProcedureStepSequence.Modalit")
    assert "ScheduledProcedureStepSequence.Modality=" in nested
    assert words("dump", "x.dcm", "--filter", "PatientID", "PatientNam") == ["PatientName"]


def test_values_to_match_are_nobodys_to_know() -> None:
    assert words("find", "pacs", "PatientName=D") == []
    assert words("find", "pacs", "PatientName", "=", "D") == []  # as bash takes it apart
    assert words("find", "pacs", "PatientName", "=") == []
    assert words("find", "pacs", "PatientName", "=", "D", "StudyDat") == ["StudyDate="]


def test_files() -> None:
    assert words("store", "pacs", "") == [":files"]
    assert words("store", "pacs", "a.dcm", "b") == [":files"]
    # bash takes addresses apart, too.
    assert words("store", "AE", "@", "host", ":", "104", "b") == [":files"]
    assert words("dump", "") == [":files"]


def test_every_argument_is_looked_at() -> None:
    """No place of any command makes it fail."""
    for command in words(""):
        for option in [*words(command, "--"), ""]:
            assert isinstance(words(command, option, ""), list)


SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "source <(dicom-actors completion bash)"),
    "zsh": (
        ("zsh", "-f", "-i"),
        "autoload -U compinit && compinit -u -D; source <(dicom-actors completion zsh)",
    ),
    "fish": (("fish", "--no-config", "-i"), "dicom-actors completion fish | source"),
}
"""How each is started, and what its users put into its configuration."""

TYPED = {
    "dicom-actors sto\t pacs": ["store", "pacs"],
    "dicom-actors echo pa\t": ["echo", "pacs"],
    "dicom-actors find pacs PatientNam\tX": ["find", "pacs", "PatientName=X"],
    "dicom-actors find --level SE\t pacs": ["find", "--level", "SERIES", "pacs"],
    "dicom-actors store pacs file-to\t": ["store", "pacs", "file-to-send.dcm"],
    "dicom-actors get pacs --output fold\t": ["get", "pacs", "--output", "folder-to-fill"],
    "dicom-actors dump file-to\t --filter PatientNam\t": [
        *("dump", "file-to-send.dcm", "--filter", "PatientName"),
    ],
}
"""What is typed, with the key TAB, and what the command gets."""

PROGRAM = """#!/bin/sh
case "$1" in
    completion | --complete) exec "{python}" -m dicom_actors "$@" ;;
esac
for word; do printf '%s\\n' "$word"; done > called
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_key_tab_in_a_shell(shell: str, tmp_path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not there; the command of the README installs it")
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "dicom-actors"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "file-to-send.dcm").touch()
    (tmp_path / "folder-to-fill").mkdir()
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command, setting = SHELLS[shell]
    with Terminal(program=command, width=200, environment=environment, folder=tmp_path) as terminal:
        for number, line in enumerate((setting, *TYPED)):
            terminal.press(f"{line}\n")
            terminal.press(f"echo do''ne-{number}.\n")
            terminal.wait_for(f"done-{number}.")
            if line != setting:
                called = (tmp_path / "called").read_text().splitlines()
                # zsh takes the slash of a folder away again.
                assert [word.rstrip("/") for word in called] == TYPED[line], line
                (tmp_path / "called").unlink()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_calls_us_with_the_words(shell: str, command) -> None:
    done = command("completion", shell)
    assert (done.code, done.errors) == (0, [])
    assert any("--complete" in line for line in done.lines)
    assert command("--complete", "echo", "p").lines == []  # no configuration file there
