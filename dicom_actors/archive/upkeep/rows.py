"""What upkeep asks of the index, whoever stands between."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.archive.index import Change, Outcome, StoredInstance

__all__ = ["Rows"]


class Rows(abc.ABC):
    """The index."""

    @abc.abstractmethod
    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write changes in one transaction, which is durable when this returns.

        What others asked for before is settled by then, even if `changes` is empty.

        Raises:
            ArchiveError: the index cannot be written.
        """

    @abc.abstractmethod
    def versions_of_each(self, uids: Sequence[str]) -> dict[str, list[StoredInstance]]:
        """Find the versions of some instances, by their SOP Instance UIDs; see `versions_of`.

        Raises:
            ArchiveError: the index cannot be read.
        """

    @abc.abstractmethod
    def versions_in_journal(self, journal: str) -> list[StoredInstance]:
        """Find the versions of instances whose bytes are in a journal; takes time.

        Raises:
            ArchiveError: the index cannot be read.
        """

    def versions_of(self, sop_instance_uid: str) -> list[StoredInstance]:
        """Find an instance and its other versions, the instance first; none if there is none.

        Raises:
            ArchiveError: the index cannot be read.
        """
        return self.versions_of_each([sop_instance_uid])[sop_instance_uid]
