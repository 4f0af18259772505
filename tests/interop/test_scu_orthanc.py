"""Our user side against Orthanc, and against links that are slow."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.endpoints import running
from kit.orthanc import free_port, orthanc
from pydicom.data import get_testdata_file

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.errors import DimseFailure
from dicom_actors.scu import connect

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))
STUDY = "1.2.3.77"


@pytest.fixture
def study(tmp_path):
    """A study of six CT images and its folder."""
    folder = tmp_path / "study"
    folder.mkdir()
    data_set = read_file(CT)
    data_set.StudyInstanceUID = STUDY
    data_set.PatientName = "Müller^Jörg"
    del data_set["DataSetTrailingPadding"]
    for number in range(1, 7):
        data_set.SOPInstanceUID = f"{STUDY}.{number}"
        write_file(folder / f"{number:02}.dcm", data_set)
    return folder


def test_store_find_get_and_move(tmp_path, study) -> None:
    stored = []
    key = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY)
    names = DataSet.from_keywords(
        QueryRetrieveLevel="STUDY",
        SpecificCharacterSet="ISO_IR 100",
        PatientName="m*",
        StudyInstanceUID=None,
    )
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:
        modalities = {
            "dest": {"AET": "DEST", "Host": "127.0.0.1", "Port": endpoint.port},
            "us": {
                "AET": "DICOM_ACTORS",
                "Host": "127.0.0.1",
                "Port": free_port(),
                "AllowGet": True,
            },
        }
        with (
            orthanc(folder, DicomModalities=modalities) as server,
            connect("127.0.0.1", server.dicom_port, called="ORTHANC") as assoc,
        ):
            assoc.echo()
            assert {result.status for result in assoc.store_many(study, parallel=2)} == {0}
            assert len(server.request("GET", "/instances")) == 6

            (found,) = assoc.find(names)
            assert found.StudyInstanceUID == STUDY
            assert str(found.PatientName) == "Müller^Jörg"

            got = list(assoc.get(key))
            assert len(got) == 6
            assert read_file(study / "01.dcm").PixelData in [data_set.PixelData for data_set in got]

            moves = list(assoc.move(key, "DEST"))
            assert moves[-1].status == 0
            assert moves[-1].completed == 6
    assert sorted(stored) == [f"{STUDY}.{number}" for number in range(1, 7)]


@pytest.mark.parametrize(
    ("level", "unique", "counts"),
    [
        ("PATIENT", "PatientID", ("Studies", "Series", "Instances")),
        ("STUDY", "StudyInstanceUID", ("Series", "Instances")),
        ("SERIES", "SeriesInstanceUID", ("Instances",)),
    ],
)
def test_matches_of_a_level_are_those_of_orthanc(tmp_path, level, unique, counts) -> None:
    data_set = read_file(CT, until="PixelData")
    images = []
    for number in range(10):
        study, series = number % 5, number % 7
        data_set.PatientID = "P0" if study < 2 else "P1"
        data_set.StudyInstanceUID = f"1.2.{study}"
        data_set.SeriesInstanceUID = f"1.2.{study}.{series}"
        data_set.SOPInstanceUID = f"1.2.{study}.{series}.{number}"
        data_set.Modality = "CT" if series else "MR"
        images.append(data_set.with_transfer_syntax("ExplicitVRLittleEndian"))
    asked = [f"NumberOf{level.capitalize()}Related{each}" for each in counts]
    asked += ["ModalitiesInStudy"] if level == "STUDY" else []
    key = DataSet.from_keywords(
        QueryRetrieveLevel=level, **dict.fromkeys([unique, *asked]), PatientName="*"
    )
    folder = tmp_path / "orthanc"
    folder.mkdir()
    handlers = {"cfind": lambda event: event.query.group(images)}
    with orthanc(folder, DicomAlwaysAllowFind=True) as server, running(handlers) as endpoint:
        found = []
        for port, called in ((server.dicom_port, "ORTHANC"), (endpoint.port, "OURS")):
            with connect("127.0.0.1", port, called=called) as assoc:
                if called == "ORTHANC":
                    assert all(assoc.store_many(images))
                rows = [
                    [
                        sorted(row[k]) if isinstance(row[k], list) else row[k]
                        for k in (unique, *asked)
                    ]
                    for row in assoc.find(key, model="patient")
                ]
                found.append(sorted(rows))
    theirs, ours = found
    assert len(ours) > 1
    assert ours == theirs


def test_a_compressed_instance_comes_and_one_that_cannot_be_converted_is_told(tmp_path) -> None:
    """Orthanc has the list of failures behind the command elements of its response."""
    compressed = read_file(str(get_testdata_file("JPEG2000.dcm")))
    key = DataSet.from_keywords(
        QueryRetrieveLevel="STUDY", StudyInstanceUID=compressed.StudyInstanceUID
    )
    modalities = {"us": {"AET": "DICOM_ACTORS", "Host": "127.0.0.1", "Port": 1, "AllowGet": True}}
    with orthanc(tmp_path, DicomModalities=modalities) as server:
        with connect("127.0.0.1", server.dicom_port, called="ORTHANC") as assoc:
            assoc.store(compressed, check=True)
        with connect("127.0.0.1", server.dicom_port, called="ORTHANC") as assoc:
            (instance,) = assoc.get(key)
            assert instance.PixelData.fragments == compressed.PixelData.fragments
            retrieval = assoc.get(key, transfer_syntaxes=["ExplicitVRLittleEndian"])
            with pytest.raises(DimseFailure, match="1 failed"):
                list(retrieval)
            assert retrieval.progress is not None
            assert retrieval.progress.failed_sop_instance_uids == (compressed.SOPInstanceUID,)
            assoc.echo()
