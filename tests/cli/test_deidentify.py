"""``dicom-actors deidentify``."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from kit.patients import file_of, patient
from pydicom.data import get_testdata_file

from dicom_actors.cli.deidentified_files import Settings, Worker
from dicom_actors.data import read_file, write_file


@pytest.fixture
def study(tmp_path):
    """A folder with two instances of a patient, one of another, and a text."""
    folder = tmp_path / "study"
    (folder / "deeper").mkdir(parents=True)
    write_file(folder / "a.dcm", patient(StudyDescription="Knee of Zelda"))
    write_file(folder / "deeper" / "b.dcm", patient(SOPInstanceUID="1.2.3.4.5.8"))
    shutil.copy(str(get_testdata_file("CT_small.dcm")), folder / "ct.dcm")
    (folder / "notes.txt").write_text("Zelda Quxworth")
    return folder


def results(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def test_a_folder_is_cleaned_and_verified(command, study, tmp_path) -> None:
    out, key, report = tmp_path / "out", tmp_path / "trial.key", tmp_path / "report.json"
    done = command(
        "deidentify", study, "-o", out, "--key-file", key, "--report", report, "--jobs", 2
    )
    assert done.code == 0
    assert done.lines == [done.lines[0]]
    assert done.lines[0].startswith("3 files of 2 studies, ")
    assert any("notes.txt: left out: no DICOM file" in line for line in done.errors)
    found = results(out)
    assert len(found) == 3
    for path in found:
        made = read_file(path)
        parts = (made.StudyInstanceUID, made.SeriesInstanceUID, f"{made.SOPInstanceUID}.dcm")
        assert path.relative_to(out).parts == parts
    assert key.stat().st_mode & 0o777 == 0o600
    told = json.loads(report.read_text())
    assert told["files"] == {"done": 3, "other": 1}
    assert sorted(each["instances"] for each in told["studies"]) == [1, 2]
    assert "Zelda" not in report.read_text()
    verified = command("deidentify", "--verify", study, out)
    assert (verified.code, verified.errors) == (0, [])
    assert verified.lines[0].startswith("3 files searched, nothing found")


def test_the_same_key_makes_the_same_files_again(command, study, tmp_path) -> None:
    key = tmp_path / "trial.key"
    key.write_text("a key of more than sixteen bytes")
    for name, jobs in (("one", 1), ("two", 2)):
        assert (
            command(
                "deidentify", study, "-o", tmp_path / name, "--key-file", key, "--jobs", jobs
            ).code
            == 0
        )
    one, two = tmp_path / "one", tmp_path / "two"
    assert [path.relative_to(one) for path in results(one)] == [
        path.relative_to(two) for path in results(two)
    ]
    assert [path.read_bytes() for path in results(one)] == [
        path.read_bytes() for path in results(two)
    ]
    again = command("deidentify", study, "-o", one, "--key-file", key)
    assert "3 there already" in again.lines[-1]
    assert len(results(one)) == 3


def test_the_verifier_tells_what_is_left_and_where(command, study, tmp_path) -> None:
    out, rules = tmp_path / "out", tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nkeyword = "StudyDescription"\naction = "keep"\n')
    assert command("deidentify", study, "-o", out, "--rules", rules).code == 0
    done = command("deidentify", "--verify", study, out)
    assert done.code == 1
    assert "part of Patient's Name in (0008,1030)" in done.lines[0]
    assert "Zelda" not in "".join(done.lines)
    found = [
        json.loads(line) for line in command("deidentify", "--verify", "--json", study, out).lines
    ]
    assert [each["where"] for each in found] == ["(0008,1030)"]
    assert command("deidentify", "--verify", study, study).code == 1


def test_options_maps_and_tables(command, study, tmp_path) -> None:
    out, mapping, table = tmp_path / "out", tmp_path / "map.csv", tmp_path / "uids.csv"
    mapping.write_text("original,pseudonym,shift_days\nMRN-774411,T-1,-1\n")
    words = ("--retain", "modified-dates,device-identity", "--clean", "descriptors")
    done = command(
        "deidentify", study, "-o", out, *words, "--map", mapping, "--uid-table", table, "--json"
    )
    assert done.code == 0
    made = [read_file(json.loads(line)["path"]) for line in done.lines]
    ours = [each for each in made if each.PatientID == "T-1"]
    assert [each.StudyDate for each in ours] == ["20040118", "20040118"]
    with table.open() as file:
        uids = {row["original"]: row["new"] for row in csv.DictReader(file)}
    assert uids["1.2.3.4.5.2"] == ours[0].StudyInstanceUID
    assert table.stat().st_mode & 0o777 == 0o600


def test_a_dry_run_writes_nothing(command, study, tmp_path) -> None:
    out, key = tmp_path / "out", tmp_path / "key"
    done = command("deidentify", study, "-o", out, "--dry-run", "--key-file", key)
    assert done.code == 0
    assert "3 files of 2 studies" in done.lines[-1]
    assert "nothing was written" in done.lines[-1]
    assert any("removed" in line for line in done.lines)
    assert not out.exists()
    assert not key.exists()


def test_what_fails_is_told_and_the_others_are_done(command, study, tmp_path) -> None:
    burned = patient(SOPInstanceUID="1.2.3.4.5.70", BurnedInAnnotation="YES", PixelData=b"\0\0")
    write_file(study / "burned.dcm", burned)
    (study / "cut.dcm").write_bytes(file_of(patient())[:-3])
    done = command("deidentify", study, "-o", tmp_path / "out")
    assert done.code == 1
    assert done.lines[-1].endswith("1 refused; 1 failed; 1 no DICOM")
    assert any("burned.dcm: refused" in line and "burned in" in line for line in done.errors)
    assert any("cut.dcm: failed" in line for line in done.errors)
    assert len(results(tmp_path / "out")) == 3
    allowed = command("deidentify", study, "-o", tmp_path / "out2", "--allow-burned-in")
    assert len(results(tmp_path / "out2")) == 4
    assert "refused" not in allowed.lines[-1]


def test_a_file_cut_anywhere_is_refused_or_whole_and_never_half_written(tmp_path) -> None:
    whole = file_of(patient(ImageComments="x" * 20, PixelData=bytes(64)))
    worker = Worker(Settings(str(tmp_path / "out"), (), b"a key of more than sixteen bytes"))
    source, kinds = tmp_path / "cut.dcm", {}
    for length in range(len(whole)):
        source.write_bytes(whole[:length])
        outcome = worker.clean(str(source))
        kinds.setdefault(outcome.kind, []).append(length)
        if outcome.kind in {"done", "same"}:
            # Cut between two elements it is a file of fewer; nothing can tell.
            assert read_file(outcome.target).PatientIdentityRemoved == "YES"
            assert b"Quxworth" not in Path(outcome.target).read_bytes()
        else:
            assert outcome.message
            assert "Quxworth" not in outcome.message
            assert not outcome.target
    assert len(kinds["failed"]) > 100
    assert all(length < len(whole) - 64 for length in kinds.get("done", ()))
    assert not list(tmp_path.rglob("*.part"))


def test_two_files_of_one_instance_are_both_kept(command, tmp_path) -> None:
    for number in (1, 2):
        write_file(tmp_path / f"{number}.dcm", patient(InstanceNumber=number))
    done = command("deidentify", tmp_path / "1.dcm", tmp_path / "2.dcm", "-o", tmp_path / "out")
    assert done.code == 0
    found = results(tmp_path / "out")
    assert sorted(read_file(path).InstanceNumber for path in found) == [1, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "-o OUT"),
        (("-o", "out", "--retain", "everything"), "--retain: expected safe-private"),
        (("-o", "out", "--clean", "uids"), "--clean: expected descriptors"),
        (("-o", "out", "--retain", "full-dates,modified-dates"), "got both"),
        (("-o", "out", "--jobs", "0"), "--jobs 1 or more"),
        (("-o", "."), "somewhere else"),
        (("--verify",), "ORIGINALS and RESULT"),
    ],
)
def test_wrong_arguments_are_told(command, study, monkeypatch, words, message) -> None:
    monkeypatch.chdir(study)
    done = command("deidentify", ".", *words)
    assert done.code == 2
    assert message in done.errors[0]
    assert len(done.errors) == 1


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--rules", b"\x00\xff", "expected text in UTF-8"),
        ("--map", b"\x00\xff", "expected text in UTF-8"),
        ("--rules", b"no rules", "expected TOML"),
        ("--rules", b"[[region]]\nrectangles = 5", "region 1: expected rectangles"),
        ("--map", b'original,pseudonym\n"' + b"a" * 200_000, "line 2: field larger"),
        ("--map", b"a,b\n", "expected columns named original and pseudonym"),
    ],
)
def test_a_file_of_settings_that_is_none_is_named(
    command, study, tmp_path, option, content, message
) -> None:
    file = tmp_path / "settings"
    file.write_bytes(content)
    done = command("deidentify", study, "-o", tmp_path / "out", option, file)
    assert done.code == 2
    assert len(done.errors) == 1
    assert f"{file}: {message}" in done.errors[0]
    assert not (tmp_path / "out").exists()
