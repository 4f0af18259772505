"""The table of codecs: for each transfer syntax, what decodes and encodes a frame.

A user adds one by handing over a table of his own::

    frame(ds, 0, codecs={**CODECS, "1.2.840.113619.5.2": Codec(decode=mine)})

The work is done by imagecodecs (libjpeg-turbo, CharLS, OpenJPEG, OpenJPH, libjxl). Before it, the
header of the codestream is compared with the data set; after it, the array.

Standard: PS3.5 8.2 and Annex A.4.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import imagecodecs
import numpy as np

from dicom_actors.errors import DecodeError, EncodeError
from dicom_actors.pixels.codestream import (
    Codestream,
    check_codestream,
    read_jpeg,
    read_jpeg_2000,
    read_jpeg_xl,
)
from dicom_actors.pixels.native import clean, decode_native, dtype_of, encode_native
from dicom_actors.pixels.rle import join_segments, segments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_actors.pixels.description import ImageDescription

__all__ = ["CODECS", "Codec", "Codecs", "Decoded", "Encoded", "called"]


class Decoded(NamedTuple):
    """A frame.

    Attributes:
        array: rows, columns[, samples], in the type that the description gives, clean.
        photometric: the Photometric Interpretation that it has.
    """

    array: NDArray[Any]
    photometric: str


class Encoded(NamedTuple):
    """A compressed frame.

    Attributes:
        data: the codestream.
        photometric: the Photometric Interpretation that it has.
        bits_stored: how many bits its samples have.
    """

    data: bytes
    photometric: str
    bits_stored: int


Decode = Callable[[bytes | memoryview, "ImageDescription", bool], Decoded]
"""Takes a frame, what it is to be, and whether color is wanted as RGB, which it may leave undone.

It raises DecodeError, or what its library raises."""
Encode = Callable[["NDArray[Any]", "ImageDescription", "float | None"], Encoded]
"""Takes a frame, what it is, and the quality in the codec's own measure, None for the usual one.

It raises EncodeError with the reason where the frame cannot be kept so, or what its library
raises."""


@dataclass(frozen=True, slots=True)
class Codec:
    """What is done with the frames of a transfer syntax.

    Attributes:
        decode: see `Decode`.
        encode: see `Encode`; None: nothing can be compressed so.
        is_lossy: whether encoding loses information.
        method: the Lossy Image Compression Method, where it does (PS3.3 C.7.6.1.1.5.1).
    """

    decode: Decode
    encode: Encode | None = None
    is_lossy: bool = False
    method: str = ""


Codecs = Mapping[str, Codec]
"""By Transfer Syntax UID."""

_FAULTS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What libraries raise on what they do not like."""


def _uncopied(data: bytes | memoryview) -> bytes:
    """Return the same object, of which imagecodecs takes more kinds than its types say."""
    return cast("bytes", data)


def called(codec: Codec, name: str, data: bytes | memoryview, *args: Any) -> Decoded:
    """Decode a frame, and see to it that the result is what was wanted.

    Args:
        codec: what decodes it.
        name: what its transfer syntax is called.
        data: the frame.
        args: the description, and whether RGB is wanted.

    Raises:
        DecodeError: it cannot be decoded.
    """
    description: ImageDescription = args[0]
    try:
        decoded = codec.decode(data, *args)
    except DecodeError:
        raise
    except _FAULTS as error:
        raise DecodeError(
            f"expected a frame of {name}, got {len(data)} bytes that are none: {error!s:.200}",
            tag=description.tag,
        ) from error
    found = decoded.array
    if found.shape != description.shape or found.dtype != dtype_of(description):
        raise DecodeError(
            f"expected a frame of {description.shape} {dtype_of(description)} from {name}, got"
            f" {found.shape} {found.dtype}",
            tag=description.tag,
        )
    return decoded


# --- JPEG ------------------------------------------------------------------------------------

_OF_LIBJPEG: Final = {"RGB": "RGB", "YBR_FULL": "YCbCr"}


def _is_ybr(photometric: str) -> bool:
    return photometric.startswith("YBR_")


def _decode_jpeg(
    data: bytes | memoryview,
    description: ImageDescription,
    rgb: bool,  # noqa: FBT001
) -> Decoded:
    """Decode any JPEG of Annexes F, G and H of ITU-T T.81.

    What the components are the codestream knows best, by its markers; then the data set.
    """
    found = read_jpeg(data)
    check_codestream(found, description)
    if description.samples != 3:
        return _cleaned(_jpeg_samples(data, found), description, found)
    declared = description.photometric
    if found.is_lossless:
        # Nothing converts what is to be kept as it is.
        array = _jpeg_samples(data, found, "RGB", "RGB")
        return _cleaned(array, description, found)
    source = found.colors or ("YBR_FULL" if _is_ybr(declared) else "RGB")
    target = "RGB" if rgb or not _is_ybr(declared) else "YBR_FULL"
    array = _jpeg_samples(data, found, _OF_LIBJPEG[source], _OF_LIBJPEG[target])
    if not _is_ybr(declared) and declared != "RGB":
        target = declared
    return _cleaned(array, description, found, target)


