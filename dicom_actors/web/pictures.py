"""What needs pixels to be decoded, behind one small interface.

Without decoders, frames and objects are served as they are stored, and what would need them is
refused by a status that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from dicom_actors import DataSet
    from dicom_actors.archive.files import FileBytes

__all__ = ["Images", "Pictures", "Rendering"]


class Rendering(NamedTuple):
    """How a picture is to look (PS3.18 8.3.5).

    Attributes:
        kind: ``image/jpeg``, ``image/png`` or ``image/gif``.
        size: the most columns and rows; None: as it is.
        region: left, top, width, height of what is shown; None: all.
        window: center, width and function; None: that of the object.
        quality: 1 to 100, where the kind has one.
        overlays: whether overlays are drawn.
    """

    kind: str
    size: tuple[int, int] | None = None
    region: tuple[float, float, float, float] | None = None
    window: tuple[float, float, str] | None = None
    quality: int = 85
    overlays: bool = True


class Images(Protocol):
    """Frames that are decoded when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def frame(self, number: int) -> bytes:
        """Decode a frame, counted from 0, as it is in Explicit VR Little Endian.

        Raises:
            DataError: it cannot be decoded.
            OSError: the file cannot be read any more.
        """

    def render(self, numbers: list[int], rendering: Rendering) -> bytes:
        """Make a picture of frames, counted from 0.

        Raises:
            DataError: it cannot be decoded, or is no image.
            OSError: the file cannot be read any more.
        """


class Pictures(Protocol):
    """Decodes pixels."""

    kinds: tuple[str, ...]
    """Of which kinds pictures can be made; the preferred one first."""

    def can_decode(self, transfer_syntax: str) -> bool:
        """Whether frames in a transfer syntax can be decoded."""

    def open(self, source: DataSet | FileBytes) -> Images:
        """Find the frames of a data set or of a file; of a file no more is read than is wanted.

        Raises:
            ElementNotFoundError: it has none.
            DataError: they are none that can be decoded.
            OSError: the file cannot be read.
        """
