"""A number of bytes that several share."""

from __future__ import annotations

import threading

import pytest

from dicom_actors.actors.storing.budget import ByteBudget


def test_no_more_is_taken_than_there_is() -> None:
    budget = ByteBudget(100)
    first, second = budget.share(), budget.share()
    assert first.take(60)
    assert not second.take(41)
    assert second.take(40)
    first.give_back(10)
    assert (budget.used, first.held, second.held) == (90, 50, 40)
    first.release()
    first.release()
    assert (budget.used, first.held) == (40, 0)
    assert not first.take(1)


def test_without_a_limit_there_is_always_room() -> None:
    share = ByteBudget(None).share()
    assert all(share.take(1 << 50) for _ in range(3))


def test_nobody_gives_back_what_he_has_not() -> None:
    budget = ByteBudget(100)
    share, other = budget.share(), budget.share()
    other.take(10)
    share.take(5)
    with pytest.raises(ValueError, match="at most 5 bytes back, got 6"):
        share.give_back(6)
    assert budget.used == 15


def test_room_goes_to_those_who_wait_in_their_order() -> None:
    budget = ByteBudget(100)
    holder, *others = (budget.share() for _ in range(4))
    told: list[int] = []
    holder.take(100)
    for number, length in enumerate((60, 30, 50)):
        assert others[number].wait(length, lambda number=number: told.append(number))
    assert not budget.share().take(0)  # whoever does not wait does not come first
    holder.give_back(50)
    assert told == []
    holder.give_back(20)
    assert told == [0]
    assert others[0].held == 60
    others[0].release()
    assert told == [0, 1]
    holder.release()
    assert told == [0, 1, 2]
    assert budget.used == 80


def test_who_waits_no_more_is_not_told_and_lets_the_next_one_through() -> None:
    budget = ByteBudget(100)
    holder, first, second = (budget.share() for _ in range(3))
    told: list[str] = []
    holder.take(50)
    assert first.wait(100, lambda: told.append("first"))
    assert second.wait(50, lambda: told.append("second"))
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
    other.wait(100, lambda: told.append("room"))
    del share
    assert told == ["room"]


def test_many_threads_take_and_give_back_to_the_byte() -> None:
    budget = ByteBudget(50)
    most: list[int] = []

    def work(number: int) -> None:
        for step in range(300):
            share = budget.share()
            length = (number * step) % 20 + 1
            if not share.take(length):
                granted = threading.Event()
                assert share.wait(length, granted.set)
                assert granted.wait(10)
            most.append(budget.used)
            share.give_back(length // 2)
            share.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8 * 300
    assert max(most) <= 50
    assert (budget.used, budget.waiting) == (0, 0)
