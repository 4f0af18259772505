"""Rules of this repository that a reader of one file cannot see are held."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "dicom_actors").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_sleeps(path: Path) -> None:
    assert "time." + "sleep(" not in path.read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_does(path: Path) -> None:
    assert path.read_text().lstrip("r").startswith('"""')


def test_the_top_level_holds_what_it_should() -> None:
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert names - {"build", "dist"} <= {
        "LICENSE",
        "README.md",
        "dicom_actors",
        "pyproject.toml",
        "test_files",
        "tests",
    }
