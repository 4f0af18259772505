"""The application as ASGI: for uvicorn, and for anyone's Starlette or FastAPI application.

::

    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/dicom-web", AsgiAdapter(DicomWeb(archive)))])

Work is done by threads, a piece at a time; no thread waits for a client. Where the server lends its
socket (`SENDER`), threads send what they make, and files without reading them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl

from dicom_actors.errors import FileChangedError
from dicom_actors.web.asgi_channel import run_channel
from dicom_actors.web.exchange import (
    PIECE,
    Body,
    HttpError,
    Request,
    Response,
    gathered,
    of_error,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from dicom_actors.web.asgi_channel import Receive, Scope, Send
    from dicom_actors.web.exchange import Channel, Gathered, Piece, Receiver
    from dicom_actors.web.settings import WebSettings
    from dicom_actors.web.socket_sender import SocketSender

__all__ = ["SENDER", "AsgiAdapter", "RequestInfo", "request_of"]

logger = logging.getLogger(__name__)

_MOST_PARAMETERS: Final = 1000
_DISCARDED_BYTES: Final = 4 << 20
_DISCARD_TIMEOUT: Final = 1.0
_REFUSED_FOR: Final = 8
"""How many times as long as its body took to be refused a client waits for the answer."""
_LONGEST_REFUSAL: Final = 5.0
"""Seconds of such a wait."""
SENDER: Final = "dicom_actors.sender"
"""Where a scope has a `SocketSender`, by which a body goes to its socket."""


class Application(Protocol):
    """What is adapted."""

    @property
    def settings(self) -> WebSettings:
        """The limits."""

    def begin(self, request: Request) -> Response | Receiver:
        """Answer a request, or give who takes its body."""

    def listen(self, request: Request, wake: Callable[[], object]) -> Channel:
        """Open the channel that a WebSocket is for."""


class RequestInfo(NamedTuple):
    """A request that is under way.

    Attributes:
        id: its number.
        peer: who asks.
        method: what for.
        path: of what kind; it may have UIDs in it.
        since: when it began, by the monotonic clock.
        received: bytes of its body so far.
        sent: bytes of the response so far.
    """

    id: int
    peer: str
    method: str
    path: str
    since: float
    received: int
    sent: int


class _GoneError(Exception):
    """The client is gone, or too slow."""


class AsgiAdapter:
    """See the module.

    Args:
        application: what answers.
        threads: how many requests are worked on at once.
        clock: gives the time, monotonic.
    """

    def __init__(
        self,
        application: Application,
        *,
        threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._application = application
        settings = application.settings
        self._settings = settings
        self._clock = clock
        self._threads = ThreadPoolExecutor(
            settings.threads if threads is None else threads, thread_name_prefix="dicom-web"
        )
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._requests: dict[int, RequestInfo] = {}

    def requests(self) -> list[RequestInfo]:
        """The requests that are under way."""
        with self._lock:
            return list(self._requests.values())

    def begin_early(self, function: Callable[[], object]) -> None:
        """Have a thread do something before anybody asks."""
        self._threads.submit(function)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] not in {"http", "websocket"}:
            raise ValueError(f"scope: expected http or websocket, got {scope['type']!r}")
        request = request_of(scope, self._settings.public_url)
        number = next(self._numbers)
        info = RequestInfo(number, request.peer, request.method, request.path, self._clock(), 0, 0)
        self._note(info)
        try:
            if scope["type"] == "websocket":
                await run_channel(self, request, number, scope, receive, send)
                return
            exchange = _Exchange(self, request, number, receive, send)
            exchange.sender = scope.get(SENDER)
            await exchange.run()
        except _GoneError:
            return
        finally:
            with self._lock:
                del self._requests[number]

    def _note(self, info: RequestInfo) -> None:
        with self._lock:
            self._requests[info.id] = info

    def count(self, number: int, *, received: int = 0, sent: int = 0) -> None:
        """Count bytes of a request."""
        with self._lock:
            info = self._requests[number]
            self._requests[number] = info._replace(
                received=info.received + received, sent=info.sent + sent
            )

    async def work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have something done by a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)

    async def work_to_end(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The same; who is cancelled waits for the thread, as nobody else may go on meanwhile."""
        working = asyncio.ensure_future(self.work(function, *arguments))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            raise

    def begin(self, request: Request) -> Response | Receiver:
        """Have the application answer. Runs in a thread."""
        if len(request.query) > _MOST_PARAMETERS:
            return of_error(HttpError(400, f"query: expected up to {_MOST_PARAMETERS} parameters"))
        return self._application.begin(request)

    def listen(self, request: Request, wake: Callable[[], object]) -> Channel:
        """Have the application open a channel. Runs in a thread. Raises HttpError: it does not."""
        return self._application.listen(request, wake)

    @property
    def settings(self) -> WebSettings:
        """The limits."""
        return self._settings

    @property
    def clock(self) -> Callable[[], float]:
        """Gives the time."""
        return self._clock


