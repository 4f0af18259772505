"""What ``serve`` says, to whom it does not matter whether they listen; and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import datetime

import pytest
from kit.peer import Peer, smallest_data_set
from kit.serving import serving
from kit.waiting import until

from dicom_actors import DataSet, connect
from dicom_actors.cli.printing import Printer
from dicom_actors.cli.signals import EndSignals
from dicom_actors.cli.telling import JsonTeller, LineTeller

LIMIT = 60.0


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_is_dropped_is_counted():
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        printer = Printer(stream, limit=10)
        printer.write("x" * (1 << 20))  # more than a pipe takes
        until(lambda: not printer._waiting)
        for number in range(30):
            printer.write(f"line {number}\n")
        assert printer.dropped == 20
        assert not printer.close(0.01)
        found = b""
        while b"keep up\n" not in found:
            found += os.read(reader, 1 << 16)
        assert b"line 9\n... 20 lines more: standard output does not keep up\n" in found
        assert printer.close(LIMIT)
    os.close(reader)


def test_a_reader_that_is_gone_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        printer = Printer(stream)
        printer.write("line\n")
        printer.write("line\n")
        assert printer.close(LIMIT)


def test_json_is_a_line_whatever_is_said():
    reader, writer = os.pipe()
    moment = datetime.fromisoformat("2026-01-02T03:04:05.678+01:00")
    with open(writer, "w") as stream:
        for kind in (JsonTeller, LineTeller):
            teller = kind(stream, lambda: moment)
            teller.tell('a "b"\n\u00fc', event="test", level="error", number=1)
            teller.close()
    with open(reader) as lines:
        first, *rest = lines.read().split("\n")
    assert json.loads(first) == {
        "time": "2026-01-02T03:04:05.678+01:00",
        "level": "error",
        "event": "test",
        "message": 'a "b"\n\u00fc',
        "number": 1,
    }
    assert rest == ['2026-01-02 03:04:05.678  a "b"', "\u00fc", ""]


def test_signals_wait_for_their_time():
    with EndSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert signals.count == 1
        with pytest.raises(KeyboardInterrupt):
            with signals.awaited():
                pytest.fail("it came before")
        with signals.awaited():
            pass
        with pytest.raises(KeyboardInterrupt):
            with signals.awaited():
                signal.raise_signal(signal.SIGINT)
        # After the second one nothing is held back any more.
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_is_not_lost_where_python_lets_no_exception_pass(monkeypatch):
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    swallowed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hint: swallowed.append(hint.exc_type))
    with EndSignals() as signals:
        with signals.awaited():
            Finalized()
        assert swallowed == [KeyboardInterrupt]
        with pytest.raises(KeyboardInterrupt):
            with signals.awaited():
                pytest.fail("it came before")


def test_serve_says_where_there_are_no_metrics(tmp_path):
    without = "import sys\nsys.modules['prometheus_client'] = None"
    with serving(
        "--receive-only", "--store", str(tmp_path), "--metrics", "0", before=without
    ) as it:
        assert "no metrics: /metrics needs prometheus-client: pip install" in it.output
        assert "metrics on" not in it.output


CANARY = "Canary"


def test_lines_of_json_tell_all_but_the_patient_and_metrics_are_served(tmp_path):
    options = ("--json", "--verbose", "--metrics", "0", "--store", str(tmp_path / "store"))
    command = [sys.executable, "-m", "dicom_actors", "serve", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        too_late = threading.Timer(LIMIT, process.kill)
        too_late.start()
        said = []
        while not said or said[-1]["event"] != "listening":
            said.append(json.loads(process.stdout.readline()))
        port = said[-1]["port"]
        values = {"PatientName": f"{CANARY}^Jane", "PatientID": CANARY, "Modality": "OT"}
        uids = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "StudyInstanceUID": "1.2"}
        with connect("127.0.0.1", port, calling="SENDER") as association:
            whole = DataSet.from_keywords(
                SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.4", **uids, **values
            )
            assert association.store(whole).status == 0
            whole.PatientID = f"{CANARY}2"
            assert association.store(whole).status == 0x0111
            whole.PatientComments = CANARY
            del whole.SeriesInstanceUID
            whole.SOPInstanceUID = "1.2.5"
            assert association.store(whole).status == 0xC000
        (metrics,) = [line for line in said if line["event"] == "metrics"]
        with socket.create_connection(("127.0.0.1", metrics["port"]), LIMIT) as page:
            page.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = page.makefile().read()
        assert 'dicom_actors_requests_total{service="C-STORE",status="0000"}' in text
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        said += [json.loads(line) for line in rest.splitlines()]
        assert process.wait(LIMIT) == 0
        too_late.cancel()
    assert CANARY not in json.dumps(said) + text
    assert said[-1]["event"] == "stopped"
    events = [line["event"] for line in said]
    assert {"association_opened", "object_stored", "association_closed"} <= set(events)
    failed = {(line["service"], line["status"]) for line in said if "status" in line}
    assert failed == {("C-STORE", "0111"), ("C-STORE", "C000")}
    assert all(line["level"] in {"info", "warning"} and line["message"] for line in said)


def test_a_second_signal_cuts(tmp_path):
    with serving("--store", str(tmp_path), "--receive-only", "--drain", "600") as server:
        with Peer.associated(server.port):
            server.process.send_signal(signal.SIGINT)
            server.wait_for("is open")
            assert server.stop(signal.SIGINT) == 0
    assert "not waiting any longer" in server.output


JUMPING = """
import signal, time
real, offset = time.time, [0.0]
time.time = lambda: real() + offset[0]
def jump(number, frame):
    offset[0] = -3e8 if offset[0] == 0 else 3e9
