"""Reading the tables that come with the package.

A table is a file of tab separated columns beside this module: UTF-8, one header line, no
quoting. It is read in whole and cut into columns at once, which takes a few milliseconds for
the largest one; who calls this keeps the result.
"""

from __future__ import annotations

from pathlib import Path


def read_columns(name: str) -> list[list[str]]:
    """Read a table of the package as its columns, without the header line.

    Args:
        name: the file name, for example ``"uids.tsv"``.

    Returns:
        One list for each column, all of the same length.
    """
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    header, _, body = text.partition("\n")
    width = header.count("\t") + 1
    # Line ends and tabs are both just ends of a field here: one split for the whole file.
    cells = body.rstrip("\n").replace("\n", "\t").split("\t")
    return [cells[column::width] for column in range(width)]
