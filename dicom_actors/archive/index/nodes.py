"""Those who share an index, as it knows them: leases, and what they tell one another.

Each has a row that it prolongs. One that does not is gone: another one takes its row over, once,
and with it what the node has left. A node that was only slow finds its row taken, writes nothing
more under that name (`Writing` looks), and has to take another one. Times are those of the
database's clock.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.index.locating import database_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.archive.index.database import Connection

__all__ = ["LONGEST_MESSAGE", "Nodes"]

LONGEST_MESSAGE: Final = 7_900
"""Bytes of one thing that is told."""
_CHANNEL: Final = "dicom_actors"
_UNTIL: Final = "clock_timestamp() + ? * interval '1 second'"


class Nodes:
    """A connection on which a node says that it is there, and hears the others; for one thread.

    Args:
        address: of the index.
        lease: seconds after which one that does not prolong its row is gone.

    Raises:
        ArchiveError: the index cannot be reached.

    Attributes:
        socket: it can be read when something is told.
    """

    def __init__(self, address: str, lease: float) -> None:
        from dicom_actors.archive.index.postgresql import (  # noqa: PLC0415 - of an extra
            PostgresqlConnection,
        )

        self._database: Final = database_of(address, "os")
        self._lease = lease
        try:
            connection = self._database.connect(reads_only=False)
            assert isinstance(connection, PostgresqlConnection)
            self._listening: Final = connection
            connection.execute(f"LISTEN {_CHANNEL}")
            # One of ours, as that of the connection is not known as a socket.
            self.socket: Final = socket.socket(fileno=os.dup(connection.driver.fileno()))
        except self._database.errors as error:
            raise self._database.failure(error) from error

    def _run(self, statement: str, *parameters: object) -> list[tuple[str, ...]]:
        connection: Connection = self._listening
        try:
            cursor = connection.execute(statement, parameters)
            has_rows = statement.startswith("SELECT") or "RETURNING" in statement
            return cursor.fetchall() if has_rows else []
        except self._database.errors as error:
            raise self._database.failure(error) from error

    def those_there(self) -> dict[str, str]:
        """The nodes whose leases have not ended, and until when these are.

        Raises:
            ArchiveError: the index cannot be read.
        """
        rows = self._run(
            "SELECT name, CAST(expires AS text) FROM node"
            " WHERE keeper = name AND expires > clock_timestamp()"
        )
        return {row[0]: row[1] for row in rows}

    def until(self, names: Iterable[str]) -> dict[str, str]:
        """Until when the leases of nodes are, or were; empty for one that somebody has taken over.

        Raises:
            ArchiveError: the index cannot be read.
        """
        rows = self._run("SELECT name, keeper, CAST(expires AS text) FROM node")
        wanted = set(names)
        return {
            name: until if keeper == name else "" for name, keeper, until in rows if name in wanted
        }

    def join(self, name: str) -> None:
        """Be there, under a name that nobody had.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._run(f"INSERT INTO node VALUES (?, ?, {_UNTIL})", name, name, self._lease)  # noqa: S608

    def prolong(self, name: str) -> set[str]:
        """Prolong the rows that a node keeps; returns whose they are, its own name among them.

        Raises:
            ArchiveError: the index cannot be written.
        """
        rows = self._run(
            f"UPDATE node SET expires = {_UNTIL} WHERE keeper = ? RETURNING name",  # noqa: S608
            self._lease,
            name,
        )
        return {found for (found,) in rows}

    def take_over(self, name: str) -> set[str]:
        """Take over the rows of those that are gone; returns whose they are.

        Raises:
            ArchiveError: the index cannot be written.
        """
        # Not while one of them writes: what it writes then is seen by whoever takes over.
        rows = self._run(
            f"UPDATE node SET keeper = ?, expires = {_UNTIL} WHERE name IN"  # noqa: S608
            " (SELECT name FROM node WHERE expires < clock_timestamp() FOR UPDATE SKIP LOCKED)"
            " RETURNING name",
            name,
            self._lease,
        )
        return {found for (found,) in rows}

    def claim(self, name: str, of: str) -> bool:
        """Take over what somebody has left who has no row; returns whether nobody else did.

        Raises:
            ArchiveError: the index cannot be written.
        """
        rows = self._run(
            f"INSERT INTO node VALUES (?, ?, {_UNTIL}) ON CONFLICT DO NOTHING RETURNING name",  # noqa: S608
            of,
            name,
            self._lease,
        )
        return bool(rows)

    def forget(self, name: str, keeper: str) -> None:
        """Remove the row of a node that has left nothing.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._run("DELETE FROM study_at_node WHERE node = ?", name)
        self._run("DELETE FROM node WHERE name = ? AND keeper = ?", name, keeper)

    def give_up(self, name: str) -> None:
        """Let others take over what a node has left, at once.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._run("UPDATE node SET expires = '-infinity' WHERE name = ? AND keeper = ?", name, name)

    def tell(self, messages: Iterable[str]) -> None:
        """Tell all who share the index, oneself included.

        Args:
            messages: each of `LONGEST_MESSAGE` bytes at the most.

        Raises:
            ArchiveError: the index cannot be reached.
        """
        for message in messages:
            self._run("SELECT pg_notify(?, ?)", _CHANNEL, message)

    def told(self) -> list[str]:
        """What was told since this was asked last; waits for nothing.

        Raises:
            ArchiveError: the connection is lost.
        """
        driver = self._listening.driver.pgconn
        try:
            driver.consume_input()
        except self._database.errors as error:
            raise self._database.failure(error) from error
        found = []
        while (notice := driver.notifies()) is not None:
            found.append(notice.extra.decode("utf-8", "replace"))
        return found

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self.socket.close()
        self._listening.close()
