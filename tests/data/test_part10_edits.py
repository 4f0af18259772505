"""One element edited in each file of both wheels: nothing else changes, and others read it."""

from __future__ import annotations

import subprocess

import pytest

from dicom_actors.data import read_file, write_file

LIMIT = 60.0

# What is edited; the length of its group; links of a directory, which are places in the file.
FOLLOWS = {0x00100020, 0x00100000, 0x00041200, 0x00041202, 0x00041400, 0x00041420, 0x00041504}


FOLLOWS_PRINTED = {f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in FOLLOWS}


def raw_values(ds):
    """The bytes of each element, without sequences and what is edited or follows from it."""
    return {
        str(path): bytes(element.raw)
        for path, element in ds.walk()
        if element.vr != "SQ" and path[-1] not in FOLLOWS
    }


@pytest.fixture
def edited(judge_file, tmp_path):
    ds = read_file(judge_file, keep_truncated=True)
    ds.PatientID = "EDITED"
    path = tmp_path / "edited.dcm"
    write_file(path, ds)
    return path


def test_all_other_bytes_are_the_same(judge_file, edited):
    before = read_file(judge_file, keep_truncated=True)
    after = read_file(edited)
    assert after.PatientID == "EDITED"
    if "truncated" in judge_file.name:
        return  # what is left of the last element has a length of its own
    assert raw_values(after) == raw_values(before)


def output(program, *arguments):
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, timeout=LIMIT, check=False
    )
    return done.returncode, done.stdout + done.stderr


def dumped(path):
    """What dcmdump says of a data set, without the patient ID and all lengths."""
    code, text = output("dcmdump", "-q", "+L", "-Un", path)
    lines = []
    for line in text.decode("latin-1").splitlines():
        content, _, _ = line.partition("#")
        tag = content.strip()[:11]
        if tag.startswith(("(0002,", "#")) or ",0000)" in tag or tag in FOLLOWS_PRINTED:
            continue
        lines.append(content.rstrip())
    return code, lines


@pytest.mark.interop
def test_dcmdump_reads_it_as_well(judge_file, edited):
    code, before = dumped(judge_file)
    if code == 0 and "truncated" not in judge_file.name:
        code_after, after = dumped(edited)
        assert code_after == 0
        there = set(after)
        missing = [line for line in before if line not in there]
        assert [line for line in missing if "explicit length" not in line] == []


@pytest.mark.interop
def test_dciodvfy_finds_no_more_errors(judge_file, edited):
    def errors(path):
        _, text = output("dciodvfy", path)
        lines = text.decode("latin-1").splitlines()
        # The file meta is made anew: a wrong UID of the data set gets there with all its errors.
        return sum(line.startswith("Error") and "(0x0002," not in line for line in lines)

    # In a directory, a patient ID at the top is an error itself.
    if not any(part in str(judge_file) for part in ("truncated", "NoMeta", "DICOMDIR")):
        assert errors(edited) <= errors(judge_file)
