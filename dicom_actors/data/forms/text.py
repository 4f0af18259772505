"""Data sets and elements as text to be read by people.

One line for each element: tag, VR, name, value, and on request the length of the value as it was
read; items are numbered and indented. What the private dictionary knows of the name of a private
element stands in brackets. Long values are cut, since a data set may hold hundreds of megabytes.
Control characters are escaped, since what a peer sent must not act on a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import Sequence
from dicom_actors.data.dataset.whole import in_itself
from dicom_actors.data.dictionary import uid_entry
from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.value_types import DS, IS
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.data.dataset.data_set import DataElement, DataSet

__all__ = [
    "data_set_lines",
    "data_set_text",
    "element_line",
    "element_lines",
    "printable",
    "value_text",
]

DEFAULT_WIDTH: Final = 64
_NAME_WIDTH: Final = 34
_LENGTH_WIDTH: Final = 7
_INDENT: Final = "   "


def data_set_text(data_set: DataSet, *, width: int | None = DEFAULT_WIDTH) -> str:
    """Return a data set as text, its file meta information first, with lengths where it was read.

    Args:
        data_set: what to print.
        width: the longest value, in characters; None: whole values.
    """
    was_read = any(element.length is not None for element in data_set.elements())
    return "\n".join(data_set_lines(data_set, width=width, lengths=was_read))


def data_set_lines(
    data_set: DataSet, *, width: int | None = DEFAULT_WIDTH, lengths: bool = False
) -> Iterator[str]:
    """Give the lines of `data_set_text` one by one.

    Args:
        data_set: what to print.
        width: the longest value, in characters; None: whole values.
        lengths: whether each line has the length of the value in bytes, as it was read.
    """
    if data_set.file_meta:
        yield from _lines(data_set.file_meta.elements(), width, lengths)
    yield from _lines(data_set.elements(), width, lengths)


def element_lines(
    element: DataElement, *, width: int | None = DEFAULT_WIDTH, lengths: bool = False
) -> Iterator[str]:
    """Give the line of an element and those of its items; arguments as `data_set_lines`."""
    return _lines(iter((element,)), width, lengths)


def _lines(
    elements: Iterator[DataElement],
    width: int | None,
    lengths: bool,  # noqa: FBT001 - of this module
) -> Iterator[str]:
    # What is left to print at each depth: elements of a data set, or numbered items.
    stack: list[Iterator[Any]] = [elements]
    holders: list[int] = []  # which items are further out
    while stack:
        indent = _INDENT * (len(stack) // 2)
        for part in stack[-1]:
            if isinstance(part, tuple):
                number, item = part
                if id(item) in holders:
                    yield f"{indent}item {number} <{in_itself()}>"
                    continue
                yield f"{indent}item {number}"
                holders.append(id(item))
                stack.append(item.elements())
                break
            yield indent + element_line(part, width=width, lengths=lengths)
            items = _items(part)
            if items:
                stack.append(enumerate(items))
                break
        else:
            stack.pop()
            if len(stack) % 2 == 0:
                del holders[-1:]


def _items(element: DataElement) -> list[Any]:
    try:
        items = element.value
    except DecodeError:
        return []
    # A sequence that was read is one whatever VR its header or the dictionary gives it.
    return items if isinstance(items, Sequence) else []


def element_line(
    element: DataElement, *, width: int | None = DEFAULT_WIDTH, lengths: bool = False
) -> str:
    """Return one line for an element; the items of a sequence are not in it."""
    start = f"{element.tag} {element.vr}"
    if lengths:
        length = element.length
        start += f" {'' if length is None else length:>{_LENGTH_WIDTH}}"
    return f"{start} {_name(element):{_NAME_WIDTH}} {value_text(element, width=width)}"


def _name(element: DataElement) -> str:
    name, tag = element.name, element.tag
    if tag.is_private and not tag.name:
        return f"[{name}]" if name else "Private"
    return name or "Unknown"


def value_text(element: DataElement, *, width: int | None = DEFAULT_WIDTH) -> str:
    """Return the value of an element as text; for one that cannot be decoded, why."""
    try:
        value = element.value
    except DecodeError as error:
        return f"<{error}>"
    if isinstance(value, Sequence):
        return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    if isinstance(value, EncapsulatedPixelData):
        size = sum(map(len, value.fragments))
        return f"<{size} bytes in {len(value.fragments)} fragments>"
    if isinstance(value, bytes | memoryview):
        return _bytes_text(value, width)
    if value is None:
        return ""
    if isinstance(value, list):
        # As many values as can be seen.
        shown = value if width is None else value[: width + 1]
        text = "\\".join(_one(part) for part in shown)
        count = f" ({len(value)} values)"
        return text if width is None or len(text) <= width else _cut(text, width, count)
    text = _one(value)
    if element.vr == "UI":
        entry = uid_entry(value)
        return text if entry is None or not entry.name else f"{text} = {entry.name}"
    if width is None or len(text) <= width:
        return text
    return _cut(text, width, f" ({len(value)} characters)" if isinstance(value, str) else "")


def _one(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, DS | IS):
        value = value.text
    return str(value) if isinstance(value, Tag) else printable(str(value))


def printable(text: str) -> str:
    """Return a text with an escape for each character that may act on a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _bytes_text(value: bytes | memoryview, width: int | None) -> str:
    if width is None:
        return value.hex(" ")
    shown = (width + 1) // 3
    text = value[:shown].hex(" ")
    return text if len(value) <= shown else f"{text}... ({len(value)} bytes)"


def _cut(text: str, width: int, note: str) -> str:
    return f"{text[:width]}...{note}"
