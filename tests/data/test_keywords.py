"""The stub that gives keywords their types."""

from pathlib import Path

from kit.type_checker import checked

import dicom_actors.data
from dicom_actors.data.dictionary import keywords
from dicom_actors.data.dictionary.make_stub import stub_text

STUB = Path(dicom_actors.data.__file__).parent / "dataset" / "keywords.pyi"

USE = """
from datetime import date
from dicom_actors.data import DataSet

ds = DataSet()
reveal_type(ds.PatientID)
reveal_type(ds.PatientName.family_name)
reveal_type(ds.Rows)
reveal_type(ds.ImageOrientationPatient)
reveal_type(ds.BeamSequence)
ds.StudyDate = date(2024, 1, 31)
ds.PatientID = None
ds.ImageType = ["ORIGINAL", "PRIMARY"]
del ds.PatientID
ds.Rows = "512"  # E: a number is meant
ds.PatientsName  # E: no such keyword
"""


def test_the_stub_is_up_to_date():
    assert STUB.read_text(encoding="utf-8") == stub_text()


def test_every_keyword_is_in_it():
    text = STUB.read_text(encoding="utf-8")
    missing = [keyword for keyword in keywords() if f"\n    {keyword}: _" not in text]
    assert missing == ["Item", "ItemDelimitationItem", "SequenceDelimitationItem"]


def test_type_checkers_know_the_values(tmp_path):
    said, wrong, expected = checked(USE, tmp_path)
    notes = [line for line in said if "note: Revealed" in line]
    assert [("str" in notes[0]), ("str" in notes[1]), ("int" in notes[2])] == [True] * 3
    assert "list[dicom_actors.data.values.value_types.DS]" in notes[3]
    assert "list[dicom_actors.data.dataset.data_set.DataSet]" in notes[4]
    assert wrong == expected
