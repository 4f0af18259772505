"""STOW-RS: objects come as parts of a body, and are kept one by one.

A part goes to memory while it is small, and to a file of the archive's own, which becomes the
object's, as soon as it is not. What is whole is kept by a few threads beside the one that reads,
so that many small ones share a synchronization of the disk; so many are under way at the most.

Standard: PS3.18 10.5, Annex I.2.
"""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from typing import cast as as_type

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.archive.files import Location
from dicom_actors.archive.objects import NewObject
from dicom_actors.archive.upkeep.intake import describe_file
from dicom_actors.errors import ArchiveError, DataError, DecodeError
from dicom_actors.web.accept import EXPLICIT_VR_LITTLE_ENDIAN, Offer, choose, parse_content_type
from dicom_actors.web.exchange import DICOM_JSON, HttpError, Response, json_response
from dicom_actors.web.media_types import MEDIA_TYPES, OCTETS, is_uncompressed
from dicom_actors.web.multipart import (
    Limits,
    MultipartReader,
    PartData,
    PartStart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_actors.archive import Archive
    from dicom_actors.web.exchange import Receiver, Request
    from dicom_actors.web.settings import WebSettings

__all__ = ["Storing"]

_DICOM: Final = "application/dicom"
_JSON: Final = frozenset({DICOM_JSON, "application/json"})
_PIXEL_DATA: Final = "7FE00010"

# Failure reasons (PS3.18 I.2.2).
_PROCESSING_FAILURE: Final = 0x0110
_DUPLICATE: Final = 0x0111
_OUT_OF_RESOURCES: Final = 0xA700
_CANNOT_UNDERSTAND: Final = 0xC000
_MISMATCH_OF_STUDY: Final = 0xC409
_NOT_SUPPORTED: Final = 0x0122

_UNDER_WAY: Final = 16
_KEEPERS: Final = 16


class _Outcome(NamedTuple):
    """What came of an object.

    Attributes:
        uids: study, series, SOP class, SOP instance; empty where it is not known.
        reason: why it was not kept; 0: it was.
    """

    uids: tuple[str, str, str, str]
    reason: int = 0


_UNKNOWN: Final = ("", "", "", "")


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
        if inner in _JSON:
            return _MetadataAndBulkData(reader, session)
        raise HttpError(415, "content-type: expected parts of application/dicom or dicom+json")

    def _session(self, study: str, base_url: str) -> _Session:
        return _Session(self._archive, self._settings, self._keepers, study, base_url)


class _Spool:
    """Takes bytes: to memory, and to a file of the archive when they are many."""

    def __init__(self, archive: Archive, most: int) -> None:
        self._archive = archive
        self._in_memory = archive.settings.journal_object_bytes
        self._most = most
        self._parts: list[bytes] = []
        self._file: Any = None
        self.name = ""
        self.length = 0

    def write(self, data: bytes) -> None:
        """Take more.

        Raises:
            HttpError: 413, they are too many; 507, there is no room.
        """
        self.length += len(data)
        if self.length > self._most:
            raise HttpError(413, f"expected parts of up to {self._most} bytes")
        self._parts.append(data)
        if self.length <= self._in_memory:
            return
        store = self._archive.store
        try:
            if self._file is None:
                self.name = store.part_name()
                self._file = store.file_system.create(self.name)
            self._file.append(self._parts)
        except OSError as error:
            self.remove()
            raise HttpError(507, "there is no room, or the disk cannot be written") from error
        self._parts = []

    def finish(self) -> memoryview:
        """All has come: give it, all of it in memory.

        Raises:
            OSError: the file cannot be made safe or read.
        """
        if not self.name:
            return memoryview(b"".join(self._parts))
        if self._file is not None:
            self._file.synchronize()
            self._file.close()
            self._file = None
        return self._archive.store.read(Location(self.name), self.length)

    def move(self, folder: str, name: str) -> None:
        """Give the file a name in ``incoming/``, and make that safe."""
        del folder  # it is the one of the archive's incoming objects
        disk, folder = self._archive.store.file_system, self._archive.store.incoming
        disk.rename(self.name, f"{folder}/{name}")
        disk.synchronize_folder(folder)
        self.name = ""

    def remove(self) -> None:
        """Forget it all."""
        self._parts = []
        if self._file is not None:
            self._file.close()
            self._file = None
        if self.name:
            try:
                self._archive.store.remove(Location(self.name))
            except OSError:
                return  # it is removed at the next start
            self.name = ""


class _Session:
    """The objects of a request, and what came of them."""

    def __init__(
        self,
        archive: Archive,
        settings: WebSettings,
        keepers: ThreadPoolExecutor,
        study: str,
        base_url: str,
    ) -> None:
        self._archive = archive
        self._settings = settings
        self._keepers = keepers
        self._study = study
        self._base_url = base_url
        self._outcomes: list[Future[_Outcome] | _Outcome] = []
        self._waiting = 0

    def spool(self) -> _Spool:
        """Make a place for a part."""
        return _Spool(self._archive, self._settings.max_part_bytes)

    @property
    def max_json_bytes(self) -> int:
        """What metadata may have."""
        return self._settings.max_json_bytes

    def keep(self, spool: _Spool) -> None:
        """Have an object kept that is whole, or note why it is not."""
        self._add(self._keepers.submit(self._keep, spool))

    def keep_data_set(
        self, data_set: DataSet, syntax: str, uids: tuple[str, str, str, str]
    ) -> None:
        """Have a data set kept, or note why it is not."""
        spool = self.spool()
        try:
            write_file(as_type("IO[bytes]", _Writer(spool)), data_set, transfer_syntax=syntax)
        except DataError:
            spool.remove()
            self.refuse(_CANNOT_UNDERSTAND, uids)
            return
        self.keep(spool)

    def refuse(self, reason: int, uids: tuple[str, str, str, str] = _UNKNOWN) -> None:
        """Note that an object is not kept."""
        self._outcomes.append(_Outcome(uids, reason))

    def _add(self, future: Future[_Outcome]) -> None:
        self._outcomes.append(future)
        pending = len(self._outcomes) - _UNDER_WAY
        if pending >= 0:
            self._outcomes[pending] = self._outcome(pending)

    def _outcome(self, at: int) -> _Outcome:
        found = self._outcomes[at]
        return found.result() if isinstance(found, Future) else found

    def _keep(self, spool: _Spool) -> _Outcome:
        """Keep an object; runs in a thread of its own."""
        uids = _UNKNOWN
        try:
            new = self._new_object(spool)
            description = new.intake.description
            uids = (
                description.study_instance_uid,
                description.series_instance_uid,
                description.sop_class_uid,
                description.sop_instance_uid,
            )
            if self._study and uids[0] != self._study:
                return _Outcome(uids, _MISMATCH_OF_STUDY)
            added = self._archive.keep(new)
            return _Outcome(uids, 0 if added.is_kept else _DUPLICATE)
        except DataError:
            return _Outcome(uids, _CANNOT_UNDERSTAND)
        except ArchiveError as error:
            is_known = error.reason != "failed"
            return _Outcome(uids, _OUT_OF_RESOURCES if is_known else _PROCESSING_FAILURE)
        except (OSError, HttpError):
            return _Outcome(uids, _OUT_OF_RESOURCES)
        finally:
            spool.remove()

    def _new_object(self, spool: _Spool) -> NewObject:
        data = spool.finish()
        try:
            intake = describe_file(data)
        except DecodeError:
            if not spool.name:
                made: NewObject = NewObject.of(data)
                return made
            # What has no file meta of a known length gets one; the object is written again.
            other = self.spool()
            write_file(as_type("IO[bytes]", _Writer(other)), read_file(data))
            spool.remove()
            spool.name, other.name = other.name, ""
            data = self._archive.store.read(Location(spool.name), other.length)
            intake = describe_file(data)
        length = intake.header_length
        save = spool.move if spool.name else None
        return NewObject(intake, data[:length], data[length:], save)

    def close(self) -> None:
        """Wait for what is under way."""
        for at in range(len(self._outcomes)):
            self._outcome(at)

    def response(self) -> Response:
        """Say what came of all (PS3.18 10.5.3)."""
        outcomes = [self._outcome(at) for at in range(len(self._outcomes))]
        if not outcomes:
            raise HttpError(400, "expected at least one object")
        stored = [one for one in outcomes if not one.reason]
        if len(stored) == len(outcomes) and (self._study or len(outcomes) > 1):
            # One object without its study named may be one of many requests.
            for study in {one.uids[0] for one in stored}:
                self._archive.has_evidence(study, "a STOW-RS request ended")
        failed = [one for one in outcomes if one.reason and one.uids[3]]
        others = [one for one in outcomes if one.reason and not one.uids[3]]
        model: dict[str, Any] = {}
        studies = {one.uids[0] for one in stored}
        if len(studies) == 1:
            model["00081190"] = _attribute("UR", f"{self._base_url}/studies/{studies.pop()}")
        if failed:
            model["00081198"] = _sequence(
                {**_reference(one), "00081197": _attribute("US", one.reason)} for one in failed
            )
        if stored:
            model["00081199"] = _sequence(
                {**_reference(one), "00081190": _attribute("UR", self._url(one))} for one in stored
            )
        if others:
            model["0008119A"] = _sequence(
                {"00081197": _attribute("US", one.reason)} for one in others
            )
        status = 200 if not failed and not others else 202 if stored else 409
        reasons = {one.reason for one in outcomes}
        if reasons == {_OUT_OF_RESOURCES}:
            status = 507
        return json_response(model, status=status)

    def _url(self, outcome: _Outcome) -> str:
        study, series, _, instance = outcome.uids
        return f"{self._base_url}/studies/{study}/series/{series}/instances/{instance}"


def _attribute(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _sequence(items: Any) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def _reference(outcome: _Outcome) -> dict[str, Any]:
    return {
        "00081150": _attribute("UI", outcome.uids[2]),
        "00081155": _attribute("UI", outcome.uids[3]),
    }


class _Writer:
    """A file that is written to a spool."""

    def __init__(self, spool: _Spool) -> None:
        self._spool = spool

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._spool.write(piece)
        return len(piece)

    def writelines(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self.write(piece)

    def flush(self) -> None:
        """There is nothing to do."""


class _Single:
    """The body is one object."""

    def __init__(self, session: _Session) -> None:
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

    def __init__(self, reader: MultipartReader, session: _Session) -> None:
        self._reader = reader
        self._session = session
        self._spool: _Spool | None = None
        self._is_skipped = False

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        for event in self._reader.feed(data):
            if isinstance(event, PartStart):
                kind, _ = parse_content_type(event.headers.get("content-type", _DICOM))
                # Some say application/octet-stream, or nothing.
                self._is_skipped = kind not in {_DICOM, OCTETS, ""}
                self._spool = None if self._is_skipped else self._session.spool()
            elif isinstance(event, PartData):
                if self._spool is not None:
                    self._spool.write(event.data)
            elif self._spool is not None:
                spool, self._spool = self._spool, None
                self._session.keep(spool)
            else:
                self._session.refuse(_NOT_SUPPORTED)

    def finish(self) -> Response:
        """Say what came of them."""
        self._reader.finish()
        return self._session.response()

    def close(self) -> None:
        """Forget what is not whole, and wait for the rest."""
        if self._spool is not None:
            self._spool.remove()
        self._session.close()


class _BulkData:
    """What came for one address: a part, or one for each frame (PS3.18 8.6.1.2.3)."""

    def __init__(self, kind: str, syntax: str) -> None:
        self.kind = kind
        self.syntax = syntax
        self.parts: list[_Spool] = []

    def pieces(self) -> list[bytes]:
        """What came, part by part."""
        return [bytes(spool.finish()) if spool.length else b"" for spool in self.parts]


class _MetadataAndBulkData:
    """The first part is metadata as JSON, the others are the bulk data in them."""

    def __init__(self, reader: MultipartReader, session: _Session) -> None:
        self._reader = reader
        self._session = session
        self._json: bytearray | None = None
        self._bulk: dict[str, _BulkData] = {}
        self._spool: _Spool | None = None

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        for event in self._reader.feed(data):
            if isinstance(event, PartStart):
                self._start(event.headers)
            elif isinstance(event, PartData):
                if self._spool is not None:
                    self._spool.write(event.data)
                elif self._json is not None:
                    self._json += event.data
                    if len(self._json) > self._session.max_json_bytes:
                        raise HttpError(
                            413, f"expected up to {self._session.max_json_bytes} of metadata"
                        )
            else:
                self._spool = None

    def _start(self, headers: Mapping[str, str]) -> None:
        content_type = headers.get("content-type", "")
        kind, parameters = parse_content_type(content_type)
        if self._json is None:
            if kind not in _JSON:
                raise HttpError(400, "multipart: expected application/dicom+json as first part")
            self._json = bytearray()
            return
        if kind in _JSON:
            raise HttpError(400, "multipart: expected one part of metadata")
        location = headers.get("content-location", "")
        if not location:
            raise HttpError(400, "multipart: expected a content-location of each bulk data")
        self._spool = self._session.spool()
        made = _BulkData(kind, parameters.get("transfer-syntax", ""))
        self._bulk.setdefault(location, made).parts.append(self._spool)

    def finish(self) -> Response:
        """Put objects together, and keep them."""
        self._reader.finish()
        try:
            models = json.loads(bytes(self._json or b""))
        except (ValueError, RecursionError) as error:
            raise HttpError(400, "metadata: expected JSON") from error
        for model in models if isinstance(models, list) else [models]:
            self._keep(model)
        return self._session.response()

    def _keep(self, model: Any) -> None:
        stated = ""
        try:
            if isinstance(model, dict):
                meta = {tag: model[tag] for tag in model if tag.startswith("0002")}
                model = {tag: model[tag] for tag in model if tag not in meta}
                stated = str(DataSet.from_json(meta).get("TransferSyntaxUID") or "")
            data_set = DataSet.from_json(
                model, bulk_data=lambda uri: b"".join(self._bulk[uri].pieces())
            )
            stated = str(data_set.get("AvailableTransferSyntaxUID") or "") or stated
            uids = _uids_of(data_set)
            pixels = self._bulk.get(model.get(_PIXEL_DATA, {}).get("BulkDataURI"))
            frames = pixels.pieces() if pixels else []
        except (DataError, KeyError, TypeError, ValueError, AttributeError, OSError):
            self._session.refuse(_CANNOT_UNDERSTAND)
            return
        if "AvailableTransferSyntaxUID" in data_set:
            del data_set["AvailableTransferSyntaxUID"]
        syntax = EXPLICIT_VR_LITTLE_ENDIAN  # whatever they were before: values are as it has them
        if pixels is not None:
            syntax = pixels.syntax or stated or _syntax_of(pixels.kind, frames) or syntax
            if is_uncompressed(syntax):
                syntax = EXPLICIT_VR_LITTLE_ENDIAN
            elif syntax not in MEDIA_TYPES:
                self._session.refuse(_NOT_SUPPORTED, uids)
                return
            else:
                data_set.put("PixelData", "OB", _encapsulated(frames, syntax))
        self._session.keep_data_set(data_set, syntax, uids)

    def close(self) -> None:
        """Forget the bulk data, and wait for the rest."""
        self._session.close()
        for bulk_data in self._bulk.values():
            for spool in bulk_data.parts:
                spool.remove()


def _uids_of(data_set: DataSet) -> tuple[str, str, str, str]:
    """Study, series, SOP class and SOP instance, as they are said."""
    return (
        str(data_set.get("StudyInstanceUID") or ""),
        str(data_set.get("SeriesInstanceUID") or ""),
        str(data_set.get("SOPClassUID") or ""),
        str(data_set.get("SOPInstanceUID") or ""),
    )


def _syntax_of(kind: str, frames: Sequence[bytes]) -> str:
    """The transfer syntax that a media type means where none is said; empty if it means none."""
    if kind == "image/jpeg":
        # The standard's default is lossless; who sends pictures sends any: their frames tell.
        return _JPEG_PROCESSES.get(_process_of(frames[0]) if frames else 0, _JPEG_LOSSLESS)
    if kind == "image/jls":
        return "1.2.840.10008.1.2.4.80"
    return next((syntax for syntax, kinds in MEDIA_TYPES.items() if kind in kinds), "")


_JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
_JPEG_PROCESSES: Final = {
    0xC0: "1.2.840.10008.1.2.4.50",
    0xC1: "1.2.840.10008.1.2.4.51",
    0xC3: _JPEG_LOSSLESS,
}


def _process_of(frame: bytes) -> int:
    """The marker that begins a frame of JPEG (ISO/IEC 10918-1 B.1.1.3); 0 if there is none."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return marker
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return 0


def _encapsulated(frames: Iterable[bytes], syntax: str) -> Any:
    """Frames as encapsulated pixel data, each of them one fragment (PS3.5 A.4)."""
    encoded = [b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xfe\xff\x00\xe0\0\0\0\0"]
    for frame in frames:
        fragment = frame + bytes(len(frame) % 2)
        encoded += (b"\xfe\xff\x00\xe0" + len(fragment).to_bytes(4, "little"), fragment)
    encoded.append(b"\xfe\xff\xdd\xe0\0\0\0\0")
    return DataSet.from_bytes(b"".join(encoded), transfer_syntax=syntax)["PixelData"]
