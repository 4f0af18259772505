"""Data sets to bytes.

What was read and not changed is copied as it is, in runs as long as possible; changed and new
elements are encoded. In another transfer syntax every header is made anew and numbers change
their byte order, but values are not decoded for that. Group lengths are put right where
something in their group is not as it was read.

The output is a list of pieces, so that pixel data is never copied here.

Standard: PS3.5 7 and Annex A.
"""

from __future__ import annotations

from functools import cached_property
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.element_index import (
    CHARACTER_SET,
    NOTHING,
    ElementIndex,
    Held,
    content_of,
)
from dicom_actors.data.dataset.lists import ItemList
from dicom_actors.data.dataset.whole import copy_of
from dicom_actors.data.dictionary import VR, TransferSyntax, keyword_of
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.scan.elements import layout_of_items, scan_all
from dicom_actors.data.scan.layout import IMPLICIT, UNDEFINED, Layout, layout_of
from dicom_actors.data.scan.scope import Reading, Scope
from dicom_actors.data.values.codec import encode_value, is_swapped, swap
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.unread import UnreadBytes, UnreadFragments
from dicom_actors.errors import DecodeError, EncodeError, UnsupportedTransferSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dicom_actors.data.dataset.element_index import StoredElement
    from dicom_actors.data.values.character_sets import CharacterSet

    Piece = bytes | memoryview | UnreadBytes

__all__ = [
    "encode_data_set",
    "encode_elements",
    "encode_to_send",
    "encoded_pieces",
    "has_odd_lengths",
    "joined",
    "may_be_sent",
    "pieces_to_send",
]

_CHARACTER_VRS: Final = frozenset(vr.value for vr in VR if vr.uses_character_set)
_LONG: Final = frozenset(vr.value for vr in VR if vr.has_long_length)
_CODES: Final = {vr.value: vr.value.encode("ascii") for vr in VR}
_JOINED_BELOW: Final = 256
_PARITIES: Final = bytes(number & 1 for number in range(256))
_MAX_DEPTH: Final = 100
_FRAGMENTS: Final = (EncapsulatedPixelData, UnreadFragments)
_OF_MANY_PIECES: Final = (ItemList, *_FRAGMENTS)
_PIXEL_DATA: Final = 0x7FE00010
_FIRST_SENT: Final = 0x00080000


def encode_to_send(data_set: Held, transfer_syntax: str | TransferSyntax) -> list[Piece]:
    """Encode a data set for a peer: of even length, and without elements of groups below 0008.

    Those are of commands and of files; within a data set they mean nothing (PS3.5 7.1).

    Returns:
        The bytes in pieces, in order.

    Raises:
        EncodeError: a value cannot be encoded.
        UnsupportedTransferSyntaxError: as `DataSet.to_bytes`.
    """
    return list(pieces_to_send(data_set, transfer_syntax))


def pieces_to_send(data_set: Held, transfer_syntax: str | TransferSyntax) -> Iterable[Piece]:
    """Encode a data set as `encode_to_send` does, deflated piece by piece as they are taken."""
    index = content_of(data_set).sorted_index()
    if next(iter(index), _FIRST_SENT) < _FIRST_SENT:
        data_set = copy_of(data_set, {})
        content = content_of(data_set)
        for tag in [tag for tag in content.index if tag < _FIRST_SENT]:
            content.note_change(tag)
            del content.index[tag]
    pieces = encoded_pieces(data_set, transfer_syntax)
    is_odd = isinstance(pieces, list) and sum(map(len, pieces)) & 1
    if is_odd or has_odd_lengths(data_set):
        return encoded_pieces(data_set, transfer_syntax, pads=True)
    return pieces


