"""From messages to presentation data values that the peer takes. PS3.8 9.3.5, D.1, E."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.pdu import Pdv

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fragment", "fragment_message", "max_fragment_length"]

_PDV_OVERHEAD: Final = 6
"""Item length, context id and message control header count towards the Maximum Length."""

_LENGTH_WITHOUT_LIMIT: Final = 128 * 1024
"""Bytes of a PDU's variable field towards a peer that announced no maximum (PS3.8 D.1: 0)."""


def max_fragment_length(max_pdu_length: int) -> int:
    """Return how many bytes of a message a PDU with one value may hold.

    Args:
        max_pdu_length: the peer's Maximum Length in bytes; 0 for no limit.
    """
    # Fragments have an even length (PS3.8 E.1), the last one of an odd message apart.
    return max((max_pdu_length or _LENGTH_WITHOUT_LIMIT) - _PDV_OVERHEAD & ~1, 2)


def fragment(
    context_id: int, data: bytes | memoryview, max_pdu_length: int, *, is_command: bool
) -> Iterator[Pdv]:
    """Cut a command set or a data set into values, each to be sent in a PDU of its own.

    Args:
        context_id: the presentation context.
        data: all of it; what is yielded are slices, not copies.
        max_pdu_length: the peer's Maximum Length in bytes; 0 for no limit.
        is_command: whether this is a command set.

    Yields:
        The fragments in order; the last one says that it is the last. No data gives one empty
        fragment.
    """
    limit = max_fragment_length(max_pdu_length)
    view = memoryview(data) if isinstance(data, bytes) else data
    length = len(view)
    for start in range(0, length or 1, limit):
        yield Pdv(context_id, is_command, start + limit >= length, view[start : start + limit])


def fragment_message(
    context_id: int, command_set: bytes, data: bytes | None, max_pdu_length: int
) -> Iterator[Pdv]:
    """Cut a message into values: its command set, and its data set unless it has none.

    Args and result are as for `fragment`.
    """
    yield from fragment(context_id, command_set, max_pdu_length, is_command=True)
    if data is not None:
        yield from fragment(context_id, data, max_pdu_length, is_command=False)
