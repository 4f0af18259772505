"""The command line: help, versions, errors in a line, exit codes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from pydicom.data import get_testdata_file

from dicom_actors import __version__
from dicom_actors.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

CT = str(get_testdata_file("CT_small.dcm"))


def test_dump_prints_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", CT]) == 0
    out = capsys.readouterr().out
    assert "CompressedSamples^CT1" in out
    assert "1.2.840.10008.1.2.1" in out or "Explicit VR Little Endian" in out


def test_dump_goes_on_after_a_file_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_bytes(b"this is no DICOM file, whatever its name says")
    assert main(["dump", str(tmp_path / "x"), str(tmp_path / "absent"), CT]) == 1
    out, err = capsys.readouterr()
    assert "CompressedSamples^CT1" in out
    assert len(err.splitlines()) == 2
    assert all(line.startswith("dicom-actors: ") for line in err.splitlines())


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"dicom-actors {__version__}"


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Give the line that is said of wrong arguments, with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["dump"], ["serve", "--port", "x"]])
def test_wrong_arguments_are_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(arguments, capsys)
    assert line.startswith("dicom-actors")
    assert line.endswith("--help`")


@pytest.mark.parametrize(
    "arguments",
    [
        ["dump", ""],
        ["dump", CT, "--full", ""],
        ["store", "h:1", CT, ""],
        ["table", "", "PatientID"],
        ["deidentify", "", "-o", "clean"],
        ["deidentify", CT, "-o", ""],
        ["transcode", CT, "", "--syntax", "JPEGLSLossless"],
        ["serve", "--store", ""],
        ["archive", "backup", ""],
        ["archive", "stats", "--store", ""],
    ],
    ids=" ".join,
)
def test_a_file_without_a_name_is_not_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(arguments, capsys)
    assert "expected the name of a file or a folder, got ''" in line


@pytest.mark.parametrize(
    "option", [["--tls-key", "x"], ["--tls-authorities", "x"], ["--tls-anonymous"]]
)
def test_serve_never_goes_without_tls_where_it_was_wanted(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", "0", *option]) == 2
    assert "expected --tls-certificate" in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["serve", "--host", "127.0.0.1", "--port", str(port), "--store", str(tmp_path)]
        assert main(arguments) == 1
    expected = f"dicom-actors: cannot bind to 127.0.0.1, port {port}: Address already in use\n"
    assert capsys.readouterr().err == expected


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    store = tmp_path / "file" / "store"
    assert main(["serve", "--port", "0", "--store", str(store)]) == 1
    assert capsys.readouterr().err == (
        f"dicom-actors: objects cannot be kept in {store}: Not a directory\n"
    )


def test_a_port_that_cannot_be_bound_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", "99999", "--store", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dicom-actors: ")
    assert "99999" in line


@pytest.mark.parametrize("innermost", ["archive stats", "drain"])
def test_help_is_that_of_the_innermost_command(
    innermost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*innermost.split(), "--nonsense"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dicom-actors {innermost}: unrecognized arguments: --nonsense")
    assert f"see `dicom-actors {innermost} --help`" in said
