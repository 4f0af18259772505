"""The public files, de-identified, before judges that are not ours.

Run it with ``python tests/kit/deidentified_corpora.py [--options A,B ...]``: all files of pydicom
and pydicom-data, with each option of the profile alone and with many at once; a line for each
thing that is wrong, a line of counts for each set of options, and exit code 1 if anything is
wrong. A few files run in the suite.

What must hold: the verifier finds nothing; ``dciodvfy`` has no error that the original did not
have; pydicom reads the result, and finds the bytes of its pixel data as they were. ``dciodvfy``
cannot read what is deflated, so both are inflated for it by ``dcmconv``; and of an original that
it cannot read to the end it has no opinion that the result could be held against.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

sys.path.insert(0, str(Path(__file__).parents[1]))
from kit.patients import KEY, file_of

from dicom_actors import read_file
from dicom_actors.deidentification import Deidentifier, NotCleanError, Option, Verifier
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = Path(pydicom.__file__).parent / "data"
MANY = (
    "retain-modified-dates",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
)
SETS: tuple[tuple[str, ...], ...] = (
    (),
    ("retain-safe-private", "retain-uids", "retain-full-dates"),
    MANY,
)
NOT_SEARCHED = {
    "retain-full-dates": "dates",
    "retain-uids": "uids",
    "retain-institution-identity": "institution",
    "retain-device-identity": "device",
}
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def public_files() -> list[Path]:
    """Return the files that come with pydicom, and those of pydicom-data where it is installed."""
    # By their folders: asking pydicom for them by pattern may ask the network for more.
    found = [
        path
        for path in (FOLDER / "test_files").rglob("*")
        if path.is_file() and path.suffix.lower() in {".dcm", ""}
    ]
    found += FOLDER.glob("charset_files/*.dcm")
    try:
        import data_store  # type: ignore[import-untyped]
    except ImportError:
        pass
    else:
        found += (Path(data_store.__file__).parent / "data").rglob("*.dcm")
    return sorted(found)


def wrong_of(path: Path, options: tuple[str, ...], folder: Path) -> list[str] | None:
    """De-identify a file and judge the result.

    Args:
        path: the original.
        options: the options of the profile.
        folder: where the result may be written.

    Returns:
        What is wrong, in words; None if the file cannot be read or is refused.
    """
    original = path.read_bytes()
    try:
        clean = Deidentifier("basic", options, salt=KEY).deidentify(read_file(original))
        result = file_of(clean)
    except (DicomError, NotCleanError):
        return None
    target = folder / "clean.dcm"
    target.write_bytes(result)
    verifier = Verifier(NOT_SEARCHED[name] for name in options if name in NOT_SEARCHED)
    verifier.learn(original)
    wrong = [f"left: {finding}" for finding in verifier.search(result)]
    before = errors_before(path)
    if not any(map(_UNREAD.search, before)):
        wrong += [f"dciodvfy: {line}" for line in sorted(errors_of(target) - before)]
    if "clean-pixel-data" not in options:  # which blanks what surrounds ultrasound, for one
        wrong += pixels_changed(path, target)
    return wrong


def errors_of(path: Path) -> set[str]:
    """Return the errors that ``dciodvfy`` has, without the values that it quotes."""
    with tempfile.TemporaryDirectory() as folder:
        if _DEFLATED in path.read_bytes()[:2048]:
            inflated = Path(folder, "inflated.dcm")
            subprocess.run(["dcmconv", "+te", path, inflated], timeout=60, check=True)
            path = inflated
        return _errors_of(path)


def _errors_of(path: Path) -> set[str]:
    done = subprocess.run(
        ["dciodvfy", "-new", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    lines = (re.sub(r"= <[^>]*>", "", line) for line in done.stderr.splitlines())
    return {line for line in lines if line.startswith("Error")}


errors_before = cache(errors_of)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_UNREAD = re.compile(r"read failed|Tags out of order|doesn't contain Transfer Syntax")


def pixels_changed(before: Path, after: Path) -> list[str]:
    """Compare pixel data as pydicom reads it; returns what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydicom.dcmread(after)
        try:
            original = pydicom.dcmread(before, force=True)
        except Exception:
            return []  # a file that only we read
        return [
            f"{keyword} is not what it was"
            for keyword in _PIXELS
            if keyword in original and made.get(keyword) != original[keyword].value
        ]


def judged(
    files: Iterable[Path], options: tuple[str, ...], folder: Path
) -> Iterator[tuple[Path, list[str] | None]]:
    """Judge files one by one."""
    for path in files:
        yield path, wrong_of(path, options, folder)


def main() -> int:
    """Judge all public files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--options", action="append", help="options with commas between")
    given = parser.parse_args().options
    sets = [tuple(filter(None, each.split(","))) for each in given or ()]
    failed = False
    for options in sets or (*SETS, *((str(option),) for option in Option)):
        files = refused = bad = 0
        with tempfile.TemporaryDirectory() as folder:
            for path, wrong in judged(public_files(), options, Path(folder)):
                files += wrong is not None
                refused += wrong is None
                bad += bool(wrong)
                for line in wrong or ():
                    print(f"{path.name}: {line}")
        name = ", ".join(options) or "basic"
        print(f"{name}: {files} files judged, {refused} not readable or refused, {bad} wrong")
        failed = failed or bad > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
