"""A study of several kinds of instances: what refers to what still does, as pydicom reads it.

The study is made with pydicom, its directory by DCMTK's ``dcmmkdir``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from kit.deidentified_corpora import errors_of
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_actors import read_file
from dicom_actors.deidentification import Deidentifier, NotCleanError

ROOT = "1.2.276.0.7230010.3.1"
STUDY, CT_SERIES, FRAME = f"{ROOT}.2.1", f"{ROOT}.3.1", f"{ROOT}.7.1"
CT, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.481.3"
REPORT, KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.59"
STATE, SEGMENTS = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.66.4"
IMAGES = [f"{ROOT}.4.{number}" for number in (1, 2, 3)]


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def image(uid: str, **more: Any) -> Dataset:
    return item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=uid, **more)


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    return [item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def instance(sop_class: str, number: int, modality: str, **values: Any) -> Dataset:
    made = item(
        SOPClassUID=sop_class,
        SOPInstanceUID=f"{ROOT}.4.{number}",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=CT_SERIES if sop_class == CT else f"{ROOT}.3.{number}",
        SeriesNumber=1 if sop_class == CT else number,
        InstanceNumber=number,
        Modality=modality,
        PatientName="Quxworth^Zelda",
        PatientID="MRN-774411",
        PatientBirthDate="19570314",
        PatientSex="F",
        StudyDate="20040119",
        StudyTime="101112",
        StudyID="S1",
        AccessionNumber="ACC99812",
        ReferringPhysicianName="Grabowsky^Otto",
        Manufacturer="ACME",
        **values,
    )
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def evidence(*uids: str) -> list[Dataset]:
    series = item(SeriesInstanceUID=CT_SERIES, ReferencedSOPSequence=[image(uid) for uid in uids])
    return [item(StudyInstanceUID=STUDY, ReferencedSeriesSequence=[series])]


def slices() -> list[Dataset]:
    return [
        instance(
            CT,
            number,
            "CT",
            FrameOfReferenceUID=FRAME,
            PositionReferenceIndicator="",
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            SourceImageSequence=[image(IMAGES[0])],
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=4,
            Columns=4,
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelRepresentation=0,
            PixelData=bytes(range(32)),
        )
        for number in (1, 2, 3)
    ]


def structures() -> Dataset:
    series = item(SeriesInstanceUID=CT_SERIES, ContourImageSequence=[image(uid) for uid in IMAGES])
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=STUDY,
        RTReferencedSeriesSequence=[series],
    )
    frame = item(FrameOfReferenceUID=FRAME, RTReferencedStudySequence=[study])
    contours = [
        item(
            ContourImageSequence=[image(uid)],
            ContourGeometricType="POINT",
            NumberOfContourPoints=1,
            ContourData=["0", "0", "0"],
        )
        for uid in IMAGES
    ]
    return instance(
        RTSTRUCT,
        11,
        "RTSTRUCT",
        StructureSetLabel="Quxworth plan",
        StructureSetDate="20040120",
        StructureSetTime="080000",
        ReferencedFrameOfReferenceSequence=[frame],
        StructureSetROISequence=[
            item(
                ROINumber=1,
                ReferencedFrameOfReferenceUID=FRAME,
                ROIName="GTV Zelda",
                ROIGenerationAlgorithm="",
            )
        ],
        ROIContourSequence=[item(ReferencedROINumber=1, ContourSequence=contours)],
        RTROIObservationsSequence=[
            item(
                ObservationNumber=1,
                ReferencedROINumber=1,
                RTROIInterpretedType="",
                ROIInterpreter="",
            )
        ],
    )


def report() -> Dataset:
    return instance(
        REPORT,
        12,
        "SR",
        ContentDate="20040121",
        ContentTime="090000",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ReferencedPerformedProcedureStepSequence=[],
        PerformedProcedureCodeSequence=[],
        CurrentRequestedProcedureEvidenceSequence=evidence(*IMAGES),
        PertinentOtherEvidenceSequence=evidence(f"{ROOT}.4.99"),
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=code("18748-4", "LN", "Diagnostic Imaging Report"),
        ContentSequence=[
            item(
                RelationshipType="CONTAINS",
                ValueType="CONTAINER",
                ContinuityOfContent="SEPARATE",
                ConceptNameCodeSequence=code("121070", "DCM", "Findings"),
                ContentSequence=[
                    item(
                        RelationshipType="CONTAINS",
                        ValueType="IMAGE",
                        ReferencedSOPSequence=[image(IMAGES[1])],
                    ),
                    item(
                        RelationshipType="CONTAINS",
                        ValueType="TEXT",
                        ConceptNameCodeSequence=code("121071", "DCM", "Finding"),
                        TextValue="Mrs Quxworth is well",
                    ),
                    item(
                        RelationshipType="CONTAINS",
                        ValueType="UIDREF",
                        ConceptNameCodeSequence=code("112227", "DCM", "Frame of Reference UID"),
                        UID=FRAME,
                    ),
                ],
            )
        ],
    )


def key_objects() -> Dataset:
    return instance(
        KEY_OBJECTS,
        13,
        "KO",
        ContentDate="20040121",
        ContentTime="090000",
        ReferencedPerformedProcedureStepSequence=[],
        CurrentRequestedProcedureEvidenceSequence=evidence(IMAGES[2]),
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=code("113000", "DCM", "Of Interest"),
        ContentSequence=[
            item(
                RelationshipType="CONTAINS",
                ValueType="IMAGE",
                ReferencedSOPSequence=[image(IMAGES[2])],
            )
        ],
    )


def presentation() -> Dataset:
    series = item(
        SeriesInstanceUID=CT_SERIES, ReferencedImageSequence=[image(uid) for uid in IMAGES]
    )
    return instance(
        STATE,
        14,
        "PR",
        ContentLabel="ZELDA",
        ContentDescription="for Quxworth",
        ContentCreatorName="Grabowsky^Otto",
        PresentationCreationDate="20040122",
        PresentationCreationTime="100000",
        ReferencedSeriesSequence=[series],
        DisplayedAreaSelectionSequence=[
            item(
                ReferencedImageSequence=[image(uid) for uid in IMAGES],
                DisplayedAreaTopLeftHandCorner=[1, 1],
                DisplayedAreaBottomRightHandCorner=[4, 4],
                PresentationSizeMode="SCALE TO FIT",
                PresentationPixelAspectRatio=[1, 1],
            )
        ],
        GraphicAnnotationSequence=[
            item(
                ReferencedImageSequence=[image(IMAGES[0])],
                GraphicLayer="ONE",
                TextObjectSequence=[
                    item(
                        UnformattedTextValue="Zelda Quxworth",
                        AnchorPoint=[1.0, 1.0],
                        AnchorPointVisibility="N",
                        AnchorPointAnnotationUnits="PIXEL",
                    )
                ],
            )
        ],
        GraphicLayerSequence=[item(GraphicLayer="ONE", GraphicLayerOrder=1)],
        PresentationLUTShape="IDENTITY",
    )


def segments() -> Dataset:
    series = item(
        SeriesInstanceUID=CT_SERIES, ReferencedInstanceSequence=[image(uid) for uid in IMAGES]
    )
    source = item(
        SourceImageSequence=[
            image(
                IMAGES[0],
                PurposeOfReferenceCodeSequence=code(
                    "121322", "DCM", "Source image for image processing operation"
                ),
            )
        ]
    )
    return instance(
        SEGMENTS,
        15,
        "SEG",
        FrameOfReferenceUID=FRAME,
        ReferencedSeriesSequence=[series],
        SharedFunctionalGroupsSequence=[item(DerivationImageSequence=[source])],
        PerFrameFunctionalGroupsSequence=[item(), item()],
        SegmentSequence=[item(SegmentNumber=1, SegmentLabel="Quxworth", TrackingUID=f"{ROOT}.8.1")],
    )


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file set of a study."""
    folder = tmp_path_factory.mktemp("media")
    study = [*slices(), structures(), report(), key_objects(), presentation(), segments()]
    for number, made in enumerate(study):
        made.save_as(folder / f"IM{number}", enforce_file_format=True)
    (folder / "README.TXT").write_text("Zelda Quxworth")
    # Segmentations are none of the general purpose profile's classes.
    words = ["dcmmkdir", "+D", "DICOMDIR", "-Pgp", "-W", *(f"IM{n}" for n in range(7))]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture
