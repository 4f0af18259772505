"""The elements of some bytes in some transfer syntax: inflated, if need be, and indexed.

What is found is handed over as it is; `data_set` makes data sets of it.

Standard: PS3.5 Annex A; A.5 (deflated).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dataset.element_index import Context, Held, Input
from dicom_actors.data.scan.damage import scan_damaged
from dicom_actors.data.scan.elements import scan_all
from dicom_actors.data.scan.headers import actual_layout, fits
from dicom_actors.data.scan.layout import EXPLICIT, ITEM, layout_of
from dicom_actors.data.scan.scope import Bytes, Limits, Scope
from dicom_actors.data.scan.selection import look_beyond
from dicom_actors.data.values.character_sets import CharacterSet
from dicom_actors.errors import DecodeError, UnsupportedTransferSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.dictionary import TransferSyntax
    from dicom_actors.data.scan.selection import Selection

__all__ = ["Found", "as_bytes", "find_elements", "inflate", "make_input"]

_RATIO_FROM: Final = 64 << 20
_STEP: Final = 1 << 20


class NoDeflateStreamError(DecodeError):
    """Bytes that are no deflate stream, or not a whole one.

    Attributes:
        inflated: what a stream that is cut short inflates to; empty for any other.
    """

    inflated = b""


class Found(NamedTuple):
    """The elements of a data set.

    Attributes:
        context: the bytes, and how the elements lie in them.
        start: where the first element starts.
        end: where the last one ends, or, if all are there, where the bytes end.
        offsets: where each element starts, by tag.
        is_cut: whether the input is cut short within the element that starts last.
        wanted: the tags to be kept; None: all are, or nothing else is in the index.
        is_whole: whether nothing that was read is missing.
        looked_to: how far all headers were looked at for wanted elements, the ones behind the
            last wanted one included: as `look_beyond` returns it; None: to the end.
    """

    context: Context
    start: int
    end: int
    offsets: dict[int, int]
    is_cut: bool = False
    wanted: frozenset[int] | None = None
    is_whole: bool = True
    looked_to: int | None = None


def make_input(
    transfer_syntax: TransferSyntax,
    limits: Limits,
    character_set: str | Iterable[str] | None,
    keep_truncated: bool,  # noqa: FBT001 - as above
    data_set_class: type[Held],
) -> Input:
    """Make what is shared by the data sets of one input; arguments as `DataSet.from_bytes`."""
    made = Input(limits, keeps_truncated=keep_truncated)
    made.data_set_class = data_set_class
    made.transfer_syntax = transfer_syntax
    if character_set is not None:
        terms = (character_set,) if isinstance(character_set, str) else tuple(character_set)
        made.character_set = CharacterSet.of(terms)
    return made


def as_bytes(data: bytes | bytearray | memoryview) -> bytes | memoryview:
    """Take the input as bytes, or as a view of them."""
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    if view.itemsize != 1 or view.ndim != 1:
        view = view.cast("B")
    return view.toreadonly()


def find_elements(
    buffer: Bytes,
    start: int,
    syntax: TransferSyntax,
    reading: Input,
    stop: int | None = None,
    selection: Selection | None = None,
    *,
    keep_damaged: bool = False,
) -> Found:
    """Index the data set that goes from an offset to the end of its bytes.

    Args:
        buffer: the bytes.
        start: where the data set starts.
        syntax: how it is encoded.
        reading: what is shared by the input.
        stop: the first tag that is not wanted any more; None: all are.
        selection: the elements that are wanted, with this `stop`; None: all below it are.
        keep_damaged: whether to take what can be read where something cannot.

    Raises:
        DecodeError: the bytes are no data set, or go beyond a limit.
        UnsupportedTransferSyntaxError: no data set is encoded in that way.
    """
    if not syntax.is_data_set_encoding:
        raise UnsupportedTransferSyntaxError(f"{syntax} does not encode data sets")
    end = len(buffer)
    if syntax.is_deflated:
        buffer, start, end = _inflated(buffer, start, syntax, reading)
    context = Context(buffer, layout_of(syntax), reading)
    actual = actual_layout(context, start, end)
    if actual is not context.layout:
        context.settle(actual)
    if keep_damaged:
        index: dict[int, int] = {}
        following = scan_damaged(context, index, start, end)
        wanted = None if selection is None else selection.tags
        return _below(Found(context, start, end, index, following > end, wanted), stop)
    if selection is None:
        return _scanned(context, start, end, stop)
    stop = min(selection.stop, ITEM)
    # No element takes less than eight bytes.
    if actual is EXPLICIT and reading.limits.max_elements > end >> 3:
        picked = selection.pick(context, start, end)
        if picked is not None:
            index, last, looked_to = picked
            return Found(context, start, last, index, is_whole=False, looked_to=looked_to)
    found = _scanned(context, start, end, stop)
    return found._replace(wanted=selection.tags, is_whole=False)


def _scanned(context: Context, start: int, end: int, stop: int | None) -> Found:
    """Index a whole data set, or, where `stop` is given, its elements below that tag."""
    index: dict[int, int] = {}
    reading = context.reading
    if stop is None:
        following = scan_all(context, 0, index, start, end)
        # Written as it is, an input that is cut short would be cut short again.
        return Found(context, start, end, index, following > end, None, not reading.is_cut)
    following = scan_all(context, 0, index, start, end, min(stop, ITEM))
    last = min(following, end)
    if reading.is_cut:
        return Found(context, start, last, index, following > end, None, is_whole=False)
    looked_to = look_beyond(context, last, end, stop)
    if looked_to is not None:
        return Found(context, start, last, index, looked_to=looked_to)
    # What is behind may belong to what is wanted.
    following = scan_all(context, 0, index, last, end)
    return _below(Found(context, start, end, index, following > end), stop)


def _below(found: Found, stop: int | None) -> Found:
    """Leave out what is not below a tag; what is left is not taken for all that was read."""
    offsets, is_cut = found.offsets, found.is_cut
    if stop is not None:
        is_cut = is_cut and max(offsets, key=offsets.__getitem__) < stop
        offsets = {tag: at for tag, at in offsets.items() if tag < stop}
    return found._replace(offsets=offsets, is_cut=is_cut, is_whole=False)


def _inflated(
    buffer: Bytes, start: int, syntax: TransferSyntax, reading: Input
) -> tuple[Bytes, int, int]:
    stream = bytes(memoryview(buffer)[start:])
    layout = layout_of(syntax)
    try:
        inflated = inflate(stream, reading.limits)
    except NoDeflateStreamError as error:
        reading.deflated = stream
        if error.inflated and reading.keeps_truncated:
            reading.is_cut = True
            Scope(buffer, layout, reading).warn(str(error), 0)
            return error.inflated, 0, len(error.inflated)
        if len(stream) < 8 or not fits(stream, layout, 0, len(stream)):
            raise
        Scope(buffer, layout, reading).warn("announced as deflated, but is not", 0, offset=start)
        return buffer, start, len(buffer)
    reading.deflated = stream
    return inflated, 0, len(inflated)


def inflate(stream: bytes, limits: Limits) -> bytes:
    """Inflate a raw deflate stream, piece by piece.

    Raises:
        DecodeError: it is no such stream, or longer than the limits allow.
    """
    from zlib import MAX_WBITS, decompressobj  # noqa: PLC0415 - few data sets are deflated
    from zlib import error as ZlibError  # noqa: N812, PLC0415

    # Some writers put a zlib header in front, which the standard does not have.
    has_header = (
        len(stream) > 1 and stream[0] & 0x0F == 8 and (stream[0] << 8 | stream[1]) % 31 == 0
    )
    machine = decompressobj(MAX_WBITS if has_header else -MAX_WBITS)
    pieces: list[bytes] = []
    length, rest = 0, stream
    try:
        while not machine.eof:
            piece = machine.decompress(rest, _STEP)
            rest = machine.unconsumed_tail
            pieces.append(piece)
            length += len(piece)
            if length > limits.max_inflated_bytes:
                raise DecodeError(f"inflates to more than {limits.max_inflated_bytes} bytes")
            if length > _RATIO_FROM and length > limits.max_inflation * len(stream):
                raise DecodeError(
                    f"inflates to more than {limits.max_inflation} times its {len(stream)} bytes"
                )
            if not piece and not rest:
                cut = NoDeflateStreamError("the deflate stream is cut short", offset=len(stream))
                cut.inflated = b"".join(pieces)
                raise cut
    except ZlibError as error:
        raise NoDeflateStreamError(f"no deflate stream: {error}") from error
    return b"".join(pieces)
