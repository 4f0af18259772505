"""The page for those who come from pydicom and pynetdicom: each line of both columns runs."""

from __future__ import annotations

import ast
import json
import re
import shutil
import textwrap
from copy import deepcopy
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pynetdicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.encaps import generate_frames
from pydicom.fileset import FileSet
from pynetdicom import evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

import dicom_actors
from dicom_actors import DataSet, read_file, write_directory

README = Path(__file__).parent.parent / "README.md"
CT = str(get_testdata_file("CT_small.dcm"))


# These return something that is of no interest.
UNLIKE = {"other.remove_private_tags()", "assoc.release()", "running.shutdown()"}


def rows_below(heading: str) -> list[tuple[str, str]]:
    """The code of each row of the table with this heading in its first column."""
    table = README.read_text().partition(f"| {heading} | here |\n")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `(.*)` \| `(.*)` \|$", table, re.MULTILINE)
    assert len(found) == len(table.splitlines()) - 1, "a row has no code in both columns"
    return found


def run(code: str, names: dict[str, Any]) -> Any:
    """Run a line; returns its value, or Ellipsis if it is no expression."""
    tree = ast.parse(code)
    if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
        return eval(code, names)
    exec(code, names)
    return ...


def plain(value: Any) -> Any:
    """What both libraries can be compared by."""
    if isinstance(value, pydicom.Dataset):
        return {int(element.tag): plain(element.value) for element in value}
    if isinstance(value, DataSet):
        return {int(element.tag): plain(element.value) for element in value.elements()}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple | pydicom.multival.MultiValue | pydicom.Sequence):
        return [plain(each) for each in value]
    if isinstance(value, int | float):
        return float(value)
    return str(value or "")


def compare(heading: str, theirs: dict[str, Any], ours: dict[str, Any]) -> int:
    compared = 0
    for one, other in rows_below(heading):
        expected, got = run(one, theirs), run(other, ours)
        if expected is not ... and got is not ... and one not in UNLIKE:
            assert plain(got) == plain(expected), (one, other)
            compared += 1
    return compared


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(CT, "image.dcm")
    shutil.copy(str(get_testdata_file("JPEG2000.dcm")), "jpeg.dcm")
    Path("bare.dcm").write_bytes(Path(CT).read_bytes()[132:])
    Path("media").mkdir()
    for number, name in enumerate(("CT_small.dcm", "MR_small.dcm")):
        shutil.copy(str(get_testdata_file(name)), f"media/IM{number}")
    write_directory("media")
    return tmp_path


def test_pydicom(folder: Path) -> None:
    data = Path(CT).read_bytes()
    opened = []

    def file_set(path: str) -> FileSet:
        opened.append(FileSet(path))
        return opened[-1]

    both = {"data": data, "json": json, "Path": Path}
    theirs = {
        "dcmread": pydicom.dcmread,
        "Dataset": pydicom.Dataset,
        "BytesIO": BytesIO,
        "deepcopy": deepcopy,
        "datetime": datetime,
        "FileSet": file_set,
        "keyword_for_tag": keyword_for_tag,
        "tag_for_keyword": tag_for_keyword,
        "generate_frames": generate_frames,
    }
    ours = {name: getattr(dicom_actors, name) for name in dicom_actors.__all__}
    assert compare("pydicom", {**both, **theirs}, {**both, **ours}) >= 25
    for each in opened:
        each._stage["t"].cleanup()
    assert plain(read_file("other.dcm")) == plain(pydicom.dcmread("other.dcm"))
    assert not any(tag.is_private for tag in read_file("other.dcm"))


@pytest.mark.interop
@pytest.mark.usefixtures("nothing_left")
def test_pynetdicom(folder: Path) -> None:
    match = {"QueryRetrieveLevel": "STUDY", "PatientID": "1CT1"}
    contexts = [
        pynetdicom.build_context(uid)
        for uid in (Verification, CTImageStorage, StudyRootQueryRetrieveInformationModelFind)
    ]
    keys = pydicom.Dataset()
    keys.QueryRetrieveLevel, keys.PatientID = "STUDY", "1*"

    def their_find(event):
        found = pydicom.Dataset()
        found.QueryRetrieveLevel, found.PatientID = match.values()
        yield 0xFF00, found

    def our_find(event):
        yield DataSet.from_keywords(**match)

    theirs = {
        "AE": pynetdicom.AE,
        "evt": evt,
        "contexts": contexts,
        "find": their_find,
        "keys": keys,
        "ds": pydicom.dcmread("image.dcm"),
    }
    ours = {
        **{name: getattr(dicom_actors, name) for name in dicom_actors.__all__},
        "find": our_find,
        "keys": {"QueryRetrieveLevel": "STUDY", "PatientID": "1*"},
        "ds": read_file("image.dcm"),
    }
    assert compare("pynetdicom", theirs, ours) >= 3


def test_there_are_thirty_idioms_and_more() -> None:
    assert len(rows_below("pydicom")) + len(rows_below("pynetdicom")) >= 30


# --- the guide -------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
def test_the_guide_runs_as_it_stands(folder: Path) -> None:
    """What ``python -m pydoc dicom_actors`` shows first."""
    shutil.copytree("media", "images")
    text = dicom_actors.__doc__ or ""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", text)
    assert len(blocks) == 6
    names = {name: getattr(dicom_actors, name) for name in dicom_actors.__all__}
    for block in blocks:
        exec(textwrap.dedent(block), names)
    assert read_file("changed.dcm").PatientID == "4711"
    assert list(Path("incoming").glob("*.dcm"))
    for name in (
        "index_files",
        "read_directory",
        "keep_truncated",
        "frames",
        "check",
        "read_large",
    ):
        assert name in text
