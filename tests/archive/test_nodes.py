"""Several that share an index of PostgreSQL and a folder, as several processes would."""

from __future__ import annotations

import threading
from collections import Counter

import pykka
import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.postgresql import Postgresql
from kit.stored_instances import data_set, new_instance
from kit.waiting import until

from dicom_actors.archive import Archive, Result, events
from dicom_actors.archive.index import Claimed, Counts, Deleted, Index, Owed
from dicom_actors.archive.index.locating import redacted
from dicom_actors.archive.index.nodes import Nodes
from dicom_actors.archive.maintenance import verify
from dicom_actors.errors import ArchiveError, ConfigurationError

pytestmark = pytest.mark.usefixtures("nothing_left")

LEASE = 0.6
FOR_EVER = 3_000.0


class Listener(pykka.ThreadingActor):
    """Keeps what it is told."""

    use_daemon_thread = True

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        if message == "heard":
            return list(self.heard)
        self.heard.append(message)
        return None


@pytest.fixture
def site(tmp_path, postgresql):
    """Opens archives that share one index and one folder."""
    address, opened = postgresql.new_database(), []

    def open_one(**settings):
        settings = {"node_lease_seconds": LEASE, "reserve_bytes": 0, **settings}
        archive = Archive.open(tmp_path / "archive", index=address, **settings)
        opened.append(archive)
        return archive

    open_one.address = address
    open_one.folder = tmp_path / "archive"
    yield open_one
    for archive in opened:
        archive.close()


def problems_of(archive):
    found = []
    archive.settle()
    verify(archive, found.append)
    return found


# --- the index ---------------------------------------------------------------------------------


