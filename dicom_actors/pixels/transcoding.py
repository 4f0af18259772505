"""The same object in another transfer syntax.

Frames are decoded and encoded one after the other. What is to be lossless is decoded again and
compared before it counts. What a codec changes (photometric interpretation, planar configuration,
offset tables, where the high bit is) the data set says afterwards; what it cannot keep is refused.

Standard: PS3.5 8.2, Annex A.4; PS3.3 C.7.6.3.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_actors.data import DataSet, EncapsulatedPixelData, TransferSyntax
from dicom_actors.data.dataset.data_set import UnreadElement
from dicom_actors.data.values.unread import PIECE, MadeBytes, UnreadBytes, UnreadFragments
from dicom_actors.errors import (
    DecodeError,
    EncodeError,
    UnsupportedTransferSyntaxError,
)
from dicom_actors.pixels.arrays import FrameReader, codec_for
from dicom_actors.pixels.codecs import CODECS, Codec, Codecs, Encoded, called
from dicom_actors.pixels.derivation import mark_derived, mark_lossy
from dicom_actors.pixels.description import DEFAULT_LIMITS, PixelLimits
from dicom_actors.pixels.frame_writer import FrameWriter
from dicom_actors.pixels.native import encode_native
from dicom_actors.pixels.overlays import is_embedded, overlay, overlay_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dicom_actors.pixels.codecs import Decoded
    from dicom_actors.pixels.description import ImageDescription

__all__ = ["decompress", "transcode"]

_PIXEL_DATA: Final = 0x7FE00010
_EXTENDED: Final = (0x7FE00001, 0x7FE00002)
_MOST_OF_BASIC_TABLE: Final = 0xFFFFFFFE
_EXPLICIT: Final = "1.2.840.10008.1.2.1"


def decompress(
    data_set: DataSet,
    transfer_syntax: str | TransferSyntax = _EXPLICIT,
    *,
    lazily: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> DataSet:
    """Return the data set with native pixel data; see `transcode`, of which it is a part.

    Args:
        data_set: the data set; without pixel data, or with native ones, it is only encoded anew.
        transfer_syntax: one that does not encapsulate pixel data.
        lazily: see `transcode`.
        codecs: see `frame`.
        limits: likewise.

    Raises:
        EncodeError: that transfer syntax encapsulates pixel data.
        DecodeError: a frame is not what the data set says.
        UnsupportedTransferSyntaxError: there is no codec for the frames.
    """
    target = TransferSyntax.of(transfer_syntax)
    if target.is_encapsulated:
        raise EncodeError(f"expected a transfer syntax that does not compress, got {target}")
    return transcode(data_set, target, lazily=lazily, codecs=codecs, limits=limits)


def transcode(
    data_set: DataSet,
    transfer_syntax: str | TransferSyntax,
    *,
    quality: float | None = None,
    lazily: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> DataSet:
    """Return the data set in another transfer syntax; the one that is given stays as it is.

    In one that keeps everything, each frame is decoded again and compared before it counts. Color
    that a lossy codec had subsampled becomes RGB first; overlays within the pixels become elements
    of their own. In one that loses information, the object becomes one of its own: with a new SOP
    Instance UID, Lossy Image Compression 01 with ratio and method, a derivation, and a reference
    to what it was. JPEG 2000 (``"JPEG2000"``) and its like count as such.

    Args:
        data_set: a data set; without pixel data it is only encoded anew. If it is in that
            transfer syntax already, a copy is returned.
        transfer_syntax: a UID, keyword or `TransferSyntax`.
        quality: for those that lose information, in the measure of the codec; None for the usual
            one. JPEG: 1 to 100 (90); JPEG-LS: the largest difference (2); JPEG 2000: the peak
            signal-to-noise ratio in dB (6 for each of Bits Stored); HTJ2K: the quantization step,
            of 1 for all values that there are (that of 2 values); JPEG XL: the distance (1).
        lazily: whether no more than a frame or two is in memory at a time: native pixel data are
            decoded as they are written, and what is wrong with a frame but the first is told
            then, by the same errors; compressed frames are in a temporary file if they are many.
        codecs: what decodes and encodes which transfer syntax.
        limits: what it may cost.

    Raises:
        EncodeError: the pixels cannot be kept so (the reason is in the message), or a frame that
            was encoded came out as another one.
        DecodeError: a frame is not what the data set says.
        ElementNotFoundError: the data set does not say how large its pixel data is.
        UnsupportedTransferSyntaxError: there is no codec that decodes, or none that encodes.
    """
    target = TransferSyntax.of(transfer_syntax)
    source = data_set.transfer_syntax
    if source == target:
        return data_set.copy()
    made = data_set.copy()
    _decompress_icons(made, codecs, limits)
    value = None
    if _PIXEL_DATA in made:
        element = made.fetch(_PIXEL_DATA)
        value = element.value if element.unread is None else element.unread
    is_compressed = isinstance(value, EncapsulatedPixelData | UnreadFragments)
    has_pixels = value is not None or any(tag in made for tag in (0x7FE00008, 0x7FE00009))
    if has_pixels and (is_compressed or target.is_encapsulated):
        _Transcoding(made, target, quality, codecs, limits, lazily=lazily).run()
    return made.with_transfer_syntax(target)


class _Transcoding:
    """Gives a data set other frames."""

    def __init__(
        self,
        data_set: DataSet,
        target: TransferSyntax,
        quality: float | None,
        codecs: Codecs,
        limits: PixelLimits,
        *,
        lazily: bool = False,
    ) -> None:
        self.data_set = data_set
        self.lazily = lazily
        self.target = target
        self.quality = quality
        self.source = data_set.transfer_syntax
        self.codec: Codec | None = None
        if target.is_encapsulated:
            self.codec, name = codec_for(target.uid, codecs)
            if self.codec.encode is None:
                raise UnsupportedTransferSyntaxError(f"no codec that encodes {name}")
        was_lossy = codecs.get(self.source.uid) if self.source is not None else None
        self.was_lossy = was_lossy is not None and was_lossy.is_lossy
        self.lost_by = was_lossy.method if was_lossy is not None else ""
        self.reader = FrameReader(data_set, codecs=codecs, limits=limits)
        if self.reader.description.is_subsampled and self.was_lossy:
            self.reader = FrameReader(data_set, rgb=True, codecs=codecs, limits=limits)
        self.photometric = ""

    def run(self) -> None:
        """Change the data set."""
        description = self.reader.description
        if description.is_float and self.codec is not None:
            raise EncodeError(f"{self.target} has no floats", tag=description.tag)
        overlays = self._embedded_overlays()
        if self.codec is None:
            self._put_native()
        else:
            self._put_compressed(self.codec)
        for tag, vr, value in overlays:
            self._put(tag, vr, value)
        for tag in _EXTENDED if self.codec is None else ():
            self.data_set.__delitem__(tag) if tag in self.data_set else None
        if self.was_lossy and self.data_set.get("LossyImageCompression") != "01":
            mark_lossy(self.data_set, None, self.lost_by)

    def _frames(self) -> Iterator[tuple[int, NDArray[Any], ImageDescription]]:
        """Give frames with what they are now: clean, high bit and color by pixel as it should."""
        for number in range(self.reader.description.frames):
            found = self.reader.decoded(number, palette=False)
            yield number, found.array, self._now(found)

    def _now(self, found: Decoded) -> ImageDescription:
        description = self.reader.description
        return replace(
            description,
            # Samples without a gap, of 12 bits, say, have whole bytes once they are an array.
            bits_allocated=1 if description.bits_allocated == 1 else description.sample_bytes * 8,
            high_bit=description.bits_stored - 1,
            photometric=found.photometric,
            planar=0,
        )

    def _put(self, tag: int, vr: str, value: Any) -> None:
        if isinstance(value, UnreadBytes | UnreadFragments):
            if self.lazily:
                self.data_set.put_element(UnreadElement(tag, vr, value))
                return
            value = value.read()
        self.data_set.put(tag, vr, value)

    def _put_native(self) -> None:
        description = self.reader.description
        size = description.array_bytes * description.frames
        if size > _MOST_OF_BASIC_TABLE:
            raise EncodeError(
                f"expected at most {_MOST_OF_BASIC_TABLE} bytes of native pixel data, got {size}",
                tag=description.tag,
            )
        first = self.reader.decoded(0, palette=False)
        now = self._now(first) if description.bits_allocated != 1 else description

        def frame(number: int) -> NDArray[Any]:
            found = self.reader.decoded(number, palette=False) if number else first
            if found.photometric != first.photometric:
                raise DecodeError(
                    f"expected frame {number} in {first.photometric} as the first one, got"
                    f" {found.photometric}",
                    tag=description.tag,
                )
            return found.array

        data = _native(
            description.frames, description.array_bytes, description.bits_allocated, frame
        )
        is_narrow = description.bits_allocated <= 8
        vr = "OB" if is_narrow and not self.target.is_implicit_vr else "OW"
        self._put(_PIXEL_DATA, vr, data)
        self._describe(now, now.photometric, now.bits_stored)

    def _put_compressed(self, codec: Codec) -> None:
        assert codec.encode is not None
        count, before, bits_stored, photometric = self.reader.description.frames, 0, 0, ""
        now = self.reader.description
        with FrameWriter(count, has_digests=codec.is_lossy) as frames:
            for number, array, now in self._frames():
                made = self._encode(codec, array, now)
                if not codec.is_lossy:
                    self._prove(codec, made, array, now, number)
                before += (now.frame_bits + 7) // 8
                bits_stored = max(bits_stored, made.bits_stored)
                photometric = photometric or made.photometric
                frames.add(made.data)
            after = sum(frames.lengths)
            has_table = after + 9 * count < _MOST_OF_BASIC_TABLE
            pixels = frames.finish(has_offset_table=has_table)
        self._put(_PIXEL_DATA, "OB", pixels)
        self._put_extended_table([] if has_table else frames.lengths)
        self._describe(now, photometric, bits_stored)
        if codec.is_lossy:
            mark_lossy(self.data_set, before / max(after, 1), codec.method)
            mark_derived(self.data_set, self.target, frames.digests)

    def _encode(self, codec: Codec, array: NDArray[Any], now: ImageDescription) -> Encoded:
        assert codec.encode is not None
        try:
            return codec.encode(array, now, self.quality)
        except EncodeError:
            raise
        except (
            ArithmeticError,
            MemoryError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise EncodeError(
                f"{self.target} cannot keep frames of {now.shape} {array.dtype}: {error!s:.200}",
                tag=now.tag,
            ) from error

    def _prove(
        self,
        codec: Codec,
        made: Encoded,
        array: NDArray[Any],
        now: ImageDescription,
        number: int,
    ) -> None:
        """Raise EncodeError unless a frame comes out as it went in."""
        then = replace(now, photometric=made.photometric, bits_stored=made.bits_stored)
        try:
            again = called(codec, str(self.target), made.data, then, False)
        except DecodeError as error:
            raise EncodeError(f"frame {number} in {self.target} cannot be decoded") from error
        if again.photometric != now.photometric or not np.array_equal(again.array, array):
            raise EncodeError(
                f"frame {number} in {self.target} comes out as another one: it cannot be kept so",
                tag=now.tag,
            )

    def _put_extended_table(self, frame_lengths: list[int]) -> None:
        for tag in _EXTENDED:
            if tag in self.data_set:
                del self.data_set[tag]
        if not frame_lengths:
            return
        lengths = np.array(frame_lengths, "<u8")
        steps = lengths + (lengths & 1) + 8
        offsets = np.cumsum(steps) - steps
        self.data_set.put(_EXTENDED[0], "OV", offsets.astype("<u8").tobytes())
        self.data_set.put(_EXTENDED[1], "OV", lengths.tobytes())

    def _describe(self, now: ImageDescription, photometric: str, bits_stored: int) -> None:
        data_set = self.data_set
        allocated = now.bits_allocated if now.bits_allocated == 1 else now.sample_bytes * 8
        for keyword, vr, value in (
            ("PhotometricInterpretation", "CS", photometric),
            ("BitsAllocated", "US", allocated),
            ("BitsStored", "US", bits_stored),
            ("HighBit", "US", bits_stored - 1),
        ):
            if not now.is_float and data_set.get(keyword) != value:
                data_set.put(keyword, vr, value)
        if now.samples > 1:
            data_set.put("PlanarConfiguration", "US", 0)
        elif "PlanarConfiguration" in data_set:
            del data_set["PlanarConfiguration"]

    def _embedded_overlays(self) -> list[tuple[int, str, Any]]:
        """Take overlays out of the pixels, in whose unused bits they would be lost."""
        found: list[tuple[int, str, Any]] = []
        count = self.reader.description.frames
        for group in overlay_groups(self.data_set):
            if not is_embedded(self.data_set, group):
                continue
            before = self.data_set.copy()  # of which nothing is taken out

            def plane(number: int, group: int = group, before: DataSet = before) -> NDArray[Any]:
                found = overlay(before, group, number, source=self.reader.source)
                assert found is not None  # one that is within pixels is in each frame
                return found

            pixels = plane(0).size
            base = group << 16
            found += [
                (base | 0x0100, "US", 1),
                (base | 0x0102, "US", 0),
                (base | 0x3000, "OW", _native(count, pixels, 1, plane)),
            ]
            if count > 1:
                found += [(base | 0x0015, "IS", count), (base | 0x0051, "US", 1)]
        return found


def _native(
    count: int, array_bytes: int, bits_allocated: int, frame: Callable[[int], NDArray[Any]]
) -> MadeBytes:
    """Native frames, made as they are wanted.

    Args:
        count: how many there are.
        array_bytes: bytes of each array.
        bits_allocated: 1 if they are packed, 8 to a byte, without a gap between frames.
        frame: gives one, counted from 0.
    """
    if bits_allocated == 1:
        # Eight of them are whole bytes.
        at_once, length = 8, (count * array_bytes + 7) // 8
        unit = array_bytes
    else:
        at_once, length = max(1, PIECE // max(array_bytes, 1)), count * array_bytes
        unit = at_once * array_bytes

    def make(number: int) -> bytes:
        arrays = [frame(at) for at in range(number * at_once, min((number + 1) * at_once, count))]
        if bits_allocated == 1:
            return encode_native(np.concatenate([array.reshape(-1) for array in arrays]), 1)
        return b"".join([encode_native(array, array.itemsize * 8) for array in arrays])

    return MadeBytes(length, unit, make)


def _decompress_icons(data_set: DataSet, codecs: Codecs, limits: PixelLimits) -> None:
    """Make compressed pixel data of items native, which every transfer syntax can have.

    It is that of icons (PS3.3 C.7.6.1.1.6), in whatever sequence.
    """
    items = [
        item
        for _, element in data_set.walk()
        if element.vr == "SQ"
        for item in element.value
        if isinstance(item.get(_PIXEL_DATA), EncapsulatedPixelData)
    ]
    for item in items:
        native = TransferSyntax.of(_EXPLICIT)
        _Transcoding(item, native, None, codecs, limits).run()
