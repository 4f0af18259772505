"""Operations that change something, below ``/api``: for people with a page, and for scripts.

``POST /api/operations/suspend``, ``/resume`` and ``/drain`` (``{"deadline": seconds}``), and
``POST /api/associations/{id}/abort``. Each needs a token that is for ``admin``. Where there are no
tokens, it needs the one that `page_routes` gives to pages of this server alone, in the header
``X-Operation-Token``; and if others than this machine may reach the server without tokens, there
are no such operations. A page of another site may never do any of it, whatever it knows.

Standard: Fetch Metadata Request Headers 2; RFC 6454.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pykka
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from dicom_actors import messages
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

__all__ = ["controls"]

_TIMEOUT: Final = 10.0
_MOST_BYTES: Final = 1024
_LONGEST_DRAIN: Final = 86_400.0
_DRAIN: Final = 30.0
_LONGEST_ID: Final = 15


class _RefusedError(Exception):
    """It is not done.

    Args:
        status: of the response.
        text: why.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def controls(
    endpoint: pykka.ActorRef[Any], *, has_tokens: bool, operation_token: str | None
) -> list[BaseRoute]:
    """Make the routes.

    Args:
        endpoint: what is operated.
        has_tokens: whether who asks was let in by a token of their own.
        operation_token: that of our pages, where there are no others; None: there is none.
    """

    def check(request: Request) -> None:
        _check_origin(request)
        if has_tokens:
            return  # the gate has seen to it
        if operation_token is None:
            raise _RefusedError(403, "operations need tokens, since others can reach this server")
        given = request.headers.get("x-operation-token", "")
        if not hmac.compare_digest(given.encode(), operation_token.encode()):
            raise _RefusedError(403, "X-Operation-Token: expected the one of this server's page")

    def ask(message: Any) -> Any:
        try:
            return endpoint.ask(message, timeout=_TIMEOUT)
        except pykka.ActorDeadError as error:
            raise _RefusedError(503, "the endpoint has ended") from error
        except pykka.Timeout as error:
            raise _RefusedError(504, "the endpoint does not answer") from error
        except DicomError as error:
            raise _RefusedError(409, str(error)) from error

    def answering(work: Callable[[Request, dict[str, Any]], dict[str, Any]]) -> Any:
        async def answer(request: Request) -> Response:
            try:
                check(request)
                body = await _body(request)
                return JSONResponse(await run_in_threadpool(work, request, body))
            except _RefusedError as error:
                return JSONResponse({"error": error.text}, error.status)

        return answer

    def suspend(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        del request, body
        ask(messages.Suspend())
        return {"state": "suspended"}

    def resume(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        del request, body
        ask(messages.Resume())
        return {"state": "running"}

    def drain(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        del request
        deadline = body.get("deadline", _DRAIN)
        is_number = isinstance(deadline, int | float) and not isinstance(deadline, bool)
        if not is_number or not 0 <= deadline <= _LONGEST_DRAIN:
            raise _RefusedError(400, f"deadline: expected 0 to {_LONGEST_DRAIN:g} seconds")
        # How it ends is to be seen in the state; nobody waits for it here.
        try:
            endpoint.ask(messages.Drain(float(deadline)), block=False)
        except pykka.ActorDeadError as error:
            raise _RefusedError(503, "the endpoint has ended") from error
        return {"state": "draining", "deadline": deadline}

    def abort(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        del body
        text = request.path_params["id"]
        if not text.isascii() or not text.isdecimal() or len(text) > _LONGEST_ID:
            raise _RefusedError(400, "association: expected its number")
        if not ask(messages.AbortAssociation(int(text))):
            raise _RefusedError(404, "there is no such association")
        return {"aborted": int(text)}

    return [
        Route("/api/operations/suspend", answering(suspend), methods=["POST"]),
        Route("/api/operations/resume", answering(resume), methods=["POST"]),
        Route("/api/operations/drain", answering(drain), methods=["POST"]),
        Route("/api/associations/{id}/abort", answering(abort), methods=["POST"]),
    ]


def _check_origin(request: Request) -> None:
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise _RefusedError(403, "origin: pages of other sites may operate nothing")
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise _RefusedError(403, "pages of other sites may operate nothing")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Which no form of a page can send.
        raise _RefusedError(415, "content-type: expected application/json")


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > _MOST_BYTES:
            raise _RefusedError(413, f"expected up to {_MOST_BYTES} bytes")
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, "expected an object of JSON") from error
    if not isinstance(value, dict):
        raise _RefusedError(400, "expected an object of JSON")
    return value
