"""What sending on costs: forwarding beside receiving, the head of a long queue; several workers.

::

    PYTHONPATH=tests python tests/benchmarks/bench_flow.py [--objects 200] [--rows 1000000]
    PYTHONPATH=tests python tests/benchmarks/bench_flow.py --workers 1,2,4 [--senders 16]

With `--workers` so many processes of DCMTK's storescu send to `serve`, in turn to one with each
number of workers; with `--index` on that index of PostgreSQL, which is to be empty.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from kit.archive_objects import make_file
from kit.endpoints import running
from kit.serving import serving

from dicom_actors import connect
from dicom_actors.archive import Archive
from dicom_actors.archive.index import Index, QueueReader
from dicom_actors.archive.services import Peer
from dicom_actors.flow import DimsePeer, Flow, Route, Send

SIZE = 512 * 1024


def receive(folder: Path, objects: int) -> float:
    """Objects a second into an archive, from one sender; nothing is sent on."""
    with Archive.open(folder) as archive, running(archive.event_handlers()) as endpoint:
        return send(endpoint.port, objects)


def send(port: int, objects: int) -> float:
    """Send objects; returns how many a second."""
    files = [make_file(number, study=1 + number % 4, size=SIZE) for number in range(objects)]
    begun = time.perf_counter()
    with connect("127.0.0.1", port) as association:
        for data in files:
            association.store(data, check=True)
    return objects / (time.perf_counter() - begun)


def forward(folder: Path, objects: int) -> float:
    """Objects a second that a destination gets, of what an archive receives meanwhile."""
    done = threading.Event()
    taken: list[str] = []

    def store(event: object) -> None:
        taken.append("")
        if len(taken) == objects:
            done.set()

    with running({"cstore": store}) as there, Archive.open(folder) as archive:
        peers = {"there": DimsePeer("THERE", Peer("127.0.0.1", there.port))}
        with (
            Flow.start(archive, [Route("all", [Send("there")])], peers=peers),
            running(archive.event_handlers()) as here,
        ):
            begun = time.perf_counter()
            send(here.port, objects)
            assert done.wait(600), "not all came"
            return objects / (time.perf_counter() - begun)


def head(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds to find what is next among so many rows: the median, and the longest."""
    index = Index.open(folder / "index.sqlite", durability="os")
    index.close()
    import sqlite3

    connection = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
    connection.execute("BEGIN")
    connection.execute(
        "INSERT INTO destination (id, name, waiting) VALUES (1, 'there', ?)", (rows,)
    )
    studies = max(rows // 100, 1)
    connection.executemany(
        "INSERT INTO queued (destination, study_instance_uid, series_instance_uid,"
        " sop_instance_uid, route, priority, since) VALUES (1, ?, '1.2.3', ?, 'all', 0, 0)",
        ((f"1.2.{number % studies}", f"1.2.3.{number}") for number in range(rows)),
    )
    connection.execute(
        "INSERT INTO lane (destination, study_instance_uid, priority, first, due)"
        " SELECT 1, study_instance_uid, 0, min(id),"
        # Half of the studies have failed, and wait.
        " CASE WHEN min(id) % 2 THEN 0 ELSE 1e10 END FROM queued GROUP BY study_instance_uid"
    )
    connection.execute("COMMIT")
    reader = QueueReader(connection)
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        assert len(reader.head(1, 100.0, 64)) >= 1
        reader.next_due(1)
        times.append(time.perf_counter() - begun)
    connection.close()
    return statistics.median(times), max(times)


def cpu_seconds(pid: int) -> float:
    """What a process and its children have computed."""
    # Each belongs to the thread that has started it.
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    pids = [pid, *(int(child) for text in lists for child in text.split())]
    ticks = 0
    for one in pids:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def to_workers(
    folder: Path, count: int, senders: int, objects: int, more: list[str]
) -> tuple[float, float]:
    """What `serve` with so many workers takes from so many senders.

    Returns:
        Objects a second, and seconds of CPU for each.
    """
    files = folder / "files"
    for sender in range(senders):
        there = files / str(sender)
        there.mkdir(parents=True)
        for number in range(objects):
            data = make_file(number, study=1 + sender, size=SIZE)
            (there / f"{number}.dcm").write_bytes(data)
    options = ["--store", str(folder / "store"), "--workers", str(count), *more]
    with serving(*options) as server:
        command = ["storescu", "+sd", "127.0.0.1", str(server.port)]
        computed = cpu_seconds(server.pid)
        begun = time.perf_counter()
        processes = [
            subprocess.Popen([*command, str(files / str(sender))]) for sender in range(senders)
        ]
        codes = [process.wait(600) for process in processes]
        took = time.perf_counter() - begun
        assert not any(codes), codes
        computed = cpu_seconds(server.pid) - computed
        server.stop()
    return senders * objects / took, computed / (senders * objects)


def of_workers(options: argparse.Namespace) -> None:
    """Say how fast each number of workers is, in turn."""
    more = ["--durability", options.durability]
    more += [] if options.index is None else ["--index", options.index]
    rates: dict[int, list[float]] = {int(one): [] for one in options.workers.split(",")}
    for turn in range(options.rounds):
        for count, found in rates.items():
            with tempfile.TemporaryDirectory() as name:
                each = max(options.objects // options.senders, 1)
                rate, cpu = to_workers(Path(name), count, options.senders, each, more)
                found.append(rate)
                # At once: all of it takes minutes, of which most go to senders, starts and ends.
                print(
                    f"round {turn + 1}: {count} workers {rate:.0f}/s, {cpu * 1e3:.2f} ms of CPU",
                    flush=True,
                )
    first = statistics.median(next(iter(rates.values())))
    for count, found in rates.items():
        rate = statistics.median(found)
        print(f"{count} workers, {options.senders} senders: {rate:.0f}/s, {rate / first:.2f}")


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", help="numbers of workers, such as 1,2,4: measure these alone")
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--durability", choices=["disk", "os"], default="os", help="with --workers")
    parser.add_argument("--index", help="postgresql://...")
    options = parser.parse_args()
    if options.workers:
        of_workers(options)
        return
    ratios = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            received = receive(Path(name, "one"), options.objects)
            forwarded = forward(Path(name, "two"), options.objects)
        ratios.append(forwarded / received)
        print(
            f"received {received:.0f}/s, received and sent on {forwarded:.0f}/s: {ratios[-1]:.2f}"
        )
    print(f"0.5 MB sent on: {statistics.median(ratios):.2f} of receiving alone (goal 0.7)")
    with tempfile.TemporaryDirectory() as name:
        median, longest = head(Path(name), options.rows)
    print(f"next of {options.rows} rows: {median * 1e3:.2f} ms, {longest * 1e3:.2f} ms at most")


if __name__ == "__main__":
    main()
