"""C-GET: instances sent on the association that asked for them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.getter import QUERY, Getter, counts, instance
from kit.peer import CT_IMAGE, EXPLICIT, Peer, echo_pdus

from dicom_actors import DataSet, DimseFailure, Status, connect, events, messages, write_file
from dicom_actors.dimse import CommandField
from dicom_actors.pdu import Abort
from dicom_actors.testing import crash_at

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

RLE = "1.2.840.10008.1.2.5"


def test_instances_come_one_by_one_with_the_counts_after_each() -> None:
    with running({"cget": lambda event: [instance(n) for n in range(3)]}) as endpoint:
        with Getter.at(endpoint.port) as peer:
            peer.ask()
            assert counts(peer.store_and_hear()) == (2, 1, 0, 0)
            assert counts(peer.store_and_hear(0xB000)) == (1, 1, 0, 1)
            assert counts(peer.store_and_hear(0xA700)) == (0, 1, 1, 1)
            command, failed = peer.final()
            assert (command.status, counts(command)) == (0xB000, (None, 1, 1, 1))
            assert failed is not None
            assert failed.FailedSOPInstanceUIDList == "1.2.2"
            peer.ask(2)
            for _ in range(3):
                peer.store_and_hear()
            command, failed = peer.final()
            assert (command.status, counts(command), failed) == (0, (None, 3, 0, 0), None)
            peer.expect_released()


def test_all_failed_is_a_failure() -> None:
    with running({"cget": lambda event: [instance(1), instance(2)]}) as endpoint:
        with Getter.at(endpoint.port) as peer:
            peer.ask()
            peer.store_and_hear(0xC000)
            peer.store_and_hear(0xC000)
            command, failed = peer.final()
            assert (command.status, counts(command)) == (0xA702, (None, 0, 2, 0))
            assert failed is not None
            assert failed.FailedSOPInstanceUIDList == ["1.2.1", "1.2.2"]


def test_the_user_side_gets_files_data_sets_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "3.dcm"
    write_file(path, instance(3))
    sources = [instance(1), path, str(path), path.read_bytes(), instance(4)]
    progress: list[Any] = []

    def get(event: Any) -> Iterator[Any]:
        assert event.level == "STUDY"
        assert event.dataset.StudyInstanceUID == "1.2"
        yield from sources

    with running({"cget": get}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            operation = association.get(QUERY, sop_classes=[CT_IMAGE])
            got = [ds.PatientID for ds in operation]
            progress.append(operation.progress)
        assert got == ["1", "3", "3", "3", "4"]
        assert progress[0] is not None
        assert progress[0][:4] == (None, 5, 0, 0)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda: [instance(1), instance(2)], 1),
        (lambda: (7, iter([instance(1)])), 6),
        (lambda: (n for n in [instance(1)]), None),
        (lambda: iter([instance(1), instance(2), instance(3)]), 2),
    ],
)
def test_the_remaining_are_told_where_their_number_is_known(result: Any, expected: Any) -> None:
    with running({"cget": lambda event: result()}) as endpoint, Getter.at(endpoint.port) as peer:
        peer.ask()
        assert counts(peer.store_and_hear())[0] == expected


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (None, 0),
        ([], 0),
        (Status.OUT_OF_RESOURCES, 0xA700),
        (DataSet.from_keywords(Status=0xA900), 0xA900),
        ("text", 0x0110),
        (5.0, 0x0110),
        ([5.0], 0x0110),
    ],
)
def test_what_a_handler_may_return(result: Any, status: int) -> None:
    with running({"cget": lambda event: result}) as endpoint, Getter.at(endpoint.port) as peer:
        peer.ask()
        assert peer.final()[0].status == status
        assert peer.echo(2) == 0


def test_what_cannot_be_sent_is_counted_as_failed(tmp_path: Path) -> None:
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM")
    compressed = instance(5)
    path = tmp_path / "compressed.dcm"
    write_file(path, compressed)
    data = path.read_bytes().replace(EXPLICIT.encode(), RLE.encode())
    sources: list[Any] = [
        text,
        tmp_path / "missing.dcm",
        data,  # says that it is compressed, which the peer does not take
        DataSet.from_keywords(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", SOPInstanceUID="1.2.6"),
        instance(7),
    ]
    with running({"cget": lambda event: sources}) as endpoint, Getter.at(endpoint.port) as peer:
        peer.ask()
        for failures in range(1, 5):
            pending, _ = peer.next_message()
            assert counts(pending) == (5 - failures, 0, failures, 0)
        assert counts(peer.store_and_hear()) == (0, 1, 4, 0)
        command, failed = peer.final()
        assert command.status == 0xB000
        assert failed is not None
        assert failed.FailedSOPInstanceUIDList == ["1.2.5", "1.2.6"]


def test_nothing_is_sent_to_a_peer_that_takes_no_instances() -> None:
    with running({"cget": lambda event: [instance(1)], "cstore": lambda event: None}) as endpoint:
        with Getter.at(endpoint.port, roles=()) as peer:
            peer.ask()
            pending, _ = peer.next_message()
            assert counts(pending) == (0, 0, 1, 0)
            assert peer.final()[0].status == 0xA702


def test_a_failure_in_the_middle_has_the_counts() -> None:
    def get(event: Any) -> Iterator[DataSet]:
        yield instance(1)
        raise DimseFailure(Status.OUT_OF_RESOURCES, "no more")

    def crash(event: Any) -> Iterator[DataSet]:
        yield instance(1)
        raise RuntimeError("a bug")

    for handler, status in ((get, 0xA700), (crash, 0x0110)):
        with running({"cget": handler}) as endpoint, Getter.at(endpoint.port) as peer:
            peer.ask()
            peer.store_and_hear()
            command, _ = peer.final()
            assert (command.status, counts(command)) == (status, (None, 1, 0, 0))


def test_a_cancel_ends_it_after_the_instance_that_is_on_its_way() -> None:
    closed = threading.Event()

    def get(event: Any) -> Any:
        def instances() -> Iterator[DataSet]:
            try:
                for number in range(1000):
                    yield instance(number)
            finally:
                closed.set()

        return 1000, instances()

    with running({"cget": get}) as endpoint, Getter.at(endpoint.port) as peer:
        peer.ask()
        peer.store_and_hear()
        store = peer.next_store()
        peer.cancel(99)  # nobody's
        peer.cancel()
        peer.answer(store)
        command, _ = peer.next_message()
        if command.status == Status.PENDING:
            assert counts(command) == (998, 2, 0, 0)
            command, _ = peer.final()
        assert (command.status, counts(command)) == (0xFE00, (998, 2, 0, 0))
        assert closed.wait(LIMIT)
        assert peer.echo(2) == 0


@pytest.mark.parametrize("end", ["reset", "abort", "host"])
def test_the_end_of_the_association_closes_the_generator(end: str) -> None:
    closed = threading.Event()

    def get(event: Any) -> Iterator[DataSet]:
        try:
            for number in range(1000):
                yield instance(number)
        finally:
            closed.set()

    with running({"cget": get}) as endpoint, Getter.at(endpoint.port) as peer:
        peer.ask()
        peer.next_store()
        if end == "reset":
            peer.reset()
        elif end == "abort":
            peer.send(Abort(0, 0))
        else:
            (association,) = endpoint.associations()
            endpoint.ref.ask(messages.AbortAssociation(association.id))
        assert closed.wait(LIMIT)
        if end != "reset":
            peer.close()
        endpoint.wait_for(events.AssociationClosed)


def test_a_peer_that_does_not_answer_is_waited_for_only_so_long() -> None:
    with running(
        {"cget": lambda event: [instance(1), instance(2)]}, dimse_timeout=0.2, handler_grace=5.0
    ) as endpoint:
        with Getter.at(endpoint.port) as peer:
            peer.ask()
            store = peer.next_store()
            command, _ = peer.final()
            assert (command.status, counts(command)) == (0xA702, (None, 0, 1, 0))
            peer.answer(store)  # too late, and nobody minds
            assert peer.echo(2) == 0


def test_a_response_to_nothing_is_an_error() -> None:
    with running({"cget": lambda event: [instance(1)]}) as endpoint:
        with Getter.at(endpoint.port) as peer:
            peer.ask()
            store = peer.next_store()
            peer.answer(store)
            peer.next_message()
            peer.final()
            peer.answer(store)
            peer.expect_abort(2, 2)


def test_the_same_response_twice_is_an_error() -> None:
    with running({"cget": lambda event: [instance(1), instance(2)]}) as endpoint:
        with Getter.at(endpoint.port) as peer:
            peer.ask()
            store = peer.next_store()
            crash_at(endpoint.ref, "listener.accept", times=0)  # arms nothing, has a round trip
            peer.answer(store)
            peer.answer(store)
            pdus = []
            while not isinstance(pdu := peer.receive(), Abort | None):
                pdus.append(pdu)
            assert pdu == Abort(2, 2)


@pytest.mark.parametrize("point", ["association.command", "association.core"])
def test_a_crash_of_the_association_loses_no_instance(point: str) -> None:
    with running({"cget": lambda event: [instance(n) for n in range(4)]}) as endpoint:
        with Getter.at(endpoint.port) as peer:
            peer.ask()
            peer.store_and_hear()
            store = peer.next_store()
            if point == "association.core":
                crash_at(endpoint.ref, point)
                peer.answer(store)
                # Within the core nothing is known for sure any more.
                pdus = []
                while not isinstance(pdu := peer.receive(), Abort | None):
                    pdus.append(pdu)
                assert isinstance(pdu, Abort)
                return
            crash_at(endpoint.ref, point)
            peer.send(*echo_pdus(2))
            endpoint.wait_for(events.ActorRestarted)
            peer.answer(store)
            pending, _ = peer.next_message()
            assert counts(pending) == (2, 2, 0, 0)
            peer.store_and_hear()
            peer.store_and_hear()
            command, _ = peer.final()
            assert (command.status, counts(command)) == (0, (None, 4, 0, 0))
            assert peer.next_message()[0].command_field == 0x8030  # the echo that was asked before


def test_a_large_instance_goes_to_a_peer_that_reads_slowly() -> None:
    gate = Gate()
    large = instance(1, PixelData=bytes(20_000_000))

    def get(event: Any) -> Iterator[DataSet]:
        yield large
        gate()

    with running({"cget": get}) as endpoint, Getter.at(endpoint.port) as peer:
        with Peer.associated(endpoint.port, calling="OTHER") as other:
            peer.ask()
            assert other.echo() == 0
            command, data_set = peer.next_message()
            assert data_set is not None
            assert data_set.PixelData == large.PixelData
            peer.answer(command)
            gate.wait_until_entered()
            gate.release()
            peer.next_message()
            assert peer.final()[0].status == 0


def test_two_at_once_do_not_mix() -> None:
    both = threading.Barrier(2)

    def get(event: Any) -> Iterator[DataSet]:
        both.wait(LIMIT)
        for number in range(20):
            yield instance(event.message_id * 100 + number, PixelData=bytes(100_000))

    with running({"cget": get}, async_window=2) as endpoint:
        with Getter.at(endpoint.port, window=2) as peer:
            peer.ask(1)
            peer.ask(2)
            stored: list[str] = []
            finals = 0
            while finals < 2:
                command, data_set = peer.next_message()
                if command.command_field == CommandField.C_STORE_RQ:
                    assert data_set is not None
                    assert data_set.SOPInstanceUID == command.sop_instance_uid
                    stored.append(command.sop_instance_uid)
                    peer.answer(command)
                elif command.status != Status.PENDING:
                    assert counts(command) == (None, 20, 0, 0)
                    finals += 1
            assert sorted(stored) == sorted(
                f"1.2.{first + number}" for first in (100, 200) for number in range(20)
            )
