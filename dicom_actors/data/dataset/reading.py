"""The elements of some bytes in some transfer syntax: inflated, if need be, and indexed.

What is found is handed over as it is; `data_set` makes data sets of it.

Standard: PS3.5 Annex A; A.5 (deflated).
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data.dataset.element_index import Context, Held, Input
from dicom_actors.data.scan.damage import scan_damaged
from dicom_actors.data.scan.elements import scan_all
from dicom_actors.data.scan.headers import actual_layout, fits, past_stray
from dicom_actors.data.scan.layout import EXPLICIT, ITEM, layout_of
from dicom_actors.data.scan.scope import BeyondLimitsError, Bytes, Limits, Scope
from dicom_actors.data.scan.selection import look_beyond
from dicom_actors.data.values.character_sets import CharacterSet
from dicom_actors.data.values.unread import UnreadBytes
from dicom_actors.errors import DecodeError, UnsupportedTransferSyntaxError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors.data.dictionary import TransferSyntax
    from dicom_actors.data.scan.selection import Selection

__all__ = ["Found", "as_bytes", "find_elements", "inflate", "inflate_pieces", "make_input"]

_RATIO_FROM: Final = 64 << 20
_STEP: Final = 1 << 20
_FED: Final = 64 << 10
_KEPT_AT_ONCE: Final = 64 << 20


class NoDeflateStreamError(DecodeError):
    """Bytes that are no deflate stream, or not a whole one.

    Attributes:
        inflated: what there is before the end or the damage.
        is_cut: whether it is cut short.
    """

    inflated = b""
    is_cut = False


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
    """Make what is shared by the data sets of one input; arguments as `DataSet.from_bytes`.

    Raises:
        TypeError: the limits are none, or a term of the character set is no text.
    """
    if not isinstance(limits, Limits):
        raise TypeError(f"expected Limits, got {shown(limits)}")
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
    if not view.c_contiguous:
        return view.tobytes()  # nothing that reads can step over what is between
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
        buffer, start, end = _inflated(buffer, start, syntax, reading, keep_damaged=keep_damaged)
    context = Context(buffer, layout_of(syntax), reading)
    actual = actual_layout(context, start, end)
    if actual is not context.layout:
        # Strays that were passed over to find that out would mean something else in it.
        while (following := past_stray(context, start, end)) != start:
            start = following
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
    looked_to = look_beyond(context.buffer, context.layout, reading.limits, last, end, stop)
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
    buffer: Bytes, start: int, syntax: TransferSyntax, reading: Input, *, keep_damaged: bool
) -> tuple[Bytes, int, int]:
    stream = bytes(memoryview(buffer)[start:])
    layout = layout_of(syntax)
    try:
        inflated = inflate(stream, reading.limits)
    except NoDeflateStreamError as error:
        is_other = not error.is_cut and len(stream) >= 8 and fits(stream, layout, 0, len(stream))
        keeps = keep_damaged or (error.is_cut and reading.keeps_truncated)
        if error.inflated and keeps and not is_other:
            reading.is_cut = reading.keeps_truncated
            reading.deflated = stream, error.inflated, 0
            Scope(buffer, layout, reading).warn(str(error), 0)
            return error.inflated, 0, len(error.inflated)
        if not is_other:
            raise
        reading.deflated = stream, buffer, start
        Scope(buffer, layout, reading).warn("announced as deflated, but is not", 0, offset=start)
        return buffer, start, len(buffer)
    reading.deflated = stream, inflated, 0
    return inflated, 0, len(inflated)


def inflate(stream: bytes, limits: Limits) -> bytes:
    """Inflate a raw deflate stream, piece by piece.

    What gets long is inflated twice: once to see that it may be, of which nothing is kept.

    Raises:
        DecodeError: it is no such stream.
        BeyondLimitsError: it is longer than the limits allow.
    """
    length = kept = 0
    problem: NoDeflateStreamError | None = None
    # Unlike a list of pieces, one block is given back to the system, and joined without a copy.
    out: BytesIO | None = BytesIO()
    try:
        for piece in _inflated_pieces(stream):
            length += len(piece)
            _check_length(length, len(stream), limits)
            if length > _KEPT_AT_ONCE:
                out = None
            if out is not None:
                _take(limits, kept, length)
                kept = length
                out.write(piece)
    except NoDeflateStreamError as error:
        problem = error
    if out is None:
        _take(limits, kept, length)
        out = BytesIO()
        with suppress(NoDeflateStreamError):
            for piece in _inflated_pieces(stream):
                out.write(piece)
    if problem is not None:
        problem.inflated = out.getvalue()
        raise problem
    return out.getvalue()


def inflate_pieces(stream: bytes | memoryview | UnreadBytes, limits: Limits) -> Iterator[bytes]:
    """Inflate a raw deflate stream, and give it piece by piece; raises as `inflate` does."""
    length = 0
    for piece in _inflated_pieces(stream):
        length += len(piece)
        _check_length(length, len(stream), limits)
        yield piece


def _inflated_pieces(stream: bytes | memoryview | UnreadBytes) -> Iterator[bytes]:
    """Inflate a raw deflate stream.

    Yields:
        Pieces of at most 1 MiB; all that stand before an end or a damage, too.

    Raises:
        NoDeflateStreamError: it ends too soon, or is damaged.
    """
    from zlib import MAX_WBITS, decompressobj  # noqa: PLC0415 - few data sets are deflated
    from zlib import error as ZlibError  # noqa: N812, PLC0415

    # Some writers put a zlib header in front, which the standard does not have.
    first = bytes(stream[:2])
    has_header = len(first) > 1 and first[0] & 0x0F == 8 and (first[0] << 8 | first[1]) % 31 == 0
    machine = decompressobj(MAX_WBITS if has_header else -MAX_WBITS)
    view = stream if isinstance(stream, UnreadBytes) else memoryview(stream)
    for at in range(0, len(stream), _FED):
        fed = view[at : at + _FED]
        rest: Any = fed.read() if isinstance(fed, UnreadBytes) else fed
        while True:
            before, left = machine.copy(), rest
            try:
                piece = machine.decompress(rest, _STEP)
            except ZlibError as error:
                yield from _up_to_damage(before, left)
                raise NoDeflateStreamError(f"no deflate stream: {error}") from error
            yield piece
            rest = machine.unconsumed_tail
            if machine.eof:
                return
            if not rest and len(piece) < _STEP:
                break
    cut = NoDeflateStreamError("the deflate stream is cut short", offset=len(stream))
    cut.is_cut = True
    raise cut


def _check_length(length: int, of_stream: int, limits: Limits) -> None:
    """Raise an error if what was inflated goes beyond a limit."""
    if length > limits.max_inflated_bytes:
        raise BeyondLimitsError(f"inflates to more than {limits.max_inflated_bytes} bytes")
    if length > _RATIO_FROM and length > limits.max_inflation * of_stream:
        raise BeyondLimitsError(
            f"inflates to more than {limits.max_inflation} times its {of_stream} bytes"
        )


def _take(limits: Limits, kept: int, length: int) -> None:
    """Raise an error if there is no room for what is inflated, beyond what is kept already."""
    if limits.take_inflated is not None and not limits.take_inflated(length - kept):
        raise BeyondLimitsError(f"no room for more than {kept} bytes")


def _up_to_damage(machine: Any, stream: Any) -> list[bytes]:
    """Inflate what stands before the place in a stream that is no deflate stream any more."""
    from zlib import error as ZlibError  # noqa: N812, PLC0415 - few data sets are deflated

    pieces: list[bytes] = []
    left = _STEP
    # Who gives a byte after the other gets all that came of those before.
    with suppress(ZlibError):
        for at in range(len(stream)):
            pieces.append(machine.decompress(stream[at : at + 1], left))
            left -= len(pieces[-1])
            if left <= 0:
                break
    return pieces
