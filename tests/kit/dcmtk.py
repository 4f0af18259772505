"""DCMTK's programs as peers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
from pydicom.data import DATA_ROOT  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 60.0
"""Seconds that a program may take before the test fails."""

_PROPOSE = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.57": "-xs",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.4.100": "-xm",
    "1.2.840.10008.1.2.4.102": "-xn",
    "1.2.840.10008.1.2.5": "-xr",
}
"""The option of `storescu` that proposes a transfer syntax."""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT,
        check=False,
        env={**os.environ, "DCMDICTPATH": "/usr/share/libdcmtk17/dicom.dic"}
        if Path("/usr/share/libdcmtk17/dicom.dic").exists()
        else None,
    )


def storescu(
    port: int, *files: Path, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Send files, all of them on one association."""
    return run("storescu", *options, "-aec", "TEST", "127.0.0.1", port, *files)


def wheel_files() -> Iterator[tuple[Path, str]]:
    """The files of pydicom's wheel that have a transfer syntax `storescu` can propose."""
    for path in sorted(Path(DATA_ROOT).rglob("*")):
        if path.is_dir() or path.suffix in {".py", ".pyc", ".json", ".md", ".txt", ".gz", ".icc"}:
            continue
        try:
            meta = pydicom.filereader.read_file_meta_info(path)
            syntax = str(meta.TransferSyntaxUID)
        except (pydicom.errors.InvalidDicomError, AttributeError, EOFError, ValueError):
            continue
        if syntax in _PROPOSE:
            yield path, _PROPOSE[syntax]
