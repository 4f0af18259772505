"""The index over bytes that a data set is, and its values on demand.

An `ElementIndex` has, for each tag, either the offset of an element in the bytes or a
`DataElement` that was put in. Values are decoded when asked for and kept. `DataSet` adds what
users see. An index is made here and becomes a data set by a change of its class, since the
attribute stores of a `DataSet` mean data elements and cost more.

Standard: PS3.5 6.2.2 (UN), 7.5.3 (inheritance), Annex A (VRs that depend).
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.data.charset import DEFAULT, CharacterSet
from dicom_actors.data.data_element import CutSequence, DataElement, ReadElement
from dicom_actors.data.decoder import read_items, scan_all
from dicom_actors.data.dictionary import VR_TABLE, keyword_of
from dicom_actors.data.encapsulated import EncapsulatedPixelData
from dicom_actors.data.layout import IMPLICIT, ITEM, UNDEFINED, Layout
from dicom_actors.data.scope import NOTHING, Scope
from dicom_actors.data.sequence import Sequence
from dicom_actors.data.undefined_length import layout_of_items
from dicom_actors.data.unusual import element_header
from dicom_actors.errors import DecodeError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.data_set import DataSet

__all__ = ["ElementIndex", "Extent", "absent", "dictionary_vr", "read_index"]

CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103
_LUT_DATA = 0x00283006
_LUT_DESCRIPTOR = 0x00283002
_PIXEL_DATA = 0x7FE00010


class Extent(NamedTuple):
    """Where an element is in the bytes.

    Attributes:
        vr: the VR as written; empty if none is.
        start: where the value starts.
        end: where the value ends, before a delimiter.
        following: where the next element starts.
        is_undefined: whether the length is undefined.
    """

    vr: str
    start: int
    end: int
    following: int
    is_undefined: bool


class ElementIndex:
    """Elements by tag, as offsets or elements, and their decoded values."""

    __slots__ = (
        "_character_set",
        "_end",
        "_file_meta",
        "_index",
        "_is_sorted",
        "_number",
        "_replaced",
        "_scope",
        "_start",
        "_values",
    )

    _index: dict[int, int | DataElement]

    def __init__(
        self, scope: Scope, number: int, start: int, end: int, index: dict[int, int]
    ) -> None:
        self._scope = scope
        self._number = number
        self._start = start
        self._end = end
        self._index = index  # type: ignore[assignment]  # elements may come in
        self._values: dict[int, Any] = {}
        self._is_sorted = True
        self._character_set: CharacterSet | None = (
            None if CHARACTER_SET in index else scope.character_set
        )
        # The tags of elements that were read and are no more; None before any change.
        self._replaced: set[int] | None = None
        self._file_meta: DataSet | None = None

    # --- context ---------------------------------------------------------------------------

    @property
    def character_set(self) -> CharacterSet:
        """The character set of the text in this data set (PS3.3 C.12.1.1.2)."""
        found = self._character_set
        return self._find_character_set() if found is None else found

    def _find_character_set(self) -> CharacterSet:
        reading = self._scope.reading
        declared = self._index.get(CHARACTER_SET)
        if reading.character_set is not None and type(declared) is not DataElement:
            found = reading.character_set
        elif declared is None:
            found = self._scope.character_set or DEFAULT
        else:
            # Its own text needs no set; the default one avoids asking again.
            object.__setattr__(self, "_character_set", DEFAULT)
            try:
                value = self._value(CHARACTER_SET)
            except DecodeError as error:
                self.warn(f"no character set: {error}", CHARACTER_SET)
                value = None
            if type(value) is str:
                found = CharacterSet.of((value,))
            else:
                terms = value if isinstance(value, list) else [] if value is None else [value]
                found = CharacterSet.of(tuple(map(str, terms)))
            if found.problem is not None:
                self.warn(found.problem, CHARACTER_SET)
        object.__setattr__(self, "_character_set", found)
        return found

    @property
    def _is_signed(self) -> bool | None:
        if PIXEL_REPRESENTATION in self._index:
            return bool(self._value(PIXEL_REPRESENTATION) == 1)
        return self._scope.is_signed

    def warn(self, message: str, tag: int) -> None:
        """Note that something in the value of an element was forgiven."""
        self._scope.warn(message, self._number, tag=tag)

    # --- headers ---------------------------------------------------------------------------

    def extent_at(self, tag: int, offset: int) -> Extent:
        """Find where the element is whose header starts at an offset."""
        scope = self._scope
        vr, start, length = element_header(
            scope, self._number, scope.layout, tag, offset, self._end
        )
        if length == UNDEFINED:
            end, following = scope.reading.ends[start]
            return Extent(vr, start, end, following, is_undefined=True)
        return Extent(vr, start, start + length, start + length, is_undefined=False)

    def raw_at(self, tag: int, offset: int) -> bytes | memoryview:
        """Return the bytes of the value of the element at an offset, without a copy."""
        extent = self.extent_at(tag, offset)
        return memoryview(self._scope.buffer)[extent.start : extent.end].toreadonly()

    def vr_at(self, tag: int, offset: int) -> str:
        """Find the VR of the element at an offset; for none or UN, the dictionary's."""
        vr, _, _, _, is_undefined = self.extent_at(tag, offset)
        return vr if vr not in {"", "UN"} else self._known_vr(tag, is_undefined=is_undefined)

    def _known_vr(self, tag: int, *, is_undefined: bool = False) -> str:
        if is_undefined and tag == _PIXEL_DATA:
            return "OB"
        # Nothing else can have an undefined length, whatever the dictionary says (PS3.5 7.1).
        return "SQ" if is_undefined else dictionary_vr(self, tag)

    def _element(self, tag: int, offset: int) -> DataElement:
        """Make the element at an offset."""
        layout = self._scope.layout
        if layout.is_explicit:
            vr = layout.names.get(layout.read_vr(self._scope.buffer, offset)[0], "UN")
            if vr != "UN":
                return ReadElement(self, tag, vr, offset)
        return ReadElement(self, tag, self.vr_at(tag, offset), offset)

    # --- values ----------------------------------------------------------------------------

    def _value(self, tag: int) -> Any:
        """Return the value of an element; KeyError if there is none."""
        values = self._values
        if tag in values:
            return values[tag]
        item = self._index[tag]
        if type(item) is not int:
            return item.value  # type: ignore[union-attr]
        value = values[tag] = self._decode(tag, item)
        return value

    def _all_values(self) -> list[Any]:
        """Return all values in tag order: `_value` for each, without its overhead."""
        values, index, scope = self._values, self._sorted_index(), self._scope
        layout, buffer = scope.layout, scope.buffer
        read, decoders = layout.read_vr, layout.short_decoders
        is_explicit = layout.is_explicit
        for tag, item in index.items():
            if tag in values or type(item) is not int:
                continue
            if is_explicit:
                code, length = read(buffer, item)
                decoder = decoders.get(code)
                if decoder is None:
                    values[tag] = self._decode_long(tag, item, code)
                elif length:
                    start = item + 8
                    values[tag] = decoder(buffer, start, start + length, self, tag)
                else:
                    values[tag] = None
            else:
                values[tag] = self._decode(tag, item)
        if self._replaced is None:
            return list(map(values.__getitem__, index))
        return [
            values[tag] if type(item) is int else item.value  # type: ignore[union-attr]
            for tag, item in index.items()
        ]

    def _decode(self, tag: int, offset: int) -> Any:
        scope = self._scope
        layout = scope.layout
        if layout.is_explicit:
            code, length = layout.read_vr(scope.buffer, offset)
            start = offset + 8
            decoder = layout.short_decoders.get(code)
            if decoder is None:
                return self._decode_long(tag, offset, code)
            if length:
                return decoder(scope.buffer, start, start + length, self, tag)
            return None
        _, _, length = layout.read_implicit(scope.buffer, offset)
        decoder = layout.decoders.get(VR_TABLE[tag])
        if decoder is None or length == UNDEFINED or tag & 0x10000:
            return self._decode_unusual(tag, offset)
        if length:
            start = offset + 8
            return decoder(scope.buffer, start, start + length, self, tag)
        return None

    def _decode_long(self, tag: int, offset: int, code: int) -> Any:
        """Decode explicit elements of what is no VR with a length of 16 bits."""
        scope = self._scope
        layout = scope.layout
        decoder = layout.long_decoders.get(code)
        if decoder is None and code != layout.sequence:
            return self._decode_unusual(tag, offset)
        length = layout.read_length(scope.buffer, offset + 8)[0]
        if length == UNDEFINED:
            return self._decode_unusual(tag, offset)
        start = offset + 12
        if decoder is None:
            return self._decode_items(tag, start, start + length, layout)
        return decoder(scope.buffer, start, start + length, self, tag) if length else None

    def _decode_unusual(self, tag: int, offset: int) -> Any:
        """Decode sequences, encapsulated data, and what needs the dictionary's VR."""
        scope = self._scope
        written, start, end, following, is_undefined = self.extent_at(tag, offset)
        vr = written
        if written in {"", "UN"}:
            vr = self._known_vr(tag, is_undefined=is_undefined)
        layout = scope.layout if written != "UN" else IMPLICIT
        if vr == "SQ" or (is_undefined and written in {"", "UN"} and tag != _PIXEL_DATA):
            inner = layout_of_items(scope, written, start, scope.layout)
            try:
                return self._decode_items(tag, start, end, inner)
            except DecodeError as error:
                if written != "UN" or is_undefined:
                    raise
                self.warn(f"no items in a sequence that came as UN: {error}", tag)
                return bytes(scope.buffer[start:end])
        if start == end and not is_undefined:
            return None
        if is_undefined:
            content = memoryview(scope.buffer)[start:end]
            is_cut = scope.reading.is_cut and following == end
            return EncapsulatedPixelData.of_content(content, scope.layout.order, is_cut=is_cut)
        return layout.decoders[vr](scope.buffer, start, end, self, tag)

    def _decode_items(self, tag: int, start: int, end: int, layout: Layout) -> Sequence:
        outer, index = self._scope, self._index
        scope = Scope(
            outer.buffer,
            layout,
            outer.reading,
            outer,
            self._number,
            tag,
            self.character_set if CHARACTER_SET in index else outer.character_set,
            self._is_signed
            if PIXEL_REPRESENTATION in index and tag != PIXEL_REPRESENTATION
            else outer.is_signed,
        )
        items: Any = Sequence()
        read_items(scope, start, end, items, ElementIndex, _keep_what_there_is)
        own_class = type(self)
        for item in items:
            item.__class__ = own_class
        if outer.reading.is_cut and items and scope.accept_cut(end):
            # Delimiters may be missing at its end.
            items[-1]._replaced = items[-1]._replaced or set()
        items.scope = scope
        items.number_read = len(items)
        return items  # type: ignore[no-any-return]  # their class was changed

    # --- changes ---------------------------------------------------------------------------

    def _before_change(self, tag: int) -> None:
        """Note that an element is to be replaced, removed or added."""
        if self._replaced is None:
            object.__setattr__(self, "_replaced", set())
        if type(self._index.get(tag)) is int:
            self._replaced.add(tag)  # type: ignore[union-attr]  # made above
        self._values.pop(tag, None)

    def _store(self, element: DataElement) -> None:
        """Put an element in, in place of the one with the same tag."""
        tag, index = element._tag, self._index
        is_new = tag not in index
        if not is_new or self._replaced is None:
            self._before_change(tag)
        if is_new and self._is_sorted:
            object.__setattr__(self, "_is_sorted", False)
        index[tag] = element

    def _sorted_index(self) -> dict[int, int | DataElement]:
        """The index in tag order."""
        if not self._is_sorted:
            index = self._index
            tags = sorted(index)
            if tags != list(index):
                ordered = {tag: index[tag] for tag in tags}
                index.clear()
                index.update(ordered)
            object.__setattr__(self, "_is_sorted", True)
        return self._index

    def _is_changed(self, tag: int) -> bool:
        """Whether the value of an element that was read is no longer what was read.

        Only lists can be changed in place: the items of sequences, and several values.
        """
        value = self._values.get(tag)
        if type(value) is Sequence:
            return not _has_items_read(value) or not _are_as_read(value)
        return type(value) is list and self._has_other_values(tag, value)

    def _has_other_values(self, tag: int, values: list[Any]) -> bool:
        warnings = self._scope.reading.warnings
        count = len(warnings)
        fresh = self._decode(tag, self._index[tag])  # type: ignore[arg-type]
        del warnings[count:]
        # One NaN does not equal another, but they look the same.
        return bool(fresh != values) and repr(fresh) != repr(values)

    def _is_as_read(self) -> bool:
        """Whether this data set is one that was read and nothing in it was changed."""
        return _are_as_read([self])


