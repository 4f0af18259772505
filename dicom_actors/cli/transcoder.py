"""What ``--transcode`` of ``serve`` and ``store`` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dicom_actors.pixels import Transcoder
    from dicom_actors.pixels.codecs import Codecs

__all__ = ["TRANSCODING", "transcoder_of"]

TRANSCODING: Final = ("off", "lossless", "lossy")


def transcoder_of(which: str, codecs: Codecs | None = None) -> Transcoder | None:
    """Give what transcodes objects that are sent.

    Args:
        which: one of `TRANSCODING`.
        codecs: those to use; None: the usual ones, in this process.

    Raises:
        MissingExtraError: the extra ``pixels`` is missing.
    """
    if which == "off":
        return None
    from dicom_actors.pixels import Transcoder

    if codecs is None:
        return Transcoder(which == "lossy")
    return Transcoder(which == "lossy", codecs=codecs)
