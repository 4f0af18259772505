"""Which attributes have columns of their own, at which level, and how they are compared.

This table is the one place that says so: what is put into a row and what a query may ask of the
database both come from it, and a test holds the schema to it. Attributes that are not in it are
kept with everything else of an instance, and matched there.

Standard: PS3.4 C.6.1.1 (Patient Root), C.6.2.1 (Study Root).
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, NamedTuple

from dicom_actors import Tag

__all__ = ["COLUMNS", "LEVELS", "Column", "Kind", "Level", "columns_of", "level_of"]


class Level(StrEnum):
    """A level of the information model, as Query/Retrieve Level names it."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


LEVELS: Final = tuple(Level)
"""From the highest."""


class Kind(Enum):
    """How the values of a column are kept and compared.

    Several values where a column is for one stand there as such that every key may mean them:
    text with a backslash in front, `SEVERAL` for numbers, dates and times.
    """

    UID = "uid"
    """Text without wild cards."""
    TEXT = "text"
    """Text, upper and lower case apart."""
    NAME = "name"
    """A person's name, folded; one column for each group."""
    NAMES = "names"
    """Names, folded, all values and groups in one column."""
    DATE = "date"
    """A number, YYYYMMDD."""
    TIME = "time"
    """Microseconds since midnight."""
    INTEGER = "integer"
    """A number."""
    NUMBER = "number"
    """A number with a fraction."""
    COUNT = "count"
    """How many there are below; counted, not received."""
    CLASS = "class"
    """A UID that is kept as a number."""