class _Begun(NamedTuple):
    """A response whose first piece has been made.

    Attributes:
        response: the response.
        pieces: of its body, the first of which is there; none if all of it is at hand.
    """

    response: Response
    pieces: Iterator[Gathered] = iter(())


class _Exchange:
    """A request, and what it is answered with.

    Attributes:
        sender: sends bodies; None: they are sent as messages.
    """

    def __init__(
        self, adapter: AsgiAdapter, request: Request, number: int, receive: Receive, send: Send
    ) -> None:
        self._adapter = adapter
        self._settings = adapter.settings
        self._request = request
        self._number = number
        self._receive = receive
        self._send = send
        self.sender: SocketSender | None = None
        self._has_come = False  # all of the body

    async def run(self) -> None:
        """Go through it."""
        since = self._adapter.clock()
        try:
            response = await self._answer()
        except HttpError as error:
            response = _Begun(of_error(error))
            took = self._adapter.clock() - since
            if not self._has_come:
                # What is left of the body is not read, so nothing can come behind it.
                response.response.headers["connection"] = "close"
                await self._discard()
            # Who sends such bodies one after the other leaves time for others, who are in order.
            await asyncio.sleep(min(_REFUSED_FOR * took, _LONGEST_REFUSAL))
        except _GoneError:
            raise
        except Exception:
            logger.exception("a request of the web failed")
            response = _Begun(of_error(HttpError(500, "the server failed")))
        await self._respond(response)

    async def _answer(self) -> _Begun:
        request = self._request
        self._check_length(request)
        found = await self._adapter.work_to_end(self._begin, request)
        if isinstance(found, _Begun):
            return found
        receiver: Receiver = found
        try:
            await self._take_body(receiver)
            finished: _Begun = await self._adapter.work_to_end(self._finish, receiver)
            return finished
        finally:
            await asyncio.shield(self._adapter.work(receiver.close))

    def _begin(self, request: Request) -> _Begun | Receiver:
        """Have the application answer, and begin with what it gives. Runs in a thread."""
        found = self._adapter.begin(request)
        return self._begun(found) if isinstance(found, Response) else found

    def _finish(self, receiver: Receiver) -> _Begun:
        """The same, when the body is over. Runs in a thread."""
        return self._begun(receiver.finish())

    def _begun(self, response: Response) -> _Begun:
        """Take the first piece before the status: what fails at once is told by it."""
        if isinstance(response.body, tuple) or self._request.method == "HEAD":
            return _Begun(response)
        by_socket = self.sender is not None and isinstance(response.body, Body)
        body = gathered(_pieces(response, by_socket=by_socket))
        try:
            # Not kept by anybody once they are taken: they may be open files.
            first = list(itertools.islice(body, 1))
            if all(piece.file is None and len(piece.data) < PIECE for piece in first):
                first += itertools.islice(body, 1)
                if len(first) < 2:  # it is all at hand
                    whole = tuple(piece.data for piece in first)
                    return _Begun(dataclasses.replace(response, body=whole))
            return _Begun(response, itertools.chain(first, body))
        except HttpError as error:
            _close(response)
            return _Begun(of_error(error))
        except BaseException:
            _close(response)
            raise

    def _check_length(self, request: Request) -> None:
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._settings.max_body_bytes:
            raise HttpError(413, f"expected bodies of up to {self._settings.max_body_bytes} bytes")

    async def _take_body(self, receiver: Receiver) -> None:
        settings, clock = self._settings, self._adapter.clock
        since, length = clock(), 0
        feeder = _Feeder(self._adapter, receiver)
        try:
            while True:
                message = await self._within(self._receive(), settings.body_timeout, 408)
                if message["type"] == "http.disconnect":
                    raise _GoneError
                self._has_come = not message.get("more_body", False)
                data = message.get("body", b"")
                if data:
                    length += len(data)
                    if length > settings.max_body_bytes:
                        raise HttpError(
                            413, f"expected bodies of up to {settings.max_body_bytes} bytes"
                        )
                    self._adapter.count(self._number, received=len(data))
                    await feeder.take(data)
                if self._has_come:
                    await feeder.finish()
                    return
                if clock() - since > settings.body_timeout + length / settings.min_body_rate:
                    raise HttpError(408, f"expected {settings.min_body_rate} bytes in a second")
        finally:
            await feeder.stop()

    async def _discard(self) -> None:
        """Read on for a moment: who still sends would lose the answer with the connection."""
        left = _DISCARDED_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_TIMEOUT):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    async def _within(self, waiting: Awaitable[Any], seconds: float, status: int) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError as error:
            if status == 0:
                raise _GoneError from error
            raise HttpError(status, f"expected more within {seconds:g} seconds") from error

    async def _respond(self, begun: _Begun) -> None:
        response, pieces = begun
        headers = dict(response.headers)
        headers.setdefault("x-content-type-options", "nosniff")
        is_head = self._request.method == "HEAD"
        if response.length is not None and response.status not in {204, 304}:
            headers["content-length"] = str(response.length)
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in headers.items()
            ],
        }
        if isinstance(response.body, tuple):
            # All of it is at hand, so that no thread is needed.
            whole = b"" if is_head else b"".join(response.body)
            await self._put(start)
            await self._put(_message(whole, is_last=True))
            self._adapter.count(self._number, sent=len(whole))
            return
        is_over = False
        try:
            await self._put(start)
            if self.sender is not None and isinstance(response.body, Body) and not is_head:
                await self._send_pieces(self.sender, pieces)
            else:
                piece = next(pieces, None)  # which is there
                while piece is not None:
                    await self._put(_message(piece.data, is_last=False))
                    self._adapter.count(self._number, sent=len(piece.data))
                    piece = await self._adapter.work_to_end(next, pieces, None)
            is_over = not is_head
            await self._put(_message(b"", is_last=True))
        except HttpError as error:
            # It has begun: that it ends too soon is all that can be told.
            logger.warning("a response of the web ended too soon: %s", error.text)
            raise
        finally:
            if not is_over:
                with suppress(Exception):
                    await asyncio.shield(self._adapter.work(_close, response))

    async def _send_pieces(self, sender: SocketSender, pieces: Iterator[Gathered]) -> None:
        seconds = self._settings.write_timeout
        try:
            await self._within(sender.open(), seconds, 0)
            while not sender.is_over:
                length = await self._adapter.work_to_end(sender.send, pieces)
                sender.sent(length)
                self._adapter.count(self._number, sent=length)
                if sender.is_full:
                    await self._within(sender.writable(), seconds, 0)
        except FileChangedError:
            raise
        except OSError as error:
            raise _GoneError from error
        finally:
            sender.close()

    async def _put(self, message: dict[str, Any]) -> None:
        try:
            await self._within(self._send(message), self._settings.write_timeout, 0)
        except OSError as error:
            raise _GoneError from error


