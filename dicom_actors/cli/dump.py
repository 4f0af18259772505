"""``dicom-actors dump FILE...``: print files as people read them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dicom_actors.data import read_file
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dump"]


def dump(files: Sequence[str]) -> int:
    """Print each file.

    Args:
        files: their paths.

    Returns:
        0, or 1 if one could not be read; the others are printed all the same.
    """
    failed = False
    for number, file in enumerate(files):
        if len(files) > 1:
            print(f"{'' if number == 0 else chr(10)}# {file}")
        try:
            dataset = read_file(file)
            if dataset.file_meta is not None:
                print(dataset.file_meta)
            print(dataset)
            for warning in dataset.warnings:
                print(f"# warning: {warning}")
        except (DicomError, OSError) as error:
            failed = True
            print(f"dicom-actors: {file}: {error}", file=sys.stderr)
    return 1 if failed else 0
