"""Requests of ours, and the responses to them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT

from dicom_actors.actors.connection.outgoing_requests import OutgoingRequests
from dicom_actors.actors.connection.record import StaleIncarnation
from dicom_actors.dimse import Command, CommandElement, decode_command, encode_command

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("nothing_left")

EPOCH = 3


def response(message_id: int, status: int = 0) -> Command:
    """A C-STORE-RSP."""
    values: dict[int, int | str] = {
        CommandElement.COMMAND_FIELD: 0x8001,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        CommandElement.STATUS: status,
    }
    return decode_command(encode_command(values, has_data_set=False))


class Connection:
    """What invocations need of a connection record."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.is_wanted = True
        self.is_over = False
        self.is_cancelled = False
        self.outgoing = OutgoingRequests(
            self.changed,
            self._check,
            lambda _: self.is_wanted,
            lambda _: self.is_cancelled,
            lambda _: self.is_over,
        )

    def _check(self, epoch: int) -> None:
        if epoch != EPOCH:
            raise StaleIncarnation

    def give_up(self) -> None:
        with self.changed:
            self.is_wanted = False
            self.changed.notify_all()


@pytest.fixture
def connection() -> Connection:
    return Connection()


def in_thread(function: Callable[[], Any]) -> Callable[[], Any]:
    """Run it in a thread; returns what waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def result() -> Any:
        thread.join(LIMIT)
        (only,) = results
        return only

    return result


def test_a_response_is_handed_to_whoever_waits_for_it(connection: Connection) -> None:
    invocations = connection.outgoing
    assert not invocations
    message_id = invocations.begin()
    assert invocations
    waiting = in_thread(lambda: invocations.wait(1, message_id))
    assert invocations.answer(EPOCH, response(message_id, 0xB000))
    assert waiting().status == 0xB000
    assert not invocations


def test_a_response_may_come_before_anybody_waits(connection: Connection) -> None:
    message_id = connection.outgoing.begin()
    assert connection.outgoing.answer(EPOCH, response(message_id))
    found = connection.outgoing.wait(1, message_id)
    assert found is not None
    assert found.message_id == message_id


def test_each_waits_for_its_own(connection: Connection) -> None:
    invocations = connection.outgoing
    ids = [invocations.begin() for _ in range(5)]
    assert len(set(ids)) == 5
    waiting = [in_thread(lambda n=n: invocations.wait(1, n)) for n in ids]
    for number in reversed(ids):
        assert invocations.answer(EPOCH, response(number, 0xA700 + number))
    assert [one().status for one in waiting] == [0xA700 + number for number in ids]


def test_only_one_response_answers_a_request(connection: Connection) -> None:
    invocations = connection.outgoing
    message_id = invocations.begin()
    assert not invocations.answer(EPOCH, response(message_id + 1))
    assert invocations.answer(EPOCH, response(message_id, 1))
    assert not invocations.answer(EPOCH, response(message_id, 2))
    found = invocations.wait(1, message_id)
    assert found is not None
    assert found.status == 1
    assert not invocations.answer(EPOCH, response(message_id))


def test_an_answer_that_nobody_wants_any_more_is_dropped_once(connection: Connection) -> None:
    invocations = connection.outgoing
    message_id = invocations.begin()
    waiting = in_thread(lambda: invocations.wait(1, message_id))
    connection.give_up()
    assert waiting() is None
    assert not invocations
    assert invocations.answer(EPOCH, response(message_id))
    assert not invocations.answer(EPOCH, response(message_id))


def test_a_response_that_is_there_counts_even_if_nobody_waits_any_longer(
    connection: Connection,
) -> None:
    message_id = connection.outgoing.begin()
    connection.outgoing.answer(EPOCH, response(message_id))
    connection.give_up()
    assert connection.outgoing.wait(1, message_id) is not None


def test_an_incarnation_that_was_replaced_answers_nothing(connection: Connection) -> None:
    message_id = connection.outgoing.begin()
    with pytest.raises(StaleIncarnation):
        connection.outgoing.answer(EPOCH - 1, response(message_id))
    assert connection.outgoing.answer(EPOCH, response(message_id))


def test_message_ids_go_around_and_leave_out_what_is_not_answered(connection: Connection) -> None:
    invocations = connection.outgoing
    awaited = invocations.begin()
    unwanted = invocations.begin()
    connection.is_wanted = False
    assert invocations.wait(1, unwanted) is None
    connection.is_wanted = True
    seen = set()
    for _ in range(0xFFFF - 2):
        message_id = invocations.begin()
        seen.add(message_id)
        invocations.answer(EPOCH, response(message_id))
        invocations.wait(1, message_id)
    assert seen == set(range(1, 0x10000)) - {awaited, unwanted}
    assert invocations.begin() == 3
