"""Subscriptions to workitems and their events, without sockets: PS3.4 tables CC.2.3-2, CC.2.4-1."""

from __future__ import annotations

import json
import threading

import pytest
from web.workitems import LOCK, PERFORMED, UID, Asker, attribute, code, workitem

from dicom_actors import DataSet
from dicom_actors.archive import Archive
from dicom_actors.archive.index import workitems as index
from dicom_actors.web import DicomWeb, HttpError, Request, WebSettings

WORKLIST = "1.2.840.10008.5.1.4.34.5"
FILTERED = "1.2.840.10008.5.1.4.34.5.1"
PUSH = "1.2.840.10008.5.1.4.34.6.1"
STATE, CANCEL, PROGRESS, STATUS, ASSIGNED = range(1, 6)


class Watcher(Asker):
    """Asks, subscribes and listens, without sockets."""

    def subscribe(self, uid, ae_title="ME", *query):
        return self("POST", f"/workitems/{uid}/subscribers/{ae_title}", b"", *query)[0]

    def unsubscribe(self, uid, ae_title="ME"):
        return self("DELETE", f"/workitems/{uid}/subscribers/{ae_title}")[0]

    def suspend(self, uid, ae_title="ME"):
        return self("POST", f"/workitems/{uid}/subscribers/{ae_title}/suspend", b"")[0]

    def listen(self, ae_title="ME", wake=lambda: None):
        request = Request("WEBSOCKET", f"/ws/subscribers/{ae_title}", "http://here")
        return self.application.listen(request, wake)

    def told(self, ae_title="ME"):
        """What waits for somebody: the type of each event, and of what."""
        channel = self.listen(ae_title)
        found = [
            (one["00001002"]["Value"][0], one["00001000"]["Value"][0]) for one in all_of(channel)
        ]
        channel.close()
        return found


def all_of(channel):
    return [json.loads(text) for text in iter(channel.take, None)]


LOCKED = ("deletionlock", "true")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


@pytest.fixture
def ask(folder):
    with Archive.open(folder, durability="os") as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        yield Watcher(application)
        application.close()


def in_state(ask, state, uid, is_global):
    """Have an AE in a state of the table for a workitem, and forget what it was told."""
    if is_global:
        assert ask.subscribe(WORKLIST, "ME", ("deletionlock", str(state == "lock").lower())) == 201
        assert ask.suspend(WORKLIST) == 200
    if state == "none":
        ask.unsubscribe(uid)
    else:
        assert ask.subscribe(uid, "ME", ("deletionlock", str(state == "lock").lower())) == 201
    ask.told()


def state_of(ask, uid):
    """The state of an AE for a workitem: none, lock or plain."""
    found = ask.application._archive.workitems.subscribers(uid).get("ME")
    return {None: "none", True: "lock", False: "plain"}[found]


# Table CC.2.3-2: what is done, then for each state of an AE and a workitem before (not subscribed,
# with lock, without) the state after, and whether the initial event is sent.
TABLE = {
    "global with lock": [("lock", True), ("lock", False), ("plain", False)],
    "global": [("plain", False), ("lock", False), ("plain", False)],
    "specific with lock": [("lock", True), ("lock", True), ("lock", True)],
    "specific": [("plain", True), ("plain", True), ("plain", True)],
    "unsubscribe": [("none", False), ("none", False), ("none", False)],
    "unsubscribe globally": [("none", False), ("none", False), ("none", False)],
    "suspend": [("none", False), ("lock", False), ("plain", False)],
}
ACTIONS = {
    "global with lock": lambda ask: ask.subscribe(WORKLIST, "ME", LOCKED),
    "global": lambda ask: ask.subscribe(WORKLIST),
    "specific with lock": lambda ask: ask.subscribe(UID, "ME", LOCKED),
    "specific": lambda ask: ask.subscribe(UID, "ME", ("deletionlock", "false")),
    "unsubscribe": lambda ask: ask.unsubscribe(UID),
    "unsubscribe globally": lambda ask: ask.unsubscribe(WORKLIST),
    "suspend": lambda ask: ask.suspend(WORKLIST),
}


