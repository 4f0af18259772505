"""The names of the package: all there, and the seldom used ones loaded late."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dicom_actors import data

LATE = (
    "dataset.checks",
    "dataset.private",
    "files.directory",
    "forms.frames",
    "forms.json",
    "forms.text",
    "query.matching",
    "values.checks",
)


def test_every_name_is_there():
    assert set(data.__all__) <= set(dir(data))
    for name in data.__all__:
        assert getattr(data, name).__module__.startswith("dicom_actors.data.")


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'read_nothing'"):
        data.read_nothing  # noqa: B018


def test_what_is_seldom_used_is_loaded_late():
    code = """
import sys
from dicom_actors.data import DataSet, read_file, write_file
print(*[name for name in sys.modules if name.startswith("dicom_actors.data.")])
from dicom_actors.data import read_directory
print(read_directory.__module__)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded, home = done.stdout.splitlines()
    assert not {f"dicom_actors.data.{name}" for name in LATE} & set(loaded.split())
    assert home == "dicom_actors.data.files.directory"
