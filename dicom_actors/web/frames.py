"""WADO-RS: frames, as they are stored or decoded, and pictures of them.

Standard: PS3.18 10.4.1.1.5 and 10.4.1.1.6, 8.3.5.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.errors import ArchiveError, DataError, ElementNotFoundError
from dicom_actors.web.accept import EXPLICIT_VR_LITTLE_ENDIAN, Offer, choose
from dicom_actors.web.exchange import HttpError, Response, not_modified, ranged
from dicom_actors.web.holdings import unavailable
from dicom_actors.web.media_types import MEDIA_TYPES, OCTETS, is_uncompressed
from dicom_actors.web.multipart import Part, write_parts
from dicom_actors.web.pictures import Rendering
from dicom_actors.web.retrieve import etag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_actors import DataSet
    from dicom_actors.archive import StoredInstance
    from dicom_actors.web.exchange import Request
    from dicom_actors.web.holdings import Held
    from dicom_actors.web.pictures import Images, Pictures

__all__ = ["Frames"]

_NOT_AS_IT_STANDS: Final = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
"""Big endian, and deflated: what stands in the file is not what a frame is."""
_MOST_FRAMES: Final = 10_000
_MOST_IN_A_PICTURE: Final = 500
_MOST_PIXELS: Final = 16_384
_THUMBNAIL: Final = 128
_GIF: Final = "image/gif"
"""The one kind of picture that has several frames."""


class Frames:
    """Handlers of frames.

    Args:
        held: the archive.
        pictures: decodes; None: nothing does.
    """

    def __init__(self, held: Held, pictures: Pictures | None) -> None:
        self._held: Final = held
        self._pictures: Final = pictures

    # --- frames ------------------------------------------------------------------------------

    def frames(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve frames."""
        numbers = _numbers(uids["frames"])
        instance = self._held.instance(uids)
        syntax = instance.transfer_syntax_uid
        offer = choose(request, self._offers(syntax, is_one=len(numbers) == 1))
        etag = etag_of([instance], f"{numbers} {offer.text}")
        known = not_modified(request, etag)
        if known is not None:
            return known
        headers = {"etag": etag, "vary": "accept"}
        is_compressed = offer.is_stored and not is_uncompressed(syntax)
        used = syntax if is_compressed else EXPLICIT_VR_LITTLE_ENDIAN
        content_type = f"{offer.kind}; transfer-syntax={used}"
        read = self._stored(instance) if offer.is_stored else self._decoding(instance)
        if not offer.is_multipart:
            return ranged(request, memoryview(read(numbers[0])), content_type, headers)
        first = read(numbers[0])  # so that what is wrong is told by the status
        parts = _parts(numbers, first, read, content_type)
        whole, body = write_parts(offer.kind, parts)
        return Response(200, {**headers, "content-type": whole}, body, None)

    def _offers(self, syntax: str, *, is_one: bool) -> list[Offer]:
        offers = []
        for is_multipart in (True, False) if is_one else (True,):
            form = partial(Offer, is_multipart=is_multipart)
            if is_uncompressed(syntax):
                offers.append(
                    form(OCTETS, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN, is_stored=True)
                )
                continue
            offers += [
                form(kind, transfer_syntax=syntax, is_stored=True)
                for kind in MEDIA_TYPES.get(syntax, ())
            ]
            # Viewers ask for octets in any transfer syntax, and look at the type of the parts.
            offers.append(form(OCTETS, transfer_syntax=syntax, is_default=False, is_stored=True))
            if self._pictures is not None and self._pictures.can_decode(syntax):
                offers.append(form(OCTETS, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN))
        return offers

    def _stored(self, instance: StoredInstance) -> Callable[[int], bytes]:
        """Give what reads frames, counted from 1, as they are stored.

        Where each is the index knows, so that nothing else of a file is read. Of a large one in
        another byte order a frame is brought in order by itself; what is deflated is inflated to a
        file first.
        """
        if instance.transfer_syntax_uid in _NOT_AS_IT_STANDS:
            return self._of_data_set(self._held.data_set(instance))

        def read(number: int) -> bytes:
            try:
                return bytes(self._held.archive.frame(instance, number))
            except IndexError as error:
                raise HttpError(404, "frames: there are not so many") from error
            except DataError:
                # Nothing tells where it is, without a look at all of it.
                return self._of_data_set(self._held.data_set(instance))(number)
            except ArchiveError as error:
                raise unavailable(error) from error
            except OSError as error:
                raise HttpError(503, "the file cannot be read now") from error

        return read

    @staticmethod
    def _of_data_set(data_set: DataSet) -> Callable[[int], bytes]:
        frames = _frames_of(data_set)

        def read(number: int) -> bytes:
            if number > len(frames):
                raise HttpError(404, f"frames: there are {len(frames)}")
            try:
                return bytes(frames[number - 1])
            except DataError as error:
                raise HttpError(500, "the instance is damaged") from error
            except OSError as error:
                raise HttpError(503, "the file cannot be read now") from error

        return read

    def _decoding(self, instance: StoredInstance) -> Callable[[int], bytes]:
        """Give what decodes frames, counted from 1."""
        pictures = self._pictures
        assert pictures is not None  # else it is not offered
        images = self._images(instance, pictures, absent=404)
        count = len(images)

        def read(number: int) -> bytes:
            if number > count:
                raise HttpError(404, f"frames: there are {count}")
            try:
                return images.frame(number - 1)
            except DataError as error:
                raise HttpError(406, "accept: the frame cannot be decoded") from error
            except OSError as error:
                raise HttpError(503, "the file cannot be read now") from error

        return read

    def _images(self, instance: StoredInstance, pictures: Pictures, *, absent: int) -> Images:
        """The frames of an instance; without any, the status is `absent`."""
        try:
            return self._held.images(instance, pictures)
        except ElementNotFoundError as error:
            raise HttpError(absent, "the instance has no frames") from error
        except DataError as error:
            raise HttpError(406, "accept: the frames cannot be decoded") from error
        except OSError as error:
            raise HttpError(503, "the file cannot be read now") from error

    # --- pictures ----------------------------------------------------------------------------

    def rendered(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a picture of an instance, or of frames of it."""
        return self._picture(request, self._held.instance(uids), uids, most=None)

    def rendered_series(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a picture of the instance in the middle of a series or a study."""
        instances = self._held.instances(uids)
        return self._picture(request, instances[len(instances) // 2], uids, most=None)

    def thumbnail(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a small picture of an instance, a series or a study, or of frames."""
        instances = self._held.instances(uids)
        return self._picture(request, instances[len(instances) // 2], uids, most=_THUMBNAIL)

    def _picture(
        self,
        request: Request,
        instance: StoredInstance,
        uids: Mapping[str, str],
        most: int | None,
    ) -> Response:
        pictures = self._pictures
        if pictures is None:
            raise HttpError(
                501, "pictures need the extra `pixels`: pip install dicom-actors[pixels]"
            )
        numbers = _numbers(uids["frames"]) if "frames" in uids else None
        several = numbers is not None and len(numbers) > 1
        kinds = [kind for kind in pictures.kinds if kind == _GIF or not several]
        offers = [Offer(kind) for kind in kinds]
        if several:  # else as pictures of one frame each
            offers += [Offer(kind, is_multipart=True) for kind in pictures.kinds if kind != _GIF]
        offer = choose(request, offers)
        rendering = _rendering(request, offer.kind, most)
        etag = etag_of([instance], f"{numbers} {offer.text} {rendering}")
        known = not_modified(request, etag)
        if known is not None:
            return known
        images = self._images(instance, pictures, absent=406)
        count = len(images)
        if numbers is None:
            numbers = list(range(1, count + 1)) if offer.kind == _GIF else [1]
            if most is not None:
                numbers = [count // 2 + 1]
        if max(numbers) > count:
            raise HttpError(404, f"frames: there are {count}")
        if len(numbers) > _MOST_IN_A_PICTURE:
            raise HttpError(413, f"frames: expected up to {_MOST_IN_A_PICTURE} in a picture")

        def drawn(*wanted: int) -> bytes:
            try:
                return images.render([number - 1 for number in wanted], rendering)
            except DataError as error:
                raise HttpError(
                    406, "there is no picture of it: it cannot be decoded, or would be too large"
                ) from error
            except OSError as error:
                raise HttpError(503, "the file cannot be read now") from error

        headers = {"etag": etag, "vary": "accept"}
        if offer.is_multipart:
            parts = _parts(numbers, drawn(numbers[0]), drawn, offer.kind)
            content_type, pieces = write_parts(offer.kind, parts)
            return Response(200, {**headers, "content-type": content_type}, pieces, None)
        return Response.of_bytes(200, drawn(*numbers), offer.kind, **headers)


def _parts(
    numbers: Sequence[int], first: bytes, read: Callable[[int], bytes], content_type: str
) -> Iterator[Part]:
    headers = {"Content-Type": content_type}
    yield Part(headers, len(first), (first,))
    for number in numbers[1:]:
        data = read(number)
        yield Part(headers, len(data), (data,))


def _numbers(text: str) -> list[int]:
    """Read a list of frames, counted from 1; ``%2C`` came as a comma."""
    numbers = []
    for part in text.split(","):
        bare = part.strip()
        if not bare.isascii() or not bare.isdecimal() or len(bare) > 9 or int(bare) < 1:
            raise HttpError(400, "frames: expected numbers from 1, with commas between them")
        numbers.append(int(bare))
    if len(numbers) > _MOST_FRAMES:
        raise HttpError(413, f"frames: expected up to {_MOST_FRAMES}")
    return numbers


def _frames_of(data_set: DataSet) -> Any:
    try:
        return data_set.frames()
    except (DataError, ValueError, TypeError) as error:
        raise HttpError(404, "the instance has no frames") from error


def _rendering(request: Request, kind: str, most: int | None) -> Rendering:
    """Read the parameters of a picture (PS3.18 8.3.5), and ``overlays``, which is our own.

    Raises:
        HttpError: 400, one of them is none.
    """
    size, region = None if most is None else (most, most), None
    viewport = request.value("viewport")
    if viewport:
        values = [0.0 if not one.strip() else _real(one, "viewport") for one in viewport.split(",")]
        if len(values) not in {2, 4, 6} or not all(1 <= v <= _MOST_PIXELS for v in values[:2]):
            raise HttpError(400, f"viewport: expected width and height, 1 to {_MOST_PIXELS}")
        size = (int(values[0]), int(values[1]))
        if len(values) == 6:
            region = (values[2], values[3], values[4], values[5])
    window = None
    text = request.value("window")
    if text:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in {2, 3}:
            raise HttpError(400, "window: expected center, width and function")
        function = parts[2].lower() if len(parts) == 3 else "linear"
        if function not in {"linear", "linear-exact", "sigmoid"}:
            raise HttpError(400, "window: expected linear, linear-exact or sigmoid")
        width = _real(parts[1], "window")
        if width <= 0:
            raise HttpError(400, "window: expected a width above 0")
        window = (_real(parts[0], "window"), width, function)
    quality = request.value("quality") or "85"
    digits = quality.lstrip("0")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 3 or int(digits) > 100:
        raise HttpError(400, "quality: expected 1 to 100")
    overlays = (request.value("overlays") or "true").lower()
    if overlays not in {"true", "false"}:
        raise HttpError(400, "overlays: expected true or false")
    return Rendering(kind, size, region, window, int(digits), overlays == "true")


def _real(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise HttpError(400, f"{name}: expected numbers")
    return value
