"""Counts of events."""

from __future__ import annotations

import pytest

from dicom_actors import events
from dicom_actors.messages import AssociationInfo
from dicom_actors.metrics import Tally
from dicom_actors.metrics.tally import BOUNDS, is_failure, service_name


def completed(service="cstore", status=0, length=100, seconds=0.003, association=1):
    return events.RequestCompleted(association, service, 1, status, "", length, seconds)


def closed(association=1, reason="released"):
    info = AssociationInfo(association, "ME", "YOU", ("127.0.0.1", 1), "closing", 0.0)
    return events.AssociationClosed(info, reason, "", 1, was_open=True)


def test_requests_are_counted_by_service_and_status():
    tally = Tally()
    for status, seconds in ((0, 0.0005), (0, 0.003), (0xA700, 0.3), (0xB000, 1000.0)):
        tally.count(completed(status=status, seconds=seconds))
    tally.count(completed("cfind", 0xFE00, 10))
    totals = tally.totals()
    stored = totals.of("C-STORE")
    assert stored.statuses == {0: 2, 0xA700: 1, 0xB000: 1}
    assert (stored.requests, stored.failures, stored.bytes) == (4, 1, 400)
    assert stored.seconds == pytest.approx(1000.3035)
    assert sum(stored.durations) == 4
    assert stored.durations[0] == stored.durations[-1] == 1
    assert stored.durations[BOUNDS.index(0.005)] == 1
    assert totals.failures == 1
    assert totals.of("C-FIND").statuses == {0xFE00: 1}
    assert totals.of("C-MOVE").requests == 0


def test_what_is_counted_is_copied():
    tally = Tally()
    before = tally.totals()
    tally.count(completed())
    assert before.services == {}


def test_who_stored_how_much_is_known_while_the_association_is_open():
    tally = Tally()
    tally.count(completed(association=7))
    tally.count(completed(association=7, length=50))
    tally.count(completed(association=7, status=0xA700))
    tally.count(completed("cfind", association=8))
    assert tally.stored_by(7) == (2, 150)
    assert tally.stored_by(8) == (0, 0)
    tally.count(closed(7, "aborted"))
    assert tally.stored_by(7) == (0, 0)
    assert tally.totals().closed == {"aborted": 1}


def test_actors_are_counted_by_kind_and_kinds_are_bounded():
    tally = Tally()
    for number in range(3):
        tally.count(events.ActorCrashed(f"association {number}", "RuntimeError"))
    tally.count(events.ActorRestarted("listener", 1))
    for number in range(2000):
        tally.count(events.LimitReached(f"limit-{number}-x", ""))
        tally.count(completed(status=number + 1))
    tally.count("something else")
    totals = tally.totals()
    assert totals.crashes == {"association": 3}
    assert totals.restarts == {"listener": 1}
    assert len(totals.limits) <= 501
    assert totals.limits.total() == 2000
    assert len(totals.of("C-STORE").statuses) <= 501
    assert totals.of("C-STORE").requests == 2000


@pytest.mark.parametrize(
    ("status", "is_one"),
    [
        (0, False),
        (0xFF00, False),
        (0xFE00, False),
        (0xB000, False),
        (0x0107, False),
        (0xA700, True),
        (0xC000, True),
        (0x0110, True),
        (0x0211, True),
    ],
)
def test_which_statuses_are_failures(status, is_one):
    assert is_failure(status) is is_one


def test_services_have_the_names_of_the_standard():
    assert service_name("cstore") == "C-STORE"
    assert service_name("nevent_report") == "N-EVENT-REPORT"
