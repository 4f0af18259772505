"""Destinations: what they send, in which order, how often, and what a fault of each kind costs."""

from __future__ import annotations

import queue
import random
import subprocess
import sys
import threading

import pykka
import pytest
from kit.archive_objects import make_file, uid_of
from kit.endpoints import running
from kit.scp import free_port
from kit.waiting import until

from dicom_actors import Status, connect, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.services import Peer
from dicom_actors.errors import ArchiveError, DimseFailure
from dicom_actors.flow import (
    Call,
    Command,
    DestinationSettings,
    DimsePeer,
    Edit,
    Flow,
    Folder,
    NotTaken,
    Route,
    Send,
    WebPeer,
)
from dicom_actors.flow.destination import Destination
from dicom_actors.supervision import kill
from dicom_actors.testing import ManualClock

LIMIT = 60.0


class Bench:
    """An archive with a clock that is moved by hand, and its flow."""

    def __init__(self, folder):
        self.clock = ManualClock()
        self.folder = folder
        self.archive = None
        self.flow = None

    def open(self, *routes, peers=None, destinations=None):
        self.archive = Archive.open(
            self.folder / "archive",
            clock=self.clock,
            now=self.clock.monotonic,
            study_quiet_seconds=5.0,
            durability="os",
            group_seconds=0.0,
        )
        self.flow = Flow.start(
            self.archive,
            routes,
            peers=peers,
            destinations=destinations,
            now=self.clock.monotonic,
            chance=random.Random(1),
        )
        return self.archive, self.flow

    def close(self):
        if self.flow is not None:
            self.flow.close()
        if self.archive is not None:
            self.archive.close()

    def queue(self, name):
        return next((one for one in self.archive.queues() if one.destination == name), None)

    def until_done(self, name, count, step=1.0):
        """Let time pass until so many are delivered, and nothing waits."""

        def is_done():
            self.clock.advance(step)
            found = self.queue(name)
            return found is not None and found.delivered == count and not found.waiting

        until(is_done)


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


class Receiver:
    """Takes objects, and fails where it is told to."""

    def __init__(self, fails=lambda number, uid: False):
        self.taken = []
        self.asked = 0
        self._fails = fails

    def __call__(self, delivery):
        self.asked += 1
        uid = delivery.sop_instance_uid
        if self._fails(self.asked, uid):
            raise RuntimeError("no")
        self.taken.append(uid)


def peer_at(port):
    return DimsePeer("PEER", Peer("127.0.0.1", port, timeout=LIMIT))


def test_each_destination_gets_each_object_in_order_byte_for_byte(bench, tmp_path):
    received = []
    lock = threading.Lock()

    def store(event):
        with lock:
            received.append((event.sop_instance_uid, bytes(event.data)))

    with running({"cstore": store}) as endpoint:
        archive, _ = bench.open(
            Route("all", [Send("peer"), Folder(tmp_path / "kept", name="kept")]),
            peers={"peer": peer_at(endpoint.port)},
        )
        files = [make_file(n, study=1 + n % 2, size=64 + 300_000 * (n % 3 == 0)) for n in range(12)]
        for data in files:
            archive.add(data)
        bench.until_done("peer", 12)
        bench.until_done("kept", 12)

    sent = [(str(read_file(data).SOPInstanceUID), data) for data in files]
    for study in (1, 2):
        mine = [uid for uid, _ in received if uid.startswith(f"1.2.{study}.")]
        assert mine == [uid for uid, _ in sent if uid.startswith(f"1.2.{study}.")]
    assert dict(received) == {uid: data[-len(dict(received)[uid]) :] for uid, data in sent}
    for uid, data in sent:
        study, series = uid.split(".")[2:4]
        path = tmp_path / "kept" / f"1.2.{study}" / f"1.2.{study}.{series}" / f"{uid}.dcm"
        assert path.read_bytes() == data