def may_be_sent(data: bytes | memoryview, transfer_syntax: str) -> bool:
    """Whether bytes that were read are what `encode_to_send` would make of them.

    Args:
        data: a data set in a transfer syntax that is not deflated, or what it begins with.
        transfer_syntax: the UID of that.

    Returns:
        False if an element of the data set, which is not in a sequence, has an odd length or is of
        a group below 0008. True, too, for what cannot be read.
    """
    layout = layout_of(TransferSyntax.as_read(transfer_syntax))
    index: dict[int, int] = {}
    try:
        reading = Reading(keeps_truncated=True)
        end = scan_all(Scope(data, layout, reading), 0, index, 0, len(data))
    except DecodeError:
        return True
    end = 0 if reading.is_cut else end  # the last one is not all there
    return not _is_any_odd(index, 0, end) and min(index, default=_FIRST_SENT) >= _FIRST_SENT


def has_odd_lengths(data_set: Held) -> bool:
    """Whether an element that was read, and is not in a sequence, has an odd length."""
    return _has_odd_lengths(content_of(data_set))


def _has_odd_lengths(content: ElementIndex) -> bool:
    places: dict[int, Any] = content.index
    if content.replaced is not None:
        places = {tag: at for tag, at in places.items() if isinstance(at, int)}
    if not places:
        return False
    last = max(places.values())
    tag = next(tag for tag, at in reversed(places.items()) if at == last)
    # What follows the last one is no part of it.
    following = content.extent_at(tag, last).following
    return _is_any_odd(places, content.start, following)


def _is_any_odd(places: Mapping[int, int], start: int, end: int) -> bool:
    """Whether one of some elements has an odd number of bytes; `end` is that of the last one."""
    lowest = pack(f"<{len(places)}Q", *places.values())[::8]  # the fastest way to look at all
    return len(set(lowest.translate(_PARITIES)) | {start & 1, end & 1}) > 1


def encode_data_set(
    data_set: Held,
    transfer_syntax: str | TransferSyntax | None = None,
    *,
    pads: bool = False,
) -> list[Piece]:
    """Encode a data set; see `DataSet.to_bytes`.

    Args:
        data_set: the data set.
        transfer_syntax: how; None: as it was read.
        pads: whether values of an odd length that were read get their padding, and so every
            element is made anew.

    Returns:
        The bytes in pieces, in order.
    """
    return list(encoded_pieces(data_set, transfer_syntax, pads=pads))


def encoded_pieces(
    data_set: Held,
    transfer_syntax: str | TransferSyntax | None = None,
    *,
    pads: bool = False,
) -> Iterable[Piece]:
    """Encode a data set as `encode_data_set` does, deflated piece by piece as they are taken.

    What is wrong is told at once, but for what cannot be read (see `UnreadBytes.read`).
    """
    content = content_of(data_set)
    own = content.scope.reading.transfer_syntax
    target = own if transfer_syntax is None else TransferSyntax.of(transfer_syntax)
    if target is None:
        target = EXPLICIT_VR_LITTLE_ENDIAN
    if not target.is_data_set_encoding:
        raise UnsupportedTransferSyntaxError(f"{target} does not encode data sets")
    _check_pixel_data(content, target)
    if target.is_deflated:
        return _deflated(content, target, pads=pads)
    # An input that was not what it was announced as stays what it is, unless asked otherwise.
    as_read = transfer_syntax is None and own is not None
    layout = content.scope.layout if as_read else layout_of(target)
    return _encoded(content, layout, pads=pads)


def encode_elements(data_set: Held, layout: Layout) -> list[Piece]:
    """Encode the elements of a data set in a layout.

    Raises:
        EncodeError: a value cannot be encoded.
    """
    return _encoded(content_of(data_set), layout)


def _encoded(content: ElementIndex, layout: Layout, *, pads: bool = False) -> list[Piece]:
    pieces: list[Piece] = []
    _Encoder(layout, pieces, pads=pads).data_set(content, content.character_set, 0)
    return pieces


def _check_pixel_data(content: ElementIndex, target: TransferSyntax) -> None:
    if _PIXEL_DATA not in content.index:
        return
    own = content.scope.reading.transfer_syntax
    if own is not None and own.is_encapsulated == target.is_encapsulated:
        return
    item = content.index[_PIXEL_DATA]
    value = None if isinstance(item, int) else item.unread
    if value is None:
        value = content.value(_PIXEL_DATA)
    is_encapsulated = isinstance(value, _FRAGMENTS)
    if is_encapsulated and not target.is_encapsulated:
        raise UnsupportedTransferSyntaxError(
            f"the pixel data is compressed; {target} has it uncompressed"
        )
    if not is_encapsulated and target.is_encapsulated and target.is_known:
        raise UnsupportedTransferSyntaxError(
            f"the pixel data is not compressed; {target} has it compressed"
        )


