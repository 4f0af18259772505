"""``dicom-actors dump PATH...`` and ``dicom-actors json PATH...``: print files.

A folder is all files below it, ``-`` is standard input.

As text for people, a line for each element with its length and long values cut; or as one object
of the DICOM JSON Model in a line for each file. In JSON, long binary values are given as the
URI of the file with the path of the element behind it. What the reader forgave is a line
``# warning: ...`` in the text, and a line on standard error for JSON.

Standard: PS3.18 Annex F (JSON).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.terminal import complain, show_anything
from dicom_actors.data import Path as ElementPath
from dicom_actors.data import read_file
from dicom_actors.data.files.file_values import files_below
from dicom_actors.data.forms.text import DEFAULT_WIDTH, data_set_lines, element_lines, printable
from dicom_actors.errors import DecodeError, DicomError, NotPart10Error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from dicom_actors.data import DataElement, DataSet

    Source = str | Path | bytes

__all__ = ["dump"]

_STANDARD_INPUT: Final = "-"
_LONGEST_INLINE: Final = 1024
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def dump(
    files: Sequence[str],
    *,
    keys: AbstractSet[int] = frozenset(),
    as_json: bool = False,
    full: bool = False,
) -> int:
    """Print each file.

    Args:
        files: their paths, or those of folders.
        keys: the tags to print, wherever they are nested; empty: all.
        as_json: whether to print JSON; a file that is cut short counts as damaged then.
        full: whether long values are printed as a whole.

    Returns:
        0, or 1 if one could not be read, or not as a whole; the others are printed all the same,
        and so is what can be read of a damaged one, with a note.
    """
    show_anything()
    failed = False
    has_headings = not as_json and (len(files) > 1 or any(Path(file).is_dir() for file in files))
    is_first = True
    for file, source in _sources(files):
        if has_headings:
            print(f"{'' if is_first else chr(10)}# {printable(file)}")
        is_first = False
        try:
            if isinstance(source, OSError):
                raise source
            if not _print_file(file, source, keys, as_json=as_json, full=full):
                failed = True
        except (DicomError, OSError) as error:
            failed = True
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            complain(f"{file}: {reason}")
    return 1 if failed else 0


def _sources(files: Sequence[str]) -> Iterator[tuple[str, Source | OSError]]:
    """Give the names of files, and what to read of each, or why that cannot be known."""
    for file in files:
        if file == _STANDARD_INPUT:
            yield "standard input", sys.stdin.buffer.read()
            continue
        if not Path(file).is_dir():
            yield file, file
            continue
        try:
            yield from ((str(path), path) for path in files_below(file))
        except OSError as error:
            yield file, error


def _print_file(
    file: str, source: Source, keys: AbstractSet[int], *, as_json: bool, full: bool
) -> bool:
    """Print a file, or what can be read of it; return whether it could be read."""
    try:
        data_set, damage = read_file(source, keep_truncated=not as_json), ""
    except NotPart10Error:
        raise
    except DecodeError as error:
        data_set = read_file(source, keep_truncated=not as_json, keep_damaged=True)
        damage = f"note: the file is damaged ({error}); this is what can be read of it"
    if as_json:
        full = full or isinstance(source, bytes)  # which has no place that a URI could name
        model = data_set.to_json_dict(bulk_data_uri=_BulkData(file, keys, full=full))
        print(json.dumps(_chosen_attributes(model, keys) if keys else model, allow_nan=False))
        if damage:
            complain(f"{file}: {damage}")
        for warning in data_set.warnings:
            print(f"dicom-actors: {printable(file)}: warning: {warning}", file=sys.stderr)
        return not damage
    width = None if full else DEFAULT_WIDTH
    if keys:
        lines = _chosen_lines(data_set, keys, width)
    else:
        lines = data_set_lines(data_set, width=width, lengths=True)
    if damage:
        print(f"# {printable(damage)}")
    for line in lines:
        print(line)
    for warning in data_set.warnings:
        print(f"# warning: {printable(str(warning))}")
    return not damage


def _chosen_lines(data_set: DataSet, keys: AbstractSet[int], width: int | None) -> Iterator[str]:
    for part in (data_set.file_meta, data_set):
        printed: tuple[int, ...] = ()
        for path, element in part.walk():
            if element.tag not in keys or (printed and path[: len(printed)] == printed):
                continue
            printed = path
            first, *rest = element_lines(element, width=width, lengths=True)
            yield f"{first}  in {ElementPath(path[:-2])}[{path[-2]}]" if len(path) > 1 else first
            yield from rest


def _chosen_attributes(model: dict[str, Any], keys: AbstractSet[int]) -> dict[str, Any]:
    """Leave out what is not asked for; items keep their places, if only as empty ones."""
    chosen = {}
    for tag, attribute in model.items():
        if int(tag, 16) in keys:
            chosen[tag] = attribute
        elif attribute["vr"] == "SQ":
            items = [_chosen_attributes(item, keys) for item in attribute.get("Value", ())]
            if any(items):
                chosen[tag] = {**attribute, "Value": items}
    return chosen


class _BulkData:
    """Says which values of a file are given by a URI."""

    def __init__(self, file: str, keys: AbstractSet[int], *, full: bool) -> None:
        self._uri = Path(file).absolute().as_uri()
        self._keys = keys
        self._full = full

    def __call__(self, path: ElementPath, element: DataElement) -> str | None:
        if self._keys and self._keys.isdisjoint(path[::2]):
            return ""  # left out later: not worth any work
        if self._full or element.vr not in _BINARY or (element.length or 0) <= _LONGEST_INLINE:
            return None
        return f"{self._uri}#{path}"
