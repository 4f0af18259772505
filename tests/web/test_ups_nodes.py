"""Workitems where several share an index: every node gives the same answers, and one claim wins."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import threading
from collections import Counter

import pytest
from kit.serving import serving
from kit.waiting import until
from web import test_ups, test_ups_events
from web.serving import Client
from web.test_event_channels import change, event, listening, make, subscribe
from web.test_ups_events import FILTERED, LOCKED, STATE, STATUS, WORKLIST, Watcher, all_of
from web.workitems import PERFORMED, UID, attribute, workitem

from dicom_actors.archive import Archive
from dicom_actors.archive.index.nodes import Nodes
from dicom_actors.archive.member import HostedMember, Member
from dicom_actors.supervision import Reply
from dicom_actors.web import DicomWeb, WebSettings

LEASE = 1.0


class InTurn(Watcher):
    """Asks one node after the other, whatever it asks."""

    def __init__(self, applications):
        self._applications = applications
        self._asked = -1

    @property
    def application(self):
        self._asked += 1
        return self._applications[self._asked % len(self._applications)]


@pytest.fixture
def nodes(tmp_path, postgresql):
    """Two archives that share an index, and who asks each."""
    address = postgresql.new_index()
    with contextlib.ExitStack() as stack:
        stack.callback(postgresql.give_back, address)
        applications = []
        for _ in range(2):
            archive = Archive.open(
                tmp_path / "archive", index=address, node_lease_seconds=LEASE, durability="os"
            )
            stack.enter_context(archive)
            applications.append(DicomWeb(archive, WebSettings(ups=True)))
            stack.callback(applications[-1].close)
        yield [Watcher(one) for one in applications]


class LinkTo:
    """Stands for a link between two processes."""

    def __init__(self, archive):
        self._hosted = HostedMember(archive)

    def begin(self, value):
        reply = Reply()
        self._hosted.take(value, reply)
        return reply

    def ask(self, value, timeout):
        return self.begin(value).get(timeout=timeout)

    def tell(self, value):
        self.begin(value)


@pytest.fixture
def workers(tmp_path):
    """One who has the index in the folder, and a member who hands him what is written."""
    with (
        Archive.open(tmp_path, durability="os") as archive,
        Member.join(tmp_path, LinkTo(archive), durability="os") as member,
    ):
        applications = [DicomWeb(one, WebSettings(ups=True)) for one in (archive, member)]
        yield [Watcher(one) for one in applications]
        for one in applications:
            one.close()


@pytest.fixture(params=["nodes", "workers"])
def both(request):
    """Those of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def ask(both):
    return InTurn([one.application for one in both])


@pytest.mark.parametrize(
    "law",
    [
        test_ups.test_each_change_of_state_is_as_the_table_has_it,
        test_ups.test_a_search_finds_what_matches_page_by_page,
        test_ups_events.test_a_filtered_subscription_is_to_what_matches,
        test_ups_events.test_a_creation_that_is_assigned_says_so,
        test_ups_events.test_what_is_told_has_what_the_table_has,
        test_ups_events.test_a_cancellation_is_requested_of_who_has_taken_it,
        test_ups_events.test_what_nobody_has_taken_is_canceled_by_way_of_in_progress,
        test_ups_events.test_what_is_refused_is_told_to_nobody,
    ],
    ids=lambda law: law.__name__,
)
def test_what_holds_in_one_process_holds_in_two(ask, law):
    law(ask)


@pytest.mark.parametrize("action", test_ups_events.TABLE)
@pytest.mark.parametrize("before", ["none", "lock", "plain"])
def test_a_subscription_is_one_s_whoever_is_asked(ask, action, before):
    law = test_ups_events.test_each_change_of_a_subscription_is_as_the_table_has_it
    law(ask, action, before, "worklist")


# --- races -----------------------------------------------------------------------------------


def together(*works):
    """Do works at once, each in a thread of its own; returns what they return."""
    found, failures = [], []
    barrier = threading.Barrier(len(works))

    def work(one):
        barrier.wait(60)
        try:
            found.append(one())
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert failures == []
    return found


def test_of_many_who_take_a_workitem_at_two_nodes_one_has_it(both):
    uids = [f"1.2.3.{number}" for number in range(30)]
    for uid in uids:
        both[0].make(uid)
    both[1].subscribe(WORKLIST)

    def claim(number):
        mine, lock = uids.copy(), f"1.2.4.{number}"
        random.Random(number).shuffle(mine)
        return lock, {uid: both[number % 2].state("IN PROGRESS", lock, uid) for uid in mine}

    claims = together(*(lambda number=number: claim(number) for number in range(10)))

    channel = both[0].listen()
    told = Counter(one["00001000"]["Value"][0] for one in all_of(channel))
    assert told == dict.fromkeys(uids, 1)
    for uid in uids:
        assert sorted(got[uid] for _, got in claims) == [200, *[409] * 9]
        (winner,) = [lock for lock, got in claims if got[uid] == 200]
        for lock, _ in claims:
            if lock != winner:
                assert both[0].state("CANCELED", lock, uid) == 409
        assert both[1].state("CANCELED", winner, uid) == 200