def _jpeg_samples(
    data: bytes | memoryview,
    found: Codestream,
    source: str | None = None,
    target: str | None = None,
) -> NDArray[Any]:
    try:
        made: NDArray[Any] = imagecodecs.jpeg_decode(
            _uncopied(data), colorspace=source, outcolorspace=target, bitspersample=found.bits
        )
    except _FAULTS:
        if not found.is_lossless:
            raise
        made = np.ascontiguousarray(
            imagecodecs.jpegsof3_decode(_uncopied(data))
        )  # ones that libjpeg refuses
    return made


def _cleaned(
    array: NDArray[Any],
    description: ImageDescription,
    found: Codestream,
    photometric: str | None = None,
) -> Decoded:
    """Take samples as they are in a codestream for those that the data set wants.

    Whether they are signed is the data set's to say, which many writers tell their codec wrongly.
    """
    stored = min(found.bits, description.bits_stored)
    if found.bits < description.bits_stored and description.is_signed and not found.is_signed:
        stored = found.bits  # the sign is the highest bit that there is
    array = clean(array, replace(description, bits_stored=stored), low_bit=0, in_place=True)
    return Decoded(array, photometric or description.photometric)


def _patterns(array: NDArray[Any], description: ImageDescription) -> NDArray[Any]:
    """Take samples as the bits that they are stored in."""
    kind = np.dtype(f"u{array.itemsize}")
    array = np.ascontiguousarray(array).view(kind)
    if description.is_signed and description.bits_stored < kind.itemsize * 8:
        array = np.bitwise_and(array, kind.type((1 << description.bits_stored) - 1))
    return array


def _check_fit(description: ImageDescription, name: str, *, most_bits: int = 16) -> None:
    if description.is_float:
        raise EncodeError(f"{name} has no floats", tag=description.tag)
    if description.bits_allocated not in {8, 16} or description.bits_stored > most_bits:
        raise EncodeError(
            f"{name} takes Bits Allocated 8 or 16 and Bits Stored up to {most_bits}, got"
            f" {description.bits_allocated} and {description.bits_stored}",
            tag=description.tag,
        )
    if description.samples not in {1, 3}:
        raise EncodeError(
            f"{name} takes Samples per Pixel of 1 or 3, got {description.samples}",
            tag=description.tag,
        )


def _check_lossy(description: ImageDescription, name: str) -> None:
    if description.photometric.startswith("PALETTE"):
        raise EncodeError(
            f"{name} loses information, which the indices of a palette cannot bear",
            tag=description.tag,
        )


def _encode_jpeg_lossless(
    array: NDArray[Any], description: ImageDescription, _quality: float | None
) -> Encoded:
    _check_fit(description, "JPEG Lossless")
    colors = "RGB" if description.samples == 3 else None
    data = imagecodecs.jpeg_encode(
        _patterns(array, description),
        lossless=True,
        predictor=1,
        bitspersample=max(2, description.bits_stored),
        colorspace=colors,
        outcolorspace=colors,
    )
    return Encoded(bytes(data), description.photometric, description.bits_stored)


def _jpeg_encoder(most_bits: int, name: str) -> Encode:
    def encode(
        array: NDArray[Any], description: ImageDescription, quality: float | None
    ) -> Encoded:
        _check_fit(description, name, most_bits=most_bits)
        _check_lossy(description, name)
        if description.is_signed:
            raise EncodeError(f"{name} has no signed samples", tag=description.tag)
        # What is reconstructed may be larger than what there was.
        bits = 8 if description.bits_stored <= 8 else 12
        kind = np.uint8 if bits == 8 else np.uint16
        options: dict[str, Any] = {}
        photometric = description.photometric
        if description.samples == 3:
            options = {"colorspace": "RGB", "outcolorspace": "YCbCr", "subsampling": "422"}
            if _is_ybr(photometric):
                options["colorspace"] = "YCbCr"
            photometric = "YBR_FULL_422"
        data = imagecodecs.jpeg_encode(
            np.ascontiguousarray(array, kind),
            level=90 if quality is None else int(quality),
            bitspersample=bits,
            **options,
        )
        return Encoded(bytes(data), photometric, bits)

    return encode