def test_who_is_not_there_costs_no_object_an_attempt(bench):
    port = free_port()
    archive, flow = bench.open(
        Route("all", [Send("peer")]),
        peers={"peer": peer_at(port)},
        destinations={"peer": DestinationSettings(refusals=1, attempts=1)},
    )
    archive.add(make_file(1))
    for _ in range(5):
        until(lambda: flow.destinations()[0].breaker == "open")
        bench.clock.advance(400.0)
    assert "refused" in flow.destinations()[0].last_error.lower()
    assert bench.queue("peer")[1:5] == (False, 1, 0, 0)

    stored = queue.Queue()
    with running({"cstore": lambda event: stored.put(event.sop_instance_uid)}) as endpoint:
        flow.swap("peer", peer_at(endpoint.port))
        assert stored.get(timeout=LIMIT) == uid_of(1)
        bench.until_done("peer", 1)


def test_one_that_fails_every_third_time_gets_all_once_and_in_order(bench):
    receiver = Receiver(lambda number, _: number % 3 == 0)
    archive, _ = bench.open(Route("all", [Call(receiver, name="r")]))
    for number in range(10):
        for study in (1, 2, 3):
            archive.add(make_file(number, study=study))
    bench.until_done("r", 30)

    assert len(receiver.taken) == 30
    for study in (1, 2, 3):
        mine = [uid for uid in receiver.taken if uid.startswith(f"1.2.{study}.")]
        assert mine == [uid_of(number, study) for number in range(10)]


def test_an_object_that_is_refused_again_and_again_is_set_aside_and_the_rest_goes_on(bench):
    poison = {uid_of(2)}
    receiver = Receiver(lambda _, uid: uid in poison)
    archive, flow = bench.open(
        Route("all", [Call(receiver, name="r")]),
        destinations={"r": DestinationSettings(refusals=3)},
    )
    for number in range(5):
        archive.add(make_file(number))
    bench.until_done("r", 4)

    assert receiver.taken == [uid_of(0), uid_of(1), uid_of(3), uid_of(4)]
    assert receiver.asked == 7
    assert bench.queue("r").set_aside == 1
    assert bench.queue("r").last_error == "r raised RuntimeError"
    poison.clear()
    assert flow.retry("r") == 1
    bench.until_done("r", 5)
    assert receiver.taken[-1] == uid_of(2)


def test_what_can_never_be_made_is_set_aside_at_once(bench):
    class Broken:
        def apply(self, data_set):
            raise NotTaken("never", is_final=True)

    receiver = Receiver()
    archive, flow = bench.open(Route("all", [Broken(), Call(lambda d: d.data_set, name="r")]))
    archive.add(make_file(1))
    until(lambda: (found := bench.queue("r")) and found.set_aside)
    assert flow.drop() == 1
    assert bench.queue("r")[2:5] == (0, 0, 0)
    assert receiver.asked == 0


def test_pausing_outlives_a_restart(bench):
    receiver = Receiver()
    route = Route("all", [Call(receiver, name="r")])
    archive, flow = bench.open(route)
    archive.add(make_file(1))
    bench.until_done("r", 1)
    flow.pause("r")
    archive.add(make_file(2))
    until(lambda: flow.destinations()[0].state == "paused")
    bench.close()

    _, flow = bench.open(route)
    until(lambda: flow.destinations()[0].state == "paused")
    assert receiver.taken == [uid_of(1)]
    flow.resume()
    bench.until_done("r", 2)


def test_steps_change_what_is_sent_and_nothing_else(bench):
    seen = []
    edit = Edit(set={"PatientID": "X"}, remove=["PatientName"])
    archive, _ = bench.open(
        Route(
            "r",
            [
                Call(lambda d: seen.append(d.data_set.PatientID), name="before"),
                edit,
                Call(lambda d: seen.append((d.data_set.PatientID, "PatientName" in d.data_set))),
            ],
        )
    )
    archive.add(make_file(1))
    bench.until_done("before", 1)
    bench.until_done("<lambda>", 1)

    assert sorted(seen, key=str) == [("X", False), "P1"]
    assert archive.open_instance(uid_of(1)).PatientID == "P1"


