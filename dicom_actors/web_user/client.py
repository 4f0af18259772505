"""What a user asks of a DICOMweb server. PS3.18 10.4 to 10.6."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import quote, urlencode

from dicom_actors.data import DataSet, read_file
from dicom_actors.data.dataset.data_set import Sequence
from dicom_actors.data.dictionary import keyword_of
from dicom_actors.data.files.part10 import file_meta_header
from dicom_actors.data.forms.text import value_text
from dicom_actors.errors import AssociationError, DicomError, shown
from dicom_actors.storage.outgoing import OutgoingObject, outgoing_object
from dicom_actors.storage.results import StoreResult
from dicom_actors.web.exchange import HttpError
from dicom_actors.web.multipart import (
    Limits,
    MultipartReader,
    Part,
    PartData,
    PartEnd,
    PartStart,
    write_parts,
)
from dicom_actors.web_user.answers import DICOM_JSON, data_sets, stored
from dicom_actors.web_user.http import Connection, WebError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from dicom_actors.storage.outgoing import Piece, Storable
    from dicom_actors.web_user.http import Response

__all__ = ["WebClient"]

_PIECE: Final = 1 << 20
_DICOM: Final = "application/dicom"
_PAGE: Final = 500
_MOST_OBJECTS_AT_ONCE: Final = 100
_MOST_BYTES_AT_ONCE: Final = 32 << 20
_LEVELS: Final = {"STUDY": "studies", "SERIES": "series", "IMAGE": "instances"}
_ONE: Final = (DataSet, OutgoingObject, bytes, bytearray, memoryview, str, os.PathLike)
_PARTS: Final = Limits(parts=10_000_000)


class WebClient:
    """A DICOMweb server, as its users see it.

    Args:
        url: the root of its DICOMweb, such as ``https://pacs.example.org/dicom-web``; an address
            without a path stands for that path.
        token: a token that says who asks; None: nobody.
        tls: what https needs; None: the authorities of the system are trusted.
        timeout: seconds for each step.
        max_object_bytes: of an object that is retrieved; what is longer is refused.

    Raises:
        ConfigurationError: `url` is no such address, `token` no token, or `timeout` no time.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        max_object_bytes: int = 4 << 30,
    ) -> None:
        self._connection = Connection(url, token=token, tls=tls, timeout=timeout)
        self._max_object_bytes = max_object_bytes
        self._failure: AssociationError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what is asked next opens another one."""
        self._connection.close()

    # --- storing -----------------------------------------------------------------------------

    def store(self, sources: Storable | Iterable[Storable]) -> Iterator[StoreResult]:
        """Store objects, some dozens with each request (STOW-RS, PS3.18 10.5).

        Args:
            sources: data sets; or files, as paths or as their bytes; or one of them.

        Yields:
            What became of each, in their order. What cannot be read is not sent, and the others
            are; once the server cannot be reached, nothing more is sent.

        Raises:
            TypeError: a source is none of these.
        """
        if isinstance(sources, _ONE):
            sources = (sources,)
        batch: list[tuple[Storable, OutgoingObject | StoreResult]] = []
        length = 0
        uids: set[str] = set()
        for source in cast("Iterable[Storable]", sources):  # a data set is an iterable, too
            if self._failure is not None:
                yield self._not_sent(source)
                continue
            try:
                found: OutgoingObject | StoreResult = outgoing_object(source)
            except (DicomError, OSError) as error:
                found = StoreResult(None, "", source, f"not sent: {error}", error)
            else:
                # The answer names objects by their UIDs: twice the same one would be ambiguous.
                is_full = len(uids) >= _MOST_OBJECTS_AT_ONCE or length >= _MOST_BYTES_AT_ONCE
                if is_full or found.sop_instance_uid in uids:
                    yield from self._store(batch)
                    batch, length = [], 0
                    uids.clear()
                    if self._failure is not None:
                        yield self._not_sent(source)
                        continue
                length += _length_of(source)
                uids.add(found.sop_instance_uid)
            batch.append((source, found))
        yield from self._store(batch)
        self._failure = None

    def _not_sent(self, source: Storable) -> StoreResult:
        return StoreResult(None, "", source, f"not sent: {self._failure}", self._failure)

    def _store(
        self, batch: list[tuple[Storable, OutgoingObject | StoreResult]]
    ) -> Iterator[StoreResult]:
        unreadable: dict[str, StoreResult] = {}
        objects = [one for _, one in batch if not isinstance(one, StoreResult)]
        try:
            answer = self._posted(objects, unreadable) if objects else None
            failure: DicomError | None = None
        except DicomError as error:
            answer, failure = None, error
            if isinstance(error, AssociationError):
                self._failure = error
        for source, one in batch:
            if isinstance(one, StoreResult):
                yield one
                continue
            uid = one.sop_instance_uid
            if answer is not None and not answer.has(uid):
                uid = _uid_within(one) or uid  # which is the one that counts for a server
            if uid in unreadable:
                yield unreadable[uid]._replace(source=source)
            elif answer is None:
                yield StoreResult(None, uid, source, f"not stored: {failure}", failure)
            elif uid in answer.failures:
                yield StoreResult(answer.failures[uid], uid, source)
            elif uid in answer.statuses or answer.is_silent:
                yield StoreResult(answer.statuses.get(uid, 0), uid, source)
            elif answer.unnamed:
                yield StoreResult(answer.unnamed[0], uid, source)
            else:
                yield StoreResult(None, uid, source, "the server says nothing of it")

    def _posted(self, objects: list[OutgoingObject], unreadable: dict[str, StoreResult]) -> Any:
        parts = self._parts(objects, unreadable)
        content_type, pieces = write_parts(_DICOM, parts)
        response = self._connection.post("/studies", content_type, pieces, DICOM_JSON)
        answer = stored(response)
        if answer.is_silent and response.status != 200:
            raise WebError(f"refused with {response.status}", status=response.status)
        return answer

    @staticmethod
    def _parts(objects: list[OutgoingObject], unreadable: dict[str, StoreResult]) -> Iterator[Part]:
        for one in objects:
            syntax, uid = one.transfer_syntax, one.sop_instance_uid
            try:
                header = file_meta_header(one.sop_class_uid, uid, syntax)
                pieces = one.pieces(syntax)
            except (DicomError, OSError) as error:
                unreadable[uid] = StoreResult(None, uid, one.source, f"not sent: {error}", error)
                continue
            length = len(header) + sum(map(len, pieces))
            yield Part({"Content-Type": _DICOM}, length, _cut([header, *pieces]))

    # --- searching ---------------------------------------------------------------------------

    def find(
        self,
        level: str,
        identifier: DataSet | Mapping[str, Any] | None = None,
        *,
        limit: int | None = None,
        fuzzy: bool = False,
    ) -> Iterator[DataSet]:
        """Search (QIDO-RS, PS3.18 10.6).

        Args:
            level: ``"STUDY"``, ``"SERIES"`` or ``"IMAGE"``.
            identifier: the keys, as for a C-FIND: a value must match, with wild cards and ranges;
                one without a value is to be returned.
            limit: how many at most; None: all there are.
            fuzzy: whether names may match by their sound or in parts, if the server can.

        Yields:
            Each match; they are asked for page by page.

        Raises:
            ValueError: `level` is none of these.
            TypeError: `identifier` is neither a data set nor a mapping.
            WebError: the server refuses it, or answers something else.
            AssociationError: there is no connection, or it was lost.
        """
        if not isinstance(level, str) or level not in _LEVELS:
            raise ValueError(f"level: expected one of {', '.join(_LEVELS)}, got {shown(level)}")
        keys = _keys(identifier)
        path = _path_of(level, keys)
        if fuzzy:
            keys.append(("fuzzymatching", "true"))
        left = limit
        for page in count():
            size = _PAGE if left is None else min(_PAGE, left)
            if not size:
                return
            # Wild cards as they are: some servers take escaped ones for other characters.
            pairs = [*keys, ("limit", size), ("offset", page * _PAGE)]
            query = urlencode(pairs, safe="*?", quote_via=quote)
            response = self._connection.get(f"{path}?{query}", DICOM_JSON)
            has_more = "299" in response.headers.get("warning", "")
            found = data_sets(response)
            yield from found[:size]
            if left is not None:
                left -= len(found)
            if len(found) < size and not (has_more and found):
                return

    # --- retrieving --------------------------------------------------------------------------

    def retrieve(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        transfer_syntax: str = "*",
    ) -> Iterator[DataSet]:
        """Retrieve a study, a series or an instance (WADO-RS, PS3.18 10.4).

        Args:
            study_instance_uid: of the study.
            series_instance_uid: of the series; None: all of the study.
            sop_instance_uid: of the instance; None: all of the series.
            transfer_syntax: the UID of the one that is wanted; ``*``: what the server has.

        Yields:
            Each instance, as it comes.

        Raises:
            WebError: the server refuses it, or answers something else.
            DataError: what it sent cannot be read.
            AssociationError: there is no connection, or it was lost.
        """
        path = f"/studies/{_segment(study_instance_uid)}"
        if series_instance_uid is not None:
            path += f"/series/{_segment(series_instance_uid)}"
            if sop_instance_uid is not None:
                path += f"/instances/{_segment(sop_instance_uid)}"
        accept = f'multipart/related; type="{_DICOM}"; transfer-syntax={transfer_syntax}'
        response = self._connection.get(path, accept)
        for data in self._objects(response):
            yield read_file(data)

    def _objects(self, response: Response) -> Iterator[bytes]:
        if response.content_type == _DICOM:
            yield response.body(self._max_object_bytes)
            return
        if response.content_type != "multipart/related":
            raise WebError(
                f"expected multipart/related, got {response.content_type or 'nothing'}",
                status=response.status,
            )
        try:
            reader = MultipartReader(response.parameter("boundary"), _PARTS)
            data = bytearray()
            for piece in response.pieces():
                for event in reader.feed(piece):
                    match event:
                        case PartStart():
                            data = bytearray()
                        case PartData(more):
                            data += more
                            if len(data) > self._max_object_bytes:
                                raise WebError(
                                    f"expected objects of up to {self._max_object_bytes} bytes",
                                    status=response.status,
                                )
                        case PartEnd():
                            yield bytes(data)
                            data = bytearray()
            reader.finish()
        except HttpError as error:
            raise WebError(f"the server's {error.text}", status=response.status) from error

    def metadata(
        self, study_instance_uid: str, series_instance_uid: str | None = None
    ) -> list[DataSet]:
        """Retrieve all attributes of the instances of a study or series, but for bulk data.

        Args:
            study_instance_uid: of the study.
            series_instance_uid: of the series; None: all of the study.

        Raises:
            WebError: the server refuses it, or answers something else.
            AssociationError: there is no connection, or it was lost.
        """
        path = f"/studies/{_segment(study_instance_uid)}"
        if series_instance_uid is not None:
            path += f"/series/{_segment(series_instance_uid)}"
        return data_sets(self._connection.get(f"{path}/metadata", DICOM_JSON))


def _keys(identifier: DataSet | Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Write the keys of an identifier as a query (PS3.18 8.3.4)."""
    if identifier is None:
        return []
    if not isinstance(identifier, DataSet):
        if not isinstance(identifier, Mapping):
            raise TypeError(
                f"identifier: expected a data set or a dict of keywords, got {shown(identifier)}"
            )
        identifier = DataSet.from_keywords(**identifier)
    return list(_pairs(identifier, ""))


