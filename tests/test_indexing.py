"""Chosen values of many files: whatever happens, each file comes, once and in order."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from dicom_actors import DataSet, errors, index_files, write_file

COUNT = 700


def names(results):
    return [path.name for path, _ in results]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files enough for six chunks; every hundredth is no DICOM file."""
    folder = tmp_path_factory.mktemp("many")
    write_file(
        folder / "model",
        DataSet.from_keywords(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID="1.2.3",
            PatientName="Doe^John",
            PixelSpacing=["0.50", "0.5"],
            PixelData=b"1234",
        ),
    )
    data = (folder / "model").read_bytes()
    (folder / "model").unlink()
    for number in range(COUNT):
        path = folder / str(number // 100) / f"{number:05}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data if number % 100 else b"no DICOM file, whatever it is called")
    return folder


@pytest.mark.parametrize("processes", [None, 1, 2])
def test_each_file_comes_with_its_values_or_its_error(folder, processes):
    results = list(index_files(folder, ["PatientName", "PixelSpacing"], processes=processes))
    assert names(results) == [f"{number:05}" for number in range(COUNT)]
    for number, (_, result) in enumerate(results):
        if number % 100:
            assert result == {"PatientName": "Doe^John", "PixelSpacing": [0.5, 0.5]}
            assert result["PixelSpacing"][0].text == "0.50"
        else:
            assert isinstance(result, errors.NotPart10Error)


def test_closed_early_it_leaves_no_process(folder):
    results = index_files(folder, ["PatientName"], processes=2)
    assert next(results)[0].name == "00000"
    assert multiprocessing.active_children()
    results.close()
    assert not multiprocessing.active_children()


def test_nothing_is_lost_when_a_process_is_ended(folder):
    results = index_files(folder, ["PatientName"], processes=2)
    first = [next(results)]
    for child in multiprocessing.active_children():
        child.kill()
    assert names([*first, *results]) == [f"{number:05}" for number in range(COUNT)]
    assert not multiprocessing.active_children()


def test_nothing_is_lost_when_no_process_can_be_started(folder, monkeypatch):
    class Broken(ProcessPoolExecutor):
        def submit(self, *arguments):
            raise BrokenProcessPool

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", Broken)
    results = index_files(folder, ["PatientName"], processes=2)
    assert names(results) == [f"{number:05}" for number in range(COUNT)]


def test_an_empty_folder(tmp_path):
    assert list(index_files(tmp_path, ["PatientName"], processes=2)) == []


def test_what_is_wrong_is_told_at_once(tmp_path):
    with pytest.raises(KeyError, match="PatientsName"):
        index_files(tmp_path, ["PatientsName"])
    with pytest.raises(ValueError, match="1 process or more, got 0"):
        index_files(tmp_path, ["PatientName"], processes=0)
    with pytest.raises(FileNotFoundError):
        index_files(tmp_path / "absent", ["PatientName"])


@pytest.mark.parametrize("keywords", ["PatientID", 5, None])
def test_what_is_not_several_keywords(tmp_path, keywords):
    with pytest.raises(TypeError, match=r"keywords: expected several, as in \['PatientID'\], got"):
        index_files(tmp_path, keywords)
