"""C-FIND: matches pulled one by one from a handler's iterable."""

from __future__ import annotations

import queue
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, Running, running
from kit.finder import CONTEXTS, QUERY, Counter, Finder, cancel_pdus, find_pdus, studies
from kit.gate import Gate
from kit.peer import IMPLICIT, Peer, associate_rq, echo_pdus
from kit.waiting import until

from dicom_actors import DataSet, DimseFailure, Status, connect, events, messages
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.pdu import AssociateAc, PDataTf
from dicom_actors.testing import crash_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

COUNT = 2_000


def record_of(endpoint: Running, number: int) -> Any:
    """The connection record of an association."""
    return endpoint.ref.ask(GetKernel(), timeout=LIMIT).connection(number)


def test_a_generator_streams_its_matches() -> None:
    def find(event: Any) -> Iterator[DataSet]:
        assert event.level == "STUDY"
        assert event.dataset.PatientName == "*"
        yield from studies(3)
        yield Status.PENDING_WITH_WARNING, DataSet.from_keywords(StudyInstanceUID="1.9")  # type: ignore[misc]

    with running({"cfind": find}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            found = list(association.find(QUERY))
        assert [ds.StudyInstanceUID for ds in found] == ["1.2.0", "1.2.1", "1.2.2", "1.9"]
        assert found[0].PatientName == "Valim^José"
        with Finder.at(endpoint.port) as peer:
            peer.send(*find_pdus(1))
            statuses = [peer.next_response()[0] for _ in range(5)]
            assert statuses == [0xFF00, 0xFF00, 0xFF00, 0xFF01, 0x0000]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (None, 0),
        ([], 0),
        (Status.OUT_OF_RESOURCES, 0xA700),
        (DataSet.from_keywords(Status=0xA900), 0xA900),
        ("text", 0x0110),
        (5.0, 0x0110),
        ([1], 0x0110),
        ([(0xA700, DataSet())], 0x0110),
        ([DataSet.from_keywords(PatientName="x"), None], 0x0110),
    ],
)
def test_what_a_handler_may_return(result: Any, status: int) -> None:
    with running({"cfind": lambda event: result}) as endpoint:
        with Finder.at(endpoint.port) as peer:
            peer.send(*find_pdus(1))
            assert peer.rest()[1] == status
            assert peer.echo(2) == 0


def test_a_failure_in_the_middle_is_the_final_status() -> None:
    def find(event: Any) -> Iterator[DataSet]:
        yield from studies(2)
        raise DimseFailure(Status.OUT_OF_RESOURCES, "too many")

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        matches, status = peer.rest()
        assert (len(matches), status) == (2, 0xA700)


def test_a_match_that_is_among_its_own_items_is_a_failure() -> None:
    def find(event: Any) -> Iterator[DataSet]:
        yield from studies(2)
        (match,) = studies(1)
        match.ReferencedStudySequence = [DataSet()]
        match.ReferencedStudySequence.append(match)
        yield match

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        matches, status = peer.rest()
        assert (len(matches), status) == (2, 0x0110)
        assert peer.echo(2) == 0


def test_a_cancel_stops_and_closes_the_generator() -> None:
    closed = threading.Event()

    def find(event: Any) -> Iterator[DataSet]:
        try:
            yield from studies(10**9)
        finally:
            closed.set()

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        for _ in range(10):
            assert peer.next_response()[0] == 0xFF00
        peer.send(*cancel_pdus(99))  # nobody's
        peer.send(*cancel_pdus(1))
        assert peer.rest()[1] == 0xFE00
        assert closed.wait(10)
        assert peer.echo(2) == 0


@pytest.mark.parametrize("end", ["reset", "abort"])
def test_the_end_of_the_association_closes_the_generator(end: str) -> None:
    closed = threading.Event()

    def find(event: Any) -> Iterator[DataSet]:
        try:
            yield from studies(10**9)
        finally:
            closed.set()

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        assert peer.next_response()[0] == 0xFF00
        if end == "reset":
            peer.reset()
        else:
            (association,) = endpoint.associations()
            endpoint.ref.ask(messages.AbortAssociation(association.id))
        assert closed.wait(10)
        endpoint.wait_for(events.AssociationClosed) if end == "reset" else peer.close()


def test_a_peer_that_does_not_read_holds_the_generator_back() -> None:
    pulled = [0]
    gate = Gate()

    def find(event: Any) -> Iterator[DataSet]:
        text = "x" * 10_000
        for number in range(COUNT):
            pulled[0] += 1
            if number == 10:
                gate()
            yield DataSet.from_keywords(StudyInstanceUID=f"1.{number}", StudyComments=text)

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        with Peer.associated(endpoint.port, calling="OTHER") as other:
            peer.send(*find_pdus(1))
            gate.wait_until_entered()
            gate.release()
            assert other.echo() == 0
            (info,) = (a for a in endpoint.associations() if a.calling_ae_title == "PEER")
            # The sockets hold a few MB at most, and the generator gets no further.
            while pulled[0] < COUNT and not record_of(endpoint, info.id).has_output:
                assert other.echo() == 0
            assert pulled[0] < COUNT
            matches, status = peer.rest()
            assert (len(matches), status, pulled[0]) == (COUNT, 0, COUNT)


