"""An archive of a folder and an index, without actors: what services need of one."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

from dicom_actors import DataSet, write_file
from dicom_actors.archive.index import Index, IndexReader, NewInstance, StoredInstance, describe
from dicom_actors.scu import OutgoingObject


class SmallArchive:
    """Files in a folder.

    Args:
        folder: the folder.
        index: where the index is; None: there.
    """

    def __init__(self, folder: Path, index: str | None = None) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.index = Index.open(index or folder / "index.db", durability="os")
        self.reader = self.index.reader
        self.is_rebuilding = False

    def add(self, *data_sets: DataSet, transfer_syntax: str = "1.2.840.10008.1.2.1") -> None:
        """Keep instances."""
        changes = []
        for data_set in data_sets:
            described = describe(data_set)
            path = self.folder / f"{described.sop_instance_uid}.dcm"
            write_file(path, data_set, transfer_syntax=transfer_syntax)
            content = path.read_bytes()
            changes.append(
                NewInstance(
                    described,
                    transfer_syntax,
                    path.name,
                    len(content),
                    sha256(content).digest()[:16],
                    received=time.time(),
                )
            )
        self.index.write(changes)

    def source(self, instance: StoredInstance) -> OutgoingObject:
        """An instance, to be sent."""
        path = self.folder / instance.location
        return OutgoingObject(
            path.read_bytes,
            instance.sop_class_uid,
            instance.sop_instance_uid,
            instance.transfer_syntax_uid,
            None,
        )

    def is_whole(self, instance: StoredInstance) -> bool:
        """Whether its file is there."""
        path = self.folder / instance.location
        return path.is_file() and path.stat().st_size == instance.size

    def close(self) -> None:
        """Close the index."""
        self.index.close()


__all__ = ["IndexReader", "SmallArchive"]
