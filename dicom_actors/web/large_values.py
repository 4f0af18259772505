"""Large objects, of which all is read but one large value: pixel data, a document, a spectrum.

That value is bytes of the file, read as they are wanted. What is unusual (deflated, big endian, out
of order, with several large values) is not taken apart; it has to be read whole.

Standard: PS3.5 7.1 (data elements), A.4 (compressed pixel data).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors import DataSet
from dicom_actors.archive.upkeep import LARGE_ONES, UNDEFINED, LargeElement, element_at
from dicom_actors.errors import ArchiveError, DataError

if TYPE_CHECKING:
    from dicom_actors.archive import Archive, StoredInstance
    from dicom_actors.archive.files import FileBytes

__all__ = ["LargeValue", "cut_out", "value_at"]

LARGE: Final = 1 << 20
"""Bytes of an object that is worth it; of what is beside the large value there may be so many."""
_WORTH: Final = 64 * 1024
"""Bytes of a value that is left in the file."""
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_DELIMITER: Final = bytes.fromhex("feffdde000000000")


class LargeValue(NamedTuple):
    """An object, and its large value.

    Attributes:
        before: what stands before that.
        tag: its tag.
        vr: its VR.
        value: its bytes; None: it is compressed.
        behind: what stands behind it.
    """

    before: DataSet
    tag: int
    vr: str
    value: FileBytes | None
    behind: DataSet

    def without_value(self) -> DataSet:
        """The object, with a few zeros for its value."""
        made = self.before.copy()
        made.put(self.tag, self.vr, bytes(8))
        made.merge(self.behind)
        return made


def value_at(file: FileBytes, instance: StoredInstance, tag: int) -> FileBytes | None:
    """Find the value of an element of bytes; None: all of the object has to be read for it.

    Args:
        file: the object.
        instance: what the index knows of it.
        tag: of the element, which is in no sequence.

    Raises:
        OSError: the file cannot be read.
    """
    found = _element(file, instance, tag)
    if found is None or found.tag != tag or found.length == UNDEFINED or found.vr not in _BYTES:
        return None
    return file[found.start : found.start + found.length]


def cut_out(archive: Archive, file: FileBytes, instance: StoredInstance) -> LargeValue | None:
    """Read all of an object but for its large value; None: it cannot be done.

    Args:
        archive: knows where frames are.
        file: the object.
        instance: what the index knows of it.

    Raises:
        OSError: the file cannot be read.
    """
    for stop, tags in LARGE_ONES.items():
        found = _element(file, instance, stop)
        if found is None:
            return None
        if found.tag not in tags or found.length < _WORTH:
            continue
        value, end = None, found.start + found.length
        if found.length == UNDEFINED:
            end = _end_of_frames(archive, file, instance)
            if found.vr not in {"OB", "OW"} or end < 0:
                return None
        elif found.vr in _BYTES:
            value = file[found.start : end]
        else:
            return None
        rest = file[end:]
        if end > len(file) or len(rest) >= LARGE:
            return None
        try:
            behind = DataSet.from_bytes(bytes(rest), instance.transfer_syntax_uid)
        except DataError:
            return None
        return LargeValue(found.before, found.tag, found.vr, value, behind)
    return None


def _element(file: FileBytes, instance: StoredInstance, stop: int) -> LargeElement | None:
    return element_at(file, instance.header_length, instance.transfer_syntax_uid, stop)


def _end_of_frames(archive: Archive, file: FileBytes, instance: StoredInstance) -> int:
    """Where compressed pixel data end; -1: the index does not know."""
    if not instance.pixel_data:
        return -1
    try:
        last = archive.frames_of(instance)
        where = last.range_of(last.number_of_frames)
    except (DataError, ArchiveError, IndexError):
        return -1
    end = instance.header_length + where.offset + where.length
    return end + 8 if bytes(file[end : end + 8]) == _DELIMITER else -1
