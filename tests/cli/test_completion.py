"""Completion: what may come next, and the scripts in the shells that are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_actors.cli.completion import candidates
from dicom_actors.cli.parser import build_parser
from dicom_actors.scu import MODELS

LIMIT = 60.0
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
    "bash": r"""
        source <(dicom-actors completion bash)
        complete -p dicom-actors
        attempt() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _dicom_actors
            printf '%s\n' "${COMPREPLY[*]}"
        }
        attempt dicom-actors sto
        attempt dicom-actors echo ''
        attempt dicom-actors find pacs PatientNam
        attempt dicom-actors store pacs ''
        """,
    "zsh": r"""
        autoload -U compinit && compinit -u -D
        source <(dicom-actors completion zsh)
        print -r -- "complete $_comps[dicom-actors] dicom-actors"
        """,
    "fish": r"""
        dicom-actors completion fish | source
        complete -C 'dicom-actors sto' | string split -f1 \t
        complete -C 'dicom-actors echo ' | string split -f1 \t
        complete -C 'dicom-actors find pacs PatientNam' | string split -f1 \t
        """,
}


def in_shell(shell: str, tmp_path: Path) -> list[str]:
    """Run a script in a shell that has the command on its path; give the lines it prints."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "dicom-actors"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dicom_actors "$@"\n')
    program.chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "BASH_ENV"},
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    options = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}
    done = subprocess.run(
        [shell, *options[shell], "-c", SHELLS[shell]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def test_bash(tmp_path) -> None:
    assert in_shell("bash", tmp_path) == [
        "complete -o default -F _dicom_actors dicom-actors",
        "store",
        "pacs ris",
        "PatientName=",
    ]


@pytest.mark.parametrize("shell", [name for name in ("zsh", "fish") if shutil.which(name)])
def test_other_shells_that_are_there(shell: str, tmp_path) -> None:
    expected = {
        "zsh": ["complete _dicom_actors dicom-actors"],
        "fish": ["store", "pacs", "ris", "PatientName="],
    }
    assert in_shell(shell, tmp_path) == expected[shell]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_calls_us_with_the_words(shell: str, command) -> None:
    done = command("completion", shell)
    assert (done.code, done.errors) == (0, [])
    assert any("--complete" in line for line in done.lines)
    assert command("--complete", "echo", "p").lines == []  # no configuration file there
