"""Functions of routes in processes of their own: what they do there costs one attempt."""

from __future__ import annotations

import os

import pytest
from kit import isolated_handlers
from kit.archive_objects import make_file, uid_of
from kit.waiting import until

from dicom_actors import DataSet, read_file
from dicom_actors.archive import Archive
from dicom_actors.errors import ConfigurationError
from dicom_actors.flow import Call, DestinationSettings, Edit, Flow, Route

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOLATED_FOLDER", str(tmp_path / "kept"))
    return tmp_path / "kept"


def asking_for(number, what):
    ds = read_file(make_file(number))
    ds.put("PatientComments", "LT", what)
    made = DataSet(ds)
    made.file_meta = ds.file_meta
    return made


def test_what_a_function_does_to_its_process_costs_an_attempt(tmp_path, kept):
    call = Call(isolated_handlers.deliver, name="host", isolate="process")
    brief = Call(isolated_handlers.deliver, name="brief", timeout=0.2, isolate="process")
    settings = DestinationSettings(refusals=1, first_pause=0.01, longest_pause=0.02)
    with Archive.open(tmp_path / "archive", durability="os", reserve_bytes=0) as archive:
        routes = [
            Route("all", [Edit({"InstitutionName": "X"}), call], {"PatientID": "P1"}),
            Route("hangs", [brief], {"PatientComments": "hang"}),
        ]
        of_all = dict.fromkeys(("host", "brief"), settings)
        with Flow.start(archive, routes, destinations=of_all):
            hanging = asking_for(2, "hang")
            hanging.PatientID = "P2"
            archive.add(hanging)
            for number, what in ((1, "segfault"), (3, "raise")):
                archive.add(asking_for(number, what))
            archive.add(make_file(4))
            until(lambda: len(archive.queues()) == 2)
            until(lambda: not any(queue.waiting for queue in archive.queues()))
            with archive.reader() as reader:
                errors = {
                    row.sop_instance_uid: row.error
                    for name in ("host", "brief")
                    for row in reader.queue.set_aside(name)
                }
        assert [queue.delivered for queue in archive.queues()] == [0, 1]
        left = [path for path in (tmp_path / "archive").rglob("*") if "outgoing" in path.parts]
        assert not [path for path in left if path.is_file()]
    assert "signal 11" in errors[uid_of(1)]
    assert "took too long and was killed" in errors[uid_of(2)]
    assert errors[uid_of(3)] == "host raised LocalError"
    (path,) = kept.rglob("*.dcm")
    assert str(read_file(path).InstitutionName) == "X"
    assert str(read_file(path).SOPInstanceUID) == uid_of(4)


def test_what_cannot_be_handed_over_is_refused():
    with pytest.raises(ConfigurationError, match="pickled"):
        Call(lambda delivery: None, isolate="process")
    with pytest.raises(ConfigurationError, match="expected 'process'"):
        Call(os.getpid, isolate="thread")
    with pytest.raises(ConfigurationError, match="timeout"):
        Call(os.getpid, timeout=0)
