"""A channel as ASGI: what a client is told, over a WebSocket.

What comes is sent on at once; nothing waits for a client but its own channel. What a client says
means nothing, and one that says a lot is sent away, as is one that takes nothing.

Standard: RFC 6455; PS3.18 8.10.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors.web.exchange import HttpError, of_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from dicom_actors.web.exchange import Channel, Request
    from dicom_actors.web.settings import WebSettings

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

__all__ = ["IS_STILL_KNOWN", "refuse_channel", "run_channel"]

logger = logging.getLogger(__name__)

IS_STILL_KNOWN: Final = "dicom_actors.is_still_known"
"""In a scope: says whether who has opened a channel might open it now."""

_LOOKING: Final = 15.0
"""Seconds after which that is asked again."""
_MOST_SAID: Final = 600
"""Messages that a client may send, in a minute of its channel."""
_GOING_AWAY: Final = 1001
_POLICY: Final = 1008
_FAILED: Final = 1011


class Adapter(Protocol):
    """What a channel needs of who adapts an application."""

    @property
    def settings(self) -> WebSettings:
        """The limits."""

    def listen(self, request: Request, wake: Callable[[], object]) -> Channel:
        """Have the application open a channel."""

    async def work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have something done by a thread."""

    def count(self, number: int, *, received: int = 0, sent: int = 0) -> None:
        """Count bytes of a request."""


async def run_channel(
    adapter: Adapter, request: Request, number: int, scope: Scope, receive: Receive, send: Send
) -> None:
    """Open a channel, and tell what comes, until either side has enough.

    Args:
        adapter: does what may take time.
        request: asks for the channel.
        number: of the request.
        scope: see ASGI.
        receive: see ASGI.
        send: see ASGI.
    """
    loop = asyncio.get_running_loop()
    is_there = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(is_there.set)

    await receive()  # that it is to be opened
    try:
        channel: Channel = await adapter.work(adapter.listen, request, wake)
    except HttpError as error:
        await refuse_channel(scope, send, error)
        return
    telling = _Telling(adapter, channel, number, send, is_there)
    try:
        await send({"type": "websocket.accept"})
        await telling.run(receive, scope.get(IS_STILL_KNOWN, lambda: True))
    except (TimeoutError, OSError):
        pass  # the client is gone, or takes nothing
    finally:
        await asyncio.shield(adapter.work(channel.close))


async def refuse_channel(scope: Scope, send: Send, error: HttpError) -> None:
    """Say why there is no channel, where the server can say it."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY, "reason": error.text[:100]})
        return
    response = of_error(error)
    headers = {**response.headers, "content-length": str(response.length), "connection": "close"}
    named = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]
    status = response.status
    await send({"type": "websocket.http.response.start", "status": status, "headers": named})
    await send({"type": "websocket.http.response.body", "body": b"".join(response.body)})


class _Telling:
    """Sends what there is to take."""

    def __init__(
        self,
        adapter: Adapter,
        channel: Channel,
        number: int,
        send: Send,
        is_there: asyncio.Event,
    ) -> None:
        self._adapter = adapter
        self._channel = channel
        self._number = number
        self._send = send
        self._is_there = is_there
        self._is_gone = False
        self._said = 0

    async def run(self, receive: Receive, is_still_known: Callable[[], bool]) -> None:
        """Send until it is over. Raises OSError or TimeoutError: the client is gone."""
        hearing = asyncio.create_task(self._hear(receive))
        looking = asyncio.get_running_loop().time() + _LOOKING
        self._is_there.set()
        try:
            while not self._is_gone:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(looking):
                        await self._is_there.wait()
                self._is_there.clear()
                if asyncio.get_running_loop().time() >= looking:
                    looking += _LOOKING
                    self._said -= min(self._said, int(_MOST_SAID * _LOOKING / 60))
                    if not await self._adapter.work(is_still_known):
                        await self._close(_POLICY, "who asks is known no more")
                        return
                if self._said > _MOST_SAID:
                    await self._close(_POLICY, "expected a client that listens")
                    return
                await self._tell()
                if self._channel.is_closed:
                    await self._close(self._channel.code, self._channel.reason)
                    return
        finally:
            hearing.cancel()

    async def _tell(self) -> None:
        while not self._is_gone and not self._channel.is_closed:
            try:
                message = await self._adapter.work(self._channel.take)
            except Exception:
                logger.exception("a channel of the web failed")
                await self._close(_FAILED, "the server failed")
                self._is_gone = True
                return
            if message is None:
                return
            await self._put({"type": "websocket.send", "text": message})
            self._adapter.count(self._number, sent=len(message))

    async def _hear(self, receive: Receive) -> None:
        """Throw away what the client says, until it is gone, or has said too much."""
        try:
            while (await receive())["type"] != "websocket.disconnect":
                self._said += 1
                if self._said > _MOST_SAID:
                    return  # so that no more of it is read
            self._is_gone = True
        except BaseException:
            self._is_gone = True
            raise
        finally:
            self._is_there.set()

    async def _close(self, code: int, reason: str) -> None:
        await self._put({"type": "websocket.close", "code": code, "reason": reason})

    async def _put(self, message: dict[str, Any]) -> None:
        async with asyncio.timeout(self._adapter.settings.write_timeout):
            await self._send(message)
