"""Data sets that the archive keeps for modalities, by name, in its index.

Standard: PS3.5 A.2 (how they are encoded there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors import DataSet
from dicom_actors.archive.index import Record, RecordChanged, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome

__all__ = ["Records", "decoded", "encoded"]

_EXPLICIT: Final = "1.2.840.10008.1.2.1"


def decoded(data: bytes) -> DataSet:
    """A data set as it is kept."""
    return DataSet.from_bytes(data, _EXPLICIT)


def encoded(data_set: DataSet) -> bytes:
    """What is kept of a data set; raises EncodeError."""
    return data_set.to_bytes(_EXPLICIT)


class Records:
    """The data sets of one kind. Any thread may use it.

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
        self._decoded: dict[str, tuple[bytes, DataSet]] = {}

    def read(self, name: str) -> bytes | None:
        """The data set of a name as it is kept; None if there is none.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self._reader() as reader:
            return reader.record(self._kind, name)

    def get(self, name: str) -> DataSet | None:
        """The data set of a name.

        Raises:
            ArchiveError: the index cannot be read.
        """
        data = self.read(name)
        return None if data is None else decoded(data)

    def all(self) -> list[DataSet]:
        """All of them, in the order of their names. Do not change them.

        What is still the same as it was the last time is not decoded again.

        Raises:
            ArchiveError: the index cannot be read.
        """
        before, after = self._decoded, {}
        with self._reader() as reader:
            for name, data in reader.records(self._kind):
                known = before.get(name)
                is_same = known is not None and known[0] == data
                after[name] = known if is_same and known else (bytes(data), decoded(bytes(data)))
        self._decoded = after
        return [data_set for _, data_set in after.values()]

    def put(self, name: str, data_set: DataSet) -> None:
        """Keep a data set, in place of the one of that name.

        Raises:
            EncodeError: it cannot be encoded.
            ArchiveError: the index cannot be written.
        """
        self._write([Record(self._kind, name, encoded(data_set))])

    def replace(self, name: str, before: bytes | None, data_set: DataSet) -> bool:
        """Keep a data set, in place of the one that was read, if that is still there.

        Args:
            name: its name.
            before: what was read; None: there was none.
            data_set: what is kept.

        Returns:
            Whether it is kept; else somebody else has been faster.

        Raises:
            EncodeError: it cannot be encoded.
            ArchiveError: the index cannot be written.
        """
        changed = RecordChanged(self._kind, name, before, encoded(data_set))
        return self._write([changed])[0].result is not Result.CONFLICT

    def remove(self, name: str) -> None:
        """Keep the data set of a name no more; there need be none.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._write([Record(self._kind, name, None)])
