"""The counts of sub-operations (PS3.4 C.4.2.1, C.4.3.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.dimse import CommandElement, Status, StatusCategory, Tally, category_of

REMAINING, COMPLETED, FAILED, WARNING = (
    CommandElement.NUMBER_OF_REMAINING_SUBOPERATIONS,
    CommandElement.NUMBER_OF_COMPLETED_SUBOPERATIONS,
    CommandElement.NUMBER_OF_FAILED_SUBOPERATIONS,
    CommandElement.NUMBER_OF_WARNING_SUBOPERATIONS,
)
UNABLE, WITH_FAILURES = 0xA702, 0xB000


def test_nothing_to_do_is_success() -> None:
    tally = Tally(0)
    assert tally.status == Status.SUCCESS
    assert tally.remaining == 0
    assert tally.elements(remaining=True) == {REMAINING: 0, COMPLETED: 0, FAILED: 0, WARNING: 0}


def test_the_remaining_are_told_only_where_they_are_known_and_wanted() -> None:
    known, unknown = Tally(3), Tally(None)
    for tally in (known, unknown):
        tally.add(0, "1.2.1")
    assert (known.remaining, unknown.remaining) == (2, None)
    assert known.elements(remaining=True)[REMAINING] == 2
    assert REMAINING not in known.elements(remaining=False)
    assert REMAINING not in unknown.elements(remaining=True)


def test_more_than_was_announced_leaves_none() -> None:
    tally = Tally(1)
    for number in range(3):
        tally.add(0, f"1.2.{number}")
    assert tally.remaining == 0
    assert tally.elements(remaining=False)[COMPLETED] == 3


@pytest.mark.parametrize(
    ("statuses", "status", "counts"),
    [
        ([0, 0], Status.SUCCESS, (2, 0, 0)),
        ([0, 0xB000], WITH_FAILURES, (1, 0, 1)),
        ([0xB007], WITH_FAILURES, (0, 0, 1)),
        ([0x0107, 0x0116], WITH_FAILURES, (0, 0, 2)),
        ([0, 0xA700], WITH_FAILURES, (1, 1, 0)),
        ([0xB000, 0xA700], WITH_FAILURES, (0, 1, 1)),
        ([0xA700], UNABLE, (0, 1, 0)),
        ([None, 0xC123, 0x0122], UNABLE, (0, 3, 0)),
        # What a C-STORE is never answered with is no success.
        ([0xFF00], UNABLE, (0, 1, 0)),
        ([0xFE00, 0x1234], UNABLE, (0, 2, 0)),
    ],
)
def test_what_the_answers_come_to(
    statuses: list[int | None], status: int, counts: tuple[int, int, int]
) -> None:
    tally = Tally(None)
    for number, one in enumerate(statuses):
        tally.add(one, f"1.2.{number}")
    assert tally.status == status
    elements = tally.elements(remaining=False)
    assert (elements[COMPLETED], elements[FAILED], elements[WARNING]) == counts


def test_the_failed_are_named_as_far_as_they_are_known() -> None:
    tally = Tally(None)
    tally.add(0xA700, "1.2.1")
    tally.add(0, "1.2.2")
    tally.add(None, "")
    tally.add(None, "1.2.4")
    tally.add(0xB000, "1.2.5")
    assert tally.failed_sop_instance_uids == ["1.2.1", "1.2.4"]
    assert tally.elements(remaining=False)[FAILED] == 3


def test_counts_end_where_their_value_representation_does() -> None:
    tally = Tally(200_000)
    for _ in range(70_000):
        tally.add(0, "1.2")
    assert tally.remaining == 130_000
    elements = tally.elements(remaining=True)
    assert (elements[REMAINING], elements[COMPLETED]) == (0xFFFF, 0xFFFF)


@given(st.lists(st.one_of(st.none(), st.integers(0, 0xFFFF))), st.integers(0, 50))
def test_every_sub_operation_counts_once(statuses: list[int | None], more: int) -> None:
    tally = Tally(len(statuses) + more)
    for status in statuses:
        tally.add(status, "1.2")
    elements = tally.elements(remaining=True)
    assert sum(map(int, elements.values())) == len(statuses) + more
    assert elements[FAILED] == len(tally.failed_sop_instance_uids)
    assert tally.remaining == more
    good = {StatusCategory.SUCCESS, StatusCategory.WARNING}
    if any(status is not None and category_of(status) in good for status in statuses):
        assert tally.status != UNABLE
    assert (tally.status == Status.SUCCESS) == (elements[COMPLETED] == len(statuses))
