"""Data sets, data elements and sequences: what users see, and each made of the others.

A data set has elements, a sequence is an element whose values are data sets, and what a user puts
in may be any of them, or a mapping to be made one: so the three are in one module. What a data set
does, it hands over: to its `ElementIndex` what it is asked for, to `whole`, `encoder` and `reading`
what concerns all of it.

An element that was read keeps to its bytes and decodes its value when that is asked for. Elements
do not change; a data set is changed by putting another one in. A data set is not made for several
threads at a time: what passes between actors is handed over, not shared.

Standard: PS3.5 7.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    ValuesView,
)
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from dicom_actors.data.dataset.as_read import ElementsAsRead, elements_as_read, elements_of
from dicom_actors.data.dataset.attribute_hints import NoAttributeError
from dicom_actors.data.dataset.element_index import (
    CHARACTER_SET,
    DECODED_LISTS,
    LIST_SLOTS,
    NOTHING,
    Context,
    ElementIndex,
    Held,
    absent,
    content_of,
    hold,
    set_content,
)
from dicom_actors.data.dataset.encoder import encode_data_set, joined
from dicom_actors.data.dataset.lists import ItemList
from dicom_actors.data.dataset.reading import Found, as_bytes, find_elements, make_input
from dicom_actors.data.dataset.whole import (
    Items,
    Path,
    Values,
    are_equal,
    are_written_alike,
    copied,
    copy_of,
    walk,
)
from dicom_actors.data.dictionary import (
    KEYWORD_TABLE,
    VR,
    VR_TABLE,
    Key,
    Tag,
    TransferSyntax,
    keyword_of,
    private_entry,
    tag_of,
    to_tag,
)
from dicom_actors.data.dictionary.tag import UnknownKeywordError
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.scan.layout import EXPLICIT, ITEM
from dicom_actors.data.scan.native import runs_usual
from dicom_actors.data.scan.scope import DEFAULT_LIMITS, Limits, ReadWarning
from dicom_actors.data.values.codec import coerce
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.unread import UnreadBytes
from dicom_actors.data.values.value_types import NoElement
from dicom_actors.errors import (
    DecodeError,
    ElementNotFoundError,
    EncodeError,
    UnsupportedTransferSyntaxError,
    shown,
)

if TYPE_CHECKING:
    import os
    from types import ModuleType

    from dicom_actors.data.dataset.checks import Departure

    # Declares every keyword with the type of its value, for editors and type checkers.
    from dicom_actors.data.dataset.keywords import Keywords
    from dicom_actors.data.dataset.private import PrivateBlock
    from dicom_actors.data.forms.frames import Frames
    from dicom_actors.data.scan.elements import Row
    from dicom_actors.data.scan.native import Run
    from dicom_actors.data.values.character_sets import CharacterSet
    from dicom_actors.data.values.unread import UnreadFragments

    class _Held(Held, Keywords):
        pass
else:
    _Held = Held

__all__ = [
    "AbsentAttributeError",
    "DataElement",
    "DataSet",
    "Path",
    "Sequence",
    "UnreadElement",
    "data_set_of",
    "element_of",
    "open_data_set",
]

_VRS: Final = {vr.value: vr.value for vr in VR}
_UNREAD: Any = object()
"""In place of a value that was not decoded yet."""

_new_tag: Final = int.__new__


def _above(name: str) -> ModuleType:
    """Load a module of the room above, which is built on data sets; nothing here needs it."""
    return import_module(f"dicom_actors.data.forms.{name}")


# --- sequences -------------------------------------------------------------------------------


def _as_item(value: Any) -> DataSet:
    """Take a data set, or a mapping from keys to values, as an item.

    Raises:
        EncodeError: it is neither, or a value in the mapping is none of its VR.
    """
    if isinstance(value, DataSet):
        return value
    if isinstance(value, Mapping):
        return DataSet(value)
    raise EncodeError(f"expected a data set as item, got {shown(value)}")


class Sequence(NoElement, ItemList):
    """The items of a sequence; a list of `DataSet` in every respect.

    It remembers what was read. A mapping that is put in becomes a data set; who puts something
    else in gets the error at once, and not when the data set is written (PS3.5 7.5).
    """

    __slots__ = ()

    def append(self, item: Any) -> None:
        """Add an item at the end."""
        super().append(_as_item(item))

    def insert(self, index: Any, item: Any) -> None:
        """Add an item before that of an index."""
        super().insert(index, _as_item(item))

    def extend(self, items: Iterable[Any]) -> None:
        """Add items at the end."""
        super().extend([_as_item(item) for item in items])

    def __iadd__(self, items: Iterable[Any]) -> Self:  # type: ignore[misc]  # takes more than +
        self.extend(items)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, [_as_item(item) for item in value])
        else:
            super().__setitem__(index, _as_item(value))

    def __reduce__(self) -> tuple[Any, ...]:
        # Where the items were read means nothing to copies of them.
        return Sequence, (list(self),)


# --- elements --------------------------------------------------------------------------------


class DataElement:
    """A data element.

    ``DataElement("PatientID", "LO", ["ABC123"])``; a value alone stands for a list of one.
    """

    __slots__ = ("_holder", "_offset", "_tag", "_value", "_vr")

    _holder: ElementIndex | None  # what it was read in; None for one that was not read
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
                understood for each VR stands in `dicom_actors.data.values.codec`.

        Raises:
            EncodeError: the VR does not exist, or a value is none of it.
            ElementNotFoundError: the tag is a text that is no keyword.
        """
        self._tag = to_tag(tag)
        found = _VRS.get(vr)
        if found is None:
            raise EncodeError(f"expected a VR, got {shown(vr)}", tag=self._tag)
        self._vr = "OB" if isinstance(values, EncapsulatedPixelData) else found
        self._value = _coerced(self._vr, values, self._tag)
        self._holder = None
        self._offset = -1

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
    def unread(self) -> UnreadBytes | UnreadFragments | None:
        """What the value is read of when it is asked for; None: it is there."""
        return None

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
        """The name in the dictionary, empty if there is none.

        That of a private element is found by its creator, where it was read in a block of one.
        """
        if found := self.tag.name:
            return found
        creator = self.private_creator
        known = private_entry(creator, self._tag) if creator else None
        return "" if known is None else known.name

    @property
    def private_creator(self) -> str:
        """The private creator of the block that it was read in; empty if there is none."""
        return "" if self._holder is None else self._holder.private_creator(self._tag)

    @property
    def is_empty(self) -> bool:
        """Whether there is no value."""
        return not self.values

    def __copy__(self) -> Self:
        return self  # which does not change

    def __deepcopy__(self, memo: dict[int, Any]) -> DataElement:
        if self.unread is not None:
            return self
        return element_of(self._tag, self.vr, copied(self.value))

    def __reduce__(self) -> tuple[Any, ...]:
        # Where it was read means nothing to others.
        return element_of, (self._tag, self.vr, _without_views(self.value))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise NoAttributeError("DataElement", name)

    def __eq__(self, other: object) -> bool:
        """Whether tag, VR and values are the same."""
        if not isinstance(other, DataElement):
            return NotImplemented
        if self.tag != other.tag or self.vr != other.vr:
            return False
        mine, theirs = self.value, other.value
        return bool(mine == theirs) or are_written_alike(
            self._tag, (self.vr, mine), (other.vr, theirs)
        )

    __hash__ = None  # type: ignore[assignment]  # values may be lists

    def __repr__(self) -> str:
        return f"DataElement({self.tag!r}, {self.vr!r}, {self.values!r})"

    def __str__(self) -> str:
        """Return one line: tag, VR, name, value."""
        line: str = _above("text").element_line(self)
        return line


