from __future__ import annotations

import threading

import pytest
from kit.endpoints import running
from kit.small_archive import SmallArchive
from kit.stored_instances import CT, data_set
from kit.waiting import until
from services.commitment import Commitments

from dicom_actors import DataSet, DimseFailure, connect
from dicom_actors.archive.index import Owed
from dicom_actors.archive.services import (
    CommitmentReporter,
    CommitmentReports,
    OpenRequests,
    Peer,
    StorageCommitment,
    combined,
)
from dicom_actors.archive.services import commitment as module
from dicom_actors.events import RequestCompleted

pytestmark = pytest.mark.usefixtures("nothing_left")

LIMIT = 60.0


def in_thread(function):
    """Run it in a thread; returns what waits for its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def result():
        thread.join(LIMIT)
        (only,) = results
        return only

    return result


MODALITY = "MODALITY"


class Site:
    """An archive, its endpoint, and a modality with an endpoint of its own."""

    def __init__(self, archive):
        self.archive = archive
        self.peers = {}
        self.time = 999.0
        self.woken = 0
        requests = OpenRequests()
        self.reports = CommitmentReports(
            archive, archive.index.write, self.peers, lambda: self.time, requests
        )
        self.service = StorageCommitment(
            archive, archive.index.write, lambda: self.time, self.wake, requests
        )
        self.user = Commitments()

    def ask(self, association, instances):
        """Ask, and have no report on that association."""
        transaction = self.user.ask(association, instances)
        association.release()
        self.time += 1.0
        return transaction

    def wake(self):
        self.woken += 1

    def owed(self):
        with self.archive.reader() as reader:
            return reader.owed(float("inf"), 100)


@pytest.fixture
def site(tmp_path, index_place):
    archive = SmallArchive(tmp_path / "archive", index_place.address(tmp_path))
    archive.add(data_set(instance=1), data_set(instance=2))
    yield Site(archive)
    archive.close()


@pytest.fixture
def modality(site):
    with running(site.user.event_handlers) as endpoint:
        site.peers[MODALITY] = Peer("127.0.0.1", endpoint.port)
        yield endpoint


@pytest.fixture
def provider(site):
    with running(combined([site.service])) as endpoint:
        yield endpoint.port


@pytest.fixture
def association(provider):
    with connect("127.0.0.1", provider, calling=MODALITY) as association:
        yield association


def test_what_is_kept_is_said_once(site, modality, association):
    transaction = site.ask(association, {"1.2.1.1.1.1": CT, "1.2.1.1.1.2": CT})

    assert site.woken == 1
    assert site.reports.work() is None
    kept, failed = site.user.wait(transaction, LIMIT)
    assert kept == {"1.2.1.1.1.1", "1.2.1.1.1.2"}
    assert failed == {}
    assert site.owed() == []
    modality.wait_for(RequestCompleted)
    assert site.reports.work() is None
    assert modality.status().requests == 1


def test_what_is_not_kept_is_said_with_its_reason(site, modality, association):
    (site.archive.folder / "1.2.1.1.1.2.dcm").write_bytes(b"cut")
    transaction = site.ask(association, {"1.2.1.1.1.1": "1.2.3", "1.2.1.1.1.2": CT, "1.2.9": CT})

    site.reports.work()
    kept, failed = site.user.wait(transaction, LIMIT)
    assert kept == frozenset()
    assert failed == {"1.2.1.1.1.1": 0x0119, "1.2.1.1.1.2": 0x0110, "1.2.9": 0x0112}


def test_who_is_not_there_is_told_later(site, association):
    with running() as gone:
        site.peers[MODALITY] = Peer("127.0.0.1", gone.port, timeout=5)
    transaction = site.ask(association, {"1.2.1.1.1.1": CT})

    assert site.reports.work() == 1_010.0
    assert site.reports.work() == 1_010.0  # not before that
    site.time = 1_010.0
    assert site.reports.work() == 1_030.0
    (owed,) = site.owed()
    assert (owed.transaction_uid, owed.attempts) == (transaction, 2)
    site.time = 1_030.0
    with running(site.user.event_handlers) as endpoint:
        site.peers[MODALITY] = Peer("127.0.0.1", endpoint.port)
        assert site.reports.work() is None
    assert site.user.wait(transaction, LIMIT).kept == {"1.2.1.1.1.1"}


def test_a_report_that_is_refused_is_owed_still(site, modality):
    site.time = 1_000.0
    site.archive.index.write([Owed("1.2.3.4", MODALITY, ((CT, "1.2.1.1.1.1"),), 0.0)])

    assert site.reports.work() == 1_010.0  # the user knows of no such transaction
    assert [one.attempts for one in site.owed()] == [1]


@pytest.mark.parametrize(
    ("information", "status"),
    [
        (None, 0x0115),
        ({"TransactionUID": ""}, 0x0115),
        (
            {
                "TransactionUID": "abc",
                "ReferencedSOPSequence": [
                    {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "1.2.1.1.1.1"}
                ],
            },
            0x0115,
        ),
        ({"TransactionUID": "1.2"}, 0x0115),
        ({"TransactionUID": "1.2", "ReferencedSOPSequence": []}, 0x0115),
        (
            {"TransactionUID": "1.2", "ReferencedSOPSequence": [{"ReferencedSOPClassUID": CT}]},
            0x0115,
        ),
    ],
)
def test_what_is_no_request_is_refused(site, modality, association, information, status):
    made = None if information is None else DataSet.from_keywords(**information)
    with pytest.raises(DimseFailure) as caught:
        association.n_action(module.STORAGE_COMMITMENT, module.WELL_KNOWN_INSTANCE, 1, made)
    assert caught.value.status == status
    assert site.owed() == []


def test_the_instance_and_the_action_must_be_known(site, association):
    information = DataSet.from_keywords(
        TransactionUID="1.2",
        ReferencedSOPSequence=[
            {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "1.2.1.1.1.1"}
        ],
    )

    def status_of(instance, action):
        with pytest.raises(DimseFailure) as caught:
            association.n_action(module.STORAGE_COMMITMENT, instance, action, information)
        return caught.value.status

    assert status_of("1.2.3", 1) == 0x0112
    assert status_of(module.WELL_KNOWN_INSTANCE, 2) == 0x0123
    association.n_action(module.STORAGE_COMMITMENT, module.WELL_KNOWN_INSTANCE, 1, information)
    assert status_of(module.WELL_KNOWN_INSTANCE, 1) == 0x0131
    assert len(site.owed()) == 1


def test_there_is_no_end_of_what_may_be_owed_but_this(site, association, monkeypatch):
    monkeypatch.setattr(module, "MAX_OWED", 1)
    site.peers[MODALITY] = Peer("127.0.0.1", 1)
    site.user.ask(association, {"1.2.1.1.1.1": CT})
    with pytest.raises(DimseFailure) as caught:
        site.user.ask(association, {"1.2.1.1.1.1": CT})
    assert caught.value.status == 0x0213


def test_the_reporter_works_when_it_is_woken_and_when_it_starts(site, modality, provider):
    with connect("127.0.0.1", provider, calling=MODALITY) as association:
        first = site.ask(association, {"1.2.1.1.1.1": CT})
    reporter = CommitmentReporter.start(site.reports, lambda: site.time)
    try:
        assert site.user.wait(first, LIMIT).kept
        with connect("127.0.0.1", provider, calling=MODALITY) as association:
            second = site.ask(association, {"1.2.1.1.1.2": CT})
        CommitmentReporter.wake(reporter)
        assert site.user.wait(second, LIMIT).kept
        until(lambda: site.owed() == [])
    finally:
        reporter.stop()


# --- on the association of the request -----------------------------------------------------


class Listener:
    """A user that waits on its association for the report."""

    def __init__(self, site, port, status=0, calling=MODALITY):
        self.site = site
        self.status = status
        self.reports = []
        self.association = connect(
            "127.0.0.1", port, calling=calling, on_event_report=self._take, timeout=LIMIT
        )

    def _take(self, report):
        self.reports.append(report)
        return self.status

    def ask(self, instances):
        self.site.user.ask(self.association, instances)
        self.site.time += 1.0

    def listen(self):
        """Take a report, while the provider works; returns what that said."""
        working = in_thread(self.site.reports.work)
        assert self.association.listen(LIMIT)
        return working()


@pytest.fixture
def listener(site, provider):
    listener = Listener(site, provider)
    yield listener
    listener.association.abort()


def test_a_report_goes_on_the_association_of_its_request(site, modality, listener):
    listener.ask({"1.2.1.1.1.1": CT, "1.2.9": CT})

    assert listener.listen() is None
    (report,) = listener.reports
    assert (report.event_type_id, report.sop_instance_uid) == (2, module.WELL_KNOWN_INSTANCE)
    information = report.data_set
    assert [one.ReferencedSOPInstanceUID for one in information.ReferencedSOPSequence] == [
        "1.2.1.1.1.1"
    ]
    assert [one.FailureReason for one in information.FailedSOPSequence] == [0x0112]
    assert site.owed() == []
    assert modality.status().requests == 0
    listener.association.echo()
    listener.association.release()


def test_nobody_has_to_be_configured_for_that(site, listener):
    listener.ask({"1.2.1.1.1.1": CT})
    assert listener.listen() is None
    listener.ask({"1.2.1.1.1.2": CT})
    assert listener.listen() is None
    assert [report.event_type_id for report in listener.reports] == [1, 1]


def test_who_refuses_it_there_is_told_on_a_new_association(site, modality, provider):
    listener = Listener(site, provider, status=0x0110)
    transaction = site.user.ask(listener.association, {"1.2.1.1.1.1": CT})
    site.time += 1.0
    assert listener.listen() is None
    assert site.user.wait(transaction, LIMIT).kept
    assert len(listener.reports) == 1
    listener.association.release()


def test_who_does_not_answer_there_is_told_on_a_new_association(
    site, modality, association, monkeypatch
):
    monkeypatch.setattr(module, "_ANSWER_TIMEOUT", 0.05)
    transaction = site.user.ask(association, {"1.2.1.1.1.1": CT})
    site.time += 1.0
    assert site.reports.work() is None
    assert site.user.wait(transaction, LIMIT).kept
    association.abort()


def test_who_cannot_be_told_is_forgotten_after_hours(site, association, caplog):
    site.ask(association, {"1.2.1.1.1.1": CT})
    due = site.reports.work()
    tried = 0
    while due is not None:
        tried += 1
        site.time = due
        due = site.reports.work()
    assert tried == 10
    assert site.time > 2 * 3600
    assert site.owed() == []
    assert "MODALITY is not told of its storage commitment" in caplog.text
