"""Importing the package loads nothing that was not asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

JUDGES_AND_EXTRAS = {"pydicom", "pynetdicom", "numpy", "rich", "PIL"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running `code`."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("code", ["import dicom_actors", "from dicom_actors import *"])
def test_no_judge_and_no_extra_is_imported(code: str) -> None:
    assert not loaded_by(code) & JUDGES_AND_EXTRAS


def test_the_package_alone_loads_neither_network_nor_data_sets() -> None:
    loaded = loaded_by("import dicom_actors")
    assert not {name for name in loaded if name.startswith("dicom_actors.")} - {
        "dicom_actors.version"
    }


def test_reading_files_loads_no_network_and_no_actors() -> None:
    loaded = loaded_by("from dicom_actors import DataSet, read_file")
    assert not {"pykka", "socket", "ssl", "asyncio", "logging"} & loaded


def test_star_gives_every_public_name() -> None:
    import dicom_actors

    for name in dicom_actors.__all__:
        assert getattr(dicom_actors, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        dicom_actors.nonsense  # noqa: B018