class _ReadElement(DataElement):
    """An element that was read and stands in a data set's bytes; see `_read_element`."""

    __slots__ = ()

    _holder: ElementIndex

    @property
    def vr(self) -> str:
        """The VR; see `DataElement.vr`. A sequence that cannot be read is a UN."""
        vr = self._vr
        if vr == "SQ":
            try:
                return vr if isinstance(self.value, Sequence) else "UN"
            except DecodeError:
                return vr  # beyond a limit, which its value tells
        return vr

    @property
    def value(self) -> Any:
        """The value; see `DataElement.value`."""
        value = self._value
        if value is _UNREAD:
            holder, tag, offset = self._holder, self._tag, self._offset
            values = holder.values
            # As long as the element is in place, its value is the one that users share.
            if holder.index.get(tag) != offset:
                value = holder.decode(tag, offset)
            elif tag in values:
                value = values[tag]
            else:
                value = holder.decode(tag, offset)
                if type(value) in DECODED_LISTS:
                    value = holder.handed_out(value)
                values[tag] = value
            self._value = value
        return value


def _read_element(holder: ElementIndex, tag: int, vr: str, offset: int) -> _ReadElement:
    """Make an element that stands in the bytes of a data set."""
    made = object.__new__(_ReadElement)
    made._holder = holder
    made._tag = tag
    made._vr = vr
    made._offset = offset
    made._value = holder.values.get(tag, _UNREAD)
    return made


class _CutSequence(DataElement):
    """The sequence within which an input ends that is cut short: the items that are there."""

    __slots__ = ("_end",)

    _holder: ElementIndex

    def __init__(self, holder: ElementIndex, tag: int, start: int, end: int) -> None:
        self._holder = holder
        self._tag = tag
        self._vr = "SQ"
        self._offset = start
        self._end = end
        self._value = _UNREAD

    @property
    def value(self) -> Any:
        """The items; the last one has those of its elements that are whole."""
        if self._value is _UNREAD:
            holder, tag = self._holder, self._tag
            try:
                self._value = holder.decode_items(tag, self._offset, self._end, holder.scope.layout)
            except DecodeError as error:
                holder.warn(f"no items in a sequence that is cut short: {error}", tag)
                self._value = Sequence()
        return self._value

    @property
    def raw(self) -> memoryview:
        """The bytes that are there."""
        return memoryview(self._holder.scope.buffer)[self._offset : self._end].toreadonly()

    @property
    def length(self) -> int:
        """How many bytes are there."""
        return self._end - self._offset


class UnreadElement(DataElement):
    """An element whose value is read when it is asked for, and written without being read whole.

    Args:
        tag: its tag.
        vr: its VR.
        unread: what the value is read of.
        file: the Part 10 file that it stands in; None: it is made.
    """

    __slots__ = ("file",)

    def __init__(
        self, tag: int, vr: str, unread: UnreadBytes | UnreadFragments, file: Any = None
    ) -> None:
        self._tag = tag
        self._vr = vr
        self._value = unread
        self._holder = None
        self._offset = -1
        self.file = file

    @property
    def unread(self) -> UnreadBytes | UnreadFragments:
        """See `DataElement.unread`."""
        unread: UnreadBytes | UnreadFragments = self._value
        return unread

    @property
    def value(self) -> Any:
        """The value; raises as `UnreadBytes.read` does."""
        return self.unread.read()

    @property
    def is_empty(self) -> bool:
        """Whether there is no value."""
        return isinstance(self.unread, UnreadBytes) and not len(self.unread)


