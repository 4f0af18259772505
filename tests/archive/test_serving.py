"""``dicom-actors serve`` as an archive in a process of its own, with DCMTK's programs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from kit.dcmtk import run, storescu
from kit.file_systems import read_only
from kit.other_user import BECOME, as_nobody
from kit.serving import serving
from kit.waiting import until
from pydicom.data import get_testdata_file

from dicom_actors import read_file
from dicom_actors.cli.main import main

pytestmark = pytest.mark.interop

CT, MR = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))
SOON = ("--set", "archive.journal_seconds=0.05")


def placed(store):
    """The files in their places."""
    return list(store.glob("[0-9]*/*/*.dcm"))


def test_five_lines_from_nothing_to_files(tmp_path, capsys, index_place):
    store = tmp_path / "archive"
    sent = read_file(CT)
    where = ["--store", str(store), *index_place.words(store)]
    with serving(*where) as server:
        assert run("echoscu", "127.0.0.1", server.port).returncode == 0
        assert storescu(server.port, CT).returncode == 0
        keys = (
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            "PatientName=comp*",
            "-k",
            "StudyInstanceUID",
        )
        found = run("findscu", "-S", *keys, "127.0.0.1", server.port)
        assert str(sent.StudyInstanceUID) in found.stdout + found.stderr
        out = tmp_path / "got"
        out.mkdir()
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={sent.StudyInstanceUID}")
        result = run("getscu", "-S", *keys, "-od", out, "127.0.0.1", server.port)
        assert result.returncode == 0, result.stderr
        (got,) = out.iterdir()
        assert read_file(got).PixelData == sent.PixelData
        assert main(["archive", "verify", *where]) == 0
        assert main(["archive", "delete", f"PatientID={sent.PatientID}", *where]) == 0
        assert storescu(server.port, CT).returncode == 0
        assert server.stop() == 0
    assert "instances 1" in capsys.readouterr().out
    (path,) = placed(store)
    assert path == store.joinpath(
        sent.StudyInstanceUID, sent.SeriesInstanceUID, f"{sent.SOPInstanceUID}.dcm"
    )
    assert main(["archive", "stats", *where]) == 0


@pytest.mark.index_in_folder  # there is none
def test_settings_come_from_a_file_and_are_shown(tmp_path, capsys):
    config = tmp_path / "archive.toml"
    config.write_text(
        '[serve]\nport = 11112\nstore = "kept"\n[archive]\nduplicates = "replace"\n'
        '[peers.pacs]\naddress = "PACS@127.0.0.1:104"\n'
    )
    assert main(["serve", "--config", str(config), "--show-config", "--durability", "os"]) == 0
    shown = capsys.readouterr().out
    assert f'store = "{tmp_path / "kept"}"' in shown
    assert "port = 11112" in shown
    assert 'duplicates = "replace"' in shown
    assert 'durability = "os"' in shown
    assert "C-MOVE may send to PACS, 127.0.0.1:104" in shown
    # What is shown is a file that can be read again.
    again = tmp_path / "again.toml"
    again.write_text(shown)
    assert main(["serve", "--config", str(again), "--check-config"]) == 0
    for text, message in (
        ("[archive]\ngroup = 0\n", "group: expected a whole number"),
        ("[archive]\nlayuot = 1\n", "got layuot"),
        ("[serve]\nport = true\n", "port: expected a whole number, got True"),
    ):
        config.write_text(text)
        assert main(["serve", "--config", str(config), "--check-config"]) == 2
        assert message in capsys.readouterr().err


# --- a disk, a folder and rights that come and go while it runs ---------------------------------


def sent(server, path):
    """The line that DCMTK prints of the response."""
    output = storescu(server.port, path, options=("-v",)).stderr
    return re.search(r"Received Store Response \((.*)\)", output)[1]


def test_a_folder_that_is_read_only_for_a_while(tmp_path, index_place):
    store = tmp_path / "archive"
    with serving("--store", str(store), *index_place.words(store), *SOON) as server:
        assert sent(server, CT) == "Success"
        until(lambda: placed(store) and not list(store.glob("journal/**/*.journal")))
        with read_only(store), read_only(store / "journal"):
            assert sent(server, MR) == "Refused: OutOfResources"
            assert sent(server, CT) == "Success"  # it is there
            server.wait_for("C-STORE was answered A700H (out of resources): ")
            assert re.search("an object is refused: .*(Read-only|denied)", server.output)
        assert sent(server, MR) == "Success"
        assert server.stop() == 0
    assert len(placed(store)) == 2


def test_a_folder_that_is_gone_for_a_while(tmp_path, index_place):
    store, away = tmp_path / "archive", tmp_path / "away"
    with serving("--store", str(store), *index_place.words(store), *SOON) as server:
        assert sent(server, CT) == "Success"
        until(lambda: placed(store) and not list(store.glob("journal/**/*.journal")))
        store.rename(away)
        assert sent(server, MR) == "Refused: OutOfResources"
        server.wait_for("C-STORE was answered A700H (out of resources): ")
        assert re.search("an object is refused: .*(No such file|is gone|reached)", server.output)
        assert not store.exists()
        away.rename(store)
        assert sent(server, MR) == "Success"
        assert server.stop() == 0
    assert len(placed(store)) == 2


@pytest.mark.index_in_folder  # whose rights are a part of it
def test_what_another_user_may_not_is_said():
    # Below the system's folder: that of the test is for its owner alone.
    with tempfile.TemporaryDirectory() as name:
        above, store = Path(name), Path(name, "archive")
        above.chmod(0o555)
        assert refusal(store) == f"objects cannot be kept in {store}: Permission denied"
        above.chmod(0o755)
        with serving("--store", str(store)) as server:
            assert sent(server, CT) == "Success"
            assert server.stop() == 0
        store.chmod(0o555)
        assert refusal(store) == f"objects cannot be kept in {store}: Permission denied"
        for folder in (store, store / "incoming", store / "journal"):
            folder.chmod(0o777)
        (store / "archive.lock").chmod(0o444)
        assert refusal(store) == f"{store}/archive.lock: Permission denied"
        (store / "archive.lock").chmod(0o666)
        (store / "index.sqlite").chmod(0o444)
        assert "index.sqlite: it cannot be written, by this user" in refusal(store)
        stats = as_nobody("archive", "stats", "--store", str(store))
        assert stats.returncode == 1
        assert "index.sqlite: it cannot be written" in stats.stderr
        (store / "index.sqlite").chmod(0o666)
        (store / "journal").chmod(0o555)
        with serving("--store", str(store), before=BECOME) as server:
            assert sent(server, CT) == "Success"
            assert sent(server, MR) == "Refused: OutOfResources"
            server.wait_for("C-STORE was answered A700H (out of resources): Permission denied")
            assert re.search(r"refused: .*Permission denied: 'journal/\d+\.journal'", server.output)
            (store / "journal").chmod(0o777)
            assert sent(server, MR) == "Success"
            assert server.stop() == 0
        assert len(placed(store)) == 2


def refusal(store):
    """What ``serve`` says when it does not start."""
    refused = as_nobody(
        "serve", "--host", "127.0.0.1", "--port", "0", "--no-web", "--store", str(store)
    )
    assert refused.returncode == 1, refused
    (line,) = refused.stderr.splitlines()
    return line.removeprefix("dicom-actors: ")
