"""Every test leaves nothing behind: no actor, no thread, no open descriptor."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pykka
import pytest
from hypothesis import settings
from kit.descriptors import open_descriptors
from supervision.kit import LIMIT, Gate, Journal, ManualSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# not loaded, so that it does not change the tests of other folders: each test here names it
settings.register_profile("supervision", derandomize=True, deadline=None, max_examples=50)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Compare actors, threads and open descriptors with those before the test."""
    threads = set(threading.enumerate())
    descriptors = open_descriptors()
    assert pykka.ActorRegistry.get_all() == []
    yield
    while left := set(threading.enumerate()) - threads:  # one that ends may begin another one
        for thread in left:
            thread.join(LIMIT)
            assert not thread.is_alive()
    assert pykka.ActorRegistry.get_all() == []
    assert open_descriptors() - descriptors == set()


@pytest.fixture
def system(clean: None) -> Iterator[ManualSystem]:
    """A system with a manual clock; its roots are stopped after the test."""
    system = ManualSystem()
    yield system
    for root in system.roots():
        root.stop(timeout=LIMIT)
    system.close()
    assert system.roots() == []


@pytest.fixture
def gates(system: ManualSystem) -> Iterator[Callable[[], Gate]]:
    """Makes gates, and releases them all after the test, before the roots are stopped."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate())
        return made[-1]

    yield make
    for gate in made:
        gate.release()


@pytest.fixture
def no_log() -> Iterator[None]:
    """Make no log records at all."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def journal() -> Journal:
    return Journal()
