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
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dicom_actors.archive.index import Index

LIMIT = 60.0
ROOM = 2 << 30


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
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=None if is_durable else _memory()))
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
        if not is_durable:  # then there is little to write for a database that is made
            settings |= {"wal_level": "minimal", "max_wal_senders": "0", "full_page_writes": "off"}
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(text)
        self._numbers = count(1)
        self._empty: dict[str, list[tuple[Any, ...]]] = {}
        self._returned: list[str] = []
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
        return self._create("")

    def new_index(self) -> str:
        """Give the address of a database that has an empty index, be it one that was used."""
        if self._returned:
            return self._returned.pop()
        address = self.new_database()
        Index.open(address).close()
        if not self._empty:
            with psycopg.connect(address) as connection:
                rows = {
                    one: connection.execute(_all_of(one)).fetchall() for one in _tables(connection)
                }
            self._empty = {table: found for table, found in rows.items() if found}
        return address

    def give_back(self, address: str) -> None:
        """Empty an index for somebody else; who has it open is thrown out.

        To make and to remove a database are some 300 files each time.
        """
        self._throw_out(address)
        with psycopg.connect(address) as connection:
            every = sql.SQL(", ").join(map(sql.Identifier, _tables(connection)))
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(every))
            for table, rows in self._empty.items():
                marks = sql.SQL(", ").join([sql.Placeholder()] * len(rows[0]))
                insert = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), marks)
                connection.cursor().executemany(insert, rows)
        self._returned.append(address)

    def copy(self, address: str) -> str:
        """Copy an index, and give the address of the copy; who has it open is thrown out."""
        self._throw_out(address)
        return self._create(f"TEMPLATE {conninfo_to_dict(address)['dbname']} STRATEGY file_copy")

    def drop(self, address: str) -> None:
        """Remove a database; who has it open is thrown out."""
        name = conninfo_to_dict(address)["dbname"]
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _throw_out(self, address: str) -> None:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [conninfo_to_dict(address)["dbname"]],
            )

    def _create(self, options: str) -> str:
        name = f"archive{next(self._numbers)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}".encode())
        return self.address(name)


def _memory() -> str | None:
    """A folder in memory, if there is room: a busy disk takes a minute to remove it all."""
    folder = "/dev/shm"
    try:
        return folder if shutil.disk_usage(folder).free > ROOM else None
    except OSError:
        return None


def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [table for (table,) in found]


def _all_of(table: str) -> sql.Composed:
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))


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
