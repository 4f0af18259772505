"""How fast objects are sent, against DCMTK's `storescu`; both to DCMTK's `storescp +B`.

Run it with ``python tests/benchmarks/bench_store.py``. The candidates take turns in every round,
one association and one object at a time each, and the best round of each counts. A candidate is a
process from its start to its end; the last column is `store_many` alone, from `connect` to the
release, in a process that runs already.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
from data_inputs import ct
from kit.scp import storescp

from dicom_actors.data import write_file
from dicom_actors.scu import connect

SEND = """
import sys
from dicom_actors.scu import connect
with connect("127.0.0.1", int(sys.argv[1])) as assoc:
    assert all(result.status == 0 for result in assoc.store_many(sys.argv[2]))
"""


def send_with_storescu(port: int, folder: Path) -> None:
    command = ["storescu", "-R", "+sd", "127.0.0.1", str(port), str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "TCP_NODELAY": "1"})


def send_as_process(port: int, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", SEND, str(port), str(folder)], check=True)


def send(port: int, folder: Path) -> None:
    with connect("127.0.0.1", port) as assoc:
        assert all(result.status == 0 for result in assoc.store_many(folder))


CANDIDATES = {"storescu": send_with_storescu, "process": send_as_process, "store_many": send}


def measure(folder: Path, rounds: int, *options: str) -> dict[str, float]:
    """The best time of each candidate, in seconds."""
    best = dict.fromkeys(CANDIDATES, float("inf"))
    with tempfile.TemporaryDirectory() as received:
        target = Path(received)
        with storescp(target, "+B", "+xa", *options) as port:
            for _ in range(rounds):
                for name, candidate in CANDIDATES.items():
                    for path in target.iterdir():
                        path.unlink()
                    start = time.perf_counter()
                    candidate(port, folder)
                    best[name] = min(best[name], time.perf_counter() - start)
    return best


def report(what: str, best: dict[str, float]) -> None:
    figures = "  ".join(f"{key} {1000 * seconds:6.0f} ms" for key, seconds in best.items())
    ratio = best["storescu"] / best["process"]
    print(f"{what}: {figures}  storescu/process {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=400, help="objects of 520 KB")
    parser.add_argument("--small", type=int, default=1500, help="objects of 12 KB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        for name, count, rows in (("520 KB", arguments.large, 512), ("12 KB", arguments.small, 32)):
            folder = Path(made, name)
            folder.mkdir()
            for number in range(1, count + 1):
                data_set = ct(number)
                data_set.Rows = data_set.Columns = rows
                data_set.PixelData = bytes(rows * rows * 2)
                write_file(folder / f"{number:05}.dcm", data_set)
            for length in ("16384", "131072"):
                best = measure(folder, arguments.rounds, "--max-pdu", length)
                figures = "  ".join(
                    f"{key} {1000 * seconds:6.0f} ms" for key, seconds in best.items()
                )
                ratio = best["storescu"] / best["process"]
                print(
                    f"{count} x {name}, PDUs of {length}: {figures}  storescu/process {ratio:.2f}"
                )


if __name__ == "__main__":
    main()
