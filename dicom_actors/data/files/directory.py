"""DICOMDIR: the directory of a file set, read as a tree, and made of the files in a folder.

File IDs come from whoever wrote the directory: they are resolved below its folder or not at all.

Standard: PS3.10 8 (file sets and file IDs), PS3.3 Annex F (directory records).
"""

from __future__ import annotations

import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dataset.data_set import DataSet, Sequence
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dictionary import generate_uid, uid_entry
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_actors.data.files.directory_links import place_of
from dicom_actors.data.files.part10 import read_file, write_file
from dicom_actors.data.scan.scope import DEFAULT_LIMITS, Limits, ReadWarning
from dicom_actors.errors import DataError, DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "LEVEL_KEYS",
    "RECORD_KEYS",
    "ROOT_TYPES",
    "Directory",
    "DirectoryRecord",
    "NewDirectory",
    "WrittenDirectory",
    "read_directory",
    "record_type",
    "write_directory",
]

# --- reading ---------------------------------------------------------------------------------


_FILE_NAME: Final = "DICOMDIR"
_IN_USE: Final = 0xFFFF
_RECORDS: Final = 0x00041220
_NEXT: Final = "OffsetOfTheNextDirectoryRecord"
_LOWER: Final = "OffsetOfReferencedLowerLevelDirectoryEntity"
_FIRST_RECORDS: Final = 8
_DEPTHS: Final = {"PATIENT": 0, "STUDY": 1, "SERIES": 2}
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
        The directory; links that lead nowhere or in a circle are left out, with a warning. Where
        most lead elsewhere, since the file was changed or moved into another, they are put right
        by what they are all wrong by, or records are ordered by their types. A directory without
        records is empty.

    Raises:
        NotPart10Error: it is no DICOM file.
        DecodeError: it is none that can be read, or no directory.
        OSError: the file cannot be read.
    """
    file = Path(path)
    if file.is_dir():
        file = _find(file, _FILE_NAME)
    data_set = read_file(file, limits=limits)
    folder = file.parent
    if "DirectoryRecordSequence" not in data_set:
        if data_set.file_meta.get("MediaStorageSOPClassUID") != _MEDIA_STORAGE_DIRECTORY:
            raise DecodeError(
                "expected a directory, got a data set without Directory Record Sequence"
            )
        _warn(data_set, "no Directory Record Sequence: an empty directory")
    items = data_set.get("DirectoryRecordSequence") or Sequence()
    if not isinstance(items, Sequence):
        raise DecodeError("expected a directory, got one whose records cannot be read")
    # A link is where the item's tag is in the file, 8 bytes before its elements.
    records = {place_of(item): DirectoryRecord(item, folder) for item in items}
    first = _offset(data_set, "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity")
    shift = _shift(records, first)
    if shift is None:
        _warn(data_set, "most links lead nowhere: records are ordered by their types")
        return Directory(data_set, folder, _ordered(records.values()))
    if shift:
        _warn(data_set, f"all links lead {abs(shift)} bytes beside the records: put right")
    return Directory(data_set, folder, _link(data_set, records, first, shift))


def _warn(data_set: DataSet, message: str) -> None:
    content_of(data_set).warn(message, _RECORDS)


def _offset(data_set: DataSet, keyword: str) -> int:
    """Return a link; 0 if there is none, or nothing that could be one."""
    value = data_set.get(keyword)
    return value if isinstance(value, int) else 0


def _shift(records: dict[int, DirectoryRecord], first: int) -> int | None:
    """Find out what has to be added to the links, so that they lead to records.

    Returns:
        0 where they are right, at least some of them; None where nothing helps.
    """
    if not records:
        return 0
    links = {first}
    for record in records.values():
        links.update(_offset(record.data_set, link) for link in (_NEXT, _LOWER))
    links.discard(0)
    # The first one is right still where records were changed behind it.
    if first in records and 2 * sum(link in records for link in links) >= len(links):
        return 0
    # Each record has a link of its own. The first one leads to one of the first records, in nearly
    # all files to the very first.
    for place in sorted(records)[:_FIRST_RECORDS] if 2 * len(links) >= len(records) else ():
        shift = place - min(links)
        if all(link + shift in records for link in links):
            return shift
    return None


def _ordered(records: Iterable[DirectoryRecord]) -> list[DirectoryRecord]:
    """Put records in a tree by their types, each below the last one before it of a higher level."""
    root: list[DirectoryRecord] = []
    above: list[list[DirectoryRecord]] = [root]
    for record in records:
        if not _is_in_use(record):
            continue
        depth = 0 if record.type in ROOT_TYPES else _DEPTHS.get(record.type, len(_DEPTHS))
        del above[depth + 1 :]
        above[-1].append(record)
        above.append(record.children)
    return root


def _is_in_use(record: DirectoryRecord) -> bool:
    return bool(record.data_set.get("RecordInUseFlag", _IN_USE) != 0)


def _link(
    data_set: DataSet, records: dict[int, DirectoryRecord], first: int, shift: int
) -> list[DirectoryRecord]:
    root: list[DirectoryRecord] = []
    seen: set[int] = set()
    pending = [(first, root)]
    while pending:
        offset, siblings = pending.pop()
        while offset:
            record = records.get(offset + shift)
            if record is None or offset in seen:
                what = "nothing" if record is None else "a record that was met before"
                _warn(data_set, f"a link to byte {offset}, where {what} is")
                break
            seen.add(offset)
            if _is_in_use(record):
                siblings.append(record)
            pending.append((_offset(record.data_set, _LOWER), record.children))
            offset = _offset(record.data_set, _NEXT)
    lost = [offset for offset in records if offset - shift not in seen]
    if lost:
        _warn(data_set, f"{len(lost)} records that no link leads to, one at byte {lost[0]}")
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


# --- which keys a type of record has (PS3.3 F.4, F.5) ----------------------------------------


LEVEL_KEYS: Final = {
    "PATIENT": ("PatientID", "PatientName"),
    "STUDY": (
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "StudyInstanceUID",
        "StudyID",
        "AccessionNumber",
    ),
    "SERIES": ("Modality", "SeriesInstanceUID", "SeriesNumber"),
}
"""The keys of the three levels above the instances (PS3.3 F.5.1 to F.5.3)."""

_CONTENT: Final = ("InstanceNumber", "ContentDate", "ContentTime")
_LABELED: Final = (*_CONTENT, "ContentLabel", "ContentDescription", "ContentCreatorName")

RECORD_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "IMAGE": ("InstanceNumber",),
    "RT DOSE": ("InstanceNumber", "DoseSummationType"),
    "RT STRUCTURE SET": (
        "InstanceNumber",
        "StructureSetLabel",
        "StructureSetDate",
        "StructureSetTime",
    ),
    "RT PLAN": ("InstanceNumber", "RTPlanLabel", "RTPlanDate", "RTPlanTime"),
    "RT TREAT RECORD": ("InstanceNumber", "TreatmentDate", "TreatmentTime"),
    "PRESENTATION": (
        "InstanceNumber",
        "PresentationCreationDate",
        "PresentationCreationTime",
        "ContentLabel",
        "ContentDescription",
        "ContentCreatorName",
        "ReferencedSeriesSequence",
        "BlendingSequence",
    ),
    "WAVEFORM": _CONTENT,
    "SR DOCUMENT": (
        *_CONTENT,
        "CompletionFlag",
        "VerificationFlag",
        "ConceptNameCodeSequence",
        "ContentSequence",
    ),
    "KEY OBJECT DOC": (*_CONTENT, "ConceptNameCodeSequence", "ContentSequence"),
    "SPECTROSCOPY": (
        *_CONTENT,
        "ImageType",
        "ReferencedImageEvidenceSequence",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "DataPointRows",
        "DataPointColumns",
    ),
    "RAW DATA": _CONTENT,
    "REGISTRATION": _LABELED,
    "FIDUCIAL": _LABELED,
    "ENCAP DOC": (
        *_CONTENT,
        "DocumentTitle",
        "HL7InstanceIdentifier",
        "ConceptNameCodeSequence",
        "MIMETypeOfEncapsulatedDocument",
    ),
    "VALUE MAP": _LABELED,
    "STEREOMETRIC": (),
    "SURFACE": _LABELED,
    "SURFACE SCAN": ("ContentDate", "ContentTime"),
    "TRACT": _LABELED,
    "MEASUREMENT": _CONTENT,
    "ASSESSMENT": ("InstanceNumber", "InstanceCreationDate", "InstanceCreationTime"),
    "PLAN": (),
    "RADIOTHERAPY": ("InstanceNumber", "UserContentLabel", "UserContentLongLabel"),
    "ANNOTATION": _LABELED,
    "HANGING PROTOCOL": (
        "HangingProtocolName",
        "HangingProtocolDescription",
        "HangingProtocolLevel",
        "HangingProtocolCreator",
        "HangingProtocolCreationDateTime",
        "HangingProtocolDefinitionSequence",
        "NumberOfPriorsReferenced",
        "HangingProtocolUserIdentificationCodeSequence",
    ),
    "PALETTE": ("ContentLabel", "ContentDescription"),
    "IMPLANT": ("Manufacturer", "ImplantName", "ImplantSize", "ImplantPartNumber"),
    "IMPLANT GROUP": ("ImplantTemplateGroupName", "ImplantTemplateGroupIssuer"),
    "IMPLANT ASSY": ("ImplantAssemblyTemplateName", "ImplantAssemblyTemplateIssuer"),
}
"""The keys of the records that refer to instances, by type; what an instance lacks is left out,
or empty where it may be."""

_TYPE_2: Final = frozenset(
    (
        *("PatientName", "StudyDescription", "AccessionNumber"),
        *("StructureSetDate", "StructureSetTime", "RTPlanDate", "RTPlanTime"),
        *("TreatmentDate", "TreatmentTime", "ContentDescription", "ContentCreatorName"),
        "HangingProtocolUserIdentificationCodeSequence",
    )
)
_TYPE_2_OF_DOCUMENTS: Final = frozenset(
    ("ContentDate", "ContentTime", "DocumentTitle", "ConceptNameCodeSequence")
)
"""Keys that a record has empty where an instance lacks them (PS3.3 F.5)."""

ROOT_TYPES: Final = frozenset(
    {"HANGING PROTOCOL", "PALETTE", "IMPLANT", "IMPLANT GROUP", "IMPLANT ASSY"}
)
"""Types whose records belong to no patient."""

# What keywords of SOP classes contain, and the type that tells; the first that fits counts.
_TYPES: Final = (
    ("KeyObjectSelectionDocument", "KEY OBJECT DOC"),
    ("SRStorage", "SR DOCUMENT"),
    ("ProcedureLog", "SR DOCUMENT"),
    ("ReportStorage", "SR DOCUMENT"),
    ("BasicStructuredDisplay", "PRESENTATION"),
    ("PresentationState", "PRESENTATION"),
    ("Waveform", "WAVEFORM"),
    ("RTDose", "RT DOSE"),
    ("RTStructureSet", "RT STRUCTURE SET"),
    ("RTPlan", "RT PLAN"),
    ("RTIonPlan", "RT PLAN"),
    ("RTBeamsDeliveryInstruction", "PLAN"),
    ("RTBrachyApplicationSetupDeliveryInstruction", "PLAN"),
    ("TreatmentRecord", "RT TREAT RECORD"),
    ("TreatmentSummaryRecord", "RT TREAT RECORD"),
    ("RTPhysicianIntent", "RADIOTHERAPY"),
    ("RTSegmentAnnotation", "RADIOTHERAPY"),
    ("RTPatientPosition", "RADIOTHERAPY"),
    ("RTTreatmentPreparation", "RADIOTHERAPY"),
    ("RadiationSet", "RADIOTHERAPY"),
    ("RadiationRecord", "RADIOTHERAPY"),
    ("RadiationSalvageRecord", "RADIOTHERAPY"),
    ("RadiationStorage", "RADIOTHERAPY"),
    ("Spectroscopy", "SPECTROSCOPY"),
    ("RawData", "RAW DATA"),
    ("SpatialRegistration", "REGISTRATION"),
    ("SpatialFiducials", "FIDUCIAL"),
    ("Encapsulated", "ENCAP DOC"),
    ("RealWorldValueMapping", "VALUE MAP"),
    ("StereometricRelationship", "STEREOMETRIC"),
    ("SurfaceScan", "SURFACE SCAN"),
    ("SurfaceSegmentation", "SURFACE"),
    ("TractographyResults", "TRACT"),
    ("MeasurementsStorage", "MEASUREMENT"),
    ("IntraocularLensCalculations", "MEASUREMENT"),
    ("ContentAssessmentResults", "ASSESSMENT"),
    ("SimpleAnnotations", "ANNOTATION"),
    ("HangingProtocol", "HANGING PROTOCOL"),
    ("ColorPalette", "PALETTE"),
    ("ImplantTemplateGroup", "IMPLANT GROUP"),
    ("ImplantAssemblyTemplate", "IMPLANT ASSY"),
    ("ImplantTemplate", "IMPLANT"),
)


def record_type(sop_class_uid: str) -> str:
    """Return the Directory Record Type (0004,1430) for instances of a SOP class.

    What is neither in the table nor known at all is taken for an image.
    """
    found = uid_entry(sop_class_uid)
    keyword = "" if found is None else found.keyword
    for part, kind in _TYPES:
        if part in keyword:
            return kind
    return "IMAGE"


# --- writing ---------------------------------------------------------------------------------


_MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
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

    Files that are no DICOM files are skipped. Keys of type 2 that an instance lacks are
    empty in its records; those of type 1 are left out, though PS3.3 F.5 asks for them.

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
    directory = NewDirectory(file_set_id)
    root = Path(folder)
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
            directory.add(instance, file.relative_to(root), check_names=check_names)
    path = root / _FILE_NAME
    write_file(path, directory.data_set(), transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN)
    return WrittenDirectory(path, directory.instances, tuple(skipped))


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
        empty = _TYPE_2 | (_TYPE_2_OF_DOCUMENTS if kind == "ENCAP DOC" else frozenset())
        for key in keys:
            if key in source:
                self.record.put_element(source.fetch(key))
            elif key in empty:
                self.record.put(key, None, None)
        if kind in {"SR DOCUMENT", "KEY OBJECT DOC"} and "ContentSequence" in self.record:
            self._keep_concept_modifiers()
        self._empty_what_is_no_value()

    def _empty_what_is_no_value(self) -> None:
        # A file may have text where none can be written; it spoils no directory of the others.
        try:
            self.record.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
        except EncodeError:
            characters = self.record.get("SpecificCharacterSet")
            for element in list(self.record.elements()):
                probe = DataSet.from_keywords(SpecificCharacterSet=characters)
                try:
                    probe.put_element(element)
                    probe.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
                except EncodeError:
                    self.record.put(element.tag, element.vr, None)

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


class NewDirectory:
    """A DICOMDIR of files that need not be in a folder, such as those of a zip file.

    Args:
        file_set_id: File-set ID, at most 16 characters.

    Raises:
        EncodeError: the File-set ID is too long.

    Attributes:
        keywords: what it takes out of instances; nothing else of them has to be there.
        instances: how many files it refers to.
    """

    keywords: Final = _INSTANCE_KEYS

    def __init__(self, file_set_id: str = "") -> None:
        if len(file_set_id) > 16:
            raise EncodeError(f"a File-set ID has at most 16 characters, got {file_set_id!r}")
        self._file_set_id = file_set_id
        self._root = _Node("", DataSet(), ())
        self.instances = 0

    def add(
        self, instance: DataSet, path: str | os.PathLike[str], *, check_names: bool = True
    ) -> None:
        """Refer to a file.

        Args:
            instance: what is in it, with its file meta information, its SOP class and its UID.
                Values that go into records are taken out of it.
            path: where it is, relative to where the directory will be.
            check_names: see `write_directory`.

        Raises:
            EncodeError: the path cannot be a file ID.
        """
        file_id = _file_id(Path(path), check_names=check_names)
        kind = record_type(instance.SOPClassUID)
        parent = self._root
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

    def data_set(self) -> DataSet:
        """Put the records in order and link them; to be written in Explicit VR Little Endian.

        A link is where a record is in the file, which depends on the lengths alone: the file is
        made once with empty links, which tells where the records come to be.
        """
        nodes = self._in_order()
        made = DataSet.from_keywords(
            FileSetID=self._file_set_id or None,
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
        offsets = {id(node): place_of(item) for node, item in zip(nodes, placed, strict=True)}
        for node in (self._root, *nodes):
            children = list(node.children.values())
            for child, following in pairwise(children):
                child.record.OffsetOfTheNextDirectoryRecord = offsets[id(following)]
            if children:
                node.record.OffsetOfReferencedLowerLevelDirectoryEntity = offsets[id(children[0])]
        roots = [offsets[id(node)] for node in self._root.children.values()]
        if roots:
            made.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = roots[0]
            made.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = roots[-1]
        return made

    def _in_order(self) -> list[_Node]:
        nodes: list[_Node] = []
        stack = [self._root]
        while stack:
            node = stack.pop()
            nodes.append(node)
            stack.extend(reversed(node.children.values()))
        return nodes[1:]
