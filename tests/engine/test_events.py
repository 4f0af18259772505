"""Events of an archive in NATS JetStream, and work out of it; the server is the real one."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections import Counter

import nats
import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.nats_cluster import NatsCluster
from kit.waiting import until

from dicom_actors.archive import Archive
from dicom_actors.engine import EngineSettings, EventStream, Job, Worker
from dicom_actors.errors import ArchiveError, ConfigurationError

QUICK = EngineSettings(timeout=2.0)


@pytest.fixture
def server(tmp_path):
    cluster = NatsCluster(tmp_path / "nats")
    yield cluster
    cluster.close()


def told(cluster, stream="dicom"):
    """All messages of a stream, in order."""

    async def read():
        connection = await nats.connect(servers=cluster.servers)
        try:
            context = connection.jetstream()
            state = (await context.stream_info(stream)).state
            found = []
            for number in range(state.first_seq, state.last_seq + 1):
                found.append(await context.get_msg(stream, number))
            return found
        finally:
            await connection.close()

    return asyncio.run(read())


def bodies(cluster):
    return [json.loads(message.data) for message in told(cluster)]


def waiting(archive):
    with archive.reader() as reader:
        return reader.outbox.status().waiting


def test_what_is_committed_is_told(server, tmp_path):
    with Archive.open(tmp_path / "archive", study_quiet_seconds=0.01) as archive:
        stream = EventStream.start(archive, server.servers, QUICK)
        archive.add(make_file(1))
        archive.add(make_file(1))  # the same again is nothing new
        until(lambda: not stream.status().waiting)
        until(lambda: "StudyComplete" in [body["event"] for body in bodies(server)])
        archive.delete(sop_instance_uid=uid_of(1))
        until(lambda: not stream.status().waiting)
        stream.stop()
    found = bodies(server)
    assert Counter(body["event"] for body in found) == {
        "InstanceStored": 1,
        "StudyChanged": 2,
        "StudyComplete": 1,
        "InstanceDeleted": 1,
    }
    first = found[0]
    assert (first["event"], first["sop_instance_uid"]) == ("InstanceStored", uid_of(1))
    assert first["size"] == len(make_file(1))
    assert first["dataset"]["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane1"}]
    assert first["dataset"]["00080018"]["Value"] == [uid_of(1)]
    assert len({body["id"] for body in found}) == len(found)


def test_without_an_engine_events_wait_and_go_when_it_is_there(tmp_path):
    cluster = NatsCluster(tmp_path / "nats")
    try:
        cluster.kill(0)
        with Archive.open(tmp_path / "archive") as archive:
            stream = EventStream.start(archive, cluster.servers, EngineSettings(timeout=0.3))
            for number in range(1, 6):
                archive.add(make_file(number))
            assert stream.status().waiting >= 6
            cluster.start(0)
            until(lambda: not stream.status().waiting)
        stored = [one for one in bodies(cluster) if one["event"] == "InstanceStored"]
        assert [one["sop_instance_uid"] for one in stored] == [uid_of(n) for n in range(1, 6)]
    finally:
        cluster.close()


def test_a_limit_refuses_objects_or_drops_the_oldest_events(tmp_path):
    nobody = ["nats://127.0.0.1:1"]
    with Archive.open(tmp_path / "archive") as archive:
        settings = EngineSettings(most_waiting=4, timeout=0.1)
        stream = EventStream.start(archive, nobody, settings)
        archive.add(make_file(1))
        archive.add(make_file(2))
        with pytest.raises(ArchiveError, match="as may") as caught:
            archive.add(make_file(3))
        assert caught.value.reason == "full"
        assert archive.counts().instances == 2
        archive.delete(sop_instance_uid=uid_of(1))  # is possible still
        stream.stop()
        settings = EngineSettings(most_waiting=4, timeout=0.1, when_full="drop")
        stream = EventStream.start(archive, nobody, settings)
        for number in range(3, 10):
            archive.add(make_file(number))
        status = stream.status()
        assert status.waiting <= 4
        assert status.dropped > 0
        stream.stop()
        EventStream.forget(archive)
        archive.add(make_file(11))
        assert stream.status().waiting == status.waiting


def test_the_end_of_the_process_between_the_stream_and_the_row_doubles_nothing(server, tmp_path):
    folder = tmp_path / "archive"
    archive = Archive.open(folder)
    stream = EventStream.start(archive, server.servers, QUICK)
    archive.add(make_file(1))
    until(lambda: not stream.status().waiting)
    stream.stop()
    archive.add(make_file(2))
    with archive.reader() as reader:
        again = reader.outbox.messages(100)
    stream = EventStream.start(archive, server.servers, QUICK)
    until(lambda: not stream.status().waiting)
    stream.stop()
    # As if the rows had not been removed before the end.
    index = archive._kernel.index.get()
    index._connection.begin(writes=True)
    for one in again:
        index._connection.execute(
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (one[0], *one[2:])
        )
    index._connection.commit()
    abandon(archive)
    with Archive.open(folder) as archive:
        assert waiting(archive) == len(again) > 0
        stream = EventStream.start(archive, server.servers, QUICK)
        until(lambda: not stream.status().waiting)
    names = [body["id"] for body in bodies(server)]
    assert len(names) == len(set(names)) == 4


def test_workers_do_each_message_once_and_set_aside_what_never_succeeds(server, tmp_path):
    done = Counter()
    lock = threading.Lock()
    failing = iter([uid_of(2)])

    def handle(subject, body):
        uid = json.loads(body)["sop_instance_uid"]
        if uid == uid_of(5) or uid == next(failing, ""):
            raise ValueError("cannot")
        with lock:
            done[uid] += 1

    job = Job(name="ai", handler=handle, event="InstanceStored", attempts=2, retry_seconds=0.01)
    worker = Worker.start(server.servers, job, QUICK, number=2)
    try:
        with Archive.open(tmp_path / "archive") as archive:
            EventStream.start(archive, server.servers, QUICK)
            for number in range(1, 9):
                archive.add(make_file(number))
            until(lambda: worker.status().done == 7 and worker.status().set_aside == 1)
    finally:
        worker.stop()
    assert done == {uid_of(n): 1 for n in range(1, 9) if n != 5}
    (aside,) = told(server, "dicom-aside")
    assert json.loads(aside.data)["sop_instance_uid"] == uid_of(5)
    assert aside.headers["Dicom-Actors-Error"] == "ValueError: cannot"


def test_of_three_servers_one_may_go(tmp_path):
    cluster = NatsCluster(tmp_path / "nats", nodes=3)
    settings = EngineSettings(replicas=3, timeout=2.0)
    seen = Counter()
    job = Job(
        name="durable",
        handler=lambda subject, body: seen.update([json.loads(body)["id"]]),
        event="InstanceStored",
        lease_seconds=5.0,
    )
    worker = Worker.start(cluster.servers, job, settings)
    try:
        with Archive.open(tmp_path / "archive") as archive:
            stream = EventStream.start(archive, cluster.servers, settings)
            for number in range(1, 41):
                archive.add(make_file(number))
                if number == 10:
                    until(lambda: seen)
                if number == 15:
                    cluster.kill(0)
                if number == 30:
                    cluster.start(0)
            until(lambda: not stream.status().waiting)
            until(lambda: len(seen) == 40)
    finally:
        worker.stop()
        cluster.close()
    assert set(seen.values()) == {1}


def test_of_several_nodes_one_tells_and_another_one_goes_on(server, tmp_path, postgresql):
    address = postgresql.new_database()

    def opened():
        return Archive.open(tmp_path / "archive", index=address, node_lease_seconds=0.6)

    def sender(archive):
        with archive.reader() as reader:
            return reader.queue.sender_of()

    def count():
        return len([one for one in bodies(server) if one["event"] == "InstanceStored"])

    one, other = opened(), opened()
    with other:
        stream = EventStream.start(one, server.servers, QUICK)
        until(lambda: sender(other) == one.store.node)
        of_other = EventStream.start(other, server.servers, QUICK)
        for number in range(1, 11):  # whoever commits it
            (one, other)[number % 2].add(make_file(number))
        until(lambda: not stream.status().waiting)
        assert sender(other) == one.store.node
        abandon(one)
        other.add(make_file(11))
        until(lambda: not of_other.status().waiting)
        assert sender(other) == other.store.node
        with opened() as third:  # one that comes waits until it is left
            EventStream.start(third, server.servers, QUICK)
            third.add(make_file(12))
            until(lambda: count() == 12)
            assert sender(third) == other.store.node
            of_other.stop()
            third.add(make_file(13))
            until(lambda: count() == 13)
            assert sender(third) == third.store.node
    names = [body["id"] for body in bodies(server)]
    assert len(names) == len(set(names))


STORING = """
import sys
from dicom_actors.archive import Archive
from dicom_actors.engine import EngineSettings, EventStream
from kit.archive_objects import make_file
archive = Archive.open(sys.argv[1])
EventStream.start(archive, sys.argv[2].split(","), EngineSettings(timeout=2.0))
for number in range(int(sys.argv[3]), 100_000):
    archive.add(make_file(number))
    print(number, flush=True)
