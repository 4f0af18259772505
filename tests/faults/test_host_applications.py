"""What a host application does wrong is its own fault and nobody else's.

Junk to the front door, subscribers that are full, handlers that are actors and exit, handlers whose
peer is gone.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.endpoints import LIMIT, Running, running
from kit.gate import Gate
from kit.peer import Peer, store_pdus
from kit.siege import besieged
from kit.waiting import until

from dicom_actors import Endpoint, events, messages
from dicom_actors.errors import TransportError
from dicom_actors.supervision import ManualClock, System, kill
from dicom_actors.testing import assert_healthy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


class Raising:
    """Raises whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return Raising
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("iter")


class Exiting(dict[str, Any]):
    """Wants to end whoever looks at it."""

    def __iter__(self) -> Iterator[Any]:
        raise SystemExit

    def items(self) -> Any:
        raise KeyboardInterrupt

    def __repr__(self) -> str:
        raise GeneratorExit


class Nameless:
    """Wants to end whoever asks of what class it is."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


JUNK = [
    None, True, -1, 1.5, float("nan"), float("inf"), 10**30, "x", b"x", [1], [()], ("cstore",),
    {"cstore"}, {1: 2}, {"cstore": 1}, [("cstore",)], [("cstore", print, 1)], object(), object,
    Raising(), Exiting(), Nameless(), "", b"", 10**400, lambda: None,
]  # fmt: skip

MADE_OF_JUNK = [
    messages.Subscribe,
    messages.Unsubscribe,
    messages.SetHandlers,
    messages.SetLimits,
    messages.SetTls,
    messages.Drain,
    messages.AbortAssociation,
]


def is_fine(kind: Any, junk: Any) -> bool:
    """Whether it is no junk for that message, by chance."""
    if kind is messages.AbortAssociation:
        return type(junk) is int  # there is none of that number
    if kind is messages.Drain:
        return (type(junk) is int and 0 <= junk < 10**300) or (type(junk) is float and junk == 1.5)
    return kind is messages.SetLimits and junk is None


@pytest.fixture
def endpoint() -> Iterator[Running]:
    with running({"cstore": lambda event: None}) as endpoint:
        yield endpoint


@pytest.mark.parametrize("kind", MADE_OF_JUNK)
@pytest.mark.parametrize("number", range(len(JUNK)))
def test_junk_is_an_error_of_the_sender_alone(endpoint: Running, kind: Any, number: int) -> None:
    junk = JUNK[number]
    root, door = endpoint.ref.life.thread, endpoint.child("endpoint").ref
    if is_fine(kind, junk):
        endpoint.ref.ask(kind(junk), timeout=LIMIT)
        endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
    else:
        with pytest.raises((ValueError, TypeError)):
            endpoint.ref.ask(kind(junk), timeout=LIMIT)
    assert endpoint.ref.life.thread is root
    assert endpoint.child("endpoint").ref is door
    assert endpoint.status().state == "running"


@pytest.mark.parametrize("number", range(len(JUNK)))
def test_what_is_no_message_is_an_error_of_the_sender_alone(endpoint: Running, number: int) -> None:
    door = endpoint.child("endpoint").ref
    with pytest.raises(TypeError):
        endpoint.ref.ask(JUNK[number], timeout=LIMIT)
    endpoint.ref.tell(JUNK[number])
    assert endpoint.status().state == "running"
    assert endpoint.child("endpoint").ref is door


def test_a_front_door_that_crashes_is_replaced_and_the_ref_stays_valid() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        ref = endpoint.ref
        for _ in range(3):
            kill(endpoint.child("endpoint").ref)
            assert endpoint.status().state == "running"
            assert peer.echo() == 0
        assert endpoint.ref is ref
        assert_healthy(ref, associations=1)


# --- subscribers -----------------------------------------------------------------------------


class Full(pykka.ThreadingActor):
    """A subscriber whose inbox is bounded, and who takes nothing out of it."""

    use_daemon_thread = True

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.seen = 0

    @staticmethod
    def _create_actor_inbox() -> Any:
        return queue.Queue(maxsize=5)

    def on_receive(self, message: Any) -> None:
        self.gate()
        self.seen += 1


def test_a_subscriber_whose_inbox_is_full_costs_the_endpoint_nothing() -> None:
    gate = Gate()
    full = Full.start(gate)
    try:
        with running({"cstore": lambda event: None}) as endpoint:
            bus = endpoint.child("event bus").ref
            endpoint.ref.ask(messages.Subscribe(full), timeout=LIMIT)
            for _ in range(20):
                with Peer.associated(endpoint.port) as peer:
                    assert peer.store(b"") == 0
                    peer.expect_released()
            endpoint.wait_for(events.AssociationClosed, 20)  # who has room gets all
            assert endpoint.child("event bus").ref is bus
            assert_healthy(endpoint.ref)
    finally:
        gate.release()
        full.stop(timeout=LIMIT)


class Unputtable(queue.Queue[Any]):
    """An inbox that raises when it is put into, but for what ends its actor."""

    def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
        if "Stop" not in repr(item):
            raise SystemExit
        super().put(item, *args, **kwargs)


class Uncounted(queue.Queue[Any]):
    """An inbox that raises when it is asked how much waits in it."""

    def qsize(self) -> int:
        raise SystemExit


@pytest.mark.parametrize("inbox", [Unputtable, Uncounted])
def test_a_subscriber_whose_inbox_raises_costs_the_endpoint_nothing(inbox: Any) -> None:
    class Subscriber(pykka.ThreadingActor):
        use_daemon_thread = True

        @staticmethod
        def _create_actor_inbox() -> Any:
            return inbox()

    subscriber = Subscriber.start()
    try:
        with running() as endpoint:
            bus = endpoint.child("event bus").ref
            endpoint.ref.ask(messages.Subscribe(subscriber), timeout=LIMIT)
            for _ in range(15):
                with Peer.associated(endpoint.port) as peer:
                    peer.expect_released()
            endpoint.wait_for(events.AssociationClosed, 15)
            assert endpoint.child("event bus").ref is bus
            assert_healthy(endpoint.ref)
    finally:
        subscriber.stop(timeout=LIMIT)


# --- handlers that are actors ----------------------------------------------------------------


@pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_hosts_actor_that_exits_ends_none_of_ours(fault: type[BaseException]) -> None:
    class Exiting(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: Any) -> None:
            raise fault("injected")

    for role in ("handler", "subscriber"):
        exiting = Exiting.start()
        with running({"cstore": exiting if role == "handler" else lambda event: None}) as endpoint:
            with Peer.associated(endpoint.port) as peer:
                if role == "subscriber":
                    endpoint.ref.ask(messages.Subscribe(exiting), timeout=LIMIT)
                    assert peer.store(b"") == 0
                else:
                    assert peer.store(b"") == 0x0110
                until(partial(lambda actor: not actor.is_alive(), exiting))
                # pykka has stopped all its actors by now, the events' recipient among them.
                assert peer.echo(2) == 0
            assert_healthy(endpoint.ref)


# --- handlers whose peer is gone -------------------------------------------------------------


def test_healthy_handlers_of_peers_that_gave_up_are_no_reason_to_refuse_others() -> None:
    gate = Gate()
    with running({"cstore": gate}, max_disowned_handlers=3, handler_grace=0.0) as endpoint:
        for number in range(10):
            with Peer.associated(endpoint.port) as peer:
                peer.send(*store_pdus(b"", number + 1))
                gate.wait_until_entered()
        endpoint.wait_for(events.AssociationClosed, 10)
        assert endpoint.status().disowned_handlers == 0
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0
        gate.release()
        assert_healthy(endpoint.ref, associations=0)


def test_a_handler_whose_peer_is_gone_is_given_up_at_its_deadline() -> None:
    gate = Gate()
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with besieged({"cstore": gate}, **settings) as siege:
        with siege.associated() as peer:
            from kit import wire

            peer.send(wire.store())
            gate.wait_until_entered()
            siege.sync(f"association {siege.record().id}")
        siege.closed()
        siege.clock.advance(64.0)
        assert siege.endpoint.status().disowned_handlers == 0
        siege.clock.advance(1.1)
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 1)
        gate.release()
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 0)


def test_the_idle_timeout_counts_after_a_handler_was_given_up() -> None:
    gate = Gate()
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0, "idle_timeout": 600.0}
    with contextlib.closing(System(clock=(clock := ManualClock()))) as system:
        with running({"cstore": gate}, system=system, **settings) as endpoint:
            with Peer.associated(endpoint.port) as peer:
                peer.send(*store_pdus(b"", 1))
                gate.wait_until_entered()
                (info,) = endpoint.associations()
                until(lambda: [c for c in endpoint.child("associations").children
                               if c.name == f"handler of connection {info.id}"])  # fmt: skip
                clock.advance(60.0)
                answered = threading.Thread(target=lambda: statuses.append(peer.status()))
                statuses: list[int] = []
                answered.start()
                while answered.is_alive():
                    clock.advance(0.5)
                    answered.join(0.01)
                assert statuses == [0x0110]
                # The clock may have gone some seconds on between the answer and our seeing it.
                clock.advance(500.0)
                assert len(endpoint.associations()) == 1
                # Nor does the time run before the association has seen that it has answered.
                aborted = threading.Thread(target=peer.expect_abort, args=(2, 0))
                aborted.start()
                while aborted.is_alive():
                    clock.advance(106.0)
                    aborted.join(0.01)
            gate.release()
            until(lambda: endpoint.status().disowned_handlers == 0)


def test_no_more_handlers_run_at_a_time_than_may() -> None:
    gate = Gate()
    with running({"cstore": gate}, max_handlers=2, handler_timeout=None) as endpoint:
        peers = [Peer.associated(endpoint.port) for _ in range(4)]
        for peer in peers:
            peer.send(*store_pdus(b"", 1))
        endpoint.wait_for(events.LimitReached)
        tree = endpoint.child("associations").children
        assert len([c for c in tree if c.name.startswith("handler ")]) <= 2
        gate.release()
        for peer in peers:
            assert peer.status() == 0
            peer.close()
        assert_healthy(endpoint.ref)


# --- starting and stopping -------------------------------------------------------------------


def test_a_start_that_fails_keeps_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    from dicom_actors.actors.endpoint.listener import Listener

    def init(_: Any) -> None:
        raise RuntimeError("injected")

    with running() as endpoint:
        port = endpoint.port
    with monkeypatch.context() as patch:
        patch.setattr(Listener, "init", init)
        with pytest.raises(Exception, match="injected"):
            Endpoint.start(port, host="127.0.0.1")
    ref = Endpoint.start(port, host="127.0.0.1")
    ref.stop(timeout=LIMIT)


def test_a_resume_that_fails_stays_suspended_and_the_next_one_works() -> None:
    import socket

    with running() as endpoint:
        endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
        with socket.create_server(("127.0.0.1", endpoint.port)):
            with pytest.raises(TransportError):
                endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
            assert endpoint.status().state == "suspended"
        endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0
        assert_healthy(endpoint.ref)


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from(
            ["suspend", "resume", "abort", "limits", "handlers", "junk", "kill door", "kill bus",
             "kill listener", "kill watcher", "echo", "store"]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_hosts_and_peers_do_the_tree_is_healthy_after_it(steps: list[str]) -> None:
    with running({"cstore": lambda event: None}) as endpoint:
        ref = endpoint.ref
        for step in steps:
            match step.split():
                case ["suspend"]:
                    ref.ask(messages.Suspend(), timeout=LIMIT)
                case ["resume"]:
                    ref.ask(messages.Resume(), timeout=LIMIT)
                case ["abort"]:
                    for info in endpoint.associations():
                        ref.ask(messages.AbortAssociation(info.id), timeout=LIMIT)
                case ["limits"]:
                    ref.ask(messages.SetLimits(5, 5), timeout=LIMIT)
                case ["handlers"]:
                    ref.ask(messages.SetHandlers({"cstore": lambda event: 0xB000}), timeout=LIMIT)
                case ["junk"]:
                    with pytest.raises(TypeError):
                        ref.ask(messages.Subscribe(None), timeout=LIMIT)  # type: ignore[arg-type]
                case ["kill", name]:
                    name = {"door": "endpoint", "bus": "event bus"}.get(name, name)
                    victim = endpoint.child(name).ref
                    if victim is not None:
                        kill(victim)
                case [what]:
                    if endpoint.status().state == "running":
                        with Peer.associated(endpoint.port) as peer:
                            answer = peer.echo() if what == "echo" else peer.store(b"")
                            assert answer in {0, 0xB000}
        ref.ask(messages.Resume(), timeout=LIMIT)
        until(lambda: not endpoint.associations())
        assert_healthy(ref, associations=0)
