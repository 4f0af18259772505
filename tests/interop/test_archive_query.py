"""An archive's queries and retrieval, by DCMTK's users, pynetdicom and Orthanc."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.dcmtk import run
from kit.endpoints import running
from kit.orthanc import orthanc
from kit.pynetdicom_user import associate
from kit.scp import storescp
from kit.small_archive import SmallArchive
from kit.stored_instances import data_set
from kit.waiting import until
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_actors import read_file
from dicom_actors.archive.services import Peer, QueryRetrieve, combined

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

LOCAL = "127.0.0.1"
STUDY = ("-k", "StudyInstanceUID=1.2.1.1")
SERIES = ("-k", "SeriesInstanceUID=1.2.1.1.2")
IMAGE = ("-k", "SOPInstanceUID=1.2.1.1.2.1")
PATIENT = ("-k", "PatientID=P1")
# Model, level, the unique keys above, how many there are at that level and below.
LEVELS = [
    ("-P", "PATIENT", (), PATIENT, 2, 8),
    ("-P", "STUDY", PATIENT, STUDY, 2, 4),
    ("-P", "SERIES", PATIENT + STUDY, SERIES, 2, 2),
    ("-P", "IMAGE", PATIENT + STUDY + SERIES, IMAGE, 2, 1),
    ("-S", "STUDY", (), STUDY, 4, 4),
    ("-S", "SERIES", STUDY, SERIES, 2, 2),
    ("-S", "IMAGE", STUDY + SERIES, IMAGE, 2, 1),
]
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    """Two patients of two studies of two series of two instances."""
    archive = SmallArchive(tmp_path / "archive")
    archive.add(
        *(data_set(*one) for one in itertools.product((1, 2), (1, 2), (1, 2), (1, 2))),
    )
    yield archive
    archive.close()


@pytest.fixture
def peers() -> dict[str, Peer]:
    return {}


@pytest.fixture
def port(archive: SmallArchive, peers: dict[str, Peer]) -> Iterator[int]:
    with running(combined([QueryRetrieve(archive, peers)])) as endpoint:
        yield endpoint.port


@pytest.mark.parametrize(("model", "level", "above", "unique", "count", "below"), LEVELS)
def test_findscu_finds_at_every_level(port, model, level, above, unique, count, below):
    keys = (*above, "-k", f"QueryRetrieveLevel={level}", "-k", UNIQUE[level])
    done = run("findscu", "-v", model, *keys, "-aec", "TEST", LOCAL, port)

    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert len(re.findall(r"Find Response: \d+ \(Pending\)", output)) == count, output
    assert "(0008,0054) AE [TEST" in output
    assert output.count(f"(0008,0052) CS [{level}") == count + 1  # the query's own


@pytest.mark.parametrize(("model", "level", "above", "unique", "count", "below"), LEVELS)
def test_getscu_gets_at_every_level(port, tmp_path, model, level, above, unique, count, below):
    folder = tmp_path / "got"
    folder.mkdir()
    keys = (*above, *unique, "-k", f"QueryRetrieveLevel={level}")
    done = run("getscu", model, *keys, "-od", folder, "-aec", "TEST", LOCAL, port)

    assert done.returncode == 0, done.stderr
    assert len(list(folder.iterdir())) == below


@pytest.mark.parametrize(("model", "level", "above", "unique", "count", "below"), LEVELS)
def test_movescu_moves_at_every_level(
    port, peers, tmp_path, model, level, above, unique, count, below
):
    folder = tmp_path / "moved"
    folder.mkdir()
    keys = (*above, *unique, "-k", f"QueryRetrieveLevel={level}")
    with storescp(folder) as destination:
        peers["THERE"] = Peer(LOCAL, destination)
        done = run("movescu", model, *keys, "-aem", "THERE", "-aec", "TEST", LOCAL, port)

    assert done.returncode == 0, done.stderr
    assert len(list(folder.iterdir())) == below


def test_findscu_finds_names_beyond_ascii(port, archive):
    archive.add(data_set(9, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100"))
    for key in ("muller*", "M*LLER^J*"):
        done = run(
            *("findscu", "-v", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"PatientName={key}"),
            *("-k", "StudyInstanceUID", "-aec", "TEST", LOCAL, port),
        )
        assert "1.2.9.1" in done.stdout + done.stderr


def test_compressed_objects_go_out_in_their_own_transfer_syntax(port, archive, peers, tmp_path):
    original = read_file(str(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm")))
    syntax = original.transfer_syntax
    assert syntax is not None
    archive.add(original, transfer_syntax=syntax.uid)
    folder = tmp_path / "moved"
    folder.mkdir()
    keys = ("-k", f"StudyInstanceUID={original.StudyInstanceUID}", "-k", "QueryRetrieveLevel=STUDY")
    with storescp(folder, "+xa") as destination:
        peers["THERE"] = Peer(LOCAL, destination)
        done = run("movescu", "-S", *keys, "-aem", "THERE", "-aec", "TEST", LOCAL, port)

    assert done.returncode == 0, done.stderr
    (moved,) = folder.iterdir()
    found = pydicom.dcmread(moved)
    assert str(found.file_meta.TransferSyntaxUID) == syntax.uid
    assert found.PixelData == pydicom.dcmread(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm")).PixelData


@pytest.mark.parametrize(
    ("model", "level", "above", "count"),
    [
        (PatientRootQueryRetrieveInformationModelFind, "PATIENT", {}, 2),
        (PatientRootQueryRetrieveInformationModelFind, "STUDY", {"PatientID": "P1"}, 2),
        (StudyRootQueryRetrieveInformationModelFind, "STUDY", {}, 4),
        (StudyRootQueryRetrieveInformationModelFind, "SERIES", {"StudyInstanceUID": "1.2.1.1"}, 2),
    ],
)
def test_pynetdicom_finds(port: int, model: Any, level: str, above: dict[str, str], count: int):
    entity = AE()
    entity.add_requested_context(model)
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = level
    setattr(identifier, UNIQUE[level], "")
    for keyword, value in above.items():
        setattr(identifier, keyword, value)
    identifier.NumberOfStudyRelatedInstances = None
    association = associate(entity, port)
    try:
        answers = list(association.send_c_find(identifier, model))
    finally:
        association.release()
    found = [(status.Status, data) for status, data in answers]
    assert [status for status, _ in found] == [0xFF01 if level == "PATIENT" else 0xFF00] * count + [
        0
    ]
    if level == "STUDY":
        assert {data.NumberOfStudyRelatedInstances for _, data in found[:-1]} == {4}


def test_orthanc_finds_and_has_moved(archive, peers, tmp_path):
    with running(combined([QueryRetrieve(archive, peers)])) as endpoint:
        place = tmp_path / "orthanc"
        place.mkdir()
        us = {"AET": "TEST", "Host": LOCAL, "Port": endpoint.port}
        with orthanc(place, DicomModalities={"us": us}) as server:
            peers["ORTHANC"] = Peer(LOCAL, server.dicom_port)
            query = {"Level": "Series", "Query": {"StudyInstanceUID": "1.2.1.1"}}
            found = server.request("POST", "/modalities/us/query", query)
            answers = server.request("GET", f"{found['Path']}/answers")
            assert len(answers) == 2
            query = {"Level": "Study", "Query": {"PatientID": "P2"}}
            found = server.request("POST", "/modalities/us/query", query)
            answers = server.request("GET", f"{found['Path']}/answers")
            assert len(answers) == 2
            server.request("POST", f"{found['Path']}/retrieve", b"ORTHANC")
            until(lambda: len(server.request("GET", "/instances")) == 8)