"""


def test_a_process_that_is_killed_at_random_loses_and_doubles_no_event(server, tmp_path):
    chance, next_number, acknowledged = random.Random(7), 1, []
    folder = tmp_path / "archive"
    for _ in range(3):
        words = [sys.executable, "-c", STORING, folder, ",".join(server.servers), str(next_number)]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, cwd="tests", env={"PYTHONPATH": "tests:."}, text=True
        ) as process:
            for _ in range(chance.randint(1, 40)):
                acknowledged.append(int(process.stdout.readline()))
            process.kill()
        next_number = acknowledged[-1] + 2
    with Archive.open(folder) as archive:
        archive.settle()
        stream = EventStream.start(archive, server.servers, QUICK)
        until(lambda: not stream.status().waiting)
        there = sorted(found.sop_instance_uid for found in archive.instances())
    stored = [one for one in bodies(server) if one["event"] == "InstanceStored"]
    assert sorted(one["sop_instance_uid"] for one in stored) == there
    assert set(map(uid_of, acknowledged)) <= set(there)


@pytest.mark.parametrize("servers", [[], ["http://somewhere"], ["nats:secret"]])
def test_what_is_no_server_is_refused_without_repeating_it(servers, tmp_path):
    with Archive.open(tmp_path) as archive:
        with pytest.raises(ConfigurationError, match="servers: expected") as caught:
            EventStream.start(archive, servers)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"stream": "a.b"}, {"replicas": 0}, {"when_full": "cry"}, {"most_waiting": 0}, {"timeout": 0}],
)
def test_settings_out_of_their_range_are_named(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        EngineSettings(**wrong)
