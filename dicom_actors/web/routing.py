"""Which handler a request is for: by its method and its path.

A path is a pattern such as ``/studies/{study}/series``. What stands in braces is a UID where it is
named as one, and is checked here, so that no handler sees anything else.

Standard: PS3.18 10, 8.9.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.web.exchange import HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dicom_actors.web.exchange import Receiver, Request, Response

    Handler = Callable[[Request, Mapping[str, str]], Response | Receiver]

__all__ = ["UIDS", "Route", "Router", "methods_of"]

UIDS: Final = {"study": "Study", "series": "Series", "instance": "SOP", "workitem": "SOP"}
"""The names of UIDs in patterns."""

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONGEST: Final = 2048


class Route(NamedTuple):
    """A method, a pattern, and who handles that."""

    method: str
    pattern: tuple[str, ...]
    handler: Handler

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """Take the names out of a path; None if it is another one."""
        pattern = self.pattern
        is_open = pattern[-1:] == ("{*}",)
        if len(segments) < len(pattern) if is_open else len(segments) != len(pattern):
            return None
        found = {}
        for part, segment in zip(pattern, segments, strict=False):
            if part == "{*}":
                found["rest"] = "/".join(segments[len(pattern) - 1 :])
            elif part.startswith("{"):
                found[part[1:-1]] = segment
            elif part != segment:
                return None
        return found


class Router:
    """Routes."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Add a route; of several that match, the first one counts."""
        self.routes.append(Route(method, _segments(pattern), handler))

    def matching(self, request: Request) -> list[tuple[Route, dict[str, str]]]:
        """Find all routes of a request's path, whatever its method, and what the path names.

        Raises:
            HttpError: 404, there is no such path.
        """
        if len(request.path) > _LONGEST:
            raise HttpError(414, f"path: expected up to {_LONGEST} characters")
        segments = _segments(request.path)
        matching = [
            (route, found) for route in self.routes if (found := route.match(segments)) is not None
        ]
        if not matching:
            raise HttpError(404, "path: there is nothing of that name")
        return matching

    def find(self, request: Request) -> tuple[Handler, dict[str, str]]:
        """Find the handler of a request.

        Raises:
            HttpError: 404, there is no such path; 405, not with that method; 400, a UID is none.
        """
        matching = self.matching(request)
        method = "GET" if request.method == "HEAD" else request.method
        for route, found in matching:
            if route.method == method:
                for name, value in found.items():
                    if name in UIDS:
                        check_uid(value, name)
                return route.handler, found
        allowed = methods_of(route for route, _ in matching)
        raise HttpError(405, f"method: expected {allowed}", allow=allowed)


def methods_of(routes: Iterable[Route]) -> str:
    """Name the methods of routes, as the header ``Allow`` does."""
    methods = {route.method for route in routes} | {"OPTIONS"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def check_uid(text: str, name: str) -> str:
    """Check a UID (PS3.5 9.1), and give it.

    Raises:
        HttpError: 400, it is none.
    """
    if len(text) > 64 or not text.isascii() or not _UID.fullmatch(text):
        raise HttpError(400, f"{name}: expected a UID of up to 64 digits and dots")
    return text


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/")) if path.strip("/") else ()