class Column(NamedTuple):
    """An attribute that has a column.

    Attributes:
        level: in whose table it is; the patient's are in the study's, too.
        keyword: the attribute.
        name: the column's; for a NAME that of the first group.
        kind: how it is compared.
        tag: the attribute's tag.
    """

    level: Level
    keyword: str
    name: str
    kind: Kind
    tag: int

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it fills."""
        if self.kind is Kind.NAME:
            return (self.name, f"{self.name}_ideographic", f"{self.name}_phonetic")
        return (self.name,)


def _snake(keyword: str) -> str:
    letters = []
    for at, letter in enumerate(keyword):
        if letter.isupper() and at and (keyword[at - 1].islower() or _starts_word(keyword, at)):
            letters.append("_")
        letters.append(letter.lower())
    return "".join(letters)


def _starts_word(keyword: str, at: int) -> bool:
    """Whether a capital after a capital begins a word, as the U in SOPClassUID does not."""
    return keyword[at : at + 2].istitle() and len(keyword) > at + 2


_KINDS: Final[dict[Level, dict[Kind, str]]] = {
    Level.PATIENT: {
        Kind.TEXT: "PatientID IssuerOfPatientID PatientSex EthnicGroup PatientComments",
        Kind.NAME: "PatientName",
        Kind.NAMES: "OtherPatientNames",
        Kind.DATE: "PatientBirthDate",
        Kind.TIME: "PatientBirthTime",
    },
    Level.STUDY: {
        Kind.UID: "StudyInstanceUID PatientAge",
        Kind.TEXT: (
            "AccessionNumber StudyID StudyDescription AdmittingDiagnosesDescription Occupation"
            " AdditionalPatientHistory"
        ),
        Kind.NAMES: "ReferringPhysicianName NameOfPhysiciansReadingStudy",
        Kind.DATE: "StudyDate",
        Kind.TIME: "StudyTime",
        Kind.INTEGER: "OtherStudyNumbers",
        Kind.NUMBER: "PatientSize PatientWeight",
        Kind.COUNT: "NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances",
    },
    Level.SERIES: {
        Kind.UID: "SeriesInstanceUID",
        Kind.TEXT: (
            "Modality SeriesDescription BodyPartExamined ProtocolName StationName InstitutionName"
        ),
        Kind.DATE: "SeriesDate PerformedProcedureStepStartDate",
        Kind.TIME: "SeriesTime PerformedProcedureStepStartTime",
        Kind.INTEGER: "SeriesNumber",
        Kind.COUNT: "NumberOfSeriesRelatedInstances",
    },
    Level.IMAGE: {
        Kind.UID: "SOPInstanceUID",
        Kind.CLASS: "SOPClassUID",
        Kind.TEXT: "ContainerIdentifier",
        Kind.INTEGER: "InstanceNumber",
    },
}

COLUMNS: Final = tuple(
    Column(
        level,
        keyword,
        "sop_class" if kind is Kind.CLASS else _snake(keyword),
        kind,
        int(Tag(keyword)),
    )
    for level, kinds in _KINDS.items()
    for kind, keywords in kinds.items()
    for keyword in keywords.split()
)

# What belongs to the levels above the instance besides: the attributes of the Patient, General
# Study, Patient Study, General Series, General Equipment, Frame of Reference and Clinical Trial
# modules (PS3.3 C.7.1 to C.7.5). All else is said of the single instance.
_OTHERS: Final[dict[Level, str]] = {
    Level.PATIENT: """
        ReferencedPatientSequence OtherPatientIDs OtherPatientIDsSequence
        IssuerOfPatientIDQualifiersSequence TypeOfPatientID PatientSpeciesDescription
        PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence
        BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole
        ResponsibleOrganization PatientIdentityRemoved DeidentificationMethod
        DeidentificationMethodCodeSequence EthnicGroupCodeSequence QualityControlSubject
        PatientBirthName PatientMotherBirthName ClinicalTrialSponsorName ClinicalTrialProtocolID
        ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName
        ClinicalTrialSubjectID ClinicalTrialSubjectReadingID NumberOfPatientRelatedStudies
        NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances
        """,
    Level.STUDY: """
        ModalitiesInStudy SOPClassesInStudy AnatomicRegionsInStudyCodeSequence
        ReferencedStudySequence ProcedureCodeSequence ConsultingPhysicianName
        IssuerOfAccessionNumberSequence ReferringPhysicianIdentificationSequence
        PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
        PhysiciansReadingStudyIdentificationSequence ReasonForPerformedProcedureCodeSequence
        RequestingServiceCodeSequence AdmittingDiagnosesCodeSequence MedicalAlerts Allergies
        PatientSexNeutered PregnancyStatus SmokingStatus LastMenstrualDate PatientState
        AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID ServiceEpisodeDescription
        ReasonForVisit ReasonForVisitCodeSequence ClinicalTrialTimePointID
        ClinicalTrialTimePointDescription RequestingPhysician RequestingService
        TimezoneOffsetFromUTC
        """,
    Level.SERIES: """
        Laterality PerformingPhysicianName PerformingPhysicianIdentificationSequence
        OperatorsName OperatorIdentificationSequence ReferencedPerformedProcedureStepSequence
        RelatedSeriesSequence SeriesDescriptionCodeSequence PatientPosition
        SmallestPixelValueInSeries LargestPixelValueInSeries RequestAttributesSequence
        PerformedProcedureStepEndDate PerformedProcedureStepEndTime PerformedProcedureStepID
        PerformedProcedureStepDescription PerformedProtocolCodeSequence
        CommentsOnThePerformedProcedureStep Manufacturer InstitutionAddress
        InstitutionalDepartmentName ManufacturerModelName DeviceSerialNumber SoftwareVersions
        GantryID SpatialResolution DateOfLastCalibration TimeOfLastCalibration PixelPaddingValue
        AnatomicRegionSequence
        FrameOfReferenceUID PositionReferenceIndicator ClinicalTrialCoordinatingCenterName
        ClinicalTrialSeriesID ClinicalTrialSeriesDescription
        """,
}

_LEVEL_OF: Final[dict[int, Level]] = {
    **{column.tag: column.level for column in COLUMNS},
    **{
        int(Tag(keyword)): level
        for level, keywords in _OTHERS.items()
        for keyword in keywords.split()
    },
}


def level_of(tag: int) -> Level:
    """At which level an attribute is one of its own."""
    return _LEVEL_OF.get(tag, Level.IMAGE)


def columns_of(level: Level) -> tuple[Column, ...]:
    """The columns in the table of a level, the patient's in the study's table included."""
    own = {level, Level.PATIENT} if level is Level.STUDY else {level}
    return tuple(column for column in COLUMNS if column.level in own)
