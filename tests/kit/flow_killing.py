"""``dicom-actors serve`` with routes is killed while it receives and sends on, again and again.

Three destinations take what it sends: one is down for a while, one fails every third object, one is
slow. In the end each has each acknowledged object, once in effect, with the bytes that were sent;
no object of a study was there before the one that came before it; and the queue is empty. From the
top of the repository::

    PYTHONPATH=tests python -m kit.flow_killing --kills 100 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from kit.archive_objects import make_file, uid_of
from kit.endpoints import running
from kit.scp import free_port
from kit.serving import serving

from dicom_actors import Endpoint, connect, read_file
from dicom_actors.archive.visit import Visit
from dicom_actors.errors import DicomError, DimseFailure

SENDERS = 2
SIZES = (64, 9_000, 600_000)
LIMIT = 20.0
AT_THE_END = 120.0


class Destination:
    """Takes objects; what comes again with the same bytes is what was there.

    Args:
        name: what it is called.
        fails_every: how often it fails; 0: never.
        pause: seconds that it takes for each.
    """

    def __init__(self, name: str, fails_every: int = 0, pause: float = 0.0) -> None:
        self.name = name
        self.order: list[str] = []
        self.checksums: dict[str, bytes] = {}
        self.problems: list[str] = []
        self._fails_every = fails_every
        self._pause = pause
        self._count = 0
        self._lock = threading.Lock()

    def store(self, event: Any) -> None:
        """Take one, or fail."""
        checksum = sha256(event.data).digest()
        if self._pause:
            threading.Event().wait(self._pause)
        with self._lock:
            self._count += 1
            if self._fails_every and self._count % self._fails_every == 0:
                raise DimseFailure(0xA700, "every now and then")
            uid = event.sop_instance_uid
            if self.checksums.setdefault(uid, checksum) != checksum:
                self.problems.append(f"{self.name}: {uid} came with other bytes")
            if uid not in self.order:
                self.order.append(uid)


class Senders:
    """What was sent, and what of it is acknowledged, in order; a study for each sender."""

    def __init__(self) -> None:
        self.numbers = [0] * SENDERS
        self.acknowledged: list[list[int]] = [[] for _ in range(SENDERS)]

    def data(self, sender: int, number: int) -> bytes:
        """The bytes of an object."""
        return make_file(number, study=1 + sender, size=SIZES[number % len(SIZES)])

    def work(self, port: int, sender: int) -> None:
        """Send until the process is gone; what is not acknowledged is sent again."""
        with contextlib.suppress(DicomError, OSError), connect("127.0.0.1", port) as association:
            while True:
                number = self.numbers[sender] + 1
                if association.store(self.data(sender, number)).status == 0:
                    self.acknowledged[sender].append(number)
                    self.numbers[sender] = number

    def count(self) -> int:
        """How many are acknowledged."""
        return sum(map(len, self.acknowledged))


CONFIGURATION = """
[archive]
study_quiet_seconds = 3600
[peers.away]
address = "AWAY@127.0.0.1:{away}"
[peers.fails]
address = "FAILS@127.0.0.1:{fails}"
[peers.slow]
address = "SLOW@127.0.0.1:{slow}"
[[route]]
name = "all"
actions = [{{ send = "away" }}, {{ send = "fails" }}, {{ send = "slow" }}]
[destinations.away]
first_pause = 0.05
longest_pause = 0.5
[destinations.fails]
first_pause = 0.02
longest_pause = 0.1
[destinations.slow]
first_pause = 0.05
longest_pause = 0.5
batch = 8
"""


def kill_once(arguments: list[str], senders: Senders, chance: random.Random) -> None:
    """Serve, send, and kill at some instant."""
    with serving(*arguments) as server, ThreadPoolExecutor(SENDERS) as pool:
        for sender in range(SENDERS):
            pool.submit(senders.work, server.port, sender)
        server.process.stdout.close()  # nobody reads it
        wanted = senders.count() + chance.choice((0, 1, 5, 20))
        limit = time.monotonic() + LIMIT
        while senders.count() < wanted and time.monotonic() < limit:
            threading.Event().wait(0.01)
        threading.Event().wait(chance.uniform(0.0, 0.2))
        server.process.kill()


def wait_until_empty(folder: Path) -> list[str]:
    """Wait until nothing is queued any more; returns what is left."""
    limit = time.monotonic() + AT_THE_END
    while True:
        with Visit(folder) as archive:
            queues = archive.queues()
        left = [queue for queue in queues if queue.waiting or queue.set_aside]
        if not left or time.monotonic() > limit:
            return [f"left in the queue: {queue}" for queue in left]
        threading.Event().wait(0.1)


def problems_of(destination: Destination, senders: Senders) -> list[str]:
    """Say what a destination has not, has too much, or has in a wrong order."""
    found = list(destination.problems)
    for sender in range(SENDERS):
        prefix = f"1.2.{1 + sender}."
        got = [int(uid.rpartition(".")[2]) for uid in destination.order if uid.startswith(prefix)]
        if got != sorted(got):
            found.append(f"{destination.name}: study {1 + sender} was overtaken: {got}")
        lost = set(senders.acknowledged[sender]) - set(got)
        if lost:
            found.append(f"{destination.name}: {sorted(lost)} of study {1 + sender} are lost")
        for number in senders.acknowledged[sender]:
            data = read_file(senders.data(sender, number)).to_bytes()
            uid = uid_of(number, 1 + sender)
            if destination.checksums.get(uid) not in {None, sha256(data).digest()}:
                found.append(f"{destination.name}: {uid} has other bytes")
    return found


def run(folder: Path, kills: int, seed: int) -> tuple[int, list[str]]:
    """Kill so many times; returns how many objects were acknowledged, and what was wrong."""
    chance = random.Random(seed)
    away, fails, slow = (
        Destination("away"),
        Destination("fails", fails_every=3),
        Destination("slow", pause=0.01),
    )
    port_of_away = free_port()
    senders = Senders()
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(running({"cstore": one.store})) for one in (fails, slow)]
        config = folder / "config.toml"
        ports = {"away": port_of_away, "fails": ends[0].port, "slow": ends[1].port}
        config.write_text(CONFIGURATION.format(**ports))
        arguments = ["--store", str(folder / "archive"), "--config", str(config)]
        for number in range(kills):
            if number == kills // 2:
                endpoint = Endpoint.start(
                    port_of_away, host="127.0.0.1", event_handlers={"cstore": away.store}
                )
                stack.callback(endpoint.stop)
            kill_once(arguments, senders, chance)
        with serving(*arguments) as server:
            problems = wait_until_empty(folder / "archive")
            server.stop()
    for destination in (away, fails, slow):
        problems += problems_of(destination, senders)
    return senders.count(), problems


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        acknowledged, problems = run(Path(name), options.kills, options.seed)
    print(
        f"{options.kills} kills, {acknowledged} objects acknowledged,"
        f" {len(problems)} problems, {time.monotonic() - begun:.0f} s"
    )
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
