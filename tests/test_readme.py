"""The README is true: its Python runs, and DCMTK answers as it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from kit.dcmtk import run
from pydicom.data import get_testdata_file

from dicom_actors import messages
from dicom_actors.cli.main import main

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.interop
@pytest.mark.usefixtures("nothing_left")
def test_the_tour_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("image.dcm", "a.dcm", "b.dcm", "c.dcm"):
        shutil.copy(str(get_testdata_file("CT_small.dcm")), name)
    names: dict[str, Any] = {}
    for kind, code in BLOCKS:
        if kind == "python":
            exec(code.replace("port=4242", "port=0"), names)
        elif "scu " in code:
            port = str(names["endpoint"].ask(messages.GetStatus()).port)
            for line in code.splitlines():
                command, _, remark = line.partition("#")
                result = run(*shlex.split(command.replace("4242", port)))
                # A handler that raises makes storescu end with an error, too.
                fails = "rejected" in remark or "failed" in remark
                assert (result.returncode != 0) == fails, (line, result.stderr)
    assert not names["endpoint"].is_alive()
    assert os.listdir("incoming")
    assert "STORESCU sent CT" in capsys.readouterr().out


def test_the_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(code for kind, code in BLOCKS if kind == "sh")
    commands = set(re.findall(r"dicom-actors (\w+)", text))
    assert "serve" in commands
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        known = capsys.readouterr().out
        for line in text.splitlines():
            if line.startswith(f"dicom-actors {command}"):
                assert all(option in known for option in re.findall(r"--[a-z-]+", line)), line
