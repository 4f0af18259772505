"""Worklist items in a folder: files that others write, change and remove while we look.

Three kinds of files: ``.json`` with the DICOM JSON model or with keywords and values, one item or
a list of them; ``.wl`` and ``.dcm`` with a data set. What cannot be read is left out, which is
told once for each state of the file; all else goes on. A pipe or a device is no file.

Standard: PS3.18 F.2 (JSON), PS3.10 7.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, read_file
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_FILES", "WorklistFolder"]

logger = logging.getLogger(__name__)

MAX_FILES: Final = 10_000
"""Files that are looked at; the others, by name, are not."""
MAX_FILE_BYTES: Final = 1 << 20
_SUFFIXES: Final = frozenset({".json", ".wl", ".dcm"})
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")


class WorklistFolder:
    """Items in the files of a folder, read again when a file is another one than before.

    Args:
        path: the folder; without one there are no items.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._read: dict[str, tuple[tuple[int, int, int], list[DataSet]]] = {}
        self._has_too_many = False

    def items(self) -> Iterator[DataSet]:
        """The items that there are now; file by file, in the order of their names."""
        present = self._files()
        self._read = {name: one for name, one in self._read.items() if name in present}
        for name, state in present.items():
            known = self._read.get(name)
            if known is None or known[0] != state:
                known = self._read[name] = state, self._items_of(self._path / name, state)
            yield from known[1]

    def _files(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if entry.name[0] != "." and Path(entry.name).suffix.lower() in _SUFFIXES:
                        try:
                            status = entry.stat()
                        except OSError:  # removed meanwhile
                            continue
                        if stat.S_ISREG(status.st_mode):  # to open a pipe may take for ever
                            state = (status.st_mtime_ns, status.st_size, status.st_ino)
                            found[entry.name] = state
        except FileNotFoundError:
            return {}
        except OSError as error:
            logger.warning("the folder of the worklist: %s", error.strerror)
            return {}
        if len(found) > MAX_FILES and not self._has_too_many:
            logger.warning("more than %d files in the folder of the worklist", MAX_FILES)
        self._has_too_many = len(found) > MAX_FILES
        return {name: found[name] for name in sorted(found)[:MAX_FILES]}

    def _items_of(self, path: Path, state: tuple[int, int, int]) -> list[DataSet]:
        try:
            if state[1] > MAX_FILE_BYTES:
                raise ValueError(f"expected at most {MAX_FILE_BYTES} bytes, got {state[1]}")  # noqa: TRY301
            if path.suffix.lower() != ".json":
                return [read_file(path.read_bytes())]
            found = json.loads(path.read_bytes())
            return [_item(one) for one in (found if isinstance(found, list) else [found])]
        except (DicomError, OSError, ValueError, TypeError, RecursionError) as error:
            # The message may have values of a patient in it.
            logger.warning("the worklist goes on without %s: %s", path.name, type(error).__name__)
            return []


def _item(found: Any) -> DataSet:
    if not isinstance(found, dict) or not found:
        raise ValueError("expected an object of attributes")
    if all(_TAG.fullmatch(key) for key in found):
        return DataSet.from_json(found)
    return DataSet.from_keywords(**found)
