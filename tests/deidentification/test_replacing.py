"""New UIDs, pseudonyms and dates; own rules; what stays connected over a study."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.patients import KEY, file_of, patient

from dicom_actors import DataSet, read_file
from dicom_actors.deidentification import Deidentifier, Pseudonyms, Report, Rules, Verifier
from dicom_actors.deidentification.replacing import shifted


def test_references_over_a_study_hold(clean) -> None:
    image = patient(SOPInstanceUID="1.2.3.4.9.1", FrameOfReferenceUID="1.2.3.4.9.7")
    structures = patient(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3",
        SOPInstanceUID="1.2.3.4.9.2",
        Modality="RTSTRUCT",
        ReferencedFrameOfReferenceSequence=[
            {
                "FrameOfReferenceUID": "1.2.3.4.9.7",
                "RTReferencedStudySequence": [
                    {
                        "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1",
                        "ReferencedSOPInstanceUID": "1.2.3.4.5.2",
                        "RTReferencedSeriesSequence": [
                            {
                                "SeriesInstanceUID": "1.2.3.4.5.3",
                                "ContourImageSequence": [
                                    {
                                        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                                        "ReferencedSOPInstanceUID": "1.2.3.4.9.1",
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ],
    )
    report = patient(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        SOPInstanceUID="1.2.3.4.9.3",
        Modality="SR",
        ContentSequence=[
            {
                "ValueType": "IMAGE",
                "ReferencedSOPSequence": [
                    {
                        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                        "ReferencedSOPInstanceUID": "1.2.3.4.9.1",
                    }
                ],
            },
            {"ValueType": "TEXT", "TextValue": "Seen with Mr Quxworth"},
        ],
    )
    state = patient(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
        SOPInstanceUID="1.2.3.4.9.4",
        Modality="PR",
        ReferencedSeriesSequence=[
            {
                "SeriesInstanceUID": "1.2.3.4.5.3",
                "ReferencedImageSequence": [
                    {
                        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                        "ReferencedSOPInstanceUID": "1.2.3.4.9.1",
                    }
                ],
            }
        ],
    )
    cleaned = [read_file(file_of(clean(each))) for each in (image, structures, report, state)]
    one = cleaned[0]
    assert len({each.SOPInstanceUID for each in cleaned}) == 4
    assert {each.StudyInstanceUID for each in cleaned} == {one.StudyInstanceUID}
    assert {each.PatientID for each in cleaned} == {one.PatientID}
    frame = cleaned[1].ReferencedFrameOfReferenceSequence[0]
    assert frame.FrameOfReferenceUID == one.FrameOfReferenceUID
    study = frame.RTReferencedStudySequence[0]
    assert study.ReferencedSOPInstanceUID == one.StudyInstanceUID
    assert study.ReferencedSOPClassUID == "1.2.840.10008.3.1.2.3.1"
    series = study.RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == one.SeriesInstanceUID
    assert series.ContourImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    items = cleaned[2].ContentSequence
    assert items[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert [item.ValueType for item in items] == ["IMAGE", "TEXT"]
    assert items[1].TextValue == "REMOVED"
    shown = cleaned[3].ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    assert shown.ReferencedSOPInstanceUID == one.SOPInstanceUID


def test_a_code_that_names_the_patient_goes_and_a_term_of_the_standard_stays(clean) -> None:
    after = clean(
        patient(
            PatientName="Head^Zelda",
            BodyPartExamined="HEAD",
            ImageType=["ORIGINAL", "PRIMARY", "ZELDA"],
            ContentLabel="ZELDA",
            PhotometricInterpretation="MONOCHROME2",
        )
    )
    assert after.BodyPartExamined == "HEAD"
    assert after.PhotometricInterpretation == "MONOCHROME2"
    assert after.ContentLabel == after.ImageType == "REMOVED"


def test_what_is_kept_but_is_no_uid_is_replaced(clean) -> None:
    after = clean(patient(SOPInstanceUID="Quxworth"), "retain-uids")
    assert after.StudyInstanceUID == "1.2.3.4.5.2"
    assert re.fullmatch(r"2\.25\.[0-9]+", after.SOPInstanceUID)


def test_an_overlay_goes_with_its_data(clean, rules) -> None:
    before = patient(OverlayRows=2, OverlayColumns=2, OverlayType="G", OverlayOrigin=[1, 1])
    before.put(0x60003000, "OB", b"\1\0")
    assert not [tag for tag in clean(before) if tag >> 24 == 0x60]
    kept = rules('[[rule]]\nkeyword = "OverlayData"\naction = "keep"')
    after = clean(before, rules=kept)
    assert (after.OverlayRows, bytes(after.OverlayData)) == (2, b"\1\0")


def _is_standard(uid: str) -> bool:
    return uid.startswith("1.2.840.10008.")


# Hypothesis tries constants of the package, too, and registered ones stay.
@given(st.text("0123456789.", min_size=1, max_size=64).filter(lambda uid: not _is_standard(uid)))
def test_new_uids_are_uuids_that_the_key_decides(uid: str) -> None:
    one, again, other = (Deidentifier(salt=salt).new_uid(uid) for salt in (b"a", b"a", b"b"))
    assert one == again != other
    match = re.fullmatch(r"2\.25\.([1-9][0-9]{0,38})", one)
    assert match is not None
    assert int(match[1]) >> 76 & 0xF == 8  # the version of a UUID
    assert int(match[1]) >> 62 & 3 == 2


def test_registered_uids_stay_and_others_below_their_root_do_not() -> None:
    cleaner = Deidentifier(salt=KEY, keep_uids=True)
    assert cleaner.new_uid("1.2.840.10008.1.4.1.1") == "1.2.840.10008.1.4.1.1"
    assert cleaner.new_uid("1.2.840.10008.99.77").startswith("2.25.")
    cleaner.deidentify(patient())
    assert cleaner.uids["1.2.3.4.5.2"] == cleaner.new_uid("1.2.3.4.5.2")


@given(
    st.dates(date(1850, 1, 1), date(2150, 12, 31)),
    st.dates(date(1850, 1, 1), date(2150, 12, 31)),
    st.integers(-4000, 4000),
)
def test_one_shift_keeps_the_days_between_two_dates(one: date, other: date, days: int) -> None:
    def day(text: str | None) -> date:
        assert text is not None
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))

    moved = [shifted(f"{each:%Y%m%d}" if each.year > 999 else "", days) for each in (one, other)]
    assert day(moved[1]) - day(moved[0]) == other - one


@pytest.mark.parametrize(
    ("text", "days", "made"),
    [
        ("20240301", -1, "20240229"),
        ("20240301112233.5+0100", 366, "20250302112233.5+0100"),
        ("2024.03.01", 1, "2024.03.02"),
        ("2024-03-01", 1, "2024-03-02"),
        ("202403", -1, "202402"),
        ("2024", -1, "2023"),
        ("20241399", 1, None),
        ("today", 1, None),
        ("00010101", -1, None),
    ],
)
def test_dates_are_shifted_in_their_own_form(text: str, days: int, made: str | None) -> None:
    assert shifted(text, days) == made


def test_dates_of_a_patient_share_one_shift_and_times_stay(clean) -> None:
    before = patient(
        SeriesDate="20040120", StudyTime="112233", AcquisitionDateTime="20040121080000.5"
    )
    after = clean(before, "retain-modified-dates")
    days = after.SeriesDate.as_date() - after.StudyDate.as_date()
    assert (days.days, after.StudyTime, after.StudyDate < "20040119") == (1, "112233", True)
    assert after.AcquisitionDateTime.endswith("080000.5")
    other = clean(patient(PatientID="other", PatientName="Other"), "retain-modified-dates")
    assert other.StudyDate != after.StudyDate
    assert clean(before, "retain-modified-dates") == after


def test_a_mapping_names_patients_and_studies() -> None:
    mapping = Pseudonyms.from_csv(
        "level,original,pseudonym,name,shift_days\n"
        "patient,MRN-774411,T-001,Trial^One,-10\n"
        "study,1.2.3.4.5.2,T-001-A,,\n"
    )
    cleaner = Deidentifier("basic", ["retain-modified-dates"], salt=KEY, pseudonyms=mapping)
    report = Report()
    after = cleaner.deidentify(patient(StudyID="7", AccessionNumber="A7"), report)
    assert (after.PatientID, str(after.PatientName)) == ("T-001", "Trial^One")
    assert (after.StudyID, after.AccessionNumber) == ("T-001-A", "T-001-A")
    assert after.StudyDate == "20040109"
    assert not report.unjudged
    cleaner.deidentify(patient(PatientID="not there"), report)
    assert report.unjudged["PatientID", "not in the mapping: a keyed hash instead"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "original and pseudonym"),
        ("original,pseudonym\n4711,\n", "line 2"),
        ("original,pseudonym\n1,a\n1,b\n", "line 3"),
        ("level,original,pseudonym\nhouse,1,a\n", "patient or study"),
        ("original,pseudonym,shift_days\n1,a,soon\n", "whole number"),
    ],
)
def test_a_wrong_mapping_is_refused_without_its_values(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Pseudonyms.from_csv(text)
    assert "4711" not in str(caught.value)


def test_own_rules_come_first(rules, clean) -> None:
    made = rules(
        """
        [[rule]]
        keyword = "StudyDescription"
        action = "keep"
        [[rule]]
        keyword = "SeriesDescription"
        action = "clean"
        [[rule]]
        keyword = "Modality"
        action = "remove"
        [[rule]]
        keyword = "ClinicalTrialProtocolID"
        action = "set"
        value = "TRIAL-7"
        [[rule]]
        creator = "ACME 1.1"
        tag = "0009xx01"
        action = "keep"
        [words]
        keep = ["chest", "CT"]
        """
    )
    before = patient(
        StudyDescription="As it is",
        SeriesDescription="CT Chest of Dr Smith",
        ClinicalTrialProtocolID="secret",
    )
    before.private_block(0x0009, "ACME 1.1", create=True)
    before.put(0x00091001, "LO", "kept")
    before.put(0x00091002, "LO", "not kept")
    after = clean(before, rules=made)
    assert after.StudyDescription == "As it is"
    assert after.SeriesDescription == "CT Chest"
    assert "Modality" not in after
    assert after.ClinicalTrialProtocolID == "TRIAL-7"
    assert [tag for tag in after if tag.is_private] == [0x00090010, 0x00091001]


@pytest.mark.parametrize(
    "text",
    [
        "rule = 1",
        "[other]",
        '[[rule]]\naction = "keep"',
        '[[rule]]\nkeyword = "Nonsense"\naction = "keep"',
        '[[rule]]\nkeyword = "Modality"\naction = "vanish"',
        '[[rule]]\nkeyword = "Modality"\naction = "set"',
        '[[rule]]\ntag = "00091001"\naction = "keep"',
        '[[rule]]\ncreator = "A"\ntag = "0008xx01"\naction = "keep"',
        "[words]\nkeep = [1]",
        "[[region]]\nrows = 1",
        "[[region]]\nrectangles = [[1, 2, 3]]",
        "no toml",
    ],
)
def test_wrong_rules_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|rule|region"):
        Rules.from_toml(text)


def test_safe_private_elements_are_kept_with_their_creator(clean) -> None:
    before = patient()
    before.put(0x00190010, "LO", "GEMS_ACQU_01")
    before.put(0x0019109E, "LO", "scan")  # in the table of safe ones
    before.put(0x001910FF, "LO", "other")
    before.put(0x00210010, "LO", "ACME")
    before.put(0x00211001, "LO", "other")
    after = clean(before, "retain-safe-private")
    assert [tag for tag in after if tag.is_private] == [0x00190010, 0x0019109E]
    before.put(0x0019109E, "LO", "scan of Quxworth")
    assert "REMOVED" in str(clean(before, "retain-safe-private").get(0x0019109E))


def test_the_original_stays_as_it_is(clean) -> None:
    whole = file_of(patient(ReferencedStudySequence=[{"ReferencedSOPInstanceUID": "1.2.3.4"}]))
    original = read_file(whole)
    assert isinstance(clean(original), DataSet)
    assert original == read_file(whole)
    assert file_of(original) == whole


@pytest.mark.parametrize("salt", [5, 16, [1, 2, 3], None, 1.5])
def test_a_salt_that_is_neither_bytes_nor_text_is_no_key(salt) -> None:
    with pytest.raises(TypeError, match="salt: expected bytes or a text, got"):
        Deidentifier(salt=salt)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Deidentifier("basic", "retain-uids", salt=KEY),
        lambda: Deidentifier(salt=KEY, rules="[[rule]]"),
        lambda: Deidentifier(salt=KEY, pseudonyms={"4711": "T1"}),
        lambda: Deidentifier(salt=KEY).deidentify("image.dcm"),
        lambda: Deidentifier(salt=KEY).clean_file("image.dcm"),
        lambda: Deidentifier(salt=KEY).deidentify(patient(), {}),
        lambda: Deidentifier(salt=KEY).new_uid(None),
        lambda: Rules.from_toml(None),
        lambda: Pseudonyms.from_csv(b"original,pseudonym"),
        lambda: Verifier().learn("image.dcm"),
        lambda: Verifier().search(None),
    ],
)
def test_what_is_none_of_what_is_expected(call) -> None:
    with pytest.raises(TypeError, match="expected"):
        call()


def test_one_word_is_not_taken_for_its_letters() -> None:
    assert Verifier("device").search(b"") == []
