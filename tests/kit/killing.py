"""``dicom-actors serve`` is killed while senders send to it, again and again.

After each kill it is started again, and whatever a sender saw Success for must be there: found by
C-FIND, given back by C-GET, with the bytes that were sent, and once all has its place, whole in a
file of that name. From the top of the repository::

    PYTHONPATH=tests python -m kit.killing --kills 200 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pykka
from kit.archive_objects import make_file, uid_of
from kit.serving import Server, serving

from dicom_actors import connect, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.events import StudyComplete
from dicom_actors.errors import DicomError

SENDERS = 4
NODES = 3
SENDERS_OF_NODES = 8
SIZES = (64, 9_000, 200_000, 600_000)
LONGEST = 0.2
"""Seconds, at the most, from when so many are acknowledged to the kill."""
LIMIT = 20.0


@dataclass
class Senders:
    """What was sent, and what of it is acknowledged.

    Attributes:
        folder: for the files that `storescu` sends.
        sent: numbers that were used, by sender.
        acknowledged: pairs of a sender and a number.
    """

    folder: Path
    sent: list[int] = field(default_factory=lambda: [0] * SENDERS)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def data(self, sender: int, number: int) -> bytes:
        """The bytes of an object; those of a sender are a series."""
        size = SIZES[number % len(SIZES)]
        return make_file(number, study=1 + sender // 2, series=1 + sender, size=size)

    def work(
        self,
        port: int,
        sender: int,
        *,
        storescu: bool,
        is_over: threading.Event | None = None,
    ) -> None:
        """Send until the process is gone, or it is over."""
        if storescu:
            self._run_storescu(port, sender)
            return
        try:
            with connect("127.0.0.1", port) as association:
                while is_over is None or not is_over.is_set():
                    number = self._next(sender)
                    data = read_file(self.data(sender, number))
                    if association.store(data).status == 0:
                        self._acknowledge(sender, number)
        except (DicomError, OSError):
            return

    def _run_storescu(self, port: int, sender: int) -> None:
        folder = self.folder / f"{sender}-{self.sent[sender]}"
        folder.mkdir(parents=True)
        numbers = {}
        for _ in range(40):
            number = self._next(sender)
            path = folder / f"{number:06}.dcm"
            path.write_bytes(self.data(sender, number))
            numbers[str(path)] = number
        command = ["storescu", "-v", "127.0.0.1", str(port), *sorted(numbers)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        path_now = None
        for line in (result.stdout + result.stderr).splitlines():
            if "Sending file: " in line:
                path_now = line.partition("Sending file: ")[2].strip()
            elif "Received Store Response (Success)" in line and path_now is not None:
                self._acknowledge(sender, numbers[path_now])
        shutil.rmtree(folder)

    def _next(self, sender: int) -> int:
        with self.lock:
            self.sent[sender] += 1
            return self.sent[sender]

    def _acknowledge(self, sender: int, number: int) -> None:
        with self.lock:
            self.acknowledged.add((sender, number))


def kill_once(folder: Path, senders: Senders, chance: random.Random) -> None:
    """Serve, send, and kill at some instant."""
    with serving("--store", str(folder)) as server, ThreadPoolExecutor(SENDERS) as pool:
        for sender in range(SENDERS):
            pool.submit(senders.work, server.port, sender, storescu=sender % 2 == 0)
        server.process.stdout.close()  # nobody reads it
        # Mostly in the middle of work, and now and then before anything is acknowledged.
        wanted = len(senders.acknowledged) + chance.choice((0, 1, 10, 30))
        limit = time.monotonic() + LIMIT
        while len(senders.acknowledged) < wanted and time.monotonic() < limit:
            threading.Event().wait(0.01)
        threading.Event().wait(chance.uniform(0.0, LONGEST))
        server.process.kill()


def check(
    folder: Path, senders: Senders, new: set[tuple[int, int]], chance: random.Random
) -> list[str]:
    """Start again, and say what is wrong with what is newly acknowledged."""
    problems: list[str] = []
    with serving("--store", str(folder)) as server:
        with connect("127.0.0.1", server.port) as peer:
            problems += _problems_with(peer, senders, new, chance)
        server.stop()
    return problems


def _problems_with(
    peer: Any, senders: Senders, new: set[tuple[int, int]], chance: random.Random
) -> list[str]:
    problems: list[str] = []
    for sender in range(SENDERS):
        keys = {
            "QueryRetrieveLevel": "IMAGE",
            "StudyInstanceUID": f"1.2.{1 + sender // 2}",
            "SeriesInstanceUID": f"1.2.{1 + sender // 2}.{1 + sender}",
            "SOPInstanceUID": None,
        }
        found = {str(match.SOPInstanceUID) for match in peer.find(keys)}
        mine = sorted(number for one, number in new if one == sender)
        uids = {number: uid_of(number, 1 + sender // 2, 1 + sender) for number in mine}
        problems += [f"{uid} is not found" for uid in uids.values() if uid not in found]
        for number in chance.sample(mine, min(len(mine), 1)):
            try:
                got = list(peer.get({**keys, "SOPInstanceUID": uids[number]}))
            except DicomError as error:
                problems.append(f"{uids[number]} is not given back: {error}")
                continue
            if got != [read_file(senders.data(sender, number))]:
                problems.append(f"{uids[number]} is not what was sent")
    return problems


def check_files(
    folder: Path, senders: Senders, looked_at: set[tuple[int, int]], **settings: Any
) -> list[str]:
    """Look at files, with nobody serving: each is whole, and has a row, and each row its file."""
    problems: list[str] = []
    with Archive.open(folder, **settings) as archive:
        archive.settle()
        rows = {row.location: row for row in archive.instances()}
        for path in folder.rglob("*.dcm"):
            name = str(path.relative_to(folder))
            if name not in rows:
                problems.append(f"{name} has no row")
        found = set()
        for name, row in rows.items():
            sender = int(row.series_instance_uid.rpartition(".")[2]) - 1
            number = int(row.sop_instance_uid.rpartition(".")[2])
            found.add((sender, number))
            if (sender, number) in senders.acknowledged - looked_at:
                continue
            path = folder / name
            data = path.read_bytes() if path.exists() else b""
            sent = read_file(senders.data(sender, number))
            if data[row.header_length :] != sent.to_bytes(row.transfer_syntax_uid):
                problems.append(f"{name} has not the bytes that were sent")
        problems += [f"{one} is lost" for one in senders.acknowledged - found]
        if archive.counts().instances != len(rows):
            problems.append("the counts are wrong")
    return problems


def run(folder: Path, kills: int, seed: int) -> tuple[int, list[str]]:
    """Kill so many times; returns how many objects were acknowledged, and what was wrong."""
    chance = random.Random(seed)
    archive, senders = folder / "archive", Senders(folder / "to send")
    problems: list[str] = []
    for number in range(kills):
        before = set(senders.acknowledged)
        kill_once(archive, senders, chance)
        new = senders.acknowledged - before
        found = check_files(archive, senders, new) if number % 2 else []
        found += check(archive, senders, new, chance)
        problems += [f"kill {number}: {text}" for text in found]
    problems += check_files(archive, senders, senders.acknowledged)
    return len(senders.acknowledged), problems


# --- several that share an index ------------------------------------------------------------


class Nodes:
    """Three processes that share an index and a folder.

    Attributes:
        complete: how often each study was told to be complete, by the lines of all.
    """

    def __init__(self, folder: Path, address: str, stack: contextlib.ExitStack) -> None:
        settings = ("node_lease_seconds=2", "study_quiet_seconds=2", "journal_seconds=0.5")
        self._arguments = ["--store", str(folder), "--index", address]
        self._arguments += [one for text in settings for one in ("--set", f"archive.{text}")]
        self._stack = stack
        self.servers: list[Server] = [self._start() for _ in range(NODES)]

    def _start(self) -> Server:
        server = self._stack.enter_context(serving(*self._arguments))
        # It goes on without anybody who reads it.
        self._stack.callback(threading.Thread(target=_read, args=(server,), daemon=True).start)
        return server

    def kill(self, which: int) -> None:
        """Kill one, and start another one in its place."""
        self.servers[which].process.kill()
        self.servers[which].process.wait(LIMIT)
        self.servers[which] = self._start()


def _read(server: Server) -> None:
    with contextlib.suppress(ValueError):
        server.output += server.process.stdout.read()


class Told(pykka.ThreadingActor):
    """Counts which studies are told to be complete, by any node."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self._told: Counter[str] = Counter()

    def on_receive(self, message: Any) -> Any:
        """Count, or give the counts."""
        if isinstance(message, StudyComplete):
            self._told[message.study_instance_uid] += 1
            return None
        return Counter(self._told)


