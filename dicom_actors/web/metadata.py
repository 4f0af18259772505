"""Metadata: what instances say of themselves, as JSON, with the addresses of their bulk data.

That of a series is kept, compressed, for as long as no instance comes or goes: it is known by its
instances and their checksums, which the index has. What was asked for lately is in memory, and all
of it on the disk.

Standard: PS3.18 10.4.1.1.2, Annex F.
"""

from __future__ import annotations

import gzip
import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet
from dicom_actors.archive.files import FileBytes, UnreadBytes
from dicom_actors.errors import ArchiveError, DataError
from dicom_actors.web.accept import Offer, choose
from dicom_actors.web.exchange import HttpError, Joined, Response, compressed, not_modified, ranged
from dicom_actors.web.media_types import MEDIA_TYPES, OCTETS
from dicom_actors.web.metadata_files import MetadataFiles
from dicom_actors.web.multipart import Part, write_parts
from dicom_actors.web.qido import json_offers
from dicom_actors.web.retrieve import etag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_actors import DataElement
    from dicom_actors.archive import StoredInstance
    from dicom_actors.web.exchange import Request
    from dicom_actors.web.holdings import Held

__all__ = ["Metadata"]

_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LONGEST_PATH: Final = 64
_CHARACTER_SET: Final = re.compile(r'"00080005": \{"vr": "CS", "Value": \[[^\]]*\]\}')
_UTF8: Final = '"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}'


