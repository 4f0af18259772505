"""``dicom-actors compare A B``: the elements in which two files differ.

Long binary values are compared, and shown as their lengths and the beginnings of their SHA-256
hashes. Of group 0002, which tells of the program that wrote a file, the transfer syntax counts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.terminal import complain, counted, show_anything, told_of
from dicom_actors.data import DataSet, EncapsulatedPixelData, Path, read_file
from dicom_actors.data.forms.text import printable, value_text
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from dicom_actors.data import DataElement

__all__ = ["compare"]

_LONG: Final = 64
_HASH_DIGITS: Final = 16


def compare(options: Namespace) -> int:
    """Print what differs, a line for each side of an element.

    Returns:
        0 if nothing does, 1 if something does, or a file cannot be read.
    """
    show_anything()
    try:
        first = read_file(file := options.first)
        second = read_file(file := options.second)
    except (DicomError, OSError) as error:
        complain(told_of(file, error))
        return 1
    code = 0
    for path, old, new in _differences(first, second):
        code = 1
        if options.json:
            print(json.dumps({"path": str(path), "first": _shown(old), "second": _shown(new)}))
            continue
        for mark, element in (("-", old), ("+", new)):
            if element is not None:
                print(f"{mark} {path} {element.vr} {_shown(element)}")
    return code


_Difference = tuple[Path, "DataElement | None", "DataElement | None"]


def _differences(first: DataSet, second: DataSet) -> Iterator[_Difference]:
    yield from _compared((), *(_syntax(each) for each in (first, second)))
    yield from _compared((), first, second)


def _syntax(data_set: DataSet) -> DataSet:
    meta = data_set.file_meta
    return DataSet.from_keywords(TransferSyntaxUID=meta.get("TransferSyntaxUID"))


def _compared(prefix: tuple[int, ...], first: DataSet, second: DataSet) -> Iterator[_Difference]:
    for tag in sorted({*first, *second}):
        path = (*prefix, int(tag))
        old = first.fetch(tag) if tag in first else None
        new = second.fetch(tag) if tag in second else None
        if old is not None and new is not None and old.vr == new.vr == "SQ":
            yield from _compared_items(path, old, new)
        elif old is None or new is None or not _is_same(old, new):
            yield Path(path), old, new


def _compared_items(
    path: tuple[int, ...], old: DataElement, new: DataElement
) -> Iterator[_Difference]:
    if len(old.values) != len(new.values):
        yield Path(path), old, new
        return
    for number, (one, other) in enumerate(zip(old.values, new.values, strict=True)):
        yield from _compared((*path, number), one, other)


def _is_same(old: DataElement, new: DataElement) -> bool:
    return old.vr == new.vr and _comparable(old.value) == _comparable(new.value)


def _comparable(value: Any) -> Any:
    if isinstance(value, EncapsulatedPixelData):
        return [bytes(fragment) for fragment in value.fragments]
    return bytes(value) if isinstance(value, bytes | memoryview) else value


def _shown(element: DataElement | None) -> str | None:
    if element is None:
        return None
    if element.vr == "SQ":
        return counted(len(element.values), "item")
    value = element.value
    pieces = value.fragments if isinstance(value, EncapsulatedPixelData) else [value]
    if all(isinstance(piece, bytes | memoryview) for piece in pieces):
        length = sum(map(len, pieces))
        if length > _LONG or isinstance(value, EncapsulatedPixelData):
            digest = hashlib.sha256()
            for piece in pieces:
                digest.update(piece)
            return f"{length} bytes, SHA-256 {digest.hexdigest()[:_HASH_DIGITS]}"
    return printable(value_text(element, width=None))
