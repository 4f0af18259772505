"""A study as a zip file that is a DICOM file set: with a DICOMDIR, for media and other programs.

``GET /dicom-web/studies/{study}/media`` gives it, and with ``?deidentified=true`` without what
identifies the patient; what cannot be cleaned is left out, and README.TXT says so. Browsers that
download cannot send a token, so ``GET /api/studies/{study}/download`` gives an address below
``/download`` that is good once, for a minute.

Standard: PS3.10 8, PS3.12 Annex V (ZIP files), PS3.15 Annex E.
"""

from __future__ import annotations

import secrets
import threading
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from typing import cast as as_type

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from dicom_actors import NewDirectory, file_pieces, write_file
from dicom_actors.deidentification import Deidentifier
from dicom_actors.errors import ConfigurationError, DataError, NotCleanError
from dicom_actors.web.exchange import Body, HttpError, Response, pieces_of
from dicom_actors.web.routing import check_uid
from dicom_actors.web.zip_sink import ZipSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response as StarletteResponse
    from starlette.routing import BaseRoute

    from dicom_actors import DataSet
    from dicom_actors.archive import StoredInstance
    from dicom_actors.archive.files import UnreadBytes
    from dicom_actors.web.asgi import AsgiAdapter
    from dicom_actors.web.asgi_channel import Receive, Scope, Send
    from dicom_actors.web.exchange import Request
    from dicom_actors.web.holdings import Held
    from dicom_actors.web.settings import WebSettings

__all__ = ["Media", "Tickets", "deidentifier_of", "download_routes"]

_MOST_TICKETS: Final = 1000
_TICKET_SECONDS: Final = 60.0
_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_README: Final = "DICOM objects. DICOMDIR lists them; what shows DICOM can open this folder.\r\n"
_CLEANED: Final = "What identified the patient was removed (PS3.15 Annex E).\r\n"
_LEFT_OUT: Final = "Left out, since it cannot be removed from them: {}.\r\n"


def deidentifier_of(settings: WebSettings) -> Deidentifier:
    """Make what cleans downloads.

    Raises:
        ConfigurationError: the key cannot be read, or is empty.
    """
    key: bytes = secrets.token_bytes(32)
    if settings.deidentification_salt_file:
        try:
            with Path(settings.deidentification_salt_file).open("rb") as file:
                key = file.readline(1 << 16).strip()
        except OSError as error:
            raise ConfigurationError(
                f"deidentification_salt_file: {error.strerror or type(error).__name__}"
            ) from error
        if not key:
            raise ConfigurationError("deidentification_salt_file: its first line is empty")
    return Deidentifier(
        options=settings.deidentification_options, salt=key, decompress=_decompress()
    )


def _decompress() -> Callable[[DataSet], DataSet] | None:
    try:
        from dicom_actors.pixels import decompress  # noqa: PLC0415 - needs an extra
    except ImportError:
        return None
    return partial(decompress, lazily=True)


