"""Chosen values of files, and which files there are."""

from __future__ import annotations

import os
import pickle

import pytest

from dicom_actors.data import DataSet, write_file
from dicom_actors.data.files.file_values import ValueReader, files_below
from dicom_actors.errors import DecodeError, ElementNotFoundError, NotPart10Error

CT = "1.2.840.10008.5.1.4.1.1.2"


def test_files_come_by_name_those_of_a_folder_before_its_subfolders(tmp_path):
    for name in ("b/2", "b/1", "a/c/1", "z", "a/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert names == ["z", "a/y", "a/c/1", "b/1", "b/2"]


def test_only_regular_files(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert [path.name for path in files_below(tmp_path)] == ["file", "link"]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(files_below(tmp_path / "absent"))


def test_a_subfolder_that_cannot_be_listed_is_not_lost(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "file").write_bytes(b"")
    scandir = os.scandir

    def refuse(path):
        if path == tmp_path / "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    paths = list(files_below(tmp_path))
    assert [path.name for path in paths] == ["file", "closed"]
    assert isinstance(ValueReader.of(["PatientID"]).read(paths[1]), OSError)


@pytest.fixture
def file(tmp_path):
    ds = DataSet.from_keywords(
        SOPClassUID=CT,
        SOPInstanceUID="1.2.3",
        PatientName="Müller^Jörg",
        PatientID="",
        PixelSpacing=["0.50", "0.5"],
        SpecificCharacterSet="ISO_IR 100",
        PixelData=b"\x01\x02\x03\x04",
        BeamSequence=[{"BeamName": "größer"}],
    )
    write_file(tmp_path / "x.dcm", ds)
    return tmp_path / "x.dcm"


def test_values_by_the_keys_asked_for(file):
    keys = ["PatientName", 0x00280030, "PatientID", "Rows", (0x7FE0, 0x10), "TransferSyntaxUID"]
    values = ValueReader.of(keys).read(file)
    assert values == {
        "PatientName": "Müller^Jörg",
        0x00280030: [0.5, 0.5],
        "PatientID": None,
        (0x7FE0, 0x10): b"\x01\x02\x03\x04",
        "TransferSyntaxUID": "1.2.840.10008.1.2.1",
    }
    assert list(values) == [key for key in keys if key != "Rows"]


def test_values_go_to_another_process(file):
    values = ValueReader.of(["PatientName", "PixelSpacing", "PixelData", "BeamSequence"]).read(file)
    sent = pickle.loads(pickle.dumps(values))
    assert sent == values
    assert sent["PixelSpacing"][0].text == "0.50"
    assert sent["BeamSequence"][0].BeamName == "größer"


def test_what_cannot_be_read_is_an_error_that_goes_to_another_process(file, tmp_path):
    (tmp_path / "no").write_bytes(b"this is no DICOM file, whatever its name says")
    (tmp_path / "cut").write_bytes(file.read_bytes()[:200])
    reader = ValueReader.of(["PixelData"])
    paths = [tmp_path / name for name in ("no", "cut", "absent", "x.dcm")]
    errors = pickle.loads(pickle.dumps(reader.read_all(paths)))
    assert [type(error) for error in errors[:3]] == [NotPart10Error, DecodeError, FileNotFoundError]
    assert errors[1].tag >> 16 == 0x0002
    assert errors[3] == {"PixelData": b"\x01\x02\x03\x04"}


def test_an_unknown_keyword_is_told_at_once():
    with pytest.raises(ElementNotFoundError, match="PatientsName"):
        ValueReader.of(["PatientID", "PatientsName"])
