from __future__ import annotations

import io
import os

import pydicom
import pytest

from dicom_actors.data import DataSet, file_meta_header, read_file, write_file
from dicom_actors.errors import DecodeError, DicomError, EncodeError, NotPart10Error
from dicom_actors.version import IMPLEMENTATION_CLASS_UID

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def data_set_bytes(path):
    """The data set of a file as pydicom finds it: everything from where its reader stands."""
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=True)
        pydicom.filereader._read_file_meta_info(file)
        return file.read()


@pytest.fixture
def ds():
    return DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3", PatientID="X", Rows=7)


class TestEveryFileOfTheJudge:
    def test_untouched_it_is_written_as_it_was_read(self, judge_file):
        ds = read_file(judge_file, keep_truncated=True)
        if "truncated" in judge_file.name:
            with pytest.raises(DecodeError):
                read_file(judge_file)
            return
        data = ds.to_bytes()
        assert data
        assert judge_file.read_bytes().endswith(data)
        if ds.file_meta:
            assert data == data_set_bytes(judge_file)

    def test_touched_and_unchanged_it_is_written_as_it_was_read(self, judge_file):
        ds = read_file(judge_file, keep_truncated=True)
        before = ds.to_bytes()
        for _, element in ds.walk():
            element.value  # noqa: B018
        assert ds.to_bytes() == before

    def test_copied_to_a_file(self, judge_file, tmp_path):
        ds = read_file(judge_file, keep_truncated=True)
        path = tmp_path / "copy.dcm"
        write_file(path, ds)
        again = read_file(path)
        assert again.to_bytes() == ds.to_bytes()
        assert again == ds
        assert os.listdir(tmp_path) == ["copy.dcm"]


class TestReading:
    def test_until(self, judge_folder):
        ds = read_file(judge_folder / "CT_small.dcm", until="PixelData")
        assert "PixelData" not in ds
        assert ds.Rows == 128
        assert max(ds) < 0x7FE00010

    def test_keywords(self, judge_folder):
        ds = read_file(judge_folder / "CT_small.dcm", keywords=["PatientID", "Rows", (8, 0x60)])
        assert [tag.keyword for tag in ds] == [
            "SpecificCharacterSet",
            "Modality",
            "PatientID",
            "Rows",
        ]
        assert (ds.PatientID, ds.Rows, ds.Modality) == ("1CT1", 128, "CT")

    def test_keywords_beyond_the_front_of_the_file(self, judge_folder):
        path = judge_folder / "examples_overlay.dcm"
        whole = read_file(path)
        part = read_file(path, keywords=["PixelData", "PatientID"])
        assert part.PixelData == whole.PixelData

    @pytest.mark.parametrize("make", [bytes, bytearray, memoryview, io.BytesIO])
    def test_sources(self, judge_folder, make):
        data = (judge_folder / "CT_small.dcm").read_bytes()
        assert read_file(make(data)) == read_file(judge_folder / "CT_small.dcm")

    def test_a_large_file_survives_its_removal(self, judge_folder, tmp_path):
        path = tmp_path / "large.dcm"
        path.write_bytes((judge_folder / "examples_overlay.dcm").read_bytes())
        ds = read_file(path)
        path.unlink()
        judged = pydicom.dcmread(judge_folder / "examples_overlay.dcm")
        assert ds.PixelData == judged.PixelData

    @pytest.mark.parametrize("data", [b"", b"x", b"\0" * 200, b"GIF89a" * 50, os.urandom(0)])
    def test_what_is_no_dicom_file(self, data):
        with pytest.raises(NotPart10Error):
            read_file(data)

    def test_wrong_group_length(self, ds):
        data = bytearray(_written(ds))
        data[140] ^= 0xFF
        read = read_file(data)
        assert read == ds
        assert any("group length" in str(warning) for warning in read.warnings)

    def test_no_preamble(self, ds):
        read = read_file(_written(ds)[128:])
        assert read == ds
        assert "preamble" in str(read.warnings[0])

    def test_no_prefix(self, ds):
        read = read_file(_written(ds)[132:])
        assert read == ds
        assert read.warnings

    def test_no_file_meta(self, ds):
        read = read_file(ds.to_bytes(EXPLICIT))
        assert read == ds
        assert "no file meta" in str(read.warnings[0])

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_file(tmp_path / "none.dcm")

    def test_cut_short_anywhere_it_is_an_error_or_less(self, judge_folder):
        data = (judge_folder / "MR_small.dcm").read_bytes()
        whole = read_file(data)
        for length in range(0, len(data) - 1, 97):
            try:
                part = read_file(data[:length])
            except DicomError:
                part = None
            assert part is None or len(part) < len(whole)
            if length > 400:
                kept = read_file(data[:length], keep_truncated=True)
                assert len(kept) <= len(whole)
                assert kept.warnings or len(kept) < len(whole)