def test_of_those_who_write_the_same_at_once_one_is_the_first(postgresql):
    address = postgresql.new_database()
    indexes = [Index.open(address, durability="os") for _ in range(4)]
    changes = [new_instance(data_set(study=1 + n // 20, instance=n)) for n in range(100)]
    outcomes = []

    def work(index, own):
        for at in range(0, len(own), 10):
            outcomes.extend(index.write(own[at : at + 10]))

    threads = [
        threading.Thread(target=work, args=(index, changes[:: 1 if n % 2 else -1]))
        for n, index in enumerate(indexes)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
        assert not one.is_alive()

    assert Counter(one.result for one in outcomes) == {Result.NEW: 100, Result.SAME: 300}
    assert indexes[0].counts() == Counts(1, 5, 5, 100, 500)
    for index in indexes:
        index.close()


def test_of_those_who_write_to_one_study_at_once_all_go_on_and_all_is_counted(postgresql):
    address, each = postgresql.new_index(), 40
    nodes = [Index.open(address, durability="os") for _ in range(3)]
    failures = []

    def write(series):
        try:
            for number in range(each):
                nodes[series].write([new_instance(data_set(series=series, instance=number))])
        except ArchiveError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(one,)) for one in range(len(nodes))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert failures == []
    every = len(nodes) * each
    assert nodes[0].counts()[:4] == (1, 1, len(nodes), every)
    with nodes[0].reader() as reader:
        rows = reader.connection.execute(
            "SELECT number_of_study_related_series, number_of_study_related_instances,"
            " (SELECT count(*) FROM sop_class_in_study),"
            " (SELECT count(*) FROM modality_in_study),"
            " (SELECT sum(number_of_series_related_instances) FROM series) FROM study"
        ).fetchall()
    assert rows == [(len(nodes), every, 1, 1, every)]
    for node in nodes:
        node.close()


def test_what_one_removes_another_finds_gone(postgresql):
    address = postgresql.new_database()
    one, other = Index.open(address, durability="os"), Index.open(address, durability="os")
    for _ in range(3):
        one.write([new_instance(data_set())])
        other.write([Deleted("1.2.1.1.1.1")])
        # The series that it remembers is gone.
        assert one.write([new_instance(data_set(instance=2))])[0].result is Result.NEW
        other.write([Deleted("1.2.1.1.1.2")])
    assert one.counts() == Counts(0, 0, 0, 0, 0)
    one.close()
    other.close()


def test_a_report_is_one_s_to_make(postgresql):
    address = postgresql.new_database()
    one, other = Index.open(address, durability="os"), Index.open(address, durability="os")
    one.write([Owed("1.2", "A", (("1.3", "1.4"),), 5.0)])
    with other.reader() as reader:
        (owed,) = reader.owed(9.0, 10)

    claim = Claimed(owed.number, owed.due, 99.0)
    results = [index.write([claim])[0].result for index in (one, other)]
    assert results == [Result.NOTED, Result.MISSING]
    one.close()
    other.close()


def test_an_address_shows_no_secret():
    assert redacted("postgresql://me:s3cret@host/db") == "postgresql://me:***@host/db"
    assert redacted("postgresql:///db?user=me&password=s3cret&x=1") == (
        "postgresql:///db?user=me&password=***&x=1"
    )
    with pytest.raises(ArchiveError) as caught:
        Index.open("postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=1")
    assert "s3cret" not in str(caught.value)
    assert caught.value.reason == "absent"


def test_what_is_no_address_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="expected postgresql://"):
        Archive.open(tmp_path, index="mysql://me:s3cret@host/db")


# --- archives ----------------------------------------------------------------------------------


def test_each_has_what_the_other_was_sent(site):
    one, other = site(journal_seconds=FOR_EVER), site()
    one.add(make_file(1))
    large = make_file(2, size=1_000_000)
    one.add(large)

    # What is in the journal of the other one is read there.
    assert other.find_instance(uid_of(1)).location.startswith("journal/")
    assert bytes(other.read(other.find_instance(uid_of(1)))) == make_file(1)
    assert bytes(other.read(other.find_instance(uid_of(2)))) == large
    assert other.add(make_file(1)).result is Result.SAME
    assert other.counts().instances == 2
    assert problems_of(other) == []


def test_what_one_deletes_does_not_come_back(site):
    one, other = site(journal_seconds=FOR_EVER), site()
    for number in range(5):
        one.add(make_file(number))

    assert other.delete(study_instance_uid="1.2.1") == 5
    one.settle()
    assert one.counts() == Counts(0, 0, 0, 0, 0)
    assert problems_of(one) == []


def test_one_that_has_not_heard_is_asked_again(site, monkeypatch):
    lost, real = set(), Nodes.told

    def hard_of_hearing(nodes):
        found = real(nodes)
        if nodes in lost or not any('"settle"' in message for message in found):
            return found
        lost.add(nodes)
        return []

    one, other = site(journal_seconds=FOR_EVER), site()
    one.add(make_file(1))
    monkeypatch.setattr(Nodes, "told", hard_of_hearing)

    other.settle()

    assert lost
    assert not one.waiting()


def test_an_archive_with_its_index_in_the_folder_stays_out(site):
    site()
    with pytest.raises(ArchiveError) as caught:
        Archive.open(site.folder)
    assert caught.value.reason == "locked"


def test_what_one_that_is_gone_has_left_is_brought_to_its_place(site):
    one, other = site(journal_seconds=FOR_EVER, study_quiet_seconds=FOR_EVER), site()
    for number in range(20):
        one.add(make_file(number))
    one.add(make_file(20, size=1_000_000))
    node = one.store.node
    abandon(one)

    until(lambda: node not in other.store.nodes())
    assert [*other.instances()] != []
    assert all("journal/" not in found.location for found in other.instances())
    assert other.counts().instances == 21
    assert problems_of(other) == []


def test_who_was_closed_leaves_his_journal_to_others_if_there_is_nothing_else(site, monkeypatch):
    one, other = site(journal_seconds=FOR_EVER), site()
    one.add(make_file(1))
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "_settle_here", lambda archive: None)  # it fails, say
        node = one.store.node
        one.close()

    until(lambda: node not in other.store.nodes())
    (found,) = other.instances()
    assert not found.location.startswith("journal/")
    assert problems_of(other) == []


def test_nobody_waits_for_what_is_damaged_in_the_journal_of_one_that_is_gone(site):
    one, other = site(journal_seconds=FOR_EVER), site()
    one.add(make_file(1))
    one.add(make_file(2))
    (journal,) = (site.folder / one.store.journal).iterdir()
    abandon(one)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1] + b"x")

    other.settle()
    assert "journal/" not in other.find_instance(uid_of(1)).location
    assert other.find_instance(uid_of(2)).location.startswith("journal/")
    assert journal.exists()
    other.close()
    with site() as again:  # it looks once more, and it is still so
        again.settle()
        journal.write_bytes(whole)
    with site() as again:
        until(lambda: not journal.exists())
        assert problems_of(again) == []