signal.signal(signal.SIGUSR1, jump)
signal.signal(signal.SIGUSR2, lambda *_: None)
"""


def test_a_clock_that_jumps_and_streams_that_are_closed_cost_no_object(tmp_path):
    store = tmp_path / "store"
    data = DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7", StudyInstanceUID="1.2", SeriesInstanceUID="1.3"
    )
    with serving("--store", str(store), before=JUMPING) as server:
        with connect("127.0.0.1", server.port) as association:
            for number in range(3):
                data.SOPInstanceUID = f"1.4.{number}"
                assert association.store(data).status == 0
                server.process.send_signal(signal.SIGUSR1)
            keys = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
            (found,) = association.find(keys)
            assert found.StudyInstanceUID == "1.2"
        assert server.stop() == 0
    assert len(list(store.glob("*/*/*.dcm"))) == 3


def test_without_standard_streams_no_file_takes_their_numbers(tmp_path):
    port = _free_port()
    command = f"exec {sys.executable} -m dicom_actors serve --host 127.0.0.1 --port {port} "
    command += f"--store {tmp_path / 'store'} <&- >&- 2>&-"
    with subprocess.Popen(["sh", "-c", command]) as process:
        try:
            until(lambda: _answers(port))
            for number in range(3):
                assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
            process.terminate()
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()


def test_two_of_them_on_one_folder_and_a_port_that_is_taken_are_a_line(command, tmp_path):
    with serving("--store", str(tmp_path)) as server:
        done = command("serve", "--port", 0, "--store", tmp_path)
        assert done.code == 1
        assert done.errors == [f"dicom-actors: {tmp_path} is open already, in process {server.pid}"]
        port = server.port
        for more in ((), ("--receive-only",)):
            done = command(
                "serve", "--host", "127.0.0.1", "--port", port, "--store", tmp_path / "b", *more
            )
            assert done.code == 1
            assert "Address already in use" in done.errors[0]
        done = command("serve", "--port", 0, "--metrics", port, "--store", tmp_path / "b")
        taken = f"cannot bind to 127.0.0.1, port {port}: Address already in use"
        assert (done.code, done.errors) == (1, [f"dicom-actors: metrics: {taken}"])
        assert server.stop() == 0


def test_a_live_view_needs_a_terminal(command, tmp_path):
    done = command("serve", "--port", 0, "--output", "live", "--store", tmp_path)
    assert done.code == 1
    assert "no terminal" in done.errors[0]


def test_a_service_manager_is_told_when_it_is_ready(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LIMIT)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with serving("--store", str(tmp_path / "store"), "--receive-only") as server:
            assert manager.recv(100) == b"READY=1"
            assert server.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"


def test_names_that_the_encoding_does_not_have_are_escaped(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.delenv("HOME", raising=False)
    store = tmp_path / "s\u00fc"
    with serving("--store", str(store), "--receive-only") as server:
        with Peer.associated(server.port) as peer:
            assert peer.store(smallest_data_set()) == 0
        assert server.stop() == 0
    assert len(list(store.rglob("*.dcm"))) == 1


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _answers(port):
    try:
        with Peer.associated(port) as peer:
            return peer.echo() == 0
    except OSError:
        return False