def test_a_study_goes_when_it_is_complete_and_what_comes_later_when_it_is_so_again(bench, tmp_path):
    deliveries = []
    archive, _ = bench.open(
        Route(
            "studies",
            [
                Call(lambda d: deliveries.append(len(d.instances)), name="all"),
                Folder(tmp_path / "e", name="e"),
            ],
            when={"InstanceNumber": 2},
            level="study",
        )
    )
    for number in (1, 2, 3):
        archive.add(make_file(number))
    archive.add(make_file(1, study=2))  # none of this one is meant
    assert archive.queues() == []
    bench.until_done("all", 1)
    bench.until_done("e", 3)
    archive.add(make_file(4))
    bench.until_done("all", 2)
    bench.until_done("e", 4)

    assert deliveries == [3, 4]
    kept = {path.stem for path in (tmp_path / "e").rglob("*.dcm")}
    assert kept == {uid_of(number) for number in (1, 2, 3, 4)}


def test_an_actor_of_the_host_is_asked(bench):
    class Host(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, delivery):
            if delivery.attempts == 0:
                raise RuntimeError("not yet")
            return delivery.data_set.PatientID

    host = Host.start()
    archive, _ = bench.open(Route("all", [Call(host)]))
    archive.add(make_file(1))
    bench.until_done("Host", 1)
    host.stop()
    archive.add(make_file(2))
    until(lambda: bench.flow.destinations()[0].breaker == "open")
    assert bench.queue("Host").waiting == 1


@pytest.mark.parametrize(
    ("status", "is_set_aside"),
    [
        (Status.OUT_OF_RESOURCES, False),
        (Status.CANNOT_UNDERSTAND, True),
        (Status.PROCESSING_FAILURE, True),
        (Status.DUPLICATE_SOP_INSTANCE, None),
        (0xB000, None),
    ],
)
def test_what_a_status_means(bench, status, is_set_aside):
    count = queue.Queue()

    def store(event):
        count.put(1)
        if int(status) == 0xB000:
            return 0xB000
        raise DimseFailure(status, "no")

    with running({"cstore": store}) as endpoint:
        archive, _ = bench.open(
            Route("all", [Send("peer")]),
            peers={"peer": peer_at(endpoint.port)},
            destinations={"peer": DestinationSettings(refusals=2)},
        )
        archive.add(make_file(1))
        if is_set_aside is None:
            bench.until_done("peer", 1)
            assert count.qsize() == 1
            return

        def is_over():
            bench.clock.advance(500.0)
            return bench.queue("peer").set_aside if is_set_aside else count.qsize() > 5

        until(lambda: bench.queue("peer") is not None)
        until(is_over)
        assert bench.queue("peer").set_aside == int(is_set_aside)


def test_bandwidth_is_waited_for(bench):
    receiver = Receiver()
    archive, flow = bench.open(
        Route("all", [Call(receiver, name="r")]),
        destinations={"r": DestinationSettings(bytes_per_second=100)},
    )
    archive.add(make_file(1))
    archive.add(make_file(2))
    until(lambda: flow.destinations()[0].state == "waiting for bandwidth")
    assert receiver.taken == [uid_of(1)]
    bench.until_done("r", 2)


def test_a_program_gets_a_path_and_is_killed_with_its_children_when_it_is_late(bench, tmp_path):
    late = tmp_path / "late"
    script = (
        "import signal, subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"open({str(late)!r}, 'w').write(str(p.pid))\n"
        "signal.pause()"
    )
    copy = tmp_path / "copy"
    archive, _flow = bench.open(
        Route(
            "all",
            [
                Command(["cp", "{path}", str(copy)]),
                Command([sys.executable, "-c", script], deadline=2.0, name="late"),
            ],
        ),
        destinations={"late": DestinationSettings(refusals=1)},
    )
    archive.add(make_file(1))
    bench.until_done("cp", 1)
    assert copy.read_bytes() == make_file(1)
    until(lambda: (found := bench.queue("late")) and found.set_aside)
    assert "killed after 2 s" in bench.queue("late").last_error
    child = int(late.read_text())
    until(lambda: _is_gone(child))
    assert list((bench.folder / "archive" / "outgoing").iterdir()) == []


