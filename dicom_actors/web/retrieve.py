"""WADO-RS: studies, series and instances as they are stored, or in another transfer syntax.

Standard: PS3.18 10.4.
"""

from __future__ import annotations

import hashlib
import zipfile
from functools import partial
from typing import IO, TYPE_CHECKING, Final
from typing import cast as as_type

from dicom_actors.errors import DataError
from dicom_actors.pixels import converted
from dicom_actors.web.accept import EXPLICIT_VR_LITTLE_ENDIAN, Offer, choose
from dicom_actors.web.exchange import (
    PIECE,
    Body,
    HttpError,
    Joined,
    Response,
    not_modified,
    pieces_of,
    ranged,
)
from dicom_actors.web.media_types import UNCOMPRESSED, is_uncompressed
from dicom_actors.web.multipart import Part, length_of, new_boundary, write_parts
from dicom_actors.web.zip_sink import ZipSink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dicom_actors.archive import StoredInstance
    from dicom_actors.archive.files import FileBytes
    from dicom_actors.web.exchange import Piece, Request
    from dicom_actors.web.holdings import Held
    from dicom_actors.web.pictures import Pictures

__all__ = ["Retrieval", "etag_of"]

_DICOM: Final = "application/dicom"
_ZIP: Final = "application/zip"


