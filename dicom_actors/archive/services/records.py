"""Data sets that the archive keeps for modalities, by name, in its index.

Standard: PS3.5 A.2 (how they are encoded there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors import DataSet
from dicom_actors.archive.index import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome

__all__ = ["Records"]

_EXPLICIT: Final = "1.2.840.10008.1.2.1"


class Records:
    """The data sets of one kind.

    Args:
        kind: which.
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
    """

    def __init__(
        self,
        kind: str,
        reader: Callable[[], AbstractContextManager[IndexReader]],
        write: Callable[[Sequence[Change]], list[Outcome]],
    ) -> None:
        self._kind = kind
        self._reader = reader
        self._write = write

    def get(self, name: str) -> DataSet | None:
        """The data set of a name.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self._reader() as reader:
            data = reader.record(self._kind, name)
        return None if data is None else DataSet.from_bytes(data, _EXPLICIT)

    def all(self) -> dict[str, DataSet]:
        """All of them, by their names.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self._reader() as reader:
            found = list(reader.records(self._kind))
        return {name: DataSet.from_bytes(data, _EXPLICIT) for name, data in found}

    def kept(self, name: str, data_set: DataSet | None) -> Record:
        """The change that keeps a data set, or, with None, keeps it no more.

        Raises:
            EncodeError: it cannot be encoded.
        """
        return Record(self._kind, name, None if data_set is None else data_set.to_bytes(_EXPLICIT))

    def put(self, name: str, data_set: DataSet) -> None:
        """Keep a data set, in place of the one of that name.

        Raises:
            EncodeError: it cannot be encoded.
            ArchiveError: the index cannot be written.
        """
        self._write([self.kept(name, data_set)])

    def remove(self, name: str) -> None:
        """Keep the data set of a name no more; there need be none.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._write([self.kept(name, None)])
