"""What it costs to keep a received object, against the system calls that it takes.

Run it with ``python tests/benchmarks/bench_save.py``; the folder should be on tmpfs. The
candidates take turns in every round; the best round of each counts, in microseconds of processor
time for an object. *bare* is open, writev, fsync and rename in Python, without anything else;
*+ folder* synchronizes the folder, too, as a file must be that is to be there after a power cut.
What is received comes in fragments of 16 KiB or 128 KiB, as from peers with such PDUs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
from data_inputs import ct

from dicom_actors import DataSet, EndpointConfig
from dicom_actors.actors.storing.identity import identify
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.data import Limits, TransferSyntax
from dicom_actors.data.files.part10 import file_meta_header
from dicom_actors.supervision import LogService

if TYPE_CHECKING:
    from collections.abc import Callable

EXPLICIT = "1.2.840.10008.1.2.1"
HEADER = file_meta_header("1.2.840.10008.5.1.4.1.1.2", "1.2.3", EXPLICIT, "BENCH")


def best_of(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Microseconds of processor time for a call of each candidate, in its best round."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, call in candidates.items():
            start = time.process_time()
            for _ in range(50):
                call()
            best[name] = min(best[name], (time.process_time() - start) / 50 * 1e6)
    return best


def saving(folder: str, length: int, fragment: int) -> dict[str, Callable[[], object]]:
    """The ways to receive and keep an object of that many bytes."""
    data = memoryview(bytearray(os.urandom(length)))
    parts = [data[at : at + fragment] for at in range(0, length, fragment)]
    descriptor = os.open(folder, os.O_RDONLY)
    config: dict[str, Any] = {"spool_directory": folder}
    in_memory = Storage(EndpointConfig(**config, spool_bytes=1 << 20), LogService())
    spooled = Storage(EndpointConfig(**config, spool_bytes=0), LogService())

    def bare(*, folder_too: bool = False) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        file = os.open("bare.part", flags, 0o666, dir_fd=descriptor)
        os.writev(file, [HEADER, *parts])
        os.fsync(file)
        os.close(file)
        os.rename("bare.part", "bare.dcm", src_dir_fd=descriptor, dst_dir_fd=descriptor)
        if folder_too:
            os.fsync(descriptor)

    def keep(storage: Storage, name: str) -> None:
        receiver = storage.receiver(HEADER)
        for part in parts:
            receiver.write(part)
        received = receiver.finish()
        storage.save(received, folder, name)
        received.discard()

    return {
        "bare": bare,
        "+ folder": lambda: bare(folder_too=True),
        "memory": lambda: keep(in_memory, "1.2.3.dcm"),
        "memory, study/series": lambda: keep(in_memory, "1.2/1.3/1.4.dcm"),
        "spool": lambda: keep(spooled, "1.2.3.dcm"),
        "spool, study/series": lambda: keep(spooled, "1.2/1.3/1.4.dcm"),
    }


def looking() -> dict[str, Callable[[], object]]:
    """The ways to find the UIDs of a CT, whole."""
    found: dict[str, Callable[[], object]] = {}
    data_set = ct(1)
    for name, uid in (("explicit", EXPLICIT), ("implicit", "1.2.840.10008.1.2")):
        data, syntax = memoryview(data_set.to_bytes(uid)), TransferSyntax.of(uid)

        def read(data: memoryview = data, syntax: TransferSyntax = syntax) -> None:
            read = DataSet.from_bytes(data, syntax, limits=Limits())
            read.get("SOPClassUID")
            read.get("SOPInstanceUID")

        def look(data: memoryview = data, syntax: TransferSyntax = syntax) -> None:
            identify(data, syntax, Limits())

        found |= {f"{name}: reader": read, f"{name}: look": look}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--folder", default="/dev/shm")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(dir=arguments.folder)
    try:
        for length, fragment in ((9_000, 16_378), (512 << 10, 16_378), (512 << 10, 131_066)):
            print(f"{length} bytes in fragments of {fragment}")
            for name, cost in best_of(saving(folder, length, fragment), arguments.rounds).items():
                print(f"    {name:<24}{cost:8.1f} us")
    finally:
        shutil.rmtree(folder)
    print("the UIDs of a CT of 262 elements")
    for name, cost in best_of(looking(), arguments.rounds).items():
        print(f"    {name:<24}{cost:8.1f} us")


if __name__ == "__main__":
    main()
