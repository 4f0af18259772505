"""Which database an index is in, by the text that says where it is."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.index.sqlite import SqliteDatabase
from dicom_actors.errors import MissingExtraError

if TYPE_CHECKING:
    from dicom_actors.archive.index.database import Database

__all__ = ["database_of", "is_shared", "redacted"]

_POSTGRESQL: Final = re.compile(r"postgres(?:ql)?://")
_SECRETS: Final = (
    re.compile(r"(?<=://)([^@/?#]*?):[^@/]*(?=@)"),
    re.compile(r"(?<=[?&])((?:ssl)?password)=[^&#]*"),
)


def is_shared(index: str | os.PathLike[str]) -> bool:
    """Whether an index is in a database of PostgreSQL, which several processes may write."""
    return isinstance(index, str) and _POSTGRESQL.match(index) is not None


def redacted(index: str) -> str:
    """Where an index is, without what is secret in it."""
    before, inside = _SECRETS
    return inside.sub(r"\1=***", before.sub(r"\1:***", index))


def database_of(index: str | os.PathLike[str], durability: str) -> Database:
    """The database of an index.

    Args:
        index: the path of a file, or what begins with ``postgresql://``.
        durability: see `Index.open`.

    Raises:
        MissingExtraError: the extra is not installed.
        ArchiveError: it is no address of a database.
    """
    if not is_shared(index):
        return SqliteDatabase(index, durability)
    try:
        from dicom_actors.archive.index.postgresql import (  # noqa: PLC0415 - of an extra
            PostgresqlDatabase,
        )
    except ImportError as error:
        raise MissingExtraError(
            "an index of PostgreSQL needs psycopg: pip install 'dicom-actors[postgres]'"
        ) from error
    return PostgresqlDatabase(os.fspath(index), redacted(str(index)), durability)