def _has_items_read(items: Sequence) -> bool:
    """Whether a list of items holds those that were read; they themselves may be changed."""
    scope: Scope | None = getattr(items, "scope", None)
    return (
        scope is not None
        and len(items) == items.number_read
        and all(item._scope is scope and item._number == at for at, item in enumerate(items))
    )


def _are_as_read(holders: Iterable[ElementIndex]) -> bool:
    """Whether data sets were read, and nothing in them, however deep, was changed."""
    rest = list(holders)
    while rest:
        holder = rest.pop()
        if holder._replaced is not None or holder._scope is NOTHING:
            return False
        for tag, value in holder._values.items():
            if type(value) is Sequence:
                if not _has_items_read(value):
                    return False
                rest += value
            elif type(value) is list and holder._has_other_values(tag, value):
                return False
    return True


def absent(tag: int) -> ElementNotFoundError:
    """Make the error for an element that is not there."""
    keyword = keyword_of(tag)
    label = f"{keyword} " if keyword else ""
    return ElementNotFoundError(
        f"no {label}({tag >> 16:04X},{tag & 0xFFFF:04X}) in the data set", tag=tag, keyword=keyword
    )


def dictionary_vr(holder: ElementIndex, tag: int) -> str:
    """Find the VR of an element that does not tell it (PS3.5 Annex A.1, PS3.6).

    Args:
        holder: the data set that the element is, or will be, in.
        tag: the element.
    """
    vr = VR_TABLE[tag]
    if len(vr) == 2:
        if vr == "UN" and tag & 0x10000:
            return private_vr(holder, tag)
        return vr
    if vr == "US or SS" or (vr == "US or SS or OW" and tag != _LUT_DATA):
        return "SS" if holder._is_signed else "US"
    if vr == "US or OW" and _LUT_DESCRIPTOR in holder._index:
        descriptor = holder._value(_LUT_DESCRIPTOR)
        # A table of one entry is a number (PS3.3 C.11.1.1.1).
        return "US" if isinstance(descriptor, list) and descriptor[0] == 1 else "OW"
    return "OW" if "OW" in vr else "UN"


