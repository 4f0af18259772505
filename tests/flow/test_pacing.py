"""Pauses, breakers, bandwidth and hours; and the settings that they have."""

from __future__ import annotations

import calendar
import random
import time

import pytest

from dicom_actors.errors import ConfigurationError
from dicom_actors.flow import DestinationSettings
from dicom_actors.flow.pacing import BackOff, Bandwidth, Breaker, Hours


def test_pauses_double_up_to_the_longest():
    settings = DestinationSettings(first_pause=1.0, longest_pause=10.0, jitter=0.0)
    back_off = BackOff(settings, random.Random(1))

    assert [back_off.pause(n) for n in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 10, 10]


def test_pauses_are_shorter_by_chance():
    back_off = BackOff(DestinationSettings(first_pause=8.0, jitter=0.5), random.Random(1))

    pauses = [back_off.pause(1) for _ in range(100)]
    assert min(pauses) < 5
    assert max(pauses) > 7
    assert all(4 <= pause <= 8 for pause in pauses)


def test_a_breaker_opens_and_lets_one_try():
    settings = DestinationSettings(first_pause=1.0, jitter=0.0)
    breaker = Breaker(BackOff(settings, random.Random(1)))

    assert breaker.state(0.0) == "closed"
    breaker.fail(10.0)
    assert (breaker.state(10.5), breaker.state(11.0)) == ("open", "half open")
    breaker.fail(11.0)
    assert (breaker.state(12.5), breaker.state(13.0)) == ("open", "half open")
    breaker.reset()
    assert breaker.state(11.5) == "half open"
    breaker.succeed()
    assert breaker.state(11.5) == "closed"


def test_bandwidth_is_kept_on_average():
    bandwidth = Bandwidth(100)
    bandwidth.sent(50, 10.0)
    bandwidth.sent(100, 10.0)
    assert bandwidth.free_at == 11.5
    bandwidth.sent(100, 20.0)
    assert bandwidth.free_at == 21.0
    free = Bandwidth(None)
    free.sent(1 << 40, 5.0)
    assert free.free_at == 0.0


@pytest.fixture
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield lambda hour, minute, second=0: calendar.timegm((2026, 3, 4, hour, minute, second))
    monkeypatch.undo()
    time.tzset()


def test_hours(utc):
    night, day = Hours(["20:00-06:00"]), Hours(["08:00-12:00", "13:00-17:00"])

    assert Hours([]).wait(utc(3, 0)) == 0
    assert [night.wait(utc(*at)) for at in ((20, 0), (23, 59), (0, 0), (5, 59))] == [0] * 4
    assert night.wait(utc(6, 0)) == 14 * 3600
    assert night.wait(utc(19, 59, 30)) == 30
    assert day.wait(utc(12, 0)) == 3600
    assert day.wait(utc(17, 0)) == 15 * 3600
    assert Hours(["00:00-24:00"]).wait(utc(23, 59, 59)) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"confirm": "hope"},
        {"batch": 0},
        {"batch": 1.5},
        {"attempts": 0},
        {"refusals": None},
        {"jitter": 1.5},
        {"first_pause": "1"},
        {"first_pause": float("nan")},
        {"transcode": 1},
        {"hours": ("25:00-26:00",)},
        {"hours": ("08:00-08:00",)},
        {"hours": ("8-9",)},
        {"hours": (5,)},
        {"bytes_per_second": 0},
        {"batch": True},
    ],
)
def test_settings_out_of_their_range(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        DestinationSettings(**settings)
