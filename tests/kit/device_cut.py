"""The power of a disk is cut while ``dicom-actors serve`` keeps objects on it, again and again.

The disk is an ext4 file system in a file, behind a loop device. At some instant under load the
process is stopped, and the file copied: it holds what was written to the device until then, and
nothing of what the system still kept in memory, as after a power cut. The copy is mounted in its
place, which replays the journal of the file system; then whatever a sender saw Success for must be
there, whole, found and given back, as after a kill (see `killing`).

That is what a device shows that keeps what it was given. One that loses what was not flushed from
its own cache, too, needs device-mapper (``log-writes``); `forgetful_disk` stands for it in tests.

For root, on Linux with loop devices. From the top of the repository::

    PYTHONPATH=tests python -m kit.device_cut --cuts 20 --seed 1

With ``--durability os`` acknowledged objects are lost, which shows that the cut is one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from kit.killing import SENDERS, Senders, check, check_files
from kit.serving import serving
from kit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 256 << 20
"""Bytes of the disk."""
ROOM = ("--set", "archive.reserve_bytes=0", "--set", "archive.warn_free_bytes=0")
LONGEST = 1.0
"""Seconds, at the most, from when so many are acknowledged to the cut."""
LIMIT = 60.0


def make_disk(image: Path) -> None:
    """Make a file with an empty file system in it."""
    image.touch()
    os.truncate(image, SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    """Have it mounted for the length of the block."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def copied(image: Path, copy: Path) -> None:
    """Copy a disk as it is at one instant: until it was not written to meanwhile."""
    while True:
        before = image.read_bytes()
        if before == image.read_bytes():
            break
    with copy.open("wb") as file:  # with holes, as it is mostly empty
        os.truncate(copy, len(before))
        for at in range(0, len(before), 1 << 16):
            part = before[at : at + (1 << 16)]
            if part.strip(b"\0"):
                file.seek(at)
                file.write(part)


def is_stopped(pid: int) -> bool:
    """Whether all of a process is stopped."""
    tasks = Path(f"/proc/{pid}/task")
    return all(
        (task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()
    )


def cut_once(
    folder: Path, image: Path, copy: Path, senders: Senders, chance: random.Random, durability: str
) -> set[tuple[int, int]]:
    """Serve, send, and cut at some instant; returns what was acknowledged until then."""
    with (
        mounted(image, folder),
        ThreadPoolExecutor(SENDERS) as pool,
        serving("--store", str(folder / "archive"), *ROOM, "--durability", durability) as server,
    ):
        for sender in range(SENDERS):
            pool.submit(senders.work, server.port, sender, storescu=False)
        server.process.stdout.close()  # nobody reads it
        wanted = len(senders.acknowledged) + chance.choice((1, 10, 50, 200))
        limit = time.monotonic() + LIMIT
        while len(senders.acknowledged) < wanted and time.monotonic() < limit:
            threading.Event().wait(0.01)
        threading.Event().wait(chance.uniform(0.0, LONGEST))
        os.kill(server.pid, signal.SIGSTOP)
        until(lambda: is_stopped(server.pid))
        copied(image, copy)
        with senders.lock:
            acknowledged = set(senders.acknowledged)
        server.process.kill()
    return acknowledged


def run(folder: Path, cuts: int, seed: int, durability: str) -> tuple[int, list[str]]:
    """Cut so many times; returns how many objects were acknowledged, and what was wrong."""
    chance = random.Random(seed)
    image, copy, disk = folder / "image", folder / "copy", folder / "disk"
    problems: list[str] = []
    total = 0
    for number in range(cuts):
        senders = Senders(folder / "to send")
        make_disk(image)
        for _ in range(2):  # the second one with something on it, which the first has left
            new = cut_once(disk, image, copy, senders, chance, durability)
            # What nobody has heard of is none of ours.
            senders.acknowledged = new
            with mounted(copy, disk):
                found = check(disk / "archive", senders, new, chance)
                found += check_files(disk / "archive", senders, new)
            problems += [f"cut {number}: {text}" for text in found]
            copy.replace(image)
        total += len(senders.acknowledged)
        image.unlink()
    return total, problems


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=20, help="disks, each cut twice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", choices=("disk", "os"), default="disk")
    options = parser.parse_args()
    missing = [name for name in ("mount", "mkfs.ext4") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        print(f"for root, on a system with loop devices; missing: {', '.join(missing) or 'rights'}")
        return 2
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        total, problems = run(Path(name), options.cuts, options.seed, options.durability)
    print(
        f"{2 * options.cuts} cuts, {total} objects acknowledged, {len(problems)} problems,"
        f" {time.monotonic() - begun:.0f} s"
    )
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