def test_a_crash_of_the_association_loses_no_match() -> None:
    gate = Gate()

    def find(event: Any) -> Iterator[DataSet]:
        yield from studies(5)
        gate()
        yield from studies(5)

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        gate.wait_until_entered()
        crash_at(endpoint.ref, "association.command")
        peer.send(*echo_pdus(2))
        endpoint.wait_for(events.ActorRestarted)
        gate.release()
        matches, status = peer.rest()
        assert (len(matches), status) == (10, 0)


def test_a_cancel_in_the_middle_of_100_000_matches() -> None:
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()

    def find(event: Any) -> Iterator[DataSet]:
        match = DataSet.from_keywords(StudyInstanceUID="1.2.3")
        try:
            for _ in range(100_000):
                yield match
            ends.put("exhausted")
        except GeneratorExit:
            ends.put("closed")

    with running({"cfind": find}) as endpoint, Counter(endpoint.port) as client:
        client.find(1)
        statuses = client.statuses()
        assert all(next(statuses) == 0xFF00 for _ in range(50_000))
        client.cancel(1)
        *rest, final = statuses
        assert set(rest) <= {0xFF00}
        assert len(rest) < 50_000
        assert final == 0xFE00
        assert ends.get(timeout=LIMIT) == "closed"


def test_the_memory_stays_flat_while_a_reader_is_slow() -> None:
    """200 MB of matches, of which the sockets hold a few."""
    count, text = 20_000, "x" * 10_000
    highest = 0

    def find(event: Any) -> Iterator[DataSet]:
        for number in range(count):
            yield DataSet.from_keywords(StudyInstanceUID=f"1.{number}", StudyComments=text)

    with running({"cfind": find}) as endpoint, Counter(endpoint.port) as client:
        with Peer.associated(endpoint.port) as other:
            client.find(1)
            statuses = client.statuses()
            assert all(next(statuses) == 0xFF00 for _ in range(100))
            tracemalloc.start()
            try:
                for number, status in enumerate(statuses, start=101):  # noqa: B007 - seen below
                    if number % 1_000 == 0:
                        assert all(other.echo() == 0 for _ in range(20))
                        highest = max(highest, tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
        assert (number, status) == (count + 1, 0)
        assert highest < 8 << 20


@pytest.mark.parametrize("is_async", [False, True])
def test_a_query_has_no_more_matches_than_the_limit(is_async: bool) -> None:
    closed = threading.Event()

    def find(event: Any) -> Iterator[DataSet]:
        try:
            yield from studies(10**9)
        finally:
            closed.set()

    async def find_later(event: Any) -> AsyncIterator[DataSet]:
        try:
            for match in studies(10**9):
                yield match
        finally:
            closed.set()

    handler = find_later if is_async else find
    with running({"cfind": handler}, max_matches=25) as endpoint:
        with Finder.at(endpoint.port) as peer:
            peer.send(*find_pdus(1))
            assert all(peer.next_response()[0] == 0xFF00 for _ in range(25))
            response = peer.response()
            assert (response.status, response.has_data_set) == (0xA700, False)
            assert response.elements.ErrorComment == "more than 25 matches"
            assert closed.wait(LIMIT)
            assert peer.echo(2) == 0
        (reached,) = endpoint.wait_for(events.LimitReached)
        assert reached.name == "max_matches"


@pytest.mark.parametrize(("limit", "status"), [(5, 0), (4, 0xA700), (None, 0)])
def test_the_limit_itself_is_allowed(limit: int | None, status: int) -> None:
    with running({"cfind": lambda event: studies(5)}, max_matches=limit) as endpoint:
        with Finder.at(endpoint.port) as peer:
            peer.send(*find_pdus(1))
            matches, final = peer.rest()
            assert (len(matches), final) == (5 if status == 0 else 4, status)


def test_a_match_larger_than_the_peers_pdus_is_cut() -> None:
    text = "x" * 9_000

    def find(event: Any) -> Iterator[DataSet]:
        yield DataSet.from_keywords(StudyInstanceUID="1.2", StudyComments=text)

    with running({"cfind": find}) as endpoint, Peer(endpoint.port) as peer:
        peer.send(associate_rq(contexts=CONTEXTS, max_pdu_length=4096))
        assert isinstance(peer.receive(), AssociateAc)
        peer.send(*find_pdus(1))
        assert peer.response().status == 0xFF00
        data = b""
        while True:
            pdu = peer.receive()
            assert isinstance(pdu, PDataTf)
            (pdv,) = pdu.pdvs
            assert len(pdv.data) + 6 <= 4096
            data += pdv.data
            if pdv.is_last:
                break
        assert DataSet.from_bytes(data, IMPLICIT).StudyComments == text
        assert peer.status() == 0


def test_a_handler_may_stop_a_query_that_is_cancelled() -> None:
    """What it did not look for does not count as not being there."""
    gate = Gate()

    def find(event: Any) -> Iterator[DataSet]:
        yield from studies(3)
        gate()
        until(lambda: event.is_cancelled)

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        gate.wait_until_entered()
        peer.send(*cancel_pdus(1))
        gate.release()
        matches, status = peer.rest()
        assert (len(matches), status) == (3, 0xFE00)


def test_without_a_handler_no_query_is_accepted() -> None:
    with running({"cstore": lambda event: None}) as endpoint, Peer(endpoint.port) as peer:
        ac = peer.associate(contexts=CONTEXTS)
        assert [int(c.result) for c in ac.presentation_contexts] == [0, 3]  # type: ignore[union-attr]
