"""Orthanc as a user of our endpoint, and as a provider of what reports back to it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from kit.endpoints import LIMIT, Running, running
from kit.orthanc import Orthanc, orthanc
from kit.scp import LIMIT as SLOW
from kit.waiting import until
from pydicom.data import get_testdata_file
from services.commitment import Commitments, Reporter, StorageCommitment
from services.worklist import Worklist

from dicom_actors import DataSet, MoveTo, Status, connect, events, read_file, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))
STUDY = "1.2.3.77"


@pytest.fixture
def study(tmp_path: Path) -> list[Path]:
    """A study of four CT images."""
    paths = []
    data_set = read_file(CT)
    data_set.StudyInstanceUID = STUDY
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.PatientName = "Müller^Jörg"
    del data_set["DataSetTrailingPadding"]
    for number in range(1, 5):
        data_set.SOPInstanceUID = f"{STUDY}.{number}"
        path = tmp_path / f"{number}.dcm"
        write_file(path, data_set)
        paths.append(path)
    return paths


@contextlib.contextmanager
def orthanc_with(folder: Path, endpoint: Running, **settings: Any) -> Iterator[Orthanc]:
    """Run Orthanc; it knows the endpoint as ``us``."""
    place = folder / "orthanc"
    place.mkdir()
    us = {"AET": "TEST", "Host": "127.0.0.1", "Port": endpoint.port}
    with orthanc(place, DicomModalities={"us": us}, **settings) as server:
        yield server


class Archive:
    """The handlers of a small archive."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.orthanc_port = 0
        self.destinations: list[str] = []

    @property
    def handlers(self) -> dict[str, Any]:
        return {"cfind": self.find, "cmove": self.move}

    def find(self, event: Any) -> Any:
        first = read_file(self.paths[0])
        if event.level == "STUDY":
            return event.query.select([first])
        return event.query.select(map(read_file, self.paths))

    def move(self, event: Any) -> MoveTo | Status:
        self.destinations.append(event.destination)
        if event.destination != "ORTHANC":
            return Status.MOVE_DESTINATION_UNKNOWN
        wanted = event.dataset.get("SOPInstanceUID")
        paths = [p for p in self.paths if wanted in {None, "", read_file(p).SOPInstanceUID}]
        return MoveTo("127.0.0.1", self.orthanc_port, "ORTHANC", paths)


def test_orthanc_echoes_finds_and_moves(tmp_path: Path, study: list[Path]) -> None:
    archive = Archive(study)
    with (
        running(archive.handlers) as endpoint,
        orthanc_with(tmp_path, endpoint) as server,
    ):
        archive.orthanc_port = server.dicom_port
        server.request("POST", "/modalities/us/echo", {})

        query = {"Level": "Study", "Query": {"PatientName": "müller*", "StudyInstanceUID": ""}}
        path = server.request("POST", "/modalities/us/query", query)["Path"]
        assert server.request("GET", f"{path}/answers") == ["0"]
        found = server.request("GET", f"{path}/answers/0/content?simplify")
        assert found["StudyInstanceUID"] == STUDY
        assert found["PatientName"] == "Müller^Jörg"
        server.request("POST", f"{path}/answers/0/retrieve", b"ORTHANC")
        assert len(server.request("GET", "/instances")) == 4

        for one in server.request("GET", "/instances"):
            server.request("DELETE", f"/instances/{one}")
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": STUDY, "SOPInstanceUID": ""}}
        path = server.request("POST", "/modalities/us/query", query)["Path"]
        assert server.request("GET", f"{path}/answers") == ["0", "1", "2", "3"]
        server.request("POST", f"{path}/answers/2/retrieve", b"ORTHANC")
        (one,) = server.request("GET", "/instances")
        found = server.request("GET", f"/instances/{one}/simplified-tags")
        assert found["SOPInstanceUID"] == f"{STUDY}.3"
        server.request("POST", f"{path}/retrieve", b"ORTHANC")
        assert len(server.request("GET", "/instances")) == 4
    assert set(archive.destinations) == {"ORTHANC"}


def test_orthanc_is_told_of_a_move_that_cannot_be(tmp_path: Path, study: list[Path]) -> None:
    archive = Archive(study)
    with (
        running(archive.handlers) as endpoint,
        orthanc_with(tmp_path, endpoint) as server,
    ):
        archive.orthanc_port = server.dicom_port
        query = {"Level": "Study", "Query": {"StudyInstanceUID": STUDY}}
        path = server.request("POST", "/modalities/us/query", query)["Path"]
        with pytest.raises(HTTPError, match="HTTP Error 500"):
            server.request("POST", f"{path}/answers/0/retrieve", b"NOBODY")
        assert archive.destinations == ["NOBODY"]
        assert server.request("GET", "/instances") == []


