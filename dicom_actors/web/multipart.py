"""Multipart bodies as streams: read as they come, and written as they go.

Read is what clients send, not only what they should: text before the first boundary, boundaries
with and without quotes, lines that end in LF alone, blanks behind a boundary, and a body that ends
with its last boundary. No part is kept.

Standard: RFC 2046 5.1.1; RFC 2387; PS3.18 8.6.1.2.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.web.exchange import Body, HttpError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from dicom_actors.web.exchange import Piece

__all__ = [
    "Limits",
    "MultipartReader",
    "Part",
    "PartData",
    "PartEnd",
    "PartStart",
    "length_of",
    "new_boundary",
    "write_parts",
]


_FOLD: Final = re.compile(rb"\r?\n[ \t]+")


class Limits(NamedTuple):
    """What a body may have.

    Attributes:
        parts: how many parts.
        header_bytes: the headers of a part.
        preamble_bytes: what stands before the first boundary.
    """

    parts: int = 20_000
    header_bytes: int = 8 * 1024
    preamble_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins.

    Attributes:
        headers: by their names in small letters.
    """

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """A piece of a part; perhaps a view of what was fed."""

    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """A part is over."""


Event = PartStart | PartData | PartEnd


class _State(Enum):
    PREAMBLE = "before the first boundary"
    BOUNDARY = "behind a boundary"
    HEADERS = "in the headers of a part"
    BODY = "in a part"
    EPILOGUE = "behind the last boundary"