def test_one_that_is_gone_leaves_its_studies_to_others(site):
    one, other = site(study_quiet_seconds=FOR_EVER), site(study_quiet_seconds=0.2)
    listener = Listener.start()
    other.subscribe(listener, (events.StudyComplete,))
    one.add(make_file(1))
    abandon(one)

    until(lambda: listener.ask("heard"))
    assert [told.study_instance_uid for told in listener.ask("heard")] == ["1.2.1"]
    listener.stop()


def test_a_study_is_complete_once_and_not_while_it_is_awaited_elsewhere(site):
    nodes = [site(study_quiet_seconds=quiet) for quiet in (0.5, 0.5, FOR_EVER)]
    listener = Listener.start()
    for node in nodes:
        node.subscribe(listener, (events.StudyComplete,))
    nodes[2].add(make_file(9, study=1))
    for study in range(1, 9):
        for number, node in enumerate(nodes[:2]):
            node.add(make_file(number, study=study))

    until(lambda: len(listener.ask("heard")) >= 7)
    told = Counter(one.study_instance_uid for one in listener.ask("heard"))
    assert told == {f"1.2.{study}": 1 for study in range(2, 9)}
    nodes[2].has_evidence("1.2.1", "asked for")
    until(lambda: len(listener.ask("heard")) >= 8)
    assert listener.ask("heard")[-1] == events.StudyComplete("1.2.1", "asked for")
    listener.stop()


def test_events_of_all_are_heard_by_who_asks_for_them(site):
    one, other = site(), site()
    near, far = Listener.start(), Listener.start()
    other.subscribe(near, (events.StudyChanged, events.InstanceStored))
    other.subscribe(far, (events.StudyChanged, events.InstanceStored), everywhere=True)
    until(lambda: all(actor.state == "running" for actor in other.actors()))
    # It listens once it has said that it is there.
    until(lambda: _heard_of(one, far))

    assert near.ask("heard") == []
    kinds = {type(told) for told in far.ask("heard")}
    assert kinds == {events.StudyChanged, events.InstanceStored}
    near.stop()
    far.stop()


def _heard_of(archive, listener):
    archive.add(make_file(archive.counts().instances))
    return len(listener.ask("heard")) >= 2


def test_one_that_was_taken_to_be_gone_keeps_nothing_until_it_has_begun_anew(site):
    archive = site(node_lease_seconds=3_600.0, journal_seconds=FOR_EVER)
    archive.add(make_file(1))
    nodes = Nodes(site.address, 60.0)
    nodes.join("thief")
    nodes._run("UPDATE node SET keeper = 'thief' WHERE name = ?", archive.store.node)
    nodes.close()
    with pytest.raises(ArchiveError, match="taken to be gone") as caught:
        archive.add(make_file(2))
    assert caught.value.reason == "absent"

    before = archive.store.node
    from dicom_actors.archive.actors.node_keeper import _Beat

    keeper = archive._kernel.system.registry.lookup("nodes")
    keeper.actor_inbox.put_info(_Beat())
    until(lambda: archive.store.node != before)
    assert archive.add(make_file(3)).result is Result.NEW
    assert archive.find_instance(uid_of(3)).location.startswith(f"journal/{archive.store.node}/")
    assert bytes(archive.read(archive.find_instance(uid_of(1)))) == make_file(1)


def test_an_index_that_is_away_comes_back(tmp_path):
    server = Postgresql(is_durable=True)
    try:
        with Archive.open(
            tmp_path / "archive", index=server.new_database(), node_lease_seconds=LEASE
        ) as archive:
            archive.add(make_file(1))
            for number in range(2, 5):
                server.kill()
                with pytest.raises(ArchiveError) as caught:
                    archive.add(make_file(number))
                assert caught.value.reason == "absent"
                with pytest.raises(ArchiveError):
                    archive.counts()
                server.start()
                assert archive.find_instance(uid_of(1)) is not None
                assert archive.add(make_file(number)).is_kept
            assert archive.counts().instances == 4
            assert problems_of(archive) == []
    finally:
        server.remove()
