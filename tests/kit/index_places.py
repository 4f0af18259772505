"""Where the index of an archive is in a test, and what is done to it from outside there."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from kit.postgresql import Postgresql

INDEX = "index.sqlite"


class InFolder:
    """It is a file in the archive's folder."""

    is_shared = False

    def address(self, folder: Path) -> str | None:
        """Where it is if that is not in the folder."""
        return None

    def words(self, folder: Path) -> list[str]:
        """What a command is told."""
        return []

    def lose(self, folder: Path) -> None:
        """Remove it."""
        for path in folder.glob(f"{INDEX}*"):
            path.unlink()

    def copy(self, folder: Path, other: Path) -> None:
        """Let another folder have a copy of it."""
        for path in folder.glob(f"{INDEX}*"):
            (other / path.name).write_bytes(path.read_bytes())

    def set_version(self, folder: Path, number: int) -> None:
        """Have it say that it is of another version."""
        connection = sqlite3.connect(folder / INDEX)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.close()


class OnServer:
    """It is a database of PostgreSQL; each folder has its own.

    Args:
        server: the server.
    """

    is_shared = True

    def __init__(self, server: Postgresql) -> None:
        self._server = server
        self._addresses: dict[Path, str] = {}
        self._copies: set[str] = set()

    def address(self, folder: Path) -> str:
        """Where it is."""
        place = Path(folder).resolve()
        if place not in self._addresses:
            self._addresses[place] = self._server.new_index()
        return self._addresses[place]

    def knows(self, folder: Path) -> bool:
        """Whether there is one for a folder."""
        return Path(folder).resolve() in self._addresses

    def words(self, folder: Path) -> list[str]:
        """See `InFolder`."""
        return ["--index", self.address(folder)]

    def lose(self, folder: Path) -> None:
        """See `InFolder`."""
        address = self._addresses.pop(folder.resolve())
        (self._server.drop if address in self._copies else self._server.give_back)(address)

    def copy(self, folder: Path, other: Path) -> None:
        """See `InFolder`."""
        if self.knows(folder):
            copy = self._server.copy(self.address(folder))
            self._addresses[other.resolve()] = copy
            self._copies.add(copy)

    def lose_all(self) -> None:
        """Remove those of all folders."""
        for folder in list(self._addresses):
            self.lose(folder)

    def set_version(self, folder: Path, number: int) -> None:
        """See `InFolder`."""
        with psycopg.connect(self.address(folder)) as connection:
            connection.execute("UPDATE schema_version SET number = %s", [number])
