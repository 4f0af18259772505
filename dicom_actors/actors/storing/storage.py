"""What an endpoint keeps objects with: one for each endpoint, shared by its associations.

On the way in: `receiver` takes a data set, within the budgets of bytes. On the way to a file:
`save` makes the received object a Part 10 file (PS3.10 7) that is whole and durable, or not there
at all. A temporary name in the root folder, the bytes synchronized, renamed, the folder
synchronized. Names are made from UIDs that were checked, never from other text of a peer.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from dicom_actors.actors.storing.budget import ByteBudget
from dicom_actors.actors.storing.directory import HAS_DESCRIPTORS
from dicom_actors.actors.storing.folders import ObjectFolders
from dicom_actors.actors.storing.janitor import Janitor
from dicom_actors.actors.storing.part_file import create_part, part_names, write_file
from dicom_actors.actors.storing.receiver import Receiver
from dicom_actors.data.dictionary.uids import is_valid_uid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_actors.actors.storing.directory import Directory
    from dicom_actors.actors.storing.part_file import PartFile
    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.config import EndpointConfig
    from dicom_actors.supervision import LogService

__all__ = ["Storage", "file_name_for"]

_PRIVATE: Final = 0o600
_SPOOL_BYTES_WHERE_OBJECTS_ARE_KEPT: Final = 128 * 1024
"""Beyond this, writing what comes at once takes less than to hold it in memory, and write it then;
as long as it is likely to be kept, and not looked at and forgotten."""
_SPECIAL: Final = frozenset({"", ".", ".."})
_ELSEWHERE: Final = frozenset({errno.EXDEV, errno.ENOENT})
"""What a rename says of a file that is on another file system, or lost its temporary name."""

_VANISHED: Final = frozenset({errno.ENOENT, errno.ESTALE})
"""What is said of a folder that was there a moment ago."""


def file_name_for(uid: str) -> str:
    """Return a file or folder name for a UID that a peer sent.

    A valid UID (PS3.5 9.1) is its own name. Anything else becomes the hexadecimal SHA-256 of
    itself, so that the same text gives the same name and no text leaves the directory.
    """
    if is_valid_uid(uid):
        return uid
    return "uid-" + hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()


class Storage:
    """See the module.

    Args:
        config: the endpoint's; its byte limits, and where spool files go.
        log: where it is told what could not be removed.
        by_path: whether to do without descriptors of folders; the default is what the system can.

    Attributes:
        memory: the bytes of data sets in memory.
        disk: the bytes of data sets in spool files.
        folders: the folders that are open.
        janitor: removes files for whoever must not wait for a disk.
    """

    def __init__(
        self, config: EndpointConfig, log: LogService, *, by_path: bool = not HAS_DESCRIPTORS
    ) -> None:
        self.memory = ByteBudget(config.memory_bytes)
        self.disk = ByteBudget(config.spool_total_bytes)
        self.janitor = Janitor(log)
        self._names = part_names()
        self.folders = ObjectFolders(self._names, by_path=by_path)
        self._spool_bytes = config.spool_bytes
        self._max_bytes = config.max_object_bytes
        self._spool_folder = str(config.spool_directory or _temporary_folder())
        self._is_told_where = config.spool_directory is not None
        self._last_root: str | None = None

    def receiver(self, header: bytes) -> Receiver:
        """Make what takes a data set as it comes.

        Args:
            header: the Part 10 header that belongs before it.
        """
        spool_bytes = self._spool_bytes
        if self._last_root is not None and spool_bytes > _SPOOL_BYTES_WHERE_OBJECTS_ARE_KEPT:
            spool_bytes = _SPOOL_BYTES_WHERE_OBJECTS_ARE_KEPT
        return Receiver(header, self, spool_bytes=spool_bytes, max_bytes=self._max_bytes)

    def create_spool(self) -> PartFile:
        """Create a file for a data set that is being received, for our eyes only.

        Where objects were kept last, unless the configuration says where: there it needs a name
        alone to be kept, too.

        Raises:
            OSError: the disk is full, the folder is gone, there are no descriptors left, ...
        """
        if self._last_root is not None:
            try:
                return create_part(self.folders.root(self._last_root), self._names, _PRIVATE)
            except OSError:
                self._last_root = None  # until something is kept there again
        folder = self.folders.root(self._spool_folder, make=False)
        return create_part(folder, self._names, _PRIVATE)

    def save(
        self,
        received: ReceivedObject,
        directory: str | os.PathLike[str],
        name: str | os.PathLike[str],
        check: Callable[[], None] | None = None,
        *,
        is_durable: bool = True,
    ) -> Path:
        """Keep a received object as a Part 10 file; what has that name is replaced.

        The data set's bytes are exactly those that were received. A spool file on the same file
        system is renamed, on another one it is copied.

        Args:
            received: the object.
            directory: the root folder; made if it is not there.
            name: the name below it; folders on the way are made, and links are not followed.
            check: called at the last moment; raises if the object must not be kept after all.
            is_durable: whether the file is made safe; else the system does that when it likes.

        Returns:
            The file's path.

        Raises:
            OSError: it could not be written; nothing is left behind.
            ValueError: `name` leads out of `directory`.
        """
        root = os.fspath(directory) or os.curdir
        below, leaf = _split(root, os.fspath(name))
        try:
            path = self._save(received, root, below, leaf, check, is_durable=is_durable)
        except OSError as error:
            if error.errno not in _VANISHED:
                raise
            self.folders.forget()
            path = self._save(received, root, below, leaf, check, is_durable=is_durable)
        if not self._is_told_where:
            self._last_root = root
        return path

    def close(self) -> None:
        """Close the folders."""
        self.folders.forget()

    def _save(
        self,
        received: ReceivedObject,
        root: str,
        below: str,
        leaf: str,
        check: Callable[[], None] | None,
        *,
        is_durable: bool,
    ) -> Path:
        folders, spool = self.folders, received.file
        target = folders.below(root, below) if below else folders.root(root)
        if spool is None or not self._rename(
            spool, root, target, leaf, check, is_durable=is_durable
        ):
            # Temporary names are in the root, where alone leftovers are looked for.
            place = folders.opened_root(root) if below else target
            try:
                self._write(received, place, target, leaf, check, is_durable=is_durable)
            except OSError as error:
                if error.errno != errno.EXDEV or place is target:
                    raise
                self._write(received, target, target, leaf, check, is_durable=is_durable)
        return target.location / leaf

    def _rename(
        self,
        spool: PartFile,
        root: str,
        target: Directory,
        leaf: str,
        check: Callable[[], None] | None,
        *,
        is_durable: bool,
    ) -> bool:
        """Give a spool file its name; says whether it could be."""
        if spool.is_committed:
            return False
        try:
            spool.commit(
                target,
                leaf,
                mode=self.folders.mode_of_files(root),
                check=check,
                is_durable=is_durable,
            )
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                raise
            return False
        return True

    def _write(
        self,
        received: ReceivedObject,
        place: Directory,
        target: Directory,
        leaf: str,
        check: Callable[[], None] | None,
        *,
        is_durable: bool,
    ) -> None:
        if received.file is None:
            parts = (received.header, received.data)
            write_file(place, self._names, parts, target, leaf, check, is_durable=is_durable)
            return
        file = create_part(place, self._names)
        try:
            file.copy_from(received.file)
            file.commit(target, leaf, check=check, is_durable=is_durable)
        finally:
            file.discard()


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.curdir  # none can be written to; that matters when one is needed


def _split(root: str, name: str) -> tuple[str, str]:
    """Cut a name below a root into the folder, empty if it is the root, and the last part."""
    if os.sep == "/" and _SPECIAL.isdisjoint(name.split("/")):
        folder, _, leaf = name.rpartition("/")
        return folder, leaf
    path = PurePath(root, name).relative_to(root)
    if not path.parts or ".." in path.parts:
        raise ValueError(f"expected a name below the directory, got {name!r}")
    return str(PurePath(*path.parts[:-1])) if path.parts[1:] else "", path.name
