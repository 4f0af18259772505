"""Directory records: which type a SOP class has, and which keys a type carries (PS3.3 F.4, F.5).

Tables alone; `dicom_actors.data.directory` makes and reads the records.
"""

from __future__ import annotations

from typing import Final

from dicom_actors.data import dictionary

__all__ = ["LEVEL_KEYS", "RECORD_KEYS", "ROOT_TYPES", "record_type"]

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
"""The keys of the records that refer to instances, by type; what an instance lacks is left out."""

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
    found = dictionary.uid_entry(sop_class_uid)
    keyword = "" if found is None else found.keyword
    for part, kind in _TYPES:
        if part in keyword:
            return kind
    return "IMAGE"
