"""A number of bytes that several share."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.waiting import LIMIT

from dicom_actors.actors.storing.budget import ByteBudget


def test_no_more_is_taken_than_there_is() -> None:
    budget = ByteBudget(100)
    first, second = budget.share(), budget.share()
    assert first.take(60)
    assert not second.take(41)
    assert second.take(40)
    first.release()
    first.release()
    assert (budget.used, first.held) == (40, 0)
    assert not first.take(1)


def test_without_a_limit_there_is_always_room() -> None:
    share = ByteBudget(None).share()
    assert all(share.take(1 << 50) for _ in range(3))


def test_room_goes_to_those_who_wait_in_their_order() -> None:
    budget = ByteBudget(100)
    big, small, last, *others = (budget.share() for _ in range(6))
    told: list[int] = []
    for holder, length in ((big, 50), (small, 20), (last, 30)):
        assert holder.take(length)
    for number, length in enumerate((60, 30, 50)):
        assert others[number].wait(length, lambda _, number=number: told.append(number))
    assert not budget.share().take(0)  # whoever does not wait does not come first
    big.release()
    assert told == []
    small.release()
    assert told == [0]
    assert others[0].held == 60
    others[0].release()
    assert told == [0, 1]
    last.release()
    assert told == [0, 1, 2]
    assert budget.used == 80


def test_of_two_halves_that_wait_for_each_other_the_later_one_is_refused() -> None:
    budget = ByteBudget(100)
    first, second = budget.share(), budget.share()
    told: list[tuple[str, bool]] = []
    first.take(60)
    second.take(30)
    assert first.wait(30, lambda is_granted: told.append(("first", is_granted)))
    assert told == []
    assert second.wait(30, lambda is_granted: told.append(("second", is_granted)))
    assert told == [("second", False)]
    second.release()
    assert told == [("second", False), ("first", True)]
    assert (first.held, budget.used, budget.waiting) == (90, 90, 0)


def test_halves_that_are_left_alone_are_told_when_the_last_other_one_goes() -> None:
    budget = ByteBudget(100)
    other, first, second = (budget.share() for _ in range(3))
    told: list[tuple[str, bool]] = []
    other.take(10)
    first.take(50)
    second.take(40)
    first.wait(30, lambda is_granted: told.append(("first", is_granted)))
    second.wait(30, lambda is_granted: told.append(("second", is_granted)))
    assert told == []
    other.release()
    assert told == [("second", False)]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["take", "release"]), st.integers(1, 60)),
        max_size=80,
    )
)
def test_whoever_waits_waits_for_somebody_who_does_not(steps: list[tuple[int, str, int]]) -> None:
    budget = ByteBudget(100)
    shares = [budget.share() for _ in range(6)]
    waiting: set[int] = set()
    refused: list[int] = []

    def settled(number: int, is_granted: bool) -> None:
        waiting.discard(number)
        if not is_granted:
            refused.append(number)

    for number, step, length in steps:
        if step == "release":
            waiting.discard(number)
            shares[number].release()
            shares[number] = budget.share()
        elif number not in waiting and not shares[number].take(length):
            waiting.add(number)
            if not shares[number].wait(length, partial(settled, number)):
                waiting.discard(number)
        while refused:
            holder = refused.pop()
            shares[holder].release()
            shares[holder] = budget.share()
        assert budget.used == sum(share.held for share in shares) <= 100
        assert budget.waiting == len(waiting)
        holders = {number for number in range(6) if shares[number].held}
        assert not waiting or holders - waiting


def test_who_waits_no_more_is_not_told_and_lets_the_next_one_through() -> None:
    budget = ByteBudget(100)
    holder, first, second = (budget.share() for _ in range(3))
    told: list[str] = []
    holder.take(50)
    assert first.wait(100, lambda _: told.append("first"))
    assert second.wait(50, lambda _: told.append("second"))
    assert told == []
    first.release()
    assert told == ["second"]


def test_who_can_never_have_it_does_not_wait() -> None:
    share = ByteBudget(100).share()
    assert not share.wait(101, pytest.fail)
    assert share.take(60)
    assert not share.wait(41, pytest.fail)


def test_what_nobody_refers_to_is_given_back() -> None:
    budget = ByteBudget(100)
    told: list[str] = []
    share, other = budget.share(), budget.share()
    share.take(100)
    other.wait(100, lambda _: told.append("room"))
    del share
    assert told == ["room"]


def test_many_threads_take_and_release_to_the_byte() -> None:
    budget = ByteBudget(50)
    most: list[int] = []

    def work(number: int) -> None:
        for step in range(300):
            share = budget.share()
            length = (number * step) % 20 + 1
            if not share.take(length):
                granted = threading.Event()
                assert share.wait(length, lambda _, granted=granted: granted.set())
                assert granted.wait(LIMIT)
            most.append(budget.used)
            share.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8 * 300
    assert max(most) <= 50
    assert (budget.used, budget.waiting) == (0, 0)
