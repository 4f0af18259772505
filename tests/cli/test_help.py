"""The help of all commands: complete, with examples that are true, and quick."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from dicom_actors.cli.completion import candidates
from dicom_actors.cli.parser import build_parser, parse_arguments

COMMANDS = [word for word, _ in candidates(build_parser(), [""])]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_that_fits_a_terminal(name: str, command) -> None:
    done = command(name, "--help")
    assert (done.code, done.errors) == (0, [])
    assert done.lines[0].startswith(f"usage: dicom-actors {name} ")
    assert all(len(line) <= 100 for line in done.lines)


@pytest.mark.parametrize("name", ["serve", "echo", "store", "find", "get", "move", "dump", "json"])
def test_examples_are_arguments_that_are_right(name: str, command) -> None:
    text = "\n".join(command(name, "--help").lines).partition("examples:")[2]
    examples = re.findall(rf"dicom-actors ({name} .*)", text)
    assert examples
    for example in examples:
        words = shlex.split(example.partition("    ")[0])
        assert parse_arguments(build_parser(), words).run, example


def test_help_loads_neither_the_network_nor_data_sets() -> None:
    code = (
        "import sys\n"
        "from dicom_actors.cli.main import main\n"
        "try:\n    main(['find', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'pykka', 'rich', 'ssl', 'tomllib', 'dicom_actors.data', 'dicom_actors.scu'}\n"
        "print(*(heavy & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == ""
    assert "usage: dicom-actors find" in done.stdout


def test_the_exit_codes_are_told(command) -> None:
    text = "\n".join(command("--help").lines)
    assert "Exit codes: 0 all went well, 1 something failed" in text
    assert "130 interrupted" in text
