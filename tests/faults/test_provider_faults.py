"""Crashes and failing handlers while matches, instances and N-services are answered."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, Running, running
from kit.finder import QUERY, STUDY_ROOT
from kit.gate import Gate
from kit.getter import Getter, counts, instance
from kit.peer import IMPLICIT, VERIFICATION, command_pdus
from kit.siege import besieged

from dicom_actors import DataSet, DimseFailure, Status, events
from dicom_actors.dimse import CommandElement, CommandField, fragment
from dicom_actors.pdu import Abort, PDataTf, PresentationContextRq, ReleaseRp
from dicom_actors.supervision import kill
from dicom_actors.testing import CRASH_POINTS, assert_healthy, crash_at
from dicom_actors.testing.crash_points import passes_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

MPPS = "1.2.840.10008.3.1.2.3.3"
MORE = (
    PresentationContextRq(7, STUDY_ROOT, (IMPLICIT,)),
    PresentationContextRq(9, MPPS, (IMPLICIT,)),
)
STEP = DataSet.from_keywords(PatientID="7", PerformedProcedureStepStatus="IN PROGRESS")
POINTS = sorted(
    point
    for point in CRASH_POINTS
    if point.startswith("association.")
    and point not in {"association.adopt", "association.core", "association.request"}
)


def match(number: int) -> DataSet:
    """An answer to the query."""
    return DataSet.from_keywords(StudyInstanceUID=f"1.2.{number}")


class Handlers:
    """Event handlers, and how often what they return was begun and closed.

    Args:
        fault: called by an iterable when it has given two items.
    """

    def __init__(self, fault: Callable[[], object] = lambda: None) -> None:
        self._fault = fault
        self.called: list[str] = []
        self.begun = 0
        self.closed = 0

    @property
    def table(self) -> dict[str, Any]:
        return {"cfind": self.find, "cget": self.get, "ncreate": self.create, "nset": self.set}

    def _items(self, make: Callable[[int], DataSet]) -> Iterator[DataSet]:
        self.begun += 1
        try:
            for number in range(3):
                if number == 2:
                    self._fault()
                yield make(number)
        finally:
            self.closed += 1

    def find(self, event: Any) -> Iterator[DataSet]:
        self.called.append("find")
        return self._items(match)

    def get(self, event: Any) -> tuple[int, Iterator[DataSet]]:
        self.called.append("get")
        return 3, self._items(instance)

    def create(self, event: Any) -> DataSet:
        self.called.append("create")
        assert event.dataset == STEP
        return STEP

    def set(self, event: Any) -> None:
        self.called.append("set")
        raise DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "no")


class User(Getter):
    """A peer that uses several services on one association."""

    def request(self, field: CommandField, message_id: int) -> None:
        """Ask for a service."""
        uid, context_id, data_set = {
            CommandField.C_FIND_RQ: (STUDY_ROOT, 7, QUERY),
            CommandField.N_CREATE_RQ: (MPPS, 9, STEP),
            CommandField.N_SET_RQ: (MPPS, 9, STEP),
            CommandField.C_ECHO_RQ: (VERIFICATION, 1, None),
        }[field]
        of = (
            (CommandElement.REQUESTED_SOP_CLASS_UID, CommandElement.REQUESTED_SOP_INSTANCE_UID)
            if field == CommandField.N_SET_RQ
            else (CommandElement.AFFECTED_SOP_CLASS_UID, CommandElement.AFFECTED_SOP_INSTANCE_UID)
        )
        command: dict[int, int | str] = {
            of[0]: uid,
            CommandElement.COMMAND_FIELD: field,
            CommandElement.MESSAGE_ID: message_id,
        }
        if uid == MPPS:
            command[of[1]] = "1.2.3"
        else:
            command[CommandElement.PRIORITY] = 0
        data = b"" if data_set is None else data_set.to_bytes(IMPLICIT)
        pdvs = fragment(context_id, data, 16, is_command=False) if data else ()
        self.send(
            *command_pdus(command, context_id, has_data_set=bool(data)),
            *(PDataTf((pdv,)) for pdv in pdvs),
        )

    def answers(self) -> list[Any]:
        """All that comes until a request is answered; instances are stored meanwhile."""
        found: list[Any] = []
        while True:
            command, data_set = self.next_message()
            if command.command_field == CommandField.C_STORE_RQ:
                found.append(command.sop_instance_uid)
                self.answer(command)
                continue
            found.append((command.status, counts(command), data_set))
            if command.status != Status.PENDING:
                return found

    def dialogue(self) -> list[list[Any]]:
        """Use each service, and release; returns what came for each request.

        It ends early with what came before an A-ABORT.
        """
        found: list[list[Any]] = []
        fields = (
            CommandField.C_FIND_RQ,
            CommandField.C_GET_RQ,
            CommandField.N_CREATE_RQ,
            CommandField.N_SET_RQ,
            CommandField.C_ECHO_RQ,
        )
        for number, field in enumerate(fields, 1):
            if field == CommandField.C_GET_RQ:
                self.ask(number)
            else:
                self.request(field, number)
            found.append(self.answers())
        assert self.release() == ReleaseRp()
        return found


NO_COUNTS = (None, None, None, None)
HONEST = [
    [
        *((0xFF00, NO_COUNTS, match(n)) for n in range(3)),
        (0, NO_COUNTS, None),
    ],
    [
        *(
            part
            for n in range(3)
            for part in (f"1.2.{n}", (0xFF00, (2 - n, n + 1, 0, 0), None))
        ),
        (0, (None, 3, 0, 0), None),
    ],
    [(0, NO_COUNTS, STEP)],
    [(0x0106, NO_COUNTS, None)],
    [(0, NO_COUNTS, None)],
]  # fmt: skip


def failed_at(got: list[list[Any]]) -> int | None:
    """Which request failed with 0110H; fails the test if anything else is not as it should be."""
    failed = None
    for number, (answers, honest) in enumerate(zip(got, HONEST, strict=True)):
        if answers == honest:
            continue
        assert failed is None, got
        failed = number
        assert answers[:-1] == honest[: len(answers) - 1], got
        assert answers[-1][0] == Status.PROCESSING_FAILURE, got
    return failed


def dialogue_on(endpoint: Running) -> list[list[Any]]:
    with User.at(endpoint.port, more=MORE) as peer:
        return peer.dialogue()


def passes(point: str) -> int:
    """How often an honest dialogue passes the place."""
    handlers = Handlers()
    with running(handlers.table) as endpoint:
        crash_at(endpoint.ref, point, 1, after=10_000)
        assert dialogue_on(endpoint) == HONEST
        endpoint.wait_for(events.AssociationClosed)
        assert handlers.called == ["find", "get", "create", "set"]
        return 10_000 - passes_left(endpoint.ref, point)


@pytest.mark.parametrize("point", POINTS)
def test_p57_a_crash_at_every_step_costs_one_status_at_most(point: str) -> None:
    handlers = Handlers()
    with running(handlers.table) as endpoint:
        times = passes(point)
        assert times >= 1
        for step in range(times):
            handlers.called.clear()
            handlers.begun = handlers.closed = 0
            crash_at(endpoint.ref, point, after=step)
            failed = failed_at(dialogue_on(endpoint))
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert (closed.reason, closed.association.restarts) == ("released", 1), step
            # Nothing was asked for twice, and what succeeded was asked for once.
            assert len(set(handlers.called)) == len(handlers.called), step
            missing = [n for n, name in enumerate(["find", "get", "create", "set"])
                       if name not in handlers.called]  # fmt: skip
            assert missing in ([], [failed]), step
            assert handlers.begun == handlers.closed
        assert_healthy(endpoint.ref, associations=0, called="TEST")


LATE = ("association.reply", "association.replied", "association.outcome", "association.release")


@pytest.mark.parametrize("point", LATE)
def test_p57_once_a_handler_has_done_its_work_not_even_a_status_is_lost(point: str) -> None:
    with running(Handlers().table) as endpoint:
        for step in range(passes(point)):
            crash_at(endpoint.ref, point, after=step)
            assert dialogue_on(endpoint) == HONEST, step


# A handler that raises its failure has no outcome to crash at.
@pytest.mark.parametrize(("point", "times"), [("handler.begin", 4), ("handler.outcome", 3)])
def test_a_crash_around_a_handler_costs_its_status_alone(point: str, times: int) -> None:
    handlers = Handlers()
    with running(handlers.table) as endpoint:
        assert passes(point) == times
        for step in range(times):
            handlers.begun = handlers.closed = 0
            crash_at(endpoint.ref, point, after=step)
            assert failed_at(dialogue_on(endpoint)) == step
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert (closed.reason, closed.association.restarts) == ("released", 0)
            assert handlers.begun == handlers.closed
        assert_healthy(endpoint.ref, associations=0, called="TEST")


def test_a_crash_in_the_core_ends_the_connection_with_one_abort() -> None:
    handlers = Handlers()
    with running(handlers.table) as endpoint:
        for step in range(1, passes("association.core")):
            handlers.begun = handlers.closed = 0
            crash_at(endpoint.ref, "association.core", after=step)
            with User.at(endpoint.port, more=MORE) as peer:
                pdus = until_the_end(peer)
                assert pdus[-1] == Abort(2, 0), step
                assert peer.receive() is None
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert closed.reason == "aborted"
            assert_healthy(endpoint.ref, associations=0, echo=False)
            assert handlers.begun == handlers.closed
        assert dialogue_on(endpoint) == HONEST


def until_the_end(peer: User) -> list[Any]:
    """Begin a dialogue; returns what was read of the message that was cut, and the A-ABORT."""
    pdus: list[Any] = []
    receive = peer.receive

    def note() -> Any:
        pdus.append(receive())
        assert not isinstance(pdus[-1], Abort | None)
        return pdus[-1]

    peer.receive = note  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        peer.dialogue()
    peer.receive = receive  # type: ignore[method-assign]
    return pdus


def test_more_crashes_than_the_budget_close_what_is_pulled_from() -> None:
    handlers = Handlers()
    with running(handlers.table, connection_restarts=2) as endpoint:
        with User.at(endpoint.port, more=MORE) as peer:
            crash_at(endpoint.ref, "association.command", 3, after=1)
            peer.ask()
            peer.answer(peer.next_store())
            peer.expect_abort(2, 0)
        endpoint.wait_for(events.AssociationClosed)
        assert_healthy(endpoint.ref, associations=0, called="TEST")
        assert (handlers.begun, handlers.closed) == (1, 1)


# --- what handlers and their iterables do ----------------------------------------------------


class Oops(BaseException):
    """Derived from what nobody catches by mistake."""


def raising(kind: type[BaseException]) -> Callable[[], None]:
    def fault() -> None:
        raise kind("injected")

    return fault


KINDS = [RuntimeError, SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit, CancelledError,
         StopIteration, Oops]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_iterable_that_raises_fails_its_request_alone(kind: type[BaseException]) -> None:
    handlers = Handlers(raising(kind))
    with running(handlers.table) as endpoint:
        find, get, *rest = dialogue_on(endpoint)
        assert find == [*HONEST[0][:2], (0x0110, NO_COUNTS, None)]
        assert get == [*HONEST[1][:4], (0x0110, (None, 2, 0, 0), None)]
        assert rest == HONEST[2:]
        assert (handlers.begun, handlers.closed) == (2, 2)
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert (closed.reason, closed.association.restarts) == ("released", 0)
        assert_healthy(endpoint.ref, associations=0, called="TEST")


@pytest.mark.parametrize("kind", KINDS)
def test_cleaning_up_that_raises_fails_its_request_alone(kind: type[BaseException]) -> None:
    """The iterable is closed after its last item, and raises."""

    class Items:
        def __init__(self) -> None:
            self._items = iter([instance(1)])

        def __iter__(self) -> Items:
            return self

        def __next__(self) -> DataSet:
            return next(self._items)

        def close(self) -> None:
            raise kind("injected")

    handlers = {**Handlers().table, "cget": lambda e: Items(), "cfind": lambda e: Items()}
    with running(handlers) as endpoint:
        find, get, *rest = dialogue_on(endpoint)
        assert [answer[0] for answer in find] == [0xFF00, 0x0110]
        assert get[-1] == (0x0110, (None, 1, 0, 0), None)
        assert rest == HONEST[2:]
        assert_healthy(endpoint.ref, associations=0, called="TEST")


@pytest.mark.parametrize("nonsense", [None, 5, "1.2.3", b"", ("a", "b", "c"), object()])
def test_an_iterable_that_gives_nonsense(nonsense: Any) -> None:
    def items() -> Iterator[Any]:
        yield instance(0)
        yield nonsense

    handlers = {**Handlers().table, "cget": lambda e: items(), "cfind": lambda e: items()}
    with running(handlers) as endpoint:
        find, get, *rest = dialogue_on(endpoint)
        assert [answer[0] for answer in find] == [0xFF00, 0x0110]
        # An instance that cannot be read is one that failed; anything else is a fault.
        status = 0xB000 if isinstance(nonsense, str | bytes) else 0x0110
        assert get[-1][0] == status
        assert rest == HONEST[2:]
        assert_healthy(endpoint.ref, associations=0, called="TEST")


@pytest.mark.parametrize("service", ["find", "get"])
def test_an_iterable_that_hangs_is_given_up_and_fenced(service: str) -> None:
    gate = Gate()
    handlers = Handlers(gate)
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with (
        besieged(handlers.table, **settings) as siege,
        User.at(siege.port, more=MORE) as peer,
    ):
        if service == "get":
            peer.ask()
            for _ in range(2):
                peer.store_and_hear()
        else:
            peer.request(CommandField.C_FIND_RQ, 1)
            for _ in range(2):
                assert peer.next_message()[0].status == Status.PENDING
        gate.wait_until_entered()
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(60.0)
        siege.until(lambda: siege.record().requests[0].is_warned)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(5.0)
        command, _ = peer.next_message()
        assert command.status == Status.PROCESSING_FAILURE
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 1)
        gate.release()
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 0)
        # What it gave in the end went nowhere, and it was closed.
        peer.request(CommandField.N_CREATE_RQ, 2)
        assert peer.answers() == HONEST[2]
        assert (handlers.begun, handlers.closed) == (1, 1)


def test_a_handler_that_is_killed_while_it_waits_for_the_peer() -> None:
    handlers = Handlers()
    with running(handlers.table) as endpoint, User.at(endpoint.port, more=MORE) as peer:
        peer.ask(1)
        peer.store_and_hear()
        store = peer.next_store()
        (node,) = [n for n in endpoint.child("associations").children if "handler" in n.name]
        assert node.ref is not None
        kill(node.ref)
        assert peer.final()[0].status == Status.PROCESSING_FAILURE
        peer.answer(store)  # nobody waits for it any more
        peer.ask(2)
        assert peer.answers() == HONEST[1]
        peer.expect_released()
        endpoint.wait_for(events.AssociationClosed)
        assert_healthy(endpoint.ref, associations=0, called="TEST")
        assert (handlers.begun, handlers.closed) == (2, 2)


def test_an_endpoint_that_stops_in_the_middle_closes_what_is_pulled_from() -> None:
    handlers = Handlers()
    with running(handlers.table) as endpoint, User.at(endpoint.port, more=MORE) as peer:
        peer.ask()
        peer.next_store()
        endpoint.ref.stop(timeout=LIMIT)
        pdu = peer.receive()
        assert isinstance(pdu, Abort)
        assert (handlers.begun, handlers.closed) == (1, 1)