class Media:
    """The handler.

    Args:
        held: the archive.
        deidentifier: what cleans the objects of those who ask for that.
    """

    def __init__(self, held: Held, deidentifier: Deidentifier) -> None:
        self._held: Final = held
        self._deidentifier: Final = deidentifier

    def study(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a study as a file set."""
        is_cleaned = _is_true(request.value("deidentified"))
        instances = self._held.instances(uids)
        name = "deidentified" if is_cleaned else "study"
        headers = {
            "content-type": "application/zip",
            "content-disposition": f'attachment; filename="{name}.zip"',
            "cache-control": "no-store",
        }
        return Response(200, headers, self._zipped(instances, is_cleaned=is_cleaned), None)

    def _zipped(self, instances: Sequence[StoredInstance], *, is_cleaned: bool) -> Iterator[bytes]:
        """Give the zip file, piece by piece; the DICOMDIR is the last file but one."""
        sink = ZipSink()
        directory = NewDirectory()
        left_out = 0
        with zipfile.ZipFile(as_type("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as archive:
            for instance, path in _paths(instances):
                try:
                    if is_cleaned:
                        known = self._deidentifier.deidentify(self._held.data_set(instance))
                        pieces = file_pieces(known)
                    else:
                        data = self._held.open(instance)
                        known = self._held.keywords_of(instance, data, NewDirectory.keywords)
                        pieces = [data]
                    directory.add(known, path)
                except NotCleanError:
                    left_out += 1
                    continue
                except DataError as error:
                    raise HttpError(500, "an instance is damaged") from error
                info = zipfile.ZipInfo(path, _EPOCH)
                # How long it is going to be, not all say who make it as it is taken.
                is_long = not isinstance(pieces, list) or sum(map(len, pieces)) > 1 << 31
                with archive.open(info, "w", force_zip64=is_long) as entry:
                    for piece in _told(pieces):
                        entry.write(piece)
                        yield sink.take()
            buffer = BytesIO()
            write_file(buffer, directory.data_set(), transfer_syntax=_EXPLICIT_VR_LITTLE_ENDIAN)
            archive.writestr(zipfile.ZipInfo("DICOMDIR", _EPOCH), buffer.getvalue())
            readme = _README + _CLEANED * is_cleaned
            readme += _LEFT_OUT.format(left_out) if left_out else ""
            archive.writestr(zipfile.ZipInfo("README.TXT", _EPOCH), readme)
        yield sink.take()


def _told(pieces: Iterable[memoryview | bytes | UnreadBytes]) -> Iterator[bytes]:
    """Take pieces, up to `PIECE` bytes at once; have HTTP tell what is wrong with one."""
    try:
        yield from Body(part for piece in pieces for part in pieces_of(piece))
    except OSError as error:
        raise HttpError(503, "the file cannot be read now") from error
    except DataError as error:
        raise HttpError(500, "an instance is damaged") from error


def _paths(instances: Sequence[StoredInstance]) -> Iterator[tuple[StoredInstance, str]]:
    """Name files as file IDs are: made of numbers, never of what came from a peer."""
    series: dict[str, int] = {}
    for number, instance in enumerate(instances, 1):
        folder = series.setdefault(instance.series_instance_uid, len(series) + 1)
        yield instance, f"DICOM/S{folder:07d}/I{number:07d}"


def _is_true(value: str | None) -> bool:
    """Say what ``deidentified=`` means.

    Raises:
        HttpError: neither yes nor no: nobody is given what he did not mean.
    """
    if value not in {None, "true", "false"}:
        raise HttpError(400, "deidentified: expected true or false")
    return value == "true"


# --- tickets -------------------------------------------------------------------------------


class _Ticket(NamedTuple):
    path: str
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

    def issue(self, path: str) -> str:
        """Make a ticket for a path of DICOMweb; of too many the oldest is good no more."""
        text = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._tickets) >= _MOST_TICKETS:
                del self._tickets[next(iter(self._tickets))]
            self._tickets[text] = _Ticket(path, self._clock() + _TICKET_SECONDS)
        return text

    def take(self, text: str) -> str | None:
        """Use a ticket; gives its path, None if it is not good."""
        with self._lock:
            ticket = self._tickets.pop(text, None)
        return None if ticket is None or ticket.until < self._clock() else ticket.path


def download_routes(tickets: Tickets, adapter: AsgiAdapter) -> list[BaseRoute]:
    """Make the routes.

    Args:
        tickets: what downloads are allowed by.
        adapter: DICOMweb, which has `Media`.
    """

    def issue(request: StarletteRequest) -> StarletteResponse:
        try:
            study = check_uid(request.path_params["study"], "study")
            is_cleaned = _is_true(request.query_params.get("deidentified"))
        except HttpError as error:
            return PlainTextResponse(f"{error.text}\n", error.status)
        path = f"/studies/{study}/media" + ("?deidentified=true" if is_cleaned else "")
        return JSONResponse(
            {"url": f"download/{tickets.issue(path)}/study.zip"},
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
        found = None
        if scope["method"] == "GET":
            found = self._tickets.take(scope["path_params"]["ticket"])
        if found is None:
            answer: Any = PlainTextResponse("the address is good once, for a minute\n", 404)
            await answer(scope, receive, send)
            return
        path, _, query = found.partition("?")
        inner = {**scope, "path": path, "root_path": "", "query_string": query.encode()}
        await self._adapter(inner, receive, send)
