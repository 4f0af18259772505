"""What the index keeps of an instance, made of its data set.

That is its UIDs and two headers: its attributes of the levels of its series and above, and its own,
without pixel data and whatever else is long. They are kept in the encoding in which they came, so
that making headers costs next to nothing. Columns are filled from headers, so that what a column
says and what an answer says are the same.
"""

from __future__ import annotations

import re
from operator import sub
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet
from dicom_actors.archive.index.attributes import COLUMNS, Column, Kind, Level, level_of
from dicom_actors.archive.index.folding import stored_values, value_of
from dicom_actors.archive.tag_cache import remembered_by_tags
from dicom_actors.errors import ArchiveError, DataError, DecodeError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MAX_HEADER",
    "MAX_ITEMS",
    "MAX_VALUE",
    "Description",
    "describe",
    "describe_elements",
    "open_header",
]

MAX_VALUE: Final = 1_024
"""Bytes of an element that is kept, sequences apart."""
MAX_ITEMS: Final = 4_096
"""Bytes of a sequence that is kept."""
MAX_HEADER: Final = 16_384
"""Bytes of a header; where there are more, the longest goes."""

_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_IMPLICIT: Final = "1.2.840.10008.1.2"
_CODES: Final = {
    _EXPLICIT: b"E",
    _IMPLICIT: b"I",
    "1.2.840.10008.1.2.2": b"B",
}
_SYNTAXES: Final = {code: syntax for syntax, code in _CODES.items()}
_UTF8: Final = "ISO_IR 192"
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
_MAX_UID: Final = 64
_CHARACTER_SET: Final = 0x00080005
_OF_BOTH: Final = frozenset({_CHARACTER_SET, 0x00080201})
"""Specific Character Set and Timezone Offset From UTC: what text and times mean."""
_FIRST_OF_DATA: Final = 0x00080000
_FIRST_BULK: Final = 0x50000000  # curves, overlays, pixel data
_OWN: Final = [
    column
    for keyword in ("InstanceNumber", "ContainerIdentifier")
    for column in COLUMNS
    if column.keyword == keyword
]
_NAMED: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_LOOKED_AT: Final = (
    *(0x0020000D, 0x0020000E, 0x00080018, 0x00080016),
    *(column.tag for column in _OWN),
)
_ABSENT, _UNKNOWN = -1, -2
_NOWHERE: Final = (_UNKNOWN,) * len(_LOOKED_AT)
_MAX_PLAIN: Final = 8 + _MAX_UID
"""Bytes of an element with a header of eight, which what is looked at has in all encodings."""
_PLAIN_UID: Final = re.compile(rb"([0-9]+(?:\.[0-9]+)*)\0?", re.ASCII)
_PLAIN_NUMBER: Final = re.compile(rb"([0-9]{1,9}) *", re.ASCII)