class Metadata:
    """Handlers of metadata, and of the bulk data in them.

    Args:
        held: the archive.
        bulk_data_bytes: a longer value is given by its address.
        cache_bytes: what is kept in memory.
        metadata_bytes: what is kept on the disk.
    """

    def __init__(
        self, held: Held, bulk_data_bytes: int, cache_bytes: int, metadata_bytes: int
    ) -> None:
        self._held: Final = held
        self._files: Final = MetadataFiles(held.archive.store, metadata_bytes)
        self._bulk_data_bytes: Final = bulk_data_bytes
        self._cache: Final = _Cache(cache_bytes)
        self._base_url = ""

    def made_for(self, base_url: str) -> None:
        """Say which address those that are made before anybody asks are to have."""
        self._base_url = base_url

    def prepare(self, study_instance_uid: str) -> Iterator[None]:
        """Make the metadata of a study's series and keep them; a step is a series.

        Raises:
            HttpError: the study is not there, or cannot be read.
        """
        for series in _by_series(self._held.instances({"study": study_instance_uid})):
            self._series(self._base_url, series, is_whole=True)
            yield

    def drop(self, study_instance_uid: str) -> None:
        """Have nothing of a study on the disk that has changed."""
        self._files.drop(study_instance_uid)

    def tidy(self) -> Iterator[None]:
        """Drop what is on the disk of studies that are no more; a step is a study.

        Raises:
            HttpError: the index is busy.
        """
        for study in self._files.studies():
            try:
                self._held.instances({"study": study})
            except HttpError as error:
                if error.status not in {404, 413}:
                    raise
                if error.status == 404:
                    self.drop(study)
            yield

    def metadata(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve the metadata of a study, a series or an instance."""
        offer = choose(request, json_offers())
        instances = self._held.instances(uids)
        etag = etag_of(instances, "")
        known = not_modified(request, etag)
        if known is not None:
            return known
        headers = {"content-type": offer.kind, "etag": etag}
        self._base_url = request.base_url  # what clients reach us by, where we listen on several
        is_whole = "instance" not in uids
        packed = [
            self._series(request.base_url, series, is_whole=is_whole)
            for series in _by_series(instances)
        ]
        if len(packed) == 1:
            return compressed(request, Response(200, headers), packed=packed[0])
        return compressed(request, Response(200, headers), packed=_joined(packed))

    def _series(
        self, base_url: str, instances: Sequence[StoredInstance], *, is_whole: bool
    ) -> bytes:
        key = (base_url, etag_of(instances, ""))
        found = self._cache.get(key)
        if found is not None:
            return found
        first = instances[0]
        uids = (first.study_instance_uid, first.series_instance_uid)
        stamp = f"{self._bulk_data_bytes} {key[1]} {base_url}"
        if is_whole:
            found = self._files.find(*uids, stamp)
        if found is None:
            models = ",".join(self._model(base_url, instance) for instance in instances)
            found = gzip.compress(f"[{models}]".encode(), 1, mtime=0)
            if is_whole:
                self._files.keep(*uids, stamp, found)
        self._cache.put(key, found)
        return found

    def _model(self, base_url: str, instance: StoredInstance) -> str:
        """The metadata of an instance.

        Raises:
            HttpError: as `Held.read` does; 500, it is damaged.
        """
        url = (
            f"{base_url}/studies/{instance.study_instance_uid}"
            f"/series/{instance.series_instance_uid}/instances/{instance.sop_instance_uid}"
        )
        data_set = self._held.data_set(instance)

        def bulk_data_uri(path: Any, element: DataElement) -> str | None:
            if element.unread is None and (int(element.tag) not in _PIXELS or len(path) > 1):
                length = element.length
                if length is None and isinstance(element.value, bytes | memoryview):
                    length = len(element.value)
                if length is not None and length <= self._bulk_data_bytes:
                    return None
            steps = "/".join(
                f"{step:08X}" if at % 2 == 0 else str(step) for at, step in enumerate(path)
            )
            return f"{url}/bulkdata/{steps}"

        try:
            data_set.put("AvailableTransferSyntaxUID", "UI", instance.transfer_syntax_uid)
            text = data_set.to_json(bulk_data_uri=bulk_data_uri)
            # What it was encoded in is over: JSON is UTF-8 (PS3.18 F.2).
            return _CHARACTER_SET.sub(_UTF8, text, count=1)
        except (DataError, ArchiveError) as error:
            raise HttpError(500, "the instance is damaged") from error

    # --- bulk data ---------------------------------------------------------------------------

    def bulk_data(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve the value of an element of an instance."""
        instance = self._held.instance(uids)
        steps = uids["rest"].split("/")
        etag = etag_of([instance], uids["rest"])
        data_set = self._held.data_set(instance)
        element = _element_at(data_set, steps)
        if element.unread is None:
            is_compressed = hasattr(element.value, "fragments")
        else:
            is_compressed = not isinstance(element.unread, UnreadBytes)
        if is_compressed:
            return self._compressed(request, etag, instance, map(bytes, data_set.frames()))
        return _octets(request, etag, lambda: _value_of(element))

    @staticmethod
    def _compressed(
        request: Request, etag: str, instance: StoredInstance, frames: Iterator[bytes]
    ) -> Response:
        """Answer with frames, each as a part."""
        syntax = instance.transfer_syntax_uid
        kind = MEDIA_TYPES.get(syntax, (OCTETS,))[0]
        offers = [
            Offer(kind, is_multipart=True, transfer_syntax=syntax, is_stored=True),
            Offer(OCTETS, is_multipart=True, transfer_syntax=syntax, is_default=False),
        ]
        offer = choose(request, offers)
        known = not_modified(request, etag)
        if known is not None:
            return known
        parts = (
            Part({"Content-Type": f"{offer.kind}; transfer-syntax={syntax}"}, len(one), (one,))
            for one in frames
        )
        content_type, body = write_parts(offer.kind, parts)
        return Response(
            200, {"content-type": content_type, "etag": etag, "vary": "accept"}, body, None
        )


def _octets(
    request: Request, etag: str, give: Callable[[], memoryview | FileBytes | Joined]
) -> Response:
    """Answer with the bytes of a value."""
    offer = choose(
        request,
        [Offer(OCTETS, True, _EXPLICIT, is_stored=True), Offer(OCTETS, False, _EXPLICIT)],
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    data = give()
    headers = {"etag": etag, "vary": "accept"}
    if not offer.is_multipart:
        return ranged(request, data, OCTETS, headers)
    part = Part({"Content-Type": OCTETS}, len(data), ranged(_whole(request), data, OCTETS, {}).body)
    content_type, body = write_parts(OCTETS, [part])
    return Response(200, {**headers, "content-type": content_type}, body, None)


_EXPLICIT: Final = "1.2.840.10008.1.2.1"


def _whole(request: Request) -> Request:
    return type(request)(request.method, request.path, request.base_url)


def _by_series(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    found: dict[str, list[StoredInstance]] = {}
    for instance in instances:
        found.setdefault(instance.series_instance_uid, []).append(instance)
    return iter(found.values())


def _joined(packed: Sequence[bytes]) -> bytes:
    """Join JSON arrays that are compressed."""
    models = [gzip.decompress(one)[1:-1] for one in packed]
    return gzip.compress(b"[" + b",".join(models) + b"]", 1, mtime=0)


def _element_at(data_set: DataSet, steps: Sequence[str]) -> DataElement:
    """Follow a path of tags and numbers of items.

    Raises:
        HttpError: 404, there is no such element.
    """
    if len(steps) > _LONGEST_PATH:
        raise HttpError(404, "bulkdata: there is no such element")
    holder = data_set
    try:
        for tag, number in zip(steps[:-1:2], steps[1::2], strict=True):
            items = holder[_tag(tag)]
            if not number.isdecimal():
                raise HttpError(404, "bulkdata: there is no such element")
            holder = items[int(number)]
        if len(steps) % 2 == 0 or not isinstance(holder, DataSet):
            raise HttpError(404, "bulkdata: there is no such element")
        return holder.fetch(_tag(steps[-1]))
    except (DataError, ValueError, KeyError, IndexError, TypeError) as error:
        raise HttpError(404, "bulkdata: there is no such element") from error


def _tag(text: str) -> int:
    if len(text) != 8 or not text.isalnum():
        raise ValueError(text)
    return int(text, 16)


def _value_of(element: DataElement) -> memoryview | FileBytes | Joined:
    """The bytes of a value, in little endian."""
    unread = element.unread
    if isinstance(unread, FileBytes):
        return unread
    if isinstance(unread, UnreadBytes):
        return Joined([unread])
    probe = DataSet()
    value = element.value
    if isinstance(value, bytes | memoryview):
        return memoryview(value)
    probe.put_element(element)
    try:
        encoded = memoryview(probe.to_bytes(_EXPLICIT))
    except DataError as error:
        raise HttpError(404, "bulkdata: it cannot be given as bytes") from error
    is_long = element.vr in _LONG_FORM
    return encoded[12 if is_long else 8 :]


_LONG_FORM: Final = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)


class _Cache:
    """Bytes that are kept, those that were not asked for the longest go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, str], value: bytes) -> None:
        with self._lock:
            self._size += len(value) - len(self._kept.pop(key, b""))
            self._kept[key] = value
            while self._size > self._most:
                _, old = self._kept.popitem(last=False)
                self._size -= len(old)
