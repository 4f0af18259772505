"""Who is let in: tokens, names of the host and origins of pages.

Without tokens everybody on this machine may do what the settings allow, but not the pages of
others in a browser on it: a name of the host that is not ours (a name that somebody has pointed at
this machine) and an origin that is not ours are refused.

Standard: RFC 6750; RFC 9110 7.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dicom_actors.web.asgi_channel import IS_STILL_KNOWN, refuse_channel
from dicom_actors.web.exchange import HttpError, of_error

if TYPE_CHECKING:
    from collections.abc import Collection

    from dicom_actors.web.asgi_channel import Receive, Scope, Send
    from dicom_actors.web.tokens import Token, Tokens

__all__ = ["SESSION_COOKIE", "Gate"]

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_HOST: Final = re.compile(r"([\w.-]+|\[[\w.:%]+\])(?::\d*)?", re.ASCII)
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ADMIN: Final = "/api"
_DICOM_WEB: Final = "/dicom-web"
_WORKITEMS: Final = f"{_DICOM_WEB}/workitems/"
"""Below it subscriptions are deleted, and nothing else."""
SESSION_COOKIE: Final = "dicom-actors-session"
"""Lets viewers made by others ask, in a browser whose page was shown a token."""


class Gate:
    """An ASGI application before another one.

    Args:
        inner: the other one.
        tokens: who may ask; None: everybody.
        hosts: names of the host that are ours; None: any will do.
        origins: of pages that may change something, besides our own.
        guarded: the beginnings of paths that need a token; all else is for everybody.
    """

    def __init__(
        self,
        inner: Any,
        *,
        tokens: Tokens | None,
        hosts: Collection[str] | None,
        origins: Collection[str] = (),
        guarded: tuple[str, ...] = (_DICOM_WEB, _ADMIN),
    ) -> None:
        self._inner = inner
        self._tokens = tokens
        self._hosts = None if hosts is None else frozenset(hosts) | _LOOPBACK
        self._origins = frozenset(origins)
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or not."""
        if scope["type"] not in {"http", "websocket"}:
            await self._inner(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            self._check(scope, headers)
        except HttpError as error:
            if scope["type"] == "websocket":
                await receive()  # that it is to be opened
                await refuse_channel(scope, send, error)
                return
            response = of_error(error)
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": [
                        (name.encode("latin-1"), value.encode("latin-1"))
                        for name, value in response.headers.items()
                    ],
                }
            )
            await send({"type": "http.response.body", "body": b"".join(response.body)})
            return
        await self._inner(scope, receive, send)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            raise HttpError(421, "host: expected a name of this server")
        is_channel = scope["type"] == "websocket"
        method, path = "GET" if is_channel else scope["method"], scope["path"]
        origin = headers.get("origin")
        if (
            # A browser opens channels for the pages of any origin, and shows them what comes.
            (is_channel or method not in _READING)
            and origin is not None
            and origin not in self._origins
            and "*" not in self._origins
            and urlsplit(origin).netloc != host
        ):
            raise HttpError(403, "origin: pages of that origin may change nothing")
        is_guarded = any(path == one or path.startswith(f"{one}/") for one in self._guarded)
        if self._tokens is None or not is_guarded or method == "OPTIONS":
            return
        token = self._token(path, headers)
        if token is None:
            challenge = 'Bearer realm="dicom-actors"'
            raise HttpError(401, "authorization: expected a token", www_authenticate=challenge)
        right = "read" if method in _READING else "write"
        deletes = method == "DELETE" and not path.startswith(_WORKITEMS)
        if deletes or (path.startswith(_ADMIN) and method not in _READING):
            right = "admin"
        if not token.allows(right):
            raise HttpError(403, f"authorization: the token is not for {right}")
        if is_channel:
            scope[IS_STILL_KNOWN] = lambda: self._token(path, headers) is not None
        scope["dicom_actors.token"] = token
        scope["dicom_actors.tokens"] = self._tokens

    def _token(self, path: str, headers: dict[str, str]) -> Token | None:
        """The token that a request shows, or that its browser has shown before."""
        assert self._tokens is not None  # else nobody is asked for one
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._tokens.find(text.strip())
        if not path.startswith(f"{_DICOM_WEB}/"):
            return None
        # Pages of others have the browser send it, too, where they are on the same host.
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return None
        token = self._tokens.find_session(_cookie(headers.get("cookie", "")))
        if token is not None and token.allows("admin"):
            return token._replace(right="write")  # to delete takes the token itself
        return token


def _cookie(header: str) -> str:
    """What a browser has of us among its cookies; empty if it has nothing."""
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == SESSION_COOKIE:
            return value
    return ""


def _name_of(host: str) -> str:
    """The name in a ``Host`` header, without its port; empty if there is anything else in it."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found[1].strip("[]").lower()
