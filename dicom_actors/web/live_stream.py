"""``GET /api/events``: what happens, as server-sent events.

``state``: how everything is, once a second; ``studies``: which have changed, null: many; ``log``:
lines, each with time, kind and text; ``lost``: that something was left out, since the client is
slow. A stream ends after some minutes, so that a token that is taken back counts; whoever listens
comes again.

Standard: HTML Living Standard 9.2.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from dicom_actors.web.asgi_channel import Receive, Scope, Send
    from dicom_actors.web.live_hub import Listener, LiveHub

__all__ = ["EventStream"]

_HEARTBEAT: Final = 15.0
_LONGEST: Final = 300.0
_ALIVE: Final = b": alive\n\n"
_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class EventStream:
    """An ASGI application; see the module.

    Args:
        hub: what is listened to.
        write_timeout: seconds in which a client must take what is sent.
        longest: seconds after which a stream ends.
    """

    def __init__(self, hub: LiveHub, write_timeout: float, *, longest: float = _LONGEST) -> None:
        self._hub = hub
        self._write_timeout = write_timeout
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client is gone."""
        if scope["method"] != "GET":
            refusal = PlainTextResponse("method: expected GET\n", 405, {"allow": "GET"})
            await refusal(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        is_there = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(is_there.set)

        listener = self._hub.listen(wake)
        if listener is None:
            text = "events: too many listen, or there is nothing to listen to now\n"
            await PlainTextResponse(text, 503, {"retry-after": "2"})(scope, receive, send)
            return
        gone = asyncio.create_task(_gone(receive))
        try:
            async with asyncio.timeout(self._longest):
                await self._put(
                    send, {"type": "http.response.start", "status": 200, "headers": _HEADERS}
                )
                await self._stream(listener, is_there, gone, send)
        except TimeoutError:
            pass  # long enough
        except (_SlowError, OSError):
            return
        finally:
            self._hub.leave(listener)
            gone.cancel()
        with contextlib.suppress(_SlowError, OSError):
            await self._put(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(
        self, listener: Listener, is_there: asyncio.Event, gone: asyncio.Task[None], send: Send
    ) -> None:
        while not gone.done() and not listener.is_closed:
            waiting = asyncio.create_task(is_there.wait())
            try:
                await asyncio.wait(
                    {waiting, gone},
                    timeout=_HEARTBEAT,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                waiting.cancel()
            is_there.clear()
            if not gone.done():
                body = listener.take() or _ALIVE
                await self._put(
                    send, {"type": "http.response.body", "body": body, "more_body": True}
                )

    async def _put(self, send: Send, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._write_timeout):
                await send(message)
        except TimeoutError as error:
            raise _SlowError from error


class _SlowError(Exception):
    """The client takes nothing."""


async def _gone(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        continue