_tag_of: Callable[[DataElement], int] = attrgetter("_tag")
_place_of: Callable[[DataElement], tuple[ElementIndex | None, int]] = attrgetter(
    "_holder", "_offset"
)


def element_of(tag: int, vr: str, value: Any) -> DataElement:
    """Make an element of a value as decoding gives it, which need not be one of the VR."""
    element = object.__new__(DataElement)
    element._tag = tag
    element._vr = vr
    element._value = value
    element._holder = None
    element._offset = -1
    return element


def _coerced(vr: str, values: Any, tag: int) -> Any:
    """Turn what a user put into what decoding would give; see `codec.coerce`."""
    if vr != "SQ":
        return coerce(vr, values, tag)
    if values is None:
        return Sequence()
    if isinstance(values, Sequence):
        return values
    if not isinstance(values, list | tuple):
        values = [values]
    try:
        return Sequence([_as_item(value) for value in values])
    except EncodeError as error:
        if error.tag is not None:
            raise
        raise EncodeError(str(error), tag=tag) from error


# --- data sets -------------------------------------------------------------------------------

_SLOTS: Final = attrgetter("_holder", "_tag", "_vr", "_offset", "_value")
_READ_SHAPE: Final = (_ReadElement, *_SLOTS(DataElement))
"""What is made of an element that was read, and its slots."""


class _Content(ElementIndex):
    """The elements of a `DataSet`: an `ElementIndex` that knows what to make for users."""

    __slots__ = ()

    list_shape = (Sequence, *LIST_SLOTS)
    new_element = staticmethod(element_of)
    parts_of = attrgetter("_vr", "_value")
    read_element = staticmethod(_read_element)

    def make_runs(self, index: dict[int, Any], prefix: tuple[int, ...]) -> list[Run]:
        """See `ElementIndex.make_runs`."""
        scope, values = self.scope, self.values
        buffer, layout = scope.buffer, scope.layout
        if runs_usual is not None and layout is EXPLICIT:
            return runs_usual(buffer, index, values, self, prefix, Path, _READ_SHAPE, _UNREAD)
        read, name = layout.read_vr, scope.decoders.names.get
        is_explicit = layout.is_explicit
        runs: list[Run] = []
        pairs: list[tuple[Path, Any]] = []
        for tag, item in index.items():
            vr = name(read(buffer, item)[0]) if is_explicit and type(item) is int else None
            if vr is None:
                runs.append((pairs, tag, item, None))
                pairs = []
                continue
            # What `_read_element` does, without a call: elements are many.
            made = object.__new__(_ReadElement)
            made._holder = self
            made._tag = tag
            made._vr = vr
            made._offset = item
            made._value = values.get(tag, _UNREAD) if values else _UNREAD
            if vr == "SQ":
                runs.append((pairs, tag, item, made))
                pairs = []
            else:
                pairs.append((Path(prefix + (tag,)), made))  # noqa: RUF005 - costs less
        runs.append((pairs, None, None, None))
        return runs

    def make_items(self, scope: Context, rows: list[Row], end: int) -> Sequence:
        """Make the items of a sequence of what a scan found up to `end`."""
        items = list.__new__(Sequence)
        kind: type[Any] = scope.reading.data_set_class
        new, append = object.__new__, list.append  # what is read need not be checked
        inherited = scope.character_set
        for number, (start, item_end, index) in enumerate(rows):
            item = new(kind)
            # What `__init__` does, without a call: items are many.
            last = new(_Content)
            last.scope = scope
            last.number = number
            last.start = start
            last.end = item_end
            last.index = index  # type: ignore[assignment]  # has nothing that was put in
            last.values = {}
            last.is_sorted = True
            last.known_character_set = None if CHARACTER_SET in index else inherited
            last.replaced = None
            last.meta = None
            set_content(item, last)
            append(items, item)
        if rows and rows[-1][1] > end:
            last.keep_what_there_is(end)
        return items

    def keep_what_there_is(self, end: int) -> None:
        """Take the part that a truncated input has of its last value.

        That is a part of bytes such as pixels, and of a sequence the items; anything else is lost.
        """
        scope, index = self.scope, self.index
        self.end = end
        offsets = {tag: at for tag, at in index.items() if isinstance(at, int)}
        tag = max(offsets, key=offsets.__getitem__)
        vr, start, _, _, _ = self.extent_at(tag, offsets[tag])
        self.note_change(tag)
        vr = vr or self.known_vr(tag)
        if start >= end or not (vr in {"SQ", "UN"} or vr[0] == "O"):
            del index[tag]
        elif vr == "SQ":
            index[tag] = _CutSequence(self, tag, start, end)
        else:
            value = scope.decoders.by_vr[vr](scope.buffer, start, end, self, tag)
            index[tag] = element_of(tag, vr, value)


_Content.shape = (
    _Content,
    *attrgetter(
        *("scope", "number", "start", "end", "index", "values"),
        *("is_sorted", "known_character_set", "replaced", "meta"),
    )(_Content),
)

_DataSetT = TypeVar("_DataSetT", bound="DataSet")


class AbsentAttributeError(ElementNotFoundError, AttributeError):
    """An absent element that was asked for as an attribute."""


