"""``dicom-actors serve --receive-only``: what is sent is kept, and said in a line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pydicom
import pytest
from kit.dcmtk import run, storescu
from kit.file_systems import small_disk
from kit.peer import Peer, smallest_data_set, store_pdus
from kit.serving import Server
from kit.serving import serving as serving_anything
from kit.waiting import until
from pydicom.data import get_testdata_file

from dicom_actors import connect
from dicom_actors.errors import AssociationRejected

pytestmark = pytest.mark.interop

CT = Path(str(get_testdata_file("CT_small.dcm")))
serving = partial(serving_anything, "--receive-only")


def test_objects_are_kept_by_study_series_and_instance(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving("--store", str(store), "--ae-title", "TEST") as server:
        assert run("echoscu", "-aec", "TEST", "127.0.0.1", server.port).returncode == 0
        assert run("echoscu", "-aec", "OTHER", "127.0.0.1", server.port).returncode != 0
        result = storescu(server.port, CT, CT, options=("-aet", "SENDER"))
        assert result.returncode == 0, result.stderr
        assert server.stop() == 0
    sent = pydicom.dcmread(CT)
    path = store / sent.StudyInstanceUID / sent.SeriesInstanceUID / f"{sent.SOPInstanceUID}.dcm"
    kept = pydicom.dcmread(path)
    assert kept.PatientName == sent.PatientName
    assert kept.PixelData == sent.PixelData
    assert [p for p in store.rglob("*") if p.is_file()] == [path]
    lines = server.output.splitlines()
    assert len([line for line in lines if "SENDER 127.0.0.1 CT Image Storage" in line]) == 2
    assert str(path) in server.output
    assert lines[-1].endswith("  stopped")


def test_print_shows_the_data_set(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--print") as server:
        assert storescu(server.port, CT).returncode == 0
        assert server.stop(signal.SIGINT) == 0
    assert "CompressedSamples^CT1" in server.output


def test_one_user_is_taken_and_it_is_told_who_comes_and_goes(tmp_path: Path) -> None:
    passcode = tmp_path / "passcode"
    passcode.write_text("sesame\n")
    options = ("--user", "jane", "--passcode-file", str(passcode), "--verbose")
    with serving("--store", str(tmp_path / "store"), *options) as server:
        for identity in (None, "jane", ("jane", "Sesame"), ("john", "sesame")):
            with pytest.raises(AssociationRejected, match="no reason given"):
                connect("127.0.0.1", server.port, user_identity=identity)
        with connect("127.0.0.1", server.port, user_identity=("jane", "sesame")) as association:
            assert association.user_identity_response == b""
            association.echo()
        server.wait_for("released, 1 request")
        assert server.stop() == 0
    assert "sesame" not in server.output
    told = re.findall(r"association (\d): DICOM_ACTORS 127\.0\.0\.1:\d+ (.*)", server.output)
    refused = "rejected permanently by the service user: no reason given (1/1/1), 0 requests"
    # One connection waits for nobody else's end to be told.
    assert sorted(line for line in told if line[0] != "5") == [(n, refused) for n in "1234"]
    assert [words for number, words in told if number == "5"] == [
        "associated with ANY-SCP",
        "released, 1 request",
    ]


def test_an_association_on_which_nothing_comes_is_ended(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--timeout", "0.05", "--verbose") as server:
        with Peer.associated(server.port) as peer:
            peer.expect_abort(2, 0)
        assert server.stop() == 0
    assert "aborted: idle_timeout, 0 requests" in server.output


def test_rejections_and_aborts_are_told_and_what_ends_well_is_not(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--ae-title", "TEST") as server:
        assert run("echoscu", "-aec", "OTHER", "127.0.0.1", server.port).returncode != 0
        server.wait_for("called AE title not recognized (1/1/7)")
        assert run("echoscu", "-aec", "TEST", "127.0.0.1", server.port).returncode == 0
        assert run("echoscu", "-aec", "TEST", "--abort", "127.0.0.1", server.port).returncode == 0
        server.wait_for("aborted by the service user, 1 request\n")
        assert "association 3: ECHOSCU 127.0.0.1:" in lines_of(server)[-1]
        with socket.create_connection(("127.0.0.1", server.port)):
            pass  # somebody looks whether the port is open
        assert server.stop() == 0
    # What is still there at the end is told, and the last one may be.
    told = re.sub(r"association 4: .* is connecting, 0 requests so far", "", server.output)
    assert not re.search(r"association [24]:", told)
    assert all(
        re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  ", line) for line in lines_of(server)
    )


def lines_of(server: Server) -> list[str]:
    return server.output.splitlines()


def test_a_folder_that_takes_no_file_is_told_at_the_start(command, tmp_path: Path) -> None:
    with small_disk() as disk, disk.full():
        if not disk.is_mounted:
            pytest.skip("nothing can be mounted here, and a limit of a size is an error of its own")
        done = command("serve", "--port", "0", "--store", str(disk.folder))
    assert done.code == 1
    assert done.lines == []
    assert done.errors == [
        f"dicom-actors: objects cannot be kept in {disk.folder}: No space left on device"
    ]
    done = command("serve", "--port", "0", "--store", "/proc")
    assert done.errors[0].startswith("dicom-actors: objects cannot be kept in /proc: ")


BUG = """
from dicom_actors.cli import serve
def keep(self, event):
    raise RuntimeError("a bug\\nin two lines")
