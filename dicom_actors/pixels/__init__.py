"""Frames of pixel data as arrays and pictures, and the same object in another transfer syntax.

Needs the extra ``pixels`` (numpy, pillow, imagecodecs); `frame_bytes` alone does without. Other
names load what they need when they are first used, and say which extra is missing.

The way through it: `description` is what a data set says of its pixels, checked; `codestream` what
a compressed frame says of itself, before anything is decoded; `frame_source` finds the bytes of
each frame, `native` and `rle` take them apart, `codecs` is the table from transfer syntax to
decoder and encoder, `arrays` puts these together. `color`, `lookup` and `overlays` are the steps
from stored values to what is shown, `rendering` goes through them. `transcoding` makes the same
object in another transfer syntax, `frame_writer` takes the compressed frames, `derivation` marks it
where that lost something, and `converting` makes a stream of a file.

To run codecs in a process that may be killed is `dicom_actors.codec_process`'s; nothing here has
processes, threads or clocks.

Standard: PS3.3 C.7.6.3, C.11; PS3.5 8 and Annex A.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.errors import MissingExtraError
from dicom_actors.pixels.description import DEFAULT_LIMITS, ImageDescription, PixelLimits
from dicom_actors.pixels.frame_source import frame_bytes

if TYPE_CHECKING:
    from dicom_actors.pixels.arrays import FrameReader, frame, frames, read_frame, volume
    from dicom_actors.pixels.choosing import Transcoder, transcode_to_one_of
    from dicom_actors.pixels.codecs import CODECS, Codec
    from dicom_actors.pixels.converting import converted
    from dicom_actors.pixels.lookup import modality_values, padding_mask, windows_of
    from dicom_actors.pixels.overlays import overlay, overlay_groups
    from dicom_actors.pixels.rendering import render
    from dicom_actors.pixels.transcoding import decompress, transcode

__all__ = [
    "CODECS",
    "DEFAULT_LIMITS",
    "Codec",
    "FrameReader",
    "ImageDescription",
    "PixelLimits",
    "Transcoder",
    "converted",
    "decompress",
    "frame",
    "frame_bytes",
    "frames",
    "modality_values",
    "overlay",
    "overlay_groups",
    "padding_mask",
    "read_frame",
    "render",
    "require_extra",
    "transcode",
    "transcode_to_one_of",
    "volume",
    "windows_of",
]

_HOMES: Final = {
    "CODECS": "codecs",
    "Codec": "codecs",
    "FrameReader": "arrays",
    "Transcoder": "choosing",
    "converted": "converting",
    "decompress": "transcoding",
    "frame": "arrays",
    "frames": "arrays",
    "modality_values": "lookup",
    "overlay": "overlays",
    "overlay_groups": "overlays",
    "padding_mask": "lookup",
    "read_frame": "arrays",
    "render": "rendering",
    "transcode": "transcoding",
    "transcode_to_one_of": "choosing",
    "volume": "arrays",
    "windows_of": "lookup",
}
_OF_THE_EXTRA: Final = frozenset({"numpy", "PIL", "imagecodecs"})


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"dicom_actors.pixels.{home}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        raise MissingExtraError(
            f"dicom_actors.pixels.{name} needs {error.name}: pip install 'dicom-actors[pixels]'",
            name=error.name,
        ) from error
    value = globals()[name] = getattr(module, name)
    return value


def require_extra() -> None:
    """See to it that the extra is installed, before much is begun.

    Raises:
        MissingExtraError: it is not; the message says what to install.
    """
    for name in ("render", "transcode"):
        __getattr__(name)


def __dir__() -> list[str]:
    return sorted(__all__)
