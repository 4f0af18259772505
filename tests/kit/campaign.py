"""Thousands of injected faults of all kinds among honest senders.

Which faults and in which order, and what each of them does, is drawn from a seed; how they meet
the senders is not. From the top of the repository::

    PYTHONPATH=tests python -m kit.campaign --faults 10000 --seed 1
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import logging
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import wire
from kit.endpoints import LIMIT, Running, running
from kit.honest import HonestSender, Pynetdicom, Querier, Storescu, instances, matches
from kit.peer import CT_IMAGE

from dicom_actors import DataSet, Endpoint, messages, read_file, write_file
from dicom_actors.actors.handlers.operation_events import CreateEvent, FindEvent, GetEvent
from dicom_actors.supervision import ExitReason, Report, Started, System, kill, request_exit
from dicom_actors.testing import (
    CRASH_POINTS,
    Corrupt,
    Cut,
    Delay,
    Fault,
    FaultyHandler,
    FaultyProxy,
    HostilePeer,
    Stall,
    assert_healthy,
    crash_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: dict[str, Any] = {
    "ae_title": "TEST",
    "artim_timeout": 3.0,
    "pdu_timeout": 3.0,
    "idle_timeout": 20.0,
    "dimse_timeout": 5.0,
    "write_timeout": 3.0,
    "handler_timeout": 0.3,
    "handler_grace": 0.1,
    "max_disowned_handlers": 100,
    "spool_bytes": 8_000,
    "max_object_bytes": 400_000,
}
SERVICES = ("cstore", "cfind", "cget", "ncreate")
HANDLER_FAULTS = [fault for fault in Fault if fault is not Fault.RECURSE]
IN_THE_TREE = {"listener.accept", "listener.hand_over", "event_bus.deliver"}
QUESTIONS = (
    (5, 0x0020, b"1.2.840.10008.5.1.4.1.2.2.1"),
    (7, 0x0010, b"1.2.840.10008.5.1.4.1.2.2.3"),
    (9, 0x0140, b"1.2.840.10008.3.1.2.3.3"),
)
"""Presentation contexts, C-FIND, C-GET and N-CREATE, and their SOP classes."""
PROPOSED = (
    wire.item(0x10, wire.APPLICATION_CONTEXT)
    + wire.CONTEXTS
    + b"".join(wire.context(number, sop_class) for number, _, sop_class in QUESTIONS)
    + wire.user_information(wire.role(wire.CT_IMAGE, scu=True, scp=True))
)
STUDY = b"\x08\0\x52\0\x06\0\0\0STUDY "
ECHO = wire.p_data(wire.pdv(wire.echo_rq()))
MAX_HANGING = 40
"""Handlers that may hang at a time; SETTINGS says beyond how many nobody is accepted any more."""
TREE_CRASHES_AT_ONCE = 4
TREE_PERIOD = 6.0
"""The tree as a whole bears 10 crashes of its parts in 10 s; beyond that it rightly gives up."""


class Campaign:
    """One run.

    Args:
        faults: how many.
        seed: of all that is drawn.
        folder: where the objects are kept; must be empty.
        senders: how many of each kind.
    """

    def __init__(self, faults: int, seed: int, folder: Path, senders: int = 4) -> None:
        self.faults = faults
        self.seed = seed
        self.random = random.Random(seed)
        self.folder = folder
        self.senders_of_each = senders
        self.counts: collections.Counter[str] = collections.Counter()
        self.senders: list[HonestSender] = []
        self.queriers: list[Querier] = []
        self.reports: collections.deque[str] = collections.deque(maxlen=30)
        self._tree_crashes: collections.deque[float] = collections.deque()
        self._pause = threading.Event()
        self._due: collections.deque[Fault] = collections.deque()
        for name in ("kept", "hostile", "spool", "files"):
            (folder / name).mkdir()

    def run(self) -> None:
        """Inject the faults, wait for the senders, and look at what is left.

        Raises:
            AssertionError: something is wrong.
        """
        handler = FaultyHandler(self._handle, faults=self._next_handler_fault)
        spool = self.folder / "spool"
        with (
            contextlib.closing(System(reports=self._note_report)) as system,
            handler,
            running(
                dict.fromkeys(SERVICES, handler), system=system, spool_directory=spool, **SETTINGS
            ) as endpoint,
        ):
            for number in range(self.senders_of_each):
                for kind in (Storescu, Pynetdicom):
                    name = f"HONEST-{kind.__name__[0]}{number}"
                    self.senders.append(kind(name, endpoint.port, self._files(name)))
                self.queriers.append(Querier(f"QUERIER-{number}", endpoint.port))
            for sender in (*self.senders, *self.queriers):
                sender.start()
            kinds = self._kinds(endpoint)
            names = self.random.choices(list(kinds), WEIGHTS, k=self.faults)
            plan = collections.deque(enumerate(names))
            while plan:
                number, name = plan.popleft()
                if name in LIMITED and not self._may_hurt_the_tree():
                    plan.append((number, name))
                    if all(left in LIMITED for _, left in plan):
                        self._pause.wait(0.1)
                    continue
                self.random = random.Random(f"{self.seed}/{number}")
                with contextlib.suppress(OSError, AssertionError):  # what a peer may run into
                    kinds[name]()
                self.counts[name] += 1
                if handler.hanging > MAX_HANGING:
                    handler.release(for_good=False)
            self._due.clear()
            for point in CRASH_POINTS:
                crash_at(endpoint.ref, point, 0)
            for sender in (*self.senders, *self.queriers):
                sender.is_enough.set()
            for sender in (*self.senders, *self.queriers):
                sender.join(180)
            handler.release()
            assert_healthy(endpoint.ref, associations=0, timeout=60)
            self._check()

    def _note_report(self, report: Report) -> None:
        if not isinstance(report, Started) and report.supervisor.actor_class is Endpoint:
            self.reports.append(f"{time.monotonic():.3f} {report}"[:300])

    def _check(self) -> None:
        everybody = (*self.senders, *self.queriers)
        assert [sender.name for sender in everybody if sender.is_alive()] == []
        failures = [failure for sender in everybody for failure in sender.failures]
        assert not failures, failures
        for sender in self.senders:
            for path, is_success in sender.answers.items():
                kept = self.folder / "kept" / path.name
                if is_success:
                    sent, got = read_file(path), read_file(kept)
                    assert got.to_bytes() == sent.to_bytes(), path
        assert list((self.folder / "spool").iterdir()) == []
        for name in ("kept", "hostile"):
            assert list((self.folder / name).glob(".*")) == []

    def summary(self) -> str:
        """What was done, in a few lines."""
        answers = [answer for sender in self.senders for answer in sender.answers.values()]
        associations = sum(sender.attempts for sender in self.senders)
        lines = [f"{count:6} {name}" for name, count in sorted(self.counts.items())]
        lines.append(f"{sum(self.counts.values()):6} faults")
        lines.append(
            f"{len(answers):6} honest objects on {associations} associations: {sum(answers)} "
            f"Success, {len(answers) - sum(answers)} failure statuses"
        )
        answered, failed, lost = (
            sum(getattr(querier, name) for querier in self.queriers)
            for name in ("answered", "failed", "lost")
        )
        lines.append(
            f"{answered + failed:6} honest questions: {answered} answered, {failed} failure "
            f"statuses; {lost} associations lost"
        )
        return "\n".join(lines)

    # --- honest objects ----------------------------------------------------------------------

    def _files(self, sender: str) -> Iterator[Path]:
        source = random.Random(sender)
        for number in itertools.count(1):
            uid = f"1.2.826.0.1.{source.getrandbits(60)}.{number}"
            data = DataSet.from_keywords(
                SOPClassUID=CT_IMAGE,
                SOPInstanceUID=uid,
                PatientID=sender,
                PixelData=source.randbytes(2 * source.randrange(20_000)),
            )
            path = self.folder / "files" / f"{uid}.dcm"
            write_file(path, data)
            yield path

    def _handle(self, event: Any) -> Any:
        match event:
            case FindEvent():
                return matches()
            case GetEvent():
                return instances()
            case CreateEvent():
                return event.dataset and event.dataset.copy()
        return self._store(event)

    def _store(self, event: Any) -> None:
        honest = event.association.calling_ae_title.startswith("HONEST")
        event.save(self.folder / ("kept" if honest else "hostile"))

    def _next_handler_fault(self, _number: int) -> Fault | None:
        try:
            return self._due.popleft()
        except IndexError:
            return None

    # --- faults ------------------------------------------------------------------------------

    def _kinds(self, endpoint: Running) -> dict[str, Callable[[], None]]:
        port = endpoint.port
        return {
            "handlers that fail": self._fail_a_handler,
            "crash points": lambda: self._crash(endpoint),
            "garbage": lambda: self._garbage(port),
            "edited dialogues": lambda: self._edited(port),
            "dialogues cut short": lambda: self._cut_short(port),
            "bad lines": lambda: self._bad_line(port),
            "connections that say nothing": lambda: HostilePeer.connect(port).close(),
            "aborts by the host": lambda: self._abort(endpoint),
            "handlers killed": lambda: self._kill_a_handler(endpoint),
            "crash points in the tree": lambda: self._crash_in_the_tree(endpoint),
            "parts of the tree killed": lambda: self._kill_in_the_tree(endpoint),
        }

    def _fail_a_handler(self) -> None:
        self._due.append(self.random.choice(HANDLER_FAULTS))

    def _crash(self, endpoint: Running) -> None:
        point = self.random.choice(sorted(CRASH_POINTS - IN_THE_TREE))
        crash_at(endpoint.ref, point, after=self.random.randrange(4))

    def _crash_in_the_tree(self, endpoint: Running) -> None:
        crash_at(endpoint.ref, self.random.choice(sorted(IN_THE_TREE)))

    def _may_hurt_the_tree(self) -> bool:
        now = time.monotonic()
        while self._tree_crashes and now - self._tree_crashes[0] > TREE_PERIOD:
            self._tree_crashes.popleft()
        if len(self._tree_crashes) >= TREE_CRASHES_AT_ONCE:
            return False
        self._tree_crashes.append(now)
        return True

    def _garbage(self, port: int) -> None:
        with HostilePeer.connect(port) as peer:
            peer.send(self.random.randbytes(self.random.randrange(1, 3_000)))
            self._leave(peer)

    def _dialogue(self) -> bytes:
        parts = [wire.associate_rq(PROPOSED, called=b"TEST", calling=b"HOSTILE")]
        for number in range(1, self.random.randrange(2, 6)):
            uid = b"1.2.3.%d" % self.random.getrandbits(40)
            data = self.random.randbytes(2 * self.random.randrange(8_000))
            parts += [wire.store(number, data, uid), ECHO][: self.random.randrange(1, 3)]
            context, field, sop_class = self.random.choice(QUESTIONS)
            if self.random.random() < 0.5:
                command = wire.query_rq(field, sop_class, 100 + number, uid)
                pdvs = wire.pdv(command, context), wire.pdv(STUDY, context, command=False)
                parts.append(wire.p_data(*pdvs))
            if self.random.random() < 0.5:  # whether or not it was asked
                parts.append(wire.p_data(wire.pdv(wire.store_rsp(number), 3)))
            if self.random.random() < 0.2:
                parts.append(wire.p_data(wire.pdv(wire.cancel_rq(100 + number), context)))
        return b"".join([*parts, wire.RELEASE_RQ])

    def _edited(self, port: int) -> None:
        data = bytearray(self._dialogue())
        for _ in range(self.random.randrange(1, 5)):
            place = self.random.randrange(len(data))
            data[place] = self.random.getrandbits(8)
        if self.random.random() < 0.3:
            del data[self.random.randrange(len(data)) :][: self.random.randrange(1, 20)]
        with HostilePeer.connect(port) as peer:
            peer.send(bytes(data))
            self._leave(peer)

    def _cut_short(self, port: int) -> None:
        data = self._dialogue()
        with HostilePeer.connect(port) as peer:
            peer.send(data[: self.random.randrange(1, len(data))])
            self._leave(peer)

    def _bad_line(self, port: int) -> None:
        draw = self.random.randrange
        faults = [Cut(draw(20_000), reset=bool(draw(2))), Corrupt(draw(20_000)), Stall(draw(9_000)),
                  Delay(draw(20) / 1000)]  # fmt: skip
        drawn = self.random.sample(faults, draw(1, 4))
        way = self.random.choice(["to_server", "to_client"])
        with FaultyProxy(port, **{way: drawn}) as proxy, HostilePeer.connect(proxy.port) as peer:
            peer.send(self._dialogue())
            self._leave(peer)

    def _leave(self, peer: HostilePeer) -> None:
        """Go in one of the ways that there are."""
        match self.random.randrange(4):
            case 0:
                peer.reset()
            case 1:
                peer.stop_sending()
                peer.socket.settimeout(0.02)
                peer.socket.recv(100)
            case 2:
                peer.socket.settimeout(0.05)
                while peer.receive_bytes():
                    pass
            case _:
                pass

    def _abort(self, endpoint: Running) -> None:
        associations = endpoint.associations()
        if associations:
            chosen = self.random.choice(associations)
            endpoint.ref.ask(messages.AbortAssociation(chosen.id), timeout=LIMIT)

    def _kill_a_handler(self, endpoint: Running) -> None:
        tree = endpoint.child("associations").children
        refs = [node.ref for node in tree if node.name.startswith("handler") and node.ref]
        if refs:
            self._end(self.random.choice(refs))

    def _kill_in_the_tree(self, endpoint: Running) -> None:
        self._end(endpoint.child(self.random.choice(["listener", "event bus", "associations"])).ref)

    def _end(self, ref: Any) -> None:
        if ref is None:
            return
        if self.random.random() < 0.5:
            kill(ref)
        else:
            request_exit(ref, ExitReason.error(RuntimeError("injected")))


WEIGHTS = (30, 20, 12, 15, 8, 5, 5, 3, 2, 0.5, 0.5)
LIMITED = {"crash points in the tree", "parts of the tree killed"}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--senders", type=int, default=4, help="of each kind")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    threads = threading.active_count()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(arguments.faults, arguments.seed, Path(folder), arguments.senders)
        try:
            campaign.run()
        finally:
            print(campaign.summary())
            print("what the Endpoint reported last:", *campaign.reports, sep="\n       ")
    print(f"{time.monotonic() - began:6.0f} seconds, threads left over: "
          f"{threading.active_count() - threads}")  # fmt: skip


if __name__ == "__main__":
    main()