class Description(NamedTuple):
    """What is kept of an instance.

    Attributes:
        study_instance_uid: of its study.
        series_instance_uid: of its series.
        sop_instance_uid: its own.
        sop_class_uid: what it is.
        instance_number: Instance Number; -1 stands for several, None for none.
        container_identifier: Container Identifier, if it has one.
        upper: the attributes of its series and above, to be read with `open_header`.
        own: its other attributes, likewise.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    container_identifier: str | None
    upper: bytes
    own: bytes


def describe(data_set: DataSet) -> Description:
    """Make a description of a data set, which is not changed; see `describe_elements`."""
    return describe_elements(data_set.elements_as_read(), lambda: data_set)


def describe_elements(elements: Any, read: Callable[[], DataSet]) -> Description:
    """Make a description of the elements of a data set.

    Args:
        elements: them, as they were read (`DataSet.elements_of` or `elements_as_read`); None:
            nobody has them in that form.
        read: gives the data set, which is wanted where something is unusual.

    Raises:
        DecodeError: one of the four UIDs is absent, empty, or no UID; it has the tag.
    """
    places = _NOWHERE if elements is None else _places(elements.tags)
    study, series, instance, sop_class = [
        _plain_text(elements, place, b"UI", _PLAIN_UID) or _uid(read(), keyword)
        for keyword, place in zip(_NAMED, places, strict=False)
    ]
    number, container = (
        _column(read, elements, column, place)
        for column, place in zip(_OWN, places[len(_NAMED) :], strict=True)
    )
    headers = _headers(elements, read)
    return Description(study, series, instance, sop_class, number, container, *headers)


def open_header(header: bytes) -> DataSet:
    """Read a header.

    Raises:
        ArchiveError: it is none.
    """
    try:
        return DataSet.from_bytes(memoryview(header)[1:], _SYNTAXES[header[:1]])
    except (KeyError, DecodeError) as error:
        raise ArchiveError(f"the index is damaged: a header in it: {error}", "damaged") from error


@remembered_by_tags
def _places(tags: tuple[int, ...]) -> tuple[int, ...]:
    """Say which elements have the UIDs and the columns; those of a series have the same tags."""
    return tuple(tags.index(tag) if tag in tags else _ABSENT for tag in _LOOKED_AT)


def _column(read: Callable[[], DataSet], found: Any, column: Column, place: int) -> Any:
    """What is in a column, which is most often none, or a number."""
    if place == _ABSENT:
        return None
    if column.kind is Kind.INTEGER:
        text = _plain_text(found, place, b"IS", _PLAIN_NUMBER)
        if text:
            return int(text)
    (value,) = stored_values(column, value_of(read(), column.tag))
    return value


def _plain_text(found: Any, place: int, vr: bytes, pattern: re.Pattern[bytes]) -> str:
    """The value of an element without decoding it; empty where it needs to be looked at."""
    if place < 0:
        return ""
    start, end = found.offsets[place : place + 2]
    raw = bytes(found.buffer[start:end]) if end - start <= _MAX_PLAIN else b""
    if raw[4:6] != vr and found.transfer_syntax.uid != _IMPLICIT:
        return ""
    matched = pattern.fullmatch(raw, 8)
    return matched[1].decode("ascii") if matched else ""


def is_uid(text: str) -> bool:
    """Whether a text may be a UID; components that begin with a zero are forgiven (PS3.5 9.1)."""
    return len(text) <= _MAX_UID and _UID.fullmatch(text) is not None


def _uid(data_set: DataSet, keyword: str) -> str:
    try:
        element = data_set.fetch(keyword)
        value = element.value
    except ElementNotFoundError as error:
        raise DecodeError(f"expected {keyword}, got none", tag=error.tag) from error
    if isinstance(value, str) and is_uid(value):
        return str(value)
    found = f"{value!s:.70}" if value else "an empty one"
    raise DecodeError(f"expected a UID as {keyword}, got {found}", tag=element.tag)


def _headers(found: Any, read: Callable[[], DataSet]) -> tuple[bytes, bytes]:
    """Put the attributes that are kept together, behind a letter for their encoding."""
    if found is None:
        made = _in_utf8(read()).to_bytes(_EXPLICIT)
        found = DataSet.from_bytes(made, _EXPLICIT).elements_as_read()
        assert found is not None
    code = _CODES[found.transfer_syntax.uid]
    runs = _runs(found.tags)
    offsets, buffer = found.offsets, found.buffer
    upper: list[memoryview] = []
    own: list[memoryview] = []
    for first, end, is_upper, is_own in runs:
        start, stop = offsets[first], offsets[end]
        if stop - start <= MAX_VALUE:
            parts = [buffer[start:stop]]
        else:
            kept = _without_long_ones(found, first, end, read)
            parts = [found.part(*one) for one in kept]
        if is_upper:
            upper += parts
        if is_own:
            own += parts
    return _joined(code, upper), _joined(code, own)


class _Run(NamedTuple):
    """Elements that stand together and are kept together, by their numbers."""

    first: int
    end: int
    is_upper: bool
    is_own: bool


@remembered_by_tags
def _runs(tags: tuple[int, ...]) -> tuple[_Run, ...]:
    """Say where elements are kept; those of a series mostly have the same tags."""
    runs: list[_Run] = []
    for number, tag in enumerate(tags):
        if not _FIRST_OF_DATA <= tag < _FIRST_BULK:
            continue
        is_of_image = level_of(tag) is Level.IMAGE
        where = (tag in _OF_BOTH or not is_of_image, tag in _OF_BOTH or is_of_image)
        if runs and runs[-1][1:] == (number, *where):
            runs[-1] = runs[-1]._replace(end=number + 1)
        else:
            runs.append(_Run(number, number + 1, *where))
    return tuple(runs)


def _without_long_ones(
    found: Any, first: int, end: int, read: Callable[[], DataSet]
) -> list[tuple[int, int]]:
    """Leave out of a run the elements that are too long to be kept."""
    offsets = found.offsets
    lengths = list(map(sub, offsets[first + 1 : end + 1], offsets[first:end]))
    if max(lengths) <= MAX_VALUE:
        return [(first, end)]
    kept, start = [], first
    for number, length in enumerate(lengths, first):
        if length > MAX_VALUE and not _is_kept(found, number, length, read):
            if start < number:
                kept.append((start, number))
            start = number + 1
    if start < end:
        kept.append((start, end))
    return kept


def _joined(code: bytes, parts: list[memoryview]) -> bytes:
    if sum(map(len, parts)) < MAX_HEADER:
        return b"".join([code, *parts])
    return _shortened(b"".join([code, *parts]))


def _shortened(header: bytes) -> bytes:
    """Leave out the longest elements of a header until it is short enough."""
    found = DataSet.from_bytes(memoryview(header)[1:], _SYNTAXES[header[:1]]).elements_as_read()
    assert found is not None
    offsets = found.offsets
    lengths = list(map(sub, offsets[1:], offsets))
    length, left_out = offsets[-1] - offsets[0], set()
    # Sorted once, and without a part for each: a peer may send millions of them.
    for number in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if length < MAX_HEADER:
            break
        length -= lengths[number]
        left_out.add(number)
    kept = [number for number in range(len(lengths)) if number not in left_out]
    return b"".join([header[:1], *(found.part(number, number + 1) for number in kept)])


def _is_kept(found: Any, number: int, length: int, read: Callable[[], DataSet]) -> bool:
    """Whether what is longer than a value may be is a sequence, for which there is more room."""
    if length > MAX_ITEMS:
        return False
    if found.transfer_syntax.uid != _IMPLICIT:
        start = found.offsets[number] + 4  # its tag
        vr = bytes(found.buffer[start : start + 2])
        if vr != b"UN":  # which may be a sequence whose VR somebody did not know
            return vr == b"SQ"
    return read().fetch(found.tags[number]).vr == "SQ"


def _in_utf8(data_set: DataSet) -> DataSet:
    """Take what is kept of a data set that was not read as it is."""
    kept = DataSet.from_keywords(SpecificCharacterSet=_UTF8)
    for element in data_set.elements():
        tag = int(element.tag)
        if tag >= _FIRST_BULK:
            break
        if tag < _FIRST_OF_DATA or tag == _CHARACTER_SET:
            continue
        try:
            alone = DataSet.from_keywords(SpecificCharacterSet=_UTF8)
            alone.put_element(element)
            alone.to_bytes(_EXPLICIT)
        except DataError:  # no value of its VR
            continue
        kept.put_element(element)
    return kept
