"""The files that the benchmarks of data sets read, made of one seed each.

A CT has the header of a real one (pydicom's CT_small.dcm, 262 elements) and 512 x 512 pixels;
the enhanced MR and the RT structure set are built in the shape of theirs.
"""

from __future__ import annotations

from pathlib import Path

import pydicom

from dicom_actors.data import DataSet, read_file, write_file

MATCH = {
    "SpecificCharacterSet": "ISO_IR 192",
    "StudyDate": "20240131",
    "StudyTime": "101530",
    "AccessionNumber": "A12345",
    "QueryRetrieveLevel": "STUDY",
    "RetrieveAETitle": "ARCHIVE",
    "ModalitiesInStudy": ["CT", "SR"],
    "StudyDescription": "CT Thorax",
    "ReferringPhysicianName": "Referrer^Anna",
    "PatientName": "Müller^Jörg",
    "PatientID": "P-000123",
    "PatientBirthDate": "19700101",
    "PatientSex": "M",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.123456789",
    "StudyID": "1",
    "NumberOfStudyRelatedSeries": 4,
    "NumberOfStudyRelatedInstances": 812,
}
"""What a C-FIND provider answers for one study."""

_CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"


def ct(number: int) -> DataSet:
    """A CT slice."""
    ds = read_file(_CT)
    ds.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
    ds.InstanceNumber = number
    ds.Rows = ds.Columns = 512
    ds.PixelData = bytes(512 * 512 * 2)
    return ds


def enhanced_mr(frames: int = 1_000) -> DataSet:
    """An enhanced MR of about 46 elements for each frame."""
    base = read_file(_CT, until="PixelData")
    ds = DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        SOPInstanceUID="1.2.826.0.1.3680043.8.498.1",
        PatientName=base.PatientName,
        PatientID=base.PatientID,
        StudyInstanceUID=base.StudyInstanceUID,
        SeriesInstanceUID=base.SeriesInstanceUID,
        Modality="MR",
        NumberOfFrames=frames,
        Rows=16,
        Columns=16,
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
    )
    ds.PerFrameFunctionalGroupsSequence = [_mr_frame(number) for number in range(frames)]
    ds.PixelData = bytes(16 * 16 * 2 * frames)
    return ds


def _mr_frame(number: int) -> DataSet:
    return DataSet.from_keywords(
        FrameContentSequence=[
            {
                "FrameAcquisitionNumber": number,
                "FrameReferenceDateTime": "20240101120000.000000",
                "FrameAcquisitionDateTime": "20240101120000.000000",
                "FrameAcquisitionDuration": 12.5,
                "StackID": "1",
                "InStackPositionNumber": number + 1,
                "DimensionIndexValues": [1, number + 1, 1],
                "TemporalPositionIndex": 1,
            }
        ],
        PlanePositionSequence=[{"ImagePositionPatient": [-120.5, -98.25, number * 1.25]}],
        PlaneOrientationSequence=[{"ImageOrientationPatient": [1, 0, 0, 0, 0.996, -0.087]}],
        PixelMeasuresSequence=[
            {"SliceThickness": 1.25, "SpacingBetweenSlices": 1.25, "PixelSpacing": [0.5, 0.5]}
        ],
        FrameAnatomySequence=[
            {
                "FrameLaterality": "U",
                "AnatomicRegionSequence": [
                    {
                        "CodeValue": "T-A0100",
                        "CodingSchemeDesignator": "SRT",
                        "CodeMeaning": "Brain",
                    }
                ],
            }
        ],
        PixelValueTransformationSequence=[
            {"RescaleIntercept": 0, "RescaleSlope": 1.5, "RescaleType": "US"}
        ],
        FrameVOILUTSequence=[{"WindowCenter": 300, "WindowWidth": 600}],
        MREchoSequence=[{"EffectiveEchoTime": 4.6}],
        MRTimingAndRelatedParametersSequence=[
            {
                "RepetitionTime": 9.5,
                "FlipAngle": 8,
                "EchoTrainLength": 1,
                "RFEchoTrainLength": 1,
                "GradientEchoTrainLength": 0,
                "SpecificAbsorptionRateSequence": [
                    {
                        "SpecificAbsorptionRateDefinition": "IEC_WHOLE_BODY",
                        "SpecificAbsorptionRateValue": 0.0123,
                    }
                ],
            }
        ],
        MRImageFrameTypeSequence=[
            {
                "FrameType": ["ORIGINAL", "PRIMARY", "M", "NONE"],
                "PixelPresentation": "MONOCHROME",
                "VolumetricProperties": "VOLUME",
                "ComplexImageComponent": "MAGNITUDE",
                "AcquisitionContrast": "T1",
            }
        ],
    )


def rt_structure_set(contours: int = 2_700) -> DataSet:
    """An RT structure set of about 8 elements for each contour of 50 points."""
    points = [f"{(at * 37 % 4000) / 10 - 200:.2f}" for at in range(150)]
    contour_items = [
        {
            "ContourImageSequence": [
                {
                    "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                    "ReferencedSOPInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}",
                }
            ],
            "ContourGeometricType": "CLOSED_PLANAR",
            "ContourSlabThickness": "2.5",
            "NumberOfContourPoints": 50,
            "ContourNumber": number,
            "ContourData": points,
        }
        for number in range(contours)
    ]
    rois = [
        {
            "ROIDisplayColor": [255, number, 0],
            "ReferencedROINumber": number,
            "ContourSequence": contour_items[number::20],
        }
        for number in range(20)
    ]
    return DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3",
        SOPInstanceUID="1.2.826.0.1.3680043.8.498.1",
        PatientName="Doe^John",
        PatientID="1",
        Modality="RTSTRUCT",
        StructureSetLabel="PLAN",
        ROIContourSequence=rois,
    )


def write_inputs(folder: Path, count: int) -> None:
    """Write all of them: ``ct/0.dcm`` and so on, ``mr.dcm``, ``rtstruct.dcm``."""
    (folder / "ct").mkdir()
    for number in range(count):
        write_file(folder / "ct" / f"{number}.dcm", ct(number))
    write_file(folder / "mr.dcm", enhanced_mr())
    write_file(folder / "rtstruct.dcm", rt_structure_set())
