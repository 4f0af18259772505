"""``dicom-actors serve --workers``: several processes that are one endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import nats
import pytest
from kit.archive_objects import make_file, uid_of
from kit.certificates import Certificates
from kit.endpoints import running
from kit.nats_cluster import NatsCluster
from kit.object_store import BUCKET, object_store
from kit.serving import serving
from kit.waiting import LIMIT, until
from services.commitment import Commitments

from dicom_actors import (
    DataSet,
    DimseFailure,
    TlsConfig,
    connect,
    read_file,
)
from dicom_actors.cli.control import ask
from dicom_actors.errors import AssociationRejected, DicomError
from dicom_actors.web.tokens import new_token

SIZES = (64, 9_000, 300_000)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def workers_of(server):
    """The numbers of the processes of the workers that serve."""
    names = (node["name"] for node in ask(server.port, "GetTree")["children"])
    return [int(name.partition("process ")[2]) for name in names if "process" in name]


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def send(port, folder, sender, acknowledged):
    """Send files by storescu, and note those that it saw Success for."""
    for turn in range(6):
        there = folder / f"{sender}-{turn}"
        there.mkdir()
        for number in range(10):
            count = turn * 10 + number + 1
            data = make_file(count, study=1, series=sender, size=SIZES[number % len(SIZES)])
            (there / f"{count:06}.dcm").write_bytes(data)
        command = ["storescu", "-v", "127.0.0.1", str(port), *sorted(map(str, there.iterdir()))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
        path = None
        for line in (done.stdout + done.stderr).splitlines():
            if "Sending file: " in line:
                path = Path(line.partition("Sending file: ")[2].strip())
            elif "Received Store Response (Success)" in line and path is not None:
                acknowledged.add((sender, int(path.stem)))


@pytest.mark.parametrize("option", ["", "--receive-only"])
def test_what_was_acknowledged_is_there_whoever_is_killed(tmp_path, option):
    chance, acknowledged = random.Random(4), set()
    store = tmp_path / "store"
    sent = tmp_path / "sent"
    sent.mkdir()
    options = ["--store", str(store), "--workers", "2", *filter(None, [option])]
    with serving(*options) as server:
        threads = [
            threading.Thread(target=send, args=(server.port, sent, sender, acknowledged))
            for sender in (1, 2, 3)
        ]
        for thread in threads:
            thread.start()
        kills = 0
        while any(thread.is_alive() for thread in threads) and kills < 3:
            wanted = len(acknowledged) + chance.randint(1, 10)
            until(
                lambda wanted=wanted: (
                    len(acknowledged) >= wanted or not any(thread.is_alive() for thread in threads)
                )
            )
            until(lambda: len(workers_of(server)) == 2)
            victim = chance.choice(workers_of(server))
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: victim not in workers_of(server))
            kills += 1
        for thread in threads:
            thread.join(LIMIT)
        until(lambda: len(workers_of(server)) == 2)
        assert kills
        assert ask(server.port, "GetStatus")["restarts"] == kills
        assert acknowledged
        if not option:
            with connect("127.0.0.1", server.port) as association:
                keys = {
                    "QueryRetrieveLevel": "IMAGE",
                    "StudyInstanceUID": "1.2.1",
                    "SOPInstanceUID": None,
                }
                for sender in {sender for sender, _ in acknowledged}:
                    series = {**keys, "SeriesInstanceUID": f"1.2.1.{sender}"}
                    found = {str(one.SOPInstanceUID) for one in association.find(series)}
                    assert {
                        uid_of(number, 1, sender) for one, number in acknowledged if one == sender
                    } <= found
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(LIMIT) == 0
    for sender, number in acknowledged:
        path = store / "1.2.1" / f"1.2.1.{sender}" / f"{uid_of(number, 1, sender)}.dcm"
        size = SIZES[(number - 1) % 10 % len(SIZES)]
        made = make_file(number, study=1, series=sender, size=size)
        assert read_file(path).to_bytes() == read_file(made).to_bytes()


def test_commitment_is_reported_on_the_association_that_asked(tmp_path):
    reports = []
    with serving("--store", str(tmp_path / "store"), "--workers", "2") as server:
        for number in range(4):  # by either worker
            with connect(
                "127.0.0.1", server.port, calling="NOBODY_KNOWN", on_event_report=reports.append
            ) as association:
                assert association.store(make_file(number)).status == 0
                transaction = Commitments().ask(
                    association, {uid_of(number): SECONDARY_CAPTURE, "1.2.3": SECONDARY_CAPTURE}
                )
                assert association.listen(LIMIT)
            report = reports.pop().data_set
            assert report.TransactionUID == transaction
            (kept,) = report.ReferencedSOPSequence
            (failed,) = report.FailedSOPSequence
            assert kept.ReferencedSOPInstanceUID == uid_of(number)
            assert failed.FailureReason == 0x0112
        assert server.stop() == 0


@pytest.mark.parametrize("index", ["sqlite", "postgresql"])
def test_a_procedure_step_is_made_once_and_ended_once(tmp_path, index, request):
    options = ["--store", str(tmp_path / "store"), "--workers", "2"]
    if index == "postgresql":
        options += ["--index", request.getfixturevalue("postgresql").new_database()]
    with serving(*options) as server, contextlib.ExitStack() as stack:
        # More associations than workers: some are at each of them.
        associations = [
            stack.enter_context(connect("127.0.0.1", server.port, contexts=[MPPS]))
            for _ in range(6)
        ]
        for turn in range(5):
            uid = f"1.2.3.{turn}"
            made = at_once(associations, lambda one, _, uid=uid: one.n_create(MPPS, uid, STEP))
            assert sorted(made) == [0, *[0x0111] * 5]
            ended = at_once(associations, lambda one, n, uid=uid: one.n_set(MPPS, uid, ENDS[n % 2]))
            assert sorted(ended) == [0, *[0x0110] * 5]
        assert server.stop() == 0


MPPS = "1.2.840.10008.3.1.2.3.3"
STEP = DataSet.from_keywords(
    PerformedStationAETitle="CT1",
    PerformedProcedureStepStartDate="20240705",
    PerformedProcedureStepStartTime="1030",
    PerformedProcedureStepID="1",
    PerformedProcedureStepStatus="IN PROGRESS",
    Modality="CT",
    ScheduledStepAttributesSequence=[{"ScheduledProcedureStepID": "S1"}],
)
ENDS = [
    DataSet.from_keywords(
        PerformedProcedureStepStatus=state,
        PerformedProcedureStepEndDate="20240705",
        PerformedProcedureStepEndTime="1045",
        PerformedSeriesSequence=[{"SeriesInstanceUID": "1.2.4"}],
    )
    for state in ("COMPLETED", "DISCONTINUED")
]


def at_once(associations, do):
    """Do something on each association at once; gives the statuses."""
    statuses = []
    barrier = threading.Barrier(len(associations))

    def work(association, number):
        barrier.wait(LIMIT)
        try:
            do(association, number)
            statuses.append(0)
        except DimseFailure as error:
            statuses.append(error.status)

    threads = [
        threading.Thread(target=work, args=(one, number)) for number, one in enumerate(associations)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()
    return statuses


def test_the_whole_is_controlled_as_one(tmp_path):
    options = ["--store", str(tmp_path / "store"), "--workers", "2", "--set"]
    with serving(
        *options, "endpoint.max_associations=2", "--set", "endpoint.when_full=reject"
    ) as server:
        with contextlib.ExitStack() as stack:
            two = [stack.enter_context(connect("127.0.0.1", server.port)) for _ in range(2)]
            with pytest.raises(AssociationRejected):
                connect("127.0.0.1", server.port)
            listed = ask(server.port, "ListAssociations")
            assert len({one["id"] for one in listed if one["state"] == "open"}) == 2
            last = max(one["id"] for one in listed if one["state"] == "open")
            assert ask(server.port, "AbortAssociation", id=last)
            with pytest.raises(DicomError):
                for one in two:
                    one.echo()
            assert not ask(server.port, "AbortAssociation", id=10_000)
        until(lambda: ask(server.port, "GetStatus")["associations"] == 0)
        ask(server.port, "Suspend")
        assert ask(server.port, "GetStatus")["state"] == "suspended"
        with pytest.raises(DicomError):
            connect("127.0.0.1", server.port, timeout=5)
        # One that starts meanwhile accepts nothing either.
        victim, _ = workers_of(server)
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in workers_of(server) and len(workers_of(server)) == 2)
        with pytest.raises(DicomError):
            connect("127.0.0.1", server.port, timeout=5)
        ask(server.port, "Resume")
        for _ in range(8):
            with connect("127.0.0.1", server.port) as association:
                association.echo()
        with connect("127.0.0.1", server.port):
            report = ask(server.port, "Drain", deadline=0)
            assert len(report["cut"]) == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(LIMIT) == 0


ROUTES = """
[serve]
workers = 2
[archive]
study_quiet_seconds = 1
[[route]]
name = "all"
when = {{ Modality = ["OT", "CT"] }}
actions = [
    {{ folder = "kept", name = "kept" }},
    {{ edit = {{ set = {{ InstitutionName = "X" }}, remove = ["PatientName"] }} }},
    {{ command = ["cp", "{{path}}", "copies"], name = "copy" }},
    {{ deidentify = {{ salt_file = "salt" }} }},
    {{ folder = "trial", name = "trial" }},
    {{ call = "user_functions:keep", isolate = "process", timeout = 60, name = "function" }},
]
[[route]]
name = "whole"
level = "study"
actions = [{{ command = ["cp", "-r", "{{path}}", "studies"], name = "studies" }}]
"""


@pytest.mark.parametrize("index", ["sqlite", "postgresql"])
def test_what_workers_receive_goes_on_by_routes(tmp_path, index, request):
    config = tmp_path / "config.toml"
    config.write_text(ROUTES.format())
    (tmp_path / "user_functions.py").write_text(
        "def keep(delivery):\n    delivery.save('called')\n"
    )
    (tmp_path / "salt").write_text("0123456789abcdef")
    (tmp_path / "salt").chmod(0o600)
    for name in ("copies", "studies"):
        (tmp_path / name).mkdir()
    options = ["--config", str(config), "--store", str(tmp_path / "store")]
    if index == "postgresql":
        options += ["--index", request.getfixturevalue("postgresql").new_database()]
    before = f"import os; os.chdir({str(tmp_path)!r})"
    with serving(*options, before=before) as server:

        def send_all(study):
            # More associations than workers: some of a study come by each of them.
            for turn in range(4):
                with connect("127.0.0.1", server.port) as association:
                    for number in range(3):
                        data = make_file(turn * 3 + number, study=study)
                        assert association.store(data).status == 0

        threads = [threading.Thread(target=send_all, args=(study,)) for study in (1, 2)]
        for thread in threads:
            thread.start()
        until(lambda: len(workers_of(server)) == 2)
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()

        def delivered():
            return {one["destination"]: one["delivered"] for one in ask(server.port, "ListQueues")}

        wanted = {"kept": 24, "copy": 24, "trial": 24, "function": 24}
        until(lambda: {name: delivered().get(name) for name in wanted} == wanted)
        until(lambda: delivered().get("studies") == 2)
        nodes = ask(server.port, "GetTree")["children"]
        archive = next(node for node in nodes if node["name"] == "archive")
        flow = next(node for node in archive["children"] if node["name"] == "flow")
        names = {node["name"] for node in flow["children"]}
        assert names == {"kept", "copy", "trial", "function", "studies"}
        assert server.stop() == 0
    for study in (1, 2):
        for number in range(12):
            path = tmp_path / "kept" / f"1.2.{study}" / f"1.2.{study}.1"
            kept = read_file(path / f"{uid_of(number, study)}.dcm")
            assert kept.to_bytes() == read_file(make_file(number, study=study)).to_bytes()
    for name in ("trial", "called"):
        assert len(list((tmp_path / name).rglob("*.dcm"))) == 24
    whole = [path for path in (tmp_path / "studies").rglob("*") if path.is_file()]
    assert len(whole) == 24
    assert len(list((tmp_path / "copies").iterdir())) == 24


@pytest.mark.parametrize("index", ["sqlite", "postgresql"])
def test_with_a_bucket_and_an_engine_all_is_there_and_told_once(
    tmp_path, index, request, monkeypatch
):
    options = ["--store", str(tmp_path / "store"), "--workers", "2"]
    options += ["--set", f"archive.bucket=s3://{BUCKET}/site"]
    if index == "postgresql":
        options += ["--index", request.getfixturevalue("postgresql").new_database()]
    cluster = NatsCluster(tmp_path / "nats")
    acknowledged = []
    lock = threading.Lock()

    def send_all(port, sender):
        number = 0
        while number < 12:
            with contextlib.suppress(DicomError), connect("127.0.0.1", port) as association:
                for number in range(number, 12):  # noqa: B020 - goes on where it was cut off
                    data = make_file(number, series=sender, size=SIZES[number % len(SIZES)])
                    if association.store(data).status == 0:
                        with lock:
                            acknowledged.append((sender, number))
                number = 12

    try:
        with (
            object_store(monkeypatch) as bucket,
            serving(*options, "--nats", cluster.servers[0]) as server,
        ):
            threads = [
                threading.Thread(target=send_all, args=(server.port, sender))
                for sender in (1, 2, 3)
            ]
            for thread in threads:
                thread.start()
            until(lambda: len(acknowledged) >= 6)
            victim = workers_of(server)[0]
            os.kill(victim, signal.SIGKILL)
            for thread in threads:
                thread.join(LIMIT)
                assert not thread.is_alive()
            until(lambda: len(workers_of(server)) == 2)
            wanted = {(sender, number) for sender in (1, 2, 3) for number in range(12)}
            assert set(acknowledged) == wanted
            with connect("127.0.0.1", server.port) as association:
                keys = {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2.1"}
                found = {
                    str(one.SOPInstanceUID)
                    for sender in (1, 2, 3)
                    for one in association.find(
                        {**keys, "SeriesInstanceUID": f"1.2.1.{sender}", "SOPInstanceUID": None}
                    )
                }
            assert found == {uid_of(number, 1, sender) for sender, number in wanted}
            for sender, number in wanted:
                data = make_file(number, series=sender, size=SIZES[number % len(SIZES)])
                start = f"site/1.2.1/1.2.1.{sender}/{uid_of(number, 1, sender)}-"
                kept = [value for key, value in bucket.objects.items() if key.startswith(start)]
                assert all(read_file(one).to_bytes() == read_file(data).to_bytes() for one in kept)
                assert kept
            until(lambda: len(stored_in(cluster)) >= len(wanted))
            assert server.stop() == 0
        told = stored_in(cluster)
        assert len(told) == len(set(told))
        assert set(told) == found
    finally:
        cluster.close()


def stored_in(cluster):
    """The instances that the engine was told of."""

    async def read():
        connection = await nats.connect(servers=cluster.servers)
        try:
            context = connection.jetstream()
            state = (await context.stream_info("dicom")).state
            messages = [
                json.loads((await context.get_msg("dicom", number)).data)
                for number in range(state.first_seq, state.last_seq + 1)
            ]
        finally:
            await connection.close()
        return [one["sop_instance_uid"] for one in messages if one["event"] == "InstanceStored"]

    return asyncio.run(read())


def test_workers_end_with_their_parent(tmp_path):
    with serving("--store", str(tmp_path / "store"), "--workers", "2") as server:
        pids = workers_of(server)
        os.kill(pids[0], signal.SIGSTOP)  # one that hangs, too
        server.process.kill()
        until(lambda: all(is_gone(pid) for pid in pids))


@pytest.mark.parametrize("hostname", ["pacs.example.org", "other.example.org"])
def test_the_web_and_destinations_by_tls(tmp_path, hostname):
    certificates = Certificates(tmp_path)
    certificate, key = certificates.issue("pacs", "pacs.example.org")
    (tmp_path / "tokens").write_text(new_token("somebody", "read")[1])
    config = tmp_path / "config.toml"
    came = threading.Event()
    tls = TlsConfig(certificate=certificate, key=key, require_peer_certificate=False)
    with running({"cstore": lambda event: came.set()}, tls=tls) as pacs:
        config.write_text(
            f"[peers.pacs]\naddress = 'PACS@127.0.0.1:{pacs.port}'\n"
            f"tls = {{authorities = '{certificates.authority}', hostname = '{hostname}'}}\n"
            "[peers.cloud]\naddress = 'https://127.0.0.1:1/dicom-web'\n"
            f"tls = {{authorities = '{certificates.authority}'}}\n"
            "[[route]]\nwhen = {Modality = 'US'}\nactions = [{send = 'cloud'}, {send = 'pacs'}]\n"
        )
        options = ["--web-port", "0", "--web-tokens", str(tmp_path / "tokens")]
        options += ["--web-certificate", str(certificate), "--web-key", str(key)]
        options += ["--config", str(config), "--store", str(tmp_path / "store"), "--workers", "2"]
        with serving(*options) as server:
            server.wait_for("web page on https://")
            with connect("127.0.0.1", server.port) as association:
                association.store(make_file(1, study=1, series=1, size=64))
                keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1"}
                if hostname == "other.example.org":
                    with pytest.raises(DimseFailure):
                        list(association.move(keys, "PACS"))
                else:
                    assert list(association.move(keys, "PACS"))[-1].completed == 1
            assert came.is_set() == (hostname == "pacs.example.org")
            assert server.stop() == 0
