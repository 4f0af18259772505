"""The mark of a folder that is a backup of an archive, and no archive of its own.

A backup removes what the archive has no more, so that it has to know that all it finds there was
copied by another one, of the same archive. Whatever else is kept in the folder takes the mark away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from dicom_actors.archive.files import FileSystem

__all__ = ["BACKUP_MARK", "marked_as", "put_mark", "take_mark_away"]

BACKUP_MARK: Final = "backup.json"
_ARCHIVE: Final = "archive"


def marked_as(disk: FileSystem) -> str | None:
    """Say of which archive a folder is a backup; None: it is none.

    Args:
        disk: the folder.

    Raises:
        ArchiveError: the mark is damaged.
        OSError: it cannot be read.
    """
    if disk.size(BACKUP_MARK) is None:
        return None
    try:
        found = json.loads(bytes(disk.read(BACKUP_MARK)))[_ARCHIVE]
    except (ValueError, TypeError, LookupError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise ArchiveError(
            f'{BACKUP_MARK}: expected {{"{_ARCHIVE}": "the folder that was copied"}}', "damaged"
        )
    return found


def put_mark(disk: FileSystem, archive: str) -> None:
    """Mark a folder as the backup of an archive; it is durable when this returns.

    Raises:
        OSError: it cannot be written.
    """
    part = f"{BACKUP_MARK}.part"
    disk.remove(part)
    file = disk.create(part)
    try:
        file.append([json.dumps({_ARCHIVE: archive}).encode()])
        file.synchronize()
    finally:
        file.close()
    disk.rename(part, BACKUP_MARK)
    disk.synchronize_folder("")


def take_mark_away(disk: FileSystem) -> None:
    """Have a folder be an archive of its own; it is durable when this returns.

    Raises:
        OSError: the mark cannot be removed.
    """
    disk.remove(BACKUP_MARK)
    disk.synchronize_folder("")
