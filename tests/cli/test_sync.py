"""``dicom-actors sync``: what is missing is got, and nothing else; the folder is the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.endpoints import running
from kit.scp import dcmqrscp
from pydicom.data import get_testdata_file

from dicom_actors import messages
from dicom_actors.cli import connecting
from dicom_actors.cli import sync as sync_module
from dicom_actors.cli.parser import build_parser, parse_arguments
from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.errors import AssociationError

pytestmark = pytest.mark.usefixtures("nothing_left")

CT = Path(str(get_testdata_file("CT_small.dcm")))
JPEG = Path(str(get_testdata_file("JPEG-lossy.dcm")))
LIMIT = 60.0


def images(folder: Path) -> list[Path]:
    """Three series of a study, with 3, 3 and 1 images, and an image of another patient."""
    folder.mkdir()
    data_set = read_file(CT)
    paths = []
    for number in range(8):
        data_set.PatientID = "A" if number < 7 else "B"
        data_set.StudyInstanceUID = "1.2.3" if number < 7 else "1.2.4"
        data_set.SeriesInstanceUID = f"{data_set.StudyInstanceUID}.{number // 3}"
        data_set.SOPInstanceUID = f"{data_set.SeriesInstanceUID}.{number}"
        paths.append(folder / f"{number}.dcm")
        write_file(paths[-1], data_set)
    return paths


@pytest.mark.interop
def test_what_is_missing_is_got_from_dcmtk(command, tmp_path) -> None:
    images(tmp_path / "study")
    with dcmqrscp(tmp_path, "+xx") as port:
        peer = f"QRSCP@127.0.0.1:{port}"
        assert command("store", peer, tmp_path / "study", JPEG).code == 0
        output = tmp_path / "got"
        words = ("sync", peer, "PatientID=A", "--output", output)
        done = command(*words, "--dry-run")
        assert done.code == 1
        assert done.errors[0] == "7 objects in 3 series, 7 missing here"
        assert not output.exists()
        done = command(*words)
        assert (done.code, done.errors) == (0, ["7 objects in 3 series, 7 missing here"])
        assert done.lines[0].startswith(f"7 objects in {output}, ")
        done = command(*words)
        assert (done.code, done.errors) == (0, ["7 objects in 3 series, 0 missing here"])

        (output / "1.2.3" / "1.2.3.0" / "1.2.3.0.1.dcm").unlink()
        (output / "1.2.3" / "1.2.3.2" / "1.2.3.2.6.dcm").unlink()
        cut_off = output / "1.2.3" / "1.2.3.1" / "1.2.3.1.4.dcm"
        cut_off.write_bytes(cut_off.read_bytes()[:9000])
        done = command(*words, "--json")
        assert (done.code, done.errors) == (0, ["7 objects in 3 series, 3 missing here"])
        got = {json.loads(line)["sop_instance_uid"] for line in done.lines}
        assert got == {"1.2.3.0.1", "1.2.3.2.6", "1.2.3.1.4"}

        compressed = read_file(JPEG)
        done = command("sync", peer, f"PatientID={compressed.PatientID}", "--output", output)
        assert (done.code, len(done.errors)) == (0, 1)
        assert len(list(output.rglob("*.dcm"))) == 8


class Archive:
    """Answers queries and retrievals from files; ends the association at some C-GETs."""

    def __init__(self, paths: list[Path]) -> None:
        self.data_sets = [read_file(path) for path in paths]
        self.endpoint = None
        self.aborts = 0
        self.withheld: set[str] = set()
        self.gets: list[DataSet] = []

    @property
    def handlers(self):
        return {"cfind": self.find, "cget": self.get}

    def find(self, event):
        unique = {
            "STUDY": "StudyInstanceUID",
            "SERIES": "SeriesInstanceUID",
            "IMAGE": "SOPInstanceUID",
        }[event.dataset.QueryRetrieveLevel]
        seen = set()
        for match in event.query.select(self.data_sets):
            if match[unique] not in seen:
                seen.add(match[unique])
                yield match

    def get(self, event):
        self.gets.append(event.dataset)
        found = [each for each in self.data_sets if self._is_meant(each, event.dataset)]
        for number, data_set in enumerate(found):
            if number and self.aborts:
                self.aborts -= 1
                abort = messages.AbortAssociation(event.association.id)
                assert self.endpoint.ref.ask(abort, timeout=LIMIT)
            yield data_set

    def _is_meant(self, data_set: DataSet, identifier: DataSet) -> bool:
        if data_set.SOPInstanceUID in self.withheld:
            return False
        if data_set.SeriesInstanceUID != identifier.SeriesInstanceUID:
            return False
        uids = identifier.get("SOPInstanceUID")
        wanted = uids if isinstance(uids, list) else [uids]
        return uids is None or data_set.SOPInstanceUID in wanted


def test_it_goes_on_after_a_lost_association(command, tmp_path) -> None:
    archive = Archive(images(tmp_path / "study"))
    archive.aborts = 2
    output = tmp_path / "got"
    with running(archive.handlers) as archive.endpoint:
        peer = f"127.0.0.1:{archive.endpoint.port}"
        done = command("sync", peer, "PatientID=A", "--output", output)
    assert done.code == 0
    assert len(list(output.rglob("*.dcm"))) == 7
    assert sum(line.endswith("; once more") for line in done.errors) == 2
    assert done.lines[-1].startswith("7 objects in ")


def test_what_the_peer_keeps_back_is_told(command, tmp_path) -> None:
    archive = Archive(images(tmp_path / "study"))
    archive.withheld = {"1.2.3.1.4"}
    output = tmp_path / "got"
    with running(archive.handlers) as archive.endpoint:
        peer = f"127.0.0.1:{archive.endpoint.port}"
        done = command("sync", peer, "PatientID=A", "--output", output, "--json")
        assert done.code == 1
        assert done.errors[-1] == "dicom-actors: 1.2.3.1.4: missing"
        assert json.loads(done.lines[-1]) == {
            "path": None,
            "sop_instance_uid": "1.2.3.1.4",
            "bytes": None,
        }
        archive.gets.clear()
        assert command("sync", peer, "PatientID=A", "--output", output).code == 1
    (wanted,) = archive.gets
    assert wanted.SOPInstanceUID == "1.2.3.1.4"


def test_attempts_end(monkeypatch, tmp_path, capsys) -> None:
    def refuse(*_, **__):
        raise AssociationError("nobody is there")

    monkeypatch.setattr(connecting, "connect", refuse)
    words = ["sync", "h:1", "PatientID=A", "--output", str(tmp_path), "--retries", "4"]
    options = parse_arguments(build_parser(), words)
    pauses: list[float] = []
    with pytest.raises(AssociationError, match="nobody is there"):
        sync_module.sync(options, pauses.append)
    assert pauses == [1, 2, 4]
    assert capsys.readouterr().out.startswith("0 objects in ")
