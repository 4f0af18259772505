from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import settings

settings.register_profile("data", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("data")

_JUDGE_FILES = Path(pydicom.__file__).parent / "data"


def judge_files() -> list[Path]:
    """Every file of pydicom's wheel that is a DICOM file, also without preamble or meta."""
    names = sorted(
        path
        for folder in ("test_files", "charset_files")
        for path in (_JUDGE_FILES / folder).rglob("*")
    )
    return [path for path in names if path.is_file() and path.name not in _NO_DICOM]


# no_meta.dcm has lost a byte of its first element.
_NO_DICOM = {
    "FileInfo.txt",
    "README",
    "README.txt",
    "crayons.icc",
    "no_meta.dcm",
    "rtplan.dump",
    "rtstruct.dump",
    "test1.json",
    "test_PN.json",
    "zipMR.gz",
}


@pytest.fixture(params=judge_files(), ids=lambda path: path.name)
def judge_file(request) -> Path:
    return request.param


@pytest.fixture(scope="session")
def judge_folder() -> Path:
    return _JUDGE_FILES / "test_files"
