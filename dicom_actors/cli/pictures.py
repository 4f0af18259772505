"""Pictures as files: written whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.usage import UsageError
from dicom_actors.data.files.atomic_file import write_atomically
from dicom_actors.pixels import require_extra

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["check_format", "write_picture"]

# At the usual level, most of the time of writing a PNG is spent on a tenth of its size.
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # Runs alone (Z_RLE): half the time of matches, and of noisy pictures no larger.
    "PNG": {"compress_level": 1, "compress_type": 3},
    "JPEG": {"quality": 90},
    "WEBP": {"lossless": True},
}


def check_format(output: str) -> str:
    """Return the format that the suffix of a file stands for.

    Raises:
        UsageError: it stands for none that can be written.
        MissingExtraError: the extra ``pixels`` is missing.
    """
    require_extra()
    from PIL import Image

    suffix = Path(output).suffix.lower()
    found = Image.registered_extensions().get(suffix)
    if found is None or found not in Image.SAVE:
        raise UsageError(f"expected a suffix such as .png or .jpg, got {output!r}")
    return found


def write_picture(picture: Image, output: str) -> None:
    """Write a picture in the format of the file's suffix.

    Raises:
        UsageError: see `check_format`.
        OSError: it cannot be written.
    """
    kind = check_format(output)
    data = BytesIO()
    picture.save(data, kind, **_OPTIONS.get(kind, {}))
    write_atomically(output, [data.getbuffer()])
