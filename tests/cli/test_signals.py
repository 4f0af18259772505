"""How a command is asked to end."""

from __future__ import annotations

import subprocess
import sys

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


def test_an_interrupt_that_was_caught_does_not_kill_the_process_in_the_end(tmp_path):
    """Python keeps in mind that one got out of a text given to exec; dataclass gives it texts."""
    (tmp_path / "asked.py").write_text(ASKED_INSIDE_EXEC, encoding="ascii")
    ended = subprocess.run(
        [sys.executable, "-m", "asked"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "asked\n", "")
