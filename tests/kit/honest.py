"""Senders that keep the rules and want every object answered: DCMTK's `storescu`, pynetdicom.

An association that is aborted is no answer: they connect again and repeat what was not answered,
as real senders do.
"""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kit.dcmtk import run

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = Path(__file__).with_name("pynetdicom_sender.py")
_SENT = re.compile(r"I: Sending file: (.*)")
_ANSWERED = re.compile(r"Received Store Response \((.*)\)")
_BATCH = 25
MAX_ATTEMPTS = 200
"""How often a sender tries again without a single answer before it gives up."""


class HonestSender(threading.Thread):
    """Sends files until each has a status.

    Args:
        name: its AE title.
        port: the endpoint's.
        files: what it sends, again and again with new names if the time is not over.

    Attributes:
        answers: for each file what its sender saw: whether it was Success.
        failures: sentences about what went wrong for good.
    """

    def __init__(self, name: str, port: int, files: Iterator[Path]) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.files = files
        self.answers: dict[Path, bool] = {}
        self.failures: list[str] = []
        self.attempts = 0
        self.is_enough = threading.Event()

    def run(self) -> None:
        """Send batches until it is enough."""
        while not self.is_enough.is_set():
            batch = [path for path, _ in zip(self.files, range(_BATCH), strict=False)]
            left, tries = batch, 0
            while left and tries < MAX_ATTEMPTS:
                before = len(self.answers)
                self.attempts += 1
                self.send(left)
                left = [path for path in batch if path not in self.answers]
                tries = 0 if len(self.answers) > before else tries + 1
            if left:
                self.failures.append(f"{self.name}: no answer for {len(left)} objects")
                return

    def send(self, paths: list[Path]) -> None:
        """Send files on one association, and note the answers."""
        raise AssertionError(f"{self.name} cannot send {len(paths)} files")


class Storescu(HonestSender):
    """DCMTK's."""

    def send(self, paths: list[Path]) -> None:
        done = run(
            "storescu", "-v", "-nh", "-xe", "-to", 10, "-ta", 10, "-td", 10,
            "-aet", self.name, "-aec", "TEST", "127.0.0.1", self.port, *paths,
        )  # fmt: skip
        by_name = {str(path): path for path in paths}
        current: Path | None = None
        for line in (done.stdout + done.stderr).splitlines():
            if sent := _SENT.search(line):
                current = by_name[sent[1]]
            elif (answered := _ANSWERED.search(line)) and current is not None:
                self.answers[current] = answered[1] == "Success"


class Pynetdicom(HonestSender):
    """pynetdicom's."""

    def send(self, paths: list[Path]) -> None:
        done = run(sys.executable, _PROGRAM, self.name, self.port, *paths)
        by_name = {str(path): path for path in paths}
        for line in done.stdout.splitlines():
            status, _, name = line.partition(" ")
            self.answers[by_name[name]] = status == "0000"
