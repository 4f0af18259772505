"""A file in another transfer syntax, as a stream.

No more of it is in memory than a piece, or a frame or two where frames are decoded. Without the
extra ``pixels``, what is compressed stays so.

Standard: PS3.10 7; PS3.5 Annex A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.data.files.large_value import read_large
from dicom_actors.data.files.part10 import file_pieces
from dicom_actors.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data.files.file_bytes import FileBytes
    from dicom_actors.data.values.unread import UnreadBytes

__all__ = ["converted"]


def converted(
    file: FileBytes | memoryview, transfer_syntax: str
) -> Iterable[bytes | memoryview | UnreadBytes]:
    """Give a file in a transfer syntax that does not compress pixel data.

    Args:
        file: all of a Part 10 file.
        transfer_syntax: a UID.

    Returns:
        Its pieces, to be taken in order, once; a list where their lengths are known.

    Raises:
        DataError: it cannot be made so. What is wrong with a frame but the first, or with the file
            meanwhile, is raised by what is read of a piece.
        OSError: it cannot be read.
        MissingExtraError: it is compressed, and the extra ``pixels`` is missing.
    """
    data_set = read_large(file)
    source = data_set.transfer_syntax
    if source is not None and source.is_encapsulated:
        try:
            from dicom_actors.pixels.transcoding import decompress  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError(
                "decoding frames needs the extra `pixels`: pip install 'dicom-actors[pixels]'"
            ) from error
        data_set = decompress(data_set, transfer_syntax, lazily=True)
    return file_pieces(data_set, transfer_syntax)
