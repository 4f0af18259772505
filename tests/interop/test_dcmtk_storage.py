"""DCMTK's programs send to our endpoint; what is kept are the bytes that were sent."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pydicom
import pytest
from kit.dcmtk import run, storescu, wheel_files
from kit.endpoints import LIMIT, running, thread_of
from kit.peer import Peer
from kit.recorder import Recorder, data_sets_of
from pydicom.data import get_testdata_file

from dicom_actors import Reject, events, read_file, write_file
from dicom_actors.testing import crash_at

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))


def offset_of_data(path: Path) -> int:
    """Where the data set of a Part 10 file begins, as pydicom sees it."""
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        return file.tell()


def test_every_file_of_pydicoms_wheel_that_dcmtk_can_send(tmp_path: Path) -> None:
    sent = 0
    with (
        running({"cstore": lambda event: event.save(tmp_path) and None}) as endpoint,
        Recorder(endpoint.port) as recorder,
    ):
        for path, option in wheel_files():
            result = storescu(recorder.port, path, options=("-R", option))
            if "missing SOP class (or instance)" in result.stderr + result.stdout:
                continue  # DCMTK cannot read it, and has not connected
            assert result.returncode == 0, (path, result.stderr)
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert (closed.reason, closed.requests) == ("released", 1), path
            (data,) = data_sets_of(recorder.next_stream())
            (stored,) = tmp_path.iterdir()
            assert stored.read_bytes()[offset_of_data(stored) :] == data, path
            accepted = {syntax for _, _, syntax in closed.association.presentation_contexts}
            assert pydicom.filereader.read_file_meta_info(stored).TransferSyntaxUID in accepted
            stored.unlink()
            sent += 1
    assert sent >= 160


def test_echoscu_is_accepted_and_rejected_as_it_reports() -> None:
    def validate(request: Any) -> Reject | None:
        if request.called_ae_title != "TEST":
            return Reject.CALLED_AE_TITLE_NOT_RECOGNIZED
        return None

    with running({"association_validator": validate}) as endpoint:
        accepted = run("echoscu", "-v", "-aec", "TEST", "127.0.0.1", endpoint.port)
        assert accepted.returncode == 0, accepted.stderr
        assert "Received Echo Response (Success)" in accepted.stderr + accepted.stdout
        rejected = run("echoscu", "-v", "-aec", "OTHERAET", "127.0.0.1", endpoint.port)
        assert rejected.returncode != 0
        report = rejected.stderr + rejected.stdout
        assert "Source: Service User" in report
        assert "Reason: Called AE Title Not Recognized" in report


def test_the_originals_example_a_handler_that_prints(capsys: pytest.CaptureFixture[str]) -> None:
    with running({"cstore": lambda event: print(event.dataset)}) as endpoint:
        assert storescu(endpoint.port, CT).returncode == 0
    printed = capsys.readouterr().out
    assert "PatientName" in printed or "Patient's Name" in printed
    assert "CompressedSamples^CT1" in printed


def make_copies(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    dataset = read_file(CT)
    paths = []
    for number in range(1, count + 1):
        dataset.SOPInstanceUID = f"1.2.3.{folder.name}.{number}"
        path = folder / f"{number:03}.dcm"
        write_file(path, dataset)
        paths.append(path)
    return paths


class Sender(threading.Thread):
    """Sends files with `storescu` on one association, and keeps what it was answered."""

    def __init__(self, port: int, paths: list[Path], title: str) -> None:
        super().__init__(daemon=True)
        self._port, self._paths, self._title = port, paths, title
        self.statuses: list[str] = []
        self.start()

    def run(self) -> None:
        # -nh: go on after a failure status
        result = run(
            "storescu", "-v", "-nh", "-R", "-xe", "-aet", self._title, "-aec", "TEST",
            "127.0.0.1", self._port, *self._paths,
        )  # fmt: skip
        self.statuses = [
            line.rpartition("Received Store Response (")[2].rstrip(")")
            for line in (result.stdout + result.stderr).splitlines()
            if "Received Store Response" in line
        ]


@pytest.mark.faults
def test_four_senders_and_every_kind_of_trouble(tmp_path: Path) -> None:
    """One handler raises on every third object, one exits, one peer sends garbage, one
    Association crashes: failures for exactly these objects, Success for all others."""
    count = 24
    kept: list[str] = []

    def store(event: Any) -> None:
        number = int(event.sop_instance_uid.rpartition(".")[2])
        title = event.association.calling_ae_title
        if title == "RAISES" and number % 3 == 0:
            raise ValueError("a bug in the handler")
        if title == "EXITS" and number == 5:
            raise SystemExit(1)
        kept.append(event.sop_instance_uid)

    with (
        running({"cstore": store}, max_associations=20) as endpoint,
        Peer.associated(endpoint.port) as bystander,
    ):
        (own,) = endpoint.associations()
        thread = thread_of(endpoint.child(f"association {own.id}").ref)
        crash_at(endpoint.ref, "association.dispatch", after=count)
        senders = {
            title: Sender(endpoint.port, make_copies(tmp_path / str(i), count), title)
            for i, title in enumerate(("RAISES", "EXITS", "HONEST", "OTHER"), start=1)
        }
        with Peer(endpoint.port) as garbage:
            garbage.send_bytes(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            garbage.expect_abort(0, 0)
        for sender in senders.values():
            sender.join(60)
            assert len(sender.statuses) == count
        closed = endpoint.wait_for(events.AssociationClosed, 5)
        assert sum(c.association.restarts for c in closed) == 1
        assert [c.reason for c in closed].count("released") == 4
        failed = {
            (title, number)
            for title, sender in senders.items()
            for number, status in enumerate(sender.statuses, start=1)
            if status != "Success"
        }
        expected = {("RAISES", n) for n in range(3, count + 1, 3)} | {("EXITS", 5)}
        assert expected <= failed
        # The message at which an Association crashed, unless its handler was to raise anyway.
        assert len(failed - expected) <= 1
        assert len(kept) == len(set(kept)) == 4 * count - len(failed)
        assert bystander.echo() == 0
        assert thread_of(endpoint.child(f"association {own.id}").ref) is thread
        assert endpoint.ref.is_alive()
        assert LIMIT
