"""Event reports on the association of a request, as the provider of a SOP class."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, running
from kit.peer import IMPLICIT, Peer, command_pdus

from dicom_actors import DataSet, DimseFailure
from dicom_actors.dimse import CommandElement, CommandField, decode_command
from dicom_actors.errors import AssociationError, AssociationTimeout
from dicom_actors.pdu import PDataTf, Pdv, PresentationContextRq, ReleaseRp, ReleaseRq
from dicom_actors.testing import assert_healthy, crash_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.actors.responding.event_reporter import EventReporter
    from dicom_actors.dimse import Command

pytestmark = pytest.mark.usefixtures("nothing_left")

COMMITMENT = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
VERIFICATION = "1.2.840.10008.1.1"
CONTEXTS = (
    PresentationContextRq(1, VERIFICATION, (IMPLICIT,)),
    PresentationContextRq(5, COMMITMENT, (IMPLICIT,)),
)
INFORMATION = DataSet.from_keywords(TransactionUID="1.2.3")


class Provider:
    """An endpoint that answers N-ACTION, and a user of it."""

    def __init__(self, endpoint: Any, reporters: queue.Queue[EventReporter]) -> None:
        self.endpoint = endpoint
        self._reporters = reporters
        self.peer = Peer(endpoint.port)
        self.peer.associate(contexts=CONTEXTS)
        self.reporter = self.act()

    def act(self) -> EventReporter:
        """Have the user ask for an action; gives what reports on it."""
        self.peer.send(
            *command_pdus(
                {
                    CommandElement.COMMAND_FIELD: CommandField.N_ACTION_RQ,
                    CommandElement.MESSAGE_ID: 7,
                    CommandElement.REQUESTED_SOP_CLASS_UID: COMMITMENT,
                    CommandElement.REQUESTED_SOP_INSTANCE_UID: INSTANCE,
                    CommandElement.ACTION_TYPE_ID: 1,
                },
                5,
            )
        )
        assert self.peer.status() == 0
        return self._reporters.get(timeout=LIMIT)

    def report(self, timeout: float = LIMIT) -> Callable[[], Any]:
        """Report in a thread; returns what waits for the result, which may be an error."""
        return in_thread(lambda: self.reporter(1, INFORMATION, timeout=timeout))

    def received(self) -> tuple[Command, bytes]:
        """Take a report as the user: its command, and its data set."""
        pdvs = []
        while len(pdvs) < 2:
            pdu = self.peer.receive()
            assert isinstance(pdu, PDataTf)
            pdvs += pdu.pdvs
        assert [(pdv.is_command, pdv.is_last) for pdv in pdvs] == [(True, True), (False, True)]
        return decode_command(bytes(pdvs[0].data)), bytes(pdvs[1].data)

    def answer(self, message_id: int, status: int = 0, field: int = 0x8100) -> None:
        """Answer a report as the user."""
        self.peer.send(*answer_pdus(message_id, status, field))


def answer_pdus(
    message_id: int, status: int = 0, field: int = 0x8100, *, has_data_set: bool = False
) -> Any:
    return command_pdus(
        {
            CommandElement.COMMAND_FIELD: field,
            CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
            CommandElement.STATUS: status,
        },
        5,
        has_data_set=has_data_set,
    )


def in_thread(function: Callable[[], Any]) -> Callable[[], Any]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join(LIMIT)
        (only,) = results
        return only

    return result


@pytest.fixture
def provider() -> Iterator[Provider]:
    reporters: queue.Queue[EventReporter] = queue.Queue()

    def act(event: Any) -> None:
        reporters.put(event.event_reporter())

    with running({"naction": act}) as endpoint:
        provider = Provider(endpoint, reporters)
        yield provider
        provider.peer.close()


def test_a_report_is_answered_and_the_association_goes_on(provider: Provider) -> None:
    reported = provider.report()
    command, data = provider.received()
    assert command.command_field == CommandField.N_EVENT_REPORT_RQ
    assert (command.sop_class_uid, command.sop_instance_uid) == (COMMITMENT, INSTANCE)
    assert command.elements.EventTypeID == 1
    assert DataSet.from_bytes(data, transfer_syntax=IMPLICIT) == INFORMATION
    provider.answer(command.message_id)
    assert reported() == 0
    assert provider.peer.echo() == 0
    assert provider.act().is_open
    provider.peer.expect_released()


def test_a_report_comes_between_the_other_messages(provider: Provider) -> None:
    reported = provider.report()
    command, _ = provider.received()
    assert provider.peer.echo() == 0
    provider.answer(command.message_id)
    assert reported() == 0
    assert_healthy(provider.endpoint.ref)


def test_a_failure_is_said(provider: Provider) -> None:
    reported = provider.report()
    command, _ = provider.received()
    provider.answer(command.message_id, 0x0110)
    failure = reported()
    assert isinstance(failure, DimseFailure)
    assert failure.status == 0x0110
    assert provider.peer.echo() == 0


def test_what_is_in_the_reply_is_dropped(provider: Provider) -> None:
    reported = provider.report()
    command, _ = provider.received()
    provider.peer.send(
        *answer_pdus(command.message_id, has_data_set=True),
        PDataTf((Pdv(5, False, False, b"some"),)),
        PDataTf((Pdv(5, False, True, b"thing!"),)),
    )
    assert reported() == 0
    assert provider.peer.echo() == 0


def test_who_answers_too_late_is_not_aborted(provider: Provider) -> None:
    reported = provider.report(timeout=0.01)
    command, _ = provider.received()
    assert isinstance(reported(), AssociationTimeout)
    provider.answer(command.message_id)
    assert provider.peer.echo() == 0
    provider.answer(command.message_id)  # but once
    provider.peer.expect_abort(2, 2)


def test_an_answer_of_another_kind_is_none(provider: Provider) -> None:
    reported = provider.report()
    command, _ = provider.received()
    provider.answer(command.message_id, field=0x8001)
    provider.peer.expect_abort(2, 2)
    assert type(reported()) is AssociationError


def test_nobody_waits_for_one_who_asks_for_the_release(provider: Provider) -> None:
    reported = provider.report()
    provider.received()
    provider.peer.send(ReleaseRq())
    assert type(reported()) is AssociationError
    assert provider.peer.receive() == ReleaseRp()
    assert not provider.reporter.is_open
    with pytest.raises(AssociationError, match="no more messages"):
        provider.reporter(1)


def test_nobody_waits_for_one_who_is_gone(provider: Provider) -> None:
    reported = provider.report()
    provider.received()
    provider.peer.reset()
    assert type(reported()) is AssociationError


def test_an_association_that_crashes_meanwhile_takes_the_answer(provider: Provider) -> None:
    reported = provider.report()
    command, _ = provider.received()
    crash_at(provider.endpoint.ref, "association.command")
    provider.answer(command.message_id)
    assert reported() == 0
    assert provider.peer.echo() == 0


def test_a_handler_may_report_before_it_returns() -> None:
    statuses: queue.Queue[int] = queue.Queue()

    def act(event: Any) -> None:
        statuses.put(event.event_reporter()(1, timeout=LIMIT))

    with running({"naction": act}) as endpoint, Peer(endpoint.port) as peer:
        peer.associate(contexts=CONTEXTS)
        peer.send(
            *command_pdus(
                {
                    CommandElement.COMMAND_FIELD: CommandField.N_ACTION_RQ,
                    CommandElement.MESSAGE_ID: 7,
                    CommandElement.REQUESTED_SOP_CLASS_UID: COMMITMENT,
                    CommandElement.REQUESTED_SOP_INSTANCE_UID: INSTANCE,
                    CommandElement.ACTION_TYPE_ID: 1,
                },
                5,
            )
        )
        peer.send(*answer_pdus(peer.response().message_id))
        assert statuses.get(timeout=LIMIT) == 0
        assert peer.status() == 0


@pytest.mark.parametrize(
    ("event_type", "timeout"), [(-1, 1.0), (65536, 1.0), (1, 0.0), (1, float("inf"))]
)
def test_what_cannot_be_is_refused(provider: Provider, event_type: int, timeout: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        provider.reporter(event_type, timeout=timeout)


def test_there_is_an_end_of_what_waits(provider: Provider) -> None:
    """A user that reads nothing is told no more than so many times."""
    results = [provider.report() for _ in range(40)]
    provider.peer.close()
    kinds = {type(result()) for result in results}
    assert kinds == {AssociationError}
