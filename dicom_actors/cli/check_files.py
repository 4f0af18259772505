"""``dicom-actors check PATH...``: where files depart from the rules of PS3.5 and PS3.6."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.cli.terminal import complain, show_anything, told_of
from dicom_actors.data import read_file
from dicom_actors.data.files.file_values import files_below
from dicom_actors.data.forms.text import printable
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

__all__ = ["check"]


def check(options: Namespace) -> int:
    """Print what the reader forgave, and what `DataSet.check` finds.

    Returns:
        0, or 1 if there is anything, or a file cannot be read.
    """
    show_anything()
    code = 0
    for file, problem in _files(options.files):
        try:
            if problem is not None:
                raise problem
            data_set = read_file(file)
            found = [*map(str, data_set.warnings), *map(str, data_set.check())]
        except (DicomError, OSError) as error:
            complain(told_of(file, error))
            code = 1
            continue
        code = 1 if found else code
        if options.json:
            print(json.dumps({"path": file, "departures": found}))
        else:
            for departure in found:
                print(printable(f"{file}: {departure}"))
    return code


def _files(paths: Iterable[str]) -> Iterator[tuple[str, OSError | None]]:
    """Give the files, of folders all below; or a folder, and why it cannot be listed."""
    for path in paths:
        if not Path(path).is_dir():
            yield path, None
            continue
        try:
            yield from ((str(file), None) for file in files_below(path))
        except OSError as error:
            yield path, error
