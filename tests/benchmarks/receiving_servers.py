"""Servers that receive objects, each a process of its own, for `bench_receive.py`.

``python receiving_servers.py KIND PORT FOLDER`` runs one of ours, by the public API alone, or the
bare one: Python that reads as much of the bytes as it needs to know where a message ends, writes
the file and answers with a prepared response. It knows no errors, no limits and no other user than
`plain_user`; nothing in Python that blocks in `recv` can be faster.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))
from kit.peer import EXPLICIT, IMPLICIT, command_pdus
from kit.scp import free_port, wait_for_port

from dicom_actors.dimse import CommandElement, CommandField
from dicom_actors.pdu import (
    AssociateAc,
    PresentationContextAc,
    ReleaseRp,
    UserInformation,
    encode_pdu,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPUTING = 3.0
"""Seconds that the handler of a ``busy`` server computes."""

SERVERS = {
    "handler": "our endpoint, a Python handler with `event.save(folder)`",
    "null": "our endpoint, a handler that does nothing",
    "serve": "our `dicom-actors serve --receive-only --store`",
    "dcmtk": "DCMTK `storescp +B -pdu 131072` (--fork with several associations)",
    "default": "DCMTK `storescp` as it comes (--fork with several associations)",
    "bare": "bare Python, no protocol: reads, writes the file, answers",
}
TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """What /proc says of a process (proc(5)).

    Attributes:
        session: the id of its session.
        cpu: seconds of user and system time, those of its children that were waited for counted.
    """

    session: int
    cpu: float


class Server:
    """A server that runs, as the leader of a session of its own."""

    def __init__(self, name: str, pid: int, port: int, folder: Path) -> None:
        self.name = name
        self.pid = pid
        self.port = port
        self.folder = folder
        self._proc = Path("/proc", str(pid))

    def cpu(self) -> float:
        """Seconds of user and system time, those of its children counted."""
        numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        found = [process for number in numbers if (process := _process(number))]
        return sum(process.cpu for process in found if process.session == self.pid)

    def status(self, field: str) -> int:
        """A field of /proc/PID/status; of memory, bytes."""
        for line in (self._proc / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                number, *unit = value.split()
                return int(number) * (1024 if unit == ["kB"] else 1)
        raise AssertionError(f"/proc has no {field}")

    def descriptors(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(self._proc / "fd"))

    def forget_peak(self) -> None:
        """Let VmHWM begin anew."""
        (self._proc / "clear_refs").write_text("5")

    def files(self) -> list[Path]:
        """The files below its folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def empty(self) -> None:
        """Remove the files, and leave the folders."""
        for path in self.files():
            path.unlink()


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Process(int(fields[3]), sum(map(int, fields[11:15])) / TICKS)


@contextlib.contextmanager
def running(
    name: str,
    folder: Path,
    *,
    fork: bool = False,
    switch_interval: float | None = None,
    descriptors: int | None = None,
) -> Iterator[Server]:
    """Run a server for the length of the block.

    Args:
        name: one of `SERVERS`, or ``busy``: ours, with a handler that computes; ``isolated``: the
            same in a process of its own.
        folder: the folder for what it gets, on tmpfs; a new one is made in it.
        fork: whether DCMTK's has a process for each association.
        switch_interval: seconds for `sys.setswitchinterval`, in ours.
        descriptors: the limit for open files, soft and hard; None: as it is here.
    """
    home = folder / f"{name}-{free_port()}"
    home.mkdir()
    port = free_port()
    command = _command(name, port, home, fork=fork)
    if switch_interval is not None:
        command.append(str(switch_interval))
    if descriptors is not None:
        command = ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(descriptors), *command]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    dictionary = Path("/usr/share/libdcmtk17/dicom.dic")
    if dictionary.exists():
        environment["DCMDICTPATH"] = str(dictionary)
    with tempfile.TemporaryFile(dir=folder) as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            wait_for_port(port, process)
            yield Server(name, process.pid, port, home)
        except BaseException:
            log.seek(max(log.tell() - 2_000, 0))
            if said := log.read().decode(errors="replace"):
                print(f"{name} said: {said}", file=sys.stderr)
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
            shutil.rmtree(home, ignore_errors=True)


def _command(name: str, port: int, folder: Path, *, fork: bool) -> list[str]:
    if name == "serve":
        options = ["--port", str(port), "--host", "127.0.0.1", "--store", str(folder)]
        return [sys.executable, "-m", "dicom_actors", "serve", "--receive-only", *options]
    if name in {"dcmtk", "default"}:
        options = ["+B", "-pdu", "131072"] if name == "dcmtk" else []
        options += ["--fork"] if fork else []
        return [dcmtk_program("storescp"), *options, "-od", str(folder), str(port)]
    return [sys.executable, str(Path(__file__)), name, str(port), str(folder)]


def dcmtk_program(name: str) -> str:
    """DCMTK's program, also where pynetdicom's one of that name comes first (a venv's bin)."""
    ours = Path(sys.executable).parent
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which(name, path=os.pathsep.join(part for part in path if Path(part) != ours))
    if found is None:
        raise SystemExit(f"{name}: not found; expected DCMTK to be installed")
    return found