class _Feeder:
    """Feeds a receiver by a thread, while more comes: up to `PIECE` bytes, and what came with them.

    What comes meanwhile is fed at once, as each way to a thread costs more than to receive it.
    """

    def __init__(self, adapter: AsgiAdapter, receiver: Receiver) -> None:
        self._adapter = adapter
        self._receiver = receiver
        self._pieces: list[bytes] = []
        self._length = 0
        self._feeding: asyncio.Future[None] | None = None

    async def take(self, data: bytes) -> None:
        """Take a piece; waits while too much is not fed yet. Raises HttpError: it is refused."""
        self._pieces.append(data)
        self._length += len(data)
        if self._feeding is not None and (self._feeding.done() or self._length >= PIECE):
            await self._fed()
        if self._feeding is None:
            self._begin()

    async def finish(self) -> None:
        """All has come; raises as `take` does."""
        await self._fed()
        if self._pieces:
            self._begin()
            await self._fed()

    async def stop(self) -> None:
        """Wait for the thread; what is not fed is forgotten."""
        if self._feeding is not None:
            await asyncio.wait([self._feeding])
            with suppress(Exception):
                self._feeding.result()

    def _begin(self) -> None:
        pieces, self._pieces, self._length = self._pieces, [], 0
        work = self._adapter.work(_feed, self._receiver, pieces)
        self._feeding = asyncio.ensure_future(work)

    async def _fed(self) -> None:
        feeding, self._feeding = self._feeding, None
        if feeding is not None:
            try:
                await asyncio.shield(feeding)
            except asyncio.CancelledError:
                self._feeding = feeding
                raise


def _feed(receiver: Receiver, pieces: list[bytes]) -> None:
    for piece in pieces:
        receiver.feed(piece)


def _message(body: bytes, *, is_last: bool) -> dict[str, Any]:
    """What a server is given of a body."""
    return {"type": "http.response.body", "body": body, "more_body": not is_last}


def _pieces(response: Response, *, by_socket: bool) -> Iterable[Piece]:
    """The pieces of a body; those of files are read where no socket is sent to."""
    return response.body.pieces if by_socket and isinstance(response.body, Body) else response.body


def _close(response: Response) -> None:
    close = getattr(response.body, "close", None)
    if close is not None:
        close()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def request_of(scope: Scope, public_url: str) -> Request:
    """Make a request of what ASGI says of it.

    Args:
        scope: the scope.
        public_url: see `WebSettings`.
    """
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    if root and (path.startswith(f"{root}/") or path == root):
        path = path[len(root) :]
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = tuple(
        parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    )
    client = scope.get("client")
    return Request(
        scope.get("method", "WEBSOCKET"),
        path or "/",
        (public_url.rstrip("/") or _address(scope)) + root,
        query,
        headers,
        f"{client[0]}:{client[1]}" if client else "",
    )


def _address(scope: Scope) -> str:
    """The address that the connection came to: what a client says of it is not to be trusted."""
    host, port = scope.get("server") or ("localhost", None)
    scheme = scope.get("scheme", "http")
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{host}" + ("" if port in {None, usual} else f":{port}")
