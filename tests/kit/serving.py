"""``dicom-actors serve`` as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


class Server:
    """A running process, its port, and what it has printed when it is over."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.pid = process.pid
        self.port = port
        self.output = ""

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it to end; returns its exit code."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        too_late = threading.Timer(LIMIT, self.process.kill)
        too_late.start()
        # Not `communicate`, which does not know of what was read ahead with the first line.
        self.output += self.process.stdout.read()
        too_late.cancel()
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """Run it on a free port for the length of the block."""
    command = [sys.executable, "-m", "dicom_actors", "serve", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("listening on port "), first
            port = int(first.removeprefix("listening on port ").partition(",")[0])
            yield Server(process, port)
        finally:
            if process.poll() is None:
                process.kill()
