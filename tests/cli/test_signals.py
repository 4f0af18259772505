"""How a command is asked to end."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 60.0

ASKED_INSIDE_EXEC = """
import os, signal
from dicom_actors.cli.signals import EndSignals

with EndSignals() as signals:
    try:
        with signals.awaited():
            exec("os.kill(os.getpid(), signal.SIGTERM)\\nwhile True: pass")
    except KeyboardInterrupt:
        print("asked")
"""


def run(folder: Path, text: str) -> tuple[int, list[str], str]:
    """Run a module of this text; how it ends, the words it prints, and what is wrong."""
    (folder / "asked.py").write_text(text, encoding="ascii")
    ended = subprocess.run(
        [sys.executable, "-m", "asked"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return ended.returncode, ended.stdout.split(), ended.stderr


def test_an_interrupt_that_was_caught_does_not_kill_the_process_in_the_end(tmp_path):
    """Python keeps in mind that one got out of a text given to exec; dataclass gives it texts."""
    assert run(tmp_path, ASKED_INSIDE_EXEC) == (0, ["asked"], "")


ASKED_IN_ANOTHER_THREAD = """
import signal, threading
from dicom_actors.cli.signals import EndSignals

over = threading.Event()
other = threading.Thread(target=over.wait)
other.start()

def take_long():
    signal.pthread_kill(other.ident, signal.SIGINT)
    over.wait()

with EndSignals() as signals:
    print(signals.call(lambda: "done"))
    try:
        signals.call(lambda: 1 / 0)
    except ZeroDivisionError:
        print("raised")
    try:
        signals.call(take_long)
    except KeyboardInterrupt:
        print("asked")
over.set()
"""


def test_what_takes_long_is_left_whichever_thread_the_system_hands_the_signal_to(tmp_path):
    assert run(tmp_path, ASKED_IN_ANOTHER_THREAD) == (0, ["done", "raised", "asked"], "")
