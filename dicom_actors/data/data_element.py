"""One data element: tag, VR and values.

An element that was read keeps to its bytes and decodes its value when that is asked for.
Elements do not change; a data set is changed by putting another one in.

Standard: PS3.5 7.1.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.data.coercion import coerce
from dicom_actors.data.sequence import Sequence
from dicom_actors.data.tag import Key, Tag, to_tag
from dicom_actors.data.vr import VR
from dicom_actors.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from dicom_actors.data.element_index import ElementIndex

__all__ = ["UNREAD", "CutSequence", "DataElement", "ReadElement"]

_VRS = {vr.value: vr.value for vr in VR}
UNREAD: Any = object()
"""In place of a value that was not decoded yet."""


class DataElement:
    """A data element.

    ``DataElement("PatientID", "LO", ["ABC123"])``; a value alone stands for a list of one.
    """

    __slots__ = ("_holder", "_offset", "_tag", "_value", "_vr")

    _holder: Any  # the data set that it was read in; None for one that was not read
    _offset: int
    _tag: int
    _value: Any
    _vr: str

    def __init__(self, tag: Key, vr: str, values: Any = ()) -> None:
        """Make an element of Python values.

        Args:
            tag: a key of any form.
            vr: one of the 34 VRs.
            values: a value or a list of values; None or an empty list for none. What is
                understood for each VR stands in `dicom_actors.data.coercion`.

        Raises:
            EncodeError: the VR does not exist, or a value is none of it.
            ElementNotFoundError: the tag is a text that is no keyword.
        """
        self._tag = to_tag(tag)
        found = _VRS.get(vr)
        if found is None:
            raise EncodeError(f"expected a VR, got {vr!r}", tag=self._tag)
        self._vr = found
        self._value = coerce(self._vr, values, self._tag)
        self._holder = None
        self._offset = -1

    @classmethod
    def _of(cls, tag: int, vr: str, value: Any) -> DataElement:
        """Make an element of a value as decoding gives it, which need not be one of the VR."""
        element = object.__new__(cls)
        element._tag = tag
        element._vr = vr
        element._value = value
        element._holder = None
        element._offset = -1
        return element

    @property
    def tag(self) -> Tag:
        """The tag."""
        return int.__new__(Tag, self._tag)

    @property
    def vr(self) -> str:
        """The VR; for an element that was read without one, or as UN, what the dictionary says."""
        return self._vr

    @property
    def value(self) -> Any:
        """The value if there is one, a list of them if there are several, None if there is none.

        A sequence is always a list of data sets.

        Raises:
            DecodeError: the bytes are no value.
        """
        return self._value

    @property
    def values(self) -> list[Any]:
        """All values as a list, which is the element's own where there are several."""
        value = self.value
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    @property
    def vm(self) -> int:
        """The value multiplicity: how many values there are; 1 for a sequence."""
        return 1 if self.vr == "SQ" else len(self.values)

    @property
    def raw(self) -> bytes | memoryview | None:
        """The bytes of the value as they were read; None for an element made of Python values."""
        return None if self._holder is None else self._holder.raw_at(self._tag, self._offset)

    @property
    def length(self) -> int | None:
        """The length of the value as it was read, None for an element made of Python values.

        For an undefined length, this is the length up to the delimiter.
        """
        if self._holder is None:
            return None
        extent = self._holder.extent_at(self._tag, self._offset)
        return int(extent.end - extent.start)

    @property
    def keyword(self) -> str:
        """The keyword in the dictionary, empty if there is none."""
        return self.tag.keyword

    @property
    def name(self) -> str:
        """The name in the dictionary, empty if there is none."""
        return self.tag.name

    @property
    def is_empty(self) -> bool:
        """Whether there is no value."""
        return not self.values

    def __eq__(self, other: object) -> bool:
        """Whether tag, VR and values are the same."""
        if not isinstance(other, DataElement):
            return NotImplemented
        return self._tag == other._tag and self.vr == other.vr and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]  # values may be lists

    def __repr__(self) -> str:
        return f"DataElement({self.tag!r}, {self.vr!r}, {self.values!r})"

    def __str__(self) -> str:
        """Return one line: tag, VR, name, value."""
        from dicom_actors.data.text import element_line  # noqa: PLC0415 - made when printed

        return element_line(self)


class ReadElement(DataElement):
    """An element that was read and stands in a data set's bytes; made by the data set."""

    __slots__ = ()

    def __init__(self, holder: ElementIndex, tag: int, vr: str, offset: int) -> None:
        self._holder = holder
        self._tag = tag
        self._vr = vr
        self._offset = offset
        self._value = UNREAD

    @property
    def value(self) -> Any:
        """The value; see `DataElement.value`."""
        value = self._value
        if value is UNREAD:
            holder, tag, offset = self._holder, self._tag, self._offset
            values = holder._values
            # As long as the element is in place, its value is the one that users share.
            if holder._index.get(tag) != offset:
                value = holder._decode(tag, offset)
            elif tag in values:
                value = values[tag]
            else:
                value = values[tag] = holder._decode(tag, offset)
            self._value = value
        return value


class CutSequence(DataElement):
    """The sequence within which an input ends that is cut short: the items that are there."""

    __slots__ = ("_end",)

    def __init__(self, holder: ElementIndex, tag: int, start: int, end: int) -> None:
        self._holder = holder
        self._tag = tag
        self._vr = "SQ"
        self._offset = start
        self._end = end
        self._value = UNREAD

    @property
    def value(self) -> Any:
        """The items; the last one has those of its elements that are whole."""
        if self._value is UNREAD:
            holder, tag = self._holder, self._tag
            try:
                self._value = holder._decode_items(
                    tag, self._offset, self._end, holder._scope.layout
                )
            except DecodeError as error:
                holder.warn(f"no items in a sequence that is cut short: {error}", tag)
                self._value = Sequence()
        return self._value

    @property
    def raw(self) -> memoryview:
        """The bytes that are there."""
        return memoryview(self._holder._scope.buffer)[self._offset : self._end].toreadonly()

    @property
    def length(self) -> int:
        """How many bytes are there."""
        return self._end - self._offset
