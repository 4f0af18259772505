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

from dicom_actors.archive import Archive
from dicom_actors.cli.main import main
from dicom_actors.engine import EventStream


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


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--handler", "nothing"], "MODULE:FUNCTION"),
        (["--handler", "no.such:thing"], "no.such:thing"),
        (["--command", "'"], "--command"),
        (["--command", "true", "--workers", "0"], "--workers"),
        (["--command", "true", "--attempts", "0"], "attempts"),
        (["--command", "true", "--name", "a.b"], "name"),
    ],
)
def test_wrong_arguments_are_named(words, what, capsys):
    assert main(["work", "--consume", "nats://127.0.0.1:1", "--name", "a", *words]) == 2
    assert what in capsys.readouterr().err