def _is_gone(pid):
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.returncode != 0 or done.stdout.startswith("Z")


def test_a_program_that_fails_is_tried_again(bench, tmp_path):
    flag = tmp_path / "flag"
    script = f"test -e {flag} || {{ touch {flag}; exit 3; }}"
    archive, _ = bench.open(Route("all", [Command(["sh", "-c", script])]))
    archive.add(make_file(1))
    bench.until_done("sh", 1)
    assert bench.queue("sh").last_error == "sh ended with 3"


def test_what_is_deleted_meanwhile_is_not_waited_for(bench):
    archive, flow = bench.open(Route("all", [Send("peer")]), peers={"peer": peer_at(free_port())})
    archive.add(make_file(1))
    until(lambda: flow.destinations()[0].breaker == "open")
    archive.delete(sop_instance_uid=uid_of(1))
    bench.until_done("peer", 1, step=500.0)


def test_rows_of_a_route_that_is_gone_are_set_aside(bench):
    peers = {"peer": peer_at(free_port())}
    archive, _flow = bench.open(Route("old", [Send("peer")]), peers=peers)
    archive.add(make_file(1))
    until(lambda: bench.queue("peer") is not None)
    bench.close()

    bench.open(Route("new", [Send("peer")]), peers=peers)
    until(lambda: bench.queue("peer").set_aside == 1)
    assert "'old'" in bench.queue("peer").last_error


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "step", ["_look", "_send", "_deliver", "_instances", "_settle", "_refused", "_act", "_turn"]
)
def test_a_crash_at_any_step_loses_nothing(bench, monkeypatch, step, moment):
    receiver = Receiver(lambda number, _: number == 3)
    real = getattr(Destination, step)
    crashes = [1, 4, 6]
    calls = []

    def faulty(self, *arguments, **named):
        calls.append(1)
        is_crash = len(calls) in crashes
        if is_crash and moment == "before":
            raise ZeroDivisionError
        result = real(self, *arguments, **named)
        if is_crash:
            raise ZeroDivisionError
        return result

    monkeypatch.setattr(Destination, step, faulty)
    archive, _ = bench.open(
        Route("all", [Call(receiver, name="r")]),
        destinations={"r": DestinationSettings(refusals=20)},
    )
    for number in range(6):
        archive.add(make_file(number))
    bench.until_done("r", 6)

    # Once in effect: what comes twice comes in order.
    firsts = list(dict.fromkeys(receiver.taken))
    assert firsts == [uid_of(number) for number in range(6)]
    assert calls


def test_one_that_crashes_over_an_object_again_and_again_sets_it_aside(bench, monkeypatch):
    real = Destination._instances

    def crashing(self, item):
        if item.sop_instance_uid == uid_of(1):
            raise SystemExit
        return real(self, item)

    monkeypatch.setattr(Destination, "_instances", crashing)
    receiver = Receiver()
    archive, _ = bench.open(
        Route("all", [Call(receiver, name="r")]),
        destinations={"r": DestinationSettings(refusals=3)},
    )
    for number in range(3):
        archive.add(make_file(number))
    bench.until_done("r", 2)
    assert receiver.taken == [uid_of(0), uid_of(2)]
    assert bench.queue("r").set_aside == 1


def test_one_that_is_killed_while_it_sends_is_started_again(bench):
    receiver = Receiver()
    archive, _ = bench.open(Route("all", [Call(receiver, name="r")]))
    archive.add(make_file(0))
    bench.until_done("r", 1)
    kill(archive.system.registry.lookup("destination r"))
    archive.add(make_file(1))
    bench.until_done("r", 2)
    assert receiver.taken == [uid_of(0), uid_of(1)]


