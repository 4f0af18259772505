"""A table for a terminal: as wide as that is, no UID ever broken, and in pages when it is long.

Columns that nobody asked for by name give way where there is no room: UIDs first, since the number
of a match stands for it. UIDs that were asked for go below their match then, each on a line of its
own. Other texts are folded.
"""

from __future__ import annotations

import pydoc
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["TableColumn", "lay_out", "show_table"]

_GAP: Final = "  "
_LEAST: Final = 10
"""Cells below which a text is not folded."""


class TableColumn(NamedTuple):
    """A column.

    Attributes:
        heading: its heading.
        cells: its texts, in the order of the matches.
        is_uid: whether these are UIDs, or anything else that is of no use in parts.
        is_wanted: whether it was asked for by name.
    """

    heading: str
    cells: Sequence[str]
    is_uid: bool = False
    is_wanted: bool = False

    @property
    def width(self) -> int:
        """How many cells of a terminal it takes."""
        return max(map(_width, (self.heading, *self.cells)))

    @property
    def least(self) -> int:
        """How many cells it takes at least."""
        return self.width if self.is_uid else min(self.width, max(_LEAST, _width(self.heading)))


def show_table(columns: Sequence[TableColumn], *, is_numbered: bool = True) -> None:
    """Print a table on the terminal; page by page if it is longer than that."""
    size = shutil.get_terminal_size()
    lines = lay_out(columns, size.columns, is_numbered=is_numbered)
    if len(lines) >= size.lines and sys.stdin.isatty():
        pydoc.pager("\n".join(lines))
    else:
        print("\n".join(lines))


def lay_out(columns: Sequence[TableColumn], width: int, *, is_numbered: bool = True) -> list[str]:
    """Return the lines of a table.

    Args:
        columns: what it has.
        width: cells of the terminal; only a UID alone, or one text, may be wider.
        is_numbered: whether each row has a number.
    """
    count = len(columns[0].cells) if columns else 0
    if is_numbered:
        numbers = TableColumn("#", [str(number) for number in range(1, count + 1)], is_wanted=True)
        columns = [numbers, *columns]
    shown, below = _shown(list(columns), width)
    widths = _fitted(shown, width)
    lines = [*_row([column.heading for column in shown], widths)]
    lines.append(_GAP.join("-" * each for each in widths))
    for index in range(count):
        lines += _row([column.cells[index] for column in shown], widths)
        lines += [f"    {each.heading} {each.cells[index]}" for each in below if each.cells[index]]
    return lines


def _shown(columns: list[TableColumn], width: int) -> tuple[list[TableColumn], list[TableColumn]]:
    """Choose the columns, and those whose UIDs go below the rows."""
    if _total([column.width for column in columns]) <= width:
        return columns, []
    shown = [column for column in columns if column.is_wanted or not column.is_uid]
    if _total([column.width for column in shown]) <= width:
        return shown, []
    below: list[TableColumn] = []
    while _total([column.least for column in shown]) > width:
        widest = max((each for each in shown if each.is_uid), key=_own_width, default=None)
        if widest is None:
            break
        shown.remove(widest)
        below.append(widest)
    below.sort(key=columns.index)
    while _total([column.least for column in shown]) > width:
        last = next((each for each in reversed(shown) if not each.is_wanted), None)
        if last is None:
            break
        shown.remove(last)
    return shown, below


def _own_width(column: TableColumn) -> int:
    return column.width


def _fitted(columns: list[TableColumn], width: int) -> list[int]:
    """Make the widest columns narrower until all fit, or none can be narrower."""
    widths = [column.width for column in columns]
    least = [column.least for column in columns]
    while _total(widths) > width:
        spare = [each - low for each, low in zip(widths, least, strict=True)]
        index = max(range(len(widths)), key=lambda index: (spare[index] > 0, widths[index]))
        if not spare[index]:
            break
        widths[index] -= min(spare[index], _total(widths) - width, max(1, spare[index] // 2))
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _row(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    folded = [_folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for line in range(max(map(len, folded))):
        parts = [each[line] if line < len(each) else "" for each in folded]
        padded = (
            part + " " * (size - _width(part)) for part, size in zip(parts, widths, strict=True)
        )
        yield _GAP.join(padded).rstrip()


def _folded(text: str, width: int) -> list[str]:
    """Cut a text into lines of so many cells; behind a space or a caret where there is one."""
    lines = []
    begin = used = 0
    brake = -1  # behind the last space or caret of the line
    for index, each in enumerate(text):
        size = _width(each)
        if used + size > width and index > begin:
            end = brake if brake > begin else index
            lines.append(text[begin:end].rstrip())
            begin, brake = end, -1
            used = _width(text[begin:index])
        used += size
        if each in " ^":
            brake = index + 1
    return [*lines, text[begin:]]


def _width(text: str) -> int:
    """How many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
