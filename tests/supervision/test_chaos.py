"""Many threads start, ask, crash and kill at once; every question is answered, nothing is left.

The order of events differs from run to run; what is asserted holds for every order.
"""

from __future__ import annotations

import contextlib
import random
import threading
from functools import partial

import pykka
import pytest
from supervision.kit import LIMIT, Journal, Script, Worker, raise_error, sync, worker

from dicom_actors.supervision import (
    CallError,
    ChildSpec,
    ChildType,
    DynamicSupervisor,
    Restart,
    SocketInbox,
    Strategy,
    Supervisor,
    call,
    cast,
    demonitor,
    kill,
    monitor,
    request_exit,
    start_child,
    terminate_child,
    which_children,
)

ANSWERS = (pykka.ActorDeadError, CallError)


class Chaos:
    """One thread's share of the trouble."""

    def __init__(self, seed, tree, downs):
        self.random = random.Random(seed)
        self.tree = tree
        self.downs = downs
        self.expected = set()
        self.unexpected = set()
        self.failure = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for _ in range(150):
                self.step()
        except BaseException as error:
            self.failure = error

    def step(self):
        supervisor = self.random.choice(self.tree)
        try:
            refs = [info.ref for info in which_children(supervisor, timeout=LIMIT) if info.ref]
        except ANSWERS:
            return
        if not refs or self.random.random() < 0.2:
            self.start(supervisor)
            return
        ref = self.random.choice(refs)
        act = self.random.choice(
            [self.ask, self.ask, self.crash, self.end, self.kill, self.watch, self.terminate]
        )
        with contextlib.suppress(*ANSWERS):
            act(supervisor, ref)

    def start(self, supervisor):
        script = Script(*self.random.choices(["ok", "ok", "raise", "ignore"], k=3))
        restart = self.random.choice(list(Restart))
        spec = worker(str(self.random.random()), script=script, spec={"restart": restart})
        with contextlib.suppress(*ANSWERS):
            start_child(supervisor, spec, timeout=LIMIT)

    def ask(self, supervisor, ref):
        assert call(ref, "hello", timeout=LIMIT) == "hello"

    def crash(self, supervisor, ref):
        if self.random.random() < 0.5:
            cast(ref, raise_error)
        else:
            call(ref, raise_error, timeout=LIMIT)

    def end(self, supervisor, ref):
        request_exit(ref, self.random.choice(["why", None]))

    def kill(self, supervisor, ref):
        kill(ref)

    def watch(self, supervisor, ref):
        handle = monitor(ref, self.downs.add)
        if self.random.random() < 0.8:
            self.expected.add(handle)
        elif demonitor(handle):
            self.unexpected.add(handle)

    def terminate(self, supervisor, ref):
        for info in which_children(supervisor, timeout=LIMIT):
            if info.ref is ref:
                key = ref if supervisor.actor_class is DynamicSupervisor else info.id
                terminate_child(supervisor, key, timeout=LIMIT)


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("seed", range(5))
def test_every_question_is_answered_and_nothing_is_left(system, seed):
    class WithSockets(Worker):
        def create_inbox(self):
            return SocketInbox()

    specs = [
        worker("static", spec={"restart": Restart.PERMANENT}),
        ChildSpec("sockets", WithSockets.start),
    ]
    top = Supervisor.start(
        [
            ChildSpec(
                strategy.value,
                partial(Supervisor.start, specs, strategy=strategy, intensity=10_000),
                type=ChildType.SUPERVISOR,
            )
            for strategy in Strategy
        ]
        + [
            ChildSpec(
                "dynamic",
                partial(DynamicSupervisor.start, intensity=10_000),
                type=ChildType.SUPERVISOR,
            )
        ],
        system=system,
    )
    tree = [info.ref for info in which_children(top)]
    downs = Journal()
    trouble = [Chaos(10 * seed + number, tree, downs) for number in range(4)]
    for one in trouble:
        one.thread.join(10 * LIMIT)
        assert one.failure is None
    for supervisor in tree:
        sync(supervisor)
        assert supervisor.is_alive()
    top.stop(timeout=LIMIT)
    heard = [down.handle for (down,) in downs.entries]
    assert len(heard) == len(set(heard))
    for one in trouble:
        assert one.expected <= set(heard)
        assert not one.unexpected & set(heard)
