"""Waiting for what nobody tells."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


_PAUSE = threading.Event()


def pause() -> None:
    """Let other threads work: one that only yields takes the interpreter's lock again at once."""
    _PAUSE.wait(0.001)


def until(is_true: Callable[[], object]) -> None:
    """Return when it is true."""
    deadline = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < deadline, "it never became true"
        pause()
