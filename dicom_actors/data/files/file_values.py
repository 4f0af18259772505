"""Chosen values of many files: which files there are below a folder, and what is in each.

What is done here is done for one file after the other; who has several processors hands out
parts of it. Results are plain values that can be sent to another process.

Standard: PS3.10 7.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.data.dictionary.tag import Key, several, to_tag
from dicom_actors.data.files.part10 import read_file
from dicom_actors.data.scan.scope import DEFAULT_LIMITS, Limits
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ValueReader", "files_below"]

_FILE_META = 0x0002


def files_below(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give all files in a folder and below: those of a folder by name, then its subfolders.

    Only regular files and links to such; links to folders are not followed. A subfolder that
    cannot be listed is given as if it were a file, so that who reads it gets the error.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    stack = [Path(folder)]
    is_first = True
    while stack:
        current = stack.pop()
        try:
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            if is_first:
                raise
            yield current
            continue
        is_first = False
        for entry in entries:
            if entry.is_file():
                yield current / entry.name
        stack.extend(
            current / entry.name
            for entry in reversed(entries)
            if entry.is_dir(follow_symlinks=False)
        )


class ValueReader(NamedTuple):
    """Which values to read of each file.

    Attributes:
        keys: the elements, each as the caller names it, and its tag.
        limits: what a file may cost.
    """

    keys: tuple[tuple[Key, int], ...]
    limits: Limits = DEFAULT_LIMITS

    @classmethod
    def of(cls, keywords: Iterable[Key], limits: Limits = DEFAULT_LIMITS) -> ValueReader:
        """Make a reader of these elements.

        Args:
            keywords: keys of any form; those of the file meta information too.
            limits: what a file may cost.

        Raises:
            ElementNotFoundError: a name is no keyword.
            TypeError: it is one text, and not several.
        """
        return cls(tuple((key, to_tag(key)) for key in several(keywords)), limits)

    def read(self, path: str | os.PathLike[str]) -> dict[Key, Any] | DicomError | OSError:
        """Read the values of a file.

        Returns:
            The value of each element that the file has, by the key that was asked for; or why
            the file cannot be read.
        """
        try:
            data_set = read_file(path, keywords=[tag for _, tag in self.keys], limits=self.limits)
            values = {}
            for key, tag in self.keys:
                holder = data_set.file_meta if tag >> 16 == _FILE_META else data_set
                if tag in holder:
                    value = holder[tag]
                    # A view would keep the whole file, and goes to no other process.
                    values[key] = bytes(value) if isinstance(value, memoryview) else value
        except (DicomError, OSError) as error:
            return error
        return values

    def read_all(
        self, paths: Iterable[str | os.PathLike[str]]
    ) -> list[dict[Key, Any] | DicomError | OSError]:
        """Read the values of several files: what `read` returns for each."""
        return [self.read(path) for path in paths]
