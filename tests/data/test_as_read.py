from __future__ import annotations

import pytest
from pydicom.data import get_testdata_file

from dicom_actors import DataSet, read_file

SYNTAXES = {
    "1.2.840.10008.1.2": "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1": "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2": "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99": "1.2.840.10008.1.2.1",
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_elements_together_are_the_data_set(syntax):
    made = read_file(get_testdata_file("CT_small.dcm"))
    data_set = DataSet.from_bytes(made.to_bytes(syntax), syntax)

    found = data_set.elements_as_read()

    assert found is not None
    assert found.transfer_syntax.uid == SYNTAXES[syntax]
    assert [tag for tag, _ in found.elements] == list(data_set)
    again = DataSet.from_bytes(b"".join(part for _, part in found.elements), SYNTAXES[syntax])
    assert again == data_set
    if syntax == SYNTAXES[syntax]:
        assert b"".join(part for _, part in found.elements) == data_set.to_bytes()


def test_sequences_of_undefined_length_are_whole():
    data_set = read_file("test_files/undefined_lengths.dcm")

    found = data_set.elements_as_read()

    assert found is not None
    for tag, part in found.elements:
        one = DataSet.from_bytes(bytes(part), found.transfer_syntax)
        assert list(one) == [tag]


def test_some_together_are_what_each_of_them_is():
    found = read_file(get_testdata_file("CT_small.dcm")).elements_as_read()

    assert found is not None
    parts = [bytes(part) for _, part in found.elements]
    assert bytes(found.part(3, 9)) == b"".join(parts[3:9])
    assert bytes(found.part(0, len(parts))) == b"".join(parts)
    assert DataSet.from_bytes(b"", "1.2.840.10008.1.2.1").elements_as_read().elements == []


def test_elements_in_disorder_stand_where_they_stood():
    one, two = (
        DataSet.from_keywords(**{keyword: "1"}).to_bytes() for keyword in ("PatientID", "Modality")
    )
    found = DataSet.from_bytes(one + two, "1.2.840.10008.1.2.1").elements_as_read()

    assert found is not None
    assert [bytes(part) for _, part in found.elements] == [one, two]


def test_what_was_made_or_changed_was_not_read():
    assert DataSet.from_keywords(PatientID="1").elements_as_read() is None
    data_set = read_file(get_testdata_file("CT_small.dcm"))
    data_set.PatientID = "2"
    assert data_set.elements_as_read() is None
    data_set = read_file(get_testdata_file("CT_small.dcm"))
    data_set.OtherPatientIDsSequence[0].PatientID = "2"
    assert data_set.elements_as_read() is None


def test_nothing_is_copied():
    body = read_file(get_testdata_file("CT_small.dcm")).to_bytes()
    found = DataSet.from_bytes(body, "1.2.840.10008.1.2.1").elements_as_read()
    assert found is not None
    assert all(part.obj is body for _, part in found.elements)
    with pytest.raises(TypeError):
        found.elements[0][1][0] = 0
