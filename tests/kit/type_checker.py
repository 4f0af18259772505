"""What mypy says of a text, in a process of its own: it changes the one that it runs in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_OPTIONS = ("--strict", "--no-error-summary", "--hide-error-context", "--no-color-output")


def checked(text: str, folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Have a text checked.

    Args:
        text: a module; lines that are wrong have ``# E:`` in them.
        folder: an empty one.

    Returns:
        What was said, each as ``line: kind: text``; the numbers of the lines that are wrong; and
        of those that are to be.
    """
    source = folder / "use.py"
    source.write_text(text)
    command = [sys.executable, "-m", "mypy", *_OPTIONS, f"--cache-dir={folder}", str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stderr == ""
    said = [line.partition("use.py:")[2] for line in done.stdout.splitlines() if "use.py:" in line]
    wrong = [line.partition(":")[0] for line in said if "error:" in line]
    expected = [str(n) for n, line in enumerate(text.splitlines(), 1) if "# E:" in line]
    return said, wrong, expected
