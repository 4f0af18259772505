"""Data sets from and to pydicom."""

import logging
import warnings

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as PydicomSequence

from dicom_actors.data import DataSet, EncapsulatedPixelData, read_file
from dicom_actors.data.forms.pydicom_bridge import from_pydicom, to_pydicom
from dicom_actors.errors import EncodeError

FILES = [
    "CT_small.dcm",  # explicit, private elements
    "rtplan.dcm",  # implicit, nested sequences
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",  # deflated
    "JPEG2000.dcm",  # encapsulated
    "chrH32.dcm",  # ISO 2022 escapes
    "chrX1.dcm",  # UTF-8
    "test-SR.dcm",
]


@pytest.fixture(autouse=True)
def _quiet_pydicom():
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def path_of(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        path = next(iter(pydicom.data.get_charset_files(name)))
    return str(path)


@pytest.mark.parametrize("name", FILES)
def test_there_is_what_pydicom_reads(name):
    path = path_of(name)
    made, theirs = to_pydicom(read_file(path)), pydicom.dcmread(path)
    group_lengths = {element.tag for element in made if element.tag.element == 0}
    assert made == theirs
    assert made.keys() - group_lengths == theirs.keys() - group_lengths
    if name != "image_dfl.dcm":
        assert made.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
    assert made.file_meta.MediaStorageSOPClassUID == theirs.file_meta.MediaStorageSOPClassUID


@pytest.mark.parametrize("name", FILES)
def test_back_is_what_we_read(name):
    path = path_of(name)
    ours = read_file(path)
    for tag in [tag for tag in ours if tag.element == 0]:
        del ours[tag]  # pydicom drops group lengths
    made = from_pydicom(pydicom.dcmread(path))
    assert made == ours
    assert made.file_meta.MediaStorageSOPClassUID == ours.file_meta.MediaStorageSOPClassUID
    assert from_pydicom(to_pydicom(ours)) == ours


def test_data_sets_made_of_values():
    theirs = Dataset()
    theirs.PatientName = "Doe^John"
    theirs.SpecificCharacterSet = "ISO_IR 192"
    theirs.PatientComments = "Größe"
    theirs.Rows = 512
    theirs.PixelSpacing = ["0.50", "0.50"]
    item = Dataset()
    item.CodeValue = "X"
    theirs.ProcedureCodeSequence = PydicomSequence([item])
    block = theirs.private_block(0x0029, "ACME", create=True)
    block.add_new(0x01, "LO", "private")
    ours = from_pydicom(theirs)
    assert ours.PatientName == "Doe^John"
    assert ours.PatientComments == "Größe"
    assert ours.Rows == 512
    assert [number.text for number in ours.PixelSpacing] == ["0.50", "0.50"]
    assert ours["ProcedureCodeSequence", 0, "CodeValue"] == "X"
    assert ours[0x00291001] == "private"
    assert to_pydicom(ours) == theirs


def test_identifiers_without_sop_class():
    ours = DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientName="DOE*", StudyDate=None)
    theirs = to_pydicom(ours)
    assert theirs.PatientName == "DOE*"
    assert theirs.StudyDate == ""
    assert from_pydicom(theirs) == ours


def test_pixel_data_can_be_used():
    theirs = to_pydicom(read_file(path_of("JPEG2000.dcm")))
    expected = pydicom.dcmread(path_of("JPEG2000.dcm"))
    assert theirs.PixelData == expected.PixelData
    assert theirs["PixelData"].is_undefined_length
    back = from_pydicom(theirs)
    assert isinstance(back.PixelData, EncapsulatedPixelData)


def test_what_pydicom_cannot_encode():
    theirs = Dataset()
    theirs.add_new(0x00280010, "US", "no number")
    with pytest.raises(EncodeError, match="pydicom"):
        from_pydicom(theirs)


def test_what_is_no_data_set():
    for convert in (from_pydicom, to_pydicom):
        for other in (None, 3, {}, b""):
            with pytest.raises(EncodeError, match="expected a"):
                convert(other)
