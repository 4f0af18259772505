"""What the index keeps of an instance, made of its data set.

That is its UIDs and two headers: its attributes of the levels of its series and above, and its own,
without pixel data and whatever else is long. They are kept in the encoding in which they came, so
that making headers costs next to nothing. Columns are filled from headers, so that what a column
says and what an answer says are the same.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dicom_actors import DataSet
from dicom_actors.archive.index.attributes import COLUMNS, Level, level_of
from dicom_actors.archive.index.folding import stored_values, value_of
from dicom_actors.errors import ArchiveError, DataError, DecodeError, ElementNotFoundError

__all__ = ["MAX_HEADER", "MAX_ITEMS", "MAX_VALUE", "Description", "describe", "open_header"]

MAX_VALUE: Final = 1_024
"""Bytes of an element that is kept, sequences apart."""
MAX_ITEMS: Final = 4_096
"""Bytes of a sequence that is kept."""
MAX_HEADER: Final = 16_384
"""Bytes of a header; where there are more, the longest goes."""

_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_CODES: Final = {
    _EXPLICIT: b"E",
    "1.2.840.10008.1.2": b"I",
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
    """Make a description of a data set, which is not changed.

    Raises:
        DecodeError: one of the four UIDs is absent, empty, or no UID; it has the tag.
    """
    study, series, instance, sop_class = (_uid(data_set, keyword) for keyword in _NAMED)
    (number,), (container,) = (
        stored_values(column, value_of(data_set, column.tag)) for column in _OWN
    )
    return Description(study, series, instance, sop_class, number, container, *_headers(data_set))


def open_header(header: bytes) -> DataSet:
    """Read a header.

    Raises:
        ArchiveError: it is none.
    """
    try:
        return DataSet.from_bytes(memoryview(header)[1:], _SYNTAXES[header[:1]])
    except (KeyError, DecodeError) as error:
        raise ArchiveError(f"the index is damaged: a header in it: {error}", "damaged") from error


def _uid(data_set: DataSet, keyword: str) -> str:
    try:
        element = data_set.fetch(keyword)
        value = element.value
    except ElementNotFoundError as error:
        raise DecodeError(f"expected {keyword}, got none", tag=error.tag) from error
    if isinstance(value, str) and len(value) <= _MAX_UID and _UID.fullmatch(value):
        return str(value)
    found = f"{value!s:.70}" if value else "an empty one"
    raise DecodeError(f"expected a UID as {keyword}, got {found}", tag=element.tag)


def _headers(data_set: DataSet) -> tuple[bytes, bytes]:
    """Put the attributes that are kept together, behind a letter for their encoding."""
    found = data_set.elements_as_read(until=_FIRST_BULK)
    if found is None:
        made = _in_utf8(data_set).to_bytes(_EXPLICIT)
        found = DataSet.from_bytes(made, _EXPLICIT).elements_as_read()
        assert found is not None
    code = _CODES[found.transfer_syntax.uid]
    upper: list[memoryview] = []
    own: list[memoryview] = []
    for tag, part in found.elements:
        if tag < _FIRST_OF_DATA or (len(part) > MAX_VALUE and not _is_kept(data_set, tag, part)):
            continue
        if tag in _OF_BOTH:
            upper.append(part)
            own.append(part)
        elif level_of(tag) is Level.IMAGE:
            own.append(part)
        else:
            upper.append(part)
    return _joined(code, upper), _joined(code, own)


def _joined(code: bytes, parts: list[memoryview]) -> bytes:
    length = sum(map(len, parts))
    while length >= MAX_HEADER:
        parts.remove(longest := max(parts, key=len))
        length -= len(longest)
    return b"".join([code, *parts])


def _is_kept(data_set: DataSet, tag: int, part: memoryview) -> bool:
    """Whether what is longer than a value may be is a sequence, for which there is more room."""
    return len(part) <= MAX_ITEMS and data_set.fetch(tag).vr == "SQ"


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
