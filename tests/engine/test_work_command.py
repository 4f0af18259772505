"""``dicom-actors serve --nats`` and ``dicom-actors work`` as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from kit.archive_objects import make_file, uid_of
from kit.nats_cluster import NatsCluster
from kit.waiting import until

from dicom_actors import read_file
from dicom_actors.archive import Archive
from dicom_actors.cli.main import main
from dicom_actors.engine import EventStream
from dicom_actors.errors import ConfigurationError
from dicom_actors.flow import Call, NotTaken, Route, RouteWork, WebPeer
from dicom_actors.web import WebServer


@pytest.fixture
def server(tmp_path):
    cluster = NatsCluster(tmp_path / "nats")
    yield cluster
    cluster.close()


@pytest.mark.parametrize("is_function", [True, False])
def test_work_is_done_by_a_function_or_a_program(server, tmp_path, is_function):
    out = tmp_path / "out"
    (tmp_path / "mine.py").write_text(
        "import json, sys\n"
        "def look(event):\n"
        f"    open({str(out)!r}, 'a').write(json.dumps(event) + '\\n')\n"
        "if __name__ == '__main__':\n"
        "    look(json.load(sys.stdin))\n"
    )
    what = ["--handler", "mine:look"] if is_function else ["--command", f"{sys.executable} mine.py"]
    words = [sys.executable, "-m", "dicom_actors", "work", "--consume", server.servers[0]]
    with subprocess.Popen(
        [*words, "--name", "mine", "--event", "InstanceStored", *what], cwd=tmp_path
    ) as worker:
        try:
            with Archive.open(tmp_path / "archive") as archive:
                EventStream.start(archive, server.servers)
                archive.add(make_file(1))
                until(lambda: out.exists() and out.read_text().endswith("\n"))
        finally:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    assert json.loads(out.read_text())["sop_instance_uid"] == uid_of(1)


ROUTES = """
[[route]]
name = "each"
when = { PatientID = "P1" }
actions = [
    { edit = { set = { InstitutionName = "X" } } },
    { folder = "each", name = "each" },
]
[[route]]
name = "whole"
level = "study"
actions = [{ command = ["cp", "-r", "{path}", "whole"], name = "whole" }]
"""


def test_routes_are_work(server, tmp_path):
    (tmp_path / "routes.toml").write_text(ROUTES)
    (tmp_path / "whole").mkdir()
    words = [sys.executable, "-m", "dicom_actors", "work", "--consume", server.servers[0]]
    with (
        Archive.open(tmp_path / "archive", study_quiet_seconds=1.0) as archive,
        WebServer.start(archive, port=0) as web,
    ):
        words += ["--name", "router", "--routes", "routes.toml", "--archive", f"{web.url}dicom-web"]
        with subprocess.Popen(words, cwd=tmp_path) as worker:
            try:
                EventStream.start(archive, server.servers)
                for number in range(3):
                    archive.add(make_file(number))
                archive.add(make_file(1, study=2))
                until(lambda: len(list((tmp_path / "whole").rglob("*.dcm"))) == 4)
                until(lambda: len(list((tmp_path / "each").rglob("*.dcm"))) == 3)
            finally:
                worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
    for path in (tmp_path / "each").rglob("*.dcm"):
        assert str(read_file(path).InstitutionName) == "X"
        assert str(read_file(path).PatientID) == "P1"


def test_work_that_fails_comes_again_and_what_is_gone_is_done(tmp_path):
    failures = [NotTaken("not today")]
    taken = []

    def take(delivery):
        if failures:
            raise failures.pop()
        taken.append(delivery.data_set.to_bytes())

    with (
        Archive.open(tmp_path / "archive") as archive,
        WebServer.start(archive, port=0) as web,
    ):
        peer = WebPeer(f"{web.url}dicom-web")
        work = RouteWork([Route("all", [Call(take, name="host")])], peer)
        archive.add(make_file(1))
        names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
        event = dict(zip(names, ("1.2.1", "1.2.1.1", uid_of(1)), strict=True))
        event["event"] = "InstanceStored"
        with pytest.raises(NotTaken):
            work(event)
        work(event)
        assert taken == [read_file(make_file(1)).to_bytes()]
        archive.delete(study_instance_uid="1.2.1")
        work(event)
        work({"event": "AssociationClosed"})
        assert len(taken) == 1
        work.close()
        with pytest.raises(ConfigurationError, match="AE titles"):
            route = Route("one", [Call(take, name="host")], {"calling_ae_title": "CT*"})
            RouteWork([route], peer)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--handler", "nothing"], "MODULE:FUNCTION"),
        (["--handler", "no.such:thing"], "no.such:thing"),
        (["--command", "'"], "--command"),
        (["--routes", "nowhere.toml"], "--archive"),
        (["--command", "true", "--workers", "0"], "--workers"),
        (["--command", "true", "--attempts", "0"], "attempts"),
        (["--command", "true", "--name", "a.b"], "name"),
    ],
)
def test_wrong_arguments_are_named(words, what, capsys):
    assert main(["work", "--consume", "nats://127.0.0.1:1", "--name", "a", *words]) == 2
    assert what in capsys.readouterr().err