def test_orthanc_asks_for_a_worklist(tmp_path: Path) -> None:
    def item(number: int, name: str, modality: str) -> DataSet:
        return DataSet.from_keywords(
            SpecificCharacterSet="ISO_IR 192",
            PatientName=name,
            PatientID=str(number),
            AccessionNumber=f"A{number}",
            ScheduledProcedureStepSequence=[
                DataSet.from_keywords(
                    ScheduledProcedureStepID=f"S{number}",
                    ScheduledProcedureStepStartDate="20240102",
                    Modality=modality,
                )
            ],
        )

    worklist = Worklist([item(1, "Doe^Jane", "CT"), item(2, "Müller^Jörg", "CT"),
                         item(3, "Roe^Richard", "MR")])  # fmt: skip
    with (
        running(worklist.event_handlers) as endpoint,
        orthanc_with(tmp_path, endpoint) as server,
    ):
        query = {
            "PatientName": "",
            "PatientID": "",
            "ScheduledProcedureStepSequence": [
                {"Modality": "CT", "ScheduledProcedureStepStartDate": "20240101-20240131"}
            ],
        }
        answers = server.request("POST", "/modalities/us/find-worklist?simplify", query)
    assert sorted(json.dumps(answer).count("CT") for answer in answers) == [1, 1]


def test_orthanc_asks_for_storage_commitment(tmp_path: Path, study: list[Path]) -> None:
    kept = {str(read_file(path).SOPInstanceUID): read_file(path).SOPClassUID for path in study[:3]}
    reporter = Reporter.start(kept.get, calling="TEST")
    try:
        peers: dict[str, tuple[str, int]] = {}
        service = StorageCommitment(reporter, peers)
        with (
            running(service.event_handlers) as endpoint,
            orthanc_with(tmp_path, endpoint) as server,
        ):
            peers["ORTHANC"] = ("127.0.0.1", server.dicom_port)
            for wanted, status in ((study[:3], "Success"), (study, "Failure")):
                instances = [
                    {"SOPClassUID": ds.SOPClassUID, "SOPInstanceUID": ds.SOPInstanceUID}
                    for ds in map(read_file, wanted)
                ]
                path = server.request(
                    "POST", "/modalities/us/storage-commitment", {"DicomInstances": instances}
                )["Path"]
                report = reported(server, path)
                assert report["Status"] == status
                assert {one["SOPInstanceUID"] for one in report["Success"]} == set(kept)
                failed = [one["SOPInstanceUID"] for one in report["Failures"]]
                assert failed == [f"{STUDY}.4"] * (status == "Failure")
    finally:
        reporter.stop(timeout=LIMIT)


def reported(server: Orthanc, path: str) -> Any:
    """The report of a storage commitment, as soon as Orthanc has it."""
    found: list[Any] = []

    def is_there() -> bool:
        found[:] = [server.request("GET", path)]
        return bool(found[0]["Status"] != "Pending")

    until(is_there)
    return found[0]


def test_orthanc_reports_what_it_keeps(tmp_path: Path, study: list[Path]) -> None:
    commitments = Commitments()
    with (
        running(commitments.event_handlers) as endpoint,
        orthanc_with(tmp_path, endpoint) as server,
    ):
        with connect(
            "127.0.0.1", server.dicom_port, called="ORTHANC", calling="TEST"
        ) as association:
            assert {result.status for result in association.store_many(study[:3])} == {0}
            references = {
                str(ds.SOPInstanceUID): str(ds.SOPClassUID) for ds in map(read_file, study)
            }
            transaction = commitments.ask(association, references)
            found = commitments.wait(transaction, SLOW)
            assert found.kept == {f"{STUDY}.{number}" for number in (1, 2, 3)}
            assert found.failed == {f"{STUDY}.4": Status.NO_SUCH_SOP_INSTANCE}
            del references[f"{STUDY}.4"]
            found = commitments.wait(commitments.ask(association, references), SLOW)
            assert found == (frozenset(references), {})
        # Orthanc asked for an association of its own each time.
        closed = endpoint.wait_for(events.AssociationClosed, 2)
        assert {one.association.calling_ae_title for one in closed} == {"ORTHANC"}
        assert {one.reason for one in closed} == {"released"}