def test_an_index_that_cannot_be_written_makes_nothing_be_sent_twice(bench, monkeypatch):
    receiver = Receiver()
    archive, _flow = bench.open(Route("all", [Call(receiver, name="r")]))
    real, broken = archive.rows.write, [3]

    def write(changes):
        if broken[0]:
            broken[0] -= 1
            raise ArchiveError("no room", "full")
        return real(changes)

    monkeypatch.setattr(archive.rows, "write", write)
    for number in range(4):
        archive.add(make_file(number))
    bench.until_done("r", 4)
    assert receiver.taken == [uid_of(number) for number in range(4)]
    assert broken == [0]


def test_sent_means_committed(bench, tmp_path):
    """To an archive of ours, which reports on an association of its own."""
    ports = {}

    class Late(dict):
        def get(self, key, default=None):
            return Peer("127.0.0.1", ports["us"], timeout=LIMIT) if key == "US" else default

        def __contains__(self, key):
            return key == "US"

        def __getitem__(self, key):
            return self.get(key)

    with Archive.open(tmp_path / "remote", peers=Late(), durability="os") as remote:
        with running(remote.event_handlers()) as there:
            archive, flow = bench.open(
                Route("all", [Send("peer")]),
                peers={"peer": DimsePeer("REMOTE", Peer("127.0.0.1", there.port, calling="US"))},
                destinations={"peer": DestinationSettings(confirm="commitment")},
            )
            with running(archive.event_handlers() | flow.event_handlers()) as here:
                ports["us"] = here.port
                with connect("127.0.0.1", here.port) as association:
                    for number in range(3):
                        association.store(make_file(number), check=True)
                bench.until_done("peer", 3)
            assert remote.counts().instances == 3
        assert bench.queue("peer")[2:6] == (0, 0, 0, 3)


def test_what_is_not_committed_is_sent_again(bench):
    sent = queue.Queue()
    transactions = queue.Queue()

    def act(event):
        transactions.put(event.dataset)

    with running({"cstore": lambda e: sent.put(e.sop_instance_uid), "naction": act}) as there:
        archive, flow = bench.open(
            Route("all", [Send("peer")]),
            peers={"peer": peer_at(there.port)},
            destinations={"peer": DestinationSettings(confirm="commitment")},
        )
        archive.add(make_file(1))
        assert sent.get(timeout=LIMIT) == uid_of(1)
        request = transactions.get(timeout=LIMIT)
        until(lambda: bench.queue("peer").committing == 1)
        failed = request.ReferencedSOPSequence[0]
        failed.FailureReason = 0x0112
        report = read_file(make_file(9))
        report.TransactionUID = request.TransactionUID
        report.FailedSOPSequence = [failed]

        class Event:
            sop_class_uid = "1.2.840.10008.1.20.1"
            dataset = report

        flow.event_handlers()["nevent_report"](Event)
        assert "0112H" in bench.queue("peer").last_error

        def is_sent_again():
            bench.clock.advance(5.0)
            return sent.qsize()

        until(is_sent_again)
        second = transactions.get(timeout=LIMIT)
        del report.FailedSOPSequence
        report.TransactionUID = second.TransactionUID
        report.ReferencedSOPSequence = second.ReferencedSOPSequence
        flow.event_handlers()["nevent_report"](Event)
        assert bench.queue("peer")[2:6] == (0, 0, 0, 1)


def test_a_peer_by_http(bench, tmp_path):
    from dicom_actors.web import WebServer

    with (
        Archive.open(tmp_path / "remote", durability="os") as remote,
        WebServer.start(remote, port=0) as server,
    ):
        archive, _ = bench.open(
            Route("all", [Send("web")]), peers={"web": WebPeer(f"{server.url}dicom-web")}
        )
        for number in range(3):
            archive.add(make_file(number))
        bench.until_done("web", 3)
        assert [one.sop_instance_uid for one in remote.instances()] == [
            uid_of(number) for number in range(3)
        ]
