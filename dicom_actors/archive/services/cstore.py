"""C-STORE for an archive (PS3.4 B): Success once the object is durable and in the index.

Statuses: 0000H it is kept, or was; 0111H another object has its SOP Instance UID and stays
(``duplicates="keep-first"``); A700H no room, or the folder or the index cannot be used; C000H it
cannot be read, or lacks a UID; 0110H a part of the archive crashed over it. After A700H and 0110H
the sender may try again: it is not known to be kept.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors import Status
from dicom_actors.archive.index import Result
from dicom_actors.archive.objects import NewObject, Origin
from dicom_actors.archive.upkeep import Intake
from dicom_actors.errors import ArchiveError, DataError, DimseFailure, StorageError

if TYPE_CHECKING:
    from dicom_actors import DataSet
    from dicom_actors.archive.objects import Added
    from dicom_actors.archive.settings import ArchiveSettings

__all__ = ["StoreHandler", "status_of"]

logger = logging.getLogger(__name__)

_UNKNOWN: Final = "failed"
_COMMENTS: Final = {
    "full": "no room on the disk",
    "read-only": "the archive cannot be written",
    "absent": "the archive's folder or index cannot be reached",
    "locked": "the index is locked by another process",
    "busy": "the index is too busy",
    "damaged": "the index is damaged",
    "newer": "the index is that of a newer version",
}
"""What the peer is told by the reason of an error, whose text has paths in it."""
_FLUSH_SECONDS: Final = 0.06
"""What the synchronization of a journal, and of the index after it, take on an ordinary disk."""


class Keeper(Protocol):
    """What the handler needs of an archive."""

    @property
    def settings(self) -> ArchiveSettings:
        """Its settings."""

    def keep(self, new: NewObject) -> Added:
        """Keep an object; see `Archive.keep`."""

    def sends(self, association: int, study_instance_uid: str, /) -> bool:
        """An association is about to send to a study; returns whether that is news."""

    def sends_not(self, association: int, study_instance_uid: str, /) -> None:
        """It has not changed the study."""


class StoreHandler:
    """The handler for ``"cstore"``.

    Args:
        archive: where to.
    """

    def __init__(self, archive: Keeper) -> None:
        self._archive = archive
        self._is_durable = archive.settings.durability == "disk"

    def __call__(self, event: Any) -> None:
        """Keep what was received; runs in the thread of its association.

        Raises:
            DimseFailure: see the module.
        """
        new = self._new_object(event)
        study = new.intake.description.study_instance_uid
        # Before it is there, so that the study is not complete a moment after.
        is_first = self._archive.sends(event.association_id, study)
        event.expect_wait(_FLUSH_SECONDS)
        try:
            added = self._archive.keep(new)
        except ArchiveError as error:
            logger.warning("an object is refused: %s", str(error))
            comment = _COMMENTS.get(error.reason, "a part of the archive failed")
            raise DimseFailure(status_of(error), comment) from error
        except OSError as error:
            logger.warning("an object is refused: %s", str(error))
            if isinstance(error, DimseFailure):
                raise
            raise StorageError(Status.OUT_OF_RESOURCES, error) from error
        if is_first and added.result is Result.SAME:
            self._archive.sends_not(event.association_id, study)
        if not added.is_kept:
            raise DimseFailure(
                Status.DUPLICATE_SOP_INSTANCE, "another object of this SOP Instance UID is kept"
            )

    def _new_object(self, event: Any) -> NewObject:
        data, header = event.data, event.file_header

        def read() -> DataSet:
            data_set: DataSet = event.dataset
            return data_set

        try:
            intake = Intake.of(read, event.transfer_syntax.uid, len(header), data)
        except DataError as error:
            tag = getattr(error, "tag", None)
            elements = {} if tag is None else {"OffendingElement": [tag]}
            raise DimseFailure(Status.CANNOT_UNDERSTAND, str(error), **elements) from error

        def save(folder: str, name: str) -> None:
            event.save(folder, name, is_durable=self._is_durable)

        origin = Origin(event.calling_ae_title, event.called_ae_title, str(event.peer[0]))
        return NewObject(intake, header, data, save, origin, read)


def status_of(error: ArchiveError) -> Status:
    """The status by which a peer is told of an archive's trouble."""
    return Status.PROCESSING_FAILURE if error.reason == _UNKNOWN else Status.OUT_OF_RESOURCES
