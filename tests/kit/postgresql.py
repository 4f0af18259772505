"""A server of PostgreSQL of the tests' own, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import psycopg

LIMIT = 60.0


def programs() -> Path:
    """Where PostgreSQL's programs are: Debian keeps them out of the way."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: int(path.parent.parent.name), default=None)
    assert newest is not None, "expected PostgreSQL (apt-get install postgresql), found none"
    return newest.parent


class Postgresql:
    """A server.

    Args:
        is_durable: whether what is committed survives a crash of the system.
    """

    def __init__(self, *, is_durable: bool = False) -> None:
        self.programs = programs()
        # A path of its own, as those of sockets may be 100 characters long.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            of = pwd.getpwnam(self._user)
            os.chown(self.folder, of.pw_uid, of.pw_gid)
        self.folder.chmod(0o755)
        self._run("initdb", "-D", "data", "-U", "archive", "-A", "trust", "-E", "UTF8", "-N")
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.folder}'",
            "unix_socket_permissions": "0777",
            "max_connections": "100",
            "shared_buffers": "'32MB'",
            "fsync": "on" if is_durable else "off",
            "log_destination": "'stderr'",
        }
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(text)
        self._numbers = count(1)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        log = self.folder / "log"
        said = log.read_text()[-2_000:] if log.exists() else ""
        assert done.returncode == 0, (program, arguments, done.stdout, said)

    def start(self) -> None:
        """Start it; returns when it can be used."""
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-s", "start")

    def kill(self) -> None:
        """Kill all of it, in the middle of what it does."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
        )
        for one in (pid, *map(int, children.stdout.split())):
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for one in (pid, *map(int, children.stdout.split())):
            _await_end(one)
        # Where nobody reaps it, the next one would take it to be alive.
        for path in (self.folder / "data" / "postmaster.pid", *self.folder.glob(".s.*.lock")):
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop it; what is connected is thrown out."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "-s", "stop")

    def remove(self) -> None:
        """Stop it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def address(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://archive@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Make a database, and give its address."""
        name = f"archive{next(self._numbers)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)


def _await_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    try:
        ended, _, _ = select.select([descriptor], [], [], LIMIT)
        assert ended, f"process {pid} does not end"
    finally:
        os.close(descriptor)
