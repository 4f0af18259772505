"""Makes a DICOMDIR of the DICOM files in a folder.

Standard: PS3.10 8 (file sets and file IDs), PS3.3 Annex F (directory records).
"""

# ruff: noqa: SLF001 - where a record stands in the file is part of what links it

from __future__ import annotations

import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.data_set import DataSet
from dicom_actors.data.directory_records import LEVEL_KEYS, RECORD_KEYS, ROOT_TYPES, record_type
from dicom_actors.data.part10 import read_file, write_file
from dicom_actors.data.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.uid import generate_uid
from dicom_actors.errors import DataError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["WrittenDirectory", "write_directory"]

_FILE_NAME: Final = "DICOMDIR"
_MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_IN_USE: Final = 0xFFFF
_FILE_ID_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_INSTANCE_KEYS: Final = (
    *dict.fromkeys(key for keys in (*LEVEL_KEYS.values(), *RECORD_KEYS.values()) for key in keys),
    "SOPClassUID",
    "SOPInstanceUID",
)


class WrittenDirectory(NamedTuple):
    """What `write_directory` did.

    Attributes:
        path: the DICOMDIR.
        instances: how many files it refers to.
        skipped: files that are not in it, with the reason.
    """

    path: Path
    instances: int
    skipped: tuple[tuple[Path, str], ...]


def write_directory(
    folder: str | os.PathLike[str], *, file_set_id: str = "", check_names: bool = True
) -> WrittenDirectory:
    """Make the DICOMDIR of all DICOM files in a folder and below; one that is there is replaced.

    Files that are no DICOM files are skipped. Keys that an instance lacks are left out of its
    records, even where PS3.3 F.5 asks for them.

    Args:
        folder: the folder that becomes the file set.
        file_set_id: File-set ID, at most 16 characters.
        check_names: whether file names have to be file IDs: up to 8 components of up to 8
            characters of A to Z, 0 to 9 and underscore (PS3.10 8.2). Without that, any name of
            ASCII characters goes; media that others are to read should not need it.

    Raises:
        EncodeError: the name of a DICOM file cannot be a file ID, or the File-set ID is too long.
        OSError: the folder cannot be read or written.
    """
    if len(file_set_id) > 16:
        raise EncodeError(f"a File-set ID has at most 16 characters, got {file_set_id!r}")
    root = Path(folder)
    tree = _Tree()
    skipped = []
    for file in _files_below(root):
        try:
            instance = read_file(file, keywords=_INSTANCE_KEYS)
        except DataError as error:
            skipped.append((file, str(error)))
            continue
        reason = _unfit(instance)
        if reason:
            skipped.append((file, reason))
        else:
            tree.add(instance, _file_id(file.relative_to(root), check_names=check_names))
    path = root / _FILE_NAME
    write_file(path, tree.data_set(file_set_id), transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN)
    return WrittenDirectory(path, tree.instances, tuple(skipped))


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and not (name.upper() == _FILE_NAME and file.parent == root):
                yield file


def _unfit(instance: DataSet) -> str:
    meta = instance.file_meta
    if not meta.get("TransferSyntaxUID"):
        return "no file meta information"
    if meta.get("MediaStorageSOPClassUID") == _MEDIA_STORAGE_DIRECTORY:
        return "a directory itself"
    if not instance.get("SOPClassUID") or not instance.get("SOPInstanceUID"):
        return "no SOP class or instance UID"
    return ""


def _file_id(path: Path, *, check_names: bool) -> list[str]:
    components = list(path.parts)
    for component in components:
        if check_names and not (len(component) <= 8 and _FILE_ID_CHARACTERS.issuperset(component)):
            raise EncodeError(
                f"{str(path)!r}: {component!r} is not 1 to 8 characters of A-Z, 0-9 and _"
                " (check_names=False lets it pass)"
            )
        if not component.isascii() or not component.isprintable() or "\\" in component:
            raise EncodeError(f"{str(path)!r}: {component!r} cannot be part of a file ID")
    if check_names and len(components) > 8:
        raise EncodeError(f"{str(path)!r}: more than 8 components")
    return components


