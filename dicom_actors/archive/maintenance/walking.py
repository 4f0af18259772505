"""Everything in an archive, bit by bit: rows by study, files by folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors import DataSet
from dicom_actors.archive.files import CACHE, INCOMING, JOURNAL, METADATA, OUTGOING, Location
from dicom_actors.archive.query import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive.holdings import Holdings
    from dicom_actors.archive.index import StoredInstance

__all__ = [
    "NEW_INDEX",
    "NO_PLACES",
    "files_in_place",
    "files_of",
    "instances_with_versions",
    "is_on_its_way",
]

_ALL: Final = Settings(max_matches=1 << 60, max_candidates=1 << 60)
NEW_INDEX: Final = "index.new"
"""The folder with the index of a backup that is being made."""
NO_PLACES: Final = frozenset({CACHE, INCOMING, JOURNAL, METADATA, OUTGOING, NEW_INDEX})
"""Folders of an archive in which nothing has its place."""


def instances_with_versions(holdings: Holdings) -> Iterator[StoredInstance]:
    """Give all instances and other versions of them, study by study."""
    keys = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=None)
    for study in holdings.find(keys, _ALL):
        uid = str(study.StudyInstanceUID)
        for instance in list(holdings.instances(study_instance_uid=uid)):
            yield from holdings.rows.versions_of(instance.sop_instance_uid) or [instance]


def files_in_place(holdings: Holdings) -> Iterator[str]:
    """Give the names of all files that are where objects have their places, buckets included.

    Raises:
        OSError: a bucket cannot be looked into.
        ArchiveError: which there are is not known.
    """
    root = holdings.folder
    for name in sorted(os.listdir(root)):  # noqa: PTH208 - names alone
        if name not in NO_PLACES and (root / name).is_dir() and not (root / name).is_symlink():
            for path in files_of(root / name):
                yield path.relative_to(root).as_posix()
    buckets = holdings.store.buckets
    for name in buckets.addresses():
        for key in buckets.get(name).keys():  # noqa: SIM118 - it is no mapping
            yield Location.in_bucket(name, key).name


def is_on_its_way(holdings: Holdings, name: str) -> bool:
    """Whether a file has its place, and who has put it there is about to write its row."""
    return not Location(name).is_in_bucket and bool(holdings.store.first_names(name))


def files_of(folder: Path, *, but: Path | None = None) -> Iterator[Path]:
    """Give all files in a folder and below, in order; links to folders are not followed.

    Args:
        folder: the folder.
        but: a folder below it that is left out, with all in it.
    """
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(above, name) != but)
        for name in sorted(names):
            yield Path(above, name)
