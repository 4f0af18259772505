"""A data set in another transfer syntax, as a data set of its own."""

from __future__ import annotations

import io

import pydicom
import pytest

from dicom_actors.data import DataSet, TransferSyntax, read_file, write_file
from dicom_actors.errors import UnsupportedTransferSyntaxError

CT = "1.2.840.10008.5.1.4.1.1.2"
KEYWORDS = [
    "ImplicitVRLittleEndian",
    "ExplicitVRLittleEndian",
    "ExplicitVRBigEndian",
    "DeflatedExplicitVRLittleEndian",
]


@pytest.fixture
def ds():
    ds = DataSet.from_keywords(
        SOPClassUID=CT,
        SOPInstanceUID="1.2.3",
        PixelSpacing=["0.50", "0.5"],
        BeamSequence=[{"BeamName": "one"}],
        PixelData=b"\x01\x02\x03\x04",
    )
    ds.file_meta.SourceApplicationEntityTitle = "ME"
    return ds


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_it_is_in_that_transfer_syntax(ds, keyword):
    made = ds.with_transfer_syntax(keyword)
    assert made == ds
    assert made is not ds
    assert made.transfer_syntax.keyword == keyword
    assert made.file_meta.TransferSyntaxUID == made.transfer_syntax.uid
    assert made.file_meta.SourceApplicationEntityTitle == "ME"
    assert ds.transfer_syntax is None
    assert "TransferSyntaxUID" not in ds.file_meta
    stream = io.BytesIO()
    write_file(stream, made)
    judged = pydicom.dcmread(io.BytesIO(stream.getvalue()))
    assert judged.file_meta.TransferSyntaxUID == made.transfer_syntax.uid
    assert judged.BeamSequence[0].BeamName == "one"
    assert read_file(stream.getvalue()) == ds


@pytest.mark.parametrize("target", KEYWORDS)
@pytest.mark.parametrize("source", KEYWORDS)
def test_from_each_to_each(ds, source, target):
    made = ds.with_transfer_syntax(source).with_transfer_syntax(target)
    assert made == ds
    assert made.to_bytes() == ds.with_transfer_syntax(target).to_bytes()


def test_a_transfer_syntax_itself(ds):
    syntax = TransferSyntax.of("ImplicitVRLittleEndian")
    assert ds.with_transfer_syntax(syntax).transfer_syntax is syntax


def test_a_declaration_that_was_overridden_stays_so():
    data = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 144", PatientName="Иванов").to_bytes()
    wrong = data.replace(b"ISO_IR 144", b"ISO_IR 100")
    ds = DataSet.from_bytes(wrong, "ExplicitVRLittleEndian", character_set="ISO_IR 144")
    assert ds.with_transfer_syntax("ImplicitVRLittleEndian").PatientName == "Иванов"


def test_compressed_pixel_data_is_not_decompressed(judge_folder):
    ds = read_file(judge_folder / "JPEG2000.dcm")
    with pytest.raises(UnsupportedTransferSyntaxError, match="the pixel data is compressed"):
        ds.with_transfer_syntax("ExplicitVRLittleEndian")
