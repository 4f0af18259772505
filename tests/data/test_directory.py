"""DICOMDIR: reading and making (PS3.10 8, PS3.3 Annex F)."""

import shutil
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest
from pydicom import fileset as pydicom_fileset

from dicom_actors.data import DataSet, generate_uid, read_file, write_file
from dicom_actors.data.dictionary import storage_sop_classes, tag_of
from dicom_actors.data.files.directory import (
    RECORD_KEYS,
    ROOT_TYPES,
    read_directory,
    record_type,
    write_directory,
)
from dicom_actors.data.files.directory_links import place_of
from dicom_actors.errors import DecodeError, EncodeError, NotPart10Error

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"


def instance(folder, name, **values):
    """Write an instance into a folder; absent values are those of one CT."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    defaults = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": generate_uid(),
        "PatientID": "P1",
        "PatientName": "Doe^John",
        "StudyInstanceUID": "1.2.3",
        "StudyDate": "20240131",
        "StudyTime": "120000",
        "StudyID": "S",
        "AccessionNumber": None,
        "StudyDescription": None,
        "Modality": "CT",
        "SeriesInstanceUID": "1.2.3.4",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
    }
    write_file(path, DataSet.from_keywords(**{**defaults, **values}))
    return path


@pytest.fixture
def their_file_set(monkeypatch, tmp_path):
    """Opens file sets with pydicom, without the temporary folders that it leaves."""
    stage = SimpleNamespace(name=str(tmp_path / "stage"), cleanup=lambda: None)
    monkeypatch.setattr(pydicom_fileset, "TemporaryDirectory", lambda: stage)

    def open_file_set(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it wants Explicit VR Little Endian
            return pydicom_fileset.FileSet(pydicom.dcmread(path))

    return open_file_set


def outline(directory):
    """The tree as nested tuples of record types."""

    def below(records):
        return tuple((record.type, below(record.children)) for record in records)

    return below(directory.records)


# --- reading -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered", "TINY_ALPHA"],
)
def test_tree_agrees_with_pydicom(name, their_file_set):
    directory = read_directory(SAMPLES / name)
    path = SAMPLES / name / "DICOMDIR" if name == "TINY_ALPHA" else SAMPLES / name
    theirs = their_file_set(path)
    ours = {
        (str(record.path), str(record.data_set.ReferencedSOPInstanceUIDInFile))
        for record in directory.walk()
        if record.path is not None
    }
    assert ours == {(node.path, str(node.ReferencedSOPInstanceUIDInFile)) for node in theirs}
    series = {record for record in directory.walk() if record.type == "SERIES"}
    for uid in theirs.find_values("SeriesInstanceUID"):
        (record,) = [record for record in series if record.data_set.SeriesInstanceUID == uid]
        assert len(record.children) == len(theirs.find(SeriesInstanceUID=uid))
    assert all(path.is_file() for path in directory.files())
    assert directory.warnings == []


def test_levels_and_keys():
    directory = read_directory(SAMPLES / "TINY_ALPHA")
    (patient,) = directory.records
    (study,) = patient.children
    (series,) = study.children
    assert [record.type for record in (patient, study, series)] == ["PATIENT", "STUDY", "SERIES"]
    assert len(series.children) == 50
    image = series.children[0]
    assert image.type == "IMAGE"
    assert image.path.is_file()
    assert read_file(image.path).SOPInstanceUID == image.data_set.ReferencedSOPInstanceUIDInFile
    assert patient.path is None
    assert patient.file_id == ()
    assert len(list(patient.walk())) == 53
    assert "50" in repr(series)
    assert "1 record" in repr(directory)


def test_an_empty_directory():
    directory = read_directory(SAMPLES / "DICOMDIR-empty.dcm")
    assert directory.records == []
    assert list(directory.files()) == []


def test_what_is_no_directory(tmp_path):
    path = instance(tmp_path, "CT")
    with pytest.raises(DecodeError, match="Directory Record Sequence"):
        read_directory(path)
    (tmp_path / "DICOMDIR").write_bytes(b"nothing of the kind")
    with pytest.raises(NotPart10Error):
        read_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_directory(tmp_path / "absent")


def written(tmp_path, count=3):
    """A file set of some images of one series, and its directory's data set."""
    for number in range(count):
        instance(tmp_path, f"IM{number}", InstanceNumber=number + 1)
    write_directory(tmp_path)
    return read_file(tmp_path / "DICOMDIR")


