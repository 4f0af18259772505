"""Restarts of a group of children (P9, P10)."""

from __future__ import annotations

from supervision.kit import Script, child, end, sync, worker

from dicom_actors.supervision import Restart, Strategy, Supervisor, terminate_child, which_children

START = [("a", "start"), ("b", "start"), ("c", "start")]


def start_three(system, journal, strategy, *, scripts=None, intensity=1, spec=None):
    specs = [
        worker(name, journal=journal, script=(scripts or {}).get(name), spec=spec) for name in "abc"
    ]
    return Supervisor.start(specs, strategy=strategy, intensity=intensity, system=system)


def test_p09_one_for_all_stops_all_in_reverse_and_starts_all_in_order(system, journal):
    supervisor = start_three(system, journal, Strategy.ONE_FOR_ALL)
    before = [info.ref for info in which_children(supervisor)]
    end(child(supervisor, "b"), "abnormal")
    sync(supervisor)
    assert journal.entries == [
        *START,
        ("b", "stop"),  # by itself: the cleanup of the one that failed
        ("c", "stop"),
        ("a", "stop"),
        *START,
    ]
    after = [info.ref for info in which_children(supervisor)]
    assert not set(before) & set(after)
    assert supervisor.is_alive()  # one restart, not three: the intensity is 1


def test_p09_rest_for_one_never_touches_earlier_children(system, journal):
    supervisor = start_three(system, journal, Strategy.REST_FOR_ONE)
    first = child(supervisor, "a")
    end(child(supervisor, "b"), "abnormal")
    sync(supervisor)
    assert journal.entries == [
        *START,
        ("b", "stop"),
        ("c", "stop"),
        ("b", "start"),
        ("c", "start"),
    ]
    assert child(supervisor, "a") is first
    assert supervisor.is_alive()


def test_p09_a_stopped_child_comes_back_with_its_group(system, journal):
    supervisor = start_three(system, journal, Strategy.ONE_FOR_ALL)
    terminate_child(supervisor, "c")
    end(child(supervisor, "a"), "abnormal")
    sync(supervisor)
    assert child(supervisor, "c").is_alive()


def test_p09_the_end_of_a_child_that_is_not_restarted_touches_nobody(system, journal):
    supervisor = start_three(
        system, journal, Strategy.ONE_FOR_ALL, spec={"restart": Restart.TRANSIENT}
    )
    end(child(supervisor, "b"), "normal")
    sync(supervisor)
    assert journal.entries == [*START, ("b", "stop")]


def test_p10_one_for_all_begins_again_when_another_child_fails_to_restart(system, journal):
    scripts = {"b": Script("ok", "raise")}
    supervisor = start_three(system, journal, Strategy.ONE_FOR_ALL, scripts=scripts, intensity=2)
    end(child(supervisor, "a"), "abnormal")
    sync(supervisor)  # the next try goes through the inbox
    sync(supervisor)
    assert journal.entries == [
        *START,
        ("a", "stop"),
        ("c", "stop"),
        ("b", "stop"),
        ("a", "start"),  # b raises
        ("a", "stop"),
        *START,
    ]
    assert scripts["b"].starts == 3


def test_p10_rest_for_one_goes_on_from_the_child_that_failed(system, journal):
    scripts = {"b": Script("ok", "raise")}
    supervisor = start_three(system, journal, Strategy.REST_FOR_ONE, scripts=scripts, intensity=2)
    end(child(supervisor, "a"), "abnormal")
    sync(supervisor)
    sync(supervisor)
    assert journal.entries == [
        *START,
        ("a", "stop"),
        ("c", "stop"),
        ("b", "stop"),
        ("a", "start"),  # b raises; a goes on
        ("b", "start"),
        ("c", "start"),
    ]
