"""The dictionaries: look-ups, rule-made elements, and agreement with pydicom's tables."""

import pytest
from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary

from dicom_actors.data import dictionary
from dicom_actors.data.dictionary import uids
from dicom_actors.data.dictionary.vr import VR

# PS3.6 2026c against pydicom's 2024c; what each difference is, by tag.
NEWER = {
    0x00102160: "Ethnic Group was retired in 2025b",
    0x003A0320: "keyword ends in TableSequence since 2024d",
    0x003A0325: "keyword ends in CodeSequence since 2024d",
    0x30040012: "Dose Value is current again since 2024e",
}


def printed(entry):
    return (entry.vr, entry.vm, entry.name, "Retired" if entry.is_retired else "", entry.keyword)


def differences(tag, ours, theirs):
    """The fields in which the two differ beyond pydicom's way of writing them."""
    vr, vm, name, retired, keyword = theirs
    if vr == "NONE":
        vr = ""
    if name.startswith("Retired-blank"):
        return []
    name = name.replace(" uA", " µA").replace(" uS", " µS")
    if ours.vm == "1-n or 1":
        vm = ours.vm
    if vr == "OB" and ours.vr == "" and not ours.name:
        vr, vm = "", ""
    pairs = zip(printed(ours), (vr, vm, name, retired, keyword), strict=True)
    return [pair for pair in pairs if pair[0] != pair[1]]


def test_every_element_agrees_with_pydicom():
    found = {}
    for tag, theirs in DicomDictionary.items():
        ours = dictionary.entry(tag)
        assert ours is not None, f"{tag:08X} is missing"
        if tag not in NEWER and (unlike := differences(tag, ours, theirs)):
            found[f"{tag:08X}"] = unlike
    # "X or Y" are printed in the same order by both.
    assert found == {}


def test_the_listed_differences_exist():
    for tag in NEWER:
        assert printed(dictionary.entry(tag)) != DicomDictionary[tag]


def test_every_repeating_group_agrees_with_pydicom():
    for pattern, theirs in RepeatersDictionary.items():
        if pattern in {"1000xxx0", "1010xxxx"}:
            tag = int(pattern.replace("x", "1"), 16)
        else:
            tag = int(pattern.replace("x", "0"), 16)
        if tag in DicomDictionary:  # a plain row of its own comes first
            continue
        ours = dictionary.entry(tag)
        assert printed(ours) == theirs, pattern
        assert ours.tag == tag


def test_vr_of_is_that_of_the_entry():
    for keyword in dictionary.keywords():
        tag = dictionary.tag_of(keyword)
        entry = dictionary.entry(tag)
        assert dictionary.vr_of(tag) == (entry.vr or "UN") == dictionary.VR_TABLE[tag]
        assert entry.keyword == keyword


def test_vrs_exist():
    vrs = {dictionary.vr_of(dictionary.tag_of(keyword)) for keyword in dictionary.keywords()}
    assert {part for vr in vrs for part in vr.split(" or ")} <= set(VR)


def test_keywords_are_as_many_as_pydicom_s_and_more():
    assert set(datadict.keyword_dict) - set(dictionary.keywords()) == {
        "",
        "SummarizedFilterLookupTable",
        "AnalogFilterType",
    }


def test_tables_without_the_call():
    assert dictionary.KEYWORD_TABLE["PatientID"] == dictionary.tag_of("PatientID") == 0x00100020
    assert dictionary.VR_TABLE[0x00100020] == dictionary.vr_of(0x00100020) == "LO"
    with pytest.raises(KeyError):
        dictionary.KEYWORD_TABLE["PatientsID"]


def test_keywords_of_repeating_groups():
    assert dictionary.tag_of("OverlayData") == 0x60003000
    assert dictionary.keyword_of(0x60183000) == "OverlayData"
    assert dictionary.tag_of("RowsForNthOrderCoefficients") == 0x00280410
    assert dictionary.tag_of("EscapeTriplet") == 0x10000010
    assert dictionary.tag_of("ZonalMap") == 0x10100001
    assert dictionary.tag_of("NoSuchKeyword") is None
    assert dictionary.tag_of("") is None


