"""C-MOVE from our endpoint: DCMTK and pynetdicom ask for it, and are where instances go."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.dcmtk import run
from kit.endpoints import running
from kit.mover import Mover, instance, uids
from kit.pynetdicom_user import associate
from kit.scp import dcmqrscp, free_port, pynetdicom_scp, storescp, wait_for_port
from pydicom.data import get_testdata_file
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_actors import DataSet, MoveTo, Status, connect
from dicom_actors.scu import MoveProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

LOCAL = "127.0.0.1"
_PADDING = 0xFFFCFFFC
FILES = [
    Path(str(get_testdata_file(name)))
    for name in (
        "CT_small.dcm",
        "MR_small.dcm",
        "JPEG2000.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "US1_J2KR.dcm",
    )
]
QUERY = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")
IDENTIFIER = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")


def movescu(port: int, *options: object) -> subprocess.CompletedProcess[str]:
    """Let DCMTK ask for a move."""
    return run("movescu", "-d", *QUERY, "-aec", "TEST", *options, LOCAL, port)


def moving(port: int, items: Callable[[], Any]) -> Callable[[Any], Any]:
    """A handler that knows one destination."""

    def move(event: Any) -> Any:
        if event.destination != "ARCHIVE":
            return Status.MOVE_DESTINATION_UNKNOWN
        return MoveTo(LOCAL, port, "ARCHIVE", items())

    return move


def assert_the_same(folder: Path, sent: list[Path]) -> None:
    """Fail unless a folder holds the same data sets as the files."""
    received = {}
    for path in folder.iterdir():
        data_set = pydicom.dcmread(path)
        received[data_set.SOPInstanceUID] = data_set
    assert len(received) == len(sent)
    for path in sent:
        expected = pydicom.dcmread(path)
        expected.pop(_PADDING, None)  # which DCMTK leaves out
        found = received[expected.SOPInstanceUID]
        assert found.file_meta.TransferSyntaxUID == expected.file_meta.TransferSyntaxUID
        assert found == expected


@pytest.mark.parametrize("kind", ["list", "generator", "counted"])
def test_movescu_asks_and_storescp_receives(tmp_path: Path, kind: str) -> None:
    items: dict[str, Callable[[], Any]] = {
        "list": lambda: FILES,
        "generator": lambda: iter(FILES),
        "counted": lambda: (len(FILES), iter(FILES)),
    }
    with storescp(tmp_path, "+xa", "-aet", "ARCHIVE") as port:
        with running({"cmove": moving(port, items[kind])}) as endpoint:
            result = movescu(endpoint.port, "-aem", "ARCHIVE")
    report = result.stdout + result.stderr
    assert result.returncode == 0, report
    assert "0x0000: Success" in report
    assert report.count("0xff00: Pending") == len(FILES)
    assert_the_same(tmp_path, FILES)


def test_movescu_is_the_destination_itself(tmp_path: Path) -> None:
    port = free_port()
    sent = FILES[:2]
    with running({"cmove": moving(port, lambda: sent)}) as endpoint:
        result = movescu(
            endpoint.port, "-aet", "ARCHIVE", "-aem", "ARCHIVE", "+P", port, "-od", tmp_path
        )
    report = result.stdout + result.stderr
    assert result.returncode == 0, report
    assert "0x0000: Success" in report
    assert_the_same(tmp_path, sent)


def test_movescu_asks_for_a_destination_that_nobody_knows() -> None:
    with running({"cmove": moving(1, list)}) as endpoint:
        result = movescu(endpoint.port, "-aem", "NOWHERE")
    report = result.stdout + result.stderr
    assert "0xa801" in report
    assert "MoveDestinationUnknown" in report


def test_movescu_cancels(tmp_path: Path) -> None:
    closed = threading.Event()

    def instances() -> Iterator[DataSet]:
        try:
            for number in range(100_000):
                yield instance(number)
        finally:
            closed.set()

    with storescp(tmp_path) as port:
        with running({"cmove": moving(port, instances)}) as endpoint:
            result = movescu(endpoint.port, "-aem", "ARCHIVE", "--cancel", "3")
    report = result.stdout + result.stderr
    assert "0xfe00" in report
    assert closed.wait(10)
    stored = len(list(tmp_path.iterdir()))
    final = report[report.rindex("C-MOVE RSP") :]
    counts = [line.split(":")[-1].strip() for line in final.splitlines() if "Subop" in line]
    assert str(stored) in counts, final


def test_movescu_says_which_failed(tmp_path: Path) -> None:
    with storescp(tmp_path, "+xa") as port:
        items = [FILES[0], instance(7, sop_class="1.2.3.4"), FILES[1]]
        with running({"cmove": moving(port, lambda: items)}) as endpoint:
            result = movescu(endpoint.port, "-aem", "ARCHIVE")
    report = result.stdout + result.stderr
    assert "0xb000" in report
    assert "1.2.7" in report
    assert len(list(tmp_path.iterdir())) == 2


def test_dcmqrscp_is_a_destination(tmp_path: Path) -> None:
    with dcmqrscp(tmp_path) as port:
        move = MoveTo(LOCAL, port, "QRSCP", FILES[:2])
        with running({"cmove": lambda event: move}) as endpoint:
            with connect(LOCAL, endpoint.port) as association:
                *_, last = association.move(IDENTIFIER, "QRSCP")
        assert last == MoveProgress(None, 2, 0, 0, Status.SUCCESS)
        with connect(LOCAL, port, called="QRSCP") as association:
            key = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
            assert len(list(association.find(key))) == 2


def test_one_of_two_storescp_dies_in_the_middle_of_500(tmp_path: Path) -> None:
    folders = tmp_path / "mortal", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    port = free_port()
    command = ["storescp", "-od", str(folders[0]), str(port)]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        storescp(folders[1]) as other,
    ):
        wait_for_port(port, process)

        def instances(*, is_mortal: bool) -> Iterator[DataSet]:
            for number in range(500):
                if is_mortal and number == 250:
                    process.kill()
                    process.wait()
                yield instance(number)

        def move(event: Any) -> list[MoveTo]:
            return [
                MoveTo(LOCAL, port, "MORTAL", (500, instances(is_mortal=True))),
                MoveTo(LOCAL, other, "OTHER", (500, instances(is_mortal=False))),
            ]

        try:
            with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
                peer.ask()
                pending, answer = peer.rest()
        finally:
            process.kill()
    assert len(pending) == 1000
    assert answer.counts == (0xB000, None, 750, 250, 0)
    assert answer.failed == uids(*range(250, 500))
    assert answer.comment.startswith("MORTAL: ")
    assert [len(list(folder.iterdir())) for folder in folders] == [250, 500]


def test_pynetdicom_asks_and_receives() -> None:
    received: list[Any] = []

    def store(event: Any) -> int:
        received.append((event.dataset, event.request))
        return 0xB000 if len(received) == 2 else 0xA700 if len(received) == 3 else 0x0000

    archive = AE("ARCHIVE")
    archive.supported_contexts = AllStoragePresentationContexts
    sent = [FILES[0], FILES[1], FILES[0], FILES[1]]
    with pynetdicom_scp(archive, [(evt.EVT_C_STORE, store)]) as port:
        with running({"cmove": moving(port, lambda: sent)}, ae_title="MAIN") as endpoint:
            user = AE("ASKER")
            user.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
            user.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
            association = associate(user, endpoint.port, ae_title="MAIN")
            query = pydicom.Dataset()
            query.QueryRetrieveLevel = "STUDY"
            query.StudyInstanceUID = "1.2"
            model = StudyRootQueryRetrieveInformationModelMove
            answers = list(association.send_c_move(query, "ARCHIVE", model, msg_id=9))
            unknown = list(association.send_c_move(query, "NOWHERE", model))
            association.release()
    statuses = [status for status, _ in answers]
    assert [status.Status for status in statuses] == [0xFF00] * 4 + [0xB000]
    assert [status.NumberOfRemainingSuboperations for status in statuses[:-1]] == [3, 2, 1, 0]
    final, identifier = answers[-1]
    assert final.NumberOfCompletedSuboperations == 2
    assert final.NumberOfWarningSuboperations == 1
    assert final.NumberOfFailedSuboperations == 1
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == pydicom.dcmread(FILES[0]).SOPInstanceUID
    assert [status.Status for status, _ in unknown] == [0xA801]
    for (data_set, request), path in zip(received, sent, strict=True):
        assert data_set == pydicom.dcmread(path)
        assert request.MoveOriginatorApplicationEntityTitle == "ASKER"
        assert request.MoveOriginatorMessageID == 9
