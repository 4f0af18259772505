"""Requests and responses of HTTP, as far as an application without sockets needs them.

A request that has a body is answered by a `Receiver`, which is fed the body piece by piece; so a
client that is slow holds no thread. The body of a response is an iterator, of which the next piece
is taken when the one before has gone out.

Standard: PS3.18 8; RFC 9110.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from dicom_actors.archive.files import FileBytes, UnreadBytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "DICOM_JSON",
    "PIECE",
    "Body",
    "Channel",
    "Gathered",
    "HttpError",
    "Joined",
    "Piece",
    "Receiver",
    "Request",
    "Response",
    "compressed",
    "gathered",
    "json_response",
    "not_modified",
    "of_error",
    "pieces_of",
    "ranged",
]

Piece = bytes | FileBytes
"""Of a body: in memory, or in a file."""
PIECE: Final = 1 << 20
"""How much of a large body goes out at once, in bytes."""
DICOM_JSON: Final = "application/dicom+json"

_WORTH_COMPRESSING: Final = 1024
_GATHERING: Final = 0.02
"""Seconds for which small pieces are put together, so that nobody waits for the first ones."""


class HttpError(Exception):
    """A request that is refused.

    Attributes:
        status: of the response.
        text: what was expected, and what came; never a part of what came as it was.
        headers: more headers.
    """

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status: Final = status
        self.text: Final = text
        self.headers: Final = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, without its body.

    Attributes:
        method: in capitals.
        path: below the root of the application, decoded; it begins with a slash.
        base_url: the root's own address, without a slash at its end.
        query: names and values, decoded, in their order.
        headers: by their names in small letters; what came several times is joined by commas.
        peer: who asks: address and port, if known.
    """

    method: str
    path: str
    base_url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""

    def values(self, name: str) -> list[str]:
        """All values of a name in the query."""
        return [value for key, value in self.query if key == name]

    def value(self, name: str) -> str | None:
        """The last value of a name in the query; None if there is none."""
        values = self.values(name)
        return values[-1] if values else None


class Joined:
    """Bytes that are in several places, one behind the other; a slice copies nothing.

    Args:
        places: where they are, or what makes them when they are wanted.
    """

    def __init__(self, places: Sequence[bytes | memoryview | UnreadBytes]) -> None:
        self.places: Final = tuple(place for place in places if len(place))

    def __len__(self) -> int:
        return sum(map(len, self.places))

    def __getitem__(self, part: slice) -> Joined:
        start, stop, _ = part.indices(len(self))
        found, at = [], 0
        for place in self.places:
            found.append(place[max(start - at, 0) : max(stop - at, 0)])
            at += len(place)
        return Joined(found)


class Body:
    """A body of which some pieces may be in files.

    Gone through, it gives bytes, up to `PIECE` at once.

    Args:
        pieces: what it is made of.

    Attributes:
        pieces: the same; for those who send files without reading them.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces: Final = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, FileBytes):
                for at in range(0, len(piece), PIECE):
                    yield bytes(piece[at : at + PIECE])
            else:
                yield piece

    def close(self) -> None:
        """Let go of everything."""
        close = getattr(self.pieces, "close", None)
        if close is not None:
            close()


class Gathered(NamedTuple):
    """Pieces that go out together.

    Attributes:
        data: those in memory.
        file: what of a file stands behind them; None: nothing does.
    """

    data: bytes
    file: FileBytes | None = None


def gathered(pieces: Iterable[Piece]) -> Iterator[Gathered]:
    """Put pieces together that are there at once, up to `PIECE` bytes in memory.

    Each time costs a way to the socket, which is more than to put small ones together.
    """
    small: list[bytes] = []
    length, until = 0, time.monotonic() + _GATHERING
    for piece in pieces:
        file = piece if isinstance(piece, FileBytes) else None
        if not isinstance(piece, FileBytes):
            small.append(piece)
            length += len(piece)
        if file is not None or length >= PIECE or time.monotonic() > until:
            if length or file:
                yield Gathered(small[0] if len(small) == 1 else b"".join(small), file)
            small, length, until = [], 0, time.monotonic() + _GATHERING
    if length:
        yield Gathered(b"".join(small))


@dataclass(slots=True)
class Response:
    """A response.

    Attributes:
        status: its code.
        headers: names and values.
        body: its pieces; gone through once, and closed at the end if it can be. A tuple is at
            hand; a `Body` may be in files.
        length: bytes of all pieces; None: not known before.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    length: int | None = 0

    @classmethod
    def of_bytes(cls, status: int, body: bytes, content_type: str, **headers: str) -> Response:
        """Make one whose body is at hand."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, {"content-type": content_type, **named}, (body,), len(body))


class Receiver(Protocol):
    """Takes the body of a request. Its methods are called one at a time, by any thread."""

    def feed(self, data: bytes) -> None:
        """Take a piece.

        Raises:
            HttpError: it is refused; the rest need not be sent.
        """

    def finish(self) -> Response:
        """The body is over.

        Raises:
            HttpError: it is refused.
        """

    def close(self) -> None:
        """Let go of everything; called once, at the end, whatever came before."""


class Channel(Protocol):
    """Gives what a client is told over a WebSocket; what the client says there means nothing.

    One thread at a time uses it; whoever made it was given what wakes that one.

    Attributes:
        is_closed: whether nothing will come any more.
        code: why then, by RFC 6455 7.4; with `reason` in words.
    """

    @property
    def is_closed(self) -> bool:
        """See the class."""

    @property
    def code(self) -> int:
        """See the class."""

    @property
    def reason(self) -> str:
        """See the class."""

    def take(self) -> str | None:
        """Take the next message; None if there is none now."""

    def close(self) -> None:
        """Let go of everything; called once, at the end."""


def of_error(error: HttpError) -> Response:
    """Make the response of a refusal."""
    body = f"{error.text}\n".encode()
    response = Response.of_bytes(error.status, body, "text/plain; charset=utf-8")
    response.headers.update(error.headers)
    return response


def json_response(value: Any, content_type: str = DICOM_JSON, status: int = 200) -> Response:
    """Make a response of what JSON has a form for."""
    return Response.of_bytes(status, json.dumps(value).encode(), content_type)


def compressed(request: Request, response: Response, *, packed: bytes | None = None) -> Response:
    """Compress what is text, where the client takes gzip.

    Args:
        request: what came.
        response: what it is answered with.
        packed: the whole body, if it is compressed already; then `response` has none.

    Returns:
        What to answer with; a body that is made as it goes out is compressed as it does.
    """
    takes_it = _takes_gzip(request.headers.get("accept-encoding", ""))
    headers = {**response.headers, "vary": "accept, accept-encoding"}
    if packed is not None:
        if takes_it:
            headers["content-encoding"] = "gzip"
            return Response(response.status, headers, (packed,), len(packed))
        body = gzip.decompress(packed)
        return Response(response.status, headers, (body,), len(body))
    length = response.length
    if not takes_it or (length is not None and length < _WORTH_COMPRESSING):
        return Response(response.status, headers, response.body, length)
    headers["content-encoding"] = "gzip"
    if length is None:
        return Response(response.status, headers, _deflated(response.body), None)
    body = gzip.compress(b"".join(response.body), 1, mtime=0)
    return Response(response.status, headers, (body,), len(body))


def _deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress pieces as they come (RFC 1952)."""
    packer = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()


