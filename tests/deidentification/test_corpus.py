"""The public files of pydicom: nothing is left of the patient, and all else is as it was."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from kit.deidentified_corpora import SETS, judged, public_files
from kit.patients import KEY, file_of

from dicom_actors import DataSet, read_file
from dicom_actors.deidentification import Deidentifier, Report, Verifier
from dicom_actors.errors import DicomError

# By their folder: asking pydicom for them by pattern may ask the network for more.
FOLDER = Path(pydicom.__file__).parent / "data"
FILES = sorted([*FOLDER.glob("test_files/*.dcm"), *FOLDER.glob("charset_files/*.dcm")])
RETAINED = [(), ("dates", "uids"), ("dates", "device", "institution")]


def readable() -> list[tuple[Path, DataSet]]:
    found = []
    for path in FILES:
        try:
            found.append((path, read_file(path)))
        except DicomError:
            continue
    return found


@pytest.mark.corpus
@pytest.mark.parametrize("options", SETS)
def test_nothing_is_left_and_pixels_are_as_they_were(options: tuple[str, ...]) -> None:
    cleaner, report, found = Deidentifier("basic", options, salt=KEY), Report(), []
    files = readable()
    assert len(files) > 90
    for path, data_set in files:
        before = path.read_bytes()
        clean = cleaner.deidentify(data_set, report)
        written = file_of(clean)
        again = read_file(written)
        assert again == clean, path
        if "PixelData" in data_set:
            assert again.fetch("PixelData").raw == data_set.fetch("PixelData").raw, path
        verifier = Verifier(RETAINED[SETS.index(options)])
        verifier.learn(before)
        found += [(path.name, str(finding)) for finding in verifier.search(written)]
        assert path.read_bytes() == before
        assert read_file(before) == data_set, path  # which was left as it was
    assert found == []
    assert report.instances == len(files)


@pytest.mark.corpus
def test_pydicom_reads_the_results_and_misses_nothing_that_stays() -> None:
    cleaner = Deidentifier(salt=KEY)
    for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "JPEG2000.dcm", "rtdose.dcm"):
        path = FOLDER / "test_files" / name
        before = pydicom.dcmread(path)
        written = file_of(cleaner.deidentify(read_file(path)))
        after = pydicom.dcmread(BytesIO(written))
        assert after.PatientIdentityRemoved == "YES"
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
        for element in after:
            if element.tag in before and element.VR in {"US", "DS", "IS", "FL", "OW"}:
                assert element.value == before[element.tag].value, element


@pytest.mark.corpus
@pytest.mark.parametrize("options", SETS)
def test_the_short_way_to_a_file_has_the_same_bytes(options: tuple[str, ...]) -> None:
    long, short = (Deidentifier("basic", options, salt=KEY) for _ in "12")
    for path in FILES[:: 1 if not options else 4] * 2:  # the second time from memory
        reports, found = (Report(), Report()), []
        for make in (
            lambda made, report: file_of(long.deidentify(made, report)),
            lambda made, report: b"".join(short.clean_file(made, report).pieces),
        ):
            try:
                found.append(make(read_file(path), reports[len(found)]))
            except DicomError as error:
                found.append(type(error))
        assert found[0] == found[1], path
        assert reports[0].as_dict() == reports[1].as_dict(), path


@pytest.mark.interop
@pytest.mark.corpus
@pytest.mark.parametrize("options", SETS)
def test_judges_that_are_not_ours_find_nothing_wrong(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    assert shutil.which("dciodvfy"), "dicom3tools is missing"
    found = dict(judged(public_files()[:: 8 if options else 5], options, tmp_path))
    assert {path.name: wrong for path, wrong in found.items() if wrong} == {}
    assert len([wrong for wrong in found.values() if wrong is not None]) > 25