@pytest.mark.parametrize("action", TABLE)
@pytest.mark.parametrize("before", ["none", "lock", "plain"])
@pytest.mark.parametrize("by", ["itself", "worklist"])
def test_each_change_of_a_subscription_is_as_the_table_has_it(ask, action, before, by):
    ask.make()
    in_state(ask, before, UID, is_global=by == "worklist")
    assert state_of(ask, UID) == before
    after, is_told = TABLE[action][["none", "lock", "plain"].index(before)]

    status = ACTIONS[action](ask)

    if "with" in action or action in {"global", "specific"}:
        assert status == 201
    elif before == "none" or action == "suspend":
        assert status == 404  # there is nothing to end
    else:
        assert status == 200
    assert state_of(ask, UID) == after
    told = ask.told()
    # A subscription to all with locks is told of each, whatever it had (CC.2.4.3).
    assert told == ([(STATE, UID)] if is_told or action == "global with lock" else [])

    # Who is subscribed is told of what happens, and nobody else is; and of what is created, who
    # is subscribed to all.
    ask.state("IN PROGRESS")
    assert ask.told() == ([(STATE, UID)] if after != "none" else [])
    ask.make("1.2.5")
    is_global = action in {"global", "global with lock"}
    assert ask.told() == ([(STATE, "1.2.5")] if is_global else [])
    assert state_of(ask, "1.2.5") == (
        "none" if not is_global else "lock" if "lock" in action else "plain"
    )


def test_a_filtered_subscription_is_to_what_matches(ask):
    ask.make("1.2.1", **{"00741202": attribute("LO", "LIVER")})
    ask.make("1.2.2", **{"00741202": attribute("LO", "BRAIN")})
    assert ask.subscribe(FILTERED, "ME", ("filter", "WorklistLabel=LIVER"), LOCKED) == 201
    assert ask.told() == [(STATE, "1.2.1")]
    ask.make("1.2.3", **{"00741202": attribute("LO", "LIVER")})
    ask.make("1.2.4", **{"00741202": attribute("LO", "BRAIN")})
    for uid in ("1.2.1", "1.2.2", "1.2.3", "1.2.4"):
        ask.state("IN PROGRESS", uid=uid)
    assert ask.told() == [(STATE, "1.2.3"), (STATE, "1.2.1"), (STATE, "1.2.3")]

    assert ask.suspend(FILTERED) == 200
    assert ask.suspend(FILTERED) == 404
    ask.make("1.2.5", **{"00741202": attribute("LO", "LIVER")})
    assert ask.told() == []
    ask.state("CANCELED", uid="1.2.1")
    assert ask.told() == [(STATE, "1.2.1")]


@pytest.mark.parametrize(
    "query",
    [
        [("filter", "PatientID=P1,PatientName=doe*")],
        [("filter", "PatientID=P1"), ("filter", "00100010=Doe^J?ne")],
        [("filter", "ScheduledStationNameCodeSequence.CodeValue=CT1,PatientID=P1")],
        [("filter", "ScheduledProcedureStepStartDateTime=20260101-20260201")],
        [("filter", "SOPInstanceUID=1.2.9,1.2.1")],
        [("PatientID", "P1"), ("WorklistLabel", "Default")],
    ],
    ids=range(6),
)
def test_filters_match_as_searches_do(ask, query):
    station = {"00404025": attribute("SQ", code("CT1"))}
    ask.make("1.2.1", **station)
    later = attribute("DT", "20300101")
    ask.make("1.2.2", **{"00100020": attribute("LO", "P2"), "00404005": later})
    assert ask.subscribe(FILTERED, "ME", *query, LOCKED) == 201
    assert ask.told() == [(STATE, "1.2.1")]


