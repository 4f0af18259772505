"""Destinations of a C-MOVE: that cannot be reached, that are ourselves, that are wrong."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

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
from kit.scp import free_port

from dicom_actors import (
    DataSet,
    DicomError,
    Endpoint,
    EndpointConfig,
    MoveTo,
    connect,
    messages,
)
from dicom_actors.errors import ConfigurationError
from dicom_actors.supervision import ManualClock, System

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

LOCAL = "127.0.0.1"


# --- destinations that cannot be reached ----------------------------------------------------------


@pytest.mark.parametrize("host", ["..", f"{'a' * 64}.example", "\udcff", ""])
def test_what_no_host_can_be_named_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="host: expected a name or an address"):
        MoveTo(host, 104, "ARCHIVE", [instance(1)])


def test_nobody_listens_there() -> None:
    move = MoveTo(LOCAL, free_port(), "ARCHIVE", [instance(1), instance(2)])
    with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
        peer.ask()
        pending, answer = peer.rest()
        assert pending == [Counts(0xFF00, 1, 0, 1, 0), Counts(0xFF00, 0, 0, 2, 0)]
        assert answer == (
            Counts(0xA702, None, 0, 2, 0),
            "ARCHIVE: connection refused",
            uids(1, 2),
        )


def test_a_destination_that_rejects_us_says_why() -> None:
    with destination(ae_title="OTHER") as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", (instance(n) for n in range(3)))
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            answer = peer.answer()
    assert answer.counts == (0xA702, None, 0, 3, 0)
    assert answer.failed == uids(0, 1, 2)
    assert "called AE title not recognized" in answer.comment
    assert LOCAL not in answer.comment


def test_one_of_two_destinations_cannot_be_reached() -> None:
    with destination() as archive:

        def move(event: Any) -> list[MoveTo]:
            return [
                MoveTo(LOCAL, free_port(), "DOWN", [instance(1), instance(2)]),
                MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(1), instance(2)]),
            ]

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            answer = peer.answer()
        assert archive.uids == uids(1, 2)
    assert answer == (Counts(0xB000, None, 2, 2, 0), "DOWN: connection refused", uids(1, 2))


def test_a_destination_that_was_down_three_times_is_left_alone_for_a_while() -> None:
    clock = ManualClock()
    system = System(clock=clock)
    port = free_port()
    pulled = [0]

    def instances() -> Iterator[DataSet]:
        for number in range(2):
            pulled[0] += 1
            yield instance(number)

    def move(event: Any) -> MoveTo:
        return MoveTo(LOCAL, port, "ARCHIVE", (2, instances()))

    with running({"cmove": move}, system=system) as endpoint, Mover.at(endpoint.port) as peer:

        def answer() -> Any:
            peer.ask()
            return peer.answer()

        for _ in range(3):
            assert answer().comment == "ARCHIVE: connection refused"
        assert pulled == [6]
        clock.advance(18)
        refused = answer()
        assert refused.comment == "ARCHIVE: not tried again for 12 s"
        assert refused.counts == (0xA702, None, 0, 2, 0)
        assert pulled == [6]
        clock.advance(12)
        assert answer().comment == "ARCHIVE: connection refused"
        assert answer().comment == "ARCHIVE: not tried again for 30 s"
        clock.advance(30)
        archive = Endpoint.start(port, host=LOCAL, event_handlers={"cstore": lambda event: None})
        try:
            assert answer().counts == (0, None, 2, 0, 0)
            assert answer().counts == (0, None, 2, 0, 0)
        finally:
            archive.stop(timeout=LIMIT)
        assert answer().comment == "ARCHIVE: connection refused"
    system.close()


def test_what_would_go_to_a_destination_that_is_left_alone_is_told() -> None:
    move = [MoveTo(LOCAL, free_port(), "ARCHIVE", [instance(1), instance(2)])]
    with running({"cmove": lambda event: move}, destination_failures=1) as endpoint:
        with Mover.at(endpoint.port) as peer:
            peer.ask()
            peer.answer()
            peer.ask()
            pending, answer = peer.rest()
            assert pending == []
            assert answer.counts == (0xA702, None, 0, 2, 0)
            assert answer.failed == uids(1, 2)
            move[0] = MoveTo(LOCAL, move[0].port, "ARCHIVE", (instance(n) for n in range(3)))
            peer.ask()
            assert peer.answer().counts == (0xA702, None, 0, 3, 0)
            move[0] = MoveTo(LOCAL, move[0].port, "ARCHIVE", [])
            peer.ask()
            assert peer.answer().counts == (0, None, 0, 0, 0)


# --- ourselves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_move_to_oneself_is_refused(name: str) -> None:
    port = [0]
    is_pulled = threading.Event()

    def instances() -> Iterator[DataSet]:
        is_pulled.set()
        yield instance(1)

    def move(event: Any) -> MoveTo:
        return MoveTo(name, port[0], "ANY", instances())

    with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
        port[0] = endpoint.port
        peer.ask()
        pending, answer = peer.rest()
        assert pending == []
        assert answer.counts.status == 0xA801
        assert answer.comment == "the destination is this endpoint"
        assert not is_pulled.is_set()
        assert endpoint.status().associations == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_an_endpoint_on_all_addresses_knows_itself_by_each(name: str) -> None:
    port = [0]
    move = {"cmove": lambda event: MoveTo(name, port[0], "ANY", [instance(1)])}
    ref = Endpoint.start(0, event_handlers=move, config=EndpointConfig())
    try:
        port[0] = ref.ask(messages.GetStatus(), timeout=LIMIT).port
        with Mover.at(port[0]) as peer:
            peer.ask()
            assert peer.answer().counts.status == 0xA801
    finally:
        ref.stop(timeout=LIMIT)


def test_another_endpoint_on_the_same_port_is_not_us() -> None:
    with destination() as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(1)])
        ref = Endpoint.start(
            archive.port, host="127.0.0.2", event_handlers={"cmove": lambda event: move}
        )
        try:
            with connect("127.0.0.2", archive.port) as association:
                *_, last = association.move(QUERY, "ARCHIVE")
            assert (last.status, last.completed) == (0, 1)
        finally:
            ref.stop(timeout=LIMIT)


# --- what a destination may be -------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0},
        {"port": "104"},
        {"ae_title": ""},
        {"ae_title": "seventeen letters"},
        {"instances": None},
        {"instances": "file.dcm"},
        {"instances": instance(1)},
        {"calling": "back\\slash"},
        {"timeout": 0},
    ],
)
def test_a_destination_out_of_range_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"host": LOCAL, "port": 104, "ae_title": "A", "instances": []}
    MoveTo(**right)
    with pytest.raises(
        DicomError, match=next(iter(wrong)) if "ae_title" not in wrong else "called"
    ):
        MoveTo(**{**right, **wrong})


def test_a_destination_shows_no_secrets() -> None:
    move = MoveTo(LOCAL, 104, "A", [instance(1)], user_identity=("name", "secret"))
    assert "secret" not in repr(move)
    assert repr(move).startswith("MoveTo(host='127.0.0.1', port=104, ae_title='A'")


def test_without_a_handler_no_move_is_accepted() -> None:
    with running({"cstore": lambda event: None}) as endpoint, Mover(endpoint.port) as peer:
        ac = peer.associate(contexts=CONTEXTS)
        assert [int(c.result) for c in ac.presentation_contexts] == [0, 3]  # type: ignore[union-attr]
