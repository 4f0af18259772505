"""``dicom-actors table DIR KEY...``: chosen values of all files in a folder and below.

As a table, as comma-separated values, as lines of JSON, or as a table of an SQLite file.
"""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import index_files
from dicom_actors.cli.match_table import TableColumn, show_table
from dicom_actors.cli.terminal import complain, counted, in_words, print_plain_table, show_anything
from dicom_actors.cli.usage import UsageError
from dicom_actors.data import DataSet, Tag
from dicom_actors.data.dictionary import vr_of
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.data.forms.text import printable
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

__all__ = ["table"]

_SQLITE_BITS: Final = 63
"""Of an integer, beside its sign."""


class _Rows:
    """The files that can be read, and how many cannot."""

    def __init__(self, options: Namespace) -> None:
        self._found = index_files(options.folder, options.keys)
        self._keys = options.keys
        self.failed = 0

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        for path, values in self._found:
            if isinstance(values, Exception):
                self.failed += 1
                complain(f"{path}: {in_words(values)}")
            else:
                yield str(path), [values.get(key) for key in self._keys]


def table(options: Namespace) -> int:
    """Print the values, or write them.

    Returns:
        0, or 1 if a file could not be read; the others are there all the same.

    Raises:
        UsageError: a key is none, or options contradict each other.
        OSError: the folder cannot be listed, or the file not be written.
    """
    if sum(map(bool, (options.json, options.csv, options.sqlite))) > 1:
        raise UsageError("expected one of --json, --csv and --sqlite")
    show_anything()
    try:
        rows = _Rows(options)
    except DicomError as error:
        raise UsageError(f"key: {error}") from error
    if options.json:
        for path, values in rows:
            named = zip(options.keys, map(_plain, values), strict=True)
            print(json.dumps({"path": path, **dict(named)}))
    elif options.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["path", *options.keys])
        writer.writerows([path, *map(_text, values)] for path, values in rows)
    elif options.sqlite:
        _write(Path(options.sqlite), options.keys, rows)
    else:
        _show(options.keys, rows)
    return 1 if rows.failed else 0


def _show(keys: list[str], rows: _Rows) -> None:
    texts = [[printable(cell) for cell in (path, *map(_text, values))] for path, values in rows]
    if not sys.stdout.isatty() or not texts:
        print_plain_table(["path", *keys], texts)
        return
    columns = zip(("path", *keys), zip(*texts, strict=True), strict=True)
    show_table(
        [
            TableColumn(heading, cells, is_uid=_is_whole(heading), is_wanted=True)
            for heading, cells in columns
        ],
        is_numbered=False,
    )


def _is_whole(heading: str) -> bool:
    """Whether half a value of a column is of no use."""
    return heading == "path" or vr_of(to_tag(heading)) == "UI"


def _write(path: Path, keys: list[str], rows: _Rows) -> None:
    """Write the table `files` of an SQLite file anew, or leave it as it is."""
    names = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in ("path", *keys))
    places = ", ".join("?" * (len(keys) + 1))
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database, database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DROP TABLE IF EXISTS files")
            database.execute(f"CREATE TABLE files ({names})")
            database.executemany(
                f"INSERT INTO files VALUES ({places})",  # noqa: S608 - question marks alone
                ([name, *map(_cell, values)] for name, values in rows),
            )
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers, texts, None for none, lists."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    is_number = isinstance(value, int | float) and not isinstance(value, Tag)
    return value if value is None or (is_number and math.isfinite(value)) else _text(value)


def _cell(value: Any) -> Any:
    """A value as SQLite has it; several ones are one text."""
    plain = _plain(value)
    is_long = isinstance(plain, int) and plain.bit_length() > _SQLITE_BITS
    return _text(value) if is_long or isinstance(plain, list) else plain


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\\".join(map(_text, value))
    if isinstance(value, bytes | memoryview):
        return counted(len(value), "byte")
    if isinstance(value, DataSet):
        return counted(len(value), "element")
    return str(value)
