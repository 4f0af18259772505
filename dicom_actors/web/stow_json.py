"""STOW-RS of metadata as JSON, with their bulk data in the parts that follow.

Bulk data are in no memory whole: they go to one place of the archive, which is a file as soon as
they are not small, and are written from there to where the objects go.

Standard: PS3.18 10.5.1.2, 8.6.1.2.3.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet, EncapsulatedPixelData
from dicom_actors.errors import DataError
from dicom_actors.web.accept import EXPLICIT_VR_LITTLE_ENDIAN, parse_content_type
from dicom_actors.web.exchange import DICOM_JSON, HttpError, Response
from dicom_actors.web.media_types import MEDIA_TYPES, is_uncompressed
from dicom_actors.web.multipart import MultipartReader, PartData, PartStart
from dicom_actors.web.stow_session import CANNOT_UNDERSTAND, NOT_SUPPORTED, OUT_OF_RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_actors.web.stow_session import PartSpool, Session

__all__ = ["JSON_TYPES", "MetadataAndBulkData"]

JSON_TYPES: Final = frozenset({DICOM_JSON, "application/json"})

_PIXEL_DATA: Final = "7FE00010"
_MOST_MARKS: Final = 2_000_000
"""Commas and brackets in metadata: what it takes in memory is bounded by them."""
_TIMES_GIVEN: Final = 4
_ALWAYS_GIVEN: Final = 64 << 20
"""Objects may have this many bytes, and so many times what came, of bulk data between them: one
part may stand for values of many, which must not fill the disk."""
_SMALL: Final = 1 << 16


class _GivenTooOftenError(Exception):
    """The objects have far more bulk data than came."""


class _BulkData:
    """What came for one address: a part, or one for each frame (PS3.18 8.6.1.2.3).

    Attributes:
        kind: the media type.
        syntax: the transfer syntax, as far as it is said.
        ranges: where each part begins and ends among all that came.
    """

    def __init__(self, kind: str, syntax: str) -> None:
        self.kind = kind
        self.syntax = syntax
        self.ranges: list[tuple[int, int]] = []


class _Pixels(NamedTuple):
    """Pixel data, and the transfer syntax that they are in."""

    value: memoryview | EncapsulatedPixelData
    syntax: str


class MetadataAndBulkData:
    """The first part is metadata as JSON, the others are the bulk data in them.

    Args:
        reader: takes the body apart.
        session: takes the objects.
    """

    def __init__(self, reader: MultipartReader, session: Session) -> None:
        self._reader = reader
        self._session = session
        self._json: bytearray | None = None
        self._is_in_json = False
        self._bulk: dict[str, _BulkData] = {}
        self._came = session.spool_of_all()
        self._current: tuple[_BulkData, int] | None = None
        self._all = memoryview(b"")
        self._given = 0

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        for event in self._reader.feed(data):
            if isinstance(event, PartStart):
                self._start(event.headers)
            elif isinstance(event, PartData):
                if self._current is not None:
                    self._came.write(event.data)
                    self._session.check_part(self._came.length - self._current[1])
                elif self._json is not None:
                    self._json += event.data
                    if len(self._json) > self._session.max_json_bytes:
                        raise HttpError(
                            413, f"expected up to {self._session.max_json_bytes} of metadata"
                        )
            elif self._current is not None:
                (bulk_data, start), self._current = self._current, None
                bulk_data.ranges.append((start, self._came.length))
                if self._came.length % 2:
                    self._came.write(b"\0")  # a fragment has an even length

    def _start(self, headers: Mapping[str, str]) -> None:
        content_type = headers.get("content-type", "")
        kind, parameters = parse_content_type(content_type)
        if self._json is None:
            if kind not in JSON_TYPES:
                raise HttpError(400, "multipart: expected application/dicom+json as first part")
            self._json = bytearray()
            return
        if kind in JSON_TYPES:
            raise HttpError(400, "multipart: expected one part of metadata")
        location = headers.get("content-location", "")
        if not location:
            raise HttpError(400, "multipart: expected a content-location of each bulk data")
        made = _BulkData(kind, parameters.get("transfer-syntax", ""))
        self._current = (self._bulk.setdefault(location, made), self._came.length)

    def finish(self) -> Response:
        """Put objects together, and keep them."""
        self._reader.finish()
        try:
            self._all = self._came.look()
        except OSError as error:
            raise HttpError(507, "there is no room, or the disk cannot be read") from error
        for model in self._models():
            self._keep(model)
        return self._session.response()

    def _models(self) -> list[Any]:
        text = bytes(self._json or b"")
        self._json = None
        if sum(map(text.count, (b",", b"[", b"{"))) > _MOST_MARKS:
            raise HttpError(413, f"metadata: expected up to {_MOST_MARKS} commas and brackets")
        try:
            models = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, "metadata: expected JSON") from error
        if not isinstance(models, list):
            return [models]
        if len(models) > self._session.max_objects:
            raise HttpError(413, f"metadata: expected up to {self._session.max_objects} objects")
        return models

    def _keep(self, model: Any) -> None:
        uids = ("", "", "", "")
        joined: list[PartSpool] = []
        try:
            stated = ""
            pixels = None
            if isinstance(model, dict):
                meta = {tag: model[tag] for tag in model if tag.startswith("0002")}
                model = {tag: model[tag] for tag in model if tag not in meta}
                stated = str(DataSet.from_json(meta).get("TransferSyntaxUID") or "")
                if "BulkDataURI" in model.get(_PIXEL_DATA, {}):
                    pixels = model.pop(_PIXEL_DATA)
            data_set = DataSet.from_json(model, bulk_data=lambda uri: self._value(uri, joined))
            stated = str(data_set.get("AvailableTransferSyntaxUID") or "") or stated
            uids = _uids_of(data_set)
            if "AvailableTransferSyntaxUID" in data_set:
                del data_set["AvailableTransferSyntaxUID"]
            syntax = EXPLICIT_VR_LITTLE_ENDIAN  # whatever it was before: values are as it has them
            if pixels is not None:
                value, syntax = self._pixels(pixels["BulkDataURI"], stated, joined)
                if syntax not in MEDIA_TYPES and syntax != EXPLICIT_VR_LITTLE_ENDIAN:
                    self._session.refuse(NOT_SUPPORTED, uids)
                    return
                is_native = isinstance(value, memoryview)
                data_set.put("PixelData", pixels.get("vr", "OW") if is_native else "OB", value)
            self._session.keep_data_set(data_set, syntax, uids)
        except (DataError, KeyError, TypeError, ValueError, AttributeError):
            self._session.refuse(CANNOT_UNDERSTAND, uids)
        except (_GivenTooOftenError, OSError, HttpError):
            self._session.refuse(OUT_OF_RESOURCES, uids)
        finally:
            for spool in joined:
                spool.remove()

    def _pixels(self, uri: str, stated: str, joined: list[PartSpool]) -> _Pixels:
        """Give pixel data, and the transfer syntax that they are in."""
        bulk_data = self._bulk[uri]
        frames = [self._all[start : end + end % 2] for start, end in bulk_data.ranges]
        syntax = bulk_data.syntax or stated or _syntax_of(bulk_data.kind, frames)
        if not bulk_data.syntax and is_uncompressed(syntax):
            syntax = ""  # what the metadata were made of: the values are as metadata have them
        if not syntax or syntax in _LITTLE_ENDIAN:
            return _Pixels(self._joined(uri, joined), EXPLICIT_VR_LITTLE_ENDIAN)
        self._count(sum(map(len, frames)))
        return _Pixels(EncapsulatedPixelData(frames), syntax)

    def _value(self, uri: str, joined: list[PartSpool]) -> Any:
        """Give the value of any other element."""
        value = self._joined(uri, joined)
        return bytes(value) if len(value) <= _SMALL else value

    def _joined(self, uri: str, joined: list[PartSpool]) -> memoryview:
        """Give the parts of an address as one, without having them in memory."""
        ranges = self._bulk[uri].ranges
        self._count(sum(end - start for start, end in ranges))
        if not ranges:
            return memoryview(b"")
        if all(end == start for (_, end), (start, _) in pairwise(ranges)):
            return self._all[ranges[0][0] : ranges[-1][1]]
        spool = self._session.spool()
        joined.append(spool)
        for start, end in ranges:
            spool.write_all(self._all[start:end])
        return spool.look()

    def _count(self, length: int) -> None:
        self._given += length
        if self._given > _ALWAYS_GIVEN + _TIMES_GIVEN * self._came.length:
            raise _GivenTooOftenError

    def close(self) -> None:
        """Forget the bulk data, and wait for the rest."""
        self._session.close()
        self._came.remove()


def _uids_of(data_set: DataSet) -> tuple[str, str, str, str]:
    """Study, series, SOP class and SOP instance, as they are said."""
    return (
        str(data_set.get("StudyInstanceUID") or ""),
        str(data_set.get("SeriesInstanceUID") or ""),
        str(data_set.get("SOPClassUID") or ""),
        str(data_set.get("SOPInstanceUID") or ""),
    )


def _syntax_of(kind: str, frames: Sequence[memoryview]) -> str:
    """The transfer syntax that a media type means where none is said; empty if it means none."""
    if kind == "image/jpeg":
        # The standard's default is lossless; who sends pictures sends any: their frames tell.
        return _JPEG_PROCESSES.get(_process_of(frames[0]) if frames else 0, _JPEG_LOSSLESS)
    if kind == "image/jls":
        return "1.2.840.10008.1.2.4.80"
    return next((syntax for syntax, kinds in MEDIA_TYPES.items() if kind in kinds), "")


_LITTLE_ENDIAN: Final = frozenset({"1.2.840.10008.1.2", EXPLICIT_VR_LITTLE_ENDIAN})
_JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
_JPEG_PROCESSES: Final = {
    0xC0: "1.2.840.10008.1.2.4.50",
    0xC1: "1.2.840.10008.1.2.4.51",
    0xC3: _JPEG_LOSSLESS,
}


def _process_of(frame: memoryview) -> int:
    """The marker that begins a frame of JPEG (ISO/IEC 10918-1 B.1.1.3); 0 if there is none."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return marker
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return 0
