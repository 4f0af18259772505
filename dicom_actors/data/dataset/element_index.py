"""The elements of one data set: offsets in bytes or elements that were put in, and their values.

An `ElementIndex` has, for each tag, either the offset of an element in the bytes or an element
that was put in. Values are decoded when asked for and kept. It is what a `DataSet` holds, and what
all that reads or writes data sets works with; users see the `DataSet` alone. How to make what they
see (elements, items of sequences) is filled in by its subclass in `data_set`.

Standard: PS3.5 6.2.2 (UN), 7.5.3 (inheritance), Annex A (VRs that depend).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from operator import attrgetter
from sys import maxsize
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol, TypeVar

from dicom_actors.data.dataset.lists import THE_LIST, ItemList, ValueList
from dicom_actors.data.dictionary import VR, VR_TABLE, keyword_of, vr_of_private
from dicom_actors.data.scan.elements import layout_of_items, read_items
from dicom_actors.data.scan.headers import element_header
from dicom_actors.data.scan.layout import BIG_ENDIAN, EXPLICIT, IMPLICIT, UNDEFINED, Layout
from dicom_actors.data.scan.native import data_sets_usual, values_usual
from dicom_actors.data.scan.scope import (
    DEFAULT_LIMITS,
    BeyondLimitsError,
    Bytes,
    Limits,
    Reading,
    Scope,
)
from dicom_actors.data.values.character_sets import DEFAULT, CharacterSet
from dicom_actors.data.values.codec import COMPILED_KINDS, DECODERS
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.noted_list import NotedList
from dicom_actors.data.values.number_strings import NumberList
from dicom_actors.errors import DecodeError, ElementNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.data.dictionary import TransferSyntax
    from dicom_actors.data.scan.elements import Row
    from dicom_actors.data.scan.native import Run, Shape
    from dicom_actors.data.values.unread import UnreadBytes, UnreadFragments

__all__ = [
    "CHARACTER_SET",
    "DECODED_LISTS",
    "LIST_SLOTS",
    "NOTHING",
    "Context",
    "ElementIndex",
    "Extent",
    "Held",
    "Input",
    "StoredElement",
    "absent",
    "content_of",
    "hold",
]

CHARACTER_SET: Final = 0x00080005
_PIXEL_REPRESENTATION: Final = 0x00280103
_LUT_DATA: Final = 0x00283006
_LUT_DESCRIPTOR: Final = 0x00283002
_PIXEL_DATA: Final = 0x7FE00010
_USUAL_SETS: Final = {
    raw: CharacterSet.of((str(raw, "ascii").rstrip(),))
    for raw in (b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 6", b"GB18030 ")
}
_NO_LENGTH: Final = bytes(4)
_DEEPEST: Final = 1 << 30
"""A depth that no data set has, and that any compiler can count to."""
_NONE: Final[Any] = frozenset()
"""What was changed where nothing was; shared, since most contexts stay as they are."""

_new_list: Final = list.__new__
_fill_list: Final = list.__init__

DECODED_LISTS: Final = frozenset((list, NumberList))
"""What several values are decoded as, before they are handed out."""


class Held:
    """What users see of an `ElementIndex`; the base of `DataSet`."""

    __slots__ = ("_content",)

    _content: ElementIndex


_HeldT = TypeVar("_HeldT", bound=Held)

content_of: Callable[[Held], ElementIndex] = attrgetter("_content")
"""Returns the elements of a data set."""

set_content: Callable[[Held, ElementIndex], None] = Held.__dict__["_content"].__set__
"""Gives a new data set its elements. The attributes of a `DataSet` mean data elements."""


_CONTENT: Final[Any] = attrgetter("_content")(Held)
LIST_SLOTS: Final[Any] = attrgetter("scope", "number")(NotedList)
_MADE_AS: Final = (*COMPILED_KINDS, (ValueList, *LIST_SLOTS))
"""What the compiled part makes values as: see `native.values_usual`."""


def hold(kind: type[_HeldT], content: ElementIndex) -> _HeldT:
    """Make a data set of a class that holds these elements."""
    made = object.__new__(kind)
    set_content(made, content)
    return made


class StoredElement(Protocol):
    """An element that was put in: what is asked of a `DataElement`."""

    @property
    def tag(self) -> int:
        """The tag."""

    @property
    def vr(self) -> str:
        """The VR."""

    @property
    def value(self) -> Any:
        """The value, a list of several, or None."""

    @property
    def unread(self) -> UnreadBytes | UnreadFragments | None:
        """What the value is read of when it is asked for; None: it is there."""


class MakeElement(Protocol):
    """Makes an element of a value as decoding gives it."""

    def __call__(self, tag: int, vr: str, value: Any, /) -> Any:
        """Make it."""


class MakeReadElement(Protocol):
    """Makes an element that stands in the bytes of an index."""

    def __call__(self, holder: ElementIndex, tag: int, vr: str, offset: int, /) -> Any:
        """Make it."""


class PartsOf(Protocol):
    """Takes VR and value of an element that was made of Python values, at the least cost."""

    def __call__(self, element: Any, /) -> tuple[str, Any]:
        """Take them."""


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


class _Decoders:
    """The decoders of values for a layout.

    Attributes:
        by_vr: by VR.
        names: VRs by number, without UN.
        short: by VR number, those with a length of 16 bits.
        long: by VR number, those with a length of 32 bits, without SQ and UN.
    """

    __slots__ = ("by_vr", "long", "names", "short")

    def __init__(self, layout: Layout) -> None:
        self.by_vr: dict[str, Any] = DECODERS[layout.order]
        self.names = {code: vr for code, vr in layout.names.items() if vr != "UN"}
        named = {code: (vr, self.by_vr.get(vr)) for code, vr in layout.names.items()}
        self.short = {code: named[code][1] for code in layout.short}
        self.long = {code: named[code][1] for code in layout.long if named[code][0] != "UN"}
        del self.long[layout.sequence]


_DECODERS: Final = {layout: _Decoders(layout) for layout in (IMPLICIT, EXPLICIT, BIG_ENDIAN)}


class Input(Reading):
    """What is known about one input, with what its values need.

    Attributes:
        character_set: the character set that overrides the declared ones; None: none does.
        data_set_class: what items are made as.
        deflated: what the data set was before it was inflated, the bytes that it stands in, and
            where; None if it was not announced so.
        transfer_syntax: the transfer syntax of the input; None if it was not read.
    """

    __slots__ = ("character_set", "data_set_class", "deflated", "transfer_syntax")

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, keeps_truncated: bool = False) -> None:
        # What `Reading` does, without a call.
        self.limits = limits
        self.warnings = []
        self.keeps_truncated = keeps_truncated
        self.ends = {}
        self.irregular = {}
        self.is_cut = False
        self.nonzero_at = -1
        self.seen_elements = 0
        self.character_set: CharacterSet | None = None
        self.data_set_class: type[Held] = Held
        self.deflated: tuple[bytes, Bytes, int] | None = None
        self.transfer_syntax: TransferSyntax | None = None


class Context(Scope):
    """Where elements stand, and what their values need.

    Attributes:
        above: where a change is noted, too; None at the top, and for what was copied.
        changed: the numbers of the items that were changed, or in which something was.
        character_set: what items inherit; None at the top.
        decoders: those of the layout.
        is_signed: the Pixel Representation that items inherit; None if there is none above.
    """

    __slots__ = ("above", "changed", "character_set", "decoders", "is_signed")

    reading: Input

    def __init__(
        self,
        buffer: Bytes,
        layout: Layout,
        reading: Input,
        parent: Context | None = None,
        parent_number: int = 0,
        tag: int = 0,
        character_set: CharacterSet | None = None,
        is_signed: bool | None = None,  # noqa: FBT001 - as above
    ) -> None:
        # What `Scope` does, without a call.
        self.buffer = buffer
        self.layout = layout
        self.reading = reading
        self.parent = self.above = parent
        self.changed: set[int] = _NONE
        self.parent_number = parent_number
        self.tag = tag
        self.depth = 0 if parent is None else parent.depth + 1
        self.character_set = character_set
        self.decoders = _DECODERS[layout]
        self.is_signed = is_signed

    def settle(self, layout: Layout) -> None:
        """Take another layout than was announced."""
        self.layout = layout
        self.decoders = _DECODERS[layout]

    def note_change(self, number: int) -> None:
        """Note that an item was changed, and so was each that it is in."""
        scope: Context | None = self
        while scope is not None and number not in scope.changed:
            if scope.changed is _NONE:
                scope.changed = {number}
            else:
                scope.changed.add(number)
            number, scope = scope.parent_number, scope.above

    def of_copy(self, number: int) -> Context:
        """Make the context of a copy of an item, of which a change is none of the original."""
        if self is NOTHING:
            return self
        made = Context(
            self.buffer,
            self.layout,
            self.reading,
            self.parent,  # type: ignore[arg-type]  # that of a context is one
            self.parent_number,
            self.tag,
            self.character_set,
            self.is_signed,
        )
        made.above = None
        if number in self.changed:
            made.changed = {number}
        return made


_PLACE: Final = (
    Context,
    *attrgetter(
        *("buffer", "layout", "reading", "parent", "above", "changed", "parent_number"),
        *("tag", "depth", "character_set", "decoders", "is_signed"),
    )(Context),
)
"""What the compiled part makes contexts of: see `native.data_sets_usual`."""

NOTHING: Final = Context(b"", EXPLICIT, Input())
"""The context of data sets that were not read, which have the number 0; nothing is noted in it."""
NOTHING.changed = {0}


class ElementIndex(ABC):
    """Elements by tag, as offsets or elements, and their decoded values.

    Attributes:
        scope: the bytes, and how the elements lie in them.
        number: which item of its sequence this is.
        start: where its elements start.
        end: where they end.
        index: for each tag the offset of an element, or an element that was put in.
        values: the values that were decoded, of elements that were read.
        is_sorted: whether the index is in tag order.
        known_character_set: the character set, if it was asked for before.
        replaced: the tags of elements that were read and are no more; None before any change.
        meta: the file meta information, or what makes it once it is asked for; None if there is
            none.
        list_shape: the list of the items of a sequence, and its slots: `NotedList`.
        shape: the class itself, and the slots that are filled for an item.
    """

    __slots__ = (
        "end",
        "index",
        "is_sorted",
        "known_character_set",
        "meta",
        "number",
        "replaced",
        "scope",
        "start",
        "values",
    )

    list_shape: ClassVar[Shape]
    new_element: ClassVar[MakeElement]
    read_element: ClassVar[MakeReadElement]
    shape: ClassVar[Shape]
    parts_of: ClassVar[PartsOf]

    def __init__(
        self, scope: Context, number: int, start: int, end: int, index: dict[int, int]
    ) -> None:
        self.scope = scope
        self.number = number
        self.start = start
        self.end = end
        self.index: dict[int, int | StoredElement] = index  # type: ignore[assignment]  # as above
        self.values: dict[int, Any] = {}
        self.is_sorted = True
        self.known_character_set: CharacterSet | None = (
            None if CHARACTER_SET in index else scope.character_set
        )
        self.replaced: set[int] | None = None
        self.meta: Any = None

    @abstractmethod
    def make_runs(self, index: dict[int, Any], prefix: tuple[int, ...]) -> list[Run]:
        """Make elements of a part of the index, in runs: each up to one that is special.

        Args:
            index: the part.
            prefix: what leads to the data set.

        Returns:
            Pairs of path and element of which nothing is special; the tag of the one behind them,
            None at the end; what the index has of that; and the element, if it is a sequence.
            None: it was put in, its VR is not written, or UN.
        """

    @abstractmethod
    def make_items(self, scope: Context, rows: list[Row], end: int) -> ItemList:
        """Make the items of a sequence of what a scan found up to `end`."""

    @property
    def file_meta(self) -> Any:
        """The file meta information; None if there is none."""
        meta = self.meta
        if type(meta) is partial:
            meta = self.meta = meta()
        return meta

    @file_meta.setter
    def file_meta(self, file_meta: Any) -> None:
        self.meta = file_meta

    # --- context ---------------------------------------------------------------------------

    @property
    def character_set(self) -> CharacterSet:
        """The character set of the text in this data set (PS3.3 C.12.1.1.2)."""
        found = self.known_character_set
        return self._find_character_set() if found is None else found

    def _find_character_set(self) -> CharacterSet:
        reading = self.scope.reading
        declared = self.index.get(CHARACTER_SET)
        if reading.character_set is not None and (declared is None or type(declared) is int):
            found = reading.character_set
        elif declared is None:
            found = self.scope.character_set or DEFAULT
        else:
            # Its own text needs no set; the default one avoids asking again.
            self.known_character_set = DEFAULT
            try:
                value = self.value(CHARACTER_SET)
            except DecodeError as error:
                self.warn(f"no character set: {error}", CHARACTER_SET)
                value = None
            if isinstance(value, bytes | memoryview):
                self.warn("no character set: expected text, got bytes", CHARACTER_SET)
                value = None
            if type(value) is str:
                found = CharacterSet.of((value,))
            else:
                terms = value if isinstance(value, list) else [] if value is None else [value]
                found = CharacterSet.of(tuple(map(str, terms)))
            if found.problem is not None:
                self.warn(found.problem, CHARACTER_SET)
        self.known_character_set = found
        return found

    @property
    def is_signed(self) -> bool | None:
        """What Pixel Representation says of numbers; None if there is none."""
        if _PIXEL_REPRESENTATION in self.index:
            return bool(self.value(_PIXEL_REPRESENTATION) == 1)
        return self.scope.is_signed

    def warn(self, message: str, tag: int) -> None:
        """Note that something in the value of an element was forgiven."""
        self.scope.warn(message, self.number, tag=tag)

    def warns_of(self, tag: int) -> Callable[[str], None]:
        """Give what notes that later, and does not keep this: a value of it has it."""
        return partial(self.scope.warn, number=self.number, tag=tag)

    # --- headers ---------------------------------------------------------------------------

    def extent_at(self, tag: int, offset: int) -> Extent:
        """Find where the element is whose header starts at an offset."""
        scope = self.scope
        vr, start, length = element_header(scope, self.number, scope.layout, tag, offset, self.end)
        if length == UNDEFINED:
            end, following = scope.reading.ends[start]
            return Extent(vr, start, end, following, is_undefined=True)
        return Extent(vr, start, start + length, start + length, is_undefined=False)

    def raw_at(self, tag: int, offset: int) -> bytes | memoryview:
        """Return the bytes of the value of the element at an offset, without a copy."""
        extent = self.extent_at(tag, offset)
        return memoryview(self.scope.buffer)[extent.start : extent.end].toreadonly()

    def vr_at(self, tag: int, offset: int) -> str:
        """Find the VR of the element at an offset; for none or UN, the dictionary's."""
        vr, _, _, _, is_undefined = self.extent_at(tag, offset)
        return vr if vr not in {"", "UN"} else self.known_vr(tag, is_undefined=is_undefined)

    def vr_of(self, tag: int) -> str:
        """Find the VR of an element that is there."""
        item = self.index[tag]
        return self.vr_at(tag, item) if isinstance(item, int) else item.vr

    def known_vr(self, tag: int, *, is_undefined: bool = False) -> str:
        """Find the VR of an element that was read without one, or as UN."""
        if is_undefined and tag == _PIXEL_DATA:
            return "OB"
        # Nothing else can have an undefined length, whatever the dictionary says (PS3.5 7.1).
        return "SQ" if is_undefined else self.dictionary_vr(tag)

    def dictionary_vr(self, tag: int) -> str:
        """Find the VR of an element that does not tell it (PS3.5 Annex A.1, PS3.6)."""
        if tag & 0x10000 and tag & 0xFFFF > 0xFF:
            creator = self.private_creator(tag)
            return vr_of_private(creator, tag) if creator else "UN"
        vr = VR_TABLE[tag]
        if len(vr) == 2:
            return vr
        if vr == "US or SS" or (vr == "US or SS or OW" and tag != _LUT_DATA):
            return "SS" if self.is_signed else "US"
        if vr == "US or OW" and _LUT_DESCRIPTOR in self.index:
            descriptor = self.value(_LUT_DESCRIPTOR)
            # A table of one entry is a number (PS3.3 C.11.1.1.1).
            return "US" if isinstance(descriptor, list) and descriptor[0] == 1 else "OW"
        return "OW" if "OW" in vr else "UN"

    def private_creator(self, tag: int) -> str:
        """Return the private creator of a private element, empty if there is none (PS3.5 7.8)."""
        creator_tag = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
        if not tag & 0x10000 or tag & 0xFFFF < 0x1000 or creator_tag not in self.index:
            return ""
        creator = self.value(creator_tag)
        return creator if isinstance(creator, str) else ""

    def is_unknown(self, tag: int) -> bool:
        """Whether a private element is in no block, so that its VR cannot be known."""
        return tag & 0xFFFF > 0xFF and tag & 0xFFFF0000 | tag >> 8 & 0xFF not in self.index

    def vr_of_empty(self, tag: int, offset: int) -> str | None:
        """Find the VR of the element at an offset, if a look at its header tells it has no value.

        None: it has one, or its header is not usual.
        """
        layout, buffer = self.scope.layout, self.scope.buffer
        if not layout.is_explicit:
            is_empty = buffer[offset + 4 : offset + 8] == _NO_LENGTH
            return self.dictionary_vr(tag) if is_empty else None
        code, length = layout.read_vr(buffer, offset)
        if length:
            return None
        if code not in layout.short and (
            code not in layout.long or buffer[offset + 8 : offset + 12] != _NO_LENGTH
        ):
            return None
        vr = layout.names[code]
        return self.dictionary_vr(tag) if vr == "UN" else vr

    def element_at(self, tag: int, offset: int) -> Any:
        """Make the element at an offset."""
        layout = self.scope.layout
        if layout.is_explicit:
            vr = layout.names.get(layout.read_vr(self.scope.buffer, offset)[0], "UN")
            if vr != "UN":
                return self.read_element(self, tag, vr, offset)
        elif (
            tag & 0x10000
            and self.is_unknown(tag)
            and layout.read_implicit(self.scope.buffer, offset)[2] != UNDEFINED
        ):
            return self.read_element(self, tag, "UN", offset)
        return self.read_element(self, tag, self.vr_at(tag, offset), offset)

    def elements(self) -> Iterator[Any]:
        """Give all elements in tag order, without those inside sequences."""
        element = self.element_at
        for tag, item in list(self.sorted_index().items()):
            yield element(tag, item) if type(item) is int else item

    # --- values ----------------------------------------------------------------------------

    def value(self, tag: int) -> Any:
        """Return the value of an element; KeyError if there is none."""
        values = self.values
        if tag in values:
            return values[tag]
        item = self.index[tag]
        if type(item) is not int:
            return item.value  # type: ignore[union-attr]
        value = self.decode(tag, item)
        if type(value) in DECODED_LISTS:
            value = self.handed_out(value)
        values[tag] = value
        return value

    def handed_out(self, values: list[Any]) -> NotedList:
        """Make what users get of a list of values: one whose change is noted here."""
        if isinstance(values, NumberList):
            values.scope, values.number = self.scope, self.number
            return values
        made = _new_list(ValueList)
        _fill_list(made, values)
        made.scope = self.scope
        made.number = self.number
        return made

    def decode_usual(self, *, is_deep: bool = False) -> None:
        """Decode all values of which nothing is unusual, at once, if that was compiled.

        Args:
            is_deep: whether those in sequences, too.
        """
        scope = self.scope
        if values_usual is None or scope.layout is not EXPLICIT:
            return
        characters = self.known_character_set or self._usual_character_set()
        has_ascii = characters is not None and characters.codec is not None
        sequences = values_usual(
            scope.buffer, self.index, self.values, _MADE_AS, has_ascii, scope, self.number
        )
        if sequences and characters is not None:
            self._index_usual(sequences, characters, is_deep=is_deep)

    def _index_usual(
        self, sequences: list[tuple[int, int, int]], characters: CharacterSet, *, is_deep: bool
    ) -> None:
        """Do what `decode_items` does for sequences, where nothing in them is unusual."""
        outer, values = self.scope, self.values
        reading, is_signed = outer.reading, outer.is_signed
        limits = reading.limits
        if data_sets_usual is None or reading.is_cut or outer.depth >= limits.max_depth:
            return
        if _PIXEL_REPRESENTATION in self.index:
            if _PIXEL_REPRESENTATION not in values:
                return  # something may be to be said of it
            is_signed = self.is_signed
        place = (
            outer.buffer,
            EXPLICIT,
            reading,
            outer,
            outer,
            _NONE,
            self.number,
            None,  # the tag of each
            outer.depth + 1,
            characters,
            _DECODERS[EXPLICIT],
            is_signed,
        )
        shapes = (_PLACE, self.list_shape, (reading.data_set_class, _CONTENT), self.shape)
        most = min(limits.max_elements - reading.seen_elements, maxsize)
        reading.seen_elements += data_sets_usual(
            outer.buffer,
            sequences,
            values,
            most,
            min(limits.max_depth, _DEEPEST),
            place,
            shapes,
            _MADE_AS if is_deep else None,
            characters.codec is not None,
        )

    def _usual_character_set(self) -> CharacterSet | None:
        """The character set, if nothing is to be said of it, which would come before its time."""
        offset = self.index.get(CHARACTER_SET)
        if offset is None:
            return self.character_set
        if type(offset) is not int or self.scope.reading.character_set is not None:
            return None
        raw = bytes(self.scope.buffer[offset : offset + 18])
        if raw[4:6] == b"CS":
            self.known_character_set = _USUAL_SETS.get(raw[8 : 8 + raw[6] + (raw[7] << 8)])
        return self.known_character_set

    def all_values(self) -> list[Any]:
        """Return all values in tag order: `value` for each, without its overhead."""
        values, index, scope = self.values, self.sorted_index(), self.scope
        self.decode_usual()
        layout, buffer = scope.layout, scope.buffer
        read, decoders = layout.read_vr, scope.decoders.short
        is_explicit = layout.is_explicit
        for tag, item in index.items() if len(values) < len(index) else ():
            if tag in values or type(item) is not int:
                continue
            if is_explicit:
                code, length = read(buffer, item)
                decoder = decoders.get(code)
                if decoder is None:
                    value = self._decode_long(tag, item, code)
                elif length:
                    start = item + 8
                    value = decoder(buffer, start, start + length, self, tag)
                else:
                    value = None
            else:
                value = self.decode(tag, item)
            if type(value) in DECODED_LISTS:
                value = self.handed_out(value)
            values[tag] = value
        if self.replaced is None:
            return list(map(values.__getitem__, index))
        return [
            values[tag] if type(item) is int else item.value  # type: ignore[union-attr]
            for tag, item in index.items()
        ]

    def decode(self, tag: int, offset: int) -> Any:
        """Decode the value of the element at an offset."""
        scope = self.scope
        layout = scope.layout
        if layout.is_explicit:
            code, length = layout.read_vr(scope.buffer, offset)
            start = offset + 8
            decoder = scope.decoders.short.get(code)
            if decoder is None:
                return self._decode_long(tag, offset, code)
            if length:
                return decoder(scope.buffer, start, start + length, self, tag)
            return None
        _, _, length = layout.read_implicit(scope.buffer, offset)
        if tag & 0x10000:
            if not length and self.is_unknown(tag):
                return None
            return self._decode_unusual(tag, offset)
        decoder = scope.decoders.by_vr.get(VR_TABLE[tag])
        if decoder is None or length == UNDEFINED:
            return self._decode_unusual(tag, offset)
        if length:
            start = offset + 8
            return decoder(scope.buffer, start, start + length, self, tag)
        return None

    def _decode_long(self, tag: int, offset: int, code: int) -> Any:
        """Decode explicit elements of what is no VR with a length of 16 bits."""
        scope = self.scope
        layout = scope.layout
        decoder = scope.decoders.long.get(code)
        if decoder is None and code != layout.sequence:
            is_long = code in layout.long and tag & 0x10000
            has_none = is_long and scope.buffer[offset + 8 : offset + 12] == _NO_LENGTH
            if has_none and self.is_unknown(tag):
                return None
            return self._decode_unusual(tag, offset)
        length = layout.read_length(scope.buffer, offset + 8)[0]
        if length == UNDEFINED:
            return self._decode_unusual(tag, offset)
        start = offset + 12
        if decoder is None:
            return self._items_or_bytes(tag, start, start + length, layout)
        return decoder(scope.buffer, start, start + length, self, tag) if length else None

    def _decode_unusual(self, tag: int, offset: int) -> Any:
        """Decode sequences, encapsulated data, and what needs the dictionary's VR."""
        scope = self.scope
        written, start, end, following, is_undefined = self.extent_at(tag, offset)
        vr = written
        if written in {"", "UN"}:
            vr = self.known_vr(tag, is_undefined=is_undefined)
        if vr == "SQ" or (is_undefined and written in {"", "UN"} and tag != _PIXEL_DATA):
            inner = layout_of_items(scope, written, start, scope.layout)
            return self._items_or_bytes(tag, start, end, inner)
        if start == end and not is_undefined:
            return None
        if is_undefined:
            content = memoryview(scope.buffer)[start:end]
            is_cut = scope.reading.is_cut and following == end
            return EncapsulatedPixelData.of_content(content, scope.layout.order, is_cut=is_cut)
        decoders = scope.decoders if written != "UN" else _DECODERS[IMPLICIT]
        return decoders.by_vr[vr](scope.buffer, start, end, self, tag)

    def _items_or_bytes(self, tag: int, start: int, end: int, layout: Layout) -> Any:
        """Index the items of a sequence; what cannot be read as one is bytes, as of a UN."""
        try:
            return self.decode_items(tag, start, end, layout)
        except BeyondLimitsError:
            raise
        except DecodeError as error:
            self.warn(f"a sequence that cannot be read, taken as UN: {error}", tag)
            return self.scope.decoders.by_vr["UN"](self.scope.buffer, start, end, self, tag)

    def decode_items(self, tag: int, start: int, end: int, layout: Layout) -> ItemList:
        """Index the items of a sequence."""
        outer, index = self.scope, self.index
        scope = Context(
            outer.buffer,
            layout,
            outer.reading,
            outer,
            self.number,
            tag,
            self.character_set,
            self.is_signed
            if _PIXEL_REPRESENTATION in index and tag != _PIXEL_REPRESENTATION
            else outer.is_signed,
        )
        items = self.make_items(scope, read_items(scope, start, end), end)
        if outer.reading.is_cut and items and scope.accept_cut(end):
            # Delimiters may be missing at its end.
            last = content_of(items[-1])
            last.replaced = last.replaced or set()
            scope.note_change(last.number)
        items.scope = scope
        items.number = THE_LIST
        return items

    # --- changes ---------------------------------------------------------------------------

    def note_change(self, tag: int) -> None:
        """Note that an element is to be replaced, removed or added."""
        if self.replaced is None:
            self.replaced = set()
            self.scope.note_change(self.number)
        if type(self.index.get(tag)) is int:
            self.replaced.add(tag)
        self.values.pop(tag, None)

    def store(self, tag: int, element: StoredElement) -> None:
        """Put an element in, in place of the one with the same tag."""
        index = self.index
        is_new = tag not in index
        if not is_new or self.replaced is None:
            self.note_change(tag)
        if is_new and self.is_sorted:
            self.is_sorted = False
        index[tag] = element

    def keep_text(self) -> None:
        """Decode text before another character set is declared (PS3.3 C.12.1.1.2).

        Untouched text stays the bytes that were read; under another Specific Character Set these
        would mean something else. So text that is more than ASCII is decoded by the old
        declaration, here and in items that inherit it, and encoded by the new one when the data
        set is written.
        """
        rest = [self]
        done = set[int]()  # a data set that is in itself has no end
        while rest:
            holder = rest.pop()
            if id(holder) in done:
                continue
            done.add(id(holder))
            for tag, item in holder.index.items():
                if not isinstance(item, int):
                    items = item.value if item.vr == "SQ" else None
                elif (vr := holder.vr_at(tag, item)) == "SQ":
                    items = holder.value(tag)
                else:
                    items = None
                    if VR[vr].uses_character_set and not bytes(holder.raw_at(tag, item)).isascii():
                        element = self.new_element(tag, vr, holder.value(tag))
                        holder.note_change(tag)
                        holder.index[tag] = element
                if isinstance(items, ItemList):
                    inner = map(content_of, items)
                    rest += [part for part in inner if CHARACTER_SET not in part.index]
            holder.known_character_set = None

    def sorted_index(self) -> dict[int, int | StoredElement]:
        """The index in tag order."""
        if not self.is_sorted:
            index = self.index
            tags = sorted(index)
            if tags != list(index):
                ordered = {tag: index[tag] for tag in tags}
                index.clear()
                index.update(ordered)
            self.is_sorted = True
        return self.index

    def changed_values(self) -> dict[int, NotedList]:
        """The lists of elements that were read which are not what was read any more.

        Only lists can be changed in place: several values, and the items of sequences.
        """
        if self.is_as_read():
            return {}
        return {
            tag: value
            for tag, value in self.values.items()
            if isinstance(value, NotedList) and value.is_changed
        }

    def is_as_read(self) -> bool:
        """Whether this data set is one that was read and nothing in it was changed."""
        return self.number not in self.scope.changed


def absent(tag: int) -> ElementNotFoundError:
    """Make the error for an element that is not there."""
    keyword = keyword_of(tag)
    label = f"{keyword} " if keyword else ""
    return ElementNotFoundError(
        f"no {label}({tag >> 16:04X},{tag & 0xFFFF:04X}) in the data set", tag=tag, keyword=keyword
    )