def _takes_gzip(header: str) -> bool:
    for item in header.split(","):
        name, _, rest = item.partition(";")
        if name.strip().lower() in {"gzip", "x-gzip"}:
            quality = rest.partition("q=")[2].strip()
            return not quality or quality.strip("0.") != ""
    return False


def not_modified(request: Request, etag: str) -> Response | None:
    """Give the response to a client that has this already; None if it has not (RFC 9110 13.1.2)."""
    tags = request.headers.get("if-none-match")
    if tags is None:
        return None
    known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    if "*" in known or etag.removeprefix("W/") in known:
        return Response(304, {"etag": etag, "vary": "accept, accept-encoding"})
    return None


def ranged(
    request: Request,
    data: memoryview | FileBytes | Joined,
    content_type: str,
    headers: Mapping[str, str],
) -> Response:
    """Answer with bytes, or the range of them that is asked for (RFC 9110 14).

    Raises:
        HttpError: 416, the range is not within.
    """
    whole = {**headers, "content-type": content_type, "accept-ranges": "bytes"}
    asked = request.headers.get("range", "")
    condition = request.headers.get("if-range")
    part = None if condition not in {None, headers.get("etag")} else _range(asked, len(data))
    if part is None:
        return Response(200, whole, Body(pieces_of(data)), len(data))
    start, end = part
    whole["content-range"] = f"bytes {start}-{end - 1}/{len(data)}"
    return Response(206, whole, Body(pieces_of(data[start:end])), end - start)


def pieces_of(data: bytes | memoryview | UnreadBytes | Joined) -> Iterator[Piece]:
    """Give bytes as pieces of a body; raises what reading them does."""
    if isinstance(data, Joined):
        for place in data.places:
            yield from pieces_of(place)
    elif isinstance(data, FileBytes):
        yield data
    elif isinstance(data, UnreadBytes):
        yield from map(bytes, data.chunks(PIECE))
    else:
        for at in range(0, len(data), PIECE):
            yield bytes(data[at : at + PIECE])


def _range(asked: str, length: int) -> tuple[int, int] | None:
    """Read a range; None for none, and for what we need not understand."""
    unit, _, text = asked.partition("=")
    first, dash, last = (part.strip() for part in text.partition("-"))
    digits = [part for part in (first, last) if part]
    if (
        unit.strip().lower() != "bytes"
        or not dash
        or not digits
        or not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in digits)
    ):
        return None  # several ranges, too, are answered with all
    if not first:
        start, end = max(0, length - int(last)), length
    else:
        start, end = int(first), min(length, int(last) + 1 if last else length)
        if last and int(last) < int(first):
            return None
    if start >= end:
        raise HttpError(416, f"range: there are {length} bytes", content_range=f"bytes */{length}")
    return start, end