def run_nodes(folder: Path, address: str, kills: int, seed: int) -> tuple[int, list[str]]:
    """Kill one of three nodes so many times; what was acknowledged, and what was wrong."""
    chance = random.Random(seed)
    senders, is_over = Senders(folder / "to send", [0] * SENDERS_OF_NODES), threading.Event()
    store, problems = folder / "archive", []
    told = Told.start()
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(
            Archive.open(store, index=address, node_lease_seconds=2.0, study_quiet_seconds=2.0)
        )
        listening.subscribe(told, (StudyComplete,), everywhere=True)
        nodes = Nodes(store, address, stack)

        def send(sender: int) -> None:
            while not is_over.is_set():
                port = nodes.servers[sender % NODES].port
                senders.work(port, sender, storescu=False, is_over=is_over)

        with ThreadPoolExecutor(SENDERS_OF_NODES) as pool:
            for sender in range(SENDERS_OF_NODES):
                pool.submit(send, sender)
            for _ in range(kills):
                wanted = len(senders.acknowledged) + 30
                limit = time.monotonic() + LIMIT
                while len(senders.acknowledged) < wanted and time.monotonic() < limit:
                    threading.Event().wait(0.01)
                threading.Event().wait(chance.uniform(0.0, LONGEST))
                nodes.kill(chance.randrange(NODES))
            is_over.set()
        studies = {f"1.2.{1 + sender // 2}" for sender, _ in senders.acknowledged}
        limit = time.monotonic() + 2 * LIMIT
        while told.ask("told").keys() != studies and time.monotonic() < limit:
            threading.Event().wait(0.05)
        for server in nodes.servers:
            server.process.terminate()
            server.process.wait(LIMIT)
        counts = told.ask("told")
        problems += [f"{study} complete {n} times" for study, n in counts.items() if n != 1]
        problems += [f"{study} never complete" for study in studies - counts.keys()]
    told.stop()
    # Those that were killed a moment ago are gone by then.
    threading.Event().wait(2.5)
    return len(senders.acknowledged), problems + check_files(
        store, senders, senders.acknowledged, index=address, node_lease_seconds=0.5
    )


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
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
