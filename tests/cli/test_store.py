"""``dicom-actors store``: files and folders, reports of what failed, bars on a terminal."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from kit.endpoints import running
from kit.gate import Gate
from kit.scp import storescp
from kit.terminal import shown_on_terminal
from pydicom.data import get_testdata_file

from dicom_actors import events, messages
from dicom_actors.data import read_file, write_file
from dicom_actors.errors import DimseFailure

pytestmark = pytest.mark.usefixtures("nothing_left")

CT = Path(str(get_testdata_file("CT_small.dcm")))
JPEG = Path(str(get_testdata_file("JPEG-lossy.dcm")))
LIMIT = 60.0


@pytest.fixture
def study(tmp_path):
    """A folder with twelve images in two folders, and the index that media have."""
    folder = tmp_path / "study"
    data_set = read_file(CT)
    for number in range(12):
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        path = folder / f"{number % 2}" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data_set)
    (folder / "DICOMDIR").write_bytes(b"an index")
    return folder


@pytest.mark.interop
@pytest.mark.parametrize(
    "options", [(), ("--parallel", "3"), ("--window", "4")], ids=("plain", "parallel", "window")
)
def test_a_folder_is_sent_to_dcmtk(command, study, tmp_path, options) -> None:
    received = tmp_path / "received"
    received.mkdir()
    with storescp(received, "--fork", "+B") as port:
        done = command("store", f"127.0.0.1:{port}", study, CT, *options)
    assert (done.code, done.errors) == (0, [])
    assert done.lines[0].startswith("13 objects stored: ")
    assert len(list(received.iterdir())) == 13
    sent = {str(pydicom.dcmread(path).SOPInstanceUID) for path in [*study.glob("*/*"), CT]}
    assert {str(pydicom.dcmread(path).SOPInstanceUID) for path in received.iterdir()} == sent


def test_the_window_is_asked_for(command, study) -> None:
    stored = []
    handlers = {"cstore": lambda event: stored.append(event.sop_instance_uid)}
    with running(handlers, async_window=8) as endpoint:
        done = command("store", f"127.0.0.1:{endpoint.port}", study, "--window", "4", "--verbose")
    assert done.code == 0
    assert len(stored) == 12
    assert any("window 4" in line for line in done.errors)
    assert sum(line.endswith(": stored") for line in done.errors) == 12


def test_what_is_not_stored_is_told_and_makes_the_exit_code_1(command, study, tmp_path) -> None:
    def store(event):
        number = int(event.sop_instance_uid.rpartition(".")[2])
        if number == 3:
            raise DimseFailure(0xA700, "no room for \x1b[31m it")
        return 0xB006 if number == 4 else None

    text = tmp_path / "text.txt"
    text.write_text("this is no DICOM file, whatever anybody says about it")
    absent = tmp_path / "absent.dcm"
    with running({"cstore": store}) as endpoint:
        peer = f"127.0.0.1:{endpoint.port}"
        done = command("store", peer, study, text, "--timeout", "9", absent)
        assert done.code == 1
        assert done.lines[0].startswith("11 objects stored, 3 not: ")
        told = "\n".join(done.errors)
        assert len(done.errors) == 4
        assert f"dicom-actors: {study}/0/4.dcm: stored with a warning: B006H" in told
        assert f"dicom-actors: {study}/1/3.dcm: A700H: out of resources (no room" in told
        assert f"dicom-actors: {text}: not sent: expected a DICOM file" in told
        assert f"dicom-actors: {absent}: not sent: No such file" in told
        assert "\x1b" not in told

        done = command("store", peer, study, text, "--json")
        assert done.code == 1
        results = {Path(each["path"]).name: each for each in map(json.loads, done.lines)}
        assert len(results) == 13
        assert results["3.dcm"]["status"] == 0xA700
        assert not results["3.dcm"]["stored"]
        assert results["4.dcm"]["stored"]
        assert results["text.txt"]["status"] is None
        assert results["5.dcm"]["sop_instance_uid"] == "1.2.3.5"


def test_a_transfer_syntax_that_the_peer_does_not_take(command) -> None:
    with running({"cstore": lambda _: None}, transfer_syntaxes=("1.2.840.10008.1.2",)) as endpoint:
        done = command("store", f"127.0.0.1:{endpoint.port}", JPEG, CT)
    assert done.code == 1
    assert len(done.errors) == 1
    assert "the peer accepts no" in done.errors[0]
    assert done.lines[0].startswith("1 object stored, 1 not: ")


def test_an_association_that_ends_in_the_middle(command, study) -> None:
    def store(event):
        if event.sop_instance_uid.endswith(".8"):
            abort = messages.AbortAssociation(event.association.id)
            assert endpoint.ref.ask(abort, timeout=LIMIT)

    with running({"cstore": store}) as endpoint:
        done = command("store", f"127.0.0.1:{endpoint.port}", study)
        assert done.code == 1
        assert done.lines[0].startswith("11 objects stored, 1 not: ")
        (error,) = done.errors
        assert "8.dcm: not answered, tried twice: " in error
        assert "abort" in error

        done = command("store", f"127.0.0.1:{endpoint.port}", study, "--retries", "0", "--json")
        assert done.code == 1
        results = {Path(each["path"]).name: each for each in map(json.loads, done.lines)}
        assert len(results) == 12
        assert sum(each["stored"] for each in results.values()) == 5
        assert results["8.dcm"]["comment"].startswith("not answered: ")
        assert results["11.dcm"]["comment"].startswith("not sent: ")
        assert len(done.errors) == 8
        assert "abort" in done.errors[-1]


def test_a_journal_continues_what_was_interrupted(command, study, tmp_path) -> None:
    stored = []
    fails = [True]

    def store(event):
        if fails[0] and len(stored) == 5:
            return 0xA700
        stored.append(event.sop_instance_uid)
        return None

    journal = tmp_path / "journal"
    with running({"cstore": store}) as endpoint:
        words = ("store", f"127.0.0.1:{endpoint.port}", study, "--resume", journal)
        assert command(*words).code == 1
        fails[0] = False
        done = command(*words)
        assert (done.code, done.errors) == (0, [])
        assert done.lines[0].startswith("12 objects stored, 5 of them before: ")
        assert len(stored) == len(set(stored)) == 12
        done = command(*words)
        assert done.lines[0].startswith("12 objects stored, 12 of them before: 0 bytes in ")
        done = command("store", f"localhost:{endpoint.port}", study, "--resume", journal)
        assert done.code == 1
        assert "it is the journal of ANY-SCP at 127.0.0.1:" in done.errors[0]
    assert len(stored) == 12


def test_a_damaged_file_is_not_sent_unless_that_is_asked_for(command, study) -> None:
    damaged = study / "0" / "4.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-10_000])
    with running({"cstore": lambda _: None}) as endpoint:
        done = command("store", f"127.0.0.1:{endpoint.port}", study)
        assert done.code == 1
        assert done.lines[0].startswith("11 objects stored, 1 not: ")
        assert f"{damaged}: not sent: expected a value of 32768 bytes" in done.errors[0]
        words = ("--send-damaged", "--json")
        done = command("store", f"127.0.0.1:{endpoint.port}", damaged, *words)
        # It went out; our endpoint looks at what it is to keep.
        assert json.loads(done.lines[0])["status"] is not None


@pytest.mark.interop
@pytest.mark.parametrize("how", ["away", "refuses"])
def test_without_any_association_all_files_are_listed(command, study, tmp_path, how) -> None:
    port, said = 1, "Connection refused"
    with contextlib.ExitStack() as stack:
        if how == "refuses":
            port, said = stack.enter_context(storescp(tmp_path, "--refuse")), "rejected"
        done = command("store", f"127.0.0.1:{port}", study, "--json")
        assert done.code == 1
        results = [json.loads(line) for line in done.lines]
        assert len({each["path"] for each in results}) == 12
        assert all(each["comment"].startswith("not sent: ") for each in results)
        assert all(said in each["comment"] and not each["stored"] for each in results)
        done = command("store", f"127.0.0.1:{port}", study)
    assert done.code == 1
    assert done.lines[0].startswith("0 objects stored, 12 not: ")
    assert len(done.errors) == 13
    assert all(said in line for line in done.errors)


def test_nothing_to_send_is_an_error_before_anybody_is_called(command, tmp_path) -> None:
    done = command("store", "127.0.0.1:1", tmp_path)
    assert done.code == 1
    assert done.errors == [f"dicom-actors: there are no files in {tmp_path}"]


def test_more_files_than_are_looked_into_first(command, tmp_path) -> None:
    data_set = read_file(CT, until="PixelData")
    for number in range(300):
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        write_file(tmp_path / f"{number}.dcm", data_set)
    stored = []
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:
        done = command("store", f"127.0.0.1:{endpoint.port}", tmp_path)
    assert done.code == 0
    assert len(set(stored)) == 300


def test_ctrl_c_says_what_was_not_sent(study) -> None:
    gate = Gate()
    with running({"cstore": gate}) as endpoint:
        with subprocess.Popen(
            [sys.executable, "-m", "dicom_actors", "store", f"127.0.0.1:{endpoint.port}", study],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            gate.wait_until_entered()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 130
        assert out.startswith(b"0 objects stored, 12 not: ")
        lines = err.decode().splitlines()
        assert len(lines) == 12
        assert all(line.endswith(".dcm: not sent: interrupted") for line in lines)
        # There is no A-ABORT if the signal came before it was noted what had been sent.
        closed = endpoint.wait_for(events.AssociationClosed)[0]
        assert closed.reason in {"aborted by peer", "connection lost"}
        gate.release()


def test_a_bar_with_rates_shown_on_terminal(study) -> None:
    with running({"cstore": lambda _: None}) as endpoint:
        shown = shown_on_terminal("store", f"127.0.0.1:{endpoint.port}", study, width=120)
    assert "12/12" in shown
    assert re.search(r"[0-9.]+ objects/s  [0-9.]+ (kB|MB)/s", shown)
    assert "0:00:00" in shown


def test_the_bar_fits_a_narrow_terminal(study) -> None:
    with running({"cstore": lambda _: None}) as endpoint:
        shown = shown_on_terminal("store", f"127.0.0.1:{endpoint.port}", study)
    frames = re.split(r"[\r\n]+", shown)
    assert any(re.search(r"12/12  [0-9.]+ objects/s  [0-9.]+ (kB|MB)/s 0:00:00", f) for f in frames)
    assert max(map(len, frames)) <= 80


def test_no_bar_where_there_are_lines(study) -> None:
    with running({"cstore": lambda _: None}) as endpoint:
        shown = shown_on_terminal("store", f"127.0.0.1:{endpoint.port}", study, "--verbose")
    assert "12/12" not in shown
    assert shown.count(".dcm: stored") == 12
