"""The page at ``/``: its files, and what it has to know of the server.

``/``, ``/page.js`` and ``/page.css`` are for everybody, as is ``/page.json``, which says whether a
token is needed; ``/forget`` has the browser forget that it was shown one. ``/api/page`` says what
may be done, and ``/api/dictionary`` the names of tags and UIDs. The page loads nothing of others,
and its policy forbids that.

Standard: Content Security Policy Level 3.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from dicom_actors import Tag, uid_name
from dicom_actors.errors import DicomError
from dicom_actors.version import __version__
from dicom_actors.web.gate import SESSION_COOKIE
from dicom_actors.web.tokens import SESSION_SECONDS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

__all__ = ["PageSettings", "page_routes"]

_FOLDER: Final = Path(__file__).parent / "page"
_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
_MOST_NAMES: Final = 500


class PageSettings(NamedTuple):
    """What the page has to know.

    Attributes:
        needs_token: whether there are tokens.
        operation_token: see `controls`; None: there is none.
        can_delete: whether studies may be deleted.
        can_operate: whether there is an endpoint.
        viewer: the path of a viewer; empty: there is none.
    """

    needs_token: bool
    operation_token: str | None
    can_delete: bool
    can_operate: bool
    viewer: str


def page_routes(settings: PageSettings) -> list[BaseRoute]:
    """Make the routes.

    Args:
        settings: what the page has to know.
    """

    def public(request: Request) -> StarletteResponse:
        del request
        return JSONResponse(
            {"needs_token": settings.needs_token, "version": __version__},
            headers={"cache-control": "no-store"},
        )

    def private(request: Request) -> StarletteResponse:
        token = request.scope.get("dicom_actors.token")
        is_admin = settings.operation_token is not None if token is None else token.allows("admin")
        paths = {getattr(route, "path", "") for route in request.app.routes}
        value = {
            "name": "" if token is None else token.name,
            "can_store": token is None or token.allows("write"),
            "can_delete": settings.can_delete and (token is None or token.allows("admin")),
            "can_operate": settings.can_operate and is_admin,
            "operation_token": settings.operation_token,
            "viewer": settings.viewer,
            "has_queues": "/api/queues" in paths,
        }
        response = JSONResponse(value, headers={"cache-control": "no-store"})
        if token is not None and settings.viewer:
            # The viewer does not know the token.
            response.set_cookie(
                SESSION_COOKIE,
                request.scope["dicom_actors.tokens"].session(token),
                max_age=SESSION_SECONDS,
                path="/dicom-web",
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="strict",
            )
        return response

    def forget(request: Request) -> StarletteResponse:
        del request
        response = StarletteResponse(status_code=204)
        response.delete_cookie(SESSION_COOKIE, path="/dicom-web", httponly=True, samesite="strict")
        return response

    routes: list[BaseRoute] = [
        Route(path, _file(name, kind)) for path, (name, kind) in _FILES.items()
    ]
    return [
        *routes,
        Route("/page.json", public),
        Route("/forget", forget, methods=["POST"]),
        Route("/api/page", private),
        Route("/api/dictionary", _dictionary),
    ]


def _file(name: str, kind: str) -> Any:
    body = (_FOLDER / name).read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_HEADERS, "content-type": kind, "etag": etag}

    async def answer(request: Request) -> StarletteResponse:
        if request.headers.get("if-none-match") == etag:
            return StarletteResponse(status_code=304, headers=headers)
        return StarletteResponse(body, headers=headers)

    return answer


def _dictionary(request: Request) -> StarletteResponse:
    """Name tags (8 digits) and UIDs, each list with commas."""
    tags, uids = (
        [one for one in request.query_params.get(name, "").split(",") if one]
        for name in ("tags", "uids")
    )
    if len(tags) + len(uids) > _MOST_NAMES:
        return JSONResponse({"error": f"expected up to {_MOST_NAMES} names"}, 400)
    found: dict[str, dict[str, Any]] = {"tags": {}, "uids": {}}
    for text in tags:
        try:
            tag = Tag(int(text, 16)) if len(text) == 8 else None
        except (ValueError, DicomError):
            tag = None
        if tag is not None:
            found["tags"][text] = [tag.keyword, tag.name]
    for text in uids:
        name = uid_name(text) if len(text) <= 64 else ""
        if name:
            found["uids"][text] = name
    return JSONResponse(found, headers={"cache-control": "private, max-age=86400"})
