"""DICOMDIR: the directory of a file set, read as a tree.

File IDs come from whoever wrote the directory: they are resolved below its folder or not at all.
`dicom_actors.data.directory_writer` makes a directory.

Standard: PS3.10 8 (file sets and file IDs), PS3.3 Annex F (directory records).
"""

# ruff: noqa: SLF001 - where a record stands in the file is part of what links it

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors.data.part10 import read_file
from dicom_actors.data.scope import DEFAULT_LIMITS, Limits, ReadWarning
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from dicom_actors.data.data_set import DataSet

__all__ = ["Directory", "DirectoryRecord", "read_directory"]

_FILE_NAME: Final = "DICOMDIR"
_IN_USE: Final = 0xFFFF
# Names that mean a device in any folder of Windows, whatever follows after a period.
_DEVICES: Final = frozenset(
    ("CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10)))
)


class DirectoryRecord:
    """A record of a directory.

    Attributes:
        data_set: its elements.
        type: Directory Record Type, for example ``"STUDY"``.
        children: the records of its lower level.
        folder: where the file set is.
    """

    __slots__ = ("children", "data_set", "folder", "type")

    def __init__(self, data_set: DataSet, folder: Path) -> None:
        self.data_set = data_set
        self.type = str(data_set.get("DirectoryRecordType") or "")
        self.children: list[DirectoryRecord] = []
        self.folder = folder

    @property
    def file_id(self) -> tuple[str, ...]:
        """Referenced File ID: the components of the path; empty for records without a file."""
        value = self.data_set.get("ReferencedFileID")
        if value is None:
            return ()
        return tuple(map(str, value)) if isinstance(value, list) else (str(value),)

    @property
    def path(self) -> Path | None:
        """The file that the record refers to, None if it refers to none.

        The file need not be there. Where the names differ in case, it is found all the same.

        Raises:
            DecodeError: the file ID is no file ID, or leads out of the folder.
        """
        return _resolve(self.folder, self.file_id) if self.file_id else None

    def walk(self) -> Iterator[DirectoryRecord]:
        """Give the record and all below it, each before its children."""
        stack = [self]
        while stack:
            record = stack.pop()
            yield record
            stack.extend(reversed(record.children))

    def __repr__(self) -> str:
        return f"<DirectoryRecord {self.type} with {len(self.children)} children>"


class Directory:
    """The directory of a file set.

    Attributes:
        data_set: the data set of the DICOMDIR.
        folder: where the file set is.
        records: the records of the root.
    """

    __slots__ = ("data_set", "folder", "records")

    def __init__(self, data_set: DataSet, folder: Path, records: list[DirectoryRecord]) -> None:
        self.data_set = data_set
        self.folder = folder
        self.records = records

    @property
    def file_set_id(self) -> str:
        """File-set ID, empty if there is none."""
        return str(self.data_set.get("FileSetID") or "")

    @property
    def warnings(self) -> list[ReadWarning]:
        """What was forgiven when the directory was read."""
        return self.data_set.warnings

    def walk(self) -> Iterator[DirectoryRecord]:
        """Give all records, each before its children."""
        for record in self.records:
            yield from record.walk()

    def files(self) -> Iterator[Path]:
        """Give the files that the records refer to, whether they are there or not.

        Raises:
            DecodeError: a file ID is no file ID, or leads out of the folder.
        """
        for record in self.walk():
            path = record.path
            if path is not None:
                yield path

    def __repr__(self) -> str:
        return f"<Directory of {str(self.folder)!r} with {len(self.records)} records in its root>"


def read_directory(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Directory:
    """Read the directory of a file set.

    Args:
        path: the DICOMDIR, or the folder it is in.
        limits: what the file may cost.

    Returns:
        The directory; links that lead nowhere or in a circle are left out, with a warning.

    Raises:
        NotPart10Error: it is no DICOM file.
        DecodeError: it is none that can be read, or no directory.
        OSError: the file cannot be read.
    """
    file = Path(path)
    if file.is_dir():
        file = _find(file, _FILE_NAME)
    data_set = read_file(file, limits=limits)
    if "DirectoryRecordSequence" not in data_set:
        raise DecodeError("expected a directory, got a data set without Directory Record Sequence")
    folder = file.parent
    items = data_set.DirectoryRecordSequence or []
    # A link is where the item's tag is in the file, 8 bytes before its elements.
    records = {item._start - 8: DirectoryRecord(item, folder) for item in items}
    first = data_set.get("OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity") or 0
    if first and first not in records:
        raise DecodeError(f"the first record is said to be at byte {first}; there is none")
    return Directory(data_set, folder, _link(data_set, records, first))


def _link(
    data_set: DataSet, records: dict[int, DirectoryRecord], first: int
) -> list[DirectoryRecord]:
    root: list[DirectoryRecord] = []
    seen: set[int] = set()
    pending = [(first, root)]
    while pending:
        offset, siblings = pending.pop()
        while offset:
            record = records.get(offset)
            if record is None or offset in seen:
                what = "nothing" if record is None else "a record that was met before"
                data_set.warn(f"a link to byte {offset}, where {what} is", 0x00041220)
                break
            seen.add(offset)
            if record.data_set.get("RecordInUseFlag", _IN_USE) != 0:
                siblings.append(record)
            lower = record.data_set.get("OffsetOfReferencedLowerLevelDirectoryEntity")
            pending.append((lower or 0, record.children))
            offset = record.data_set.get("OffsetOfTheNextDirectoryRecord") or 0
    return root


def _resolve(folder: Path, file_id: tuple[str, ...]) -> Path:
    path = folder
    for component in file_id:
        stem = component.partition(".")[0].rstrip(" ").upper()
        if (
            component.strip(". ") == ""
            or not component.isprintable()
            or not {"/", "\\", ":"}.isdisjoint(component)
            or stem in _DEVICES
        ):
            raise DecodeError(f"{component!r} is no component of a file ID", tag=0x00041500)
        path = _find(path, component)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DecodeError(f"file ID {file_id!r} leads out of the file set", tag=0x00041500)
    return path


def _find(folder: Path, name: str) -> Path:
    """Find a file by its name, or by one that differs in case: media are copied by all means."""
    path = folder / name
    if path.exists():
        return path
    try:
        alike = [
            other
            for other in folder.iterdir()
            # On ISO 9660, names have a version behind a semicolon.
            if other.name.upper().partition(";")[0].rstrip(".") == name.upper()
        ]
    except OSError:
        return path
    return min(alike, default=path)
