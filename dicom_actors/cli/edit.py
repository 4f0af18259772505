"""``dicom-actors edit FILE... KEY=VALUE... -KEY...``: change elements of files.

Elements that are not named stay the bytes that they are. A file is replaced as a whole, or not at
all. Standard: PS3.10 7.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dicom_actors.cli.keys import put_value
from dicom_actors.cli.terminal import complain, counted, say, show_anything
from dicom_actors.cli.usage import UsageError
from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from dicom_actors.data.dataset.checks import Departure

__all__ = ["edit"]

_STEP = re.compile(r"(?P<sequence>[^.\[\]]+)\[(?P<number>\d+)\]\.")


class _Change(NamedTuple):
    """What becomes of an element.

    Attributes:
        text: as the user wrote it.
        path: sequences and numbers of items that lead to it.
        tag: its tag.
        value: its new value as text; None: it is deleted.
    """

    text: str
    path: tuple[tuple[int, int], ...]
    tag: int
    value: str | None


def edit(options: Namespace) -> int:
    """Change the files.

    Returns:
        0, or 1 if one could not be changed; the others are all the same.

    Raises:
        UsageError: a change is none, or there is nothing to do.
    """
    show_anything()
    files, changes = _sorted(options.words)
    if not files or not changes:
        raise UsageError("expected files, and changes: KEY=VALUE, or -KEY to delete")
    failed = 0
    for file in files:
        try:
            _edit_file(file, changes, options)
        except (DicomError, ValueError) as error:
            failed += 1
            complain(f"{file}: {error}")
        except OSError as error:
            failed += 1
            complain(f"{file}: {error.strerror or error}")
    say(f"{counted(len(files) - failed, 'file')} changed")
    return 1 if failed else 0


def _sorted(words: Iterable[str]) -> tuple[list[str], list[_Change]]:
    """Tell files and changes apart; a word that is the name of a file is a file."""
    files, changes = [], []
    for word in words:
        key, equals, value = word.partition("=")
        if word.startswith("-"):
            changes.append(_change(word, word[1:], None))
        elif equals and not Path(word).exists():
            changes.append(_change(word, key, value))
        else:
            files.append(word)
    return files, changes


def _change(text: str, key: str, value: str | None) -> _Change:
    path = []
    try:
        while (step := _STEP.match(key)) is not None:
            path.append((int(to_tag(step["sequence"])), int(step["number"])))
            key = key[step.end() :]
        return _Change(text, tuple(path), int(to_tag(key)), value)
    except DicomError as error:
        raise UsageError(f"{text}: {error}") from error


def _edit_file(file: str, changes: Iterable[_Change], options: Namespace) -> None:
    data_set = read_file(file)
    for change in changes:
        for departure in _apply(data_set, change):
            say(f"{file}: warning: {departure}")
    target = Path(file)
    if options.output is not None:
        target = Path(options.output, target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
    elif options.backup:
        backup = target.with_name(f"{target.name}.bak")
        shutil.copy2(target, backup)
    mode = Path(file).stat().st_mode
    write_file(target, data_set)
    target.chmod(mode & 0o7777)


def _apply(data_set: DataSet, change: _Change) -> list[Departure]:
    """Change a data set; returns where the new value departs from the rules of its VR."""
    holder = data_set
    for tag, number in change.path:
        items = holder.get(tag) or []
        if number >= len(items):
            raise ValueError(f"{change.text}: there is no item {number} of it")
        holder = items[number]
    if change.value is None:
        if change.tag in holder:
            del holder[change.tag]
        return []
    try:
        put_value(holder, change.tag, change.value)
    except (DicomError, ValueError) as error:
        raise ValueError(f"{change.text}: {error}") from error
    return DataSet([holder.fetch(change.tag)]).check()