def private_vr(holder: ElementIndex, tag: int) -> str:
    """Find the VR of a private element by its creator, ``"UN"`` if nothing is known of it."""
    from dicom_actors.data.private import vr_of_private  # noqa: PLC0415 - seldom needed

    creator_tag = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
    if creator_tag not in holder._index or tag & 0xFFFF < 0x1000:
        return "UN"
    creator = holder._value(creator_tag)
    return vr_of_private(creator, tag) if isinstance(creator, str) else "UN"


def read_index(scope: Scope, start: int, end: int, stop: int | None = None) -> ElementIndex:
    """Index a whole data set, or, where `stop` is given, its elements below that tag."""
    index: dict[int, int] = {}
    if stop is None:
        pos = scan_all(scope, 0, index, start, end)
        made = ElementIndex(scope, 0, start, end, index)
    else:
        pos = scan_all(scope, 0, index, start, end, min(stop, ITEM))
        made = ElementIndex(scope, 0, start, min(pos, end), index)
    if pos > end:
        _keep_what_there_is(made, end)
    elif scope.reading.is_cut:
        # Written as it is, it would be cut short again.
        made._replaced = set()
    return made


def _keep_what_there_is(holder: ElementIndex, end: int) -> None:
    """Take the part that a truncated input has of its last value.

    That is a part of bytes such as pixels, and of a sequence the items; anything else is lost.
    """
    scope, index = holder._scope, holder._index
    holder._end = end
    tag = max(index, key=index.__getitem__)  # type: ignore[arg-type]  # offsets
    vr, start, _, _, _ = holder.extent_at(tag, index[tag])  # type: ignore[arg-type]
    holder._before_change(tag)
    vr = vr or holder._known_vr(tag)
    if start >= end or not (vr in {"SQ", "UN"} or vr[0] == "O"):
        del index[tag]
    elif vr == "SQ":
        index[tag] = CutSequence(holder, tag, start, end)
    else:
        value = scope.layout.decoders[vr](scope.buffer, start, end, holder, tag)
        index[tag] = DataElement._of(tag, vr, value)