# --- JPEG-LS ---------------------------------------------------------------------------------

_END_OF_IMAGE: Final = b"\xff\xd9"
_END_OF_SPIFF: Final = b"\xff\xe8\0\x08\0\0\0\x01\xff\xd8"


def _decode_jpeg_ls(
    data: bytes | memoryview,
    description: ImageDescription,
    rgb: bool,  # noqa: ARG001, FBT001
) -> Decoded:
    found = read_jpeg(data)
    check_codestream(found, description)
    return _cleaned(imagecodecs.jpegls_decode(_ended(data)), description, found)


def _ended(data: bytes | memoryview) -> bytes:
    """Return a codestream with its end, without which CharLS looks for more for half a minute."""
    end = bytes(data[-64:]).rstrip(b"\0")
    return _uncopied(data) if end.endswith(_END_OF_IMAGE) else bytes(data) + _END_OF_IMAGE


def _jpeg_ls_alone(data: bytes) -> bytes:
    """Return a codestream without the SPIFF header that its encoder puts before it.

    It says what the data set says, and has an SOI marker of its own, which not all readers expect.
    """
    directory = data.find(_END_OF_SPIFF, 0, 64)
    if data[6:11] != b"SPIFF" or directory < 0:
        return data
    return data[directory + len(_END_OF_SPIFF) - 2 :]


def _encode_jpeg_ls(
    array: NDArray[Any], description: ImageDescription, _quality: float | None
) -> Encoded:
    _check_fit(description, "JPEG-LS")
    data = _jpeg_ls_alone(bytes(imagecodecs.jpegls_encode(_patterns(array, description))))
    return Encoded(data, description.photometric, description.bits_stored)


def _encode_jpeg_ls_near(
    array: NDArray[Any], description: ImageDescription, quality: float | None
) -> Encoded:
    name = "JPEG-LS Near-Lossless"
    _check_fit(description, name)
    _check_lossy(description, name)
    if description.is_signed:
        raise EncodeError(f"{name} has no signed samples", tag=description.tag)
    data = imagecodecs.jpegls_encode(
        np.ascontiguousarray(array), level=2 if quality is None else int(quality)
    )
    # What is reconstructed may be larger than what there was.
    return Encoded(_jpeg_ls_alone(bytes(data)), description.photometric, array.itemsize * 8)


# --- JPEG 2000 and HTJ2K ---------------------------------------------------------------------


def _jpeg_2000_decoder(decode: Callable[[bytes], NDArray[Any]]) -> Decode:
    def decoded(
        data: bytes | memoryview,
        description: ImageDescription,
        rgb: bool,  # noqa: ARG001, FBT001
    ) -> Decoded:
        found = read_jpeg_2000(data)
        check_codestream(found, description)
        photometric = description.photometric
        if description.samples == 3 and (
            found.has_color_transform or photometric in {"YBR_RCT", "YBR_ICT"}
        ):
            photometric = "RGB"
        return _cleaned(decode(_uncopied(data)), description, found, photometric)

    return decoded


def _colors_in_jpeg_2000(description: ImageDescription, *, is_lossy: bool) -> str:
    if description.samples == 3 and description.photometric == "RGB":
        return "YBR_ICT" if is_lossy else "YBR_RCT"
    return description.photometric


def _encode_jpeg_2000(
    array: NDArray[Any], description: ImageDescription, quality: float | None
) -> Encoded:
    _check_fit(description, "JPEG 2000")
    is_lossy = quality is not None
    if is_lossy:
        _check_lossy(description, "lossy JPEG 2000")
    photometric = _colors_in_jpeg_2000(description, is_lossy=is_lossy)
    data = imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(array),
        level=round(quality or 0),
        codecformat="j2k",
        reversible=not is_lossy,
        bitspersample=description.bits_stored,
        mct=photometric.startswith("YBR_") and description.photometric == "RGB",
        resolutions=_resolutions(description),
    )
    return Encoded(bytes(data), photometric, description.bits_stored)


def _encode_jpeg_2000_lossless(
    array: NDArray[Any], description: ImageDescription, _quality: float | None
) -> Encoded:
    return _encode_jpeg_2000(array, description, None)


def _encode_jpeg_2000_lossy(
    array: NDArray[Any], description: ImageDescription, quality: float | None
) -> Encoded:
    # As many decibels as make a difference of one or so in the mean.
    return _encode_jpeg_2000(array, description, quality or 6.0 * description.bits_stored)