# --- what runs in the processes -------------------------------------------------------------------


def compute(_: Any) -> None:
    """Be a handler that computes."""
    end = time.monotonic() + COMPUTING
    while time.monotonic() < end:
        sum(number * number for number in range(1_000))


def run_ours(kind: str, port: int, folder: str) -> None:
    """Run our endpoint until the process is killed."""
    from dicom_actors import Endpoint, EndpointConfig
    from dicom_actors.processes import Isolated

    def save(event: Any) -> None:
        event.save(folder)

    handlers: dict[str, Any] = {"handler": save, "null": lambda _: None, "busy": compute}
    if kind == "isolated":
        handlers[kind] = Isolated(compute)
    endpoint = Endpoint.start(
        port,
        host="127.0.0.1",
        event_handlers={"cstore": handlers[kind]},
        config=EndpointConfig(spool_directory=folder, max_associations=None),
    )
    endpoint.actor_stopped.wait()


def run_bare(port: int, folder: str) -> None:
    """Accept until the process is killed."""
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        while True:
            connection, _ = listener.accept()
            bare = BareConnection(connection, folder)
            threading.Thread(target=bare.run, daemon=True).start()


_ACCEPTED = encode_pdu(
    AssociateAc(
        "ANY-SCP",
        "BENCHMARK",
        (PresentationContextAc(1, 0, IMPLICIT), PresentationContextAc(3, 0, EXPLICIT)),
        UserInformation(131_072, "1.2.3.4", "BARE"),
    )
)
_RELEASED = encode_pdu(ReleaseRp())
_MESSAGE_ID = b"\0\0\x10\x01\2\0\0\0"
_RESPONDED_TO = b"\0\0\x20\x01\2\0\0\0"
_INSTANCE = b"\0\0\0\x10\x24\0\0\0"
"""Affected SOP Instance UID, of the length that `plain_user` sends."""

_PREAMBLE = bytes(128) + b"DICM"


def _response(request: int, context_id: int) -> bytearray:
    values: dict[int, int | str] = {
        CommandElement.COMMAND_FIELD: request | 0x8000,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: 0,
        CommandElement.STATUS: 0,
    }
    return bytearray(b"".join(map(encode_pdu, command_pdus(values, context_id))))


class BareConnection:
    """The bare server's side of a connection."""

    def __init__(self, connection: socket.socket, folder: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._folder = folder
        self._buffer = bytearray(1 << 20)
        self._view = memoryview(self._buffer)
        self._fragments: list[memoryview] = []
        self._file = -1
        self._uid = self._id = b""
        self._echoed = _response(CommandField.C_ECHO_RQ, 1)
        self._stored = _response(CommandField.C_STORE_RQ, 3)

    def run(self) -> None:
        """Answer until the peer closes."""
        buffer, view = self._buffer, self._view
        receive = self._socket.recv_into
        position = filled = 0
        with self._socket, contextlib.suppress(ConnectionError):
            while received := receive(view[filled:]):
                filled += received
                while filled - position >= 6:
                    end = position + 6 + int.from_bytes(view[position + 2 : position + 6], "big")
                    if filled < end:
                        break
                    self._take(position, end)
                    position = end
                if position == filled and not self._fragments:
                    position = filled = 0
                elif filled == len(buffer):
                    self._write()
                    rest = filled - position
                    buffer[:rest] = buffer[position:filled]
                    position, filled = 0, rest

    def _take(self, start: int, end: int) -> None:
        kind = self._buffer[start]
        if kind == 4:
            control = self._buffer[start + 11]
            if control & 1:
                self._command(start, end)
            else:
                self._fragments.append(self._view[start + 12 : end])
                if control & 2:
                    self._write()
                    os.close(self._file)
                    self._file = -1
                    self._answer(self._stored)
        elif kind == 1:
            self._socket.sendall(_ACCEPTED)
        elif kind == 5:
            self._socket.sendall(_RELEASED)

    def _command(self, start: int, end: int) -> None:
        at = self._buffer.index(_MESSAGE_ID, start, end) + len(_MESSAGE_ID)
        self._id = bytes(self._view[at : at + 2])
        if self._buffer[start + 10] == 1:
            self._answer(self._echoed)
            return
        at = self._buffer.index(_INSTANCE, start, end) + len(_INSTANCE)
        self._uid = bytes(self._view[at : at + _INSTANCE[4]])

    def _answer(self, response: bytearray) -> None:
        at = response.index(_RESPONDED_TO) + len(_RESPONDED_TO)
        response[at : at + 2] = self._id
        self._socket.sendall(response)

    def _write(self) -> None:
        if self._file < 0:
            name = f"{self._folder}/{self._uid.decode()}"
            self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            self._fragments.insert(0, memoryview(_PREAMBLE))
        # A regular file takes all of it at once, unless its disk is full.
        written = os.writev(self._file, self._fragments)
        assert written == sum(map(len, self._fragments))
        self._fragments.clear()


if __name__ == "__main__":
    if len(sys.argv) > 4:
        sys.setswitchinterval(float(sys.argv[4]))
    run = run_bare if sys.argv[1] == "bare" else lambda *rest: run_ours(sys.argv[1], *rest)
    run(int(sys.argv[2]), sys.argv[3])
