"""The links of a directory that was read and is written again.

The records of a DICOMDIR are linked by where they are in the file, so that another length of
anything before them breaks the links. Here those that were read are made to lead where they led.
Links that were put in are left alone, and records that were put in are not linked:
`dicom_actors.data.files.directory` makes a directory from its files.

Standard: PS3.3 F.3.2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import Sequence
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.data.dataset.data_set import DataSet

__all__ = ["file_as_read", "place_of", "with_links"]

_PREAMBLE: Final = 128
_AFTER_PREFIX: Final = 132
_RECORDS: Final = 0x00041220
_ROOT_LINKS: Final = (0x00041200, 0x00041202)
_RECORD_LINKS: Final = (0x00041400, 0x00041420, 0x00041504)
_ROUNDS: Final = 3


def file_as_read(data_set: DataSet) -> memoryview | None:
    """Return what follows the preamble in the file of a directory to which nothing was done.

    Its file meta information is not made anew: that could move the records.
    """
    content, meta = content_of(data_set), content_of(data_set.file_meta)
    if (
        (meta.start, meta.end) != (_AFTER_PREFIX, content.start)
        or meta.scope.buffer is not content.scope.buffer
        or not (meta.is_as_read() and content.is_as_read())
    ):
        return None
    return memoryview(content.scope.buffer)[_PREAMBLE : content.end]


def place_of(record: DataSet) -> int:
    """Return what links to a record that was read: where the tag of its item is in the file."""
    return content_of(record).start - 8  # the header of an item


def with_links(
    data_set: DataSet,
    encode: Callable[[DataSet], bytes],
    read: Callable[[bytes], DataSet],
) -> bytes:
    """Encode the file of a directory with links that lead where they led when it was read.

    Args:
        data_set: the data set of the directory; it is not changed.
        encode: makes the file of a data set.
        read: reads a file.

    Returns:
        The file; where the records cannot be read, as it is without this.
    """
    try:
        records = data_set[_RECORDS]
    except DecodeError:
        return encode(data_set)
    buffer = content_of(data_set).scope.buffer
    old: dict[int, int] = {}
    for number, item in enumerate(records if isinstance(records, Sequence) else ()):
        if content_of(item).scope.buffer is buffer:
            old.setdefault(place_of(item), number)
    made = data_set.copy()
    file = encode(made)
    # Putting links in does not change lengths, but where that makes the encoder forgive less.
    for _ in range(_ROUNDS):
        placed = read(file)[_RECORDS]
        if not isinstance(placed, Sequence) or len(placed) != len(records):
            break
        new = {before: place_of(placed[number]) for before, number in old.items()}
        if not _link(data_set, made, new):
            break
        file = encode(made)
    return file


def _link(data_set: DataSet, made: DataSet, new: dict[int, int]) -> bool:
    """Put links in; return whether one of them was another one."""
    is_changed = False
    pairs: list[tuple[Any, Any, tuple[int, ...]]] = [(data_set, made, _ROOT_LINKS)]
    records = zip(data_set[_RECORDS], made[_RECORDS], strict=True)
    pairs += [(before, after, _RECORD_LINKS) for before, after in records]
    for before, after, links in pairs:
        for tag in links:
            # A link that was put in is what it is meant to be.
            was_read = isinstance(content_of(before).index.get(tag), int)
            link = _offset(before, tag) if was_read else None
            offset = None if link is None else new.get(link)
            if offset is not None and _offset(after, tag) != offset:
                after.put(tag, "UL", offset)
                is_changed = True
    return is_changed


def _offset(data_set: DataSet, tag: int) -> int | None:
    """Return a link, None if it is not one number."""
    try:
        value = data_set.get(tag)
    except DecodeError:
        return None
    return value if isinstance(value, int) else None
