"""``dicom-actors archive``: what can be done with an archive as a whole.

An archive that nobody has open is opened. One that a running ``serve`` keeps is worked on beside
that process.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_actors.archive import Archive
from dicom_actors.archive.archive import store_in
from dicom_actors.archive.files import DiskFileSystem
from dicom_actors.archive.folder_lock import FolderLock
from dicom_actors.archive.index import Duplicates
from dicom_actors.archive.index_handle import INDEX_NAME, IndexHandle
from dicom_actors.archive.maintenance import adopt, backup, reindex, verify
from dicom_actors.archive.maintenance.rebuilding import (
    ask_for_rebuild,
    has_objects,
    rebuild,
    set_aside,
)
from dicom_actors.archive.visit import Visit
from dicom_actors.cli.serve_config import load_config
from dicom_actors.cli.terminal import complain, size_in_words
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.maintenance import Problem
    from dicom_actors.archive.settings import ArchiveSettings

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
    try:
        with _open(options) as archive:
            result, problems = _do(archive, options, keys)
    except ArchiveError as error:
        if error.reason != "damaged" or options.action != "reindex":
            raise
        # Some damage shows where the index is used, after it was opened.
        _set_aside(options, error)
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
    elif options.action == "reindex" and isinstance(archive, Archive) and archive.is_rebuilding:
        done = rebuild(archive, _tell, archive.settle, Duplicates(archive.settings.duplicates))
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
        if options.action == "reindex":
            _ask_for_what_was_lost(folder, settings)
        # What is taken in beside objects that have lost their index hides them from nobody.
        return Archive.open(folder, heal=options.action == "adopt", **chosen)
    except ArchiveError as error:
        if error.reason != "locked":
            raise
    return Visit(folder, settings)


def _has_index(folder: Path) -> bool:
    try:
        return (folder / INDEX_NAME).lstat().st_size > 0
    except OSError:
        return False


@contextlib.contextmanager
def _alone(folder: Path, settings: ArchiveSettings) -> Iterator[Store]:
    """Give the files of an archive that nobody has open; raises ArchiveError if somebody has."""
    lock = FolderLock(folder)
    try:
        yield store_in(folder.absolute(), DiskFileSystem(folder), settings)
    finally:
        lock.release()


def _ask_for_what_was_lost(folder: Path, settings: ArchiveSettings) -> None:
    """Note what is to be done, so that whoever opens it next goes on if this is interrupted."""
    with _alone(folder, settings) as store:
        handle = IndexHandle(str(folder / INDEX_NAME), settings.durability)
        if not handle.exists() and has_objects(store):
            ask_for_rebuild(store)
        handle.check_sound()


def _set_aside(options: Namespace, error: ArchiveError) -> None:
    """Keep a damaged index under another name, and note that another one is to be made."""
    config = load_config(options)
    if config["index"] is not None:
        raise error  # a database is for those to mend who keep it
    try:
        with _alone(Path(config["store"]), config.archive) as store:
            ask_for_rebuild(store)
            complain(f"{error}; it is kept as {set_aside(store)}")
    except ArchiveError as locked:
        if locked.reason != "locked":
            raise
        raise ArchiveError(
            f"{locked}, and its index is damaged: `serve` makes a new one when it is started again"
        ) from error


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
