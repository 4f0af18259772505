"""Orthanc as a peer, steered through its REST interface."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Orthanc:
    """A running server."""

    def __init__(self, http_port: int, dicom_port: int) -> None:
        self._http_port = http_port
        self.dicom_port = dicom_port

    def request(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> Any:
        """Call its REST interface; returns what JSON it answers."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._http_port}{path}", data, method=method
        )
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.loads(answer.read() or b"null")


@contextlib.contextmanager
def orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """Run Orthanc with an empty store for the length of the block."""
    server = Orthanc(free_port(), free_port())
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "Name": "judge",
                "StorageDirectory": str(folder),
                "IndexDirectory": str(folder),
                "HttpPort": server._http_port,
                "DicomPort": server.dicom_port,
                "DicomAet": "ORTHANC",
                "DicomServerEnabled": True,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "Plugins": [],
                **settings,
            }
        )
    )
    with subprocess.Popen(
        ["Orthanc", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(LIMIT)


def _wait_for(server: Orthanc, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.request("GET", "/system")
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)  # it may also have ended
        else:
            return
    raise AssertionError("Orthanc did not start")
