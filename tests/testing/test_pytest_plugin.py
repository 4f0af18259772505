"""The fixtures, in a pytest of their own, as a host application would use them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
import socket
from dicom_actors import messages
from dicom_actors.testing import HostilePeer

def test_an_endpoint_and_its_clock(dicom_endpoint, dicom_clock, dicom_no_leaks):
    endpoint = dicom_endpoint({"cstore": lambda event: None}, artim_timeout=30.0)
    other = dicom_endpoint()
    port = endpoint.ask(messages.GetStatus()).port
    with HostilePeer.connect(port) as silent, HostilePeer.associated(port):
        dicom_clock.advance(31.0)
        silent.expect_end()

def test_without_clock(dicom_endpoint):
    assert dicom_endpoint(ae_title="X").ask(messages.GetStatus()).state == "running"

def test_a_stopped_endpoint_is_no_fault(dicom_endpoint, dicom_no_leaks):
    dicom_endpoint().stop()
"""

BAD = """
import socket, threading
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.testing import HostilePeer, assert_healthy, pytest_plugin
from dicom_actors import messages

kept = []
pytest_plugin._LIMIT = 2.0
assert_healthy.__kwdefaults__["timeout"] = 0.5

def test_half_a_pdu(dicom_endpoint):
    endpoint = dicom_endpoint()
    peer = HostilePeer.associated(endpoint.ask(messages.GetStatus()).port)
    kept.append(peer)
    peer.send(b"\\x04")
    kernel = endpoint.ask(GetKernel())
    while not any(record.unread_length for record in kernel.connections):
        endpoint.ask(messages.GetStatus())  # until it has come

def test_a_descriptor(dicom_no_leaks):
    kept.append(socket.socket())

def test_a_thread(dicom_no_leaks):
    threading.Thread(target=threading.Event().wait, name="stray", daemon=True).start()
"""


def run(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_it.py").write_text(text)
    plugin = "dicom_actors.testing.pytest_plugin"
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            plugin,
            "-q",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_fixtures_serve_a_test_and_clean_up(tmp_path: Path) -> None:
    done = run(tmp_path, GOOD)
    assert "3 passed in" in done.stdout, done.stdout


def test_what_is_left_over_fails_the_test(tmp_path: Path) -> None:
    done = run(tmp_path, BAD)
    assert "3 passed, 3 errors in" in done.stdout, done.stdout
    for text in (
        "association 1 has a part of a PDU",
        "descriptors are left: ",
        "threads are left: stray",
    ):
        assert text in done.stdout


def test_it_is_announced_to_pytest_and_costs_nothing_before_it_is_used() -> None:
    code = "import dicom_actors.testing.pytest_plugin, sys; print('pykka' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["dicom_clock", "dicom_endpoint", "dicom_no_leaks"])
def test_each_fixture_is_documented(name: str) -> None:
    from dicom_actors.testing import pytest_plugin

    assert getattr(pytest_plugin, name).__doc__