serve.Keeper.__call__ = keep
"""


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_a_handler_is_a_line_and_the_same_again_is_counted(
    tmp_path: Path, debug: bool
) -> None:
    log = tmp_path / "log"
    options = ("--log", str(log), *(["--debug"] if debug else []))
    with serving("--store", str(tmp_path / "store"), *options, before=BUG) as server:
        with Peer.associated(server.port) as peer:
            for number in range(1, 35):
                assert peer.store(smallest_data_set(), number) == 0x0110
        assert server.stop() == 0
    told = [line for line in lines_of(server) if "handler raised" in line]
    what = "connection 1: the cstore handler raised RuntimeError: a bug (<string>, line 4)"
    assert told[0].endswith(f"  {what}")
    assert told[1].endswith(f"  {what}; 10 times so far")
    assert told[2].endswith(f"  {what}; 34 times in all")
    assert len(told) == 3
    assert server.output.count("Traceback") == (2 if debug else 0)
    assert log.read_text().count("Traceback") >= 20
    assert "in two lines" in log.read_text()


def test_a_log_that_cannot_be_written_is_told_at_the_start(command, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    done = command("serve", "--port", "0", "--store", store, "--log", str(tmp_path))
    assert (done.code, done.errors) == (1, [f"dicom-actors: {tmp_path}: Is a directory"])


def test_a_pipe_that_nobody_reads_is_no_log(command, tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    store = str(tmp_path / "store")
    done = command("serve", "--port", "0", "--store", store, "--log", str(log))
    assert (done.code, done.errors) == (1, [f"dicom-actors: {log}: No such device or address"])


def test_a_standard_output_that_is_full_costs_no_object(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), before=FULL) as server:
        server.process.send_signal(signal.SIGUSR1)
        until(lambda: os.readlink(f"/proc/{server.pid}/fd/1") == "/dev/full")
        with Peer.associated(server.port) as peer:
            assert peer.store(smallest_data_set()) == 0
        assert server.stop() == 0
    assert len(list(tmp_path.rglob("*.dcm"))) == 1


FULL = """
import os, signal
def fill(number, frame):
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
signal.signal(signal.SIGUSR1, fill)
"""


def test_a_drain_says_what_it_waits_for_and_status_answers(command, tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--drain", "600") as server:
        with Peer.associated(server.port, calling="SLOW") as peer:
            assert peer.echo() == 0
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("waiting 600 s at the most for 1 association")
            server.wait_for("association 1: SLOW 127.0.0.1:")
            assert server.output.endswith("is open, 1 request so far\n")
            done = command("status", "--port", server.port)
            assert (done.code, done.errors) == (0, [])
            assert done.lines[0].startswith(f"draining on 127.0.0.1 port {server.port}: 1 assoc")
            status = json.loads(command("status", "--port", server.port, "--json").lines[0])
            since = datetime.fromisoformat(status["associations"][0]["since"])
            assert abs(datetime.now().astimezone() - since) < timedelta(minutes=5)
            assert peer.echo(2) == 0
            peer.release()
        assert server.process.wait(60) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read().endswith("  stopped\n")


def test_names_never_come_from_the_peers_text(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving("--store", str(store)) as server:
        with Peer.associated(server.port) as peer:
            for number, uid in enumerate(("../../escape", "/etc/x", "..", "1.2.3"), start=1):
                data = smallest_data_set(uid)
                data += _element(0x0020_000D, b"../../../x\0") + _element(0x0020_000E, b"/tmp/y\0")
                peer.send(*store_pdus(data, number, uid))
                assert peer.status() == 0
        assert server.stop() == 0
    assert [p.name for p in tmp_path.iterdir()] == ["store"]
    names = {part for p in store.rglob("*.dcm") for part in p.relative_to(store).parts}
    assert all(n == "1.2.3.dcm" or n.startswith("uid-") for n in names)


def test_a_planted_link_is_not_followed_and_the_object_refused(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside"
    for folder in (store, outside):
        folder.mkdir()
    (store / "1.2").symlink_to(outside)
    data = smallest_data_set() + _element(0x0020_000D, b"1.2\0") + _element(0x0020_000E, b"1.3\0")
    with serving("--store", str(store)) as server:
        with Peer.associated(server.port) as peer:
            assert peer.store(data) == 0xA700
            (store / "1.2").unlink()
            assert peer.store(data, 2) == 0
        assert server.stop() == 0
    assert list(outside.iterdir()) == []
    assert [str(p.relative_to(store)) for p in store.rglob("*.dcm")] == ["1.2/1.3/1.2.3.dcm"]


def test_what_an_earlier_process_left_is_removed(tmp_path: Path) -> None:
    data = smallest_data_set() + bytes.fromhex("e07f1000 4f42 0000 00000200") + bytes(1 << 17)
    with serving("--store", str(tmp_path)) as server, Peer.associated(server.port) as peer:
        peer.send(*store_pdus(data)[:-2])
        until(lambda: list(tmp_path.glob(".dicom-actors-*.part")))
        server.process.kill()
    assert len(list(tmp_path.glob(".dicom-actors-*.part"))) == 1
    with serving("--store", str(tmp_path)) as server:
        with Peer.associated(server.port) as peer:
            assert peer.store(data) == 0
        assert server.stop() == 0
    assert not list(tmp_path.glob(".dicom-actors-*.part"))


def _element(tag: int, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    header = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return header + b"UI" + len(value).to_bytes(2, "little") + value