@pytest.mark.parametrize(
    ("tag", "vr", "name"),
    [
        (0x00080000, "UL", "Generic Group Length"),
        (0x00090000, "UL", "Generic Group Length"),
        (0x00020000, "UL", "File Meta Information Group Length"),
        (0x00090010, "LO", "Private Creator"),
        (0x7FE100FF, "LO", "Private Creator"),
        (0x60023000, "OB or OW", "Overlay Data"),
        (0x50103000, "OB or OW", "Curve Data"),
        (0x7F000010, "OB or OW", "Variable Pixel Data"),
        (0x7FE00010, "OB or OW", "Pixel Data"),
        (0x002031FF, "CS", "Source Image IDs"),
        (0x00280422, "LO", "Coefficient Coding"),
        (0x10000023, "US", "Huffman Table Triplet"),
        (0x10101234, "US", "Zonal Map"),
    ],
)
def test_elements_that_follow_from_rules(tag, vr, name):
    assert dictionary.vr_of(tag) == vr
    assert dictionary.entry(tag).name == name
    assert dictionary.entry(tag).vr == vr


@pytest.mark.parametrize(
    "tag",
    [
        0x00091010,  # a private element
        0x0009000F,  # below the private creators
        0x60203000,  # groups beyond 601E are no overlays
        0x60013000,  # odd groups are private
        0x50203000,
        0x7F010110,
        0x12345678,
        0xFFFFFFFF,
    ],
)
def test_what_no_rule_covers_is_unknown(tag):
    assert dictionary.entry(tag) is None
    assert dictionary.vr_of(tag) == "UN"
    assert dictionary.keyword_of(tag) == ""


def test_items_have_no_vr():
    assert dictionary.entry(0xFFFEE000).vr == ""
    assert dictionary.vr_of(0xFFFEE00D) == "UN"


def test_unknown_tags_leave_nothing_behind():
    before = len(dictionary.VR_TABLE)
    for tag in range(0x13570000, 0x13570000 + 1000):
        assert dictionary.VR_TABLE[tag] in {"UN", "UL", "LO"}
    assert len(dictionary.VR_TABLE) == before


def test_every_uid_agrees_with_pydicom():
    for uid, (name, kind, _, retired, keyword) in UID_dictionary.items():
        entry = dictionary.uid_entry(uid)
        if name:
            assert (
                entry.name.replace("&", "and")
                == name.replace("&", "and").removesuffix(" (Retired)").split(":")[0].strip()
            ), uid
        assert entry.keyword == keyword, uid
        assert entry.is_retired == (retired == "Retired"), uid
        if not entry.type.startswith("Well-known frame"):
            assert entry.type.lower() == kind.lower(), uid
        if keyword:
            assert dictionary.uid_of(keyword) == uid


def test_unregistered_uids():
    assert dictionary.uid_entry("1.2.3") is None
    assert dictionary.uid_of("NoSuchKeyword") is None
    assert dictionary.uid_of("") is None


def test_storage_sop_classes():
    storage = dictionary.storage_sop_classes()
    assert len(storage) == len(set(storage)) == 214
    assert dictionary.uid_of("CTImageStorage") in storage
    assert dictionary.uid_of("Verification") not in storage
    assert dictionary.uid_of("MediaStorageDirectoryStorage") not in storage
    for uid in storage:
        assert dictionary.uid_entry(uid).type == "SOP Class"


def test_query_retrieve_sop_classes():
    classes = dictionary.query_retrieve_sop_classes()
    find = classes[dictionary.uid_of("StudyRootQueryRetrieveInformationModelFind")]
    assert (find.operation, find.information_model) == ("C-FIND", "Study Root")
    assert find.levels == ("STUDY", "SERIES", "IMAGE")
    for uid, sop_class in classes.items():
        assert sop_class.uid == uid
        assert sop_class.operation in {"C-FIND", "C-MOVE", "C-GET"}
        assert dictionary.uid_entry(uid) is not None
    with pytest.raises(TypeError):
        classes["1.2.3"] = find


# Of DICOM Real-Time Video, which is not negotiated; and retired ones without name and definition.
WITHOUT_SERVICES = {
    *(f"1.2.840.10008.10.{number}" for number in range(1, 5)),
    "1.2.840.10008.5.1.4.1.1.12.77",
    "1.2.840.10008.5.1.4.1.1.40",
}
OPERATIONS = {
    *("C-ECHO", "C-STORE", "C-FIND", "C-GET", "C-MOVE"),
    *("N-CREATE", "N-SET", "N-GET", "N-DELETE", "N-ACTION"),
}


