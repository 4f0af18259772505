"""The README is true: its Python runs, and DCMTK answers as it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from kit.dcmtk import run
from pydicom.data import get_testdata_file

from dicom_actors import messages, read_file, write_file
from dicom_actors.cli.main import main

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(
    r"^```(python|sh|text)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL
)


@pytest.mark.interop
@pytest.mark.usefixtures("nothing_left")
def test_the_tour_runs_from_top_to_bottom(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    ct = read_file(str(get_testdata_file("CT_small.dcm")))
    for number, name in enumerate(("image.dcm", "a.dcm", "b.dcm", "c.dcm")):
        ct.InstanceNumber, ct.SOPInstanceUID = number, f"1.2.3.{number}"
        write_file(name, ct)
    names: dict[str, Any] = {}
    said = ""
    for kind, code in BLOCKS:
        if kind == "text":
            lines = iter(said.splitlines())
            assert all(line in lines for line in code.splitlines()), said  # in this order
        elif kind == "python":
            exec(code.replace("port=4242", "port=0"), names)
        elif "scu " in code:
            port = str(names["endpoint"].ask(messages.GetStatus()).port)
            for line in code.splitlines():
                command, _, remark = line.partition("#")
                result = run(*shlex.split(command.replace("4242", port)))
                # A handler that raises makes storescu end with an error, too.
                fails = "rejected" in remark or "failed" in remark
                assert (result.returncode != 0) == fails, (line, result.stderr)
                said = result.stdout + result.stderr
    assert not names["endpoint"].is_alive()
    stored = {path.stem for path in Path("incoming").glob("*.dcm")}
    assert stored >= {"1.2.3.0", "1.2.3.1", "1.2.3.3"}
    assert "1.2.3.2" not in stored  # whose handler crashed
    assert "the cstore handler raised" in caplog.text
    assert "STORESCU sent CT" in capsys.readouterr().out


def test_the_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(code for kind, code in BLOCKS if kind == "sh")
    commands = set(re.findall(r"dicom-actors ([\w-]+)", text))
    assert "serve" in commands
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        known = capsys.readouterr().out
        for line in text.splitlines():
            if line.startswith(f"dicom-actors {command}"):
                assert all(option in known for option in re.findall(r"--[a-z-]+", line)), line
