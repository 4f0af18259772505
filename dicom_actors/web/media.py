"""A study as a zip file that is a DICOM file set: with a DICOMDIR, for media and other programs.

``GET /dicom-web/studies/{study}/media`` gives it. Browsers that download cannot send a token, so
``GET /api/studies/{study}/download`` gives an address below ``/download`` that is good once, for a
minute.

Standard: PS3.10 8, PS3.12 Annex V (ZIP files).
"""

from __future__ import annotations

import secrets
import threading
import zipfile
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from typing import cast as as_type

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from dicom_actors import NewDirectory, read_file, write_file
from dicom_actors.errors import DataError
from dicom_actors.web.exchange import PIECE, HttpError, Response
from dicom_actors.web.routing import check_uid
from dicom_actors.web.zip_sink import ZipSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response as StarletteResponse
    from starlette.routing import BaseRoute

    from dicom_actors.archive import StoredInstance
    from dicom_actors.web.asgi import AsgiAdapter, Receive, Scope, Send
    from dicom_actors.web.exchange import Request
    from dicom_actors.web.holdings import Held

__all__ = ["Media", "Tickets", "download_routes"]

_MOST_TICKETS: Final = 1000
_TICKET_SECONDS: Final = 60.0
_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_README: Final = b"DICOM objects. DICOMDIR lists them; what shows DICOM can open this folder.\r\n"


class Media:
    """The handler.

    Args:
        held: the archive.
    """

    def __init__(self, held: Held) -> None:
        self._held: Final = held

    def study(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a study as a file set."""
        del request
        instances = self._held.instances(uids)
        headers = {
            "content-type": "application/zip",
            "content-disposition": 'attachment; filename="study.zip"',
            "cache-control": "no-store",
        }
        return Response(200, headers, self._zipped(instances), None)

    def _zipped(self, instances: Sequence[StoredInstance]) -> Iterator[bytes]:
        """Give the zip file, piece by piece; the DICOMDIR is the last file."""
        sink = ZipSink()
        directory = NewDirectory()
        with zipfile.ZipFile(as_type("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as archive:
            for instance, path in _paths(instances):
                data = self._held.open(instance)
                try:
                    source = data if isinstance(data, memoryview) else data.as_file()
                    directory.add(read_file(source, keywords=NewDirectory.keywords), path)
                except DataError as error:
                    raise HttpError(500, "an instance is damaged") from error
                info = zipfile.ZipInfo(path, _EPOCH)
                with archive.open(info, "w", force_zip64=len(data) > 1 << 31) as entry:
                    for at in range(0, len(data), PIECE):
                        entry.write(bytes(data[at : at + PIECE]))
                        yield sink.take()
            buffer = BytesIO()
            write_file(buffer, directory.data_set(), transfer_syntax=_EXPLICIT_VR_LITTLE_ENDIAN)
            archive.writestr(zipfile.ZipInfo("DICOMDIR", _EPOCH), buffer.getvalue())
            archive.writestr(zipfile.ZipInfo("README.TXT", _EPOCH), _README)
        yield sink.take()


def _paths(instances: Sequence[StoredInstance]) -> Iterator[tuple[StoredInstance, str]]:
    """Name files as file IDs are: made of numbers, never of what came from a peer."""
    series: dict[str, int] = {}
    for number, instance in enumerate(instances, 1):
        folder = series.setdefault(instance.series_instance_uid, len(series) + 1)
        yield instance, f"DICOM/S{folder:07d}/I{number:07d}"


# --- tickets -------------------------------------------------------------------------------


class _Ticket(NamedTuple):
    study: str
    until: float


class Tickets:
    """Addresses that are good once, for a while. Any thread may use it.

    Args:
        clock: gives the time, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tickets: dict[str, _Ticket] = {}

    def issue(self, study: str) -> str:
        """Make a ticket for a study; of too many the oldest is good no more."""
        text = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._tickets) >= _MOST_TICKETS:
                del self._tickets[next(iter(self._tickets))]
            self._tickets[text] = _Ticket(study, self._clock() + _TICKET_SECONDS)
        return text

    def take(self, text: str) -> str | None:
        """Use a ticket; gives its study, None if it is not good."""
        with self._lock:
            ticket = self._tickets.pop(text, None)
        return None if ticket is None or ticket.until < self._clock() else ticket.study


def download_routes(tickets: Tickets, adapter: AsgiAdapter) -> list[BaseRoute]:
    """Make the routes.

    Args:
        tickets: what downloads are allowed by.
        adapter: DICOMweb, which has `Media`.
    """

    def issue(request: StarletteRequest) -> StarletteResponse:
        try:
            study = check_uid(request.path_params["study"], "study")
        except HttpError as error:
            return PlainTextResponse(f"{error.text}\n", error.status)
        return JSONResponse(
            {"url": f"download/{tickets.issue(study)}/study.zip"},
            headers={"cache-control": "no-store"},
        )

    return [
        Route("/api/studies/{study}/download", issue),
        Route("/download/{ticket}/study.zip", _Download(tickets, adapter)),
    ]


class _Download:
    """An ASGI application: what a ticket is for."""

    def __init__(self, tickets: Tickets, adapter: AsgiAdapter) -> None:
        self._tickets = tickets
        self._adapter = adapter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        study = None
        if scope["method"] == "GET":
            study = self._tickets.take(scope["path_params"]["ticket"])
        if study is None:
            answer: Any = PlainTextResponse("the address is good once, for a minute\n", 404)
            await answer(scope, receive, send)
            return
        inner = {**scope, "path": f"/studies/{study}/media", "root_path": "", "query_string": b""}
        await self._adapter(inner, receive, send)
