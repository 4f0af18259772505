"""Fragments of a data set that comes in several pieces. PS3.8 9.3.5, PS3.7 6.3.1.

What is in one piece is cut by `fragmenter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.dimse.fragmenter import fragment, max_fragment_length
from dicom_actors.pdu import Pdv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["fragment_pieces"]


def fragment_pieces(
    context_id: int, pieces: Sequence[bytes | memoryview], max_pdu_length: int
) -> Iterator[Pdv]:
    """Cut a data set into values, each to be sent in a PDU of its own.

    Args:
        context_id: the presentation context.
        pieces: the data set; a fragment within one piece is a slice of it, one across pieces is
            a copy.
        max_pdu_length: the peer's Maximum Length in bytes; 0 for no limit.

    Yields:
        The fragments in order, of even length but for the last; that one says that it is the
        last. No data gives one empty fragment.
    """
    if len(pieces) == 1:
        yield from fragment(context_id, pieces[0], max_pdu_length, is_command=False)
        return
    limit = max_fragment_length(max_pdu_length)
    left = length = sum(map(len, pieces))
    parts: list[memoryview] = []
    room = limit
    for piece in pieces:
        view = memoryview(piece)
        while view:
            part, view = view[:room], view[room:]
            parts.append(part)
            room -= len(part)
            left -= len(part)
            if not room:
                yield Pdv(context_id, False, not left, _joined(parts))
                parts, room = [], limit
    if parts or not length:
        yield Pdv(context_id, False, True, _joined(parts))


def _joined(parts: list[memoryview]) -> bytes | memoryview:
    return parts[0] if len(parts) == 1 else b"".join(parts)
