"""The bytes of an archive, without any index: files, a journal, and what a crash leaves of them.

    <study>/<series>/<instance>.dcm   where an object is in the end (`layout`); or in a `bucket`
    incoming/<name>.dcm               a large one that has no place yet
    journal/<number>.journal          small ones that have no place yet, one behind the other
    cache/                            copies of what was read of buckets
    outgoing/<name>/                  copies that programs were given; nothing is kept there

An object is safe as soon as it is in one of the two folders at the bottom and synchronized; then
the index learns of it, and only then of the way from there to its place (`placing`). So what has
no row yet can only be in those two folders, and a start looks nowhere else.

Way down: `placing`, `spool` > `store` > `journal`, `layout`, `buckets`, `cache`, `locations` >
`bucket`, `file_system`. None of it knows the index or an actor; all that touches the disk goes
through a `FileSystem`, so that a test can have one that forgets what was not synchronized.
"""

from __future__ import annotations

from dicom_actors.archive.files.bucket import check_bucket_url
from dicom_actors.archive.files.buckets import REGISTER, Buckets
from dicom_actors.archive.files.cache import Cache
from dicom_actors.archive.files.file_system import AS_WANTED, DiskFileSystem, FileSystem, OpenFile
from dicom_actors.archive.files.journal import JournalWriter, Record, read_records
from dicom_actors.archive.files.layout import DEFAULT_PATTERN, Layout
from dicom_actors.archive.files.locations import (
    CACHE,
    INCOMING,
    JOURNAL,
    METADATA,
    OUTGOING,
    REBUILD,
    Location,
)
from dicom_actors.archive.files.placing import Placed, Placing, placing_in
from dicom_actors.archive.files.spool import Spool
from dicom_actors.archive.files.store import Store
from dicom_actors.scu import FileBytes, UnreadBytes

__all__ = [
    "AS_WANTED",
    "CACHE",
    "DEFAULT_PATTERN",
    "INCOMING",
    "JOURNAL",
    "METADATA",
    "OUTGOING",
    "REBUILD",
    "REGISTER",
    "Buckets",
    "Cache",
    "DiskFileSystem",
    "FileBytes",
    "FileSystem",
    "JournalWriter",
    "Layout",
    "Location",
    "OpenFile",
    "Placed",
    "Placing",
    "Record",
    "Spool",
    "Store",
    "UnreadBytes",
    "check_bucket_url",
    "placing_in",
    "read_records",
]