class _Node:
    """A record to be written, with what is below it."""

    def __init__(self, kind: str, source: DataSet, keys: Iterable[str]) -> None:
        self.children: dict[object, _Node] = {}
        self.record = DataSet.from_keywords(
            OffsetOfTheNextDirectoryRecord=0,
            RecordInUseFlag=_IN_USE,
            OffsetOfReferencedLowerLevelDirectoryEntity=0,
            DirectoryRecordType=kind,
        )
        characters = source.get("SpecificCharacterSet")
        if characters is not None:
            self.record.put("SpecificCharacterSet", "CS", characters)
        for key in keys:
            if key in source:
                self.record.put_element(source.fetch(key))
        if kind in {"SR DOCUMENT", "KEY OBJECT DOC"} and "ContentSequence" in self.record:
            self._keep_concept_modifiers()

    def _keep_concept_modifiers(self) -> None:
        # Of the content tree, a record has what modifies the title, no more (PS3.3 F.5.25).
        items = self.record.ContentSequence or []
        kept = [item for item in items if item.get("RelationshipType") == "HAS CONCEPT MOD"]
        if kept:
            self.record.put("ContentSequence", "SQ", kept)
        else:
            del self.record["ContentSequence"]

    def child(self, key: object, kind: str, source: DataSet, keys: Iterable[str]) -> _Node:
        node = self.children.get(key)
        if node is None:
            node = self.children[key] = _Node(kind, source, keys)
        return node


class _Tree:
    """The records of a directory that is made."""

    def __init__(self) -> None:
        self.root = _Node("", DataSet(), ())
        self.instances = 0

    def add(self, instance: DataSet, file_id: list[str]) -> None:
        kind = record_type(instance.SOPClassUID)
        parent = self.root
        if kind not in ROOT_TYPES:
            patient = instance.get("PatientID") or f"\0{instance.get('PatientName')}"
            for level, key in (
                ("PATIENT", patient),
                ("STUDY", instance.get("StudyInstanceUID")),
                ("SERIES", instance.get("SeriesInstanceUID")),
            ):
                parent = parent.child((level, key), level, instance, LEVEL_KEYS[level])
        self.instances += 1
        node = parent.child(self.instances, kind, instance, RECORD_KEYS[kind])
        node.record.put("ReferencedFileID", "CS", file_id)
        node.record.put("ReferencedSOPClassUIDInFile", "UI", instance.SOPClassUID)
        node.record.put("ReferencedSOPInstanceUIDInFile", "UI", instance.SOPInstanceUID)
        node.record.put(
            "ReferencedTransferSyntaxUIDInFile", "UI", instance.file_meta.TransferSyntaxUID
        )

    def data_set(self, file_set_id: str) -> DataSet:
        """Put the records in order and link them.

        A link is where a record is in the file, which depends on the lengths alone: the file is
        made once with empty links, which tells where the records come to be.
        """
        nodes = self._in_order()
        made = DataSet.from_keywords(
            FileSetID=file_set_id or None,
            OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity=0,
            OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity=0,
            FileSetConsistencyFlag=0,
            DirectoryRecordSequence=[node.record for node in nodes],
        )
        made.file_meta.put("MediaStorageSOPClassUID", "UI", _MEDIA_STORAGE_DIRECTORY)
        made.file_meta.put("MediaStorageSOPInstanceUID", "UI", generate_uid())
        draft = BytesIO()
        write_file(draft, made, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN)
        placed = read_file(draft.getvalue()).DirectoryRecordSequence or []
        offsets = {id(node): item._start - 8 for node, item in zip(nodes, placed, strict=True)}
        for node in (self.root, *nodes):
            children = list(node.children.values())
            for child, following in pairwise(children):
                child.record.OffsetOfTheNextDirectoryRecord = offsets[id(following)]
            if children:
                node.record.OffsetOfReferencedLowerLevelDirectoryEntity = offsets[id(children[0])]
        roots = [offsets[id(node)] for node in self.root.children.values()]
        if roots:
            made.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = roots[0]
            made.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = roots[-1]
        return made

    def _in_order(self) -> list[_Node]:
        nodes: list[_Node] = []
        stack = [self.root]
        while stack:
            node = stack.pop()
            nodes.append(node)
            stack.extend(reversed(node.children.values()))
        return nodes[1:]