def joined(pieces: Iterable[Piece]) -> bytes:
    """Put pieces together; raises as `UnreadBytes.read` does."""
    parts = list(pieces)
    try:
        return b"".join(parts)  # type: ignore[arg-type]  # nearly always
    except TypeError:
        return b"".join(part.read() if isinstance(part, UnreadBytes) else part for part in parts)


def _deflated(
    content: ElementIndex, target: TransferSyntax, *, pads: bool = False
) -> Iterable[Piece]:
    scope = content.scope
    stream, buffer, start = scope.reading.deflated or (b"", None, 0)
    # Items and the file meta information are of the same input, but are not what was deflated.
    is_whole = scope.buffer is buffer and scope.parent is None and content.start == start
    if is_whole and content.is_as_read() and not (pads and _has_odd_lengths(content)):
        return [stream, b"\0"] if pads and len(stream) & 1 else [stream]
    return _deflated_pieces(_encoded(content, layout_of(target), pads=pads))


def _deflated_pieces(pieces: list[Piece]) -> Iterator[bytes]:
    from zlib import (  # noqa: PLC0415 - few data sets are deflated
        DEFLATED,
        MAX_WBITS,
        Z_DEFAULT_COMPRESSION,
        compressobj,
    )

    deflate = compressobj(Z_DEFAULT_COMPRESSION, DEFLATED, -MAX_WBITS)
    length = 0
    for piece in pieces:
        for part in piece.chunks() if isinstance(piece, UnreadBytes) else (piece,):
            made = deflate.compress(part)
            length += len(made)
            if made:
                yield made
    made = deflate.flush()
    yield made
    if length + len(made) & 1:
        yield b"\0"  # PS3.5 A.5


