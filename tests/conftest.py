"""What tests of every package may use."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("suite")

LIMIT = 10.0
"""Seconds that any wait of a test may take before the test fails."""


def _descriptors() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue  # the one that lists the others
    return found


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """After the test there are no other threads and descriptors than before."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(LIMIT)
    assert set(threading.enumerate()) - threads == set()
    deadline = time.monotonic() + LIMIT
    while (left := _descriptors() - descriptors) and time.monotonic() < deadline:
        os.sched_yield()
    assert left == set()
