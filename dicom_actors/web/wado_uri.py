"""WADO-URI: one instance, named by parameters.

Standard: PS3.18 9.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dicom_actors.web.exchange import HttpError
from dicom_actors.web.routing import check_uid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.web.exchange import Request, Response
    from dicom_actors.web.frames import Frames
    from dicom_actors.web.holdings import Held
    from dicom_actors.web.retrieve import Retrieval

__all__ = ["WadoUri"]

_NAMES: Final = {"studyUID": "study", "seriesUID": "series", "objectUID": "instance"}
_KINDS: Final = ("application/dicom", "image/jpeg", "image/png", "image/gif")


class WadoUri:
    """The handler.

    Args:
        held: the archive.
        retrieval: serves objects.
        frames: serves pictures.
    """

    def __init__(self, held: Held, retrieval: Retrieval, frames: Frames) -> None:
        self._held: Final = held
        self._retrieval: Final = retrieval
        self._frames: Final = frames

    def retrieve(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve an instance, as an object or as a picture."""
        del uids
        if (request.value("requestType") or "").upper() != "WADO":
            raise HttpError(400, "requestType: expected WADO")
        found = {}
        for name, own in _NAMES.items():
            value = request.value(name)
            if value is None:
                raise HttpError(400, f"{name}: expected a UID")
            found[own] = check_uid(value, name)
        self._held.instance(found)
        kind = self._kind(request)
        if kind == "application/dicom":
            syntax = request.value("transferSyntax")
            if syntax is not None:
                check_uid(syntax, "transferSyntax")
            accept = f"{kind}; transfer-syntax={syntax or '*'}"
            return self._retrieval.one(self._as_rs(request, accept, ()), found)
        if request.value("frameNumber") is not None:
            found["frames"] = request.value("frameNumber") or ""
        query = []
        columns, rows = request.value("columns"), request.value("rows")
        if columns or rows:
            query.append(("viewport", f"{columns or rows},{rows or columns}"))
        center, width = request.value("windowCenter"), request.value("windowWidth")
        if (center is None) != (width is None):
            raise HttpError(400, "windowCenter: expected windowWidth, too, and the other way round")
        if center is not None:
            query.append(("window", f"{center},{width}"))
        quality = request.value("imageQuality")
        if quality is not None:
            query.append(("quality", quality))
        return self._frames.rendered(self._as_rs(request, kind, tuple(query)), found)

    @staticmethod
    def _kind(request: Request) -> str:
        """The media type: of the parameter; without it a picture, as the standard has it."""
        asked = request.value("contentType")
        if asked is None:
            return "image/jpeg"
        for one in asked.split(","):
            kind = one.partition(";")[0].strip().lower()
            if kind in _KINDS:
                return kind
            if kind in {"*/*", "image/*"}:
                return "image/jpeg"
        raise HttpError(406, f"contentType: there is {', '.join(_KINDS)}")

    @staticmethod
    def _as_rs(request: Request, accept: str, query: tuple[tuple[str, str], ...]) -> Request:
        headers = {**request.headers, "accept": accept}
        return replace(request, query=query, headers=headers)
