"""What upkeep asks of the index, whoever stands between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.archive.index import Change, Outcome, StoredInstance

__all__ = ["Rows"]


class Rows(Protocol):
    """The index."""

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write changes in one transaction, which is durable when this returns.

        What others asked for before is settled by then, even if `changes` is empty.

        Raises:
            ArchiveError: the index cannot be written.
        """

    def versions_of(self, sop_instance_uid: str) -> list[StoredInstance]:
        """Find an instance and its other versions, the instance first; none if there is none.

        Raises:
            ArchiveError: the index cannot be read.
        """