def test_no_change_of_a_workitem_is_lost_at_two_nodes(both):
    both[0].make()
    tags = ["00741204", "00741202", "00380010", "00404041", "00741200", "00321033"]
    vrs = ["LO", "LO", "LO", "CS", "CS", "LO"]
    values = ["one", "two", "three", "UNREADY", "HIGH", "six"]
    changes = [
        {tag: attribute(vr, value)} for tag, vr, value in zip(tags, vrs, values, strict=True)
    ]
    changes[2] = {"00741236": attribute("AE", "three")}
    path = f"/workitems/{UID}"

    statuses = together(
        *(
            lambda number=number, body=body: both[number % 2]("POST", path, body)[0]
            for number, body in enumerate(changes)
        )
    )

    assert statuses == [200] * len(changes)
    now = both[0].now()
    assert {tag: now[tag] for one in changes for tag in one} == {
        tag: value for one in changes for tag, value in one.items()
    }


def test_a_workitem_is_created_once_and_ended_once(both):
    created = together(
        *(
            lambda node=node: node("POST", "/workitems", workitem(**PERFORMED), ("workitem", UID))[
                0
            ]
            for node in both * 4
        )
    )
    assert sorted(created) == [201, *[409] * 7]
    both[0].state("IN PROGRESS")
    both[0].subscribe(UID)
    both[0].told()
    ended = together(
        *(
            lambda node=node, state=state: (state, node.state(state))
            for node in both
            for state in ("COMPLETED", "CANCELED")
            for _ in range(2)
        )
    )
    (is_now,) = both[1].now()["00741000"]["Value"]
    # Who wants what it is already is told so, with a warning.
    assert {status for state, status in ended if state == is_now} == {200}
    assert {status for state, status in ended if state != is_now} == {409}
    assert both[1].told() == [(STATE, UID)]


@pytest.mark.parametrize("uid", [WORKLIST, FILTERED])
def test_who_subscribes_while_others_create_misses_nothing(both, uid):
    query = [("filter", "PatientID=P1")] if uid == FILTERED else []

    def create(number):
        for at in range(15):
            both[number % 2].make(f"1.2.{number}.{at}")

    def watch(node, title):
        assert node.subscribe(uid, title, *query, LOCKED) == 201

    together(
        *(lambda number=number: create(number) for number in range(4)),
        lambda: watch(both[0], "A"),
        lambda: watch(both[1], "B"),
    )

    made = {f"1.2.{number}.{at}" for number in range(4) for at in range(15)}
    workitems = both[0].application._archive.workitems
    assert all(workitems.subscribers(one) == {"A": True, "B": True} for one in made)
    for title in ("A", "B"):
        assert {one for _, one in both[1].told(title)} == made


def test_room_is_made_of_what_nobody_has_locked_at_two_nodes(both):
    archives = [node.application._archive for node in both]
    for archive in archives:
        archive.workitems._most = 10
    for number in range(10):
        both[0].make(f"1.2.{number}")
        both[1]("POST", f"/workitems/1.2.{number}/cancelrequest", b"")
    both[0].subscribe("1.2.0", "ME", LOCKED)

    def create(number):
        return [
            both[number % 2]("POST", "/workitems", workitem(), ("workitem", f"1.3.{number}.{at}"))
            for at in range(4)
        ]

    found = together(*(lambda number=number: create(number) for number in range(4)))

    statuses = Counter(status for one in found for status, _, _ in one)
    assert set(statuses) == {201, 507}
    status, _, body = both[1]("GET", "/workitems")
    there = {one["00080018"]["Value"][0] for one in json.loads(body)}
    assert status == 200
    assert "1.2.0" in there
    # One may come too many where two come at once; what is over goes with the next.
    assert 10 <= len(there) <= 11


# --- events ----------------------------------------------------------------------------------


def test_a_channel_at_one_node_hears_what_happens_at_the_other(nodes):
    here, there = nodes
    there.subscribe(WORKLIST)
    woken = threading.Event()
    channel = here.listen(wake=woken.set)
    there.make()
    assert woken.wait(20)
    (told,) = all_of(channel)
    assert told["00001000"]["Value"] == [UID]

    # Another one of the same AE elsewhere is told as well, of what comes from now on.
    other = there.listen()
    assert all_of(other) == []
    here.state("IN PROGRESS")
    assert [all_of(one)[0]["00741000"]["Value"] for one in (channel, other)] == [
        ["IN PROGRESS"]
    ] * 2
    channel.close()
    other.close()
    there.state("CANCELED")
    assert here.told() == [(STATE, UID)]
    assert there.told() == []


def test_a_channel_hears_what_a_worker_does(workers):
    parent, worker = workers
    worker.subscribe(WORKLIST)
    woken = threading.Event()
    channel = parent.listen(wake=woken.set)
    worker.make()
    assert woken.is_set()
    assert len(all_of(channel)) == 1
    channel.close()


