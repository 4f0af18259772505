"""What the last table of ``find`` had, so that ``get PEER 3`` and ``move PEER 3`` mean its row 3.

It is kept in the user's folder for caches (``$XDG_CACHE_HOME``, else ``~/.cache``), readable for
the user alone, and holds the unique keys of each row and nothing else of it.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.usage import UsageError
from dicom_actors.data import DataSet

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_unique_keys", "are_numbers", "identifier_of_rows", "keep_result"]

_UNIQUE: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_LEVELS: Final = tuple(_UNIQUE)


def add_unique_keys(identifier: DataSet) -> None:
    """Have the unique key of its level returned by a query."""
    keyword = _UNIQUE.get(str(identifier.get("QueryRetrieveLevel") or ""))
    if keyword is not None and keyword not in identifier:
        identifier[keyword] = None


def keep_result(peer: str, identifier: DataSet, matches: Sequence[DataSet]) -> None:
    """Keep what was found; a folder that cannot be written costs the numbers, and no more.

    Args:
        peer: whom it was asked of.
        identifier: what was asked.
        matches: the rows.
    """
    level = str(identifier.get("QueryRetrieveLevel") or "")
    if level not in _LEVELS:
        return
    rows = [_keys_of(match, identifier, level) for match in matches]
    path = _path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"peer": peer, "level": level, "rows": rows}, file)
        draft.replace(path)


def are_numbers(keys: Sequence[str]) -> bool:
    """Whether the keys of a retrieval are rows of the last table."""
    return all(key.isascii() and key.isdigit() for key in keys)


def identifier_of_rows(peer: str, numbers: Sequence[str]) -> DataSet:
    """Make the identifier of a retrieval of some rows.

    Raises:
        UsageError: there is no such row, the table was another peer's, or the rows cannot be
            asked for at once.
    """
    rows = " ".join(numbers)
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{' '.join(numbers)}: there is no result of `find` to take it from"
        ) from None
    if kept["peer"] != peer:
        raise UsageError(f"{rows}: the last `find` asked {kept['peer']}, not {peer}")
    found = [_row_of(kept["rows"], number) for number in numbers]
    level = kept["level"]
    *above, keyword = [_UNIQUE[name] for name in _LEVELS[: _LEVELS.index(level) + 1]]
    if any(row.get(key) != found[0].get(key) for row in found for key in above):
        raise UsageError(
            f"{' '.join(numbers)}: they are of different studies or series; ask one by one"
        )
    values = [row.get(keyword) for row in found]
    if not all(values) or (len(values) > 1 and level == "PATIENT"):
        raise UsageError(f"{rows}: a row cannot be asked for, or not with others")
    return DataSet.from_keywords(**{**found[0], keyword: values}, QueryRetrieveLevel=level)


def _row_of(rows: list[dict[str, Any]], number: str) -> dict[str, Any]:
    if not 0 < int(number) <= len(rows):
        raise UsageError(f"{number}: the last `find` had {len(rows)} rows")
    return rows[int(number) - 1]


def _keys_of(match: DataSet, identifier: DataSet, level: str) -> dict[str, str]:
    keys = {}
    for name in _LEVELS[: _LEVELS.index(level) + 1]:
        keyword = _UNIQUE[name]
        if name == "PATIENT" and level != "PATIENT":
            continue  # a study is known without it
        value = match.get(keyword) or identifier.get(keyword)
        if isinstance(value, str) and value:
            keys[keyword] = str(value)
    return keys


def _path() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder, "dicom-actors", "last-find.json")
