"""Event handlers in processes of their own."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kit import isolated_handlers
from kit.waiting import LIMIT, until

from dicom_actors import DataSet, DimseFailure, Endpoint, EndpointConfig, connect, messages
from dicom_actors.errors import AssociationError, AssociationRejected, ConfigurationError
from dicom_actors.processes import Isolated

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDIES = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": None}


def an_object(what=None, number=1, **more):
    return DataSet.from_keywords(
        SOPClassUID=SECONDARY_CAPTURE,
        SOPInstanceUID=f"1.2.{number}",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        PatientID="1",
        PatientComments=what,
        **more,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    path.mkdir()
    monkeypatch.setenv("ISOLATED_FOLDER", str(path))
    return path


@contextlib.contextmanager
def serving(config=None, **handlers):
    endpoint = Endpoint.start(port=0, host="127.0.0.1", event_handlers=handlers, config=config)
    try:
        yield endpoint.ask(messages.GetStatus()).port
    finally:
        endpoint.stop()
        for handler in handlers.values():
            if isinstance(handler, Isolated):
                handler.close()


@pytest.mark.parametrize("handler", [isolated_handlers.store, isolated_handlers.store_later])
def test_what_comes_of_it_is_what_comes_of_it_here(folder, handler, nothing_left):
    with (
        serving(cstore=Isolated(handler, workers=1)) as port,
        serving(cstore=handler) as other,
        connect("127.0.0.1", port) as there,
        connect("127.0.0.1", other) as here,
    ):
        results = {}
        for what in (
            ("save", "SystemExit", "recursion", "local", "failure", "full", "nonsense", "B007")
            if handler is isolated_handlers.store
            else ("save", "local", "failure")
        ):
            one, two = (side.store(an_object(what)) for side in (there, here))
            results[what] = one.status
            assert (one.status, one.comment) == (two.status, two.comment), what
        assert results["save"] == 0
        assert results["failure"] == 0xC000
    assert [path.name for path in folder.iterdir()] == ["1.2.1.dcm"]


def test_an_event_is_what_it_is_here(folder, nothing_left):
    large = an_object("facts", PixelData=bytes(3_000_000) + b"last")
    small = an_object("facts")
    config = EndpointConfig(spool_bytes=1 << 20)
    facts = []
    with (
        serving(config, cstore=Isolated(isolated_handlers.store)) as port,
        serving(config, cstore=isolated_handlers.store) as other,
    ):
        for data_set in (small, large):
            for its_port in (port, other):
                with connect("127.0.0.1", its_port, calling="ME") as association:
                    association.store(data_set, check=True)
                facts.append(ast.literal_eval((folder / "facts").read_text("ascii")))
    assert facts[0][:-1] == facts[1][:-1]
    assert facts[2][:-1] == facts[3][:-1]
    assert facts[2][5] == b"last"
    assert facts[1][-1] == facts[3][-1] == os.getpid() != facts[0][-1] == facts[2][-1]


@pytest.mark.parametrize("what", ["segfault", "exit", "hang", "loop"])
def test_an_end_of_the_process_costs_one_status(folder, what, nothing_left):
    store = Isolated(isolated_handlers.store, workers=1)
    with serving(cstore=store) as port, connect("127.0.0.1", port) as association:
        assert association.store(an_object()).status == 0
        (first,) = store.pids
        if what in {"hang", "loop"}:
            store._deadline = 0.2
        result = association.store(an_object(what))
        assert (result.status, result.comment) == (0x0110, "handler failed: WorkerError")
        store._deadline = LIMIT
        assert store.restarts == 1
        assert association.store(an_object()).status == 0
        assert store.pids != (first,)
        association.echo()


def test_a_process_that_died_while_idle_costs_nothing(folder, nothing_left):
    store = Isolated(isolated_handlers.store, workers=1)
    with serving(cstore=store) as port, connect("127.0.0.1", port) as association:
        association.store(an_object(), check=True)
        os.kill(store.pids[0], signal.SIGKILL)
        until(lambda: not store._idle[0].process.is_alive)
        association.store(an_object(), check=True)
        assert store.restarts == 0


def test_after_too_many_ends_there_is_a_pause(folder, nothing_left):
    store = Isolated(isolated_handlers.store, workers=1, restarts=1, restart_period=LIMIT)
    with serving(cstore=store) as port, connect("127.0.0.1", port) as association:
        for _ in range(2):
            assert association.store(an_object("exit")).status == 0x0110
        assert association.store(an_object()).status == 0x0110
        assert store.pids == ()
        store._paused_until = 0.0  # the period is over
        association.store(an_object(), check=True)


def test_one_for_which_nobody_waits_is_killed_after_its_grace(folder, nothing_left):
    store = Isolated(isolated_handlers.store, workers=1, deadline=None, grace=0.0)
    endpoint = Endpoint.start(port=0, host="127.0.0.1", event_handlers={"cstore": store})
    port = endpoint.ask(messages.GetStatus()).port
    with store:
        association = connect("127.0.0.1", port)
        association.store(an_object(), check=True)
        (pid,) = store.pids
        sending = threading.Thread(target=_store_in_vain, args=(association,))
        sending.start()
        until(lambda: store._working)
        (found,) = endpoint.ask(messages.ListAssociations())
        assert endpoint.ask(messages.AbortAssociation(found.id))
        sending.join(LIMIT)
        until(lambda: pid not in store.pids)
        with connect("127.0.0.1", port) as another:
            another.store(an_object(), check=True)
        endpoint.stop()


def _store_in_vain(association):
    with contextlib.suppress(AssociationError):
        association.store(an_object("loop"))


def test_a_generator_is_pulled_and_closed_there(folder, nothing_left):
    find = Isolated(isolated_handlers.find, workers=1)
    with serving(cfind=find) as port, connect("127.0.0.1", port) as association:
        for match in association.find(STUDIES):
            if match.StudyInstanceUID == "1.5":
                break  # which cancels
        until((folder / "closed").exists)
        until(lambda: find._idle)
        # Back-pressure: it is not far ahead of what the peer takes.
        assert int((folder / "closed").read_text("ascii")) < 100_000
        assert find.restarts == 0
        with pytest.raises(DimseFailure) as failure:
            list(association.find({**STUDIES, "InstanceNumber": "4"}))
        assert "handler failed: WorkerError" in failure.value.comment
        association.echo()


def test_an_async_generator_works_there(folder, nothing_left):
    with (
        serving(cfind=Isolated(isolated_handlers.find_later)) as port,
        connect("127.0.0.1", port) as association,
    ):
        found = [str(match.StudyInstanceUID) for match in association.find(STUDIES)]
    assert found == ["1.0", "1.1", "1.2"]


def test_retrieval_streams_from_there(folder, nothing_left):
    an_object().save(folder / "1.dcm")
    taken = []
    with (
        serving(cstore=lambda event: taken.append(event.sop_instance_uid)) as destination,
        serving(
            cget=Isolated(isolated_handlers.get),
            cmove=Isolated(isolated_handlers.move),
            cfind=lambda event: [],
        ) as port,
        connect("127.0.0.1", port) as association,
    ):
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}
        got = list(association.get(keys, sop_classes=[SECONDARY_CAPTURE]))
        assert [str(one.SOPInstanceUID) for one in got] == ["1.2.1"]
        last = list(association.move(keys, destination=str(destination)))[-1]
        assert (last.completed, taken) == (1, ["1.2.1"])


def test_a_validator_may_hang_there(nothing_left):
    validate = Isolated(isolated_handlers.validate)
    with serving(association_validator=validate) as port:
        connect("127.0.0.1", port, calling="ME").release()
        with pytest.raises(AssociationRejected):
            connect("127.0.0.1", port, calling="OTHER")
        validate._deadline = 0.2
        with pytest.raises(AssociationRejected) as rejection:
            connect("127.0.0.1", port, calling="HANG")
        assert rejection.value.result == 2  # not for ever


def test_an_object_is_a_handler_of_its_process(nothing_left):
    with (
        serving(cstore=Isolated(isolated_handlers.Counting(4), workers=1)) as port,
        connect("127.0.0.1", port) as association,
    ):
        assert [association.store(an_object()).status for _ in range(2)] == [0xB005, 0xB006]


def test_as_many_work_as_may(folder, nothing_left):
    store = Isolated(isolated_handlers.store, workers=2)

    def send():
        with connect("127.0.0.1", port) as association:
            for number in range(10):
                association.store(an_object(number=number), check=True)

    with serving(cstore=store) as port:
        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert len(store.pids) <= 2
    assert len(list(folder.iterdir())) == 10


@pytest.mark.parametrize(
    ("handler", "options", "message"),
    [
        (lambda event: 0, {}, "handler of a module"),
        (3, {}, "callable"),
        (isolated_handlers.store, {"deadline": 0}, "deadline"),
        (isolated_handlers.store, {"workers": 0}, "worker"),
        (isolated_handlers.store, {"restarts": -1}, "intensity"),
    ],
)
def test_settings_are_checked(handler, options, message):
    with pytest.raises(ConfigurationError, match=message):
        Isolated(handler, **options)


def test_a_handler_that_cannot_be_loaded_there_says_so(nothing_left, caplog):
    isolated = Isolated(isolated_handlers.store)
    isolated._pickled = isolated._pickled.replace(b"store", b"stare")
    with serving(cstore=isolated) as port, connect("127.0.0.1", port) as association:
        assert association.store(an_object()).comment == "handler failed: HandlerError"
    until(lambda: "cannot be loaded" in caplog.text)


SCRIPT = """
import os, sys
from dicom_actors import Endpoint, connect, messages
from dicom_actors.processes import Isolated

def echo(event):
    if len(sys.argv) > 1:
        import ctypes
        print(os.getpid(), flush=True)
        ctypes.PyDLL(None).sleep(1000)

if __name__ == "__main__":
    endpoint = Endpoint.start(port=0, event_handlers={"cecho": Isolated(echo)})
    with connect("127.0.0.1", endpoint.ask(messages.GetStatus()).port) as association:
        association.echo()
    endpoint.stop()
    print("done")
"""


def test_a_handler_may_stand_in_a_script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_no_process_outlives_a_parent_that_is_killed(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, path, "hang"], stdout=subprocess.PIPE, text=True) as one:
        pid = int(one.stdout.readline())
        one.kill()
    until(lambda: _is_gone(pid))


def _is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


TYPED = """
from dicom_actors.errors import ConfigurationError
from dicom_actors.processes import Isolated

def store(event): pass

try:
    Isolated(store)
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.parametrize("way", [["-c", TYPED], ["-"]])
def test_a_handler_of_a_session_that_no_process_can_import_is_refused_at_once(way) -> None:
    done = subprocess.run(
        [sys.executable, *way],
        input=TYPED,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "expected a handler of a module or of a script, got one" in done.stdout, done.stderr
