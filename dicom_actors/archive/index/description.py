"""What the index keeps of an instance, made of its data set.

That is its UIDs and a header: its attributes, of all levels, without pixel data and whatever else
is long, in Explicit VR Little Endian and UTF-8. Columns are filled from the header, so that what
a column says and what an answer says are the same.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dicom_actors import DataElement, DataSet
from dicom_actors.archive.index.attributes import COLUMNS, Level, level_of
from dicom_actors.archive.index.folding import stored_values, value_of
from dicom_actors.errors import DataError, DecodeError, ElementNotFoundError

__all__ = ["MAX_HEADER", "MAX_ITEMS", "MAX_VALUE", "Description", "describe"]

MAX_VALUE: Final = 1_024
"""Bytes of a value that is kept, sequences apart."""
MAX_ITEMS: Final = 4_096
"""Bytes of a sequence that is kept."""
MAX_HEADER: Final = 16_384
"""Bytes of a header; where there are more, what is said of the single instance goes first."""

_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_ELEMENT_HEADER: Final = 12
_UTF8: Final = "ISO_IR 192"
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
_MAX_UID: Final = 64
_CHARACTER_SET: Final = 0x00080005
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
        header: its attributes, encoded.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    container_identifier: str | None
    header: bytes


def describe(data_set: DataSet) -> Description:
    """Make a description of a data set, which is not changed.

    Raises:
        DecodeError: one of the four UIDs is absent, empty, or no UID; it has the tag.
    """
    study, series, instance, sop_class = (_uid(data_set, keyword) for keyword in _NAMED)
    (number,), (container,) = (
        stored_values(column, value_of(data_set, column.keyword)) for column in _OWN
    )
    return Description(study, series, instance, sop_class, number, container, _header(data_set))


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


def _header(data_set: DataSet) -> bytes:
    """Encode the attributes that are kept."""
    kept = DataSet()
    for element in data_set.elements():
        tag = int(element.tag)
        if tag >= _FIRST_BULK:
            break
        if tag >= _FIRST_OF_DATA and tag & 0xFFFF and tag != _CHARACTER_SET:
            _keep(kept, element)
    kept.SpecificCharacterSet = _UTF8
    header = kept.to_bytes(_EXPLICIT)
    while len(header) > MAX_HEADER:
        del kept[max(kept.elements(), key=_how_dispensable).tag]
        header = kept.to_bytes(_EXPLICIT)
    return header


def _keep(kept: DataSet, element: DataElement) -> None:
    """Put an element in, unless it is long, or no value of its VR."""
    try:
        if element.vr == "SQ":
            alone = DataSet.from_elements([element])
            if len(alone.to_bytes(_EXPLICIT)) > MAX_ITEMS:
                return
            element = alone.fetch(element.tag)
        elif _length(element) > MAX_VALUE:
            return
        kept.put_element(element)
    except DataError:
        return


def _length(element: DataElement) -> int:
    if element.length is not None:
        return element.length
    return len(DataSet.from_elements([element]).to_bytes(_EXPLICIT)) - _ELEMENT_HEADER


def _how_dispensable(element: DataElement) -> tuple[bool, int]:
    """What is said of the single instance first, and of that the longest."""
    length = len(DataSet.from_elements([element]).to_bytes(_EXPLICIT))
    return element.tag != _CHARACTER_SET and level_of(element.tag) is Level.IMAGE, length
