"""``dicom-actors serve`` as a process of its own."""

from __future__ import annotations

import contextlib
import re
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

    def wait_for(self, text: str) -> None:
        """Wait until a line with a text is printed."""
        assert self.process.stdout is not None
        too_late = threading.Timer(LIMIT, self.process.kill)
        too_late.start()
        while text not in (line := self.process.stdout.readline()):
            assert line, f"{text!r} was not printed, but {self.output!r}"
            self.output += line
        too_late.cancel()
        self.output += line

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
def serving(*arguments: str, before: str = "") -> Iterator[Server]:
    """Run it on a free port for the length of the block.

    Args:
        *arguments: of the command.
        before: what is run in the process before it starts, as Python.
    """
    program = f"{before}\nfrom dicom_actors.cli.main import main\nraise SystemExit(main())"
    command = [sys.executable, "-c", program, "serve", "--host", "127.0.0.1", "--port", "0"]
    # The web server has tests of its own, and its default port is one for all.
    command += [] if "--web-port" in arguments else ["--no-web"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            before_it, said = "", None
            while said is None:  # an archive may have something to say of its last end
                line = process.stdout.readline()
                assert line, before_it
                said = re.fullmatch(r"[-0-9]{10} [0-9:.]{12}  listening on port (\d+), .*\n", line)
                before_it += line if said is None else ""
            server = Server(process, int(said[1]))
            server.output = before_it
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            print(server.output if said else before_it)  # shown if the test fails