class AbsentItemError(ElementNotFoundError, IndexError):
    """An item, or one of several values, of a number that there is none of."""


class DataSet(_Held, MutableMapping[Any, Any]):
    """Data elements in tag order, a mapping from keys to values.

    A key is a keyword, an int, a ``(group, element)`` pair or a `Tag`; a longer tuple leads
    into sequences: ``ds["BeamSequence", 0, "BeamName"]``. One that ends with a number leads to
    an item, or to one of the values: ``ds["ImageType", 0]``. A value is None for an empty element,
    the value itself if there is one, a list of several, a list of `DataSet` for a sequence.
    Keywords are attributes too.

    Iteration gives tags. Two data sets are equal if they have the same tags and values.
    """

    __slots__ = ("__weakref__",)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make an empty data set; what it is made of is for `__init__`, in subclasses too."""
        content = _Content(NOTHING, 0, 0, 0, {})
        content.replaced = set()
        made = object.__new__(cls)
        set_content(made, content)
        return made

    def __init__(self, elements: Iterable[DataElement] | Mapping[Any, Any] = ()) -> None:
        """Make a data set of elements, or of a mapping from keys to values.

        Args:
            elements: which; those of another data set are copied, as by `merge`.

        Raises:
            EncodeError: a value is none of its VR.
            ElementNotFoundError: a key is no keyword.
            TypeError: one is no element.
        """
        if isinstance(elements, DataSet):
            self.merge(elements)
        elif isinstance(elements, Mapping):
            self._fill(elements)
        else:
            for element in elements:
                self.put_element(element)

    def _fill(self, values: Mapping[Any, Any]) -> None:
        """Put values into a data set that is empty, without a detour for each element.

        A provider of C-FIND makes one for each match. `put` does the same, and minds what was
        there before.
        """
        if "PixelRepresentation" in values:  # which decides the VR of others (PS3.5 A.1)
            self["PixelRepresentation"] = values["PixelRepresentation"]
        content = self._content
        index = content.index
        for key, value in values.items():
            tag = KEYWORD_TABLE.get(key, -1)
            vr = VR_TABLE[tag] if tag >= 0 else ""
            if len(vr) != 2 or vr == "UN":
                self[key] = value
                continue
            if type(value) is not str:  # most are
                if isinstance(value, DataElement):
                    self.put_element(value)
                    continue
                if isinstance(value, EncapsulatedPixelData):
                    vr = "OB"
            element = object.__new__(DataElement)
            element._tag = tag
            element._vr = vr
            element._value = coerce(vr, value, tag) if vr != "SQ" else _coerced(vr, value, tag)
            element._holder = None
            element._offset = -1
            index[tag] = element
        content.is_sorted = False

    # --- making ----------------------------------------------------------------------------

    @classmethod
    def from_keywords(cls, **values: Any) -> Self:
        """Make a data set of keywords and values; a list is several values.

        Raises:
            EncodeError: a value is none of its VR.
            ElementNotFoundError: a name is no keyword.
        """
        return cls(values)

    @classmethod
    def from_elements(cls, elements: Iterable[DataElement]) -> Self:
        """Make a data set of elements."""
        return cls(elements)

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        transfer_syntax: str | TransferSyntax,
        *,
        limits: Limits = DEFAULT_LIMITS,
        character_set: str | Iterable[str] | None = None,
        keep_truncated: bool = False,
        keep_damaged: bool = False,
    ) -> Self:
        """Index the bytes of a data set; values are decoded when they are asked for.

        Args:
            data: the data set without file meta. It is not copied: it must not change while the
                data set, or a value of it, is in use.
            transfer_syntax: how it is encoded; a UID, keyword or `TransferSyntax`.
            limits: what it may cost.
            character_set: values for Specific Character Set that override what the data set
                declares.
            keep_truncated: whether to take what there is of an input that is cut short, instead
                of raising an error.
            keep_damaged: whether to take what can be read of one in which something cannot, as
                `read_file` does.

        Returns:
            The data set; `warnings` has what was forgiven so far.

        Raises:
            DecodeError: the bytes are no data set, or go beyond a limit.
            UnsupportedTransferSyntaxError: no data set is encoded in that way.
        """
        syntax = TransferSyntax.of(transfer_syntax)
        reading = make_input(syntax, limits, character_set, keep_truncated, cls)
        found = find_elements(as_bytes(data), 0, syntax, reading, keep_damaged=keep_damaged)
        return open_data_set(cls, found)

    def to_bytes(self, transfer_syntax: str | TransferSyntax | None = None) -> bytes:
        """Encode the data set, without file meta.

        Elements that were read and not changed come out as the bytes that they were, unless the
        transfer syntax asks for something else.

        Args:
            transfer_syntax: a UID, keyword or `TransferSyntax`; None: the one that it was read
                in, Explicit VR Little Endian if it was not read.

        Raises:
            EncodeError: a value cannot be encoded; it has the path.
            UnsupportedTransferSyntaxError: the pixel data would have to be compressed or
                decompressed, or no data set is encoded in that way.
        """
        return joined(encode_data_set(self, transfer_syntax))

    def elements_as_read(self) -> ElementsAsRead | None:
        """Give the elements as the bytes that they were read from; nothing is decoded or copied.

        Returns:
            The elements and how they are encoded; None if the data set was not read, or was
            changed since.
        """
        return elements_as_read(self._content)

    @staticmethod
    def elements_of(
        data: bytes | bytearray | memoryview, transfer_syntax: TransferSyntax | str
    ) -> ElementsAsRead | None:
        """Give the elements of an encoded data set as bytes, several times as fast as by reading.

        Args:
            data: the data set; it is not copied, and must not be changed.
            transfer_syntax: how it is encoded: a UID, keyword or `TransferSyntax`.

        Returns:
            What `elements_as_read` gives after `from_bytes`; None if there may be anything unusual
            about it, or there is no compiled part: to read it is what tells then.

        Raises:
            ValueError: `transfer_syntax` is none.
        """
        return elements_of(memoryview(data), TransferSyntax.of(transfer_syntax))

    @property
    def transfer_syntax(self) -> TransferSyntax | None:
        """The transfer syntax that it was read in; None if it was not read."""
        return self._content.scope.reading.transfer_syntax

    @property
    def warnings(self) -> list[ReadWarning]:
        """What the reader forgave in the whole input so far, in the order it was met."""
        scope = self._content.scope
        return [] if scope is NOTHING else scope.reading.warnings

    @property
    def file_meta(self) -> DataSet:
        """The file meta information (group 0002), empty if there is none (PS3.10 7.1)."""
        content = self._content
        if content.file_meta is None:
            content.file_meta = DataSet()
        made: DataSet = content.file_meta
        return made

    @file_meta.setter
    def file_meta(self, file_meta: DataSet) -> None:
        self._content.file_meta = file_meta

    @property
    def character_set(self) -> CharacterSet:
        """The character set of the text in this data set (PS3.3 C.12.1.1.2)."""
        return self._content.character_set

    # --- reading ---------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            try:
                tag = KEYWORD_TABLE[key]
            except KeyError:
                tag = to_tag(key)
        elif isinstance(key, tuple) and _is_path(key):
            holder, last = self._follow(key)
            return holder[last]
        else:
            tag = to_tag(key)
        content = self._content
        values = content.values
        if tag in values:
            return values[tag]
        item = content.index.get(tag)
        if item is None:
            raise absent(tag)
        if not isinstance(item, int):
            return item.value
        value = content.decode(tag, item)
        if type(value) in DECODED_LISTS:
            value = content.handed_out(value)
        values[tag] = value
        return value

    if not TYPE_CHECKING:  # type checkers know the keywords

        def __getattr__(self, name: str) -> Any:
            tag = tag_of(name)
            if tag is None:
                raise NoAttributeError(type(self).__name__, name)
            try:
                return self._content.value(tag)
            except KeyError:
                raise AbsentAttributeError(
                    f"no {name} ({tag >> 16:04X},{tag & 0xFFFF:04X}) in the data set",
                    tag=tag,
                    keyword=name,
                ) from None

    def value_for(self, key: Key, index: int = 0) -> Any:
        """Return one value of an element, None where there is none of that number.

        Args:
            key: a key of any form.
            index: which value, from 0; for a sequence, which item.

        Raises:
            ElementNotFoundError: the element is absent.
        """
        value = self[key]
        if isinstance(value, list):
            return value[index] if -len(value) <= index < len(value) else None
        return value if index in {0, -1} else None

    def fetch(self, key: Key) -> DataElement:
        """Return an element.

        Raises:
            ElementNotFoundError: it is absent; names keyword and tag.
        """
        if isinstance(key, tuple) and _is_path(key):
            holder, last = self._follow(key)
            if len(key) % 2 == 0 or not isinstance(holder, DataSet):
                raise TypeError(f"a path to an element ends with its key, got {shown(key)}")
            return holder.fetch(last)
        tag = to_tag(key)
        item: Any = self._content.index.get(tag)
        if item is None:
            raise absent(tag)
        element: DataElement = (
            item if type(item) is not int else self._content.element_at(tag, item)
        )
        return element

    def _follow(self, path: tuple[Any, ...]) -> tuple[Any, Any]:
        """Follow a path through sequences; the last part is left to the caller."""
        holder: Any = self
        for at in range(0, len(path) - 1, 2):
            items = holder[path[at]]
            number = path[at + 1]
            is_last = at + 2 == len(path)
            if items is None or isinstance(items, bytes | memoryview | EncapsulatedPixelData):
                items = []  # as of a sequence that cannot be read
            is_one = is_last and not isinstance(items, list)
            if is_one:
                items = [items]  # one value, where there might be several
            if not isinstance(items, list) or not isinstance(number, int):
                raise TypeError(f"a path is key, number of an item, key, ...; got {shown(path)}")
            if not -len(items) <= number < len(items):
                tag = to_tag(path[at])
                raise AbsentItemError(
                    f"no item {number} in {keyword_of(tag) or Tag(tag)}, which has {len(items)}",
                    tag=tag,
                    keyword=keyword_of(tag),
                )
            if is_last:
                return (holder, path[at]) if is_one else (items, number)
            holder = items[number]
            if not isinstance(holder, DataSet):
                raise TypeError(
                    f"a path goes through sequences, which {Tag(to_tag(path[at]))} is not;"
                    f" got {shown(path)}"
                )
        return holder, path[-1]

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the value of an element, `default` if it has none, or is absent.

        Raises:
            UnknownKeywordError: the key is a text that is no keyword; it names those close to it.
        """
        if isinstance(key, tuple) and _is_path(key):
            try:
                value = self[key]
            except UnknownKeywordError:
                raise
            except KeyError:
                return default
        else:
            tag = KEYWORD_TABLE.get(key) if isinstance(key, str) else None
            if tag is None:
                tag = to_tag(key)
            if tag not in self._content.index:  # an error that says what is absent is dear
                return default
            value = self[tag]
        return default if value is None else value

    def __contains__(self, key: object) -> bool:
        try:
            if isinstance(key, tuple) and _is_path(key):
                self[key]
                return True
            return to_tag(key) in self._content.index  # type: ignore[arg-type]
        except (KeyError, IndexError, TypeError, ValueError):
            return False

    def __len__(self) -> int:
        return len(self._content.index)

    def __iter__(self) -> Iterator[Tag]:
        return (_new_tag(Tag, tag) for tag in list(self._content.sorted_index()))

    def values(self) -> ValuesView[Any]:
        """Give all values in tag order; the whole data set is decoded at once."""
        return Values(self)

    def items(self) -> ItemsView[Any, Any]:
        """Give all tags and values in tag order; the whole data set is decoded at once."""
        return Items(self)

    def elements(self) -> Iterator[DataElement]:
        """Give all elements in tag order, without those inside sequences."""
        return self._content.elements()

    def keywords(self) -> list[str]:
        """List the keywords of the elements in tag order, without those that have none."""
        return [keyword for tag in self if (keyword := keyword_of(tag))]

    def walk(self) -> Iterator[tuple[Path, DataElement]]:
        """Give all elements with their paths, those of items right after their sequence."""
        return walk(self._content)

    # --- changing --------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, tuple) and _is_path(key):
            holder, last = self._follow(key)
            holder[last] = value
            return
        if isinstance(value, DataElement):
            self.put_element(value)
        else:
            self.put(key, None, value)

    if not TYPE_CHECKING:  # type checkers know the keywords

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "file_meta":
                object.__setattr__(self, name, value)
                return
            tag = tag_of(name)
            if tag is None:
                # What a subclass has of its own; all keywords begin with a capital letter.
                if type(self) is not DataSet and (
                    not name[:1].isupper() or hasattr(type(self), name)
                ):
                    object.__setattr__(self, name, value)
                    return
                raise NoAttributeError(type(self).__name__, name)
            self.put(tag, None, value)

    def put(self, key: Key, vr: str | None, values: Any) -> None:
        """Put an element in, in place of the one with the same tag.

        Args:
            key: a key of any form.
            vr: its VR; None: that of the element in place, else the dictionary's.
            values: a value, a list of values, or None for an empty element.

        Raises:
            EncodeError: a value is none of the VR, or no element has such a tag (FFFE,E000 and
                above, PS3.5 7.5); the data set is as it was.
        """
        tag = to_tag(key)
        if vr is not None:
            self._put(DataElement(tag, vr, values))
            return
        content = self._content
        item = content.index.get(tag)
        if isinstance(values, EncapsulatedPixelData):
            vr = "OB"  # in any transfer syntax that has it (PS3.5 A.4)
        elif item is None:
            vr = content.dictionary_vr(tag)
        else:
            vr = content.vr_at(tag, item) if isinstance(item, int) else item.vr
        self._put(element_of(tag, vr, _coerced(vr, values, tag)))

    def put_element(self, element: DataElement) -> None:
        """Put an element in, in place of the one with the same tag.

        An element of another data set is taken over with its value; its bytes are not kept.
        Neither a list of values nor an item is shared with it.

        Raises:
            EncodeError: no element has such a tag; see `put`.
            TypeError: it is no element.
        """
        if not isinstance(element, DataElement):
            raise TypeError(f"expected a DataElement, got {shown(element)}")
        holder, offset = _place_of(element)
        if holder is not None:
            tag = _tag_of(element)
            if holder is self._content and holder.index.get(tag) == offset:
                return
            value = copied(element.value)
            vr = "OB" if isinstance(value, EncapsulatedPixelData) else element.vr
            element = element_of(tag, vr, value)
        elif element.unread is None and isinstance(element.value, list):
            element = element_of(_tag_of(element), element.vr, copied(element.value))
        self._put(element)

    def _put(self, element: DataElement) -> None:
        content, tag = self._content, _tag_of(element)
        if tag >= ITEM:  # it would end what it is in
            raise EncodeError("expected the tag of an element, got one behind all of them", tag=tag)
        if tag == CHARACTER_SET:
            content.keep_text()
        content.store(tag, element)

    def put_default(self, key: Key, values: Any, vr: str | None = None) -> Any:
        """Put an element in unless there is one; return the value that is there then."""
        if key not in self:
            self.put(key, vr, values)
        return self[key]

    def pop(self, key: Any, default: Any = _UNREAD) -> Any:
        """Remove an element and return its value; of one that is absent, `default` if given.

        Raises:
            ElementNotFoundError: it is absent, and there is no default.
            UnknownKeywordError: as `get` does.
        """
        try:
            value = self[key]
        except UnknownKeywordError:
            raise
        except KeyError:
            if default is _UNREAD:
                raise
            return default
        del self[key]
        return value

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, tuple) and _is_path(key):
            holder, last = self._follow(key)
            del holder[last]
            return
        tag = to_tag(key)
        content = self._content
        if tag not in content.index:
            raise absent(tag)
        if tag == CHARACTER_SET:
            content.keep_text()
        content.note_change(tag)
        del content.index[tag]

    if not TYPE_CHECKING:  # type checkers know the keywords

        def __delattr__(self, name: str) -> None:
            tag = tag_of(name)
            if tag is None or tag not in self._content.index:
                raise AbsentAttributeError(
                    f"no {name} in the data set", tag=tag, keyword=name if tag is not None else ""
                )
            del self[tag]

    def clear(self) -> None:
        """Remove all elements."""
        for tag in list(self._content.index):
            del self[tag]

    def merge(self, other: Mapping[Any, Any], *, overwrite: bool = True) -> None:
        """Put the elements of another data set in.

        Args:
            other: a data set, or a mapping from keys to values.
            overwrite: whether elements that are here already are replaced.

        Raises:
            EncodeError: a value of a mapping is none of its VR.
            ElementNotFoundError: a key of a mapping is no keyword.
            TypeError: it is neither.
        """
        if isinstance(other, DataSet):
            for element in list(other.elements()):
                if overwrite or _tag_of(element) not in self._content.index:
                    self.put_element(element)
        elif not isinstance(other, Mapping):
            raise TypeError(f"expected a data set or a mapping, got {shown(other)}")
        else:
            for key, value in other.items():
                if overwrite or key not in self:
                    self[key] = copied(value)

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Put elements in, as ``dict.update`` does; keywords are names."""
        self.merge(other if isinstance(other, Mapping) else dict(other))
        self.merge(values)

    # --- whole data sets -------------------------------------------------------------------

    def copy(self) -> Self:
        """Return a data set of its own: no list and no item is shared, only bytes are."""
        return self.__deepcopy__({})

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = copy_of(self, memo)
        if type(self) is not DataSet and hasattr(self, "__dict__"):
            vars(made).update(vars(self))  # what a subclass has of its own
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        # The bytes of a data set, and what is needed to read them as they were.
        syntax, content = self.transfer_syntax, self._content
        uid = syntax.uid if syntax else None
        state = getattr(self, "__dict__", None) or None
        try:
            data = self.to_bytes()
        except (EncodeError, UnsupportedTransferSyntaxError):
            # Text without a character set, or compressed pixel data that was put in: the values.
            for _ in self.walk():  # which says so where there is no end of them
                pass
            parts = [
                (int(element.tag), element.vr, _without_views(element.value))
                for element in self.elements()
            ]
            return _rebuilt, (type(self), parts, content.file_meta), state
        terms = content.character_set.terms
        return _restored, (type(self), data, uid, terms, content.file_meta), state

    def frames(self) -> Frames:
        """Return the frames of the pixel data, each taken out when it is asked for.

        ``ds.frames()[7]`` is a view of the bytes of the eighth frame, or, where pixel data is
        compressed, its codestream. Nothing else of the pixel data is read.

        Raises:
            ElementNotFoundError: there is no pixel data, or it is not said how large it is.
            DecodeError: the pixel data is shorter than its frames, or nothing tells where they are.
        """
        frames: Frames = _above("frames").Frames(self)
        return frames

    def check(self) -> list[Departure]:
        """List where the data set departs from the rules of its VRs and of the dictionary.

        Writing does not ask for this: what was read can be written, right or wrong.

        Returns:
            The departures, each with the path; empty if there are none.
        """
        from dicom_actors.data.dataset.checks import check  # noqa: PLC0415 - seldom needed

        return check(self._content)

    def save(self, path: str | os.PathLike[str], *, check: bool = False) -> None:
        """Write the data set as a DICOM file; see `write_file`.

        Args:
            path: where to; the file is whole or stays as it is.
            check: whether to refuse what `check` finds.

        Raises:
            EncodeError: a value cannot be encoded, a UID is missing, or something was found.
            OSError: the file cannot be written.
        """
        import_module("dicom_actors.data.files.part10").write_file(path, self, check=check)

    def with_transfer_syntax(self, transfer_syntax: str | TransferSyntax) -> Self:
        """Return the data set as it is in another transfer syntax; its file meta says so.

        It is encoded at once, but for elements that are `DataElement.unread`. What is written or
        sent later without saying how is in that transfer syntax, and `transfer_syntax` is that one.

        Args:
            transfer_syntax: a UID, keyword or `TransferSyntax`.

        Raises:
            EncodeError: a value cannot be encoded; it has the path.
            UnsupportedTransferSyntaxError: the pixel data would have to be compressed or
                decompressed, or no data set is encoded in that way.
        """
        syntax = TransferSyntax.of(transfer_syntax)
        reading = self._content.scope.reading
        # A declaration that was overridden is as wrong as before.
        override = reading.character_set
        whole, unread = self, self._unread()
        if unread:
            whole = self.copy()
            for element in unread:
                del whole[element.tag]
        made = self.from_bytes(
            whole.to_bytes(syntax),
            syntax,
            limits=reading.limits,
            character_set=None if override is None else override.terms,
        )
        made.file_meta = self.file_meta.copy()
        made.file_meta.put("TransferSyntaxUID", "UI", syntax.uid)
        for element in unread:
            content_of(made).store(element.tag, element)
        return made

    def _unread(self) -> list[UnreadElement]:
        """The elements that are not read."""
        index = self._content.index
        return [item for item in index.values() if isinstance(item, UnreadElement)]

    def to_json(
        self,
        *,
        bulk_data_uri: Callable[[Path, DataElement], str | None] | None = None,
        keep_number_text: bool = False,
        indent: int | None = None,
    ) -> str:
        """Return the data set as text in the DICOM JSON Model (PS3.18 Annex F).

        Args:
            bulk_data_uri: called with the path and the element for each one whose VR may be
                given by a URI; what it returns is written as BulkDataURI, and for None the
                value itself.
            keep_number_text: whether a DS or IS whose text a JSON number would not bring back,
                such as ``1.50``, is written as a string.
            indent: by how many spaces a level is indented; None puts all in one line.

        Raises:
            EncodeError: sequences are nested too deep.
        """
        text: str = _above("json").to_json(
            self,
            bulk_data_uri=bulk_data_uri,
            keep_number_text=keep_number_text,
            indent=indent,
        )
        return text

    def to_json_dict(
        self,
        *,
        bulk_data_uri: Callable[[Path, DataElement], str | None] | None = None,
        keep_number_text: bool = False,
    ) -> dict[str, Any]:
        """Return the data set as the object of the DICOM JSON Model, for `json.dumps`.

        Args:
            bulk_data_uri: see `to_json`.
            keep_number_text: likewise.

        Returns:
            Attributes by tag, in tag order.

        Raises:
            EncodeError: sequences are nested too deep.
        """
        model: dict[str, Any] = _above("json").to_json_dict(
            self, bulk_data_uri=bulk_data_uri, keep_number_text=keep_number_text
        )
        return model

    @classmethod
    def from_json(
        cls,
        model: str | bytes | Mapping[str, Any],
        *,
        bulk_data: Callable[[str], bytes] | None = None,
    ) -> Self:
        """Read a data set in the DICOM JSON Model (PS3.18 Annex F).

        Args:
            model: the text, or the object that `json.loads` made of it.
            bulk_data: called with each BulkDataURI for the bytes of the value, in little endian;
                ``lambda uri: b""`` leaves such elements empty. None: they are an error.

        Raises:
            DecodeError: it is no data set; the error has the path to what is wrong.
        """
        read = "from_json" if isinstance(model, str | bytes) else "from_json_dict"
        made = cls()
        set_content(made, content_of(getattr(_above("json"), read)(model, bulk_data=bulk_data)))
        return made

    def private_block(self, group: int, creator: str, *, create: bool = False) -> PrivateBlock:
        """Return the block of elements that a private creator has in a group (PS3.5 7.8).

        Args:
            group: the group, an odd number.
            creator: the private creator.
            create: whether to reserve the first free block if the creator has none.

        Raises:
            ElementNotFoundError: the creator has no block there, and none is to be created.
            EncodeError: a block cannot be reserved.
            ValueError: the group is no private group.
        """
        from dicom_actors.data.dataset.private import private_block  # noqa: PLC0415 - seldom needed

        return private_block(self, group, creator, create=create)

    def private_creators(self, group: int) -> dict[int, str]:
        """Return the private creators of a group: their names by block, 0x10 to 0xFF."""
        from dicom_actors.data.dataset.private import private_creators  # noqa: PLC0415 - seldom needed

        return private_creators(self, group)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataSet):
            return NotImplemented
        return are_equal(self._content, content_of(other))

    __hash__ = None  # type: ignore[assignment]  # a data set changes

    def __repr__(self) -> str:
        return f"<DataSet of {len(self)} elements>"

    def __str__(self) -> str:
        """Return one line for each element: tag, VR, name, value; items are indented."""
        text: str = _above("text").data_set_text(self)
        return text

    def __dir__(self) -> list[str]:
        keywords = [keyword_of(tag) for tag in self._content.index]
        return [*object.__dir__(self), *filter(None, keywords)]


def _is_path(key: tuple[Any, ...]) -> bool:
    """Whether a tuple leads into sequences; two ints that can be are a group and an element."""
    if len(key) != 2:
        return len(key) > 0
    return type(key[0]) is not int or key[0] > 0xFFFF


# --- making data sets of what was found ------------------------------------------------------


def open_data_set(kind: type[_DataSetT], found: Found) -> _DataSetT:
    """Make a data set of what was found in its bytes."""
    content = _Content(found.context, 0, found.start, found.end, found.offsets)
    if found.is_cut:
        content.keep_what_there_is(len(found.context.buffer))
    if found.wanted is not None:
        # Values without a VR of their own may depend on what is left out.
        found.context.is_signed = content.is_signed
        content.values.clear()
        content.index = {tag: at for tag, at in content.index.items() if tag in found.wanted}
    if not found.is_whole:
        # What is left out counts as removed.
        content.replaced = content.replaced if found.wanted is None and found.is_cut else set()
        content.scope.note_change(content.number)
    return hold(kind, content)


def data_set_of(context: Context, start: int, end: int, index: dict[int, int]) -> DataSet:
    """Make a data set of the elements between two offsets."""
    return hold(DataSet, _Content(context, 0, start, end, index))


def _without_views(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _rebuilt(
    kind: type[_DataSetT], parts: list[tuple[int, str, Any]], meta: DataSet | None
) -> _DataSetT:
    """Make a data set of the values that pickling took from one that cannot be encoded."""
    made = kind.__new__(kind)
    content = content_of(made)
    for tag, vr, value in parts:
        content.store(tag, element_of(tag, vr, value))
    content.file_meta = meta
    return made


def _restored(
    kind: type[_DataSetT],
    data: bytes,
    syntax: str | None,
    terms: tuple[str, ...],
    meta: DataSet | None,
) -> _DataSetT:
    """Make a data set of what pickling took from it."""
    encoding = EXPLICIT_VR_LITTLE_ENDIAN if syntax is None else TransferSyntax.as_read(syntax)
    made = kind.from_bytes(data, encoding, keep_truncated=True)
    if made.character_set.terms != terms:
        # An item, whose set was declared above it, or a set that was overridden.
        made = kind.from_bytes(data, encoding, character_set=terms, keep_truncated=True)
    content_of(made).file_meta = meta
    return made
