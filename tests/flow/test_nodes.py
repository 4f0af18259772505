"""Routes of several that share an index of PostgreSQL: one of them sends at a time."""

from __future__ import annotations

import threading

import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.waiting import until

from dicom_actors.archive import Archive
from dicom_actors.archive.index import DestinationLeft, DestinationTaken, Result
from dicom_actors.flow import Call, DestinationSettings, Flow, Route

pytestmark = pytest.mark.usefixtures("nothing_left")

LEASE = 0.6
COUNT = 20


class Site:
    """Archives that share one index and one folder, and what their routes have brought."""

    def __init__(self, folder, address):
        self._folder, self._address = folder, address
        self._opened = []
        self.lock = threading.Lock()
        self.taken = []  # by which archive, and what
        self.gate = threading.Event()
        self.gate.set()

    def open(self):
        archive = Archive.open(
            self._folder / "archive",
            index=self._address,
            node_lease_seconds=LEASE,
            reserve_bytes=0,
            durability="os",
        )

        def take(delivery):
            assert self.gate.wait(60)
            with self.lock:
                self.taken.append((archive, delivery.sop_instance_uid))

        # Of two functions that are not one, each archive has its own behind the same name.
        settings = DestinationSettings(first_pause=0.05, longest_pause=0.1, batch=4)
        flow = Flow.start(
            archive, [Route("all", [Call(take, name="there")])], destinations={"there": settings}
        )
        self._opened.append((archive, flow))
        return archive

    def close(self, archive):
        pair = next(one for one in self._opened if one[0] is archive)
        self._opened.remove(pair)
        pair[1].close()
        archive.close()

    def forget(self, archive):
        self._opened = [one for one in self._opened if one[0] is not archive]

    def close_all(self):
        self.gate.set()
        for archive, _ in list(self._opened):
            self.close(archive)


@pytest.fixture
def site(tmp_path, postgresql):
    made = Site(tmp_path, postgresql.new_database())
    yield made
    made.close_all()


def is_done(archive, count):
    (queue,) = archive.queues() or [None]
    return queue is not None and queue.delivered == count and not queue.waiting


def test_each_object_goes_once_and_in_order_whoever_received_it(site):
    nodes = [site.open() for _ in range(3)]
    for number in range(COUNT):
        nodes[number % 3].add(make_file(number))

    until(lambda: is_done(nodes[0], COUNT))
    assert [uid for _, uid in site.taken] == [uid_of(number) for number in range(COUNT)]


def test_what_one_that_is_gone_was_to_send_another_one_sends(site):
    one = site.open()
    site.gate.clear()
    one.add(make_file(0))
    until(lambda: sender_of(one) == one.store.node)
    other = site.open()
    for number in range(1, COUNT):
        one.add(make_file(number))
    site.forget(one)
    gone = threading.Thread(target=abandon, args=(one,))
    gone.start()
    site.gate.set()  # it may end what it was about, and write nothing of it
    gone.join(60)
    assert not gone.is_alive()

    until(lambda: is_done(other, COUNT))
    of_other = [uid for archive, uid in site.taken if archive is other]
    assert of_other == sorted(of_other, key=lambda uid: int(uid.rpartition(".")[2]))
    assert {uid for _, uid in site.taken} == {uid_of(number) for number in range(COUNT)}
    assert len(of_other) >= COUNT - 5


def test_who_ends_leaves_what_is_to_be_sent_at_once(site):
    one, other = site.open(), site.open()
    one.add(make_file(0))
    until(lambda: is_done(other, 1))
    site.close(one)
    other.add(make_file(1))
    until(lambda: is_done(other, 2))
    assert site.taken[-1] == (other, uid_of(1))


def test_one_has_a_destination_until_it_leaves_it(site):
    one, other = site.open(), site.open()

    def ask(archive, change):
        return archive.rows.write([change])[0].result

    assert ask(one, DestinationTaken("x")) is Result.NOTED
    assert ask(one, DestinationTaken("x")) is Result.NOTED
    assert ask(other, DestinationTaken("x")) is Result.MISSING
    assert ask(other, DestinationLeft("x")) is Result.MISSING
    assert ask(one, DestinationLeft("x")) is Result.NOTED
    assert ask(other, DestinationTaken("x")) is Result.NOTED


def sender_of(archive):
    with archive.reader() as reader:
        found = reader.queue.number_of("there")
        return "" if found is None else reader.queue.sender_of(found[0])