def _htj2k_encoder(*, is_lossy: bool = False, has_tile_lengths: bool = False) -> Encode:
    def encode(
        array: NDArray[Any], description: ImageDescription, quality: float | None
    ) -> Encoded:
        _check_fit(description, "HTJ2K")
        if is_lossy:
            _check_lossy(description, "lossy HTJ2K")
        photometric = _colors_in_jpeg_2000(description, is_lossy=is_lossy)
        data = imagecodecs.htj2k_encode(
            np.ascontiguousarray(array),
            level=(quality or 2.0 / (1 << description.bits_stored)) if is_lossy else None,
            reversible=not is_lossy,
            rgb=photometric != description.photometric,
            tlm=has_tile_lengths,
            resolutions=_resolutions(description) - 1,
        )
        stored = array.itemsize * 8 if is_lossy else description.bits_stored
        return Encoded(bytes(data), photometric, stored)

    return encode


def _resolutions(description: ImageDescription) -> int:
    """How many resolutions there are: the smallest has a pixel at least."""
    return max(1, min(6, min(description.rows, description.columns).bit_length()))


# --- JPEG XL ---------------------------------------------------------------------------------


def _decode_jpeg_xl(
    data: bytes | memoryview,
    description: ImageDescription,
    rgb: bool,  # noqa: ARG001, FBT001
) -> Decoded:
    rows, columns = read_jpeg_xl(data)
    found = Codestream(rows, columns, description.samples, description.bits_stored)
    check_codestream(found, description)
    array = imagecodecs.jpegxl_decode(_uncopied(data), numthreads=1)
    if array.dtype.kind != "u" or array.itemsize > description.sample_bytes:
        raise DecodeError(
            f"expected a JPEG XL codestream of {description.bits_stored} bits, got {array.dtype}"
        )
    colors = "RGB" if description.samples == 3 else description.photometric
    return _cleaned(array, description, found, colors)


def _jpeg_xl_encoder(*, is_lossy: bool) -> Encode:
    def encode(
        array: NDArray[Any], description: ImageDescription, quality: float | None
    ) -> Encoded:
        _check_fit(description, "JPEG XL")
        if description.is_signed:
            raise EncodeError("JPEG XL has no signed samples", tag=description.tag)
        photometric = description.photometric
        if photometric.startswith("YBR_"):
            raise EncodeError(f"JPEG XL takes color as RGB, got {photometric}", tag=description.tag)
        if is_lossy:
            _check_lossy(description, "lossy JPEG XL")
        options: dict[str, Any] = {"lossless": True}
        if is_lossy:
            options = {"lossless": False, "distance": 1.0 if quality is None else quality}
        data = imagecodecs.jpegxl_encode(
            np.ascontiguousarray(array),
            bitspersample=description.bits_stored,
            usecontainer=False,
            numthreads=1,
            **options,
        )
        if is_lossy and photometric == "RGB":
            photometric = "XYB"
        return Encoded(bytes(data), photometric, description.bits_stored)

    return encode


# --- RLE, deflate, and none ------------------------------------------------------------------


def _decode_rle(
    data: bytes | memoryview,
    description: ImageDescription,
    rgb: bool,  # noqa: ARG001, FBT001
) -> Decoded:
    segments = segments_of(data, description)
    width = len(segments) // description.samples
    out = np.zeros((description.pixels, description.samples, description.sample_bytes), np.uint8)
    for number, segment in enumerate(segments):
        sample, place = divmod(number, width)
        raw = imagecodecs.packbits_decode(_uncopied(segment), out=description.pixels + len(segment))
        if len(raw) < description.pixels:
            raise DecodeError(
                f"expected an RLE segment of {description.pixels} bytes, got {len(raw)}"
            )
        octets = np.frombuffer(raw, np.uint8, description.pixels)
        out[:, sample, width - 1 - place] = octets
    kind = dtype_of(description)
    array = out.reshape(-1).view(kind).reshape(description.shape)
    return Decoded(clean(array, description, in_place=True), description.photometric)


def _encode_rle(
    array: NDArray[Any], description: ImageDescription, _quality: float | None
) -> Encoded:
    if description.bits_allocated % 8:
        raise EncodeError(
            f"RLE takes whole bytes, got Bits Allocated {description.bits_allocated}",
            tag=description.tag,
        )
    octets = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).view(np.uint8)
    octets = octets.reshape(*array.shape[:2], description.samples, array.itemsize)
    if description.samples * array.itemsize > 15:
        raise EncodeError("RLE has at most 15 segments", tag=description.tag)
    segments = [
        _packed(np.ascontiguousarray(octets[:, :, sample, place]))
        for sample in range(description.samples)
        for place in reversed(range(array.itemsize))
    ]
    return Encoded(join_segments(segments), description.photometric, description.bits_stored)


