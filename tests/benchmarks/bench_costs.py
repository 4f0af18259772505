"""What a unit of each part costs: CPU of an object that is received, kept, indexed, sent on.

::

    PYTHONPATH=tests python tests/benchmarks/bench_costs.py [--objects 200]

CPU time is that of `serve` with all its processes, and of PostgreSQL's, so that it says little of
how busy the machine is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from kit.archive_objects import make_file
from kit.postgresql import Postgresql
from kit.serving import serving

SIZES = (9 * 1024, 512 * 1024)
LIMIT = 600.0
ROUTE = """
[archive]
study_quiet_seconds = 3600
[[route]]
name = "all"
actions = [{ folder = "there", name = "there" }]
"""


def cpu_of(root: int) -> float:
    """Seconds of CPU of a process and of all below it."""
    parents: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        parents[int(path.parent.name)] = (int(fields[1]), spent)
    total = 0.0
    for pid in parents:
        above = pid
        while above in parents and above != root:
            above = parents[above][0]
        if above == root:
            total += parents[pid][1]
    return total


def cost(folder: Path, size: int, objects: int, options: list[str], more: int | None) -> float:
    """Microseconds of CPU for an object, start and end of the process left out."""
    files = folder / "files"
    files.mkdir(parents=True)
    for number in range(objects + 1):
        data = make_file(number, study=1 + number // 50, size=size)
        (files / f"{number:06}.dcm").write_bytes(data)
    paths = sorted(map(str, files.iterdir()))
    with serving("--store", str(folder / "store"), *options) as server:
        command = ["storescu", "127.0.0.1", str(server.port)]
        # The first one loads what is needed.
        subprocess.run([*command, paths[0]], check=True, timeout=LIMIT)
        await_idle(server.pid)
        begun = cpu_of(server.pid) + (0.0 if more is None else cpu_of(more))
        subprocess.run([*command, *paths[1:]], check=True, timeout=LIMIT)
        await_idle(server.pid)
        ended = cpu_of(server.pid) + (0.0 if more is None else cpu_of(more))
        server.stop()
    return (ended - begun) / objects * 1e6


def await_idle(pid: int) -> None:
    """Wait until a process does no more: what is behind an answer is a part of its cost."""
    before, until = -1.0, time.monotonic() + LIMIT
    while (spent := cpu_of(pid)) - before > 0.02 and time.monotonic() < until:
        before = spent
        threading.Event().wait(1.5)


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200)
    options = parser.parse_args()
    server = Postgresql(is_durable=True)
    postmaster = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    try:
        for size in SIZES:
            for name in ("files alone", "archive", "archive, sent on", "archive on PostgreSQL"):
                with tempfile.TemporaryDirectory() as temporary:
                    folder = Path(temporary)
                    words: list[str] = []
                    more = None
                    if name == "files alone":
                        words = ["--receive-only"]
                    elif name == "archive, sent on":
                        (folder / "config.toml").write_text(ROUTE)
                        words = ["--config", str(folder / "config.toml")]
                    elif name == "archive on PostgreSQL":
                        words = ["--index", server.new_database()]
                        more = postmaster
                    spent = cost(folder, size, options.objects, words, more)
                print(f"{size // 1024:4} KB, {name}: {spent:.0f} µs of CPU", flush=True)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
