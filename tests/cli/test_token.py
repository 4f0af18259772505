"""``dicom-actors token``."""

from __future__ import annotations

import pytest

from dicom_actors.cli.main import main
from dicom_actors.web.tokens import Tokens


def test_a_token_is_let_in_and_shown_once(tmp_path, capsys):
    path = tmp_path / "tokens.txt"
    assert main(["token", "me", "--file", str(path)]) == 0
    assert main(["token", "you", "--for", "write", "--file", str(path)]) == 0
    mine, yours = capsys.readouterr().out.split()
    assert mine not in path.read_text()
    tokens = Tokens(path)
    assert (tokens.find(mine).name, tokens.find(mine).right) == ("me", "read")
    assert (tokens.find(yours).name, tokens.find(yours).right) == ("you", "write")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_without_a_line_end_keeps_its_last_line(tmp_path, capsys):
    path = tmp_path / "tokens.txt"
    assert main(["token", "me", "--file", str(path)]) == 0
    path.write_text(path.read_text().rstrip("\n"))
    assert main(["token", "you", "--file", str(path)]) == 0
    assert len(path.read_text().splitlines()) == 2


def test_without_a_file_the_line_is_said(capsys):
    assert main(["token", "me"]) == 0
    said = capsys.readouterr()
    assert len(said.out.split()) == 1
    assert "me  " in said.err
    assert said.out.strip() not in said.err


@pytest.mark.parametrize("name", ["", "a b", "a#b", "a\x1b"])
def test_a_name_that_is_none(name, capsys):
    assert main(["token", name]) == 2
    assert "expected a name" in capsys.readouterr().err


def test_a_file_that_is_no_file_of_tokens_is_left_alone(tmp_path, capsys):
    path = tmp_path / "x"
    path.write_text("something else\n")
    assert main(["token", "me", "--file", str(path)]) == 1
    assert "line 1: expected a name and the SHA-256" in capsys.readouterr().err
    assert path.read_text() == "something else\n"
    assert main(["token", "me", "--file", str(tmp_path / "absent" / "x")]) == 1