def _packed(octets: NDArray[np.uint8]) -> bytes:
    """Compress the rows of one byte of one sample, each by itself (PS3.5 G.3.1)."""
    if octets.shape[1] == 1:
        return b"".join(bytes((0, value)) for value in octets.tobytes())
    return bytes(imagecodecs.packbits_encode(octets, axis=-1))


def _decode_uncompressed(
    data: bytes | memoryview,
    description: ImageDescription,
    rgb: bool,  # noqa: ARG001, FBT001
) -> Decoded:
    array = clean(decode_native(data, description)[0], description)
    photometric = description.photometric
    return Decoded(array, "YBR_FULL" if photometric == "YBR_FULL_422" else photometric)


def _encode_uncompressed(
    array: NDArray[Any], description: ImageDescription, _quality: float | None
) -> Encoded:
    data = encode_native(array, description.bits_allocated)
    return Encoded(data, description.photometric, description.bits_stored)


def _decode_deflated(
    data: bytes | memoryview,
    description: ImageDescription,
    rgb: bool,  # noqa: FBT001
) -> Decoded:
    most = (description.frame_bits + 7) // 8
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        raw = machine.decompress(data, most + 1)
    except zlib.error as error:
        raise DecodeError(f"expected a deflated frame: {error}", tag=description.tag) from error
    return _decode_uncompressed(raw, description, rgb)


def _encode_deflated(
    array: NDArray[Any], description: ImageDescription, _quality: float | None
) -> Encoded:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    native = encode_native(array, description.bits_allocated)
    data = machine.compress(native) + machine.flush()
    return Encoded(data, description.photometric, description.bits_stored)


# --- the table -------------------------------------------------------------------------------

# For HTJ2K, too: the binding of OpenJPH gives a frame where the decoder found an error.
_openjpeg: Final = _jpeg_2000_decoder(imagecodecs.jpeg2k_decode)

_JPEG: Final = "ISO_10918_1"
_JPEG_LS: Final = "ISO_14495_1"
_JPEG_2000: Final = "ISO_15444_1"
_HTJ2K: Final = "ISO_15444_15"
_JPEG_XL: Final = "ISO_18181_1"

_4: Final = "1.2.840.10008.1.2.4."

CODECS: Final[Codecs] = {
    _4 + "50": Codec(_decode_jpeg, _jpeg_encoder(8, "JPEG Baseline"), True, _JPEG),
    _4 + "51": Codec(_decode_jpeg, _jpeg_encoder(12, "JPEG Extended"), True, _JPEG),
    # Retired: spectral selection, full progression; and lossless with another predictor.
    _4 + "53": Codec(_decode_jpeg, None, True, _JPEG),
    _4 + "55": Codec(_decode_jpeg, None, True, _JPEG),
    _4 + "57": Codec(_decode_jpeg, _encode_jpeg_lossless),
    _4 + "58": Codec(_decode_jpeg),
    _4 + "70": Codec(_decode_jpeg, _encode_jpeg_lossless),
    _4 + "80": Codec(_decode_jpeg_ls, _encode_jpeg_ls),
    _4 + "81": Codec(_decode_jpeg_ls, _encode_jpeg_ls_near, True, _JPEG_LS),
    _4 + "90": Codec(_openjpeg, _encode_jpeg_2000_lossless),
    _4 + "91": Codec(_openjpeg, _encode_jpeg_2000_lossy, True, _JPEG_2000),
    _4 + "92": Codec(_openjpeg),
    _4 + "93": Codec(_openjpeg, None, True, _JPEG_2000),
    _4 + "201": Codec(_openjpeg, _htj2k_encoder()),
    _4 + "202": Codec(_openjpeg, _htj2k_encoder(has_tile_lengths=True)),
    _4 + "203": Codec(_openjpeg, _htj2k_encoder(is_lossy=True), True, _HTJ2K),
    _4 + "110": Codec(_decode_jpeg_xl, _jpeg_xl_encoder(is_lossy=False)),
    _4 + "111": Codec(_decode_jpeg_xl, None, True, _JPEG_XL),
    _4 + "112": Codec(_decode_jpeg_xl, _jpeg_xl_encoder(is_lossy=True), True, _JPEG_XL),
    "1.2.840.10008.1.2.5": Codec(_decode_rle, _encode_rle),
    "1.2.840.10008.1.2.1.98": Codec(_decode_uncompressed, _encode_uncompressed),
    "1.2.840.10008.1.2.8.1": Codec(_decode_deflated, _encode_deflated),
}
"""What there is; keys are Transfer Syntax UIDs."""
