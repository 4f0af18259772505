"""NATS servers with JetStream on the loopback, each a process: one, or a cluster of three."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

from kit.waiting import until

PROGRAM = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"


class NatsCluster:
    """Servers that can be killed, and started again with what they had on the disk."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        ports = _free_ports(2 * nodes)
        self.ports, routes = ports[:nodes], ports[nodes:]
        self._commands = []
        for number in range(nodes):
            command = [PROGRAM, "-a", "127.0.0.1", "-p", str(self.ports[number]), "-js"]
            command += ["-sd", str(folder / f"node{number}"), "-n", f"node{number}"]
            if nodes > 1:
                command += ["--cluster_name", "test", "--cluster"]
                command += [f"nats://127.0.0.1:{routes[number]}", "--routes"]
                command += [",".join(f"nats://127.0.0.1:{port}" for port in routes)]
            self._commands.append(command)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(nodes):
            self.start(number)

    @property
    def servers(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port in self.ports]

    def start(self, number: int) -> None:
        self._processes[number] = subprocess.Popen(
            self._commands[number], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: _listens(self.ports[number]))

    def kill(self, number: int) -> None:
        process = self._processes.pop(number)
        process.kill()
        process.wait(60)

    def close(self) -> None:
        for number in list(self._processes):
            self.kill(number)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