def test_a_channel_hears_of_what_nobody_could_tell(nodes):
    """What a node tells the others may be lost: who listens looks for himself at times."""
    here, there = nodes
    here.subscribe(WORKLIST)
    woken = threading.Event()
    channel = here.listen(wake=woken.set)
    keeper = there.application._archive._kernel
    keeper.tell = lambda *_: False
    try:
        there.make()
    finally:
        del keeper.tell
    assert woken.wait(20)
    until(lambda: all_of(channel) != [])


def test_the_first_node_alone_says_that_it_was_started(tmp_path, postgresql):
    address = postgresql.new_index()

    def opened():
        return Archive.open(tmp_path, index=address, node_lease_seconds=LEASE, durability="os")

    for said in ([], [(STATUS, WORKLIST)]):
        with opened() as one, opened() as other:
            nodes = [Watcher(DicomWeb(archive, WebSettings(ups=True))) for archive in (one, other)]
            assert nodes[1].told() == said
            nodes[0].subscribe(WORKLIST)
            assert nodes[0].told() == []
            for node in nodes:
                node.application.close()
    with opened() as one:
        node = Watcher(DicomWeb(one, WebSettings(ups=True)))
        assert node.told() == [(STATUS, WORKLIST)]
        node.application.close()
    postgresql.give_back(address)


@pytest.mark.parametrize("is_there", [False, True])
def test_who_is_started_again_before_his_lease_has_ended_says_so(tmp_path, postgresql, is_there):
    address = postgresql.new_index()

    def opened():
        return Archive.open(tmp_path, index=address, node_lease_seconds=LEASE, durability="os")

    with opened() as archive:
        node = Watcher(DicomWeb(archive, WebSettings(ups=True)))
        node.subscribe(WORKLIST)
        node.application.close()
    with contextlib.closing(Nodes(address, LEASE)) as nodes, contextlib.ExitStack() as stack:
        # As one that was killed leaves it.
        nodes.join("killed")
        if is_there:
            there = stack.enter_context(opened())
            until(lambda: not there._kernel.index.unheard)
        archive = stack.enter_context(opened())
        node = Watcher(DicomWeb(archive, WebSettings(ups=True)))
        stack.callback(node.application.close)
        seen = []
        until(lambda: seen.extend(node.told()) or not archive._kernel.index.unheard)
        until(lambda: seen.extend(node.told()) or seen != [])
        assert seen == [(STATUS, WORKLIST)]
    postgresql.give_back(address)


# --- processes -------------------------------------------------------------------------------


@contextlib.contextmanager
def serving_node(folder, address):
    arguments = ("--store", str(folder), "--index", address, "--web-port", "0", "--ups")
    with serving(*arguments, "--set", f"archive.node_lease_seconds={LEASE}") as server:
        server.wait_for("DICOMweb on http://127.0.0.1:")
        port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
        yield server, Client("127.0.0.1", port)


def test_a_node_that_is_killed_takes_nothing_with_it(tmp_path, postgresql):
    address = postgresql.new_database()
    with contextlib.ExitStack() as stack:
        (one, here), (other, there) = [
            stack.enter_context(serving_node(tmp_path / "archive", address)) for _ in range(2)
        ]
        assert subscribe(here).status == 201
        channel = stack.enter_context(listening(there))
        assert make(here) == 201
        assert event(channel) == (STATE, UID, "SCHEDULED")
        assert change(there, "IN PROGRESS") == 200
        assert event(channel) == (STATE, UID, "IN PROGRESS")

        claims = together(
            *(
                lambda client=client, number=number: claim_of(client, f"1.2.{number}")
                for number, client in enumerate([here, there] * 8)
            )
        )
        assert Counter(claims) == {409: 16}  # somebody has it
        assert make(here, "1.2.5") == 201
        claims = together(
            *(
                lambda client=client, number=number: claim_of(client, f"1.2.{number}", "1.2.5")
                for number, client in enumerate([here, there] * 8)
            )
        )
        assert Counter(claims) == {200: 1, 409: 15}
        assert event(channel) == (STATE, "1.2.5", "SCHEDULED")
        assert event(channel) == (STATE, "1.2.5", "IN PROGRESS")

        other.stop(signal.SIGKILL)
        assert change(here, "CANCELED") == 200  # while nobody listens
        with listening(here) as channel:
            # What the other one had told its own may not have been noted, if it is the last.
            told = [event(channel)]
            while told[-1] != (STATE, UID, "CANCELED"):
                told.append(event(channel))
        assert told[:-1] in ([], [(STATE, "1.2.5", "IN PROGRESS")])

        _, again = stack.enter_context(serving_node(tmp_path / "archive", address))
        one.stop(signal.SIGKILL)
        assert change(again, "CANCELED") == 200  # it is that already: the lock is known
        with listening(again) as channel:
            assert make(again, "1.2.6") == 201
            assert event(channel) == (STATE, "1.2.6", "SCHEDULED")


def claim_of(client, lock, uid=UID):
    body = {"00741000": attribute("CS", "IN PROGRESS"), "00081195": attribute("UI", lock)}
    return client.web(f"/workitems/{uid}/state", "PUT", json.dumps(body)).status
