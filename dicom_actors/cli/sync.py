"""``dicom-actors sync PEER KEY=VALUE... --output DIR``: get what is not there yet.

What the peer has is asked for with C-FIND, down to the instances. What has a file in the folder
that can be read is not asked for again; the rest comes with C-GET, a series at a time, or instance
by instance where a part of it is there. In the end each instance that the peer named must have
such a file. An interruption costs nothing but what was under way: the folder is the journal.
Standard: PS3.4 C.4.1, C.4.3.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.cli.connecting import associated
from dicom_actors.cli.keys import query_for
from dicom_actors.cli.object_files import ObjectFolder, object_name_of
from dicom_actors.cli.progress import progress
from dicom_actors.cli.terminal import complain, counted, say, show_anything
from dicom_actors.cli.usage import UsageError
from dicom_actors.data import read_file
from dicom_actors.errors import AssociationError, DataError, DimseFailure

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator

    from dicom_actors.data import DataSet
    from dicom_actors.scu import Association

__all__ = ["sync"]

_UNIQUE: Final = {
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_AT_A_TIME: Final = 100
"""Instances that one C-GET names; a list of UIDs has its limits with some archives."""


class _Series(NamedTuple):
    """A series as the peer tells of it.

    Attributes:
        study: Study Instance UID.
        series: Series Instance UID.
        instances: SOP Instance UIDs.
    """

    study: str
    series: str
    instances: list[str]


def sync(options: Namespace, pause: Callable[[float], object] = time.sleep) -> int:
    """Get what is missing in the folder, and verify what there is.

    Args:
        options: the arguments.
        pause: waits so many seconds before another attempt.

    Returns:
        0, or 1 if something is missing in the end.

    Raises:
        UsageError: the keys are wrong.
        DimseFailure: the peer says that it cannot answer.
        AssociationError: there is no association, or each one was lost.
    """
    identifier = query_for(options.keys, "STUDY", options.model).identifier
    if "QueryRetrieveLevel" in [key.partition("=")[0] for key in options.keys]:
        raise UsageError("keys: expected those of studies; sync goes down to all their instances")
    show_anything()
    work = _Work(options, identifier)
    losses = 0
    while True:
        before = work.folder.count
        try:
            work.run()
            break
        except AssociationError as error:
            losses = 1 if work.folder.count > before else losses + 1
            if losses > options.retries:
                work.folder.print_summary()
                raise
            complain(f"{error}; once more")
            if losses > 1:
                pause(min(2.0 ** (losses - 2), 60.0))
    return work.verify()


class _Work:
    """What is to be done, and what is done, over as many associations as it takes."""

    def __init__(self, options: Namespace, identifier: DataSet) -> None:
        self._options = options
        self._identifier = identifier
        self._root = Path(options.output)
        self._missing: list[tuple[_Series, list[str]]] = []
        self._failures: dict[str, str] = {}
        self.folder = ObjectFolder(options)

    def run(self) -> None:
        """List what the peer has, and get what has no file."""
        options = self._options
        with associated(options) as association:
            listed = list(self._list(association))
            self._missing = [
                (series, [uid for uid in series.instances if self._fault(series, uid)])
                for series in listed
            ]
            count = sum(len(uids) for _, uids in self._missing)
            say(
                f"{counted(sum(len(series.instances) for series in listed), 'object')} in "
                f"{counted(len(listed), 'series', 'series')}, {count} missing here"
            )
            if options.dry_run:
                return
            with progress(options, objects=count) as bar:
                for series, uids in self._missing:
                    for wanted in _requests(series, uids):
                        for length in self._get(association, wanted):
                            bar.add(length=length)

    def _list(self, association: Association) -> Iterator[_Series]:
        for study in _uids(association.find(self._identifier), "STUDY"):
            keys = {"StudyInstanceUID": study}
            for series in _uids(association.find(_query("SERIES", keys)), "SERIES"):
                query = _query("IMAGE", {**keys, "SeriesInstanceUID": series})
                yield _Series(study, series, _uids(association.find(query), "IMAGE"))

    def _get(self, association: Association, wanted: dict[str, object]) -> Iterator[int]:
        try:
            for instance in association.get(wanted):
                yield self.folder.keep(instance)
        except DimseFailure as failure:
            # The others are got nevertheless; what is missing in the end is told.
            self._failures[str(wanted["SeriesInstanceUID"])] = str(failure)

    def verify(self) -> int:
        """Look at what was got, and say what is missing still; returns the exit code."""
        code = 0
        for series, uids in self._missing:
            faults = {uid: fault for uid in uids if (fault := self._fault(series, uid))}
            for uid, fault in faults.items():
                code = 1
                complain(f"{uid}: {fault}")
                if self._options.json:
                    print(json.dumps({"path": None, "sop_instance_uid": uid, "bytes": None}))
            if faults and series.series in self._failures:
                complain(f"series {series.series}: {self._failures[series.series]}")
        self.folder.print_summary()
        return code

    def _fault(self, series: _Series, uid: str) -> str:
        """Say what is wrong with the file of an instance; empty: nothing."""
        path = self._root / object_name_of(series.study, series.series, uid)
        try:
            found = read_file(path).get("SOPInstanceUID")
        except FileNotFoundError:
            return "missing"
        except (DataError, OSError) as error:
            return f"{path}: {error}"
        return "" if found == uid else f"{path}: it is {found}"


def _query(level: str, keys: dict[str, str]) -> dict[str, object]:
    return {"QueryRetrieveLevel": level, **keys, _UNIQUE[level]: None}


def _uids(matches: Iterable[DataSet], level: str) -> list[str]:
    """The unique keys of matches, each once."""
    return list(dict.fromkeys(str(uid) for match in matches if (uid := match.get(_UNIQUE[level]))))


def _requests(series: _Series, missing: list[str]) -> Iterator[dict[str, object]]:
    """Give the identifiers that bring what is missing of a series, and little else."""
    keys: dict[str, object] = {
        "StudyInstanceUID": series.study,
        "SeriesInstanceUID": series.series,
    }
    if missing and len(missing) == len(series.instances):
        yield {"QueryRetrieveLevel": "SERIES", **keys}
        return
    for start in range(0, len(missing), _AT_A_TIME):
        part = missing[start : start + _AT_A_TIME]
        yield {"QueryRetrieveLevel": "IMAGE", **keys, "SOPInstanceUID": part}
