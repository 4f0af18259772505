"""Waiting for what nobody tells."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10.0
"""Seconds that any wait may take before the test fails."""


def until(is_true: Callable[[], object]) -> None:
    """Return when it is true."""
    deadline = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < deadline, "it never became true"
        os.sched_yield()