class Retrieval:
    """Handlers of retrieval.

    Args:
        held: the archive.
        pictures: decodes what is compressed; None: nothing does.
    """

    def __init__(self, held: Held, pictures: Pictures | None) -> None:
        self._held: Final = held
        self._pictures: Final = pictures

    def several(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a study or a series."""
        return self._retrieve(request, self._held.instances(uids), is_one=False)

    def one(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve an instance."""
        return self._retrieve(request, self._held.instances(uids), is_one=True)

    def _retrieve(
        self, request: Request, instances: Sequence[StoredInstance], *, is_one: bool
    ) -> Response:
        offer = choose(request, self._offers(instances, is_one=is_one))
        etag = etag_of(instances, offer.text)
        known = not_modified(request, etag)
        if known is not None:
            return known
        headers = {"etag": etag, "vary": "accept"}
        if offer.kind == _ZIP:
            headers["content-type"] = _ZIP
            headers["content-disposition"] = 'attachment; filename="dicom.zip"'
            return Response(200, headers, zipped(self._held, instances), None)
        syntax = None if offer.transfer_syntax in {None, "*"} else offer.transfer_syntax
        if not offer.is_multipart:
            (instance,) = instances
            data = self._file(instance, syntax)
            used = syntax or instance.transfer_syntax_uid
            content_type = f"{_DICOM}; transfer-syntax={used}"
            if isinstance(data, Body):
                return Response(200, {**headers, "content-type": content_type}, data, None)
            response = ranged(request, data, content_type, headers)
            if isinstance(response.body, Body):
                response.body = Body(_told(response.body.pieces))
            return response
        boundary, length = new_boundary(), None
        parts: Iterable[Part] = (self._part(instance, syntax) for instance in instances)
        if all(syntax in {None, instance.transfer_syntax_uid} for instance in instances):
            length = length_of(boundary, self._stored(instances))  # nothing is opened for that
            parts = self._stored(instances)
        content_type, body = write_parts(_DICOM, parts, boundary)
        return Response(200, {**headers, "content-type": content_type}, body, length)

    def _offers(self, instances: Sequence[StoredInstance], *, is_one: bool) -> list[Offer]:
        """The forms that all the instances have.

        The first one is what is stored. Who says no transfer syntax means Explicit VR Little
        Endian, and gets what is stored where it cannot be made (PS3.18 8.7.3.5.2).
        """
        stored = {instance.transfer_syntax_uid for instance in instances}
        can_be_explicit = all(map(self._can_be_converted, stored))
        offers = []
        for is_multipart in (True, False) if is_one else (True,):
            form = partial(Offer, _DICOM, is_multipart)
            same = next(iter(stored)) if len(stored) == 1 else "*"
            offers.append(form(same, is_default=not can_be_explicit, is_stored=True))
            if can_be_explicit and stored != {EXPLICIT_VR_LITTLE_ENDIAN}:
                offers.append(form(EXPLICIT_VR_LITTLE_ENDIAN))
            elif can_be_explicit:
                offers[-1] = form(same, is_stored=True)
            if can_be_explicit:
                offers += [
                    form(other, is_default=False)
                    for other in sorted(UNCOMPRESSED - stored - {EXPLICIT_VR_LITTLE_ENDIAN})
                ]
        return [*offers, Offer(_ZIP)]

    def _can_be_converted(self, syntax: str) -> bool:
        if is_uncompressed(syntax):
            return True
        return self._pictures is not None and self._pictures.can_decode(syntax)

    def _part(self, instance: StoredInstance, syntax: str | None) -> Part:
        if syntax in {None, instance.transfer_syntax_uid}:
            return next(self._stored([instance]))
        data = self._file(instance, syntax)
        if isinstance(data, Body):
            return Part(_headers_of(str(syntax)), None, data.pieces)
        return Part(_headers_of(str(syntax)), len(data), _told(pieces_of(data)))

    def _stored(self, instances: Sequence[StoredInstance]) -> Iterator[Part]:
        """Instances as they are; each is opened when the first piece of its part is taken."""
        files = self._held.open_each(instances)

        def pieces() -> Iterator[Piece]:
            yield from pieces_of(next(files))

        for instance in instances:
            yield Part(_headers_of(instance.transfer_syntax_uid), instance.size, pieces())

    def _file(
        self, instance: StoredInstance, syntax: str | None
    ) -> memoryview | FileBytes | Joined | Body:
        """The bytes of an instance's file, in a transfer syntax; None: as it is.

        What has to be made is made as it is sent; where that does not tell how long it is, this is
        a `Body`.
        """
        file = self._held.open(instance)
        if syntax is None or syntax == instance.transfer_syntax_uid:
            return file
        try:
            pieces = converted(file, syntax)
        except OSError as error:
            raise HttpError(503, "the file cannot be read now") from error
        except DataError as error:
            raise _not_made() from error
        if isinstance(pieces, list):
            return Joined(pieces)
        return Body(_told(piece for part in pieces for piece in pieces_of(part)))


def _told(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Have HTTP tell what is wrong with what is made: by the status, or by the end of it."""
    try:
        yield from pieces
    except OSError as error:
        raise HttpError(503, "the file cannot be read now") from error
    except DataError as error:
        raise _not_made() from error


def _not_made() -> HttpError:
    return HttpError(406, "accept: it cannot be made in that transfer syntax")


def etag_of(instances: Iterable[StoredInstance], form: str) -> str:
    """The entity tag of a form of instances: it changes when any of them does."""
    digest = hashlib.sha256(form.encode())
    for instance in instances:
        digest.update(instance.sop_instance_uid.encode() + instance.checksum)
    return f'"{digest.hexdigest()[:32]}"'


def _headers_of(transfer_syntax: str) -> dict[str, str]:
    return {"Content-Type": f"{_DICOM}; transfer-syntax={transfer_syntax}"}


def zipped(held: Held, instances: Sequence[StoredInstance]) -> Iterator[bytes]:
    """Give a zip file of instances, piece by piece: ``<study>/<series>/<instance>.dcm``.

    Nothing is compressed: images that could be are seldom worth the time.
    """
    sink = ZipSink()
    with zipfile.ZipFile(as_type("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as archive:
        for instance in instances:
            name = (
                f"{instance.study_instance_uid}/{instance.series_instance_uid}"
                f"/{instance.sop_instance_uid}.dcm"
            )
            data = held.open(instance)
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=len(data) > 1 << 31) as entry:
                for at in range(0, len(data), PIECE):
                    entry.write(bytes(data[at : at + PIECE]))
                    yield sink.take()
    yield sink.take()
