"""Whether an archive is what its index says."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from dicom_actors import read_file
from dicom_actors.archive.files import Location
from dicom_actors.archive.maintenance.walking import (
    files_in_place,
    instances_with_versions,
    is_on_its_way,
)
from dicom_actors.archive.upkeep import describe_at
from dicom_actors.errors import ArchiveError, DicomError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_actors.archive.holdings import Holdings
    from dicom_actors.archive.index import StoredInstance

__all__ = ["Problem", "Verified", "verify"]

_BEGINNING: Final = 64 * 1024


class Problem(NamedTuple):
    """Something that is not as it should be.

    Attributes:
        location: where.
        sop_instance_uid: which instance; empty if that is not known.
        what: in some words.
    """

    location: str
    sop_instance_uid: str
    what: str


class Verified(NamedTuple):
    """What was looked at.

    Attributes:
        instances: rows, other versions included.
        bytes: of their files.
        problems: how many were found.
    """

    instances: int
    bytes: int
    problems: int


def verify(
    holdings: Holdings,
    tell: Callable[[Problem], object],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Verified:
    """Read every file of an archive, and look for files that have no row.

    Args:
        holdings: the archive.
        tell: is called with each problem.
        progress: is called with one instance, and its bytes, after each.

    Raises:
        ArchiveError: the index cannot be read.
    """
    instances = length = problems = 0
    for instance in instances_with_versions(holdings):
        what = _what_is_wrong(holdings, instance)
        if what:
            problems += 1
            tell(Problem(instance.location, instance.sop_instance_uid, what))
        instances += 1
        length += instance.size
        if progress is not None:
            progress(1, instance.size)
    for name in files_in_place(holdings):
        uid = _uid_in(holdings, name)
        versions = holdings.rows.versions_of(uid) if uid else []
        if all(one.location != name for one in versions) and not is_on_its_way(holdings, name):
            problems += 1
            tell(Problem(name, uid, _why_without_row(holdings, name, versions)))
    return Verified(instances, length, problems)


def _what_is_wrong(holdings: Holdings, instance: StoredInstance) -> str:
    try:
        digest = _checksum(holdings, instance)
    except FileNotFoundError:
        return "the file is missing"
    except ArchiveError as error:
        # One that was deleted since is no problem.
        return "" if error.reason == "deleted" else str(error)
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}"
    if digest != instance.checksum:
        return "the bytes are not those that were stored"
    return "" if holdings.is_whole(instance) else "the file is longer than what was stored"


def _why_without_row(holdings: Holdings, name: str, versions: Sequence[StoredInstance]) -> str:
    with contextlib.suppress(DicomError, OSError):
        checksum = describe_at(holdings.store, Location(name)).checksum
        for one in versions:
            there = holdings.store.size(Location.of(one.location)) is not None
            if one.checksum == checksum and there:
                return f"a file without a row: a copy of {one.location}, which nothing needs"
    return "a file without a row; `reindex` gives it one, if it can be read"


def _checksum(holdings: Holdings, instance: StoredInstance) -> bytes:
    data = holdings.open_bytes(instance, is_fresh=True)[instance.header_length :]
    if isinstance(data, memoryview):
        return sha256(data).digest()
    made = sha256()
    for chunk in data.chunks():
        made.update(chunk)
    return made.digest()


def _beginning_of(
    holdings: Holdings, location: Location, size: int | None
) -> memoryview | IO[bytes]:
    """Give an object, or its beginning; a large file is read as far as is needed."""
    if location.is_in_bucket:
        return holdings.store.read(location, size)
    data = holdings.store.file_system.open(location.name)
    return data if isinstance(data, memoryview) else data.as_file()


def _uid_of(source: memoryview | IO[bytes]) -> str:
    return str(read_file(source, keywords=["SOPInstanceUID"]).get("SOPInstanceUID") or "")


def _uid_in(holdings: Holdings, name: str) -> str:
    # Of an object in a bucket the beginning will do, nearly always.
    for size in (_BEGINNING, None) if Location(name).is_in_bucket else (None,):
        try:
            return _uid_of(_beginning_of(holdings, Location(name), size))
        except (DicomError, OSError):
            continue
    return ""
