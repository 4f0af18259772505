"""User identity, the asynchronous operations window, traces: what is negotiated and told."""

from __future__ import annotations

from typing import Any

import pytest
from kit.endpoints import LIMIT, Watcher, running
from kit.gate import Gate
from kit.peer import CONTEXTS, Peer, echo_pdus, store_pdus
from kit.waiting import until

from dicom_actors import Accept, Reject, events, messages
from dicom_actors.pdu import (
    AssociateAc,
    AssociateRj,
    AssociateRq,
    AsyncWindow,
    UserIdentity,
    UserInformation,
)
from dicom_actors.testing import crash_at

pytestmark = pytest.mark.usefixtures("nothing_left")


def request(**user_information: Any) -> AssociateRq:
    return AssociateRq(
        "TEST", "PEER", CONTEXTS, UserInformation(16384, "1.2.3.4", "KIT", **user_information)
    )


def identity(*, wants_answer: bool = True) -> UserIdentity:
    return UserIdentity(2, b"jane", b"secret", positive_response_requested=wants_answer)


@pytest.mark.parametrize(
    ("result", "response"),
    [(None, b""), (True, b""), (Accept(b"ticket"), b"ticket")],
)
def test_a_verified_user_gets_the_response_that_was_asked_for(result: Any, response: bytes) -> None:
    seen: list[Any] = []

    def validate(asked: Any) -> Any:
        seen.append((asked.user_identity.user_name, asked.user_identity.secondary_field))
        assert "secret" not in repr(asked)
        return result

    with running({"association_validator": validate}) as endpoint, Peer(endpoint.port) as peer:
        peer.send(request(user_identity=identity()))
        ac = peer.receive()
        assert isinstance(ac, AssociateAc)
        assert ac.user_information.user_identity_response == response
    assert seen == [("jane", b"secret")]


@pytest.mark.parametrize("validated", [True, False])
def test_no_response_unless_asked_for_and_verified(validated: bool) -> None:
    handlers = {"association_validator": lambda asked: None} if validated else {}
    with running(handlers) as endpoint, Peer(endpoint.port) as peer:
        peer.send(request(user_identity=identity(wants_answer=not validated)))
        ac = peer.receive()
        assert isinstance(ac, AssociateAc)
        assert ac.user_information.user_identity_response is None


def test_a_user_who_is_not_known_is_rejected_and_no_secret_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def validate(asked: Any) -> Any:
        return asked.user_identity.user_name == "john" or Reject.NO_REASON

    with running({"association_validator": validate}) as endpoint:
        with caplog.at_level("DEBUG"), Peer(endpoint.port) as peer:
            peer.send(request(user_identity=identity()))
            assert peer.receive() == AssociateRj(1, 1, 1)
        (closed,) = endpoint.wait_for(events.AssociationClosed)
    assert "secret" not in caplog.text + repr(closed)


@pytest.mark.parametrize(
    ("ours", "proposed", "agreed"),
    [(1, None, None), (1, (8, 8), (1, 1)), (16, (8, 4), (8, 1)), (16, (0, 0), (16, 1))],
)
def test_the_window_is_negotiated(ours: int, proposed: Any, agreed: Any) -> None:
    window = None if proposed is None else AsyncWindow(*proposed)
    with running(async_window=ours) as endpoint, Peer(endpoint.port) as peer:
        peer.send(request(async_window=window))
        ac = peer.receive()
        assert isinstance(ac, AssociateAc)
        got = ac.user_information.async_window
        assert (None if got is None else tuple(got)) == agreed


def test_operations_within_the_window_are_received_while_a_handler_is_busy() -> None:
    gate = Gate()
    seen: list[int] = []

    def store(event: Any) -> None:
        gate()
        seen.append(event.message_id)

    with running({"cstore": store}, async_window=4) as endpoint, Peer(endpoint.port) as peer:
        peer.send(request(async_window=AsyncWindow(4, 1)))
        peer.receive()
        for number in range(1, 5):
            peer.send(*store_pdus(b"", number))
        gate.wait_until_entered()
        # All four have come in although none is answered.
        assert len(endpoint.wait_for(events.RequestReceived, 4)) == 4
        gate.release()
        assert sorted(peer.response().message_id for _ in range(4)) == [1, 2, 3, 4]
        assert sorted(seen) == [1, 2, 3, 4]


def test_a_peer_beyond_its_window_is_held_back_not_dropped() -> None:
    gate = Gate()
    with running({"cstore": gate}) as endpoint, Peer.associated(endpoint.port) as peer:
        for number in range(1, 40):
            peer.send(*store_pdus(b"", number))
        gate.wait_until_entered()
        gate.release()
        assert [peer.response().message_id for _ in range(39)] == list(range(1, 40))


