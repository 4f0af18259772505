"""UPS-RS: the state machine of PS3.4 table CC.1.1-2 by HTTP, and what survives."""

from __future__ import annotations

import json

import pytest
from web.serving import served
from web.workitems import LOCK, OTHER, PERFORMED, UID, Asker, attribute, workitem

from dicom_actors.archive import Archive
from dicom_actors.web import DicomWeb, WebSettings


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


@pytest.fixture
def ask(folder):
    with Archive.open(folder, durability="os") as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        yield Asker(application)
        application.close()


@pytest.fixture
def created(ask):
    status, headers, _ = ask("POST", "/workitems", [workitem()], ("workitem", UID))
    assert status == 201
    assert headers["content-location"] == f"http://here/workitems/{UID}"
    return ask


def test_it_is_an_option(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        application = DicomWeb(archive)
        assert Asker(application)("GET", "/workitems")[0] == 404
        application.close()


def test_a_workitem_is_taken_and_completed(created):
    model = created.now()
    assert model["00741000"]["Value"] == ["SCHEDULED"]
    assert model["00741202"]["Value"] == ["Default"]
    assert model["00080018"]["Value"] == [UID]

    assert created.state("IN PROGRESS") == 200
    assert "00081195" not in created.now()  # nobody is told the lock
    assert created.state("COMPLETED") == 409  # what was performed is missing
    assert created("POST", f"/workitems/{UID}", PERFORMED, ("transaction", LOCK))[0] == 200
    assert created.state("COMPLETED") == 200
    assert created.now()["00741000"]["Value"] == ["COMPLETED"]

    status, headers, _ = created(
        "PUT",
        f"/workitems/{UID}/state",
        {"00741000": attribute("CS", "COMPLETED"), "00081195": attribute("UI", LOCK)},
    )
    assert (status, "COMPLETED" in headers["warning"]) == (200, True)


# Table CC.1.1-2: how it is reached, the state that is asked for, the lock, what comes of it.
REACHED = {
    "SCHEDULED": [],
    "IN PROGRESS": ["IN PROGRESS"],
    "COMPLETED": ["IN PROGRESS", "COMPLETED"],
    "CANCELED": ["IN PROGRESS", "CANCELED"],
}
TABLE = [
    ("SCHEDULED", "IN PROGRESS", LOCK, 200),
    ("SCHEDULED", "IN PROGRESS", "", 400),
    ("SCHEDULED", "SCHEDULED", LOCK, 409),
    ("SCHEDULED", "COMPLETED", LOCK, 409),
    ("SCHEDULED", "COMPLETED", "", 400),
    ("SCHEDULED", "CANCELED", LOCK, 409),
    ("SCHEDULED", "CANCELED", "", 400),
    ("SCHEDULED", "DONE", LOCK, 400),
    ("IN PROGRESS", "IN PROGRESS", LOCK, 409),
    ("IN PROGRESS", "IN PROGRESS", OTHER, 409),
    ("IN PROGRESS", "IN PROGRESS", "", 400),
    ("IN PROGRESS", "SCHEDULED", LOCK, 409),
    ("IN PROGRESS", "COMPLETED", LOCK, 200),
    ("IN PROGRESS", "COMPLETED", OTHER, 409),
    ("IN PROGRESS", "COMPLETED", "", 400),
    ("IN PROGRESS", "CANCELED", LOCK, 200),
    ("IN PROGRESS", "CANCELED", OTHER, 409),
    ("IN PROGRESS", "CANCELED", "", 400),
    ("COMPLETED", "IN PROGRESS", LOCK, 409),
    ("COMPLETED", "SCHEDULED", LOCK, 409),
    ("COMPLETED", "COMPLETED", LOCK, 200),
    ("COMPLETED", "COMPLETED", OTHER, 409),
    ("COMPLETED", "CANCELED", LOCK, 409),
    ("CANCELED", "IN PROGRESS", LOCK, 409),
    ("CANCELED", "SCHEDULED", LOCK, 409),
    ("CANCELED", "COMPLETED", LOCK, 409),
    ("CANCELED", "CANCELED", LOCK, 200),
    ("CANCELED", "CANCELED", OTHER, 409),
]


def test_each_change_of_state_is_as_the_table_has_it(ask):
    for number, (before, wanted, lock, expected) in enumerate(TABLE, 1):
        uid = f"1.2.3.{number}"
        assert ask("POST", "/workitems", workitem(**PERFORMED), ("workitem", uid))[0] == 201
        for step in REACHED[before]:
            assert ask.state(step, uid=uid) == 200
        kept = ask.now(uid)

        assert ask.state(wanted, lock, uid) == expected, (before, wanted, lock)

        if expected != 200:
            assert ask.now(uid) == kept  # a refusal changes nothing


@pytest.mark.parametrize(
    ("uid", "method", "path", "expected"),
    [
        ("1.2.9", "GET", "/workitems/{}", 404),
        ("1.2.9", "POST", "/workitems/{}", 404),
        ("1.2.9", "POST", "/workitems/{}/cancelrequest", 404),
        ("..", "GET", "/workitems/{}", 400),
        ("1.2.9", "DELETE", "/workitems/{}/subscribers/ME", 404),
        (UID, "DELETE", "/workitems/{}/subscribers/ME", 404),
        (UID, "DELETE", "/workitems/{}", 405),
    ],
)
def test_what_is_not_there_is_refused(created, uid, method, path, expected):
    assert created(method, path.format(uid))[0] == expected
    if uid == "1.2.9":
        assert created.state("IN PROGRESS", uid=uid) == 404


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (workitem(**{"00741000": attribute("CS", "IN PROGRESS")}), 400),
        (workitem(**{"00081195": attribute("UI", LOCK)}), 400),
        (workitem(**{"00741200": attribute("CS", "SOON")}), 400),
        (workitem(**{"00741204": {"vr": "LO"}}), 400),
        ({tag: value for tag, value in workitem().items() if tag != "00404005"}, 400),
        ([workitem(), workitem()], 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"00741234": {"vr": "SQ", "Value": [' * 5000, 400),
        (b'"' + b"x" * (5 << 20) + b'"', 413),
        (workitem(**{"00101020": attribute("DS", "tall")}), 400),
    ],
    ids=range(11),
)
def test_what_cannot_be_scheduled_is_refused(ask, body, expected):
    assert ask("POST", "/workitems", body, ("workitem", UID))[0] == expected
    assert ask("GET", f"/workitems/{UID}")[0] == 404


def test_the_same_uid_twice_is_a_conflict(created):
    assert created("POST", "/workitems", workitem(), ("workitem", UID))[0] == 409
    assert created("POST", "/workitems", workitem(), (UID, ""))[0] == 409  # as it was named once


def test_who_has_no_lock_changes_nothing(created):
    change = {"00741204": attribute("LO", "Segment the spleen")}
    assert created("POST", f"/workitems/{UID}", change)[0] == 200  # nobody has taken it yet
    created.state("IN PROGRESS")

    assert created("POST", f"/workitems/{UID}", change)[0] == 400
    assert created("POST", f"/workitems/{UID}", change, ("transaction", OTHER))[0] == 409
    assert created("POST", f"/workitems/{UID}", change, ("transaction", LOCK))[0] == 200
    for fixed in (
        {"00741000": attribute("CS", "CANCELED")},
        {"00100020": attribute("LO", "P2")},
        {"00080018": attribute("UI", "1.2")},
    ):
        assert created("POST", f"/workitems/{UID}", fixed, ("transaction", LOCK))[0] == 400
    assert created.now()["00741204"]["Value"] == ["Segment the spleen"]


def test_cancellation_is_requested(created):
    reason = {"00741238": attribute("LT", "not needed")}
    assert created("POST", f"/workitems/{UID}/cancelrequest", reason)[0] == 202
    progress = created.now()["00741002"]["Value"][0]
    assert progress["00741238"]["Value"] == ["not needed"]
    assert progress["00404052"]["Value"]
    status, headers, _ = created("POST", f"/workitems/{UID}/cancelrequest", b"")
    assert (status, "CANCELED" in headers["warning"]) == (202, True)

    created("POST", "/workitems", workitem(), ("workitem", "1.2.5"))
    created.state("IN PROGRESS", uid="1.2.5")
    status, headers, text = created("POST", "/workitems/1.2.5/cancelrequest", b"")
    assert (status, "cannot be contacted" in text) == (409, True)


def test_a_search_finds_what_matches_page_by_page(ask):
    for number in range(1, 6):
        body = workitem(
            **{
                "00404005": attribute("DT", f"2026010{6 - number}120000"),
                "00100020": attribute("LO", f"P{number}"),
            }
        )
        ask("POST", "/workitems", body, ("workitem", f"1.2.3.{number}"))
    ask.state("IN PROGRESS", uid="1.2.3.2")

    def found(*query):
        status, _, body = ask("GET", "/workitems", None, *query)
        assert status == 200
        return [one["00080018"]["Value"][0] for one in json.loads(body)]

    assert found() == [f"1.2.3.{number}" for number in (5, 4, 3, 2, 1)]
    assert found(("ProcedureStepState", "IN PROGRESS")) == ["1.2.3.2"]
    assert found(("00100020", "P4")) == ["1.2.3.4"]
    assert found(("PatientName", "doe*"), ("limit", "2"), ("offset", "1")) == ["1.2.3.4", "1.2.3.3"]
    assert found(("ScheduledProcedureStepStartDateTime", "20260104-")) == ["1.2.3.2", "1.2.3.1"]
    assert ask("GET", "/workitems", None, ("TransactionUID", LOCK))[0] == 400
    everything = json.loads(ask("GET", "/workitems", None, ("includefield", "all"))[2])
    assert not any("00081195" in one for one in everything)


def test_it_outlives_the_process_and_gives_room(folder):
    with Archive.open(folder, durability="os") as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        ask = Asker(application)
        ask("POST", "/workitems", workitem(), ("workitem", UID))
        ask.state("IN PROGRESS")
        application.close()
    with Archive.open(folder, durability="os") as archive:
        application = DicomWeb(archive, WebSettings(ups=True))
        ask = Asker(application)
        assert ask.state("CANCELED", OTHER) == 409
        assert ask.state("CANCELED") == 200
        application.close()
        archive.workitems._most = 1
        assert ask("POST", "/workitems", workitem(), ("workitem", "1.2.6"))[0] == 201
        assert ask("GET", f"/workitems/{UID}")[0] == 404  # it was over
        assert ask("POST", "/workitems", workitem(), ("workitem", "1.2.7"))[0] == 507


def test_it_is_served(tmp_path):
    settings = WebSettings(ups=True, drain_timeout=1.0)
    with served(tmp_path / "archive", settings=settings) as (client, _):
        body = json.dumps([workitem()])
        kind = "application/dicom+json"
        answer = client.web(f"/workitems?workitem={UID}", "POST", body, content_type=kind)
        assert answer.status == 201
        assert answer.headers["location"].endswith(f"/dicom-web/workitems/{UID}")
        state = {"00741000": attribute("CS", "IN PROGRESS"), "00081195": attribute("UI", LOCK)}
        path = f"/workitems/{UID}/state"
        assert client.web(path, "PUT", json.dumps(state), content_type=kind).status == 200
        (found,) = client.web("/workitems?ProcedureStepState=IN%20PROGRESS").json()
        assert found["00080018"]["Value"] == [UID]
        assert client.web("/workitems", "POST", "x", content_type="text/plain").status == 415
