"""``/metrics`` and ``/health`` of an endpoint with an archive, as they are asked for over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sqlite3
import threading

import pytest
from kit.file_systems import small_disk
from kit.peer import Peer
from kit.waiting import until
from prometheus_client.parser import text_string_to_metric_families

from dicom_actors import DataSet, Endpoint, Status, connect, messages
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.archive import Archive
from dicom_actors.archive.index import OutboxWanted
from dicom_actors.errors import ArchiveError
from dicom_actors.metrics import Observer, serve_metrics
from dicom_actors.supervision import kill, which_children

LIMIT = 60.0

CT = "1.2.840.10008.5.1.4.1.1.2"
CANARY = "Canary^Patient"
MIB = 1 << 20


def instance(number: int, study: str = "1.2", size: int = 100) -> DataSet:
    return DataSet.from_keywords(
        SOPClassUID=CT,
        SOPInstanceUID=f"{study}.3.{number}",
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.3",
        PatientID="CANARY-ID",
        PatientName=CANARY,
        Modality="CT",
        PixelData=bytes(size),
    )


class Site:
    """An endpoint with an archive, and who looks at them."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.endpoint = Endpoint.start(0, host="127.0.0.1", event_handlers=archive.event_handlers())
        self.port = self.endpoint.ask(messages.GetStatus()).port
        self.observer = Observer(self.endpoint, archive)
        self.server = serve_metrics(self.observer, "127.0.0.1", 0)

    def close(self) -> None:
        self.server.close()
        self.observer.close()
        self.endpoint.stop()
        self.archive.close()

    def store(self, *data_sets: DataSet) -> list[int]:
        with connect("127.0.0.1", self.port) as association:
            return [association.store(one).status for one in data_sets]

    def ask(self, target: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=LIMIT)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def health(self) -> tuple[int, dict]:
        code, text = self.ask("/health")
        return code, json.loads(text)

    def values(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        code, text = self.ask("/metrics")
        assert code == 200
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.values()[f"dicom_actors_{name}", tuple(sorted(labels.items()))]


@pytest.fixture
def site(tmp_path, nothing_left):
    site = Site(Archive.open(tmp_path / "archive", durability="os"))
    yield site
    site.close()


def test_what_was_stored_is_counted_and_parsed_by_prometheus(site):
    assert site.store(instance(1), instance(2), instance(2), instance(1, size=200)) == [
        0,
        0,
        0,
        Status.DUPLICATE_SOP_INSTANCE,
    ]
    until(lambda: site.observer.tally.totals().of("C-STORE").requests == 4)
    until(lambda: site.observer.tally.totals().closed)
    values = site.values()

    def value(name, **labels):
        return values[f"dicom_actors_{name}", tuple(sorted(labels.items()))]

    assert value("requests_total", service="C-STORE", status="0000") == 3
    assert value("requests_total", service="C-STORE", status="0111") == 1
    assert value("request_bytes_total", service="C-STORE") > 400
    assert value("request_duration_seconds_count", service="C-STORE") == 4
    assert value("request_duration_seconds_bucket", service="C-STORE", le="+Inf") == 4
    assert value("request_duration_seconds_sum", service="C-STORE") > 0
    assert value("archive_instances") == 2
    assert value("archive_studies") == value("archive_patients") == 1
    assert value("associations_accepted_total") == 1
    assert value("connections_closed_total", reason="released") == 1
    assert value("healthy") == value("accepting") == 1
    assert value("disk_state", state="enough") == 1
    assert value("disk_free_bytes") > 0
    assert value("queue_length", actor="index") == 0
    assert value("actor_restarts_total", tree="archive") == 0
    assert value("log_lines_dropped_total") == value("log_records_dropped_total") == 0
    assert value("events_dropped_total") == 0
    assert ("process_resident_memory_bytes", ()) in values


def test_events_that_wait_for_an_engine_are_counted(site):
    assert ("dicom_actors_outbox_events", ()) not in site.values()
    site.archive.rows.write([OutboxWanted(1, "drop")])
    assert site.value("outbox_events") == 0
    assert site.store(instance(1), instance(2)) == [0, 0]
    assert site.value("outbox_events") == 1
    assert site.value("outbox_events_dropped_total") >= 1


def test_what_was_dropped_is_counted(site):
    kernel = site.endpoint.ask(GetKernel(), timeout=LIMIT)
    kernel.event_bus, bus = None, kernel.event_bus  # it does not get to deliver anything
    for _ in range(10_007):
        kernel.limit_reached("some", "thing")
    assert site.endpoint.ask(messages.GetStatus(), timeout=LIMIT).dropped_events == 7
    kernel.event_bus = bus
    assert site.values()["dicom_actors_events_dropped_total", ()] == 7


def test_every_metric_has_a_meaning_and_names_no_patient(site):
    site.store(instance(1))
    _, text = site.ask("/metrics")
    families = list(text_string_to_metric_families(text))
    assert len(families) > 20
    assert all(family.documentation for family in families)
    assert "anary" not in text.lower()
    assert "1.2.3" not in text


def test_health_says_that_all_is_right(site):
    code, body = site.health()
    assert code == 200
    assert body["status"] == "ok"
    assert body["problems"] == []
    assert body["endpoint"] == "running"
    assert body["free_bytes"] > 0


def test_other_pages_and_methods(site):
    assert site.ask("/")[0] == 404
    assert site.ask("/health?verbose=1")[0] == 200
    assert site.ask("/health", "POST")[0] == 405
    assert site.ask("/health", "HEAD") == (200, "")


def test_an_endpoint_that_is_suspended_or_draining_is_not_healthy(site):
    site.endpoint.ask(messages.Suspend())
    code, body = site.health()
    assert (code, body["endpoint"]) == (503, "suspended")
    assert body["problems"] == ["the endpoint is suspended: no associations are accepted"]
    assert site.value("healthy") == site.value("accepting") == 0
    site.endpoint.ask(messages.Resume())
    assert site.health()[0] == 200
    with Peer.associated(site.port) as peer:
        drain = threading.Thread(target=site.endpoint.ask, args=(messages.Drain(LIMIT),))
        drain.start()
        until(lambda: site.endpoint.ask(messages.GetStatus()).state == "draining")
        code, body = site.health()
        assert (code, body["endpoint"], body["associations"]) == (503, "draining", 1)
        peer.release()
    drain.join(LIMIT)


def test_an_endpoint_that_is_gone_is_not_healthy(site):
    site.endpoint.stop()
    code, body = site.health()
    assert code == 503
    assert body["endpoint"] is None
    assert "does not answer" in body["problems"][0]
    assert site.value("healthy") == 0


def test_an_index_that_is_gone_or_damaged_is_a_problem(site):
    assert site.store(instance(1)) == [0]
    index = site.archive.folder / "index.sqlite"
    away = index.rename(site.archive.folder / "away")
    code, body = site.health()
    assert code == 503
    assert "index" in body["problems"][0]
    away.rename(index)
    assert site.health()[0] == 200
    for part in site.archive.folder.glob("index.sqlite*"):
        length = part.stat().st_size
        part.unlink()
        part.write_bytes(os.urandom(length))
    code, body = site.health()
    assert code == 503
    assert "index" in body["problems"][0]
    assert site.value("healthy") == 0


def test_damage_that_a_query_found_is_a_problem_until_the_index_is_made_anew(site):
    assert site.store(instance(1)) == [0]
    with contextlib.closing(sqlite3.connect(site.archive.folder / "index.sqlite")) as connection:
        connection.execute("DROP TABLE other_version")
    assert site.health()[0] == 200  # nobody has seen it
    with pytest.raises(ArchiveError), site.archive.reader() as reader:
        reader.versions_of(instance(1).SOPInstanceUID)
    code, body = site.health()
    assert code == 503
    assert "the next start makes it anew" in body["problems"][0]


def test_an_actor_that_crashed_is_counted_and_health_comes_back(site):
    for name in ("index", "store", "unpacker"):
        ref = site.archive._kernel.system.registry.lookup(name)
        kill(ref)
    until(lambda: site.value("actor_restarts_total", tree="archive") == 3)
    until(lambda: site.health()[0] == 200)
    assert site.store(instance(1)) == [0]
    assert site.health()[0] == 200


def test_a_counter_that_crashed_goes_on_where_it_was(site):
    assert site.store(instance(1)) == [0]
    until(lambda: site.observer.tally.totals().of("C-STORE").requests == 1)
    (root,) = site.observer.system.roots()
    (child,) = which_children(root)
    kill(child.ref)
    until(lambda: which_children(root)[0].restarts == 1 and which_children(root)[0].ref)
    assert site.store(instance(2)) == [0]
    until(lambda: site.observer.tally.totals().of("C-STORE").requests == 2)


def test_a_disk_that_is_nearly_full_then_full_and_then_not(nothing_left):
    with small_disk(16 * MIB) as disk:
        if not disk.is_mounted:
            pytest.skip("nothing can be mounted here")
        site = Site(
            Archive.open(
                disk.folder / "archive",
                durability="os",
                reserve_bytes=4 * MIB,
                warn_free_bytes=8 * MIB,
                journal_bytes=MIB,
            )
        )
        try:
            assert site.health() == (200, site.health()[1])
            ballast = disk.folder / "ballast"
            ballast.write_bytes(bytes(9 * MIB))
            assert site.health()[0] == 200
            assert site.value("disk_state", state="low") == 1
            ballast.write_bytes(bytes(12 * MIB))
            code, body = site.health()
            assert (code, body["disk"]) == (503, "full")
            assert body["problems"] == ["the disk is nearly full: objects are refused"]
            assert site.store(instance(1)) == [Status.OUT_OF_RESOURCES]
            ballast.unlink()
            with disk.full():
                code, body = site.health()
                assert code == 503
                assert any("cannot be written" in text for text in body["problems"])
                assert site.value("healthy") == 0
            assert site.health()[0] == 200
            assert site.store(instance(1)) == [0]
        finally:
            site.close()


def test_a_disk_that_cannot_be_written_is_a_problem(nothing_left):
    with small_disk(16 * MIB) as disk:
        if not disk.is_mounted:
            pytest.skip("nothing can be mounted here")
        folder = disk.folder / "kept"
        folder.mkdir()
        endpoint = Endpoint.start(0, host="127.0.0.1", event_handlers={"cstore": lambda event: 0})
        observer = Observer(endpoint, None, folder)
        assert observer.look().is_healthy
        with disk.read_only():
            (problem,) = observer.look().problems
            assert problem == "the folder cannot be written: Read-only file system"
        assert observer.look().is_healthy
        folder.rmdir()
        (problem,) = observer.look().problems
        assert "cannot be reached" in problem
        observer.close()
        endpoint.stop()


def test_who_does_not_answer_in_time_is_a_problem(tmp_path, nothing_left):
    answer = threading.Event()

    class Stuck(Observer):
        def _look_at_disk(self, problems):
            answer.wait(LIMIT)
            return super()._look_at_disk(problems)

    endpoint = Endpoint.start(0, host="127.0.0.1", event_handlers={"cstore": lambda event: 0})
    observer = Stuck(endpoint, None, tmp_path)
    (problem,) = observer.look(0.05).problems
    assert problem == "the disk or the index did not answer within 0.05 s"
    answer.set()
    until(lambda: observer.look().is_healthy)
    observer.close()
    endpoint.stop()
