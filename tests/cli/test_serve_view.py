"""The live view of ``serve``: in a terminal, a small one, one that changes, and one that hangs."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from typing import Self

import pyte
import pytest
from kit.peer import Peer, smallest_data_set
from kit.terminal import Terminal
from kit.waiting import until

from dicom_actors.cli.serve_view import Pace, picture
from dicom_actors.messages import AssociationInfo, EndpointStatus
from dicom_actors.metrics import Condition, ServiceCount, Totals

LIMIT = 60.0
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Screen:
    """``serve`` on a terminal, and what a person sees there."""

    def __init__(self, *arguments: str, width: int = 100, height: int = 30) -> None:
        self._ours, self._theirs = pty.openpty()
        self.emulator = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.emulator)
        self.resize(width, height)
        command = [sys.executable, "-m", "dicom_actors", "serve", "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--receive-only", *arguments],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(LIMIT)
        os.close(self._ours)
        os.close(self._theirs)

    def resize(self, width: int, height: int) -> None:
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)
        self.emulator.resize(height, width)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.emulator.display)

    def read(self, seconds: float) -> bool:
        """Take what was drawn; False: nothing came."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        self._stream.feed(os.read(self._ours, 65536))
        return True

    def wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + LIMIT
        while (found := re.search(pattern, self.text)) is None:
            assert self.read(max(end - time.monotonic(), 0)), (pattern, self.text)
        return found

    def finish(self) -> int:
        """Read until the process is over; returns its exit code."""
        end = time.monotonic() + LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < end
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.returncode


def test_it_shows_who_is_there_and_what_came_and_gives_the_terminal_back(tmp_path):
    with Screen("--store", str(tmp_path)) as screen:
        port = int(screen.wait_for(r"port (\d+)")[1])
        with Peer.associated(port, calling="SENDER") as peer:
            assert peer.store(smallest_data_set()) == 0
            screen.wait_for(r"Received 1 object,")
            screen.wait_for(r"SENDER +127\.0\.0\.1 +open .* 1 request")
            screen.wait_for(r"C-STORE +1 +0")
            screen.resize(40, 10)
            screen.wait_for(r"(?s)1 association")
            assert len(screen.text.splitlines()) == 10
            screen.resize(5, 2)
            assert screen.read(LIMIT)
            screen.resize(100, 30)
            screen.wait_for(r"Latest")
            peer.release()
        screen.process.send_signal(signal.SIGINT)
        assert screen.finish() == 0
        assert re.fullmatch(r"[-0-9]{10} [0-9:.]{12}  stopped\s*", screen.text)
        assert not screen.emulator.cursor.hidden
    assert len(list(tmp_path.rglob("*.dcm"))) == 1


def test_a_terminal_that_is_not_read_stops_nothing(tmp_path):
    with Screen("--store", str(tmp_path), width=400, height=100) as screen:
        port = int(screen.wait_for(r"port (\d+)")[1])
        # Ctrl-S: whoever writes there hangs from now on.
        termios.tcflow(screen._theirs, termios.TCOOFF)
        view = f"/proc/{screen.process.pid}/task"
        until(lambda: any(_hangs_in_write(f"{view}/{task}") for task in os.listdir(view)))
        with Peer.associated(port) as peer:
            for number in range(1, 30):
                uid = f"1.2.{number}"
                assert peer.store(smallest_data_set(uid), number, uid) == 0
            peer.release()
        screen.process.send_signal(signal.SIGTERM)
        assert screen.process.wait(LIMIT) == 0
    assert len(list(tmp_path.rglob("*.dcm"))) == 29


def _hangs_in_write(task):
    try:
        with open(f"{task}/syscall") as file:
            return file.read().split()[0] in {"1", "64"}  # write, on x86-64 and on arm64
    except OSError:
        return True  # nobody may look


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(tmp_path):
    serve = f"{shlex.quote(sys.executable)} -m dicom_actors serve --host 127.0.0.1 --port 0"
    command = f"{serve} --receive-only --store {shlex.quote(str(tmp_path))}"
    # A shell: only where somebody can make it go on does a process stop.
    shell = ("bash", "--norc", "--noprofile", "-i")
    with Terminal(program=shell, width=100, environment={"PS1": "ready> "}) as terminal:
        terminal.wait_for("ready> ")
        terminal.press(f"{command}\n")
        terminal.wait_for("Received 0 objects")
        terminal.press("\x1a")
        terminal.wait_for("Stopped")
        stopped = terminal.raw
        assert stopped.count(ENTER) == stopped.count(LEAVE) == 1
        assert stopped.rindex(LEAVE) < stopped.rindex(b"Stopped")
        # In the background it goes on, and draws over nothing.
        terminal.press("bg\n")
        terminal.wait_for("&")
        terminal.press("fg\n")
        terminal.wait_for_raw(ENTER, 2)
        background = terminal.raw[len(stopped) : terminal.raw.rindex(ENTER)]
        assert b"Received" not in background
        terminal.wait_for_raw(b"Received 0 objects", stopped.count(b"Received 0 objects") + 1)
        terminal.press("\x03")
        terminal.wait_for("  stopped")
        assert terminal.raw.count(LEAVE) == 2
        terminal.press("exit\n")
        assert terminal.finish() == 0


def test_a_terminal_that_closes_ends_it_in_good_order(tmp_path):
    with Screen("--store", str(tmp_path)) as screen:
        screen.wait_for(r"port (\d+)")
        screen.process.send_signal(signal.SIGHUP)
        assert screen.finish() == 0
        assert "stopped" in screen.text


def condition(problems=(), associations=()):
    status = EndpointStatus("", 104, "running", len(associations), 0, 0, 0, 0)
    return Condition(status, tuple(associations), None, (), 5_000_000, "low", tuple(problems))


def lines(size, problems=(), associations=(), totals=None, told=()):
    made = picture(
        "title",
        3_700,
        condition(problems, associations),
        totals or Totals(),
        Pace(2.5, 1_500_000),
        list(told),
        size,
        lambda number: (number, 1000),
        100.0,
    )
    return [text for text, _ in made]


@pytest.mark.parametrize("height", [1, 2, 5, 10, 24, 100])
@pytest.mark.parametrize("width", [1, 10, 40, 80, 300])
def test_every_size_is_a_picture(width, height):
    who = [AssociationInfo(n, "ME", "YOU", ("127.0.0.1", 1), "open", 10.0) for n in range(50)]
    services = {"C-STORE": ServiceCount(Counter({0: 3, 0xA700: 2}), 10)}
    told = [(f"line {number}", "") for number in range(200)]
    found = lines((width, height), ["bad"], who, Totals(services=services), told)
    assert found
    if width >= 80 and height >= 10:
        assert len(found) <= height
        assert "title, up 1:01:40" in found
        assert "bad" in found
        assert any("now 2.5/s, 1.5 MB/s, failures 2" in line for line in found)
        assert any("50 associations" in line for line in found)
        assert any(re.search(r"and \d+ more", line) for line in found)
    if width >= 80 and height >= 24:
        assert "line 199" in found


def test_what_a_peer_says_does_not_act_on_the_terminal():
    who = [AssociationInfo(1, "\x1b[2JME", "YOU", ("127.0.0.1", 1), "open", 10.0)]
    assert not any("\x1b" in line for line in lines((80, 24), ["\x1b[2J"], who))
