"""Where objects that came from a peer are kept: ``<study>/<series>/<instance>.dcm``.

A name is a valid UID or a hash, never another text of the peer (PS3.5 9.1).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.actors import file_name_for
from dicom_actors.cli.terminal import counted, say, size_in_words
from dicom_actors.data import write_file

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_actors.data import DataSet

__all__ = ["ObjectFolder", "object_name", "object_name_of"]


def object_name(data_set: DataSet, sop_instance_uid: str) -> Path:
    """Return the name of an object below the folder for all of them.

    Args:
        data_set: its data set.
        sop_instance_uid: the one that the peer gave it in the message.
    """
    study = str(data_set.get("StudyInstanceUID") or "")
    series = str(data_set.get("SeriesInstanceUID") or "")
    return Path(object_name_of(study, series, sop_instance_uid))


def object_name_of(study: str, series: str, instance: str) -> str:
    """Return the name of an object with these UIDs below the folder for all of them."""
    return f"{file_name_for(study)}/{file_name_for(series)}/{file_name_for(instance)}.dcm"


class ObjectFolder:
    """Where objects are kept, and how many were.

    Args:
        options: those of a command, with the folder as `output`.
    """

    def __init__(self, options: Namespace) -> None:
        self._root = Path(options.output)
        self._as_json = options.json
        self._verbose = options.verbose
        self._length = 0
        self.count = 0

    def keep(self, instance: DataSet) -> int:
        """Write a file; returns its length in bytes."""
        uid = str(instance.file_meta.MediaStorageSOPInstanceUID)
        path = self._root / object_name(instance, uid)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, instance)
        length = path.stat().st_size
        self.count += 1
        self._length += length
        if self._as_json:
            line = {"path": str(path), "sop_instance_uid": uid, "bytes": length}
            print(json.dumps(line), flush=True)
        if self._verbose:
            say(f"{path}: {size_in_words(length)}")
        return length

    def print_summary(self) -> None:
        """Say how many there are."""
        if not self._as_json:
            objects = counted(self.count, "object")
            print(f"{objects} in {self._root}, {size_in_words(self._length)}")
