"""Service class providers that are not ours: DCMTK's programs, and pynetdicom."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom import AE

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def dcmtk_scp(program: str, *arguments: object, port: int) -> Iterator[int]:
    """Run one of DCMTK's providers for the length of the block, listening when it begins."""
    command = [program, *map(str, arguments)]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    dictionary = Path("/usr/share/libdcmtk17/dicom.dic")
    if dictionary.exists():
        environment["DCMDICTPATH"] = str(dictionary)
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.kill()


def wait_for_port(port: int, process: subprocess.Popen[Any]) -> None:
    """Return when somebody listens."""
    deadline = time.monotonic() + LIMIT
    while True:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args} does not listen"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        pause()


@contextlib.contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """DCMTK's `storescp`, which writes into the folder."""
    port = free_port()
    with dcmtk_scp("storescp", *options, "-od", folder, port, port=port):
        yield port


@contextlib.contextmanager
def dcmqrscp(folder: Path, *options: str, **destinations: int) -> Iterator[int]:
    """DCMTK's `dcmqrscp` as ``QRSCP``, empty; destinations are AE titles with their ports."""
    port = free_port()
    store = folder / "qr"
    store.mkdir()
    hosts = "\n".join(f"{name} = ({name}, 127.0.0.1, {n})" for name, n in destinations.items())
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        "NetworkTCPPort = 0\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {store} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with dcmtk_scp("dcmqrscp", "-c", config, *options, port, port=port):
        yield port


@contextlib.contextmanager
def pynetdicom_scp(entity: AE, handlers: list[tuple[Any, ...]], **options: Any) -> Iterator[int]:
    """A provider made with pynetdicom."""
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, **options)
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()
