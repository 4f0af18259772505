"""``store``, ``find`` and ``get`` with peers that are asked by HTTP: ours, and Orthanc."""

from __future__ import annotations

import json

import pytest
from kit.orthanc import orthanc
from web.serving import file_of, image, served

from dicom_actors import read_file
from dicom_actors.cli.main import main
from dicom_actors.web import WebSettings
from dicom_actors.web.tokens import Tokens, new_token

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
OBJECTS = [image(1), image(2), image(1, study="1.2.4", PatientName="Roe^Jane", PatientID="P2")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files to be stored."""
    folder = tmp_path_factory.mktemp("files")
    for number, one in enumerate(OBJECTS):
        (folder / f"{number}.dcm").write_bytes(file_of(one))
    return folder


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    settings = WebSettings(drain_timeout=1.0)
    with served(tmp_path_factory.mktemp("archive"), settings=settings) as (plain, _):
        yield f"http://127.0.0.1:{plain.port}"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    with orthanc(tmp_path_factory.mktemp("orthanc"), Plugins=[PLUGIN]) as server:
        yield f"http://127.0.0.1:{server._http_port}/dicom-web"


@pytest.fixture(params=["ours", pytest.param("theirs", marks=pytest.mark.interop)])
def url(request):
    return request.getfixturevalue(request.param)


def test_what_is_stored_is_found_and_got(url, folder, tmp_path, capsys):
    assert main(["store", url, str(folder)]) == 0
    assert "3 objects stored" in capsys.readouterr().out

    assert main(["find", url, "PatientName=Roe*", "StudyInstanceUID", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["0020000D"]["Value"] == ["1.2.4"]

    assert main(["find", url, "--level", "SERIES", "StudyInstanceUID=1.2.3", "--csv"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert "StudyInstanceUID" in heading
    assert len(rows) == 1

    assert main(["get", url, "StudyInstanceUID=1.2.3", "--output", str(tmp_path)]) == 0
    assert "2 objects" in capsys.readouterr().out
    for one in OBJECTS[:2]:
        path = tmp_path / "1.2.3" / "1.2.3.1" / f"{one.SOPInstanceUID}.dcm"
        assert read_file(path)["PixelData"] == one["PixelData"]

    keys = ["StudyInstanceUID=1.2.3", "SeriesInstanceUID=1.2.3.1", "SOPInstanceUID=1.2.3.1.2"]
    output = str(tmp_path / "one")
    assert main(["get", url, "--level", "IMAGE", *keys, "--output", output, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["sop_instance_uid"] == "1.2.3.1.2"


def test_rows_of_the_last_table_are_got(ours, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["store", ours, str(folder)]) == 0
    assert main(["find", ours, "PatientID=P2"]) == 0
    assert main(["get", ours + "/", "1", "--output", str(tmp_path / "got")]) == 0
    assert "1 object in" in capsys.readouterr().out


def test_what_fails_is_said_and_the_exit_code_is_1(ours, folder, tmp_path, capsys):
    other = tmp_path / "other.dcm"
    other.write_bytes(file_of(image(1, PatientComments="not the same")))
    text = tmp_path / "a.txt"
    text.write_text("no DICOM at all" * 40)
    assert main(["store", ours, str(folder)]) == 0
    capsys.readouterr()
    assert main(["store", ours, str(other), str(text), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stored"] for line in lines] == [False, False]
    assert [line["status"] is None for line in lines] == [False, True]


def test_a_named_peer_with_a_token(folder, tmp_path, capsys):
    token, line = new_token("me", "write")
    (tmp_path / "tokens").write_text(line)
    (tmp_path / "me.token").write_text(f"{token}\n")
    tokens = Tokens(tmp_path / "tokens")
    with served(tmp_path / "archive", tokens=tokens) as (plain, _):
        config = tmp_path / "peers.toml"
        config.write_text(
            f'[peers.web]\naddress = "http://127.0.0.1:{plain.port}"\ntoken_file = "me.token"\n'
        )
        named = ["--config", str(config)]
        assert main(["store", "web", str(folder), *named]) == 0
        assert main(["find", "web", "--json", *named]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert main(["find", f"http://127.0.0.1:{plain.port}"]) == 1
        assert "401, expected a token" in capsys.readouterr().err
        assert main(["peers", *named]) == 0
        assert f"http://127.0.0.1:{plain.port}/dicom-web" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["echo"],
        ["move", "--destination", "X", "StudyInstanceUID=1"],
        ["sync", "StudyInstanceUID=1"],
    ],
)
def test_what_there_is_by_dimse_alone(words, capsys):
    command, *rest = words
    assert main([command, "http://127.0.0.1:1", *rest]) == 2
    assert "by HTTP there are store, find and get" in capsys.readouterr().err


def test_levels_that_dicomweb_has_not(capsys):
    assert main(["find", "http://127.0.0.1:1", "--level", "PATIENT"]) == 2
    assert "expected the level STUDY, SERIES or IMAGE" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://", "https://h:99999", "http://u@h/", "http://h/?a=b"])
def test_addresses_that_are_none(url, capsys):
    assert main(["find", url]) == 2
    assert "peer: " in capsys.readouterr().err