class _Encoder:
    """Encodes into a list of pieces; each method returns how many bytes it added."""

    __slots__ = ("closes", "layout", "pads", "pieces")

    def __init__(self, layout: Layout, pieces: list[Piece], *, pads: bool = False) -> None:
        self.layout = layout
        # Whether nothing is copied as it was read, so that all lengths come out even.
        self.pads = pads
        self.pieces = pieces
        # Whether what is read may lack delimiters, which have to be put in.
        self.closes = False

    def data_set(self, holder: ElementIndex, characters: CharacterSet, depth: int) -> int:
        """Encode all elements of a data set or item."""
        if depth > _MAX_DEPTH:
            raise EncodeError(f"sequences nested deeper than {_MAX_DEPTH}")
        scope = holder.scope
        if scope is NOTHING:
            return self.new_elements(holder, characters, depth)
        is_same = (
            scope.layout is self.layout and holder.character_set == characters and not self.pads
        )
        if is_same and not self.closes and holder.is_as_read():
            if holder.start == holder.end:
                return 0
            self.pieces.append(memoryview(scope.buffer)[holder.start : holder.end])
            return holder.end - holder.start
        return _Elements(self, holder, characters, depth, is_same=is_same).encode()

    def new_elements(self, holder: ElementIndex, characters: CharacterSet, depth: int) -> int:
        """Encode the elements of a data set that was not read."""
        pieces, layout = self.pieces, self.layout
        order, is_explicit, pack_implicit = layout.order, layout.is_explicit, layout.pack_implicit
        at, length = len(pieces), 0
        index: dict[int, Any] = holder.sorted_index()
        parts_of = holder.parts_of
        for tag, item in index.items():
            if not tag & 0xFFFF:  # a group length
                del pieces[at:]
                return _Elements(self, holder, characters, depth, is_same=False).encode()
            vr, value = parts_of(item)
            if vr == "SQ" or isinstance(value, _OF_MANY_PIECES):
                length += self.element(tag, vr, value, characters, depth)
                continue
            raw = encode_value(vr, value, order, characters, tag)
            if type(raw) is bytes and len(raw) < _JOINED_BELOW:
                if is_explicit:
                    piece = self.header(tag, vr, len(raw)) + raw
                else:
                    piece = pack_implicit(tag >> 16, tag & 0xFFFF, len(raw)) + raw
                pieces.append(piece)
                length += len(piece)
            else:
                length += self.value(tag, vr, raw)
        return length

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Make the header of an element."""
        layout = self.layout
        if not layout.is_explicit:
            return layout.pack_implicit(tag >> 16, tag & 0xFFFF, length)
        if vr in _LONG:
            return layout.pack_long(tag >> 16, tag & 0xFFFF, _CODES[vr], length)
        if length > 0xFFFF:
            # Too long for the VR: it goes out as UN, with a long length (PS3.5 6.2.2).
            return layout.pack_long(tag >> 16, tag & 0xFFFF, b"UN", length)
        return layout.pack_short(tag >> 16, tag & 0xFFFF, _CODES[vr], length)

    def value(self, tag: int, vr: str, raw: Piece) -> int:
        """Add an element of an encoded value."""
        length = len(raw)
        if length >= UNDEFINED:
            raise EncodeError(f"a value has at most 0xFFFFFFFE bytes, got {length}", tag=tag)
        if length & 1:  # what was read so
            padding = VR[vr].padding
            header = self.header(tag, vr, length + 1)
            self.pieces += (header, raw, padding)
            return len(header) + length + 1
        header = self.header(tag, vr, length)
        if length < _JOINED_BELOW and not isinstance(raw, UnreadBytes):
            self.pieces.append(header + raw)
        else:
            self.pieces += (header, raw)
        return len(header) + length

    def element(
        self,
        tag: int,
        vr: str,
        value: Any,
        characters: CharacterSet,
        depth: int,
        *,
        is_undefined: bool = False,
    ) -> int:
        """Add an element of Python values."""
        if isinstance(value, ItemList) or vr == "SQ":
            return self.sequence(tag, value, characters, depth, is_undefined=is_undefined)
        if isinstance(value, _FRAGMENTS):
            order = self.layout.order
            head = self.header(tag, "OB", UNDEFINED)  # whatever it came as (PS3.5 A.4)
            pieces: list[Piece] = [head]
            if isinstance(value, UnreadFragments) and order == "<":
                pieces.append(value.content)
            else:
                there = value.read() if isinstance(value, UnreadFragments) else value
                pieces += there.encoded(order)
            pieces.append(pack(order + "HHI", 0xFFFE, 0xE0DD, 0))
            self.pieces += pieces
            return sum(map(len, pieces))
        return self.value(tag, vr, encode_value(vr, value, self.layout.order, characters, tag))

    def sequence(
        self,
        tag: int,
        items: list[Any],
        characters: CharacterSet,
        depth: int,
        *,
        is_undefined: bool = False,
    ) -> int:
        """Add a sequence; where lengths were undefined, they are so again."""
        at = len(self.pieces)
        self.pieces.append(b"")
        length = 0
        for number, item in enumerate(items):
            try:
                length += self.item(item, characters, depth + 1)
            except EncodeError as error:
                raise _inside(error, tag, number) from error
        if is_undefined or length >= UNDEFINED:
            self.pieces.append(pack(self.layout.order + "HHI", 0xFFFE, 0xE0DD, 0))
            self.pieces[at] = header = self.header(tag, "SQ", UNDEFINED)
            return len(header) + length + 8
        self.pieces[at] = header = self.header(tag, "SQ", length)
        return len(header) + length

    def item(self, item: Held, characters: CharacterSet, depth: int) -> int:
        """Add an item of a sequence."""
        content = content_of(item)
        if CHARACTER_SET in content.index:
            characters = content.character_set
        at = len(self.pieces)
        self.pieces.append(b"")
        length = self.data_set(content, characters, depth)
        order = self.layout.order
        if _had_undefined_length(content) or length >= UNDEFINED:
            self.pieces[at] = pack(order + "HHI", 0xFFFE, 0xE000, UNDEFINED)
            self.pieces.append(pack(order + "HHI", 0xFFFE, 0xE00D, 0))
            return length + 16
        self.pieces[at] = pack(order + "HHI", 0xFFFE, 0xE000, length)
        return length + 8


class _Elements:
    """The elements of one data set that has to be put together."""

    def __init__(
        self,
        encoder: _Encoder,
        holder: ElementIndex,
        characters: CharacterSet,
        depth: int,
        *,
        is_same: bool,
    ) -> None:
        self.encoder = encoder
        self.pieces = encoder.pieces
        self.holder = holder
        self.characters = characters
        self.depth = depth
        self.is_same = is_same
        self.run = (0, 0)  # bytes to be copied that are not among the pieces yet
        # The group length of the group: its tag, its place among the pieces, the bytes before it.
        self.group_length: tuple[int, int, int] | None = None
        self.group_is_changed = False

    def encode(self) -> int:
        holder, is_same = self.holder, self.is_same
        layout, buffer = holder.scope.layout, holder.scope.buffer
        read, short, is_explicit = layout.read_vr, layout.short, layout.is_explicit
        irregular = holder.scope.reading.irregular
        changed = holder.changed_values()
        removed = {tag >> 16 for tag in holder.replaced or ()}
        length, group = 0, -1
        for tag, item in holder.sorted_index().items():
            if tag >> 16 != group:
                self.end_group(length)
                group = tag >> 16
                self.group_is_changed = not is_same or group in removed
            if not tag & 0xFFFF:
                self.flush()
                self.group_length = (tag, len(self.pieces), length)
            if not isinstance(item, int) or tag in changed:
                self.flush()
                self.group_is_changed = True
                length += self.changed(tag, item)
            elif not is_same:
                length += self.convert(tag, item)
            else:
                following = 0
                if is_explicit:
                    code, size = read(buffer, item)
                    if code in short:
                        following = item + 8 + size
                if not following:
                    extent = holder.extent_at(tag, item)
                    following = extent.following
                    if item in irregular and self.is_moved(tag, item, following, length):
                        # What its header means depends on what is around it.
                        self.flush()
                        self.group_is_changed = True
                        length += self.convert(tag, item)
                        continue
                    if extent.is_undefined and following != extent.end + 8:
                        self.flush()
                        self.group_is_changed = True
                        length += self.close(tag, item)
                        continue
                if item != self.run[1]:
                    self.flush()
                    self.run = (item, following)
                else:
                    self.run = (self.run[0], following)
                length += following - item
        self.end_group(length)
        self.flush()
        return length

    def is_moved(self, tag: int, offset: int, following: int, before: int) -> bool:
        """Whether an unchanged element stands between others than it was read between."""
        holder = self.holder
        return (
            self.is_reordered
            or (not before and offset != holder.start)
            or (following == holder.end and tag != next(reversed(holder.index)))
        )

    @cached_property
    def is_reordered(self) -> bool:
        """Whether elements that were read come out in another order."""
        offsets = [item for item in self.holder.index.values() if isinstance(item, int)]
        return offsets != sorted(offsets)

    def changed(self, tag: int, item: int | StoredElement) -> int:
        """Encode an element that was put in, or whose list of values was changed."""
        holder, encoder = self.holder, self.encoder
        if not isinstance(item, int):
            value = item.value if item.unread is None else item.unread
            return encoder.element(tag, item.vr, value, self.characters, self.depth)
        extent = holder.extent_at(tag, item)
        if extent.is_undefined and extent.following != extent.end + 8:
            return self.close(tag, item)
        vr = extent.vr if extent.vr not in {"", "UN"} else holder.vr_at(tag, item)
        return encoder.element(
            tag,
            vr,
            holder.values[tag],
            self.characters,
            self.depth,
            is_undefined=extent.is_undefined,
        )

    def close(self, tag: int, offset: int) -> int:
        """Encode an element of undefined length whose delimiter the reader did without.

        That was at the end of what it is in; now more may follow. All that is nested in it may
        end there without a delimiter, too.
        """
        holder, encoder = self.holder, self.encoder
        try:
            value = holder.value(tag)
        except DecodeError:
            return self.bytes_alone(tag, offset)
        if not isinstance(value, _OF_MANY_PIECES):
            return self.bytes_alone(tag, offset)
        vr = holder.vr_at(tag, offset)
        was_closing, encoder.closes = encoder.closes, True
        try:
            return encoder.element(tag, vr, value, self.characters, self.depth, is_undefined=True)
        finally:
            encoder.closes = was_closing

    def bytes_alone(self, tag: int, offset: int) -> int:
        """Encode a sequence in which no items could be read: its bytes, with their length."""
        return self.encoder.value(tag, "UN", self.holder.raw_at(tag, offset))

    def convert(self, tag: int, offset: int) -> int:
        """Encode an unchanged element in another layout or character set."""
        holder, encoder = self.holder, self.encoder
        scope = holder.scope
        vr, start, end, following, is_undefined = holder.extent_at(tag, offset)
        if is_undefined and following != end + 8:
            return self.close(tag, offset)
        if vr == "UN" or not vr:
            known = vr or holder.dictionary_vr(tag)
            inner = layout_of_items(scope, vr, start, scope.layout)
            if vr == "UN" and is_undefined and inner is IMPLICIT and not encoder.pads:
                # Implicit VR whatever the data set is, delimiters too (PS3.5 6.2.2).
                pieces: list[Piece] = [
                    encoder.header(tag, "UN", UNDEFINED),
                    memoryview(scope.buffer)[start:end],
                    pack("<HHI", 0xFFFE, 0xE0DD, 0),
                ]
                encoder.pieces += pieces
                return sum(map(len, pieces))
            vr = "SQ" if is_undefined and tag != _PIXEL_DATA else known
        if vr == "SQ":
            try:
                items = holder.value(tag)
            except DecodeError:
                return self.bytes_alone(tag, offset)
            if not isinstance(items, ItemList):
                return self.bytes_alone(tag, offset)
            return encoder.sequence(
                tag, items, self.characters, self.depth, is_undefined=is_undefined
            )
        if is_undefined:
            value = holder.value(tag)
            return encoder.element(tag, vr, value, self.characters, self.depth)
        raw: bytes | memoryview = memoryview(scope.buffer)[start:end]
        if vr in _CHARACTER_VRS and holder.character_set != self.characters:
            if not bytes(raw).isascii():
                value = holder.value(tag)
                return encoder.element(tag, vr, value, self.characters, self.depth)
        elif scope.layout.order != encoder.layout.order and is_swapped(vr):
            raw = swap(vr, raw)
        return encoder.value(tag, vr, raw)

    def flush(self) -> None:
        start, end = self.run
        if start != end:
            self.pieces.append(memoryview(self.holder.scope.buffer)[start:end])
            self.run = (0, 0)

    def end_group(self, length: int) -> None:
        """Put the group length right, if there is one and its group changed."""
        if self.group_length is not None and self.group_is_changed:
            self.flush()
            tag, at, before = self.group_length
            piece = bytes(self.pieces[at])
            # A header of 8 bytes and a UL, which do not count themselves; more may be in the run.
            if len(piece) >= 12 and piece[:8] == self.encoder.header(tag, "UL", 4):
                count = pack(self.encoder.layout.order + "I", length - before - 12)
                self.pieces[at] = piece[:8] + count + piece[12:]
        self.group_length = None


def _had_undefined_length(item: ElementIndex) -> bool:
    scope = item.scope
    if scope is NOTHING or scope.depth == 0 or item.start < 8:
        return False
    return bool(scope.layout.read_length(scope.buffer, item.start - 4)[0] == UNDEFINED)


def _inside(error: EncodeError, tag: int, number: int) -> EncodeError:
    label = keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    message = str(error).partition(" [")[0]
    return EncodeError(message, tag=error.tag, path=(f"{label}[{number}]", *error.path))