def test_every_sop_class_has_services():
    known = dictionary.sop_class_services()
    storage = set(dictionary.storage_sop_classes())
    expected = {
        entry.uid
        for entry in uids.registry().entries.values()
        if entry.type in {"SOP Class", "Meta SOP Class"} and entry.uid not in storage
    }
    directory = dictionary.uid_of("MediaStorageDirectoryStorage")
    assert expected - {directory} - WITHOUT_SERVICES == set(known)
    for uid, services in known.items():
        assert services.uid == uid
        assert services.service_class
        assert services.operations <= OPERATIONS
        assert services.operations or services.has_notifications


@pytest.mark.parametrize(
    ("keyword", "services"),
    [
        ("Verification", "C-ECHO"),
        ("StorageCommitmentPushModel", "N-ACTION N-EVENT-REPORT"),
        ("ModalityPerformedProcedureStep", "N-CREATE N-SET"),
        ("ModalityPerformedProcedureStepRetrieve", "N-GET"),
        ("ModalityPerformedProcedureStepNotification", "N-EVENT-REPORT"),
        ("InstanceAvailabilityNotification", "N-CREATE"),
        ("UnifiedProcedureStepPush", "N-CREATE N-GET N-ACTION"),
        ("UnifiedProcedureStepPull", "C-FIND N-SET N-GET N-ACTION"),
        ("UnifiedProcedureStepWatch", "C-FIND N-GET N-ACTION"),
        ("UnifiedProcedureStepEvent", "N-EVENT-REPORT"),
        ("UnifiedProcedureStepQuery", "C-FIND"),
        ("ModalityWorklistInformationModelFind", "C-FIND"),
        ("StudyRootQueryRetrieveInformationModelMove", "C-MOVE"),
        ("CompositeInstanceRetrieveWithoutBulkDataGet", "C-GET"),
        ("BasicFilmSession", "N-CREATE N-SET N-DELETE N-ACTION"),
        ("BasicFilmBox", "N-CREATE N-SET N-DELETE N-ACTION"),
        ("BasicGrayscaleImageBox", "N-SET"),
        ("BasicAnnotationBox", "N-SET"),
        ("PrintJob", "N-GET N-EVENT-REPORT"),
        ("PrinterConfigurationRetrieval", "N-GET"),
        ("PresentationLUT", "N-CREATE N-DELETE"),
        ("MediaCreationManagement", "N-CREATE N-GET N-ACTION"),
        ("ProceduralEventLogging", "N-ACTION"),
        ("InventoryCreation", "N-ACTION N-EVENT-REPORT"),
        ("DisplaySystem", "N-GET"),
        ("SubstanceApprovalQuery", "C-FIND"),
        (
            "RTIonMachineVerification",
            "N-CREATE N-SET N-GET N-DELETE N-ACTION N-EVENT-REPORT",
        ),
        ("BasicStudyContentNotification", "C-STORE"),
    ],
)
def test_services_of_sop_classes(keyword, services):
    found = dictionary.sop_class_services()[dictionary.uid_of(keyword)]
    notifications = {"N-EVENT-REPORT"} if found.has_notifications else set()
    assert found.operations | notifications == set(services.split())


@pytest.mark.parametrize(
    ("keyword", "members"),
    [
        (
            "BasicGrayscalePrintManagementMeta",
            ("BasicFilmSession", "BasicFilmBox", "BasicGrayscaleImageBox", "Printer"),
        ),
        (
            "BasicColorPrintManagementMeta",
            ("BasicFilmSession", "BasicFilmBox", "BasicColorImageBox", "Printer"),
        ),
        (
            "ReferencedColorPrintManagementMeta",
            ("BasicFilmSession", "BasicFilmBox", "ReferencedImageBox", "Printer"),
        ),
        ("PullStoredPrintManagementMeta", ("PullPrintRequest", "Printer")),
        (
            "GeneralPurposeWorklistManagementMeta",
            (
                "GeneralPurposeWorklistInformationModelFind",
                "GeneralPurposeScheduledProcedureStep",
                "GeneralPurposePerformedProcedureStep",
            ),
        ),
        (
            "DetachedPatientManagementMeta",
            ("DetachedPatientManagement", "DetachedVisitManagement"),
        ),
    ],
)
def test_a_meta_sop_class_has_the_services_of_its_members(keyword, members):
    known = dictionary.sop_class_services()
    meta = known[dictionary.uid_of(keyword)]
    of_members = [known[dictionary.uid_of(member)] for member in members]
    assert meta.operations == frozenset().union(*(member.operations for member in of_members))
    assert meta.has_notifications == any(member.has_notifications for member in of_members)


def test_services_cannot_be_changed():
    known = dictionary.sop_class_services()
    with pytest.raises(TypeError):
        known["1.2.3"] = None