@pytest.mark.parametrize(
    ("uid", "ae_title", "query", "expected"),
    [
        ("1.2.9", "ME", [], 404),
        ("..", "ME", [], 400),
        (UID, "M" * 17, [], 400),
        (UID, " ", [], 400),
        (UID, "M\\E", [], 400),
        (UID, "MÉ", [], 400),
        (UID, "M\r\nE", [], 400),
        (UID, "ME", [("deletionlock", "maybe")], 400),
        (UID, "ME", [("filter", "PatientID=P1")], 400),
        (WORKLIST, "ME", [("filter", "PatientID=P1")], 400),
        (FILTERED, "ME", [], 400),
        (FILTERED, "ME", [("filter", "")], 400),
        (FILTERED, "ME", [("filter", "PatientID")], 400),
        (FILTERED, "ME", [("filter", "NoSuchThing=1")], 400),
        (FILTERED, "ME", [("filter", "TransactionUID=1.2")], 400),
        (FILTERED, "ME", [("filter", "ScheduledProcedureStepStartDateTime=soon")], 400),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(ask, uid, ae_title, query, expected):
    ask.make()
    assert ask.subscribe(uid, ae_title, *query) == expected
    workitems = ask.application._archive.workitems
    assert workitems.ae_titles() == []
    assert ask.suspend(UID) == 400  # to one workitem


def test_a_subscription_says_where_its_events_are(ask):
    ask.make()
    path = f"/workitems/{UID}/subscribers/MY AE"
    status, headers, _ = ask("POST", path, b"")
    assert (status, headers["content-location"]) == (201, "ws://here/ws/subscribers/MY%20AE")
    request = Request("POST", path, "https://pacs.example/dicom-web")
    headers = ask.application.begin(request).finish().headers
    assert headers["content-location"] == "wss://pacs.example/dicom-web/ws/subscribers/MY%20AE"
    assert ask("POST", path, b"something")[0] == 400
    status, headers, _ = ask("GET", "/ws/subscribers/ME")
    assert (status, headers["upgrade"]) == (426, "websocket")


# --- the events ------------------------------------------------------------------------------


def test_what_is_told_has_what_the_table_has(ask):
    ask.make()
    ask.subscribe(UID)
    channel = ask.listen()
    (first,) = all_of(channel)
    assert first == {
        "00000002": attribute("UI", PUSH),
        "00000110": attribute("US", 1),
        "00001000": attribute("UI", UID),
        "00001002": attribute("US", STATE),
        "00404041": attribute("CS", "READY"),
        "00741000": attribute("CS", "SCHEDULED"),
    }

    ask("POST", f"/workitems/{UID}", {"00404041": attribute("CS", "INCOMPLETE")})
    (told,) = all_of(channel)
    assert told["00404041"]["Value"] == ["INCOMPLETE"]
    assert told["00000110"]["Value"] == [2]
    ask("POST", f"/workitems/{UID}", {"00404041": attribute("CS", "INCOMPLETE")})
    assert all_of(channel) == []  # it was that before

    ask.state("IN PROGRESS")
    (told,) = all_of(channel)
    assert told["00741000"]["Value"] == ["IN PROGRESS"]

    progress = attribute(
        "SQ",
        {
            "00741004": attribute("DS", 50),
            "00741006": attribute("ST", "half of it"),
            "00741008": attribute("SQ", {"0074100A": attribute("UR", "http://here/me")}),
        },
    )
    ask("POST", f"/workitems/{UID}", {"00741002": progress}, ("transaction", LOCK))
    (told,) = all_of(channel)
    assert told["00001002"]["Value"] == [PROGRESS]
    assert told["00741002"] == progress

    station = attribute("SQ", code("CT1"))
    performer = attribute(
        "SQ", {"00404009": attribute("SQ", code("ANN")), "00404036": attribute("LO", "Here")}
    )
    change = {"00404025": station, "00404034": performer}
    ask("POST", f"/workitems/{UID}", change, ("transaction", LOCK))
    (told,) = all_of(channel)
    assert told["00001002"]["Value"] == [ASSIGNED]
    assert told["00404025"] == station
    assert told["00404034"] == performer
    assert told["00404036"]["Value"] == ["Here"]
    assert told["00404009"]["Value"][0]["00080100"]["Value"] == ["ANN"]

    ask("POST", f"/workitems/{UID}", PERFORMED, ("transaction", LOCK))
    assert all_of(channel) == []
    ask.state("COMPLETED")
    (told,) = all_of(channel)
    assert told["00741000"]["Value"] == ["COMPLETED"]
    assert all("00081195" not in one for one in (told, first))  # nobody is told the lock


def test_a_creation_that_is_assigned_says_so(ask):
    ask.subscribe(WORKLIST)
    ask.make(**{"00404025": attribute("SQ", code("CT1"))})
    assert ask.told() == [(STATE, UID), (ASSIGNED, UID)]


def test_a_cancellation_is_requested_of_who_has_taken_it(ask):
    ask.make()
    ask.state("IN PROGRESS")
    reason = {
        "00741238": attribute("LT", "not needed"),
        "0074100A": attribute("UR", "tel:12"),
        "0074100C": attribute("LO", "Ann"),
        "0074100E": attribute("SQ", code("110513")),
        "00741236": attribute("AE", "ASKER"),
    }
    path = f"/workitems/{UID}/cancelrequest"
    assert ask("POST", path, reason)[0] == 409  # nobody could be told
    ask.subscribe(UID)
    ask.told()

    assert ask("POST", path, reason)[0] == 202
    channel = ask.listen()
    (told,) = all_of(channel)
    assert told["00001002"]["Value"] == [CANCEL]
    assert {tag: told[tag] for tag in reason} == reason
    assert ask.now()["00741000"]["Value"] == ["IN PROGRESS"]  # whether it is given up is his

    assert ask("POST", path, b"")[0] == 202
    (told,) = all_of(channel)
    assert told["00741236"]["Value"] == ["DICOMWEB"]
    assert "00741238" not in told


def test_what_nobody_has_taken_is_canceled_by_way_of_in_progress(ask):
    ask.make()
    ask.subscribe(UID)
    ask.told()
    ask("POST", f"/workitems/{UID}/cancelrequest", {"00741238": attribute("LT", "not needed")})
    channel = ask.listen()
    told = all_of(channel)
    assert [one["00001002"]["Value"][0] for one in told] == [CANCEL, STATE, STATE]
    assert [one["00741000"]["Value"][0] for one in told[1:]] == ["IN PROGRESS", "CANCELED"]
    assert told[-1]["00741238"]["Value"] == ["not needed"]
    ask("POST", f"/workitems/{UID}/cancelrequest", b"")
    assert all_of(channel) == []


def test_what_is_refused_is_told_to_nobody(ask):
    ask.make()
    ask.subscribe(UID)
    ask.told()
    assert ask.state("COMPLETED") == 409
    assert ask.state("IN PROGRESS", "") == 400
    assert ask("POST", f"/workitems/{UID}", {"00741000": attribute("CS", "X")})[0] == 400
    assert ask("POST", "/workitems", workitem(), ("workitem", UID))[0] == 409
    assert ask.told() == []


# --- how long they last ----------------------------------------------------------------------


def test_subscriptions_outlive_the_process_and_say_that_it_was_started(folder):
    def opened():
        return Archive.open(folder, durability="os")

    with opened() as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        ask = Watcher(application)
        ask.make()
        assert ask.told() == []
        ask.subscribe(UID, "ONE", LOCKED)
        ask.subscribe(WORKLIST, "ALL")
        ask.subscribe(FILTERED, "SOME", ("filter", "PatientID=P2"))
        ask.subscribe(UID, "GONE")
        ask.unsubscribe(UID, "GONE")
        application.close()
    with opened() as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        ask = Watcher(application)
        ask.make("1.2.2", **{"00100020": attribute("LO", "P2")})
        ask.state("IN PROGRESS")
        again = (STATUS, WORKLIST)
        # What was not taken in the life before has waited.
        assert ask.told("ONE") == [(STATE, UID), again, (STATE, UID)]
        assert ask.told("ALL") == [again, (STATE, "1.2.2"), (STATE, UID)]
        assert ask.told("SOME") == [again, (STATE, "1.2.2")]
        assert ask.told("GONE") == []
        ask.unsubscribe(WORKLIST, "ALL")
        application.close()
    with opened() as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        ask = Watcher(application)
        channel = ask.listen("ONE")
        (told,) = all_of(channel)
        assert told["00741242"]["Value"] == ["RESTARTED"]
        assert told["00741244"]["Value"] == told["00741246"]["Value"] == ["WARM START"]
        assert ask.told("ALL") == []
        application.close()


def test_a_deletion_lock_keeps_what_is_over(ask):
    workitems = ask.application._archive.workitems
    for uid in ("1.2.1", "1.2.2"):
        ask.make(uid)
        ask("POST", f"/workitems/{uid}/cancelrequest", b"")
    workitems._most = 2
    ask.subscribe("1.2.1", "ME", LOCKED)
    ask.subscribe("1.2.2", "ME")

    ask.make("1.2.3")
    assert ask("GET", "/workitems/1.2.2")[0] == 404  # not the one that ended first
    assert ask("GET", "/workitems/1.2.1")[0] == 200
    assert ask("POST", "/workitems", workitem(), ("workitem", "1.2.4"))[0] == 507
    assert ask.subscribe("1.2.1", "ME", ("deletionlock", "false")) == 201  # gives it back
    ask.make("1.2.4")
    assert ask("GET", "/workitems/1.2.1")[0] == 404
    assert workitems.ae_titles() == []


def test_there_is_a_limit_to_who_subscribes(ask):
    ask.make()
    ask.application._archive.workitems._most_subscribers = 3
    for ae_title in ("A", "B", "C"):
        assert ask.subscribe(UID, ae_title) == 201
    for uid, query in ((UID, ()), (WORKLIST, ()), (FILTERED, (("filter", "PatientID=P1"),))):
        assert ask.subscribe(uid, "D", *query) == 507
        assert ask.subscribe(uid, "C", *query) == 201
    ask.unsubscribe(UID, "A")
    assert ask.subscribe(UID, "D") == 201


# --- channels --------------------------------------------------------------------------------


def test_all_channels_of_an_ae_are_told_and_the_rest_waits(ask):
    ask.make()
    ask.subscribe(UID)
    woken = []
    one, two = ask.listen(wake=lambda: woken.append(1)), ask.listen(wake=lambda: woken.append(2))
    assert woken == [1]  # the one that came first has what had waited
    assert len(all_of(one)) == 1
    assert all_of(two) == []
    ask.state("IN PROGRESS")
    assert woken == [1, 1, 2]
    assert len(all_of(one)) == 1
    one.close()
    two.close()  # with something not taken
    assert ask.told() == [(STATE, UID)]
    assert ask.told() == []


def test_there_is_a_limit_to_channels(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        application = DicomWeb(archive, WebSettings(ups=True, max_event_channels=2))
        ask = Watcher(application)
        one = ask.listen("A")
        ask.listen("B")
        with pytest.raises(HttpError) as caught:
            ask.listen("C")
        assert caught.value.status == 503
        one.close()
        ask.listen("C")
        application.close()


@pytest.mark.parametrize(
    "path", ["/ws/subscribers/", "/ws/subscribers", "/ws", "/studies", "/ws/subscribers/a/b"]
)
def test_there_is_no_other_channel(ask, path):
    with pytest.raises(HttpError) as caught:
        ask.application.listen(Request("WEBSOCKET", path, "http://here"), lambda: None)
    assert caught.value.status in {400, 404}


def test_without_the_option_there_is_no_channel(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        application = DicomWeb(archive)
        with pytest.raises(HttpError) as caught:
            Watcher(application).listen()
        assert caught.value.status == 404
        application.close()


@pytest.fixture
def few(monkeypatch):
    """Few events are kept."""
    monkeypatch.setattr(index, "MOST_EVENTS", 3)
    monkeypatch.setattr(index, "MOST_CHARACTERS", 1500)


def progress(ask, uid, length):
    """Have a progress of some length told."""
    item = {"00741006": attribute("ST", "x" * length)}
    assert ask("POST", f"/workitems/{uid}", {"00741002": attribute("SQ", item)})[0] == 200


def lengths(ask):
    channel = ask.listen()
    found = [
        len(one["00741002"]["Value"][0]["00741006"]["Value"][0])
        for one in all_of(channel)
        if "00741002" in one
    ]
    channel.close()
    return found


@pytest.mark.usefixtures("few")
def test_of_what_waits_the_oldest_is_lost(ask):
    ask.make()
    ask.subscribe(UID)
    for length in range(1, 6):
        progress(ask, UID, length)
    assert lengths(ask) == [3, 4, 5]
    for length in range(601, 606):
        progress(ask, UID, length)
    assert lengths(ask) == [604, 605]
    progress(ask, UID, 1)
    progress(ask, UID, 5000)
    assert lengths(ask) == [5000]  # one may be longer


@pytest.mark.usefixtures("few")
def test_a_channel_that_is_not_emptied_ends_and_the_others_do_not(ask):
    woken = []
    ask.subscribe(WORKLIST, "ME")
    ask.subscribe(WORKLIST, "YOU")
    slow = ask.listen(wake=lambda: woken.append("slow"))
    quick, other = ask.listen(), ask.listen("YOU")
    for number in range(1, 7):
        ask.make(f"1.2.{number}")
        for channel in (quick, other):
            assert [one["00001000"]["Value"] for one in all_of(channel)] == [[f"1.2.{number}"]]
    assert woken == ["slow"] * 6
    assert slow.take() is None
    assert slow.is_closed
    assert not quick.is_closed
    assert slow.take() is None
    slow.close()
    quick.close()
    assert ask.told() == []


def test_who_unsubscribes_leaves_nothing(ask):
    ask.make()
    ask.subscribe(UID)
    channel = ask.listen()
    ask.state("IN PROGRESS")
    ask.unsubscribe(UID)
    assert all_of(channel) == []
    for table in ("subscriber", "workitem_subscriber", "workitem_event"):
        assert rows_of(ask, table) == 0

    # What comes next has other numbers than what was there before.
    ask.subscribe(UID)
    assert len(all_of(channel)) == 1
    channel.close()
    assert ask.application._archive.workitems._channels._listening == {}


def rows_of(ask, table):
    with ask.application._archive.reader() as reader:
        (count,) = reader.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return count


def test_states_are_told_as_they_are_when_they_are_taken(ask):
    for number in range(1, 1501):  # more than events may wait
        ask.application._archive.workitems.create(f"1.2.{number}", scheduled(number))
    assert ask.subscribe(WORKLIST, "ME", LOCKED) == 201
    ask.state("IN PROGRESS", uid="1.2.7")
    channel = ask.listen()
    told = all_of(channel)
    assert len({one["00001000"]["Value"][0] for one in told}) == 1500
    states = [one["00741000"]["Value"] for one in told if one["00001000"]["Value"] == ["1.2.7"]]
    assert states == [["IN PROGRESS"]] * 2


def scheduled(number):
    model = {**workitem(), "00080018": attribute("UI", f"1.2.{number}")}
    return DataSet.from_json(model)


def test_many_threads_lose_nothing(ask):
    ask.subscribe(WORKLIST)
    channel = ask.listen()
    made = [f"1.2.{part}.{number}" for part in range(4) for number in range(25)]
    threads = [
        threading.Thread(
            target=lambda mine=made[part * 25 : part * 25 + 25]: [ask.make(uid) for uid in mine]
        )
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["00001000"]["Value"][0] for one in all_of(channel)) == sorted(made)
