"""Fixtures for pytest, found by it through the entry point ``pytest11``.

Nothing of the package is imported before a test asks for one of them.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.actors import Endpoint
    from dicom_actors.supervision import ManualClock, SupervisedRef

__all__ = ["dicom_clock", "dicom_endpoint", "dicom_no_leaks"]

_LIMIT = 60.0
_DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def dicom_clock() -> ManualClock:
    """A clock that stands still until the test moves it: ``dicom_clock.advance(30)``.

    The endpoints of `dicom_endpoint` use it in tests that ask for both.
    """
    from dicom_actors.testing import ManualClock  # noqa: PLC0415 - see the module

    return ManualClock()


@pytest.fixture
def dicom_endpoint(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Starts endpoints on free ports of the loopback interface.

    ``dicom_endpoint(event_handlers, **settings)`` returns the ref; the settings are those of
    `dicom_actors.EndpointConfig`. At the end of a test that has passed, each endpoint must be
    healthy (`dicom_actors.testing.assert_healthy`); then all are stopped.
    """
    from dicom_actors import Endpoint, EndpointConfig  # noqa: PLC0415 - see the module
    from dicom_actors.supervision import System  # noqa: PLC0415
    from dicom_actors.testing import assert_healthy  # noqa: PLC0415

    wanted = request.fixturenames
    if "dicom_no_leaks" in wanted:
        request.getfixturevalue("dicom_no_leaks")  # to look when our endpoints are stopped
    clock = request.getfixturevalue("dicom_clock") if "dicom_clock" in wanted else None
    system = System(clock=clock)
    started: list[SupervisedRef[Endpoint]] = []

    def start(event_handlers: Any = (), **settings: Any) -> SupervisedRef[Endpoint]:
        ref = Endpoint.start(
            0,
            host="127.0.0.1",
            event_handlers=event_handlers,
            config=EndpointConfig(**settings),
            system=system,
        )
        started.append(ref)
        return ref

    try:
        yield start
        for ref in started:
            if ref.is_alive():
                assert_healthy(ref)
    finally:
        for ref in started:
            ref.stop(timeout=_LIMIT)
        system.close()


@pytest.fixture
def dicom_no_leaks() -> Iterator[None]:
    """After the test there are no more threads and open descriptors than before."""
    threads, descriptors = set(threading.enumerate()), _open_descriptors()
    yield
    deadline = time.monotonic() + _LIMIT
    while (left := set(threading.enumerate()) - threads) and time.monotonic() < deadline:
        for thread in left:  # one that ends may begin another one
            thread.join(max(0.0, deadline - time.monotonic()))
    assert not left, f"threads are left: {', '.join(thread.name for thread in left)}"
    while (open_still := _open_descriptors() - descriptors) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert not open_still, f"descriptors are left: {', '.join(sorted(open_still))}"


def _open_descriptors() -> set[str]:
    if not _DESCRIPTORS.is_dir():
        return set()
    found = set()
    for entry in _DESCRIPTORS.iterdir():
        try:
            found.add(f"{entry.name} {os.readlink(entry)}")  # noqa: PTH115 - may be no path
        except OSError:
            continue  # the one that lists the others
    return found
