"""Fragments of a data set that comes in several pieces. PS3.8 9.3.5, PS3.7 6.3.1.

What is in one piece is cut by `fragmenter`. A piece may be bytes that are not read yet, of a file
for example: then so are the fragments of it, until they are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from dicom_actors.dimse.fragmenter import fragment, max_fragment_length
from dicom_actors.pdu import Pdv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Piece: TypeAlias = "bytes | memoryview | Unread"

__all__ = ["Unread", "fragment_pieces"]


class Unread(Protocol):
    """Bytes that are read when they are sent; see `dicom_actors.data.files.file_bytes`."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Unread:
        """Some of them."""

    def read(self) -> memoryview:
        """Read them; raises FileChangedError."""

    def for_system(self) -> memoryview:
        """Give them to a call of the system, and to nothing else; raises FileChangedError."""


def fragment_pieces(context_id: int, pieces: Sequence[Piece], max_pdu_length: int) -> Iterator[Pdv]:
    """Cut a data set into values, each to be sent in a PDU of its own.

    Args:
        context_id: the presentation context.
        pieces: the data set; a fragment within one piece is a slice of it, one across pieces is
            a copy, which reads what is not read.
        max_pdu_length: the peer's Maximum Length in bytes; 0 for no limit.

    Yields:
        The fragments in order, of even length but for the last; that one says that it is the
        last. No data gives one empty fragment.

    Raises:
        FileChangedError: what is not read cannot be.
    """
    if len(pieces) == 1:
        yield from fragment(context_id, _as_bytes(pieces[0]), max_pdu_length, is_command=False)
        return
    limit = max_fragment_length(max_pdu_length)
    left = length = sum(map(len, pieces))
    parts: list[memoryview | Unread] = []
    room = limit
    for piece in pieces:
        view = memoryview(piece) if isinstance(piece, bytes | memoryview) else piece
        while len(view):
            part, view = view[:room], view[room:]
            parts.append(part)
            room -= len(part)
            left -= len(part)
            if not room:
                yield Pdv(context_id, False, not left, _joined(parts))
                parts, room = [], limit
    if parts or not length:
        yield Pdv(context_id, False, True, _joined(parts))


def _as_bytes(piece: Piece) -> bytes | memoryview:
    # Who sends what is not read yet reads it then: nothing before looks at more than its length.
    return cast("memoryview", piece)


def _joined(parts: list[memoryview | Unread]) -> bytes | memoryview:
    if len(parts) == 1:
        return _as_bytes(parts[0])
    return b"".join(part if isinstance(part, memoryview) else part.read() for part in parts)
