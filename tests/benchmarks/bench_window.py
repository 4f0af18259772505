"""What an asynchronous operations window is worth on a long line: 200 stores of 100 KB.

Run it with ``python tests/benchmarks/bench_window.py``. Our endpoint is behind a proxy that delays
every byte; window 1 and window 16 take turns, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from kit.endpoints import running

from dicom_actors.data import DataSet
from dicom_actors.scu import connect
from dicom_actors.testing import FaultyProxy
from dicom_actors.testing.faulty_link import Delay

WINDOWS = (1, 16)


def images(count: int) -> list[DataSet]:
    return [
        DataSet.from_keywords(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID=f"1.2.3.{number}",
            PixelData=bytes(100_000),
        )
        for number in range(1, count + 1)
    ]


def measure(port: int, window: int, objects: list[DataSet]) -> float:
    """Seconds for all objects on one association that is established already."""
    contexts = ["CTImageStorage"]
    with connect("127.0.0.1", port, async_window=window, contexts=contexts) as assoc:
        start = time.perf_counter()
        assert all(result.status == 0 for result in assoc.store_many(objects))
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds there and back")
    arguments = parser.parse_args()
    objects = images(arguments.objects)
    half = Delay(arguments.delay / 2)
    best = dict.fromkeys(WINDOWS, float("inf"))
    with (
        running({"cstore": lambda _: None}, async_window=max(WINDOWS)) as endpoint,
        FaultyProxy(endpoint.port, to_server=[half], to_client=[half]) as proxy,
    ):
        for _ in range(arguments.rounds):
            for window in WINDOWS:
                best[window] = min(best[window], measure(proxy.port, window, objects))
    for window, seconds in best.items():
        print(f"window {window:2}: {seconds:6.2f} s, {len(objects) / seconds:5.0f} objects/s")
    print(f"ratio {best[1] / best[16]:.1f}")


if __name__ == "__main__":
    main()
