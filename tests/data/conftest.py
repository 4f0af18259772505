"""The files that pydicom judges: those of its own wheel, and those of the wheel pydicom-data.

The second wheel is in the extra `test`; what is read from it has the marker `corpus`.
"""

from __future__ import annotations

from importlib.util import find_spec
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


def corpus_files() -> list[Path]:
    """Every file of the wheel pydicom-data; all of them are DICOM files."""
    spec = find_spec("data_store")
    if spec is None or spec.origin is None:
        return []
    return sorted((Path(spec.origin).parent / "data").glob("*.dcm"))


# What these hold is compared in test_part10_judge.py: zipMR.gz is a DICOM file compressed by gzip,
# no_meta.dcm has a stray byte before its first element, so that nothing says what it is.
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


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "corpus: reads the files of the wheel pydicom-data")


def all_files() -> list[object]:
    own = [pytest.param(path, id=path.name) for path in judge_files()]
    corpus = [
        pytest.param(path, id=f"corpus-{path.name}", marks=pytest.mark.corpus)
        for path in corpus_files()
    ]
    return [*own, *corpus]


@pytest.fixture(params=all_files())
def judge_file(request) -> Path:
    return request.param


@pytest.fixture(scope="session")
def judge_folder() -> Path:
    return _JUDGE_FILES / "test_files"


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    return corpus_files()