def rewritten(tmp_path, ds):
    write_file(tmp_path / "DICOMDIR", ds)
    return read_directory(tmp_path)


def test_links_in_a_circle(tmp_path):
    ds = written(tmp_path)
    records = ds.DirectoryRecordSequence
    first = records[0]
    records[
        -1
    ].OffsetOfTheNextDirectoryRecord = ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    first.OffsetOfTheNextDirectoryRecord = (
        ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    )
    directory = rewritten(tmp_path, ds)
    assert len(list(directory.walk())) == 6
    assert len(directory.warnings) == 2
    assert "met before" in str(directory.warnings[0])


def test_links_to_nothing(tmp_path):
    ds = written(tmp_path)
    ds.DirectoryRecordSequence[0].OffsetOfTheNextDirectoryRecord = 7
    directory = rewritten(tmp_path, ds)
    assert len(list(directory.walk())) == 6
    assert "nothing" in str(directory.warnings[0])


def links_of(ds):
    """All links of a directory: who has them, and by which keyword."""
    yield ds, "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity"
    for record in ds.DirectoryRecordSequence:
        yield record, "OffsetOfTheNextDirectoryRecord"
        yield record, "OffsetOfReferencedLowerLevelDirectoryEntity"


def of_two_patients(folder):
    """The data set of a directory of four instances, and what its records come to."""
    for number in range(4):
        instance(
            folder, f"IM{number}", PatientID=f"P{number % 2}", StudyInstanceUID=f"1.{number % 2}"
        )
    write_directory(folder)
    directory = read_directory(folder)
    return read_file(folder / "DICOMDIR"), (outline(directory), list(directory.files()))


@pytest.mark.parametrize("shift", [-132, -128, -8, -1, 1, 8, 200])
def test_links_that_are_all_shifted_are_put_right(tmp_path, shift):
    ds, expected = of_two_patients(tmp_path)
    for holder, keyword in links_of(ds):
        if holder[keyword]:
            holder[keyword] += shift
    directory = rewritten(tmp_path, ds)
    assert (outline(directory), list(directory.files())) == expected
    (warning,) = directory.warnings
    assert f"{abs(shift)} bytes beside the records" in str(warning)


def test_links_that_lead_nowhere_at_all_leave_the_order_of_the_records(tmp_path):
    ds, expected = of_two_patients(tmp_path)
    for at, (holder, keyword) in enumerate(links_of(ds)):
        if holder[keyword]:
            holder[keyword] += 1 + at * at
    directory = rewritten(tmp_path, ds)
    assert (outline(directory), list(directory.files())) == expected
    assert "ordered by their types" in str(directory.warnings[0])


def test_links_behind_a_record_that_grew_leave_the_order_of_the_records(tmp_path):
    ds, expected = of_two_patients(tmp_path)
    first = ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    for holder, keyword in links_of(ds):
        if holder[keyword] > first:
            holder[keyword] -= 6
    directory = rewritten(tmp_path, ds)
    assert (outline(directory), list(directory.files())) == expected
    assert "ordered by their types" in str(directory.warnings[0])


def test_a_root_that_leads_nowhere_hides_no_record(tmp_path):
    ds = written(tmp_path)
    ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 7
    directory = rewritten(tmp_path, ds)
    assert len(list(directory.walk())) == 6
    assert directory.warnings


def test_records_of_types_without_a_patient_are_in_the_root(tmp_path):
    ds = written(tmp_path)
    ds.DirectoryRecordSequence[-1].DirectoryRecordType = "PALETTE"
    for holder, keyword in links_of(ds):
        holder[keyword] = 0 if keyword.startswith("OffsetOfTheNext") else 7
    assert [record.type for record in rewritten(tmp_path, ds).records] == ["PATIENT", "PALETTE"]


