"""STOW-RS: objects come as parts of a body, and are kept one by one.

Standard: PS3.18 10.5.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from dicom_actors.web.accept import Offer, choose, parse_content_type
from dicom_actors.web.exchange import DICOM_JSON, HttpError, Response
from dicom_actors.web.media_types import OCTETS
from dicom_actors.web.multipart import Limits, MultipartReader, PartData, PartStart
from dicom_actors.web.stow_json import JSON_TYPES, MetadataAndBulkData
from dicom_actors.web.stow_session import NOT_SUPPORTED, OUT_OF_RESOURCES, PartSpool, Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.archive import Archive
    from dicom_actors.web.exchange import Receiver, Request
    from dicom_actors.web.settings import WebSettings

__all__ = ["Storing"]

_DICOM: Final = "application/dicom"
_KEEPERS: Final = 16


class Storing:
    """The handler of stores.

    Args:
        archive: where to.
        settings: the limits.
    """

    def __init__(self, archive: Archive, settings: WebSettings) -> None:
        self._archive: Final = archive
        self._settings: Final = settings
        self._keepers: Final = ThreadPoolExecutor(_KEEPERS, thread_name_prefix="stow")

    def close(self) -> None:
        """Let go of the threads."""
        self._keepers.shutdown(wait=True)

    def store(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Begin to take objects.

        Raises:
            HttpError: 415, the body is none that can be read; 400, its type says no boundary.
        """
        choose(request, [Offer(DICOM_JSON), Offer("application/json")])
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise HttpError(415, "content-encoding: expected none", accept_encoding="identity")
        kind, parameters = parse_content_type(request.headers.get("content-type", ""))
        study = uids.get("study", "")
        base_url = request.base_url
        if kind == _DICOM:
            return _Single(self._session(study, base_url))
        if kind != "multipart/related":
            raise HttpError(
                415,
                'content-type: expected multipart/related; type="application/dicom" or'
                ' type="application/dicom+json", or application/dicom',
            )
        inner = parameters.get("type", _DICOM).strip().lower()
        if "boundary" not in parameters:
            raise HttpError(400, "content-type: expected a boundary")
        limits = Limits(parts=self._settings.max_parts)
        reader = MultipartReader(parameters["boundary"], limits)
        session = self._session(study, base_url)
        if inner == _DICOM:
            return _Objects(reader, session)
        if inner in JSON_TYPES:
            return MetadataAndBulkData(reader, session)
        raise HttpError(415, "content-type: expected parts of application/dicom or dicom+json")

    def _session(self, study: str, base_url: str) -> Session:
        return Session(self._archive, self._settings, self._keepers, study, base_url)


class _Single:
    """The body is one object."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._spool = session.spool()

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self._spool.write(data)

    def finish(self) -> Response:
        """Keep it."""
        self._session.keep(self._spool)
        return self._session.response()

    def close(self) -> None:
        """Forget what is not kept."""
        self._session.close()
        self._spool.remove()


class _Objects:
    """The parts of the body are objects."""

    def __init__(self, reader: MultipartReader, session: Session) -> None:
        self._reader = reader
        self._session = session
        self._spool: PartSpool | None = None
        self._refusal = 0  # why the part is none of those that are kept

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        for event in self._reader.feed(data):
            if isinstance(event, PartStart):
                kind, _ = parse_content_type(event.headers.get("content-type", _DICOM))
                # Some say application/octet-stream, or nothing.
                is_object = kind in {_DICOM, OCTETS, ""}
                self._spool = self._session.spool() if is_object else None
                self._refusal = NOT_SUPPORTED
            elif isinstance(event, PartData):
                self._write(event.data)
            elif self._spool is not None:
                spool, self._spool = self._spool, None
                self._session.keep(spool)
            else:
                self._session.refuse(self._refusal)

    def _write(self, data: bytes | memoryview) -> None:
        if self._spool is None:
            return
        try:
            self._spool.write(data)
        except HttpError as error:
            if error.status != 507:
                raise
            # For a smaller one there may be room, and of those before it has to be said that they
            # are kept.
            self._spool.remove()
            self._spool, self._refusal = None, OUT_OF_RESOURCES

    def finish(self) -> Response:
        """Say what came of them."""
        self._reader.finish()
        return self._session.response()

    def close(self) -> None:
        """Forget what is not whole, and wait for the rest."""
        if self._spool is not None:
            self._spool.remove()
        self._session.close()