class MultipartReader:
    """Takes a body piece by piece, and says what it is made of.

    Args:
        boundary: what separates its parts.
        limits: what it may have.

    Raises:
        HttpError: 400, the boundary is none.
    """

    def __init__(self, boundary: str, limits: Limits = Limits()) -> None:  # noqa: B008 - immutable
        # RFC 2046 allows 70 characters; longer ones are sent all the same.
        if not 1 <= len(boundary) <= 200 or not boundary.isascii() or not boundary.isprintable():
            raise HttpError(400, "content-type: expected a boundary of up to 200 characters")
        self._dashes: Final = b"--" + boundary.encode("ascii")
        self._limits: Final = limits
        self._newline = b"\r\n"
        self._buffer = bytearray()
        self._state = _State.PREAMBLE
        self._seen = 0
        self._searched = 0
        self._parts = 0
        self._is_first = True

    @property
    def is_over(self) -> bool:
        """Whether the last boundary has come."""
        return self._state is _State.EPILOGUE

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take a piece.

        Raises:
            HttpError: 400, it is no such body; 413, it goes beyond a limit.
        """
        if self.is_over:
            return
        if self._state is _State.BODY and not self._is_first:
            data = yield from self._pass(data)
        self._buffer += data
        step = {
            _State.PREAMBLE: self._preamble,
            _State.BOUNDARY: self._boundary,
            _State.HEADERS: self._headers,
            _State.BODY: self._body,
        }
        while not self.is_over:
            events, goes_on = step[self._state]()
            yield from events
            if not goes_on:
                return
        self._buffer.clear()

    def finish(self) -> None:
        """The body is over.

        Raises:
            HttpError: 400, its last boundary did not come.
        """
        # Some leave out the two dashes of the last boundary.
        is_behind = self._state in {_State.BOUNDARY, _State.HEADERS}
        is_at_end = is_behind and not self._buffer.strip()
        if not self.is_over and not is_at_end:
            raise HttpError(400, f"multipart: the body ended {self._state.value}")

    def _pass(self, data: bytes) -> Generator[Event, None, bytes]:
        """Give what is of a part for certain, without a copy; returns what has to be looked at."""
        delimiter = self._newline + self._dashes
        # As much of a delimiter as may have come may be waiting.
        rest = len(delimiter) - 1
        if delimiter in self._buffer + data[:rest]:
            return data
        end = data.find(delimiter)
        if end < 0:
            end = len(data) - rest
        if end <= 0:
            return data
        if self._buffer:
            yield PartData(bytes(self._buffer))
            self._buffer.clear()
            self._searched = 0
        yield PartData(memoryview(data)[:end])
        return data[end:]

    # Each takes what it can of the buffer, and says whether there may be more to do.

    def _preamble(self) -> tuple[Iterable[Event], bool]:
        at = 0
        while True:
            at = self._buffer.find(self._dashes, at)
            if at <= 0 or self._buffer[at - 1 : at] == b"\n":
                break
            at += 1
        if at < 0:
            keep = len(self._dashes) + 1
            self._seen += max(0, len(self._buffer) - keep)
            if self._seen > self._limits.preamble_bytes:
                raise HttpError(400, "multipart: expected the boundary that content-type says")
            del self._buffer[:-keep]
            return (), False
        if at == 0 and self._seen:
            # What stands before it is gone, and was no end of a line.
            del self._buffer[:1]
            return (), True
        del self._buffer[: at + len(self._dashes)]
        self._state = _State.BOUNDARY
        return (), True

    def _boundary(self) -> tuple[Iterable[Event], bool]:
        """Read what stands behind a boundary in its line: nothing, blanks, or two dashes."""
        if self._buffer[:2] == b"--":
            self._state = _State.EPILOGUE
            return (), True
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > self._limits.header_bytes:
                raise HttpError(400, "multipart: expected the end of the line behind a boundary")
            return (), False
        line = bytes(self._buffer[:end])
        if line.strip():
            raise HttpError(400, "multipart: expected nothing else in the line of a boundary")
        self._newline = b"\r\n" if line.endswith(b"\r") else b"\n"
        del self._buffer[: end + 1]
        self._parts += 1
        if self._parts > self._limits.parts:
            raise HttpError(413, f"multipart: expected up to {self._limits.parts} parts")
        self._state = _State.HEADERS
        return (), True

    def _headers(self) -> tuple[Iterable[Event], bool]:
        newline = self._newline
        if self._buffer.startswith(newline):
            head, length = b"", len(newline)
        else:
            end = self._buffer.find(newline * 2, 0, self._limits.header_bytes + 4)
            if end < 0:
                if len(self._buffer) > self._limits.header_bytes:
                    raise HttpError(
                        413, f"multipart: expected up to {self._limits.header_bytes} of headers"
                    )
                return (), False
            head, length = bytes(self._buffer[:end]), end + 2 * len(newline)
        # The line before the next boundary may be the one that ends the headers.
        del self._buffer[: length - len(newline)]
        self._state = _State.BODY
        self._searched = 0
        self._is_first = True
        return (PartStart(_parse_headers(head)),), True

    def _body(self) -> tuple[Iterable[Event], bool]:
        buffer, delimiter = self._buffer, self._newline + self._dashes
        at = buffer.find(delimiter, self._searched)
        skip = len(self._newline) if self._is_first else 0
        if at < 0:
            # A part of the delimiter may be at the end.
            ready = len(buffer) - len(delimiter) + 1
            if ready <= skip:
                return (), False
            return (self._take(ready, skip),), False
        behind = at + len(delimiter)
        if len(buffer) < behind + 2:
            return ((self._take(at, skip),), False) if at > skip else ((), False)
        if bytes(buffer[behind : behind + 2]) != b"--" and buffer[behind] not in b"\r\n \t":
            self._searched = at + 1  # longer than the boundary: it is data
            return (), True
        events: list[Event] = [self._take(at, skip)] if at > skip else []
        del buffer[: buffer.find(delimiter) + len(delimiter)]
        self._state = _State.BOUNDARY
        return [*events, PartEnd()], True

    def _take(self, end: int, skip: int) -> PartData:
        data = bytes(memoryview(self._buffer)[skip:end])
        del self._buffer[:end]
        self._is_first = False
        self._searched = 0
        return PartData(data)


def _parse_headers(head: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    # Java's mail, for one, goes on in the next line, which begins with a blank (RFC 5322 2.2.3).
    for line in _FOLD.sub(b" ", head).splitlines():
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name.strip():
            raise HttpError(400, "multipart: expected headers, a name and a value in each line")
        found.setdefault(name.strip().lower(), value.strip())
    return found


class Part(NamedTuple):
    """A part that is to be written.

    Attributes:
        headers: names and values.
        length: bytes of its pieces; None: not known.
        pieces: makes them.
    """

    headers: dict[str, str]
    length: int | None
    pieces: Iterable[Piece]

    def head(self, boundary: str, *, is_first: bool) -> bytes:
        """What stands before its pieces."""
        start = "" if is_first else "\r\n"
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        length = "" if self.length is None else f"Content-Length: {self.length}\r\n"
        return f"{start}--{boundary}\r\n{lines}{length}\r\n".encode("latin-1")


def length_of(boundary: str, parts: Iterable[Part]) -> int:
    """How long a body of parts is, whose lengths are known."""
    length = len(_end(boundary))
    for number, part in enumerate(parts):
        assert part.length is not None  # else nobody asks
        length += len(part.head(boundary, is_first=number == 0)) + part.length
    return length


def new_boundary() -> str:
    """Make a boundary that is in no body."""
    return secrets.token_hex(20)


def write_parts(kind: str, parts: Iterable[Part], boundary: str | None = None) -> tuple[str, Body]:
    """Write parts as multipart/related.

    Args:
        kind: the media type of the parts.
        parts: the parts, which are gone through once.
        boundary: what stands between them; None: a new one.

    Returns:
        The content type, and the body.
    """
    boundary = boundary or new_boundary()
    body = Body(_written(boundary, parts))
    return f'multipart/related; type="{kind}"; boundary={boundary}', body


def _written(boundary: str, parts: Iterable[Part]) -> Iterator[Piece]:
    for number, part in enumerate(parts):
        head = part.head(boundary, is_first=number == 0)
        pieces = iter(part.pieces)
        first = next(pieces, b"")
        if isinstance(first, bytes):
            # One piece instead of two: each costs a way to the socket.
            yield head + first
        else:
            yield head
            yield first
        yield from pieces
    yield _end(boundary)


def _end(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode("latin-1")
