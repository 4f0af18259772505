"""Running the command line within the process of the tests."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from dicom_actors.cli.main import main


class Done(NamedTuple):
    """What a command came to: its exit code, the lines that it printed, and those of errors."""

    code: int
    lines: list[str]
    errors: list[str]


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run a command with no configuration file of the user's; arguments argparse refuses are 2."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def command(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return Done(code, out.splitlines(), err.splitlines())

    return command
