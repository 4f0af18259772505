"""``dicom-actors edit``, ``compare``, ``check`` and ``table``."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sqlite3
from pathlib import Path

import pydicom
import pytest
from kit.terminal import shown_on_terminal
from pydicom.data import get_testdata_file

from dicom_actors.data import DataSet, read_file, write_file

CT = Path(str(get_testdata_file("CT_small.dcm")))
PLAN = Path(str(get_testdata_file("rtplan.dcm")))
JPEG = Path(str(get_testdata_file("JPEG2000.dcm")))


@pytest.fixture
def image(tmp_path):
    return Path(shutil.copy(CT, tmp_path / "image.dcm"))


# --- edit ------------------------------------------------------------------------------------


def test_named_elements_change_and_all_else_stays_as_it_is(command, image) -> None:
    before = pydicom.dcmread(image)
    image.chmod(0o640)
    words = ["PatientID=4711", "-PatientSex", "ImageType=DERIVED\\SECONDARY", "0020,0013=7"]
    done = command("edit", image, *words)
    assert (done.code, done.lines, done.errors) == (0, [], ["1 file changed"])
    after = pydicom.dcmread(image)
    assert after.PatientID == "4711"
    assert after.ImageType == ["DERIVED", "SECONDARY"]
    assert after.InstanceNumber == 7
    assert "PatientSex" not in after
    changed = {0x00100020, 0x00100040, 0x00080008, 0x00200013}
    raw_before, raw_after = read_file(CT), read_file(image)
    for tag in set(raw_before) - changed:
        assert raw_before.fetch(tag).raw == raw_after.fetch(tag).raw, tag
    assert set(before.keys()) - changed == set(after.keys()) - changed
    assert image.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in image.parent.glob("image*")] == ["image.dcm"]


def test_an_element_within_a_sequence(command, tmp_path) -> None:
    path = Path(shutil.copy(PLAN, tmp_path / "plan.dcm"))
    assert command("edit", path, "BeamSequence[0].BeamName=AP").code == 0
    assert pydicom.dcmread(path).BeamSequence[0].BeamName == "AP"
    done = command("edit", path, "BeamSequence[9].BeamName=AP")
    assert done.code == 1
    assert "there is no item 9" in done.errors[0]


def test_a_value_that_breaks_the_rules_is_written_with_a_warning(command, image) -> None:
    done = command("edit", image, "StudyDate=2004-01-19", "Modality=CT")
    assert done.code == 0
    warning, summary = done.errors
    assert warning.startswith(f"{image}: warning: StudyDate: expected ")
    assert summary == "1 file changed"
    assert pydicom.dcmread(image)["StudyDate"].value == "2004-01-19"


def test_a_backup_or_another_folder(command, image, tmp_path) -> None:
    original = image.read_bytes()
    command("edit", image, "PatientID=1", "--output", tmp_path / "changed")
    assert image.read_bytes() == original
    assert read_file(tmp_path / "changed" / "image.dcm").PatientID == "1"
    command("edit", image, "PatientID=2", "--backup")
    assert (tmp_path / "image.dcm.bak").read_bytes() == original
    assert read_file(image).PatientID == "2"


@pytest.mark.parametrize(
    "words",
    [
        ["check", "{}"],
        ["compare", "{}", "image"],
        ["compare", "image", "{}"],
        ["transcode", "{}", "out.dcm", "--syntax", "ImplicitVRLittleEndian"],
    ],
)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_cannot_be_read_is_named_once(command, image, tmp_path, words, is_there):
    file = tmp_path / "text.txt"
    if is_there:
        file.write_text("no DICOM file at all")
    given = {"{}": file, "image": image, "out.dcm": tmp_path / "out.dcm"}
    done = command(*[given.get(word, word) for word in words])
    assert done.code == 1
    line = done.errors[0]
    assert line.count(str(file)) == 1
    assert ("expected a DICOM file" if is_there else "No such file or directory") in line


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["PatientNmae=X"], 2, "close to it: PatientName"),
        (["-PatientNmae"], 2, "close to it: PatientName"),
        ([], 2, "expected files, and changes"),
        (["Rows=many"], 1, "Rows=many: expected values of VR US"),
        (["PatientName=Ж"], 1, "cannot be encoded in ISO_IR 100; it is in ISO_IR 192"),
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
    ],
)
def test_what_cannot_be_done_changes_nothing(command, image, words, code, said) -> None:
    original = image.read_bytes()
    done = command("edit", image, *words)
    assert done.code == code
    assert said in done.errors[0]
    assert image.read_bytes() == original


def test_other_files_are_changed_all_the_same(command, image, tmp_path) -> None:
    done = command("edit", tmp_path / "missing.dcm", image, "PatientID=X")
    assert done.code == 1
    assert done.errors == [
        f"dicom-actors: {tmp_path}/missing.dcm: No such file or directory",
        "1 file changed",
    ]
    assert read_file(image).PatientID == "X"


# --- compare ---------------------------------------------------------------------------------


def test_what_differs_is_shown(command, image) -> None:
    done = command("compare", CT, image)
    assert (done.code, done.lines) == (0, [])
    data = bytearray(image.read_bytes())
    data[-2000] ^= 0xFF  # in the pixel data
    image.write_bytes(data)
    command("edit", image, "PatientID=4711", "-PatientSex")
    done = command("compare", CT, image)
    assert done.code == 1
    text = "\n".join(done.lines)
    assert len(done.lines) == 5
    assert "- PatientID LO " in text
    assert "+ PatientID LO " in text
    assert "4711" in text
    assert "- PatientSex CS " in text
    assert "- PixelData OW 32768 bytes, SHA-256 " in text
    lines = [json.loads(line) for line in command("compare", CT, image, "--json").lines]
    assert [line["path"] for line in lines] == ["PatientID", "PatientSex", "PixelData"]
    assert lines[1]["second"] is None


def test_sequences_and_fragments_are_looked_into(command, tmp_path) -> None:
    plan = Path(shutil.copy(PLAN, tmp_path / "plan.dcm"))
    command("edit", plan, "BeamSequence[0].BeamName=AP")
    done = command("compare", PLAN, plan)
    assert [line.split()[1] for line in done.lines] == ["BeamSequence[0].BeamName"] * 2
    assert command("compare", JPEG, JPEG).code == 0
    assert command("compare", JPEG, tmp_path / "missing").code == 1


# --- check -----------------------------------------------------------------------------------


def test_departures_are_told(command, image) -> None:
    right = read_file(image)
    found = [str(departure) for departure in right.check()]
    done = command("check", image)
    assert done.code == (1 if found else 0)
    assert len(done.lines) == len(found) + len(right.warnings)
    image.write_bytes(image.read_bytes().replace(b"ORIGINAL\\PRI", b"original\\PRI", 1))
    done = command("check", image, "--json")
    assert done.code == 1
    (line,) = map(json.loads, done.lines)
    assert any("original" in departure for departure in line["departures"])
    assert command("check", image.parent / "missing").code == 1
    assert len(command("check", image.parent, "--json").lines) == len(list(image.parent.iterdir()))


# --- table -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "images"
    made.mkdir()
    for path in (CT, PLAN, JPEG):
        shutil.copy(path, made)
    return made


def test_values_of_many_files(command, folder, tmp_path) -> None:
    names = ["CT_small.dcm", "JPEG2000.dcm", "rtplan.dcm"]
    expected = [
        [
            str(folder / name),
            str(pydicom.dcmread(folder / name).Modality),
            str(pydicom.dcmread(folder / name).SOPInstanceUID),
        ]
        for name in names
    ]
    keys = ["Modality", "SOPInstanceUID"]
    done = command("table", folder, *keys, "--csv")
    assert (done.code, done.errors) == (0, [])
    assert list(csv.reader(done.lines)) == [["path", *keys], *expected]
    lines = map(json.loads, command("table", folder, *keys, "--json").lines)
    assert [list(line.values()) for line in lines] == expected
    plain = command("table", folder, *keys).lines
    assert [line.split() for line in plain] == [["path", *keys], *expected]
    database = tmp_path / "images.db"
    for _ in range(2):
        assert command("table", folder, *keys, "--sqlite", database).code == 0
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT path, Modality, SOPInstanceUID FROM files").fetchall()
    connection.close()
    assert list(map(list, rows)) == expected


def test_numbers_are_numbers_and_several_values_a_list(command, tmp_path) -> None:
    ds = DataSet.from_keywords(
        SOPClassUID="1.2",
        SOPInstanceUID="1.3",
        Rows=512,
        SliceThickness="2.50",
        ImageType=["ORIGINAL", "PRIMARY"],
        PatientName="Doe^Jane",
        PatientID=None,
        ExtendedOffsetTable=b"12345678",
        SelectorUVValue=2**64 - 1,
        DiffusionBValue=float("nan"),
    )
    write_file(tmp_path / "x.dcm", ds)
    keys = [*("Rows", "SliceThickness", "ImageType", "PatientName", "PatientID", "StudyDate")]
    keys += ["ExtendedOffsetTable", "SelectorUVValue", "DiffusionBValue"]
    (line,) = command("table", tmp_path, *keys, "--json").lines
    values = [512, 2.5, ["ORIGINAL", "PRIMARY"], "Doe^Jane", None, None, "8 bytes"]
    assert list(json.loads(line).values())[1:] == [*values, 2**64 - 1, "nan"]
    database = tmp_path / "rows.db"
    assert command("table", tmp_path, *keys, "--sqlite", database).code == 0
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (row,) = connection.execute("SELECT * FROM files").fetchall()
    values[2] = "ORIGINAL\\PRIMARY"
    assert list(row)[1:] == [*values, str(2**64 - 1), "nan"]


@pytest.mark.parametrize("width", [60, 80, 120, 250])
def test_paths_and_uids_are_whole_on_a_terminal(folder, width: int) -> None:
    keys = ("Modality", "SOPInstanceUID", "StudyInstanceUID")
    shown = shown_on_terminal("table", folder, *keys, width=width, height=60)
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        assert {str(path), ds.SOPInstanceUID, ds.StudyInstanceUID} <= set(shown.split())
    lines = shown.splitlines()
    assert all(len(line) <= width or line.startswith("    ") for line in lines)
    assert len(lines) == (5 if width == 250 else len(lines))


def test_a_table_that_cannot_be_written_anew_stays_what_it_was(command, folder, tmp_path) -> None:
    database = tmp_path / "images.db"
    assert command("table", folder, "Modality", "--sqlite", database).code == 0
    done = command("table", folder, "Modality", "Modality", "--sqlite", database)
    assert done.code == 1
    assert "duplicate column name" in done.errors[0]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(Modality) FROM files").fetchone() == (3,)
    (tmp_path / "text").write_text("this is no database " * 100)
    done = command("table", folder, "Modality", "--sqlite", tmp_path / "text")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "text: file is not a database" in done.errors[0]


def test_what_cannot_be_read_is_told(command, folder) -> None:
    (folder / "notes.txt").write_text("this is no DICOM file, whatever anybody says")
    done = command("table", folder, "Modality", "--csv")
    assert done.code == 1
    assert len(done.lines) == 4
    assert "notes.txt: expected a DICOM file" in done.errors[0]
    assert command("table", folder, "Modalit").code == 2
    assert command("table", folder, "Modality", "--csv", "--json").code == 2
    assert command("table", folder / "missing", "Modality").code == 1
