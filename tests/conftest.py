"""What tests of every package may use."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from kit import native
from kit.descriptors import open_descriptors
from kit.postgresql import Postgresql
from kit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _pytest.terminal import TerminalReporter

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("suite")

if os.environ.get("DICOM_ACTORS_PURE", "") not in {"", "0"}:
    native.switch(is_on=False)

# A shell ignores it in the background, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Under nohup it is ignored, and is so here; but a signal that is handled is no more ignored by the
# programs that tests start.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# An activated environment has programs of pynetdicom that bear the names of DCMTK's.
_OF_PYTHON = {os.path.join(at, "bin") for at in (sys.prefix, os.environ.get("VIRTUAL_ENV", ""))}
_FOLDERS = os.get_exec_path()
os.environ["PATH"] = os.pathsep.join(sorted(_FOLDERS, key=_OF_PYTHON.__contains__))

PROMISES = 59

LIMIT = 60.0
"""Seconds that any wait of a test may take before the test fails."""


def pytest_report_header() -> str:
    """Say whether the compiled scan is tested."""
    return f"compiled scan: {'on' if native.is_on() else 'off'}"


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """After the test there are no other threads and descriptors than before."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    while left := set(threading.enumerate()) - threads:  # one that ends may begin another one
        for thread in left:
            thread.join(LIMIT)
            assert not thread.is_alive()
    until(lambda: open_descriptors() <= descriptors)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A server of PostgreSQL, for tests to which it does not matter what a power cut leaves."""
    server = Postgresql()
    yield server
    server.remove()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new_index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Gives, each time, where a new index is or may be: a file, and a database of PostgreSQL."""
    if request.param == "sqlite":
        yield lambda: str(tmp_path_factory.mktemp("index") / "index.db")
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    given: list[str] = []

    def new() -> str:
        given.append(server.new_index())
        return given[-1]

    yield new
    for address in given:
        server.give_back(address)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives, each time, where an index may be and none is: see `new_index`, which is faster."""
    if request.param == "sqlite":
        names = map("{}.db".format, count())
        return lambda: str(tmp_path / next(names))
    address: Callable[[], str] = request.getfixturevalue("postgresql").new_database
    return address


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the table of the promises of supervision: which tests hold each, and whether."""
    held: dict[int, list[bool]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            match = re.search(r"::test_p(\d\d)_", getattr(report, "nodeid", ""))
            if match is not None:
                held.setdefault(int(match[1]), []).append(outcome == "passed")
    if len(held) < PROMISES // 2:
        return  # a part of the suite
    terminalreporter.section("promises of supervision")
    for number in range(1, PROMISES + 1):
        results = held.get(number, [])
        verdict = "held" if results and all(results) else "broken" if results else "no test"
        terminalreporter.write_line(f"P{number:<3} {verdict:<8} {len(results)} tests")
    kept = sum(bool(results) and all(results) for results in held.values())
    terminalreporter.write_line(f"{kept} of {PROMISES} promises held")
