"""C-FIND: matches pulled one by one from a handler's iterable."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, Running, running
from kit.gate import Gate
from kit.peer import IMPLICIT, Peer, command_pdus, echo_pdus

from dicom_actors import DataSet, DimseFailure, Status, connect, events, messages
from dicom_actors.actors.signals import GetKernel
from dicom_actors.dimse import CommandElement, CommandField, fragment
from dicom_actors.pdu import PDataTf, PresentationContextRq
from dicom_actors.testing import crash_at

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

COUNT = 2_000
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
CONTEXTS = (
    PresentationContextRq(1, "1.2.840.10008.1.1", (IMPLICIT,)),
    PresentationContextRq(3, STUDY_ROOT, (IMPLICIT,)),
)
QUERY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientName="*")


def find_pdus(message_id: int) -> list[Any]:
    data = QUERY.to_bytes(IMPLICIT)
    return [
        *command_pdus(
            {
                CommandElement.AFFECTED_SOP_CLASS_UID: STUDY_ROOT,
                CommandElement.COMMAND_FIELD: CommandField.C_FIND_RQ,
                CommandElement.MESSAGE_ID: message_id,
                CommandElement.PRIORITY: 0,
            },
            3,
            has_data_set=True,
        ),
        *(PDataTf((pdv,)) for pdv in fragment(3, data, 16384, is_command=False)),
    ]


def cancel_pdus(message_id: int) -> list[Any]:
    return command_pdus(
        {
            CommandElement.COMMAND_FIELD: CommandField.C_CANCEL_RQ,
            CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        },
        3,
    )


class Finder(Peer):
    """A peer that asks for matches."""

    @classmethod
    def at(cls, port: int) -> Finder:
        peer = cls(port)
        peer.associate(contexts=CONTEXTS)
        return peer

    def next_response(self) -> tuple[int | None, DataSet | None]:
        """The next response: its status, and its match."""
        response = self.response()
        if not response.has_data_set:
            return response.status, None
        pdu = self.receive()
        assert isinstance(pdu, PDataTf)
        return response.status, DataSet.from_bytes(bytes(pdu.pdvs[0].data), IMPLICIT)

    def rest(self) -> tuple[list[DataSet], int | None]:
        """All matches to come, and the final status."""
        matches = []
        while True:
            status, match = self.next_response()
            if match is None:
                return matches, status
            matches.append(match)


def record_of(endpoint: Running, number: int) -> Any:
    """The connection record of an association."""
    return endpoint.ref.ask(GetKernel(), timeout=LIMIT).connection(number)


def studies(count: int) -> Iterator[DataSet]:
    for number in range(count):
        yield DataSet.from_keywords(StudyInstanceUID=f"1.2.{number}", PatientName="Valim^José")


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


def test_without_a_handler_no_query_is_accepted() -> None:
    with running({"cstore": lambda event: None}) as endpoint, Peer(endpoint.port) as peer:
        ac = peer.associate(contexts=CONTEXTS)
        assert [int(c.result) for c in ac.presentation_contexts] == [0, 3]  # type: ignore[union-attr]
