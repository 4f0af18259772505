"""Data sets: data elements by tag, read lazily from bytes or made of Python values.

A data set is not made for several threads at a time: what passes between actors is handed
over, not shared. Files are read and written by `part10`, bytes made by `encoder`.

Standard: PS3.5 7.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    ValuesView,
)
from typing import TYPE_CHECKING, Any, Final, Self

from dicom_actors.data.coercion import coerce
from dicom_actors.data.copying import are_equal, copied, copy_of, reduce
from dicom_actors.data.data_element import DataElement
from dicom_actors.data.data_set_forms import DataSetForms
from dicom_actors.data.dictionary import KEYWORD_TABLE, keyword_of, tag_of
from dicom_actors.data.element_index import CHARACTER_SET, ElementIndex, absent, dictionary_vr
from dicom_actors.data.encoder import encode_data_set
from dicom_actors.data.filling import fill
from dicom_actors.data.reading import read_data_set
from dicom_actors.data.redeclaration import keep_text
from dicom_actors.data.scope import DEFAULT_LIMITS, NOTHING, Limits, ReadWarning
from dicom_actors.data.tag import Key, Tag, to_tag
from dicom_actors.data.views import Items, Path, Values, walk
from dicom_actors.errors import ElementNotFoundError

if TYPE_CHECKING:
    from dicom_actors.data.checks import Departure
    from dicom_actors.data.frames import Frames
    from dicom_actors.data.transfer_syntax import TransferSyntax

__all__ = ["AbsentAttributeError", "DataSet", "Path"]

_new_tag: Final = int.__new__
_OWN_ATTRIBUTES: Final = frozenset(ElementIndex.__slots__)


class AbsentAttributeError(ElementNotFoundError, AttributeError):
    """An absent element that was asked for as an attribute."""


class DataSet(ElementIndex, DataSetForms, MutableMapping[Any, Any]):
    """Data elements in tag order, a mapping from keys to values.

    A key is a keyword, an int, a ``(group, element)`` pair or a `Tag`; a longer tuple leads
    into sequences: ``ds["BeamSequence", 0, "BeamName"]``. A value is None for an empty element,
    the value itself if there is one, a list of several, a list of `DataSet` for a sequence.
    Keywords are attributes too.

    Iteration gives tags. Two data sets are equal if they have the same tags and values.
    """

    __slots__ = ()

    def __new__(cls, elements: Any = ()) -> Self:  # noqa: ARG004 - for __init__
        """Make an empty data set."""
        made: Any = ElementIndex(NOTHING, 0, 0, 0, {})
        made._replaced = set()
        made.__class__ = cls
        return made  # type: ignore[no-any-return]  # its class was changed

    def __init__(self, elements: Iterable[DataElement] | Mapping[Any, Any] = ()) -> None:
        """Make a data set of elements, or of a mapping from keys to values.

        Raises:
            EncodeError: a value is none of its VR.
            ElementNotFoundError: a key is no keyword.
        """
        if isinstance(elements, Mapping):
            fill(self, elements)
        else:
            for element in elements:
                self.put_element(element)

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

        Returns:
            The data set; `warnings` has what was forgiven so far.

        Raises:
            DecodeError: the bytes are no data set, or go beyond a limit.
            UnsupportedTransferSyntaxError: no data set is encoded in that way.
        """
        made: Any = read_data_set(
            data,
            transfer_syntax,
            limits=limits,
            character_set=character_set,
            keep_truncated=keep_truncated,
        )
        made.__class__ = cls
        return made  # type: ignore[no-any-return]  # its class was changed

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
        return b"".join(encode_data_set(self, transfer_syntax))

    @property
    def transfer_syntax(self) -> TransferSyntax | None:
        """The transfer syntax that it was read in; None if it was not read."""
        return self._scope.reading.transfer_syntax

    @property
    def warnings(self) -> list[ReadWarning]:
        """What the reader forgave in the whole input so far, in the order it was met."""
        return [] if self._scope is NOTHING else self._scope.reading.warnings

    @property
    def file_meta(self) -> DataSet:
        """The file meta information (group 0002), empty if there is none (PS3.10 7.1)."""
        if self._file_meta is None:
            object.__setattr__(self, "_file_meta", DataSet())
        return self._file_meta  # type: ignore[return-value]  # made above

    @file_meta.setter
    def file_meta(self, file_meta: DataSet) -> None:
        object.__setattr__(self, "_file_meta", file_meta)

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
        values = self._values
        if tag in values:
            return values[tag]
        item = self._index.get(tag)
        if item is None:
            raise absent(tag)
        if not isinstance(item, int):
            return item.value
        value = values[tag] = self._decode(tag, item)
        return value

    if not TYPE_CHECKING:  # type checkers know the keywords

        def __getattr__(self, name: str) -> Any:
            tag = tag_of(name)
            if tag is None:
                raise AttributeError(
                    f"{type(self).__name__!r} has no attribute {name!r}, nor is it"
                    " a keyword of the data dictionary"
                )
            try:
                return self._value(tag)
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
            found: DataElement = holder.fetch(last)
            return found
        tag = to_tag(key)
        item = self._index.get(tag)
        if item is None:
            raise absent(tag)
        return item if not isinstance(item, int) else self._element(tag, item)

    def _follow(self, path: tuple[Any, ...]) -> tuple[Any, Any]:
        """Follow a path through sequences; the last part is left to the caller."""
        holder: Any = self
        for at in range(0, len(path) - 1, 2):
            items = holder[path[at]]
            number = path[at + 1]
            if not isinstance(items, list) or not isinstance(number, int):
                raise TypeError(f"a path is key, number of an item, key, ...; got {path!r}")
            if at + 2 == len(path):
                return items, number
            try:
                holder = items[number]
            except IndexError:
                tag = to_tag(path[at])
                raise ElementNotFoundError(
                    f"no item {number} in {keyword_of(tag) or Tag(tag)}, which has {len(items)}",
                    tag=tag,
                    keyword=keyword_of(tag),
                ) from None
        return holder, path[-1]

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the value of an element, `default` if it is absent or the key unknown."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        try:
            if isinstance(key, tuple) and _is_path(key):
                self[key]
                return True
            return to_tag(key) in self._index  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            return False

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Tag]:
        return (_new_tag(Tag, tag) for tag in list(self._sorted_index()))

    def values(self) -> ValuesView[Any]:
        """Give all values in tag order; the whole data set is decoded at once."""
        return Values(self)

    def items(self) -> ItemsView[Any, Any]:
        """Give all tags and values in tag order; the whole data set is decoded at once."""
        return Items(self)

    def elements(self) -> Iterator[DataElement]:
        """Give all elements in tag order, without those inside sequences."""
        element = self._element
        for tag, item in list(self._sorted_index().items()):
            yield element(tag, item) if type(item) is int else item  # type: ignore[misc]

    def walk(self) -> Iterator[tuple[Path, DataElement]]:
        """Give all elements with their paths, those of items right after their sequence."""
        return walk(self)

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
            if name in _OWN_ATTRIBUTES or name == "file_meta":
                object.__setattr__(self, name, value)
                return
            tag = tag_of(name)
            if tag is None:
                raise AttributeError(f"{name!r} is no keyword of the data dictionary")
            self.put(tag, None, value)

    def put(self, key: Key, vr: str | None, values: Any) -> None:
        """Put an element in, in place of the one with the same tag.

        Args:
            key: a key of any form.
            vr: its VR; None: that of the element in place, else the dictionary's.
            values: a value, a list of values, or None for an empty element.

        Raises:
            EncodeError: a value is none of the VR; the data set is as it was.
        """
        tag = to_tag(key)
        if vr is not None:
            self._put(DataElement(tag, vr, values))
            return
        item = self._index.get(tag)
        if item is None:
            vr = dictionary_vr(self, tag)
        else:
            vr = self.vr_at(tag, item) if type(item) is int else item.vr  # type: ignore[union-attr]
        self._put(DataElement._of(tag, vr, coerce(vr, values, tag)))

    def put_element(self, element: DataElement) -> None:
        """Put an element in, in place of the one with the same tag.

        An element of another data set is taken over with its value; its bytes are not kept.
        """
        if element._holder is not None:
            tag = element._tag
            if element._holder is self and self._index.get(tag) == element._offset:
                return
            element = DataElement._of(tag, element.vr, copied(element.value))
        self._put(element)

    def _put(self, element: DataElement) -> None:
        if element._tag == CHARACTER_SET:
            keep_text(self)
        self._store(element)

    def put_default(self, key: Key, values: Any, vr: str | None = None) -> Any:
        """Put an element in unless there is one; return the value that is there then."""
        if key not in self:
            self.put(key, vr, values)
        return self[key]

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, tuple) and _is_path(key):
            holder, last = self._follow(key)
            del holder[last]
            return
        tag = to_tag(key)
        if tag not in self._index:
            raise absent(tag)
        if tag == CHARACTER_SET:
            keep_text(self)
        self._before_change(tag)
        del self._index[tag]

    if not TYPE_CHECKING:  # type checkers know the keywords

        def __delattr__(self, name: str) -> None:
            tag = tag_of(name)
            if tag is None or tag not in self._index:
                raise AbsentAttributeError(
                    f"no {name} in the data set", tag=tag, keyword=name if tag is not None else ""
                )
            del self[tag]

    def clear(self) -> None:
        """Remove all elements."""
        for tag in list(self._index):
            del self[tag]

    def merge(self, other: Mapping[Any, Any], *, overwrite: bool = True) -> None:
        """Put the elements of another data set in.

        Args:
            other: a data set, or a mapping from keys to values.
            overwrite: whether elements that are here already are replaced.
        """
        if isinstance(other, DataSet):
            for element in list(other.elements()):
                if overwrite or element._tag not in self._index:
                    self.put_element(element)
        else:
            for key, value in other.items():
                if overwrite or key not in self:
                    self[key] = value

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Put elements in, as ``dict.update`` does; keywords are names."""
        self.merge(other if isinstance(other, Mapping) else dict(other))
        for keyword, value in values.items():
            self[keyword] = value

    # --- whole data sets -------------------------------------------------------------------

    def copy(self) -> DataSet:
        """Return a data set of its own: no list and no item is shared, only bytes are."""
        return copy_of(self, {})

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> DataSet:
        return copy_of(self, memo)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduce(self)

    def frames(self) -> Frames:
        """Return the frames of the pixel data, each taken out when it is asked for.

        ``ds.frames()[7]`` is a view of the bytes of the eighth frame, or, where pixel data is
        compressed, its codestream. Nothing else of the pixel data is read.

        Raises:
            ElementNotFoundError: there is no pixel data, or it is not said how large it is.
            DecodeError: the pixel data is shorter than its frames, or nothing tells where they are.
        """
        from dicom_actors.data.frames import Frames  # noqa: PLC0415 - seldom needed

        return Frames(self)

    def check(self) -> list[Departure]:
        """List where the data set departs from the rules of its VRs and of the dictionary.

        Writing does not ask for this: what was read can be written, right or wrong.

        Returns:
            The departures, each with the path; empty if there are none.
        """
        from dicom_actors.data.checks import check  # noqa: PLC0415 - seldom needed

        return check(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataSet):
            return NotImplemented
        return are_equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # a data set changes

    def __repr__(self) -> str:
        return f"<DataSet of {len(self)} elements>"

    def __str__(self) -> str:
        """Return one line for each element: tag, VR, name, value; items are indented."""
        from dicom_actors.data.text import data_set_text  # noqa: PLC0415 - needed when printed

        return data_set_text(self)

    def __dir__(self) -> list[str]:
        keywords = [keyword_of(tag) for tag in self._index]
        return [*object.__dir__(self), *filter(None, keywords)]


def _is_path(key: tuple[Any, ...]) -> bool:
    """Whether a tuple leads into sequences; two plain ints are a group and an element."""
    return len(key) != 2 or type(key[0]) is not int
