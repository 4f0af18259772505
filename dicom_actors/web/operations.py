"""Operations by HTTP, below ``/api``: how the archive and the actors are, as JSON.

``GET /api/status``: counts, disk, endpoint; ``/api/tree``: the supervision tree, that of
the archive in it;
``/api/associations``: those that are open; ``/api/requests``: those of the web that are under way;
``/api/queues``: what waits to be sent on, by destination.
"""

from __future__ import annotations

import contextlib
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse
from starlette.routing import Route

from dicom_actors import messages
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pykka
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dicom_actors.archive import Archive
    from dicom_actors.web.asgi import AsgiAdapter

__all__ = ["operations", "plain"]

_TIMEOUT: Final = 10.0


def operations(
    archive: Archive, adapter: AsgiAdapter, endpoint: pykka.ActorRef[Any] | None
) -> list[BaseRoute]:
    """Make the routes.

    Args:
        archive: the archive.
        adapter: knows the requests of the web.
        endpoint: the endpoint beside it; None: there is none.
    """

    def ask(message: Any) -> Any:
        if endpoint is None:
            return None
        try:
            return plain(endpoint.ask(message, timeout=_TIMEOUT))
        except Exception as error:  # noqa: BLE001 - it may be gone: that is the answer
            return {"error": type(error).__name__}

    def status(request: Request) -> Response:
        del request
        try:
            stats = archive.stats()._asdict()
        except (ArchiveError, OSError) as error:
            stats = {"error": getattr(error, "reason", "the folder cannot be reached")}
        return JSONResponse({"archive": stats, "endpoint": ask(messages.GetStatus())})

    def queues(request: Request) -> Response:
        del request
        try:
            return JSONResponse([one._asdict() for one in archive.queues()])
        except ArchiveError as error:
            return JSONResponse({"error": error.reason}, status_code=503)

    def asking(message: Any) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            del request
            return JSONResponse(ask(message))

        return answer

    def tree(request: Request) -> Response:
        del request
        found = ask(messages.GetTree())
        if isinstance(found, dict) and "children" in found:
            with contextlib.suppress(ArchiveError):  # its supervisor is busy, or about to end
                found["children"].append(plain(archive.tree()))
        return JSONResponse(found)

    def requests(request: Request) -> Response:
        del request
        return JSONResponse([one._asdict() for one in adapter.requests()])

    return [
        Route("/api/status", status),
        Route("/api/tree", tree),
        Route("/api/associations", asking(messages.ListAssociations())),
        Route("/api/requests", requests),
        Route("/api/queues", queues),
    ]


def plain(value: Any) -> Any:
    """Make of an answer what JSON has a form for; references to actors are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name != "ref"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, str | int | float | bool | None) else str(value)
