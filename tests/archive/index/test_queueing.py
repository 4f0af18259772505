"""The queue of what is to be sent on: written with instances, left in order, counted."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from kit.archive_objects import make_file, uid_of

from dicom_actors import read_file
from dicom_actors.archive.index import (
    CommitmentAsked,
    CommitmentReported,
    Deleted,
    Delivered,
    Duplicates,
    Index,
    LateRouted,
    Level,
    NewInstance,
    QueueCommand,
    Queued,
    Refused,
    Result,
    StudyTold,
    describe,
)

PACS = Queued("all", "pacs")


@pytest.fixture
def index(new_index):
    opened = Index.open(new_index(), durability="os")
    yield opened
    opened.close()


def new(number: int, study: int = 1, series: int = 1, *queued: Queued, **more) -> NewInstance:
    data = make_file(number, study=study, series=series, fill=more.pop("fill", 0))
    return NewInstance(
        describe(read_file(data)),
        "1.2.840.10008.1.2.1",
        f"place/{study}/{number}",
        len(data),
        sha256(data).digest(),
        received=100.0 + number,
        queued=queued,
        **more,
    )


def head(index: Index, destination: str = "pacs", now: float = 0.0, limit: int = 100):
    with index.reader() as reader:
        found = reader.queue.number_of(destination)
        return [] if found is None else reader.queue.head(found[0], now, limit)


def uids(items):
    return [item.sop_instance_uid for item in items]


def status(index: Index, destination: str = "pacs"):
    with index.reader() as reader:
        return next(one for one in reader.queue.statuses() if one.destination == destination)


def test_an_instance_is_queued_with_its_row_and_once(index):
    (outcome,) = index.write([new(1, 1, 1, PACS)])
    (again,) = index.write([new(1, 1, 1, PACS)])

    assert outcome.queued == ("pacs",)
    assert again.queued == ()
    (item,) = head(index)
    assert item[1:6] == ("1.2.1", "1.2.1.1", uid_of(1), "all", 0)
    assert item.since == 101.0
    assert status(index)[1:7] == (False, 1, 0, 0, 0, 101.0)


def test_what_cannot_be_written_is_not_queued(index):
    with pytest.raises(AttributeError):
        index.write([new(1, 1, 1, PACS), None])

    assert head(index) == []


def test_other_bytes_in_place_of_an_instance_are_sent_on_as_well(index):
    index.write([new(1, 1, 1, PACS)])
    index.write([Delivered(head(index)[0].id)])
    (kept,) = index.write([new(1, 1, 1, PACS, fill=1)])
    (replaced,) = index.write([new(1, 1, 1, PACS, fill=1, duplicates=Duplicates.REPLACE)])

    assert (kept.queued, replaced.queued) == ((), ("pacs",))
    assert uids(head(index)) == [uid_of(1)]


def test_a_study_waits_behind_its_first_row_and_others_go_on(index):
    index.write([new(number, study, 1, PACS) for number in (1, 2) for study in (1, 2)])
    first = head(index)[0]
    index.write([Refused(first.id, "no room", 50.0)])

    assert [item.study_instance_uid for item in head(index, now=49.0)] == ["1.2.2"] * 2
    assert uids(head(index, now=50.0))[0] == first.sop_instance_uid
    assert head(index, now=50.0)[0].attempts == 1
    assert status(index).last_error == "no room"
    with index.reader() as reader:
        assert reader.queue.next_due(1) == 50.0


def test_what_is_set_aside_lets_its_study_go_on_until_it_is_wanted(index):
    index.write([new(number, 1, 1, PACS) for number in (1, 2)])
    index.write([Refused(head(index)[0].id, "poison", None)])

    assert uids(head(index)) == [uid_of(2)]
    assert status(index)[2:5] == (1, 0, 1)
    with index.reader() as reader:
        assert [item.error for item in reader.queue.set_aside("pacs")] == ["poison"]
    (outcome,) = index.write([QueueCommand("retry", "pacs")])
    assert (outcome.rows, outcome.queued) == (1, ("pacs",))
    assert uids(head(index)) == [uid_of(1), uid_of(2)]
    assert [item.attempts for item in head(index)] == [0, 0]


def test_what_is_dropped_is_gone(index):
    index.write([new(number, 1, 1, PACS) for number in (1, 2)])
    index.write([Refused(head(index)[0].id, "poison", None)])
    (outcome,) = index.write([QueueCommand("drop")])

    assert outcome.rows == 1
    assert status(index)[2:5] == (1, 0, 0)
    (missing,) = index.write([QueueCommand("drop", "nobody")])
    assert missing.result is Result.MISSING


def test_higher_priorities_go_first_but_never_within_a_study(index):
    urgent = PACS._replace(priority=5)
    index.write([new(1, 1, 1, PACS), new(1, 2, 1, PACS), new(2, 2, 1, urgent)])

    assert uids(head(index)) == [uid_of(1, 2), uid_of(2, 2), uid_of(1, 1)]


def test_a_study_is_queued_when_it_is_complete_and_what_comes_later_when_it_is_so_again(index):
    whole = Queued("report", "program", Level.STUDY, is_whole=True)
    each = Queued("copies", "pacs", Level.STUDY)
    # That one instance is meant is enough for all of its study.
    index.write([new(1), new(2, 1, 1, whole, each), new(3, 1, 2)])
    assert head(index) == head(index, "program") == []

    (told,) = index.write([StudyTold("1.2.1", 1, "quiet")])
    assert set(told.queued) == {"pacs", "program"}
    assert uids(head(index)) == [uid_of(1), uid_of(2), uid_of(3, 1, 2)]
    assert [item[1:5] for item in head(index, "program")] == [("1.2.1", "", "", "report")]

    for item in head(index):
        index.write([Delivered(item.id)])
    index.write([new(4), new(1, 2)])
    index.write([StudyTold("1.2.1", 2, "quiet")])
    assert uids(head(index)) == [uid_of(4)]
    assert len(head(index, "program")) == 2


def test_the_newest_instance_of_a_complete_study_is_replaced(index):
    each = Queued("copies", "pacs", Level.SERIES)
    index.write([new(1), new(2, 1, 1, each)])
    index.write([StudyTold("1.2.1", 1, "quiet")])
    for item in head(index):
        index.write([Delivered(item.id)])
    index.write([new(2, 1, 1, each, fill=1, duplicates=Duplicates.REPLACE)])
    index.write([StudyTold("1.2.1", 2, "quiet")])

    assert uids(head(index)) == [uid_of(2)]


def test_a_deleted_study_leaves_no_mark(index):
    each = Queued("copies", "pacs", Level.STUDY)
    index.write([new(1, 1, 1, each), Deleted(uid_of(1)), new(1)])
    index.write([StudyTold("1.2.1", 1, "quiet")])

    assert head(index) == []


def test_what_a_crash_left_is_queued_when_it_comes_again(index):
    (left,) = index.write([new(1)._replace(is_adopted=True)])
    (again,) = index.write([new(1, 1, 1, PACS)])
    (third,) = index.write([new(1, 1, 1, PACS)])

    assert (left.queued, again.queued, third.queued) == ((), ("pacs",), ())
    assert uids(head(index)) == [uid_of(1)]

    index.write([new(2)._replace(is_adopted=True)])
    late = LateRouted("1.2.1", "1.2.1.1", uid_of(2), (PACS,), 5.0)
    with index.reader() as reader:
        assert reader.queue.is_unrouted(uid_of(2))
    assert index.write([late])[0].queued == ("pacs",)
    assert index.write([late])[0].result is Result.MISSING
    assert uids(head(index)) == [uid_of(1), uid_of(2)]


def test_commitment_is_awaited_and_what_is_not_kept_is_sent_again(index):
    index.write([new(number, 1, 1, PACS) for number in (1, 2, 3)])
    rows = tuple((item.id, item.sop_instance_uid) for item in head(index))
    index.write([CommitmentAsked(rows, "1.9", 500.0)])
    assert head(index) == []
    assert status(index)[2:5] == (0, 3, 0)
    with index.reader() as reader:
        assert reader.queue.next_due(1) == 500.0
        assert reader.queue.uncommitted(1, 499.0, 9) == []
        assert len(reader.queue.uncommitted(1, 500.0, 9)) == 3

    report = CommitmentReported(
        "1.9", frozenset({uid_of(1)}), ((uid_of(2), "no such instance"),), due=600.0
    )
    (outcome,) = index.write([report])
    assert outcome.queued == ("pacs",)
    assert status(index)[2:6] == (1, 1, 0, 1)
    assert head(index, now=599.0) == []
    assert uids(head(index, now=600.0)) == [uid_of(2)]
    assert index.write([report._replace(transaction_uid="1.8")])[0].result is Result.MISSING


def test_pausing_is_remembered(tmp_path):
    opened = Index.open(tmp_path / "index.sqlite")
    opened.write([new(1, 1, 1, PACS), QueueCommand("pause", "pacs")])
    opened.close()

    opened = Index.open(tmp_path / "index.sqlite")
    assert status(opened).is_paused
    opened.write([QueueCommand("resume")])
    assert not status(opened).is_paused
    opened.close()


@pytest.mark.parametrize("seed", range(8))
def test_random_work_against_a_model(index, seed):
    """Studies keep their order, counters are right, nothing is lost."""
    chance = random.Random(seed)
    model: dict[str, list[str]] = {}
    aside: set[str] = set()
    done, now, number = 0, 0.0, 0
    for _ in range(150):
        action = chance.random()
        if action < 0.4:
            study = chance.randrange(1, 5)
            batch = []
            for _ in range(chance.randrange(1, 4)):
                number += 1
                queued = PACS._replace(priority=chance.randrange(3))
                batch.append(new(number, study, 1, queued))
                model.setdefault(f"1.2.{study}", []).append(uid_of(number, study))
            index.write(batch)
        elif action < 0.95:
            now += chance.random()
            items = head(index, now=now, limit=chance.choice((1, 2, 10)))
            for item in items:
                study = item.study_instance_uid
                if model[study][0] != item.sop_instance_uid:
                    raise AssertionError("overtaken")
                fate = chance.random()
                if fate < 0.6:
                    index.write([Delivered(item.id)])
                    model[study].pop(0)
                    done += 1
                elif fate < 0.8:
                    index.write([Refused(item.id, "x", None)])
                    aside.add(model[study].pop(0))
                else:
                    index.write([Refused(item.id, "x", now + chance.random())])
                    break
        elif not aside:
            continue
        else:
            index.write([QueueCommand("drop")])
            aside.clear()
        if model and head(index):
            found = status(index)
            assert found.waiting == sum(map(len, model.values()))
            assert (found.set_aside, found.delivered) == (len(aside), done)
    while items := head(index, now=now + 10):
        for item in items:
            assert model[item.study_instance_uid].pop(0) == item.sop_instance_uid
            index.write([Delivered(item.id)])
    assert not any(model.values())
    assert status(index).waiting == 0
