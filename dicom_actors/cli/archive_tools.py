"""``dicom-actors archive``: what can be done with an archive as a whole.

An archive that nobody has open is opened. One that a running ``serve`` keeps is worked on beside
that process.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_actors.archive import Archive
from dicom_actors.archive.index_handle import INDEX_NAME
from dicom_actors.archive.maintenance import adopt, backup, reindex, verify
from dicom_actors.archive.visit import Visit
from dicom_actors.cli.serve_config import load_config
from dicom_actors.cli.terminal import complain, size_in_words
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_actors.archive.maintenance import Problem

__all__ = ["run"]

_KEYS = {
    "PatientID": "patient_id",
    "StudyInstanceUID": "study_instance_uid",
    "SeriesInstanceUID": "series_instance_uid",
    "SOPInstanceUID": "sop_instance_uid",
}


def run(options: Namespace) -> int:
    """Do it; returns the exit code.

    Raises:
        UsageError: the arguments are wrong.
        ArchiveError: the archive cannot be used.
        OSError: neither can the disk.
    """
    keys = _keys(options.keys) if options.action == "delete" else {}
    if options.action == "adopt":
        _folder(options.folder)  # before anything is made
    with _open(options) as archive:
        result, problems = _do(archive, options, keys)
    if options.json:
        print(json.dumps(result))
    else:
        print(", ".join(f"{name} {value}" for name, value in _in_words(result)))
    return 1 if problems else 0


def _do(
    archive: Archive | Visit, options: Namespace, keys: dict[str, str]
) -> tuple[dict[str, Any], int]:
    if options.action == "stats":
        if isinstance(archive, Archive):
            return archive.stats()._asdict(), 0
        free = {"free_bytes": archive.store.file_system.free_bytes()}
        return {**archive.counts()._asdict(), **free}, 0
    if options.action == "delete":
        return {"deleted": archive.delete(**keys)}, 0
    done: Any
    if options.action == "verify":
        done = verify(archive, _tell)
    elif options.action == "reindex":
        done = reindex(archive, _tell)
    elif options.action == "adopt":
        done = adopt(archive, _folder(options.folder), _tell, in_place=options.in_place)
    else:
        done = backup(archive, Path(options.folder), _tell)
    return done._asdict(), done.problems


def _open(options: Namespace) -> Archive | Visit:
    config = load_config(options)
    settings, folder = config.archive, Path(config["store"])
    chosen = {name: getattr(settings, name) for name in settings.__slots__}
    if options.action != "adopt" and not folder.is_dir():
        raise UsageError(f"{folder}: expected an archive, there is no such folder")
    if config["index"] is not None:
        return Archive.open(folder, heal=False, index=config["index"], **chosen)
    if not _has_index(folder) and options.action not in {"adopt", "reindex"}:
        raise UsageError(
            f"{folder}: expected an archive, there is no {INDEX_NAME}, or an empty one"
        )
    try:
        # What is taken in beside objects that have lost their index hides them from nobody.
        return Archive.open(folder, heal=options.action == "adopt", **chosen)
    except ArchiveError as error:
        if error.reason == "damaged" and options.action == "reindex":
            _set_aside(folder)
            return Archive.open(folder, heal=False, **chosen)
        if error.reason != "locked":
            raise
    return Visit(folder, settings)


def _has_index(folder: Path) -> bool:
    try:
        return (folder / INDEX_NAME).lstat().st_size > 0
    except OSError:
        return False


def _set_aside(folder: Path) -> None:
    """Keep a damaged index, under another name."""
    moment = time.strftime("%Y%m%d-%H%M%S")
    for path in folder.glob(f"{INDEX_NAME}*"):
        path.rename(path.with_name(f"{path.name}.damaged-{moment}"))
    complain(f"the damaged index is kept as {INDEX_NAME}.damaged-{moment}")


def _folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(f"{name}: expected a folder")
    return folder


def _keys(words: list[str]) -> dict[str, str]:
    keys = {}
    for word in words:
        keyword, sign, value = word.partition("=")
        if keyword not in _KEYS or not sign or not value:
            raise UsageError(f"{word}: expected KEY=VALUE with one of {', '.join(_KEYS)}")
        keys[_KEYS[keyword]] = value
    return keys


def _tell(problem: Problem) -> None:
    complain(f"{problem.location}: {problem.what}")


def _in_words(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name.replace("_bytes", ""), size_in_words(value))
        if name.endswith("bytes")
        else (name.replace("_", " "), str(value))
        for name, value in result.items()
    ]