def test_records_without_a_link_are_told(tmp_path):
    directory = read_directory(SAMPLES / "DICOMDIR-nopatient")
    assert len(list(directory.walk())) == 1
    assert "51 records that no link leads to" in str(directory.warnings[0])


def test_without_records_it_is_empty(tmp_path):
    ds = written(tmp_path)
    del ds.DirectoryRecordSequence
    directory = rewritten(tmp_path, ds)
    assert (directory.records, list(directory.files())) == ([], [])
    assert "an empty directory" in str(directory.warnings[0])


def test_records_that_cannot_be_read(tmp_path):
    ds = written(tmp_path)
    data = (tmp_path / "DICOMDIR").read_bytes()
    at = data.index(b"\xfe\xff\x00\xe0")
    (tmp_path / "DICOMDIR").write_bytes(data[:at] + b"rubbish!" + data[at + 8 :])
    assert len(ds.DirectoryRecordSequence) == 6
    with pytest.raises(DecodeError, match="records cannot be read"):
        read_directory(tmp_path)


def test_inactive_records_are_left_out(tmp_path):
    ds = written(tmp_path)
    ds.DirectoryRecordSequence[4].RecordInUseFlag = 0
    assert len(list(rewritten(tmp_path, ds).files())) == 2


def test_long_chains_need_no_recursion(tmp_path):
    ds = written(tmp_path, count=1)
    records = ds.DirectoryRecordSequence
    size = 3000
    chain = [records[0].copy() for _ in range(size)]
    ds.put("DirectoryRecordSequence", "SQ", chain)
    write_file(tmp_path / "DICOMDIR", ds)
    items = read_file(tmp_path / "DICOMDIR").DirectoryRecordSequence
    offsets = [place_of(item) for item in items]
    for record, lower in zip(chain, [*offsets[1:], 0], strict=True):
        record.OffsetOfReferencedLowerLevelDirectoryEntity = lower
    ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = offsets[0]
    assert len(list(rewritten(tmp_path, ds).walk())) == size


# --- file IDs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file_id",
    [
        ["..", "SECRET"],
        ["."],
        ["", "IM0"],
        ["/etc", "passwd"],
        ["DIR/../../SECRET"],
        ["C:", "WINDOWS"],
        ["I\x00M"],
        ["NUL"],
        ["com1.txt"],
        ["LPT9 "],
        [". ."],
        ["IM0:stream"],
    ],
)
def test_file_ids_that_lead_nowhere_good(tmp_path, file_id):
    ds = written(tmp_path, count=1)
    ds.DirectoryRecordSequence[3].put("ReferencedFileID", "CS", [*file_id, "X", "Y"])
    directory = rewritten(tmp_path, ds)
    with pytest.raises(DecodeError, match="file ID"):
        list(directory.files())


