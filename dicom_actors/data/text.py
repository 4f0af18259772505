"""Data sets and elements as text to be read by people.

One line for each element: tag, VR, name, value; items are numbered and indented. Long values
are cut, since a data set may hold hundreds of megabytes. Control characters are escaped, since
what a peer sent must not act on a terminal.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dictionary import uid_entry
from dicom_actors.data.encapsulated import EncapsulatedPixelData
from dicom_actors.data.number_strings import DS, IS
from dicom_actors.data.tag import Tag
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.data.data_element import DataElement
    from dicom_actors.data.data_set import DataSet

__all__ = ["data_set_lines", "data_set_text", "element_line", "value_text"]

DEFAULT_WIDTH: Final = 64
_NAME_WIDTH: Final = 34
_INDENT: Final = "   "


def data_set_text(data_set: DataSet, *, width: int | None = DEFAULT_WIDTH) -> str:
    """Return a data set as text, its file meta information first.

    Args:
        data_set: what to print.
        width: the longest value, in characters; None: whole values.
    """
    return "\n".join(data_set_lines(data_set, width=width))


def data_set_lines(data_set: DataSet, *, width: int | None = DEFAULT_WIDTH) -> Iterator[str]:
    """Give the lines of `data_set_text` one by one."""
    if data_set._file_meta:
        yield from _lines(data_set.file_meta, width)
    yield from _lines(data_set, width)


def _lines(data_set: DataSet, width: int | None) -> Iterator[str]:
    # What is left to print at each depth: elements of a data set, or numbered items.
    stack: list[Iterator[Any]] = [data_set.elements()]
    while stack:
        indent = _INDENT * (len(stack) // 2)
        for part in stack[-1]:
            if isinstance(part, tuple):
                number, item = part
                yield f"{indent}item {number}"
                stack.append(item.elements())
                break
            yield indent + element_line(part, width=width)
            items = _items(part)
            if items:
                stack.append(enumerate(items))
                break
        else:
            stack.pop()


def _items(element: DataElement) -> list[Any]:
    if element.vr != "SQ":
        return []
    try:
        items = element.value
    except DecodeError:
        return []
    return items if isinstance(items, list) else []


def element_line(element: DataElement, *, width: int | None = DEFAULT_WIDTH) -> str:
    """Return one line for an element; the items of a sequence are not in it."""
    name = element.name or ("Private" if element.tag.is_private else "Unknown")
    return f"{element.tag} {element.vr} {name:{_NAME_WIDTH}} {value_text(element, width=width)}"


def value_text(element: DataElement, *, width: int | None = DEFAULT_WIDTH) -> str:
    """Return the value of an element as text; for one that cannot be decoded, why."""
    try:
        value = element.value
    except DecodeError as error:
        return f"<{error}>"
    if element.vr == "SQ" and isinstance(value, list):
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
    text = str(value)
    if isinstance(value, Tag) or text.isprintable():
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
