"""What the commands show: tables, sizes in words, what failed.

With rich where it is installed and a person is looking, else plainly. What peers and files say
never acts on the terminal.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Final

from dicom_actors.data.forms.text import printable
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Progress",
    "complain",
    "counted",
    "in_words",
    "print_plain_table",
    "print_table",
    "say",
    "show_anything",
    "size_in_words",
    "told_of",
]

_KILO: Final = 1000.0
_MANY_ROWS: Final = 1000


class Progress:
    """How far a command is; this one shows nothing."""

    def add(self, objects: int = 1, length: int = 0) -> None:
        """So many objects, and so many bytes, are done."""

    def move_to(self, objects: int, total: int | None) -> None:
        """So many objects of so many are done; None: nobody knows of how many."""


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with lines and folded to its width on a terminal, else as it is.

    A long one is printed as it is anyway, since rich takes a millisecond for a row.
    """
    if sys.stdout.isatty() and len(rows) <= _MANY_ROWS:
        with contextlib.suppress(ImportError):
            _print_rich_table(headings, rows)
            return
    print_plain_table(headings, rows)


def print_plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as it is, however wide."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _print_rich_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def show_anything() -> None:
    """Let standard output show a name that its encoding does not have as escapes."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Say something in a line on standard error, beside what the command prints."""
    print(printable(text), file=sys.stderr)


def complain(text: str) -> None:
    """Say in a line on standard error what failed."""
    say(f"dicom-actors: {text}")


def in_words(error: Exception) -> str:
    """Return what went wrong; what the system says without its numbers."""
    if not isinstance(error, OSError) or isinstance(error, DicomError) or not error.strerror:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def told_of(file: str, error: Exception) -> str:
    """Return what went wrong with a file, behind its name, which stands there once."""
    if isinstance(error, OSError) and str(error.filename) == file:
        return in_words(error)
    return f"{file}: {in_words(error)}"


def counted(count: int, noun: str, nouns: str | None = None) -> str:
    """Return a number of things, for example ``"1 object"`` or ``"2 objects"``.

    Args:
        count: how many.
        noun: what, as of one.
        nouns: what, as of several; None: with an s.
    """
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def size_in_words(length: float) -> str:
    """Return a number of bytes in words, for example ``"1.5 MB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if length < _KILO:
            return f"{length:.0f} {unit}" if unit == "bytes" else f"{length:.1f} {unit}"
        length /= _KILO
    return f"{length:.1f} TB"