def results(command: Any, media: Path, tmp_path: Path) -> Path:
    out = tmp_path / "out"
    key = tmp_path / "key"
    key.write_text("a key of more than sixteen bytes")
    assert command("deidentify", media, "-o", out, "--key-file", key).code == 0
    return out


def instances_of(folder: Path) -> list[Dataset]:
    found = [
        pydicom.dcmread(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".TXT" and path.name != "DICOMDIR"
    ]
    return sorted(found, key=lambda each: int(each.InstanceNumber))


def uids_of(data_set: Dataset, path: str = "") -> list[tuple[str, str]]:
    """All UIDs of a data set with where they are, in order, sequences included."""
    found = []
    for element in data_set:
        here = f"{path}/{element.keyword}"
        if element.VR == "SQ":
            for number, each in enumerate(element.value):
                found += uids_of(each, f"{here}[{number}]")
        elif element.VR == "UI" and element.value:
            found.append((here, str(element.value)))
    return found


@pytest.mark.interop
def test_all_that_refers_to_something_still_does(media: Path, results: Path) -> None:
    before, after = instances_of(media), instances_of(results)
    assert len(before) == len(after) == 8
    new: dict[str, str] = {}
    for one, other in zip(before, after, strict=True):
        old_uids, new_uids = uids_of(one), uids_of(other)
        assert [path for path, _ in old_uids] == [path for path, _ in new_uids]
        for (_, old), (path, made) in zip(old_uids, new_uids, strict=True):
            # The same UID at every place, in every instance, and another one for each.
            assert new.setdefault(old, made) == made, path
            assert old.startswith("1.2.840.10008.") == (old == made), path
    assert len(set(new.values())) == len(new)
    assert {STUDY, CT_SERIES, FRAME, *IMAGES} < new.keys()
    held = {str(each.SOPInstanceUID) for each in after}
    for each in after:
        for path, uid in uids_of(each):
            if path.endswith("/ReferencedSOPInstanceUID") and uid != each.StudyInstanceUID:
                assert uid in held or "PertinentOtherEvidence" in path, path
    assert {str(each.PatientID) for each in after} == {str(after[0].PatientID)}


@pytest.mark.interop
def test_nothing_is_left_and_pixels_are_the_same_bytes(
    command: Any, media: Path, results: Path
) -> None:
    done = command("deidentify", "--verify", media, results)
    assert done.code == 0
    assert "9 files searched, nothing found" in done.lines[-1]
    for one, other in zip(instances_of(media), instances_of(results), strict=True):
        assert other.get("PixelData") == one.get("PixelData")


@pytest.mark.interop
def test_dciodvfy_has_no_new_error(media: Path, results: Path) -> None:
    assert shutil.which("dciodvfy"), "dicom3tools is missing"
    before = {each.SOPInstanceUID: each.filename for each in instances_of(media)}
    known = [errors_of(Path(before[f"{ROOT}.4.{number}"])) for number in (1, 2, 3, 11, 12, 13, 14)]
    for errors, each in zip(known, instances_of(results), strict=False):
        assert errors_of(Path(each.filename)) - errors == set(), each.SOPClassUID.name
    assert errors_of(results / "DICOMDIR") - errors_of(media / "DICOMDIR") == set()


def listed(directory: Path) -> list[tuple[Path, dict[str, Dataset]]]:
    """What a directory refers to: paths, and the records above them and their own by their types.

    Records are followed by their links, as offsets in the file, and not in their order.
    """
    made = pydicom.dcmread(directory)
    records = {record.seq_item_tell: record for record in made.DirectoryRecordSequence}
    first = made.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    found: list[tuple[Path, dict[str, Dataset]]] = []
    pending: list[tuple[int, dict[str, Dataset]]] = [(first, {})]
    while pending:
        offset, above = pending.pop()
        if not offset:
            continue
        record = records[offset]
        pending.append((record.OffsetOfTheNextDirectoryRecord, above))
        here = {**above, record.DirectoryRecordType: record}
        pending.append((record.OffsetOfReferencedLowerLevelDirectoryEntity, here))
        if "ReferencedFileID" in record:
            path = directory.parent.joinpath(*record.ReferencedFileID)
            found.append((path, {**here, "": record}))
    return found


@pytest.mark.interop
def test_the_directory_leads_to_the_results(media: Path, results: Path) -> None:
    assert len(listed(media / "DICOMDIR")) == 7
    assert b"Quxworth" not in (results / "DICOMDIR").read_bytes()
    found = listed(results / "DICOMDIR")
    assert len({path for path, _ in found}) == 8
    for path, records in found:
        held = pydicom.dcmread(path)
        assert held.SOPInstanceUID == records[""].ReferencedSOPInstanceUIDInFile
        assert held.StudyInstanceUID == records["STUDY"].StudyInstanceUID
        assert held.SeriesInstanceUID == records["SERIES"].SeriesInstanceUID
        assert held.PatientID == records["PATIENT"].PatientID
        for part in path.relative_to(results).parts:
            assert re.fullmatch("[A-Z0-9_]{1,8}", part)
    done = subprocess.run(
        ["dcmdump", results / "DICOMDIR"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert not done.stderr


def test_a_directory_by_itself_is_refused(media: Path) -> None:
    with pytest.raises(NotCleanError, match="write_directory"):
        Deidentifier(salt=b"a key").deidentify(read_file(media / "DICOMDIR"))


def test_the_study_is_what_it_should_be(media: Path) -> None:
    assert len(instances_of(media)) == 8
    buffer = BytesIO()
    structures().save_as(buffer, enforce_file_format=True)
    assert b"Quxworth" in buffer.getvalue()
