"""``dicom-actors deidentify --verify ORIGINALS RESULT``: whether results say who the patient is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.deidentify_options import option_names
from dicom_actors.cli.progress import progress
from dicom_actors.cli.terminal import complain, counted, show_anything
from dicom_actors.cli.usage import UsageError
from dicom_actors.data.files.file_values import files_below
from dicom_actors.deidentification.verifier import Verifier

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["verify"]

_NOT_SEARCHED: Final = {
    "retain-full-dates": "dates",
    "retain-uids": "uids",
    "retain-institution-identity": "institution",
    "retain-device-identity": "device",
}


def verify(options: Namespace) -> int:
    """Learn from the originals, and search the results.

    Returns:
        0 if nothing was found in any result, 1 if something was or a file could not be read.

    Raises:
        UsageError: there are not two files or folders, or one has no files.
    """
    show_anything()
    if len(options.inputs) != 2:
        raise UsageError("expected ORIGINALS and RESULT with --verify")
    names = option_names(options)
    verifier = Verifier(_NOT_SEARCHED[name] for name in names if name in _NOT_SEARCHED)
    originals, results = (_files(name) for name in options.inputs)
    failed = 0
    with progress(options, nouns="files", objects=len(originals) + len(results)) as bar:
        for path in originals:
            data = _read(path)
            failed += data is None
            verifier.learn(data or b"")
            bar.add()
        found = 0
        for path in results:
            data = _read(path)
            failed += data is None
            for finding in verifier.search(data or b""):
                found += 1
                if options.json:
                    print(json.dumps({"path": str(path), **finding._asdict()}))
                else:
                    print(f"{path}: {finding}")
            bar.add()
    if not options.json:
        short = verifier.unsearchable
        left = f"; {counted(short, 'value')} too short to be searched" if short else ""
        verdict = counted(found, "finding") if found else "nothing found"
        print(f"{counted(len(results), 'file')} searched, {verdict}{left}")
    return 1 if found or failed else 0


def _files(name: str) -> list[Path]:
    path = Path(name)
    found = list(files_below(path)) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"{name}: expected files, found none")
    return found


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        complain(f"{path}: {error.strerror or error}")
        return None