def _pairs(data_set: DataSet, before: str) -> Iterator[tuple[str, str]]:
    for element in data_set.elements():
        tag = element.tag
        if tag in {0x00080005, 0x00080052} or tag.element == 0:
            continue  # the character set is UTF-8 here, the level stands in the path
        name = before + (keyword_of(tag) or f"{tag:08X}")
        value = element.value
        if isinstance(value, Sequence):
            pairs = [pair for item in value for pair in _pairs(item, f"{name}.")]
            yield from pairs or [("includefield", name)]
        elif value is None or not str(value):
            yield "includefield", name
        else:
            yield name, value_text(element, width=None)


def _path_of(level: str, keys: list[tuple[str, str]]) -> str:
    """Where to search: below a study or series where one is named, since all servers know that."""
    path = ""
    for keyword, name, levels in (
        ("StudyInstanceUID", "studies", {"SERIES", "IMAGE"}),
        ("SeriesInstanceUID", "series", {"IMAGE"}),
    ):
        uids = [value for key, value in keys if key == keyword]
        if level not in levels or len(uids) != 1 or not set(uids[0]) <= set("0123456789."):
            break
        keys.remove((keyword, uids[0]))
        path += f"/{name}/{uids[0]}"
    return f"{path}/{_LEVELS[level]}"


def _uid_within(one: OutgoingObject) -> str:
    """The SOP Instance UID of the data set of a file whose file meta has another one."""
    if not isinstance(one.source, str | os.PathLike | bytes | bytearray | memoryview):
        return ""
    try:
        found = read_file(one.source, keywords=["SOPInstanceUID"])
        return str(found.get("SOPInstanceUID") or "")
    except (DicomError, OSError):
        return ""


def _segment(uid: str) -> str:
    return quote(str(uid), safe="")


def _length_of(source: Any) -> int:
    if isinstance(source, bytes | bytearray | memoryview):
        return len(source)
    if isinstance(source, DataSet):
        return 1 << 16
    from pathlib import Path  # noqa: PLC0415

    try:
        return Path(source).stat().st_size
    except (OSError, TypeError):
        return 0


def _cut(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Cut what is long into pieces."""
    for piece in pieces:
        view = memoryview(piece) if isinstance(piece, bytes) else piece
        for start in range(0, len(view), _PIECE):
            yield bytes(view[start : start + _PIECE])
