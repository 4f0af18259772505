from __future__ import annotations

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
    Peer,
    StorageCommitment,
    combined,
)
from dicom_actors.archive.services import commitment as module
from dicom_actors.events import RequestCompleted

pytestmark = pytest.mark.usefixtures("nothing_left")

LIMIT = 60.0
MODALITY = "MODALITY"


class Site:
    """An archive, its endpoint, and a modality with an endpoint of its own."""

    def __init__(self, archive):
        self.archive = archive
        self.peers = {}
        self.time = 1_000.0
        self.woken = 0
        self.reports = CommitmentReports(
            archive, archive.index.write, self.peers, lambda: self.time
        )
        self.service = StorageCommitment(
            archive, archive.index.write, self.peers, lambda: self.time, self.wake
        )
        self.user = Commitments()

    def wake(self):
        self.woken += 1

    def owed(self):
        with self.archive.reader() as reader:
            return reader.owed(float("inf"), 100)


@pytest.fixture
def site(tmp_path):
    archive = SmallArchive(tmp_path / "archive")
    archive.add(data_set(instance=1), data_set(instance=2))
    yield Site(archive)
    archive.close()


@pytest.fixture
def modality(site):
    with running(site.user.event_handlers) as endpoint:
        site.peers[MODALITY] = Peer("127.0.0.1", endpoint.port)
        yield endpoint


@pytest.fixture
def association(site):
    with running(combined([site.service])) as endpoint:
        with connect("127.0.0.1", endpoint.port, calling=MODALITY) as association:
            yield association


def test_what_is_kept_is_said_once(site, modality, association):
    transaction = site.user.ask(association, {"1.2.1.1.1.1": CT, "1.2.1.1.1.2": CT})

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
    transaction = site.user.ask(
        association, {"1.2.1.1.1.1": "1.2.3", "1.2.1.1.1.2": CT, "1.2.9": CT}
    )

    site.reports.work()
    kept, failed = site.user.wait(transaction, LIMIT)
    assert kept == frozenset()
    assert failed == {"1.2.1.1.1.1": 0x0119, "1.2.1.1.1.2": 0x0110, "1.2.9": 0x0112}


def test_who_is_not_there_is_told_later(site, association):
    with running() as gone:
        site.peers[MODALITY] = Peer("127.0.0.1", gone.port, timeout=5)
    transaction = site.user.ask(association, {"1.2.1.1.1.1": CT})

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
    site.archive.index.write([Owed("1.2.3.4", MODALITY, ((CT, "1.2.1.1.1.1"),), 0.0)])

    assert site.reports.work() == 1_010.0  # the user knows of no such transaction
    assert [one.attempts for one in site.owed()] == [1]


@pytest.mark.parametrize(
    ("information", "status"),
    [
        (None, 0x0115),
        ({"TransactionUID": ""}, 0x0115),
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


def test_the_instance_the_action_and_the_peer_must_be_known(site, association):
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
    assert status_of(module.WELL_KNOWN_INSTANCE, 1) == 0x0124
    site.peers[MODALITY] = Peer("127.0.0.1", 1)
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


def test_the_reporter_works_when_it_is_woken_and_when_it_starts(site, modality, association):
    first = site.user.ask(association, {"1.2.1.1.1.1": CT})
    reporter = CommitmentReporter.start(site.reports, lambda: site.time)
    try:
        assert site.user.wait(first, LIMIT).kept
        second = site.user.ask(association, {"1.2.1.1.1.2": CT})
        CommitmentReporter.wake(reporter)
        assert site.user.wait(second, LIMIT).kept
        until(lambda: site.owed() == [])
    finally:
        reporter.stop()