def test_a_trace_shows_each_pdu_in_a_line_and_no_data() -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        tracer = Watcher.start()
        try:
            endpoint.ref.ask(messages.Subscribe(tracer, (events.PduTraced,)), timeout=LIMIT)
            with Peer.associated(endpoint.port) as peer:
                peer.store(b"PATIENT DATA")
                peer.expect_released()
            endpoint.wait_for(events.AssociationClosed)
            inside = tracer._actor_weakref()
            assert inside is not None
            lines = [inside.events.get(timeout=LIMIT) for _ in range(7)]
        finally:
            tracer.stop()
    assert [(line.is_received, line.text.split(":")[0]) for line in lines] == [
        (True, "A-ASSOCIATE-RQ"),
        (False, "A-ASSOCIATE-AC"),
        (True, "P-DATA-TF"),
        (True, "P-DATA-TF"),
        (False, "P-DATA-TF"),
        (True, "A-RELEASE-RQ"),
        (False, "A-RELEASE-RP"),
    ]
    text = "\n".join(line.text for line in lines)
    assert "PATIENT" not in text
    assert "CT Image Storage" in text


def test_the_report_of_a_connection_that_ends_has_its_last_pdus(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        assert peer.echo() == 0
        crash_at(endpoint.ref, "association.core")
        peer.send(*echo_pdus(2))
        peer.expect_abort(2, 0)
    report = next(r.getMessage() for r in caplog.records if "its last PDUs" in r.getMessage())
    assert "received A-ASSOCIATE-RQ" in report
    assert "sent A-ASSOCIATE-AC" in report
    assert "received P-DATA-TF, 80 bytes: context 1 command, last" in report
    assert "not handled P-DATA-TF, 80 bytes: context 1 command, last" in report


def test_operations_within_the_window_are_answered_as_they_finish() -> None:
    gates = {number: Gate() for number in (1, 2, 3)}

    def store(event: Any) -> int:
        gates[event.message_id]()
        return 0xB000 + event.message_id

    with running({"cstore": store}, async_window=3) as endpoint, Peer(endpoint.port) as peer:
        peer.send(request(async_window=AsyncWindow(3, 1)))
        peer.receive()
        for number in gates:
            peer.send(*store_pdus(b"", number))
        for gate in gates.values():
            gate.wait_until_entered()  # all three run at a time
        until(lambda: len(handlers_of(endpoint)) == 3)
        peer.send(*echo_pdus(4))
        for number in (3, 1, 2):
            gates[number].release()
            response = peer.response()
            while response.message_id == 4:
                response = peer.response()
            assert (response.message_id, response.status) == (number, 0xB000 + number)
        peer.expect_released()


def handlers_of(endpoint: Any) -> list[Any]:
    return [c for c in endpoint.child("associations").children if "handler" in c.name]


def test_a_peer_without_a_window_is_answered_in_order_one_at_a_time() -> None:
    order: list[int] = []
    gate = Gate()

    def store(event: Any) -> None:
        if event.message_id == 1:
            gate()
        order.append(event.message_id)

    with (
        running({"cstore": store}, async_window=8) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        for number in range(1, 9):
            peer.send(*store_pdus(b"", number))
        gate.wait_until_entered()
        until(lambda: len(handlers_of(endpoint)) == 1)
        gate.release()
        assert [peer.response().message_id for _ in range(8)] == list(range(1, 9))
        assert order == list(range(1, 9))


def test_one_of_several_handlers_may_raise_or_hang() -> None:
    gate = Gate()

    def store(event: Any) -> int:
        if event.message_id == 1:
            gate()
        if event.message_id == 2:
            raise ValueError("a bug")
        return 0

    with running(
        {"cstore": store}, async_window=3, handler_timeout=1.0, handler_grace=0.0
    ) as endpoint:
        with Peer(endpoint.port) as peer:
            peer.send(request(async_window=AsyncWindow(3, 1)))
            peer.receive()
            for number in (1, 2, 3):
                peer.send(*store_pdus(b"", number))
            answers = {r.message_id: r.status for r in (peer.response() for _ in range(3))}
            assert answers == {1: 0x0110, 2: 0x0110, 3: 0}
            gate.release()
            for number in (4, 5, 6):
                peer.send(*store_pdus(b"", number))
            answers = {r.message_id: r.status for r in (peer.response() for _ in range(3))}
            assert answers == {4: 0, 5: 0, 6: 0}
            peer.expect_released()