class TestWriting:
    def test_the_file_meta_is_made_right(self, ds, tmp_path):
        ds.file_meta.SourceApplicationEntityTitle = "ME"
        write_file(tmp_path / "x.dcm", ds)
        judged = pydicom.dcmread(tmp_path / "x.dcm")
        assert judged.preamble == b"\0" * 128
        meta = judged.file_meta
        assert meta.FileMetaInformationVersion == b"\0\x01"
        assert meta.MediaStorageSOPClassUID == CT
        assert meta.MediaStorageSOPInstanceUID == "1.2.3"
        assert meta.TransferSyntaxUID == EXPLICIT
        assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert meta.SourceApplicationEntityTitle == "ME"
        assert judged.PatientID == "X"

    def test_the_group_length_is_right(self, ds):
        data = _written(ds)
        length = int.from_bytes(data[140:144], "little")
        assert data[144 + length :] == ds.to_bytes(EXPLICIT)

    def test_the_header_alone_and_the_bytes_make_the_same_file(self, ds):
        data = file_meta_header(CT, "1.2.3", EXPLICIT) + ds.to_bytes(EXPLICIT)
        assert data == _written(ds)
        assert read_file(data) == ds

    def test_the_header_with_a_source(self):
        data = file_meta_header(CT, "1.2.3", EXPLICIT, "STORESCU")
        meta = pydicom.dcmread(io.BytesIO(data)).file_meta
        assert meta.SourceApplicationEntityTitle == "STORESCU"
        assert meta.FileMetaInformationGroupLength == len(data) - 144

    @pytest.mark.parametrize(
        "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
    )
    def test_another_transfer_syntax(self, ds, tmp_path, syntax):
        write_file(tmp_path / "x.dcm", ds, transfer_syntax=syntax)
        assert read_file(tmp_path / "x.dcm") == ds
        assert pydicom.dcmread(tmp_path / "x.dcm").Rows == 7

    def test_no_sop_instance(self, tmp_path):
        with pytest.raises(EncodeError, match="SOPInstanceUID"):
            write_file(tmp_path / "x.dcm", DataSet.from_keywords(PatientID="X"))
        assert os.listdir(tmp_path) == []

    def test_a_failure_leaves_the_old_file(self, ds, tmp_path):
        path = tmp_path / "x.dcm"
        write_file(path, ds)
        before = path.read_bytes()
        ds.put("PatientName", "PN", "Müller")  # no character set that has it
        with pytest.raises(EncodeError):
            write_file(path, ds)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["x.dcm"]

    def test_over_the_file_it_was_read_from(self, judge_folder, tmp_path):
        path = tmp_path / "x.dcm"
        path.write_bytes((judge_folder / "examples_overlay.dcm").read_bytes())
        ds = read_file(path)
        ds.PatientID = "NEW"
        write_file(path, ds)
        assert read_file(path).PatientID == "NEW"
        assert read_file(path).PixelData == ds.PixelData

    def test_a_file_object(self, ds):
        file = io.BytesIO()
        write_file(file, ds)
        assert read_file(file.getvalue()) == ds

    def test_a_preamble(self, ds):
        file = io.BytesIO()
        write_file(file, ds, preamble=b"II*\0" + b"\0" * 124)
        assert file.getvalue().startswith(b"II*\0")
        with pytest.raises(EncodeError, match="128"):
            write_file(io.BytesIO(), ds, preamble=b"x")


def _written(ds) -> bytes:
    file = io.BytesIO()
    write_file(file, ds)
    return file.getvalue()