def test_file_ids_through_a_link(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    instance(outside, "SECRET")
    inside.mkdir()
    ds = written(inside, count=1)
    (inside / "LINK").symlink_to(outside)
    ds.DirectoryRecordSequence[3].put("ReferencedFileID", "CS", ["LINK", "SECRET"])
    directory = rewritten(inside, ds)
    with pytest.raises(DecodeError, match="leads out"):
        list(directory.files())


@pytest.mark.parametrize("name", ["im0", "Im0", "IM0;1", "IM0.;1"])
def test_names_that_media_changed(tmp_path, name):
    written(tmp_path, count=1)
    (tmp_path / "IM0").rename(tmp_path / name)
    (tmp_path / "DICOMDIR").rename(tmp_path / "dicomdir")
    assert list(read_directory(tmp_path).files()) == [tmp_path / name]


def test_files_that_are_gone(tmp_path):
    written(tmp_path, count=1)
    (tmp_path / "IM0").unlink()
    (path,) = read_directory(tmp_path).files()
    assert path == tmp_path / "IM0"
    assert not path.exists()


# --- making --------------------------------------------------------------------------------


def test_made_of_a_folder(tmp_path):
    instance(tmp_path, "A/IM1", InstanceNumber=1)
    instance(tmp_path, "A/IM2", InstanceNumber=2)
    instance(tmp_path, "B/IM1", SeriesInstanceUID="1.2.3.5", SeriesNumber=2)
    instance(tmp_path, "C/IM1", PatientID="P2", StudyInstanceUID="1.2.4")
    (tmp_path / "README").write_text("no DICOM")
    made = write_directory(tmp_path, file_set_id="SET")
    assert (made.path, made.instances) == (tmp_path / "DICOMDIR", 4)
    assert [path.name for path, reason in made.skipped if reason] == ["README"]
    directory = read_directory(tmp_path)
    image = ("IMAGE", ())
    assert outline(directory) == (
        (
            "PATIENT",
            (("STUDY", (("SERIES", (image, image)), ("SERIES", (image,)))),),
        ),
        ("PATIENT", (("STUDY", (("SERIES", (image,)),)),)),
    )
    assert directory.file_set_id == "SET"
    assert directory.warnings == []
    for record in directory.walk():
        if record.type == "IMAGE":
            ds = read_file(record.path)
            assert record.data_set.ReferencedSOPInstanceUIDInFile == ds.SOPInstanceUID
            assert record.data_set.ReferencedTransferSyntaxUIDInFile == (
                ds.file_meta.TransferSyntaxUID
            )
            assert record.data_set.InstanceNumber == ds.InstanceNumber
    again = write_directory(tmp_path, file_set_id="SET")
    assert again.instances == 4


@pytest.mark.parametrize("name", ["77654033", "98892003", "TINY_ALPHA"])
def test_made_of_pydicom_s_file_sets(tmp_path, name, their_file_set):
    source = SAMPLES / name
    shutil.copytree(source, tmp_path / "SET")
    made = write_directory(tmp_path / "SET")
    theirs = their_file_set(made.path)
    assert len(theirs) == made.instances > 0
    for node in theirs:
        loaded = node.load()
        assert loaded.SOPInstanceUID == node.ReferencedSOPInstanceUIDInFile
        assert node.PatientID == loaded.PatientID
        assert node.SeriesInstanceUID == loaded.SeriesInstanceUID
    if name == "TINY_ALPHA":
        original, ours = read_directory(source), read_directory(tmp_path / "SET")
        assert outline(ours) == outline(original)
        for record, before in zip(ours.walk(), original.walk(), strict=True):
            for element in record.data_set.elements():
                if element.tag not in {0x00041400, 0x00041420} and element.tag in before.data_set:
                    assert before.data_set[element.tag] == element.value


@pytest.mark.interop
def test_dcmtk_reads_what_is_made(tmp_path):
    for number in range(3):
        instance(tmp_path, f"IM{number}", SeriesInstanceUID=f"1.2.{number}", PatientName="Ä^B",
                 SpecificCharacterSet="ISO_IR 100")  # fmt: skip
    write_directory(tmp_path)
    out = subprocess.run(
        ["dcmdump", "DICOMDIR"], cwd=tmp_path, capture_output=True, check=True, timeout=20
    )
    assert out.stderr == b""
    assert out.stdout.count(b"DirectoryRecordType") == 8
    # dcmmkdir checks the links and file IDs of the directory that it is to extend.
    instance(tmp_path, "IM3", PatientID="P2", StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1")
    out = subprocess.run(
        ["dcmmkdir", "--append", "IM3"], cwd=tmp_path, capture_output=True, check=False, timeout=20
    )
    assert (out.returncode, out.stderr) == (0, b"")
    assert len(list(read_directory(tmp_path).files())) == 4


def test_types_and_keys_of_other_instances(tmp_path):
    title = DataSet.from_keywords(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="T")
    modifier = DataSet.from_keywords(RelationshipType="HAS CONCEPT MOD", ValueType="CODE")
    text = DataSet.from_keywords(RelationshipType="CONTAINS", ValueType="TEXT")
    instance(
        tmp_path,
        "SR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        CompletionFlag="COMPLETE",
        ConceptNameCodeSequence=[title],
        ContentSequence=[modifier, text],
        SpecificCharacterSet="ISO_IR 192",
        PatientName="山田^太郎",
    )
    instance(
        tmp_path,
        "KO",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59",
        ContentSequence=[text],
    )
    instance(tmp_path, "PALETTE", SOPClassUID="1.2.840.10008.5.1.4.39.1", ContentLabel="HOT")
    write_directory(tmp_path)
    directory = read_directory(tmp_path)
    by_type = {record.type: record.data_set for record in directory.walk()}
    assert [record.type for record in directory.records] == ["PATIENT", "PALETTE"]
    sr = by_type["SR DOCUMENT"]
    assert sr.ConceptNameCodeSequence == [title]
    assert sr.ContentSequence == [modifier]
    assert "ContentSequence" not in by_type["KEY OBJECT DOC"]
    assert by_type["PALETTE"].ContentLabel == "HOT"


def test_text_keeps_its_character_set(tmp_path):
    instance(tmp_path, "A", PatientName="山田^太郎", SpecificCharacterSet="ISO_IR 192")
    instance(tmp_path, "B", PatientID="P2", PatientName="Ä", SpecificCharacterSet="ISO_IR 100")
    write_directory(tmp_path)
    names = [record.data_set.PatientName for record in read_directory(tmp_path).records]
    assert names == ["山田^太郎", "Ä"]


def test_files_that_are_skipped(tmp_path):
    instance(tmp_path, "CT")
    ds = DataSet.from_keywords(PatientID="no class")
    (tmp_path / "BARE").write_bytes(ds.to_bytes("1.2.840.10008.1.2.1"))
    (tmp_path / "EMPTY").write_bytes(b"")
    sub = tmp_path / "SUB"
    instance(sub, "CT")
    write_directory(sub)
    made = write_directory(tmp_path)
    assert made.instances == 2
    skipped = {path.relative_to(tmp_path).as_posix(): reason for path, reason in made.skipped}
    assert skipped["BARE"] == "no file meta information"
    assert skipped["SUB/DICOMDIR"] == "a directory itself"
    assert set(skipped) == {"BARE", "EMPTY", "SUB/DICOMDIR"}


@pytest.mark.parametrize("name", ["ct.dcm", "IM000000001", "A-B", "1/2/3/4/5/6/7/8/9"])
def test_names_that_are_no_file_ids(tmp_path, name):
    instance(tmp_path, name)
    with pytest.raises(EncodeError, match=r"check_names|components"):
        write_directory(tmp_path)
    assert not (tmp_path / "DICOMDIR").exists()
    assert write_directory(tmp_path, check_names=False).instances == 1
    assert list(read_directory(tmp_path).files()) == [tmp_path / name]


@pytest.mark.parametrize("name", ["a\\b", "größe", "a\nb"])
def test_names_that_can_be_no_file_ids_at_all(tmp_path, name):
    instance(tmp_path, name)
    with pytest.raises(EncodeError, match="file ID"):
        write_directory(tmp_path, check_names=False)


def test_a_file_set_id_that_is_too_long(tmp_path):
    with pytest.raises(EncodeError, match="File-set ID"):
        write_directory(tmp_path, file_set_id="X" * 17)


def test_an_empty_folder(tmp_path):
    made = write_directory(tmp_path)
    assert made.instances == 0
    assert read_directory(tmp_path).records == []


# --- the tables ----------------------------------------------------------------------------


def test_record_types_agree_with_pydicom():
    single, four = (
        pydicom_fileset._SINGLE_LEVEL_SOP_CLASSES,
        pydicom_fileset._FOUR_LEVEL_SOP_CLASSES,
    )
    for uid, kind in {**single, **four}.items():
        assert record_type(str(uid)) == kind
    assert set(single.values()) == ROOT_TYPES


def test_every_type_has_keys_that_exist():
    for uid in storage_sop_classes():
        assert record_type(uid) in RECORD_KEYS
    for keywords in RECORD_KEYS.values():
        assert all(tag_of(keyword) for keyword in keywords)
    assert record_type("1.2.3") == "IMAGE"
