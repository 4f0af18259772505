"""What an index asks of its database, whichever that is: `sqlite` or `postgresql`.

All SQL of the archive is written once, with question marks for parameters, as both understand it.
Where they differ it is written as SQLite has it, and `postgresql` translates that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dicom_actors.errors import ArchiveError

__all__ = ["ConflictError", "Connection", "Cursor", "Database"]


class ConflictError(Exception):
    """Another connection has changed what a transaction rests on; it is begun once more."""


class Cursor(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row; None if there is none."""

    def fetchall(self) -> list[Any]:
        """All other rows."""

    def __iter__(self) -> Iterator[Any]:
        """The rows."""


class Connection(Protocol):
    """A connection to a database; for one thread at a time.

    Attributes:
        sees_others: whether `was_written` tells of all that others write.
    """

    sees_others: bool

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Execute a statement."""

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Execute a statement for each of some rows of parameters; `rowcount` is of them all."""

    def rows(self, statement: str, parameters: Sequence[Any], at_once: int = ...) -> Iterator[Any]:
        """Execute a query that may give very many rows, of which few are held at a time.

        Args:
            statement: the query.
            parameters: its parameters.
            at_once: rows that may be held.
        """

    def together(self) -> AbstractContextManager[object]:
        """Have statements sent together, of which nothing is asked before the block ends.

        What they raise comes when it does.
        """

    def begin(self, *, writes: bool, is_durable: bool = True) -> None:
        """Begin a transaction; one that does not write is of one moment throughout.

        That the connection was lost may be found out by the first statement of one that writes.

        Args:
            writes: whether it does.
            is_durable: whether what it writes has to outlive a power cut once it is committed;
                else it may do so no sooner than what is written next and has to.
        """

    def commit(self) -> None:
        """End it."""

    def rollback(self) -> None:
        """End it as if it had not been; nothing if there is none."""

    def was_written(self) -> bool:
        """Whether another connection may have written since this was asked last.

        Where it cannot be known, whoever rests on what was is told by a `ConflictError`.
        """

    def version(self) -> int:
        """The number of the latest step of the schema that was done."""

    def step(
        self, number: int, script: str, function: Callable[[Connection], None] | None = None
    ) -> None:
        """Do a step of the schema, in a transaction of its own, if nobody has.

        Args:
            number: of the step.
            script: its statements.
            function: called after them, in the same transaction.

        Raises:
            ArchiveError: the database is another program's.
        """

    def close(self) -> None:
        """Close it."""


class Database(Protocol):
    """A database that has an index, or will.

    Attributes:
        name: what it is called in messages; there is no secret in it.
        errors: the exceptions that its connections raise.
    """

    name: str
    errors: tuple[type[Exception], ...]

    def connect(self, *, reads_only: bool) -> Connection:
        """Open a connection that begins and ends transactions when told so."""

    def hurry(self) -> None:
        """Wait no more for others that hold it: what cannot be written at once is given up."""

    def failure(self, error: Exception) -> ArchiveError:
        """Say what one of `errors` means.

        Raises:
            ValueError: that a value cannot be kept.
        """

    def is_lost(self, connection: Connection) -> bool:
        """Whether a connection is of no more use."""

    def was_made(self) -> None:
        """The index was made a moment ago."""

    def copy_to(self, connection: Connection, path: Path) -> None:
        """Copy what a connection sees into a new file of SQLite.

        Raises:
            ArchiveError: the copy cannot be written.
        """
