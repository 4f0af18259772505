"""C-MOVE: instances sent to other application entities."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pykka
import pytest
from kit.endpoints import LIMIT, running
from kit.mover import (
    CONTEXTS,
    QUERY,
    Counts,
    Mover,
    destination,
    instance,
    uids,
)
from kit.peer import CT_IMAGE, EXPLICIT

from dicom_actors import (
    DataSet,
    DimseFailure,
    MoveTo,
    Status,
    connect,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nothing_left")

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
LOCAL = "127.0.0.1"


def test_instances_of_every_kind_arrive_at_the_destination(tmp_path: Path) -> None:
    write_file(tmp_path / "1.dcm", instance(1), transfer_syntax=EXPLICIT)
    write_file(tmp_path / "2.dcm", instance(2), transfer_syntax=EXPLICIT)
    asked = []
    with destination() as archive:

        def move(event: Any) -> MoveTo:
            asked.append((event.destination, event.level, event.dataset.StudyInstanceUID))
            items = [tmp_path / "1.dcm", (tmp_path / "2.dcm").read_bytes(), instance(3)]
            return MoveTo(LOCAL, archive.port, "ARCHIVE", items)

        with running({"cmove": move}, ae_title="MAIN") as endpoint, Mover(endpoint.port) as peer:
            peer.associate(called="MAIN", calling="ASKER", contexts=CONTEXTS)
            peer.ask(7)
            pending, answer = peer.rest()
        assert asked == [("ARCHIVE", "STUDY", "1.2")]
        assert pending == [Counts(0xFF00, 3 - n, n, 0, 0) for n in (1, 2, 3)]
        assert answer == (Counts(0, None, 3, 0, 0), "", [])
        assert archive.uids == uids(1, 2, 3)
        assert {event.association.id for event in archive.stored} == {1}
        for event in archive.stored:
            assert event.command.MoveOriginatorApplicationEntityTitle == "ASKER"
            assert event.command.MoveOriginatorMessageID == 7
            assert event.association.calling_ae_title == "MAIN"
            assert event.association.called_ae_title == "ARCHIVE"
        assert [event.dataset.PatientID for event in archive.stored] == ["1", "2", "3"]


@pytest.mark.parametrize("is_counted", [False, True])
def test_a_generator_is_asked_for_one_instance_at_a_time(is_counted: bool) -> None:
    steps: list[str] = []

    def instances() -> Iterator[DataSet]:
        for number in (1, 2, 3):
            steps.append(f"made {number}")
            yield instance(number)
        steps.append("closed")

    with destination(lambda event: steps.append(f"stored {event.dataset.PatientID}")) as archive:

        def move(event: Any) -> MoveTo:
            items: Any = (3, instances()) if is_counted else instances()
            return MoveTo(LOCAL, archive.port, "ARCHIVE", items)

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            pending, answer = peer.rest()
    assert [counts.remaining for counts in pending] == ([2, 1, 0] if is_counted else [None] * 3)
    assert answer.counts == (0, None, 3, 0, 0)
    made_and_stored = [f"{what} {n}" for n in (1, 2, 3) for what in ("made", "stored")]
    assert steps == [*made_and_stored, "closed"]


def test_a_generator_s_instances_are_not_kept() -> None:
    alive, most = [0], [0]

    class Counted(DataSet):
        __slots__ = ()

        def __del__(self) -> None:
            alive[0] -= 1

    def instances() -> Iterator[DataSet]:
        for number in range(500):
            made = Counted.from_keywords(
                SOPClassUID=CT_IMAGE, SOPInstanceUID=f"1.2.{number}", PatientComments="x" * 1000
            )
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield made

    with destination() as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", instances())
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            assert peer.answer().counts == (0, None, 500, 0, 0)
    assert most[0] <= 5


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (None, 0),
        ([], 0),
        (Status.MOVE_DESTINATION_UNKNOWN, 0xA801),
        (DataSet.from_keywords(Status=0xA702, ErrorComment="no room"), 0xA702),
        (5.0, 0x0110),
        ("text", 0x0110),
        ([1], 0x0110),
        ([MoveTo(LOCAL, 1, "A", [instance(1)]), None], 0x0110),
        (MoveTo(LOCAL, 1, "A", []), 0),
        (MoveTo(LOCAL, 1, "A", iter(())), 0),
    ],
)
def test_what_a_handler_may_return(result: Any, status: int) -> None:
    with running({"cmove": lambda event: result}) as endpoint:
        with Mover.at(endpoint.port) as peer:
            peer.ask()
            pending, answer = peer.rest()
            assert (pending, answer.counts.status) == ([], status)
            if not status:
                assert answer.counts == (0, None, 0, 0, 0)
            assert peer.echo(2) == 0


def test_a_failure_that_is_raised_is_the_answer() -> None:
    def move(event: Any) -> MoveTo:
        raise DimseFailure(Status.MOVE_DESTINATION_UNKNOWN, f"no {event.destination}")

    with running({"cmove": move}) as endpoint:
        with connect(LOCAL, endpoint.port) as association:
            with pytest.raises(DimseFailure, match="no NOWHERE") as failure:
                list(association.move(QUERY, "NOWHERE"))
        assert failure.value.status == 0xA801


def test_statuses_of_the_destination_are_counted() -> None:
    statuses = {"1": 0, "2": 0xB000, "3": 0xA700, "4": 0xB006, "5": 0xC000, "6": 0}
    with destination(lambda event: statuses[event.dataset.PatientID]) as archive:
        items = [instance(number) for number in range(1, 7)]
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", items)
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            pending, answer = peer.rest()
    assert pending[-1] == (0xFF00, 0, 2, 2, 2)
    assert answer == (Counts(0xB000, None, 2, 2, 2), "", uids(3, 5))


def test_what_cannot_be_sent_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")
    with destination() as archive:
        items = [
            instance(1),
            tmp_path / "text",
            tmp_path / "missing",
            instance(2, sop_class="1.2.3"),
            DataSet(),
            instance(4),
        ]
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", items)
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            answer = peer.answer()
        assert archive.uids == uids(1, 4)
    assert answer == (Counts(0xB000, None, 2, 4, 0), "", uids(2))


def test_a_list_needs_one_association_a_generator_one_for_each_kind() -> None:
    kinds = [CT_IMAGE, MR_IMAGE, CT_IMAGE]
    items = [instance(number, kind) for number, kind in enumerate(kinds)]
    results: dict[str, Callable[[], Any]] = {
        "LIST": lambda: items,
        "GENERATOR": lambda: (item for item in items),
    }
    with destination() as archive:

        def move(event: Any) -> MoveTo:
            return MoveTo(LOCAL, archive.port, "ARCHIVE", results[event.destination]())

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask(1, "LIST")
            assert peer.answer().counts == (0, None, 3, 0, 0)
            peer.ask(2, "GENERATOR")
            assert peer.answer().counts == (0, None, 3, 0, 0)
        assert [event.association.id for event in archive.stored] == [1, 1, 1, 2, 3, 3]
        proposed = archive.stored[0].association.presentation_contexts
        assert {abstract for _, abstract, _ in proposed} == {CT_IMAGE, MR_IMAGE}


def test_several_destinations_are_served_at_once() -> None:
    both = threading.Barrier(2, timeout=LIMIT)
    with (
        destination(lambda _: both.wait() * 0) as one,
        destination(lambda _: both.wait() * 0) as two,
    ):

        def move(event: Any) -> Iterator[MoveTo]:
            yield MoveTo(LOCAL, one.port, "ONE", [instance(1), instance(2)])
            yield MoveTo(LOCAL, two.port, "TWO", (instance(n) for n in (1, 2)), calling="OTHER")

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            pending, answer = peer.rest()
        assert [counts.completed for counts in pending] == [1, 2, 3, 4]
        assert answer.counts == (0, None, 4, 0, 0)
        assert one.uids == two.uids == uids(1, 2)
        assert {event.association.calling_ae_title for event in one.stored} == {"TEST"}
        assert {event.association.calling_ae_title for event in two.stored} == {"OTHER"}


class Chooser(pykka.ThreadingActor):
    """A host application's actor that knows where instances go."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def on_receive(self, message: Any) -> MoveTo:
        return MoveTo(LOCAL, self._port, message.destination, [instance(1)])


def test_an_actor_may_be_the_handler() -> None:
    with destination() as archive:
        chooser = Chooser.start(archive.port)
        try:
            with running({"cmove": chooser}) as endpoint, Mover.at(endpoint.port) as peer:
                peer.ask()
                assert peer.answer().counts == (0, None, 1, 0, 0)
        finally:
            chooser.stop()


def test_coroutines_and_async_iterables_will_do() -> None:
    closed = threading.Event()

    async def instances() -> AsyncIterator[DataSet]:
        try:
            for number in (1, 2):
                yield instance(number)
        finally:
            closed.set()

    with destination() as archive:

        async def move(event: Any) -> AsyncIterator[MoveTo]:
            yield MoveTo(LOCAL, archive.port, "ONE", instances())
            yield MoveTo(LOCAL, archive.port, "TWO", (2, instances()))

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            assert peer.answer().counts == (0, None, 4, 0, 0)
        assert sorted(archive.uids) == uids(1, 1, 2, 2)
    assert closed.wait(LIMIT)
