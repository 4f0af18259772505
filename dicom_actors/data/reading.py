"""The data set of some bytes in some transfer syntax: inflated, if need be, and indexed.

Standard: PS3.5 Annex A; A.5 (deflated).
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.data.charset import CharacterSet
from dicom_actors.data.element_index import ElementIndex, read_index
from dicom_actors.data.layout import EXPLICIT, layout_of
from dicom_actors.data.scope import DEFAULT_LIMITS, Bytes, Limits, Reading, Scope
from dicom_actors.data.transfer_syntax import TransferSyntax
from dicom_actors.data.unusual import actual_layout, fits
from dicom_actors.errors import DecodeError, UnsupportedTransferSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.selection import Selection

__all__ = ["inflate", "make_reading", "read_data_set"]

_RATIO_FROM: Final = 64 << 20
_STEP: Final = 1 << 20


class NoDeflateStreamError(DecodeError):
    """Bytes that are no deflate stream, or not a whole one.

    Attributes:
        inflated: what a stream that is cut short inflates to; empty for any other.
    """

    inflated = b""


def make_reading(
    transfer_syntax: TransferSyntax,
    limits: Limits,
    character_set: str | Iterable[str] | None,
    *,
    keep_truncated: bool,
) -> Reading:
    """Make what is shared by the data set of one input; arguments as `DataSet.from_bytes`."""
    override = None
    if character_set is not None:
        terms = (character_set,) if isinstance(character_set, str) else tuple(character_set)
        override = CharacterSet.of(terms)
    return Reading(
        limits,
        keeps_truncated=keep_truncated,
        character_set=override,
        transfer_syntax=transfer_syntax,
    )


def read_data_set(
    data: bytes | bytearray | memoryview,
    transfer_syntax: str | TransferSyntax,
    *,
    limits: Limits = DEFAULT_LIMITS,
    character_set: str | Iterable[str] | None = None,
    keep_truncated: bool = False,
) -> ElementIndex:
    """Index the bytes of a data set; see `DataSet.from_bytes`."""
    syntax = TransferSyntax.of(transfer_syntax)
    reading = make_reading(syntax, limits, character_set, keep_truncated=keep_truncated)
    return index_data_set(as_bytes(data), 0, syntax, reading)


def as_bytes(data: bytes | bytearray | memoryview) -> bytes | memoryview:
    """Take the input as bytes, or as a view of them."""
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    if view.itemsize != 1 or view.ndim != 1:
        view = view.cast("B")
    return view.toreadonly()


def index_data_set(
    buffer: Bytes,
    start: int,
    syntax: TransferSyntax,
    reading: Reading,
    stop: int | None = None,
    selection: Selection | None = None,
) -> ElementIndex:
    """Index the data set that goes from an offset to the end of its bytes.

    The index becomes a data set by a change of its class.

    Args:
        buffer: the bytes.
        start: where the data set starts.
        syntax: how it is encoded.
        reading: what is shared by the input.
        stop: the first tag that is not wanted any more; None: all are.
        selection: the elements that are wanted, with this `stop`; None: all below it are.

    Raises:
        DecodeError: the bytes are no data set, or go beyond a limit.
        UnsupportedTransferSyntaxError: no data set is encoded in that way.
    """
    if not syntax.is_data_set_encoding:
        raise UnsupportedTransferSyntaxError(f"{syntax} does not encode data sets")
    end = len(buffer)
    if syntax.is_deflated:
        buffer, start, end = _inflated(buffer, start, syntax, reading)
    scope = Scope(buffer, layout_of(syntax), reading)
    scope.layout = actual_layout(scope, start, end)
    if selection is None:
        return read_index(scope, start, end, stop)
    return _select(scope, selection, start, end)


def _select(scope: Scope, selection: Selection, start: int, end: int) -> ElementIndex:
    picked = None
    # No element takes less than eight bytes.
    if scope.layout is EXPLICIT and scope.reading.limits.max_elements > end >> 3:
        picked = selection.pick(scope, start, end)
    if picked is not None:
        made = ElementIndex(scope, 0, start, picked[1], picked[0])
    else:
        made = read_index(scope, start, end, selection.stop)
        # Values without a VR of their own may depend on what is left out.
        scope.is_signed = made._is_signed
        made._values.clear()
        made._index = {tag: at for tag, at in made._index.items() if tag in selection.tags}
    # What is left out counts as removed.
    made._replaced = set()
    return made


def _inflated(
    buffer: Bytes, start: int, syntax: TransferSyntax, reading: Reading
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
