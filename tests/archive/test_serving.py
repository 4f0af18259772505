"""``dicom-actors serve`` as an archive in a process of its own, with DCMTK's programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.dcmtk import run, storescu
from kit.serving import serving
from pydicom.data import get_testdata_file

from dicom_actors import read_file
from dicom_actors.cli.main import main

pytestmark = pytest.mark.interop

CT = Path(str(get_testdata_file("CT_small.dcm")))


def test_five_lines_from_nothing_to_files(tmp_path, capsys):
    store = tmp_path / "archive"
    sent = read_file(CT)
    with serving("--store", str(store)) as server:
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
        assert main(["archive", "verify", "--store", str(store)]) == 0
        assert (
            main(["archive", "delete", f"PatientID={sent.PatientID}", "--store", str(store)]) == 0
        )
        assert storescu(server.port, CT).returncode == 0
        assert server.stop() == 0
    assert "instances 1" in capsys.readouterr().out
    (path,) = store.glob("*/*/*.dcm")
    assert path == store.joinpath(
        sent.StudyInstanceUID, sent.SeriesInstanceUID, f"{sent.SOPInstanceUID}.dcm"
    )
    assert main(["archive", "stats", "--store", str(store)]) == 0


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
