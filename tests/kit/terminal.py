"""A command on a pseudo-terminal of a given size: what it shows, and keys that are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal that of the process, which leads a session: shells want to control it."""


class Terminal:
    """Runs ``dicom-actors``, or another program, with its three streams on a terminal.

    Attributes:
        shown: what it has shown so far, without colors and movements of the cursor.
    """

    def __init__(
        self,
        *arguments: object,
        width: int = 80,
        height: int = 24,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "dicom_actors"),
        folder: Path | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"COLUMNS", "LINES", "PAGER", "MANPAGER", "LESS"}
        }
        self._raw = b""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *program, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**inherited, "TERM": "xterm", "NO_COLOR": "1", **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._process.kill()
        self._process.wait(LIMIT)
        os.close(self._ours)

    @property
    def shown(self) -> str:
        text = self._raw.decode(errors="replace")
        text = text.replace(" \b", "")  # how less goes on in the next line
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>]|\][^\x07]*\x07)", "", text)

    @property
    def raw(self) -> bytes:
        """All bytes that came so far."""
        return self._raw

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text has been shown."""
        end = time.monotonic() + LIMIT
        while text not in self.shown:
            assert self._read(end), f"{text!r} was not shown, but {self.shown!r}"

    def wait_for_raw(self, data: bytes, count: int) -> None:
        """Wait until some bytes have come so often."""
        end = time.monotonic() + LIMIT
        while self._raw.count(data) < count:
            assert self._read(end), f"{data!r} did not come {count} times, but {self._raw!r}"

    def finish(self) -> int:
        """Wait for the end; returns the exit code."""
        end = time.monotonic() + LIMIT
        while self._read(end):
            pass
        return self._process.wait(LIMIT)

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"nothing more came behind {self.shown!r}"
        with contextlib.suppress(OSError):  # the other end is closed
            data = os.read(self._ours, 65536)
            self._raw += data
            return bool(data)
        return False


def shown_on_terminal(
    *arguments: object,
    width: int = 80,
    height: int = 24,
    environment: Mapping[str, str] | None = None,
    code: int = 0,
) -> str:
    """Return what a command shows until it ends with this exit code."""
    with Terminal(*arguments, width=width, height=height, environment=environment) as terminal:
        assert terminal.finish() == code, terminal.shown
        return terminal.shown
